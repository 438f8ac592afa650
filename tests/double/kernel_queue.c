/* The kernel queue, see core/backend.h: a ring of a few short messages behind a mutex, the oldest
 * first whatever its priority. */
#ifndef _GNU_SOURCE
#define _GNU_SOURCE
#endif
#include <pthread.h>
#include <stdlib.h>
#include <string.h>

#include "private.h"

enum { DEPTH = 4, SIZE = 256 };

struct ring {
    struct ring *next;
    uint64_t label;
    unsigned openings; /* while it is in the list, the list counts as one */
    bool removed;
    unsigned depth, first, count;
    size_t widest, sizes[DEPTH];
    unsigned char texts[DEPTH][SIZE];
};

struct pipc_be_queue {
    struct ring *ring;
};

static struct ring *rings;
static uint64_t last_label;
static int64_t takes_before_the_flood = INT64_MAX;
static pthread_mutex_t guard = PTHREAD_MUTEX_INITIALIZER; /* of the list and of every ring in it */

static struct ring **find(uint64_t label)
{
    struct ring **link = &rings;
    while (*link && (*link)->label != label)
        link = &(*link)->next;
    return link;
}

static void drop_opening(struct ring *ring)
{
    if (--ring->openings == 0)
        free(ring);
}

void pipc_double_queue_remove(uint64_t label)
{
    pthread_mutex_lock(&guard);
    struct ring **link = find(label);
    struct ring *ring = *link;
    if (ring) {
        *link = ring->next;
        ring->removed = true;
        drop_opening(ring);
    }
    pthread_mutex_unlock(&guard);
}

void pipc_double_flood(int64_t after)
{
    pthread_mutex_lock(&guard);
    takes_before_the_flood = after;
    pthread_mutex_unlock(&guard);
}

static uint32_t lesser(uint32_t a, uint32_t b)
{
    return a < b ? a : b;
}

static struct ring *list_ring(struct ring *ring, struct pipc_object *object)
{
    pthread_mutex_lock(&guard);
    object->queue_label = ring->label = ++last_label;
    ring->next = rings;
    rings = ring;
    pthread_mutex_unlock(&guard);
    return ring;
}

int pipc_be_queue_create(struct pipc_be_queue **out, struct pipc_be_memory *memory, uint32_t depth, uint32_t size,
                         uint32_t least_size, uint32_t mode)
{
    (void)mode; /* one process, one user */
    struct pipc_object *object = pipc_be_memory_object(memory);
    *out = NULL;
    if (least_size > SIZE)
        return pipc_fail(PIPC_E_LIMIT, "a queue takes messages up to %d bytes, %u are needed", SIZE, least_size);
    struct ring *ring = calloc(1, sizeof *ring);
    if (!ring)
        return pipc_fail(PIPC_E_NO_MEMORY, "no memory for a kernel queue");
    ring->openings = 1;
    ring->depth = lesser(depth, DEPTH);
    ring->widest = lesser(size, SIZE);
    list_ring(ring, object);
    object->queue_id = (int64_t)ring->label;
    object->queue_depth = ring->depth;
    object->queue_size = (uint32_t)ring->widest;
    int error = pipc_be_queue_open(out, memory, object, PIPC_RECEIVE | PIPC_SEND);
    if (error)
        pipc_double_queue_remove(ring->label);
    return error;
}

int pipc_be_queue_open(struct pipc_be_queue **out, const struct pipc_be_memory *memory,
                       const struct pipc_object *object, uint32_t rights)
{
    (void)memory;
    (void)rights; /* one process, one user */
    struct pipc_be_queue *queue = *out = malloc(sizeof *queue);
    if (!queue)
        return pipc_fail(PIPC_E_NO_MEMORY, "no memory for an opening of a kernel queue");
    pthread_mutex_lock(&guard);
    queue->ring = *find(object->queue_label);
    if (queue->ring)
        queue->ring->openings++;
    pthread_mutex_unlock(&guard);
    if (queue->ring)
        return 0;
    free(queue);
    *out = NULL;
    return pipc_fail(PIPC_E_DAMAGED, "the kernel queue of \"%s\" is gone", object->name);
}

/* Both under the guard; FULL and EMPTY are everyday answers and set no detail. */
static int put(struct ring *ring, const void *text, size_t size)
{
    if (ring->removed)
        return pipc_fail(PIPC_E_DAMAGED, "the kernel queue is gone");
    if (size > ring->widest)
        return pipc_fail(PIPC_E_SYSTEM, "a text of %zu bytes in a kernel queue for %zu", size, ring->widest);
    if (ring->count == ring->depth)
        return PIPC_E_FULL;
    unsigned last = (ring->first + ring->count++) % ring->depth;
    ring->sizes[last] = size;
    memcpy(ring->texts[last], text, size);
    return 0;
}

static int take(struct ring *ring, void *text, size_t capacity, size_t *size)
{
    if (ring->removed)
        return pipc_fail(PIPC_E_DAMAGED, "the kernel queue is gone");
    if (takes_before_the_flood < INT64_MAX && takes_before_the_flood-- <= 0) {
        memset(text, 7, capacity);
        *size = capacity;
        return 0;
    }
    if (ring->count == 0)
        return PIPC_E_EMPTY;
    *size = ring->sizes[ring->first];
    if (*size > capacity)
        return pipc_fail(PIPC_E_SYSTEM, "a text of %zu bytes for a buffer of %zu", *size, capacity);
    memcpy(text, ring->texts[ring->first], *size);
    ring->first = (ring->first + 1) % ring->depth;
    ring->count--;
    return 0;
}

static _Thread_local int failure; /* of the last put or take */

long pipc_be_queue_put(struct pipc_be_queue *queue, void *text, size_t size, uint32_t priority)
{
    (void)priority; /* first in, first out: core sorts, see pipc_be_takes_by_priority */
    pthread_mutex_lock(&guard);
    failure = put(queue->ring, text, size);
    pthread_mutex_unlock(&guard);
    return failure ? -1 : 0;
}

int pipc_be_queue_put_failed(struct pipc_be_queue *queue, void *text, size_t size, uint32_t priority)
{
    (void)queue, (void)text, (void)size, (void)priority;
    return failure;
}

long pipc_be_queue_take(struct pipc_be_queue *queue, void *text, size_t capacity, bool oldest)
{
    (void)oldest;
    size_t size = 0;
    pthread_mutex_lock(&guard);
    failure = take(queue->ring, text, capacity, &size);
    pthread_mutex_unlock(&guard);
    return failure ? -1 : (long)size;
}

int pipc_be_queue_take_failed(struct pipc_be_queue *queue, void *text, size_t capacity, bool oldest, size_t *size)
{
    (void)queue, (void)text, (void)capacity, (void)oldest, (void)size;
    return failure;
}

void pipc_be_queue_close(struct pipc_be_queue *queue)
{
    pthread_mutex_lock(&guard);
    drop_opening(queue->ring);
    pthread_mutex_unlock(&guard);
    free(queue);
}

void pipc_be_queue_limits(uint32_t *size, uint32_t *depth)
{
    *size = SIZE;
    *depth = DEPTH;
}
