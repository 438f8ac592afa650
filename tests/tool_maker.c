/* What the tool's test looks at: tool_maker queue|shm|channel|feed|dead NAME makes a queue with one message, memory, a
 * channel with one record, one for subscribers, or a queue whose remover died half-way. */
#include <stdio.h>
#include <string.h>

#include "core/backend.h"
#include "pipc/pipc.h"
#include "probe.h"

static int make_queue(const char *name)
{
    pipc_queue *queue;
    pipc_queue_options options = {.max_messages = 4, .max_size = 64};
    char text[] = "hello";
    pipc_message message = {.type = 1, .data = text, .size = sizeof text};
    int error = pipc_queue_open(&queue, name, PIPC_CREATE | PIPC_EXCLUSIVE, &options);
    if (!error)
        error = pipc_queue_send(queue, &message, PIPC_NOWAIT);
    pipc_queue_close(queue);
    return error;
}

static int make_memory(const char *name)
{
    pipc_shm *shm;
    int error = pipc_shm_open(&shm, name, PIPC_CREATE | PIPC_EXCLUSIVE, &(pipc_shm_options){.size = 100});
    pipc_shm_close(shm);
    return error;
}

static int make_channel_that(const char *name, uint32_t delivery)
{
    pipc_channel *channel;
    pipc_channel_options options = {.size = PIPC_CHANNEL_SIZE_MIN, .delivery = delivery, .subscribers = 5};
    char text[] = "hello";
    int error = pipc_channel_open(&channel, name, PIPC_CREATE | PIPC_EXCLUSIVE, &options);
    if (!error)
        error = pipc_channel_send(channel, &(pipc_record){.data = text, .size = sizeof text}, PIPC_NOWAIT);
    pipc_channel_close(channel);
    return error;
}

static int make_channel(const char *name)
{
    return make_channel_that(name, PIPC_DELIVER_ONCE);
}

static int make_feed(const char *name)
{
    return make_channel_that(name, PIPC_DELIVER_LATEST);
}

static int make_dead(const char *name)
{
    size_t bytes;
    int error = make_queue(name);
    struct pipc_object *object = error ? NULL : probe_map(PIPC_KIND_QUEUE, name, &bytes);
    if (!object)
        return error ? error : PIPC_E_SYSTEM;
    atomic_store(&object->state, PIPC_STATE_DEAD);
    probe_unmap(object, bytes);
    return 0;
}

int main(int argc, char **argv)
{
    if (argc != 3)
        return 2;
    static const struct {
        const char *word;
        int (*make)(const char *name);
    } makers[] = {{"queue", make_queue},
                  {"shm", make_memory},
                  {"channel", make_channel},
                  {"feed", make_feed},
                  {"dead", make_dead}};
    int error = PIPC_E_INVALID;
    for (size_t i = 0; i < sizeof makers / sizeof *makers; i++)
        if (strcmp(argv[1], makers[i].word) == 0)
            error = makers[i].make(argv[2]);
    if (error)
        fprintf(stderr, "tool_maker: %s\n", pipc_error_detail());
    return error != 0;
}
