/* Peek and purge: Q15. */
#include "support_queue.h"

#include "probe.h"

static void check_peek(uint64_t size)
{
    pipc_queue *queue = queue_make("q", 8, size);
    struct queue_got got;
    REQUIRE_OK(queue_send(queue, 4, 1, 10, size, PIPC_NOWAIT));
    REQUIRE_OK(queue_send(queue, 5, 2, 11, size, PIPC_NOWAIT));
    REQUIRE_OK(queue_send(queue, 4, 1, 12, size, PIPC_NOWAIT));
    for (unsigned i = 0; i < 3; i++) {
        REQUIRE_OK(queue_peek(queue, pipc_any(), &got, PIPC_NOWAIT));
        CHECK(got.number == 11 && got.type == 5 && got.priority == 2 && got.size == size);
        REQUIRE_OK(queue_peek(queue, pipc_exactly(4), &got, PIPC_FOREVER));
        CHECK(got.number == 10 && got.type == 4 && got.priority == 1);
    }
    pipc_queue_info info = queue_info(queue);
    CHECK(info.messages == 3 && info.received == 0 && info.sent == 3 && info.last_receiver == 0);
    CHECK_EQUAL(info.bytes, 3 * size);
    queue_expect(queue, pipc_any(), 11);
    queue_expect(queue, pipc_any(), 10);
    queue_expect(queue, pipc_any(), 12);
    queue_end(queue, "q");
}

static void peek_shows_the_message_and_leaves_it(void)
{
    check_peek(64);
    check_peek(50000);
}

static void peek_follows_the_rules_of_selection(void)
{
    static const uint32_t types[] = {4, 2, 9, 2, 4, 7}, priorities[] = {0, 0, 5, 3, 3, 0};
    pipc_queue *queue = queue_make("q", 16, 100);
    struct queue_got got;
    for (unsigned i = 0; i < 6; i++)
        REQUIRE_OK(queue_send(queue, types[i], priorities[i], i, 8, PIPC_NOWAIT));
    struct {
        pipc_selection selection;
        uint64_t number;
    } cases[] = {{pipc_any(), 2},     {pipc_exactly(4), 4}, {pipc_exactly(7), 5},
                 {pipc_except(9), 3}, {pipc_up_to(9), 3},   {pipc_up_to(PIPC_TYPE_MAX), 3}};
    for (unsigned i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        CHECK_OK(queue_peek(queue, cases[i].selection, &got, PIPC_NOWAIT));
        CHECK_EQUAL(got.number, cases[i].number);
    }
    CHECK_ERROR(queue_peek(queue, pipc_exactly(1), &got, PIPC_NOWAIT), EMPTY);
    CHECK_ERROR(queue_peek(queue, pipc_up_to(1), &got, PIPC_NOWAIT), EMPTY);
    CHECK_EQUAL(queue_info(queue).messages, 6);
    queue_end(queue, "q");
}

static void peek_with_a_small_buffer_says_what_it_needs_or_cuts(void)
{
    pipc_queue *queue = queue_make("q", 2, 500);
    char bytes[9] = "";
    REQUIRE_OK(queue_send(queue, 1, 0, 0x41, 500, PIPC_NOWAIT));
    pipc_message message = {.data = bytes, .size = 8};
    CHECK_ERROR(pipc_queue_peek(queue, pipc_any(), &message, PIPC_FOREVER), TOO_SMALL);
    CHECK_EQUAL(message.size, 500);
    message = (pipc_message){.data = bytes, .size = 8, .flags = PIPC_TRUNCATE};
    CHECK_OK(pipc_queue_peek(queue, pipc_any(), &message, PIPC_FOREVER));
    CHECK_EQUAL(message.size, 500);
    CHECK(bytes[0] == 0x41 && bytes[8] == 0);
    queue_expect(queue, pipc_any(), 0x41);
    queue_end(queue, "q");
}

static void peek_does_not_change_the_order(void)
{
    pipc_queue *queue = queue_make("q", 100, 9000);
    struct queue_got got;
    uint64_t random = 12;
    for (uint64_t i = 0; i < 100; i++) {
        REQUIRE_OK(
            queue_send(queue, 1 + test_random(&random, 3), 1, i, test_random(&random, 4) ? 8 : 9000, PIPC_NOWAIT));
        if (i % 3 == 0) {
            pipc_selection selection = test_random(&random, 2) ? pipc_any() : pipc_except(1 + test_random(&random, 3));
            queue_peek(queue, selection, &got, PIPC_NOWAIT);
        }
    }
    for (uint64_t i = 0; i < 100; i++)
        queue_expect(queue, pipc_any(), i);
    queue_end(queue, "q");
}

