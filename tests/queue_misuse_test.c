/* Bad input to calls on queues: a clear error, and nothing is changed. */
#include "support_queue.h"

#include <string.h>

enum { PRESENT = 3 };

/* Three messages wait, so that any harm would show. */
static pipc_queue *make_filled(void)
{
    pipc_queue *queue = queue_make("q", 8, 64);
    for (uint64_t i = 0; i < PRESENT; i++)
        REQUIRE_OK(queue_send(queue, 1 + (uint32_t)i, 0, i, 8, PIPC_NOWAIT));
    return queue;
}

static void end_untouched(pipc_queue *queue)
{
    pipc_queue_info info = queue_info(queue);
    CHECK(info.messages == PRESENT && info.sent == PRESENT && info.received == 0 && info.bytes == 8 * PRESENT);
    for (uint64_t i = 0; i < PRESENT; i++)
        queue_expect(queue, pipc_any(), i);
    queue_end(queue, "q");
}

static void null_pointers_are_refused(void)
{
    pipc_queue *queue = make_filled();
    char bytes[8] = "";
    pipc_message message = {.data = bytes, .size = sizeof bytes, .type = 1};
    pipc_queue_info info;
    uint64_t dropped;
    CHECK_ERROR(pipc_queue_send(NULL, &message, PIPC_NOWAIT), INVALID);
    CHECK_ERROR(pipc_queue_send(queue, NULL, PIPC_NOWAIT), INVALID);
    CHECK_ERROR(pipc_queue_receive(NULL, pipc_any(), &message, PIPC_NOWAIT), INVALID);
    CHECK_ERROR(pipc_queue_receive(queue, pipc_any(), NULL, PIPC_NOWAIT), INVALID);
    CHECK_ERROR(pipc_queue_peek(NULL, pipc_any(), &message, PIPC_NOWAIT), INVALID);
    CHECK_ERROR(pipc_queue_peek(queue, pipc_any(), NULL, PIPC_NOWAIT), INVALID);
    CHECK_ERROR(pipc_queue_purge(NULL, &dropped), INVALID);
    CHECK_ERROR(pipc_queue_statistics(NULL, &info), INVALID);
    CHECK_ERROR(pipc_queue_statistics(queue, NULL), INVALID);
    CHECK_ERROR(pipc_queue_interrupt(NULL), INVALID);
    CHECK_ERROR(pipc_queue_remove(NULL), INVALID);
    CHECK_OK(pipc_queue_close(NULL));
    end_untouched(queue);
}

static void body_or_buffer_that_is_null_must_be_empty(void)
{
    pipc_queue *queue = make_filled();
    pipc_message message = {.data = NULL, .size = 8, .type = 1};
    CHECK_ERROR(pipc_queue_send(queue, &message, PIPC_NOWAIT), INVALID);
    CHECK_ERROR(pipc_queue_receive(queue, pipc_any(), &message, PIPC_NOWAIT), INVALID);
    CHECK_ERROR(pipc_queue_peek(queue, pipc_any(), &message, PIPC_NOWAIT), INVALID);
    end_untouched(queue);
}

static void check_send_refused(pipc_queue *queue, pipc_message message, int64_t timeout)
{
    char bytes[8] = "";
    message.data = bytes;
    message.size = sizeof bytes;
    CHECK_ERROR(pipc_queue_send(queue, &message, timeout), INVALID);
    CHECK(pipc_error_detail()[0] != '\0');
}

static void types_outside_of_the_range_are_refused(void)
{
    pipc_queue *queue = make_filled();
    uint32_t types[] = {0, PIPC_TYPE_MAX + 1u, UINT32_MAX};
    for (unsigned i = 0; i < 3; i++)
        check_send_refused(queue, (pipc_message){.type = types[i]}, PIPC_NOWAIT);
    end_untouched(queue);
}

static void priorities_outside_of_the_range_are_refused(void)
{
    pipc_queue *queue = make_filled();
    uint32_t priorities[] = {32, 33, 0x7fffffff, UINT32_MAX};
    for (unsigned i = 0; i < 4; i++)
        check_send_refused(queue, (pipc_message){.type = 1, .priority = priorities[i]}, PIPC_FOREVER);
    end_untouched(queue);
}

static int receive_with(pipc_queue *queue, pipc_selection selection, uint32_t flags, uint32_t reserved, int64_t timeout,
                        bool peek)
{
    char bytes[64];
    pipc_message message = {.data = bytes, .size = sizeof bytes, .flags = flags, .reserved = reserved};
    return (peek ? pipc_queue_peek : pipc_queue_receive)(queue, selection, &message, timeout);
}

static void negative_timeouts_are_refused(void)
{
    pipc_queue *queue = make_filled();
    int64_t timeouts[] = {-1, -1000000000, INT64_MIN};
    for (unsigned i = 0; i < 3; i++) {
        check_send_refused(queue, (pipc_message){.type = 1}, timeouts[i]);
        CHECK_ERROR(receive_with(queue, pipc_any(), 0, 0, timeouts[i], false), INVALID);
        CHECK_ERROR(receive_with(queue, pipc_any(), 0, 0, timeouts[i], true), INVALID);
    }
    end_untouched(queue);
}

