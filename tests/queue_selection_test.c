/* Selection, also with many receivers and with messages in the way: Q6. */
#include "support_queue.h"

enum { IN_THE_WAY = 10000 };

/* Types 4 2 9 2 4 7 with priorities 0 0 5 3 3 0, numbered from 0. */
static pipc_queue *make_mixture(void)
{
    static const uint32_t types[] = {4, 2, 9, 2, 4, 7}, priorities[] = {0, 0, 5, 3, 3, 0};
    pipc_queue *queue = queue_make("q", 16, 100);
    for (unsigned i = 0; i < 6; i++)
        REQUIRE_OK(queue_send(queue, types[i], priorities[i], i, 8, PIPC_NOWAIT));
    return queue;
}

static void check_sequence(pipc_selection selection, const uint64_t *numbers, unsigned count)
{
    pipc_queue *queue = make_mixture();
    struct queue_got got;
    for (unsigned i = 0; i < count; i++)
        queue_expect(queue, selection, numbers[i]);
    CHECK_ERROR(queue_receive(queue, selection, &got, PIPC_NOWAIT), EMPTY);
    CHECK_EQUAL(queue_info(queue).messages, 6 - count);
    queue_end(queue, "q");
}

static void any_takes_by_priority_then_age(void)
{
    check_sequence(pipc_any(), (uint64_t[]){2, 3, 4, 0, 1, 5}, 6);
}

static void exactly_takes_one_type_by_priority_then_age(void)
{
    check_sequence(pipc_exactly(4), (uint64_t[]){4, 0}, 2);
    check_sequence(pipc_exactly(2), (uint64_t[]){3, 1}, 2);
    check_sequence(pipc_exactly(8), NULL, 0);
}

static void except_takes_the_others_by_priority_then_age(void)
{
    check_sequence(pipc_except(2), (uint64_t[]){2, 4, 0, 5}, 4);
    check_sequence(pipc_except(PIPC_TYPE_MAX), (uint64_t[]){2, 3, 4, 0, 1, 5}, 6);
}

static void up_to_takes_the_lowest_type_then_by_priority_then_age(void)
{
    check_sequence(pipc_up_to(7), (uint64_t[]){3, 1, 4, 0, 5}, 5);
    check_sequence(pipc_up_to(1), NULL, 0);
    check_sequence(pipc_up_to(PIPC_TYPE_MAX), (uint64_t[]){3, 1, 4, 0, 5, 2}, 6);
}

static void types_at_both_ends_are_told_apart(void)
{
    static const uint32_t types[] = {1, 2, 0x7ffffffe, 0x7fffffff, 0x10000, 0x10001};
    pipc_queue *queue = queue_make("q", 6, 8);
    for (unsigned i = 0; i < 6; i++)
        REQUIRE_OK(queue_send(queue, types[i], 0, i, 8, PIPC_NOWAIT));
    for (unsigned i = 6; i-- > 0;)
        queue_expect(queue, pipc_exactly(types[i]), i);
    queue_end(queue, "q");
}

/* One type in front, everywhere: the kernel's queue, the slots. The wanted one is the very last. */
static void type_behind_10000_others_is_found_at_once(void)
{
    pipc_queue *queue = queue_make("q", IN_THE_WAY + 2, 16);
    for (uint64_t i = 0; i < IN_THE_WAY; i++)
        REQUIRE_OK(queue_send(queue, 1, 0, i, 8, PIPC_NOWAIT));
    REQUIRE_OK(queue_send(queue, 2, 0, 77777, 8, PIPC_NOWAIT));
    queue_expect(queue, pipc_exactly(2), 77777);
    REQUIRE_OK(queue_send(queue, 2, 0, 77778, 8, PIPC_NOWAIT));
    queue_expect(queue, pipc_except(1), 77778);
    for (uint64_t i = 0; i < IN_THE_WAY; i++)
        if (!queue_expect(queue, pipc_any(), i))
            break;
    queue_end(queue, "q");
}

static int flood(void *argument)
{
    for (uint64_t i = 0; i < IN_THE_WAY; i++)
        REQUIRE_OK(queue_send(argument, 1, 0, i, 8, PIPC_SECONDS(20)));
    REQUIRE_OK(queue_send(argument, 2, 0, 55555, 8, PIPC_SECONDS(20)));
    return 0;
}

/* The receiver of type 2 sleeps while 10,000 of type 1 stream into a queue that nobody empties. */
static void waiting_typed_receiver_is_not_starved(void)
{
    pipc_queue *queue = queue_make("q", IN_THE_WAY + 1, 16);
    struct queue_got got;
    pid_t flooder = test_fork(flood, queue);
    CHECK_OK(queue_receive(queue, pipc_exactly(2), &got, PIPC_SECONDS(30)));
    CHECK_EQUAL(got.number, 55555);
    CHECK_EQUAL(test_wait(flooder, PIPC_SECONDS(30)), 0);
    CHECK_EQUAL(queue_info(queue).messages, IN_THE_WAY);
    queue_end(queue, "q");
}

static int send_type_two(void *argument)
{
    REQUIRE_OK(queue_send(argument, 2, 0, 4242, 8, PIPC_SECONDS(20)));
    return 0;
}

