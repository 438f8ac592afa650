/* One trial: what the runner's files share. */
#ifndef BENCH_RUNNER_H
#define BENCH_RUNNER_H

#include "bench/system.h"

#define BENCH_LANES_MAX 4

/* One system as this trial uses it. */
struct bench_lane {
    const struct bench_system *system;
    struct bench_setup setup;
    uint32_t load; /* messages that lie in it meanwhile */
};

struct bench_job {
    struct bench_lane lanes[BENCH_LANES_MAX]; /* one; those that run in one process may be more */
    uint32_t lane_count;
    uint32_t senders; /* on each link */
    uint32_t pairs;   /* links, each with its receiver and senders */
    uint32_t cores;   /* 1 or 2 */
    bool place;       /* write and read in place */
    int64_t span;     /* how long to measure, ns */
    uint64_t seed;
};

/* The kinds of work. Each prints its figures. */
void bench_work_pair(const struct bench_job *job);
void bench_work_trip(const struct bench_job *job);
void bench_work_flow(const struct bench_job *job);
void bench_work_memory(const struct bench_job *job);
void bench_work_idle(const struct bench_job *job);

/* ---- time and figures (measure.c) ---- */

int64_t bench_now(void); /* monotonic, ns */
uint64_t bench_random(uint64_t *state);

/* The value below which this part of them lies. Sorts them. */
double bench_quantile(double *values, size_t count, double part);

void bench_figure(uint32_t lane, const char *name, double value);

/* ---- links and endings (runner.c) ---- */

void bench_check_signals(void); /* ends the trial if somebody asked for it */

void *bench_make(const struct bench_lane *lane); /* destroyed at the end, whatever happens */
void bench_join(const struct bench_lane *lane, void *link, enum bench_role role);
void bench_leave(const struct bench_lane *lane, void *link);

#endif
