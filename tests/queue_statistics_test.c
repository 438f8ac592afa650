/* Statistics: Q11. */
#define _GNU_SOURCE
#include "support_queue.h"

#include <string.h>
#include <time.h>
#include <unistd.h>

static int64_t wall_clock(void)
{
    struct timespec now;
    clock_gettime(CLOCK_REALTIME, &now);
    return (int64_t)now.tv_sec * 1000000000 + now.tv_nsec;
}

static void new_queue_tells_what_it_is(void)
{
    pipc_facts facts;
    REQUIRE_OK(pipc_library_facts(&facts));
    int64_t before = wall_clock();
    pipc_queue *queue = NULL;
    pipc_queue_options options = {.max_messages = 7, .max_size = 1234, .mode = 0640};
    REQUIRE_OK(pipc_queue_open(&queue, test_name("q"), PIPC_CREATE, &options));
    pipc_queue_info info = queue_info(queue);
    CHECK_EQUAL(info.max_messages, 7);
    CHECK_EQUAL(info.max_size, 1234);
    CHECK_EQUAL(info.mode, 0640);
    CHECK_EQUAL(info.owner, geteuid());
    CHECK_EQUAL(info.creator, getpid());
    CHECK(info.created >= before && info.created <= wall_clock());
    CHECK(info.backend && strcmp(info.backend, facts.backend) == 0);
    CHECK(info.messages == 0 && info.bytes == 0 && info.high_water == 0 && info.sent == 0 && info.received == 0);
    CHECK(info.waiters == 0 && info.last_sender == 0 && info.last_receiver == 0);
    queue_end(queue, "q");
}

static void defaults_are_those_of_the_headers(void)
{
    pipc_queue *queue = queue_make("q", 0, 0);
    pipc_queue_info info = queue_info(queue);
    CHECK_EQUAL(info.max_messages, PIPC_DEFAULT_MESSAGES);
    CHECK_EQUAL(info.max_size, PIPC_DEFAULT_SIZE);
    CHECK_EQUAL(info.mode, 0600);
    queue_end(queue, "q");
}

static void counts_are_exact_at_rest(void)
{
    static const uint64_t sizes[] = {8, 100, 20000, 8, 50};
    pipc_queue *queue = queue_make("q", 10, 30000);
    uint64_t bytes = 0;
    for (unsigned i = 0; i < 5; i++) {
        REQUIRE_OK(queue_send(queue, 1, i, i, sizes[i], PIPC_NOWAIT));
        bytes += sizes[i];
        pipc_queue_info info = queue_info(queue);
        CHECK(info.messages == i + 1 && info.sent == i + 1 && info.high_water == i + 1 && info.received == 0);
        CHECK_EQUAL(info.bytes, bytes);
    }
    for (unsigned i = 5; i-- > 0;) {
        queue_expect(queue, pipc_any(), i);
        bytes -= sizes[i];
        pipc_queue_info info = queue_info(queue);
        CHECK(info.messages == i && info.sent == 5 && info.high_water == 5 && info.received == 5 - i);
        CHECK_EQUAL(info.bytes, bytes);
    }
    queue_end(queue, "q");
}

static void failed_calls_count_nothing(void)
{
    pipc_queue *queue = queue_make("q", 1, 64);
    struct queue_got got;
    CHECK_ERROR(queue_receive(queue, pipc_any(), &got, PIPC_NOWAIT), EMPTY);
    REQUIRE_OK(queue_send(queue, 1, 0, 1, 8, PIPC_NOWAIT));
    CHECK_ERROR(queue_send(queue, 1, 0, 1, 8, PIPC_NOWAIT), FULL);
    CHECK_ERROR(queue_send(queue, 1, 0, 1, 8, PIPC_MS(2)), TIMEOUT);
    CHECK_ERROR(queue_receive(queue, pipc_exactly(2), &got, PIPC_MS(2)), TIMEOUT);
    pipc_queue_info info = queue_info(queue);
    CHECK(info.messages == 1 && info.sent == 1 && info.received == 0 && info.high_water == 1 && info.bytes == 8);
    queue_end(queue, "q");
}

static int send_two(void *argument)
{
    REQUIRE_OK(queue_send(argument, 1, 0, 1, 8, PIPC_NOWAIT));
    REQUIRE_OK(queue_send(argument, 1, 0, 1, 30000, PIPC_NOWAIT));
    return 0;
}

