/* Removal: Q10. */
#include "support_queue.h"

enum { CROWD = 8 };

static int send_now(pipc_queue *queue, int64_t timeout)
{
    return queue_send(queue, 1, 0, 5, 64, timeout);
}

static int receive_now(pipc_queue *queue, int64_t timeout)
{
    struct queue_got got;
    return queue_receive(queue, pipc_any(), &got, timeout);
}

static int peek_now(pipc_queue *queue, int64_t timeout)
{
    struct queue_got got;
    return queue_peek(queue, pipc_exactly(3), &got, timeout);
}

static void check_removed(pipc_queue *queue)
{
    pipc_queue_info info;
    int64_t timeouts[] = {PIPC_NOWAIT, PIPC_MS(1), PIPC_FOREVER};
    for (unsigned i = 0; i < 3; i++) {
        CHECK_ERROR(send_now(queue, timeouts[i]), REMOVED);
        CHECK_ERROR(receive_now(queue, timeouts[i]), REMOVED);
        CHECK_ERROR(peek_now(queue, timeouts[i]), REMOVED);
    }
    CHECK_ERROR(pipc_queue_purge(queue, NULL), REMOVED);
    CHECK_ERROR(pipc_queue_statistics(queue, &info), REMOVED);
}

static int receive_typed(pipc_queue *queue, int64_t timeout)
{
    struct queue_got got;
    return queue_receive(queue, pipc_exactly(3), &got, timeout);
}

static void every_call_on_an_old_handle_says_removed(void)
{
    pipc_queue *queue = queue_make("q", 4, 64), *reader = queue_join("q", PIPC_RECEIVE);
    REQUIRE_OK(send_now(queue, PIPC_NOWAIT));
    REQUIRE_OK(pipc_queue_remove(test_name("q")));
    check_removed(queue);
    CHECK_ERROR(receive_now(reader, PIPC_FOREVER), REMOVED);
    CHECK_OK(pipc_queue_close(queue));
    CHECK_OK(pipc_queue_close(reader));
}

static void name_is_free_at_once(void)
{
    pipc_queue *none = NULL;
    for (unsigned round = 0; round < 50; round++) {
        pipc_queue *queue = queue_make("q", 4, 64);
        REQUIRE_OK(send_now(queue, PIPC_NOWAIT));
        CHECK_EQUAL(queue_info(queue).messages, 1);
        queue_end(queue, "q");
        CHECK_ERROR(pipc_queue_open(&none, test_name("q"), 0, NULL), NOT_FOUND);
        CHECK_ERROR(pipc_queue_remove(test_name("q")), NOT_FOUND);
    }
}

/* Eleven generations under one name; the old handles must never reach a newer one. */
static void old_handles_say_removed_though_the_name_is_used_again(void)
{
    pipc_queue *old[10];
    for (unsigned i = 0; i < 10; i++) {
        old[i] = queue_make("q", 4, 64);
        REQUIRE_OK(send_now(old[i], PIPC_NOWAIT));
        REQUIRE_OK(pipc_queue_remove(test_name("q")));
    }
    pipc_queue *queue = queue_make("q", 4, 64);
    REQUIRE_OK(queue_send(queue, 1, 0, 99, 64, PIPC_NOWAIT));
    for (unsigned i = 0; i < 10; i++)
        check_removed(old[i]);
    CHECK_EQUAL(queue_info(queue).messages, 1);
    queue_expect(queue, pipc_any(), 99);
    queue_end(queue, "q");
    for (unsigned i = 0; i < 10; i++) {
        check_removed(old[i]);
        CHECK_OK(pipc_queue_close(old[i]));
    }
}

struct waiter {
    pipc_queue *queue;
    int (*call)(pipc_queue *queue, int64_t timeout);
};

static int wait_for_ever(void *argument)
{
    struct waiter *waiter = argument;
    return waiter->call(waiter->queue, PIPC_FOREVER);
}

/* Some sleep in send (the queue is full), some in a receive or a peek for a type that never comes. */
static void start_waiters(pipc_queue *queue, pid_t *children)
{
    static int (*const calls[])(pipc_queue *, int64_t) = {send_now, receive_typed, peek_now};
    for (unsigned i = 0; i < CROWD; i++) {
        struct waiter waiter = {queue, calls[i % 3]};
        children[i] = test_fork(wait_for_ever, &waiter);
    }
    for (unsigned i = 0; i < CROWD; i++)
        test_await_sleep(children[i]);
}

