#!/bin/sh
# programs_test.sh FOLDER: runs the example programs that lie in FOLDER and compares what they print,
# byte for byte, and how they end. A program that hangs is ended after 20 seconds.
set -u
LC_ALL=C
export LC_ALL

programs=$1
run=pipc-programs.$$
scratch=$(mktemp -d)
trap 'rm -rf -- "$scratch"' EXIT
cd -- "$scratch" || exit 1
failures=0

program() # name words...: one program, with a limit
{
    name=$1
    shift
    timeout -k 2 20 "$programs/$name" "$@"
}

at_rest() # process: waits until it catches SIGTERM and sleeps, at three looks in a row; at most half a minute
{
    looks=0 tries=0
    while [ $looks -lt 3 ] && [ $tries -lt 300 ]; do
        sleep 0.1
        tries=$((tries + 1)) looks=$((looks + 1))
        grep -q '^State:[[:space:]]*S' "/proc/$1/status" &&
            grep -q '^SigCgt:.*[4-7c-f][0-9a-f][0-9a-f][0-9a-f]$' "/proc/$1/status" || looks=0
    done
}

stop_soon() # name words...: starts a program that waits, stops it when it does, answers its status
{
    name=$1
    shift
    "$programs/$name" "$@" >out 2>err &
    waiting=$!
    at_rest "$waiting"
    kill -TERM "$waiting"
    wait "$waiting"
}

