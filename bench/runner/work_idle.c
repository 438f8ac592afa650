/* Idle: a process that is blocked in receive, and what it takes of a processor meanwhile, in percent. */
#include <time.h>

#include "bench/runner/crew.h"
#include "bench/runner/message.h"
#include "bench/runner/runner.h"

struct idle {
    const struct bench_lane *lane;
    void *link;
};

static void waiter(uint32_t number, void *argument, struct bench_told *told)
{
    (void)number;
    const struct idle *idle = argument;
    size_t size = idle->lane->setup.size;
    void *buffer = bench_buffer(size);
    bench_join(idle->lane, idle->link, BENCH_RECEIVER);
    bench_ready(NULL);
    size_t got = idle->lane->system->receive(idle->link, buffer, size, 0);
    bench_in_order(bench_check(buffer, got, size), 1);
    told->messages = 1;
    bench_leave(idle->lane, idle->link);
}

static void waker(uint32_t number, void *argument, struct bench_told *told)
{
    (void)number, (void)told;
    const struct idle *idle = argument;
    struct bench_bodies bodies;
    bench_prepare(&bodies, idle->lane->setup.size);
    bench_join(idle->lane, idle->link, BENCH_SENDER);
    int64_t end = bench_ready(NULL);
    struct timespec until = {.tv_sec = end / 1000000000, .tv_nsec = (long)(end % 1000000000)};
    while (clock_nanosleep(CLOCK_MONOTONIC, TIMER_ABSTIME, &until, NULL) != 0)
        ;
    idle->lane->system->send(idle->link, bench_stamp(&bodies, 1), bodies.size, 1);
    bench_leave(idle->lane, idle->link);
}

void bench_work_idle(const struct bench_job *job)
{
    static struct idle idle;
    idle.lane = &job->lanes[0];
    idle.link = bench_make(idle.lane);
    bench_fork(waiter, 0, job->cores - 1, &idle);
    bench_fork(waker, 0, 0, &idle);
    bench_crew_run(job->span, job->cores);
    bench_figure(0, "percent", 100.0 * (double)bench_crew_told(0)->cpu / (double)job->span);
}
