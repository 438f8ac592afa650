/* libqb's ring buffer in shared memory. It has no way to wait for room, so a sender looks again. */
#include <errno.h>
#include <qb/qbrb.h>
#include <stdlib.h>

#include "bench/peers/patience.h"
#include "bench/system.h"

#define RING    (4u << 20)
#define FOREVER (-1)

struct peer {
    struct bench_setup setup;
    size_t ring;
    qb_ringbuffer_t *first, *buffer; /* the maker's, and that of whoever joined */
};

static void *make(const struct bench_setup *setup)
{
    struct peer *link = bench_allocate(sizeof(*link));
    size_t least = 8 * (setup->size + 64);
    link->setup = *setup;
    link->ring = least > RING ? least : RING;
    link->first = qb_rb_open(setup->name, link->ring, QB_RB_FLAG_CREATE | QB_RB_FLAG_SHARED_PROCESS, 0);
    if (!link->first)
        bench_fail("qb_rb_open");
    return link;
}

static void join(void *link, enum bench_role role)
{
    (void)role;
    struct peer *peer = link;
    peer->buffer = qb_rb_open(peer->setup.name, peer->ring, QB_RB_FLAG_SHARED_PROCESS, 0);
    if (!peer->buffer)
        bench_fail("qb_rb_open");
}

static void destroy(void *link)
{
    qb_rb_close(((struct peer *)link)->first);
    free(link);
}

static void send(void *link, void *data, size_t size, uint32_t type)
{
    (void)type;
    unsigned looks = 0;
    for (;;) {
        ssize_t n = qb_rb_chunk_write(((struct peer *)link)->buffer, data, size);
        if (n == (ssize_t)size)
            return;
        if (n != -EAGAIN)
            errno = (int)-n, bench_fail("qb_rb_chunk_write");
        look_again(&looks);
    }
}

static size_t receive(void *link, void *buffer, size_t room, uint32_t type)
{
    (void)type;
    for (;;) {
        ssize_t n = qb_rb_chunk_read(((struct peer *)link)->buffer, buffer, room, FOREVER);
        if (n > 0)
            return (size_t)n;
        if (n != -EAGAIN && n != -EINTR && n != -ETIMEDOUT)
            errno = (int)-n, bench_fail("qb_rb_chunk_read");
    }
}

const struct bench_system bench_qb = {
    .name = "libqb",
    .can = BENCH_TRIP | BENCH_FLOW,
    .make = make,
    .join = join,
    .destroy = destroy,
    .send = send,
    .receive = receive,
};
