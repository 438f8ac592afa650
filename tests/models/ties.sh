#!/bin/sh
# ties.sh  The ties between the models and the code, both ways. The code says "model: MODEL.pml, LABEL" (several are
# divided by ";") at the lines that a model stands for: the model must have a LABEL (an inline, a process, a label or a
# function that it names). A model's comments name the code's functions with "()": each must have such a tie within.
set -eu

here=$(CDPATH='' cd -- "$(dirname -- "$0")" && pwd)
root=$(CDPATH='' cd -- "$here/../.." && pwd)
cd -- "$root"

# Ties of the code: FILE:LINE FUNCTION MODEL LABEL. A function begins in the first column, and ends with "}" there.
ties()
{
    awk '
        /^[a-z].*\(/ && !/;$/ { function_name = $0; sub(/\(.*/, "", function_name); sub(/.*[ *]/, "", function_name) }
        /\/\* model: / {
            text = $0; sub(/.*\/\* model: /, "", text); sub(/ \*\/.*/, "", text)
            count = split(text, parts, "; ")
            for (i = 1; i <= count; i++) {
                split(parts[i], tie, ", ")
                print FILENAME ":" FNR, function_name == "" ? "-" : function_name, tie[1], tie[2] == "" ? "-" : tie[2]
            }
        }
        /^}/ || FNR == 1 { function_name = "" }' core/*.[ch] backend_*/*.[ch]
}

# Functions that the comments of a model name.
named() # model
{
    tr '\n' ' ' <"$here/$1" | sed 's/\*\//&\n/g' | sed -n 's/.*\/\*//p' | grep -o '[a-z_]*()' | tr -d '()' | sort -u
}

work=$(mktemp -d)
trap 'rm -rf -- "$work"' EXIT
ties >"$work/ties"
loose=0
lose() # what...
{
    echo "ties: $*"
    loose=$((loose + 1))
}

while read -r place _ model label; do
    if [ ! -f "$here/$model" ]; then
        lose "$place: there is no model $model"
    elif ! grep -qE "(^|[^A-Za-z_])$label(\(|:)" "$here/$model"; then
        lose "$place: $model has no $label"
    fi
done <"$work/ties"
for path in "$here"/*.pml; do
    model=${path##*/}
    grep -q " $model " "$work/ties" || lose "no line of the code is tied to $model"
    for name in $(named "$model"); do
        grep -qF " $name $model " "$work/ties" || lose "$model names $name(): no function called so has a tie to it"
    done
done
echo "ties: $(wc -l <"$work/ties" | tr -d ' ') lines of the code are tied to the models, $loose ties are loose"
[ $loose -eq 0 ]
