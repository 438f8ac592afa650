/* The same four pieces with pipc; one text for both kernels. */
#include <string.h>

#include <pipc/pipc.h>

#include "snippets.h"

int show_course_queue(const char *name)
{
    //! [new queue]
    pipc_queue *queue;
    pipc_queue_options options = {.max_messages = 10, .max_size = 256};
    int error = pipc_queue_open(&queue, name, PIPC_CREATE, &options);
    if (error)
        return error;

    pipc_message out = {.type = 041375, .data = "hello", .size = 6};
    int sent = pipc_queue_send(queue, &out, PIPC_FOREVER);

    char text[256];
    pipc_message in = {.data = text, .size = sizeof text};
    int received = pipc_queue_receive(queue, pipc_exactly(041375), &in, PIPC_FOREVER);

    pipc_queue_close(queue);
    pipc_queue_remove(name);
    //! [new queue]
    return sent || received || in.size != 6 || strcmp(text, "hello") != 0;
}

int show_course_memory(const char *name)
{
    //! [new memory]
    pipc_shm *shm;
    pipc_shm_options options = {.size = 4096};
    int error = pipc_shm_open(&shm, name, PIPC_CREATE, &options);
    if (error)
        return error;

    void *bytes;
    error = pipc_shm_map(shm, PIPC_READ | PIPC_WRITE, &bytes);
    if (!error)
        memset(bytes, 0xff, 4096);

    pipc_shm_close(shm);
    pipc_shm_remove(name);
    //! [new memory]
    return error;
}
