#!/bin/sh
# Looks for what doxygen does not warn of: check.sh HTML_DIR, started at the top of the source tree.
# - links that lead nowhere, in pages and in the navigation
# - public symbols that the manual does not list, enumerators without a text
# - names of pipc in the pages that do not exist
# - pieces of the examples that the pages show and that are gone
set -eu
html=$1
# Every href must lead to a file that is there, every #anchor in it to an id or name in that file.
broken_links() (
    cd "$html"
    awk '
    {
        line = $0
        while (match(line, /(href|id|name)="[^"]*"|url:"[^"]*"|"[a-zA-Z0-9_]+\.html(#[^"]*)?"/)) {
            item = substr(line, RSTART, RLENGTH)
            line = substr(line, RSTART + RLENGTH)
            value = item
            sub(/^[a-z]*[=:]?"/, "", value)
            sub(/"$/, "", value)
            if (item ~ /^(id|name)=/) anchor[FILENAME "#" value] = 1
            else if (value !~ /^([a-z]+:|$)/) link[FILENAME "\t" value] = 1
        }
        seen[FILENAME] = 1
    }
    END {
        for (l in link) {
            split(l, part, "\t")
            target = part[2]
            if (target ~ /^#/) target = part[1] target
            file = target
            sub(/#.*/, "", file)
            if (!(file in seen)) {
                if ((getline text < file) < 0) print part[1] ": no file " target
                close(file)
            } else if (target ~ /#./ && target !~ /#index_/ && !(target in anchor)) {
                print part[1] ": no anchor " target
            }
        }
    }' ./*.html menudata.js navtreedata.js | sed 's|^\./||'
)

# Every name of ours in the public headers, without include guards and the X-macro's helper.
public_symbols() {
    for header in include/pipc/*.h; do
        awk -f doxygen/errors.awk "$header"
    done | sed 's|/\*\*<.*\*/||; s|//.*||' |
        awk '/\/\*/ { comment = 1 } !comment { print } /\*\// { comment = 0 }' |
        grep -o -w -E '(pipc|PIPC)_[A-Za-z0-9_]+' | grep -v -E '^PIPC_[A-Z]+_H$|^PIPC_ERROR_ENUMERATOR$' | sort -u
}

unlisted_symbols() {
    public_symbols | while read -r symbol; do
        grep -q -F "['$symbol'," "$html"/search/all_*.js || echo "$symbol: not in the manual"
    done
}

silent_enumerators() {
    grep -l -E '<td class="fielddoc"></td>|<td class="fielddoc"> *$' "$html"/*.html | sed 's/$/: an enumerator without a text/'
}

# A function that exists is a link; a macro or enumerator that does not is left as "::PIPC_...".
unknown_names() {
    for page in "$html"/*.html; do
        case $page in */backend_contract.html | *_source.html) continue ;; esac
        sed 's/ title="[^"]*"//g; s/<div class="ttdoc">[^<]*//g; s/<span class="comment">[^<]*//g' "$page" |
            grep -o -E '(^|[^>a-z_])pipc_[a-z_]+\(\)|(::|#)PIPC_[A-Z_]+' | sed "s|^|${page##*/}: not found: |"
    done
}

# The pages show pieces of the examples from a line that contains one text to a line that contains another.
lost_pieces() {
    awk '
    FNR == 1 { file = "" }
    $1 == "\\dontinclude" { file = "examples/" $2 }
    $1 == "\\skipline" || $1 == "\\until" {
        wanted = substr($0, index($0, " ") + 1)
        found = 0
        while ((getline line < file) > 0) if (index(line, wanted)) found = 1
        close(file)
        if (!found) print FILENAME ":" FNR ": no line of " file " contains: " wanted
    }' doxygen/pages/*.md
}

complaints=$(broken_links; unlisted_symbols; silent_enumerators; unknown_names; lost_pieces)
[ -z "$complaints" ] || {
    printf '%s\n' "$complaints" >&2
    exit 1
}
