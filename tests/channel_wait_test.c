/* Waiting on channels: deadlines are never early; how late is a matter of scheduling, so only hangs fail. */
#include "support_channel.h"

#include <pthread.h>
#include <string.h>

static const int64_t spans[] = {1, 1000, PIPC_US(300), PIPC_MS(1), PIPC_MS(7), PIPC_MS(39), PIPC_MS(41), PIPC_MS(125)};

enum { SPANS = sizeof spans / sizeof spans[0] };

typedef int timed_call(pipc_channel *channel, int64_t timeout);

static int receive_one(pipc_channel *channel, int64_t timeout)
{
    struct channel_got got;
    return channel_receive(channel, &got, timeout);
}

static int peek_one(pipc_channel *channel, int64_t timeout)
{
    pipc_record record = {0};
    uint32_t count = 1;
    int error = pipc_channel_peek(channel, &record, &count, timeout);
    return error ? error : pipc_channel_release(channel, 1);
}

static int send_largest(pipc_channel *channel, int64_t timeout)
{
    return channel_send(channel, 5, CHANNEL_SMALL_MOST, timeout);
}

static int reserve_largest(pipc_channel *channel, int64_t timeout)
{
    pipc_record record;
    int error = channel_reserve(channel, &record, 5, CHANNEL_SMALL_MOST, timeout);
    return error ? error : pipc_channel_commit(channel, &record, 1);
}

static timed_call *const receivers[] = {receive_one, peek_one}, *const senders[] = {send_largest, reserve_largest};

static void fill(pipc_channel *channel)
{
    int error;
    while ((error = channel_send(channel, 7, CHANNEL_SMALL_MOST, PIPC_NOWAIT)) == 0)
        ;
    REQUIRE_ERROR(error, FULL);
}

static void check_never_early(pipc_channel *channel, timed_call *call)
{
    for (int i = 0; i < SPANS; i++) {
        int64_t began = test_now();
        CHECK_ERROR(call(channel, spans[i]), TIMEOUT);
        int64_t took = test_now() - began;
        CHECK(took >= spans[i]);
        CHECK(took < spans[i] + PIPC_SECONDS(10));
    }
}

static void times_out(uint32_t producers, uint32_t delivery)
{
    pipc_channel *channel = channel_make("c", producers, delivery, CHANNEL_SMALL);
    pipc_channel *napping = channel_join("c", PIPC_READ | PIPC_WRITE | PIPC_NO_SPIN);
    for (int i = 0; i < 2; i++) {
        check_never_early(channel, receivers[i]);
        check_never_early(napping, receivers[i]);
        CHECK_ERROR(receivers[i](channel, PIPC_NOWAIT), EMPTY);
    }
    if (delivery != PIPC_DELIVER_LATEST)
        fill(channel);
    for (int i = 0; i < 2 && delivery != PIPC_DELIVER_LATEST; i++) {
        check_never_early(channel, senders[i]);
        check_never_early(napping, senders[i]);
        CHECK_ERROR(senders[i](channel, PIPC_NOWAIT), FULL);
    }
    CHECK_OK(pipc_channel_close(napping));
    channel_end(channel, "c");
}

static void calls_time_out_and_never_early(void)
{
    channel_each_variety(times_out);
}

static void no_need_to_wait(uint32_t producers, uint32_t delivery)
{
    static const int64_t timeouts[] = {PIPC_NOWAIT, 1, PIPC_MS(50), PIPC_FOREVER - 1, PIPC_FOREVER};
    pipc_channel *channel = channel_make("c", producers, delivery, CHANNEL_SMALL);
    for (unsigned i = 0; i < 5; i++)
        for (unsigned k = 0; k < 4; k++) {
            CHECK_OK(senders[k / 2](channel, timeouts[i]));
            CHECK_OK(receivers[k % 2](channel, timeouts[i]));
        }
    channel_end(channel, "c");
}

static void the_timeout_does_not_matter_when_nothing_is_to_wait_for(void)
{
    channel_each_variety(no_need_to_wait);
}

/* Who overwrites never waits for room. */
static void latest_is_never_full(void)
{
    pipc_channel *channel = channel_make("c", 0, PIPC_DELIVER_LATEST, CHANNEL_SMALL);
    for (unsigned i = 0; i < 100; i++)
        CHECK_OK(senders[i % 2](channel, PIPC_NOWAIT));
    channel_end(channel, "c");
}

/* ---- being woken ---- */

struct errand {
    pipc_channel *channel;
    timed_call *call;
    int64_t timeout;
};

static int run_call(void *argument)
{
    struct errand *errand = argument;
    return errand->call(errand->channel, errand->timeout);
}

