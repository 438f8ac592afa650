/* One way: senders send as fast as they are let, the receiver takes. One link, or many side by side. "ns" is the time
 * for one message of all links together. */
#include <stdlib.h>

#include "bench/runner/crew.h"
#include "bench/runner/message.h"
#include "bench/runner/runner.h"

#define LINKS_MAX   64
#define SENDER_BITS 40

static struct flow {
    const struct bench_job *job;
    const struct bench_lane *lane;
    void *links[LINKS_MAX];
} flow;

/* A clock is read so often: after some small messages, or each large one. */
static uint64_t stride_of(size_t size)
{
    return size < 4096 ? 32 : 1;
}

static void send_one(void *link, struct bench_bodies *bodies, uint64_t sequence)
{
    const struct bench_system *system = flow.lane->system;
    if (flow.job->place) {
        bench_fill(system->reserve(link, bodies->size), bodies->size, sequence);
        system->commit(link, bodies->size);
    } else {
        system->send(link, bench_stamp(bodies, sequence), bodies->size, 1);
    }
}

static uint64_t receive_one(void *link, void *buffer)
{
    const struct bench_system *system = flow.lane->system;
    size_t size = flow.lane->setup.size, got;
    if (!flow.job->place) {
        got = system->receive(link, buffer, size, 0);
        return bench_check(buffer, got, size);
    }
    const void *message = system->peek(link, &got);
    uint64_t sequence = bench_check_filled(message, got, size);
    system->release(link);
    return sequence;
}

static void sender(uint32_t number, void *argument, struct bench_told *told)
{
    void *link = argument;
    struct bench_bodies bodies;
    bench_prepare(&bodies, flow.lane->setup.size);
    bench_join(flow.lane, link, BENCH_SENDER);
    uint64_t stride = stride_of(bodies.size), n = 0;
    int64_t end = bench_ready(NULL);
    do {
        for (uint64_t i = 0; i < stride; i++)
            send_one(link, &bodies, (uint64_t)number << SENDER_BITS | n++);
    } while (bench_now() < end);
    send_one(link, &bodies, BENCH_LAST | (uint64_t)number << SENDER_BITS | n++);
    told->messages = n;
    bench_leave(flow.lane, link);
}

/* Takes until each sender has sent its last; the first eighth of the time does not count. */
static void receiver(uint32_t number, void *argument, struct bench_told *told)
{
    (void)number;
    void *link = argument, *buffer = bench_buffer(flow.lane->setup.size);
    uint64_t expected[BENCH_CREW_MAX] = {0}, stride = stride_of(flow.lane->setup.size), n = 0, first = 0;
    bench_join(flow.lane, link, BENCH_RECEIVER);
    int64_t start, end = bench_ready(&start), began = 0;
    int64_t warm = start + (end - start) / 8;
    for (uint32_t left = flow.job->senders; left > 0;) {
        uint64_t sequence = receive_one(link, buffer), plain = sequence & ~BENCH_LAST;
        uint64_t from = plain >> SENDER_BITS;
        if (from >= flow.job->senders)
            bench_die("a message of sender %llu came", (unsigned long long)from);
        bench_in_order(plain, from << SENDER_BITS | expected[from]++);
        left -= sequence & BENCH_LAST ? 1 : 0;
        if (++n % stride == 0 && began == 0 && bench_now() >= warm)
            began = bench_now(), first = n;
    }
    if (began == 0)
        began = start;
    told->messages = n;
    told->counted = n - first;
    told->began = began;
    told->ended = bench_now();
    bench_leave(flow.lane, link);
}

/* Each pair crosses the cores, if there are two; so many pairs load both alike. */
static void fork_all(const struct bench_job *job)
{
    for (uint32_t pair = 0; pair < job->pairs; pair++)
        bench_fork(receiver, pair, (pair + 1) % job->cores, flow.links[pair]);
    for (uint32_t pair = 0; pair < job->pairs; pair++)
        for (uint32_t i = 0; i < job->senders; i++)
            bench_fork(sender, i, (pair + i) % job->cores, flow.links[pair]);
}

static uint64_t sent_to(const struct bench_job *job, uint32_t pair)
{
    uint64_t sent = 0;
    for (uint32_t i = 0; i < job->senders; i++)
        sent += bench_crew_told(job->pairs + pair * job->senders + i)->messages;
    return sent;
}

static void tell(const struct bench_job *job)
{
    int64_t began = INT64_MAX, ended = 0;
    uint64_t counted = 0, messages = 0;
    for (uint32_t pair = 0; pair < job->pairs; pair++) {
        const struct bench_told *told = bench_crew_told(pair);
        if (told->messages != sent_to(job, pair))
            bench_die("messages are lost");
        began = told->began < began ? told->began : began;
        ended = told->ended > ended ? told->ended : ended;
        counted += told->counted;
        messages += told->messages;
    }
    bench_figure(0, "ns", (double)(ended - began) / (double)(counted ? counted : 1));
    bench_figure(0, "messages", (double)messages);
}

void bench_work_flow(const struct bench_job *job)
{
    flow.job = job;
    flow.lane = &job->lanes[0];
    if (job->pairs > LINKS_MAX)
        bench_die("more than %d links", LINKS_MAX);
    for (uint32_t pair = 0; pair < job->pairs; pair++)
        flow.links[pair] = bench_make(flow.lane);
    fork_all(job);
    bench_crew_run(job->span, job->cores);
    tell(job);
}
