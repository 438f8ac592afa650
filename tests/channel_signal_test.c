/* Signal handlers and pipc_channel_interrupt(): C6. */
#define _GNU_SOURCE
#include "support_channel.h"

#include <pthread.h>
#include <signal.h>
#include <sys/time.h>
#include <unistd.h>

static volatile sig_atomic_t handled;

static void count_signal(int signal)
{
    (void)signal;
    handled++;
}

static void handle(int signal, int flags, void (*handler)(int))
{
    struct sigaction action = {.sa_handler = handler, .sa_flags = flags};
    sigemptyset(&action.sa_mask);
    REQUIRE(sigaction(signal, &action, NULL) == 0);
}

/* SIGALRM every so often; 0 ends it. */
static void alarm_every(long microseconds)
{
    struct itimerval timer = {{0, microseconds}, {0, microseconds}};
    REQUIRE(setitimer(ITIMER_REAL, &timer, NULL) == 0);
}

typedef int flagged_call(pipc_channel *channel, uint32_t flags, int64_t timeout);

static int receive(pipc_channel *channel, uint32_t flags, int64_t timeout)
{
    char bytes[CHANNEL_SMALL];
    return pipc_channel_receive(channel, &(pipc_record){.data = bytes, .size = sizeof bytes, .flags = flags}, timeout);
}

static int peek(pipc_channel *channel, uint32_t flags, int64_t timeout)
{
    uint32_t count = 1;
    int error = pipc_channel_peek(channel, &(pipc_record){.flags = flags}, &count, timeout);
    return error ? error : pipc_channel_release(channel, 1);
}

static int send(pipc_channel *channel, uint32_t flags, int64_t timeout)
{
    static const char bytes[CHANNEL_SMALL_MOST];
    pipc_record record = {.data = (void *)(uintptr_t)bytes, .size = sizeof bytes, .flags = flags};
    return pipc_channel_send(channel, &record, timeout);
}

static int reserve(pipc_channel *channel, uint32_t flags, int64_t timeout)
{
    pipc_record record = {.size = CHANNEL_SMALL_MOST, .flags = flags};
    int error = pipc_channel_reserve(channel, &record, timeout);
    return error ? error : pipc_channel_commit(channel, &record, 1);
}

static flagged_call *const receivers[] = {receive, peek}, *const senders[] = {send, reserve};

static void fill(pipc_channel *channel)
{
    while (send(channel, 0, PIPC_NOWAIT) == 0)
        ;
}

/* Runs a check for calls that wait for a record, then for those that wait for room. */
static void each_waiting_call(uint32_t producers, void (*check)(pipc_channel *channel, flagged_call *call))
{
    pipc_channel *channel = channel_make("c", producers, 0, CHANNEL_SMALL);
    check(channel, receivers[0]);
    check(channel, receivers[1]);
    fill(channel);
    pipc_channel_info before = channel_info(channel);
    check(channel, senders[0]);
    check(channel, senders[1]);
    CHECK_EQUAL(channel_info(channel).sent, before.sent);
    CHECK_EQUAL(channel_info(channel).received, 0);
    channel_end(channel, "c");
}

/* ---- handlers ---- */

static void interrupted(pipc_channel *channel, flagged_call *call)
{
    alarm_every(10000);
    CHECK_ERROR(call(channel, 0, PIPC_FOREVER), INTERRUPTED);
    CHECK_ERROR(call(channel, 0, PIPC_SECONDS(30)), INTERRUPTED);
    alarm_every(0);
}

static void a_handler_ends_the_sleep_whatever_sa_restart_says(void)
{
    for (int flags = 0; flags <= SA_RESTART; flags += SA_RESTART) {
        handled = 0;
        handle(SIGALRM, flags, count_signal);
        each_waiting_call(PIPC_PRODUCERS_ONE, interrupted);
        each_waiting_call(PIPC_PRODUCERS_MANY, interrupted);
        CHECK(handled >= 16);
    }
}