static void removal_wakes_8_waiters_and_the_name_works_anew_at_once(void)
{
    for (unsigned round = 0; round < 10; round++) {
        pid_t children[CROWD];
        pipc_queue *old = queue_make("q", 2, 64);
        REQUIRE_OK(send_now(old, PIPC_NOWAIT));
        REQUIRE_OK(send_now(old, PIPC_NOWAIT));
        start_waiters(old, children);
        REQUIRE_OK(pipc_queue_remove(test_name("q")));
        pipc_queue *queue = queue_make("q", 4, 64);
        REQUIRE_OK(queue_send(queue, 3, 0, 1, 64, PIPC_NOWAIT));
        for (unsigned i = 0; i < CROWD; i++)
            CHECK_EQUAL(test_wait(children[i], PIPC_SECONDS(30)), PIPC_E_REMOVED);
        check_removed(old);
        CHECK_EQUAL(queue_info(queue).messages, 1);
        CHECK_OK(pipc_queue_close(old));
        queue_end(queue, "q");
    }
}

static void removal_wakes_receivers_of_an_empty_queue(void)
{
    pid_t children[CROWD];
    pipc_queue *queue = queue_make("q", 2, 64);
    for (unsigned i = 0; i < CROWD; i++) {
        struct waiter waiter = {queue, receive_now};
        children[i] = test_fork(wait_for_ever, &waiter);
    }
    for (unsigned i = 0; i < CROWD; i++)
        test_await_sleep(children[i]);
    REQUIRE_OK(pipc_queue_remove(test_name("q")));
    for (unsigned i = 0; i < CROWD; i++)
        CHECK_EQUAL(test_wait(children[i], PIPC_SECONDS(30)), PIPC_E_REMOVED);
    CHECK_OK(pipc_queue_close(queue));
}

struct race {
    pipc_queue *queue;
    struct test_barrier begin, end;
    uint32_t rounds;
    char name[64];
    _Atomic uint32_t removed, not_found, other;
};

static int race_to_remove(void *argument)
{
    struct race *race = argument;
    for (uint32_t round = 0; round < race->rounds; round++) {
        test_barrier_wait(&race->begin);
        int error;
        do
            error = pipc_queue_remove(race->name);
        while (error == PIPC_E_BUSY); /* a second was too short for the one who is at it */
        atomic_fetch_add(error == 0 ? &race->removed : error == PIPC_E_NOT_FOUND ? &race->not_found : &race->other, 1);
        CHECK(error == 0 || error == PIPC_E_NOT_FOUND);
        test_barrier_wait(&race->end);
    }
    return 0;
}

static struct race *make_race(uint32_t parties, uint32_t rounds)
{
    struct race *race = test_shared(sizeof *race);
    const char *name = test_name("q");
    for (unsigned i = 0; name[i] && i < sizeof race->name - 1; i++)
        race->name[i] = name[i];
    race->rounds = rounds;
    test_barrier_init(&race->begin, parties);
    test_barrier_init(&race->end, parties);
    return race;
}

static void exactly_one_of_racing_removers_succeeds(void)
{
    struct race *race = make_race(CROWD + 1, 1000);
    pid_t children[CROWD];
    for (unsigned i = 0; i < CROWD; i++)
        children[i] = test_fork(race_to_remove, race);
    for (uint32_t round = 0; round < race->rounds; round++) {
        pipc_queue *queue = queue_make("q", 2, 64);
        test_barrier_wait(&race->begin);
        test_barrier_wait(&race->end);
        CHECK_EQUAL(atomic_load(&race->removed), round + 1);
        CHECK_ERROR(send_now(queue, PIPC_NOWAIT), REMOVED);
        CHECK_OK(pipc_queue_close(queue));
    }
    for (unsigned i = 0; i < CROWD; i++)
        CHECK_EQUAL(test_wait(children[i], PIPC_SECONDS(20)), 0);
    CHECK_EQUAL(atomic_load(&race->not_found), (CROWD - 1) * race->rounds);
    CHECK_EQUAL(atomic_load(&race->other), 0);
}