/* A full queue stays full after a peek: the copy took no place and gave none back. */
static void peek_neither_takes_nor_gives_a_place(void)
{
    pipc_queue *queue = queue_make("q", 12, 64);
    struct queue_got got;
    for (uint64_t i = 0; i < 12; i++)
        REQUIRE_OK(queue_send(queue, 1, 0, i, 8, PIPC_NOWAIT));
    CHECK_OK(queue_peek(queue, pipc_any(), &got, PIPC_NOWAIT));
    CHECK_ERROR(queue_peek(queue, pipc_exactly(2), &got, PIPC_NOWAIT), EMPTY);
    CHECK_ERROR(queue_send(queue, 1, 0, 12, 8, PIPC_NOWAIT), FULL);
    for (uint64_t i = 0; i < 12; i++)
        queue_expect(queue, pipc_any(), i);
    queue_check_room(queue, 12, 64);
    queue_end(queue, "q");
}

static int peek_patiently(void *argument)
{
    struct queue_got got;
    int error = queue_peek(argument, pipc_any(), &got, PIPC_SECONDS(20));
    return error == 0 ? 0 : error;
}

static int receive_patiently(void *argument)
{
    struct queue_got got;
    return queue_receive(argument, pipc_any(), &got, PIPC_SECONDS(20));
}

/* Whoever only looks must pass the wake-up on: the one message wakes a receiver behind four peekers. */
static void waiting_peeks_keep_no_message_from_a_receiver(void)
{
    pipc_queue *queue = queue_make("q", 4, 64);
    pid_t peekers[4];
    for (unsigned i = 0; i < 4; i++) {
        peekers[i] = test_fork(peek_patiently, queue);
        test_await_sleep(peekers[i]);
    }
    pid_t receiver = test_fork(receive_patiently, queue);
    test_await_sleep(receiver);
    REQUIRE_OK(queue_send(queue, 1, 0, 1, 8, PIPC_NOWAIT));
    CHECK_EQUAL(test_wait(receiver, PIPC_SECONDS(30)), 0);
    REQUIRE_OK(queue_send(queue, 1, 0, 2, 8, PIPC_NOWAIT));
    for (unsigned i = 0; i < 4; i++)
        CHECK_EQUAL(test_wait(peekers[i], PIPC_SECONDS(30)), 0);
    queue_expect(queue, pipc_any(), 2);
    queue_end(queue, "q");
}

/* ---- Purge ---- */

static void purge_drops_all_and_says_how_many(void)
{
    pipc_queue *queue = queue_make("q", 100, 9000);
    struct queue_got got;
    uint64_t dropped = 99, waiting = 99;
    CHECK_OK(pipc_queue_purge(queue, &dropped));
    CHECK_EQUAL(dropped, 0);
    for (uint64_t i = 0; i < 100; i++)
        REQUIRE_OK(queue_send(queue, 1 + (uint32_t)i % 3, (uint32_t)i % 32, i, i % 5 ? 8 : 9000, PIPC_NOWAIT));
    CHECK_OK(pipc_queue_purge(queue, &dropped));
    CHECK_EQUAL(dropped, 100);
    CHECK(probe_queue_count(test_name("q"), &waiting));
    CHECK_EQUAL(waiting, 0);
    CHECK_ERROR(queue_receive(queue, pipc_any(), &got, PIPC_NOWAIT), EMPTY);
    pipc_queue_info info = queue_info(queue);
    CHECK(info.messages == 0 && info.bytes == 0 && info.sent == 100 && info.received == 0 && info.high_water == 100);
    queue_check_room(queue, 100, 9000);
    queue_end(queue, "q");
}

static void purge_needs_no_place_for_its_count(void)
{
    pipc_queue *queue = queue_make("q", 3, 64);
    REQUIRE_OK(queue_send(queue, 1, 0, 1, 8, PIPC_NOWAIT));
    CHECK_OK(pipc_queue_purge(queue, NULL));
    CHECK_EQUAL(queue_info(queue).messages, 0);
    queue_end(queue, "q");
}

static int send_patiently(void *argument)
{
    return queue_send(argument, 1, 0, 50, 8, PIPC_SECONDS(20));
}

static void purge_wakes_blocked_senders(void)
{
    pipc_queue *queue = queue_make("q", 4, 64);
    pid_t senders[4];
    for (uint64_t i = 0; i < 4; i++)
        REQUIRE_OK(queue_send(queue, 1, 0, i, 8, PIPC_NOWAIT));
    for (unsigned i = 0; i < 4; i++) {
        senders[i] = test_fork(send_patiently, queue);
        test_await_sleep(senders[i]);
    }
    CHECK_OK(pipc_queue_purge(queue, NULL));
    for (unsigned i = 0; i < 4; i++)
        CHECK_EQUAL(test_wait(senders[i], PIPC_SECONDS(30)), 0);
    for (unsigned i = 0; i < 4; i++)
        queue_expect(queue, pipc_any(), 50);
    queue_end(queue, "q");
}

