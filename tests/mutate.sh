#!/bin/sh
# mutate.sh [NAME...]  Breaks copies of the tree with the patches in mutations/ (all, or those whose names
# contain a NAME), one at a time, and runs the tests that must turn red. Fails if a break survives, if a
# patch no longer applies or builds, or if a test is red before anything is broken.
#
# A patch begins with a sentence and two lines:
#     Backend: sysv posix           the builds that it is tried on
#     Red: suite/test suite/test    at least one of these must fail
# Environment: BUILD  where to work (default: build beside tests)
set -eu

tests=$(CDPATH='' cd -- "$(dirname -- "$0")" && pwd)
root=$(dirname -- "$tests")
work=${BUILD:-$root/build}/mutate
mkdir -p -- "$work"
work=$(CDPATH='' cd -- "$work" && pwd)
log=$work/log

header() # patch key: what stands behind the key
{
    sed -n "/^--- /q; s/^$2: *//p" "$1"
}

chosen() # names...: the patches to try
{
    for patch in "$tests"/mutations/*.patch; do
        [ $# -gt 0 ] || echo "$patch"
        for name in "$@"; do
            case ${patch##*/} in *"$name"*) echo "$patch" ;; esac
        done
    done
}

of_backend() # backend: those on standard input that are tried on it
{
    while IFS= read -r patch; do
        case " $(header "$patch" Backend) " in *" $1 "*) echo "$patch" ;; esac
    done
}

program_of() # suite: the name of its executable
{
    if [ -f "$tests/torture/$1_rig.c" ]; then echo "$1_rig"; else echo "$1_test"; fi
}

targets() # the executables of the tests on standard input ("suite/test")
{
    sed 's|/.*||' | sort -u | while IFS= read -r suite; do program_of "$suite"; done
}

reds() # patch: its tests, one a line
{
    header "$1" Red | tr -s ' ' '\n' | sed '/^$/d'
}

# ---- one backend ----

fetch() # backend: a fresh copy of the tree, without what nobody builds from; an old build knows the last break
{
    rm -rf -- "${work:?}/$1/tree" "${work:?}/$1/build"
    mkdir -p -- "$work/$1/tree"
    (cd -- "$root" && for part in CMakeLists.txt cmake core backend_sysv backend_posix include tests bench doxygen; do
        cp -Rp -- "$part" "$work/$1/tree/"
    done)
}

configure() # backend
{
    cmake -S "$work/$1/tree" -B "$work/$1/build" -DPIPC_BACKEND="$1" -DCMAKE_BUILD_TYPE=Debug \
        -DPIPC_BUILD_EXAMPLES=OFF -DPIPC_BUILD_TOOL=OFF -DPIPC_INSTALL=OFF
}

build() # backend targets...
{
    place=$work/$1/build
    shift
    cmake --build "$place" --target "$@" </dev/null
}

# A broken library may leave anything behind: a namespace of its own ends with the test.
run() # backend suite/test: 0 it passed, 1 it failed, 2 no such test
{
    program=$(find "$work/$1/build" -type f -name "$(program_of "${2%%/*}")" | head -n 1)
    PIPC_TEST_PRIVATE=$private timeout -k 5 100 "$program" "${2#*/}" >"$work/$1/output" 2>&1 </dev/null || true
    grep -a -q "^RESULT|[^|]*|$2|fail|" "$work/$1/output" && return 1
    grep -a -q "^RESULT|[^|]*|$2|" "$work/$1/output" && return 0
    grep -a -q "has \"${2#*/}\" in its name" "$work/$1/output" && return 2
    return 1 # it did not come to an end
}

turns_red() # backend patch: tells the first of its tests that fails
{
    for test in $(reds "$2"); do
        run "$1" "$test" || { echo "$test"; return 0; }
    done
    return 1
}

verdict() # backend patch
{
    tree=$work/$1/tree
    wanted=$(reds "$2" | targets)
    if ! patch -s -f -p1 --dry-run -d "$tree" <"$2"; then
        echo "no longer applies"
        return
    fi
    patch -s -f -p1 --no-backup-if-mismatch -d "$tree" <"$2"
    # shellcheck disable=SC2086 # names without spaces
    if ! build "$1" $wanted >>"$log.$1" 2>&1; then
        echo "no longer builds"
    elif red=$(turns_red "$1" "$2"); then
        echo "killed by $red"
    else
        echo "SURVIVED $(reds "$2" | tr '\n' ' ')"
    fi
    patch -s -f -R -p1 --no-backup-if-mismatch -d "$tree" <"$2"
}

green_before() # backend list: every test must pass while nothing is broken
{
    while IFS= read -r patch; do
        reds "$patch"
    done <"$2" | sort -u | while IFS= read -r test; do
        run "$1" "$test" || echo "$1: $test is red, or missing, before anything is broken"
    done
}

try_backend() # backend list
{
    [ -s "$2" ] || return 0
    : >"$log.$1"
    fetch "$1"
    # shellcheck disable=SC2046
    if ! { configure "$1" && build "$1" $(while IFS= read -r patch; do reds "$patch"; done <"$2" | targets); } >>"$log.$1" 2>&1; then
        echo "$1: the tree does not build, see $log.$1"
        return
    fi
    green_before "$1" "$2"
    while IFS= read -r patch; do
        echo "$1: $(basename -- "$patch" .patch): $(verdict "$1" "$patch")"
    done <"$2"
}

# ---- all ----

private=1
unshare --ipc --mount true 2>/dev/null || unshare --user --map-root-user --ipc --mount true 2>/dev/null || private=0

for backend in sysv posix; do
    chosen "$@" | of_backend "$backend" >"$work/list.$backend"
    try_backend "$backend" "$work/list.$backend" >"$work/verdicts.$backend" &
done
wait

cat -- "$work/verdicts.sysv" "$work/verdicts.posix"
killed=$(cat -- "$work"/verdicts.* | grep -c ': killed by ' || true)
all=$(cat -- "$work"/verdicts.* | wc -l)
echo "mutate: $killed of $all breaks turned a test red"
[ "$killed" -eq "$all" ] && [ "$all" -gt 0 ]
