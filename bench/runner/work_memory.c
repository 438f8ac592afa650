/* Shared memory: create, map, touch every page, unmap, remove. */
#include "bench/runner/crew.h"
#include "bench/runner/duel.h"

static void batch(void *contender, uint32_t times)
{
    const struct bench_lane *lane = contender;
    for (uint32_t i = 0; i < times; i++)
        lane->system->memory(lane->setup.name, lane->setup.size);
}

static void fight(uint32_t number, void *argument, struct bench_told *told)
{
    (void)number, (void)told;
    struct bench_job *job = argument;
    void *contenders[BENCH_LANES_MAX];
    for (uint32_t i = 0; i < job->lane_count; i++)
        contenders[i] = &job->lanes[i];
    bench_ready(NULL);
    bench_duel(job, batch, contenders);
}

void bench_work_memory(const struct bench_job *job)
{
    bench_fork(fight, 0, 0, (void *)(uintptr_t)job);
    bench_crew_run(job->span, 1);
}
