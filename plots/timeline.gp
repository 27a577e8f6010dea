# SPDX-License-Identifier: GPL-3.0-or-later
#
# timeline.gp - what hitrate.gp and occupancy.gp share: the time axis. Sets LAST_S, unit_s, T(seconds) and the x
# axis from timeline.csv.

F = "timeline.csv"
LAST_S = 0; n_rows = 0
set xrange [0:1]
set yrange [0:1]
set table $walk
plot NaN notitle, F using (t = column("time_s"), LAST_S = t > LAST_S ? t : LAST_S, n_rows = n_rows + (t == t), NaN):(0) notitle
unset table
LAST_S = LAST_S > 0 ? LAST_S : 1
unit_s = LAST_S > 2 * 86400 ? 86400.0 : LAST_S > 3 * 3600 ? 3600.0 : LAST_S > 300 ? 60.0 : 1.0
T(s) = s / unit_s
set xrange [0:T(LAST_S)]
set xlabel sprintf("time (%s)", unit_s == 86400 ? "days" : unit_s == 3600 ? "hours" : unit_s == 60 ? "minutes" : "s")
