#!/bin/bash
# SPDX-License-Identifier: GPL-2.0
# usage: cases.sh    boots the trees of harness/cases, which people really wrote, and variations
# of them. Prints TAP.
. "$(dirname "$0")/lib.sh"

variant=
dir=$build/cases
. "$root/harness/boots-lib.sh"

# A tree of harness/cases, with the lines of a sed script changed
run_case() { # NAME TREE SED PARAMETERS
	sed -e "$3" "$root/harness/cases/$2.dts" >"$dir/$1.dts"
	boot "$1" 1G "$dir/$1.dts" "$dir/list.cpio" "$4"
}

run_case "capture kernel" capture-kernel "" ""
heaps "capture kernel" system low@10000000
for name in frames@28000000 pool@2c000000 guest@2e000000; do
	says "capture kernel" "^rmem_heap: $name: refused, .* not exported: it lies outside of linux,usable-memory-range"
done
says_nothing "capture kernel" 'the kernel does not look for regions here'
# The page allocator must not get what lies outside: the core refuses the area
run_case "capture kernel, an area" capture-kernel \
	's/frames@28000000 {.*/frames@1fc00000 { compatible = "shared-dma-pool"; reusable; reg = <0 0x1fc00000 0 0x800000>; };/' \
	"rmem_heap.export=*"
says "capture kernel, an area" '^rmem_heap: frames@1fc00000: refused, not exported: only 4096 of 8192 KiB are RAM'
heaps "capture kernel, an area" system low@10000000
# The core does not read a range of five cells, and one of size 0 has no effect
run_case "usable range of five cells" capture-kernel 's/<0 0 0 0x20000000>/<0 0 0 0x20000000 0>/' ""
heaps "usable range of five cells" system frames@28000000 pool@2c000000 guest@2e000000 low@10000000
run_case "usable range of size 0" capture-kernel 's/<0 0 0 0x20000000>/<0 0 0 0>/' ""
heaps "usable range of size 0" system frames@28000000 pool@2c000000 guest@2e000000 low@10000000
run_case "capture kernel of two ranges" capture-kernel \
	's/<0 0 0 0x20000000>/&, <0 0x28000000 0 0x4000000>/' ""
heaps "capture kernel of two ranges" system low@10000000 frames@28000000
# Memory that is no RAM, behind what this kernel was given
CHECK_TREE=0 run_case "capture kernel, a bank" capture-kernel \
	's/frames@28000000 {.*/bank@80000000 { no-map; reg = <0 0x80000000 0 0x1000000>; export; };/' ""
says "capture kernel, a bank" "^rmem_heap: bank@80000000: refused, .* it lies outside of linux,usable-memory-range"

run_case "memreserve, dynamic" memreserve-under-dynamic-region "" ""
heaps "memreserve, dynamic" system default_cma_region linux,cma scratch vram
says_nothing "memreserve, dynamic" '^rmem_heap: .* base 0x3[bc][0-9a-f]{6}, 32768'
for part in "0x3c000000 0x1000000" "0x3d800000 0x1000000" "0x3cff0000 0x20000"; do
	run_case "memreserve ${part// /-}" memreserve-under-dynamic-region \
		"s/0x3c000000 0x1000000/$part/; s/scratch {.*/bank@3d000000 { reg = <0 0x3d000000 0 0x1000000>; export; };/" ""
	[ "$part" = "0x3c000000 0x1000000" ] ||
		says "memreserve ${part// /-}" "^rmem_heap: bank@3d000000: refused, .*: the reservation block of the tree has ${part% *}, "
done
run_case "memreserve, the same" memreserve-same-as-region "" \
	"rmem_heap.export=secure@20000000"
heaps "memreserve, the same" system buffers@24000000 secure@20000000
run_case "memreserve, more" memreserve-same-as-region \
	's/0x20000000 0x400000/0x1f000000 0x2000000/' "rmem_heap.export=secure@20000000"
heaps "memreserve, more" system buffers@24000000 secure@20000000

for tree in nomap-pool mapped; do
	run_case "$tree half in RAM" $tree-half-in-ram "" ""
	says "$tree half in RAM" '^rmem_heap: .*-half@2f000000: refused, .*: only 16384 of 32768 KiB are RAM'
	heaps "$tree half in RAM" system
	run_case "$tree, a page too long" $tree-half-in-ram \
		's/-half@2f000000 {/&/; s/0 0x2000000>/0 0x1001000>/' ""
	says "$tree, a page too long" '^rmem_heap: .*: refused, .*: only 16384 of 16388 KiB are RAM'
	run_case "$tree, to the last page" $tree-half-in-ram 's/0x30000000>/0x31000000>/' ""
	says "$tree, to the last page" '^rmem_heap: .*-half@2f000000: (carveout|coherent), .* exported \(its node\)'
