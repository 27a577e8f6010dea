# SPDX-License-Identifier: GPL-3.0-or-later
#
# calibrate-transfers.gp - how long do whole loads and stores take, and what does the simulator's formula say with the fitted values?
SUBTITLE = ARG2
load ARG1."/style.gp"
NAME = "calibrate-transfers"; WHAT = "Loads and stores: measured (marks) and simulated (crosses)"; ALONE = 0; N = 8
LINES = "points pointtype 2 pointsize 0.9"
PATHS = "load-host load-redis load-redis load-disk store-host store-redis store-redis store-disk"
is(i) = path(word(PATHS, i)) && column("together") == 1 && (i == 2 || i == 6 ? column("nodes") == 1 : i == 3 || i == 7 ? column("nodes") > 1 : 1)
title(i) = word(PATHS, i).(i == 3 || i == 7 ? ", more servers" : "")
load ARG1."/calibrate.gp"
