/* Forks, threads, cancellation, exec, and how long a queue lives: Q13 and Q14. */
#define _GNU_SOURCE
#include "support_queue.h"

#include <dirent.h>
#include <fcntl.h>
#include <pthread.h>
#include <sched.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

/* ---- Forks ---- */

struct pair {
    pipc_queue *there, *back;
};

static int echo_three(void *argument)
{
    struct pair *pair = argument;
    struct queue_got got;
    for (unsigned i = 0; i < 3; i++) {
        REQUIRE_OK(queue_receive(pair->there, pipc_any(), &got, PIPC_SECONDS(20)));
        REQUIRE_OK(queue_send(pair->back, got.type, got.priority, got.number + 1, got.size, PIPC_SECONDS(20)));
    }
    CHECK_OK(pipc_queue_close(pair->there));
    CHECK_OK(pipc_queue_close(pair->back));
    return 0;
}

static void handle_works_in_a_forked_child(void)
{
    struct pair pair = {queue_make("there", 4, 9000), queue_make("back", 4, 9000)};
    struct queue_got got;
    pid_t child = test_fork(echo_three, &pair);
    for (uint64_t i = 0; i < 3; i++) {
        REQUIRE_OK(queue_send(pair.there, 5, 1, 100 * i, i == 1 ? 9000 : 8, PIPC_SECONDS(20)));
        REQUIRE_OK(queue_receive(pair.back, pipc_any(), &got, PIPC_SECONDS(20)));
        CHECK(got.number == 100 * i + 1 && got.type == 5 && got.priority == 1);
    }
    CHECK_EQUAL(test_wait(child, PIPC_SECONDS(20)), 0);
    queue_check_room(pair.there, 4, 64);
    queue_end(pair.there, "there");
    queue_end(pair.back, "back");
}

static int send_in_grandchild(void *argument)
{
    return queue_send(argument, 1, 0, 31, 8, PIPC_SECONDS(10));
}

static int fork_once_more(void *argument)
{
    REQUIRE_OK(queue_send(argument, 1, 0, 30, 8, PIPC_SECONDS(10)));
    return test_wait(test_fork(send_in_grandchild, argument), PIPC_SECONDS(30));
}

static void handle_works_in_a_grandchild(void)
{
    pipc_queue *queue = queue_make("q", 4, 64);
    REQUIRE_OK(queue_send(queue, 1, 0, 29, 8, PIPC_NOWAIT));
    CHECK_EQUAL(test_wait(test_fork(fork_once_more, queue), PIPC_SECONDS(20)), 0);
    for (uint64_t number = 29; number < 32; number++)
        queue_expect(queue, pipc_any(), number);
    queue_end(queue, "q");
}

static _Atomic uint32_t traders_stop;

static void *trade(void *argument)
{
    struct queue_got got;
    while (!atomic_load(&traders_stop)) {
        queue_send(argument, 2, 0, 1, 8, PIPC_SECONDS(10));
        queue_receive(argument, pipc_exactly(2), &got, PIPC_SECONDS(10));
    }
    return NULL;
}

/* The fork may come while another thread holds the queue's lock: that thread is not in the child, but it
 * lives on in the parent. */
static void fork_while_a_thread_is_in_a_call_hurts_nobody(void)
{
    pthread_t thread;
    struct queue_got got;
    pipc_queue *queue = queue_make("q", 300, 64);
    REQUIRE(pthread_create(&thread, NULL, trade, queue) == 0);
    for (unsigned i = 0; i < 200 && test_failures() == 0; i++)
        CHECK_EQUAL(test_wait(test_fork(send_in_grandchild, queue), PIPC_SECONDS(20)), 0);
    atomic_store(&traders_stop, 1);
    pthread_join(thread, NULL);
    uint64_t received = 0;
    while (queue_receive(queue, pipc_exactly(1), &got, PIPC_NOWAIT) == 0)
        received++;
    CHECK_EQUAL(received, 200);
    queue_check_room(queue, 300, 8);
    queue_end(queue, "q");
}

