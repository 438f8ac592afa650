/* A pair of AF_UNIX sockets that keep messages whole (SOCK_SEQPACKET), with the kernel's own buffer size. */
#include <errno.h>
#include <stdlib.h>
#include <sys/socket.h>
#include <unistd.h>

#include "bench/system.h"

static void *make(const struct bench_setup *setup)
{
    (void)setup;
    int *ends = bench_allocate(2 * sizeof(*ends));
    if (socketpair(AF_UNIX, SOCK_SEQPACKET, 0, ends) == -1)
        bench_fail("socketpair");
    return ends;
}

static void destroy(void *link)
{
    close(((int *)link)[0]);
    close(((int *)link)[1]);
    free(link);
}

static void transmit(void *link, void *data, size_t size, uint32_t type)
{
    (void)type;
    while (send(((int *)link)[1], data, size, 0) == -1)
        if (errno != EINTR)
            bench_fail("send of %zu bytes", size);
}

static size_t receive(void *link, void *buffer, size_t room, uint32_t type)
{
    (void)type;
    ssize_t size;
    while ((size = recv(((int *)link)[0], buffer, room, 0)) == -1)
        if (errno != EINTR)
            bench_fail("recv");
    return (size_t)size;
}

const struct bench_system bench_unix = {
    .name = "unix",
    .can = BENCH_PAIR | BENCH_TRIP | BENCH_FLOW | BENCH_MANY,
    .largest = 65536,
    .make = make,
    .destroy = destroy,
    .send = transmit,
    .receive = receive,
};
