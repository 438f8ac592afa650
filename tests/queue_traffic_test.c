/* Four senders and four receivers: nothing lost, nothing twice, nothing torn, order kept: Q4, Q5, Q6, Q9. */
#include "support_queue.h"

#include <stdlib.h>
#include <string.h>

enum { SENDERS = 4, RECEIVERS = 4, EACH = 4000, PRIORITIES = 4, ALL = SENDERS * EACH };

struct traffic {
    pipc_queue *queue;
    uint64_t big_size; /* of the bodies that are big; 0: none is */
    uint32_t one_in;   /* so many bodies are big */
    bool typed;        /* receiver i takes type i + 1 only; else all take any */
    bool prioritised;  /* priorities by number */
    struct test_barrier filled;
    _Atomic uint32_t received;
    _Atomic uint32_t times[ALL]; /* how often each message was received */
};

struct worker {
    struct traffic *traffic;
    uint32_t index;
};

static uint32_t priority_of(const struct traffic *traffic, uint64_t number)
{
    return traffic->prioritised ? (uint32_t)(number * 2654435761u >> 7) % PRIORITIES : 0;
}

static int send_all(void *argument)
{
    struct worker *worker = argument;
    struct traffic *traffic = worker->traffic;
    for (uint64_t i = 0; i < EACH; i++) {
        uint64_t number = worker->index * (uint64_t)EACH + i;
        uint64_t size = traffic->big_size && i % traffic->one_in == 0 ? traffic->big_size : 8 + i % 60;
        REQUIRE_OK(queue_send(traffic->queue, 1 + (uint32_t)(i % RECEIVERS), priority_of(traffic, number), number, size,
                              PIPC_SECONDS(40)));
    }
    return 0;
}

/* What one receiver sees of one sender must be in the order of sending within each priority. */
static void check_order(uint64_t last[SENDERS][PRIORITIES], const struct queue_got *got)
{
    uint64_t *before = &last[got->number / EACH][got->priority];
    REQUIRE(*before == 0 || got->number + 1 > *before);
    *before = got->number + 1;
}

static void note(struct traffic *traffic, const struct queue_got *got)
{
    REQUIRE(got->number < ALL);
    REQUIRE_EQUAL(got->priority, priority_of(traffic, got->number));
    REQUIRE_EQUAL(got->type, 1 + got->number % EACH % RECEIVERS);
    REQUIRE_EQUAL(atomic_fetch_add(&traffic->times[got->number], 1), 0);
    atomic_fetch_add(&traffic->received, 1);
}

static int receive_all(void *argument)
{
    struct worker *worker = argument;
    struct traffic *traffic = worker->traffic;
    uint64_t last[SENDERS][PRIORITIES] = {{0}};
    struct queue_got got;
    pipc_selection selection = traffic->typed ? pipc_exactly(worker->index + 1) : pipc_any();
    while (atomic_load(&traffic->received) < ALL) {
        int error = queue_receive(traffic->queue, selection, &got, PIPC_MS(20));
        if (error == PIPC_E_TIMEOUT)
            continue;
        REQUIRE_OK(error);
        note(traffic, &got);
        check_order(last, &got);
    }
    return 0;
}

static pid_t start(test_body *body, struct traffic *traffic, uint32_t index)
{
    struct worker worker = {traffic, index};
    return test_fork(body, &worker);
}

static void finish(struct traffic *traffic)
{
    for (uint32_t i = 0; i < ALL && test_failures() == 0; i++)
        CHECK_EQUAL(atomic_load(&traffic->times[i]), 1);
    pipc_queue_info info = queue_info(traffic->queue);
    CHECK(info.sent == ALL && info.received == ALL && info.messages == 0 && info.bytes == 0);
    queue_check_room(traffic->queue, info.max_messages, 8);
    queue_end(traffic->queue, "q");
}

static void run_traffic(struct traffic settings, uint32_t max_messages)
{
    struct traffic *traffic = test_shared(sizeof *traffic);
    pid_t children[SENDERS + RECEIVERS];
    *traffic = settings;
    traffic->queue = queue_make("q", max_messages, 20000);
    for (uint32_t i = 0; i < SENDERS; i++) {
        children[2 * i] = start(send_all, traffic, i);
        children[2 * i + 1] = start(receive_all, traffic, i);
    }
    for (uint32_t i = 0; i < SENDERS + RECEIVERS; i++)
        CHECK_EQUAL(test_wait(children[i], PIPC_SECONDS(50)), 0);
    finish(traffic);
}

static void small_messages_arrive_once_in_order(void)
{
    run_traffic((struct traffic){.prioritised = false}, 64);
}