/* A full queue of another type; the wanted message's sender waits for room. One place is made. */
static void typed_message_gets_through_behind_a_full_queue(void)
{
    pipc_queue *queue = queue_make("q", 12, 16);
    struct queue_got got;
    for (uint64_t i = 0; i < 12; i++)
        REQUIRE_OK(queue_send(queue, 1, 0, i, 8, PIPC_NOWAIT));
    pid_t sender = test_fork(send_type_two, queue);
    test_await_sleep(sender);
    CHECK_ERROR(queue_receive(queue, pipc_exactly(2), &got, PIPC_NOWAIT), EMPTY);
    queue_expect(queue, pipc_any(), 0);
    CHECK_OK(queue_receive(queue, pipc_exactly(2), &got, PIPC_SECONDS(20)));
    CHECK_EQUAL(got.number, 4242);
    CHECK_EQUAL(test_wait(sender, PIPC_SECONDS(20)), 0);
    for (uint64_t i = 1; i < 12; i++)
        queue_expect(queue, pipc_any(), i);
    queue_end(queue, "q");
}

struct wanted {
    pipc_queue *queue;
    pipc_selection selection;
    uint64_t number;
};

static int receive_wanted(void *argument)
{
    struct wanted *wanted = argument;
    struct queue_got got;
    REQUIRE_OK(queue_receive(wanted->queue, wanted->selection, &got, PIPC_SECONDS(20)));
    CHECK_EQUAL(got.number, wanted->number);
    return 0;
}

/* Eight sleepers, each for its own type; sent in another order, with unwanted ones between. */
static void each_waiting_receiver_gets_its_own_type(void)
{
    static const unsigned order[8] = {5, 2, 7, 0, 3, 6, 1, 4};
    pipc_queue *queue = queue_make("q", 64, 9000);
    pid_t receivers[8];
    for (unsigned i = 0; i < 8; i++) {
        struct wanted wanted = {queue, pipc_exactly(10 + i), i};
        receivers[i] = test_fork(receive_wanted, &wanted);
    }
    for (unsigned i = 0; i < 8; i++)
        test_await_sleep(receivers[i]);
    for (unsigned i = 0; i < 8; i++) {
        REQUIRE_OK(queue_send(queue, 1, 31, 100 + i, i % 2 ? 9000 : 8, PIPC_NOWAIT));
        REQUIRE_OK(queue_send(queue, 10 + order[i], 0, order[i], i % 3 ? 8 : 9000, PIPC_NOWAIT));
    }
    for (unsigned i = 0; i < 8; i++)
        CHECK_EQUAL(test_wait(receivers[i], PIPC_SECONDS(25)), 0);
    for (unsigned i = 0; i < 8; i++)
        queue_expect(queue, pipc_any(), 100 + i);
    queue_end(queue, "q");
}

static int receive_one(void *argument)
{
    struct wanted *wanted = argument;
    struct queue_got got;
    return queue_receive(wanted->queue, wanted->selection, &got, PIPC_SECONDS(20));
}

/* Sleepers for "any" are woken one at a time: each must still get one of as many messages, whoever wakes first. */
static void any_and_selective_sleepers_all_get_one(void)
{
    pipc_queue *queue = queue_make("q", 64, 64);
    for (unsigned round = 0; round < 20; round++) {
        pid_t receivers[6];
        for (unsigned i = 0; i < 6; i++) {
            struct wanted wanted = {queue, i % 2 ? pipc_any() : pipc_exactly(3), 0};
            receivers[i] = test_fork(receive_one, &wanted);
        }
        if (round % 2)
            for (unsigned i = 0; i < 6; i++)
                test_await_sleep(receivers[i]);
        for (unsigned i = 0; i < 3; i++)
            REQUIRE_OK(queue_send(queue, 3, 0, i, 8, PIPC_NOWAIT));
        for (unsigned i = 0; i < 6; i += 2)
            REQUIRE_OK(queue_send(queue, 3, 0, i, 8, PIPC_NOWAIT));
        for (unsigned i = 0; i < 6; i++)
            CHECK_EQUAL(test_wait(receivers[i], PIPC_SECONDS(25)), 0);
    }
    queue_end(queue, "q");
}

static const struct test tests[] = {
    {"Q6", "any_takes_by_priority_then_age", any_takes_by_priority_then_age, 0},
    {"Q6", "exactly_takes_one_type_by_priority_then_age", exactly_takes_one_type_by_priority_then_age, 0},
    {"Q6", "except_takes_the_others_by_priority_then_age", except_takes_the_others_by_priority_then_age, 0},
    {"Q6", "up_to_takes_the_lowest_type_then_by_priority_then_age",
     up_to_takes_the_lowest_type_then_by_priority_then_age, 0},
    {"Q6", "types_at_both_ends_are_told_apart", types_at_both_ends_are_told_apart, 0},
    {"Q6 Q9", "type_behind_10000_others_is_found_at_once", type_behind_10000_others_is_found_at_once, 0},
    {"Q6 Q7", "waiting_typed_receiver_is_not_starved", waiting_typed_receiver_is_not_starved, 0},
    {"Q6 Q9", "typed_message_gets_through_behind_a_full_queue", typed_message_gets_through_behind_a_full_queue, 0},
    {"Q6 Q7", "each_waiting_receiver_gets_its_own_type", each_waiting_receiver_gets_its_own_type, 0},
    {"Q6 Q7", "any_and_selective_sleepers_all_get_one", any_and_selective_sleepers_all_get_one, 0},
};

TEST_MAIN("queue_selection", tests)
