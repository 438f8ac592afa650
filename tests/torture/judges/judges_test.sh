#!/bin/sh
# judges_test.sh JUDGES  The judges of the torture rigs must turn red where a figure is bad, and only there: runs each
# test of the executable JUDGES and looks whether it fails as its name says.
set -eu
judges=$1 count=0 wrong=0
for test in $("$judges" --list | sed 's/.*\///'); do
    count=$((count + 1)) colour=green
    "$judges" "$test" >/dev/null 2>&1 || colour=red
    case $test in
    "${colour}_"*) ;;
    *) echo "judges: $test is $colour" && wrong=$((wrong + 1)) ;;
    esac
done
echo "judges: $count figures judged, $wrong of them wrongly"
[ "$count" -gt 0 ] && [ "$wrong" -eq 0 ]