static void messages_of_many_priorities_arrive_once_in_order(void)
{
    run_traffic((struct traffic){.prioritised = true}, 64);
}

static void messages_too_big_for_the_kernel_arrive_once_in_order(void)
{
    run_traffic((struct traffic){.big_size = 9000, .one_in = 1, .prioritised = true}, 16);
}

static void small_and_big_messages_mixed_arrive_once_in_order(void)
{
    run_traffic((struct traffic){.big_size = 12000, .one_in = 3, .prioritised = true}, 100);
}

static void traffic_through_one_place_arrives_once_in_order(void)
{
    run_traffic((struct traffic){.big_size = 9000, .one_in = 10, .prioritised = true}, 1);
}

static void typed_receivers_get_all_of_theirs_in_order(void)
{
    run_traffic((struct traffic){.big_size = 9000, .one_in = 20, .typed = true, .prioritised = true}, 3000);
}

/* A queue so small that each typed receiver often waits for another one to make room. */
static void typed_receivers_of_a_small_queue_do_not_block_each_other(void)
{
    run_traffic((struct traffic){.big_size = 9000, .one_in = 50, .typed = true, .prioritised = true}, 3);
}

/* ---- Everything sent first: then also the order among priorities is plain to each receiver ---- */

static int drain(void *argument)
{
    struct worker *worker = argument;
    struct traffic *traffic = worker->traffic;
    uint64_t last[SENDERS][PRIORITIES] = {{0}};
    struct queue_got got;
    uint32_t lowest = PRIORITIES;
    int error;
    test_barrier_wait(&traffic->filled);
    while ((error = queue_receive(traffic->queue, pipc_any(), &got, PIPC_SECONDS(20))) == 0) {
        if (got.type == PIPC_TYPE_MAX)
            return 0;
        note(traffic, &got);
        check_order(last, &got);
        REQUIRE(got.priority <= lowest);
        lowest = got.priority;
    }
    return error;
}

static void priorities_fall_while_a_full_queue_is_drained_by_many(void)
{
    struct traffic *traffic = test_shared(sizeof *traffic);
    pid_t children[SENDERS + RECEIVERS];
    traffic->queue = queue_make("q", ALL + RECEIVERS, 100);
    traffic->prioritised = true;
    test_barrier_init(&traffic->filled, RECEIVERS + 1);
    for (uint32_t i = 0; i < RECEIVERS; i++)
        children[i] = start(drain, traffic, i);
    for (uint32_t i = 0; i < SENDERS; i++)
        children[RECEIVERS + i] = start(send_all, traffic, i);
    for (uint32_t i = 0; i < SENDERS; i++)
        CHECK_EQUAL(test_wait(children[RECEIVERS + i], PIPC_SECONDS(50)), 0);
    for (uint32_t i = 0; i < RECEIVERS; i++)
        REQUIRE_OK(queue_send(traffic->queue, PIPC_TYPE_MAX, 0, 0, 8, PIPC_NOWAIT));
    test_barrier_wait(&traffic->filled);
    for (uint32_t i = 0; i < RECEIVERS; i++)
        CHECK_EQUAL(test_wait(children[i], PIPC_SECONDS(50)), 0);
    for (uint32_t i = 0; i < ALL && test_failures() == 0; i++)
        CHECK_EQUAL(atomic_load(&traffic->times[i]), 1);
    queue_end(traffic->queue, "q");
}

static const struct test tests[] = {
    {"Q4 Q5 Q6", "small_messages_arrive_once_in_order", small_messages_arrive_once_in_order, 0},
    {"Q4 Q5", "messages_of_many_priorities_arrive_once_in_order", messages_of_many_priorities_arrive_once_in_order, 0},
    {"Q4 Q5 Q9", "messages_too_big_for_the_kernel_arrive_once_in_order",
     messages_too_big_for_the_kernel_arrive_once_in_order, 0},
    {"Q4 Q5 Q9", "small_and_big_messages_mixed_arrive_once_in_order", small_and_big_messages_mixed_arrive_once_in_order,
     0},
    {"Q4 Q5 Q9", "traffic_through_one_place_arrives_once_in_order", traffic_through_one_place_arrives_once_in_order, 0},
    {"Q5 Q6", "typed_receivers_get_all_of_theirs_in_order", typed_receivers_get_all_of_theirs_in_order, 0},
    {"Q5 Q6 Q9", "typed_receivers_of_a_small_queue_do_not_block_each_other",
     typed_receivers_of_a_small_queue_do_not_block_each_other, 0},
    {"Q5", "priorities_fall_while_a_full_queue_is_drained_by_many",
     priorities_fall_while_a_full_queue_is_drained_by_many, 0},
};

TEST_MAIN("queue_traffic", tests)
