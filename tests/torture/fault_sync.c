/* The scenes of the lock and the semaphore; see fault_scene.h. */
#include <unistd.h>

#include "fault_scene.h"

static void check_span(struct scene *scene, int answer)
{
    if (answer == PIPC_E_TIMEOUT && scene->took < SCENE_SPAN)
        scene_blame(scene, "it timed out %lld us early", (long long)(SCENE_SPAN - scene->took) / 1000);
}

static int lock_and_live(void *argument)
{
    struct scene *scene = argument;
    REQUIRE_OK(pipc_mutex_lock(&scene->mutex, PIPC_NOWAIT));
    for (;;)
        pause();
    return 0;
}

static int lock_and_end(void *argument)
{
    struct scene *scene = argument;
    return pipc_mutex_lock(&scene->mutex, PIPC_NOWAIT);
}

static void prepare_held(struct scene *scene)
{
    scene->holder = test_fork(lock_and_live, scene);
    REQUIRE(test_await_sleep(scene->holder));
    REQUIRE_ERROR(pipc_mutex_lock(&scene->mutex, PIPC_NOWAIT), BUSY);
}

static void prepare_dead(struct scene *scene)
{
    REQUIRE_EQUAL(test_wait(test_fork(lock_and_end, scene), PIPC_SECONDS(20)), 0);
}

static void prepare_mine(struct scene *scene)
{
    REQUIRE_OK(pipc_mutex_lock(&scene->mutex, PIPC_NOWAIT));
    scene->mutex.words[0] |= UINT64_C(1) << 31; /* as if somebody waited */
}

static int call_lock(struct scene *scene)
{
    return pipc_mutex_lock(&scene->mutex, SCENE_SPAN);
}

static int call_try(struct scene *scene)
{
    return pipc_mutex_lock(&scene->mutex, PIPC_NOWAIT);
}

static int call_unlock(struct scene *scene)
{
    return pipc_mutex_unlock(&scene->mutex);
}

/* The lock is whose it was, unless the kernel said that its owner was gone; and then it is told when he really is. */
static void verify_held(struct scene *scene, int answer)
{
    check_span(scene, answer);
    if (answer == PIPC_E_OWNER_DIED && !scene->lied)
        scene_blame(scene, "it took the lock from the living");
    test_kill(scene->holder);
    int error = pipc_mutex_lock(&scene->mutex, PIPC_NOWAIT);
    if (error != (answer == PIPC_E_OWNER_DIED ? PIPC_E_DEADLOCK : PIPC_E_OWNER_DIED))
        scene_blame(scene, "locking after the owner's death: %s", pipc_error_name(error));
    scene_must(scene, pipc_mutex_unlock(&scene->mutex), "unlocking");
}

/* Whoever could not learn of the death leaves it to the next to be told. */
static void verify_dead(struct scene *scene, int answer)
{
    int error = answer == PIPC_E_OWNER_DIED ? answer : pipc_mutex_lock(&scene->mutex, PIPC_SECONDS(10));
    if (error != PIPC_E_OWNER_DIED)
        scene_blame(scene, "nobody was told of the death: %s", pipc_error_name(error));
    scene_must(scene, pipc_mutex_unlock(&scene->mutex), "unlocking");
    scene_must(scene, pipc_mutex_lock(&scene->mutex, PIPC_NOWAIT), "locking");
    scene_must(scene, pipc_mutex_unlock(&scene->mutex), "unlocking again");
}

static void verify_free(struct scene *scene, int answer)
{
    (void)answer;
    scene_must(scene, pipc_mutex_lock(&scene->mutex, PIPC_NOWAIT), "locking");
    scene_must(scene, pipc_mutex_unlock(&scene->mutex), "unlocking");
}

static int call_take(struct scene *scene)
{
    return pipc_semaphore_wait(&scene->semaphore, SCENE_SPAN);
}

static int call_post(struct scene *scene)
{
    return pipc_semaphore_post(&scene->semaphore, 1);
}

static void prepare_tokens(struct scene *scene)
{
    REQUIRE_OK(pipc_semaphore_init(&scene->semaphore, 0));
}

static void prepare_watched_tokens(struct scene *scene)
{
    REQUIRE_ERROR(call_take(scene), TIMEOUT);
}

static void expect_tokens(struct scene *scene, uint32_t expected)
{
    uint32_t value = 0;
    scene_must(scene, pipc_semaphore_value(&scene->semaphore, &value), "looking at the semaphore");
    if (value != expected)
        scene_blame(scene, "there are %u tokens, not %u", value, expected);
    scene_must(scene, call_post(scene), "posting");
    scene_must(scene, call_take(scene), "taking");
}

static void verify_no_token(struct scene *scene, int answer)
{
    check_span(scene, answer);
    expect_tokens(scene, 0);
}

static void verify_token(struct scene *scene, int answer)
{
    (void)answer;
    expect_tokens(scene, 1);
}

/* ---- All of them ---- */

const struct scene_play fault_syncs[] = {
    {"lock waits", "pipc_mutex_lock", " TIMEOUT INTERRUPTED OWNER_DIED ", PIPC_E_TIMEOUT, false, prepare_held,
     call_lock, verify_held},
    {"try of a held lock", "pipc_mutex_lock", " BUSY OWNER_DIED ", PIPC_E_BUSY, false, prepare_held, call_try,
     verify_held},
    {"lock after a dead owner", "pipc_mutex_lock", " TIMEOUT INTERRUPTED ", PIPC_E_OWNER_DIED, false, prepare_dead,
     call_lock, verify_dead},
    {"try after a dead owner", "pipc_mutex_lock", " BUSY ", PIPC_E_OWNER_DIED, false, prepare_dead, call_try,
     verify_dead},
    {"unlock", "pipc_mutex_unlock", "", 0, false, prepare_mine, call_unlock, verify_free},
    {"semaphore wait", "pipc_semaphore_wait", " TIMEOUT INTERRUPTED ", PIPC_E_TIMEOUT, false, prepare_tokens, call_take,
     verify_no_token},
    {"semaphore post", "pipc_semaphore_post", "", 0, false, prepare_watched_tokens, call_post, verify_token},
};

const unsigned fault_syncs_count = sizeof fault_syncs / sizeof *fault_syncs;