/* ---- Threads ---- */

enum { THREADS = 4, EACH = 3000 };

struct shop {
    pipc_queue *queue;
    _Atomic uint32_t number, received;
    _Atomic uint32_t times[THREADS * EACH];
};

static void *send_numbers(void *argument)
{
    struct shop *shop = argument;
    for (unsigned i = 0; i < EACH; i++) {
        uint32_t number = atomic_fetch_add(&shop->number, 1);
        REQUIRE_OK(
            queue_send(shop->queue, 1 + number % 3, number % 5, number, number % 30 ? 8 : 9000, PIPC_SECONDS(20)));
    }
    return NULL;
}

static void *receive_numbers(void *argument)
{
    struct shop *shop = argument;
    struct queue_got got;
    for (unsigned i = 0; i < EACH; i++) {
        REQUIRE_OK(queue_receive(shop->queue, pipc_any(), &got, PIPC_SECONDS(20)));
        REQUIRE(got.number < THREADS * EACH);
        atomic_fetch_add(&shop->times[got.number], 1);
    }
    return NULL;
}

static void threads_may_share_a_handle(void)
{
    struct shop *shop = test_shared(sizeof *shop);
    pthread_t threads[2 * THREADS];
    shop->queue = queue_make("q", 20, 9000);
    for (unsigned i = 0; i < 2 * THREADS; i++)
        REQUIRE(pthread_create(&threads[i], NULL, i % 2 ? receive_numbers : send_numbers, shop) == 0);
    for (unsigned i = 0; i < 2 * THREADS; i++)
        pthread_join(threads[i], NULL);
    for (unsigned i = 0; i < THREADS * EACH && test_failures() == 0; i++)
        CHECK_EQUAL(atomic_load(&shop->times[i]), 1);
    queue_check_room(shop->queue, 20, 8);
    queue_end(shop->queue, "q");
}

static void *fail_in_thread(void *argument)
{
    struct queue_got got;
    const char *mine;
    CHECK_ERROR(queue_receive(argument, pipc_any(), &got, PIPC_NOWAIT), EMPTY);
    mine = pipc_error_detail();
    CHECK(mine[0] != '\0');
    return NULL;
}

static void each_thread_has_its_own_error_detail(void)
{
    pthread_t thread;
    pipc_queue *queue = queue_make("q", 2, 64);
    CHECK_ERROR(queue_send(queue, 0, 0, 0, 8, PIPC_NOWAIT), INVALID);
    char before[500];
    snprintf(before, sizeof before, "%s", pipc_error_detail());
    REQUIRE(pthread_create(&thread, NULL, fail_in_thread, queue) == 0);
    pthread_join(thread, NULL);
    CHECK(strcmp(before, pipc_error_detail()) == 0);
    queue_end(queue, "q");
}

/* ---- Cancellation ---- */

struct cancelled {
    pipc_queue *queue;
    pid_t id;
    _Atomic uint32_t started;
    _Atomic uint32_t answer; /* 1 + the call's */
};

static void *receive_and_be_cancelled(void *argument)
{
    struct cancelled *cancelled = argument;
    struct queue_got got;
    cancelled->id = gettid();
    atomic_store(&cancelled->started, 1);
    atomic_store(&cancelled->answer, 1 + (uint32_t)queue_receive(cancelled->queue, pipc_any(), &got, PIPC_SECONDS(20)));
    for (;;)
        pthread_testcancel();
    return NULL;
}

static void cancellation_waits_until_the_call_has_ended(void)
{
    pthread_t thread;
    void *ended = NULL;
    struct cancelled cancelled = {.queue = queue_make("q", 2, 64)};
    REQUIRE(pthread_create(&thread, NULL, receive_and_be_cancelled, &cancelled) == 0);
    test_await(&cancelled.started, 1);
    test_await_sleep(cancelled.id);
    pthread_cancel(thread);
    test_sleep(PIPC_MS(20));
    CHECK_EQUAL(atomic_load(&cancelled.answer), 0);
    REQUIRE_OK(queue_send(cancelled.queue, 1, 0, 1, 8, PIPC_NOWAIT));
    pthread_join(thread, &ended);
    CHECK(ended == PTHREAD_CANCELED);
    CHECK_EQUAL(atomic_load(&cancelled.answer), 1);
    queue_end(cancelled.queue, "q");
}

