/* kill -9 after each instruction of each call that makes, finds, opens, maps, closes or removes something, and of
 * the event's: Q2, Q10, M1, M4, M5, M7. */
#include "kinds.h"
#include "step_trial.h"

enum { NUMBER = 41 };

static void bad_answer(struct step_stage *stage, uint64_t *figure, const char *call, int answer)
{
    step_bad(stage, figure, "%s answered %s; detail: %s", call, answer ? pipc_error_name(answer) : "PIPC_OK",
             pipc_error_detail());
}

static void expect(struct step_stage *stage, const char *call, int answer, int expected)
{
    if (answer != expected)
        bad_answer(stage, answer == PIPC_E_BUSY ? &stage->figures.hangs : &stage->figures.lost, call, answer);
}

/* ---- Names and handles ---- */

static int make(struct step_stage *stage, void **handle)
{
    return stage->of->kind->open(handle, test_name("o"), PIPC_CREATE | PIPC_EXCLUSIVE, 0);
}

static int join(struct step_stage *stage, void **handle)
{
    return stage->of->kind->open(handle, test_name("o"), 0, 0);
}

static int drop(struct step_stage *stage)
{
    return stage->of->kind->remove(test_name("o"));
}

static void read_number(struct step_stage *stage, void *handle)
{
    uint32_t number = 0;
    expect(stage, "a read", stage->of->kind->read(handle, &number), 0);
    if (number != NUMBER)
        step_bad(stage, &stage->figures.lost, "%u is there instead of %u", number, NUMBER);
}

/* What is open under the name works; then it goes. */
static void use_and_drop(struct step_stage *stage, void *handle)
{
    expect(stage, "a write", stage->of->kind->write(handle, NUMBER), 0);
    read_number(stage, handle);
    stage->of->kind->close(handle);
    expect(stage, "remove", drop(stage), 0);
    expect(stage, "a second remove", drop(stage), PIPC_E_NOT_FOUND);
}

static void make_and_use(struct step_stage *stage)
{
    void *handle = NULL;
    int error = make(stage, &handle);
    expect(stage, "create", error, 0);
    if (!error)
        use_and_drop(stage, handle);
}

static void set_nothing(struct step_stage *stage)
{
    if (stage->of->dies)
        step_die(stage);
}

static void set_object(struct step_stage *stage)
{
    REQUIRE_OK(make(stage, &stage->handle));
    REQUIRE_OK(stage->of->kind->write(stage->handle, NUMBER));
}

static void set_removed(struct step_stage *stage)
{
    set_object(stage);
    stage->of->kind->close(stage->handle);
    step_die(stage);
}

/* Whatever was left, the first one that comes may create, remove, or look. */
static void judge_name(struct step_stage *stage)
{
    void *handle = NULL;
    bool there = stage->whole && stage->of->makes;
    int64_t began = test_now();
    int error;
    if (stage->trial % 3 == 0)
        error = make(stage, &handle);
    else if (stage->trial % 3 == 1)
        error = drop(stage);
    else
        error = join(stage, &handle);
    if (test_now() - began > stage->figures.worst_delay)
        stage->figures.worst_delay = test_now() - began;
    bool found = stage->trial % 3 == 0 ? error == PIPC_E_EXISTS : error == 0;
    if (!found)
        expect(stage, "the first call on the name", error, stage->trial % 3 == 0 ? 0 : PIPC_E_NOT_FOUND);
    if (found != there && (there || (stage->whole && !stage->of->makes)))
        step_bad(stage, &stage->figures.lost, "the call was whole, and the object is %sthere", there ? "not " : "");
    if (stage->trial % 3 == 0 && found)
        expect(stage, "open", join(stage, &handle), 0);
    if (handle)
        use_and_drop(stage, handle);
    make_and_use(stage);
}

/* The object is as it was, and nobody is attached to it but the test's process. */
static void judge_object(struct step_stage *stage)
{
    const struct kind *kind = stage->of->kind;
    struct kind_facts facts;
    pipc_shm_info info;
    void *handle = NULL;
    if (kind == &kind_shm) {
        expect(stage, "statistics", pipc_shm_statistics(stage->handle, &info), 0);
        if (info.attachments != 1)
            step_bad(stage, &stage->figures.leaks, "%u attachments are counted", (unsigned)info.attachments);
    }
    expect(stage, "open", join(stage, &handle), 0);
    if (handle)
        read_number(stage, handle);
    kind->close(handle);
    expect(stage, "remove", drop(stage), 0);
    expect(stage, "statistics of the removed", kind->facts(stage->handle, &facts), PIPC_E_REMOVED);
    kind->close(stage->handle);
    if (stage->trial % 2)
        make_and_use(stage);
}

