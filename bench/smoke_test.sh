#!/bin/sh
# smoke_test.sh DRIVER RUNNER BUILD  Each kind of work once and for a moment, with raw calls and ours: every message is
# checked by the runner itself, the figures are there, nothing is left behind, the JSON parses. No figure is judged.
set -eu
LC_ALL=C
export LC_ALL

# Where it may, it runs in an IPC namespace of its own, where nothing is anybody else's.
alone=${PIPC_BENCH_ALONE:-no}
if [ "$alone" = no ] && unshare --ipc true 2>/dev/null; then
    PIPC_BENCH_ALONE=yes exec unshare --ipc sh "$0" "$@"
fi

here=$(CDPATH='' cd -- "$(dirname -- "$0")" && pwd)
driver=$1 runner=$2 build=$3
PIPC_BENCH_NAME=pipc-smoke-$$
export PIPC_BENCH_NAME
folder=$(mktemp -d)
trap 'rm -rf -- "$folder"' EXIT
cores=$(nproc 2>/dev/null || echo 1)
[ "$cores" -lt 2 ] || cores=2
failed=0

works() # what is told for each lane, trial...: it ends well, and tells it
{
    told=$1
    shift
    if ! "$runner" "$@" >"$folder/out" 2>&1 || ! grep -q "^figure 0 $told [0-9.]*[1-9]" "$folder/out"; then
        echo "FAILED: $*"
        cat -- "$folder/out"
        failed=1
    fi
}

refuses() # trial...
{
    if "$runner" "$@" >"$folder/out" 2>&1; then
        echo "FAILED: it did not refuse: $*"
        failed=1
    fi
}

can() # system, bit of what it can do (system.h)
{
    "$runner" list | awk -v name="$1" -v bit="$2" '$1 == name && int($2 / bit) % 2 { found = 1 } END { exit !found }'
}

# What is left: names like ours, and any System V object if they can only be ours.
left()
{
    ls /dev/shm 2>/dev/null | grep "$PIPC_BENCH_NAME" || true
    [ "$alone" = no ] || ipcs -q -m | grep '^0x' || true
}

for system in $("$runner" list | awk '{ print $1 }'); do
    size=64
    case $system in line | futex) size=8 ;; esac
    ! can "$system" 1 || works ns pair ms=2 "$system"
    ! can "$system" 1 || works ns pair ms=2 size=8000 "$system"
    ! can "$system" 2 || works messages trip ms=5 size=$size cores=$cores "$system"
    ! can "$system" 2 || works messages trip ms=5 size=$size cores=1 "$system"
    ! can "$system" 4 || works messages flow ms=5 cores=$cores "$system"
    ! can "$system" 8 || works messages flow ms=5 senders=4 cores=$cores "$system"
    ! can "$system" 8 || works messages flow ms=5 pairs=4 cores=$cores "$system"
    ! can "$system" 32 || works messages flow ms=5 place=1 size=65536 cores=$cores "$system"
    ! can "$system" 64 || works ns memory ms=2 size=4096 "$system"
    ! can "$system" 128 || works messages trip ms=5 sleep=1 cores=$cores "$system"
done
works percent idle ms=50 cores=1 queue
works ns pair ms=5 queue,types=100,load=999 queue,load=9
refuses pair ms=2 nobody
refuses pair ms=2 size=9000 msg
refuses flow ms=2 senders=4 pipe
refuses pair queue ms=2
if [ -n "$(left)" ]; then
    echo "FAILED: left behind: $(left)"
    failed=1
fi

if ! "$driver" --quick --rounds 1 --ms 2 --json "$folder/out.json" --build "$build=$runner=the \"flags\"" \
    pair trip flow memory >"$folder/table" 2>&1; then
    echo "FAILED: the driver"
    cat -- "$folder/table"
    failed=1
fi
awk -f "$here/json_check.awk" "$folder/out.json" || failed=1
if head -c 500 "$folder/out.json" | awk -f "$here/json_check.awk" >/dev/null; then
    echo "FAILED: half a file passes as JSON"
    failed=1
fi
for word in '"goals"' '"trials"' 'queue pair, 64 B' '"ns": \[[0-9]'; do
    grep -q -- "$word" "$folder/out.json" || { echo "FAILED: no $word in the JSON"; failed=1; }
done
grep -q '^queue pair, 64 B .* <= 1.05 ' "$folder/table" || { echo "FAILED: no table"; cat -- "$folder/table"; failed=1; }
exit $failed
