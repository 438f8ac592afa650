/* Semaphores: every token is taken once, nobody sleeps while there is one, and deaths take none but those they had. */
#include <pthread.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

#include "support.h"

static pipc_semaphore *shared_semaphore(void)
{
    return test_shared(sizeof(pipc_semaphore));
}

static uint32_t value_of(const pipc_semaphore *semaphore)
{
    uint32_t value = UINT32_MAX;
    CHECK_OK(pipc_semaphore_value(semaphore, &value));
    return value;
}

/* ---- One thread ---- */

static void zeros_are_a_ready_semaphore_of_value_0(void)
{
    pipc_semaphore semaphore;
    memset(&semaphore, 0, sizeof semaphore);
    CHECK_EQUAL(value_of(&semaphore), 0);
    CHECK_ERROR(pipc_semaphore_wait(&semaphore, PIPC_NOWAIT), TIMEOUT);
    CHECK_OK(pipc_semaphore_post(&semaphore, 1));
    CHECK_OK(pipc_semaphore_wait(&semaphore, PIPC_NOWAIT));
    CHECK_EQUAL(value_of(&semaphore), 0);
}

static void each_wait_takes_one_token(void)
{
    static const int64_t spans[] = {PIPC_NOWAIT, PIPC_MS(5), PIPC_FOREVER};
    pipc_semaphore semaphore;
    memset(&semaphore, 0xff, sizeof semaphore);
    CHECK_OK(pipc_semaphore_init(&semaphore, 3));
    for (uint32_t i = 0; i < 3; i++) {
        CHECK_EQUAL(value_of(&semaphore), 3 - i);
        CHECK_OK(pipc_semaphore_wait(&semaphore, spans[i]));
    }
    CHECK_ERROR(pipc_semaphore_wait(&semaphore, PIPC_NOWAIT), TIMEOUT);
    CHECK_OK(pipc_semaphore_post(&semaphore, 2));
    CHECK_OK(pipc_semaphore_post(&semaphore, 5));
    CHECK_EQUAL(value_of(&semaphore), 7);
}

static void more_tokens_than_it_holds_are_refused_whole(void)
{
    pipc_semaphore semaphore;
    CHECK_OK(pipc_semaphore_init(&semaphore, PIPC_SEMAPHORE_MAX - 2));
    CHECK_ERROR(pipc_semaphore_post(&semaphore, 3), LIMIT);
    CHECK_ERROR(pipc_semaphore_post(&semaphore, PIPC_SEMAPHORE_MAX), LIMIT);
    CHECK_EQUAL(value_of(&semaphore), PIPC_SEMAPHORE_MAX - 2);
    CHECK_OK(pipc_semaphore_post(&semaphore, 2));
    CHECK_ERROR(pipc_semaphore_post(&semaphore, 1), LIMIT);
    CHECK_OK(pipc_semaphore_wait(&semaphore, PIPC_NOWAIT));
    CHECK_OK(pipc_semaphore_post(&semaphore, 1));
    CHECK_EQUAL(value_of(&semaphore), PIPC_SEMAPHORE_MAX);
    CHECK_OK(pipc_semaphore_init(&semaphore, 0));
    CHECK_OK(pipc_semaphore_post(&semaphore, PIPC_SEMAPHORE_MAX));
}

static void timeouts_are_never_early(void)
{
    static const int64_t spans[] = {0, 1, 999, 50000, 1000000, 3141592, 39999999, 40000001, 85000000, 170000000};
    pipc_semaphore semaphore = {{0, 0}};
    for (unsigned i = 0; i < sizeof spans / sizeof spans[0]; i++) {
        int64_t began = test_now();
        CHECK_ERROR(pipc_semaphore_wait(&semaphore, spans[i]), TIMEOUT);
        int64_t took = test_now() - began;
        CHECK(took >= spans[i]);
        CHECK(took < spans[i] + PIPC_SECONDS(1));
    }
    CHECK_EQUAL(value_of(&semaphore), 0);
}

