/* The round trip: one process sends, the other sends the same message back. First in blocks of some trips, which no
 * reading of the clock disturbs: "ns" is their median. Then trip by trip: "p50", "p99", "p999". */
#include <stdlib.h>

#include "bench/runner/crew.h"
#include "bench/runner/message.h"
#include "bench/runner/runner.h"

#define BLOCK       32
#define SAMPLES_MAX 524288

struct trip {
    const struct bench_lane *lane;
    void *there, *back;
    struct bench_bodies bodies;
    void *buffer;
    uint64_t sequence;
};

static void pong(uint32_t number, void *argument, struct bench_told *told)
{
    (void)number;
    struct trip *trip = argument;
    const struct bench_system *system = trip->lane->system;
    size_t size = trip->lane->setup.size;
    bench_join(trip->lane, trip->there, BENCH_RECEIVER);
    bench_join(trip->lane, trip->back, BENCH_SENDER);
    bench_ready(NULL);
    uint64_t sequence = 0;
    for (uint64_t expected = 1; !(sequence & BENCH_LAST); expected++) {
        size_t got = system->receive(trip->there, trip->buffer, size, 0);
        sequence = bench_check(trip->buffer, got, size);
        bench_in_order(sequence & ~BENCH_LAST, expected);
        system->send(trip->back, trip->buffer, size, 1);
    }
    told->messages = sequence & ~BENCH_LAST;
    bench_leave(trip->lane, trip->there);
    bench_leave(trip->lane, trip->back);
}

static void one_trip(struct trip *trip, uint64_t mark)
{
    const struct bench_system *system = trip->lane->system;
    size_t size = trip->bodies.size;
    uint64_t sequence = ++trip->sequence | mark;
    system->send(trip->there, bench_stamp(&trip->bodies, sequence), size, 1);
    size_t got = system->receive(trip->back, trip->buffer, size, 0);
    bench_in_order(bench_check(trip->buffer, got, size), sequence);
}

/* Fills in the time of one trip, measured over so many at once; answers how many values there are. */
static size_t measure(struct trip *trip, double *samples, uint32_t block, int64_t end)
{
    size_t count = 0;
    int64_t last = bench_now();
    do {
        for (uint32_t i = 0; i < block; i++)
            one_trip(trip, 0);
        int64_t now = bench_now();
        samples[count++] = (double)(now - last) / block;
        last = now;
    } while (last < end && count < SAMPLES_MAX);
    return count;
}

static void ping(uint32_t number, void *argument, struct bench_told *told)
{
    (void)number;
    struct trip *trip = argument;
    double *samples = bench_allocate(SAMPLES_MAX * sizeof(double));
    bench_join(trip->lane, trip->back, BENCH_RECEIVER);
    bench_join(trip->lane, trip->there, BENCH_SENDER);
    int64_t start, end = bench_ready(&start);
    measure(trip, samples, BLOCK, start + (end - start) / 8); /* the warm-up */
    size_t count = measure(trip, samples, BLOCK, start + (end - start) / 2);
    told->ns = bench_quantile(samples, count, 0.5);
    count = measure(trip, samples, 1, end);
    told->p50 = bench_quantile(samples, count, 0.5);
    told->p99 = bench_quantile(samples, count, 0.99);
    told->p999 = bench_quantile(samples, count, 0.999);
    one_trip(trip, BENCH_LAST);
    told->messages = trip->sequence;
    bench_leave(trip->lane, trip->back);
    bench_leave(trip->lane, trip->there);
}

void bench_work_trip(const struct bench_job *job)
{
    static struct trip trip;
    trip.lane = &job->lanes[0];
    trip.there = bench_make(trip.lane);
    trip.back = bench_make(trip.lane);
    trip.buffer = bench_buffer(trip.lane->setup.size);
    bench_prepare(&trip.bodies, trip.lane->setup.size);
    bench_fork(pong, 0, job->cores - 1, &trip);
    bench_fork(ping, 0, 0, &trip);
    bench_crew_run(job->span, job->cores);
    const struct bench_told *told = bench_crew_told(1);
    bench_figure(0, "ns", told->ns);
    bench_figure(0, "p50", told->p50);
    bench_figure(0, "p99", told->p99);
    bench_figure(0, "p999", told->p999);
    bench_figure(0, "messages", (double)told->messages);
}
