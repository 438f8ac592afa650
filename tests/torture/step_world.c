/* What a call depends on besides its objects, made the same in every trial; see step_trial.h. The linker's --wrap leads
 * the library here. */
#define _GNU_SOURCE
#include <string.h>
#include <sys/syscall.h>
#include <time.h>
#include <unistd.h>

#include "step_trial.h"

enum { HEAP = 262144 };
#define TICK PIPC_US(20)

static bool inside;
static int64_t own_clock;
static uint64_t chance;
static _Alignas(64) unsigned char heap[HEAP];
static size_t taken;

int __real_clock_gettime(clockid_t clock, struct timespec *now);
int __wrap_clock_gettime(clockid_t clock, struct timespec *now);
uint64_t __real_pipc_random(void);
uint64_t __wrap_pipc_random(void);
void *__real_malloc(size_t bytes);
void *__wrap_malloc(size_t bytes);
void *__real_calloc(size_t count, size_t bytes);
void *__wrap_calloc(size_t count, size_t bytes);
void __real_free(void *memory);
void __wrap_free(void *memory);

void step_world_begin(void)
{
    chance = (uint64_t)test_now() / 1000 % 256;
}

void step_world_enter(void)
{
    own_clock = test_now();
    inside = true;
}

void step_world_leave(void)
{
    inside = false;
}

/* The vDSO's way to the other clocks is not always the same. */
int __wrap_clock_gettime(clockid_t clock, struct timespec *now)
{
    if (!inside)
        return __real_clock_gettime(clock, now);
    if (clock != CLOCK_MONOTONIC)
        return (int)syscall(SYS_clock_gettime, clock, now);
    own_clock += TICK;
    *now = (struct timespec){.tv_sec = own_clock / PIPC_SECONDS(1), .tv_nsec = own_clock % PIPC_SECONDS(1)};
    return 0;
}

/* Where a search begins is said by the last bits. */
uint64_t __wrap_pipc_random(void)
{
    return inside ? __real_pipc_random() << 8 | chance : __real_pipc_random();
}

void *__wrap_malloc(size_t bytes)
{
    if (!inside)
        return __real_malloc(bytes);
    if (bytes > sizeof heap - taken)
        return NULL;
    taken += (bytes + 63) / 64 * 64;
    return heap + taken - (bytes + 63) / 64 * 64;
}

void *__wrap_calloc(size_t count, size_t bytes)
{
    return inside ? __wrap_malloc(count * bytes) : __real_calloc(count, bytes); /* nothing was there before */
}

/* The process does not live long. */
void __wrap_free(void *memory)
{
    if (!inside)
        __real_free(memory);
}
