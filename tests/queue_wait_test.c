/* Waiting: Q7. Deadlines are never early; how late is a matter of scheduling, so only hangs fail. */
#include "support_queue.h"

#include "core/control.h"

static const int64_t spans[] = {1, 1000, PIPC_US(300), PIPC_MS(1), PIPC_MS(7), PIPC_MS(39), PIPC_MS(41), PIPC_MS(125)};

enum { SPANS = sizeof spans / sizeof spans[0] };

typedef int timed_call(pipc_queue *queue, int64_t timeout);

static int receive_any(pipc_queue *queue, int64_t timeout)
{
    struct queue_got got;
    return queue_receive(queue, pipc_any(), &got, timeout);
}

static int receive_typed(pipc_queue *queue, int64_t timeout)
{
    struct queue_got got;
    return queue_receive(queue, pipc_exactly(9), &got, timeout);
}

static int peek_any(pipc_queue *queue, int64_t timeout)
{
    struct queue_got got;
    return queue_peek(queue, pipc_any(), &got, timeout);
}

static int send_one(pipc_queue *queue, int64_t timeout)
{
    return queue_send(queue, 1, 0, 5, 8, timeout);
}

static void check_never_early(pipc_queue *queue, timed_call *call)
{
    for (int i = 0; i < SPANS; i++) {
        int64_t began = test_now();
        CHECK_ERROR(call(queue, spans[i]), TIMEOUT);
        int64_t took = test_now() - began;
        CHECK(took >= spans[i]);
        CHECK(took < spans[i] + PIPC_SECONDS(10));
    }
}

static void receive_times_out_and_never_early(void)
{
    pipc_queue *queue = queue_make("q", 3, 64);
    check_never_early(queue, receive_any);
    check_never_early(queue, receive_typed);
    queue_end(queue, "q");
}

static void typed_receive_times_out_among_other_types(void)
{
    pipc_queue *queue = queue_make("q", 3, 64);
    REQUIRE_OK(send_one(queue, PIPC_NOWAIT));
    check_never_early(queue, receive_typed);
    CHECK_EQUAL(queue_info(queue).messages, 1);
    queue_end(queue, "q");
}

static void send_into_a_full_queue_times_out_and_never_early(void)
{
    pipc_queue *queue = queue_make("q", 2, 64);
    REQUIRE_OK(send_one(queue, PIPC_NOWAIT));
    REQUIRE_OK(send_one(queue, PIPC_NOWAIT));
    check_never_early(queue, send_one);
    CHECK_EQUAL(queue_info(queue).messages, 2);
    CHECK_EQUAL(queue_info(queue).sent, 2);
    queue_end(queue, "q");
}

static void peek_times_out_and_never_early(void)
{
    pipc_queue *queue = queue_make("q", 2, 64);
    check_never_early(queue, peek_any);
    queue_end(queue, "q");
}

static void asynchronous_calls_say_empty_and_full(void)
{
    pipc_queue *queue = queue_make("q", 2, 64);
    CHECK_ERROR(receive_any(queue, PIPC_NOWAIT), EMPTY);
    CHECK_ERROR(peek_any(queue, PIPC_NOWAIT), EMPTY);
    REQUIRE_OK(send_one(queue, PIPC_NOWAIT));
    CHECK_ERROR(receive_typed(queue, PIPC_NOWAIT), EMPTY);
    REQUIRE_OK(send_one(queue, PIPC_NOWAIT));
    CHECK_ERROR(send_one(queue, PIPC_NOWAIT), FULL);
    queue_end(queue, "q");
}

static void timeout_does_not_matter_when_nothing_is_to_wait_for(void)
{
    pipc_queue *queue = queue_make("q", 1, 64);
    int64_t timeouts[] = {PIPC_NOWAIT, 1, PIPC_MS(50), PIPC_FOREVER - 1, PIPC_FOREVER};
    for (unsigned i = 0; i < 5; i++) {
        CHECK_OK(send_one(queue, timeouts[i]));
        CHECK_OK(peek_any(queue, timeouts[i]));
        CHECK_OK(receive_any(queue, timeouts[i]));
    }
    queue_end(queue, "q");
}

struct errand {
    pipc_queue *queue;
    timed_call *call;
    int64_t timeout;
};

static int run_call(void *argument)
{
    struct errand *errand = argument;
    return errand->call(errand->queue, errand->timeout);
}

/* Starts the call in a child and returns once it sleeps. */
static pid_t start_sleeping(pipc_queue *queue, timed_call *call, int64_t timeout)
{
    struct errand errand = {queue, call, timeout};
    pid_t child = test_fork(run_call, &errand);
    test_await_sleep(child);
    return child;
}

