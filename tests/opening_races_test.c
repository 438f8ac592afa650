/* Many at once, and some that die: of racing creators one creates, of racing removers one removes,
 * and nobody who was killed or stopped blocks a name. */
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

#include "kinds.h"
#include "probe.h"

enum { RACERS = 8, ROUNDS = 1000 };

/* ---- racing by rounds ---- */

struct race {
    const struct kind *kind;
    struct test_barrier barrier;
    _Atomic uint32_t created, removed, opened;
    _Atomic int32_t creator;
    char name[PIPC_NAME_MAX + 1];
};

static struct race *race_for(const struct kind *kind, const char *what)
{
    struct race *race = test_shared(sizeof *race);
    race->kind = kind;
    snprintf(race->name, sizeof race->name, "%s", test_name(what));
    test_barrier_init(&race->barrier, RACERS);
    return race;
}

static void run_race(struct race *race, test_body *body, unsigned racers)
{
    pid_t children[RACERS];
    for (unsigned i = 0; i < racers; i++)
        children[i] = test_fork(body, race);
    for (unsigned i = 0; i < racers; i++)
        CHECK_EQUAL(test_wait(children[i], PIPC_SECONDS(50)), 0);
}

/* Counts a success; any other answer must be `otherwise`. */
static void note(int error, int otherwise, _Atomic uint32_t *count)
{
    if (!error)
        atomic_fetch_add(count, 1);
    else
        CHECK_EQUAL(error, otherwise);
}

static void *create_exclusively(struct race *race)
{
    void *handle;
    note(race->kind->open(&handle, race->name, PIPC_CREATE | PIPC_EXCLUSIVE, 0), PIPC_E_EXISTS, &race->created);
    return handle;
}

static int create_and_remove_by_rounds(void *argument)
{
    struct race *race = argument;
    for (uint32_t round = 1; round <= ROUNDS; round++) {
        REQUIRE(test_barrier_wait(&race->barrier));
        void *handle = create_exclusively(race);
        REQUIRE(test_barrier_wait(&race->barrier));
        REQUIRE_EQUAL(atomic_load(&race->created), round);
        race->kind->close(handle);
        note(race->kind->remove(race->name), PIPC_E_NOT_FOUND, &race->removed);
        REQUIRE(test_barrier_wait(&race->barrier));
        REQUIRE_EQUAL(atomic_load(&race->removed), round);
    }
    return 0;
}

static void one_of_each(const struct kind *kind)
{
    run_race(race_for(kind, "rounds"), create_and_remove_by_rounds, RACERS);
}

static void of_eight_creators_one_creates_and_of_eight_removers_one_removes(void)
{
    kind_both(one_of_each);
}

/* ---- everybody opens or creates: all meet in one object ---- */

static int meet(void *argument)
{
    struct race *race = argument;
    for (uint32_t round = 1; round <= ROUNDS; round++) {
        struct kind_facts facts;
        void *handle;
        REQUIRE(test_barrier_wait(&race->barrier));
        REQUIRE_OK(race->kind->open(&handle, race->name, PIPC_CREATE, 0));
        REQUIRE_OK(race->kind->facts(handle, &facts));
        int32_t nobody = 0;
        if (!atomic_compare_exchange_strong(&race->creator, &nobody, facts.creator))
            REQUIRE_EQUAL(facts.creator, nobody);
        REQUIRE(test_barrier_wait(&race->barrier));
        race->kind->close(handle);
        if (facts.creator == getpid()) {
            atomic_store(&race->creator, 0);
            REQUIRE_OK(race->kind->remove(race->name));
        }
        REQUIRE(test_barrier_wait(&race->barrier));
    }
    return 0;
}

static void meeting(const struct kind *kind)
{
    run_race(race_for(kind, "meeting"), meet, RACERS);
}

static void racing_open_or_create_meets_in_one_object(void)
{
    kind_both(meeting);
}

/* ---- no rounds: creators, removers and openers all the time ---- */

