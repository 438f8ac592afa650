/* kill -9 after the nth instruction of a call, for any n, by ptrace.
 *
 * A child is stepped through the whole call once, and its way (the program counters) is noted. Later children of
 * the same parent go the same way, so each can be led to an instant by a breakpoint that is hit so often, and a
 * few steps from there: a step costs two changes of process, and a call has thousands. Where breakpoints are not
 * known to this file (all but x86-64) every child is stepped from the start.
 *
 * What the child does first in its life (binding symbols, learning who it is) should be behind it. */
#ifndef PIPC_TESTS_STEPS_H
#define PIPC_TESTS_STEPS_H

#include "support.h"

struct steps {
    uint32_t length; /* instructions noted */
    bool whole;      /* they lead to the end of the call */
    uint32_t count;  /* instants worth a visit: of a repeated string instruction only the first, one within, the last */
    uint32_t *instants;
    uintptr_t *way; /* way[k]: the instruction that comes after k of them */
    struct steps_lead *leads;
};

/* In the child: asks to be traced, stops, makes the call, stops. Returns what the call returned. */
int steps_make(test_body *call, void *argument);

/* Waits until a new child has stopped before its call; skips the test where ptrace is forbidden. */
void steps_await(pid_t child);

/* Notes the way of such a child through its call, at most so many instructions and until then. The child stands
 * behind its call, or somewhere in it (not whole). */
void steps_record(struct steps *steps, pid_t child, uint32_t most, int64_t deadline);
void steps_free(struct steps *steps);

enum steps_end {
    STEPS_KILLED,  /* just there */
    STEPS_STRAYED, /* killed, but not there: this child went another way */
    STEPS_ENDED    /* the call ended before; the child stands behind it */
};

/* Leads a child that stands before its call to an instant, kills it there and reaps it. */
enum steps_end steps_kill(const struct steps *steps, pid_t child, uint32_t instant);

/* Lets a child that stands behind its call end; its exit status as test_wait() tells it. */
int steps_release(pid_t child);

#endif