done
run_case "no-map carveout half in RAM" mapped-half-in-ram 's/carve-half@2f000000 {/& no-map;/' ""
says "no-map carveout half in RAM" ': refused, .*: only 16384 of 32768 KiB are RAM'

run_case "restricted pool of 512 MiB" restricted-pool-too-large "" ""
heaps "restricted pool of 512 MiB" system guest@10000000 small@38000000

# Neither of the two first nodes is one of the 64.
run_case "128 heaps" too-many-heaps \
	's/dyn0 {/off { status = "disabled"; size = <0 0x10000>; };\n\t\tboth@2f000000 { reg = <0 0x2f000000 0 0x10000>; size = <0 0x10000>; };\n\t\t&/' ""
says "128 heaps" '^rmem_heap: dyn64: refused, not exported: the kernel takes 64 regions without reg, and there are 64 before it'
says "128 heaps" '^rmem_heap: carve48@[0-9a-f]*: refused, .*: there are 112 heaps of regions'
says "128 heaps" '^heap: system'
run_case "128 heaps and areas" too-many-heaps \
	's/carve69@24500000 {/area@24800000 { compatible = "shared-dma-pool"; reusable; linux,cma-default; reg = <0 0x24800000 0 0x400000>; };\n&/' ""
says "128 heaps and areas" '^heap: default_cma_region'

run_case "more areas than CONFIG_CMA_AREAS" too-many-cma-areas "" ""
says "more areas than CONFIG_CMA_AREAS" '^rmem_heap: cam9@19000000: refused, not exported: the kernel has room for 8 CMA areas \(CONFIG_CMA_AREAS\)'
CHECK_TREE=0 run_case "more areas than CONFIG_CMA_AREAS, all dynamic" too-many-cma-areas \
	's/reg = <0 0x1[0-9a]000000 0 0x800000>/size = <0 0x800000>/' ""
says "more areas than CONFIG_CMA_AREAS, all dynamic" '^rmem_heap: dyn-cma: refused, not exported: the kernel has room for 8 CMA areas \(CONFIG_CMA_AREAS\)'

run_case "unit address of reserved-memory" reserved-memory-with-unit-address "" ""
heaps "unit address of reserved-memory" system unit@23000000 bank@24000000 vram@26000000
says "unit address of reserved-memory" '^rmem_heap: bad@28000000: refused, .*: it overlaps bad2@28800000'
run_case "reserved-memory below a bus" reserved-memory-below-a-bus "" ""
says "reserved-memory below a bus" '^rmem_heap: /fabric@0/reserved-memory: the kernel does not look for regions here'
heaps "reserved-memory below a bus" system
# Nodes that dtc makes
run_case "reserved-memory below __local_fixups__" reserved-memory-below-a-bus \
	'$s/};/__local_fixups__ { reserved-memory { }; }; };/' ""
says_nothing "reserved-memory below __local_fixups__" '^rmem_heap: /__local_fixups__'

run_case "size of one cell" dynamic-size-one-cell "" ""
says "size of one cell" '^rmem_heap: linux,cma: refused, not exported: its size must be 2 cells, it has 1'
run_case "size 0" dynamic-size-one-cell 's/size = <0x4000000>/size = <0 0>/' ""
says "size 0" '^rmem_heap: linux,cma: refused, not exported: its size is 0'
run_case "alignment of one cell" dynamic-size-one-cell \
	's/size = <0x4000000>/size = <0 0x4000000>; alignment = <0x400000>/' ""
says "alignment of one cell" '^rmem_heap: linux,cma: refused, not exported: its alignment must be 2 cells, it has 1'
run_case "alloc-ranges that are full" dynamic-size-one-cell \
	's/size = <0x4000000>/size = <0 0x4000000>/; s/<0 0 0 0x30000000>/<0 0 0 0x2000000>/' ""
says "alloc-ranges that are full" '^rmem_heap: linux,cma: refused, not exported: no 65536 KiB of RAM were free in its alloc-ranges, 0x0 to 0x1ffffff'
run_case "alloc-ranges without a range" dynamic-size-one-cell \
	's/size = <0x4000000>/size = <0 0x4000000>/; s/alloc-ranges = [^;]*/alloc-ranges/' ""
