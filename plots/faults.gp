# SPDX-License-Identifier: GPL-3.0-or-later
#
# faults.gp - what a fault does: above the share of prompt tokens found, below the time to first token, over the time at
# which requests arrive; shaded while something was broken, dotted before each began. Reads fault_timeline.csv and
# faults.csv.
SUBTITLE = ARG2
load ARG1."/style.gp"

F = "fault_timeline.csv"
E = "faults.csv"
LAST_S = 0
set xrange [0:1]
set yrange [0:1]
set table $walk
plot NaN notitle, F using (t = column("time_s"), LAST_S = t > LAST_S ? t : LAST_S, NaN):(0) notitle
unset table
LAST_S = LAST_S > 0 ? LAST_S : 1
unit_s = LAST_S > 2 * 86400 ? 86400.0 : LAST_S > 3 * 3600 ? 3600.0 : LAST_S > 300 ? 60.0 : 1.0
T(s) = s / unit_s

# The faults: from, until (the end where they outlast the run), what.
n = 0
array from[400]
array until[400]
array what[400]
set table $walk
plot NaN notitle, E using (n < 400 ? (n = n + 1, from[n] = column("from_s"), until[n] = column("until_s"), \
    what[n] = strcol("kind")." ".strcol("target")) : 0, NaN):(0) notitle
unset table
do for [i = 1:n] { u = until[i]; until[i] = u == u ? u : LAST_S }

# Rates of parts without requests are missing.
set xrange [0:T(LAST_S)]
set lmargin at screen 0.10
set rmargin at screen 0.97
set style fill solid 1 noborder
headline_text = n == 0 ? "Nothing broke" : n == 1 ? "Hit rate and time to first token: ".what[1] : sprintf("Hit rate and time to first token: %d faults, such as %s", n, what[1])

do for [format in FORMATS] {
    eval picture("faults", format)
    set multiplot
    eval headline(headline_text)
    do for [i = 1:n] {
        set object i rectangle from first T(from[i]), graph 0 to first T(until[i] > from[i] ? until[i] : from[i]), graph 1 \
            fillcolor rgb LIGHT fillstyle solid 0.6 noborder behind
        set arrow i from first T(from[i]), graph 0 to first T(from[i]), graph 1 nohead linecolor rgb DARK dashtype (2,2) back
    }
    if (n <= 6) {
        do for [i = 1:n] { set label 30 + i what[i] at first T(from[i]), graph 1.04 left font ',9' textcolor rgb DARK noenhanced }
    }
    set tmargin at screen 0.80
    set bmargin at screen 0.50
    set format x ""
    set xlabel ""
    set yrange [0:100]
    set ylabel "found (%)"
    unset key
    plot F using (T(column("time_s") - column("interval_s") / 2)):(100 * column("prefix_hit_rate")) with lines linestyle 1 notitle
    unset label 1
    unset label 2
    do for [i = 1:n] { unset label 30 + i }
    set tmargin at screen 0.44
    set bmargin at screen 0.13
    set format x "%g"
    set xlabel sprintf("arrival (%s)", unit_s == 86400 ? "days" : unit_s == 3600 ? "hours" : unit_s == 60 ? "minutes" : "s")
    set logscale y
    set yrange [*:*]
    set ylabel "first token (s)"
    set format y "%g"
    set key at screen 0.97, 0.485 right top horizontal maxrows 1 samplen 1.5 reverse Left
    plot F using (T(column("time_s") - column("interval_s") / 2)):(column("ttft_p50_ms") / 1e3) with lines linestyle 1 title "p50", \
        F using (T(column("time_s") - column("interval_s") / 2)):(column("ttft_p95_ms") / 1e3) with lines linestyle 4 title "p95"
    unset logscale y
    unset multiplot
    unset object
    unset arrow
    set output
}