static void restarted(pipc_channel *channel, flagged_call *call)
{
    alarm_every(3000);
    int64_t began = test_now();
    CHECK_ERROR(call(channel, PIPC_RESTART, PIPC_MS(150)), TIMEOUT);
    CHECK(test_now() - began >= PIPC_MS(150));
    CHECK(test_now() - began < PIPC_SECONDS(20));
    alarm_every(0);
}

static void the_restart_flag_goes_on_with_the_time_that_is_left(void)
{
    for (int flags = 0; flags <= SA_RESTART; flags += SA_RESTART) {
        handled = 0;
        handle(SIGALRM, flags, count_signal);
        each_waiting_call(PIPC_PRODUCERS_ONE, restarted);
        each_waiting_call(PIPC_PRODUCERS_MANY, restarted);
        CHECK(handled > 8);
    }
}

static void ignored(pipc_channel *channel, flagged_call *call)
{
    alarm_every(2000);
    CHECK_ERROR(call(channel, 0, PIPC_MS(60)), TIMEOUT);
    alarm_every(0);
}

static void an_ignored_signal_does_not_end_the_sleep(void)
{
    REQUIRE(signal(SIGALRM, SIG_IGN) != SIG_ERR);
    each_waiting_call(PIPC_PRODUCERS_ONE, ignored);
}

static int be_interrupted(void *argument)
{
    alarm_every(10000);
    CHECK_ERROR(send(argument, 0, PIPC_FOREVER), INTERRUPTED);
    CHECK_ERROR(receive(argument, 0, PIPC_FOREVER), INTERRUPTED);
    alarm_every(0);
    return 0;
}

/* Who waits for another consumer or producer, not for records or room. */
static void a_handler_ends_the_wait_for_another(void)
{
    pipc_channel *channel = channel_make("c", PIPC_PRODUCERS_ONE, 0, CHANNEL_SMALL);
    pipc_record record, shown = {0};
    uint32_t count = 1;
    handle(SIGALRM, SA_RESTART, count_signal);
    REQUIRE_OK(channel_send(channel, 1, 8, PIPC_NOWAIT));
    REQUIRE_OK(channel_reserve(channel, &record, 2, 8, PIPC_NOWAIT));
    REQUIRE_OK(pipc_channel_peek(channel, &shown, &count, PIPC_NOWAIT));
    CHECK_EQUAL(test_wait(test_fork(be_interrupted, channel), PIPC_SECONDS(40)), 0);
    CHECK_OK(pipc_channel_release(channel, 1));
    CHECK_OK(pipc_channel_commit(channel, &record, 1));
    channel_end(channel, "c");
}

/* Signals at any instant of calls that need not wait: they must all go through, nothing lost, nothing twice. */
static void storm(uint32_t producers, uint32_t delivery)
{
    pipc_channel *channel = channel_make("c", producers, delivery, 8192);
    handle(SIGALRM, SA_RESTART, count_signal);
    alarm_every(60);
    for (uint64_t i = 0; i < 20000; i++) {
        REQUIRE_OK(channel_send(channel, i, i % 50 ? 8 : 2000, PIPC_SECONDS(10)));
        REQUIRE(channel_expect(channel, i));
    }
    alarm_every(0);
    channel_end(channel, "c");
}

static void a_storm_of_signals_loses_and_doubles_nothing(void)
{
    channel_each_variety(storm);
    CHECK(handled > 10);
}

static pipc_channel *handlers_channel;
static volatile sig_atomic_t handler_sent, handler_received, handler_busy, handler_else;

static void count_from_handler(int signal)
{
    (void)signal;
    char bytes[64] = "";
    int answer = pipc_channel_send(handlers_channel, &(pipc_record){.data = bytes, .size = 40}, PIPC_NOWAIT);
    handler_sent += answer == 0;
    handler_busy += answer == PIPC_E_BUSY;
    handler_else += answer != 0 && answer != PIPC_E_BUSY && answer != PIPC_E_FULL;
    answer = pipc_channel_receive(handlers_channel, &(pipc_record){.data = bytes, .size = 64}, PIPC_NOWAIT);
    handler_received += answer == 0;
    handler_busy += answer == PIPC_E_BUSY;
    handler_else += answer != 0 && answer != PIPC_E_BUSY && answer != PIPC_E_EMPTY;
}

