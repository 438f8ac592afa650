# Ends well if its input is one JSON value (RFC 8259, without a look at what escapes mean).
{ text = text $0 "\n" }

END {
    at = 1
    value()
    blank()
    if (at <= length(text)) bad("something behind the value")
    exit wrong
}

function bad(what)
{
    if (!wrong) print "json: " what " at byte " at
    wrong = 1
    at = length(text) + 1
}

function blank()
{
    while (at <= length(text) && substr(text, at, 1) ~ /[ \t\r\n]/) at++
}

function take(pattern,   rest)
{
    rest = substr(text, at, 4096)
    if (!match(rest, "^(" pattern ")")) return 0
    at += RLENGTH
    return 1
}

function value(   first)
{
    blank()
    first = substr(text, at, 1)
    if (first == "{") members("}", 1)
    else if (first == "[") members("]", 0)
    else if (first == "\"") string()
    else if (!take("-?(0|[1-9][0-9]*)([.][0-9]+)?([eE][-+]?[0-9]+)?") && !take("true|false|null")) bad("no value")
}

function string()
{
    if (!take("\"([^\"\\\\]|\\\\.)*\"")) bad("no string")
}

function members(end, named)
{
    at++
    blank()
    if (substr(text, at, 1) == end) { at++; return }
    while (!wrong) {
        if (named) { blank(); string(); blank(); if (substr(text, at, 1) != ":") bad("no colon"); at++ }
        value()
        blank()
        if (substr(text, at, 1) == end) { at++; return }
        if (substr(text, at, 1) != ",") bad("no comma")
        at++
    }
}
