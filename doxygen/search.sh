#!/bin/sh
# Makes the manual's search find any part of a name: search.sh HTML_DIR.
# Doxygen's own search looks only for beginnings and splits its index by first letters; every name of
# ours begins with pipc_. So each section's index becomes one file and its script looks everywhere in it.
set -eu
cd "$1/search"

sections=$(sed -n '/indexSectionNames/,/};/s/^ *[0-9]*: "\([a-z]*\)".*/\1/p' searchdata.js)
for section in $sections; do
    count=0
    : >merged
    while file=${section}_$(printf %x "$count").js && [ -f "$file" ]; do
        sed -n 's/^\(  \[.*\]\),*$/\1,/p' "$file" >>merged
        count=$((count + 1))
    done
    { echo 'var searchData='; echo '['; sed '$s/,$//' merged; echo '];'; } >"${section}_0.js"
done
rm -f merged

sed -e 's/= indexSectionsWithContent\[this\.searchIndex\]\.indexOf(idxChar);/= 0;/' \
    -e 's/rowMatchName\.substr(0, search\.length)==search/rowMatchName.indexOf(search)!=-1/' search.js >patched
if [ "$(grep -c -e 'var idx = 0;' -e 'rowMatchName\.indexOf(search)' patched)" != 2 ]; then
    rm -f patched
    echo "search: this doxygen's search.js is not the one that search.sh knows" >&2
    exit 1
fi
mv patched search.js