static void use(struct race *race, void *handle)
{
    struct kind_facts facts;
    int error = race->kind->facts(handle, &facts);
    CHECK(error == 0 || error == PIPC_E_REMOVED);
    CHECK(error || (facts.creator > 0 && facts.mode == 0600));
    race->kind->close(handle);
}

static int churn(void *argument)
{
    struct race *race = argument;
    srand((unsigned)getpid());
    for (uint32_t i = 0; i < 3 * ROUNDS; i++) {
        void *handle = NULL;
        int dice = rand() % 4;
        if (dice == 0 && (handle = create_exclusively(race)))
            use(race, handle);
        else if (dice == 1)
            note(race->kind->remove(race->name), PIPC_E_NOT_FOUND, &race->removed);
        else if (dice == 2)
            note(race->kind->open(&handle, race->name, 0, 0), PIPC_E_NOT_FOUND, &race->opened);
        if (dice == 2 && handle)
            use(race, handle);
    }
    return 0;
}

static void balance(const struct kind *kind)
{
    struct race *race = race_for(kind, "churn");
    run_race(race, churn, RACERS);
    uint32_t left = atomic_load(&race->created) - atomic_load(&race->removed);
    CHECK(atomic_load(&race->created) > 100);
    CHECK(atomic_load(&race->opened) > 100);
    CHECK(left <= 1);
    CHECK_EQUAL(kind->remove(race->name), left ? PIPC_OK : PIPC_E_NOT_FOUND);
}

static void creations_and_removals_balance_whatever_races(void)
{
    kind_both(balance);
}

/* ---- creators and removers that are killed ---- */

enum { KILLS = 1500 };

struct victim {
    const struct kind *kind;
    const char *name;
    uint32_t flags;
    _Atomic uint32_t *steps;
};

static int create_and_remove_for_ever(void *argument)
{
    struct victim *victim = argument;
    for (;;) {
        void *handle;
        victim->kind->open(&handle, victim->name, victim->flags, 0);
        atomic_fetch_add(victim->steps, 1);
        victim->kind->close(handle);
        victim->kind->remove(victim->name);
        atomic_fetch_add(victim->steps, 1);
    }
    return 0;
}

/* Busy: a sleep would be coarser than the calls that it shall hit. */
static void wait_about(int64_t nanoseconds)
{
    int64_t end = test_now() + nanoseconds;
    while (test_now() < end)
        ;
}

/* Right after the death the name must be usable for whoever comes. */
static void name_is_free_or_whole(const struct kind *kind, const char *name)
{
    void *handle;
    int64_t began = test_now();
    int error = kind->open(&handle, name, PIPC_CREATE | PIPC_EXCLUSIVE, 0);
    CHECK(error == 0 || error == PIPC_E_EXISTS);
    if (error == PIPC_E_EXISTS)
        REQUIRE_OK(kind->open(&handle, name, 0, 0));
    else
        REQUIRE_OK(error);
    CHECK_OK(kind->write(handle, 1));
    kind->close(handle);
    CHECK_OK(kind->remove(name));
    CHECK_ERROR(kind->remove(name), NOT_FOUND);
    CHECK(test_now() - began < PIPC_SECONDS(1));
}

static void kill_some(const struct kind *kind)
{
    struct victim victim = {.kind = kind, .name = test_name("victim"), .flags = PIPC_CREATE};
    victim.steps = test_shared(sizeof *victim.steps);
    srand((unsigned)getpid());
    for (unsigned i = 0; i < KILLS && !test_failures(); i++) {
        uint32_t before = atomic_load(victim.steps);
        pid_t child = test_fork(create_and_remove_for_ever, &victim);
        REQUIRE(test_await(victim.steps, before + 1));
        wait_about(rand() % 150000);
        test_kill(child);
        name_is_free_or_whole(kind, victim.name);
    }
}

static void killed_queue_makers_never_block_the_name(void)
{
    kill_some(&kind_queue);
}

static void killed_memory_makers_never_block_the_name(void)
{
    kill_some(&kind_shm);
}

