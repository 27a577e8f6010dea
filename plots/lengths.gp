# SPDX-License-Identifier: GPL-3.0-or-later
#
# lengths.gp - what does a longer context cost? Above the time to first token, below the time per output token, by
# length: points are this run's (median of each length class, with whatever else the engine did); lines the closed form
# of a cached context read alone, one colour per policy, gathered (solid) and in place (dashed). Reads lengths.csv and
# shard_costs.csv.
SUBTITLE = ARG2
load ARG1."/style.gp"

POLICIES = "horizontal vertical hybrid head single"
# Some policies cost the same: a wide line shows behind a narrow one.
width_of(i) = word("2 6 2 2 2", i) + 0
colour_of(i) = word(BLUE." ".ORANGE." ".GREEN." ".BLACK." ".PURPLE, i)
C = "shard_costs.csv"
L = "lengths.csv"
is(p, a) = strcol("policy") eq p && strcol("access") eq a

set logscale xy
set xrange [900:1200000]
set lmargin at screen 0.10
set rmargin at screen 0.97
set format y "%g"
set xtics ("1K" 1024, "4K" 4096, "16K" 16384, "64K" 65536, "256K" 262144, "1M" 1048576)
unset key

do for [format in FORMATS] {
    eval picture("lengths", format)
    set multiplot
    eval headline("A cached context, by its length")
    set tmargin at screen 0.80
    set bmargin at screen 0.48
    set key at screen 0.02, 0.875 left top Left reverse horizontal maxrows 1 samplen 1.5 width -1
    set ylabel "first token (ms)"
    set xlabel ""
    set format x ""
    plot for [i = 1:5] C using (column("tokens")):(is(word(POLICIES, i), "gather") ? column("first_token_ms") : NaN) with lines linewidth width_of(i) linecolor rgb colour_of(i) title word(POLICIES, i), \
        for [i = 1:5] C using (column("tokens")):(is(word(POLICIES, i), "in_place") ? column("first_token_ms") : NaN) with lines linewidth width_of(i) dashtype (6,3) linecolor rgb colour_of(i) notitle, \
        L using (column("from_tokens") * 1.414):(column("ttft_p50_ms")) with points pointtype 7 pointsize 1.2 linecolor rgb VERMILLION title "this run"
    unset label
    set tmargin at screen 0.42
    set bmargin at screen 0.13
    unset key
    set ylabel "per token (ms)"
    set xlabel "context (tokens); solid: gathered, dashed: in place"
    set format x "%g"
    plot for [i = 1:5] C using (column("tokens")):(is(word(POLICIES, i), "gather") ? column("token_ms") : NaN) with lines linewidth width_of(i) linecolor rgb colour_of(i) notitle, \
        for [i = 1:5] C using (column("tokens")):(is(word(POLICIES, i), "in_place") ? column("token_ms") : NaN) with lines linewidth width_of(i) dashtype (6,3) linecolor rgb colour_of(i) notitle, \
        L using (column("from_tokens") * 1.414):(column("tpot_p50_ms")) with points pointtype 7 pointsize 1.2 linecolor rgb VERMILLION notitle
    unset multiplot
    set output
}
