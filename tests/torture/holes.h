/* Exact instants: one process dies or stops at a named point, another goes on. */
#ifndef PIPC_TESTS_HOLES_H
#define PIPC_TESTS_HOLES_H

#include "support_queue.h"

struct holes_plan {
    pipc_queue *queue;
    const char *point;
    unsigned nth; /* visit of the point, 0 = the first */
    uint64_t number, size;
    uint32_t type; /* a receive of exactly this, 0 = any */
};

#define HOLES_PLAN(on, at, ...) ((struct holes_plan){.queue = (on), .point = (at), __VA_ARGS__})

/* Starts the body, with the plan as its argument, in a child that is killed at the plan's point. */
pid_t holes_doomed(struct holes_plan plan, test_body *body);

/* The same, and waits for its end. False: it did not come there. */
bool holes_killed(struct holes_plan plan, test_body *body);

/* Runs it in a child that stops there, until it is resumed; then tells its answer. */
pid_t holes_stopped(struct holes_plan plan, test_body *body);
int holes_resumed(pid_t child);

#endif
