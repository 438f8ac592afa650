/* POSIX's own message queue: 10 messages deep, which is what an unprivileged user gets. */
#include <errno.h>
#include <fcntl.h>
#include <mqueue.h>
#include <stdio.h>
#include <stdlib.h>

#include "bench/system.h"

#define DEEPEST 10

struct mq {
    mqd_t queue;
    size_t size;
};

static void *make(const struct bench_setup *setup)
{
    struct mq *link = bench_allocate(sizeof(*link));
    uint32_t depth = setup->depth && setup->depth < DEEPEST ? setup->depth : DEEPEST;
    struct mq_attr shape = {.mq_maxmsg = (long)depth, .mq_msgsize = (long)setup->size};
    char name[sizeof(setup->name) + 1];
    snprintf(name, sizeof(name), "/%s", setup->name);
    link->size = setup->size;
    link->queue = mq_open(name, O_RDWR | O_CREAT | O_EXCL, 0600, &shape);
    if (link->queue == (mqd_t)-1)
        bench_fail("mq_open(%u x %zu)", depth, setup->size);
    mq_unlink(name);
    return link;
}

static void destroy(void *link)
{
    mq_close(((struct mq *)link)->queue);
    free(link);
}

static void send(void *link, void *data, size_t size, uint32_t type)
{
    (void)type;
    while (mq_send(((struct mq *)link)->queue, data, size, 0) == -1)
        if (errno != EINTR)
            bench_fail("mq_send");
}

static size_t receive(void *link, void *buffer, size_t room, uint32_t type)
{
    (void)type;
    ssize_t size;
    while ((size = mq_receive(((struct mq *)link)->queue, buffer, room, NULL)) == -1)
        if (errno != EINTR)
            bench_fail("mq_receive");
    return (size_t)size;
}

const struct bench_system bench_mq = {
    .name = "mq",
    .can = BENCH_PAIR | BENCH_TRIP | BENCH_FLOW | BENCH_MANY,
    .largest = 8192,
    .make = make,
    .destroy = destroy,
    .send = send,
    .receive = receive,
};
