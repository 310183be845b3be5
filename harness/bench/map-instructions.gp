# SPDX-License-Identifier: GPL-2.0
load gp.'/common.gp'
set output dir.'/map-instructions'.suffix
set title "Mapping a buffer and writing to every page, arm64"
set ylabel "instructions, median"
set format y "%.0s %c"
plot for [i=1:words(heaps)] file("map-instructions") \
	using 1:(column(median(i))):(column(median(i)+1)):(column(median(i)+2)) \
	with yerrorlines linetype type(word(heaps, i)) title word(heaps, i), \
	file("map-large") using 1:2:3:4 with yerrorlines linetype 1 dashtype 2 \
	title "carveout, entries of 2 MiB"
