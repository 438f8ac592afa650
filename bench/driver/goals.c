/* Where we want to land: a row for each build. */
#include <string.h>

#include "bench/driver/driver.h"

#define DEEP    "queue,types=10000,load=9999,depth=10000"
#define SHALLOW "queue,types=10,load=9,depth=10"

/* Only if the whole is measured. */
#define PEER "iceoryx"

static const struct row {
    const char *text, *work, *settings, *ours, *reference;
    enum measure measure;
    double bound;
} rows[] = {
    {"queue pair, 64 B", "pair", "size=64", "queue", "raw", MEASURE_TIME, 1.05},
    {"queue pair, 1 KiB", "pair", "size=1024", "queue", "raw", MEASURE_TIME, 1.05},
    {"queue pair, 8000 B", "pair", "size=8000", "queue", "raw", MEASURE_TIME, 1.10},
    {"queue round trip, 2 cores", "trip", "cores=2", "queue", "raw", MEASURE_TIME, 0.36},
    {"queue round trip, 1 core", "trip", "cores=1", "queue", "raw", MEASURE_TIME, 1.25},
    {"queue one-way, 2 cores", "flow", "cores=2", "queue", "raw", MEASURE_RATE, 1.0},
    {"queue one-way, 1 core", "flow", "cores=1", "queue", "raw", MEASURE_RATE, 0.90},
    {"queue, 4 senders to 1", "flow", "cores=2 senders=4", "queue", "raw", MEASURE_RATE, 1.0},
    {"queue, 10,000 types at depth 10,000 / depth 10", "pair", "size=64", DEEP, SHALLOW, MEASURE_TIME, 1.5},
    {"queue, 64 processes in pairs over 32", "flow", "cores=2 pairs=32", "queue", "raw", MEASURE_RATE, 0.95},
    {"channel round trip, spinning / raw System V", "trip", "cores=2", "channel", "msg", MEASURE_TIME, 0.027},
    {"channel round trip, spinning / bare line", "trip", "cores=2", "channel", "line,size=8", MEASURE_TIME, 1.8},
    {"channel round trip, sleeping, 2 cores", "trip", "cores=2", "channel,sleep=1", "msg", MEASURE_TIME, 0.90},
    {"channel round trip, sleeping, 1 core", "trip", "cores=1", "channel,sleep=1", "msg", MEASURE_TIME, 0.65},
    {"channel one-way, 64 B", "flow", "cores=2 size=64", "channel", "msg", MEASURE_RATE, 45},
    {"channel one-way, 1 KiB", "flow", "cores=2 size=1024", "channel", "msg", MEASURE_RATE, 14},
    {"channel one-way, 8 KiB", "flow", "cores=2 size=8192", "channel", "msg", MEASURE_RATE, 7},
    {"channel in place, 64 KiB / iceoryx", "flow", "cores=2 place=1 size=65536", "channel", PEER, MEASURE_RATE, 1.4},
    {"channel in place, 1 MiB / iceoryx", "flow", "cores=2 place=1 size=1048576", "channel", PEER, MEASURE_RATE, 1.0},
    {"channel, 4 senders to 1", "flow", "cores=2 senders=4", "channel", "msg", MEASURE_RATE, 42},
    {"memory create, map, touch, remove, 4 KiB", "memory", "size=4096", "shm", "raw memory", MEASURE_TIME, 1.8},
    {"memory create, map, touch, remove, 1 MiB", "memory", "size=1048576", "shm", "raw memory", MEASURE_TIME, 1.10},
    {"queue idle in receive, % of a core", "idle", "cores=1", "queue", NULL, MEASURE_SHARE, 0.05},
    {"channel idle in receive, % of a core", "idle", "cores=1", "channel", NULL, MEASURE_SHARE, 0.05},
};
#define ROWS (sizeof(rows) / sizeof(rows[0]))

static void plan_row(struct plan *plan, const struct runner *build, const struct row *row)
{
    bool peer = row->reference && strcmp(row->reference, PEER) == 0;
    const struct runner *other = peer ? find_runner(plan, PEER) : build;
    char text[96];
    if (!runner_can(build, row->ours) || (peer && (!other || plan->quick)))
        return;
    struct group *group = add_group(plan, row->text, row->work, row->settings);
    if (!group)
        return;
    struct goal goal = {.build = build, .group = group, .measure = row->measure, .bound = row->bound};
    snprintf(goal.text, sizeof(goal.text), "%s", row->text);
    add_lane(group, build, row->ours);
    if (row->reference) {
        goal.reference = 1;
        lane_text(text, sizeof(text), other, row->reference);
        add_lane(group, other, text);
    }
    if (row->measure == MEASURE_SHARE) {
        group->rounds = 1;
        group->ms = plan->quick ? 2000 : 60000;
    }
    plan->goals = more(plan->goals, plan->goal_count, sizeof(goal));
    plan->goals[plan->goal_count++] = goal;
}

void plan_goals(struct plan *plan, char **works, uint32_t count)
{
    for (size_t i = 0; i < ROWS; i++)
        for (uint32_t j = 0; j < plan->runner_count; j++)
            if (plan->runners[j].is_build && work_wanted(rows[i].work, works, count))
                plan_row(plan, &plan->runners[j], &rows[i]);
}
