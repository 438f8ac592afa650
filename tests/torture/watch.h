/* The watch over a process that makes trials which may crash it or make it hang: it says which trial it was, and
 * goes on behind it. */
#ifndef PIPC_TESTS_WATCH_H
#define PIPC_TESTS_WATCH_H

#include "rig.h"

/* A call that takes longer is a hang: the calls' own limits are 1 ms, 25 ms (the lock) and 1 s (a builder). */
#define WATCH_HANG PIPC_SECONDS(5)

/* One that takes longer than that is late, unless it waits for a builder. Some are, where bytes are such that a wait is
 * due, or the machine stands still; so of a thousand calls or more one in WATCH_LATE_ONE_IN may be late, and some more,
 * and as many times as the watcher's own naps were. With PIPC_TEST_PATIENCE as many times more of them. */
#define WATCH_LATE PIPC_MS(100)

enum { WATCH_LATE_ONE_IN = 600, WATCH_LATE_SOME = 3, WATCH_LATE_LEAST = 1000 };

struct watch {
    const char *rig; /* its name among the figures */
    void (*begin)(void *prey);
    void (*trial)(void *prey, uint64_t number);
    void (*end)(void *prey);
    void *prey;
    uint64_t trials; /* all; of them those of this run's part are made (rig.h) */
    int64_t deadline;
};

/* Runs the trials, numbered from 0, in a child; then tells the figures. */
void watch_trials(const struct watch *watch);

/* In a trial: what is about to be done, for the report; and where a call begins and ends, for the time it takes. */
void watch_doing(const char *format, ...) __attribute__((format(printf, 1, 2)));
void watch_call_begins(void);
void watch_call_ends(void);

#endif
