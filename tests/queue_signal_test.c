/* Signal handlers and pipc_queue_interrupt(): Q12, and what Q13 says of handlers. */
#define _GNU_SOURCE
#include "support_queue.h"

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

static int receive_flagged(pipc_queue *queue, uint32_t flags, int64_t timeout)
{
    char bytes[64];
    pipc_message message = {.data = bytes, .size = sizeof bytes, .flags = flags};
    return pipc_queue_receive(queue, pipc_any(), &message, timeout);
}

static int send_flagged(pipc_queue *queue, uint32_t flags, int64_t timeout)
{
    char bytes[64] = {0};
    pipc_message message = {.data = bytes, .size = sizeof bytes, .type = 1, .flags = flags};
    return pipc_queue_send(queue, &message, timeout);
}

/* ---- Handlers ---- */

static void check_interrupted(int sa_flags)
{
    pipc_queue *queue = queue_make("q", 1, 64);
    handle(SIGALRM, sa_flags, count_signal);
    alarm_every(10000);
    CHECK_ERROR(receive_flagged(queue, 0, PIPC_FOREVER), INTERRUPTED);
    CHECK_ERROR(receive_flagged(queue, 0, PIPC_SECONDS(30)), INTERRUPTED);
    REQUIRE_OK(send_flagged(queue, 0, PIPC_FOREVER));
    CHECK_ERROR(send_flagged(queue, 0, PIPC_FOREVER), INTERRUPTED);
    alarm_every(0);
    CHECK(handled >= 3);
    CHECK_EQUAL(queue_info(queue).messages, 1);
    CHECK_EQUAL(queue_info(queue).sent, 1);
    CHECK_OK(receive_flagged(queue, 0, PIPC_NOWAIT));
    queue_end(queue, "q");
}

static void handler_ends_the_sleep_without_sa_restart(void)
{
    check_interrupted(0);
}

static void handler_ends_the_sleep_with_sa_restart(void)
{
    check_interrupted(SA_RESTART);
}

static void check_restarted(int sa_flags)
{
    pipc_queue *queue = queue_make("q", 1, 64);
    handle(SIGALRM, sa_flags, count_signal);
    alarm_every(3000);
    int64_t began = test_now();
    CHECK_ERROR(receive_flagged(queue, PIPC_RESTART, PIPC_MS(300)), TIMEOUT);
    CHECK(test_now() - began >= PIPC_MS(300));
    CHECK(test_now() - began < PIPC_SECONDS(20));
    REQUIRE_OK(send_flagged(queue, PIPC_RESTART, PIPC_NOWAIT));
    began = test_now();
    CHECK_ERROR(send_flagged(queue, PIPC_RESTART, PIPC_MS(300)), TIMEOUT);
    CHECK(test_now() - began >= PIPC_MS(300));
    alarm_every(0);
    CHECK(handled > 1);
    queue_end(queue, "q");
}

static void restart_flag_goes_on_with_the_time_that_is_left(void)
{
    check_restarted(0);
    check_restarted(SA_RESTART);
}

static int send_later(void *argument)
{
    test_sleep(PIPC_MS(100));
    return send_flagged(argument, 0, PIPC_NOWAIT);
}

static void restarted_receive_still_gets_its_message(void)
{
    pipc_queue *queue = queue_make("q", 1, 64);
    handle(SIGALRM, 0, count_signal);
    pid_t sender = test_fork(send_later, queue);
    alarm_every(2000);
    CHECK_OK(receive_flagged(queue, PIPC_RESTART, PIPC_FOREVER));
    alarm_every(0);
    CHECK(handled > 0);
    CHECK_EQUAL(test_wait(sender, PIPC_SECONDS(30)), 0);
    queue_end(queue, "q");
}

static void ignored_signal_does_not_end_the_sleep(void)
{
    pipc_queue *queue = queue_make("q", 1, 64);
    REQUIRE(signal(SIGALRM, SIG_IGN) != SIG_ERR);
    alarm_every(2000);
    CHECK_ERROR(receive_flagged(queue, 0, PIPC_MS(150)), TIMEOUT);
    alarm_every(0);
    queue_end(queue, "q");
}

