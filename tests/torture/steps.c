/* See steps.h. */
#define _GNU_SOURCE
#include "steps.h"

#include <errno.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/auxv.h>
#include <sys/ptrace.h>
#include <sys/syscall.h>
#include <sys/user.h>
#include <sys/wait.h>
#include <unistd.h>

/* The cheapest way to an instant: the breakpoint is put where the way stands after `at` instructions, is hit `hits`
 * times, and the rest is stepped. hits 0: all is stepped from the start. */
struct steps_lead {
    uint32_t at;
    uint32_t hits;
};

/* ---- The processor ---- */

#ifdef __x86_64__

enum { CAN_BREAK = true, INT3 = 0xcc, VDSO_BYTES = 65536 };

static uintptr_t where(pid_t child)
{
    return (uintptr_t)ptrace(PTRACE_PEEKUSER, child, offsetof(struct user, regs.rip), NULL);
}

/* Puts a breakpoint, tells the word that was there. */
static long put_break(pid_t child, uintptr_t place)
{
    errno = 0;
    long word = ptrace(PTRACE_PEEKTEXT, child, place, NULL);
    REQUIRE(errno == 0);
    REQUIRE(ptrace(PTRACE_POKETEXT, child, place, (word & ~0xffL) | INT3) == 0);
    return word;
}

/* Takes it away. True: it was hit, and the instruction itself comes next. */
static bool lift_break(pid_t child, uintptr_t place, long word)
{
    bool hit = where(child) == place + 1;
    REQUIRE(ptrace(PTRACE_POKETEXT, child, place, word) == 0);
    if (hit)
        REQUIRE(ptrace(PTRACE_POKEUSER, child, offsetof(struct user, regs.rip), place) == 0);
    return hit;
}

static bool may_break(uintptr_t place)
{
    uintptr_t vdso = getauxval(AT_SYSINFO_EHDR);
    return !vdso || place < vdso || place - vdso >= VDSO_BYTES;
}

#else

enum { CAN_BREAK = false };

static uintptr_t where(pid_t child)
{
    (void)child;
    return 0;
}

static long put_break(pid_t child, uintptr_t place)
{
    (void)child, (void)place;
    return 0;
}

static bool lift_break(pid_t child, uintptr_t place, long word)
{
    (void)child, (void)place, (void)word;
    return false;
}

static bool may_break(uintptr_t place)
{
    (void)place;
    return false;
}

#endif

/* ---- The child ---- */

static void stop(void)
{
    syscall(SYS_kill, getpid(), SIGSTOP);
}

int steps_make(test_body *call, void *argument)
{
    if (ptrace(PTRACE_TRACEME, 0, NULL, NULL) < 0)
        return TEST_FAILED_CHILD;
    stop();
    int answer = call(argument);
    stop();
    return answer;
}

/* The signal that it stopped with, 0 if it is gone. */
static int await_stop(pid_t child)
{
    int status = 0;
    while (waitpid(child, &status, 0) < 0 && errno == EINTR)
        ;
    return WIFSTOPPED(status) ? WSTOPSIG(status) : 0;
}

void steps_await(pid_t child)
{
    if (await_stop(child) != SIGSTOP)
        test_skip("ptrace(PTRACE_TRACEME) is not permitted here");
}

/* One instruction. False: the call is over. */
static bool step(pid_t child)
{
    if (ptrace(PTRACE_SINGLESTEP, child, NULL, NULL) < 0)
        test_skip("PTRACE_SINGLESTEP: %s", strerror(errno));
    int signal = await_stop(child);
    REQUIRE(signal == SIGTRAP || signal == SIGSTOP);
    return signal == SIGTRAP;
}

/* ---- The way ---- */

static bool repeats(const struct steps *steps, uint32_t k)
{
    return CAN_BREAK && k > 0 && k + 1 < steps->length && steps->way[k] == steps->way[k - 1] &&
           steps->way[k] == steps->way[k + 1];
}

