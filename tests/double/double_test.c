/* Core over the test double: the queue's order, selection, capacity and removal, though the kernel
 * queue below is a plain pipe of four short messages that knows no priorities. Everything happens in
 * threads of one process, so that a thread sanitizer sees both sides of every race. */
#include <pthread.h>
#include <stdlib.h>
#include <string.h>

#include "support.h"

/* The frame's names share a few buffers; threads need one of their own. */
static const char *name(void)
{
    static char whole[PIPC_NAME_MAX + 1];
    if (!whole[0])
        strcpy(whole, test_name("queue"));
    return whole;
}

static pipc_queue *open_queue(uint32_t max_messages, uint64_t max_size)
{
    pipc_queue *queue;
    pipc_queue_options options = {.max_messages = max_messages, .max_size = max_size};
    REQUIRE_OK(pipc_queue_open(&queue, name(), PIPC_CREATE, &options));
    return queue;
}

static void finish(pipc_queue *queue)
{
    CHECK_OK(pipc_queue_close(queue));
    CHECK_OK(pipc_queue_remove(name()));
}

static void send(pipc_queue *queue, uint32_t type, uint32_t priority, uint32_t number)
{
    pipc_message message = {.type = type, .priority = priority, .data = &number, .size = sizeof number};
    REQUIRE_OK(pipc_queue_send(queue, &message, PIPC_NOWAIT));
}

static uint32_t receive(pipc_queue *queue, pipc_selection selection)
{
    uint32_t number = UINT32_MAX;
    pipc_message message = {.data = &number, .size = sizeof number};
    REQUIRE_OK(pipc_queue_receive(queue, selection, &message, PIPC_NOWAIT));
    CHECK_EQUAL(message.size, sizeof number);
    return number;
}

static void expect_empty(pipc_queue *queue, pipc_selection selection)
{
    pipc_message message = {0};
    CHECK_ERROR(pipc_queue_receive(queue, selection, &message, PIPC_NOWAIT), EMPTY);
}

/* ---- one thread ---- */

static void it_is_the_double_that_runs(void)
{
    pipc_facts facts;
    REQUIRE_OK(pipc_library_facts(&facts));
    CHECK(strcmp(facts.backend, "double") == 0);
}

static void priority_comes_first_though_the_kernel_queue_is_a_pipe(void)
{
    static const uint32_t priorities[] = {3, 0, 31, 3, 7, 31, 0, 30, 7, 3};
    pipc_queue *queue = open_queue(16, 64);
    for (uint32_t i = 0; i < 10; i++)
        send(queue, 1, priorities[i], i);
    static const uint32_t order[] = {2, 5, 7, 4, 8, 0, 3, 9, 1, 6};
    for (uint32_t i = 0; i < 10; i++)
        CHECK_EQUAL(receive(queue, pipc_any()), order[i]);
    expect_empty(queue, pipc_any());
    finish(queue);
}

static void a_high_priority_overtakes_what_lies_in_the_kernel_queue(void)
{
    pipc_queue *queue = open_queue(16, 64);
    for (uint32_t i = 0; i < 3; i++) /* fewer than the kernel queue holds */
        send(queue, 1, 0, i);
    send(queue, 1, 9, 100);
    CHECK_EQUAL(receive(queue, pipc_any()), 100);
    for (uint32_t i = 3; i < 12; i++)
        send(queue, 1, 0, i);
    send(queue, 1, 1, 101);
    CHECK_EQUAL(receive(queue, pipc_any()), 101);
    for (uint32_t i = 0; i < 12; i++)
        CHECK_EQUAL(receive(queue, pipc_any()), i);
    finish(queue);
}

