/* The lock: who gets it, who waits, who is refused. The deaths of owners are in mutex_death_test.c. */
#include <pthread.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

#include "support.h"

static pipc_mutex *shared_mutex(void)
{
    return test_shared(sizeof(pipc_mutex));
}

/* ---- Another one that has it: a child, until told otherwise ---- */

struct holder {
    pipc_mutex *mutex;
    _Atomic uint32_t has, give;
};

static int hold(void *argument)
{
    struct holder *holder = argument;
    REQUIRE_OK(pipc_mutex_lock(holder->mutex, PIPC_SECONDS(20)));
    atomic_store(&holder->has, 1);
    test_await(&holder->give, 1);
    CHECK_OK(pipc_mutex_unlock(holder->mutex));
    return 0;
}

static pid_t begin_holding(struct holder *holder, pipc_mutex *mutex)
{
    holder->mutex = mutex;
    atomic_store(&holder->has, 0);
    atomic_store(&holder->give, 0);
    pid_t child = test_fork(hold, holder);
    REQUIRE(test_await(&holder->has, 1));
    return child;
}

static void end_holding(struct holder *holder, pid_t child)
{
    atomic_store(&holder->give, 1);
    CHECK_EQUAL(test_wait(child, PIPC_SECONDS(30)), 0);
}

/* ---- One thread ---- */

static void zeros_are_a_ready_lock(void)
{
    pipc_mutex mutex;
    memset(&mutex, 0, sizeof mutex);
    for (int i = 0; i < 3; i++) {
        CHECK_OK(pipc_mutex_lock(&mutex, i == 0 ? PIPC_NOWAIT : i == 1 ? PIPC_MS(5) : PIPC_FOREVER));
        CHECK_OK(pipc_mutex_unlock(&mutex));
    }
}

static void init_makes_anything_a_ready_lock(void)
{
    pipc_mutex mutex;
    memset(&mutex, 0xff, sizeof mutex);
    CHECK_OK(pipc_mutex_init(&mutex));
    CHECK_OK(pipc_mutex_lock(&mutex, PIPC_NOWAIT));
    CHECK_OK(pipc_mutex_init(&mutex));
    CHECK_OK(pipc_mutex_lock(&mutex, PIPC_NOWAIT));
    CHECK_OK(pipc_mutex_unlock(&mutex));
}

static void recursion_is_refused(void)
{
    static const int64_t spans[] = {PIPC_NOWAIT, PIPC_SECONDS(20), PIPC_FOREVER};
    pipc_mutex mutex = {{0, 0}}, other = {{0, 0}};
    int64_t began = test_now();
    CHECK_OK(pipc_mutex_lock(&mutex, PIPC_FOREVER));
    CHECK_OK(pipc_mutex_lock(&other, PIPC_FOREVER));
    for (unsigned i = 0; i < sizeof spans / sizeof spans[0]; i++)
        CHECK_ERROR(pipc_mutex_lock(&mutex, spans[i]), DEADLOCK);
    CHECK(test_now() - began < PIPC_SECONDS(10));
    CHECK_OK(pipc_mutex_unlock(&mutex));
    CHECK_ERROR(pipc_mutex_unlock(&mutex), ACCESS);
    CHECK_OK(pipc_mutex_lock(&mutex, PIPC_NOWAIT));
    CHECK_OK(pipc_mutex_unlock(&mutex));
    CHECK_OK(pipc_mutex_unlock(&other));
}

/* Somebody waits, so the word carries a mark: recursion is known all the same. */
static void recursion_is_refused_while_others_wait(void)
{
    struct holder *holder = test_shared(sizeof *holder);
    holder->mutex = shared_mutex();
    CHECK_OK(pipc_mutex_lock(holder->mutex, PIPC_NOWAIT));
    pid_t child = test_fork(hold, holder);
    REQUIRE(test_await_sleep(child));
    CHECK_ERROR(pipc_mutex_lock(holder->mutex, PIPC_FOREVER), DEADLOCK);
    CHECK_OK(pipc_mutex_unlock(holder->mutex));
    REQUIRE(test_await(&holder->has, 1));
    end_holding(holder, child);
}