static void bad_arguments_are_refused(void)
{
    uint64_t words[4] = {0};
    pipc_semaphore *semaphore = (pipc_semaphore *)words, *askew = (pipc_semaphore *)((char *)words + 4);
    uint32_t value;
    CHECK_ERROR(pipc_semaphore_init(NULL, 0), INVALID);
    CHECK_ERROR(pipc_semaphore_init(askew, 0), INVALID);
    CHECK_ERROR(pipc_semaphore_init(semaphore, (uint32_t)PIPC_SEMAPHORE_MAX + 1), INVALID);
    CHECK_ERROR(pipc_semaphore_init(semaphore, UINT32_MAX), INVALID);
    CHECK_ERROR(pipc_semaphore_post(NULL, 1), INVALID);
    CHECK_ERROR(pipc_semaphore_post(askew, 1), INVALID);
    CHECK_ERROR(pipc_semaphore_post(semaphore, 0), INVALID);
    CHECK_ERROR(pipc_semaphore_post(semaphore, (uint32_t)PIPC_SEMAPHORE_MAX + 1), INVALID);
    CHECK_ERROR(pipc_semaphore_post(semaphore, UINT32_MAX), INVALID);
    CHECK_ERROR(pipc_semaphore_wait(NULL, PIPC_NOWAIT), INVALID);
    CHECK_ERROR(pipc_semaphore_wait(askew, PIPC_NOWAIT), INVALID);
    CHECK_ERROR(pipc_semaphore_value(NULL, &value), INVALID);
    CHECK_ERROR(pipc_semaphore_value(askew, &value), INVALID);
    CHECK_ERROR(pipc_semaphore_value(semaphore, NULL), INVALID);
    CHECK_EQUAL(value_of(semaphore), 0);
    CHECK_OK(pipc_semaphore_post(semaphore, 1));
    CHECK_ERROR(pipc_semaphore_wait(semaphore, -1), INVALID);
    CHECK_ERROR(pipc_semaphore_wait(semaphore, INT64_MIN), INVALID);
    CHECK_EQUAL(value_of(semaphore), 1);
}

static void the_value_can_be_read_in_read_only_memory(void)
{
    pipc_semaphore *semaphore = shared_semaphore();
    CHECK_OK(pipc_semaphore_init(semaphore, 9));
    REQUIRE(mprotect(semaphore, sizeof *semaphore, PROT_READ) == 0);
    CHECK_EQUAL(value_of(semaphore), 9);
}

/* ---- Waking ---- */

struct sleepers {
    pipc_semaphore semaphore;
    _Atomic uint32_t awake;
};

static int take_one(void *argument)
{
    struct sleepers *sleepers = argument;
    CHECK_OK(pipc_semaphore_wait(&sleepers->semaphore, PIPC_SECONDS(30)));
    atomic_fetch_add(&sleepers->awake, 1);
    return 0;
}

static void a_post_wakes_as_many_as_it_has_tokens(void)
{
    enum { SLEEPERS = 8 };
    pid_t children[SLEEPERS];
    struct sleepers *sleepers = test_shared(sizeof *sleepers);
    for (unsigned i = 0; i < SLEEPERS; i++)
        children[i] = test_fork(take_one, sleepers);
    for (unsigned i = 0; i < SLEEPERS; i++)
        REQUIRE(test_await_sleep(children[i]));
    CHECK_OK(pipc_semaphore_post(&sleepers->semaphore, 3));
    REQUIRE(test_await(&sleepers->awake, 3));
    test_sleep(PIPC_MS(100));
    CHECK_EQUAL(atomic_load(&sleepers->awake), 3);
    CHECK_OK(pipc_semaphore_post(&sleepers->semaphore, 1));
    REQUIRE(test_await(&sleepers->awake, 4));
    CHECK_OK(pipc_semaphore_post(&sleepers->semaphore, SLEEPERS));
    for (unsigned i = 0; i < SLEEPERS; i++)
        CHECK_EQUAL(test_wait(children[i], PIPC_SECONDS(35)), 0);
    CHECK_EQUAL(value_of(&sleepers->semaphore), 4);
}

