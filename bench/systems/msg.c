/* System V's own message queue. */
#include <errno.h>
#include <stdlib.h>
#include <sys/ipc.h>
#include <sys/msg.h>

#include "bench/system.h"

static void *make(const struct bench_setup *setup)
{
    (void)setup;
    int *link = bench_allocate(sizeof(*link));
    *link = msgget(IPC_PRIVATE, IPC_CREAT | 0600);
    if (*link == -1)
        bench_fail("msgget");
    return link;
}

static void destroy(void *link)
{
    msgctl(*(int *)link, IPC_RMID, NULL);
    free(link);
}

/* The call wants the type right in front of the body. */
static void send(void *link, void *data, size_t size, uint32_t type)
{
    long *message = (long *)data - 1;
    *message = (long)type;
    while (msgsnd(*(int *)link, message, size, 0) == -1)
        if (errno != EINTR)
            bench_fail("msgsnd");
}

static size_t receive(void *link, void *buffer, size_t room, uint32_t type)
{
    ssize_t size;
    while ((size = msgrcv(*(int *)link, (long *)buffer - 1, room, (long)type, 0)) == -1)
        if (errno != EINTR)
            bench_fail("msgrcv");
    return (size_t)size;
}

const struct bench_system bench_msg = {
    .name = "msg",
    .can = BENCH_PAIR | BENCH_TRIP | BENCH_FLOW | BENCH_MANY | BENCH_TYPES,
    .largest = 8192,
    .make = make,
    .destroy = destroy,
    .send = send,
    .receive = receive,
};
