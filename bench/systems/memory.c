/* Shared memory by the kernel's own calls: create, map, touch every page, unmap, remove. */
#include <fcntl.h>
#include <stdio.h>
#include <sys/ipc.h>
#include <sys/mman.h>
#include <sys/shm.h>
#include <unistd.h>

#include "bench/system.h"

#define PAGE 4096

static void touch(char *memory, size_t size)
{
    for (size_t at = 0; at < size; at += PAGE)
        memory[at] = 1;
}

/* A key, so that the kernel has something to find, as it has for a name. */
static void memory_sysv(const char *name, size_t size)
{
    static key_t key;
    if (key == 0)
        key = (key_t)((unsigned)getpid() * 2654435761u | 1);
    (void)name;
    int id = shmget(key, size, IPC_CREAT | IPC_EXCL | 0600);
    char *memory = id == -1 ? NULL : shmat(id, NULL, 0);
    if (id == -1 || memory == (void *)-1)
        bench_fail("shmget, shmat");
    touch(memory, size);
    shmdt(memory);
    shmctl(id, IPC_RMID, NULL);
}

static void memory_posix(const char *name, size_t size)
{
    char path[96];
    snprintf(path, sizeof(path), "/%s", name);
    int file = shm_open(path, O_RDWR | O_CREAT | O_EXCL, 0600);
    if (file == -1 || ftruncate(file, (off_t)size) == -1)
        bench_fail("shm_open, ftruncate");
    char *memory = mmap(NULL, size, PROT_READ | PROT_WRITE, MAP_SHARED, file, 0);
    close(file);
    if (memory == MAP_FAILED)
        bench_fail("mmap");
    touch(memory, size);
    munmap(memory, size);
    shm_unlink(path);
}

const struct bench_system bench_memory_sysv = {.name = "shmget", .can = BENCH_MEMORY, .memory = memory_sysv};
const struct bench_system bench_memory_posix = {.name = "shm_open", .can = BENCH_MEMORY, .memory = memory_posix};
