/* Bad input to calls on channels, and calls out of turn: a clear error, and nothing is changed. */
#include "support_channel.h"

#include <pthread.h>
#include <signal.h>
#include <string.h>

enum { PRESENT = 3 };

/* Three records wait, so that any harm would show. */
static pipc_channel *make_filled(uint32_t producers)
{
    pipc_channel *channel = channel_make("c", producers, 0, CHANNEL_SMALL);
    for (uint64_t i = 0; i < PRESENT; i++)
        REQUIRE_OK(channel_send(channel, i, 8, PIPC_NOWAIT));
    return channel;
}

static void end_untouched(pipc_channel *channel)
{
    pipc_channel_info info = channel_info(channel);
    CHECK(info.records == PRESENT && info.sent == PRESENT && info.received == 0);
    CHECK(info.bytes >= 32 * PRESENT); /* what was cancelled may lie behind */
    for (uint64_t i = 0; i < PRESENT; i++)
        channel_expect(channel, i);
    channel_end(channel, "c");
}

/* ---- arguments ---- */

static void null_pointers_are_refused(void)
{
    pipc_channel *channel = make_filled(0);
    char bytes[8] = "";
    pipc_record record = {.data = bytes, .size = sizeof bytes};
    uint32_t count = 1;
    CHECK_ERROR(pipc_channel_open(NULL, "x", 0, NULL), INVALID);
    CHECK_ERROR(pipc_channel_open(&(pipc_channel *){NULL}, NULL, 0, NULL), INVALID);
    CHECK_ERROR(pipc_channel_remove(NULL), INVALID);
    CHECK_ERROR(pipc_channel_send(NULL, &record, PIPC_NOWAIT), INVALID);
    CHECK_ERROR(pipc_channel_send(channel, NULL, PIPC_NOWAIT), INVALID);
    CHECK_ERROR(pipc_channel_receive(NULL, &record, PIPC_NOWAIT), INVALID);
    CHECK_ERROR(pipc_channel_receive(channel, NULL, PIPC_NOWAIT), INVALID);
    CHECK_ERROR(pipc_channel_reserve(NULL, &record, PIPC_NOWAIT), INVALID);
    CHECK_ERROR(pipc_channel_reserve(channel, NULL, PIPC_NOWAIT), INVALID);
    CHECK_ERROR(pipc_channel_commit(NULL, &record, 1), INVALID);
    CHECK_ERROR(pipc_channel_commit(channel, NULL, 1), INVALID);
    CHECK_ERROR(pipc_channel_cancel(NULL, &record, 1), INVALID);
    CHECK_ERROR(pipc_channel_cancel(channel, NULL, 1), INVALID);
    CHECK_ERROR(pipc_channel_peek(NULL, &record, &count, PIPC_NOWAIT), INVALID);
    CHECK_ERROR(pipc_channel_peek(channel, NULL, &count, PIPC_NOWAIT), INVALID);
    CHECK_ERROR(pipc_channel_peek(channel, &record, NULL, PIPC_NOWAIT), INVALID);
    CHECK_ERROR(pipc_channel_release(NULL, 1), INVALID);
    CHECK_ERROR(pipc_channel_statistics(NULL, &(pipc_channel_info){0}), INVALID);
    CHECK_ERROR(pipc_channel_statistics(channel, NULL), INVALID);
    CHECK_ERROR(pipc_channel_interrupt(NULL), INVALID);
    CHECK_OK(pipc_channel_close(NULL));
    end_untouched(channel);
}

static void data_that_is_null_must_be_empty(void)
{
    pipc_channel *channel = make_filled(0);
    pipc_record record = {.data = NULL, .size = 8};
    CHECK_ERROR(pipc_channel_send(channel, &record, PIPC_NOWAIT), INVALID);
    CHECK_ERROR(pipc_channel_receive(channel, &record, PIPC_NOWAIT), INVALID);
    end_untouched(channel);
}

static void unknown_flags_are_refused(void)
{
    pipc_channel *channel = make_filled(0);
    char bytes[64] = "";
    for (unsigned bit = 0; bit < 32; bit++) {
        uint32_t flag = UINT32_C(1) << bit, count = 1;
        pipc_record record = {.data = bytes, .size = sizeof bytes, .flags = flag};
        if (flag == PIPC_RESTART)
            continue;
        CHECK_ERROR(pipc_channel_send(channel, &record, PIPC_NOWAIT), INVALID);
        CHECK_ERROR(pipc_channel_reserve(channel, &record, PIPC_NOWAIT), INVALID);
        CHECK_ERROR(pipc_channel_peek(channel, &record, &count, PIPC_NOWAIT), INVALID);
        if (flag != PIPC_TRUNCATE)
            CHECK_ERROR(pipc_channel_receive(channel, &record, PIPC_NOWAIT), INVALID);
    }
    end_untouched(channel);
}

