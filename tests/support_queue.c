/* See support_queue.h. */
#include "support_queue.h"

#include <string.h>

enum { LONGEST_BODY = 2097152 };

pipc_queue *queue_make(const char *what, uint32_t max_messages, uint64_t max_size)
{
    pipc_queue *queue = NULL;
    pipc_queue_options options = {.max_messages = max_messages, .max_size = max_size};
    REQUIRE_OK(pipc_queue_open(&queue, test_name(what), PIPC_CREATE | PIPC_EXCLUSIVE, &options));
    return queue;
}

pipc_queue *queue_join(const char *what, uint32_t flags)
{
    pipc_queue *queue = NULL;
    REQUIRE_OK(pipc_queue_open(&queue, test_name(what), flags, NULL));
    return queue;
}

void queue_end(pipc_queue *queue, const char *what)
{
    CHECK_OK(pipc_queue_close(queue));
    CHECK_OK(pipc_queue_remove(test_name(what)));
}

pipc_queue_info queue_info(pipc_queue *queue)
{
    pipc_queue_info info;
    memset(&info, 0, sizeof info);
    REQUIRE_OK(pipc_queue_statistics(queue, &info));
    return info;
}

/* ---- Bodies ---- */

static _Thread_local unsigned char body[LONGEST_BODY]; /* pages that nobody touches cost nothing */

unsigned char queue_padding(uint64_t number, uint64_t position)
{
    return (unsigned char)(number * 31 + position * 7 + (position >> 8));
}

static void write_body(unsigned char *bytes, uint64_t number, uint64_t size)
{
    memcpy(bytes, &number, size < sizeof number ? size : sizeof number);
    for (uint64_t i = sizeof number; i < size; i++)
        bytes[i] = queue_padding(number, i);
}

static bool is_whole(const unsigned char *bytes, uint64_t number, uint64_t size)
{
    for (uint64_t i = sizeof number; i < size; i++)
        if (bytes[i] != queue_padding(number, i))
            return false;
    return true;
}

int queue_send(pipc_queue *queue, uint32_t type, uint32_t priority, uint64_t number, uint64_t size, int64_t timeout)
{
    pipc_message message = {.data = body, .size = size, .type = type, .priority = priority};
    write_body(message.data, number, size);
    return pipc_queue_send(queue, &message, timeout);
}

typedef int take_call(pipc_queue *queue, pipc_selection selection, pipc_message *message, int64_t timeout);

static int take(take_call *call, pipc_queue *queue, pipc_selection selection, struct queue_got *got, int64_t timeout)
{
    pipc_message message = {.data = body, .size = LONGEST_BODY};
    memset(got, 0, sizeof *got);
    int error = call(queue, selection, &message, timeout);
    if (error)
        return error;
    memcpy(&got->number, message.data, message.size < sizeof got->number ? message.size : sizeof got->number);
    got->size = message.size;
    got->type = message.type;
    got->priority = message.priority;
    got->whole = is_whole(message.data, got->number, got->size);
    CHECK(got->whole);
    return 0;
}

int queue_receive(pipc_queue *queue, pipc_selection selection, struct queue_got *got, int64_t timeout)
{
    return take(pipc_queue_receive, queue, selection, got, timeout);
}

int queue_peek(pipc_queue *queue, pipc_selection selection, struct queue_got *got, int64_t timeout)
{
    return take(pipc_queue_peek, queue, selection, got, timeout);
}

bool queue_expect(pipc_queue *queue, pipc_selection selection, uint64_t number)
{
    struct queue_got got;
    return CHECK_OK(queue_receive(queue, selection, &got, PIPC_NOWAIT)) && CHECK_EQUAL(got.number, number);
}

void queue_check_room(pipc_queue *queue, uint32_t messages, uint64_t size)
{
    struct queue_got got;
    uint32_t sent = 0, received = 0;
    while (sent < messages && queue_send(queue, 1, 0, sent, size, PIPC_SECONDS(10)) == 0)
        sent++;
    CHECK_EQUAL(sent, messages);
    CHECK_ERROR(queue_send(queue, 1, 0, sent, size, PIPC_NOWAIT), FULL);
    while (received < sent && queue_receive(queue, pipc_any(), &got, PIPC_NOWAIT) == 0 && got.number == received)
        received++;
    CHECK_EQUAL(received, sent);
    CHECK_ERROR(queue_receive(queue, pipc_any(), &got, PIPC_NOWAIT), EMPTY);
}

uint32_t test_random(uint64_t *state, uint32_t below)
{
    *state = *state * UINT64_C(6364136223846793005) + UINT64_C(1442695040888963407);
    return (uint32_t)((*state >> 33) % below);
}

pipc_selection queue_any_selection(uint64_t *random, uint32_t types)
{
    uint32_t type = 1 + test_random(random, types);
    switch (test_random(random, 6)) {
    case 0:
        return pipc_exactly(type);
    case 1:
        return pipc_except(type);
    case 2:
        return pipc_up_to(type);
    default:
        return pipc_any();
    }
}