static void choose_instants(struct steps *steps)
{
    uint32_t run = 0;
    for (uint32_t k = 0; k < steps->length; k++) {
        run = repeats(steps, k) ? run + 1 : 0;
        if (run == 0 || run == 5)
            steps->instants[steps->count++] = k;
    }
}

static int by_place(const void *a, const void *b, void *way)
{
    uint32_t one = *(const uint32_t *)a, other = *(const uint32_t *)b;
    uintptr_t place = ((uintptr_t *)way)[one], at = ((uintptr_t *)way)[other];
    return place != at ? (place < at ? -1 : 1) : one < other ? -1 : one > other;
}

/* A hit costs two stops, a step one. */
static void choose_leads(struct steps *steps)
{
    uint32_t *sorted = malloc(steps->length * sizeof *sorted), cost = 0;
    REQUIRE(sorted != NULL);
    for (uint32_t k = 0; k < steps->length; k++)
        sorted[k] = k;
    qsort_r(sorted, steps->length, sizeof *sorted, by_place, steps->way);
    for (uint32_t i = 0; i < steps->length; i++) {
        bool again = i > 0 && steps->way[sorted[i]] == steps->way[sorted[i - 1]];
        steps->leads[sorted[i]].hits = again ? steps->leads[sorted[i - 1]].hits + 1 : 1;
    }
    free(sorted);
    steps->leads[0] = (struct steps_lead){0, 0};
    for (uint32_t k = 1; k < steps->length; k++) {
        cost++;
        if (CAN_BREAK && may_break(steps->way[k]) && steps->leads[k].hits * 2 < cost) {
            cost = steps->leads[k].hits * 2;
            steps->leads[k].at = k;
        } else {
            steps->leads[k] = steps->leads[k - 1];
        }
    }
}

void steps_record(struct steps *steps, pid_t child, uint32_t most, int64_t deadline)
{
    memset(steps, 0, sizeof *steps);
    steps->way = malloc(most * sizeof *steps->way);
    steps->instants = malloc(most * sizeof *steps->instants);
    steps->leads = malloc(most * sizeof *steps->leads);
    REQUIRE(steps->way && steps->instants && steps->leads);
    bool on = true;
    while (on && steps->length < most && ((steps->length & 127) || test_now() < deadline)) {
        steps->way[steps->length++] = where(child);
        on = step(child);
    }
    steps->whole = !on;
    choose_instants(steps);
    choose_leads(steps);
}

void steps_free(struct steps *steps)
{
    free(steps->way);
    free(steps->instants);
    free(steps->leads);
    memset(steps, 0, sizeof *steps);
}

/* ---- Being led ---- */

/* Runs to the breakpoint's nth hit. False: something else came. */
static bool run_to(pid_t child, uintptr_t place, uint32_t hits)
{
    for (uint32_t i = 0; i < hits; i++) {
        if (i > 0 && !step(child))
            return false;
        long word = put_break(child, place);
        REQUIRE(ptrace(PTRACE_CONT, child, NULL, NULL) == 0);
        int signal = await_stop(child);
        REQUIRE(signal == SIGTRAP || signal == SIGSTOP);
        if (!lift_break(child, place, word))
            return false;
    }
    return true;
}

enum steps_end steps_kill(const struct steps *steps, pid_t child, uint32_t instant)
{
    const struct steps_lead *lead = &steps->leads[instant];
    bool there = run_to(child, steps->way[lead->at], lead->hits);
    for (uint32_t k = lead->at; there && k < instant; k++)
        there = step(child);
    if (!there)
        return STEPS_ENDED;
    bool strayed = where(child) != steps->way[instant];
    test_kill(child);
    return strayed ? STEPS_STRAYED : STEPS_KILLED;
}

int steps_release(pid_t child)
{
    ptrace(PTRACE_CONT, child, NULL, NULL);
    return test_wait(child, PIPC_SECONDS(30));
}
