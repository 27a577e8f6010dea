# SPDX-License-Identifier: GPL-3.0-or-later
#
# validate.gp - is the simulation like the real world? Both cumulative distributions of every stage, a panel each.
#
# Reads validate-cdf.csv: row, name, verdict, quantile, real_ms, sim_ms. A panel's frame is red where a judged row
# is beyond tolerance, and grey where there were too few samples to judge.
SUBTITLE = ARG2
load ARG1."/style.gp"

F = "validate-cdf.csv"
FLOOR = 0.0005 # ms: a logarithmic axis has no zero
at_least(v) = v < FLOOR ? FLOOR : v

# Names, verdicts and ranges, gathered in one walk.
MOST = 64
array name[MOST]; array verdict[MOST]; array low[MOST]; array high[MOST]
do for [i = 1:MOST] { name[i] = ""; verdict[i] = ""; low[i] = 1e300; high[i] = -1e300 }
N = 0
see(i, v) = (v != v ? 0 : (low[i] = at_least(v) < low[i] ? at_least(v) : low[i], \
    high[i] = at_least(v) > high[i] ? at_least(v) : high[i], 0))
set xrange [0:1]
set yrange [0:1]
set table $walk
plot NaN notitle, F using (i = int(column("row")), N = i > N ? i : N, name[i] = strcol("name"), \
    verdict[i] = strcol("verdict"), see(i, column("real_ms")), see(i, column("sim_ms")), NaN):(0) notitle
unset table

COLUMNS = N > 9 ? 4 : N > 4 ? 3 : N > 1 ? 2 : 1
ROWS = N > 0 ? (N + COLUMNS - 1) / COLUMNS : 1
HEAD = 110; FOOT = 30
WIDTH = COLUMNS > 2 ? 1280 : 960
HEIGHT = HEAD + FOOT + ROWS * (COLUMNS > 2 ? 230 : 300)

# Place of panel i, in parts of the picture.
left(i) = ((i - 1) % COLUMNS + 0.16) / COLUMNS
right(i) = ((i - 1) % COLUMNS + 0.91) / COLUMNS
top(i) = 1 - (HEAD + (HEIGHT - HEAD - FOOT) * (int((i - 1) / COLUMNS) + 0.14) / ROWS) / HEIGHT
bottom(i) = 1 - (HEAD + (HEIGHT - HEAD - FOOT) * (int((i - 1) / COLUMNS) + 0.84) / ROWS) / HEIGHT

# An axis over [lo, hi]: logarithmic, named at 1, 2, 5, or powers of ten when it is long.
from(i) = round_down(low[i] * 1.000001)
to(i) = round_up(high[i]) > from(i) * 1.01 ? round_up(high[i]) : next_step(from(i))

do for [format in FORMATS] {
    eval picture("validate", format)
    set multiplot
    # The headline, and the key, in a plot of nothing.
    set label 1 "Real world and simulation: the same requests, stage by stage" at screen 0.02, 1 - 26.0 / HEIGHT left font ',15'
    set label 2 SUBTITLE at screen 0.02, 1 - 52.0 / HEIGHT left noenhanced font ',10' textcolor rgb DARK
    unset border; unset xtics; unset ytics; unset grid
    set lmargin at screen 0; set rmargin at screen 1; set tmargin at screen 1; set bmargin at screen 0
    set xrange [0:1]; set yrange [0:1]
    set key at screen 0.02, 1 - 66.0 / HEIGHT left top Left reverse horizontal samplen 3 width 2
    plot NaN with lines linewidth 2.5 linecolor rgb BLUE title "measured in the real world", \
        NaN with lines linewidth 2 dashtype (9,4) linecolor rgb VERMILLION title "simulated"
    unset label 1; unset label 2; unset key
    if (N == 0) {
        set label 3 "nothing was measured" at screen 0.5, 0.5 center textcolor rgb DARK
        plot NaN notitle
        unset label 3
    }
    do for [i = 1:N] {
        set lmargin at screen left(i); set rmargin at screen right(i)
        set tmargin at screen top(i); set bmargin at screen bottom(i)
        frame = verdict[i] eq "beyond" ? VERMILLION : verdict[i] eq "few" ? LIGHT : DARK
        set border 3 linecolor rgb frame linewidth (verdict[i] eq "beyond" ? 2 : 1)
        set grid xtics ytics linetype 1 linecolor rgb LIGHT linewidth 0.6 dashtype 1
        set label 4 name[i].(verdict[i] eq "within" ? "" : verdict[i] eq "few" ? "  (few samples)" : "  (beyond)") \
            at graph 0, 1.08 left noenhanced font ",11" textcolor rgb (verdict[i] eq "beyond" ? VERMILLION : BLACK)
        set logscale x
        set xrange [from(i):to(i)]
        set yrange [0:100]
        set ytics 0, 50, 100 nomirror font ",9" textcolor rgb BLACK
        unset xtics
        set xtics () nomirror font ",9" textcolor rgb BLACK
        span = log10(to(i) / from(i))
        t = from(i); k = 0
        while (t <= to(i) * 1.001) {
            power = step_of(t / 10 ** floor(log10(t) + 1e-9) + 1e-6) == 1
            named = span <= 1.1 || (span <= 5 && power) || (power && k % 2 == 0)
            k = k + (power ? 1 : 0)
            set xtics add ((named ? tick(t) : "") t)
            t = next_step(t)
        }
        plot F using (int(column("row")) == i ? at_least(column("real_ms")) : NaN):(100 * column("quantile")) \
                with lines linewidth 2.5 linecolor rgb BLUE, \
            F using (int(column("row")) == i ? at_least(column("sim_ms")) : NaN):(100 * column("quantile")) \
                with lines linewidth 2 dashtype (9,4) linecolor rgb VERMILLION
        unset logscale x
    }
    unset label 4
    unset multiplot
    set output
}
