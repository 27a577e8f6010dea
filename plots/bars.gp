# SPDX-License-Identifier: GPL-3.0-or-later
#
# bars.gp - one metric, a bar for each variant, best read from the top; a dashed line at the variant that the others
# are compared with, and whiskers where the difference to it has an interval: a whisker that crosses the line is noise.
# Reads curves.csv; arguments as in curves.gp.
SUBTITLE = ARG2; NAME = ARG3; METRIC = ARG4; Y = ARG5; SETTINGS = ARG7; BAND = ARG8
load ARG1."/style.gp"

F = "curves.csv"
POINTS = word(SETTINGS, 3) + 0; REFERENCE = word(SETTINGS, 4) + 0
mine(dummy) = strcol("metric") eq METRIC
array name[POINTS]
high = 0; at = NaN; widest = 0; whiskers = 0
see(v) = (v != v ? 0 : (high = v > high ? v : high, 0))
set xrange [0:1]
set yrange [0:1]
set table $walk
plot NaN notitle, F using (mine(0) ? (p = column("point"), v = column("value"), see(v), see(column("high")), \
    w = column("low"), whiskers = whiskers + (w == w), at = p == REFERENCE ? v : at, \
    name[int(p) + 1] = strcol("point_name"), n = strlen(name[int(p) + 1]), widest = n > widest ? n : widest, NaN) : NaN):(0) notitle
unset table
high = high > 0 ? high : 1

eval headline(Y)
HEIGHT = POINTS > 14 ? 180 + 26 * POINTS : 540
set xrange [0:1.12 * high]
set yrange [POINTS - 0.4:-0.6]
set xlabel Y noenhanced
FONT = POINTS > 20 ? ",9" : ",11"
set ytics () scale 0 font FONT noenhanced
do for [i = 1:POINTS] { set ytics add (name[i] i - 1) }
set grid noytics
set border 1
set lmargin at screen (0.04 + 0.0095 * widest > 0.5 ? 0.5 : 0.04 + 0.0095 * widest)
set tmargin at screen 1 - 0.16 * 540.0 / HEIGHT
set bmargin at screen 0.13 * 540.0 / HEIGHT
set label 1 at screen 0.02, 1 - 0.045 * 540.0 / HEIGHT
set label 2 at screen 0.02, 1 - 0.095 * 540.0 / HEIGHT
unset key
if (at == at) {
    set arrow 1 from at, graph 0 to at, graph 1 nohead front linecolor rgb BLACK linewidth 1 dashtype (6,4)
}
if (whiskers > 0) { set label 3 "whiskers: ".BAND at screen 0.98, 1 - 0.095 * 540.0 / HEIGHT right font ",10" textcolor rgb DARK noenhanced }
written(v) = v != v ? "not run" : v >= 99.95 ? sprintf("%.0f", v) : v >= 9.995 ? sprintf("%.1f", v) : sprintf("%.2f", v)
upper(v, h) = h == h ? h : v == v ? v : 0

do for [format in FORMATS] {
    eval picture(NAME, format)
    plot F using (0):(mine(0) ? column("point") : NaN):(0):(column("value")):(column("point") - 0.36):(column("point") + 0.36) \
            with boxxyerror fillstyle solid 0.85 noborder linecolor rgb BLUE, \
        F using (mine(0) && column("point") == REFERENCE ? 0 : NaN):(column("point")):(0):(column("value")):(column("point") - 0.36):(column("point") + 0.36) \
            with boxxyerror fillstyle solid 1 noborder linecolor rgb DARK, \
        F using (mine(0) ? column("value") : NaN):(column("point")):(column("low")):(column("high")) \
            with xerrorbars pointtype -1 linecolor rgb BLACK linewidth 1.2, \
        F using (mine(0) ? upper(column("value"), column("high")) + 0.008 * high : NaN):(column("point")):(written(column("value"))) \
            with labels left font ",10"
    set output
}