static void negative_timeouts_are_refused(void)
{
    pipc_channel *channel = make_filled(0);
    char bytes[64] = "";
    static const int64_t timeouts[] = {-1, -1000000000, INT64_MIN};
    for (unsigned i = 0; i < 3; i++) {
        pipc_record record = {.data = bytes, .size = sizeof bytes};
        uint32_t count = 1;
        CHECK_ERROR(pipc_channel_send(channel, &record, timeouts[i]), INVALID);
        CHECK_ERROR(pipc_channel_reserve(channel, &record, timeouts[i]), INVALID);
        CHECK_ERROR(pipc_channel_receive(channel, &record, timeouts[i]), INVALID);
        CHECK_ERROR(pipc_channel_peek(channel, &record, &count, timeouts[i]), INVALID);
    }
    end_untouched(channel);
}

static void counts_of_zero_are_refused(void)
{
    pipc_channel *channel = make_filled(0);
    pipc_record record = {0};
    uint32_t none = 0;
    CHECK_ERROR(pipc_channel_commit(channel, &record, 0), INVALID);
    CHECK_ERROR(pipc_channel_cancel(channel, &record, 0), INVALID);
    CHECK_ERROR(pipc_channel_peek(channel, &record, &none, PIPC_FOREVER), INVALID);
    end_untouched(channel);
}

/* ---- what is not reserved, what is not shown ---- */

static void refuse(pipc_channel *channel, const pipc_record *records, uint32_t count)
{
    CHECK_ERROR(pipc_channel_commit(channel, records, count), INVALID);
    CHECK_ERROR(pipc_channel_cancel(channel, records, count), INVALID);
    CHECK(strstr(pipc_error_detail(), "reserved") != NULL);
}

static void refuse_what_is_not_reserved(uint32_t producers)
{
    static const uint64_t positions[] = {0, 1, 16, 32, 96, 4095, 4096, 4096 * 7 + 96, UINT64_MAX, UINT64_MAX - 15};
    pipc_channel *channel = make_filled(producers);
    pipc_record reserved[2] = {{.size = 40}, {.size = 40}}, other;
    for (unsigned i = 0; i < sizeof positions / sizeof *positions; i++)
        refuse(channel, &(pipc_record){.size = 8, .position = positions[i]}, 1);
    REQUIRE_OK(pipc_channel_reserve(channel, &reserved[0], PIPC_NOWAIT));
    REQUIRE_OK(pipc_channel_reserve(channel, &reserved[1], PIPC_NOWAIT));
    for (unsigned i = 0; i < sizeof positions / sizeof *positions; i++) {
        pipc_record batch[2] = {reserved[0], {.size = 8, .position = positions[i]}};
        if (positions[i] % CHANNEL_SMALL != reserved[0].position % CHANNEL_SMALL)
            refuse(channel, batch, 2);
    }
    other = reserved[1];
    other.position += 16;
    refuse(channel, &other, 1);
    CHECK(channel_expect(channel, 0));
    CHECK_OK(pipc_channel_cancel(channel, reserved, 2));
    refuse(channel, reserved, 2);
    refuse(channel, reserved, 1);
    REQUIRE_OK(channel_send(channel, 3, 8, PIPC_NOWAIT));
    for (uint64_t i = 1; i <= PRESENT; i++)
        channel_expect(channel, i);
    channel_end(channel, "c");
}

static void what_is_not_reserved_cannot_be_committed(void)
{
    refuse_what_is_not_reserved(PIPC_PRODUCERS_ONE);
    refuse_what_is_not_reserved(PIPC_PRODUCERS_MANY);
}

/* One producer commits all that it reserved, in that order. */
static void one_producer_commits_all_in_order_or_nothing(void)
{
    pipc_channel *channel = make_filled(PIPC_PRODUCERS_ONE);
    pipc_record records[3];
    for (uint64_t i = 0; i < 3; i++)
        REQUIRE_OK(channel_reserve(channel, &records[i], 10 + i, 40, PIPC_NOWAIT));
    pipc_record turned[3] = {records[1], records[0], records[2]}, twice[3] = {records[0], records[0], records[2]};
    refuse(channel, records, 2);
    refuse(channel, records + 1, 2);
    refuse(channel, turned, 3);
    refuse(channel, twice, 3);
    CHECK_OK(pipc_channel_commit(channel, records, 3));
    for (uint64_t i = 0; i < 6; i++)
        channel_expect(channel, i < PRESENT ? i : 10 + i - PRESENT);
    channel_end(channel, "c");
}

