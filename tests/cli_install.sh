#!/usr/bin/env bash
# SPDX-License-Identifier: GPL-3.0-or-later
#
# cli_install.sh - make install puts everything under DESTDIR and PREFIX, the installed program works from
# any folder with the files that were installed, and make uninstall leaves nothing behind.
set -u
n=0
is() { # status, text
    n=$((n + 1))
    [ "$1" = 0 ] && echo "ok $n - $2" || { echo "not ok $n - $2"; failed=1; }
}
failed=0
stage=$SCRATCH/stage

# MAKEFLAGS of an outer make would bring its jobserver along.
make() { env -u MAKEFLAGS -u MFLAGS -u MAKELEVEL make --no-print-directory BUILD="$BUILD" DESTDIR="$stage" "$@"; }

# Not plain install, which would build first: other tests are running what is there.
make install-files >&2
is $? "make install-files"
root=$stage/usr/local
[ -x "$root/bin/kvtwin" ] && [ -s "$root/share/man/man1/kvtwin.1" ]
is $? "program and manual page"
diff -r scenarios "$root/share/kvtwin/scenarios" >&2 && diff -r plots "$root/share/kvtwin/plots" >&2
is $? "scenarios, catalogue and plot scripts are those of the tree"

cd "$SCRATCH" || exit 1
"$root/bin/kvtwin" catalog a100-80g-sxm >catalog.txt
is $? "the installed program reads its catalogue"
"$root/bin/kvtwin" run "$root/share/kvtwin/scenarios/quickstart.yaml" --out out --set workload.limit=50 >run.txt
is $? "the installed program runs the quickstart"
"$root/bin/kvtwin" plot out >plot.txt && ls out/*.svg >/dev/null
is $? "the installed program finds its plot scripts"
cd - >/dev/null || exit 1

make uninstall >&2
is $? "make uninstall"
[ -z "$(find "$stage" ! -type d)" ]
is $? "nothing is left behind"
echo "1..$n"
exit $failed
