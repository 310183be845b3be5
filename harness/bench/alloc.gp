# SPDX-License-Identifier: GPL-2.0
set terminal svg noenhanced size 720,440 font "sans,12" background "white"
set output dir.'/alloc.svg'
set title "Allocating a buffer, User-Mode Linux"
set xlabel "bytes"
set ylabel "ns, median"
set logscale xy
set key top left noenhanced
set grid
set logscale x 2
set xtics ("4 KiB" 4096, "16" 16384, "64" 65536, "256" 262144, "1 MiB" 1048576, "2" 2097152, "4" 4194304, "8" 8388608)
plot for [i=2:7] dir.'/alloc.dat' using 1:i with linespoints title columnheader(i)
