/* Memory under a name, the handle's side. System V: shmget, shmat, shmdt, shmctl.
 *
 * How a name is found, made and freed is told in names.c. Here is what a handle does with a segment.
 *
 * Attachments (M5) are counted by the kernel, one for each area of address space that shows the
 * segment. So a handle has exactly one, of the whole segment, for as long as it lives: the keeper. The
 * first mapping is not another shmat but the loan of the keeper's data, and when the keeper's mapping ends
 * before others, one of those becomes the keeper. The protection asked for is
 * put on the whole of it, because protecting, locking or advising a part would split the area in two
 * and count twice. Whoever locks or advises a mapping therefore includes the page before it.
 */
#include "private.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/shm.h>

const char pipc_be_name[] = "sysv";
const bool pipc_be_takes_by_priority = true; /* on Linux; elsewhere a negative type is only a bound */

static struct pipc_be_memory *new_memory(void)
{
    struct pipc_be_memory *memory = calloc(1, sizeof *memory);
    if (!memory)
        pipc_fail(PIPC_E_NO_MEMORY, "calloc(%zu bytes): no memory for a handle", sizeof *memory);
    return memory;
}

int pipc_be_memory_open(struct pipc_be_memory **out, const struct pipc_be_request *request, bool *build)
{
    *build = false;
    *out = new_memory();
    if (!*out)
        return PIPC_E_NO_MEMORY;
    int error = pipc_name_open(*out, request, build);
    if (error) {
        free(*out);
        *out = NULL;
    }
    return error;
}

int pipc_be_memory_publish(struct pipc_be_memory *memory)
{
    PIPC_POINT("names: built, not ready");
    /* model: names_sysv.pml, build */
    if (atomic_compare_exchange_strong(&memory->object->state, &(uint64_t){memory->claim}, PIPC_STATE_READY)) {
        memory->claim = 0;
        return 0;
    }
    pipc_be_memory_close(memory);
    return pipc_fail(PIPC_E_BUSY, "somebody declared this builder dead and removed what it built; try again");
}

void pipc_be_memory_abandon(struct pipc_be_memory *memory)
{
    /* model: names_sysv.pml, build */
    if (atomic_compare_exchange_strong(&memory->object->state, &(uint64_t){memory->claim}, PIPC_STATE_DEAD))
        pipc_name_free(memory);
    pipc_be_memory_close(memory);
}

struct pipc_object *pipc_be_memory_object(struct pipc_be_memory *memory)
{
    return memory->object;
}

uint64_t pipc_be_memory_size(const struct pipc_be_memory *memory)
{
    return memory->size;
}

uint32_t pipc_be_memory_owner(const struct pipc_be_memory *memory)
{
    return memory->creator;
}

uint32_t pipc_be_memory_group(const struct pipc_be_memory *memory)
{
    return memory->group;
}

static int map_failed(const struct pipc_be_memory *memory, const char *call)
{
    int error = errno == ENOMEM ? PIPC_E_NO_MEMORY : pipc_error_from(errno);
    return pipc_fail(error, "%s(segment %d, %zu bytes): %s; this process needs that much address space free", call,
                     memory->id, memory->length, strerror(errno));
}

/* A builder writes the header to the end. */
static int protect(struct pipc_be_memory *memory, uint32_t access)
{
    bool write = memory->claim || (access & PIPC_WRITE);
    if (write ? memory->writable && !memory->guarded : memory->guarded)
        return 0;
    if (mprotect(memory->object, memory->length, write ? PROT_READ | PROT_WRITE : PROT_READ) != 0)
        return -1;
    memory->guarded = !write;
    return 0;
}

/* The keeper's first mapping; only its protection changes. */
static int lend(struct pipc_be_memory *memory, uint32_t access, void **address)
{
    if (protect(memory, access) != 0)
        return map_failed(memory, "mprotect");
    memory->lent = true;
    *address = (char *)memory->object + pipc_page();
    return 0;
}

/* Attached with all rights of the handle, for it may become the keeper. */
static int attach_another(const struct pipc_be_memory *memory, uint32_t access, void **address)
{
    char *base = shmat(memory->id, NULL, memory->writable ? 0 : SHM_RDONLY);
    if (base == (void *)-1)
        return map_failed(memory, "shmat");
    if (memory->writable && !(access & PIPC_WRITE) && mprotect(base, memory->length, PROT_READ) != 0) {
        int error = map_failed(memory, "mprotect");
        shmdt(base);
        return error;
    }
    *address = base + pipc_page();
    return 0;
}

int pipc_be_memory_map(struct pipc_be_memory *memory, uint32_t access, void **address)
{
    *address = NULL;
    if (!memory->lent)
        return lend(memory, access, address);
    return attach_another(memory, access, address);
}

/* The keeper stays as long as it is the only one; else a mapping that stays is the keeper from now on. */
void pipc_be_memory_unmap(struct pipc_be_memory *memory, void *address, void *other)
{
    struct pipc_object *base = (void *)((char *)address - pipc_page());
    if (base == memory->object && !other) {
        memory->lent = false;
        protect(memory, PIPC_READ);
        return;
    }
    if (base == memory->object) {
        memory->object = (void *)((char *)other - pipc_page());
        memory->guarded = false; /* as far as is known */
    }
    shmdt(base);
}

int pipc_be_memory_attachments(struct pipc_be_memory *memory, uint64_t *count)
{
    struct shmid_ds facts;
    *count = 0;
    if (shmctl(memory->id, IPC_STAT, &facts) != 0)
        return pipc_fail(PIPC_E_SYSTEM, "shmctl(%d, IPC_STAT): %s", memory->id, strerror(errno));
    *count = facts.shm_nattch;
    return 0;
}

void pipc_be_memory_close(struct pipc_be_memory *memory)
{
    pipc_name_leave(memory);
    free(memory);
}

int pipc_be_memory_doom(struct pipc_be_memory **out, uint32_t kind, const char *name, int64_t deadline)
{
    struct pipc_be_request request = {
        .kind = kind, .name = name, .flags = PIPC_READ | PIPC_WRITE, .deadline = deadline};
    *out = new_memory();
    if (!*out)
        return PIPC_E_NO_MEMORY;
    int error = pipc_name_doom(*out, &request);
    if (error) {
        free(*out);
        *out = NULL;
    }
    return error;
}

void pipc_be_memory_finish(struct pipc_be_memory *memory)
{
    pipc_name_free(memory); /* model: names_sysv.pml, doom */
    pipc_be_memory_close(memory);
}
