/* Send and receive by one process: what the calls cost when nobody waits. Others may lie in the queue meanwhile. */
#include <stdlib.h>

#include "bench/runner/crew.h"
#include "bench/runner/duel.h"
#include "bench/runner/message.h"
#include "bench/runner/runner.h"

struct pair {
    const struct bench_lane *lane;
    void *link;
    struct bench_bodies bodies;
    void *buffer;
    uint32_t types;
    uint64_t *sent, *received; /* of each type */
    uint64_t seed;
};

static void *links[BENCH_LANES_MAX];

static void send_one(struct pair *pair, uint32_t type)
{
    void *message = bench_stamp(&pair->bodies, ++pair->sent[type]);
    pair->lane->system->send(pair->link, message, pair->bodies.size, type);
}

static void receive_one(struct pair *pair, uint32_t type)
{
    size_t size = pair->bodies.size;
    size_t got = pair->lane->system->receive(pair->link, pair->buffer, size, pair->types > 1 ? type : 0);
    bench_in_order(bench_check(pair->buffer, got, size), ++pair->received[type]);
}

static void batch(void *contender, uint32_t times)
{
    struct pair *pair = contender;
    for (uint32_t i = 0; i < times; i++) {
        uint32_t type = pair->types > 1 ? 1 + (uint32_t)(bench_random(&pair->seed) % pair->types) : 1;
        send_one(pair, type);
        receive_one(pair, type);
    }
}

static struct pair *begin(const struct bench_lane *lane, void *link, uint64_t seed)
{
    struct pair *pair = bench_allocate(sizeof(*pair));
    pair->lane = lane;
    pair->link = link;
    pair->types = lane->setup.types;
    pair->seed = seed;
    pair->buffer = bench_buffer(lane->setup.size);
    pair->sent = bench_allocate((pair->types + 1) * sizeof(uint64_t));
    pair->received = bench_allocate((pair->types + 1) * sizeof(uint64_t));
    bench_prepare(&pair->bodies, lane->setup.size);
    bench_join(lane, link, BENCH_BOTH);
    for (uint32_t i = 0; i < lane->load; i++)
        send_one(pair, 1 + i % pair->types);
    return pair;
}

static void end(struct pair *pair)
{
    for (uint32_t type = 1; type <= pair->types; type++)
        while (pair->received[type] < pair->sent[type])
            receive_one(pair, type);
    bench_leave(pair->lane, pair->link);
}

static void fight(uint32_t number, void *argument, struct bench_told *told)
{
    (void)number, (void)told;
    const struct bench_job *job = argument;
    void *pairs[BENCH_LANES_MAX];
    for (uint32_t i = 0; i < job->lane_count; i++)
        pairs[i] = begin(&job->lanes[i], links[i], job->seed + i);
    bench_ready(NULL);
    bench_duel(job, batch, pairs);
    for (uint32_t i = 0; i < job->lane_count; i++)
        end(pairs[i]);
}

void bench_work_pair(const struct bench_job *job)
{
    for (uint32_t i = 0; i < job->lane_count; i++)
        links[i] = bench_make(&job->lanes[i]);
    bench_fork(fight, 0, 0, (void *)(uintptr_t)job);
    bench_crew_run(job->span, 1);
}
