/* Messages and buffers: Q4 and Q8. */
#include "support_queue.h"

#include <stdlib.h>
#include <string.h>

static void body_type_and_priority_arrive_as_sent(void)
{
    pipc_queue *queue = queue_make("q", 4, 300);
    unsigned char bytes[256], got[300];
    for (int i = 0; i < 256; i++)
        bytes[i] = (unsigned char)(255 - i);
    pipc_message sent = {.data = bytes, .size = sizeof bytes, .type = PIPC_TYPE_MAX, .priority = PIPC_PRIORITY_MAX};
    pipc_message before = sent;
    REQUIRE_OK(pipc_queue_send(queue, &sent, PIPC_NOWAIT));
    CHECK(memcmp(&sent, &before, sizeof sent) == 0);

    pipc_message received = {.data = got, .size = sizeof got};
    REQUIRE_OK(pipc_queue_receive(queue, pipc_any(), &received, PIPC_NOWAIT));
    CHECK_EQUAL(received.type, PIPC_TYPE_MAX);
    CHECK_EQUAL(received.priority, PIPC_PRIORITY_MAX);
    CHECK_EQUAL(received.size, sizeof bytes);
    CHECK(received.data == got && memcmp(got, bytes, sizeof bytes) == 0);
    queue_end(queue, "q");
}

static void lowest_type_and_priority_arrive_as_sent(void)
{
    pipc_queue *queue = queue_make("q", 1, 8);
    struct queue_got got;
    REQUIRE_OK(queue_send(queue, 1, 0, 77, 8, PIPC_NOWAIT));
    REQUIRE_OK(queue_receive(queue, pipc_any(), &got, PIPC_NOWAIT));
    CHECK(got.type == 1 && got.priority == 0 && got.number == 77 && got.size == 8);
    queue_end(queue, "q");
}

static void message_without_a_body_is_a_message(void)
{
    pipc_queue *queue = queue_make("q", 2, 1);
    pipc_message empty = {.type = 9, .priority = 3};
    REQUIRE_OK(pipc_queue_send(queue, &empty, PIPC_NOWAIT));
    CHECK_EQUAL(queue_info(queue).messages, 1);
    CHECK_EQUAL(queue_info(queue).bytes, 0);

    pipc_message received = {.data = NULL, .size = 0};
    REQUIRE_OK(pipc_queue_receive(queue, pipc_any(), &received, PIPC_NOWAIT));
    CHECK(received.type == 9 && received.priority == 3 && received.size == 0);
    CHECK_ERROR(pipc_queue_receive(queue, pipc_any(), &received, PIPC_NOWAIT), EMPTY);
    queue_end(queue, "q");
}

static void check_size(pipc_queue *queue, uint64_t size)
{
    struct queue_got got;
    REQUIRE_OK(queue_send(queue, 5, 1, 1000 + size, size, PIPC_NOWAIT));
    REQUIRE_OK(queue_receive(queue, pipc_exactly(5), &got, PIPC_NOWAIT));
    CHECK_EQUAL(got.size, size);
    CHECK(size < 8 || got.number == 1000 + size);
}

static void every_size_around_the_kernels_limits_arrives_whole(void)
{
    pipc_queue *queue = queue_make("q", 2, 70000);
    uint64_t edge = queue_info(queue).kernel_size;
    uint64_t sizes[] = {0,     1,     2,        7,        8,    9,        63,       64,      65,    4095,
                        4096,  4097,  8128,     8191,     8192, 8193,     8200,     16383,   16384, 16385,
                        65536, 70000, edge - 2, edge - 1, edge, edge + 1, edge + 2, edge + 8};
    CHECK(edge >= 1 && edge < 70000);
    for (size_t i = 0; i < sizeof sizes / sizeof sizes[0]; i++)
        check_size(queue, sizes[i]);
    queue_end(queue, "q");
}

static void sixteen_messages_of_one_mebibyte_fit(void)
{
    pipc_queue *queue = queue_make("q", 16, 1048576);
    struct queue_got got;
    for (uint64_t i = 0; i < 16; i++)
        REQUIRE_OK(queue_send(queue, 1, 0, i, 1048576, PIPC_NOWAIT));
    CHECK_ERROR(queue_send(queue, 1, 0, 16, 8, PIPC_NOWAIT), FULL);
    CHECK_EQUAL(queue_info(queue).bytes, 16 * 1048576);
    for (uint64_t i = 0; i < 16; i++) {
        REQUIRE_OK(queue_receive(queue, pipc_any(), &got, PIPC_NOWAIT));
        CHECK(got.number == i && got.size == 1048576);
    }
    queue_end(queue, "q");
}