static void selection_takes_the_right_one_and_leaves_the_order(void)
{
    pipc_queue *queue = open_queue(20, 64);
    static const uint32_t types[] = {5, 2, 9, 5, 2, 7, 9, 3, 5, 2};
    for (uint32_t i = 0; i < 10; i++)
        send(queue, types[i], 0, i);
    CHECK_EQUAL(receive(queue, pipc_exactly(9)), 2);
    CHECK_EQUAL(receive(queue, pipc_except(5)), 1);
    CHECK_EQUAL(receive(queue, pipc_up_to(4)), 4);
    CHECK_EQUAL(receive(queue, pipc_up_to(4)), 9);
    CHECK_EQUAL(receive(queue, pipc_up_to(4)), 7);
    expect_empty(queue, pipc_up_to(4));
    expect_empty(queue, pipc_exactly(2));
    static const uint32_t rest[] = {0, 3, 5, 6, 8};
    for (uint32_t i = 0; i < 5; i++)
        CHECK_EQUAL(receive(queue, pipc_any()), rest[i]);
    finish(queue);
}

static void capacity_is_exact(uint32_t capacity, uint32_t size)
{
    pipc_queue *queue = open_queue(capacity, 2000);
    unsigned char body[2000] = {0}, back[2000];
    pipc_message message = {.type = 1, .data = body, .size = size}, got = {.data = back, .size = sizeof back};
    for (unsigned round = 0; round < 3; round++) {
        for (uint32_t i = 0; i < capacity; i++) {
            memset(body, (int)(i + round), size);
            REQUIRE_OK(pipc_queue_send(queue, &message, PIPC_NOWAIT));
        }
        CHECK_ERROR(pipc_queue_send(queue, &message, PIPC_NOWAIT), FULL);
        CHECK_ERROR(pipc_queue_send(queue, &message, PIPC_MS(2)), TIMEOUT);
        for (uint32_t i = 0; i < capacity; i++) {
            got.size = sizeof back;
            memset(body, (int)(i + round), size);
            REQUIRE_OK(pipc_queue_receive(queue, pipc_any(), &got, PIPC_NOWAIT));
            CHECK_EQUAL(got.size, size);
            CHECK(memcmp(body, back, size) == 0);
        }
        expect_empty(queue, pipc_any());
    }
    finish(queue);
}

static void capacity_is_exact_with_and_without_spilling(void)
{
    static const uint32_t capacities[] = {1, 3, 4, 5, 100}, sizes[] = {0, 1, 150, 256, 257, 2000};
    for (unsigned i = 0; i < sizeof capacities / sizeof capacities[0]; i++)
        for (unsigned j = 0; j < sizeof sizes / sizeof sizes[0]; j++)
            capacity_is_exact(capacities[i], sizes[j]);
}

static void a_small_buffer_keeps_the_message_and_peek_leaves_it(void)
{
    pipc_queue *queue = open_queue(8, 600);
    char body[600], back[600];
    memset(body, 'b', sizeof body);
    for (uint64_t size = 100; size <= 600; size += 500) { /* through the kernel queue, beside it */
        pipc_message message = {.type = 3, .data = body, .size = size}, got = {.data = back, .size = 10};
        REQUIRE_OK(pipc_queue_send(queue, &message, PIPC_NOWAIT));
        CHECK_ERROR(pipc_queue_receive(queue, pipc_any(), &got, PIPC_NOWAIT), TOO_SMALL);
        CHECK_EQUAL(got.size, size);
        got.size = sizeof back;
        REQUIRE_OK(pipc_queue_peek(queue, pipc_any(), &got, PIPC_NOWAIT));
        CHECK_EQUAL(got.size, size);
        got = (pipc_message){.data = back, .size = sizeof back};
        REQUIRE_OK(pipc_queue_receive(queue, pipc_any(), &got, PIPC_NOWAIT));
        CHECK_EQUAL(got.size, size);
        CHECK(memcmp(back, body, size) == 0);
        expect_empty(queue, pipc_any());
    }
    finish(queue);
}

static void purge_empties_kernel_queue_and_slots(void)
{
    pipc_queue *queue = open_queue(10, 64);
    uint64_t dropped = 0;
    for (uint32_t i = 0; i < 10; i++)
        send(queue, 1, i % 3, i);
    CHECK_OK(pipc_queue_purge(queue, &dropped));
    CHECK_EQUAL(dropped, 10);
    expect_empty(queue, pipc_any());
    for (uint32_t i = 0; i < 10; i++)
        send(queue, 1, 0, i);
    CHECK_EQUAL(receive(queue, pipc_any()), 0);
    finish(queue);
}

/* ---- many threads ---- */