static void message_wakes_a_receiver_whatever_its_timeout(void)
{
    pipc_queue *queue = queue_make("q", 4, 64);
    int64_t timeouts[] = {PIPC_FOREVER, PIPC_FOREVER - 1, INT64_MAX / 2, PIPC_SECONDS(20)};
    for (unsigned i = 0; i < 4; i++) {
        pid_t child = start_sleeping(queue, receive_any, timeouts[i]);
        REQUIRE_OK(send_one(queue, PIPC_NOWAIT));
        CHECK_EQUAL(test_wait(child, PIPC_SECONDS(30)), 0);
    }
    CHECK_EQUAL(queue_info(queue).messages, 0);
    queue_end(queue, "q");
}

static void room_wakes_a_sender_whatever_its_timeout(void)
{
    pipc_queue *queue = queue_make("q", 1, 64);
    int64_t timeouts[] = {PIPC_FOREVER, PIPC_FOREVER - 1, INT64_MAX / 2, PIPC_SECONDS(20)};
    REQUIRE_OK(send_one(queue, PIPC_NOWAIT));
    for (unsigned i = 0; i < 4; i++) {
        pid_t child = start_sleeping(queue, send_one, timeouts[i]);
        REQUIRE_OK(receive_any(queue, PIPC_NOWAIT));
        CHECK_EQUAL(test_wait(child, PIPC_SECONDS(30)), 0);
        CHECK_EQUAL(queue_info(queue).messages, 1);
    }
    queue_end(queue, "q");
}

static void message_wakes_a_waiting_peek(void)
{
    pipc_queue *queue = queue_make("q", 4, 64);
    pid_t child = start_sleeping(queue, peek_any, PIPC_FOREVER);
    REQUIRE_OK(send_one(queue, PIPC_NOWAIT));
    CHECK_EQUAL(test_wait(child, PIPC_SECONDS(30)), 0);
    CHECK_EQUAL(queue_info(queue).messages, 1);
    queue_end(queue, "q");
}

/* Messages of another type wake a selective sleeper for nothing; its deadline must stand all the same. */
static int disturb(void *argument)
{
    for (;;) {
        send_one(argument, PIPC_NOWAIT);
        struct queue_got got;
        queue_receive(argument, pipc_exactly(1), &got, PIPC_NOWAIT);
    }
    return 0;
}

static void needless_wakeups_neither_shorten_nor_lengthen_a_wait(void)
{
    pipc_queue *queue = queue_make("q", 4, 64);
    pid_t disturber = test_fork(disturb, queue);
    check_never_early(queue, receive_typed);
    test_kill(disturber);
    queue_end(queue, "q");
}

enum { ROUNDS = 5000 };

struct table {
    pipc_queue *to, *back;
};

static int return_balls(void *argument)
{
    struct table *table = argument;
    struct queue_got got;
    for (uint64_t i = 0; i < ROUNDS; i++) {
        REQUIRE_OK(queue_receive(table->to, pipc_any(), &got, PIPC_SECONDS(20)));
        REQUIRE_EQUAL(got.number, i);
        REQUIRE_OK(queue_send(table->back, 1, 0, i, 8, PIPC_SECONDS(20)));
    }
    return 0;
}

/* Each wait begins at about the instant of the wake-up: one that is lost costs a slice (40 ms), and
 * if each fourth were lost this would take over a minute. */
static void no_wakeup_is_lost_in_ping_pong(void)
{
    struct table table = {.to = queue_make("to", 1, 64), .back = queue_make("back", 1, 64)};
    struct queue_got got;
    int64_t began = test_now();
    pid_t child = test_fork(return_balls, &table);
    for (uint64_t i = 0; i < ROUNDS; i++) {
        REQUIRE_OK(queue_send(table.to, 1, 0, i, 8, PIPC_SECONDS(20)));
        REQUIRE_OK(queue_receive(table.back, pipc_any(), &got, PIPC_SECONDS(20)));
        REQUIRE_EQUAL(got.number, i);
    }
    CHECK_EQUAL(test_wait(child, PIPC_SECONDS(20)), 0);
    CHECK(test_now() - began < PIPC_SECONDS(50));
    queue_end(table.to, "to");
    queue_end(table.back, "back");
}

/* Sleepers of which each takes one message and ends. All must end, whoever is woken. */
static void as_many_sleepers_as_messages_all_wake(void)
{
    pipc_queue *queue = queue_make("q", 16, 64);
    pid_t children[16];
    for (unsigned i = 0; i < 16; i++)
        children[i] = start_sleeping(queue, receive_any, PIPC_SECONDS(30));
    for (unsigned i = 0; i < 16; i++)
        REQUIRE_OK(send_one(queue, PIPC_NOWAIT));
    for (unsigned i = 0; i < 16; i++)
        CHECK_EQUAL(test_wait(children[i], PIPC_SECONDS(30)), 0);
    CHECK_EQUAL(queue_info(queue).messages, 0);
    queue_end(queue, "q");
}

