/* kill -9 after each of a call's instructions, by single steps: G1, G2, G3, G5. A storm of random kills spends most
 * of them inside system calls; this one visits the few instructions between two stores as often as any other.
 * PIPC_TORTURE=long visits every instant; else each run draws its own few. */
#define _GNU_SOURCE
#include "support_queue.h"

#include <errno.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ptrace.h>
#include <sys/wait.h>
#include <unistd.h>

enum { PLACES = 5, WAITING = 3, NEW = 100, BIG = 8300, MOST_STEPS = 1000000 };
enum { STEPS_A_RUN = 120000 }; /* a build with a sanitizer has many more instants: fewer are visited */

/* One call to be killed in: what it does, and how many of the waiting messages it may take with it. */
struct victim {
    test_body *call;
    uint64_t waiting_size; /* of the messages that wait already, numbered 0, 1, 2 with types 1, 2, 3 */
    uint64_t selected;     /* the one waiting message that may be lost; WAITING: none */
    bool sends;            /* a message NEW may appear */
    bool drops_all;        /* any of the waiting ones may be gone */
    uint32_t instants;     /* visited in one run */
};

struct traced {
    pipc_queue *queue, *scratch;
    const struct victim *victim;
};

static void fill(pipc_queue *queue, const struct victim *victim)
{
    for (uint32_t i = 0; i < WAITING; i++)
        REQUIRE_OK(queue_send(queue, 1 + i, 0, i, victim->waiting_size, PIPC_NOWAIT));
}

/* The first call in a process also binds symbols and learns who it is: that goes to a scratch queue. */
static int run_traced(void *argument)
{
    struct traced *traced = argument;
    fill(traced->scratch, traced->victim);
    int error = traced->victim->call(traced->scratch);
    if (error || pipc_queue_purge(traced->scratch, NULL) || ptrace(PTRACE_TRACEME, 0, NULL, NULL) < 0)
        return 1;
    raise(SIGSTOP);
    return traced->victim->call(traced->queue);
}

static pid_t start_traced(pipc_queue *queue, pipc_queue *scratch, const struct victim *victim)
{
    struct traced traced = {queue, scratch, victim};
    int status = 0;
    pid_t child = test_fork(run_traced, &traced);
    REQUIRE(waitpid(child, &status, 0) == child);
    if (!WIFSTOPPED(status))
        test_skip("ptrace(PTRACE_TRACEME) is not permitted here");
    return child;
}

/* Makes at most so many steps; fewer if the child ends by itself. Answers how many, and whether it ended. */
static uint32_t step(pid_t child, uint32_t most, bool *ended)
{
    uint32_t steps = 0;
    int status = 0;
    for (*ended = false; steps < most; steps++) {
        if (ptrace(PTRACE_SINGLESTEP, child, NULL, NULL) < 0)
            test_skip("PTRACE_SINGLESTEP: %s", strerror(errno));
        REQUIRE(waitpid(child, &status, 0) == child);
        if (!WIFSTOPPED(status)) {
            *ended = true;
            CHECK(WIFEXITED(status) && WEXITSTATUS(status) == 0);
            break;
        }
    }
    return steps;
}

/* What is still there: each waiting message at most once, in order; at most the selected one is missing. */
static void check_survivors(pipc_queue *queue, const struct victim *victim)
{
    struct queue_got got;
    uint64_t next = 0, missing = 0;
    int error;
    while ((error = queue_receive(queue, pipc_any(), &got, PIPC_NOWAIT)) == 0 || error == PIPC_E_BUSY) {
        if (error == 0 && got.number == NEW) {
            REQUIRE(victim->sends);
            missing += next < WAITING;
            next = NEW + 1;
            continue;
        }
        for (; error == 0 && next < got.number; next++)
            if (next != victim->selected)
                missing++;
        REQUIRE(error || got.number == next++);
    }
    REQUIRE_ERROR(error, EMPTY);
    for (; next < WAITING; next++)
        if (next != victim->selected)
            missing++;
    REQUIRE(victim->drops_all || missing == 0);
}

/* Steps the call in a child so far and kills it there. Answers how many steps it made. */
static uint32_t kill_after(pipc_queue *scratch, const struct victim *victim, uint32_t most, bool *ended)
{
    pipc_queue *queue = queue_make("q", PLACES, BIG);
    fill(queue, victim);
    pid_t child = start_traced(queue, scratch, victim);
    uint32_t steps = step(child, most, ended);
    if (!*ended)
        test_kill(child);
    check_survivors(queue, victim);
    queue_check_room(queue, PLACES, 64);
    queue_end(queue, "q");
    if (test_failures() > 0)
        fprintf(stderr, "killed after %u steps\n", steps);
    return steps;
}

