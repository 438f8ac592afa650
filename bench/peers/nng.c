/* nng: push to pull over its ipc transport, in the abstract name space of sockets. */
#include <nng/nng.h>
#include <nng/protocol/pipeline0/pull.h>
#include <nng/protocol/pipeline0/push.h>
#include <stdio.h>
#include <stdlib.h>

#include "bench/peers/goodbye.h"

struct peer {
    char address[96];
    nng_socket socket;
    enum bench_role role;
    _Atomic int *said;
};

static void must(int error)
{
    if (error != 0)
        bench_die("nng: %s", nng_strerror(error));
}

static void *make(const struct bench_setup *setup)
{
    struct peer *link = bench_allocate(sizeof(*link));
    snprintf(link->address, sizeof(link->address), "abstract://%s", setup->name);
    link->said = goodbye_make();
    return link;
}

static void join(void *link, enum bench_role role)
{
    struct peer *peer = link;
    peer->role = role;
    must(role == BENCH_RECEIVER ? nng_pull0_open(&peer->socket) : nng_push0_open(&peer->socket));
    must(nng_socket_set_size(peer->socket, NNG_OPT_RECVMAXSZ, 0));
    must(role == BENCH_RECEIVER ? nng_listen(peer->socket, peer->address, NULL, 0)
                                : nng_dial(peer->socket, peer->address, NULL, NNG_FLAG_NONBLOCK));
}

static void leave(void *link)
{
    struct peer *peer = link;
    goodbye(peer->said, peer->role);
    nng_close(peer->socket);
}

static void destroy(void *link)
{
    goodbye_destroy(((struct peer *)link)->said);
    free(link);
}

static void send(void *link, void *data, size_t size, uint32_t type)
{
    (void)type;
    must(nng_send(((struct peer *)link)->socket, data, size, 0));
}

static size_t receive(void *link, void *buffer, size_t room, uint32_t type)
{
    (void)type;
    size_t size = room;
    must(nng_recv(((struct peer *)link)->socket, buffer, &size, 0));
    return size;
}

const struct bench_system bench_nng = {
    .name = "nng",
    .can = BENCH_TRIP | BENCH_FLOW | BENCH_MANY,
    .make = make,
    .join = join,
    .leave = leave,
    .destroy = destroy,
    .send = send,
    .receive = receive,
};
