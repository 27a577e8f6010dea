# SPDX-License-Identifier: GPL-3.0-or-later
#
# links.gp - where does traffic meet? Time by link, dark is busy: bytes of what the link could have carried in that
# interval. Links of one kind stand together, named where their first one lies. Reads links_over_time.csv.
SUBTITLE = ARG2
load ARG1."/style.gp"
load ARG1."/timeline.gp"

F = "links_over_time.csv"
MOST = 8192
array names[MOST]; n = 0; busiest = 0
look(i, name, busy) = (i >= n && i < MOST ? (n = i + 1, names[i + 1] = name) : 0, busiest = busy > busiest ? busy : busiest, NaN)
set xrange [0:1]
set yrange [0:1]
set table $walk
plot NaN notitle, F using (look(column("link_index"), strcol("link"), column("busy_ratio"))):(0) notitle
unset table
kind(name) = name[strstrt(name, "/") + 1:]
last_part(name) = strstrt(name, "/") > 0 ? last_part(kind(name)) : name
busiest = busiest > 0 ? busiest : 1

eval headline("How busy each link was, over time")
unset grid
unset key
set border 15
set xrange [0:T(LAST_S)]
set yrange [n - 0.5:-0.5]
set xtics nomirror out
set ytics () scale 0 font ",10" noenhanced
if (n <= 20) {
    do for [i = 1:n] { set ytics add (names[i] i - 1) }
} else {
    before = ""; since = 0; room = n / 24.0
    do for [i = 1:n] {
        if (last_part(names[i]) ne before) {
            if (i == 1 || i - since > room) { set ytics add (names[i] i - 1); since = i }
            if (i > 1) { set arrow from graph 0, first i - 1.5 to graph 1, first i - 1.5 nohead linecolor rgb LIGHT linewidth 0.6 back }
        }
        before = last_part(names[i])
    }
}
set lmargin at screen 0.20
set rmargin at screen 0.88
set bmargin at screen 0.14
set tmargin at screen 0.86
set palette defined (0 "#F7FBFF", 0.02 "#DEEBF7", 0.25 "#9ECAE1", 0.5 "#4292C6", 0.75 "#2171B5", 1 "#08306B")
set cbrange [0:100 * busiest]
set cblabel "busy (%)"
set cbtics scale 0
set colorbox user origin screen 0.90, 0.14 size screen 0.02, 0.72

do for [format in FORMATS] {
    eval picture("links", format)
    plot F using (T(column("time_s") - 0.5 * column("interval_s"))):(column("link_index")):(T(0.5 * column("interval_s"))):(0.5):(100 * column("busy_ratio")) \
        with boxxyerror palette fillstyle solid 1 noborder notitle
    set output
}