static void kill_at_instants(const struct victim *victim)
{
    bool ended;
    pipc_queue *scratch = queue_make("scratch", PLACES, BIG);
    uint32_t all = kill_after(scratch, victim, MOST_STEPS, &ended);
    uint64_t random = (uint64_t)test_now();
    const char *torture = getenv("PIPC_TORTURE");
    bool every = torture && strcmp(torture, "long") == 0;
    REQUIRE(ended && all > 50);
    uint32_t instants = every ? all : victim->instants, steps = 0;
    for (uint32_t i = 0; i < instants && (every || steps < STEPS_A_RUN) && test_failures() == 0; i++)
        steps += kill_after(scratch, victim, every ? i : test_random(&random, all), &ended);
    CHECK(steps > 0);
    queue_end(scratch, "scratch");
}

/* ---- The calls ---- */

static int send_small(void *argument)
{
    return queue_send(argument, 9, 0, NEW, 64, PIPC_NOWAIT);
}

/* The body is made in the first call, to the scratch queue: its many steps are of no interest. */
static int send_big(void *argument)
{
    static unsigned char body[BIG];
    pipc_message message = {.data = body, .size = sizeof body, .type = 9};
    for (uint64_t i = 8; body[0] != NEW && i < sizeof body; i++)
        body[i] = queue_padding(NEW, i);
    body[0] = NEW;
    return pipc_queue_send(argument, &message, PIPC_NOWAIT);
}

static int receive(pipc_queue *queue, pipc_selection selection)
{
    static unsigned char body[BIG];
    pipc_message message = {.data = body, .size = sizeof body};
    return pipc_queue_receive(queue, selection, &message, PIPC_NOWAIT);
}

static int receive_first(void *argument)
{
    return receive(argument, pipc_any());
}

static int receive_last(void *argument)
{
    return receive(argument, pipc_exactly(3));
}

static int peek_second(void *argument)
{
    static unsigned char body[BIG];
    pipc_message message = {.data = body, .size = sizeof body};
    return pipc_queue_peek(argument, pipc_exactly(2), &message, PIPC_NOWAIT);
}

static int purge(void *argument)
{
    return pipc_queue_purge(argument, NULL);
}

static void killed_in_a_plain_send(void)
{
    kill_at_instants(&(struct victim){send_small, 64, WAITING, true, false, 40});
}

static void killed_in_a_plain_receive(void)
{
    kill_at_instants(&(struct victim){receive_first, 64, 0, false, false, 40});
}

/* The two in front are moved into slots on the way. */
static void killed_in_a_selective_receive(void)
{
    kill_at_instants(&(struct victim){receive_last, 64, 2, false, false, 40});
}

static void killed_in_a_peek(void)
{
    kill_at_instants(&(struct victim){peek_second, 64, WAITING, false, false, 40});
}

static void killed_in_a_purge(void)
{
    kill_at_instants(&(struct victim){purge, 64, WAITING, false, true, 40});
}

static void killed_in_a_send_through_a_slot(void)
{
    kill_at_instants(&(struct victim){send_big, 64, WAITING, true, false, 8});
}

static void killed_in_a_receive_from_a_slot(void)
{
    kill_at_instants(&(struct victim){receive_last, BIG, 2, false, false, 8});
}

static const struct test tests[] = {
    {"G1 G2 G5", "killed_in_a_plain_send", killed_in_a_plain_send, 0},
    {"G1 G3 G5", "killed_in_a_plain_receive", killed_in_a_plain_receive, 0},
    {"G1 G3 G5", "killed_in_a_selective_receive", killed_in_a_selective_receive, 0},
    {"G1 G3", "killed_in_a_peek", killed_in_a_peek, 0},
    {"G5", "killed_in_a_purge", killed_in_a_purge, 0},
    {"G1 G2 G5", "killed_in_a_send_through_a_slot", killed_in_a_send_through_a_slot, 0},
    {"G1 G3 G5", "killed_in_a_receive_from_a_slot", killed_in_a_receive_from_a_slot, 0},
};

TEST_MAIN("queue_step", tests)