/* Removed or not: the old handle, the name and a second remover agree. */
static void judge_removal(struct step_stage *stage)
{
    const struct kind *kind = stage->of->kind;
    struct kind_facts facts;
    void *handle = NULL;
    int error = kind->facts(stage->handle, &facts);
    if (error == 0 && stage->whole)
        step_bad(stage, &stage->figures.leaks, "the removal was whole, and the old handle works");
    if (error == 0)
        read_number(stage, stage->handle);
    else
        expect(stage, "statistics", error, PIPC_E_REMOVED);
    if (stage->trial % 2 == 0)
        expect(stage, "open", join(stage, &handle), error ? PIPC_E_NOT_FOUND : 0);
    kind->close(handle);
    if (stage->trial % 3 == 0 || error == 0)
        expect(stage, "remove", drop(stage), error ? PIPC_E_NOT_FOUND : 0);
    make_and_use(stage);
    expect(stage, "statistics of the removed", kind->facts(stage->handle, &facts), PIPC_E_REMOVED);
    kind->close(stage->handle);
}

/* ---- The calls on names and handles ---- */

static int call_make(struct step_stage *stage)
{
    return make(stage, &stage->own);
}

static int call_join(struct step_stage *stage)
{
    return join(stage, &stage->own);
}

static int call_either(struct step_stage *stage)
{
    return stage->of->kind->open(&stage->own, test_name("o"), PIPC_CREATE, 0);
}

static int call_close(struct step_stage *stage)
{
    return stage->of->kind->close(stage->own);
}

static void ready_own(struct step_stage *stage)
{
    REQUIRE_OK(join(stage, &stage->own));
}

static void ready_mapped(struct step_stage *stage)
{
    ready_own(stage);
    REQUIRE_OK(pipc_shm_map(stage->own, PIPC_READ, &stage->address));
}

static int call_map(struct step_stage *stage)
{
    return pipc_shm_map(stage->own, PIPC_READ | PIPC_WRITE, &stage->address);
}

static int call_unmap(struct step_stage *stage)
{
    return pipc_shm_unmap(stage->own, stage->address);
}

static int call_statistics(struct step_stage *stage)
{
    pipc_shm_info info;
    return pipc_shm_statistics(stage->own, &info);
}

/* ---- Events ---- */

static int wait_long(void *argument)
{
    struct step_stage *stage = argument;
    return pipc_event_wait(stage->event, 1, NULL, PIPC_SECONDS(20));
}

/* Somebody sleeps already, so that the setter has somebody to wake. */
static void set_event(struct step_stage *stage)
{
    REQUIRE_OK(pipc_event_init(stage->event, 1));
    stage->waiter = test_fork(wait_long, stage);
    test_await_sleep(stage->waiter);
}

/* A dead setter's value is seen by the sleeper within its slice; else the next setter wakes it. */
static void judge_event(struct step_stage *stage)
{
    uint32_t value = 0;
    pid_t second = test_fork(wait_long, stage);
    REQUIRE_OK(pipc_event_get(stage->event, &value));
    if (value != 1 && value != 2)
        step_bad(stage, &stage->figures.torn, "the value is %u", value);
    if (stage->whole && stage->of->makes && value != 2)
        step_bad(stage, &stage->figures.lost, "the value that was set is not there");
    int64_t began = test_now();
    if (value == 1) {
        test_await_sleep(second);
        REQUIRE_OK(pipc_event_set(stage->event, 2, PIPC_WAKE_ALL));
    }
    int first_ended = test_wait(stage->waiter, PIPC_SECONDS(40)), ended = test_wait(second, PIPC_SECONDS(40));
    if (test_now() - began > stage->figures.worst_delay)
        stage->figures.worst_delay = test_now() - began;
    if (first_ended || ended)
        step_bad(stage, &stage->figures.hangs, "waiters ended with %d and %d", first_ended, ended);
}

static int call_set_all(struct step_stage *stage)
{
    return pipc_event_set(stage->event, 2, PIPC_WAKE_ALL);
}

static int call_set_one(struct step_stage *stage)
{
    return pipc_event_set(stage->event, 2, PIPC_WAKE_ONE);
}

static int call_wait(struct step_stage *stage)
{
    return pipc_event_wait(stage->event, 1, NULL, PIPC_US(200));
}

static int call_watch(struct step_stage *stage)
{
    return pipc_event_watch(stage->event, 1, NULL, PIPC_US(200));
}

