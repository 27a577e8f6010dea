# SPDX-License-Identifier: GPL-3.0-or-later
#
# ttft.gp - how long until the first token? Cumulative distribution over requests, with the cache and without.
SUBTITLE = ARG2
load ARG1."/style.gp"
METRIC = "ttft"; WHAT = "Time to first token"; NAME = "ttft"
load ARG1."/cdf.gp"
