/* A storm of signals: a handler runs every 50 us in this process. What the rigs of it share: the timer, how many
 * signals came, calls that wait in a storm, what arrived of the traffic in one. */
#ifndef PIPC_TESTS_SIGNALS_H
#define PIPC_TESTS_SIGNALS_H

#include "rig.h"

#define SIGNALS_HANG PIPC_SECONDS(40)

/* SIGALRM every 50 us from now on, with SA_RESTART or 0; a child has to begin its own. */
void signals_begin(int flags);
void signals_end(void);

/* When a test that has so long in the short form stops: the long one has 60 s, if not PIPC_TORTURE says otherwise. */
int64_t signals_deadline(int64_t short_span);

/* A moment, or what came between two. */
struct signals {
    uint64_t handled; /* how often the handler ran */
    uint64_t fired;   /* how often the timer did: of those that come while one is pending the kernel keeps one */
    int64_t time;
};

struct signals signals_now(void);

/* Adds to *sum what came since this moment. */
void signals_add(struct signals *sum, const struct signals *since);

/* Writes SIGNALS|what|backend|seconds|handled|fired, and fails the test if there were fewer than there should have
 * been in that time: the timer fired half as often as every 50 us, or there was less than one signal in each
 * millisecond that this process did not wait for a processor. Called once, in a process that was forked for it. */
void signals_judge(const char *what, const struct signals *sum);

/* What processes side by side found. */
struct signals_results {
    _Atomic uint64_t trials, interrupted, hangs;
    _Atomic int64_t worst; /* ns beyond the time that a call was given */
};

/* A call that took so long ended; it was given so long. */
void signals_note(struct signals_results *results, int64_t took, int64_t given);

/* Runs body in a process for each of the items, all at once. */
void signals_side_by_side(test_body *body, void *items, size_t size, unsigned count, struct signals_results *results);

/* Tells them as this rig's. */
void signals_tell(const char *rig, struct signals_results *results);

/* ---- Every call that waits ---- */

#define SIGNALS_SPAN PIPC_MS(15)

struct signals_waiter {
    const char *name;
    int (*call)(uint32_t flags); /* waits SIGNALS_SPAN for what does not come */
    bool restarts;               /* it takes PIPC_RESTART */
};

/* Each of them waits again and again in a process of its own: it ends neither early nor otherwise than it may. */
void signals_wait(const char *rig, const struct signals_waiter *waiters, unsigned count);

/* ---- Traffic ---- */

/* What came of one sender's numbers 0, 1, 2 and so on, each at most once: a place is used again long after its last
 * number came. */
enum { SIGNALS_ARRIVALS = 1 << 21 };

struct signals_arrivals {
    _Atomic uint32_t seen[SIGNALS_ARRIVALS];
    _Atomic uint64_t early, late; /* came before the last of its place; came when it had come already */
};

void signals_arrived(struct signals_arrivals *arrivals, uint64_t number);

/* Which of the numbers below `sent` were lost, which came too often. */
void signals_settle(struct signals_arrivals *arrivals, uint64_t sent, struct rig_figures *figures);

#endif
