/* Contenders in one process, batch by batch in turns: what disturbs one disturbs the others alike. */
#ifndef BENCH_DUEL_H
#define BENCH_DUEL_H

#include "bench/runner/runner.h"

/* Does the work so often. */
typedef void bench_batch(void *contender, uint32_t times);

/* Prints for each contender "ns" (the best batches: the median of their lower quarter) and "p50" (of all). */
void bench_duel(const struct bench_job *job, bench_batch *batch, void *const *contenders);

#endif
