/* The floors: what a round trip costs with nothing around it. The message is one word of 8 bytes, its sequence number,
 * alone in a cache line. "line" looks at it until it changes; "futex" sleeps in the kernel until it is woken. */
#include <linux/futex.h>
#include <stdatomic.h>
#include <stdlib.h>
#include <sys/mman.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "bench/system.h"

struct line {
    _Alignas(128) _Atomic uint64_t value;
    _Atomic uint32_t turn; /* for the futex: counts the messages */
};

struct bare {
    struct line *line; /* shared */
    uint64_t seen;     /* the receiver's own */
    uint32_t turn;
};

static void *make(const struct bench_setup *setup)
{
    (void)setup;
    struct bare *link = bench_allocate(sizeof(*link));
    link->line = mmap(NULL, sizeof(struct line), PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
    if (link->line == MAP_FAILED)
        bench_fail("mmap");
    return link;
}

static void destroy(void *link)
{
    munmap(((struct bare *)link)->line, sizeof(struct line));
    free(link);
}

static void send_line(void *link, void *data, size_t size, uint32_t type)
{
    (void)size, (void)type;
    atomic_store_explicit(&((struct bare *)link)->line->value, *(uint64_t *)data, memory_order_release);
}

static size_t receive_line(void *link, void *buffer, size_t room, uint32_t type)
{
    (void)room, (void)type;
    struct bare *bare = link;
    uint64_t value;
    while ((value = atomic_load_explicit(&bare->line->value, memory_order_acquire)) == bare->seen) {
#if defined(__x86_64__) || defined(__i386__)
        __builtin_ia32_pause();
#endif
    }
    *(uint64_t *)buffer = bare->seen = value;
    return sizeof(value);
}

static void send_futex(void *link, void *data, size_t size, uint32_t type)
{
    send_line(link, data, size, type);
    struct bare *bare = link;
    atomic_fetch_add(&bare->line->turn, 1);
    syscall(SYS_futex, &bare->line->turn, FUTEX_WAKE, 1, NULL, NULL, 0);
}

static size_t receive_futex(void *link, void *buffer, size_t room, uint32_t type)
{
    (void)room, (void)type;
    struct bare *bare = link;
    while (atomic_load(&bare->line->turn) == bare->turn)
        syscall(SYS_futex, &bare->line->turn, FUTEX_WAIT, bare->turn, NULL, NULL, 0);
    bare->turn++;
    *(uint64_t *)buffer = atomic_load_explicit(&bare->line->value, memory_order_relaxed);
    return sizeof(uint64_t);
}

const struct bench_system bench_line = {
    .name = "line",
    .can = BENCH_TRIP,
    .largest = 8,
    .make = make,
    .destroy = destroy,
    .send = send_line,
    .receive = receive_line,
};

const struct bench_system bench_futex = {
    .name = "futex",
    .can = BENCH_TRIP,
    .largest = 8,
    .make = make,
    .destroy = destroy,
    .send = send_futex,
    .receive = receive_futex,
};