check() # promise, test name, expected status, status, files that must be equal in pairs...
{
    promise=$1 test=$2 reason=
    [ "$3" = "$4" ] || reason="exit status $4, not $3"
    shift 4
    while [ $# -ge 2 ]; do
        cmp -s -- "$1" "$2" || reason="$reason; $2 holds: $(tr '\n|' '  ' <"$2")"
        shift 2
    done
    word=pass
    [ -z "$reason" ] || word=fail failures=$((failures + 1))
    echo "RESULT|$promise|programs/$test|$word|$reason"
}

# ---- chat ----

printf '新消息:hello\n新消息:你好\n新消息:exit\n结束聊天\n' >chat.expected
printf 'hello\n你好\nexit\n' >chat.input
: >nothing

chat_forked()
{
    program chat <chat.input >out 2>err
    check course chat_prints_every_line_and_ends 0 $? chat.expected out nothing err

    printf 'hello\n你好' | program chat >out 2>err
    check course chat_takes_end_of_input_as_exit 0 $? chat.expected out nothing err

    printf 'exit now\nnever\n' | program chat >out 2>err
    status=$?
    printf '新消息:exit now\n结束聊天\n' >expected
    check course chat_ends_with_what_begins_with_exit 0 $status expected out

    program chat </dev/null >out 2>err
    status=$?
    printf '新消息:exit\n结束聊天\n' >expected
    check course chat_without_input_ends 0 $status expected out

    printf '\n exit\nexi\n' | program chat >out 2>err
    status=$?
    printf '新消息:\n新消息: exit\n新消息:exi\n新消息:exit\n结束聊天\n' >expected
    check course chat_sends_empty_and_nearly_exit_lines 0 $status expected out
}

chat_long_lines()
{
    line=$(printf '%0256d' 0)
    printf '%s\nexit\n' "$line" | program chat >out 2>err
    status=$?
    printf '新消息:%s\n新消息:exit\n结束聊天\n' "$line" >expected
    check course chat_passes_a_line_of_256_bytes 0 $status expected out nothing err

    printf '%s1\n好\nexit\n' "$line" | program chat >out 2>err
    status=$?
    printf '新消息:好\n新消息:exit\n结束聊天\n' >expected
    grep -q 'not sent.*257' err || status="no refusal of 257 bytes on standard error"
    check course chat_refuses_a_line_of_257_bytes_whole 0 "$status" expected out

    seq 1 2000 >numbers
    { sed 's/^/新消息:/' numbers; printf '新消息:exit\n结束聊天\n'; } >expected
    program chat <numbers >out 2>err
    check course chat_keeps_2000_lines_in_order 0 $? expected out nothing err
}

chat_apart()
{
    program chat --send "$run.a" <chat.input >sent 2>err
    status=$?
    program chat --receive "$run.a" >out 2>>err
    check course chat_sender_first_then_receiver 0 "$((status + $?))" chat.expected out nothing sent nothing err

    program chat --receive "$run.b" >out 2>err &
    receiver=$!
    sleep 0.3
    program chat --send "$run.b" <chat.input >sent 2>>err
    status=$?
    wait "$receiver"
    check course chat_receiver_first_then_sender 0 "$((status + $?))" chat.expected out nothing sent nothing err

    # Both removed their queue: a receiver that comes now finds nothing to print.
    stop_soon chat --receive "$run.a"
    check course chat_leaves_no_message_behind 1 $? nothing out nothing err
    stop_soon chat --receive "$run.b"
    check course chat_receiver_ends_when_stopped 1 $? nothing out nothing err
}

chat_stopped()
{
    mkfifo input
    "$programs/chat" <./input >out 2>err &
    parent=$!
    exec 3>./input
    echo hello >&3
    tries=0
    while ! grep -q hello out && [ $((tries += 1)) -lt 300 ]; do
        sleep 0.1
    done
    at_rest "$parent"
    kill -TERM "$parent"
    wait "$parent"
    status=$?
    exec 3>&-
    printf '新消息:hello\n新消息:exit\n结束聊天\n' >expected
    check course chat_ends_in_order_when_stopped 0 $status expected out
}

# ---- memory ----

addresses_and() # line: what the memory program prints, addresses masked and sorted
{
    printf '主进程访问共享内存的地址:0x\n子进程访问共享内存的地址:0x\n' | sort
    printf '%s\n' "$1"
}

masked() # file: its two address lines, masked and sorted, then the rest
{
    sed -n '1,2s/:0x[0-9a-f][0-9a-f]*$/:0x/p' "$1" | sort
    sed 1,2d "$1"
}

memory_forked()
{
    program memory >out 2>err
    status=$?
    addresses_and 检查共享数据成功:4088 >expected
    masked out >plain
    check course memory_checks_every_byte 0 $status expected plain nothing err

    for place in 0 2044 4087; do
        program memory --spoil $place >out 2>err
        status=$?
        addresses_and 检查共享数据失败:0x2a >expected
        masked out >plain
        check course "memory_tells_a_wrong_byte_at_$place" 1 $status expected plain
    done

    program memory --spoil 4088 >out 2>err
    check course memory_refuses_a_place_beyond_the_body 2 $? nothing out
}

memory_apart()
{
    program memory --write "$run.c" >out 2>err
    status=$?
    program memory --check "$run.c" >>out 2>>err
    status=$((status + $?))
    addresses_and 检查共享数据成功:4088 >expected
    masked out >plain
    check course memory_writer_first_then_checker 0 $status expected plain nothing err

    program memory --check "$run.d" >checked 2>err &
    checker=$!
    sleep 0.3
    program memory --write "$run.d" >out 2>>err
    status=$?
    wait "$checker"
    status=$((status + $?))
    cat checked >>out
    masked out >plain
    check course memory_checker_first_then_writer 0 $status expected plain nothing err

    program memory --write "$run.e" --spoil 7 >out 2>err
    status=$?
    program memory --check "$run.e" >>out 2>>err
    status=$status$?
    addresses_and 检查共享数据失败:0x2a >expected
    masked out >plain
    check course memory_checker_tells_a_wrong_byte 01 $status expected plain

    # The checker removed the memory: one that comes now waits, and removes its own when stopped.
    stop_soon memory --check "$run.c"
    status=$?
    echo '子进程访问共享内存的地址:0x' >expected
    masked out >plain
    check course memory_checker_ends_when_stopped 1 $status expected plain nothing err
}

# ---- the others ----

others()
{
    program work_queue >out 2>err
    status=$?
    echo '12 jobs, 3 workers, sum of squares 650' >expected
    check examples work_queue_does_every_job 0 $status expected out nothing err

    program board >out 2>err
    status=$?
    echo '2 of 2 readers saw reading 5' >expected
    check examples board_shows_the_last_reading 0 $status expected out nothing err

    program frames >out 2>err
    status=$?
    echo '200 of 200 frames, all in place' >expected
    check examples frames_are_filled_and_seen_in_place 0 $status expected out nothing err

    program ticker >out 2>err
    status=$?
    echo '3 of 3 subscribers saw all prices, or know how many they missed' >expected
    check examples ticker_reaches_every_subscriber 0 $status expected out nothing err

    program chat --nonsense >out 2>err
    check examples chat_refuses_unknown_words 2 $? nothing out
    program memory --nonsense >out 2>err
    check examples memory_refuses_unknown_words 2 $? nothing out
}

chat_forked
chat_long_lines
chat_apart
chat_stopped
memory_forked
memory_apart
others
[ "$failures" -eq 0 ]