/* Signals at any instant of calls that need not wait: they must all go through, nothing lost, nothing twice. */
static void storm_of_signals_loses_and_doubles_nothing(void)
{
    pipc_queue *queue = queue_make("q", 20, 9000);
    handle(SIGALRM, SA_RESTART, count_signal);
    alarm_every(60);
    for (uint64_t i = 0; i < 30000; i++) {
        struct queue_got got;
        REQUIRE_OK(queue_send(queue, 1, 0, i, i % 50 ? 8 : 9000, PIPC_SECONDS(10)));
        REQUIRE_OK(queue_receive(queue, pipc_any(), &got, PIPC_SECONDS(10)));
        REQUIRE_EQUAL(got.number, i);
    }
    alarm_every(0);
    CHECK(handled > 10);
    queue_end(queue, "q");
}

/* ---- Calls made from a handler ---- */

static pipc_queue *handlers_queue;
static volatile sig_atomic_t handlers_answer;

static void call_from_handler(int signal)
{
    (void)signal;
    if (handlers_answer < 0)
        handlers_answer = send_flagged(handlers_queue, 0, PIPC_NOWAIT);
}

struct sleeper {
    pthread_t thread;
    pid_t id;
    pipc_queue *queue;
    uint32_t flags;
    int answer;
    _Atomic uint32_t started, ended;
};

static void *sleep_in_receive(void *argument)
{
    struct sleeper *sleeper = argument;
    sleeper->id = gettid();
    atomic_store(&sleeper->started, 1);
    sleeper->answer = receive_flagged(sleeper->queue, sleeper->flags, PIPC_FOREVER);
    atomic_store(&sleeper->ended, 1);
    return NULL;
}

static void start_sleeper(struct sleeper *sleeper, pipc_queue *queue, uint32_t flags)
{
    sleeper->queue = queue;
    sleeper->flags = flags;
    REQUIRE(pthread_create(&sleeper->thread, NULL, sleep_in_receive, sleeper) == 0);
    test_await(&sleeper->started, 1);
    test_await_sleep(sleeper->id);
}

static int end_sleeper(struct sleeper *sleeper)
{
    REQUIRE(test_await(&sleeper->ended, 1));
    pthread_join(sleeper->thread, NULL);
    return sleeper->answer;
}

static void call_from_a_handler_that_interrupted_a_call_answers_busy(void)
{
    struct sleeper sleeper = {0};
    handlers_queue = queue_make("q", 4, 64);
    handlers_answer = -1;
    handle(SIGUSR1, 0, call_from_handler);
    start_sleeper(&sleeper, handlers_queue, 0);
    while (queue_info(handlers_queue).waiters == 0)
        test_sleep(PIPC_MS(1));
    while (!atomic_load(&sleeper.ended)) { /* one that comes between two slices of the sleep does not end it */
        pthread_kill(sleeper.thread, SIGUSR1);
        test_sleep(PIPC_MS(3));
    }
    CHECK_ERROR(end_sleeper(&sleeper), INTERRUPTED);
    CHECK_ERROR(handlers_answer, BUSY);
    CHECK_EQUAL(queue_info(handlers_queue).messages, 0);
    queue_check_room(handlers_queue, 4, 64);
    queue_end(handlers_queue, "q");
}

static void call_from_a_handler_that_interrupted_no_call_works(void)
{
    handlers_queue = queue_make("q", 4, 64);
    handlers_answer = -1;
    handle(SIGUSR1, 0, call_from_handler);
    raise(SIGUSR1);
    CHECK_OK(handlers_answer);
    CHECK_EQUAL(queue_info(handlers_queue).messages, 1);
    queue_end(handlers_queue, "q");
}

static volatile sig_atomic_t handler_sent, handler_busy, handler_full, handler_else;

static void count_from_handler(int signal)
{
    (void)signal;
    int answer = send_flagged(handlers_queue, 0, PIPC_NOWAIT);
    if (answer == 0)
        handler_sent++;
    else if (answer == PIPC_E_BUSY)
        handler_busy++;
    else if (answer == PIPC_E_FULL)
        handler_full++;
    else
        handler_else++;
}

