/* How long things took that a promise bounds. A shared machine stands still now and then, so no test fails on one
 * figure: of many rounds at least half must keep the promise, or of several tries the quickest. */
#ifndef PIPC_TESTS_DELAYS_H
#define PIPC_TESTS_DELAYS_H

#include "rig.h"

enum { DELAYS_KEPT = 4096, DELAYS_LEAST = 3, DELAYS_STALLS = 4 };

struct delays {
    const char *rig, *what; /* "storm", "purges": whose delays they are */
    int64_t bound;          /* ns, promised */
    uint64_t count, beyond; /* all; those later than promised */
    int64_t quickest, worst;
    int64_t allowed;           /* the most that was allowed for the machine's standing still */
    int64_t took[DELAYS_KEPT]; /* the latest of them, for the median */
};

/* One more. `stall`: the longest that the machine kept a process from running meanwhile, which mostly slept: those
 * that work stand still longer, one after the other. So a few times that is no fault of the library's. */
void delays_note(struct delays *delays, int64_t took, int64_t stall);

/* Prints, if there are any,
 *     DELAY|rig|what|bound ms|count|quickest ms|median ms|worst ms|beyond|allowed for stalls ms
 * and fails if more than half were later than promised (of fewer than DELAYS_LEAST nothing is said), or if all were. */
void delays_judge_half(const struct delays *delays);
void delays_judge_quickest(const struct delays *delays);

#endif
