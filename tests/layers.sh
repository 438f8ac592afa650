#!/bin/sh
# layers.sh [ROOT]              fails on any arrow that points back, on unequal twin folders, on sizes
# layers.sh --self-test [ROOT]  breaks copies of the tree and fails if a check does not notice
#
# The arrows: core -> include; a backend -> core/backend.h and include; tests -> core and include;
# examples, the tool and the benchmark -> include. A backend is a folder backend_*, or the test double. Each complaint begins
# with file:line.
set -eu
LC_ALL=C
export LC_ALL

here=$(CDPATH='' cd -- "$(dirname -- "$0")" && pwd)
kernel_headers='sys/msg.h sys/shm.h sys/sem.h sys/ipc.h mqueue.h linux/msg.h linux/shm.h linux/mqueue.h'
longest_function=70
longest_file=500

# ---- what there is ----

c_files() # folders...: every C or C++ file in them
{
    for folder in "$@"; do
        [ ! -d "$folder" ] || find "$folder" -type f \( -name '*.[ch]' -o -name '*.cpp' -o -name '*.hpp' \)
    done | sort
}

backends() # the folders that are a backend
{
    for folder in backend_* tests/double; do
        [ ! -d "$folder" ] || echo "$folder"
    done
}

floor_of() # path: sets $floor to the folder whose rules hold for it
{
    case $1 in
    include/pipc/*) floor=include ;;
    core/*) floor=core ;;
    backend_*/*) floor=${1%%/*} ;;
    tests/double/*_test.c) floor=tests ;;
    tests/double/*) floor=tests/double ;;
    tests/*) floor=tests ;;
    examples/*) floor=examples ;;
    tool/*) floor=tool ;;
    bench/*) floor=bench ;;
    *) floor=elsewhere ;;
    esac
}

# ---- arrows ----

includes() # files...: "file line bracket target", one a line
{
    awk '/^[ \t]*#[ \t]*include[ \t]*[<"]/ {
        match($0, /[<"][^>"]*/)
        print FILENAME, FNR, substr($0, RSTART, 1), substr($0, RSTART + 1, RLENGTH - 1)
    }' "$@"
}

tidy() # path: sets $found to it, without "." and "..", relative to the root
{
    found=$1
    case $1 in
    *./*) found=$(top=$PWD; cd -- "${1%/*}" && printf '%s/%s\n' "${PWD#"$top"/}" "${1##*/}") ;;
    esac
}

resolve() # file bracket target: sets $found to the file of the tree that it names, or to nothing
{
    found=
    if [ "$2" = '"' ] && [ -f "${1%/*}/$3" ]; then
        tidy "${1%/*}/$3"
    elif [ -f "include/$3" ]; then
        tidy "include/$3"
    elif [ "$2" = '"' ] && [ -f "$3" ]; then
        tidy "$3"
    elif [ "$2" = '"' ] && [ -f "tests/$3" ]; then
        tidy "tests/$3"
    fi
}

may_include() # floor file-of-the-tree
{
    floor_of "$2"
    case $1:$floor in
    *:include) return 0 ;;
    core:core | tests:core | tests:tests | examples:examples | tool:tool | bench:bench) return 0 ;;
    backend_*:core | tests/double:core) [ "$2" = core/backend.h ] ;;
    backend_*:backend_* | tests/double:tests/double) [ "$1" = "$floor" ] ;;
    *) return 1 ;;
    esac
}

may_include_system() # floor file header
{
    case $1:$3 in
    include:stddef.h | include:stdint.h) return 0 ;;
    include:*) return 1 ;;
    backend_* | bench:*) return 0 ;;
    esac
    case $2 in
    tests/probe*) return 0 ;; # the one place of the suite that looks at the kernel's own figures
    esac
    for header in $kernel_headers; do
        [ "$header" != "$3" ] || return 1
    done
}

