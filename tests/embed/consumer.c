/* consumer BACKEND NAME: uses a little of everything, in C99, and answers 0 if it worked. */
#include <pipc/pipc.h>

#include <stdio.h>
#include <string.h>

static int use_queue(const char *name)
{
    pipc_queue *queue;
    pipc_queue_options options = {.max_messages = 4, .max_size = 64};
    char text[] = "embedded", buffer[64];
    pipc_message out = {.type = 7, .priority = 3, .data = text, .size = sizeof text};
    pipc_message in = {.data = buffer, .size = sizeof buffer};
    int error = pipc_queue_open(&queue, name, PIPC_CREATE | PIPC_EXCLUSIVE, &options);
    if (!error)
        error = pipc_queue_send(queue, &out, PIPC_NOWAIT);
    if (!error)
        error = pipc_queue_receive(queue, pipc_exactly(7), &in, PIPC_SECONDS(5));
    if (!error && (in.size != sizeof text || in.priority != 3 || strcmp(buffer, text) != 0))
        error = PIPC_E_SYSTEM;
    pipc_queue_close(queue);
    pipc_queue_remove(name);
    return error;
}

static int use_shm(const char *name)
{
    pipc_shm *shm;
    pipc_shm_options options = {.size = sizeof(pipc_event)};
    void *address;
    uint32_t value = 0;
    int error = pipc_shm_open(&shm, name, PIPC_CREATE | PIPC_EXCLUSIVE, &options);
    if (!error)
        error = pipc_shm_map(shm, PIPC_READ | PIPC_WRITE, &address);
    if (!error)
        error = pipc_event_set((pipc_event *)address, 5, PIPC_WAKE_ALL);
    if (!error)
        error = pipc_event_wait((pipc_event *)address, 0, &value, PIPC_FOREVER);
    pipc_shm_close(shm);
    pipc_shm_remove(name);
    return error ? error : value != 5;
}

static int use_channel(const char *name)
{
    pipc_channel *channel;
    pipc_channel_options options = {.size = PIPC_CHANNEL_SIZE_MIN, .producers = PIPC_PRODUCERS_MANY};
    char text[] = "embedded", buffer[64];
    pipc_record out = {.data = text, .size = sizeof text}, in = {.data = buffer, .size = sizeof buffer};
    int error = pipc_channel_open(&channel, name, PIPC_CREATE | PIPC_EXCLUSIVE, &options);
    if (!error)
        error = pipc_channel_send(channel, &out, PIPC_NOWAIT);
    if (!error)
        error = pipc_channel_receive(channel, &in, PIPC_SECONDS(5));
    if (!error && (in.size != sizeof text || strcmp(buffer, text) != 0))
        error = PIPC_E_SYSTEM;
    pipc_channel_close(channel);
    pipc_channel_remove(name);
    return error;
}

int main(int count, char **words)
{
    pipc_facts facts;
    if (count != 3 || pipc_library_facts(&facts) || strcmp(facts.backend, words[1]) != 0)
        return 2;
    if (use_queue(words[2]) || use_shm(words[2]) || use_channel(words[2])) {
        fprintf(stderr, "%s\n", pipc_error_detail());
        return 1;
    }
    return 0;
}
