/* kill -9 after each instruction of each call on the lock and on the semaphore: M7. Whoever comes next is told of a
 * death with the lock, once, and of nothing else; no token appears, and none goes but with whoever had taken it. */
#include <string.h>

#include "step_trial.h"

/* In memory that all processes share. */
static struct things {
    pipc_mutex mutex;
    pipc_semaphore semaphore;
    _Atomic uint32_t held;
} * things;

static void bad_answer(struct step_stage *stage, uint64_t *figure, const char *call, int answer)
{
    step_bad(stage, figure, "%s answered %s; detail: %s", call, answer ? pipc_error_name(answer) : "PIPC_OK",
             pipc_error_detail());
}

static void expect(struct step_stage *stage, const char *call, int answer, int expected)
{
    if (answer != expected)
        bad_answer(stage, expected ? &stage->figures.lost : &stage->figures.duplicated, call, answer);
}

static void begin(struct step_stage *stage)
{
    (void)stage;
    if (!things)
        things = test_shared(sizeof *things);
    memset(things, 0, sizeof *things);
}

static void note_delay(struct step_stage *stage, int64_t began)
{
    if (test_now() - began > stage->figures.worst_delay)
        stage->figures.worst_delay = test_now() - began;
}

/* ---- The lock ---- */

static bool is_held(void)
{
    return *(_Atomic uint64_t *)&things->mutex != 0;
}

static void begin_free(struct step_stage *stage)
{
    begin(stage);
    REQUIRE_OK(pipc_mutex_lock(&things->mutex, PIPC_NOWAIT));
    REQUIRE_OK(pipc_mutex_unlock(&things->mutex));
}

static void begin_mine(struct step_stage *stage)
{
    begin(stage);
    REQUIRE_OK(pipc_mutex_lock(&things->mutex, PIPC_NOWAIT));
}

static int lock_and_end(void *argument)
{
    (void)argument;
    return pipc_mutex_lock(&things->mutex, PIPC_NOWAIT);
}

static void begin_dead(struct step_stage *stage)
{
    begin(stage);
    REQUIRE_EQUAL(test_wait(test_fork(lock_and_end, NULL), PIPC_SECONDS(30)), 0);
}

/* Told exactly if somebody died with it, and only once. */
static void judge_next(struct step_stage *stage, bool told)
{
    int64_t span = stage->trial % 2 ? PIPC_SECONDS(20) : PIPC_NOWAIT, began = test_now();
    expect(stage, "the next lock", pipc_mutex_lock(&things->mutex, span), told ? PIPC_E_OWNER_DIED : 0);
    note_delay(stage, began);
    expect(stage, "unlock", pipc_mutex_unlock(&things->mutex), 0);
    expect(stage, "a second unlock", pipc_mutex_unlock(&things->mutex), PIPC_E_ACCESS);
    expect(stage, "a further lock", pipc_mutex_lock(&things->mutex, PIPC_NOWAIT), 0);
    expect(stage, "a further unlock", pipc_mutex_unlock(&things->mutex), 0);
}

static void judge_locked(struct step_stage *stage)
{
    if (stage->whole && !is_held())
        step_bad(stage, &stage->figures.lost, "the call was whole, and the lock is free");
    judge_next(stage, is_held());
}

static void judge_unlocked(struct step_stage *stage)
{
    if (stage->whole && is_held())
        step_bad(stage, &stage->figures.lost, "the call was whole, and the lock is held");
    judge_next(stage, is_held());
}

static void judge_mine(struct step_stage *stage)
{
    expect(stage, "the owner's lock", pipc_mutex_lock(&things->mutex, PIPC_NOWAIT), PIPC_E_DEADLOCK);
    expect(stage, "the owner's unlock", pipc_mutex_unlock(&things->mutex), 0);
    judge_next(stage, false);
}

static void judge_robbed(struct step_stage *stage)
{
    judge_next(stage, true);
}

static int call_lock(struct step_stage *stage)
{
    (void)stage;
    return pipc_mutex_lock(&things->mutex, PIPC_SECONDS(20));
}

static int call_lock_briefly(struct step_stage *stage)
{
    (void)stage;
    return pipc_mutex_lock(&things->mutex, PIPC_US(700)); /* longer than the first nap */
}

static int call_try(struct step_stage *stage)
{
    (void)stage;
    return pipc_mutex_lock(&things->mutex, PIPC_NOWAIT);
}

static int call_unlock(struct step_stage *stage)
{
    (void)stage;
    return pipc_mutex_unlock(&things->mutex);
}

static void ready_held(struct step_stage *stage)
{
    (void)stage;
    REQUIRE_OK(pipc_mutex_lock(&things->mutex, PIPC_NOWAIT));
}

static int lock_after_it(void *argument)
{
    (void)argument;
    test_await(&things->held, 1);
    int error = pipc_mutex_lock(&things->mutex, PIPC_SECONDS(20));
    int unlocked = pipc_mutex_unlock(&things->mutex);
    return unlocked ? 99 : error;
}

static void begin_with_waiter(struct step_stage *stage)
{
    begin(stage);
    stage->waiter = test_fork(lock_after_it, NULL);
}

/* The lock is held, and somebody sleeps behind it. */
static void ready_waited_for(struct step_stage *stage)
{
    ready_held(stage);
    atomic_store(&things->held, 1);
    for (int64_t end = test_now() + PIPC_SECONDS(20); !(*(_Atomic uint64_t *)&things->mutex & UINT64_C(1) << 31);)
        REQUIRE(test_now() < end);
    test_await_sleep(stage->waiter);
}

