# SPDX-License-Identifier: GPL-3.0-or-later
#
# plan.gp - what each configuration that a plan ran costs, against the figure of one objective: filled where it meets all
# objectives, open where it does not; the limit as a line; the cheapest that meets ringed and named, the runner-up ringed.
# Reads plan.csv; arguments: the picture's name, the column, the title of its axis, "unit limit", the objective as it was
# given, and the name of the cheapest.
SUBTITLE = ARG2; NAME = ARG3; COLUMN = ARG4; Y = ARG5; SETTINGS = ARG6; SLO = ARG7; BEST = ARG8
load ARG1."/style.gp"

F = "plan.csv"
BY = word(SETTINGS, 1) + 0; LIMIT = word(SETTINGS, 2) / BY
cost(dummy) = column("rent_usd_per_hour")
figure(dummy) = column(COLUMN) / BY
is(w) = strcol("verdict") eq w
meets(dummy) = is("cheapest") || is("runner-up") || is("meets")

least = 1e300; most = -1e300; low = LIMIT; high = LIMIT; best_x = NaN; best_y = NaN; seconds = 0
see(x, y) = y != y || x != x ? 0 : (least = x < least ? x : least, most = x > most ? x : most, low = y < low ? y : low, high = y > high ? y : high, 0)
set xrange [0:1]
set yrange [0:1]
set table $walk
plot NaN notitle, F using (see(cost(0), figure(0)), is("cheapest") ? (best_x = cost(0), best_y = figure(0)) : 0, \
    seconds = seconds + is("runner-up"), NaN):(0) notitle
unset table
if (least > most) { least = 0; most = 1 }
span = most > least ? most - least : (most > 0 ? most : 1)

eval headline(strlen(BEST) > 0 ? "What meets ".SLO.", and what it costs" : "Nothing that was run meets the objectives")
set label 1 noenhanced
set xlabel "USD per hour"
set ylabel Y noenhanced
set xrange [least - 0.06 * span:most + 0.06 * span]
top = high + 0.08 * (high > 0 ? high : 1)
set yrange [0:top]
set arrow 1 from graph 0, first LIMIT to graph 1, first LIMIT nohead back linecolor rgb BLACK linewidth 1 dashtype (6,4)
set label 4 SLO at graph 0.995, first LIMIT right offset 0, 0.6 font ",10" noenhanced textcolor rgb BLACK
if (best_x == best_x) {
    right = best_x > least + 0.6 * span
    if (right) { set label 5 "cheapest: ".BEST at best_x, best_y right offset -1.2, -1 font ",10" noenhanced front } \
    else { set label 5 "cheapest: ".BEST at best_x, best_y left offset 1.2, -1 font ",10" noenhanced front }
}
set key at screen 0.02, 0.875 left top Left reverse horizontal samplen 1 width 1 font ",10"
do for [format in FORMATS] {
    eval picture(NAME, format)
    plot F using (meets(0) ? NaN : cost(0)):(figure(0)) with points pointtype 6 pointsize 0.9 linewidth 1.5 linecolor rgb VERMILLION title "misses an objective", \
        F using (meets(0) ? cost(0) : NaN):(figure(0)) with points pointtype 7 pointsize 0.9 linecolor rgb BLUE title "meets all", \
        F using (is("cheapest") ? cost(0) : NaN):(figure(0)) with points pointtype 6 pointsize 2.2 linewidth 2 linecolor rgb BLACK title "cheapest", \
        F using (is("runner-up") ? cost(0) : NaN):(figure(0)) with points pointtype 6 pointsize 1.6 linewidth 1.5 linecolor rgb DARK title (seconds > 0 ? "runner-up" : "")
    set output
}
