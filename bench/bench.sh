#!/bin/sh
# bench.sh [--quick] [--minutes N] [--json FILE] [WORK...]  Measures both builds, as installed by default, against the
# raw calls of the kernel and, unless --quick, against peers. WORK: pair, trip, flow, memory, idle (default: all). With
# --minutes no round begins that would end later.
# Environment: BUILD  where to work (default: build beside bench)
set -eu

bench=$(CDPATH='' cd -- "$(dirname -- "$0")" && pwd)
root=$(dirname -- "$bench")
work=${BUILD:-$root/build}/bench
command="./dev bench${*:+ $*}"
quick='' json='' minutes=''
while [ $# -gt 0 ]; do
    case $1 in
    --quick) quick=--quick ;;
    --json | --minutes)
        [ $# -ge 2 ] || { echo "bench: $1 needs a value" >&2; exit 2; }
        if [ "$1" = --json ]; then json=$2; else minutes=$2; fi
        shift
        ;;
    -*)
        echo "usage: ./dev bench [--quick] [--minutes N] [--json FILE] [WORK...]" >&2
        exit 2
        ;;
    *) break ;;
    esac
    shift
done
case $minutes in *[!0-9]*) echo "bench: --minutes takes a whole number" >&2; exit 2 ;; esac
mkdir -p -- "$work"
work=$(CDPATH='' cd -- "$work" && pwd)

logged() # log file, command...: its output is shown only if it fails
{
    log=$1
    shift
    "$@" >"$log" 2>&1 </dev/null && return 0
    cat -- "$log" >&2
    echo "bench: failed: $*" >&2
    exit 1
}

build_and_install() # backend: as a user would do it
{
    logged "$work/configure-$1.log" cmake -S "$root" -B "$work/lib-$1" -DPIPC_BACKEND="$1" \
        -DPIPC_BUILD_TESTS=OFF -DPIPC_BUILD_EXAMPLES=OFF -DPIPC_BUILD_TOOL=OFF
    logged "$work/build-$1.log" cmake --build "$work/lib-$1" --parallel
    logged "$work/install-$1.log" cmake --install "$work/lib-$1" --prefix "$work/prefix-$1"
}

build_runners() # backend, CMake options...
{
    backend=$1
    shift
    logged "$work/configure-runners-$backend.log" cmake -S "$bench" -B "$work/run-$backend" \
        -DCMAKE_PREFIX_PATH="$work/prefix-$backend" -DPIPC_BENCH_PEERS=OFF "$@"
    logged "$work/build-runners-$backend.log" cmake --build "$work/run-$backend" --parallel
}

flags_of() # backend: how the installed library was compiled
{
    compiler=$(sed -n 's/^CMAKE_C_COMPILER:[A-Z]*=//p' "$work/lib-$1/CMakeCache.txt")
    printf '%s; %s' "$("$compiler" --version | head -n 1)" \
        "$(sed -n 's/^C_FLAGS = *//p' "$work/lib-$1/CMakeFiles/pipc.dir/flags.make")"
}

echo "bench: building and installing both backends" >&2
for backend in sysv posix; do
    build_and_install $backend
    if [ -z "$quick" ] && [ $backend = sysv ]; then
        build_runners $backend -DPIPC_BENCH_PEERS=ON
    else
        build_runners $backend
    fi
done
if [ -n "$quick" ]; then
    set -- --rounds 15 --ms 50 --seconds 75 "$@"
fi
[ -z "$minutes" ] || set -- --seconds $((minutes * 60)) "$@"
[ -z "$json" ] || set -- --json "$json" "$@"
for backend in posix sysv; do
    set -- --build "$backend=$work/run-$backend/bench_pipc=$(flags_of $backend)" "$@"
done
if [ -z "$quick" ]; then
    while read -r kind peer; do
        set -- "--$kind" "$peer" "$@"
    done <"$work/run-sysv/peers/peers.txt"
fi
exec "$work/run-sysv/bench_driver" $quick --command "$command" "$@"