/* ---- The tests ---- */

#define STEP(what, set_it, call_it, judge_it, ...)                                                                     \
    static void killed_in_##what(void)                                                                                 \
    {                                                                                                                  \
        step_everywhere(&(struct step_case){                                                                           \
            .name = "step/" #what, .set = set_it, .call = call_it, .judge = judge_it, __VA_ARGS__});                   \
    }

#define ON_BOTH(what, ...)                                                                                             \
    STEP(queue_##what, __VA_ARGS__, .kind = &kind_queue)                                                               \
    STEP(memory_##what, __VA_ARGS__, .kind = &kind_shm)

#define AFTER(call, point) .dies = call, .dies_at = point

ON_BOTH(creation, set_nothing, call_make, judge_name, .makes = true)
ON_BOTH(creation_over_remains, set_nothing, call_make, judge_name, .makes = true, AFTER(call_make, "names: building"))
ON_BOTH(creation_over_a_built_one, set_nothing, call_either, judge_name, .makes = true,
        AFTER(call_make, "names: built, not ready"))
ON_BOTH(creation_over_a_removed_one, set_removed, call_make, judge_name, .makes = true,
        AFTER(drop, "names: dead, name not freed"))
ON_BOTH(removal_of_remains, set_nothing, drop, judge_name, .answer = PIPC_E_NOT_FOUND,
        AFTER(call_make, "names: built, not ready"))
ON_BOTH(look_for_nothing, set_nothing, call_join, judge_name, .answer = PIPC_E_NOT_FOUND)
ON_BOTH(refused_creation, set_object, call_make, judge_object, .answer = PIPC_E_EXISTS)
ON_BOTH(opening, set_object, call_join, judge_object, .answer = 0)
ON_BOTH(opening_or_creation, set_object, call_either, judge_object, .answer = 0)
ON_BOTH(removal, set_object, drop, judge_removal, .answer = 0)
ON_BOTH(closing, set_object, call_close, judge_object, .ready = ready_own)
STEP(memory_mapping, set_object, call_map, judge_object, .ready = ready_own, .kind = &kind_shm)
STEP(memory_second_mapping, set_object, call_map, judge_object, .ready = ready_mapped, .kind = &kind_shm)
STEP(memory_unmapping, set_object, call_unmap, judge_object, .ready = ready_mapped, .kind = &kind_shm)
STEP(memory_closing_while_mapped, set_object, call_close, judge_object, .ready = ready_mapped, .kind = &kind_shm)
STEP(memory_statistics, set_object, call_statistics, judge_object, .ready = ready_own, .kind = &kind_shm)
STEP(event_set, set_event, call_set_all, judge_event, .makes = true)
STEP(event_set_for_one, set_event, call_set_one, judge_event, .makes = true)
STEP(event_wait, set_event, call_wait, judge_event, .answer = PIPC_E_TIMEOUT)
STEP(event_watch, set_event, call_watch, judge_event, .answer = PIPC_E_TIMEOUT)

#define TEST(promises, what)                                                                                           \
    {                                                                                                                  \
        promises, "killed_in_" #what, killed_in_##what, 0                                                              \
    }
#define TEST_BOTH(queues, memory, what) TEST(queues, queue_##what), TEST(memory, memory_##what)

static const struct test tests[] = {
    TEST_BOTH("Q2", "M1", creation),
    TEST_BOTH("Q2", "M1", creation_over_remains),
    TEST_BOTH("Q2", "M1", creation_over_a_built_one),
    TEST_BOTH("Q2 Q10", "M1 M4", creation_over_a_removed_one),
    TEST_BOTH("Q2 Q10", "M1 M4", removal_of_remains),
    TEST_BOTH("Q2", "M1", look_for_nothing),
    TEST_BOTH("Q2", "M1", refused_creation),
    TEST_BOTH("Q2", "M1 M5", opening),
    TEST_BOTH("Q2", "M1 M5", opening_or_creation),
    TEST_BOTH("Q10", "M4", removal),
    TEST_BOTH("Q13", "M5", closing),
    TEST("M3 M5", memory_mapping),
    TEST("M3 M5", memory_second_mapping),
    TEST("M3 M5", memory_unmapping),
    TEST("M5", memory_closing_while_mapped),
    TEST("M5", memory_statistics),
    TEST("M7", event_set),
    TEST("M7", event_set_for_one),
    TEST("M7", event_wait),
    TEST("M7", event_watch),
};

TEST_MAIN("step_objects", tests)
