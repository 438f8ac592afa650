#!/bin/sh
# embed_test.sh BACKEND FOLDER: builds and runs a project outside the tree that uses pipc, in C and C++,
# through add_subdirectory, FetchContent, the installed CMake package and pkg-config, static and shared. The install
# prefix is moved, and the build that filled it deleted, before anybody uses it. FOLDER is for scratch.
set -u
LC_ALL=C
export LC_ALL

backend=$1
here=$(CDPATH='' cd -- "$(dirname -- "$0")" && pwd)
source=$here/../..
work="$2 $$" # a space, and a folder of its own for each run
cmake=${CMAKE:-cmake}
cc=${CC:-cc}
# shellcheck disable=SC2034 # used where pkg-config's flags are evaluated
cxx=${CXX:-c++}
name=pipc-embed.$$
failures=0

rm -rf -- "$work"
mkdir -p -- "$work/outside" || exit 1
trap 'rm -rf -- "$work"' EXIT
cp -- "$here"/CMakeLists.txt "$here"/consumer.* "$work/outside/" || exit 1

report() # test, status
{
    if [ "$2" -eq 0 ]; then
        echo "RESULT|embedding|embed/$1|pass|"
    else
        echo "RESULT|embedding|embed/$1|fail|see the output above"
        failures=$((failures + 1))
    fi
}

quiet() # command...: its output only if it failed
{
    "$@" >"$work/log" 2>&1 && return 0
    echo "failed: $*"
    cat -- "$work/log"
    return 1
}

run_both() # folder: the consumer in C and in C++
{
    quiet "$1/consumer_c" "$backend" "$name.c" && quiet "$1/consumer_cpp" "$backend" "$name.cpp"
}

build() # source, build folder, options...
{
    from=$1 to=$2
    shift 2
    quiet "$cmake" -S "$from" -B "$to" -DCMAKE_C_COMPILER="$cc" -DPIPC_BACKEND="$backend" "$@" &&
        quiet "$cmake" --build "$to" --parallel 2
}

install_and_move() # link, ON or OFF: leaves the prefix in "$work/moved here $link"
{
    build "$source" "$work/lib" -DBUILD_SHARED_LIBS="$2" -DCMAKE_INSTALL_PREFIX="$work/prefix" \
        -DPIPC_BUILD_TESTS=OFF -DPIPC_BUILD_EXAMPLES=OFF &&
        quiet "$cmake" --install "$work/lib" &&
        mv -- "$work/prefix" "$work/moved here $1" &&
        rm -rf -- "${work:?}/lib"
}

as_package() # link
{
    build "$work/outside" "$work/package" -DHOW=package -DCMAKE_PREFIX_PATH="$work/moved here $1" &&
        run_both "$work/package"
    status=$?
    rm -rf -- "$work/package"
    return $status
}

as_pkg_config() # link
{
    pc=$(find "$work/moved here $1" -name pipc.pc)
    library=$(dirname -- "$(dirname -- "$pc")")
    flags=$(PKG_CONFIG_PATH=$(dirname -- "$pc") pkg-config --cflags --libs pipc) || return 1
    mkdir -p -- "$work/pc"
    # pkg-config quotes for a shell to read
    eval "quiet \"\$cc\" -std=c99 -Wall -Wextra -Werror -o \"\$work/pc/consumer_c\" \"\$work/outside/consumer.c\" $flags" &&
        eval "quiet \"\$cxx\" -std=c++11 -Wall -Wextra -Werror -o \"\$work/pc/consumer_cpp\" \"\$work/outside/consumer.cpp\" $flags" &&
        (LD_LIBRARY_PATH=$library && export LD_LIBRARY_PATH && run_both "$work/pc")
}

in_its_tree() # subdirectory or fetch, ON or OFF
{
    build "$work/outside" "$work/sub" -DHOW="$1" -DPIPC_SOURCE="$source" -DBUILD_SHARED_LIBS="$2" &&
        run_both "$work/sub"
    status=$?
    rm -rf -- "$work/sub"
    return $status
}

links_as_said() # link: the consumer needs libpipc.so if shared, and only then
{
    needed=$(readelf -d "$work/pc/consumer_c" 2>/dev/null | grep -c 'NEEDED.*libpipc')
    [ "$needed" -eq "$([ "$1" = shared ] && echo 1 || echo 0)" ]
}

tool_is_there() # link: the program works from where the prefix was moved to
{
    "$work/moved here $1/bin/pipc" --version | grep -q " $backend backend"
}

for link in static shared; do
    on=OFF
    [ "$link" = static ] || on=ON
    install_and_move "$link" "$on"
    report "installs_and_moves_$link" $?
    tool_is_there "$link"
    report "tool_is_installed_$link" $?
    as_package "$link"
    report "cmake_package_$link" $?
    as_pkg_config "$link"
    report "pkg_config_$link" $?
    links_as_said "$link"
    report "consumer_is_linked_$link" $?
    in_its_tree subdirectory "$on"
    report "add_subdirectory_$link" $?
    in_its_tree fetch "$on"
    report "fetch_content_$link" $?
done
[ "$failures" -eq 0 ]
