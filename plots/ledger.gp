# SPDX-License-Identifier: GPL-3.0-or-later
#
# ledger.gp - what became of every prompt token? One stacked bar for the run and one for the baseline; hits in the
# colours of their tiers, computed tokens in greys and warm colours, classes in the order of the key. Reads
# ledger.csv, whose classes add up to the prompt.
SUBTITLE = ARG2
load ARG1."/style.gp"

F = "ledger.csv"
N = 14
COLOURS = BLUE." ".BLACK." ".GREEN." ".VERMILLION." ".PURPLE." ".LIGHT." ".ORANGE." ".YELLOW. \
    " #8B4513 #5B0F5B #7A7A00 #600000 ".SKY." ".GREY
LEGEND = "'hit: GPU' 'hit: peer GPU' 'hit: host memory' 'hit: Redis' 'hit: disk' 'computed: cold' 'computed: evicted' 'computed: expired' 'computed: load too late' 'computed: corrupt' 'computed: shard missing' 'computed: tier down' 'computed: cheaper than loading' 'computed: tail of prompt'"

array tokens[N]
array base[N]
do for [i = 1:N] { tokens[i] = 0; base[i] = 0 }
k = 0; with_base = 0
set xrange [0:1]
set yrange [0:1]
set table $walk
plot NaN notitle, F using (t = column("tokens"), b = column("baseline_tokens"), k = k + 1, \
    tokens[k] = t == t ? t : 0, base[k] = b == b ? (with_base = 1, b) : 0, NaN):(0) notitle
unset table
total = sum [i = 1:N] tokens[i]
total_base = sum [i = 1:N] base[i]
share(i) = total > 0 ? 100.0 * tokens[i] / total : 0
share_base(i) = total_base > 0 ? 100.0 * base[i] / total_base : 0
before(i) = i < 2 ? 0 : sum [j = 1:i - 1] share(j)
before_base(i) = i < 2 ? 0 : sum [j = 1:i - 1] share_base(j)
hits = sum [i = 1:5] share(i)

eval headline(sprintf("What became of %s prompt tokens: %.1f %% were found in the cache", amount(total), hits))
set xrange [0:100]
set yrange [0:1]
set xlabel "share of prompt tokens (%)"
set xtics 20
unset ytics
set border 1
set grid noytics
set lmargin at screen 0.12
set tmargin at screen 0.86
set bmargin at screen 0.50
top = with_base ? 0.55 : 0.20; bottom = with_base ? 0.95 : 0.80
set label 100 "cache on" at screen 0.11, first 0.5 * (top + bottom) right font ",12"
if (with_base) { set label 101 "cache off" at screen 0.11, first 0.25 right font ",12" }
# A label in a part that is wide enough, a line in the key for every part that is there.
dark(i) = strstrt(" 1 2 3 4 10 11 12 9 ", sprintf(" %d ", i)) > 0
do for [i = 1:N] {
    if (share(i) > 0) { set object 200 + i rectangle from before(i), top to before(i) + share(i), bottom fillcolor rgb word(COLOURS, i) fillstyle solid 1 border rgb "white" }
    if (share_base(i) > 0) { set object 300 + i rectangle from before_base(i), 0.05 to before_base(i) + share_base(i), 0.45 fillcolor rgb word(COLOURS, i) fillstyle solid 1 border rgb "white" }
    if (share(i) >= 5) { set label 200 + i sprintf("%.1f %%", share(i)) at before(i) + share(i) / 2, 0.5 * (top + bottom) center font ",10" textcolor rgb (dark(i) ? "white" : BLACK) front }
    if (share_base(i) >= 5) { set label 300 + i sprintf("%.1f %%", share_base(i)) at before_base(i) + share_base(i) / 2, 0.25 center font ",10" textcolor rgb (dark(i) ? "white" : BLACK) front }
}
entries = 0
do for [i = 1:N] {
    if (tokens[i] > 0) {
        column_x = 0.05 + 0.47 * (entries % 2)
        row_y = 0.345 - 0.052 * (entries / 2)
        set object 400 + i rectangle from screen column_x, row_y - 0.013 to screen column_x + 0.022, row_y + 0.013 fillcolor rgb word(COLOURS, i) fillstyle solid 1 border rgb DARK
        set label 400 + i word(LEGEND, i) at screen column_x + 0.032, row_y left font ",11"
        set label 500 + i sprintf("%.1f %%", share(i)) at screen column_x + 0.345, row_y right font ",11"
        set label 600 + i amount(tokens[i]) at screen column_x + 0.43, row_y right font ",11" textcolor rgb DARK
        entries = entries + 1
    }
}
if (total == 0) { set label 20 "no request finished" at graph 0.5, 0.5 center textcolor rgb DARK }

do for [format in FORMATS] {
    eval picture("ledger", format)
    plot NaN notitle
    set output
}