/* The handler comes at any instruction of send and receive, also while they hold a lock. */
static void calls_from_handlers(uint32_t producers, uint32_t delivery)
{
    uint64_t sent = 0, received = 0;
    char bytes[64] = "";
    handlers_channel = channel_make("c", producers, delivery, CHANNEL_SMALL);
    handler_sent = handler_received = 0;
    handle(SIGALRM, SA_RESTART, count_from_handler);
    alarm_every(70);
    int64_t end = test_now() + PIPC_MS(500);
    while (test_now() < end) {
        sent += pipc_channel_send(handlers_channel, &(pipc_record){.data = bytes, .size = 40}, PIPC_NOWAIT) == 0;
        for (unsigned i = 0; i < 3; i++)
            received += receive(handlers_channel, 0, PIPC_NOWAIT) == 0;
    }
    alarm_every(0);
    while (receive(handlers_channel, 0, PIPC_NOWAIT) == 0)
        received++;
    CHECK_EQUAL(received + (uint64_t)handler_received, sent + (uint64_t)handler_sent);
    CHECK_EQUAL(channel_info(handlers_channel).sent, sent + (uint64_t)handler_sent);
    CHECK_EQUAL(channel_info(handlers_channel).received, sent + (uint64_t)handler_sent);
    channel_end(handlers_channel, "c");
}

static void calls_from_handlers_at_any_instant_never_hang_or_harm(void)
{
    channel_each_variety(calls_from_handlers);
    CHECK_EQUAL(handler_else, 0);
    CHECK(handler_busy > 0);
}

enum { NESTED = 8 };

static int answers[NESTED];

static void call_everything(int signal)
{
    (void)signal;
    pipc_channel *channel = handlers_channel;
    char bytes[64] = "";
    pipc_record record = {.data = bytes, .size = sizeof bytes};
    pipc_channel_info info;
    uint32_t count = 1;
    answers[0] = pipc_channel_send(channel, &record, PIPC_NOWAIT);
    answers[1] = pipc_channel_receive(channel, &record, PIPC_NOWAIT);
    answers[2] = pipc_channel_reserve(channel, &record, PIPC_NOWAIT);
    answers[3] = pipc_channel_commit(channel, &record, 1);
    answers[4] = pipc_channel_cancel(channel, &record, 1);
    answers[5] = pipc_channel_peek(channel, &record, &count, PIPC_NOWAIT);
    answers[6] = pipc_channel_release(channel, 0);
    answers[7] = pipc_channel_statistics(channel, &info);
    handled++;
}

/* The handler comes while the call sleeps, where no lock is held. */
static void nested_calls(uint32_t producers, uint32_t delivery)
{
    handlers_channel = channel_make("c", producers, delivery, CHANNEL_SMALL);
    handled = 0;
    handle(SIGALRM, 0, call_everything);
    alarm_every(20000);
    CHECK_ERROR(receive(handlers_channel, PIPC_RESTART, PIPC_MS(300)), TIMEOUT);
    alarm_every(0);
    CHECK(handled > 0);
    for (unsigned i = 0; i < NESTED; i++)
        CHECK_EQUAL(answers[i], PIPC_E_BUSY);
    CHECK_EQUAL(channel_info(handlers_channel).sent, 0);
    channel_end(handlers_channel, "c");
}

static void every_call_from_a_handler_that_interrupted_one_answers_busy(void)
{
    channel_each_variety(nested_calls);
}

/* ---- pipc_channel_interrupt ---- */

struct sleeper {
    pthread_t thread;
    pid_t id;
    pipc_channel *channel;
    flagged_call *call;
    uint32_t flags;
    int answer;
    _Atomic uint32_t started, ended;
};

static void *sleep_in_a_call(void *argument)
{
    struct sleeper *sleeper = argument;
    sleeper->id = gettid();
    atomic_store(&sleeper->started, 1);
    sleeper->answer = sleeper->call(sleeper->channel, sleeper->flags, PIPC_FOREVER);
    atomic_store(&sleeper->ended, 1);
    return NULL;
}