/* The handler comes at any instruction of send and receive, also while they hold the lock. */
static void calls_from_handlers_at_any_instant_never_hang_or_harm(void)
{
    uint64_t sent = 0, received = 0;
    handlers_queue = queue_make("q", 8, 64);
    handle(SIGALRM, SA_RESTART, count_from_handler);
    alarm_every(70);
    int64_t end = test_now() + PIPC_MS(1500);
    while (test_now() < end) {
        sent += send_flagged(handlers_queue, 0, PIPC_NOWAIT) == 0;
        while (receive_flagged(handlers_queue, 0, PIPC_NOWAIT) == 0)
            received++;
    }
    alarm_every(0);
    while (receive_flagged(handlers_queue, 0, PIPC_NOWAIT) == 0)
        received++;
    CHECK_EQUAL(received, sent + (uint64_t)handler_sent);
    CHECK_EQUAL(handler_else, 0);
    CHECK(handler_busy > 0);
    queue_check_room(handlers_queue, 8, 64);
    queue_end(handlers_queue, "q");
}

/* ---- pipc_queue_interrupt ---- */

static void interrupt_wakes_a_sleeper(void)
{
    for (unsigned restart = 0; restart < 2; restart++) {
        struct sleeper sleeper = {0};
        pipc_queue *queue = queue_make("q", 1, 64);
        start_sleeper(&sleeper, queue, restart ? PIPC_RESTART : 0);
        CHECK_OK(pipc_queue_interrupt(queue));
        CHECK_ERROR(end_sleeper(&sleeper), INTERRUPTED);
        queue_end(queue, "q");
    }
}

static void interrupt_wakes_every_sleeper_of_the_handle(void)
{
    struct sleeper sleepers[6] = {{0}};
    pipc_queue *queue = queue_make("q", 1, 64);
    for (unsigned i = 0; i < 6; i++)
        start_sleeper(&sleepers[i], queue, 0);
    CHECK_OK(pipc_queue_interrupt(queue));
    for (unsigned i = 0; i < 6; i++)
        CHECK_ERROR(end_sleeper(&sleepers[i]), INTERRUPTED);
    queue_end(queue, "q");
}

static void interrupt_before_the_sleep_is_not_missed(void)
{
    pipc_queue *queue = queue_make("q", 1, 64);
    CHECK_OK(pipc_queue_interrupt(queue));
    CHECK_ERROR(receive_flagged(queue, 0, PIPC_FOREVER), INTERRUPTED);
    REQUIRE_OK(send_flagged(queue, 0, PIPC_NOWAIT));
    CHECK_OK(pipc_queue_interrupt(queue));
    CHECK_ERROR(send_flagged(queue, PIPC_RESTART, PIPC_FOREVER), INTERRUPTED);
    queue_end(queue, "q");
}

static void interrupt_ends_one_sleep_only_and_none_that_is_not_needed(void)
{
    pipc_queue *queue = queue_make("q", 1, 64);
    CHECK_OK(pipc_queue_interrupt(queue));
    CHECK_ERROR(receive_flagged(queue, 0, PIPC_NOWAIT), EMPTY);
    CHECK_OK(send_flagged(queue, 0, PIPC_FOREVER));
    CHECK_OK(receive_flagged(queue, 0, PIPC_FOREVER));
    CHECK_ERROR(receive_flagged(queue, 0, PIPC_SECONDS(20)), INTERRUPTED);
    CHECK_ERROR(receive_flagged(queue, 0, PIPC_MS(50)), TIMEOUT);
    queue_end(queue, "q");
}

static void other_handles_do_not_notice_an_interrupt(void)
{
    pipc_queue *queue = queue_make("q", 1, 64), *other = queue_join("q", 0);
    CHECK_OK(pipc_queue_interrupt(other));
    CHECK_ERROR(receive_flagged(queue, 0, PIPC_MS(60)), TIMEOUT);
    CHECK_ERROR(receive_flagged(other, 0, PIPC_SECONDS(20)), INTERRUPTED);
    CHECK_OK(pipc_queue_close(other));
    queue_end(queue, "q");
}

static int sleep_for_a_while(void *argument)
{
    return receive_flagged(argument, 0, PIPC_SECONDS(2));
}

