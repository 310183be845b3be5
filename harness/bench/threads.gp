# SPDX-License-Identifier: GPL-2.0
load gp.'/common.gp'
set output dir.'/threads'.suffix
set title "Threads that allocate and free 64 KiB, arm64"
heaps = "carveout cma coherent cma_heap"
set xlabel "threads"
set ylabel "thousand buffers a second, median"
set xtics auto
unset logscale y
set xrange [0.9:9]
set yrange [0:*]
set key center right
plot for [i=1:words(heaps)] file("threads") \
	using 1:(column(median(i))/1e3):(column(median(i)+1)/1e3):(column(median(i)+2)/1e3) \
	with yerrorlines linetype type(word(heaps, i)) title word(heaps, i)