struct game {
    pipc_semaphore ping, pong;
    uint32_t rounds, slow;
};

static int answer_each(void *argument)
{
    struct game *game = argument;
    for (uint32_t round = 0; round < game->rounds; round++) {
        REQUIRE_OK(pipc_semaphore_wait(&game->ping, PIPC_SECONDS(20)));
        CHECK_OK(pipc_semaphore_post(&game->pong, 1));
    }
    return 0;
}

/* The slice mends a lost wake-up: it shows as a round of 40 ms. A busy machine makes a few slow, not one in twenty. */
static void no_wake_up_is_lost_between_processes(void)
{
    struct game *game = test_shared(sizeof *game);
    game->rounds = 20000;
    pid_t child = test_fork(answer_each, game);
    for (uint32_t round = 1; round <= game->rounds; round++) {
        int64_t began = test_now();
        CHECK_OK(pipc_semaphore_post(&game->ping, 1));
        REQUIRE_OK(pipc_semaphore_wait(&game->pong, PIPC_SECONDS(20)));
        game->slow += test_now() - began > PIPC_MS(30);
        REQUIRE(game->slow < 30 || game->slow < round / 20);
    }
    CHECK_EQUAL(test_wait(child, PIPC_SECONDS(10)), 0);
}

enum { POSTERS = 3, TAKERS = 5, TOKENS = 10000 };

struct market {
    pipc_semaphore semaphore;
    _Atomic uint64_t posted, taken;
    _Atomic uint32_t posters;
};

static int post_many(void *argument)
{
    struct market *market = argument;
    for (uint32_t i = 0; i < TOKENS; i++) {
        uint32_t count = 1 + i % 4;
        CHECK_OK(pipc_semaphore_post(&market->semaphore, count));
        atomic_fetch_add(&market->posted, count);
        if (i % 256 == 0)
            test_sleep(PIPC_US(200)); /* the takers fall asleep */
    }
    atomic_fetch_sub(&market->posters, 1);
    return 0;
}

static int take_many(void *argument)
{
    struct market *market = argument;
    for (uint32_t turn = 0;; turn++) {
        bool last = atomic_load(&market->posters) == 0;
        int error = pipc_semaphore_wait(&market->semaphore, turn % 8 ? PIPC_MS(20) : PIPC_US(turn % 50));
        CHECK(error == 0 || error == PIPC_E_TIMEOUT);
        if (error && last)
            return 0;
        atomic_fetch_add(&market->taken, !error);
    }
}

static void tokens_are_neither_lost_nor_doubled(void)
{
    pid_t children[POSTERS + TAKERS];
    struct market *market = test_shared(sizeof *market);
    atomic_store(&market->posters, POSTERS);
    for (unsigned i = 0; i < POSTERS + TAKERS; i++)
        children[i] = test_fork(i < POSTERS ? post_many : take_many, market);
    for (unsigned i = 0; i < POSTERS + TAKERS; i++)
        CHECK_EQUAL(test_wait(children[i], PIPC_SECONDS(50)), 0);
    CHECK_EQUAL(atomic_load(&market->taken), atomic_load(&market->posted));
    CHECK_EQUAL(value_of(&market->semaphore), 0);
}

struct parcel {
    pipc_semaphore full, empty;
    uint64_t data[8]; /* plain: the semaphore must order it */
};

static void *unpack(void *argument)
{
    struct parcel *parcel = argument;
    for (uint32_t round = 1; round <= 5000; round++) {
        REQUIRE_OK(pipc_semaphore_wait(&parcel->full, PIPC_SECONDS(20)));
        for (unsigned i = 0; i < 8; i++)
            CHECK_EQUAL(parcel->data[i], round + i);
        CHECK_OK(pipc_semaphore_post(&parcel->empty, 1));
    }
    return NULL;
}

