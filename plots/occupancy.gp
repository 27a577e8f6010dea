# SPDX-License-Identifier: GPL-3.0-or-later
#
# occupancy.gp - how full is each tier, and how long is the queue? Above: share of each tier's capacity in use (of a
# tier without bound only the final size is told). Below: requests waiting, loading and running. Reads timeline.csv.
SUBTITLE = ARG2
load ARG1."/style.gp"
load ARG1."/timeline.gp"

LEGEND = "GPU 'peer GPU' 'host memory' Redis disk"
array bounded[5]
array held[5]
do for [i = 1:5] { bounded[i] = 0; held[i] = 0 }
most = 1
known(i, v, b) = (v == v ? bounded[i] = 1 : 0, b == b ? held[i] = b : 0)
set table $walk
plot NaN notitle, F using (known(1, column("occupancy_ratio_gpu"), column("held_bytes_gpu")), \
    known(2, column("occupancy_ratio_peer"), column("held_bytes_peer")), known(3, column("occupancy_ratio_host"), column("held_bytes_host")), \
    known(4, column("occupancy_ratio_redis"), column("held_bytes_redis")), known(5, column("occupancy_ratio_disk"), column("held_bytes_disk")), \
    q = column("waiting") + column("loading") + column("running"), most = q > most ? q : most, NaN):(0) notitle
unset table
size(b) = b >= 2.0 ** 40 * 0.9995 ? digits(b / 2.0 ** 40)." TiB" : b >= 2.0 ** 30 * 0.9995 ? digits(b / 2.0 ** 30)." GiB" : digits(b / 2.0 ** 20)." MiB"

eval headline("How full the tiers are, and who waits")
unset key
set xlabel ""
set lmargin at screen 0.09
set rmargin at screen 0.97

do for [format in FORMATS] {
    eval picture("occupancy", format)
    set multiplot
    set label 1
    set tmargin at screen 0.80
    set bmargin at screen 0.46
    set key at screen 0.02, 0.875 left top Left reverse horizontal maxrows 1 samplen 2.5 width 0
    set yrange [0:105]
    set ytics 25
    set ylabel "in use (%)"
    set format x ""
    set xlabel ""
    plot NaN notitle, for [i = 1:5] F using (T(column("time_s"))):(100 * column("occupancy_ratio_".word(TIERS, i))) \
        with lines linestyle i \
        title (bounded[i] ? word(LEGEND, i).(held[i] > 0 ? " (".size(held[i]).")" : "") : held[i] > 0 ? word(LEGEND, i)." (no bound, ".size(held[i]).")" : "")
    unset label
    set tmargin at screen 0.36
    set bmargin at screen 0.13
    set key at screen 0.02, 0.43 left top Left reverse horizontal maxrows 1 samplen 2.5 width 0
    set yrange [0:most * 1.08]
    set ytics autofreq
    set ylabel "requests"
    set format x "%g"
    set xlabel sprintf("time (%s)", unit_s == 86400 ? "days" : unit_s == 3600 ? "hours" : unit_s == 60 ? "minutes" : "s")
    plot NaN notitle, F using (T(column("time_s"))):(column("running")) with steps linewidth 1.5 linecolor rgb BLUE title "running", \
        F using (T(column("time_s"))):(column("loading")) with steps linewidth 1.5 dashtype 4 linecolor rgb GREEN title "loading", \
        F using (T(column("time_s"))):(column("waiting")) with steps linewidth 1.5 dashtype (4,2) linecolor rgb VERMILLION title "waiting"
    unset multiplot
    set output
    eval headline("How full the tiers are, and who waits")
}
