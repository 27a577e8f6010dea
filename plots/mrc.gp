# SPDX-License-Identifier: GPL-3.0-or-later
#
# mrc.gp - how large a cache has to be: share of prompt tokens found, by capacity. LRU as a line, counted as a prefix
# cache counts (ends of prompts leaving first, and heads) and flat; other policies as marks where they were
# simulated. A band is twice the standard error of an estimate. Grey ground: the longest prompt does not fit.
# The upper axis is memory, for a model, with USD per hour where there is a price. Reads mrc.csv, mrc-policies.csv where
# it is, and the price in summary.json.
SUBTITLE = ARG2
load ARG1."/style.gp"

F = "mrc.csv"
POLICIES = "mrc-policies.csv"
with_policies = system("test -f ".POLICIES." && echo 1 || echo 0") + 0

# The price of a unit, and how large one is; 0 without.
of_price(key) = ("0".system('sed -n "s/^    \"'.key.'\": \([^,]*\),$/\1/p" summary.json')) + 0
unit_usd = of_price("unit_usd_per_hour")
unit_gib = of_price("unit_gib")
whole = system('grep -c "^    \"whole_nodes\": true" summary.json') + 0
usd(g) = unit_usd * (whole ? ceil(g / unit_gib) : g / unit_gib)

# Ranges, gathered in one walk.
top = 0.0; last = 1.0; too_short = 0.0; per_block = NaN; wide = 0.0; end_rate = 0.0; apart = 0.0
see(c, v) = v != v || c != c ? 0 : (top = v > top ? v : top, last = c > last ? c : last, 0)
set xrange [0:1]
set yrange [0:1]
set table $walk
plot NaN notitle, F using (c = column("capacity_blocks"), see(c, column("leaf_token_hit_rate")), \
    see(c, column("flat_token_hit_rate")), \
    too_short = column("refused_prompts") > 0 && c > too_short ? c : too_short, \
    g = column("capacity_gib"), per_block = g == g && g > 0 ? g / c : per_block, \
    e = column("leaf_token_hit_rate_error"), wide = e > wide ? e : wide, \
    end_rate = column("leaf_token_hit_rate"), NaN):(0) notitle
unset table

# Names of the policies, in the order of the file.
NAMES = "" # lru is the line itself
has(list, name) = strstrt(" ".list." ", " ".name." ") > 0
if (with_policies) {
    set table $walk
    plot NaN notitle, POLICIES using (n = strcol("policy"), NAMES = n eq "lru" || has(NAMES, n) ? NAMES : NAMES." ".n, \
        see(column("capacity_blocks"), column("prefix_token_hit_rate")), NaN):(0) notitle
    unset table
}
round_amount(n) = n >= 1e9 ? sprintf("%g G", n / 1e9) : n >= 1e6 ? sprintf("%g M", n / 1e6) : n >= 1e3 ? sprintf("%g k", n / 1e3) : sprintf("%g", n)
colour(i) = word("#D55E00 #009E73 #CC79A7 #E69F00 #56B4E9 #000000 #8C564B #7F7F00 #6A3D9A #A0A0A0 #B15928", 1 + (i - 1) % 11)
mark(i) = word("7 5 9 13 11 6 4 8 12 10 1", 1 + (i - 1) % 11) + 0

xmax = last > 1 ? last : 2
# Four decades, and no more of the grey ground than a quarter of the width.
xmin = round_down(xmax / 1e4 > 1 ? xmax / 1e4 : 1)
if (too_short > 0) {
    fair = 10 ** (log10(too_short) - (log10(xmax) - log10(too_short)) / 4)
    if (fair > xmin) { xmin = round_down(fair) }
}
if (xmin >= xmax) { xmin = xmax / 10 }

eval headline("Prompt tokens found, by size of the cache")
set logscale x
set xrange [xmin:xmax]
set yrange [0:top > 0 ? (top * 108 < 100 ? top * 108 : 100) : 100]
set ylabel "share of prompt tokens (%)"
set xlabel "capacity (blocks)"
unset xtics
set xtics () nomirror font ",11" textcolor rgb BLACK
long = log10(xmax / xmin) > 2.5
t = xmin
while (t <= xmax * 1.001) {
    named = !long || step_of(t / 10 ** floor(log10(t) + 1e-9) + 1e-6) == 1
    set xtics add ((named ? round_amount(t) : "") t)
    t = next_step(t)
}
if (per_block == per_block) {
    set logscale x2
    set x2range [xmin * per_block:xmax * per_block]
    set x2tics () nomirror font ",10" textcolor rgb DARK
    size(g) = g >= 1024 ? sprintf("%g TiB", g / 1024) : g >= 1 ? sprintf("%g GiB", g) : sprintf("%.3g MiB", g * 1024)
    do for [k = -20:40:2] {
        g = 2.0 ** k
        if (g >= xmin * per_block && g <= xmax * per_block) {
            set x2tics add ((unit_usd > 0 ? size(g).sprintf("\n%.3g USD/h", usd(g)) : size(g)) g)
        }
    }
    set border 7
}
if (unit_usd > 0) {
    set bmargin at screen 0.18
    set label 24 system('sed -n "s/^# usd_per_hour: //p; s/^# price from: //p" mrc.csv') at screen 0.02, 0.04 left noenhanced font ",8" textcolor rgb DARK front
}
if (too_short > xmin) {
    set object 1 rectangle from first xmin, graph 0 to first too_short, graph 1 behind fillcolor rgb "#F2F2F2" fillstyle solid noborder
    set label 21 "the longest prompt\ndoes not fit" at first too_short, graph 0.45 right offset -0.6, 0 font ",9" textcolor rgb DARK
}
set arrow 1 from graph 0, first 100 * end_rate to graph 1, first 100 * end_rate nohead linecolor rgb GREY linewidth 0.8 dashtype 3 back
set label 22 sprintf("all that there is to find: %.1f %%", 100 * end_rate) at graph 0.01, first 100 * end_rate left offset 0, -0.6 font ",9" textcolor rgb DARK
set key at screen 0.80, 0.815 left top Left reverse vertical samplen 2 spacing 1.1 width 0
set rmargin at screen 0.785
set tmargin at screen (unit_usd > 0 ? 0.765 : per_block == per_block ? 0.79 : 0.83)

do for [format in FORMATS] {
    eval picture("mrc", format)
    plot F using "capacity_blocks":(wide > 0 ? 100 * (column("leaf_token_hit_rate") - 2 * column("leaf_token_hit_rate_error")) : NaN):(100 * (column("leaf_token_hit_rate") + 2 * column("leaf_token_hit_rate_error"))) \
            with filledcurves fillstyle solid 1 noborder linecolor rgb "#CFE3F1" title (wide > 0 ? "±2 standard errors" : ""), \
         F using "capacity_blocks":(100 * column("flat_token_hit_rate")) with lines linewidth 2 dashtype (2,2) linecolor rgb GREY title "LRU, flat", \
         F using "capacity_blocks":(100 * column("head_token_hit_rate")) with lines linewidth 2 dashtype (9,4) linecolor rgb SKY title "LRU, heads first", \
         F using "capacity_blocks":(100 * column("leaf_token_hit_rate")) with lines linewidth 2.5 linecolor rgb BLUE title "LRU, ends first", \
         for [i = 1:words(NAMES)] POLICIES using "capacity_blocks":(strcol("policy") eq word(NAMES, i) ? 100 * column("prefix_token_hit_rate") : NaN) \
            with linespoints linewidth 1.2 pointtype mark(i) pointsize 0.7 linecolor rgb colour(i) title word(NAMES, i)
    set output
}