says "alloc-ranges without a range" '^rmem_heap: linux,cma: refused, not exported: its alloc-ranges is empty'
# The first area fails for want of memory, though there are 8 later
CHECK_TREE=0 run_case "no memory for the first area" too-many-cma-areas \
	's/cam0@10000000 {.*/big { compatible = "shared-dma-pool"; reusable; size = <0 0x80000000>; };\n&/; s/cam1@11.*//' ""
says "no memory for the first area" '^rmem_heap: big: refused, not exported: no 2097152 KiB of RAM were free in one piece'
# Pools are no areas
CHECK_TREE=0 run_case "no memory behind pools" too-many-cma-areas \
	's/reusable; reg = <0 0x1[0-9]000000 0 0x800000>/no-map; size = <0 0x800000>; alignment = <0 0x1000>/; s/<0 0x1000000>/<0 0x80000000>/' ""
says "no memory behind pools" '^rmem_heap: dyn-cma: refused, not exported: no 2097152 KiB of RAM were free in one piece'
run_case "two alloc-ranges that are full" dynamic-size-one-cell \
	's/size = <0x4000000>/size = <0 0x4000000>/; s/<0 0 0 0x30000000>/<0 0 0 0x2000000>, <0 0x2000000 0 0x1000000>/' ""
says "two alloc-ranges that are full" 'were free in its alloc-ranges, the first is 0x0 to 0x1ffffff'
run_case "size of half a page block" dynamic-size-one-cell 's/size = <0x4000000>/size = <0 0x200000>/' ""
says "size of half a page block" '^rmem_heap: linux,cma: refused, not exported: base and size of a CMA area must be multiples of 4096 KiB'

run_case "cma= beside the default area" default-area-beside-cma "" "cma=64M"
says "cma= beside the default area" '^rmem_heap: linux,cma: refused, not exported: cma= on the command line replaces it; the heap is default_cma_region'
heaps "cma= beside the default area" system default_cma_region reserved
run_case "cma=0 beside the default area" default-area-beside-cma "" "cma=0"
says "cma=0 beside the default area" '^rmem_heap: linux,cma: refused, not exported: cma=0 on the command line replaces it: there is no default area'
heaps "cma=0 beside the default area" system
run_case "cma without a value" default-area-beside-cma "" "cma"
heaps "cma without a value" system default_cma_region linux,cma
run_case "cma= beside another area" default-area-beside-cma '/linux,cma-default;/d' "cma=64M"
heaps "cma= beside another area" system default_cma_region reserved linux,cma
run_case "cma= beside another area of half a page block" default-area-beside-cma \
	'/linux,cma-default;/d; s/size = <0 0x4000000>/size = <0 0x200000>/' "cma=64M"
says "cma= beside another area of half a page block" '^rmem_heap: linux,cma: refused, not exported: base and size of a CMA area must be multiples of'
run_case "cma= beside a default area with reg" default-area-beside-cma \
	's/size = <0 0x4000000>/reg = <0 0x10000000 0 0x4000000>/' "cma=64M"
says "cma= beside a default area with reg" '^rmem_heap: linux,cma: refused, not exported: cma= on the command line'

run_case "reg of other cells" reg-of-five-cells "" ""
for part in "two@20000000 2" "three@21000000 3" "five@22000000 5" "six@23000000 6"; do
	says "reg of other cells" "^rmem_heap: ${part% *}: refused, not exported: its reg must be 4 cells, it has ${part#* }"
	says "reg of other cells" "reg of node '${part% *}' must have 4 cells, or a multiple"
done
heaps "reg of other cells" system good@28000000

# The core does not read a reg of three cells, and places the region
run_case "reg of other cells, and size" reg-of-five-cells \
	's/three@21000000 {/& size = <0 0x1000000>; alignment = <0 0x1000>;/' ""
says "reg of other cells, and size" '^rmem_heap: three@21000000: carveout, base 0x[0-9a-f]+ \(not its unit address\), 16384 KiB, exported \(its node\)'
# The end of RAM, where User-Mode Linux puts the device tree
run_case "over the device tree" memreserve-same-as-region \
	's/buffers@24000000 {.*/buffers@3fc00000 { reg = <0 0x3fc00000 0 0x400000>; export; };/' ""
says "over the device tree" '^rmem_heap: buffers@3fc00000: refused, .*: the device tree lies in it'

