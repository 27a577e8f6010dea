# SPDX-License-Identifier: GPL-3.0-or-later
#
# hitrate.gp - which share of prompt tokens is found, and in which tier, as time goes by? Stacked areas. Hits and
# prompts of the timeline's rows are summed over BINS equal parts of the run before they are divided: a mean of
# rates would weigh a quiet interval like a busy one. The line is the rate since the start. Reads timeline.csv.
SUBTITLE = ARG2
load ARG1."/style.gp"
load ARG1."/timeline.gp"

BINS = n_rows > 600 ? 80 : n_rows > 80 ? 60 : n_rows > 1 ? n_rows : 1
LEGEND = "GPU 'peer GPU' 'host memory' Redis disk"
array prompt[BINS]
array hits[5 * BINS]
array so_far[BINS]
array tier_sum[5]
do for [b = 1:BINS] { prompt[b] = 0; so_far[b] = NaN }
do for [b = 1:5 * BINS] { hits[b] = 0 }
do for [i = 1:5] { tier_sum[i] = 0 }
bin(s) = (b = int(ceil(s / LAST_S * BINS - 1e-9)), b < 1 ? 1 : b > BINS ? BINS : b)
add(b, i, v) = (v == v ? (hits[(i - 1) * BINS + b] = hits[(i - 1) * BINS + b] + v, tier_sum[i] = tier_sum[i] + v) : 0)
set table $walk
plot NaN notitle, F using (b0 = bin(column("time_s")), prompt[b0] = prompt[b0] + column("prompt_tokens"), \
    add(b0, 1, column("hit_tokens_gpu")), add(b0, 2, column("hit_tokens_peer")), add(b0, 3, column("hit_tokens_host")), \
    add(b0, 4, column("hit_tokens_redis")), add(b0, 5, column("hit_tokens_disk")), NaN):(0) notitle
unset table
p = 0.0; h = 0.0
do for [b = 1:BINS] {
    p = p + prompt[b]
    do for [i = 1:5] { h = h + hits[(i - 1) * BINS + b] }
    so_far[b] = p > 0 ? 100 * h / p : NaN
}

# Upper edge of tier i's area in bin b, %; 0 where nothing finished.
upto(b, i) = prompt[b] > 0 && i > 0 ? 100.0 * (sum [j = 1:i] hits[(j - 1) * BINS + b]) / prompt[b] : 0
array edges[2 * BINS]
# A step per bin: edge k = 0 .. 2 * BINS - 1 is the left or right end of bin k / 2 + 1.
b_of(k) = int(k) / 2 + 1
x_of(k) = T(LAST_S) * ((int(k) + 1) / 2) / BINS

eval headline(sprintf("Prompt tokens found in the cache, by tier%s", p > 0 ? sprintf(": %.1f %% in all", 100 * h / p) : ""))
set yrange [0:100]
set ylabel "share of prompt tokens (%)"
set grid front
set tics front
set key at screen 0.02, 0.875 left top Left reverse horizontal maxrows 1 samplen 1.4 width 1
if (p == 0) { set label 20 "no request finished" at graph 0.5, 0.5 center textcolor rgb DARK }

do for [format in FORMATS] {
    eval picture("hitrate", format)
    plot NaN notitle, \
        for [i = 1:5] edges using (x_of($1 - 1)):(upto(b_of($1 - 1), i - 1)):(upto(b_of($1 - 1), i)) \
            with filledcurves fillstyle solid 1 noborder linecolor rgb tier_colour(i) \
            title (tier_sum[i] > 0 ? word(LEGEND, i) : ""), \
        so_far using (T(LAST_S) * $1 / BINS):(so_far[int($1)]) with lines linewidth 2 dashtype (9,4) linecolor rgb BLACK \
            title (p > 0 ? "since the start" : "")
    set output
}
