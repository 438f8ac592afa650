/* Clearing up: makers and removers die at every point that they pass, and pipc_reap() leaves nothing but what lives.
 * Who is only stopped loses nothing, and who cannot be judged is left alone. Everything happens in private
 * namespaces, where each object left can be seen. */
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

#include "kinds.h"
#include "points.h"
#include "probe.h"
#include "rig.h"
#include "support_queue.h"

#define SPAN PIPC_SECONDS(20)

/* ---- What lives all the time ---- */

struct living {
    pipc_queue *queue;
    pipc_shm *shm;
    uint64_t sent;
};

static void begin_living(struct living *living)
{
    *living = (struct living){.queue = queue_make("live", 4, 64)};
    REQUIRE_OK(pipc_shm_open(&living->shm, test_name("live"), PIPC_CREATE, &(pipc_shm_options){.size = 64}));
}

/* Both still work: under their names, and in the hands of who has them. */
static void check_living(struct living *living)
{
    pipc_shm *again;
    pipc_queue *joined = queue_join("live", 0);
    CHECK_OK(queue_send(joined, 1, 0, ++living->sent, 8, PIPC_NOWAIT));
    CHECK(queue_expect(living->queue, pipc_any(), living->sent));
    CHECK_OK(pipc_queue_close(joined));
    CHECK_OK(pipc_shm_open(&again, test_name("live"), PIPC_READ, NULL));
    CHECK_OK(pipc_shm_close(again));
}

static void end_living(struct living *living)
{
    queue_end(living->queue, "live");
    CHECK_OK(pipc_shm_close(living->shm));
    CHECK_OK(pipc_shm_remove(test_name("live")));
}

/* ---- Reaping and counting ---- */

static const char *left_name;

static void note_left(const char *name)
{
    static char kept[100];
    snprintf(kept, sizeof kept, "%s", name);
    left_name = kept;
}

/* Ends all that is left, which should be nothing. */
static uint64_t count_left(const char *where)
{
    unsigned left = probe_remove_everything(note_left);
    char sentence[300];
    if (left == 0)
        return 0;
    snprintf(sentence, sizeof sentence, "%u left after a death at \"%s\", such as %s", left, where, left_name);
    test_check(false, false, __FILE__, __LINE__, sentence);
    return left;
}

struct tally {
    unsigned ready, reaped, garbage, stayed, kept; /* kept: not ready */
};

static int count(const pipc_found *found, void *argument)
{
    struct tally *tally = argument;
    tally->reaped += found->verdict == PIPC_VERDICT_REAPED;
    tally->garbage += found->verdict == PIPC_VERDICT_GARBAGE;
    tally->stayed += found->verdict == PIPC_VERDICT_STAYED;
    if (found->verdict == PIPC_VERDICT_KEEP) {
        tally->ready += found->state == PIPC_FOUND_READY;
        tally->kept += found->state != PIPC_FOUND_READY;
    }
    CHECK(found->state != PIPC_FOUND_DAMAGED && found->state != PIPC_FOUND_FOREIGN);
    return 0;
}

static struct tally reap(void)
{
    struct tally tally = {0};
    CHECK_OK(pipc_reap(count, &tally));
    return tally;
}

static struct tally look(void)
{
    struct tally tally = {0};
    CHECK_OK(pipc_each(count, &tally));
    return tally;
}

/* What is READY though its maker died is no garbage: it goes by its name. */
static void remove_whole(const struct kind *kind)
{
    int error = kind->remove(test_name("victim"));
    CHECK(error == 0 || error == PIPC_E_NOT_FOUND);
}

/* ---- Deaths at each point ---- */

struct victim {
    const struct kind *kind;
    uint32_t point;
    bool stops;
};

/* The life of an object, and a look at what there is; dies, or stops, on the way. */
static int live_and_die(void *argument)
{
    const struct victim *victim = argument;
    void *handle;
    if (victim->stops)
        points_stop_at(victim->point, 1);
    else
        points_kill_at(victim->point, 1);
    REQUIRE_OK(victim->kind->open(&handle, test_name("victim"), PIPC_CREATE | PIPC_EXCLUSIVE, 0));
    CHECK_OK(victim->kind->write(handle, 1));
    CHECK_OK(victim->kind->close(handle));
    CHECK_OK(victim->kind->remove(test_name("victim")));
    CHECK_OK(pipc_reap(NULL, NULL));
    return 0;
}

static bool dies(const struct kind *kind, uint32_t point)
{
    struct victim victim = {.kind = kind, .point = point};
    int status = test_wait(test_fork(live_and_die, &victim), SPAN);
    CHECK(status == 0 || status == 128 + SIGKILL);
    return status == 128 + SIGKILL;
}

static void die_at(const struct kind *kind, uint32_t point, struct rig_figures *figures)
{
    struct living living;
    begin_living(&living);
    figures->trials++;
    if (dies(kind, point)) {
        figures->kills++;
        struct tally tally = reap();
        CHECK_EQUAL(tally.stayed + tally.kept, 0);
        check_living(&living);
        tally = look();
        CHECK_EQUAL(tally.garbage + tally.kept, 0);
    }
    remove_whole(kind);
    end_living(&living);
    figures->leaks += count_left(points_name(point));
}

