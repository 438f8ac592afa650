/* Clearing up after a storm: makers, users and removers of a few names die all the time, and in the end `pipc gc`
 * leaves nothing but what lives. */
#include <inttypes.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "gc.h"
#include "kinds.h"
#include "points.h"
#include "probe.h"
#include "rig.h"
#include "support_queue.h"

#ifndef PIPC_TOOL
#define PIPC_TOOL "" /* it is not built */
#endif

enum { WORKERS = 4, MORTALS = 8, NAMES = 24, FEW = 3 };

struct storm {
    struct rig_figures *figures;
    uint64_t seed;
    uint64_t kills; /* to be made */
    int64_t deadline;
    bool reapers; /* the workers reap too, and die of it */
    _Atomic uint64_t made, refused;
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

/* Makes, uses and removes what has one of the names, half of the time one of a few, until it dies. */
static int work(void *argument)
{
    struct storm *storm = argument;
    uint64_t seed = ((uint64_t)getpid() + (uint64_t)test_now()) * UINT64_C(0x9e3779b97f4a7c15);
    points_kill_one_in(40, seed);
    for (;;) {
        void *handle;
        const struct kind *kind = any_kind(&seed);
        const char *name = test_numbered("storm", test_random(&seed, test_random(&seed, 2) ? FEW : NAMES));
        int error = kind->open(&handle, name, PIPC_CREATE, 0);
        atomic_fetch_add(error ? &storm->refused : &storm->made, 1);
        if (error == 0) {
            uint32_t number;
            kind->write(handle, 1);
            if (kind == &kind_channel)
                kind->read(handle, &number);
            kind->close(handle);
        }
        if (test_random(&seed, 2))
            kind->remove(name);
        if (storm->reapers && test_random(&seed, 8) == 0)
            pipc_reap(NULL, NULL);
    }
    return 0;
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
    pid_t workers[MORTALS];
    for (unsigned i = 0; i < MORTALS; i++)
        workers[i] = test_fork(work, storm);
    for (uint64_t kills = 0; kills < storm->kills && test_now() < storm->deadline && !test_failures();) {
        unsigned i = (unsigned)(kills % MORTALS);
        await_death(storm, workers[i]);
        workers[i] = test_fork(work, storm);
        kills++;
        storm->figures->kills++;
        if (kills % 50 == 0)
            gc_check_living(living);
    }
    for (unsigned i = 0; i < MORTALS; i++)
        test_kill(workers[i]);
    storm->figures->kills += MORTALS;
}

/* ---- The tool ---- */

enum { MOST_LINES = 2000 };

struct output {
    char *lines[MOST_LINES]; /* sorted */
    unsigned count;
};

static int by_text(const void *one, const void *other)
{
    return strcmp(*(char *const *)one, *(char *const *)other);
}

/* The lines that begin so, without this beginning and without a comma at the end. */
static struct output run_tool(const char *arguments, const char *beginning)
{
    char command[600], line[4096];
    struct output output = {.count = 0};
    snprintf(command, sizeof command, "'%s' %s", PIPC_TOOL, arguments);
    FILE *pipe = popen(command, "re");
    REQUIRE(pipe != NULL);
    while (fgets(line, sizeof line, pipe)) {
        line[strcspn(line, "\n")] = '\0';
        size_t length = strlen(line), start = strlen(beginning);
        if (strncmp(line, beginning, start) != 0)
            continue;
        if (line[length - 1] == ',')
            line[length - 1] = '\0';
        REQUIRE(output.count < MOST_LINES);
        output.lines[output.count++] = strdup(line + start);
    }
    CHECK_EQUAL(pclose(pipe), 0);
    qsort(output.lines, output.count, sizeof *output.lines, by_text);
    return output;
}

static void keep_the_ready(struct output *list)
{
    unsigned count = 0;
    for (unsigned i = 0; i < list->count; i++)
        if (strstr(list->lines[i], "\"state\": \"ready\""))
            list->lines[count++] = list->lines[i];
    list->count = count;
}

static void expect_same(const struct output *one, const struct output *other, const char *what)
{
    bool same = one->count == other->count;
    for (unsigned i = 0; same && i < one->count; i++)
        same = strcmp(one->lines[i], other->lines[i]) == 0;
    if (!same)
        fprintf(stderr, "%s: %u lines and %u lines\n", what, one->count, other->count);
    test_check(same, false, __FILE__, __LINE__, what);
}

static void forget(struct output *output)
{
    for (unsigned i = 0; i < output->count; i++)
        free(output->lines[i]);
}

/* A dry run names what is reaped then; the list after it has what was ready before, and nothing else. How many were
 * reaped. */
static unsigned clear_up(void)
{
    struct output before = run_tool("list --json", "  {");
    struct output planned = run_tool("gc --dry-run", "garbage ");
    struct output reaped = run_tool("gc", "reaped  ");
    struct output after = run_tool("list --json", "  {");
    unsigned all = before.count;
    printf("%u objects, of them %u garbage\n", all, planned.count);
    expect_same(&planned, &reaped, "gc reaps what its dry run named");
    CHECK_EQUAL(all - reaped.count, after.count);
    keep_the_ready(&before);
    expect_same(&before, &after, "what is listed after gc is what was ready before it");
    forget(&planned);
    forget(&reaped);
    forget(&after);
    return reaped.count;
}

/* ---- The storm, and after it ---- */

/* What is listed as whole can be used. */
static void check_the_whole(void)
{
    const struct kind *const kinds[] = {&kind_queue, &kind_shm, &kind_channel};
    for (unsigned i = 0; i < NAMES * 3; i++) {
        void *handle;
        uint32_t number;
        const char *name = test_numbered("storm", i / 3);
        int error = kinds[i % 3]->open(&handle, name, 0, 0);
        if (error == PIPC_E_NOT_FOUND || !CHECK_OK(error))
            continue;
        while (kinds[i % 3] != &kind_shm && kinds[i % 3]->read(handle, &number) == 0)
            ;
        CHECK_OK(kinds[i % 3]->write(handle, 5));
        CHECK_OK(kinds[i % 3]->read(handle, &number));
        CHECK_EQUAL(number, 5);
        CHECK_OK(kinds[i % 3]->close(handle));
        CHECK_OK(kinds[i % 3]->remove(name));
    }
    CHECK_EQUAL(gc_look().ready, 2);
}

static int weather_one(void *argument)
{
    struct storm *storm = argument;
    struct gc_living living;
    probe_queues_can_be_listed();
    gc_begin_living(&living);
    rage(storm, &living);
    CHECK(atomic_load(&storm->refused) < atomic_load(&storm->made) / 10);
    gc_fill_living(&living);
    CHECK(clear_up() > 0 || storm->reapers);
    gc_check_kept(&living);
    gc_check_living(&living);
    struct gc_tally tally = gc_look();
    CHECK_EQUAL(tally.garbage + tally.kept, 0);
    check_the_whole();
    gc_end_living(&living);
    storm->figures->leaks += gc_count_left("a storm");
    storm->figures->trials++;
    return 0;
}

static void weather(const char *rig, uint64_t kills, bool reapers)
{
    struct rig_figures *figures = test_shared(sizeof *figures);
    struct storm *storm = test_shared(sizeof *storm);
    if (!*PIPC_TOOL)
        test_skip("the tool is not built");
    figures->rig = rig;
    storm->figures = figures;
    storm->seed = (uint64_t)getpid() << 32;
    storm->kills = kills;
    storm->deadline = rig_deadline(PIPC_SECONDS(10));
    storm->reapers = reapers;
    CHECK_EQUAL(test_in_private_ipc(0, weather_one, storm), 0);
    printf("%" PRIu64 " openings, %" PRIu64 " refused\n", atomic_load(&storm->made), atomic_load(&storm->refused));
    rig_tell(figures);
}

static void after_a_storm_gc_leaves_nothing_but_what_lives(void)
{
    weather("gc-storm", rig_trials(500, 20000), false);
}

static void after_a_storm_with_reapers_gc_leaves_nothing_but_what_lives(void)
{
    weather("gc-storm, reapers", rig_trials(300, 5000), true);
}

/* ---- Lists while everything changes ---- */

/* As work(), but nobody dies and nobody reaps. */
static int come_and_go(void *argument)
{
    uint64_t seed = *(uint64_t *)argument;
    for (;;) {
        void *handle;
        const struct kind *kind = any_kind(&seed);
        const char *name = test_numbered("storm", test_random(&seed, FEW));
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
    for (unsigned i = 0; i < FEW; i++)
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
    {"Q2 Q14", "after_a_storm_gc_leaves_nothing_but_what_lives", after_a_storm_gc_leaves_nothing_but_what_lives, 120},
    {"Q2 Q14", "after_a_storm_with_reapers_gc_leaves_nothing_but_what_lives",
     after_a_storm_with_reapers_gc_leaves_nothing_but_what_lives, 120},
};

TEST_MAIN("gc_storm", tests)