enum { SENDERS = 4, RECEIVERS = 4, EACH = 3000, PRIORITIES = 3 };

struct traffic {
    pipc_queue *queue;
    uint32_t size;
    _Atomic uint32_t next_sender, received;
    _Atomic uint8_t seen[SENDERS][EACH];
};

static void *send_numbers(void *argument)
{
    struct traffic *traffic = argument;
    uint32_t body[100] = {atomic_fetch_add(&traffic->next_sender, 1), 0};
    for (uint32_t i = 0; i < EACH; i++) {
        body[1] = i;
        pipc_message message = {.type = body[0] + 1, .data = body, .size = traffic->size};
        message.priority = i % PRIORITIES;
        if (i % 7 == 0)
            message.size = sizeof body; /* too big for the kernel queue */
        REQUIRE_OK(pipc_queue_send(traffic->queue, &message, PIPC_SECONDS(60)));
    }
    return NULL;
}

/* One receiver sees the messages of one sender and priority in the order in which they were sent. */
static void *receive_numbers(void *argument)
{
    struct traffic *traffic = argument;
    int64_t last[SENDERS][PRIORITIES];
    memset(last, -1, sizeof last);
    for (;;) {
        uint32_t body[100] = {0};
        pipc_message message = {.data = body, .size = sizeof body};
        int error = pipc_queue_receive(traffic->queue, pipc_any(), &message, PIPC_MS(100));
        if (error == PIPC_E_TIMEOUT && atomic_load(&traffic->received) == SENDERS * EACH)
            return NULL;
        if (error == PIPC_E_TIMEOUT)
            continue;
        REQUIRE_OK(error);
        REQUIRE(body[0] < SENDERS && body[1] < EACH);
        CHECK_EQUAL(message.type, body[0] + 1);
        CHECK_EQUAL(atomic_fetch_add(&traffic->seen[body[0]][body[1]], 1), 0);
        CHECK(last[body[0]][message.priority] < (int64_t)body[1]);
        last[body[0]][message.priority] = body[1];
        atomic_fetch_add(&traffic->received, 1);
    }
}

static void run_traffic(uint32_t capacity, uint32_t size)
{
    struct traffic *traffic = calloc(1, sizeof *traffic);
    pthread_t threads[SENDERS + RECEIVERS];
    REQUIRE(traffic != NULL);
    traffic->queue = open_queue(capacity, 400);
    traffic->size = size;
    for (unsigned i = 0; i < SENDERS + RECEIVERS; i++)
        REQUIRE(pthread_create(&threads[i], NULL, i < SENDERS ? send_numbers : receive_numbers, traffic) == 0);
    for (unsigned i = 0; i < SENDERS + RECEIVERS; i++)
        pthread_join(threads[i], NULL);
    CHECK_EQUAL(atomic_load(&traffic->received), SENDERS * EACH);
    for (unsigned i = 0; i < SENDERS; i++)
        for (unsigned j = 0; j < EACH; j++)
            CHECK_EQUAL(atomic_load(&traffic->seen[i][j]), 1);
    pipc_queue_info info;
    CHECK_OK(pipc_queue_statistics(traffic->queue, &info));
    CHECK_EQUAL(info.messages, 0);
    CHECK_EQUAL(info.bytes, 0);
    CHECK_EQUAL(info.sent, SENDERS * EACH);
    CHECK_EQUAL(info.received, SENDERS * EACH);
    CHECK(info.high_water <= capacity);
    finish(traffic->queue);
    free(traffic);
}

static void four_senders_and_four_receivers_lose_and_double_nothing(void)
{
    run_traffic(3, 8);
    run_traffic(64, 8);
    run_traffic(64, 200);
}

static void *receive_one_type(void *argument)
{
    struct traffic *traffic = argument;
    uint32_t type = atomic_fetch_add(&traffic->next_sender, 1) + 1;
    for (uint32_t i = 0; i < EACH / 3; i++) {
        uint32_t body[100];
        pipc_message message = {.data = body, .size = sizeof body};
        REQUIRE_OK(pipc_queue_receive(traffic->queue, pipc_exactly(type), &message, PIPC_SECONDS(60)));
        CHECK_EQUAL(message.type, type);
        CHECK_EQUAL(body[0], i);
    }
    return NULL;
}