static void more_than_was_shown_cannot_be_released(void)
{
    pipc_channel *channel = make_filled(0);
    pipc_record records[PRESENT] = {{0}};
    uint32_t count = 2;
    CHECK_ERROR(pipc_channel_release(channel, 0), INVALID);
    CHECK_ERROR(pipc_channel_release(channel, 1), INVALID);
    REQUIRE_OK(pipc_channel_peek(channel, records, &count, PIPC_NOWAIT));
    CHECK_ERROR(pipc_channel_release(channel, 3), INVALID);
    CHECK_ERROR(pipc_channel_release(channel, UINT32_MAX), INVALID);
    CHECK_OK(pipc_channel_release(channel, 0));
    CHECK_ERROR(pipc_channel_release(channel, 0), INVALID);
    end_untouched(channel);
}

/* ---- out of turn ---- */

static void a_thread_that_reserved_cannot_send_on_a_channel_of_one_producer(void)
{
    pipc_channel *channel = make_filled(PIPC_PRODUCERS_ONE), *other = channel_join("c", 0);
    pipc_record record;
    REQUIRE_OK(channel_reserve(channel, &record, 3, 8, PIPC_NOWAIT));
    CHECK_ERROR(channel_send(channel, 4, 8, PIPC_FOREVER), BUSY);
    CHECK_ERROR(channel_send(other, 4, 8, PIPC_FOREVER), BUSY);
    CHECK_ERROR(pipc_channel_reserve(other, &(pipc_record){.size = 8}, PIPC_FOREVER), BUSY);
    CHECK_OK(pipc_channel_cancel(channel, &record, 1));
    CHECK_OK(pipc_channel_close(other));
    end_untouched(channel);
}

static void a_thread_that_peeks_cannot_receive(void)
{
    pipc_channel *channel = make_filled(0), *other = channel_join("c", 0);
    pipc_record records[PRESENT] = {{0}};
    uint32_t count = 1;
    REQUIRE_OK(pipc_channel_peek(channel, records, &count, PIPC_NOWAIT));
    CHECK_ERROR(channel_receive(channel, &(struct channel_got){0}, PIPC_FOREVER), BUSY);
    CHECK_ERROR(pipc_channel_peek(channel, records, &count, PIPC_FOREVER), BUSY);
    CHECK_ERROR(channel_receive(other, &(struct channel_got){0}, PIPC_FOREVER), BUSY);
    CHECK_ERROR(pipc_channel_release(other, 0), INVALID);
    CHECK_OK(pipc_channel_release(channel, 0));
    CHECK_OK(pipc_channel_close(other));
    end_untouched(channel);
}

struct intruder {
    pipc_channel *channel;
    pipc_record record;
};

static void *intrude(void *argument)
{
    struct intruder *intruder = argument;
    refuse(intruder->channel, &intruder->record, 1);
    CHECK_ERROR(pipc_channel_release(intruder->channel, 0), INVALID);
    return NULL;
}

/* Reservations and peeks are a thread's. */
static void keep_out(uint32_t producers)
{
    struct intruder intruder = {.channel = make_filled(producers)};
    pipc_record shown = {0};
    pthread_t thread;
    uint32_t count = 1;
    REQUIRE_OK(channel_reserve(intruder.channel, &intruder.record, 3, 8, PIPC_NOWAIT));
    REQUIRE_OK(pipc_channel_peek(intruder.channel, &shown, &count, PIPC_NOWAIT));
    REQUIRE(pthread_create(&thread, NULL, intrude, &intruder) == 0);
    pthread_join(thread, NULL);
    CHECK_OK(pipc_channel_release(intruder.channel, 0));
    CHECK_OK(pipc_channel_cancel(intruder.channel, &intruder.record, 1));
    end_untouched(intruder.channel);
}

static void another_thread_neither_commits_nor_releases(void)
{
    keep_out(PIPC_PRODUCERS_ONE);
    keep_out(PIPC_PRODUCERS_MANY);
}

/* ---- handlers ---- */

static pipc_channel *handlers_channel;
static volatile sig_atomic_t sent, received, peeked, reserved;

