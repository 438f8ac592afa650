/* A pipe, as programs with records of one fixed size use it. One sender: the kernel keeps writes of more than 4096
 * bytes together for nobody. */
#include <errno.h>
#include <stdlib.h>
#include <unistd.h>

#include "bench/system.h"

struct pipe {
    int ends[2];
    size_t size;
};

static void *make(const struct bench_setup *setup)
{
    struct pipe *link = bench_allocate(sizeof(*link));
    link->size = setup->size;
    if (pipe(link->ends) == -1)
        bench_fail("pipe");
    return link;
}

static void destroy(void *link)
{
    struct pipe *both = link;
    close(both->ends[0]);
    close(both->ends[1]);
    free(link);
}

static void send(void *link, void *data, size_t size, uint32_t type)
{
    (void)type;
    struct pipe *both = link;
    for (size_t done = 0; done < size;) {
        ssize_t n = write(both->ends[1], (char *)data + done, size - done);
        if (n == -1 && errno != EINTR)
            bench_fail("write to a pipe");
        done += n > 0 ? (size_t)n : 0;
    }
}

static size_t receive(void *link, void *buffer, size_t room, uint32_t type)
{
    (void)room, (void)type;
    struct pipe *both = link;
    for (size_t done = 0; done < both->size;) {
        ssize_t n = read(both->ends[0], (char *)buffer + done, both->size - done);
        if (n == 0 || (n == -1 && errno != EINTR))
            bench_fail("read from a pipe");
        done += n > 0 ? (size_t)n : 0;
    }
    return both->size;
}

const struct bench_system bench_pipe = {
    .name = "pipe",
    .can = BENCH_TRIP | BENCH_FLOW,
    .make = make,
    .destroy = destroy,
    .send = send,
    .receive = receive,
};
