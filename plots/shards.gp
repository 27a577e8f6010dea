# SPDX-License-Identifier: GPL-3.0-or-later
#
# shards.gp - is the work even? Above: bytes each GPU holds, and were stored and read there, as a share of the mean of
# all: 1 is even. Below: how busy its links to the other GPUs were. Reads shards.csv; GPUs of all engines in a row.
SUBTITLE = ARG2
load ARG1."/style.gp"

F = "shards.csv"
n = 0; held = 0; stored = 0; readb = 0; busiest = 0; most = 1; most_held = 0; most_stored = 0; most_read = 0
look(h, s, r, o, i) = (n = n + 1, held = held + h, stored = stored + s, readb = readb + r, \
    most_held = h > most_held ? h : most_held, most_stored = s > most_stored ? s : most_stored, \
    most_read = r > most_read ? r : most_read, busiest = o > busiest ? o : busiest, busiest = i > busiest ? i : busiest, NaN)
set xrange [0:1]
set yrange [0:1]
set table $walk
plot NaN notitle, F using (look(column("shards_bytes"), column("stored_bytes"), column("read_bytes"), \
    column("out_busy_ratio"), column("in_busy_ratio"))):(0) notitle
unset table
of_mean(v, sum) = sum > 0 ? v * n / sum : NaN
worst = 1
do for [v in sprintf("%g %g %g", of_mean(most_held, held), of_mean(most_stored, stored), of_mean(most_read, readb))] { worst = (v + 0) > worst ? v + 0 : worst }

set lmargin at screen 0.11
set rmargin at screen 0.97
set xrange [-0.6:n - 0.4]
tic_step = n > 16 ? 8 : 1
set xtics nomirror out tic_step
unset key

do for [format in FORMATS] {
    eval picture("shards", format)
    set multiplot
    eval headline("How evenly the GPUs hold and serve the KV")
    set tmargin at screen 0.80
    set bmargin at screen 0.44
    set key at screen 0.02, 0.875 left top Left reverse horizontal maxrows 1 samplen 1.5 width 0
    set ylabel "of the mean"
    set yrange [0:worst * 1.1]
    set ytics autofreq
    set format x ""
    set xlabel ""
    plot F using ($0 - 0.27):(of_mean(column("shards_bytes"), held)):(0.25) with boxes fillcolor rgb BLUE title "held at the end", \
        F using ($0):(of_mean(column("stored_bytes"), stored)):(0.25) with boxes fillcolor rgb ORANGE title "stored", \
        F using ($0 + 0.27):(of_mean(column("read_bytes"), readb)):(0.25) with boxes fillcolor rgb GREEN title "read"
    unset label
    set tmargin at screen 0.34
    set bmargin at screen 0.13
    set key at screen 0.02, 0.42 left top Left reverse horizontal maxrows 1 samplen 1.5 width 0
    set ylabel "busy (%)"
    set yrange [0:busiest > 0 ? 110 * busiest : 1]
    set format x "%.0f"
    set xlabel "GPU"
    plot F using ($0 - 0.2):(100 * column("out_busy_ratio")):(0.36) with boxes fillcolor rgb SKY title "link to other GPUs", \
        F using ($0 + 0.2):(100 * column("in_busy_ratio")):(0.36) with boxes fillcolor rgb VERMILLION title "link from other GPUs"
    unset multiplot
    set output
}
