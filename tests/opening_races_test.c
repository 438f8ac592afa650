/* Many at once: of racing creators one creates, of racing removers one removes, nothing half-made shows. */
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

#include "kinds.h"

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

/* Counts a success; any other answer must be `otherwise`, or "busy" after the second that it may take
 * to say so on a machine that has more to do. */
static void note(int error, int otherwise, _Atomic uint32_t *count, int64_t began)
{
    if (!error)
        atomic_fetch_add(count, 1);
    else if (error == PIPC_E_BUSY)
        CHECK(test_now() - began >= PIPC_MS(950));
    else
        CHECK_EQUAL(error, otherwise);
}

/* Opens or creates, however often a second is too short for the one who builds. */
static int open_patiently(struct race *race, void **handle, uint32_t flags)
{
    int error;
    do {
        int64_t began = test_now();
        error = race->kind->open(handle, race->name, flags, 0);
        CHECK(error != PIPC_E_BUSY || test_now() - began >= PIPC_MS(950));
    } while (error == PIPC_E_BUSY);
    return error;
}

static void *create_exclusively(struct race *race)
{
    void *handle;
    int64_t began = test_now();
    note(race->kind->open(&handle, race->name, PIPC_CREATE | PIPC_EXCLUSIVE, 0), PIPC_E_EXISTS, &race->created, began);
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
        int64_t began = test_now();
        note(race->kind->remove(race->name), PIPC_E_NOT_FOUND, &race->removed, began);
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
    kind_all(one_of_each);
}

/* ---- everybody opens or creates: all meet in one object ---- */

static int meet(void *argument)
{
    struct race *race = argument;
    for (uint32_t round = 1; round <= ROUNDS; round++) {
        struct kind_facts facts;
        void *handle;
        REQUIRE(test_barrier_wait(&race->barrier));
        REQUIRE_OK(open_patiently(race, &handle, PIPC_CREATE));
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
    kind_all(meeting);
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
        int64_t began = test_now();
        if (dice == 0 && (handle = create_exclusively(race)))
            use(race, handle);
        else if (dice == 1)
            note(race->kind->remove(race->name), PIPC_E_NOT_FOUND, &race->removed, began);
        else if (dice == 2)
            note(race->kind->open(&handle, race->name, 0, 0), PIPC_E_NOT_FOUND, &race->opened, began);
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
    kind_all(balance);
}

/* ---- half-made objects are never seen: whoever opens finds the whole of it ---- */

static int create_and_remove_for_ever(void *argument)
{
    struct race *race = argument;
    for (;;) {
        void *handle;
        race->kind->open(&handle, race->name, PIPC_CREATE, 0);
        race->kind->close(handle);
        race->kind->remove(race->name);
        atomic_fetch_add(&race->created, 1);
    }
    return 0;
}

static int look_at_whatever_is_there(void *argument)
{
    struct race *race = argument;
    unsigned seen = 0;
    while (atomic_load(&race->created) < 2000) {
        void *handle;
        struct kind_facts facts;
        int error = open_patiently(race, &handle, 0);
        REQUIRE(error == 0 || error == PIPC_E_NOT_FOUND);
        if (error)
            continue;
        seen++;
        error = race->kind->facts(handle, &facts);
        CHECK(error == PIPC_E_REMOVED || (!error && facts.mode == 0600 && facts.owner == geteuid()));
        race->kind->close(handle);
    }
    return seen > 0 ? 0 : 1;
}

static void watch_makers(const struct kind *kind)
{
    struct race *race = race_for(kind, "half");
    pid_t maker = test_fork(create_and_remove_for_ever, race);
    pid_t watcher = test_fork(look_at_whatever_is_there, race);
    CHECK_EQUAL(test_wait(watcher, PIPC_SECONDS(30)), 0);
    test_kill(maker);
    int error = kind->remove(race->name);
    CHECK(error == PIPC_OK || error == PIPC_E_NOT_FOUND);
}

static void half_made_objects_are_never_visible(void)
{
    kind_all(watch_makers);
}

static const struct test tests[] = {
    {"Q2 Q10 M1", "of_eight_creators_one_creates_and_of_eight_removers_one_removes",
     of_eight_creators_one_creates_and_of_eight_removers_one_removes, 0},
    {"Q2 M1", "racing_open_or_create_meets_in_one_object", racing_open_or_create_meets_in_one_object, 0},
    {"Q2 Q10 M1", "creations_and_removals_balance_whatever_races", creations_and_removals_balance_whatever_races, 0},
    {"Q2 M1", "half_made_objects_are_never_visible", half_made_objects_are_never_visible, 0},
};

TEST_MAIN("opening_races", tests)