/* Starts the call in a child and returns once it sleeps. */
static pid_t start_sleeping(pipc_channel *channel, timed_call *call, int64_t timeout)
{
    struct errand errand = {channel, call, timeout};
    pid_t child = test_fork(run_call, &errand);
    test_await_sleep(child);
    return child;
}

static void wake_receivers(uint32_t producers, uint32_t delivery)
{
    pipc_channel *channel = channel_make("c", producers, delivery, CHANNEL_SMALL);
    for (unsigned i = 0; i < 4; i++) {
        pid_t child = start_sleeping(channel, receivers[i % 2], i < 2 ? PIPC_FOREVER : PIPC_SECONDS(40));
        CHECK(channel_info(channel).waiters <= 1);
        REQUIRE_OK(senders[i / 2](channel, PIPC_NOWAIT));
        CHECK_EQUAL(test_wait(child, PIPC_SECONDS(30)), 0);
        if (delivery != PIPC_DELIVER_ONCE) /* the child was a subscriber of its own */
            REQUIRE_OK(receive_one(channel, PIPC_NOWAIT));
    }
    CHECK_ERROR(receive_one(channel, PIPC_NOWAIT), EMPTY);
    channel_end(channel, "c");
}

static void a_record_wakes_a_receiver_whatever_its_timeout(void)
{
    channel_each_variety(wake_receivers);
}

static void wake_senders(uint32_t producers, uint32_t delivery)
{
    if (delivery == PIPC_DELIVER_LATEST)
        return;
    pipc_channel *channel = channel_make("c", producers, delivery, CHANNEL_SMALL);
    fill(channel);
    for (unsigned i = 0; i < 4; i++) {
        pid_t child = start_sleeping(channel, senders[i % 2], i < 2 ? PIPC_FOREVER : PIPC_SECONDS(40));
        REQUIRE_OK(receivers[i / 2](channel, PIPC_NOWAIT));
        CHECK_EQUAL(test_wait(child, PIPC_SECONDS(30)), 0);
    }
    CHECK_ERROR(send_largest(channel, PIPC_NOWAIT), FULL);
    channel_end(channel, "c");
}

static void room_wakes_a_sender_whatever_its_timeout(void)
{
    channel_each_variety(wake_senders);
}

/* A commit of many wakes those who can have them all: one wake-up is passed on. */
static void a_batch_wakes_several_receivers(void)
{
    enum { SLEEPERS = 4 };
    for (uint32_t producers = PIPC_PRODUCERS_ONE; producers <= PIPC_PRODUCERS_MANY; producers++) {
        pipc_channel *channel = channel_make("c", producers, PIPC_DELIVER_ONCE, CHANNEL_SMALL);
        pipc_record records[SLEEPERS];
        pid_t children[SLEEPERS];
        for (unsigned i = 0; i < SLEEPERS; i++)
            children[i] = start_sleeping(channel, receive_one, PIPC_FOREVER);
        for (unsigned i = 0; i < SLEEPERS; i++)
            REQUIRE_OK(channel_reserve(channel, &records[i], i, 8, PIPC_NOWAIT));
        REQUIRE_OK(pipc_channel_commit(channel, records, SLEEPERS));
        for (unsigned i = 0; i < SLEEPERS; i++)
            CHECK_EQUAL(test_wait(children[i], PIPC_SECONDS(30)), 0);
        channel_end(channel, "c");
    }
}

static void a_release_of_several_wakes_several_senders(void)
{
    enum { SLEEPERS = 3 };
    pipc_channel *channel = channel_make("c", PIPC_PRODUCERS_MANY, PIPC_DELIVER_ONCE, CHANNEL_SMALL);
    pipc_record records[SLEEPERS] = {{0}};
    pid_t children[SLEEPERS];
    uint32_t count = SLEEPERS;
    fill(channel);
    for (unsigned i = 0; i < SLEEPERS; i++)
        children[i] = start_sleeping(channel, senders[i % 2], PIPC_FOREVER);
    REQUIRE_OK(pipc_channel_peek(channel, records, &count, PIPC_NOWAIT));
    REQUIRE_EQUAL(count, SLEEPERS);
    CHECK_OK(pipc_channel_release(channel, count));
    for (unsigned i = 0; i < SLEEPERS; i++)
        CHECK_EQUAL(test_wait(children[i], PIPC_SECONDS(30)), 0);
    channel_end(channel, "c");
}

/* ---- waiting for each other ---- */

struct holder {
    pipc_channel *channel;
    _Atomic uint32_t held, let_go;
};

