# SPDX-License-Identifier: GPL-3.0-or-later
#
# style.gp - what all pictures share. gnuplot 5.4.
#
# A script is run inside a results folder, with the folder of the scripts and a subtitle as arguments:
#
#     cd results/quickstart && gnuplot -c ../../plots/ttft.gp ../../plots "any subtitle"
#
# It reads the CSV files there and leaves <name>.svg and <name>.png. The look: white ground, thin grid,
# text large enough for half a page of print. Colours are those of Okabe and Ito (2008, "Color Universal
# Design"), which stay apart for colour-blind readers; lines differ in dash and points as well, and areas
# follow the order of their key, so that a copy in grey can be read too.

set encoding utf8
set datafile separator ","
set datafile missing NaN

# Okabe and Ito, and greys.
BLACK = "#000000"; ORANGE = "#E69F00"; SKY = "#56B4E9"; GREEN = "#009E73"; YELLOW = "#F0E442"
BLUE = "#0072B2"; VERMILLION = "#D55E00"; PURPLE = "#CC79A7"
DARK = "#555555"; GREY = "#A0A0A0"; LIGHT = "#D4D4D4"

# A tier has the same colour in every picture.
TIERS = "gpu peer host redis disk"
tier_colour(i) = word(BLUE." ".BLACK." ".GREEN." ".VERMILLION." ".PURPLE, i)

set style line 1 linecolor rgb BLUE linewidth 2 dashtype 1
set style line 2 linecolor rgb BLACK linewidth 2 dashtype (2,2)
set style line 3 linecolor rgb GREEN linewidth 2 dashtype (12,3)
set style line 4 linecolor rgb VERMILLION linewidth 2 dashtype (6,3)
set style line 5 linecolor rgb PURPLE linewidth 2 dashtype (9,3,2,3)

WIDTH = 960; HEIGHT = 540
picture(name, format) = format eq "svg" ? \
    sprintf("set terminal svg size %d,%d dynamic enhanced background rgb 'white' font 'DejaVu Sans,Helvetica,Arial,sans-serif' fontscale 1.15; set output '%s.svg'", WIDTH, HEIGHT, name) : \
    sprintf("set terminal pngcairo size %d,%d enhanced background rgb 'white' font 'DejaVu Sans,13' fontscale 2.0 linewidth 2 pointscale 2; set output '%s.png'", 2 * WIDTH, 2 * HEIGHT, name)
FORMATS = "svg png"

set border 3 linecolor rgb DARK linewidth 1
set tics nomirror scale 0.6 textcolor rgb BLACK font ',11'
set grid xtics ytics linetype 1 linecolor rgb LIGHT linewidth 0.6 dashtype 1
set style fill solid 1.0 noborder
set key font ",11" textcolor rgb BLACK
set lmargin 10
set rmargin 4
set tmargin at screen 0.78
set bmargin 4

# A headline and a line below it, left, as in a paper. The script sets SUBTITLE (load hides its arguments).
headline(text) = "set label 1 \"".text."\" at screen 0.02, 0.955 left font ',15' front; set label 2 SUBTITLE at screen 0.02, 0.905 left noenhanced font ',10' textcolor rgb DARK front"

# 0.5 -> "500 us", 12 -> "12 ms", 2500 -> "2.50 s". Three significant digits.
digits(v) = v >= 99.95 ? sprintf("%.0f", v) : v >= 9.995 ? sprintf("%.1f", v) : sprintf("%.2f", v)
duration(ms) = ms != ms ? "-" : ms == 0 ? "0" : ms < 0.9995 ? digits(1e3 * ms)." us" : \
    ms < 999.5 ? digits(ms)." ms" : digits(ms / 1e3)." s"
# The same for round numbers on an axis.
tick(ms) = ms < 1 ? sprintf("%g us", 1e3 * ms) : ms < 1000 ? sprintf("%g ms", ms) : sprintf("%g s", ms / 1e3)
amount(n) = n >= 999.5e6 ? digits(n / 1e9)." G" : n >= 999.5e3 ? digits(n / 1e6)." M" : \
    n >= 999.5 ? digits(n / 1e3)." k" : sprintf("%.0f", n)

# 1, 2 or 5 times a power of ten, at or below and at or above v.
step_of(m) = m < 2 ? 1 : m < 5 ? 2 : 5
round_down(v) = step_of(v / 10 ** floor(log10(v) + 1e-9) + 1e-6) * 10 ** floor(log10(v) + 1e-9)
next_step(v) = v / 10 ** floor(log10(v) + 1e-9) < 1.5 ? 2 * v : v / 10 ** floor(log10(v) + 1e-9) < 3 ? 2.5 * v : 2 * v
round_up(v) = round_down(v) >= v * 0.999999 ? round_down(v) : next_step(round_down(v))
