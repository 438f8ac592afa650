# data: name, p50, p99 in microseconds
set terminal svg size 900, 560 font "sans-serif,13" background "white"
set title "Round trip of 64 bytes, two cores\n{/*0.7 ".machine."}"
set style data histograms
set style histogram clustered gap 1
set style fill solid 0.8 border -1
set logscale y
set grid ytics
set ylabel "microseconds"
set xtics rotate by -45 nomirror
set key outside top center horizontal
plot data using 2:xtic(1) title "median" linecolor rgb "#1f6fb4", '' using 3 title "99 of 100 are below" linecolor rgb "#c9d8e8"
