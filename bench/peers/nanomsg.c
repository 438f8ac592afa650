/* nanomsg: PUSH to PULL over its ipc transport. */
#include <nanomsg/nn.h>
#include <nanomsg/pipeline.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

#include "bench/peers/goodbye.h"

#define SCHEME "ipc://"

struct peer {
    char address[96];
    int socket;
    enum bench_role role;
    _Atomic int *said;
};

static int must(int answer)
{
    if (answer < 0) {
        bench_die("nanomsg: %s", nn_strerror(nn_errno()));
    }
    return answer;
}

static void *make(const struct bench_setup *setup)
{
    struct peer *link = bench_allocate(sizeof(*link));
    snprintf(link->address, sizeof(link->address), SCHEME "/tmp/%s", setup->name);
    link->said = goodbye_make();
    return link;
}

static void join(void *link, enum bench_role role)
{
    struct peer *peer = link;
    int any = -1, soon = 1;
    peer->role = role;
    peer->socket = must(nn_socket(AF_SP, role == BENCH_RECEIVER ? NN_PULL : NN_PUSH));
    must(nn_setsockopt(peer->socket, NN_SOL_SOCKET, NN_RCVMAXSIZE, &any, sizeof(any)));
    must(nn_setsockopt(peer->socket, NN_SOL_SOCKET, NN_RECONNECT_IVL, &soon, sizeof(soon)));
    must(role == BENCH_RECEIVER ? nn_bind(peer->socket, peer->address) : nn_connect(peer->socket, peer->address));
}

static void leave(void *link)
{
    struct peer *peer = link;
    goodbye(peer->said, peer->role);
    nn_close(peer->socket);
}

static void destroy(void *link)
{
    struct peer *peer = link;
    unlink(peer->address + sizeof(SCHEME) - 1);
    goodbye_destroy(peer->said);
    free(link);
}

static void send(void *link, void *data, size_t size, uint32_t type)
{
    (void)type;
    must(nn_send(((struct peer *)link)->socket, data, size, 0));
}

static size_t receive(void *link, void *buffer, size_t room, uint32_t type)
{
    (void)type;
    return (size_t)must(nn_recv(((struct peer *)link)->socket, buffer, room, 0));
}

const struct bench_system bench_nanomsg = {
    .name = "nanomsg",
    .can = BENCH_TRIP | BENCH_FLOW | BENCH_MANY,
    .make = make,
    .join = join,
    .leave = leave,
    .destroy = destroy,
    .send = send,
    .receive = receive,
};
