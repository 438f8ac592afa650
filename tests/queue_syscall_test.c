/* System calls: a plain send and a plain receive make exactly one each, and it is the kernel queue's own. */
#define _GNU_SOURCE
#include "support_queue.h"

#include <errno.h>
#include <signal.h>
#include <string.h>
#include <sys/ptrace.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#include "probe.h"

enum { CALLS = 20, MOST = 200 };

#define MARKER SYS_getppid /* the child makes it between the parts, and pipc never does */

/* The three parts of the child's life, told apart by markers: warm-up, sends, receives. */
static int run_plain_calls(void *argument)
{
    struct queue_got got;
    for (unsigned i = 0; i < 3; i++) {
        REQUIRE_OK(queue_send(argument, 1, 0, i, 64, PIPC_FOREVER));
        REQUIRE_OK(queue_receive(argument, pipc_any(), &got, PIPC_FOREVER));
    }
    if (ptrace(PTRACE_TRACEME, 0, NULL, NULL) < 0)
        return 1;
    raise(SIGSTOP);
    syscall(MARKER);
    for (unsigned i = 0; i < CALLS; i++) {
        int sent = queue_send(argument, 1, i % 32, i, 64, PIPC_FOREVER);
        syscall(MARKER);
        int received = sent ? sent : queue_receive(argument, pipc_any(), &got, PIPC_FOREVER);
        syscall(MARKER);
        if (received)
            return 2;
    }
    return 0;
}

/* Fills `numbers` with the system calls that the child makes between its first marker and its last. */
static unsigned trace(pid_t child, uint64_t *numbers)
{
    unsigned count = 0, markers = 0;
    int status = 0;
    REQUIRE(waitpid(child, &status, 0) == child);
    if (!WIFSTOPPED(status))
        test_skip("ptrace(PTRACE_TRACEME) is not permitted here");
    REQUIRE(ptrace(PTRACE_SETOPTIONS, child, NULL, (void *)PTRACE_O_TRACESYSGOOD) == 0);
    while (ptrace(PTRACE_SYSCALL, child, NULL, NULL) == 0 && waitpid(child, &status, 0) == child) {
        struct __ptrace_syscall_info call;
        memset(&call, 0, sizeof call);
        if (!WIFSTOPPED(status))
            break;
        if (WSTOPSIG(status) != (SIGTRAP | 0x80))
            continue;
        if (ptrace(PTRACE_GET_SYSCALL_INFO, child, (void *)sizeof call, &call) < 0)
            test_skip("PTRACE_GET_SYSCALL_INFO: %s", strerror(errno));
        if (call.op != PTRACE_SYSCALL_INFO_ENTRY)
            continue;
        markers += call.entry.nr == MARKER;
        if (markers > 0 && markers <= 2 * CALLS && count < MOST)
            numbers[count++] = call.entry.nr;
    }
    CHECK(WIFEXITED(status) && WEXITSTATUS(status) == 0);
    CHECK_EQUAL(markers, 2 * CALLS + 1);
    return count;
}

static void plain_send_and_receive_make_one_system_call_each(void)
{
    uint64_t numbers[MOST];
    pipc_queue *queue = queue_make("q", 4, 64);
    unsigned count = trace(test_fork(run_plain_calls, queue), numbers);
    CHECK_EQUAL(count, 4 * CALLS);
    for (unsigned i = 0; i < count && i < 4 * CALLS; i++) {
        if (i % 2 == 0)
            CHECK_EQUAL(numbers[i], MARKER);
        else if (i % 4 == 1)
            CHECK(probe_is_put(numbers[i]));
        else
            CHECK(probe_is_take(numbers[i]));
    }
    queue_end(queue, "q");
}

static const struct test tests[] = {
    {"Q9", "plain_send_and_receive_make_one_system_call_each", plain_send_and_receive_make_one_system_call_each, 0},
};

TEST_MAIN("queue_syscall", tests)
