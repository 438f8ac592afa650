#!/bin/sh
# torture.sh [--minutes N] [--json FILE] [--backend sysv|posix] [RIG...]  The torture rigs in their long form, on both
# backends or one: all of them, or those whose names contain a RIG. With --minutes each of their tests gets an equal
# share of that time instead. Ends with a table; fails if a rig failed, and keeps what it printed.
# Environment: BUILD              where to work (default: build beside tests)
#              PIPC_TORTURE_PART  K/N, such as 3/8: of the rigs that try every case of many (hostile) the Kth of N equal
#                                 parts, so that N runs, on one day or several, are one whole; each tells its own figures
set -eu

tests=$(CDPATH='' cd -- "$(dirname -- "$0")" && pwd)
root=$(dirname -- "$tests")
work=${BUILD:-$root/build}/torture
minutes='' json='' backends='sysv posix'
while [ $# -gt 0 ]; do
    case $1 in
    --minutes | --json | --backend)
        [ $# -ge 2 ] || { echo "torture: $1 needs a value" >&2; exit 2; }
        case $1 in
        --minutes) minutes=$2 ;;
        --json) json=$2 ;;
        --backend) backends=$2 ;;
        esac
        shift 2
        ;;
    -*)
        echo "usage: ./dev torture [--minutes N] [--json FILE] [--backend sysv|posix] [RIG...]" >&2
        exit 2
        ;;
    *) break ;;
    esac
done
case $backends in sysv | posix | 'sysv posix') ;; *) echo "torture: no backend is called so: $backends" >&2; exit 2 ;; esac
case $minutes in *[!0-9]*) echo "torture: --minutes takes a whole number" >&2; exit 2 ;; esac
mkdir -p -- "$work"
work=$(CDPATH='' cd -- "$work" && pwd)

build() # backend
{
    cmake -S "$root" -B "$work/$1" -DPIPC_BACKEND="$1" -DPIPC_BUILD_EXAMPLES=OFF -DPIPC_BUILD_TOOL=ON -DPIPC_INSTALL=OFF &&
        cmake --build "$work/$1" --parallel "$(nproc)"
}

rigs() # names...: the executables, under both backends
{
    for source in "$tests"/torture/*_rig.c; do
        rig=$(basename -- "$source" .c)
        [ $# -gt 0 ] || echo "$rig"
        for name in "$@"; do
            case $rig in *"$name"*) echo "$rig" ;; esac
        done
    done
}

tell_json()
{
    awk -F '|' '
        BEGIN { printf "[" }
        { printf "%s\n  {\"rig\": \"%s\", \"backend\": \"%s\", \"trials\": %s, \"kills\": %s, \"lost\": %s, \"duplicated\": %s, ", (NR > 1 ? "," : ""), $2, $3, $4, $5, $6, $7
          printf "\"torn\": %s, \"hangs\": %s, \"leaks\": %s, \"worst_delay_ms\": %s, \"kills_wanted\": %s}", $8, $9, $10, $11, $12 }
        END { print "\n]" }' "$work/figures"
}

tell_table()
{
    awk -F '|' '
        BEGIN { printf "%-28s %-6s %12s %10s %6s %6s %6s %6s %6s %14s\n", "rig", "build", "trials", "kills", "lost", "twice", "torn", "hangs", "leaks", "worst delay ms" }
        { printf "%-28s %-6s %12s %10s %6s %6s %6s %6s %6s %14s%s\n", $2, $3, $4, $5, $6, $7, $8, $9, $10, $11, ($5 + 0 < $12 + 0 ? "  fell short of " $12 " kills" : "") }' "$work/figures"
}

for backend in $backends; do
    build "$backend" >"$work/build.$backend" 2>&1 </dev/null || { cat -- "$work/build.$backend" >&2; exit 1; }
done
rigs "$@" >"$work/rigs"
[ -s "$work/rigs" ] || { echo "torture: no rig is called so" >&2; exit 2; }

PIPC_TORTURE=long
if [ -n "$minutes" ]; then
    all=0
    while IFS= read -r rig; do
        for backend in $backends; do
            all=$((all + $("$work/$backend/tests/$rig" --list | wc -l)))
        done
    done <"$work/rigs"
    PIPC_TORTURE=$((minutes * 60 / all + 1))
fi
export PIPC_TORTURE

status=0
: >"$work/figures"
for backend in $backends; do
    while IFS= read -r rig; do
        echo "torture: $backend: $rig" >&2
        if ! "$work/$backend/tests/$rig" >"$work/out" 2>&1 </dev/null; then
            status=1
            cp -- "$work/out" "$work/failed.$backend.$rig"
            echo "torture: it failed; what it printed: $work/failed.$backend.$rig" >&2
        fi
        grep -a '^RIG|' "$work/out" >>"$work/figures" || true
        grep -a '^\(POINT\|DELAY\|SIGNALS\)|' "$work/out" || true
        grep -a '^RESULT|[^|]*|[^|]*|\(fail\|skip\)|' "$work/out" || true
    done <"$work/rigs"
done
tell_table
[ -z "$json" ] || tell_json >"$json"
exit $status
