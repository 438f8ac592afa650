/* The order of messages: Q5. Each of these runs with bodies that go through the kernel, with bodies
 * that are too big for it, and with both mixed, because the order must not show where a message lay. */
#include "support_queue.h"

enum { MANY = 200 };

/* The size of the i-th message: small, too big for the kernel, or by turns. */
static uint64_t small_size(unsigned i)
{
    return 8 + i % 50;
}

static uint64_t big_size(unsigned i)
{
    return 20000 + i;
}

static uint64_t mixed_size(unsigned i)
{
    uint64_t state = i + 1;
    return test_random(&state, 2) ? small_size(i) : big_size(i);
}

typedef uint64_t size_rule(unsigned i);
static size_rule *const rules[] = {small_size, big_size, mixed_size};

static void first_in_comes_first_out(void)
{
    for (unsigned rule = 0; rule < 3; rule++) {
        pipc_queue *queue = queue_make("q", MANY, 30000);
        for (unsigned i = 0; i < MANY; i++)
            REQUIRE_OK(queue_send(queue, 1 + i % 7, 5, i, rules[rule](i), PIPC_NOWAIT));
        for (unsigned i = 0; i < MANY; i++)
            queue_expect(queue, pipc_any(), i);
        queue_end(queue, "q");
    }
}

static void higher_priority_comes_first(void)
{
    for (unsigned rule = 0; rule < 3; rule++) {
        pipc_queue *queue = queue_make("q", MANY, rule == 0 ? 1000 : 30000);
        uint64_t random = 4711 + rule;
        unsigned priorities[MANY];
        for (unsigned i = 0; i < MANY; i++) {
            priorities[i] = test_random(&random, 32);
            REQUIRE_OK(queue_send(queue, 1, priorities[i], i, rules[rule](i), PIPC_NOWAIT));
        }
        for (unsigned priority = 32; priority-- > 0;)
            for (unsigned i = 0; i < MANY; i++)
                if (priorities[i] == priority)
                    queue_expect(queue, pipc_any(), i);
        CHECK_EQUAL(queue_info(queue).messages, 0);
        queue_end(queue, "q");
    }
}

/* So few that all wait in the kernel's queue: it has to know their priorities. */
static void higher_priority_comes_first_in_the_kernels_queue(void)
{
    pipc_queue *queue = queue_make("q", 5, 64);
    for (unsigned i = 0; i < 5; i++)
        REQUIRE_OK(queue_send(queue, 1, i * 7, i, 8, PIPC_NOWAIT));
    for (unsigned i = 5; i-- > 0;)
        queue_expect(queue, pipc_any(), i);
    queue_end(queue, "q");
}

/* The low ones fill the kernel's queue and lie in slots; the high one must still come first. */
static void high_priority_overtakes_lower_ones_in_slots(void)
{
    for (unsigned rule = 0; rule < 3; rule++) {
        pipc_queue *queue = queue_make("q", MANY, 30000);
        for (unsigned i = 0; i < MANY - 2; i++)
            REQUIRE_OK(queue_send(queue, 1, 3, i, rules[rule](i), PIPC_NOWAIT));
        queue_expect(queue, pipc_any(), 0);
        REQUIRE_OK(queue_send(queue, 1, 9, 1000, 8, PIPC_NOWAIT));
        REQUIRE_OK(queue_send(queue, 1, 9, 1001, 25000, PIPC_NOWAIT));
        REQUIRE_OK(queue_send(queue, 1, 10, 1002, 8, PIPC_NOWAIT));
        queue_expect(queue, pipc_any(), 1002);
        queue_expect(queue, pipc_any(), 1000);
        queue_expect(queue, pipc_any(), 1001);
        for (unsigned i = 1; i < MANY - 2; i++)
            queue_expect(queue, pipc_any(), i);
        queue_end(queue, "q");
    }
}

