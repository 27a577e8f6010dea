# SPDX-License-Identifier: GPL-3.0-or-later
#
# rollout.gp - what a roll-out of the model does to users. Above: the share of prompt tokens that is found, below: the
# time to the first token, by arrival; the same requests without a roll-out, with a cold one, and with the warm-up. The
# dashed line is the first step, the grey area the share of sessions that has moved. Reads rollout.csv.
SUBTITLE = ARG2
load ARG1."/style.gp"

F = "rollout.csv"
last = 0; switch = 0; most = 0; least = 1e9; warm = 0; worst_steady = 0; worst_cold = 0; worst_warm = 0
at_most(a, b) = b == b && b > a ? b : a
look(t, s, a, b, c, w) = (last = t, switch = s, most = at_most(most, a), most = at_most(most, b), most = at_most(most, c), \
    least = a == a && a > 0 && a < least ? a : least, least = b == b && b > 0 && b < least ? b : least, \
    warm = w == w ? 1 : warm, worst_steady = at_most(worst_steady, a), worst_cold = at_most(worst_cold, b), \
    worst_warm = at_most(worst_warm, c), NaN)
set xrange [0:1]
set yrange [0:1]
set table $walk
plot NaN notitle, F using (look(column("time_s"), column("switch_s"), column("steady_ttft_p95_ms"), column("cold_ttft_p95_ms"), \
    column("warm_ttft_p95_ms"), column("warm_requests"))):(0) notitle
unset table
timed = most > 0
MIN = last > 600 ? 60.0 : 1.0
mid(t, w) = (t - w / 2) / MIN

set lmargin at screen 0.12
set rmargin at screen 0.97
set xrange [0:last / MIN]
set xtics nomirror out
set arrow 1 from switch / MIN, graph 0 to switch / MIN, graph 1 nohead front linecolor rgb DARK linewidth 1.5 dashtype (4,4)

do for [format in FORMATS] {
    eval picture("rollout", format)
    set multiplot
    eval headline("A new model goes into service: hits and time to first token, by arrival")
    set tmargin at screen 0.80
    set bmargin at screen timed ? 0.50 : 0.14
    set key at screen 0.02, 0.875 left top Left reverse horizontal maxrows 1 samplen 2.2 width 0
    set ylabel "tokens found (%)"
    set yrange [0:100]
    set ytics 25
    set format x timed ? "" : "%.0f"
    set xlabel timed ? "" : MIN > 1 ? "arrival (min)" : "arrival (s)"
    set label 3 " first step" at switch / MIN, graph 0.06 left font ',10' textcolor rgb DARK front
    plot F using ((column("time_s") - column("interval_s")) / MIN):(100 * column("moved_ratio")) with fillsteps fillcolor rgb LIGHT fillstyle solid 0.45 noborder title "moved (%)", \
        F using (mid(column("time_s"), column("interval_s"))):(100 * column("steady_hit_rate")) with lines linewidth 2 linecolor rgb GREY title "no roll-out", \
        F using (mid(column("time_s"), column("interval_s"))):(100 * column("cold_hit_rate")) with lines linewidth 2 dashtype (7,3) linecolor rgb VERMILLION title "cold", \
        F using (mid(column("time_s"), column("interval_s"))):(warm ? 100 * column("warm_hit_rate") : NaN) with lines linewidth 2.5 linecolor rgb BLUE title (warm ? "with warm-up" : "")
    unset label 1
    unset label 2
    unset label 3
    if (timed) {
        set tmargin at screen 0.45
        set bmargin at screen 0.13
        unset key
        set ylabel "TTFT p95"
        set logscale y
        set yrange [least / 1.3:most * 1.3]
        set ytics autofreq
        set format y "%g"
        set ytics ("10 ms" 10, "30 ms" 30, "100 ms" 100, "300 ms" 300, "1 s" 1000, "3 s" 3000, "10 s" 10000, "30 s" 30000, "100 s" 100000, "1000 s" 1000000)
        set format x "%.0f"
        set xlabel MIN > 1 ? "arrival (min)" : "arrival (s)"
        plot F using (mid(column("time_s"), column("interval_s"))):(column("steady_ttft_p95_ms")) with lines linewidth 2 linecolor rgb GREY notitle, \
            F using (mid(column("time_s"), column("interval_s"))):(column("cold_ttft_p95_ms")) with lines linewidth 2 dashtype (7,3) linecolor rgb VERMILLION notitle, \
            F using (mid(column("time_s"), column("interval_s"))):(warm ? column("warm_ttft_p95_ms") : NaN) with lines linewidth 2.5 linecolor rgb BLUE notitle
        unset logscale y
        set format y "%g"
    }
    unset multiplot
    set output
}