static void *look_and_be_cancelled(void *argument)
{
    pipc_facts facts;
    pipc_queue_info info;
    pthread_cancel(pthread_self());
    CHECK_OK(pipc_library_facts(&facts));
    CHECK_OK(pipc_queue_statistics(argument, &info));
    CHECK_OK(pipc_queue_send(argument, &(pipc_message){.type = 1}, PIPC_NOWAIT));
    return argument; /* it came so far */
}

static void calls_are_no_cancellation_points(void)
{
    pthread_t thread;
    void *ended = NULL;
    pipc_queue *queue = queue_make("q", 2, 64);
    REQUIRE(pthread_create(&thread, NULL, look_and_be_cancelled, queue) == 0);
    pthread_join(thread, &ended);
    CHECK(ended == queue);
    queue_end(queue, "q");
}

static void *trade_until_cancelled(void *argument)
{
    struct queue_got got;
    for (;;) {
        pthread_testcancel();
        queue_send(argument, 1, 0, 1, 8, PIPC_SECONDS(10));
        queue_receive(argument, pipc_any(), &got, PIPC_SECONDS(10));
    }
    return NULL;
}

/* Deferred cancellation at any instant: were msgrcv or mq_receive left a cancellation point, a thread would
 * die there with the lock held and its message gone. */
static void cancelled_threads_leave_no_lock_and_lose_no_message(void)
{
    pipc_queue *queue = queue_make("q", 4, 64);
    for (unsigned round = 0; round < 150; round++) {
        pthread_t thread;
        REQUIRE(pthread_create(&thread, NULL, trade_until_cancelled, queue) == 0);
        for (unsigned i = 0; i < round % 8; i++)
            sched_yield();
        pthread_cancel(thread);
        pthread_join(thread, NULL);
        REQUIRE_EQUAL(queue_info(queue).sent - queue_info(queue).received, queue_info(queue).messages);
        REQUIRE_OK(queue_send(queue, 2, 0, round, 8, PIPC_NOWAIT));
        REQUIRE(queue_expect(queue, pipc_exactly(2), round));
    }
    CHECK_OK(pipc_queue_purge(queue, NULL));
    queue_check_room(queue, 4, 64);
    queue_end(queue, "q");
}

/* ---- Exec, and the life of a queue ---- */

static unsigned inherited_descriptors(void)
{
    unsigned count = 0;
    DIR *entries = opendir("/proc/self/fd");
    for (struct dirent *entry; entries && (entry = readdir(entries));) {
        int flags = fcntl(atoi(entry->d_name), F_GETFD);
        count += entry->d_name[0] != '.' && flags >= 0 && !(flags & FD_CLOEXEC);
    }
    if (entries)
        closedir(entries);
    return count;
}

static void no_descriptor_survives_exec(void)
{
    unsigned before = inherited_descriptors();
    CHECK(before > 0);
    pipc_queue *queue = queue_make("q", 2, 64), *other = queue_join("q", 0);
    CHECK_EQUAL(inherited_descriptors(), before);
    CHECK_OK(pipc_queue_close(other));
    queue_end(queue, "q");
}

static int descriptors(void)
{
    int count = 0;
    DIR *entries = opendir("/proc/self/fd");
    while (entries && readdir(entries))
        count++;
    if (entries)
        closedir(entries);
    return count;
}