run_case "regions without alignment" dynamic-without-alignment "" ""
for name in carve-dyn coh-dyn restr-dyn nomap-dyn; do
	says "regions without alignment" "^rmem_heap: $name: refused, base 0x[0-9a-f]+, 16384 KiB, not exported: the kernel has put it at 0x[0-9a-f]+: give it an alignment of 4096 or more"
done
says "regions without alignment" '^rmem_heap: tiny: refused, base 0x[0-9a-f]+, 832 bytes, not exported: its base and size must be multiples of the page size, 4096'
says "regions without alignment" '^rmem_heap: video@10000000: carveout, base 0x20000000 \(not its unit address\), 16384 KiB, exported'
run_case "unit address without reg" unit-address-without-reg "" ""
says "unit address without reg" '^rmem_heap: rtos@20000000: coherent, base 0x[0-9a-f]+ \(not its unit address\), 10240 KiB, exported'
says "unit address without reg" '^rmem_heap: linux,cma: refused, not exported: no 524288 KiB of RAM were free in its alloc-ranges, 0x0 to 0x1fffffff'

run_case "firmware in the second pool" firmware-pool-at-index-1 "" "rmem_heap.export=*"
says "firmware in the second pool" '^rmem_heap: core0-memory@1c900000: coherent, .* not exported: "\*" leaves it out: /rproc0 refers to it at index 1 of memory-region; rmem_heap.export=core0-memory@1c900000 exports it'
says "firmware in the second pool" '^rmem_heap: 1 carve-outs have no owner in the device tree'
says_nothing "firmware in the second pool" '^rmem_heap: secure-ram@1e000000: .* not exported'
heaps "firmware in the second pool" system default_cma_region linux,cma core0-dma@1c800000 video@20000000
run_case "firmware in the second pool, by name" firmware-pool-at-index-1 "" \
	"rmem_heap.export=*:core0-memory@1c900000:secure-ram@1e000000"
says "firmware in the second pool, by name" "^rmem_heap: core0-memory@1c900000: exporting it although /rproc0 refers to it at index 1 of memory-region: each buffer is cleared; make sure"
heaps "firmware in the second pool, by name" system default_cma_region linux,cma core0-dma@1c800000 \
	core0-memory@1c900000 video@20000000 secure-ram@1e000000
left_out() { # WHAT WHY SED
	run_case "a pool $1" firmware-pool-at-index-1 "$3" "rmem_heap.export=*"
	says "a pool $1" "^rmem_heap: video@20000000: coherent, .* not exported: \"\*\" leaves it out: $2; rmem_heap.export=video@20000000 exports it"
}
left_out "without a device" "no node refers to it" 's/^.codec {.*/codec { };/'
left_out "of a node without compatible" "/codec, which has no compatible, refers to it" \
	's/^.codec { compatible = [^;]*;/codec {/'
left_out "with a framebuffer in it" "the reg of /screen@20000000 lies in it" \
	's/^.codec/screen@20000000 { compatible = "x"; reg = <0 0x20000000 0 0x1000>; }; codec/'
left_out "at index 1 of another property" "/codec refers to it at index 1 of dsp-mem" \
	's/^.codec {\(.*\)memory-region = </codec {\1 dsp-mem = <\&core0_dma>, </'
run_case "an owned pool" firmware-pool-at-index-1 \
	's/video@20000000 { compatible = "shared-dma-pool"/&, "vendor,x"/' "rmem_heap.export=*"
heaps "an owned pool" system default_cma_region linux,cma core0-dma@1c800000

# A program that fills buffers of all heaps through all devices
boot "importer of 29 bits" 1G "$root/harness/cases/importer-of-29-bits.dts" "$dir/check.cpio" "-- -v"
for part in "high@28000000 0x28000000 0x2800ffff" "vram@30000000 0x30000000 0x300fffff" \
	"bank@34000000 0x34000000 0x3400ffff"; do
	read -r name from to <<<"$part"
	says "importer of 29 bits" "^rmem-heap-consumer (blitter|scaler): cannot import a buffer of $name: it is at $from to $to, the device reaches DMA addresses up to 0x1fffffff"
done
says_nothing "importer of 29 bits" 'cannot import a buffer of (low|across)@'
# A device that copies everything through a pool of its own: the CPU cannot read vram
sed 's/vram@30000000 {/guest@38000000 { compatible = "restricted-dma-pool"; reg = <0 0x38000000 0 0x400000>; };\n\t\t&/
	s/linux,dma-bits = <29>; memory-region = <&{.reserved-memory.vram@30000000}>/memory-region = <\&{\/reserved-memory\/guest@38000000}>/' \
	"$root/harness/cases/importer-of-29-bits.dts" >"$dir/importer with a pool.dts"