static int receive_one(void *argument)
{
    struct queue_got got;
    REQUIRE_OK(queue_receive(argument, pipc_any(), &got, PIPC_SECONDS(20)));
    return 0;
}

static void last_sender_and_receiver_are_named(void)
{
    pipc_queue *queue = queue_make("q", 4, 30000);
    pid_t child = test_fork(send_two, queue);
    CHECK_EQUAL(test_wait(child, PIPC_SECONDS(20)), 0);
    CHECK_EQUAL(queue_info(queue).last_sender, child);
    CHECK_EQUAL(queue_info(queue).last_receiver, 0);
    receive_one(queue);
    CHECK_EQUAL(queue_info(queue).last_receiver, getpid());
    child = test_fork(receive_one, queue);
    CHECK_EQUAL(test_wait(child, PIPC_SECONDS(20)), 0);
    CHECK_EQUAL(queue_info(queue).last_receiver, child);
    REQUIRE_OK(queue_send(queue, 1, 0, 1, 8, PIPC_NOWAIT));
    CHECK_EQUAL(queue_info(queue).last_sender, getpid());
    queue_end(queue, "q");
}

static bool await_waiters(pipc_queue *queue, uint32_t waiters)
{
    int64_t deadline = test_now() + PIPC_SECONDS(10);
    while (queue_info(queue).waiters != waiters && test_now() < deadline)
        test_sleep(PIPC_MS(1));
    return CHECK_EQUAL(queue_info(queue).waiters, waiters);
}

static void sleepers_are_counted(void)
{
    pipc_queue *queue = queue_make("q", 4, 64);
    pid_t children[3];
    for (unsigned i = 0; i < 3; i++) {
        children[i] = test_fork(receive_one, queue);
        await_waiters(queue, i + 1);
    }
    for (unsigned i = 0; i < 3; i++)
        REQUIRE_OK(queue_send(queue, 1, 0, i, 8, PIPC_NOWAIT));
    for (unsigned i = 0; i < 3; i++)
        CHECK_EQUAL(test_wait(children[i], PIPC_SECONDS(20)), 0);
    CHECK_EQUAL(queue_info(queue).waiters, 0);
    queue_end(queue, "q");
}

static void statistics_are_the_same_through_every_handle(void)
{
    pipc_queue *queue = queue_make("q", 4, 64);
    pipc_queue *reader = queue_join("q", PIPC_RECEIVE), *writer = queue_join("q", PIPC_SEND);
    REQUIRE_OK(queue_send(writer, 1, 0, 1, 8, PIPC_NOWAIT));
    pipc_queue_info first = queue_info(queue), second = queue_info(reader), third = queue_info(writer);
    CHECK(first.messages == 1 && second.messages == 1 && third.messages == 1);
    CHECK(first.sent == 1 && second.sent == 1 && third.sent == 1);
    CHECK(first.created == second.created && second.created == third.created);
    CHECK_OK(pipc_queue_close(reader));
    CHECK_OK(pipc_queue_close(writer));
    queue_end(queue, "q");
}

enum { EACH = 3000, PAIRS = 3 };

static int send_each(void *argument)
{
    for (uint64_t i = 0; i < EACH; i++)
        REQUIRE_OK(queue_send(argument, 1, (uint32_t)(i % 3), i, i % 40 ? 8 : 9000, PIPC_SECONDS(20)));
    return 0;
}

static int receive_each(void *argument)
{
    struct queue_got got;
    for (uint64_t i = 0; i < EACH; i++)
        REQUIRE_OK(queue_receive(argument, pipc_any(), &got, PIPC_SECONDS(20)));
    return 0;
}

static void counts_are_exact_after_traffic_of_many(void)
{
    pipc_queue *queue = queue_make("q", 25, 9000);
    pid_t children[2 * PAIRS];
    for (unsigned i = 0; i < 2 * PAIRS; i++)
        children[i] = test_fork(i % 2 ? receive_each : send_each, queue);
    for (unsigned i = 0; i < 2 * PAIRS; i++)
        CHECK_EQUAL(test_wait(children[i], PIPC_SECONDS(50)), 0);
    pipc_queue_info info = queue_info(queue);
    CHECK_EQUAL(info.sent, PAIRS * EACH);
    CHECK_EQUAL(info.received, PAIRS * EACH);
    CHECK_EQUAL(info.messages, 0);
    CHECK_EQUAL(info.bytes, 0);
    CHECK_EQUAL(info.waiters, 0);
    CHECK(info.high_water >= 1 && info.high_water <= 25);
    queue_end(queue, "q");
}

