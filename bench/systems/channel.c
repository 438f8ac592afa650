/* pipc's channel: with one copy, and in place. */
#include <pipc/channel.h>
#include <stdlib.h>

#include "bench/systems/ours.h"

#define RING (4u << 20) /* bytes at least, room to fall behind in; four of the largest records fit in any case */

struct ours {
    struct bench_setup setup;
    pipc_channel *channel;
    pipc_record record; /* reserved or peeked at */
};

static void *make(const struct bench_setup *setup)
{
    struct ours *link = bench_allocate(sizeof(*link));
    link->setup = *setup;
    pipc_channel_options options = {.producers = setup->senders > 1 ? PIPC_PRODUCERS_MANY : PIPC_PRODUCERS_ONE};
    uint64_t least = 8 * (setup->size + 64);
    options.size = least > RING ? least : RING;
    must(pipc_channel_open(&link->channel, setup->name, PIPC_CREATE | PIPC_EXCLUSIVE, &options));
    pipc_channel_close(link->channel);
    return link;
}

static void join(void *link, enum bench_role role)
{
    struct ours *ours = link;
    uint32_t flags = ours->setup.sleep ? PIPC_NO_SPIN : 0;
    flags |= (role & BENCH_RECEIVER ? PIPC_RECEIVE : 0) | (role & BENCH_SENDER ? PIPC_SEND : 0);
    must(pipc_channel_open(&ours->channel, ours->setup.name, flags, NULL));
}

static void leave(void *link)
{
    pipc_channel_close(((struct ours *)link)->channel);
}

static void destroy(void *link)
{
    pipc_channel_remove(((struct ours *)link)->setup.name);
    free(link);
}

static void send(void *link, void *data, size_t size, uint32_t type)
{
    (void)type;
    pipc_record record = {.data = data, .size = size};
    must(pipc_channel_send(((struct ours *)link)->channel, &record, PIPC_FOREVER));
}

static size_t receive(void *link, void *buffer, size_t room, uint32_t type)
{
    (void)type;
    pipc_record record = {.data = buffer, .size = room};
    must(pipc_channel_receive(((struct ours *)link)->channel, &record, PIPC_FOREVER));
    return record.size;
}

static void *reserve(void *link, size_t size)
{
    struct ours *ours = link;
    ours->record = (pipc_record){.size = size};
    must(pipc_channel_reserve(ours->channel, &ours->record, PIPC_FOREVER));
    return ours->record.data;
}

static void commit(void *link, size_t size)
{
    struct ours *ours = link;
    ours->record.size = size;
    must(pipc_channel_commit(ours->channel, &ours->record, 1));
}

static const void *peek(void *link, size_t *size)
{
    struct ours *ours = link;
    uint32_t count = 1;
    ours->record = (pipc_record){0};
    must(pipc_channel_peek(ours->channel, &ours->record, &count, PIPC_FOREVER));
    *size = ours->record.size;
    return ours->record.data;
}

static void release(void *link)
{
    must(pipc_channel_release(((struct ours *)link)->channel, 1));
}

const struct bench_system bench_channel = {
    .name = "channel",
    .can = BENCH_PAIR | BENCH_TRIP | BENCH_FLOW | BENCH_MANY | BENCH_PLACE | BENCH_PATIENT,
    .make = make,
    .join = join,
    .leave = leave,
    .destroy = destroy,
    .send = send,
    .receive = receive,
    .reserve = reserve,
    .commit = commit,
    .peek = peek,
    .release = release,
};