/* With all eight at work on one name, a second may pass before one of them gets its turn: then "busy". */
static int race_to_create_use_and_remove(void *argument)
{
    struct race *race = argument;
    test_barrier_wait(&race->begin);
    for (uint32_t round = 0; round < race->rounds; round++) {
        pipc_queue *queue = NULL;
        int error =
            pipc_queue_open(&queue, race->name, PIPC_CREATE, &(pipc_queue_options){.max_messages = 4, .max_size = 64});
        if (error == PIPC_E_BUSY)
            continue;
        REQUIRE_OK(error);
        int sent = send_now(queue, PIPC_NOWAIT), got = receive_now(queue, PIPC_NOWAIT);
        CHECK(sent == 0 || sent == PIPC_E_REMOVED || sent == PIPC_E_FULL || sent == PIPC_E_BUSY);
        CHECK(got == 0 || got == PIPC_E_REMOVED || got == PIPC_E_EMPTY || got == PIPC_E_BUSY);
        int removed = pipc_queue_remove(race->name);
        CHECK(removed == 0 || removed == PIPC_E_NOT_FOUND || removed == PIPC_E_BUSY);
        if (removed != PIPC_E_BUSY)
            CHECK_ERROR(send_now(queue, PIPC_NOWAIT), REMOVED);
        atomic_fetch_add(&race->removed, removed == 0);
        CHECK_OK(pipc_queue_close(queue));
    }
    return 0;
}

/* Everybody creates, uses and removes the same name all the time. A removal that answers NOT_FOUND means that
 * somebody else removed what was there, so one's own handle is old in either case. */
static void name_survives_creators_users_and_removers_at_once(void)
{
    struct race *race = make_race(CROWD, 150);
    pid_t children[CROWD];
    for (unsigned i = 0; i < CROWD; i++)
        children[i] = test_fork(race_to_create_use_and_remove, race);
    for (unsigned i = 0; i < CROWD; i++)
        CHECK_EQUAL(test_wait(children[i], PIPC_SECONDS(50)), 0);
    CHECK(atomic_load(&race->removed) > race->rounds);
    int left = pipc_queue_remove(race->name);
    CHECK(left == 0 || left == PIPC_E_NOT_FOUND);
    queue_end(queue_make("q", 2, 64), "q");
}

static int talk_until_removed(void *argument)
{
    struct race *race = argument;
    int error = 0;
    for (unsigned i = 0; error == 0 || error == PIPC_E_EMPTY || error == PIPC_E_FULL || error == PIPC_E_BUSY; i++)
        error = i % 2 ? send_now(race->queue, PIPC_NOWAIT) : receive_now(race->queue, PIPC_NOWAIT);
    return error;
}

static void removal_in_the_middle_of_traffic_ends_all_calls_with_removed(void)
{
    struct race *race = make_race(1, 0);
    for (unsigned round = 0; round < 50; round++) {
        pid_t children[4];
        race->queue = queue_make("q", 4, 64);
        for (unsigned i = 0; i < 4; i++)
            children[i] = test_fork(talk_until_removed, race);
        test_sleep(PIPC_US(500));
        REQUIRE_OK(pipc_queue_remove(test_name("q")));
        for (unsigned i = 0; i < 4; i++)
            CHECK_EQUAL(test_wait(children[i], PIPC_SECONDS(20)), PIPC_E_REMOVED);
        CHECK_OK(pipc_queue_close(race->queue));
    }
}

static const struct test tests[] = {
    {"Q10", "every_call_on_an_old_handle_says_removed", every_call_on_an_old_handle_says_removed, 0},
    {"Q10", "name_is_free_at_once", name_is_free_at_once, 0},
    {"Q10", "old_handles_say_removed_though_the_name_is_used_again",
     old_handles_say_removed_though_the_name_is_used_again, 0},
    {"Q10", "removal_wakes_8_waiters_and_the_name_works_anew_at_once",
     removal_wakes_8_waiters_and_the_name_works_anew_at_once, 0},
    {"Q10", "removal_wakes_receivers_of_an_empty_queue", removal_wakes_receivers_of_an_empty_queue, 0},
    {"Q10", "exactly_one_of_racing_removers_succeeds", exactly_one_of_racing_removers_succeeds, 0},
    {"Q2 Q10", "name_survives_creators_users_and_removers_at_once", name_survives_creators_users_and_removers_at_once,
     0},
    {"Q10", "removal_in_the_middle_of_traffic_ends_all_calls_with_removed",
     removal_in_the_middle_of_traffic_ends_all_calls_with_removed, 0},
};

TEST_MAIN("queue_removal", tests)
