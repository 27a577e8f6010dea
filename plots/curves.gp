# SPDX-License-Identifier: GPL-3.0-or-later
#
# curves.gp - one metric against one numeric key; a curve for each choice of the other keys' values, with its 95 % band
# where there is one. Reads curves.csv; what is drawn is decided by the program (cli/curves.c), which gives as arguments
# the picture's name, the metric, the titles of the axes, "series log points reference", and what the band is.
SUBTITLE = ARG2; NAME = ARG3; METRIC = ARG4; Y = ARG5; X = ARG6; SETTINGS = ARG7; BAND = ARG8
load ARG1."/style.gp"

F = "curves.csv"
N = word(SETTINGS, 1) + 0; LOG = word(SETTINGS, 2) + 0; POINTS = word(SETTINGS, 3) + 0
mine(s) = strcol("metric") eq METRIC && column("series") == s
array name[N]
array x_at[POINTS]
array x_text[POINTS]
do for [i = 1:N] { name[i] = "" }
named = 0
low = 1e300; high = -1e300; least = 1e300; most = -1e300; bands = 0
see(v) = (v != v ? 0 : (low = v < low ? v : low, high = v > high ? v : high, 0))
set xrange [0:1]
set yrange [0:1]
set table $walk
plot NaN notitle, F using (strcol("metric") eq METRIC ? (name[int(column("series")) + 1] = strcol("series_name"), \
    x = column("x"), column("series") == 0 ? (named = named + 1, x_at[named] = x, x_text[named] = strcol("x_text")) : 0, least = x < least ? x : least, most = x > most ? x : most, see(column("value")), see(column("low")), \
    see(column("high")), w = column("low"), bands = bands + (w == w), NaN) : NaN):(0) notitle
unset table
if (low > high) { low = 0; high = 1 }

eval headline(Y.(N > 1 ? ", by ".X : " by ".X))
set xlabel X noenhanced
set ylabel Y noenhanced
if (LOG) {
    set logscale x
    set xrange [least / (most / least) ** 0.02:most * (most / least) ** 0.02]
} else {
    set xrange [least - 0.02 * (most - least):most + 0.02 * (most - least)]
}
# From zero where that wastes little; a small range high up keeps its own floor, and says so by its numbers.
floor_y = low > 0.55 * high ? low - 0.15 * (high - low) : 0
top_y = high > floor_y ? high + 0.06 * (high - floor_y) : floor_y + 1
set yrange [floor_y:top_y]
# Values are named as the user wrote them, as many as there is room for.
set xtics () rotate by (named > 8 ? -35 : 0) font ",10" noenhanced
every_nth = named > 20 ? (named + 12) / 13 : 1
do for [i = 1:named:every_nth] { set xtics add (x_text[i] x_at[i]) }
set bmargin (named > 8 ? 6 : 4)
# Three names stand beside each other; each row of more than two takes its height from the picture.
rows = N > 6 ? (N + 2) / 3 : 2
set tmargin at screen 0.78 - 0.036 * (rows - 2)
set key at screen 0.02, 0.875 left top Left reverse horizontal maxrows rows maxcols 3 samplen 2.5 width 1 spacing 1.1 noenhanced font ",10"
if (bands > 0 && strlen(BAND) > 0) { set label 3 "bands: ".BAND at screen 0.98, 0.905 right font ",10" textcolor rgb DARK noenhanced }
COLOURS = BLUE." ".VERMILLION." ".GREEN." ".PURPLE." ".ORANGE." ".SKY." ".BLACK." ".DARK
colour(i) = word(COLOURS, (i - 1) % 8 + 1)
mark(i) = word("7 5 9 11 13 4 6 8", (i - 1) % 8 + 1) + 0
dash(i) = (i - 1) / 8 + 1
do for [format in FORMATS] {
    eval picture(NAME, format)
    plot for [i = 1:N] F using (mine(i - 1) ? column("x") : NaN):(column("low")):(column("high")) with filledcurves \
            fillcolor rgb colour(i) fillstyle transparent solid 0.18 noborder notitle, \
        for [i = 1:N] F using (mine(i - 1) ? column("x") : NaN):(column("value")) with linespoints linewidth 2 \
            dashtype dash(i) pointtype mark(i) pointsize 0.7 linecolor rgb colour(i) title (N > 1 ? name[i] : "")
    set output
}
