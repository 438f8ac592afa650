/* ZeroMQ: PUSH to PULL over its ipc transport, in the abstract name space of sockets. */
#include <stdio.h>
#include <stdlib.h>
#include <zmq.h>

#include "bench/peers/goodbye.h"

struct peer {
    char address[96];
    void *context, *socket;
    enum bench_role role;
    _Atomic int *said;
};

static void must(int answer)
{
    if (answer == -1) {
        bench_die("zmq: %s", zmq_strerror(zmq_errno()));
    }
}

static void *make(const struct bench_setup *setup)
{
    struct peer *link = bench_allocate(sizeof(*link));
    snprintf(link->address, sizeof(link->address), "ipc://@%s", setup->name);
    link->said = goodbye_make();
    return link;
}

static void join(void *link, enum bench_role role)
{
    struct peer *peer = link;
    peer->role = role;
    peer->context = zmq_ctx_new();
    peer->socket = zmq_socket(peer->context, role == BENCH_RECEIVER ? ZMQ_PULL : ZMQ_PUSH);
    must(role == BENCH_RECEIVER ? zmq_bind(peer->socket, peer->address) : zmq_connect(peer->socket, peer->address));
}

static void leave(void *link)
{
    struct peer *peer = link;
    goodbye(peer->said, peer->role); /* seen without: the last messages of one of several senders never came */
    zmq_close(peer->socket);
    zmq_ctx_term(peer->context);
}

static void destroy(void *link)
{
    goodbye_destroy(((struct peer *)link)->said);
    free(link);
}

static void send(void *link, void *data, size_t size, uint32_t type)
{
    (void)type;
    must(zmq_send(((struct peer *)link)->socket, data, size, 0));
}

static size_t receive(void *link, void *buffer, size_t room, uint32_t type)
{
    (void)type;
    int size = zmq_recv(((struct peer *)link)->socket, buffer, room, 0);
    must(size);
    return (size_t)size;
}

const struct bench_system bench_zmq = {
    .name = "zmq",
    .can = BENCH_TRIP | BENCH_FLOW | BENCH_MANY,
    .make = make,
    .join = join,
    .leave = leave,
    .destroy = destroy,
    .send = send,
    .receive = receive,
};
