/* What the tool's test looks at: tool_maker queue|shm|dead NAME makes a queue with one message, memory, or a queue
 * whose remover died half-way. */
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
    int error = strcmp(argv[1], "queue") == 0  ? make_queue(argv[2])
                : strcmp(argv[1], "shm") == 0  ? make_memory(argv[2])
                : strcmp(argv[1], "dead") == 0 ? make_dead(argv[2])
                                               : PIPC_E_INVALID;
    if (error)
        fprintf(stderr, "tool_maker: %s\n", pipc_error_detail());
    return error != 0;
}
