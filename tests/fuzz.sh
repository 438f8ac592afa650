#!/bin/sh
# fuzz.sh [--seconds N] [FUZZER...]  Random names, headers, messages and calls: each fuzzer for so long (60 s) on
# each backend, the two backends side by side. All fuzzers, or those whose names contain a FUZZER. Ends with a table;
# fails if something was found. The input of a finding is kept in the build folder, and fuzz/NAME_fuzz FILE runs it again.
# Environment: BUILD  where to work (default: build beside tests)
set -eu

tests=$(CDPATH='' cd -- "$(dirname -- "$0")" && pwd)
root=$(dirname -- "$tests")
work=${BUILD:-$root/build}/fuzz
seconds=60

usage()
{
    echo "usage: ./dev fuzz [--seconds N] [FUZZER...]" >&2
    exit 2
}

while [ $# -gt 0 ]; do
    case $1 in
    --seconds)
        [ $# -ge 2 ] || usage
        seconds=$2
        shift 2
        ;;
    -*) usage ;;
    *) break ;;
    esac
done
case $seconds in '' | *[!0-9]* | 0) usage ;; esac
mkdir -p -- "$work"
work=$(CDPATH='' cd -- "$work" && pwd)

build() # backend
{
    cmake -S "$root" -B "$work/$1" -DPIPC_BACKEND="$1" -DCMAKE_C_COMPILER=clang -DCMAKE_BUILD_TYPE=RelWithDebInfo \
        -DPIPC_SANITIZE=fuzzer-no-link,address,undefined -DPIPC_BUILD_FUZZERS=ON -DPIPC_BUILD_TESTS=OFF \
        -DPIPC_BUILD_EXAMPLES=OFF -DPIPC_INSTALL=OFF &&
        cmake --build "$work/$1" --parallel "$(nproc)"
}

chosen() # names...
{
    for source in "$tests"/fuzz/*_fuzz.c; do
        fuzzer=$(basename -- "$source" _fuzz.c)
        [ $# -gt 0 ] || echo "$fuzzer"
        for name in "$@"; do
            case $fuzzer in *"$name"*) echo "$fuzzer" ;; esac
        done
    done | sort -u
}

# In a private IPC namespace where that can be had: nothing that a fuzzer leaves or meets there concerns others.
privately() # command...
{
    spaces='--ipc --mount'
    unshare $spaces true 2>/dev/null || spaces="--user --map-root-user $spaces"
    if unshare $spaces true 2>/dev/null; then
        # shellcheck disable=SC2016 # for the inner shell
        set -- unshare $spaces sh -c 'mount -t tmpfs -o mode=1777 tmpfs /dev/shm 2>/dev/null || true
            [ ! -d /dev/mqueue ] || mount -t mqueue mqueue /dev/mqueue 2>/dev/null || true
            exec "$@"' sh "$@"
    fi
    "$@"
}

# Begins with the seeds of fuzz/corpus: from nothing libFuzzer takes long to try anything long. Whoever tried nothing failed.
fuzz() # backend, fuzzer; one line in figures.BACKEND
{
    corpus=$work/corpus/$1-$2 findings=$work/findings/$1-$2- log=$work/log.$1-$2
    mkdir -p -- "$corpus" "$work/findings"
    answer=0
    privately "$work/$1/fuzz/${2}_fuzz" -max_total_time="$seconds" -timeout=30 -len_control=0 -max_len=300 \
        -print_final_stats=1 -artifact_prefix="$findings" "$corpus" "$tests/fuzz/corpus/$2" >"$log" 2>&1 </dev/null ||
        answer=$?
    tries=$(sed -n 's/^stat::number_of_executed_units: *//p' "$log")
    found=nothing
    if [ "$answer" -ne 0 ]; then
        found="FOUND, see $log"
    elif [ "${tries:-0}" -eq 0 ]; then
        found="FAILED: no input was tried, see $log"
        answer=1
    fi
    echo "$1|$2|${tries:-0}|$found" >>"$work/figures.$1"
    return "$answer"
}

fuzz_backend() # backend
{
    failed=0
    : >"$work/figures.$1"
    while IFS= read -r fuzzer; do
        fuzz "$1" "$fuzzer" || failed=1
    done <"$work/chosen"
    return $failed
}

for backend in sysv posix; do
    build "$backend" >"$work/build.$backend" 2>&1 </dev/null || { cat -- "$work/build.$backend" >&2; exit 1; }
done
chosen "$@" >"$work/chosen"
[ -s "$work/chosen" ] || { echo "fuzz: no fuzzer is called so" >&2; exit 2; }
rm -f -- "$work"/log.*
status=0
fuzz_backend sysv &
other=$!
fuzz_backend posix || status=1
wait "$other" || status=1
awk -F '|' '
    BEGIN { printf "%-7s %-13s %12s  %s\n", "build", "fuzzer", "inputs", "found" }
    { printf "%-7s %-13s %12s  %s\n", $1, $2, $3, $4 }' "$work/figures.sysv" "$work/figures.posix"
[ "$status" -eq 0 ] || grep -aE '^FOUND\||^Base64:|SUMMARY:' "$work"/log.* >&2 || true
exit $status
