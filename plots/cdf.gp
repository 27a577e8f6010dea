# SPDX-License-Identifier: GPL-3.0-or-later
#
# cdf.gp - the body of ttft.gp and tpot.gp: the distribution of one metric, with the cache and without.
#
# In: METRIC (column name without _ms), WHAT (axis), NAME (picture). Reads distributions.csv.

F = "distributions.csv"
NOW = METRIC."_ms"
OFF = "baseline_".METRIC."_ms"
FLOOR = 0.001 # ms: a logarithmic axis has no zero
at_least(v) = v < FLOOR ? FLOOR : v

# Range and marks, gathered in one walk. mark[1..3]: p50, p95, p99 of this run; mark[4..6]: of the baseline.
array mark[6]
do for [i = 1:6] { mark[i] = NaN }
low = 1e300; high = -1e300; n_off = 0; n_now = 0
see(v) = (v != v ? 0 : (low = v < low ? v : low, high = v > high ? v : high, 1))
near(q, p) = abs(q - p) < 1e-6
keep(q, v, base) = (near(q, 0.50) ? mark[base + 1] = v : near(q, 0.95) ? mark[base + 2] = v : \
    near(q, 0.99) ? mark[base + 3] = v : 0)
set xrange [0:1]
set yrange [0:1]
set table $walk
plot NaN notitle, F using (q = column("quantile"), v = column(NOW), n_now = n_now + see(v), keep(q, v, 0), \
    w = column(OFF), n_off = n_off + see(w), keep(q, w, 3), NaN):(0) notitle
unset table

if (low > high) { low = 1; high = 10 }
xmin = round_down(at_least(low)); xmax = round_up(at_least(high))
if (xmax <= xmin * 1.01) { xmin = round_down(xmin * 0.5); xmax = next_step(xmax) }

eval headline(WHAT.(n_off > 0 ? ", cache on and off" : ""))
set logscale x
set xrange [xmin:xmax]
set yrange [0:100]
set ytics 20
set ylabel "requests at or below (%)"
set xlabel WHAT
unset xtics
set xtics () nomirror font ",11" textcolor rgb BLACK
wide = log10(xmax / xmin) > 3 ? 1 : 0 # then only powers of ten have a name
t = xmin
while (t <= xmax * 1.001) {
    named = !wide || step_of(t / 10 ** floor(log10(t) + 1e-9) + 1e-6) == 1
    set xtics add ((named ? tick(t) : "") t)
    t = next_step(t)
}
if (log10(xmax / xmin) < 0.8) { # too few of them: every multiple of the power of ten
    power = 10 ** floor(log10(xmin) + 1e-9)
    do for [m = 1:9] {
        do for [up = 0:1] {
            t = m * power * 10 ** up
            if (t >= xmin * 0.999 && t <= xmax * 1.001) { set xtics add (tick(t) t) }
        }
    }
}
do for [i = 1:3] {
    p = word("50 95 99", i) + 0
    set arrow i from graph 0, first p to graph 1, first p nohead linecolor rgb GREY linewidth 0.7 dashtype 3 back
    set label 10 + i sprintf("p%d", p) at graph 1.005, first (i == 2 ? p - 1.5 : i == 3 ? p + 1.5 : p) left font ",10" textcolor rgb DARK
}
set rmargin 6
set key at screen 0.02, 0.875 left top Left reverse vertical samplen 3 spacing 1.15 width 2
list(base) = "p50 ".duration(mark[base + 1]).",  p95 ".duration(mark[base + 2]).",  p99 ".duration(mark[base + 3])
if (n_now == 0) { set label 20 "no request finished" at graph 0.5, 0.5 center textcolor rgb DARK }

do for [format in FORMATS] {
    eval picture(NAME, format)
    plot F using (at_least(column(NOW))):(100 * column("quantile")) with lines linewidth 2.5 linecolor rgb BLUE \
            title (n_now > 0 ? "cache on:   ".list(0) : ""), \
         F using (at_least(column(OFF))):(100 * column("quantile")) with lines linewidth 2 dashtype (9,4) linecolor rgb VERMILLION \
            title (n_off > 0 ? "cache off:  ".list(3) : ""), \
         for [i = 1:3] mark using (mark[i] == mark[i] && $1 == i ? at_least(mark[i]) : NaN):(word("50 95 99", i) + 0) \
            with points pointtype 7 pointsize 0.9 linecolor rgb BLUE notitle, \
         for [i = 1:3] mark using (mark[i + 3] == mark[i + 3] && $1 == i ? at_least(mark[i + 3]) : NaN):(word("50 95 99", i) + 0) \
            with points pointtype 5 pointsize 0.8 linecolor rgb VERMILLION notitle
    set output
}
