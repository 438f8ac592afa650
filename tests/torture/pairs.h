/* Two processes at two delicate points (core/point.h): one is stopped at point i of its call, the other is killed at
 * point j of its own, then the stopped one goes on, and nothing may be wrong.
 *
 * Which points a call reaches is not written down but found: first alone, then by what it reaches in the company
 * of the dead. All pairs of points are visited, in three orders of events. */
#ifndef PIPC_TESTS_PAIRS_H
#define PIPC_TESTS_PAIRS_H

#include "rig.h"

enum pairs_who { PAIRS_STOPPED, PAIRS_KILLED, PAIRS_ROLES };

/* The answer of a call that has not ended, and of one that was not made. */
enum { PAIRS_PENDING = -1, PAIRS_ABSENT = -2 };

struct pairs_stage;

typedef int pairs_call(struct pairs_stage *stage, enum pairs_who who);

struct pairs_case {
    const char *name; /* of the rig */
    void (*set)(struct pairs_stage *stage);
    pairs_call *calls[PAIRS_ROLES];               /* the second may be NULL: nobody is killed */
    const char *names[PAIRS_ROLES];               /* of the calls */
    unsigned meanwhile_one_in;                    /* how seldom this is tried, 1 = always: */
    void (*meanwhile)(struct pairs_stage *stage); /* while the one is stopped and the other dead */
    void (*judge)(struct pairs_stage *stage);     /* when the stopped one has ended; also cleans up */
    void (*release)(struct pairs_stage *stage); /* while the one that goes on has not ended; every 5 ms; may be NULL */
    const void *more;                           /* the rig's own */
};

/* What the two leave behind, in shared memory. */
struct pairs_traces {
    _Atomic int32_t answer[PAIRS_ROLES];
    _Atomic uint64_t got[PAIRS_ROLES]; /* the rig's own */
    _Atomic uint32_t last[PAIRS_ROLES];
};

struct pairs_stage {
    const struct pairs_case *of;
    struct pairs_traces *traces;
    void *handle; /* the rig's own */
    uint64_t number;
    bool alone; /* in an IPC namespace of its own */
    char detail[300];
    struct rig_figures figures;
    uint64_t both;   /* trials in which both came to their points */
    uint64_t waited; /* in which one fell asleep before its point: behind the other's lock, or for want of something */
    uint64_t first_due, first_came; /* in which the first should have come to its point, and did */
};

/* Puts the stage into a namespace of its own where that may be. */
void pairs_begin(struct pairs_stage *stage, const char *rig);

/* Visits pairs of a case: all of them, or a sample until the deadline. */
void pairs_visit(struct pairs_stage *stage, const struct pairs_case *of, int64_t deadline);

/* Prints how many, tells the figures. */
void pairs_end(struct pairs_stage *stage);

/* Notes something bad: counts it in a figure, tells the two points. */
void pairs_bad(struct pairs_stage *stage, uint64_t *figure, const char *format, ...)
    __attribute__((format(printf, 3, 4)));

#endif
