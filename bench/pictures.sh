#!/bin/sh
# pictures.sh JSON FOLDER  Draws what `./dev bench --json JSON` measured: trip.svg, flow.svg, crowd.svg in FOLDER.
set -eu
LC_ALL=C
export LC_ALL

here=$(CDPATH='' cd -- "$(dirname -- "$0")" && pwd)
[ $# -eq 2 ] || { echo "usage: pictures.sh JSON FOLDER" >&2; exit 2; }
command -v gnuplot >/dev/null || { echo "pictures: gnuplot is missing (Debian: apt-get install gnuplot-nox)" >&2; exit 1; }
json=$1
mkdir -p -- "$2"
folder=$(CDPATH='' cd -- "$2" && pwd)
data=$(mktemp -d)
trap 'rm -rf -- "$data"' EXIT

# The survey's trials, one a line: title|runner|system|ns|p50|p99, medians over the rounds.
awk '
    function text(key,   rest) {
        if (!match($0, "\"" key "\": \"[^\"]*\"")) return ""
        rest = substr($0, RSTART, RLENGTH)
        sub(/^"[^"]*": "/, "", rest); sub(/"$/, "", rest)
        return rest
    }
    function median(key,   list, n, i, j, kept) {
        if (!match($0, "\"" key "\": \\[[^]]*\\]")) return 0
        list = substr($0, RSTART, RLENGTH)
        sub(/^[^[]*\[/, "", list); sub(/\]$/, "", list)
        n = split(list, value, /, /)
        for (i = 2; i <= n; i++)
            for (j = i; j > 1 && value[j] + 0 < value[j - 1] + 0; j--) { kept = value[j]; value[j] = value[j - 1]; value[j - 1] = kept }
        return value[int((n + 1) / 2)]
    }
    /^{"title": / && median("ns") { print text("title") "|" text("runner") "|" text("system") "|" median("ns") "|" median("p50") "|" median("p99") }
' "$json" >"$data/trials"

functions='
function name(runner, lane) {
    sub(/,size=8/, "", lane)
    sub(/,sleep=1/, " asleep", lane)
    return (lane ~ /^(queue|channel)/) ? "pipc " lane ", " runner : lane
}
function keep(label, row) {
    if (!(label in rows)) order[++count] = label
    rows[label] = rows[label] row "\n"
}
function tell_blocks(   i) {
    for (i = 1; i <= count; i++) printf "%s\"%s\"\n%s", (i > 1 ? "\n\n" : ""), order[i], rows[order[i]]
}'

# Round trips of 64 B: name, p50, p99; the quickest first.
awk -F '|' "$functions"'
    $1 == "round trip, 64 B, 2 cores" { print $5 "|\"" name($2, $3) "\"|" $6 }' "$data/trials" |
    sort -t '|' -n | awk -F '|' '{ print $2, $1 / 1000, $3 / 1000 }' >"$data/trip"

# One way: a block for each system of size, bytes a nanosecond.
awk -F '|' "$functions"'
    $1 ~ /^one way, [0-9]+ B, 2 cores$/ && $1 !~ / 8000 B/ { split($1, word, " "); keep(name($2, $3), word[3] " " word[3] / $4) }
    END { tell_blocks() }' "$data/trials" >"$data/flow"

# Pairs of processes: a block for each system of processes, million messages a second.
awk -F '|' "$functions"'
    $1 ~ /^[0-9]+ processes in pairs/ { split($1, word, " "); keep(name($2, $3), word[1] " " 1000 / $4) }
    END { tell_blocks() }' "$data/trials" >"$data/crowd"

machine=$(sed -n '1s/^{"machine": "\(.*\)", *$/\1/p' "$json" | sed 's/\\"/ /g')
for picture in trip flow crowd; do
    [ -s "$data/$picture" ] || { echo "pictures: nothing for $picture.svg was measured" >&2; continue; }
    gnuplot -e "machine='$(printf %s "$machine" | tr "'_" '  ')'; data='$data/$picture'; set output '$folder/$picture.svg'" \
        "$here/pictures/$picture.gp"
    echo "$folder/$picture.svg"
done
