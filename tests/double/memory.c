/* Memory under a name, see core/backend.h. A linked list stands in for the kernel's name space, a
 * memfd for the kernel's memory: it lets a mapping be truly read-only. */
#ifndef _GNU_SOURCE
#define _GNU_SOURCE
#endif
#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <pthread.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

#include "private.h"

const char pipc_be_name[] = "double";
const bool pipc_be_takes_by_priority = false;

static struct thing *first;
static pthread_mutex_t guard = PTHREAD_MUTEX_INITIALIZER; /* of the list and of every thing's openings */

struct pipc_be_memory *pipc_double_open_nth(unsigned nth)
{
    struct pipc_be_memory *memory = calloc(1, sizeof *memory);
    if (!memory)
        return NULL;
    pthread_mutex_lock(&guard);
    struct thing *thing = first;
    while (thing && nth--)
        thing = thing->next;
    memory->thing = thing;
    if (thing)
        thing->openings++;
    pthread_mutex_unlock(&guard);
    if (thing)
        return memory;
    free(memory);
    return NULL;
}

static uint64_t state_of(const struct thing *thing)
{
    return atomic_load(&thing->object->state) & PIPC_STATE_MASK;
}

/* ---- things ---- */

static struct thing *find(uint32_t kind, const char *name)
{
    struct thing *thing = first;
    while (thing && (thing->object->kind != kind || strcmp(thing->object->name, name) != 0))
        thing = thing->next;
    return thing;
}

static void unlist(struct thing *thing)
{
    struct thing **link = &first;
    while (*link != thing)
        link = &(*link)->next;
    *link = thing->next;
    thing->named = false;
}

static void drop_opening(struct thing *thing)
{
    if (--thing->openings > 0 || thing->named)
        return;
    munmap(thing->object, pipc_page());
    close(thing->fd);
    free(thing);
}

/* Gets the room for header and data at once, so that no later touch can fail. */
static int allocate(struct thing *thing, uint64_t size)
{
    thing->size = size;
    thing->fd = memfd_create("pipc-double", MFD_CLOEXEC);
    if (thing->fd < 0)
        return pipc_fail(pipc_error_from(errno), "memfd_create(): %s", strerror(errno));
    int problem = posix_fallocate(thing->fd, 0, (off_t)(pipc_page() + size));
    if (problem) {
        close(thing->fd);
        return pipc_fail(PIPC_E_NO_SPACE, "no room for %" PRIu64 " bytes: %s", size, strerror(problem));
    }
    thing->object = mmap(NULL, pipc_page(), PROT_READ | PROT_WRITE, MAP_SHARED, thing->fd, 0);
    if (thing->object == MAP_FAILED) {
        close(thing->fd);
        return pipc_fail(PIPC_E_NO_MEMORY, "mmap() of the header: %s", strerror(errno));
    }
    return 0;
}

static int make(struct thing **out, const struct pipc_be_request *request)
{
    struct thing *thing = calloc(1, sizeof *thing);
    if (!thing)
        return pipc_fail(PIPC_E_NO_MEMORY, "no memory for the object \"%s\"", request->name);
    int error = allocate(thing, request->size);
    if (error) {
        free(thing);
        return error;
    }
    pipc_object_fill(thing->object, request, geteuid());
    atomic_store(&thing->object->state, PIPC_STATE_BUILDING);
    thing->named = true;
    thing->next = first;
    first = thing;
    *out = thing;
    return 0;
}

/* ---- opening ---- */

/* One look at the name, under the guard. BUSY has no detail: the caller may look again. */
static int look(struct thing **out, const struct pipc_be_request *request, bool *build)
{
    struct thing *thing = find(request->kind, request->name);
    if (!thing && !(request->flags & PIPC_CREATE))
        return pipc_fail(PIPC_E_NOT_FOUND, "no object has the name \"%s\"", request->name);
    if (!thing) {
        *build = true;
        return make(out, request);
    }
    if (state_of(thing) != PIPC_STATE_READY)
        return PIPC_E_BUSY;
    if (request->flags & PIPC_EXCLUSIVE)
        return pipc_fail(PIPC_E_EXISTS, "an object has the name \"%s\" already", request->name);
    int error = pipc_object_check(thing->object, thing->size, request->kind, request->name);
    if (error)
        return pipc_fail(error, "the object \"%s\" is not sound", request->name);
    *out = thing;
    return 0;
}

