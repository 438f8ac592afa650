# Doxygen reads error.h through this filter. It remembers the lines X(NAME, number, "text") and puts
# a documented enumerator for each where the enum uses the list, so that the list stays the only one.
# Every enumerator refers to the section error_NAME of the page "Errors": a missing one is an error.
/^ *X\([A-Z_]+, [0-9]+, ".*"\)/ {
    split($0, part, "\"")
    match($0, /\([A-Z_]+, [0-9]+/)
    split(substr($0, RSTART + 1, RLENGTH - 1), head, ", ")
    count++
    enumerator[count] = "    PIPC_E_" head[1] " = " head[2] ", /**< " part[2] "; see @ref error_" head[1] \
        " \"meaning and remedy\". */"
}
/^#(define|undef) PIPC_ERROR_ENUMERATOR/ { print ""; next }
/^ *PIPC_ERRORS\(PIPC_ERROR_ENUMERATOR\)/ {
    # One line, so that line numbers in warnings stay true.
    for (i = 1; i <= count; i++) printf "%s", enumerator[i]
    print ""
    next
}
{ print }