static void typed_receivers_get_their_own_in_order(void)
{
    static struct traffic traffic;
    pthread_t threads[RECEIVERS];
    traffic.queue = open_queue(32, 64);
    for (unsigned i = 0; i < RECEIVERS; i++)
        REQUIRE(pthread_create(&threads[i], NULL, receive_one_type, &traffic) == 0);
    for (uint32_t i = 0; i < EACH / 3; i++)
        for (uint32_t type = 1; type <= RECEIVERS; type++) {
            pipc_message message = {.type = type, .data = &i, .size = sizeof i};
            REQUIRE_OK(pipc_queue_send(traffic.queue, &message, PIPC_SECONDS(60)));
        }
    for (unsigned i = 0; i < RECEIVERS; i++)
        pthread_join(threads[i], NULL);
    finish(traffic.queue);
}

/* ---- removal ---- */

static _Atomic uint32_t asleep;

static void *wait_to_receive(void *argument)
{
    pipc_message message = {0};
    atomic_fetch_add(&asleep, 1);
    CHECK_ERROR(pipc_queue_receive(argument, pipc_exactly(9), &message, PIPC_SECONDS(60)), REMOVED);
    return NULL;
}

static void *wait_to_send(void *argument)
{
    pipc_message message = {.type = 1};
    atomic_fetch_add(&asleep, 1);
    CHECK_ERROR(pipc_queue_send(argument, &message, PIPC_SECONDS(60)), REMOVED);
    return NULL;
}

static void removal_wakes_everybody_and_frees_the_name(void)
{
    pthread_t threads[8];
    pipc_queue *queue = open_queue(2, 64), *young;
    send(queue, 1, 0, 1);
    send(queue, 1, 0, 2);
    for (unsigned i = 0; i < 8; i++)
        REQUIRE(pthread_create(&threads[i], NULL, i % 2 ? wait_to_send : wait_to_receive, queue) == 0);
    REQUIRE(test_await(&asleep, 8));
    test_sleep(PIPC_MS(20));
    int64_t began = test_now();
    CHECK_OK(pipc_queue_remove(name()));
    young = open_queue(2, 64);
    for (unsigned i = 0; i < 8; i++)
        pthread_join(threads[i], NULL);
    CHECK(test_now() - began < PIPC_SECONDS(30));
    pipc_message message = {.type = 1};
    CHECK_ERROR(pipc_queue_send(queue, &message, PIPC_NOWAIT), REMOVED);
    expect_empty(young, pipc_any());
    CHECK_OK(pipc_queue_close(queue));
    finish(young);
}

/* On a machine that has more to do, a second may be too short for the one who is at work on the name. */
static bool is_late_busy(int error, int64_t began)
{
    return error == PIPC_E_BUSY && test_now() - began >= PIPC_MS(950);
}

static void *create_and_remove(void *argument)
{
    _Atomic uint32_t *balance = argument;
    for (unsigned i = 0; i < 1000; i++) {
        pipc_queue *queue;
        int64_t began = test_now();
        int error = pipc_queue_open(&queue, name(), PIPC_CREATE | PIPC_EXCLUSIVE, NULL);
        CHECK(error == 0 || error == PIPC_E_EXISTS || is_late_busy(error, began));
        if (!error)
            atomic_fetch_add(balance, 1);
        pipc_queue_close(queue);
        began = test_now();
        error = pipc_queue_remove(name());
        CHECK(error == 0 || error == PIPC_E_NOT_FOUND || is_late_busy(error, began));
        if (!error)
            atomic_fetch_sub(balance, 1);
    }
    return NULL;
}

static void racing_creators_and_removers_balance(void)
{
    static _Atomic uint32_t balance;
    pthread_t threads[4];
    name();
    for (unsigned i = 0; i < 4; i++)
        REQUIRE(pthread_create(&threads[i], NULL, create_and_remove, &balance) == 0);
    for (unsigned i = 0; i < 4; i++)
        pthread_join(threads[i], NULL);
    CHECK_EQUAL(atomic_load(&balance), 0);
}