/* One that reaps dies too, in the middle of burying what another left. */
static int reap_and_die(void *argument)
{
    points_kill_at(*(uint32_t *)argument, 1);
    return pipc_reap(NULL, NULL);
}

static void reaper_dies_at(uint32_t point, uint32_t reapers_point, struct rig_figures *figures)
{
    figures->trials++;
    figures->kills += dies(&kind_queue, point);
    figures->kills += test_wait(test_fork(reap_and_die, &reapers_point), SPAN) == 128 + SIGKILL;
    CHECK_EQUAL(reap().stayed, 0);
    CHECK_EQUAL(look().garbage, 0);
    remove_whole(&kind_queue);
    figures->leaks += count_left(points_name(reapers_point));
}

static int die_at_all(void *argument)
{
    struct rig_figures *figures = argument;
    uint32_t half = points_find("create: no kernel queue yet");
    REQUIRE(half != POINTS_NONE);
    probe_queues_can_be_listed();
    for (uint32_t point = 0; point < points_count() && !test_failures(); point++) {
        die_at(&kind_queue, point, figures);
        die_at(&kind_shm, point, figures);
        reaper_dies_at(half, point, figures);
    }
    return 0;
}

static void whoever_dies_anywhere_leaves_only_what_can_be_reaped(void)
{
    struct rig_figures *figures = test_shared(sizeof *figures);
    figures->rig = "gc-points";
    CHECK_EQUAL(test_in_private_ipc(0, die_at_all, figures), 0);
    CHECK(figures->kills >= 20);
    rig_tell(figures);
}

/* ---- Stopped, not dead ---- */

/* 0: it ended without passing the point; else its pid, stopped. */
static pid_t stop_at(struct victim *victim)
{
    int status;
    pid_t child = test_fork(live_and_die, victim);
    REQUIRE(waitpid(child, &status, WUNTRACED) == child);
    if (WIFSTOPPED(status))
        return child;
    CHECK_EQUAL(status, 0);
    return 0;
}

static void stop_and_reap(const struct kind *kind, uint32_t point, struct rig_figures *figures)
{
    struct victim victim = {.kind = kind, .point = point, .stops = true};
    pid_t child = stop_at(&victim);
    if (!child)
        return;
    figures->trials++;
    struct tally before = look(), tally = reap();
    CHECK_EQUAL(tally.ready, before.ready);
    CHECK_EQUAL(tally.stayed, 0);
    CHECK_OK(pipc_reap(NULL, NULL));
    kill(child, SIGCONT);
    bool whole = test_wait(child, SPAN) == 0; /* all its calls succeeded, though everybody reaped meanwhile */
    figures->lost += !whole;
    if (!whole)
        test_check(false, false, __FILE__, __LINE__, points_name(point));
    figures->leaks += count_left(points_name(point));
}

static int stop_at_all(void *argument)
{
    for (uint32_t point = 0; point < points_count() && !test_failures(); point++) {
        stop_and_reap(&kind_queue, point, argument);
        stop_and_reap(&kind_shm, point, argument);
    }
    return 0;
}

static void who_is_only_stopped_loses_nothing(void)
{
    struct rig_figures *figures = test_shared(sizeof *figures);
    figures->rig = "gc-stopped";
    CHECK_EQUAL(test_in_private_ipc(0, stop_at_all, figures), 0);
    CHECK(figures->trials >= 20);
    rig_tell(figures);
}

/* A builder that said who it is shows as building, and stays. */
static int stop_while_building(void *argument)
{
    struct rig_figures *figures = argument;
    static const char *const points[] = {"create: no kernel queue yet", "kernel queue: label told, not made",
                                         "names: built, not ready"};
    for (size_t i = 0; i < sizeof points / sizeof *points; i++) {
        struct victim victim = {.kind = &kind_queue, .point = points_find(points[i]), .stops = true};
        pid_t child = stop_at(&victim);
        REQUIRE(child > 0);
        figures->trials++;
        struct tally tally = reap();
        CHECK_EQUAL(tally.kept, 1);
        CHECK_EQUAL(tally.reaped, 0);
        test_kill(child);
        figures->kills++;
        CHECK_EQUAL(reap().reaped, 1);
        figures->leaks += count_left(points[i]);
    }
    return 0;
}

static void a_living_builder_is_never_reaped_and_a_dead_one_is(void)
{
    struct rig_figures *figures = test_shared(sizeof *figures);
    figures->rig = "gc-builder";
    CHECK_EQUAL(test_in_private_ipc(0, stop_while_building, figures), 0);
    rig_tell(figures);
}

/* ---- Not known, not ours ---- */

