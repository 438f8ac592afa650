# data: blocks headed by a name: size, bytes a nanosecond
set terminal svg size 900, 560 font "sans-serif,13" background "white"
set title "One way, two cores, every message checked\n{/*0.7 ".machine."}"
set logscale xy
set grid
set xlabel "bytes in a message"
set ylabel "gigabytes a second"
set xtics ("64" 64, "1 Ki" 1024, "8 Ki" 8192, "64 Ki" 65536, "1 Mi" 1048576)
set key outside right
colours = "#1f6fb4 #d1495b #3a7d44 #e09f3e #6a4c93 #444444 #00a6a6 #b56576 #8d99ae #7f5539 #a7c957 #f28482"
stats data using 1 nooutput
plot for [i = 0 : STATS_blocks - 1] data index i using 1:2 with linespoints linewidth 2 linetype i + 1 pointtype i + 1 linecolor rgb word(colours, i % words(colours) + 1) title columnheader(1)