static void message_above_max_size_is_refused_and_nothing_sent(void)
{
    pipc_queue *queue = queue_make("q", 4, 100);
    REQUIRE_OK(queue_send(queue, 1, 0, 1, 100, PIPC_NOWAIT));
    CHECK_ERROR(queue_send(queue, 1, 0, 2, 101, PIPC_NOWAIT), TOO_BIG);
    CHECK_ERROR(queue_send(queue, 1, 0, 2, 1000000, PIPC_FOREVER), TOO_BIG);
    CHECK_EQUAL(queue_info(queue).messages, 1);
    CHECK_EQUAL(queue_info(queue).sent, 1);
    queue_end(queue, "q");
}

/* A size near 2^64 must not wrap around in some sum with a header. */
static void absurd_size_is_refused(void)
{
    pipc_queue *queue = queue_make("q", 4, 100);
    unsigned char byte = 0;
    for (uint64_t less = 0; less < 200; less += 8) {
        pipc_message message = {.data = &byte, .size = UINT64_MAX - less, .type = 1};
        CHECK_ERROR(pipc_queue_send(queue, &message, PIPC_NOWAIT), TOO_BIG);
    }
    CHECK_EQUAL(queue_info(queue).messages, 0);
    queue_end(queue, "q");
}

/* Two messages; the first does not fit the buffer; both are received in order afterwards. */
static void check_too_small(uint64_t size)
{
    pipc_queue *queue = queue_make("q", 4, size + 1);
    unsigned char *bytes = malloc(size);
    REQUIRE(bytes != NULL);
    REQUIRE_OK(queue_send(queue, 6, 2, 11, size, PIPC_NOWAIT));
    REQUIRE_OK(queue_send(queue, 6, 2, 12, size, PIPC_NOWAIT));
    for (int i = 0; i < 4; i++) {
        memset(bytes, 0xee, size);
        pipc_message message = {.data = bytes, .size = i < 3 ? size - 1 : 0};
        CHECK_ERROR(pipc_queue_receive(queue, i == 1 ? pipc_exactly(6) : pipc_any(), &message, PIPC_FOREVER),
                    TOO_SMALL);
        CHECK_EQUAL(message.size, size);
        CHECK_EQUAL(bytes[size - 1], 0xee);
        CHECK_EQUAL(queue_info(queue).messages, 2);
        CHECK_EQUAL(queue_info(queue).received, 0);
    }
    queue_expect(queue, pipc_any(), 11);
    queue_expect(queue, pipc_any(), 12);
    free(bytes);
    queue_end(queue, "q");
}

static void too_small_buffer_keeps_a_small_message(void)
{
    check_too_small(40);
}

static void too_small_buffer_keeps_a_message_too_big_for_the_kernel(void)
{
    check_too_small(100000);
}

static void buffer_of_exactly_the_size_is_enough(void)
{
    unsigned char bytes[64];
    pipc_queue *queue = queue_make("q", 4, 4096);
    for (uint64_t size = 8; size <= sizeof bytes - 1; size++) {
        REQUIRE_OK(queue_send(queue, 1, 0, size, size, PIPC_NOWAIT));
        memset(bytes, 0xee, sizeof bytes);
        pipc_message message = {.data = bytes, .size = size};
        REQUIRE_OK(pipc_queue_receive(queue, pipc_any(), &message, PIPC_NOWAIT));
        CHECK_EQUAL(message.size, size);
        CHECK_EQUAL(bytes[size], 0xee);
    }
    queue_end(queue, "q");
}

/* After "too small" the message must still be first for its priority, and others selectable. */
static void message_too_big_for_one_buffer_hides_no_other(void)
{
    pipc_queue *queue = queue_make("q", 4, 100);
    unsigned char bytes[10];
    REQUIRE_OK(queue_send(queue, 1, 0, 21, 100, PIPC_NOWAIT));
    REQUIRE_OK(queue_send(queue, 2, 0, 22, 8, PIPC_NOWAIT));
    pipc_message message = {.data = bytes, .size = sizeof bytes};
    CHECK_ERROR(pipc_queue_receive(queue, pipc_any(), &message, PIPC_NOWAIT), TOO_SMALL);
    queue_expect(queue, pipc_exactly(2), 22);
    queue_expect(queue, pipc_any(), 21);
    queue_end(queue, "q");
}

