/* Clearing up: makers and removers die at every point that they pass, and pipc_reap() leaves nothing but what lives.
 * Who is only stopped loses nothing, and who cannot be judged is left alone. Everything happens in private
 * namespaces, where each object left can be seen. */
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

#include "gc.h"
#include "kinds.h"
#include "points.h"
#include "probe.h"
#include "rig.h"
#include "support_queue.h"

#define SPAN PIPC_SECONDS(20)

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
    struct gc_living living;
    gc_begin_living(&living);
    figures->trials++;
    if (dies(kind, point)) {
        figures->kills++;
        struct gc_tally tally = gc_reap();
        CHECK_EQUAL(tally.stayed + tally.kept, 0);
        gc_check_living(&living);
        tally = gc_look();
        CHECK_EQUAL(tally.garbage + tally.kept, 0);
    }
    remove_whole(kind);
    gc_end_living(&living);
    figures->leaks += gc_count_left(points_name(point));
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
    CHECK_EQUAL(gc_reap().stayed, 0);
    CHECK_EQUAL(gc_look().garbage, 0);
    remove_whole(&kind_queue);
    figures->leaks += gc_count_left(points_name(reapers_point));
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
    struct gc_tally before = gc_look(), tally = gc_reap();
    CHECK_EQUAL(tally.ready, before.ready);
    CHECK_EQUAL(tally.stayed, 0);
    CHECK_OK(pipc_reap(NULL, NULL));
    kill(child, SIGCONT);
    bool whole = test_wait(child, SPAN) == 0; /* all its calls succeeded, though everybody reaped meanwhile */
    figures->lost += !whole;
    if (!whole)
        test_check(false, false, __FILE__, __LINE__, points_name(point));
    figures->leaks += gc_count_left(points_name(point));
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

static int reap_and_stop(void *argument)
{
    points_stop_at(*(uint32_t *)argument, 1);
    CHECK_OK(pipc_reap(NULL, NULL));
    return 0;
}

/* A reaper stops anywhere in its work on remains; meanwhile the name is made anew; then it goes on. */
static void reap_late(uint32_t half, uint32_t point, struct rig_figures *figures)
{
    int status;
    void *handle;
    uint32_t number = 0;
    figures->kills += dies(&kind_queue, half);
    pid_t reaper = test_fork(reap_and_stop, &point);
    REQUIRE(waitpid(reaper, &status, WUNTRACED) == reaper);
    if (!WIFSTOPPED(status)) {
        CHECK_EQUAL(status, 0);
        CHECK_EQUAL(gc_count_left(points_name(point)), 0);
        return;
    }
    figures->trials++;
    int error = kind_queue.open(&handle, test_name("victim"), PIPC_CREATE | PIPC_EXCLUSIVE, 0);
    CHECK(error == 0 || error == PIPC_E_BUSY); /* the reaper may hold the lock: it is alive */
    if (error == 0)
        CHECK_OK(kind_queue.write(handle, 42));
    kill(reaper, SIGCONT);
    CHECK_EQUAL(test_wait(reaper, SPAN), 0);
    if (error == 0) {
        kind_queue.close(handle);
        CHECK_OK(kind_queue.open(&handle, test_name("victim"), 0, 0)); /* name, object and kernel queue are there */
        CHECK_OK(kind_queue.read(handle, &number));
        CHECK_EQUAL(number, 42);
        figures->lost += number != 42;
        kind_queue.close(handle);
        CHECK_OK(kind_queue.remove(test_name("victim")));
    }
    figures->leaks += gc_count_left(points_name(point));
}

static int reap_late_at_all(void *argument)
{
    static const char *const halves[] = {"names: building", "kernel queue: label told, not made",
                                         "names: built, not ready", "names: dead, name not freed"};
    probe_queues_can_be_listed();
    size_t count = rig_trials(2, sizeof halves / sizeof *halves);
    for (size_t i = 0; i < count; i++) {
        uint32_t half = points_find(halves[i]);
        REQUIRE(half != POINTS_NONE);
        for (uint32_t point = 0; point < points_count() && !test_failures(); point++)
            reap_late(half, point, argument);
    }
    return 0;
}

static void a_reaper_that_comes_late_hurts_nobody(void)
{
    struct rig_figures *figures = test_shared(sizeof *figures);
    figures->rig = "gc-late";
    CHECK_EQUAL(test_in_private_ipc(0, reap_late_at_all, figures), 0);
    CHECK(figures->trials >= 4);
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
        struct gc_tally tally = gc_reap();
        CHECK_EQUAL(tally.kept, 1);
        CHECK_EQUAL(tally.reaped, 0);
        test_kill(child);
        figures->kills++;
        CHECK_EQUAL(gc_reap().reaped, 1);
        figures->leaks += gc_count_left(points[i]);
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
    struct gc_tally tally = gc_reap();
    CHECK_EQUAL(tally.kept, probe_builders_are_noted);
    CHECK_EQUAL(tally.reaped, !probe_builders_are_noted); /* its lock is proof everywhere */
    object->pid_namespace--;
    probe_unmap(object, bytes);
    figures->trials++;
    CHECK_EQUAL(gc_reap().reaped, probe_builders_are_noted);
    figures->leaks += gc_count_left("another pid namespace");
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
    struct gc_tally tally = gc_reap();
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
        struct gc_tally before = gc_look(), tally = gc_reap();
        CHECK_EQUAL(tally.reaped + tally.garbage + tally.stayed, 0);
        CHECK_EQUAL(tally.kept, before.kept);
        CHECK_EQUAL(test_as_user(65534, reap_as_stranger, NULL), 0);
        remove_whole(&kind_queue);
        figures->leaks += gc_count_left(points_name(point));
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

static const struct test tests[] = {
    {"Q2 Q14", "whoever_dies_anywhere_leaves_only_what_can_be_reaped",
     whoever_dies_anywhere_leaves_only_what_can_be_reaped, 0},
    {"Q2", "who_is_only_stopped_loses_nothing", who_is_only_stopped_loses_nothing, 0},
    {"Q2 Q10", "a_reaper_that_comes_late_hurts_nobody", a_reaper_that_comes_late_hurts_nobody, 0},
    {"Q2", "a_living_builder_is_never_reaped_and_a_dead_one_is", a_living_builder_is_never_reaped_and_a_dead_one_is, 0},
    {"Q2", "what_cannot_be_known_is_never_reaped", what_cannot_be_known_is_never_reaped, 0},
    {"Q3", "the_remains_of_others_are_left_to_them", the_remains_of_others_are_left_to_them, 0},
};

TEST_MAIN("gc", tests)