static void closing_gives_every_descriptor_back(void)
{
    int before = descriptors();
    for (unsigned i = 0; i < 50; i++) {
        pipc_queue *queue = queue_make("q", 2, 64), *none = NULL;
        CHECK_ERROR(pipc_queue_open(&none, test_name("q"), PIPC_CREATE | PIPC_EXCLUSIVE, NULL), EXISTS);
        CHECK_ERROR(pipc_queue_open(&none, test_name("q"), 0, &(pipc_queue_options){.max_size = 9}), MISMATCH);
        queue_end(queue, "q");
    }
    CHECK_EQUAL(descriptors(), before);
}

static int exec_with_an_open_queue(void *argument)
{
    (void)argument;
    execl("/bin/true", "true", (char *)NULL);
    return 1;
}

static void exec_of_a_user_leaves_the_queue_whole(void)
{
    pipc_queue *queue = queue_make("q", 2, 64);
    REQUIRE_OK(queue_send(queue, 1, 0, 8, 8, PIPC_NOWAIT));
    CHECK_EQUAL(test_wait(test_fork(exec_with_an_open_queue, NULL), PIPC_SECONDS(20)), 0);
    queue_expect(queue, pipc_any(), 8);
    queue_end(queue, "q");
}

static void closing_never_removes(void)
{
    pipc_queue *queue = queue_make("q", 4, 9000);
    REQUIRE_OK(queue_send(queue, 1, 0, 5, 8, PIPC_NOWAIT));
    REQUIRE_OK(queue_send(queue, 1, 0, 6, 9000, PIPC_NOWAIT));
    CHECK_OK(pipc_queue_close(queue));
    CHECK_OK(pipc_queue_close(NULL));
    queue = queue_join("q", 0);
    queue_expect(queue, pipc_any(), 5);
    queue_expect(queue, pipc_any(), 6);
    queue_end(queue, "q");
}

static int make_fill_and_exit(void *argument)
{
    (void)argument;
    pipc_queue *queue = queue_make("q", 40, 9000);
    for (uint64_t i = 0; i < 40; i++)
        REQUIRE_OK(queue_send(queue, 1, 0, i, i % 4 ? 8 : 9000, PIPC_NOWAIT));
    return 0;
}

static void queue_and_messages_outlive_their_maker(void)
{
    CHECK_EQUAL(test_wait(test_fork(make_fill_and_exit, NULL), PIPC_SECONDS(20)), 0);
    pipc_queue *queue = queue_join("q", 0);
    for (uint64_t i = 0; i < 40; i++)
        queue_expect(queue, pipc_any(), i);
    queue_end(queue, "q");
}

static const struct test tests[] = {
    {"Q13", "handle_works_in_a_forked_child", handle_works_in_a_forked_child, 0},
    {"Q13", "handle_works_in_a_grandchild", handle_works_in_a_grandchild, 0},
    {"Q13", "fork_while_a_thread_is_in_a_call_hurts_nobody", fork_while_a_thread_is_in_a_call_hurts_nobody, 0},
    {"Q13", "threads_may_share_a_handle", threads_may_share_a_handle, 0},
    {"Q13", "each_thread_has_its_own_error_detail", each_thread_has_its_own_error_detail, 0},
    {"Q13", "calls_are_no_cancellation_points", calls_are_no_cancellation_points, 0},
    {"Q13", "cancellation_waits_until_the_call_has_ended", cancellation_waits_until_the_call_has_ended, 0},
    {"Q13", "cancelled_threads_leave_no_lock_and_lose_no_message", cancelled_threads_leave_no_lock_and_lose_no_message,
     0},
    {"Q13", "no_descriptor_survives_exec", no_descriptor_survives_exec, 0},
    {"Q13", "closing_gives_every_descriptor_back", closing_gives_every_descriptor_back, 0},
    {"Q13", "exec_of_a_user_leaves_the_queue_whole", exec_of_a_user_leaves_the_queue_whole, 0},
    {"Q13 Q14", "closing_never_removes", closing_never_removes, 0},
    {"Q14", "queue_and_messages_outlive_their_maker", queue_and_messages_outlive_their_maker, 0},
};

TEST_MAIN("queue_process", tests)
