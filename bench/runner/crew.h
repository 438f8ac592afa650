/* The processes of one trial: forked, pinned, started at one moment. */
#ifndef BENCH_CREW_H
#define BENCH_CREW_H

#include <stdbool.h>
#include <stdint.h>

#define BENCH_CREW_MAX 192

/* What one member tells when it is done; of one shared page set, each its own lines. */
struct bench_told {
    _Alignas(128) double ns; /* of one unit of work */
    double p50, p99, p999;
    uint64_t messages;
    uint64_t counted; /* messages between these two, ns */
    int64_t began, ended;
    uint64_t cpu;    /* ns of processor time while at work */
    uint64_t waited; /* ns that it was ready but did not run */
};

/* A member: joins its links, calls bench_ready(), works until the deadline, fills *told, leaves its links. */
typedef void bench_member(uint32_t number, void *argument, struct bench_told *told);

/* Pins this process to the first or second of the processors that it may use. */
void bench_pin(uint32_t core);

void bench_fork(bench_member *member, uint32_t number, uint32_t core, void *argument);

/* Waits until all those forked are ready. */
void bench_all_ready(void);

/* By a member: waits for the start; answers when the work shall end. */
int64_t bench_ready(int64_t *start);

/* Starts the work, waits for all of them, prints the noise; what member i told is bench_crew_told(i), in the order of
 * forking. */
void bench_crew_run(int64_t span, uint32_t cores);
const struct bench_told *bench_crew_told(uint32_t index);
uint32_t bench_crew_size(void);

void bench_crew_kill(void);

#endif
