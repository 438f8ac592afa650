#!/bin/sh
# tool_test.sh PIPC MAKER: the tool, in an IPC namespace of its own, since gc would reap what other tests need.
# MAKER makes what it looks at: tool_maker.c.
# Environment: PIPC_NO_SKIP=1   a skip counts as a failure
set -u
LC_ALL=C
export LC_ALL

if [ "${1-}" != --inside ]; then
    if [ "$(id -u)" -eq 0 ]; then
        set -- unshare --ipc --mount sh "$0" --inside "$@"
    else
        set -- unshare --user --map-root-user --ipc --mount sh "$0" --inside "$@"
    fi
    if ! "$1" "$2" true 2>/dev/null; then
        echo "tool: no private namespace is to be had here"
        [ "${PIPC_NO_SKIP-}" != 1 ] || exit 1
        exit 77
    fi
    exec "$@"
fi
pipc=$2 maker=$3
mount -t tmpfs -o mode=1777 tmpfs /dev/shm || exit 1
work=$(mktemp -d) || exit 1
trap 'rm -rf -- "$work"' EXIT
failures=0

report() # test, pass or fail, what
{
    echo "RESULT|tool|tool/$1|$2|$(printf %s "${3-}" | tr '|\n' '  ')"
    [ "$2" = pass ] || failures=$((failures + 1))
}

run() # arguments...: leaves $work/out, $work/err, $status
{
    status=0
    "$pipc" "$@" >"$work/out" 2>"$work/err" || status=$?
}

holds() # file, pattern: an empty pattern wants an empty file
{
    if [ -z "$2" ]; then [ ! -s "$1" ]; else grep -a -q -- "$2" "$1"; fi
}

expect() # test, status, pattern in the output, pattern in the errors, arguments...
{
    test=$1 wanted=$2 out=$3 err=$4
    shift 4
    run "$@"
    if [ "$status" -eq "$wanted" ] && holds "$work/out" "$out" && holds "$work/err" "$err"; then
        report "$test" pass
    else
        report "$test" fail "pipc $*: status $status, not $wanted; $(cat "$work/out" "$work/err")"
    fi
}

lines() # test, how many lines the output had
{
    count=$(wc -l <"$work/out")
    if [ "$count" -eq "$2" ]; then report "$1" pass; else report "$1" fail "$count lines: $(cat "$work/out")"; fi
}

make() # queue|shm|channel|feed|dead NAME
{
    "$maker" "$@" || report maker fail "could not make $*"
}

is_json()
{
    if command -v python3 >/dev/null 2>&1; then
        python3 -c 'import json, sys; json.load(open(sys.argv[1], encoding="utf-8"))' "$work/out" 2>"$work/why"
    else # at least: brackets around, no byte that may not be there
        head -c 1 "$work/out" | grep -q '\[' && tail -n 1 "$work/out" | grep -q ']$' && ! grep -q '[[:cntrl:]]' "$work/out"
    fi
}

json_is_valid() # test, pattern, arguments...
{
    test=$1 pattern=$2
    shift 2
    run "$@"
    if [ "$status" -eq 0 ] && is_json && grep -a -q -- "$pattern" "$work/out"; then
        report "$test" pass
    else
        report "$test" fail "status $status: $(cat "$work/out" "$work/why")"
    fi
}

# ---- the empty house, and words that it does not know ----

expect an_empty_list_is_empty 0 '' '' list
lines an_empty_list_has_no_head 0
json_is_valid an_empty_list_is_json '^\[\]$' list --json
expect it_helps 0 'usage: pipc list' '' --help
expect it_says_what_it_is 0 '^pipc [0-9.]*, [a-z]* backend' '' --version
expect no_command_is_misuse 2 '' 'command is missing'
expect an_unknown_command_is_misuse 2 '' 'no such command' polish
expect an_unknown_option_is_misuse 2 '' 'try: pipc --help' list --loud
expect a_name_is_wanted 2 '' 'one name is wanted' show
expect one_name_only 2 '' 'one name is wanted' remove a b
expect an_unknown_kind_is_misuse 2 '' 'try: pipc --help' show a --kind pipe
expect gc_takes_no_json 2 '' 'does not take' gc --json
expect what_is_not_there_is_not_shown 1 '' 'no queue, shared memory or channel of this name' show nobody
expect what_is_not_there_is_not_removed 1 '' 'no queue, shared memory or channel of this name' remove nobody
expect an_illegal_name_is_refused 1 '' "byte 1 of the name" remove a/b