static int trade_for_ever(void *argument)
{
    struct queue_got got;
    for (uint64_t i = 0; i < UINT64_MAX; i++) {
        queue_send(argument, 1, 0, i, i % 3 ? 8 : 9000, PIPC_NOWAIT);
        if (i % 2)
            queue_receive(argument, pipc_any(), &got, PIPC_NOWAIT);
    }
    return 0;
}

/* Never more messages than places, no total that went below zero or back, whenever one looks. */
static void figures_stay_possible_during_traffic(void)
{
    pipc_queue *queue = queue_make("q", 5, 9000);
    pid_t children[2] = {test_fork(trade_for_ever, queue), test_fork(trade_for_ever, queue)};
    uint64_t received = 0;
    int64_t end = test_now() + PIPC_MS(500);
    while (test_now() < end && test_failures() == 0) {
        pipc_queue_info info = queue_info(queue);
        CHECK(info.messages <= 5 && info.high_water <= 5);
        CHECK(info.bytes <= 5 * 9000 && info.sent < 1000000000);
        CHECK(info.received >= received);
        received = info.received;
    }
    test_kill(children[0]);
    test_kill(children[1]);
    CHECK(received > 100);
    queue_end(queue, "q");
}

static int poll_for_ever(void *argument)
{
    struct queue_got got;
    _Atomic uint32_t *polls = argument;
    pipc_queue *queue = queue_join("q", 0);
    for (;;) {
        queue_receive(queue, pipc_exactly(9), &got, PIPC_NOWAIT);
        atomic_fetch_add(polls, 1);
    }
    return 0;
}

/* Looking into a queue is no traffic. */
static void polling_counts_as_nothing(void)
{
    _Atomic uint32_t *polls = test_shared(sizeof *polls);
    pipc_queue *queue = queue_make("q", 5, 64);
    pid_t child = test_fork(poll_for_ever, polls);
    while (atomic_load(polls) < 20000 && test_failures() == 0) {
        pipc_queue_info info = queue_info(queue);
        CHECK_EQUAL(info.sent, 0);
        CHECK_EQUAL(info.high_water, 0);
    }
    test_kill(child);
    queue_end(queue, "q");
}

/* The mark is as high as the messages that lie there now, whoever looked for others meanwhile. */
static void high_water_is_never_below_what_lies_there(void)
{
    struct queue_got got;
    _Atomic uint32_t *polls = test_shared(sizeof *polls);
    pipc_queue *first = queue_make("q", 5, 64);
    pid_t child = test_fork(poll_for_ever, polls);
    test_await(polls, 1);
    for (uint64_t i = 0; i < 5 && test_failures() == 0; i++) {
        REQUIRE_OK(queue_send(first, 1, 0, i, 8, PIPC_SECONDS(20)));
        CHECK_EQUAL(queue_info(first).high_water, i + 1);
        CHECK_EQUAL(queue_info(first).sent, i + 1);
    }
    for (uint64_t i = 0; i < 5; i++)
        REQUIRE_OK(queue_receive(first, pipc_exactly(1), &got, PIPC_SECONDS(20)));
    test_kill(child);
    CHECK_EQUAL(queue_info(first).high_water, 5);
    queue_end(first, "q");
}

static const struct test tests[] = {
    {"Q11", "new_queue_tells_what_it_is", new_queue_tells_what_it_is, 0},
    {"Q9 Q11", "defaults_are_those_of_the_headers", defaults_are_those_of_the_headers, 0},
    {"Q11", "counts_are_exact_at_rest", counts_are_exact_at_rest, 0},
    {"Q11", "failed_calls_count_nothing", failed_calls_count_nothing, 0},
    {"Q11", "last_sender_and_receiver_are_named", last_sender_and_receiver_are_named, 0},
    {"Q11", "sleepers_are_counted", sleepers_are_counted, 0},
    {"Q11", "statistics_are_the_same_through_every_handle", statistics_are_the_same_through_every_handle, 0},
    {"Q11", "counts_are_exact_after_traffic_of_many", counts_are_exact_after_traffic_of_many, 0},
    {"Q11", "polling_counts_as_nothing", polling_counts_as_nothing, 0},
    {"Q11", "high_water_is_never_below_what_lies_there", high_water_is_never_below_what_lies_there, 0},
    {"Q11", "figures_stay_possible_during_traffic", figures_stay_possible_during_traffic, 0},
};

TEST_MAIN("queue_statistics", tests)
