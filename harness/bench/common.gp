# SPDX-License-Identifier: GPL-2.0
# What the plots share: a heap has one colour in all of them, and error bars from the 10th to
# the 90th percentile.
if (!exists("png")) set terminal svg noenhanced size 720,440 font "sans,12" background "white"
if (exists("png")) set terminal pngcairo noenhanced size 720,440 font "sans,12" background "white"
suffix = exists("png") ? ".png" : ".svg"
set grid
set bars 0.5
set linetype 1 linewidth 1.5 linecolor rgb "#d62728" pointtype 7 pointsize 0.6	# carveout
set linetype 2 linewidth 1.5 linecolor rgb "#1f77b4" pointtype 5 pointsize 0.6	# cma
set linetype 3 linewidth 1.5 linecolor rgb "#2ca02c" pointtype 9 pointsize 0.7	# coherent
set linetype 4 linewidth 1.5 linecolor rgb "#9467bd" pointtype 11 pointsize 0.7	# restricted
set linetype 5 linewidth 1.5 linecolor rgb "#ff7f0e" pointtype 4 pointsize 0.7	# cma_heap
set linetype 6 linewidth 1.5 linecolor rgb "#7f7f7f" pointtype 6 pointsize 0.7	# system
type(heap) = heap eq "carveout" ? 1 : heap eq "cma" ? 2 : heap eq "coherent" ? 3 : \
	heap eq "restricted" ? 4 : heap eq "cma_heap" ? 5 : 6
heaps = "carveout cma coherent restricted cma_heap system"
file(name) = dir.'/'.name.'.dat'
# The columns of the I-th heap are its median and both percentiles.
median(i) = 3 * i - 1
set xlabel "size of the buffer"
set logscale x 2
set logscale y
set xrange [3300:10500000]
set xtics ("4 KiB" 4096, "16 KiB" 16384, "64 KiB" 65536, "256 KiB" 262144, "1 MiB" 1048576, \
	"2" 2097152, "4" 4194304, "8 MiB" 8388608)
set key top left