static void check_truncation(uint64_t size)
{
    pipc_queue *queue = queue_make("q", 2, size);
    unsigned char bytes[24];
    uint64_t number;
    memset(bytes, 0xee, sizeof bytes);
    REQUIRE_OK(queue_send(queue, 3, 4, 1234567, size, PIPC_NOWAIT));
    pipc_message message = {.data = bytes, .size = 16, .flags = PIPC_TRUNCATE};
    REQUIRE_OK(pipc_queue_receive(queue, pipc_any(), &message, PIPC_NOWAIT));
    memcpy(&number, bytes, sizeof number);
    CHECK_EQUAL(number, 1234567);
    CHECK_EQUAL(message.size, size);
    CHECK(message.type == 3 && message.priority == 4);
    CHECK_EQUAL(bytes[16], 0xee);
    CHECK_EQUAL(queue_info(queue).messages, 0);
    queue_end(queue, "q");
}

static void message_is_cut_only_when_asked_for(void)
{
    check_truncation(100);
    check_truncation(100000);
}

static void truncation_of_a_message_that_fits_changes_nothing(void)
{
    pipc_queue *queue = queue_make("q", 2, 100);
    unsigned char bytes[100];
    REQUIRE_OK(queue_send(queue, 3, 4, 5, 100, PIPC_NOWAIT));
    pipc_message message = {.data = bytes, .size = sizeof bytes, .flags = PIPC_TRUNCATE};
    REQUIRE_OK(pipc_queue_receive(queue, pipc_any(), &message, PIPC_NOWAIT));
    CHECK_EQUAL(message.size, 100);
    queue_end(queue, "q");
}

static void queue_of_one_byte_messages_works(void)
{
    pipc_queue *queue = queue_make("q", 3, 1);
    for (unsigned char sent = 'a'; sent < 'd'; sent++) {
        pipc_message message = {.data = &sent, .size = 1, .type = 1};
        REQUIRE_OK(pipc_queue_send(queue, &message, PIPC_NOWAIT));
    }
    for (unsigned char wanted = 'a'; wanted < 'd'; wanted++) {
        unsigned char got = 0;
        pipc_message message = {.data = &got, .size = 1};
        REQUIRE_OK(pipc_queue_receive(queue, pipc_any(), &message, PIPC_NOWAIT));
        CHECK_EQUAL(got, wanted);
    }
    queue_end(queue, "q");
}

static const struct test tests[] = {
    {"Q4", "body_type_and_priority_arrive_as_sent", body_type_and_priority_arrive_as_sent, 0},
    {"Q4", "lowest_type_and_priority_arrive_as_sent", lowest_type_and_priority_arrive_as_sent, 0},
    {"Q4", "message_without_a_body_is_a_message", message_without_a_body_is_a_message, 0},
    {"Q4 Q9", "every_size_around_the_kernels_limits_arrives_whole", every_size_around_the_kernels_limits_arrives_whole,
     0},
    {"Q4 Q9", "sixteen_messages_of_one_mebibyte_fit", sixteen_messages_of_one_mebibyte_fit, 0},
    {"Q4", "message_above_max_size_is_refused_and_nothing_sent", message_above_max_size_is_refused_and_nothing_sent, 0},
    {"Q4", "absurd_size_is_refused", absurd_size_is_refused, 0},
    {"Q4", "queue_of_one_byte_messages_works", queue_of_one_byte_messages_works, 0},
    {"Q8", "too_small_buffer_keeps_a_small_message", too_small_buffer_keeps_a_small_message, 0},
    {"Q8", "too_small_buffer_keeps_a_message_too_big_for_the_kernel",
     too_small_buffer_keeps_a_message_too_big_for_the_kernel, 0},
    {"Q8", "buffer_of_exactly_the_size_is_enough", buffer_of_exactly_the_size_is_enough, 0},
    {"Q8", "message_too_big_for_one_buffer_hides_no_other", message_too_big_for_one_buffer_hides_no_other, 0},
    {"Q8", "message_is_cut_only_when_asked_for", message_is_cut_only_when_asked_for, 0},
    {"Q8", "truncation_of_a_message_that_fits_changes_nothing", truncation_of_a_message_that_fits_changes_nothing, 0},
};

TEST_MAIN("queue_message", tests)