/* Two fight for the name, both are killed: a loser's remains count too. */
static void kill_rivals(const struct kind *kind)
{
    struct victim victim = {.kind = kind, .name = test_name("rivals"), .flags = PIPC_CREATE | PIPC_EXCLUSIVE};
    victim.steps = test_shared(sizeof *victim.steps);
    srand((unsigned)getpid());
    for (unsigned i = 0; i < KILLS / 3 && !test_failures(); i++) {
        uint32_t before = atomic_load(victim.steps);
        pid_t first = test_fork(create_and_remove_for_ever, &victim);
        pid_t second = test_fork(create_and_remove_for_ever, &victim);
        REQUIRE(test_await(victim.steps, before + 4));
        wait_about(rand() % 300000);
        kill(first, SIGKILL);
        wait_about(rand() % 20000);
        test_kill(second);
        test_kill(first);
        name_is_free_or_whole(kind, victim.name);
    }
}

static void killed_rivals_never_block_the_name(void)
{
    kind_both(kill_rivals);
}

static unsigned left_behind;

static void tell_left(const char *name)
{
    left_behind += name != NULL;
}

/* What a killed creator left may have no name yet: only a private namespace shows it. */
static int kill_and_count(void *argument)
{
    (void)argument;
    kill_some(&kind_queue);
    kill_some(&kind_shm);
    kill_rivals(&kind_queue);
    unsigned left = probe_remove_everything(tell_left);
    CHECK_EQUAL(left, 0);
    CHECK_EQUAL(left_behind, 0);
    return 0;
}

static void killed_makers_leak_nothing_once_the_name_was_used(void)
{
    CHECK_EQUAL(test_in_private_ipc(0, kill_and_count, NULL), 0);
}

/* ---- a maker that is slow or stopped ---- */

enum { SLOW_BYTES = 64 << 20 };

struct slow {
    const char *name;
    _Atomic uint32_t *made;
};

static int open_slowly(pipc_shm **shm, const char *name)
{
    return pipc_shm_open(shm, name, PIPC_CREATE | PIPC_PREFAULT, &(pipc_shm_options){.size = SLOW_BYTES});
}

static int make_slowly_for_ever(void *argument)
{
    struct slow *slow = argument;
    for (;;) {
        pipc_shm *shm;
        atomic_fetch_add(slow->made, 1);
        REQUIRE_OK(open_slowly(&shm, slow->name));
        pipc_shm_close(shm);
        pipc_shm_remove(slow->name);
    }
    return 0;
}

/* Stops the maker somewhere in its loop. True if it was while it built: then the name is busy. */
static bool stop_and_look(const struct slow *slow, pid_t maker)
{
    pipc_shm *shm = NULL;
    uint32_t before = atomic_load(slow->made);
    REQUIRE(test_await(slow->made, before + 1));
    test_sleep(rand() % 15000000);
    kill(maker, SIGSTOP);
    waitpid(maker, NULL, WUNTRACED);
    int64_t began = test_now();
    int error = pipc_shm_open(&shm, slow->name, 0, NULL);
    int64_t took = test_now() - began;
    if (error == PIPC_E_BUSY) {
        CHECK(shm == NULL);
        CHECK(took >= PIPC_MS(950) && took < PIPC_MS(2500));
        CHECK(strstr(pipc_error_detail(), slow->name) != NULL);
        CHECK_ERROR(pipc_shm_remove(slow->name), BUSY);
    } else {
        CHECK(error == 0 || error == PIPC_E_NOT_FOUND);
        CHECK(took < PIPC_MS(500));
    }
    pipc_shm_close(shm);
    kill(maker, SIGCONT);
    return error == PIPC_E_BUSY;
}

static void a_stopped_builder_is_waited_for_one_second_then_answers_busy(void)
{
    struct slow slow = {.name = test_name("stopped"), .made = test_shared(sizeof *slow.made)};
    srand((unsigned)getpid());
    pid_t maker = test_fork(make_slowly_for_ever, &slow);
    bool busy = false;
    for (unsigned i = 0; i < 60 && !busy; i++)
        busy = stop_and_look(&slow, maker);
    CHECK(busy);
    test_kill(maker);
    name_is_free_or_whole(&kind_shm, slow.name);
}