check_arrows()
{
    # shellcheck disable=SC2046 # no name in the tree has a space
    includes $(c_files include core backend_* tests examples tool bench) | while read -r file line bracket target; do
        floor_of "$file"
        from=$floor
        resolve "$file" "$bracket" "$target"
        if [ -n "$found" ]; then
            may_include "$from" "$found" || echo "$file:$line: $from must not include $found"
        elif [ "$bracket" = '"' ]; then
            echo "$file:$line: no file of the tree is called $target"
        else
            may_include_system "$from" "$file" "$target" || echo "$file:$line: $from must not include <$target>"
        fi
    done
}

check_conditionals() # differences live in files: no backend's name in a condition (include guards aside)
{
    for folder in backend_*; do
        # shellcheck disable=SC2046
        awk -v name="$(printf %s "${folder#backend_}" | tr '[:upper:]' '[:lower:]')" '
            /^[ \t]*#[ \t]*(if|ifdef|ifndef|elif)/ && !/^#ifndef [A-Z0-9_]+_H$/ {
                condition = tolower($0)
                gsub(/(^|[^a-z0-9_])_posix_[a-z0-9_]*/, " ", condition)
                if (index(condition, name))
                    print FILENAME ":" FNR ": a condition on the backend " name
            }' $(c_files include core backend_* tests examples tool bench)
    done
}

# ---- twins ----

sources() # folder: its C files, in a fixed order
{
    find "$1" -name '*.c' ! -name '*_test.c' | sort
}