enum { EACH = 8000, SENDERS = 3 };

struct market {
    pipc_queue *queue;
    _Atomic uint32_t received, sending;
};

static int send_each(void *argument)
{
    struct market *market = argument;
    for (uint64_t i = 0; i < EACH; i++)
        REQUIRE_OK(queue_send(market->queue, 1, 0, i, i % 30 ? 8 : 9000, PIPC_SECONDS(20)));
    atomic_fetch_sub(&market->sending, 1);
    return 0;
}

static int receive_some(void *argument)
{
    struct market *market = argument;
    struct queue_got got;
    int error = 0;
    while (atomic_load(&market->sending) > 0) {
        error = queue_receive(market->queue, pipc_any(), &got, PIPC_MS(10));
        if (error == 0)
            atomic_fetch_add(&market->received, 1);
        else
            CHECK_ERROR(error, TIMEOUT);
    }
    return 0;
}

static uint64_t purge_while_sending(struct market *market)
{
    uint64_t all = 0;
    while (atomic_load(&market->sending) > 0 && test_failures() == 0) {
        uint64_t dropped = 0;
        int error = pipc_queue_purge(market->queue, &dropped);
        if (error)
            CHECK_ERROR(error, BUSY);
        all += error ? 0 : dropped;
    }
    return all;
}

/* Three send, perhaps one receives, one purges: each message is received or dropped, never both, never neither. */
static void check_purge_in_traffic(uint32_t max_messages, bool receive)
{
    struct market *market = test_shared(sizeof *market);
    pid_t senders[SENDERS], receiver = 0;
    uint64_t dropped = 0;
    market->queue = queue_make("q", max_messages, 9000);
    atomic_store(&market->sending, SENDERS);
    for (unsigned i = 0; i < SENDERS; i++)
        senders[i] = test_fork(send_each, market);
    if (receive)
        receiver = test_fork(receive_some, market);
    uint64_t all = purge_while_sending(market);
    for (unsigned i = 0; i < SENDERS; i++)
        CHECK_EQUAL(test_wait(senders[i], PIPC_SECONDS(30)), 0);
    if (receive)
        CHECK_EQUAL(test_wait(receiver, PIPC_SECONDS(30)), 0);
    CHECK_OK(pipc_queue_purge(market->queue, &dropped));
    CHECK_EQUAL(all + dropped + atomic_load(&market->received), SENDERS * EACH);
    CHECK_EQUAL(queue_info(market->queue).received, atomic_load(&market->received));
    queue_check_room(market->queue, max_messages, 9000);
    queue_end(market->queue, "q");
}

static void purge_during_traffic_counts_every_message_once(void)
{
    check_purge_in_traffic(30, true);
    check_purge_in_traffic(4, true);
}

/* Senders refill as fast as it drops; it must come to an end, and a sound queue is not "damaged". */
static void purge_against_busy_senders_ends_and_succeeds(void)
{
    check_purge_in_traffic(4, false);
    check_purge_in_traffic(100, false);
}

static const struct test tests[] = {
    {"Q15", "peek_shows_the_message_and_leaves_it", peek_shows_the_message_and_leaves_it, 0},
    {"Q6 Q15", "peek_follows_the_rules_of_selection", peek_follows_the_rules_of_selection, 0},
    {"Q8 Q15", "peek_with_a_small_buffer_says_what_it_needs_or_cuts",
     peek_with_a_small_buffer_says_what_it_needs_or_cuts, 0},
    {"Q5 Q15", "peek_does_not_change_the_order", peek_does_not_change_the_order, 0},
    {"Q9 Q15", "peek_neither_takes_nor_gives_a_place", peek_neither_takes_nor_gives_a_place, 0},
    {"Q7 Q15", "waiting_peeks_keep_no_message_from_a_receiver", waiting_peeks_keep_no_message_from_a_receiver, 0},
    {"Q15", "purge_drops_all_and_says_how_many", purge_drops_all_and_says_how_many, 0},
    {"Q15", "purge_needs_no_place_for_its_count", purge_needs_no_place_for_its_count, 0},
    {"Q7 Q15", "purge_wakes_blocked_senders", purge_wakes_blocked_senders, 0},
    {"Q15", "purge_during_traffic_counts_every_message_once", purge_during_traffic_counts_every_message_once, 0},
    {"Q15", "purge_against_busy_senders_ends_and_succeeds", purge_against_busy_senders_ends_and_succeeds, 0},
};

TEST_MAIN("queue_peek", tests)
