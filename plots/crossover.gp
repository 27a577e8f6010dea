# SPDX-License-Identifier: GPL-3.0-or-later
#
# crossover.gp - load or compute? Time over prefix length on an idle cluster: computing in black, and for each tier a
# line with the scenario's codec (thick) and with some codecs of the catalogue (thin). Where a line falls below the
# black one, loading is faster. Reads crossover.csv.
SUBTITLE = ARG2
load ARG1."/style.gp"

F = "crossover.csv"
OTHERS = "none zlib-3 planes-zstd-1 int8"
tier_index(name) = sum [i = 1:words(TIERS)] (word(TIERS, i) eq name ? i : 0)
array seen[5]
array codec[5]
array cross[5]
do for [i = 1:5] { seen[i] = 0; codec[i] = ""; cross[i] = NaN }
rows = 0; longest = 64; low = 1e9; high = 1e-9; t = 0; own = 0
note(i) = own ? (seen[i] = 1, codec[i] = strcol("codec"), cross[i] = column("crossover_tokens")) : 0
look(i) = i == 0 || column("tokens") != column("tokens") ? 0 : (own = column("own") == 1, note(i), rows = rows + 1, longest = column("tokens") > longest ? column("tokens") : longest, \
    low = own && column("load_ms") < low ? column("load_ms") : low, low = column("compute_ms") < low ? column("compute_ms") : low, \
    high = own && column("load_ms") > high ? column("load_ms") : high, high = column("compute_ms") > high ? column("compute_ms") : high)
set xrange [0:1]
set yrange [0:1]
set table $walk
plot NaN notitle, F using (look(tier_index(strcol("tier"))), NaN):(0) notitle
unset table

sentence = ""
do for [i = 3:5] {
    if (seen[i]) { sentence = sentence.(sentence eq "" ? "" : ", ").word(TIERS, i).(cross[i] == cross[i] ? sprintf(" from %.0f tokens", cross[i]) : " never") }
}
eval headline("Load or compute".(sentence eq "" ? "" : ": loading is faster for ").sentence)
if (rows == 0) { low = 1.0; high = 1000.0; longest = 65536 }
set logscale xy
set xrange [64:longest]
set yrange [low / 2:high * 2]
set xlabel "tokens of prefix"
set ylabel "time, idle cluster"
set xtics ("64" 64, "256" 256, "1 Ki" 1024, "4 Ki" 4096, "16 Ki" 16384, "64 Ki" 65536, "256 Ki" 262144, "1 Mi" 1048576)
set ytics ("10 us" 0.01, "100 us" 0.1, "1 ms" 1, "10 ms" 10, "100 ms" 100, "1 s" 1000, "10 s" 1e4, "100 s" 1e5)
set key at graph 0.02, 0.98 left top Left reverse samplen 2.5 spacing 1.15
set tmargin at screen 0.86
set bmargin at screen 0.14
if (rows == 0) { set label 20 "no tier below the GPU" at graph 0.5, 0.5 center textcolor rgb DARK }
title_of(i) = seen[i] ? sprintf("%s, codec %s", word(TIERS, i), codec[i]) : ""
first = seen[3] ? "host" : seen[4] ? "redis" : "disk"

do for [format in FORMATS] {
    eval picture("crossover", format)
    if (rows == 0) { plot 30 notitle with dots; set output; continue }
    plot NaN notitle, \
        for [i = 3:5] for [c in OTHERS] F using (strcol("tier") eq word(TIERS, i) && column("own") == 0 && strcol("codec") eq c ? column("tokens") : NaN):"load_ms" \
            with lines linewidth 0.7 dashtype 3 linecolor rgb tier_colour(i) notitle, \
        for [i = 3:5] F using (strcol("tier") eq word(TIERS, i) && column("own") == 1 ? column("tokens") : NaN):"load_ms" \
            with linespoints linestyle i pointtype 2 * i + 1 pointsize 0.7 title title_of(i), \
        F using (strcol("tier") eq first && column("own") == 1 ? column("tokens") : NaN):"compute_ms" \
            with lines linewidth 2.5 linecolor rgb BLACK title (rows > 0 ? "computing" : ""), \
        NaN with lines linewidth 0.7 dashtype 3 linecolor rgb BLACK title "thin: with other codecs"
    set output
}
