#!/bin/sh
# run.sh [--deep]  Checks the models with spin: each must hold in every setting named here, and each seeded bug must be
# found. All searches are exhaustive. One line a check, at last how many; fails on any surprise, and if the models and the
# code are no longer tied (ties.sh). Needs spin and a C compiler; about three minutes, with --deep (larger settings, up to
# 3 GB of memory) ten more.
set -eu

here=$(CDPATH='' cd -- "$(dirname -- "$0")" && pwd)
work=$(mktemp -d)
trap 'rm -rf -- "$work"' EXIT
checks=0 surprises=0 deep=

check() # holds|fails, model, settings...
{
    wanted=$1 model=$2
    shift 2
    checks=$((checks + 1))
    case $wanted:$model$deep in # optimising the large ones takes longer than their search
    fails:* | holds:slots | holds:names_*) level=-O0 ;;
    *) level=-O2 ;;
    esac
    if ! (cd -- "$work" && spin -a "$@" "$here/$model.pml" && ${CC:-cc} $level -w -DSAFETY -DCOLLAPSE -DMEMLIM=3000 -o pan pan.c &&
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

sh "$here/ties.sh" || surprises=$((surprises + 1))

# The waiting word: without slices nobody sleeps though there is something for him; with them, whoever is killed.
check holds wait
check holds wait -DWAITERS=3
check holds wait -DPICKY
check holds wait -DLEAVES=1
check holds wait -DINTERRUPTS=1 -DCHANGERS=1
check holds wait -DSLICES -DKILLS=2 -DCHANGERS=1
check holds wait -DPICKY -DSLICES -DKILLS=2 -DCHANGERS=1
check holds wait -DDEEPLY -DCHANGERS=1 -DKILLS=1
check holds wait -DDEEPLY -DPICKY -DCHANGERS=1 -DKILLS=1
check fails wait -DDEEPLY -DKILLS=1 -DCHANGERS=1 -DNO_ROUSE
check fails wait -DDEEPLY -DKILLS=1 -DCHANGERS=1 -DLATE_ROUSE
check fails wait -DDEEPLY -DKILLS=1 -DCHANGERS=1 -DNOT_QUIET
check fails wait -DDEEPLY -DKILLS=1 -DCHANGERS=1 -DEARLY_QUIET
check fails wait -DDEEPLY -DKILLS=1 -DCHANGERS=1 -DLATE_QUIET
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

# The public lock: each death with it is told to one, and nobody is judged from another pid namespace.
check holds mutex -DROUNDS=2
check holds mutex -DKILLS=2 -DROUNDS=2
check holds mutex -DKILLS=2 -DROUNDS=2 -DABROAD
check fails mutex -DKILLS=2 -DFREE_FIRST
check fails mutex -DKILLS=2 -DTELL_ALL
check fails mutex -DKILLS=2 -DSTEAL_UNSEEN
check fails mutex -DABROAD -DNO_HOME
check fails mutex -DABROAD -DHOME_BY_STORE
check fails mutex -DABROAD -DHOME_LATE

# The semaphore: every token is taken once or left, and nobody sleeps while there is one.
check holds semaphore -DCOUNT=2
check holds semaphore -DWAITERS=3
check holds semaphore -DLEAVES=2
check holds semaphore -DSLICES -DKILLS=2 -DPOSTERS=1
check fails semaphore -DTAKE_BY_STORE
check fails semaphore -DPOST_BY_STORE
check fails semaphore -DLOOK_FIRST
check fails semaphore -DBUMP_FIRST
check fails semaphore -DNO_LAST_LOOK -DLEAVES=1 -DPOSTERS=1
check fails semaphore -DWAKE_ONE -DCOUNT=2 -DPOSTERS=1
check fails semaphore -DWOKEN_TAKES
check fails semaphore -DKILLS=1

# The slots: what was confirmed is taken once and whole, no place stays taken.
check holds slots -DKILLS=2
check holds slots -DKILLS=2 -DRECEIVERS=2
check holds slots -DKILLS=2 -DPLACES=1 -DEACH=2
check holds slots -DKILLS=2 -DBIG -DGIVE_UPS=1
check holds slots -DKILLS=2 -DBIG -DPURGES
check holds slots -DKILLS=2 -DBIG -DORDER
check holds slots -DKILLS=2 -DTHEFTS=1
check fails slots -DKILLS=2 -DCONFIRM_BY_STORE
check fails slots -DKILLS=2 -DFREE_BY_NUMBER
check fails slots -DKILLS=2 -DNO_GENERATION
check fails slots -DKILLS=2 -DPLACES=1 -DEACH=2 -DSAME_GENERATION
check fails slots -DKILLS=2 -DPLACES=1 -DEACH=2 -DCOPY_FIRST
check fails slots -DKILLS=2 -DPRIVATE_BUFFER
check fails slots -DKILLS=2 -DDROP_STAGED
check fails slots -DKILLS=2 -DCLEAR_FIRST
check fails slots -DKILLS=2 -DCLEAR_BEFORE_FREE
check fails slots -DKILLS=2 -DNO_PENDING
check fails slots -DKILLS=2 -DBIG -DPURGES -DNO_PURGING
check fails slots -DKILLS=2 -DONE_PULL
check fails slots -DKILLS=2 -DFREE_RESERVED
check fails slots -DKILLS=2 -DNO_AUDIT_OF_DEAD
check fails slots -DEACH=2 -DCROWD -DONE_SCAN
check fails slots -DBIG -DORDER -DSTAGED_FIRST
check fails slots -DBIG -DORDER -DSTALE_ORDER

# The channel's ring: what was confirmed is taken once, whole, in order, a second time only with a mark.
check holds channel
check holds channel -DMANY -DCANCELS=1
check holds channel -DPRODUCERS=1 -DCELLS=2 -DKILLS=2
check holds channel -DPRODUCERS=1 -DCELLS=2 -DKILLS=2 -DMANY -DCANCELS=1
check holds channel -DEACH=1 -DKILLS=1
check holds channel -DEACH=1 -DKILLS=1 -DMANY
check holds channel -DBATCH -DKILLS=1
check holds channel -DLATEST -DEACH=5
check fails channel -DNO_EMPTY -DPRODUCERS=1 -DCELLS=2
check fails channel -DEMPTY_LATE -DPRODUCERS=1 -DCELLS=2
check fails channel -DFIRST_FIRST -DBATCH -DKILLS=1
check fails channel -DNO_REPAIR -DEACH=1 -DKILLS=1
check fails channel -DSHOW_FIRST -DPRODUCERS=1 -DCELLS=2
check fails channel -DSKIP_LIVING -DMANY
check fails channel -DSKIP_BY_STORE -DMANY -DEACH=1 -DKILLS=1
check fails channel -DNOTED_LATE -DPRODUCERS=1 -DCELLS=2 -DKILLS=2
check fails channel -DNO_MARK -DPRODUCERS=1 -DCELLS=2 -DKILLS=2
check fails channel -DTIGHT -DCELLS=2
check fails channel -DNOT_ASKED -DLATEST -DEACH=5
check fails channel -DASKED_FIRST -DLATEST -DEACH=5

# The names: one builder, one READY object, nobody in the way, nothing left.
check holds names_posix -DKILLS=2 -DFAILS=1
check fails names_posix -DKILLS=2 -DNO_LOCK
check fails names_posix -DKILLS=2 -DUNLINK_UNLOCKED
check fails names_posix -DKILLS=2 -DUNLOCK_FIRST
check fails names_posix -DKILLS=2 -DNO_LINK_CHECK
check fails names_posix -DKILLS=2 -DNO_STATE_CHECK
check fails names_posix -DKILLS=2 -DBUILD_IN_REMAINS
check fails names_posix -DKILLS=2 -DLEAVE_DEAD
check fails names_posix -DKILLS=2 -DNAME_FIRST
check fails names_posix -DKILLS=2 -DLABEL_LATE
check holds names_sysv -DACTORS=2 -DKILLS=2
check holds names_sysv -DKILLS=2 -DSURVEY_FIRST
check fails names_sysv -DKILLS=2 -DNO_CONTEST
check fails names_sysv -DKILLS=2 -DLOOK_FIRST
check fails names_sysv -DKILLS=2 -DNO_BUILDING
check fails names_sysv -DKILLS=2 -DBURY_BY_STORE
check fails names_sysv -DKILLS=2 -DNO_ORPHANS
check fails names_sysv -DKILLS=2 -DLEAVE_DEAD
check fails names_sysv -DKILLS=2 -DNO_CLEAR_ABOVE
check fails names_sysv -DKILLS=2 -DLEAVE_FIRST
check fails names_sysv -DKILLS=2 -DKEY_FIRST
check fails names_sysv -DKILLS=2 -DLABEL_LATE

if [ "${1-}" = --deep ]; then
    deep=-deep
    check holds wait -DDEEPLY -DCHANGERS=1 -DKILLS=2
    check holds wait -DDEEPLY -DKILLS=1
    check holds wait -DDEEPLY -DKILLS=1 -DPICKY
    check fails wait -DDEEPLY -DKILLS=1 -DEARLY_CLEAR
    check holds channel -DEACH=1 -DKILLS=2
    check holds channel -DEACH=1 -DKILLS=2 -DMANY -DCANCELS=1
    check holds channel -DBATCH -DKILLS=2 -DCELLS=4
    check holds slots -DKILLS=2 -DCALLS=2 -DEACH=2
    check holds slots -DKILLS=2 -DEACH=2 -DORDER
    check holds slots -DKILLS=2 -DEACH=2 -DCROWD
    check holds slots -DKILLS=1 -DTHEFTS=1 -DRECEIVERS=2
    check holds names_posix -DKILLS=2 -DOPS=2
    check holds names_sysv -DKILLS=2
    check holds names_sysv -DKILLS=2 -DFAILS=1 -DSURVEY_FIRST
fi

echo "models: $checks checks, $surprises surprises"
[ $surprises -eq 0 ]
