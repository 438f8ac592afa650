/* How long things took that a promise bounds. A shared machine stands still now and then, so no test fails on one
 * figure: of many rounds at least half must keep the promise, or of several tries the quickest. */
#ifndef PIPC_TESTS_DELAYS_H
#define PIPC_TESTS_DELAYS_H

#include "rig.h"

#define DELAYS_STALL PIPC_MS(25)

enum { DELAYS_KEPT = 4096, DELAYS_LEAST = 3, DELAYS_STALLS = 4, DELAYS_TRIES = 20 };

struct delays {
    const char *rig, *what; /* "storm", "purges": whose delays they are */
    int64_t bound;          /* ns, promised */
    uint64_t count, beyond; /* all; those later than promised */
    uint64_t disturbed;     /* nothing is said about: the machine stood still */
    int64_t quickest, worst;
    int64_t took[DELAYS_KEPT]; /* the latest of them, for the median */
};

void delays_begin(struct delays *delays, const char *rig, const char *what, int64_t bound);

/* One more. `stall`: the longest that the machine kept a process from running meanwhile, which mostly slept. Those
 * that work stand still longer, one after the other: a few times that is no fault of the library's, and if it is more
 * than DELAYS_STALL nothing is said about this one. */
void delays_note(struct delays *delays, int64_t took, int64_t stall);

/* Prints, if there are any,
 *     DELAY|rig|what|bound ms|count|quickest ms|median ms|worst ms|beyond|disturbed
 */
void delays_tell(const struct delays *delays);

/* The same; and fails if more than half were later than promised (of fewer than DELAYS_LEAST undisturbed nothing is
 * said). */
void delays_judge_half(const struct delays *delays);
void delays_judge_halves(const struct delays *delays, unsigned count); /* each of them */

/* Does it once, and again until it keeps the promise, DELAYS_TRIES times at most; fails, naming `where`, if even the
 * quickest did not. once() answers how long it took, or less than 0 if nothing could be seen this time. */
void delays_try(struct delays *delays, const char *where, int64_t (*once)(void *argument), void *argument);

#endif
