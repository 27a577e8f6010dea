# SPDX-License-Identifier: GPL-3.0-or-later
#
# tpot.gp - how fast do tokens follow? Cumulative distribution over requests, with the cache and without.
SUBTITLE = ARG2
load ARG1."/style.gp"
METRIC = "tpot"; WHAT = "Time per output token"; NAME = "tpot"
load ARG1."/cdf.gp"
