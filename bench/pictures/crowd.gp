# data: blocks headed by a name: processes, million messages a second
set terminal svg size 900, 480 font "sans-serif,13" background "white"
set title "Processes in pairs, each pair with a queue of its own, 64 bytes, two cores\n{/*0.7 ".machine."}"
set logscale x 2
set logscale y
set grid
set xrange [1.7:75]
set xlabel "processes"
set ylabel "million messages a second, all together"
set xtics (2, 4, 8, 16, 32, 64)
set key outside right
colours = "#1f6fb4 #d1495b #3a7d44 #e09f3e #6a4c93 #444444 #00a6a6 #b56576 #8d99ae #7f5539 #a7c957 #f28482"
stats data using 1 nooutput
plot for [i = 0 : STATS_blocks - 1] data index i using 1:2 with linespoints linewidth 2 linetype i + 1 pointtype i + 1 linecolor rgb word(colours, i % words(colours) + 1) title columnheader(1)
