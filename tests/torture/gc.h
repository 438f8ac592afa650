/* What the rigs of clearing up share: objects that live all the time, reaping, and counting what is left. All of it in
 * a private namespace. */
#ifndef PIPC_TESTS_GC_H
#define PIPC_TESTS_GC_H

#include "support.h"

struct gc_living {
    pipc_queue *queue;
    pipc_shm *shm;
    uint64_t sent;
};

/* A queue and memory, both called "live". */
void gc_begin_living(struct gc_living *living);

/* Both still work: under their names, and in the hands of who has them. */
void gc_check_living(struct gc_living *living);

/* Puts messages, a number into the memory; looks whether they are still there. In between no gc_check_living(). */
void gc_fill_living(struct gc_living *living);
void gc_check_kept(struct gc_living *living);

void gc_end_living(struct gc_living *living);

struct gc_tally {
    unsigned ready, reaped, garbage, stayed, kept; /* kept: not ready */
};

/* pipc_reap() and pipc_each(), counted by their verdicts. */
struct gc_tally gc_reap(void);
struct gc_tally gc_look(void);

/* Ends all that is left in the namespace, which should be nothing; how many. `where`: for the failure's sentence. */
uint64_t gc_count_left(const char *where);

#endif
