# SPDX-License-Identifier: GPL-2.0
load gp.'/common.gp'
set output dir.'/map'.suffix
set title "Mapping a buffer and writing to every page, User-Mode Linux"
set ylabel "time, median"
set format y "%.0s %cs"
plot for [i=1:words(heaps)] file("map") \
	using 1:(column(median(i))/1e9):(column(median(i)+1)/1e9):(column(median(i)+2)/1e9) \
	with yerrorlines linetype type(word(heaps, i)) title word(heaps, i)
