/* The plan's parts. */
#include <stdlib.h>
#include <string.h>

#include "bench/driver/driver.h"
#include "bench/system.h"

void *more(void *array, uint32_t count, size_t size)
{
    char *grown = realloc(array, (count + 1) * size);
    if (!grown) {
        fprintf(stderr, "bench: no memory\n");
        exit(1);
    }
    memset(grown + count * size, 0, size);
    return grown;
}

struct group *add_group(struct plan *plan, const char *title, const char *work, const char *settings)
{
    if (plan->cores < 2 && strstr(settings, "cores=2"))
        return NULL;
    struct group *group = more(NULL, 0, sizeof(*group));
    snprintf(group->title, sizeof(group->title), "%s", title);
    snprintf(group->work, sizeof(group->work), "%s", work);
    snprintf(group->settings, sizeof(group->settings), "%s", settings);
    group->together = strcmp(work, "pair") == 0 || strcmp(work, "memory") == 0;
    plan->groups = more(plan->groups, plan->group_count, sizeof(*plan->groups));
    plan->groups[plan->group_count++] = group;
    return group;
}

struct lane *add_lane(struct group *group, const struct runner *runner, const char *text)
{
    if (group->lane_count == LANES_MAX) {
        fprintf(stderr, "bench: more than %d systems in one group\n", LANES_MAX);
        exit(1);
    }
    struct lane *lane = &group->lanes[group->lane_count++];
    lane->runner = runner;
    snprintf(lane->text, sizeof(lane->text), "%s", text);
    return lane;
}

const struct runner *find_runner(const struct plan *plan, const char *name)
{
    for (uint32_t i = 0; i < plan->runner_count; i++)
        if (strcmp(plan->runners[i].name, name) == 0 && !plan->runners[i].absent[0])
            return &plan->runners[i];
    return NULL;
}

bool runner_can(const struct runner *runner, const char *lane)
{
    size_t length = strcspn(lane, ",");
    for (uint32_t i = 0; i < runner->system_count; i++) {
        if (strlen(runner->systems[i].name) == length && strncmp(runner->systems[i].name, lane, length) == 0)
            return !strstr(lane, "types=") || (runner->systems[i].can & BENCH_TYPES);
    }
    return false;
}

void lane_text(char *text, size_t size, const struct runner *build, const char *lane)
{
    bool sysv = strcmp(build->name, "sysv") == 0;
    if (strncmp(lane, "raw memory", 10) == 0)
        snprintf(text, size, "%s%s", sysv ? "shmget" : "shm_open", lane + 10);
    else if (strncmp(lane, "raw", 3) == 0)
        snprintf(text, size, "%s%s", sysv ? "msg" : "mq", lane + 3);
    else
        snprintf(text, size, "%s", lane);
}

bool work_wanted(const char *work, char **works, uint32_t count)
{
    for (uint32_t i = 0; i < count; i++)
        if (strcmp(works[i], work) == 0)
            return true;
    return count == 0;
}
