#!/bin/sh
# Builds the manual: doxygen/build.sh [OUTPUT_DIR]   (default: build/docs/html in the source tree)
# Any warning of doxygen, an undocumented symbol or a broken link makes it fail.
# PIPC_AWESOME may name the folder of doxygen-awesome-css, if it is not Debian's.
set -eu

here=$(cd "$(dirname "$0")" && pwd)
PIPC_ROOT=$(dirname "$here")
PIPC_DOCS=${1:-$PIPC_ROOT/build/docs/html}
PIPC_AWESOME=${PIPC_AWESOME:-/usr/share/doxygen-awesome-css}
PIPC_VERSION=$(awk '/define PIPC_VERSION_/ { v = v d $3; d = "." } END { print v }' "$PIPC_ROOT/include/pipc/base.h")
export PIPC_DOCS PIPC_AWESOME PIPC_VERSION

fail() {
    echo "docs: $*" >&2
    exit 1
}

command -v doxygen >/dev/null || fail "doxygen is missing (Debian: apt-get install doxygen graphviz)"
command -v dot >/dev/null || fail "dot is missing (Debian: apt-get install graphviz)"
[ -f "$PIPC_AWESOME/doxygen-awesome.css" ] ||
    fail "doxygen-awesome-css is not in $PIPC_AWESOME (Debian: apt-get install doxygen-awesome-css)"

mkdir -p "$PIPC_DOCS"
PIPC_DOCS=$(cd "$PIPC_DOCS" && pwd)
if [ -f "$PIPC_DOCS/doxygen.css" ]; then # an earlier manual: pages that are gone must not look alive
    rm -rf "$PIPC_DOCS/search"
    rm -f "$PIPC_DOCS"/*.html "$PIPC_DOCS"/*.js
fi
cd "$PIPC_ROOT"
doxygen doxygen/Doxyfile || fail "doxygen found faults, see above"
sh doxygen/search.sh "$PIPC_DOCS" || fail "the search could not be prepared"
sh doxygen/check.sh "$PIPC_DOCS" || fail "the manual has faults, see above"
echo "docs: $PIPC_DOCS/index.html"