static void judge_waiter(struct step_stage *stage)
{
    int64_t began = test_now();
    int status = test_wait(stage->waiter, PIPC_SECONDS(40));
    note_delay(stage, began);
    if (status != 0 && (stage->whole || status != PIPC_E_OWNER_DIED))
        step_bad(stage, &stage->figures.hangs, "the waiter ended with %d", status);
    judge_next(stage, false);
}

/* ---- The semaphore ---- */

static uint32_t tokens(void)
{
    uint32_t value = UINT32_MAX;
    REQUIRE_OK(pipc_semaphore_value(&things->semaphore, &value));
    return value;
}

static int wait_long(void *argument)
{
    (void)argument;
    return pipc_semaphore_wait(&things->semaphore, PIPC_SECONDS(20));
}

static void begin_with_sleeper(struct step_stage *stage)
{
    begin(stage);
    stage->waiter = test_fork(wait_long, NULL);
    test_await_sleep(stage->waiter);
}

static void begin_with_token(struct step_stage *stage)
{
    begin(stage);
    REQUIRE_OK(pipc_semaphore_init(&things->semaphore, 1));
}

static void judge_sleeper(struct step_stage *stage, uint32_t least, uint32_t most)
{
    int64_t began = test_now();
    int status = test_wait(stage->waiter, PIPC_SECONDS(40));
    note_delay(stage, began);
    if (status != 0)
        step_bad(stage, &stage->figures.hangs, "the sleeper ended with %d", status);
    if (tokens() < least || tokens() > most)
        step_bad(stage, &stage->figures.lost, "%u tokens are left, not %u to %u", tokens(), least, most);
}

/* A token that was counted is the sleeper's, though nobody woke it; if there is none, another post brings it. */
static void judge_posted(struct step_stage *stage)
{
    bool counted = tokens() == 1;
    if (!counted)
        REQUIRE_OK(pipc_semaphore_post(&things->semaphore, 1));
    judge_sleeper(stage, !counted && stage->whole, !counted);
}

static void judge_not_swallowed(struct step_stage *stage)
{
    REQUIRE_OK(pipc_semaphore_post(&things->semaphore, 1));
    judge_sleeper(stage, 0, 0);
}

static void judge_taken(struct step_stage *stage)
{
    if (tokens() > 1 || (stage->whole && tokens() != 0))
        step_bad(stage, &stage->figures.duplicated, "%u tokens are left", tokens());
    int expected = tokens() ? 0 : PIPC_E_TIMEOUT; /* asked before the try */
    expect(stage, "a try", pipc_semaphore_wait(&things->semaphore, PIPC_NOWAIT), expected);
    expect(stage, "a post", pipc_semaphore_post(&things->semaphore, 3), 0);
    expect(stage, "a wait", pipc_semaphore_wait(&things->semaphore, PIPC_SECONDS(20)), 0);
    if (tokens() != 2)
        step_bad(stage, &stage->figures.lost, "%u tokens are left, not 2", tokens());
}

static int call_post(struct step_stage *stage)
{
    (void)stage;
    return pipc_semaphore_post(&things->semaphore, 1);
}

static int call_wait(struct step_stage *stage)
{
    (void)stage;
    return pipc_semaphore_wait(&things->semaphore, PIPC_US(200));
}

/* ---- The tests ---- */

#define STEP(what, set_it, call_it, judge_it, ...)                                                                     \
    static void killed_in_##what(void)                                                                                 \
    {                                                                                                                  \
        step_everywhere(&(struct step_case){                                                                           \
            .name = "step/" #what, .set = set_it, .call = call_it, .judge = judge_it, __VA_ARGS__});                   \
    }

STEP(lock, begin_free, call_lock, judge_locked, .answer = 0)
STEP(first_lock, begin, call_lock, judge_locked, .answer = 0)
STEP(try, begin_free, call_try, judge_locked, .answer = 0)
STEP(try_of_a_held_lock, begin_mine, call_try, judge_mine, .answer = PIPC_E_BUSY)
STEP(wait_for_a_held_lock, begin_mine, call_lock_briefly, judge_mine, .answer = PIPC_E_TIMEOUT)
STEP(lock_of_the_dead, begin_dead, call_lock, judge_robbed, .answer = PIPC_E_OWNER_DIED)
STEP(try_of_the_dead, begin_dead, call_try, judge_robbed, .answer = PIPC_E_OWNER_DIED)
STEP(unlock, begin, call_unlock, judge_unlocked, .ready = ready_held)
STEP(unlock_with_a_waiter, begin_with_waiter, call_unlock, judge_waiter, .ready = ready_waited_for)
STEP(post, begin_with_sleeper, call_post, judge_posted, .answer = 0)
STEP(wait_with_a_token, begin_with_token, call_wait, judge_taken, .answer = 0)
STEP(wait_beside_another, begin_with_sleeper, call_wait, judge_not_swallowed, .answer = PIPC_E_TIMEOUT)

#define TEST(what)                                                                                                     \
    {                                                                                                                  \
        "M7 G4", "killed_in_" #what, killed_in_##what, 0                                                               \
    }

static const struct test tests[] = {
    TEST(lock),
    TEST(first_lock),
    TEST(try),
    TEST(try_of_a_held_lock),
    TEST(wait_for_a_held_lock),
    TEST(lock_of_the_dead),
    TEST(try_of_the_dead),
    TEST(unlock),
    TEST(unlock_with_a_waiter),
    TEST(post),
    TEST(wait_with_a_token),
    TEST(wait_beside_another),
};

TEST_MAIN("step_sync", tests)