static void call_from_handler(int signal)
{
    (void)signal;
    char bytes[64] = "";
    uint32_t count = 1;
    sent = pipc_channel_send(handlers_channel, &(pipc_record){.data = bytes, .size = 8}, PIPC_FOREVER);
    reserved = pipc_channel_reserve(handlers_channel, &(pipc_record){.size = 8}, PIPC_FOREVER);
    received = pipc_channel_receive(handlers_channel, &(pipc_record){.data = bytes, .size = 64}, PIPC_FOREVER);
    peeked = pipc_channel_peek(handlers_channel, &(pipc_record){0}, &count, PIPC_FOREVER);
}

/* The handle of another opening, so that the handler cannot add to what the thread has. */
static void calls_from_a_handler_within_a_batch_answer_busy(void)
{
    pipc_channel *channel = make_filled(PIPC_PRODUCERS_ONE);
    pipc_record record, shown = {0};
    uint32_t count = 1;
    handlers_channel = channel_join("c", 0);
    REQUIRE(signal(SIGUSR1, call_from_handler) != SIG_ERR);
    REQUIRE_OK(channel_reserve(channel, &record, 3, 8, PIPC_NOWAIT));
    REQUIRE_OK(pipc_channel_peek(channel, &shown, &count, PIPC_NOWAIT));
    raise(SIGUSR1);
    CHECK_ERROR(sent, BUSY);
    CHECK_ERROR(reserved, BUSY);
    CHECK_ERROR(received, BUSY);
    CHECK_ERROR(peeked, BUSY);
    CHECK_OK(pipc_channel_release(channel, 0));
    CHECK_OK(pipc_channel_cancel(channel, &record, 1));
    CHECK_OK(pipc_channel_close(handlers_channel));
    end_untouched(channel);
}

/* ---- closing in the middle ---- */

static void close_in_the_middle(uint32_t producers, uint32_t delivery)
{
    pipc_channel *channel = channel_make("c", producers, delivery, CHANNEL_SMALL), *other = channel_join("c", 0);
    pipc_record record, shown = {0};
    uint32_t count = 1;
    for (uint64_t i = 0; i < 2; i++)
        REQUIRE_OK(channel_send(other, i, 8, PIPC_NOWAIT));
    for (uint64_t i = 0; i < 3; i++)
        REQUIRE_OK(channel_reserve(channel, &record, 99, 300, PIPC_NOWAIT));
    REQUIRE_OK(pipc_channel_peek(channel, &shown, &count, PIPC_NOWAIT));
    CHECK_OK(pipc_channel_close(channel));
    REQUIRE_OK(channel_send(other, 2, 8, PIPC_NOWAIT));
    for (uint64_t i = 0; i < 3; i++)
        channel_expect(other, i);
    CHECK_EQUAL(channel_info(other).sent, 3);
    CHECK_EQUAL(channel_info(other).skipped, 0);
    channel_end(other, "c");
}

static void closing_gives_up_what_was_reserved_and_gives_back_what_was_peeked_at(void)
{
    channel_each_variety(close_in_the_middle);
}

static const struct test tests[] = {
    {"C9", "null_pointers_are_refused", null_pointers_are_refused, 0},
    {"C9", "data_that_is_null_must_be_empty", data_that_is_null_must_be_empty, 0},
    {"C9", "unknown_flags_are_refused", unknown_flags_are_refused, 0},
    {"C9 C6", "negative_timeouts_are_refused", negative_timeouts_are_refused, 0},
    {"C9", "counts_of_zero_are_refused", counts_of_zero_are_refused, 0},
    {"C9 C3", "what_is_not_reserved_cannot_be_committed", what_is_not_reserved_cannot_be_committed, 0},
    {"C9 C3", "one_producer_commits_all_in_order_or_nothing", one_producer_commits_all_in_order_or_nothing, 0},
    {"C9 C3", "more_than_was_shown_cannot_be_released", more_than_was_shown_cannot_be_released, 0},
    {"C9 C4", "a_thread_that_reserved_cannot_send_on_a_channel_of_one_producer",
     a_thread_that_reserved_cannot_send_on_a_channel_of_one_producer, 0},
    {"C9", "a_thread_that_peeks_cannot_receive", a_thread_that_peeks_cannot_receive, 0},
    {"C9", "another_thread_neither_commits_nor_releases", another_thread_neither_commits_nor_releases, 0},
    {"C9", "calls_from_a_handler_within_a_batch_answer_busy", calls_from_a_handler_within_a_batch_answer_busy, 0},
    {"C9 C3", "closing_gives_up_what_was_reserved_and_gives_back_what_was_peeked_at",
     closing_gives_up_what_was_reserved_and_gives_back_what_was_peeked_at, 0},
};

TEST_MAIN("channel_misuse", tests)
