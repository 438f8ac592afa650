#!/bin/sh
# readme_test.sh: the example in both READMEs is examples/readme.c to the letter, and every file or
# command that they name exists.
set -eu
LC_ALL=C
export LC_ALL
cd -- "$(dirname -- "$0")/.."

status=0
report() # test, pass or fail, reason
{
    echo "RESULT|docs|readme/$1|$2|${3-}"
    [ "$2" = pass ] || status=1
}

example() # file: its first block of C
{
    awk '/^```c$/ { on = 1; next } /^```$/ { if (on) exit } on' "$1"
}

paths() # file: what it links to inside the tree
{
    grep -o '](\([^)#:]*\))' "$1" | sed 's/^](//;s/)$//'
}

shape() # file: its headings, table rows and code marks, without their words
{
    sed -n 's/^\(#*\) .*/\1/p; s/^|.*/|/p; s/^```.*/`/p' "$1" | grep .
}

if [ "$(shape README.md)" = "$(shape README.zh-CN.md)" ]; then
    report both_languages_have_the_same_parts pass
else
    report both_languages_have_the_same_parts fail "headings, table rows or code blocks differ"
fi
for file in README.md README.zh-CN.md; do
    if example "$file" | cmp -s - examples/readme.c; then
        report "$file"_shows_the_compiled_example pass
    else
        report "$file"_shows_the_compiled_example fail "differs from examples/readme.c"
    fi
    gone=$(paths "$file" | while read -r path; do [ -e "$path" ] || printf '%s ' "$path"; done)
    if [ -z "$gone" ]; then
        report "$file"_links_only_to_what_is_there pass
    else
        report "$file"_links_only_to_what_is_there fail "no such file: $gone"
    fi
    unknown=$(grep -o '^ *\./dev [a-z]*' "$file" | awk '{ print $2 }' | sort -u | while read -r word; do
        ./dev help | grep -q "dev $word" || printf '%s ' "$word"
    done)
    if [ -z "$unknown" ]; then
        report "$file"_names_only_commands_of_dev pass
    else
        report "$file"_names_only_commands_of_dev fail "dev help does not know: $unknown"
    fi
done
exit $status