static int judge_the_unknown(void *argument)
{
    size_t bytes;
    struct rig_figures *figures = argument;
    uint32_t point = points_find("create: no kernel queue yet");
    figures->kills += dies(&kind_queue, point);
    struct pipc_object *object = probe_map(PIPC_KIND_QUEUE, test_name("victim"), &bytes);
    REQUIRE(object != NULL);
    object->pid_namespace++; /* as if the builder had lived in another pid namespace */
    struct tally tally = reap();
    CHECK_EQUAL(tally.kept, probe_builders_are_noted);
    CHECK_EQUAL(tally.reaped, !probe_builders_are_noted); /* its lock is proof everywhere */
    object->pid_namespace--;
    probe_unmap(object, bytes);
    figures->trials++;
    CHECK_EQUAL(reap().reaped, probe_builders_are_noted);
    figures->leaks += count_left("another pid namespace");
    return 0;
}

static void what_cannot_be_known_is_never_reaped(void)
{
    struct rig_figures *figures = test_shared(sizeof *figures);
    figures->rig = "gc-unknown";
    CHECK_EQUAL(test_in_private_ipc(0, judge_the_unknown, figures), 0);
    rig_tell(figures);
}

static int die_as_stranger(void *argument)
{
    struct victim *victim = argument;
    return dies(victim->kind, victim->point) ? 0 : 1;
}

static int reap_as_stranger(void *argument)
{
    (void)argument;
    struct tally tally = reap();
    CHECK_EQUAL(tally.stayed + tally.kept, 0);
    return 0;
}

static int leave_to_strangers(void *argument)
{
    struct rig_figures *figures = argument;
    for (uint32_t point = 0; point < points_count() && !test_failures(); point++) {
        struct victim victim = {.kind = &kind_queue, .point = point};
        bool died = test_as_user(65534, die_as_stranger, &victim) == 0;
        figures->trials++;
        figures->kills += died;
        struct tally before = look(), tally = reap();
        CHECK_EQUAL(tally.reaped + tally.garbage + tally.stayed, 0);
        CHECK_EQUAL(tally.kept, before.kept);
        CHECK_EQUAL(test_as_user(65534, reap_as_stranger, NULL), 0);
        remove_whole(&kind_queue);
        figures->leaks += count_left(points_name(point));
    }
    return 0;
}

static void the_remains_of_others_are_left_to_them(void)
{
    struct rig_figures *figures = test_shared(sizeof *figures);
    figures->rig = "gc-strangers";
    if (geteuid() != 0)
        test_skip("only root can become another user");
    CHECK_EQUAL(test_in_private_ipc(0, leave_to_strangers, figures), 0);
    CHECK(figures->kills >= 10);
    rig_tell(figures);
}

/* ---- Storm ---- */

enum { WORKERS = 4, NAMES = 3, KILLS_A_STORM = 1000 };

struct storm {
    struct rig_figures *figures;
    uint64_t seed;
    uint64_t kills; /* to be made */
    int64_t deadline;
};

/* Makes, uses and removes what has one of a few names, sees what there is, reaps: until it dies. */
static int work(void *argument)
{
    uint64_t seed = *(uint64_t *)argument;
    points_kill_one_in(40, seed);
    for (;;) {
        void *handle;
        const struct kind *kind = test_random(&seed, 3) ? &kind_queue : &kind_shm;
        const char *name = test_numbered("storm", test_random(&seed, NAMES));
        if (kind->open(&handle, name, PIPC_CREATE, 0) == 0) {
            kind->write(handle, 1);
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

static void rage(struct storm *storm, struct living *living)
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
            check_living(living);
    }
    for (unsigned i = 0; i < WORKERS; i++)
        test_kill(workers[i]);
    storm->figures->kills += WORKERS;
}

static int weather_one(void *argument)
{
    struct storm *storm = argument;
    struct living living;
    probe_queues_can_be_listed();
    begin_living(&living);
    rage(storm, &living);
    struct tally tally = reap();
    CHECK_EQUAL(tally.stayed + tally.kept, 0);
    check_living(&living);
    tally = look();
    CHECK_EQUAL(tally.garbage + tally.kept, 0);
    for (unsigned i = 0; i < NAMES; i++) { /* what is whole lives; it goes by its name */
        pipc_queue_remove(test_numbered("storm", i));
        pipc_shm_remove(test_numbered("storm", i));
    }
    CHECK_EQUAL(look().ready, 2);
    end_living(&living);
    storm->figures->leaks += count_left("a storm");
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

static const struct test tests[] = {
    {"Q2 Q14", "whoever_dies_anywhere_leaves_only_what_can_be_reaped",
     whoever_dies_anywhere_leaves_only_what_can_be_reaped, 0},
    {"Q2", "who_is_only_stopped_loses_nothing", who_is_only_stopped_loses_nothing, 0},
    {"Q2", "a_living_builder_is_never_reaped_and_a_dead_one_is", a_living_builder_is_never_reaped_and_a_dead_one_is, 0},
    {"Q2", "what_cannot_be_known_is_never_reaped", what_cannot_be_known_is_never_reaped, 0},
    {"Q3", "the_remains_of_others_are_left_to_them", the_remains_of_others_are_left_to_them, 0},
    {"Q2 Q14", "after_a_storm_nothing_is_left_but_what_lives", after_a_storm_nothing_is_left_but_what_lives, 120},
};

TEST_MAIN("gc", tests)