boot "importer with a pool" 1G "$dir/importer with a pool.dts" "$dir/check.cpio" "-- -v"
says "importer with a pool" "^rmem-heap-consumer scaler: cannot import a buffer of vram@30000000: .*, and the CPU cannot copy it to the device's restricted pool"
# It does not reach the pool
sed 's/scaler {/& linux,dma-bits = <29>;/' "$dir/importer with a pool.dts" \
	>"$dir/importer and a pool beyond.dts"
boot "importer and a pool beyond" 1G "$dir/importer and a pool beyond.dts" "$dir/check.cpio" "-- -v -r bank@34000000"
says "importer and a pool beyond" "^rmem-heap-consumer scaler: cannot import a buffer of bank@34000000: .*, and the device does not reach its restricted pool"

run_case "owners of other kinds" owners-of-other-kinds "" ""
says "owners of other kinds" '^rmem_heap: modem@20000000: owned, .* not exported: /remoteproc \(disabled\) refers to it by memory-region; rmem_heap.export=modem@20000000 exports it all the same'
says "owners of other kinds" '^rmem_heap: decoder-boot@24000000: owned, .*: /vpu refers to it by boot-region'
says "owners of other kinds" '^rmem_heap: decoder-rpc@24400000: owned, .*: /vpu refers to it by rpc-region'
says "owners of other kinds" '^rmem_heap: sym@28000000: owned, .*: /carrier/sub refers to it by memory-regions'
heaps "owners of other kinds" system
run_case "owners, by name" owners-of-other-kinds "" \
	"rmem_heap.export=modem@20000000:decoder-boot@24000000"
heaps "owners, by name" system modem@20000000 decoder-boot@24000000
says "owners, by name" '^rmem_heap: modem@20000000: exporting it although .*: its memory is cleared; make sure'
says "owners, by name" '^rmem_heap: decoder-boot@24000000: exporting it although .*: its memory is not cleared; make sure'
run_case "owner of half a page" owners-of-other-kinds 's/reg = <0 0x24400000 0 0x100000>/reg = <0 0x24400000 0 0x80>/' \
	"rmem_heap.export=decoder-rpc@24400000"
says "owner of half a page" '^rmem_heap: decoder-rpc@24400000: owned, base 0x24400000, 128 bytes, not exported: /vpu refers to it by rpc-region; it cannot be exported: its base and size must be multiples'
run_case "an area that has an owner" owners-of-other-kinds \
	's/modem@20000000 {/& compatible = "shared-dma-pool", "vendor,modem"; reusable;/' ""
says "an area that has an owner" '^rmem_heap: modem@20000000: owned, .*: it belongs to the driver of vendor,modem'
heaps "an area that has an owner" system
run_case "an owned area among all" owners-of-other-kinds \
	's/modem@20000000 {/& compatible = "shared-dma-pool", "vendor,modem"; reusable;/' \
	"rmem_heap.export=*"
heaps "an owned area among all" system
run_case "an area that has an owner, by name" owners-of-other-kinds \
	's/modem@20000000 {/& compatible = "shared-dma-pool", "vendor,modem"; reusable;/' \
	"rmem_heap.export=modem@20000000"
heaps "an area that has an owner, by name" system modem@20000000
says "an area that has an owner, by name" '^rmem_heap: modem@20000000: exporting it although it belongs to the driver of vendor,modem: each buffer is cleared; make sure'
says_nothing "an area that has an owner, by name" 'the kernel may fault'
# Both name the area: the driver that is enabled gives it away
run_case "an area of another machine" owners-of-other-kinds \
	's/modem@20000000 {/& compatible = "shared-dma-pool"; reusable;/; s/compatible = "vendor,modem"; status = "disabled";/compatible = "x"; qcom,vmids = <22 37>;/' ""
says "an area of another machine" '^rmem_heap: modem@20000000: /remoteproc gives its memory to other virtual machines'
heaps "an area of another machine" system modem@20000000
run_case "an area of another machine, held back" owners-of-other-kinds \
	's/modem@20000000 {/& compatible = "shared-dma-pool"; reusable;/; s/compatible = "vendor,modem"; status = "disabled";/compatible = "x"; qcom,vmids = <22 37>;/' \
	"rmem_heap.export=!modem@20000000"
heaps "an area of another machine, held back" system
says_nothing "an area of another machine, held back" 'the kernel may fault'

echo "1..$n"
exit $((bad != 0))
