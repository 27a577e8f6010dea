# SPDX-License-Identifier: GPL-3.0-or-later
#
# heat.gp - one metric over two numeric keys: a tile for each point, dark is more, the value written in it where there
# is room. Reads curves.csv; arguments as in curves.gp, but the last is the title of the other axis.
SUBTITLE = ARG2; NAME = ARG3; METRIC = ARG4; Y = ARG5; X = ARG6; OTHER = ARG8
load ARG1."/style.gp"

F = "curves.csv"
mine(dummy) = strcol("metric") eq METRIC
# Tiles lie evenly: the place of a value is its rank on its axis. 64 distinct values an axis at most are told apart.
MOST = 4096
array xs[MOST]; array ys[MOST]; array x_text[MOST]; array y_text[MOST]; nx = 0; ny = 0; low = 1e300; high = -1e300
rank_x(v) = nx == 0 ? 0 : (sum [i = 1:nx] (xs[i] < v && !same(xs[i], v)))
rank_y(v) = ny == 0 ? 0 : (sum [i = 1:ny] (ys[i] < v && !same(ys[i], v)))
same(a, b) = abs(a - b) <= 1e-9 * (abs(a) + abs(b))
known_x(v) = nx == 0 ? 0 : (sum [i = 1:nx] (same(xs[i], v)))
known_y(v) = ny == 0 ? 0 : (sum [i = 1:ny] (same(ys[i], v)))
set xrange [0:1]
set yrange [0:1]
set table $walk
plot NaN notitle, F using (mine(0) ? (x = column("x"), y = column("y"), v = column("value"), \
    known_x(x) == 0 && nx < MOST ? (nx = nx + 1, xs[nx] = x, x_text[nx] = strcol("x_text")) : 0, known_y(y) == 0 && ny < MOST ? (ny = ny + 1, ys[ny] = y, y_text[ny] = strcol("y_text")) : 0, \
    v == v ? (low = v < low ? v : low, high = v > high ? v : high) : 0, NaN) : NaN):(0) notitle
unset table
if (low > high) { low = 0; high = 1 }
if (low == high) { high = low + 1 }

eval headline(Y)
set palette defined (0 "#F7FBFF", 0.25 "#C6DBEF", 0.5 "#6BAED6", 0.75 "#2171B5", 1 "#08306B")
set cbrange [low:high]
set xrange [-0.5:nx - 0.5]
set yrange [-0.5:ny - 0.5]
set xlabel X noenhanced
set ylabel OTHER noenhanced
set xtics () scale 0 rotate by (nx > 8 ? -35 : 0) font ",10" noenhanced
set bmargin (nx > 8 ? 6 : 4)
set ytics () scale 0 font ",10" noenhanced
do for [i = 1:nx:(nx > 20 ? (nx + 12) / 13 : 1)] { set xtics add (x_text[i] rank_x(xs[i])) }
do for [i = 1:ny:(ny > 16 ? (ny + 12) / 13 : 1)] { set ytics add (y_text[i] rank_y(ys[i])) }
set lmargin 13
set rmargin 11
unset grid
unset key
set tmargin at screen 0.86
written(v) = v != v ? "" : abs(v) >= 99.95 ? sprintf("%.0f", v) : abs(v) >= 9.995 ? sprintf("%.1f", v) : sprintf("%.2f", v)
ROOM = nx <= 16 && ny <= 14
bright(v) = v - low > 0.55 * (high - low) ? 0xFFFFFF : 0x000000

do for [format in FORMATS] {
    eval picture(NAME, format)
    plot F using (mine(0) ? rank_x(column("x")) : NaN):(rank_y(column("y"))):(column("value")) \
            with image, \
        F using (mine(0) && ROOM ? rank_x(column("x")) : NaN):(rank_y(column("y"))):(written(column("value"))):(bright(column("value"))) \
            with labels font ",9" textcolor rgb variable
    set output
}