static int hold_both(void *argument)
{
    struct holder *holder = argument;
    pipc_record record, shown = {0};
    uint32_t count = 1;
    CHECK_ERROR(receive_one(holder->channel, PIPC_NOWAIT), EMPTY); /* it may be a subscriber of its own from now on */
    REQUIRE_OK(channel_send(holder->channel, 1, 8, PIPC_NOWAIT));
    REQUIRE_OK(channel_reserve(holder->channel, &record, 2, 8, PIPC_NOWAIT));
    REQUIRE_OK(pipc_channel_peek(holder->channel, &shown, &count, PIPC_NOWAIT));
    atomic_store(&holder->held, 1);
    test_await(&holder->let_go, 1);
    CHECK_OK(pipc_channel_commit(holder->channel, &record, 1));
    return pipc_channel_release(holder->channel, 1);
}

static void check_busy(pipc_channel *channel, timed_call *call)
{
    int64_t began = test_now();
    CHECK_ERROR(call(channel, PIPC_NOWAIT), BUSY);
    CHECK(test_now() - began < PIPC_SECONDS(10));
    check_never_early(channel, call);
}

/* One consumer at a time, and one producer: the others wait for it as for anything else. */
static void who_holds_the_channel_is_waited_for(void)
{
    struct holder *holder = test_shared(sizeof *holder);
    holder->channel = channel_make("c", PIPC_PRODUCERS_ONE, PIPC_DELIVER_ONCE, CHANNEL_SMALL);
    pid_t child = test_fork(hold_both, holder);
    REQUIRE(test_await(&holder->held, 1));
    for (int i = 0; i < 2; i++) {
        check_busy(holder->channel, senders[i]);
        check_busy(holder->channel, receivers[i]);
    }
    pid_t sleepers[2] = {start_sleeping(holder->channel, send_largest, PIPC_FOREVER),
                         start_sleeping(holder->channel, receive_one, PIPC_FOREVER)};
    atomic_store(&holder->let_go, 1);
    CHECK_EQUAL(test_wait(child, PIPC_SECONDS(30)), 0);
    for (int i = 0; i < 2; i++)
        CHECK_EQUAL(test_wait(sleepers[i], PIPC_SECONDS(30)), 0);
    CHECK_EQUAL(channel_info(holder->channel).records, 1);
    channel_end(holder->channel, "c");
}

/* Many producers: a reservation holds up those behind it, not their producers. */
static void an_open_reservation_holds_up_nobody_but_the_receivers(void)
{
    struct holder *holder = test_shared(sizeof *holder);
    holder->channel = channel_make("c", PIPC_PRODUCERS_MANY, PIPC_DELIVER_ALL, CHANNEL_SMALL);
    pid_t child = test_fork(hold_both, holder);
    REQUIRE(test_await(&holder->held, 1));
    CHECK_OK(channel_send(holder->channel, 3, 8, PIPC_NOWAIT));
    CHECK(channel_expect(holder->channel, 1));
    check_never_early(holder->channel, receive_one);
    CHECK_ERROR(receive_one(holder->channel, PIPC_NOWAIT), EMPTY);
    atomic_store(&holder->let_go, 1);
    CHECK_EQUAL(test_wait(child, PIPC_SECONDS(30)), 0);
    CHECK(channel_expect(holder->channel, 2));
    CHECK(channel_expect(holder->channel, 3));
    channel_end(holder->channel, "c");
}

static const struct test tests[] = {
    {"C6", "calls_time_out_and_never_early", calls_time_out_and_never_early, 0},
    {"C6", "the_timeout_does_not_matter_when_nothing_is_to_wait_for",
     the_timeout_does_not_matter_when_nothing_is_to_wait_for, 0},
    {"C5 C6", "latest_is_never_full", latest_is_never_full, 0},
    {"C6", "a_record_wakes_a_receiver_whatever_its_timeout", a_record_wakes_a_receiver_whatever_its_timeout, 0},
    {"C6", "room_wakes_a_sender_whatever_its_timeout", room_wakes_a_sender_whatever_its_timeout, 0},
    {"C6 C3", "a_batch_wakes_several_receivers", a_batch_wakes_several_receivers, 0},
    {"C6 C3", "a_release_of_several_wakes_several_senders", a_release_of_several_wakes_several_senders, 0},
    {"C6 C4 C5", "who_holds_the_channel_is_waited_for", who_holds_the_channel_is_waited_for, 0},
    {"C6 C4", "an_open_reservation_holds_up_nobody_but_the_receivers",
     an_open_reservation_holds_up_nobody_but_the_receivers, 0},
};

TEST_MAIN("channel_wait", tests)