static void what_was_written_before_the_post_is_seen_after_the_wait(void)
{
    static struct parcel parcel;
    pthread_t thread;
    REQUIRE(pthread_create(&thread, NULL, unpack, &parcel) == 0);
    for (uint32_t round = 1; round <= 5000; round++) {
        for (unsigned i = 0; i < 8; i++)
            parcel.data[i] = round + i;
        CHECK_OK(pipc_semaphore_post(&parcel.full, 1));
        REQUIRE_OK(pipc_semaphore_wait(&parcel.empty, PIPC_SECONDS(20)));
    }
    pthread_join(thread, NULL);
}

/* ---- Signals and cancellation ---- */

static pipc_semaphore signalled;

static void do_nothing(int number)
{
    (void)number;
}

static void post_from_handler(int number)
{
    (void)number;
    pipc_semaphore_post(&signalled, 1);
}

static void on_signal(void (*handler)(int), int flags)
{
    struct sigaction action = {.sa_handler = handler, .sa_flags = flags};
    REQUIRE(sigaction(SIGUSR1, &action, NULL) == 0);
}

static int signal_the_parent_once(void *argument)
{
    (void)argument;
    REQUIRE(test_await_sleep(getppid()));
    kill(getppid(), SIGUSR1);
    return 0;
}

static void a_signal_ends_the_wait_whatever_sa_restart_says(void)
{
    for (int i = 0; i < 2; i++) {
        pipc_semaphore semaphore = {{0, 0}};
        on_signal(do_nothing, i ? SA_RESTART : 0);
        _Atomic uint32_t *ended = test_shared(sizeof *ended);
        pid_t child = test_signal_sleeper(ended);
        CHECK_ERROR(pipc_semaphore_wait(&semaphore, PIPC_SECONDS(20)), INTERRUPTED);
        atomic_store(ended, 1);
        CHECK_EQUAL(value_of(&semaphore), 0);
        CHECK_EQUAL(test_wait(child, PIPC_SECONDS(10)), 0);
    }
}

/* The handler ran during the sleep, and its token is there: it is taken, not left behind. */
static void a_token_may_be_posted_in_a_signal_handler(void)
{
    on_signal(post_from_handler, 0);
    pid_t child = test_fork(signal_the_parent_once, NULL);
    CHECK_OK(pipc_semaphore_wait(&signalled, PIPC_SECONDS(20)));
    CHECK_EQUAL(value_of(&signalled), 0);
    CHECK_EQUAL(test_wait(child, PIPC_SECONDS(10)), 0);
}

static _Atomic int wait_answer;

static void *wait_uncancelled(void *argument)
{
    int answer = pipc_semaphore_wait(argument, PIPC_MS(200));
    atomic_store(&wait_answer, answer);
    pthread_testcancel();
    return NULL;
}

static void a_wait_is_no_cancellation_point(void)
{
    static pipc_semaphore semaphore;
    pthread_t thread;
    void *result = NULL;
    atomic_store(&wait_answer, -1);
    REQUIRE(pthread_create(&thread, NULL, wait_uncancelled, &semaphore) == 0);
    test_sleep(PIPC_MS(20));
    CHECK(pthread_cancel(thread) == 0);
    pthread_join(thread, &result);
    CHECK_EQUAL(atomic_load(&wait_answer), PIPC_E_TIMEOUT);
    CHECK(result == PTHREAD_CANCELED);
}

/* ---- Deaths ---- */

static int post_for_ever(void *argument)
{
    struct market *market = argument;
    for (;;) {
        atomic_fetch_add(&market->posted, 1);
        pipc_semaphore_post(&market->semaphore, 1);
    }
    return 0;
}