static void as_many_blocked_senders_as_places_all_wake(void)
{
    pipc_queue *queue = queue_make("q", 8, 64);
    pid_t children[8];
    for (unsigned i = 0; i < 8; i++)
        REQUIRE_OK(send_one(queue, PIPC_NOWAIT));
    for (unsigned i = 0; i < 8; i++)
        children[i] = start_sleeping(queue, send_one, PIPC_SECONDS(30));
    for (unsigned i = 0; i < 8; i++)
        REQUIRE_OK(receive_any(queue, PIPC_NOWAIT));
    for (unsigned i = 0; i < 8; i++)
        CHECK_EQUAL(test_wait(children[i], PIPC_SECONDS(30)), 0);
    CHECK_EQUAL(queue_info(queue).messages, 8);
    queue_end(queue, "q");
}

/* The waiter that was to be woken dies asleep; the message must not stay unseen. */
static void death_of_a_sleeper_strands_no_message(void)
{
    pipc_queue *queue = queue_make("q", 4, 64);
    for (unsigned round = 0; round < 30; round++) {
        pid_t doomed = start_sleeping(queue, receive_any, PIPC_FOREVER);
        pid_t heir = start_sleeping(queue, receive_any, PIPC_SECONDS(20));
        test_kill(doomed);
        REQUIRE_OK(send_one(queue, PIPC_NOWAIT));
        CHECK_EQUAL(test_wait(heir, PIPC_SECONDS(25)), 0);
    }
    queue_end(queue, "q");
}

static int die_with_the_lock(void *argument)
{
    struct pipc_patience patience;
    pipc_queue *queue = argument;
    pipc_patience_begin(&patience, PIPC_SECONDS(10), NULL, NULL);
    return pipc_lock_take(&queue->control->lock, pipc_queue_self(queue), pipc_queue_namespace(queue), &patience);
}

/* Who never waits long enough to look at the lock's owner twice must get past a dead one all the same. */
static void shortest_wait_gets_past_a_dead_owner_of_the_lock(void)
{
    pipc_queue *queue = queue_make("q", 4, 64);
    REQUIRE_OK(send_one(queue, PIPC_NOWAIT));
    CHECK_EQUAL(test_wait(test_fork(die_with_the_lock, queue), PIPC_SECONDS(20)), 0);
    int error = PIPC_E_TIMEOUT;
    for (unsigned i = 0; i < 3 && error == PIPC_E_TIMEOUT; i++)
        error = receive_any(queue, 1);
    CHECK_OK(error);
    queue_end(queue, "q");
}

static const struct test tests[] = {
    {"Q7", "receive_times_out_and_never_early", receive_times_out_and_never_early, 0},
    {"Q6 Q7", "typed_receive_times_out_among_other_types", typed_receive_times_out_among_other_types, 0},
    {"Q7", "send_into_a_full_queue_times_out_and_never_early", send_into_a_full_queue_times_out_and_never_early, 0},
    {"Q7 Q15", "peek_times_out_and_never_early", peek_times_out_and_never_early, 0},
    {"Q7", "asynchronous_calls_say_empty_and_full", asynchronous_calls_say_empty_and_full, 0},
    {"Q7", "timeout_does_not_matter_when_nothing_is_to_wait_for", timeout_does_not_matter_when_nothing_is_to_wait_for,
     0},
    {"Q7", "message_wakes_a_receiver_whatever_its_timeout", message_wakes_a_receiver_whatever_its_timeout, 0},
    {"Q7", "room_wakes_a_sender_whatever_its_timeout", room_wakes_a_sender_whatever_its_timeout, 0},
    {"Q7 Q15", "message_wakes_a_waiting_peek", message_wakes_a_waiting_peek, 0},
    {"Q7", "needless_wakeups_neither_shorten_nor_lengthen_a_wait", needless_wakeups_neither_shorten_nor_lengthen_a_wait,
     0},
    {"Q7", "no_wakeup_is_lost_in_ping_pong", no_wakeup_is_lost_in_ping_pong, 90},
    {"Q7", "as_many_sleepers_as_messages_all_wake", as_many_sleepers_as_messages_all_wake, 0},
    {"Q7", "as_many_blocked_senders_as_places_all_wake", as_many_blocked_senders_as_places_all_wake, 0},
    {"Q7", "death_of_a_sleeper_strands_no_message", death_of_a_sleeper_strands_no_message, 0},
    {"Q7 G4", "shortest_wait_gets_past_a_dead_owner_of_the_lock", shortest_wait_gets_past_a_dead_owner_of_the_lock, 0},
};

TEST_MAIN("queue_wait", tests)