static void bad_arguments_are_refused(void)
{
    uint64_t words[4] = {0};
    pipc_mutex *mutex = (pipc_mutex *)words, *askew = (pipc_mutex *)((char *)words + 4);
    CHECK_ERROR(pipc_mutex_init(NULL), INVALID);
    CHECK_ERROR(pipc_mutex_init(askew), INVALID);
    CHECK_ERROR(pipc_mutex_lock(NULL, PIPC_NOWAIT), INVALID);
    CHECK_ERROR(pipc_mutex_lock(askew, PIPC_NOWAIT), INVALID);
    CHECK_ERROR(pipc_mutex_lock(mutex, -1), INVALID);
    CHECK_ERROR(pipc_mutex_lock(mutex, INT64_MIN), INVALID);
    CHECK_ERROR(pipc_mutex_unlock(NULL), INVALID);
    CHECK_ERROR(pipc_mutex_unlock(askew), INVALID);
    CHECK_ERROR(pipc_mutex_unlock(mutex), ACCESS);
    CHECK_OK(pipc_mutex_lock(mutex, PIPC_NOWAIT));
    CHECK_ERROR(pipc_mutex_lock(mutex, -1), INVALID);
    CHECK_ERROR(pipc_mutex_lock(mutex, PIPC_NOWAIT), DEADLOCK);
    CHECK_OK(pipc_mutex_unlock(mutex));
}

/* ---- Two ---- */

static void a_try_answers_at_once(void)
{
    struct holder *holder = test_shared(sizeof *holder);
    pipc_mutex *mutex = shared_mutex();
    pid_t child = begin_holding(holder, mutex);
    int64_t best = INT64_MAX;
    for (int i = 0; i < 50; i++) {
        int64_t began = test_now();
        CHECK_ERROR(pipc_mutex_lock(mutex, PIPC_NOWAIT), BUSY);
        int64_t took = test_now() - began;
        best = took < best ? took : best;
    }
    CHECK(best < PIPC_MS(5));
    end_holding(holder, child);
    CHECK_OK(pipc_mutex_lock(mutex, PIPC_NOWAIT));
    CHECK_OK(pipc_mutex_unlock(mutex));
}

static void timeouts_are_never_early(void)
{
    static const int64_t spans[] = {1, 999, 50000, 1000000, 3141592, 19999999, 40000001, 85000000};
    struct holder *holder = test_shared(sizeof *holder);
    pipc_mutex *mutex = shared_mutex();
    pid_t child = begin_holding(holder, mutex);
    for (unsigned i = 0; i < sizeof spans / sizeof spans[0]; i++) {
        int64_t began = test_now();
        CHECK_ERROR(pipc_mutex_lock(mutex, spans[i]), TIMEOUT);
        int64_t took = test_now() - began;
        CHECK(took >= spans[i]);
        CHECK(took < spans[i] + PIPC_SECONDS(1));
    }
    end_holding(holder, child);
}

static void *misuse_from_a_thread(void *argument)
{
    CHECK_ERROR(pipc_mutex_unlock(argument), ACCESS);
    CHECK_ERROR(pipc_mutex_lock(argument, PIPC_NOWAIT), BUSY);
    CHECK_ERROR(pipc_mutex_lock(argument, PIPC_MS(10)), TIMEOUT);
    CHECK_ERROR(pipc_mutex_unlock(argument), ACCESS);
    return NULL;
}

static void a_thread_cannot_unlock_what_another_has(void)
{
    static pipc_mutex mutex;
    pthread_t thread;
    CHECK_OK(pipc_mutex_lock(&mutex, PIPC_NOWAIT));
    REQUIRE(pthread_create(&thread, NULL, misuse_from_a_thread, &mutex) == 0);
    pthread_join(thread, NULL);
    CHECK_ERROR(pipc_mutex_lock(&mutex, PIPC_NOWAIT), DEADLOCK);
    CHECK_OK(pipc_mutex_unlock(&mutex));
}

/* The child is a copy of the thread that has the lock, and has nothing. */
static int misuse_then_lock(void *argument)
{
    struct holder *holder = argument;
    misuse_from_a_thread(holder->mutex);
    return hold(holder);
}

static void a_forked_child_does_not_have_what_its_parent_has(void)
{
    struct holder *holder = test_shared(sizeof *holder);
    holder->mutex = shared_mutex();
    CHECK_OK(pipc_mutex_lock(holder->mutex, PIPC_NOWAIT));
    pid_t child = test_fork(misuse_then_lock, holder);
    REQUIRE(test_await_sleep(child));
    test_sleep(PIPC_MS(50));
    CHECK_EQUAL(atomic_load(&holder->has), 0);
    CHECK_OK(pipc_mutex_unlock(holder->mutex));
    REQUIRE(test_await(&holder->has, 1));
    CHECK_ERROR(pipc_mutex_unlock(holder->mutex), ACCESS);
    end_holding(holder, child);
}

/* ---- Many ---- */

enum { COUNTERS = 3, THREADS = 2, TURNS = 8000 };

struct counted {
    pipc_mutex mutex;
    uint64_t first, second; /* plain: the lock must order and exclude */
    int64_t span;
};

