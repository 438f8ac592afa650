# coverage.awk  Adds up lcov exports and judges them by coverage.txt (`rules`), which has lines
#     recovery FILE FUNCTION...            functions that run only after a death or a failure
#     except FILE ## SOURCE LINE ## REASON  a line there whose untaken branches have a reason
# A name or a line there that matches nothing in the files of this export is wrong too: it is stale.
# `root` begins the names of our files; `untaken` is written: every branch of core and the backends not taken.
# A comment at a line's end does not count.
function bare(text) { text = trim(text); sub(/[ \t]*\/\*.*\*\/$/, "", text); return text }

function trim(text) { sub(/^[ \t]+/, "", text); sub(/[ \t]+$/, "", text); return text }

BEGIN {
    while ((getline line < rules) > 0) {
        if (line ~ /^recovery /) {
            count = split(line, word, " ")
            for (i = 3; i <= count; i++) recovery[word[2], word[i]] = 1
        } else if (line ~ /^except /) {
            split(substr(line, 8), part, " ## ")
            excepted[trim(part[1]), bare(part[2])] = 1
        }
    }
}

/^SF:/ {
    file = substr($0, 4)
    ours = index(file, root) == 1
    file = substr(file, length(root) + 1)
    ours = ours && file ~ /^(core|backend_[a-z]+)\//
    next
}
!ours { next }
/^FN:/ {
    split(substr($0, 4), part, ",")
    name = part[2]
    sub(/.*:/, "", name)
    starts[file, part[1]] = name
}
/^DA:/ { split(substr($0, 4), part, ","); lines[file, part[1]] += part[2]; files[file] = 1 }
/^BRDA:/ {
    split(substr($0, 6), part, ",")
    branches[file, part[1], part[2], part[3]] += part[4] == "-" ? 0 : part[4]
    last[file] = last[file] > part[1] + 0 ? last[file] : part[1] + 0
}

# The text of each line, and the function that it stands in.
function read_source(file,    number, line, within) {
    number = 0
    while ((getline line < (root file)) > 0) {
        number++
        if ((file SUBSEP number) in starts) within = starts[file, number]
        source[file, number] = bare(line)
        function_of[file, number] = within
        found[file, within] = 1
        if ((file SUBSEP within) in recovery) found[file, "line", source[file, number]] = 1
    }
    close(root file)
}

# Is this file of a rule in no export of this build (but in the tree), as those of the other backend are?
function is_elsewhere(file,    line, there) {
    if (file in files) return 0
    there = (getline line < (root file)) >= 0
    close(root file)
    return there
}

function find_stale(    key, part) {
    for (key in recovery) {
        split(key, part, SUBSEP)
        if (!(key in found) && !is_elsewhere(part[1]))
            stale[part[1] ": there is no function " part[2]] = 1
    }
    for (key in excepted) {
        split(key, part, SUBSEP)
        if (!((part[1], "line", part[2]) in found) && !is_elsewhere(part[1]))
            stale[part[1] ": no recovery function has the excepted line: " part[2]] = 1
    }
}

END {
    for (file in files) read_source(file)
    for (key in lines) { split(key, part, SUBSEP); all[part[1]]++; hit[part[1]] += lines[key] > 0 }
    for (key in branches) {
        split(key, part, SUBSEP)
        file = part[1]; number = part[2]
        sides[file]++
        taken[file] += branches[key] > 0
        if (branches[key] > 0) continue
        place = file ":" number ": " function_of[file, number] ": " source[file, number]
        missed[place] = 1
        if (((file, function_of[file, number]) in recovery)) {
            if (!((file, source[file, number]) in excepted)) bad[place] = 1
        }
    }
    sorted = "sort -t: -k1,1 -k2,2n"
    for (place in missed) print place | (sorted " >'" untaken "'")
    close(sorted " >'" untaken "'")
    for (file in files) {
        printf "  %-34s lines %4d of %4d, branches %4d of %4d\n", file, hit[file], all[file], taken[file], sides[file] | "sort"
        total += all[file]; total_hit += hit[file]
    }
    close("sort")
    printf "  all: %.1f %% of %d lines\n", total ? 100 * total_hit / total : 0, total
    for (place in bad) { print "  never taken in recovery code, and coverage.txt gives no reason: " place | sorted; wrong++ }
    close(sorted)
    find_stale()
    for (place in stale) { print "  coverage.txt is stale: " place | "sort"; wrong++ }
    close("sort")
    exit wrong > 0 || total == 0 || total_hit < 0.9 * total
}
