/* A kernel queue that never comes to an end, because somebody pours foreign messages into it: the double can be told to
 * be one. */
#include <pthread.h>

#include "core/slot.h"
#include "support.h"

void pipc_double_flood(int64_t after); /* the double's own: see private.h */

enum { MANY = 2000000 };

static void *receive_for_a_while(void *argument)
{
    pipc_message message = {0};
    CHECK_ERROR(pipc_queue_receive(argument, pipc_any(), &message, PIPC_MS(400)), TIMEOUT);
    return NULL;
}

/* Bounded by time, whatever the number of places would allow: the calls end when their patience does, also those that
 * have to wait until others have had their look. */
static void a_flood_of_a_large_queue_holds_nobody_up(void)
{
    pthread_t other;
    const pipc_queue_options options = {.max_messages = MANY, .max_size = 8};
    const char *name = test_name("queue");
    pipc_queue *queue;
    REQUIRE_OK(pipc_queue_open(&queue, name, PIPC_CREATE, &options));
    pipc_message message = {0};
    REQUIRE_OK(pipc_queue_send(queue, &(pipc_message){.type = 5}, PIPC_NOWAIT));
    pipc_double_flood(0);
    REQUIRE(pthread_create(&other, NULL, receive_for_a_while, queue) == 0);
    int64_t began = test_now();
    for (unsigned i = 0; i < 5; i++) {
        CHECK_ERROR(pipc_queue_receive(queue, pipc_any(), &message, PIPC_NOWAIT), BUSY);
        CHECK_ERROR(pipc_queue_peek(queue, pipc_exactly(2), &message, PIPC_MS(1)), TIMEOUT);
    }
    CHECK_ERROR(pipc_queue_purge(queue, NULL), BUSY);
    CHECK(test_now() - began < PIPC_SECONDS(5));
    pthread_join(other, NULL);
    pipc_double_flood(INT64_MAX);
    CHECK_OK(pipc_queue_receive(queue, pipc_any(), &message, PIPC_NOWAIT));
    CHECK_EQUAL(message.type, 5);
    CHECK_ERROR(pipc_queue_receive(queue, pipc_any(), &message, PIPC_NOWAIT), EMPTY);
    CHECK_OK(pipc_queue_close(queue));
    CHECK_OK(pipc_queue_remove(name));
}

/* It comes when the audit looks once more: that one is put off, and made good. */
static void an_audit_cut_short_by_a_flood_is_made_good(void)
{
    const pipc_queue_options options = {.max_messages = MANY, .max_size = 8};
    const char *name = test_name("audit");
    pipc_queue *queue;
    pipc_message message = {0};
    REQUIRE_OK(pipc_queue_open(&queue, name, PIPC_CREATE, &options));
    atomic_store(&queue->control->audit_wanted, 1);
    pipc_double_flood(1);
    CHECK_ERROR(pipc_queue_receive(queue, pipc_any(), &message, PIPC_NOWAIT), BUSY);
    CHECK_EQUAL(atomic_load(&queue->control->audit_wanted), 1);
    pipc_double_flood(INT64_MAX);
    test_sleep(PIPC_MS(600));
    CHECK_ERROR(pipc_queue_receive(queue, pipc_any(), &message, PIPC_NOWAIT), EMPTY);
    CHECK_EQUAL(atomic_load(&queue->control->audit_wanted), 0);
    CHECK_OK(pipc_queue_close(queue));
    CHECK_OK(pipc_queue_remove(name));
}

static const struct test tests[] = {
    {"Q7 G6", "a_flood_of_a_large_queue_holds_nobody_up", a_flood_of_a_large_queue_holds_nobody_up, 0},
    {"G5 G6", "an_audit_cut_short_by_a_flood_is_made_good", an_audit_cut_short_by_a_flood_is_made_good, 0},
};

TEST_MAIN("flood", tests)