static void *count_up(void *argument)
{
    struct counted *counted = argument;
    for (int i = 0; i < TURNS; i++) {
        int error;
        do
            error = pipc_mutex_lock(&counted->mutex, counted->span);
        while (error == PIPC_E_BUSY || error == PIPC_E_TIMEOUT);
        REQUIRE_OK(error);
        REQUIRE_EQUAL(counted->first, counted->second);
        counted->first++;
        if (i % 64 == 0)
            test_sleep(PIPC_US(20));
        counted->second++;
        CHECK_OK(pipc_mutex_unlock(&counted->mutex));
    }
    return NULL;
}

static int count_in_threads(void *argument)
{
    pthread_t threads[THREADS];
    for (int i = 0; i < THREADS; i++)
        REQUIRE(pthread_create(&threads[i], NULL, count_up, argument) == 0);
    for (int i = 0; i < THREADS; i++)
        pthread_join(threads[i], NULL);
    return 0;
}

static void count_together(int64_t span)
{
    struct counted *counted = test_shared(sizeof *counted);
    pid_t children[COUNTERS];
    counted->span = span;
    for (int i = 0; i < COUNTERS; i++)
        children[i] = test_fork(count_in_threads, counted);
    for (int i = 0; i < COUNTERS; i++)
        CHECK_EQUAL(test_wait(children[i], PIPC_SECONDS(50)), 0);
    CHECK_EQUAL(counted->first, COUNTERS * THREADS * TURNS);
    CHECK_EQUAL(counted->second, COUNTERS * THREADS * TURNS);
}

static void processes_and_threads_count_under_the_lock(void)
{
    count_together(PIPC_FOREVER);
}

static void short_waits_and_tries_exclude_too(void)
{
    count_together(PIPC_US(30));
}

static void what_was_written_under_the_lock_is_seen_under_it(void)
{
    static struct counted counted = {.span = PIPC_FOREVER};
    count_in_threads(&counted);
    CHECK_EQUAL(counted.first, THREADS * TURNS);
}

static int by_size(const void *a, const void *b)
{
    int64_t left = *(const int64_t *)a, right = *(const int64_t *)b;
    return (left > right) - (left < right);
}

static int take_and_note(void *argument)
{
    struct holder *holder = argument;
    REQUIRE_OK(pipc_mutex_lock(holder->mutex, PIPC_SECONDS(20)));
    *(int64_t *)(holder + 1) = test_now();
    return pipc_mutex_unlock(holder->mutex);
}

/* Without a wake-up the sleeper looks every 20 ms, which is 10 too late in the middle. */
static void unlocking_wakes_a_sleeper(void)
{
    enum { TRIES = 15 };
    int64_t late[TRIES];
    struct holder *holder = test_shared(sizeof *holder + sizeof(int64_t));
    holder->mutex = shared_mutex();
    for (int i = 0; i < TRIES; i++) {
        CHECK_OK(pipc_mutex_lock(holder->mutex, PIPC_NOWAIT));
        pid_t child = test_fork(take_and_note, holder);
        REQUIRE(test_await_sleep(child));
        test_sleep(PIPC_MS(60 + rand() % 20)); /* its naps have become long */
        int64_t gave = test_now();
        CHECK_OK(pipc_mutex_unlock(holder->mutex));
        CHECK_EQUAL(test_wait(child, PIPC_SECONDS(30)), 0);
        late[i] = *(int64_t *)(holder + 1) - gave;
    }
    qsort(late, TRIES, sizeof *late, by_size);
    CHECK(late[TRIES / 2] < PIPC_MS(4)); /* some may have met a busy machine */
}

static int pass_on(void *argument)
{
    struct counted *counted = argument;
    for (int i = 0; i < 40; i++) {
        REQUIRE_OK(pipc_mutex_lock(&counted->mutex, PIPC_SECONDS(40)));
        counted->first++;
        test_sleep(PIPC_US(100)); /* all others fall asleep */
        CHECK_OK(pipc_mutex_unlock(&counted->mutex));
    }
    return 0;
}

static void many_sleepers_are_woken_one_after_the_other(void)
{
    enum { SLEEPERS = 16 };
    struct counted *counted = test_shared(sizeof *counted);
    pid_t children[SLEEPERS];
    for (int i = 0; i < SLEEPERS; i++)
        children[i] = test_fork(pass_on, counted);
    for (int i = 0; i < SLEEPERS; i++)
        CHECK_EQUAL(test_wait(children[i], PIPC_SECONDS(50)), 0);
    CHECK_EQUAL(counted->first, SLEEPERS * 40);
}

/* ---- Signals and cancellation ---- */

static void do_nothing(int number)
{
    (void)number;
}