static void start_sleeper(struct sleeper *sleeper, pipc_channel *channel, flagged_call *call, uint32_t flags)
{
    sleeper->channel = channel;
    sleeper->call = call;
    sleeper->flags = flags;
    REQUIRE(pthread_create(&sleeper->thread, NULL, sleep_in_a_call, sleeper) == 0);
    test_await(&sleeper->started, 1);
    test_await_sleep(sleeper->id);
}

static int end_sleeper(struct sleeper *sleeper)
{
    REQUIRE(test_await(&sleeper->ended, 1));
    pthread_join(sleeper->thread, NULL);
    return sleeper->answer;
}

static void wake(pipc_channel *channel, flagged_call *call)
{
    struct sleeper sleepers[4] = {{0}};
    for (unsigned i = 0; i < 4; i++)
        start_sleeper(&sleepers[i], channel, call, i % 2 ? PIPC_RESTART : 0);
    CHECK_OK(pipc_channel_interrupt(channel));
    for (unsigned i = 0; i < 4; i++)
        CHECK_ERROR(end_sleeper(&sleepers[i]), INTERRUPTED);
}

static void interrupt_wakes_every_sleeper_of_the_handle(void)
{
    each_waiting_call(PIPC_PRODUCERS_ONE, wake);
    each_waiting_call(PIPC_PRODUCERS_MANY, wake);
}

static void beforehand(pipc_channel *channel, flagged_call *call)
{
    CHECK_OK(pipc_channel_interrupt(channel));
    CHECK_ERROR(call(channel, PIPC_RESTART, PIPC_FOREVER), INTERRUPTED);
    CHECK_ERROR(call(channel, 0, PIPC_MS(30)), TIMEOUT); /* it ends one sleep only */
}

static void interrupt_before_the_sleep_is_not_missed(void)
{
    each_waiting_call(PIPC_PRODUCERS_ONE, beforehand);
    each_waiting_call(PIPC_PRODUCERS_MANY, beforehand);
}

static void another(pipc_channel *channel, flagged_call *call)
{
    pipc_channel *other = channel_join("c", 0);
    CHECK_OK(pipc_channel_interrupt(other));
    CHECK_ERROR(call(channel, 0, PIPC_MS(60)), TIMEOUT);
    CHECK_ERROR(call(other, 0, PIPC_SECONDS(20)), INTERRUPTED);
    CHECK_OK(pipc_channel_close(other));
}

static void other_handles_do_not_notice_an_interrupt(void)
{
    each_waiting_call(PIPC_PRODUCERS_ONE, another);
}

static const struct test tests[] = {
    {"C6", "a_handler_ends_the_sleep_whatever_sa_restart_says", a_handler_ends_the_sleep_whatever_sa_restart_says, 0},
    {"C6", "the_restart_flag_goes_on_with_the_time_that_is_left", the_restart_flag_goes_on_with_the_time_that_is_left,
     0},
    {"C6", "an_ignored_signal_does_not_end_the_sleep", an_ignored_signal_does_not_end_the_sleep, 0},
    {"C6", "a_handler_ends_the_wait_for_another", a_handler_ends_the_wait_for_another, 0},
    {"C6", "a_storm_of_signals_loses_and_doubles_nothing", a_storm_of_signals_loses_and_doubles_nothing, 0},
    {"C6 C9", "calls_from_handlers_at_any_instant_never_hang_or_harm",
     calls_from_handlers_at_any_instant_never_hang_or_harm, 0},
    {"C6", "every_call_from_a_handler_that_interrupted_one_answers_busy",
     every_call_from_a_handler_that_interrupted_one_answers_busy, 0},
    {"C6", "interrupt_wakes_every_sleeper_of_the_handle", interrupt_wakes_every_sleeper_of_the_handle, 0},
    {"C6", "interrupt_before_the_sleep_is_not_missed", interrupt_before_the_sleep_is_not_missed, 0},
    {"C6", "other_handles_do_not_notice_an_interrupt", other_handles_do_not_notice_an_interrupt, 0},
};

TEST_MAIN("channel_signal", tests)
