/* Clearing up after a storm: makers, users, removers and reapers of a few names die all the time, and in the end
 * pipc_reap() leaves nothing but what lives. */
#include <signal.h>
#include <unistd.h>

#include "gc.h"
#include "kinds.h"
#include "points.h"
#include "probe.h"
#include "rig.h"
#include "support_queue.h"

enum { WORKERS = 4, NAMES = 3, KILLS_A_STORM = 1000 };

struct storm {
    struct rig_figures *figures;
    uint64_t seed;
    uint64_t kills; /* to be made */
    int64_t deadline;
};

static const struct kind *any_kind(uint64_t *seed)
{
    const struct kind *const kinds[] = {&kind_queue, &kind_queue, &kind_shm, &kind_channel};
    return kinds[test_random(seed, 4)];
}

/* Under one name, of every kind. */
static void remove_all(const char *name)
{
    pipc_queue_remove(name);
    pipc_shm_remove(name);
    pipc_channel_remove(name);
}

/* ---- The storm ---- */

/* Makes, uses and removes what has one of a few names, sees what there is, reaps: until it dies. */
static int work(void *argument)
{
    uint64_t seed = *(uint64_t *)argument;
    points_kill_one_in(40, seed);
    for (;;) {
        void *handle;
        const struct kind *kind = any_kind(&seed);
        const char *name = test_numbered("storm", test_random(&seed, NAMES));
        if (kind->open(&handle, name, PIPC_CREATE, 0) == 0) {
            uint32_t number;
            kind->write(handle, 1);
            if (kind == &kind_channel)
                kind->read(handle, &number);
            kind->close(handle);
        }
        if (test_random(&seed, 2))
            kind->remove(name);
        if (test_random(&seed, 8) == 0)
            pipc_reap(NULL, NULL);
    }
    return 0;
}

static pid_t start_worker(struct storm *storm)
{
    uint64_t seed = ++storm->seed * UINT64_C(0x9e3779b97f4a7c15);
    return test_fork(work, &seed);
}

/* Half of them die at a point, half at any instruction. */
static void await_death(struct storm *storm, pid_t worker)
{
    if (test_random(&storm->seed, 2) == 0) {
        CHECK_EQUAL(test_wait(worker, PIPC_SECONDS(40)), 128 + SIGKILL);
        return;
    }
    int64_t end = test_now() + PIPC_US(test_random(&storm->seed, 1000));
    while (test_now() < end)
        ;
    test_kill(worker);
}

static void rage(struct storm *storm, struct gc_living *living)
{
    pid_t workers[WORKERS];
    for (unsigned i = 0; i < WORKERS; i++)
        workers[i] = start_worker(storm);
    for (uint64_t kills = 0; kills < storm->kills && test_now() < storm->deadline && !test_failures();) {
        unsigned i = (unsigned)(kills % WORKERS);
        await_death(storm, workers[i]);
        workers[i] = start_worker(storm);
        kills++;
        storm->figures->kills++;
        if (kills % 50 == 0)
            gc_check_living(living);
    }
    for (unsigned i = 0; i < WORKERS; i++)
        test_kill(workers[i]);
    storm->figures->kills += WORKERS;
}

static int weather_one(void *argument)
{
    struct storm *storm = argument;
    struct gc_living living;
    probe_queues_can_be_listed();
    gc_begin_living(&living);
    rage(storm, &living);
    struct gc_tally tally = gc_reap();
    CHECK_EQUAL(tally.stayed + tally.kept, 0);
    gc_check_living(&living);
    tally = gc_look();
    CHECK_EQUAL(tally.garbage + tally.kept, 0);
    for (unsigned i = 0; i < NAMES; i++) /* what is whole lives; it goes by its name */
        remove_all(test_numbered("storm", i));
    CHECK_EQUAL(gc_look().ready, 2);
    gc_end_living(&living);
    storm->figures->leaks += gc_count_left("a storm");
    storm->figures->trials++;
    return 0;
}

static void after_a_storm_nothing_is_left_but_what_lives(void)
{
    struct rig_figures *figures = test_shared(sizeof *figures);
    int64_t deadline = rig_deadline(PIPC_SECONDS(10));
    uint64_t kills = rig_trials(2000, 20000);
    figures->rig = "gc-storm";
    for (uint64_t seed = (uint64_t)getpid() << 32; figures->kills < kills && test_now() < deadline && !test_failures();
         seed += 1u << 20) {
        struct storm storm = {.figures = figures, .seed = seed, .kills = KILLS_A_STORM, .deadline = deadline};
        CHECK_EQUAL(test_in_private_ipc(0, weather_one, &storm), 0);
    }
    rig_tell(figures);
}

/* ---- Lists while everything changes ---- */

/* As work(), but nobody dies and nobody reaps. */
static int come_and_go(void *argument)
{
    uint64_t seed = *(uint64_t *)argument;
    for (;;) {
        void *handle;
        const struct kind *kind = any_kind(&seed);
        const char *name = test_numbered("storm", test_random(&seed, NAMES));
        if (kind->open(&handle, name, PIPC_CREATE, 0) == 0) {
            kind->write(handle, 1);
            kind->close(handle);
        }
        kind->remove(name);
    }
    return 0;
}

struct sightings {
    _Atomic uint64_t states[PIPC_FOUND_UNREADABLE + 1];
};

static int note_state(const pipc_found *found, void *argument)
{
    struct sightings *sightings = argument;
    atomic_fetch_add(&sightings->states[found->state], 1);
    if (found->state >= PIPC_FOUND_ORPHAN)
        test_check(false, false, __FILE__, __LINE__, found->why);
    return 0;
}

static int list_for_long(void *argument)
{
    struct rig_figures *figures = argument;
    struct sightings *sightings = test_shared(sizeof *sightings);
    pid_t workers[WORKERS];
    probe_queues_can_be_listed();
    for (uint64_t i = 0; i < WORKERS; i++)
        workers[i] = test_fork(come_and_go, &(uint64_t){i * 77 + 1});
    uint64_t lists = rig_trials(2000, 10000);
    int64_t deadline = test_now() + PIPC_SECONDS(30);
    while (figures->trials < lists && test_now() < deadline && !test_failures()) {
        uint64_t before = atomic_load(&sightings->states[PIPC_FOUND_READY]);
        CHECK_OK(pipc_each(note_state, sightings));
        figures->trials += atomic_load(&sightings->states[PIPC_FOUND_READY]) > before; /* the workers are at it */
    }
    for (unsigned i = 0; i < WORKERS; i++)
        test_kill(workers[i]);
    CHECK(atomic_load(&sightings->states[PIPC_FOUND_READY]) > 0);
    gc_reap();
    for (unsigned i = 0; i < NAMES; i++)
        remove_all(test_numbered("storm", i));
    figures->leaks += gc_count_left("the end of it");
    return 0;
}

static void a_list_of_what_comes_and_goes_tells_no_nonsense(void)
{
    struct rig_figures *figures = test_shared(sizeof *figures);
    figures->rig = "gc-list";
    CHECK_EQUAL(test_in_private_ipc(0, list_for_long, figures), 0);
    rig_tell(figures);
}

static const struct test tests[] = {
    {"Q2 Q11", "a_list_of_what_comes_and_goes_tells_no_nonsense", a_list_of_what_comes_and_goes_tells_no_nonsense, 120},
    {"Q2 Q14", "after_a_storm_nothing_is_left_but_what_lives", after_a_storm_nothing_is_left_but_what_lives, 120},
};

TEST_MAIN("gc_storm", tests)
