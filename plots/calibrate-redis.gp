# SPDX-License-Identifier: GPL-3.0-or-later
#
# calibrate-redis.gp - how fast does one Redis server give and take values, by size, connections and depth?
SUBTITLE = ARG2
load ARG1."/style.gp"
NAME = "calibrate-redis"; WHAT = "Redis by itself: measured (p10, p50, p90) and fitted (lines)"; ALONE = 1; N = 8
LINES = "lines"
is(i) = path(i % 2 ? "redis-get" : "redis-set") && (i > 4 ? column("connections") > 1 : column("connections") == 1) && \
    ((i - 1) / 2 % 2 ? column("depth") > 1 : column("depth") == 1)
title(i) = (i % 2 ? "GET" : "SET").(i > 4 ? ", more connections" : ", one connection").((i - 1) / 2 % 2 ? ", deep" : "")
load ARG1."/calibrate.gp"
