/* Queues, memory and channels looked at through one pair of eyes: what all promise about names, opening,
 * rights and removal is tested by the same lines. */
#ifndef PIPC_TESTS_KINDS_H
#define PIPC_TESTS_KINDS_H

#include "core/backend.h"
#include "support.h"

struct kind_facts {
    int64_t created;
    int32_t creator;
    uint32_t owner;
    uint32_t mode;
};

struct kind {
    uint32_t number; /* enum pipc_kind */
    int (*open)(void **handle, const char *name, uint32_t flags, uint32_t mode);
    int (*close)(void *handle);
    int (*remove)(const char *name);
    int (*facts)(void *handle, struct kind_facts *facts);
    int (*write)(void *handle, uint32_t number); /* puts a number where a later read finds it */
    int (*read)(void *handle, uint32_t *number); /* a queue, a channel: takes it */
};

enum { KIND_BYTES = 64 }; /* size of each memory object, largest message of each queue; channels have the least */

static inline int kind_queue_open(void **handle, const char *name, uint32_t flags, uint32_t mode)
{
    pipc_queue_options options = {.max_messages = 2, .max_size = KIND_BYTES, .mode = mode};
    pipc_queue *queue;
    int error = pipc_queue_open(&queue, name, flags, &options);
    *handle = queue;
    return error;
}

static inline int kind_queue_close(void *handle)
{
    return pipc_queue_close(handle);
}

static inline int kind_queue_facts(void *handle, struct kind_facts *facts)
{
    pipc_queue_info info;
    int error = pipc_queue_statistics(handle, &info);
    if (!error)
        *facts = (struct kind_facts){info.created, info.creator, info.owner, info.mode};
    return error;
}

static inline int kind_queue_write(void *handle, uint32_t number)
{
    return pipc_queue_send(handle, &(pipc_message){.type = 1, .data = &number, .size = sizeof number}, PIPC_NOWAIT);
}

static inline int kind_queue_read(void *handle, uint32_t *number)
{
    pipc_message message = {.data = number, .size = sizeof *number};
    return pipc_queue_receive(handle, pipc_any(), &message, PIPC_NOWAIT);
}

static inline int kind_shm_open(void **handle, const char *name, uint32_t flags, uint32_t mode)
{
    pipc_shm *shm;
    int error = pipc_shm_open(&shm, name, flags, &(pipc_shm_options){.size = KIND_BYTES, .mode = mode});
    *handle = shm;
    return error;
}

static inline int kind_shm_close(void *handle)
{
    return pipc_shm_close(handle);
}

static inline int kind_shm_facts(void *handle, struct kind_facts *facts)
{
    pipc_shm_info info;
    int error = pipc_shm_statistics(handle, &info);
    if (!error)
        *facts = (struct kind_facts){info.created, info.creator, info.owner, info.mode};
    return error;
}

static inline int kind_shm_write(void *handle, uint32_t number)
{
    void *address;
    int error = pipc_shm_map(handle, PIPC_READ | PIPC_WRITE, &address);
    if (error)
        return error;
    *(volatile uint32_t *)address = number;
    return pipc_shm_unmap(handle, address);
}

static inline int kind_shm_read(void *handle, uint32_t *number)
{
    void *address;
    int error = pipc_shm_map(handle, PIPC_READ, &address);
    if (error)
        return error;
    *number = *(volatile uint32_t *)address;
    return pipc_shm_unmap(handle, address);
}

static inline int kind_channel_open(void **handle, const char *name, uint32_t flags, uint32_t mode)
{
    pipc_channel *channel;
    pipc_channel_options options = {.size = PIPC_CHANNEL_SIZE_MIN, .mode = mode};
    int error = pipc_channel_open(&channel, name, flags, &options);
    *handle = channel;
    return error;
}

static inline int kind_channel_close(void *handle)
{
    return pipc_channel_close(handle);
}

static inline int kind_channel_facts(void *handle, struct kind_facts *facts)
{
    pipc_channel_info info;
    int error = pipc_channel_statistics(handle, &info);
    if (!error)
        *facts = (struct kind_facts){info.created, info.creator, info.owner, info.mode};
    return error;
}

static inline int kind_channel_write(void *handle, uint32_t number)
{
    return pipc_channel_send(handle, &(pipc_record){.data = &number, .size = sizeof number}, PIPC_NOWAIT);
}

static inline int kind_channel_read(void *handle, uint32_t *number)
{
    return pipc_channel_receive(handle, &(pipc_record){.data = number, .size = sizeof *number}, PIPC_NOWAIT);
}

static const struct kind kind_queue = {PIPC_KIND_QUEUE,  kind_queue_open,  kind_queue_close, pipc_queue_remove,
                                       kind_queue_facts, kind_queue_write, kind_queue_read};
static const struct kind kind_shm = {PIPC_KIND_SHM,  kind_shm_open,  kind_shm_close, pipc_shm_remove,
                                     kind_shm_facts, kind_shm_write, kind_shm_read};
static const struct kind kind_channel = {PIPC_KIND_CHANNEL,   kind_channel_open,  kind_channel_close,
                                         pipc_channel_remove, kind_channel_facts, kind_channel_write,
                                         kind_channel_read};

/* Runs a body for the queue, for memory, for the channel. */
static inline void kind_all(void (*body)(const struct kind *kind))
{
    body(&kind_queue);
    body(&kind_shm);
    body(&kind_channel);
}

#endif