/* Its last post came or did not come, and the semaphore works. */
static void a_killed_poster_leaves_a_usable_semaphore(void)
{
    struct market *market = test_shared(sizeof *market);
    for (unsigned i = 0; i < 200 && test_failures() == 0; i++) {
        CHECK_OK(pipc_semaphore_init(&market->semaphore, 0));
        atomic_store(&market->posted, 0);
        pid_t poster = test_fork(post_for_ever, market);
        CHECK_OK(pipc_semaphore_wait(&market->semaphore, PIPC_SECONDS(10)));
        test_sleep(rand() % 100000);
        test_kill(poster);
        uint64_t left = value_of(&market->semaphore), posted = atomic_load(&market->posted);
        CHECK(left + 1 == posted || left + 2 == posted);
        CHECK_OK(pipc_semaphore_post(&market->semaphore, 1));
        CHECK_EQUAL(value_of(&market->semaphore), left + 1);
    }
}

/* The kill -9 falls on sleepers; a token is not for the dead, and whoever sleeps still gets it. */
static void killed_waiters_swallow_no_token(void)
{
    for (unsigned i = 0; i < 40; i++) {
        struct sleepers *sleepers = test_shared(sizeof *sleepers);
        pid_t doomed = test_fork(take_one, sleepers), other = test_fork(take_one, sleepers);
        REQUIRE(test_await_sleep(doomed));
        REQUIRE(test_await_sleep(other));
        kill(doomed, SIGKILL);
        int64_t began = test_now();
        CHECK_OK(pipc_semaphore_post(&sleepers->semaphore, 1));
        CHECK_EQUAL(test_wait(other, PIPC_SECONDS(35)), 0);
        CHECK(test_now() - began < PIPC_SECONDS(10));
        test_kill(doomed);
        CHECK_EQUAL(value_of(&sleepers->semaphore), 0);
    }
}

static int wait_by_name(void *argument)
{
    pipc_shm *shm;
    pipc_semaphore *semaphore;
    REQUIRE_OK(pipc_shm_open(&shm, argument, 0, NULL));
    REQUIRE_OK(pipc_shm_map(shm, PIPC_READ | PIPC_WRITE, (void **)&semaphore));
    CHECK_OK(pipc_semaphore_wait(semaphore, PIPC_SECONDS(20)));
    return pipc_shm_close(shm);
}

static void a_semaphore_works_in_named_memory(void)
{
    const char *name = test_name("semaphore");
    pipc_shm *shm;
    pipc_semaphore *semaphore;
    REQUIRE_OK(pipc_shm_open(&shm, name, PIPC_CREATE, &(pipc_shm_options){.size = sizeof(pipc_semaphore)}));
    REQUIRE_OK(pipc_shm_map(shm, PIPC_READ | PIPC_WRITE, (void **)&semaphore));
    pid_t child = test_fork(wait_by_name, (void *)name);
    REQUIRE(test_await_sleep(child));
    CHECK_OK(pipc_semaphore_post(semaphore, 1));
    CHECK_EQUAL(test_wait(child, PIPC_SECONDS(25)), 0);
    CHECK_OK(pipc_shm_close(shm));
    CHECK_OK(pipc_shm_remove(name));
}

#define TEST(name)                                                                                                     \
    {                                                                                                                  \
        "M7", #name, name, 0                                                                                           \
    }

static const struct test tests[] = {
    TEST(zeros_are_a_ready_semaphore_of_value_0),
    TEST(each_wait_takes_one_token),
    TEST(more_tokens_than_it_holds_are_refused_whole),
    TEST(timeouts_are_never_early),
    TEST(bad_arguments_are_refused),
    TEST(the_value_can_be_read_in_read_only_memory),
    TEST(a_post_wakes_as_many_as_it_has_tokens),
    TEST(no_wake_up_is_lost_between_processes),
    TEST(tokens_are_neither_lost_nor_doubled),
    TEST(what_was_written_before_the_post_is_seen_after_the_wait),
    TEST(a_signal_ends_the_wait_whatever_sa_restart_says),
    TEST(a_token_may_be_posted_in_a_signal_handler),
    TEST(a_wait_is_no_cancellation_point),
    TEST(a_killed_poster_leaves_a_usable_semaphore),
    TEST(killed_waiters_swallow_no_token),
    TEST(a_semaphore_works_in_named_memory),
};

TEST_MAIN("semaphore", tests)