static void a_signal_ends_the_wait_whatever_sa_restart_says(void)
{
    struct holder *holder = test_shared(sizeof *holder);
    pipc_mutex *mutex = shared_mutex();
    pid_t child = begin_holding(holder, mutex);
    for (int i = 0; i < 2; i++) {
        struct sigaction action = {.sa_handler = do_nothing, .sa_flags = i ? SA_RESTART : 0};
        REQUIRE(sigaction(SIGUSR1, &action, NULL) == 0);
        _Atomic uint32_t *ended = test_shared(sizeof *ended);
        pid_t sender = test_signal_sleeper(ended);
        CHECK_ERROR(pipc_mutex_lock(mutex, PIPC_SECONDS(20)), INTERRUPTED);
        atomic_store(ended, 1);
        CHECK_EQUAL(test_wait(sender, PIPC_SECONDS(10)), 0);
    }
    CHECK_ERROR(pipc_mutex_unlock(mutex), ACCESS);
    end_holding(holder, child);
}

static _Atomic int wait_answer;

static void *wait_uncancelled(void *argument)
{
    int answer = pipc_mutex_lock(argument, PIPC_MS(200));
    atomic_store(&wait_answer, answer);
    pthread_testcancel();
    return NULL;
}

static void a_wait_is_no_cancellation_point(void)
{
    static pipc_mutex mutex;
    pthread_t thread;
    void *result = NULL;
    atomic_store(&wait_answer, -1);
    CHECK_OK(pipc_mutex_lock(&mutex, PIPC_NOWAIT));
    REQUIRE(pthread_create(&thread, NULL, wait_uncancelled, &mutex) == 0);
    test_sleep(PIPC_MS(20));
    CHECK(pthread_cancel(thread) == 0);
    pthread_join(thread, &result);
    CHECK_EQUAL(atomic_load(&wait_answer), PIPC_E_TIMEOUT);
    CHECK(result == PTHREAD_CANCELED);
    CHECK_OK(pipc_mutex_unlock(&mutex));
}

/* ---- In memory that has a name ---- */

static int lock_by_name(void *argument)
{
    pipc_shm *shm;
    pipc_mutex *mutex;
    REQUIRE_OK(pipc_shm_open(&shm, argument, 0, NULL));
    REQUIRE_OK(pipc_shm_map(shm, PIPC_READ | PIPC_WRITE, (void **)&mutex));
    CHECK_ERROR(pipc_mutex_lock(mutex, PIPC_NOWAIT), BUSY);
    CHECK_OK(pipc_mutex_lock(mutex, PIPC_SECONDS(20)));
    CHECK_OK(pipc_mutex_unlock(mutex));
    return pipc_shm_close(shm);
}

static void a_lock_works_in_named_memory(void)
{
    const char *name = test_name("mutex");
    pipc_shm *shm;
    pipc_mutex *mutex;
    REQUIRE_OK(pipc_shm_open(&shm, name, PIPC_CREATE, &(pipc_shm_options){.size = sizeof(pipc_mutex)}));
    REQUIRE_OK(pipc_shm_map(shm, PIPC_READ | PIPC_WRITE, (void **)&mutex));
    CHECK_OK(pipc_mutex_lock(mutex, PIPC_NOWAIT));
    pid_t child = test_fork(lock_by_name, (void *)name);
    REQUIRE(test_await_sleep(child));
    CHECK_OK(pipc_mutex_unlock(mutex));
    CHECK_EQUAL(test_wait(child, PIPC_SECONDS(25)), 0);
    CHECK_OK(pipc_shm_close(shm));
    CHECK_OK(pipc_shm_remove(name));
}

#define TEST(name)                                                                                                     \
    {                                                                                                                  \
        "M7", #name, name, 0                                                                                           \
    }

static const struct test tests[] = {
    TEST(zeros_are_a_ready_lock),
    TEST(init_makes_anything_a_ready_lock),
    TEST(recursion_is_refused),
    TEST(recursion_is_refused_while_others_wait),
    TEST(bad_arguments_are_refused),
    TEST(a_try_answers_at_once),
    TEST(timeouts_are_never_early),
    TEST(a_thread_cannot_unlock_what_another_has),
    TEST(a_forked_child_does_not_have_what_its_parent_has),
    TEST(processes_and_threads_count_under_the_lock),
    TEST(short_waits_and_tries_exclude_too),
    TEST(what_was_written_under_the_lock_is_seen_under_it),
    TEST(unlocking_wakes_a_sleeper),
    TEST(many_sleepers_are_woken_one_after_the_other),
    TEST(a_signal_ends_the_wait_whatever_sa_restart_says),
    TEST(a_wait_is_no_cancellation_point),
    TEST(a_lock_works_in_named_memory),
};

TEST_MAIN("mutex", tests)
