/* How long a batch is, is found by trial; the order of the contenders is drawn anew each turn. */
#include "bench/runner/duel.h"

#include <stdlib.h>

#define BATCH_NS    250000
#define TURNS_MAX   65536
#define TIMES_MAX   100000
#define BEST_MEDIAN 0.125 /* the median of the lower quarter */

static int64_t time_of(bench_batch *batch, void *contender, uint32_t times)
{
    int64_t start = bench_now();
    batch(contender, times);
    return bench_now() - start;
}

/* So many that a batch of the slowest takes about BATCH_NS; also the warm-up. */
static uint32_t find_times(bench_batch *batch, void *const *contenders, uint32_t count)
{
    uint32_t times = 1;
    for (int64_t slowest = 0; slowest < BATCH_NS && times < TIMES_MAX; times *= 2) {
        slowest = 0;
        for (uint32_t i = 0; i < count; i++) {
            int64_t span = time_of(batch, contenders[i], times * 2);
            slowest = span > slowest ? span : slowest;
        }
    }
    return times;
}

static void shuffle(uint32_t *order, uint32_t count, uint64_t *seed)
{
    for (uint32_t i = count; i > 1; i--) {
        uint32_t other = (uint32_t)(bench_random(seed) % i), kept = order[i - 1];
        order[i - 1] = order[other];
        order[other] = kept;
    }
}

void bench_duel(const struct bench_job *job, bench_batch *batch, void *const *contenders)
{
    double *spans[BENCH_LANES_MAX];
    uint32_t order[BENCH_LANES_MAX], turns = 0;
    uint64_t seed = job->seed;
    for (uint32_t i = 0; i < job->lane_count; i++) {
        order[i] = i;
        spans[i] = bench_allocate(TURNS_MAX * sizeof(double));
    }
    uint32_t times = find_times(batch, contenders, job->lane_count);
    for (int64_t end = bench_now() + job->span; turns < TURNS_MAX && (turns == 0 || bench_now() < end); turns++) {
        shuffle(order, job->lane_count, &seed);
        for (uint32_t i = 0; i < job->lane_count; i++)
            spans[order[i]][turns] = (double)time_of(batch, contenders[order[i]], times) / times;
    }
    for (uint32_t i = 0; i < job->lane_count; i++) {
        bench_figure(i, "ns", bench_quantile(spans[i], turns, BEST_MEDIAN));
        bench_figure(i, "p50", bench_quantile(spans[i], turns, 0.5));
        free(spans[i]);
    }
}
