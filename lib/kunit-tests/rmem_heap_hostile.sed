# SPDX-License-Identifier: GPL-2.0
# Names for rmem_heap_hostile.dtb that dtc does not take; the lengths stay as they are.
s/twin-b@/twin-a@/g
s/ba+snk@/ba%snk@/g
s/off+bank@/off%bank@/g
s/u@18400000\x00/@18400000\x00\x00/g
