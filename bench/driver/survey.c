/* Everything that can do a kind of work, side by side: the tables behind the first. */
#include <string.h>

#include "bench/driver/driver.h"
#include "bench/system.h"

#define ROUNDS    7
#define SIZES_MAX 6

static const struct survey {
    const char *title, *work, *settings;
    uint32_t needs;
    size_t sizes[SIZES_MAX]; /* ended by 0 */
} surveys[] = {
    {"round trip", "trip", "", BENCH_TRIP, {64, 1024, 8192, 65536, 1048576}},
    {"one way", "flow", "", BENCH_FLOW, {64, 1024, 8000, 8192, 65536, 1048576}},
    {"4 senders to 1", "flow", "senders=4", BENCH_FLOW | BENCH_MANY, {64, 1024, 8000}},
    {"one way in place", "flow", "place=1", BENCH_FLOW | BENCH_PLACE, {64, 8192, 65536, 1048576}},
};
#define SURVEYS (sizeof(surveys) / sizeof(surveys[0]))

/* In one process, for each build. RAW is the build's own kernel family. */
static const struct {
    const char *title, *work, *settings;
    const char *lanes[4];
} duels[] = {
    {"pair, 64 B", "pair", "size=64", {"raw", "queue", "channel"}},
    {"pair, 1 KiB", "pair", "size=1024", {"raw", "queue", "channel"}},
    {"pair, 8000 B", "pair", "size=8000", {"raw", "queue", "channel"}},
    {"typed pair, depth 10", "pair", "load=9 depth=10", {"raw,types=10", "queue,types=1", "queue,types=10"}},
    {"typed pair, depth 10,000",
     "pair",
     "load=9999 depth=10000",
     {"queue,types=1", "queue,types=100", "queue,types=10000"}},
    {"pair by depth", "pair", "", {"queue,load=9", "queue,load=999", "queue,load=9999", "queue,load=99999"}},
    {"memory, 4 KiB", "memory", "size=4096", {"raw memory", "shm"}},
    {"memory, 1 MiB", "memory", "size=1048576", {"raw memory", "shm"}},
};
#define DUELS (sizeof(duels) / sizeof(duels[0]))

static const uint32_t pair_counts[] = {1, 2, 4, 8, 16, 32};
static const char *const pair_systems[] = {"queue", "channel", "msg", "mq"};

/* The raw calls are in every build's runner: those of the first are taken. */
static bool is_taken(const struct plan *plan, const struct runner *runner, const char *system)
{
    if (!runner->is_build || strcmp(system, "queue") == 0 || strcmp(system, "channel") == 0)
        return true;
    for (const struct runner *first = plan->runners; first < runner; first++)
        if (first->is_build)
            return false;
    return true;
}

static void add_able(struct group *group, const struct runner *runner, uint32_t system, uint32_t needs, size_t size)
{
    const char *name = runner->systems[system].name;
    uint32_t can = runner->systems[system].can;
    size_t largest = runner->systems[system].largest;
    char text[96];
    if ((can & needs) != needs)
        return;
    if (!largest || size <= largest)
        add_lane(group, runner, name);
    else if (largest == 8 && size == 64) { /* the floors carry a word */
        snprintf(text, sizeof(text), "%s,size=8", name);
        add_lane(group, runner, text);
    }
    if (strcmp(group->work, "trip") == 0 && (can & BENCH_PATIENT)) {
        snprintf(text, sizeof(text), "%s,sleep=1", name);
        add_lane(group, runner, text);
    }
}

static void plan_one(struct plan *plan, const struct survey *survey, size_t size, uint32_t cores)
{
    char title[96], settings[96];
    snprintf(title, sizeof(title), "%s, %zu B, %u core%s", survey->title, size, cores, cores == 1 ? "" : "s");
    snprintf(settings, sizeof(settings), "size=%zu cores=%u %s", size, cores, survey->settings);
    struct group *group = add_group(plan, title, survey->work, settings);
    if (!group)
        return;
    group->rounds = ROUNDS;
    for (uint32_t i = 0; i < plan->runner_count; i++)
        for (uint32_t j = 0; j < plan->runners[i].system_count; j++)
            if (is_taken(plan, &plan->runners[i], plan->runners[i].systems[j].name))
                add_able(group, &plan->runners[i], j, survey->needs, size);
}

static void plan_duel(struct plan *plan, const struct runner *build, uint32_t duel)
{
    char title[96], text[96];
    snprintf(title, sizeof(title), "%s, %s", duels[duel].title, build->name);
    struct group *group = add_group(plan, title, duels[duel].work, duels[duel].settings);
    if (!group)
        return;
    group->rounds = ROUNDS;
    for (int i = 0; i < 4 && duels[duel].lanes[i]; i++) {
        lane_text(text, sizeof(text), build, duels[duel].lanes[i]);
        if (runner_can(build, text))
            add_lane(group, build, text);
    }
}

static void plan_crowd(struct plan *plan, uint32_t pairs)
{
    char title[96], settings[96];
    snprintf(title, sizeof(title), "%u processes in pairs, 64 B, 2 cores", 2 * pairs);
    snprintf(settings, sizeof(settings), "cores=2 pairs=%u", pairs);
    struct group *group = add_group(plan, title, "flow", settings);
    if (!group)
        return;
    group->rounds = ROUNDS;
    for (uint32_t i = 0; i < plan->runner_count; i++)
        for (size_t j = 0; j < sizeof(pair_systems) / sizeof(pair_systems[0]); j++)
            if (runner_can(&plan->runners[i], pair_systems[j]) && is_taken(plan, &plan->runners[i], pair_systems[j]))
                add_lane(group, &plan->runners[i], pair_systems[j]);
}

void plan_survey(struct plan *plan, char **works, uint32_t count)
{
    for (size_t i = 0; i < DUELS; i++)
        for (uint32_t j = 0; j < plan->runner_count; j++)
            if (plan->runners[j].is_build && work_wanted(duels[i].work, works, count))
                plan_duel(plan, &plan->runners[j], (uint32_t)i);
    for (size_t i = 0; i < SURVEYS; i++)
        for (uint32_t cores = 2; cores >= 1 && work_wanted(surveys[i].work, works, count); cores--)
            for (int j = 0; j < SIZES_MAX && surveys[i].sizes[j]; j++)
                plan_one(plan, &surveys[i], surveys[i].sizes[j], cores);
    for (size_t i = 0; i < sizeof(pair_counts) / sizeof(pair_counts[0]) && work_wanted("flow", works, count); i++)
        plan_crowd(plan, pair_counts[i]);
}