static void other_processes_do_not_notice_an_interrupt(void)
{
    pipc_queue *queue = queue_make("q", 1, 64);
    pid_t child = test_fork(sleep_for_a_while, queue);
    test_await_sleep(child);
    CHECK_OK(pipc_queue_interrupt(queue));
    CHECK_EQUAL(test_wait(child, PIPC_SECONDS(20)), PIPC_E_TIMEOUT);
    CHECK_ERROR(receive_flagged(queue, 0, PIPC_SECONDS(20)), INTERRUPTED);
    queue_end(queue, "q");
}

static volatile sig_atomic_t stop;

static void stop_from_handler(int signal)
{
    (void)signal;
    stop = 1;
    pipc_queue_interrupt(handlers_queue);
}

/* The loop of every server: the signal may come between the look at `stop` and the sleep. It is sent
 * at ever other instants; if one were missed the receive would sleep for ever. */
static void stop_flag_set_in_the_instant_before_the_sleep_is_seen(void)
{
    uint64_t random = (uint64_t)getpid();
    handlers_queue = queue_make("q", 1, 64);
    handle(SIGALRM, SA_RESTART, stop_from_handler);
    for (unsigned round = 0; round < 3000; round++) {
        struct itimerval timer = {{0, 0}, {0, 1 + (long)test_random(&random, 60)}};
        stop = 0;
        REQUIRE(setitimer(ITIMER_REAL, &timer, NULL) == 0);
        while (!stop)
            CHECK_ERROR(receive_flagged(handlers_queue, 0, PIPC_FOREVER), INTERRUPTED);
        /* The interrupt may have come after the last sleep ended: it must not leak into the next round. */
        receive_flagged(handlers_queue, 0, PIPC_NS(1));
    }
    queue_end(handlers_queue, "q");
}

static const struct test tests[] = {
    {"Q12", "handler_ends_the_sleep_without_sa_restart", handler_ends_the_sleep_without_sa_restart, 0},
    {"Q12", "handler_ends_the_sleep_with_sa_restart", handler_ends_the_sleep_with_sa_restart, 0},
    {"Q12", "restart_flag_goes_on_with_the_time_that_is_left", restart_flag_goes_on_with_the_time_that_is_left, 0},
    {"Q12", "restarted_receive_still_gets_its_message", restarted_receive_still_gets_its_message, 0},
    {"Q12", "ignored_signal_does_not_end_the_sleep", ignored_signal_does_not_end_the_sleep, 0},
    {"Q12", "storm_of_signals_loses_and_doubles_nothing", storm_of_signals_loses_and_doubles_nothing, 0},
    {"Q12 Q13", "call_from_a_handler_that_interrupted_a_call_answers_busy",
     call_from_a_handler_that_interrupted_a_call_answers_busy, 0},
    {"Q13", "call_from_a_handler_that_interrupted_no_call_works", call_from_a_handler_that_interrupted_no_call_works,
     0},
    {"Q13", "calls_from_handlers_at_any_instant_never_hang_or_harm",
     calls_from_handlers_at_any_instant_never_hang_or_harm, 0},
    {"Q12", "interrupt_wakes_a_sleeper", interrupt_wakes_a_sleeper, 0},
    {"Q12", "interrupt_wakes_every_sleeper_of_the_handle", interrupt_wakes_every_sleeper_of_the_handle, 0},
    {"Q12", "interrupt_before_the_sleep_is_not_missed", interrupt_before_the_sleep_is_not_missed, 0},
    {"Q12", "interrupt_ends_one_sleep_only_and_none_that_is_not_needed",
     interrupt_ends_one_sleep_only_and_none_that_is_not_needed, 0},
    {"Q12", "other_handles_do_not_notice_an_interrupt", other_handles_do_not_notice_an_interrupt, 0},
    {"Q12", "other_processes_do_not_notice_an_interrupt", other_processes_do_not_notice_an_interrupt, 0},
    {"Q12", "stop_flag_set_in_the_instant_before_the_sleep_is_seen",
     stop_flag_set_in_the_instant_before_the_sleep_is_seen, 0},
};

TEST_MAIN("queue_signal", tests)
