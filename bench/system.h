/* What the benchmark asks of a system: a way to bring bytes from one process to another.
 *
 * A system is a table of functions; a runner program holds one or a few of them (systems.h is written by CMake).
 * A link is one direction from senders to receivers. The parent makes it before it forks and destroys it after
 * all have left; each process that uses it joins first, receivers before senders. Whatever fails ends the process,
 * so no function tells errors. */
#ifndef BENCH_SYSTEM_H
#define BENCH_SYSTEM_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#ifdef __cplusplus
extern "C" {
#endif

/* What a system can do. */
enum {
    BENCH_PAIR = 1,     /* a process may send to itself */
    BENCH_TRIP = 2,     /* two links make a round trip */
    BENCH_FLOW = 4,     /* many messages on their way at once, the sender waits for room */
    BENCH_MANY = 8,     /* several senders on one link */
    BENCH_TYPES = 16,   /* receives by type */
    BENCH_PLACE = 32,   /* messages are written and read in place */
    BENCH_MEMORY = 64,  /* makes memory */
    BENCH_PATIENT = 128 /* waits may be told to sleep at once */
};

#define BENCH_HEAD 64

enum bench_role { BENCH_RECEIVER = 1, BENCH_SENDER = 2, BENCH_BOTH = 3 };

/* What a link shall be. */
struct bench_setup {
    char name[64];    /* unique on this machine, a plain word */
    size_t size;      /* largest message, bytes */
    uint32_t depth;   /* messages that shall fit; 0: as many as the kernel's own queue takes */
    uint32_t types;   /* messages have types 1 to this */
    uint32_t senders; /* processes that send */
    bool sleep;       /* waits sleep at once instead of looking a while */
};

struct bench_system {
    const char *name;
    uint32_t can;
    size_t largest; /* message, bytes; 0: no limit that we meet */
    void *(*make)(const struct bench_setup *setup);
    void (*join)(void *link, enum bench_role role);
    void (*leave)(void *link); /* by whoever joined */
    void (*destroy)(void *link);
    /* Data and buffer are aligned to 64; the BENCH_HEAD bytes in front of them are the system's to scribble on. */
    void (*send)(void *link, void *data, size_t size, uint32_t type);
    size_t (*receive)(void *link, void *buffer, size_t room, uint32_t type); /* type 0: any */
    void *(*reserve)(void *link, size_t size);
    void (*commit)(void *link, size_t size);
    const void *(*peek)(void *link, size_t *size);
    void (*release)(void *link);
    void (*memory)(const char *name, size_t size); /* create, map, touch every page, unmap, remove */
};

/* The runner's systems, ended by NULL. */
extern const struct bench_system *const bench_systems[];

#ifdef __GNUC__
#define BENCH_ENDS __attribute__((noreturn, format(printf, 1, 2)))
#else
#define BENCH_ENDS
#endif

/* Say what is wrong, the second with errno's text behind it, and end the process. */
BENCH_ENDS void bench_die(const char *format, ...);
BENCH_ENDS void bench_fail(const char *format, ...);

/* As calloc(), without an error. */
void *bench_allocate(size_t size);

#ifdef __cplusplus
}
#endif
#endif
