#!/bin/sh
# run.sh  Checks the models with spin: each must hold in every setting named here, and each seeded bug must be
# found. One line a check; fails on any surprise. Needs spin and a C compiler; about half a minute.
set -eu

here=$(CDPATH='' cd -- "$(dirname -- "$0")" && pwd)
work=$(mktemp -d)
trap 'rm -rf -- "$work"' EXIT
surprises=0

check() # holds|fails, model, settings...
{
    wanted=$1 model=$2
    shift 2
    if ! (cd -- "$work" && spin -a "$@" "$here/$model.pml" && ${CC:-cc} -O2 -w -DSAFETY -DCOLLAPSE -DMEMLIM=3000 -o pan pan.c &&
        ./pan -m400000) >"$work/out" 2>&1 </dev/null; then
        : >"$work/out"
    fi
    errors=$(sed -n 's/.*errors: *//p' "$work/out")
    states=$(awk '/states, stored/ { print $1 }' "$work/out")
    found=broken
    case ${errors:-none} in
    0) grep -q 'max search depth too small\|out of memory' "$work/out" || found=holds ;;
    none) ;;
    *) found=fails ;;
    esac
    printf '%-5s %s %s: %s states\n' "$found" "$model" "$*" "${states:-no}"
    if [ $found != "$wanted" ]; then
        echo "models: $model $* should be: $wanted"
        surprises=$((surprises + 1))
    fi
}

# The waiting word: without slices nobody sleeps though there is something for him; with them, whoever is killed.
check holds wait
check holds wait -DWAITERS=3
check holds wait -DPICKY
check holds wait -DLEAVES=1
check holds wait -DINTERRUPTS=1 -DCHANGERS=1
check holds wait -DSLICES -DKILLS=2 -DCHANGERS=1
check fails wait -DOWN_MARK
check fails wait -DLOOK_FIRST
check fails wait -DLATE_MARKS
check fails wait -DNO_MARKS
check fails wait -DLATE_COUNT
check fails wait -DNO_RECOUNT
check fails wait -DNO_PASS_ON -DLEAVES=1 -DCHANGERS=1
check fails wait -DEARLY_CHECK -DINTERRUPTS=1 -DCHANGERS=1
check fails wait -DPLAIN_STORE
check fails wait -DKILLS=1 -DCHANGERS=1

# The lock: one inside at a time, nobody waits behind a free or a dead one's lock.
check holds lock -DROUNDS=2
check holds lock -DGIVE_UPS=1
check holds lock -DNAPS -DKILLS=2
check holds lock -DLAZY_NAPS -DKILLS=2
check fails lock -DGIVE_BY_STORE
check fails lock -DTAKE_UNMARKED
check fails lock -DSTEAL_UNSEEN -DNAPS -DKILLS=2
check fails lock -DSTEAL_UNKNOWN -DNAPS
check fails lock -DKILLS=1

[ $surprises -eq 0 ]
