/* See watch.h. */
#include "watch.h"

#include <stdarg.h>
#include <stdio.h>
#include <string.h>
#include <sys/wait.h>

#include "points.h"

enum { MOST_CRASHES = 5 };

/* Shared with the child. */
static struct board {
    _Atomic uint64_t next; /* trial */
    struct rig_part part;
    _Atomic uint64_t slow; /* calls that ended, but too late */
    _Atomic uint64_t calls, late;
    char latest[240]; /* what the slowest did */
    _Atomic int64_t worst;
    char doing[240];
} * board;

static int64_t began;

void watch_doing(const char *format, ...)
{
    va_list arguments;
    va_start(arguments, format);
    vsnprintf(board->doing, sizeof board->doing, format, arguments);
    va_end(arguments);
}

void watch_call_begins(void)
{
    began = test_now();
}

void watch_call_ends(void)
{
    int64_t took = test_now() - began;
    atomic_fetch_add(&board->calls, 1);
    atomic_fetch_add(&board->late, took > WATCH_LATE);
    if (took > atomic_load(&board->worst)) {
        atomic_store(&board->worst, took);
        memcpy(board->latest, board->doing, sizeof board->latest);
    }
    if (took <= WATCH_HANG)
        return;
    atomic_fetch_add(&board->slow, 1);
    printf("HANG|%.3f s: %s\n", (double)took / 1e9, board->doing);
}

static void tell(const char *what, int number)
{
    char sentence[400];
    snprintf(sentence, sizeof sentence, "%s %d in trial %llu: %s", what, number,
             (unsigned long long)atomic_load(&board->next) - 1, board->doing);
    test_check(false, false, __FILE__, __LINE__, sentence);
}

static int serve(void *argument)
{
    const struct watch *watch = argument;
    unsigned failures = test_failures();
    points_forget();
    watch->begin(watch->prey);
    while (atomic_load(&board->next) < board->part.end && test_now() < watch->deadline) {
        watch->trial(watch->prey, atomic_fetch_add(&board->next, 1));
        if (test_failures() != failures) {
            tell("failures, now", (int)test_failures());
            break;
        }
    }
    watch->end(watch->prey);
    return 0;
}

/* The watcher's own naps, and how many of them the machine made late. */
static uint64_t naps, late_naps;

static void nap(void)
{
    int64_t before = test_now();
    test_sleep(PIPC_MS(5));
    naps++;
    late_naps += test_now() - before > WATCH_LATE;
}

/* Waits for the child's end. True: by itself. */
static bool follow(pid_t child, struct rig_figures *figures)
{
    uint64_t seen = atomic_load(&board->next);
    int64_t since = test_now();
    int status;
    while (waitpid(child, &status, WNOHANG) == 0) {
        if (atomic_load(&board->next) != seen) {
            seen = atomic_load(&board->next);
            since = test_now();
        } else if (test_now() - since > 4 * WATCH_HANG) {
            figures->hangs++;
            tell("hung, hangs", (int)figures->hangs);
            test_kill(child);
            return false;
        }
        nap();
    }
    if (WIFSIGNALED(status))
        tell("signal", WTERMSIG(status));
    else if (WEXITSTATUS(status) != 0)
        tell("ended with status", WEXITSTATUS(status));
    return status == 0;
}

static void judge_late(const struct watch *watch)
{
    char sentence[400];
    uint64_t calls = atomic_load(&board->calls), late = atomic_load(&board->late);
    uint64_t most =
        calls * test_patience() / WATCH_LATE_ONE_IN + WATCH_LATE_SOME + (naps ? calls * late_naps / naps : 0);
    snprintf(sentence, sizeof sentence, "%s: %llu of %llu calls took more than 100 ms, the slowest %.3f ms: %s",
             watch->rig, (unsigned long long)late, (unsigned long long)calls, (double)atomic_load(&board->worst) / 1e6,
             board->latest);
    printf("LATE|%s; %llu of the watcher's %llu naps\n", sentence, (unsigned long long)late_naps,
           (unsigned long long)naps);
    test_check(calls < WATCH_LATE_LEAST || late <= most, false, __FILE__, __LINE__, sentence);
}

void watch_trials(const struct watch *watch)
{
    struct rig_figures figures = {.rig = watch->rig};
    int crashes = 0;
    board = test_shared(sizeof *board);
    naps = late_naps = 0;
    board->part = rig_part(watch->trials);
    atomic_store(&board->next, board->part.first);
    while (!follow(test_fork(serve, (void *)watch), &figures) && ++crashes < MOST_CRASHES)
        ;
    figures.trials = atomic_load(&board->next) - board->part.first;
    figures.hangs += atomic_load(&board->slow);
    figures.worst_delay = atomic_load(&board->worst);
    judge_late(watch);
    rig_tell(&figures);
}
