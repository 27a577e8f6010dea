# SPDX-License-Identifier: GPL-3.0-or-later
#
# calibrate-copies.gp - how fast are copies in main memory, and to and from the device, by size and threads?
SUBTITLE = ARG2
load ARG1."/style.gp"
NAME = "calibrate-copies"; WHAT = "Copies: measured (p10, p50, p90) and fitted (lines)"; ALONE = 1; N = 6
LINES = "lines"
is(i) = path(word("memcpy upload download memcpy upload download", i)) && (i <= 3 ? column("threads") == 1 : column("threads") > 1)
title(i) = word("memcpy upload download memcpy upload download", i).(i <= 3 ? ", one thread" : ", more threads")
load ARG1."/calibrate.gp"