# ---- list, show, remove ----

make queue orders
make shm board
make queue both
make shm both
expect a_queue_is_listed 0 '^queue   ready .* 1/4 messages *orders$' '' list
make channel trades
make feed prices
make channel both
expect a_channel_is_listed 0 '^channel ready .* 32/4096 bytes *trades$' '' list
expect memory_is_listed 0 '^shm     ready .* 0 attached *board$' '' list
lines the_list_has_a_head_and_a_line_each 8
json_is_valid the_list_is_json '"name": "orders", "name_hex": "6f7264657273", "kind": "queue", "state": "ready"' list --json
expect one_is_shown 0 '^messages: *1 of 4' '' show orders
expect its_state_is_told 0 '^state: *ready: it is whole' '' show board
json_is_valid one_is_shown_as_json '"mode": "0600".*"max_messages": 4' show orders --json
json_is_valid a_channel_is_listed_as_json '"name": "trades".*"kind": "channel".*"ring": 4096.*"records": 1,.*"delivery": "once"' list --json
expect a_channel_is_shown 0 '^records: *1$' '' show trades
expect its_ring_is_told 0 '^ring: *32 of 4096 bytes in use, a record has 1008 at most$' '' show trades --kind channel
expect subscribers_are_told 0 '^subscribers: *0 of 5; together they missed 0 records$' '' show prices
expect both_kinds_are_shown 0 '^kind: *shm' '' show both
expect one_kind_is_shown 0 '^kind: *queue' '' show both --kind queue
expect who_means_two_is_asked 1 '' 'say which' remove both
expect a_kind_is_removed 0 '' '' remove both --kind shm
expect two_are_still_two 1 '' 'say which' remove both
expect a_channel_is_removed 0 '' '' remove both --kind channel
expect then_the_other_is_meant 0 '' '' remove both
expect gone_is_gone 1 '' 'no queue, shared memory or channel' show both

# ---- names ----

odd=$(printf 'a b\377"\\\302\233\344\275\240')
make queue "$odd"
expect odd_bytes_are_quoted 0 ' "a b\\xff\\x22\\x5c\\xc2\\x9b.*"$' '' list
json_is_valid odd_names_are_valid_json '"name_hex": "612062ff225cc29be4bda0"' list --json
if grep -a -q "$(printf '\302\233')" "$work/out"; then report no_control_reaches_the_terminal fail; else report no_control_reaches_the_terminal pass; fi
expect an_odd_name_is_found 0 '^kind: *queue' '' show "$odd"
expect an_odd_name_is_removed 0 '' '' remove "$odd"
make shm -dash
expect a_name_may_begin_with_a_dash 0 '' '' remove -- -dash

# ---- gc ----

expect whole_ones_are_no_garbage 0 '^0 to be reaped, 0 not ready' '' gc --dry-run
make dead ruin
expect remains_are_listed 0 '^queue   removed .* ruin$' '' list
expect gc_says_why 0 '^garbage queue   ruin: removed: it was removed' '' gc --dry-run
expect a_dry_run_reaps_nothing 0 '^1 to be reaped' '' gc --dry-run
expect gc_reaps 0 '^reaped  queue   ruin: removed: it was removed' '' gc
expect gc_leaves_the_rest 0 '^0 reaped, 0 could not be, 0 not ready and kept$' '' gc
expect what_lives_is_there 0 '1/4 messages *orders$' '' list
if "$pipc" list >/dev/full 2>"$work/err"; then report a_full_disk_is_a_failure fail; else report a_full_disk_is_a_failure pass; fi
run remove orders
run remove board
run remove trades
run remove prices
expect nothing_is_left 0 '' '' list
lines nothing_is_left_in_the_list 0
[ "$failures" -eq 0 ]
