/* What a rig does at the points of the code (core/point.h): die there, stop there, or only note where a process
 * was last. A plan belongs to one process and is inherited by fork; a fresh plan does nothing. */
#ifndef PIPC_TESTS_POINTS_H
#define PIPC_TESTS_POINTS_H

#include <stdatomic.h>
#include <stdint.h>

/* The points of this build, numbered from 0. */
uint32_t points_count(void);
const char *points_name(uint32_t point);

#define POINTS_NONE UINT32_MAX

/* Number of the point with this name, POINTS_NONE if this build has none. */
uint32_t points_find(const char *name);

/* From now on this process does nothing at points. */
void points_forget(void);

/* kill -9 of this process, or SIGSTOP, when it comes to `point` for the nth time from now (1 = the first). */
void points_kill_at(uint32_t point, uint32_t nth);
void points_stop_at(uint32_t point, uint32_t nth);

/* The thread that comes to `point` next stays there for good; *held becomes 1. */
void points_hold_at(uint32_t point, _Atomic uint32_t *held);

/* kill -9 of this process at a random point: one in so many. */
void points_kill_one_in(uint32_t one_in, uint64_t seed);

/* Notes number + 1 of each point that is reached in *last (in shared memory; NULL ends it), and counts in
 * reached[point], if that is not NULL. */
void points_note(_Atomic uint32_t *last, _Atomic uint64_t *reached);

#endif
