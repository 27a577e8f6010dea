# SPDX-License-Identifier: GPL-3.0-or-later
# shellcheck shell=bash disable=SC2034
#
# tap.sh - what the tests of the command line have in common; they read it with ". tests/tap.sh".
#
# The program is $KVTWIN (default build/release/kvtwin), files go into $SCRATCH (default a new folder), both also by their names in
# small letters. The repository's root is where everything is run, and where the program finds its data. A script ends
# with `tap_end`.
set -u
KVTWIN=${KVTWIN:-$PWD/build/release/kvtwin}
SCRATCH=${SCRATCH:-$(mktemp -d)}
kvtwin=$KVTWIN
scratch=$SCRATCH
mkdir -p "$scratch"
export KVTWIN_DATA=$PWD
n=0
failed=0

report() { # STATUS TEXT: 0 is ok
    n=$((n + 1))
    if [ "$1" = 0 ]; then
        echo "ok $n - $2"
    else
        echo "not ok $n - $2"
        failed=1
    fi
}

check() { # TEXT COMMAND...: ok if the command succeeds
    local text=$1
    shift
    "$@"
    report $? "$text"
}

skip() { # TEXT WHY
    n=$((n + 1))
    echo "ok $n - $1 # SKIP $2"
}

value() { # KEY FILE: of a line of JSON that holds this key and a number, text or truth value
    sed -n "s/^ *\"$1\": *\"\{0,1\}\([^\",]*\)\"\{0,1\},\{0,1\}$/\1/p" "$2"
}

# A check whose name is misspelt would go unseen: bash calls this for what is no command.
command_not_found_handle() {
    echo "not ok $((n + 1)) - no command $1" >&2
    return 127
}

tap_end() {
    echo "1..$n"
    exit $failed
}