static int look_guarded(struct thing **out, const struct pipc_be_request *request, bool *build)
{
    pthread_mutex_lock(&guard);
    int error = look(out, request, build);
    if (!error)
        (*out)->openings++;
    pthread_mutex_unlock(&guard);
    return error;
}

int pipc_be_memory_open(struct pipc_be_memory **out, const struct pipc_be_request *request, bool *build)
{
    *out = NULL;
    *build = false;
    struct pipc_be_memory *memory = calloc(1, sizeof *memory);
    if (!memory)
        return pipc_fail(PIPC_E_NO_MEMORY, "no memory for an opening of \"%s\"", request->name);
    int64_t nap = 0;
    int error;
    do
        error = look_guarded(&memory->thing, request, build);
    while (error == PIPC_E_BUSY && pipc_nap(&nap, request->deadline));
    if (!error) {
        *out = memory;
        return 0;
    }
    free(memory);
    return error == PIPC_E_BUSY ? pipc_fail(error, "somebody is at work on the name \"%s\"", request->name) : error;
}

int pipc_be_memory_publish(struct pipc_be_memory *memory)
{
    atomic_store(&memory->thing->object->state, PIPC_STATE_READY);
    return 0;
}

void pipc_be_memory_abandon(struct pipc_be_memory *memory)
{
    pipc_be_memory_finish(memory); /* the same work: the queue goes, the name goes, the opening ends */
}

struct pipc_object *pipc_be_memory_object(struct pipc_be_memory *memory)
{
    return memory->thing->object;
}

uint64_t pipc_be_memory_size(const struct pipc_be_memory *memory)
{
    return memory->thing->size;
}

uint32_t pipc_be_memory_owner(const struct pipc_be_memory *memory)
{
    return memory->thing->object->owner; /* one process, one user */
}

uint32_t pipc_be_memory_group(const struct pipc_be_memory *memory)
{
    (void)memory;
    return (uint32_t)getegid(); /* one process, one group */
}

/* ---- mappings ---- */

int pipc_be_memory_map(struct pipc_be_memory *memory, uint32_t access, void **address)
{
    int protection = access & PIPC_WRITE ? PROT_READ | PROT_WRITE : PROT_READ;
    *address = mmap(NULL, memory->thing->size, protection, MAP_SHARED, memory->thing->fd, (off_t)pipc_page());
    if (*address != MAP_FAILED)
        return 0;
    *address = NULL;
    return pipc_fail(PIPC_E_NO_MEMORY, "mmap() of %" PRIu64 " bytes: %s", memory->thing->size, strerror(errno));
}

void pipc_be_memory_unmap(struct pipc_be_memory *memory, void *address, void *other)
{
    (void)other;
    munmap(address, memory->thing->size);
}

int pipc_be_memory_attachments(struct pipc_be_memory *memory, uint64_t *count)
{
    pthread_mutex_lock(&guard);
    *count = memory->thing->openings;
    pthread_mutex_unlock(&guard);
    return 0;
}

void pipc_be_memory_close(struct pipc_be_memory *memory)
{
    pthread_mutex_lock(&guard);
    drop_opening(memory->thing);
    pthread_mutex_unlock(&guard);
    free(memory);
}

/* ---- removal ---- */

int pipc_be_memory_doom(struct pipc_be_memory **out, uint32_t kind, const char *name, int64_t deadline)
{
    struct pipc_be_request request = {
        .kind = kind, .name = name, .flags = PIPC_READ | PIPC_WRITE, .deadline = deadline};
    bool build;
    int error = pipc_be_memory_open(out, &request, &build);
    if (error)
        return error;
    uint64_t ready = PIPC_STATE_READY; /* of racing removers one finds it */
    if (atomic_compare_exchange_strong(&(*out)->thing->object->state, &ready, PIPC_STATE_DEAD))
        return 0;
    pipc_be_memory_close(*out);
    *out = NULL;
    return pipc_fail(PIPC_E_NOT_FOUND, "somebody else removed \"%s\" just now", name);
}

void pipc_be_memory_finish(struct pipc_be_memory *memory)
{
    if (memory->thing->object->queue_label)
        pipc_double_queue_remove(memory->thing->object->queue_label);
    pthread_mutex_lock(&guard);
    unlist(memory->thing);
    pthread_mutex_unlock(&guard);
    pipc_be_memory_close(memory);
}
