/* A hostile peer writes into a lock and a semaphore (G6): whatever stands there, each call ends in its time with an
 * answer that it may give, and init makes the thing ready again. */
#include <string.h>

#include "support_queue.h"
#include "watch.h"

static void nothing(void *prey)
{
    (void)prey;
}

/* ---- Each byte ---- */

static bool is_one_of(int error, const int *list)
{
    for (; *list >= 0; list++)
        if (*list == error)
            return true;
    return false;
}

static void check_lock(int error)
{
    static const int allowed[] = {0, PIPC_E_OWNER_DIED, PIPC_E_DEADLOCK, PIPC_E_BUSY, PIPC_E_TIMEOUT, -1};
    if (!is_one_of(error, allowed))
        CHECK_OK(error);
}

static int lock_timed(pipc_mutex *mutex, int64_t timeout)
{
    watch_call_begins();
    int error = pipc_mutex_lock(mutex, timeout);
    watch_call_ends();
    check_lock(error);
    return error;
}

/* What a lock may say of foreign bytes is anything; but whoever was told that it has it can give it back, unless it
 * was overwritten in between. */
static void use_lock(pipc_mutex *mutex, uint64_t number)
{
    int error = lock_timed(mutex, number % 8 ? PIPC_NOWAIT : PIPC_MS(1));
    bool mine = error == 0 || error == PIPC_E_OWNER_DIED || error == PIPC_E_DEADLOCK;
    int unlocked = pipc_mutex_unlock(mutex);
    CHECK_EQUAL(unlocked, mine ? 0 : PIPC_E_ACCESS);
}

static void scribble_on_mutex(void *prey, uint64_t number)
{
    pipc_mutex *mutex = prey;
    bool held = number / 256 / sizeof *mutex % 2;
    size_t byte = number / 256 % sizeof *mutex;
    watch_doing("byte %zu of a %s lock set to %u", byte, held ? "held" : "free", (unsigned)(number % 256));
    CHECK_OK(pipc_mutex_init(mutex));
    CHECK_OK(pipc_mutex_lock(mutex, PIPC_NOWAIT));
    if (!held)
        CHECK_OK(pipc_mutex_unlock(mutex));
    ((unsigned char *)mutex)[byte] = (unsigned char)number;
    use_lock(mutex, number / 5);
    CHECK_OK(pipc_mutex_init(mutex));
    CHECK_OK(pipc_mutex_lock(mutex, PIPC_MS(1)));
    CHECK_OK(pipc_mutex_unlock(mutex));
}

static void every_value_of_each_byte_of_a_lock(void)
{
    pipc_mutex *mutex = test_shared(sizeof *mutex);
    watch_trials(&(struct watch){"hostile-mutex", nothing, scribble_on_mutex, nothing, mutex,
                                 (uint64_t)2 * sizeof *mutex * 256, rig_deadline(PIPC_SECONDS(20))});
}

static void scribble_on_semaphore(void *prey, uint64_t number)
{
    pipc_semaphore *semaphore = prey;
    size_t byte = number / 256 % sizeof *semaphore;
    uint32_t value = 0;
    watch_doing("byte %zu of a semaphore set to %u", byte, (unsigned)(number % 256));
    CHECK_OK(pipc_semaphore_init(semaphore, 0));
    ((unsigned char *)semaphore)[byte] = (unsigned char)number;
    CHECK_OK(pipc_semaphore_value(semaphore, &value));
    watch_call_begins();
    CHECK_EQUAL(pipc_semaphore_wait(semaphore, number % 8 ? PIPC_NOWAIT : PIPC_MS(1)), value ? 0 : PIPC_E_TIMEOUT);
    value -= value != 0;
    CHECK_EQUAL(pipc_semaphore_post(semaphore, 1), value < PIPC_SEMAPHORE_MAX ? 0 : PIPC_E_LIMIT);
    CHECK_OK(pipc_semaphore_wait(semaphore, PIPC_SECONDS(1)));
    watch_call_ends();
}

