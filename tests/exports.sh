#!/bin/sh
# exports.sh LIBRARY [INCLUDE]: fails unless the shared library exports exactly the functions that
# the public headers mark with PIPC_API: nothing of the insides, nothing forgotten.
set -eu
LC_ALL=C
export LC_ALL

library=$1
include=${2:-$(CDPATH='' cd -- "$(dirname -- "$0")/../include" && pwd)}
scratch=$(mktemp -d)
trap 'rm -rf -- "$scratch"' EXIT

# The name is the last word before the first parenthesis of a marked declaration.
cat -- "$include"/pipc/*.h | sed -n 's/^PIPC_API [^(]*[ *]\([a-z_0-9]*\)(.*/\1/p' | sort >"$scratch/declared"
[ -s "$scratch/declared" ] || { echo "no declaration found under $include" >&2; exit 1; }

nm -D --defined-only -- "$library" | awk '$2 != "A" { sub(/@.*/, "", $3); print $3 }' | sort >"$scratch/exported"

extra=$(comm -13 "$scratch/declared" "$scratch/exported")
lacking=$(comm -23 "$scratch/declared" "$scratch/exported")
for name in $extra; do
    echo "$library: exports $name, which no public header declares" >&2
done
for name in $lacking; do
    echo "$library: does not export $name, which a public header declares" >&2
done
[ -z "$extra$lacking" ] || exit 1
echo "exports: $(wc -l <"$scratch/declared") functions, as declared"
