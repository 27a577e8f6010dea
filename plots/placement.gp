# SPDX-License-Identifier: GPL-3.0-or-later
#
# placement.gp - where does a context lie? Position in the prompt by layer, coloured by the GPU that holds it: the
# longest chain that was whole at the end, as it lay. Reads placement.csv.
SUBTITLE = ARG2
load ARG1."/style.gp"

F = "placement.csv"
most_gpu = 0; most_layer = 0; step = 0; most_position = 0
look(p, l, g) = (most_gpu = g > most_gpu ? g : most_gpu, most_layer = l > most_layer ? l : most_layer, \
    step = (step == 0 && p > 0) ? p : step, most_position = p > most_position ? p : most_position, NaN)
set xrange [0:1]
set yrange [0:1]
set table $walk
plot NaN notitle, F using (look(column("position_tokens"), column("layer"), column("gpu"))):(0) notitle
unset table
if (step == 0) { step = 1 }

eval headline("Which GPU holds which layer of which part of the longest context")
unset grid
set border 15
set xlabel "position in the context (tokens)"
set ylabel "layer"
set xrange [0:most_position + step]
set yrange [-0.5:most_layer + 0.5]
set xtics nomirror out
set ytics nomirror out
set format x "%.0f"
set lmargin at screen 0.09
set rmargin at screen 0.88
set bmargin at screen 0.14
# Up to eight GPUs in the colours of all pictures, more on a scale.
if (most_gpu < 8) {
    set palette maxcolors 8 defined (0 BLUE, 1 ORANGE, 2 GREEN, 3 PURPLE, 4 SKY, 5 VERMILLION, 6 YELLOW, 7 BLACK)
    set cbrange [-0.5:7.5]
} else {
    set palette viridis
    set cbrange [-0.5:most_gpu + 0.5]
}
set cblabel "GPU"
tic_step = most_gpu < 16 ? 1 : 8
set cbtics tic_step scale 0
set colorbox user origin screen 0.90, 0.14 size screen 0.02, 0.64

do for [format in FORMATS] {
    eval picture("placement", format)
    plot F using (column("position_tokens") + step / 2.0):(column("layer")):(step / 2.0):(0.5):(column("gpu")) \
        with boxxyerror palette fillstyle solid 1 noborder notitle
    set output
}
