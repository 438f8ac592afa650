/* pipc's shared memory. */
#include <pipc/shm.h>

#include "bench/systems/ours.h"

#define PAGE 4096

static void memory(const char *name, size_t size)
{
    pipc_shm *shm;
    pipc_shm_options options = {.size = size};
    void *address;
    must(pipc_shm_open(&shm, name, PIPC_CREATE | PIPC_EXCLUSIVE, &options));
    must(pipc_shm_map(shm, PIPC_READ | PIPC_WRITE, &address));
    for (size_t at = 0; at < size; at += PAGE)
        ((char *)address)[at] = 1;
    must(pipc_shm_unmap(shm, address));
    must(pipc_shm_close(shm));
    must(pipc_shm_remove(name));
}

const struct bench_system bench_shm = {.name = "shm", .can = BENCH_MEMORY, .memory = memory};
