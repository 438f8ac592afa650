/* Memory under a name, the handle's side. POSIX: shm_open, mmap, munmap, shm_unlink.
 *
 * How a name is found, made and freed is told in names.c. Here is what a handle does with a file.
 *
 * Attachments (M5) are not counted by the kernel, so each handle on memory holds a lock on one random
 * byte far beyond the file's end (look.c), and the locks of others are counted. A queue needs no such
 * count: its descriptor is given back as soon as it is open. A handle keeps one mapping of the whole
 * file, and the first mapping asked for is the loan of its data. As in the other family the page before a
 * mapping belongs to it, and is locked or advised with it.
 */
#include "private.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>

const char pipc_be_name[] = "posix";
const bool pipc_be_takes_by_priority = true;

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
    /* model: names_posix.pml, build_here */
    if (atomic_compare_exchange_strong(&memory->object->state, &(uint64_t){PIPC_STATE_BUILDING}, PIPC_STATE_READY)) {
        pipc_name_built(memory);
        return 0;
    }
    pipc_be_memory_close(memory);
    return pipc_fail(PIPC_E_BUSY, "somebody changed the state of what this builder built; try again");
}

void pipc_be_memory_abandon(struct pipc_be_memory *memory)
{
    /* model: names_posix.pml, build_here */
    if (atomic_compare_exchange_strong(&memory->object->state, &(uint64_t){PIPC_STATE_BUILDING}, PIPC_STATE_DEAD))
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
    return memory->owner;
}

uint32_t pipc_be_memory_group(const struct pipc_be_memory *memory)
{
    return memory->group;
}

static int map_failed(const struct pipc_be_memory *memory, const char *call)
{
    int error = errno == ENOMEM ? PIPC_E_NO_MEMORY : pipc_error_from(errno);
    return pipc_fail(error, "%s(\"%s\", %zu bytes): %s; this process needs that much address space free", call,
                     memory->path, memory->length, strerror(errno));
}

/* A builder writes the header to the end. */
static int protect(struct pipc_be_memory *memory, uint32_t access)
{
    bool write = memory->building || (access & PIPC_WRITE);
    if (write ? memory->writable && !memory->guarded : memory->guarded)
        return 0;
    if (mprotect(memory->object, memory->length, write ? PROT_READ | PROT_WRITE : PROT_READ) != 0)
        return -1;
    memory->guarded = !write;
    return 0;
}

/* The keeper's first mapping; only its protection changes. Who removes an object has none yet. */
static int lend(struct pipc_be_memory *memory, uint32_t access, void **address)
{
    if (!memory->object && !pipc_name_map(memory, memory->size + pipc_page()))
        return map_failed(memory, "mmap");
    if (protect(memory, access) != 0)
        return map_failed(memory, "mprotect");
    memory->lent = true;
    *address = (char *)memory->object + pipc_page();
    return 0;
}

/* A queue's descriptor is gone; its mapping can be doubled. */
static char *map_anew(struct pipc_be_memory *memory, uint32_t access)
{
    int protection = access & PIPC_WRITE ? PROT_READ | PROT_WRITE : PROT_READ;
    if (memory->fd >= 0)
        return mmap(NULL, memory->length, protection, MAP_SHARED, memory->fd, 0);
    char *base = mremap(memory->object, 0, memory->length, MREMAP_MAYMOVE);
    if (base != MAP_FAILED)
        mprotect(base, memory->length, protection);
    return base;
}

int pipc_be_memory_map(struct pipc_be_memory *memory, uint32_t access, void **address)
{
    *address = NULL;
    if (!memory->lent)
        return lend(memory, access, address);
    char *base = map_anew(memory, access);
    if (base == MAP_FAILED)
        return map_failed(memory, "mmap");
    *address = base + pipc_page();
    return 0;
}

void pipc_be_memory_unmap(struct pipc_be_memory *memory, void *address, void *other)
{
    char *base = (char *)address - pipc_page();
    (void)other; /* mappings are not counted */
    if (base != (char *)memory->object) {
        munmap(base, memory->length);
        return;
    }
    protect(memory, PIPC_READ);
    memory->lent = false;
}

int pipc_be_memory_attachments(struct pipc_be_memory *memory, uint64_t *count)
{
    uint64_t others = 0;
    *count = 0;
    if (memory->fd >= 0 && !pipc_name_count_attached(memory->fd, UINT64_MAX, &others))
        return pipc_fail(PIPC_E_SYSTEM, "fcntl(\"%s\", F_OFD_GETLK): %s", memory->path, strerror(errno));
    *count = 1 + others;
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
    pipc_name_free(memory); /* model: names_posix.pml, doom */
    pipc_be_memory_close(memory);
}
