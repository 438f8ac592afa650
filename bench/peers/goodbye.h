/* For libraries whose close drops what is still on its way: a sender leaves after the receiver. */
#ifndef BENCH_GOODBYE_H
#define BENCH_GOODBYE_H

#include <stdatomic.h>
#include <sys/mman.h>
#include <time.h>

#include "bench/system.h"

static inline _Atomic int *goodbye_make(void)
{
    void *said = mmap(NULL, sizeof(_Atomic int), PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
    if (said == MAP_FAILED)
        bench_fail("mmap");
    return (_Atomic int *)said;
}

static inline void goodbye(_Atomic int *said, enum bench_role role)
{
    if (role & BENCH_RECEIVER)
        atomic_store(said, 1);
    while (atomic_load(said) == 0)
        nanosleep(&(struct timespec){.tv_nsec = 100000}, NULL);
}

static inline void goodbye_destroy(_Atomic int *said)
{
    munmap((void *)said, sizeof(*said));
}

#endif