static void every_value_of_each_byte_of_a_semaphore(void)
{
    pipc_semaphore *semaphore = test_shared(sizeof *semaphore);
    watch_trials(&(struct watch){"hostile-semaphore", nothing, scribble_on_semaphore, nothing, semaphore,
                                 (uint64_t)sizeof *semaphore * 256, rig_deadline(PIPC_SECONDS(20))});
}

/* ---- While others use them ---- */

struct scene {
    pipc_mutex mutex;
    pipc_semaphore semaphore;
    _Atomic uint32_t stop;
    _Atomic uint64_t calls;
    _Atomic int64_t longest;
};

static void call_something(struct scene *scene, uint64_t *random)
{
    int64_t span = test_random(random, 2) ? PIPC_MS(1) : PIPC_NOWAIT;
    if (test_random(random, 2)) {
        check_lock(pipc_mutex_lock(&scene->mutex, span));
        pipc_mutex_unlock(&scene->mutex);
    } else {
        int posted = pipc_semaphore_post(&scene->semaphore, 1 + test_random(random, 3));
        int waited = pipc_semaphore_wait(&scene->semaphore, span);
        CHECK(posted == 0 || posted == PIPC_E_LIMIT);
        CHECK(waited == 0 || waited == PIPC_E_TIMEOUT);
    }
}

static int use(void *argument)
{
    struct scene *scene = argument;
    uint64_t random = (uint64_t)test_now();
    while (!atomic_load(&scene->stop)) {
        int64_t began = test_now();
        call_something(scene, &random);
        int64_t took = test_now() - began;
        atomic_fetch_add(&scene->calls, 1);
        if (took > atomic_load(&scene->longest))
            atomic_store(&scene->longest, took);
    }
    return 0;
}

static int scribble(void *argument)
{
    struct scene *scene = argument;
    unsigned char *bytes = (unsigned char *)scene;
    uint64_t random = (uint64_t)test_now();
    for (uint32_t round = 0; !atomic_load(&scene->stop); round++) {
        size_t at = test_random(&random, offsetof(struct scene, stop));
        ((_Atomic unsigned char *)bytes)[at] = (unsigned char)test_random(&random, 256);
        if (round % 16 == 0)
            memset(bytes, 0, offsetof(struct scene, stop));
        if (round % 64 == 0)
            test_sleep(PIPC_US(test_random(&random, 300)));
    }
    return 0;
}

static void scribbling_while_others_lock_and_post(void)
{
    enum { USERS = 2 };
    struct rig_figures figures = {.rig = "hostile-sync"};
    struct scene *scene = test_shared(sizeof *scene);
    int64_t deadline = rig_deadline(PIPC_SECONDS(2));
    uint64_t most = rig_trials(UINT64_MAX, 2000000);
    pid_t users[USERS], peer = test_fork(scribble, scene);
    for (int i = 0; i < USERS; i++)
        users[i] = test_fork(use, scene);
    while (test_now() < deadline && atomic_load(&scene->calls) < most && test_failures() == 0)
        test_sleep(PIPC_MS(20));
    atomic_store(&scene->stop, 1);
    for (int i = 0; i < USERS; i++)
        CHECK_EQUAL(test_wait(users[i], 4 * WATCH_HANG), 0);
    CHECK_EQUAL(test_wait(peer, 4 * WATCH_HANG), 0);
    figures.trials = atomic_load(&scene->calls);
    figures.worst_delay = atomic_load(&scene->longest);
    figures.hangs = figures.worst_delay > WATCH_HANG;
    rig_tell(&figures);
}

static const struct test tests[] = {
    {"G6 M7", "every_value_of_each_byte_of_a_lock", every_value_of_each_byte_of_a_lock, 120},
    {"G6 M7", "every_value_of_each_byte_of_a_semaphore", every_value_of_each_byte_of_a_semaphore, 120},
    {"G6 M7", "scribbling_while_others_lock_and_post", scribbling_while_others_lock_and_post, 120},
};

TEST_MAIN("hostile_sync", tests)