static int open_what_another_builds(void *argument)
{
    struct race *race = argument;
    for (unsigned i = 0; i < 10; i++) {
        pipc_shm *shm;
        pipc_shm_info info;
        REQUIRE(test_barrier_wait(&race->barrier));
        REQUIRE_OK(open_slowly(&shm, race->name));
        REQUIRE_OK(pipc_shm_statistics(shm, &info));
        CHECK_EQUAL(info.size, SLOW_BYTES);
        REQUIRE(test_barrier_wait(&race->barrier));
        pipc_shm_close(shm);
        if (info.creator == getpid())
            CHECK_OK(pipc_shm_remove(race->name));
        REQUIRE(test_barrier_wait(&race->barrier));
    }
    return 0;
}

static void a_slow_builder_is_waited_for(void)
{
    struct race *race = race_for(&kind_shm, "slow");
    test_barrier_init(&race->barrier, 3);
    run_race(race, open_what_another_builds, 3);
}

/* Half-made objects are never seen: whoever opens finds the whole of it. */
static int look_at_whatever_is_there(void *argument)
{
    struct victim *victim = argument;
    unsigned seen = 0;
    while (atomic_load(victim->steps) < 4000) {
        void *handle;
        struct kind_facts facts;
        int error = victim->kind->open(&handle, victim->name, 0, 0);
        REQUIRE(error == 0 || error == PIPC_E_NOT_FOUND);
        if (error)
            continue;
        seen++;
        error = victim->kind->facts(handle, &facts);
        CHECK(error == PIPC_E_REMOVED || (!error && facts.mode == 0600 && facts.owner == geteuid()));
        victim->kind->close(handle);
    }
    return seen > 0 ? 0 : 1;
}

static void watch_makers(const struct kind *kind)
{
    struct victim victim = {.kind = kind, .name = test_name("half"), .flags = PIPC_CREATE};
    victim.steps = test_shared(sizeof *victim.steps);
    pid_t maker = test_fork(create_and_remove_for_ever, &victim);
    pid_t watcher = test_fork(look_at_whatever_is_there, &victim);
    CHECK_EQUAL(test_wait(watcher, PIPC_SECONDS(30)), 0);
    test_kill(maker);
    name_is_free_or_whole(kind, victim.name);
}

static void half_made_objects_are_never_visible(void)
{
    kind_both(watch_makers);
}

static const struct test tests[] = {
    {"Q2 Q10 M1", "of_eight_creators_one_creates_and_of_eight_removers_one_removes",
     of_eight_creators_one_creates_and_of_eight_removers_one_removes, 0},
    {"Q2 M1", "racing_open_or_create_meets_in_one_object", racing_open_or_create_meets_in_one_object, 0},
    {"Q2 Q10 M1", "creations_and_removals_balance_whatever_races", creations_and_removals_balance_whatever_races, 0},
    {"Q2", "killed_queue_makers_never_block_the_name", killed_queue_makers_never_block_the_name, 0},
    {"M1", "killed_memory_makers_never_block_the_name", killed_memory_makers_never_block_the_name, 0},
    {"Q2 M1", "killed_rivals_never_block_the_name", killed_rivals_never_block_the_name, 0},
    {"Q2 M1", "killed_makers_leak_nothing_once_the_name_was_used", killed_makers_leak_nothing_once_the_name_was_used,
     0},
    {"Q2 M1", "a_stopped_builder_is_waited_for_one_second_then_answers_busy",
     a_stopped_builder_is_waited_for_one_second_then_answers_busy, 0},
    {"Q2 M1", "a_slow_builder_is_waited_for", a_slow_builder_is_waited_for, 0},
    {"Q2 M1", "half_made_objects_are_never_visible", half_made_objects_are_never_visible, 0},
};

TEST_MAIN("opening_races", tests)
