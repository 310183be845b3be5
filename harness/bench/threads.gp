# SPDX-License-Identifier: GPL-2.0
set terminal svg noenhanced size 720,440 font "sans,12" background "white"
set output dir.'/threads.svg'
set title "Threads that allocate and free 64 KiB, arm64"
set xlabel "threads"
set ylabel "buffers a second, median"
set logscale x 2
set key center right noenhanced
set grid
set yrange [0:*]
plot for [i=2:5] dir.'/threads.dat' using 1:i with linespoints title columnheader(i)
