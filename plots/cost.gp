# SPDX-License-Identifier: GPL-3.0-or-later
#
# cost.gp - where does the money go? One bar per part of the bill, each beginning where the one before ended, then
# their sum, and beside it what hits saved of GPU time at the GPUs' price. Reads cost.csv.
SUBTITLE = ARG2
load ARG1."/style.gp"

F = "cost.csv"
PARTS = "gpu redis host disk zones regions total saved_gpu_time"
LEGEND = "'GPUs' 'Redis nodes' 'host memory' 'disks' 'between zones' 'between regions' 'all together' 'GPU time saved'"
COLOURS = BLUE." ".VERMILLION." ".GREEN." ".PURPLE." ".ORANGE." ".YELLOW." ".DARK." ".SKY

index_of(name) = sum [i = 1:words(PARTS)] (word(PARTS, i) eq name ? i : 0)
array usd[8]
array begin[8]
array share[8]
array position[8]
do for [i = 1:8] { usd[i] = NaN; begin[i] = 0; share[i] = 0; position[i] = 0 }
see(i) = i == 0 ? 0 : (usd[i] = column("usd_per_hour"), begin[i] = column("begin_usd_per_hour"), share[i] = column("ratio"))
set xrange [0:1]
set yrange [0:1]
set table $walk
plot NaN notitle, F using (see(index_of(strcol("part"))), NaN):(0) notitle
unset table

n = 0; most = 0; total = usd[7] == usd[7] ? usd[7] : 0
do for [i = 1:8] {
    if (usd[i] == usd[i]) {
        n = n + 1
        position[i] = n
        most = usd[i] + begin[i] > most ? usd[i] + begin[i] : most
    }
}
most = most > 0 ? most : 1
money(v) = v >= 99.95 ? sprintf("%.0f", v) : v >= 0.095 || v == 0 ? sprintf("%.2f", v) : sprintf("%.2g", v)

eval headline(n > 0 ? sprintf("Where the money goes: %s USD per hour", money(total)) : "Where the money goes")
set xrange [0.4:(n > 0 ? n : 1) + 0.6]
set yrange [0:most * 1.18]
set ylabel "USD per hour"
unset xtics
set grid noxtics
set tmargin at screen 0.84
set bmargin at screen 0.14
unset key
do for [i = 1:8] {
    if (position[i] > 0) {
        set label 100 + i word(LEGEND, i) at first position[i], screen 0.10 center font ",11"
        set label 200 + i money(usd[i]).(i < 7 ? sprintf("  (%.0f %%)", 100 * share[i]) : "") at first position[i], first begin[i] + usd[i] center offset 0, 0.7 font ",11"
    }
}
if (n == 0) { set label 20 "nothing has a price here" at graph 0.5, 0.5 center textcolor rgb DARK }
do for [i = 1:5] {
    if (position[i] > 0 && position[i + 1] > 0) { set arrow 300 + i from first position[i] + 0.34, first begin[i + 1] to first position[i + 1] - 0.34, first begin[i + 1] nohead linecolor rgb GREY }
}

do for [format in FORMATS] {
    eval picture("cost", format)
    plot NaN notitle, for [k = 1:8] F using \
        (index_of(strcol("part")) == k ? position[k] : NaN):(begin[k]): \
        (position[k] - 0.34):(position[k] + 0.34):(begin[k]):(begin[k] + usd[k]) \
        with boxxyerror fillstyle solid 1.0 noborder linecolor rgb word(COLOURS, k) notitle
    set output
}
