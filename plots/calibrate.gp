# SPDX-License-Identifier: GPL-3.0-or-later
#
# calibrate.gp - the body of the pictures of calibrate: measured points beside the fits' lines.
#
# In: NAME (picture), WHAT (headline), N series with is(i) (does this row belong to series i?) and title(i), and
# ALONE: 1 for a path by itself, drawn as the rate by the size of a piece; 0 for whole transfers, drawn as the time by all
# their bytes. Reads samples.csv.

F = "samples.csv"
path(p) = strcol("path") eq p
bytes(i) = ALONE ? column("piece_raw_b") : column("pieces") * column("piece_raw_b")
# A rate in GB/s out of a time, or the time in ms.
y_of(ns) = ALONE ? column("pieces") * column("piece_raw_b") / ns : ns / 1e6
colour(i) = word(BLUE." ".VERMILLION." ".GREEN." ".PURPLE." ".ORANGE." ".SKY." ".BLACK." ".DARK, i)
mark(i) = word("7 5 9 11 13 4 6 8", i) + 0

eval headline(WHAT)
set logscale x 2
set logscale y
set xlabel (ALONE ? "bytes of one piece" : "bytes of the whole transfer")
set ylabel (ALONE ? "GB/s" : "time (ms)")
set xtics ("4 KiB" 4096, "16 KiB" 16384, "64 KiB" 65536, "256 KiB" 262144, "1 MiB" 1048576, "4 MiB" 4194304, \
    "16 MiB" 16777216, "64 MiB" 67108864) nomirror
set ytics format "%g"
set grid xtics ytics
set tmargin at screen 0.7
set key at screen 0.02, 0.875 left top Left reverse horizontal maxcols 3 samplen 2 spacing 1.1 width 1 font ",10"
set bars small
if (ALONE) { set xrange [3000:6e6] } else { set xrange [1e5:6e7] }

do for [format in FORMATS] {
    eval picture(NAME, format)
    plot for [i = 1:N] F using (is(i) && ALONE ? bytes(i) : NaN):(y_of(column("p50_ns"))):(y_of(column("p90_ns"))):(y_of(column("p10_ns"))) \
            with yerrorbars pointtype mark(i) pointsize 0.8 linecolor rgb colour(i) linewidth 0.8 title (ALONE ? title(i) : ""), \
         for [i = 1:N] F using (is(i) && !ALONE ? bytes(i) : NaN):(y_of(column("observed_ns"))) \
            with points pointtype mark(i) pointsize 0.8 linecolor rgb colour(i) title (ALONE ? "" : title(i)), \
         for [i = 1:N] F using (is(i) ? bytes(i) : NaN):(y_of(column("predicted_ns"))) \
            with @LINES linecolor rgb colour(i) notitle
    set output
}
