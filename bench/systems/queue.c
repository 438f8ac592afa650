/* pipc's queue. */
#include <pipc/library.h>
#include <pipc/queue.h>
#include <stdlib.h>

#include "bench/systems/ours.h"

#define SYSV_MSGMAX 8192 /* the kernel's defaults, bytes: one message, one queue */
#define SYSV_MSGMNB 16384

struct ours {
    struct bench_setup setup;
    pipc_queue *queue;
};

/* As many as the kernel's queue takes of this size, so that it is as deep as a raw one. */
static uint32_t depth_of_kernel(const struct bench_setup *setup)
{
    pipc_facts facts;
    must(pipc_library_facts(&facts));
    if (facts.kernel_depth_max)
        return facts.kernel_depth_max;
    size_t envelope = SYSV_MSGMAX - facts.kernel_message_max;
    size_t fit = SYSV_MSGMNB / (setup->size + envelope);
    return fit < 2 ? 2 : (uint32_t)fit;
}

static void *make(const struct bench_setup *setup)
{
    struct ours *link = bench_allocate(sizeof(*link));
    link->setup = *setup;
    pipc_queue_options options = {.max_messages = setup->depth ? setup->depth : depth_of_kernel(setup),
                                  .max_size = setup->size};
    must(pipc_queue_open(&link->queue, setup->name, PIPC_CREATE | PIPC_EXCLUSIVE, &options));
    pipc_queue_close(link->queue);
    return link;
}

static void join(void *link, enum bench_role role)
{
    struct ours *ours = link;
    uint32_t flags = ours->setup.sleep ? PIPC_NO_SPIN : 0;
    flags |= (role & BENCH_RECEIVER ? PIPC_RECEIVE : 0) | (role & BENCH_SENDER ? PIPC_SEND : 0);
    must(pipc_queue_open(&ours->queue, ours->setup.name, flags, NULL));
}

static void leave(void *link)
{
    pipc_queue_close(((struct ours *)link)->queue);
}

static void destroy(void *link)
{
    pipc_queue_remove(((struct ours *)link)->setup.name);
    free(link);
}

static void send(void *link, void *data, size_t size, uint32_t type)
{
    pipc_message message = {.data = data, .size = size, .type = type};
    must(pipc_queue_send(((struct ours *)link)->queue, &message, PIPC_FOREVER));
}

static size_t receive(void *link, void *buffer, size_t room, uint32_t type)
{
    pipc_message message = {.data = buffer, .size = room};
    pipc_selection selection = type ? pipc_exactly(type) : pipc_any();
    must(pipc_queue_receive(((struct ours *)link)->queue, selection, &message, PIPC_FOREVER));
    return message.size;
}

const struct bench_system bench_queue = {
    .name = "queue",
    .can = BENCH_PAIR | BENCH_TRIP | BENCH_FLOW | BENCH_MANY | BENCH_TYPES | BENCH_PATIENT,
    .make = make,
    .join = join,
    .leave = leave,
    .destroy = destroy,
    .send = send,
    .receive = receive,
};