static void unknown_flags_and_reserved_fields_are_refused(void)
{
    pipc_queue *queue = make_filled();
    for (unsigned bit = 0; bit < 32; bit++) {
        uint32_t flag = UINT32_C(1) << bit;
        if (flag != PIPC_RESTART)
            check_send_refused(queue, (pipc_message){.type = 1, .flags = flag}, PIPC_NOWAIT);
        if (flag != PIPC_RESTART && flag != PIPC_TRUNCATE) {
            CHECK_ERROR(receive_with(queue, pipc_any(), flag, 0, PIPC_NOWAIT, false), INVALID);
            CHECK_ERROR(receive_with(queue, pipc_any(), flag, 0, PIPC_NOWAIT, true), INVALID);
        }
        check_send_refused(queue, (pipc_message){.type = 1, .reserved = flag}, PIPC_NOWAIT);
        CHECK_ERROR(receive_with(queue, pipc_any(), 0, flag, PIPC_NOWAIT, false), INVALID);
    }
    end_untouched(queue);
}

static void impossible_selections_are_refused(void)
{
    pipc_queue *queue = make_filled();
    pipc_selection selections[] = {pipc_exactly(0),
                                   pipc_except(0),
                                   pipc_up_to(0),
                                   pipc_exactly(PIPC_TYPE_MAX + 1u),
                                   pipc_except(UINT32_MAX),
                                   pipc_up_to(PIPC_TYPE_MAX + 1u),
                                   {PIPC_RULE_UP_TO + 1, 1},
                                   {UINT32_MAX, 1}};
    for (unsigned i = 0; i < sizeof selections / sizeof selections[0]; i++) {
        CHECK_ERROR(receive_with(queue, selections[i], 0, 0, PIPC_NOWAIT, false), INVALID);
        CHECK_ERROR(receive_with(queue, selections[i], 0, 0, PIPC_FOREVER, true), INVALID);
    }
    end_untouched(queue);
}

static void handle_works_only_in_the_direction_it_was_opened_for(void)
{
    pipc_queue *queue = make_filled();
    pipc_queue *sender = queue_join("q", PIPC_SEND), *receiver = queue_join("q", PIPC_RECEIVE);
    char bytes[8] = "";
    pipc_message message = {.data = bytes, .size = sizeof bytes, .type = 1};
    CHECK_ERROR(pipc_queue_send(receiver, &message, PIPC_NOWAIT), ACCESS);
    CHECK_ERROR(receive_with(sender, pipc_any(), 0, 0, PIPC_NOWAIT, false), ACCESS);
    CHECK_ERROR(receive_with(sender, pipc_any(), 0, 0, PIPC_FOREVER, true), ACCESS);
    CHECK_ERROR(pipc_queue_purge(sender, NULL), ACCESS);
    CHECK_EQUAL(queue_info(sender).messages, PRESENT);
    CHECK_EQUAL(queue_info(receiver).messages, PRESENT);
    CHECK_OK(pipc_queue_close(sender));
    CHECK_OK(pipc_queue_close(receiver));
    end_untouched(queue);
}

static void error_detail_names_the_call_and_success_leaves_it(void)
{
    pipc_queue *queue = make_filled();
    check_send_refused(queue, (pipc_message){.type = 0}, PIPC_NOWAIT);
    CHECK(strstr(pipc_error_detail(), "send") != NULL);
    CHECK(strstr(pipc_error_detail(), "type") != NULL);
    char before[500];
    strncpy(before, pipc_error_detail(), sizeof before - 1);
    before[sizeof before - 1] = '\0';
    queue_info(queue);
    CHECK(strcmp(before, pipc_error_detail()) == 0);
    end_untouched(queue);
}

static const struct test tests[] = {
    {"Q4 Q15", "null_pointers_are_refused", null_pointers_are_refused, 0},
    {"Q4 Q8", "body_or_buffer_that_is_null_must_be_empty", body_or_buffer_that_is_null_must_be_empty, 0},
    {"Q4", "types_outside_of_the_range_are_refused", types_outside_of_the_range_are_refused, 0},
    {"Q4", "priorities_outside_of_the_range_are_refused", priorities_outside_of_the_range_are_refused, 0},
    {"Q7", "negative_timeouts_are_refused", negative_timeouts_are_refused, 0},
    {"Q4 Q8", "unknown_flags_and_reserved_fields_are_refused", unknown_flags_and_reserved_fields_are_refused, 0},
    {"Q6", "impossible_selections_are_refused", impossible_selections_are_refused, 0},
    {"Q3", "handle_works_only_in_the_direction_it_was_opened_for", handle_works_only_in_the_direction_it_was_opened_for,
     0},
    {"Q4", "error_detail_names_the_call_and_success_leaves_it", error_detail_names_the_call_and_success_leaves_it, 0},
};

TEST_MAIN("queue_misuse", tests)