static void low_priority_waits_behind_all_others(void)
{
    pipc_queue *queue = queue_make("q", MANY, 30000);
    REQUIRE_OK(queue_send(queue, 1, 0, 999, 8, PIPC_NOWAIT));
    for (unsigned i = 0; i < MANY - 1; i++)
        REQUIRE_OK(queue_send(queue, 1, 1, i, mixed_size(i), PIPC_NOWAIT));
    for (unsigned i = 0; i < MANY - 1; i++)
        queue_expect(queue, pipc_any(), i);
    queue_expect(queue, pipc_any(), 999);
    queue_end(queue, "q");
}

static void selective_receive_keeps_the_order_of_the_rest(void)
{
    for (unsigned rule = 0; rule < 3; rule++) {
        pipc_queue *queue = queue_make("q", MANY, 30000);
        for (unsigned i = 0; i < MANY; i++)
            REQUIRE_OK(queue_send(queue, 1 + i % 5, 2, i, rules[rule](i), PIPC_NOWAIT));
        for (unsigned i = 2; i < MANY; i += 5)
            queue_expect(queue, pipc_exactly(3), i);
        for (unsigned i = 0; i < MANY; i++)
            if (i % 5 != 2)
                queue_expect(queue, pipc_any(), i);
        queue_end(queue, "q");
    }
}

/* What was sent before a selective receive stays in front of what is sent afterwards. */
static void messages_passed_over_stay_in_front_of_later_ones(void)
{
    pipc_queue *queue = queue_make("q", MANY, 30000);
    unsigned next = 0, expected = 0;
    for (unsigned round = 0; round < 20; round++) {
        for (unsigned i = 0; i < 5; i++, next++)
            REQUIRE_OK(queue_send(queue, 1, 4, next, mixed_size(next), PIPC_NOWAIT));
        REQUIRE_OK(queue_send(queue, 2, 4, 5000 + round, mixed_size(round), PIPC_NOWAIT));
        queue_expect(queue, pipc_exactly(2), 5000 + round);
        for (unsigned i = 0; i < 3; i++, expected++)
            queue_expect(queue, pipc_any(), expected);
    }
    while (expected < next)
        queue_expect(queue, pipc_any(), expected++);
    queue_end(queue, "q");
}

/* An emptied and refilled queue, many times over: the order must not depend on where the slots stand. */
static void order_holds_when_slots_are_used_again(void)
{
    pipc_queue *queue = queue_make("q", 7, 30000);
    unsigned sent = 0, received = 0;
    uint64_t random = 99;
    for (unsigned round = 0; round < 3000; round++) {
        if (sent - received < 7 && test_random(&random, 2)) {
            REQUIRE_OK(queue_send(queue, 1, 1, sent, round % 10 ? small_size(sent) : big_size(sent), PIPC_NOWAIT));
            sent++;
        } else if (received < sent && queue_expect(queue, pipc_any(), received)) {
            received++;
        }
    }
    while (received < sent && queue_expect(queue, pipc_any(), received))
        received++;
    CHECK_EQUAL(received, sent);
    queue_end(queue, "q");
}

static const struct test tests[] = {
    {"Q5", "first_in_comes_first_out", first_in_comes_first_out, 0},
    {"Q5", "higher_priority_comes_first", higher_priority_comes_first, 0},
    {"Q5", "higher_priority_comes_first_in_the_kernels_queue", higher_priority_comes_first_in_the_kernels_queue, 0},
    {"Q5", "high_priority_overtakes_lower_ones_in_slots", high_priority_overtakes_lower_ones_in_slots, 0},
    {"Q5", "low_priority_waits_behind_all_others", low_priority_waits_behind_all_others, 0},
    {"Q5 Q6", "selective_receive_keeps_the_order_of_the_rest", selective_receive_keeps_the_order_of_the_rest, 0},
    {"Q5 Q6", "messages_passed_over_stay_in_front_of_later_ones", messages_passed_over_stay_in_front_of_later_ones, 0},
    {"Q5", "order_holds_when_slots_are_used_again", order_holds_when_slots_are_used_again, 0},
};

TEST_MAIN("queue_order", tests)
