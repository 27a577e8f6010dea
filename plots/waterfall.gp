# SPDX-License-Identifier: GPL-3.0-or-later
#
# waterfall.gp - where does the time to first token go, by where the prefix was found? One bar per source, the
# farthest tier that served a block; stages in the order in which they happen, mean times, so that a bar ends
# at the mean TTFT. Reads stages.csv, where begin_ms and end_ms place each stage.
SUBTITLE = ARG2
load ARG1."/style.gp"

F = "stages.csv"
SOURCES = "gpu peer host redis disk none all"
PLACES = "GPU 'peer GPU' 'host memory' Redis disk"
STAGES = "hash wait probe queued wire decode deserialise copy compute"
LEGEND = "'hash and tokenise' 'wait for a slot' 'ask the tier' 'queued at the tier' 'wire or disk' 'decompress' 'deserialise' 'copy to GPU' 'prefill compute'"
COLOURS = LIGHT." ".GREY." ".YELLOW." ".ORANGE." ".VERMILLION." ".PURPLE." ".SKY." ".GREEN." ".BLUE

# Sources that occur get a row, from the top; totals go beside the bars.
array requests[7]
array ttft[7]
array generation[7]
array row[7]
do for [s = 1:7] { requests[s] = 0; ttft[s] = 0; generation[s] = 0; row[s] = NaN }
index_of(name, list) = sum [i = 1:words(list)] (word(list, i) eq name ? i : 0)
see(s, stage) = s == 0 ? 0 : stage eq "ttft" ? (requests[s] = column("requests"), ttft[s] = column("mean_ms")) : \
    stage eq "generation" ? generation[s] = column("mean_ms") : 0
set xrange [0:1]
set yrange [0:1]
set table $walk
plot NaN notitle, F using (see(index_of(strcol("source"), SOURCES), strcol("stage")), NaN):(0) notitle
unset table

n = 0; longest = 0
do for [s = 1:7] {
    if (requests[s] > 0) {
        n = n + 1
        row[s] = n
        longest = ttft[s] > longest ? ttft[s] : longest
    }
}
longest = longest > 0 ? longest : 1
unit = longest < 1 ? 1e3 : longest < 1000 ? 1 : 1e-3 # per ms
y(source) = n - row[index_of(source, SOURCES)]
stage_is(k) = strcol("stage") eq word(STAGES, k) && column("mean_ms") > 0

eval headline("Where the time to first token goes, by where the prefix was found")
set xrange [0:longest * unit * 1.32]
set yrange [(n < 5 ? n - 5 : 0) - 0.6:(n > 0 ? n : 1) - 0.4] # few bars stay slim
set xlabel sprintf("mean time since the planned arrival (%s)", unit == 1 ? "ms" : unit > 1 ? "us" : "s")
unset ytics
set border 1
set grid noytics
set lmargin at screen 0.155
set tmargin at screen 0.77
set key at screen 0.02, 0.875 left top Left reverse maxrows 2 samplen 1.2 spacing 1.15 width -1 font ",10"
do for [s = 1:7] {
    if (requests[s] > 0) {
        name = word(SOURCES, s)
        found = name eq "none" ? "nothing found" : name eq "all" ? "all requests" : word(PLACES, s)
        set label 100 + s found at screen 0.145, first n - row[s] + 0.12 right font ",12"
        set label 200 + s amount(requests[s]).(requests[s] == 1 ? " request" : " requests") at screen 0.145, first n - row[s] - 0.2 right font ",9" textcolor rgb DARK
        set label 300 + s "first token ".duration(ttft[s]) at ttft[s] * unit, first n - row[s] + 0.12 left offset 0.7, 0 font ",11"
        set label 400 + s "+ ".duration(generation[s])." generation" at ttft[s] * unit, first n - row[s] - 0.2 left offset 0.7, 0 font ",9" textcolor rgb DARK
    }
}
if (n == 0) { set label 20 "no request finished" at graph 0.5, 0.5 center textcolor rgb DARK }

do for [format in FORMATS] {
    eval picture("waterfall", format)
    plot for [k = 1:9] F using \
        (stage_is(k) ? 0.5 * unit * (column("begin_ms") + column("end_ms")) : NaN):(y(strcol("source"))): \
        (unit * column("begin_ms")):(unit * column("end_ms")):(y(strcol("source")) - 0.32):(y(strcol("source")) + 0.32) \
        with boxxyerror fillstyle solid 1.0 noborder linecolor rgb word(COLOURS, k) title word(LEGEND, k)
    set output
}