static void memory_works_on_the_double_too(void)
{
    pipc_shm *shm;
    unsigned char *bytes;
    pipc_shm_info info;
    REQUIRE_OK(pipc_shm_open(&shm, test_name("memory"), PIPC_CREATE, &(pipc_shm_options){.size = 10000}));
    REQUIRE_OK(pipc_shm_map(shm, PIPC_READ | PIPC_WRITE, (void **)&bytes));
    CHECK_EQUAL(bytes[9999], 0);
    bytes[9999] = 1;
    CHECK_OK(pipc_shm_statistics(shm, &info));
    CHECK_EQUAL(info.attachments, 1);
    CHECK_OK(pipc_shm_remove(test_name("memory")));
    CHECK_EQUAL(bytes[9999], 1);
    CHECK_ERROR(pipc_shm_statistics(shm, &info), REMOVED);
    CHECK_OK(pipc_shm_close(shm));
}

static int count_one(const pipc_found *found, void *argument)
{
    unsigned *counts = argument;
    counts[found->kind]++;
    CHECK_EQUAL(found->state, PIPC_FOUND_READY);
    CHECK_EQUAL(found->verdict, PIPC_VERDICT_KEEP);
    CHECK_EQUAL(found->measured, 1);
    CHECK_EQUAL(found->kind == PIPC_KIND_QUEUE ? found->queue.messages : found->attachments, 1);
    return 0;
}

static void each_shows_what_there_is_and_reap_leaves_it(void)
{
    unsigned counts[PIPC_KIND_SHM + 1] = {0};
    pipc_queue *queue = open_queue(9, 100);
    pipc_shm *shm;
    REQUIRE_OK(pipc_shm_open(&shm, test_name("memory"), PIPC_CREATE, &(pipc_shm_options){.size = 100}));
    send(queue, 1, 0, 7);
    CHECK_OK(pipc_each(count_one, counts));
    CHECK_OK(pipc_reap(count_one, counts));
    CHECK_EQUAL(counts[PIPC_KIND_QUEUE], 2);
    CHECK_EQUAL(counts[PIPC_KIND_SHM], 2);
    CHECK_EQUAL(receive(queue, pipc_any()), 7);
    CHECK_OK(pipc_shm_close(shm));
    CHECK_OK(pipc_shm_remove(test_name("memory")));
    finish(queue);
}

static const struct test tests[] = {
    {"Q11", "it_is_the_double_that_runs", it_is_the_double_that_runs, 0},
    {"Q5", "priority_comes_first_though_the_kernel_queue_is_a_pipe",
     priority_comes_first_though_the_kernel_queue_is_a_pipe, 0},
    {"Q5", "a_high_priority_overtakes_what_lies_in_the_kernel_queue",
     a_high_priority_overtakes_what_lies_in_the_kernel_queue, 0},
    {"Q6", "selection_takes_the_right_one_and_leaves_the_order", selection_takes_the_right_one_and_leaves_the_order, 0},
    {"Q9 Q4", "capacity_is_exact_with_and_without_spilling", capacity_is_exact_with_and_without_spilling, 0},
    {"Q8 Q15", "a_small_buffer_keeps_the_message_and_peek_leaves_it",
     a_small_buffer_keeps_the_message_and_peek_leaves_it, 0},
    {"Q15", "purge_empties_kernel_queue_and_slots", purge_empties_kernel_queue_and_slots, 0},
    {"Q5 Q6 Q11", "four_senders_and_four_receivers_lose_and_double_nothing",
     four_senders_and_four_receivers_lose_and_double_nothing, 200},
    {"Q6", "typed_receivers_get_their_own_in_order", typed_receivers_get_their_own_in_order, 100},
    {"Q10", "removal_wakes_everybody_and_frees_the_name", removal_wakes_everybody_and_frees_the_name, 100},
    {"Q2 Q10", "racing_creators_and_removers_balance", racing_creators_and_removers_balance, 100},
    {"M2 M4 M5", "memory_works_on_the_double_too", memory_works_on_the_double_too, 0},
    {"Q11 M5", "each_shows_what_there_is_and_reap_leaves_it", each_shows_what_there_is_and_reap_leaves_it, 0},
};

TEST_MAIN("double", tests)