declared() # the names that core/backend.h asks for, in its order
{
    awk '/^(extern|[a-z])/ && /pipc_be_[a-z_]+(\(|\[|;)/ && !/^struct pipc_be_[a-z_]+;/ {
        match($0, /pipc_be_[a-z_]+(\(|\[|;)/); print substr($0, RSTART, RLENGTH - 1)
    }' core/backend.h
}

defined() # file: "line name" of what it defines and shows, in its order
{
    awk '
        function ends() { return $0 ~ /[;){}]$/ }
        pending != "" { if (ends()) { if ($0 !~ /;$/) print pending; pending = "" } next }
        /^static/ || !/^[a-z]/ || !/pipc_be_[a-z_]+(\(|\[| =)/ || /^(extern|typedef|#)/ { next }
        {
            match($0, /pipc_be_[a-z_]+(\(|\[| =)/)
            name = substr($0, RSTART, RLENGTH); sub(/(\(|\[| =)$/, "", name)
            if ($0 ~ / = /) { print FNR, name; next }
            if (!ends()) { pending = FNR " " name; next }
            if ($0 !~ /;$/) print FNR, name
        }' "$1"
}

check_order() # folder: everything of the contract once, in its order within each file, and nothing else
{
    names=$(declared)
    for file in $(sources "$1"); do
        defined "$file" | sed "s|^|$file |"
    done | awk -v names="$names" -v folder="$1" '
        BEGIN { count = split(names, order); for (i = 1; i <= count; i++) place[order[i]] = i }
        !($3 in place) { print $1 ":" $2 ": " $3 " is not in core/backend.h"; next }
        seen[$3]++ { print $1 ":" $2 ": " $3 " is defined twice"; next }
        place[$3] < last[$1] { print $1 ":" $2 ": " $3 " is not in the order of core/backend.h" }
        { last[$1] = place[$3] }
        END { for (i = 1; i <= count; i++) if (!(order[i] in seen)) print folder ":0: " order[i] " is missing" }'
}

homes() # folder: "file: name" of each definition
{
    for file in $(sources "$1"); do
        defined "$file" | sed "s|^[0-9]* |${file##*/}: |"
    done
}

check_twins()
{
    model=$(backends | head -n 1)
    for folder in $(backends); do
        check_order "$folder"
        for file in $(sources "$folder") $(find "$folder" -name '*.h'); do
            [ -f "$model/${file##*/}" ] || echo "$file:1: $model has no file of this name"
        done
        [ "$folder" = tests/double ] || for file in "$model"/*; do # the double may do without private files
            [ -f "$folder/${file##*/}" ] || echo "$file:1: $folder has no file of this name"
        done
        [ "$(homes "$folder")" = "$(homes "$model")" ] || echo "$folder:0: not the same definitions in the same files as $model"
    done
}

check_stems() # two queue.c.o in one archive confuse debuggers
{
    for folder in $(backends); do
        for file in "$folder"/*.c; do
            stem=$(basename -- "$file" .c)
            [ ! -f "core/$stem.c" ] || echo "$file:1: core has a file of the same stem"
        done
    done
}

# ---- sizes ----

check_sizes()
{
    # shellcheck disable=SC2046
    awk -v most="$longest_function" -v longest="$longest_file" '
        FNR == longest + 1 { print FILENAME ":" FNR ": a file of more than " longest " lines" }
        FNR == 1 { start = 0 }
        /^[{]/ { start = FNR - 1 }
        /^[}]/ && start {
            if (FNR - start + 1 > most) print FILENAME ":" start ": a function of " FNR - start + 1 " lines"
            start = 0
        }' $(c_files include core backend_* tests examples bench tool) $(find tests -name '*.sh')
}

check_all()
{
    check_arrows
    check_conditionals
    check_twins
    check_stems
    check_sizes
}

# ---- the test of the test ----

expect() # description pattern: $check must complain about the copy in $copy, which was just broken
{
    complaints=$(cd -- "$copy" && $check)
    if printf '%s\n' "$complaints" | grep -q -- "$2"; then
        echo "noticed: $1"
    else
        echo "NOT NOTICED: $1 (wanted: $2)" >&2
        echo broken >"$workshop/failed"
    fi
}

fresh()
{
    rm -rf -- "$copy"
    mkdir -- "$copy"
    for part in include core backend_* tests examples tool bench; do
        [ ! -d "$part" ] || cp -R -- "$part" "$copy/"
    done
}

on_top() # file line: puts a line at its top
{
    { printf '%s\n' "$2"; cat -- "$copy/$1"; } >"$workshop/new"
    cat -- "$workshop/new" >"$copy/$1"
}

break_arrows()
{
    for header in sys/msg.h sys/shm.h sys/sem.h sys/ipc.h mqueue.h; do
        fresh; on_top core/backend.h "#include <$header>"
        expect "core includes $header" "^core/backend.h:1: core must not include <$header>"
    done
    fresh; on_top include/pipc/base.h '#include <sys/types.h>'
    expect "a public header includes more than stddef and stdint" '^include/pipc/base.h:1: include must not'
    fresh; on_top include/pipc/base.h '#include "core/backend.h"'
    expect "a public header includes core" '^include/pipc/base.h:1: include must not include core/backend.h'
    fresh; : >"$copy/$model/own.h"; on_top core/backend.h "#include \"$model/own.h\""
    expect "core includes a backend" "^core/backend.h:1: core must not include $model/own.h"
    fresh; : >"$copy/$model/own.h"; on_top "$other/memory.c" "#include \"../$model/own.h\""
    expect "a backend includes its twin" "^$other/memory.c:1: $other must not include $model/own.h"
    fresh; : >"$copy/core/inner.h"; on_top "$model/memory.c" '#include "core/inner.h"'
    expect "a backend includes more of core than the contract" "^$model/memory.c:1: $model must not include core/inner.h"
    fresh; : >"$copy/$model/own.h"; echo "#include \"$model/own.h\"" >"$copy/tests/new_test.c"
    expect "a test includes a backend" "^tests/new_test.c:1: tests must not include $model/own.h"
    fresh; echo '#include <mqueue.h>' >"$copy/tests/new_test.c"
    expect "a test includes a kernel header" '^tests/new_test.c:1: tests must not include <mqueue.h>'
    fresh; mkdir -p "$copy/examples"; echo '#include "core/backend.h"' >"$copy/examples/new.c"
    expect "an example includes core" '^examples/new.c:1: examples must not include core/backend.h'
    fresh; mkdir -p "$copy/examples"; echo '#include <sys/msg.h>' >"$copy/examples/new.c"
    expect "an example includes a kernel header" '^examples/new.c:1: examples must not include <sys/msg.h>'
    fresh; on_top tool/pipc.c '#include "core/backend.h"'
    expect "the tool includes core" '^tool/pipc.c:1: tool must not include core/backend.h'
    fresh; on_top bench/systems/queue.c '#include "core/backend.h"'
    expect "the benchmark includes core" '^bench/systems/queue.c:1: bench must not include core/backend.h'
    fresh; on_top tool/pipc.c '#include <sys/shm.h>'
    expect "the tool includes a kernel header" '^tool/pipc.c:1: tool must not include <sys/shm.h>'
    fresh; on_top core/backend.h '#include "nowhere.h"'
    expect "an include that leads nowhere" '^core/backend.h:1: no file of the tree'
}

break_conditionals()
{
    fresh; on_top core/backend.h '#ifdef PIPC_BACKEND_SYSV'
    expect "a condition on a backend" '^core/backend.h:1: a condition on the backend sysv'
    fresh; on_top "$model/memory.c" '#if defined(POSIX)'
    expect "a condition on another backend" "^$model/memory.c:1: a condition on the backend posix"
}

break_twins()
{
    fresh; : >"$copy/$model/extra.c"
    expect "a file that the twin lacks" "^$model/extra.c:1: .* has no file of this name"
    fresh; : >"$copy/$other/extra.c"
    expect "a file that the first twin lacks" "^$other/extra.c:1: .* has no file of this name"
    fresh; : >"$copy/tests/double/extra.c"
    expect "a file of the double that the twins lack" '^tests/double/extra.c:1: .* has no file of this name'
    fresh; printf 'void pipc_be_memory_polish(void)\n{\n}\n' >>"$copy/$other/memory.c"
    expect "a function beyond the contract" "^$other/memory.c:[0-9]*: pipc_be_memory_polish is not in core/backend.h"
    for folder in $(backends); do
        fresh; sed 's/^void pipc_be_memory_close(/static void gone_memory_close(/' "$folder/memory.c" >"$copy/$folder/memory.c"
        expect "a function missing from $folder" "^$folder:0: pipc_be_memory_close is missing"
    done
    fresh; sed 's/pipc_be_memory_map(/swap(/; s/pipc_be_memory_open(/pipc_be_memory_map(/; s/swap(/pipc_be_memory_open(/' \
        "$model/memory.c" >"$copy/$model/memory.c"
    expect "another order" "^$model/memory.c:[0-9]*: .* is not in the order of core/backend.h"
    fresh; printf 'int pipc_be_queue_polish(void);\n' >>"$copy/core/backend.h"
    expect "a promise of the contract that no backend keeps" "^$model:0: pipc_be_queue_polish is missing"
    fresh; mv "$copy/$other/kernel_queue.c" "$workshop/part"; cat "$workshop/part" >>"$copy/$other/memory.c"; : >"$copy/$other/kernel_queue.c"
    expect "the same functions in other files" "^$other:0: not the same definitions in the same files"
}

break_stems()
{
    fresh; : >"$copy/core/memory.c"
    expect "core and a backend share a stem" "^$model/memory.c:1: core has a file of the same stem"
}

break_sizes()
{
    fresh; { printf 'int f(void)\n{\n'; yes '    ;' | head -n 68; echo '}'; } >>"$copy/core/backend.h"
    expect "a function of 71 lines" '^core/backend.h:[0-9]*: a function of 71 lines'
    fresh; yes '' | head -n 501 >"$copy/tests/long.c"
    expect "a file of 501 lines" '^tests/long.c:501: a file of more than 500 lines'
}

self_test()
{
    workshop=$(mktemp -d)
    trap 'rm -rf -- "$workshop"' EXIT
    copy=$workshop/copy
    model=$(backends | head -n 1)
    other=$(backends | sed -n 2p)
    check=check_arrows
    break_arrows
    check=check_conditionals
    break_conditionals
    check=check_twins
    break_twins
    check=check_stems
    break_stems
    check=check_sizes
    break_sizes
    [ ! -f "$workshop/failed" ]
}

self=false
if [ "${1-}" = --self-test ]; then
    self=true
    shift
fi
cd -- "${1:-$here/..}"
if $self; then
    self_test
    exit
fi
complaints=$(check_all)
if [ -n "$complaints" ]; then
    printf '%s\n' "$complaints"
    exit 1
fi
echo "layers: every arrow points the right way"
