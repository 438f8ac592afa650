#!/bin/sh
# coverage.sh [sysv|posix]  What the tests run of core and the backends, line by line and branch by branch.
# Fails if less than 90 % of the lines are run, or if a branch of the recovery code (the functions that
# coverage.txt names) is never taken and coverage.txt does not say why, or if a rule there matches nothing.
#
# Most of the code that matters here runs in processes that are killed. So the counters lie in a file that the
# processes map and share (clang's continuous mode): what a process counted before kill -9 stays counted.
# Environment: BUILD  where to work (default: build beside tests); untaken.BACKEND there has every branch not taken
set -eu

tests=$(CDPATH='' cd -- "$(dirname -- "$0")" && pwd)
root=$(dirname -- "$tests")
work=${BUILD:-$root/build}/coverage
mkdir -p -- "$work"
work=$(CDPATH='' cd -- "$work" && pwd)

flags='-fprofile-instr-generate -fcoverage-mapping -mllvm -runtime-counter-relocation'

build() # backend
{
    cmake -S "$root" -B "$work/$1" -DPIPC_BACKEND="$1" -DCMAKE_BUILD_TYPE=Debug -DCMAKE_C_COMPILER=clang \
        -DCMAKE_C_FLAGS="$flags" -DPIPC_BUILD_EXAMPLES=OFF -DPIPC_INSTALL=OFF &&
        cmake --build "$work/$1" --parallel "$(nproc)"
}

run() # backend
{
    rm -rf -- "$work/profiles.$1"
    mkdir -p -- "$work/profiles.$1"
    (cd -- "$work/$1" && LLVM_PROFILE_FILE="$work/profiles.$1/%c%m.profraw" \
        ctest --output-on-failure --parallel 2 -L 'suite|double|rig') </dev/null
}

# The plain build and the one with points are two builds of the same lines: one export each, added up later.
export_kind() # backend, kind of executables (test, rig)
{
    llvm-profdata merge -o "$work/$1.profdata" "$work/profiles.$1"/*.profraw
    set -- "$1" "$2" "$work/$1/tests"/*_"$2"
    [ -e "$3" ] || return 0
    first=$3 backend=$1
    shift 3
    for more in "$@"; do
        set -- "$@" -object "$more"
        shift
    done
    llvm-cov export -format=lcov -instr-profile="$work/$backend.profdata" "$first" "$@" 2>/dev/null
}

report() # backend: the figures, what is wrong with them; and untaken.BACKEND
{
    awk -v root="$root/" -v rules="$tests/coverage.txt" -v untaken="$work/untaken.$1" -f "$tests/coverage.awk" \
        "$work/$1.test.lcov" "$work/$1.rig.lcov"
}

status=0
for backend in ${1:-sysv posix}; do
    echo "coverage: $backend" >&2
    build "$backend" >"$work/build.$backend" 2>&1 </dev/null || { cat -- "$work/build.$backend" >&2; exit 1; }
    run "$backend" >"$work/tests.$backend" 2>&1 || { cat -- "$work/tests.$backend" >&2; status=1; }
    export_kind "$backend" test >"$work/$backend.test.lcov"
    export_kind "$backend" rig >"$work/$backend.rig.lcov"
    echo "$backend:"
    report "$backend" || status=1
done
exit $status
