/* Tables on standard output. */
#include <string.h>
#include <sys/utsname.h>
#include <time.h>
#include <unistd.h>

#include "bench/driver/driver.h"

static void find_model(char *model, size_t size)
{
    char line[256];
    FILE *file = fopen("/proc/cpuinfo", "r");
    snprintf(model, size, "unknown processor");
    while (file && fgets(line, sizeof(line), file)) {
        if (strncmp(line, "model name", 10) == 0 && strchr(line, ':')) {
            snprintf(model, size, "%s", strchr(line, ':') + 2);
            model[strcspn(model, "\n")] = '\0';
            break;
        }
    }
    if (file)
        fclose(file);
}

void tell_machine(FILE *file, const struct plan *plan)
{
    char model[128], date[32];
    struct utsname system;
    time_t now = time(NULL);
    find_model(model, sizeof(model));
    uname(&system);
    strftime(date, sizeof(date), "%Y-%m-%d %H:%M", localtime(&now));
    fprintf(file, "%s, %ld cores, %s %s, %s: %s", model, sysconf(_SC_NPROCESSORS_ONLN), system.sysname, system.release,
            date, plan->command);
}

/* ---- the first table ---- */

static void tell_figure(const struct goal *goal, uint32_t lane)
{
    if (goal->measure == MEASURE_SHARE)
        printf(" %12s", lane == goal->ours ? "" : "-");
    else
        printf(" %10.*f ns", median_of(&goal->group->lanes[lane], FIGURE_NS) < 100 ? 1 : 0,
               median_of(&goal->group->lanes[lane], FIGURE_NS));
}

static void tell_goal(const struct plan *plan, const struct goal *goal)
{
    double ratios[ROUNDS_MAX];
    uint32_t count = ratios_of(goal, ratios);
    printf("%-48s %-5s", goal->text, goal->build->name);
    if (count == 0) {
        const char *why = goal->group->lanes[goal->ours].failure;
        printf(" failed: %s\n", why[0] ? why : goal->group->lanes[goal->reference].failure);
        return;
    }
    double ratio = quantile_of(ratios, count, 0.5);
    tell_figure(goal, goal->ours);
    if (goal->measure != MEASURE_SHARE)
        tell_figure(goal, goal->reference);
    else
        printf(" %13s", "");
    printf(" %8.3f [%.3f %.3f] %s %-6.5g %-3s %2u/%u\n", ratio, quantile_of(ratios, count, 0.25),
           quantile_of(ratios, count, 0.75), goal->measure == MEASURE_RATE ? ">=" : "<=", goal->bound,
           is_met(goal, ratio) ? "yes" : "NO", disturbed_rounds(plan, goal->group), count);
}

void tell_goals(const struct plan *plan)
{
    if (plan->goal_count == 0)
        return;
    printf("%-48s %-5s %13s %13s %8s %s\n", "work (64 B unless said)", "build", "ours", "reference", "ratio",
           "[quartiles] goal, met?, disturbed rounds");
    for (uint32_t i = 0; i < plan->goal_count; i++)
        tell_goal(plan, &plan->goals[i]);
}

/* ---- the others ---- */

static bool is_of_goal(const struct plan *plan, const struct group *group)
{
    for (uint32_t i = 0; i < plan->goal_count; i++)
        if (plan->goals[i].group == group)
            return true;
    return false;
}

static void tell_lane(const struct group *group, const struct lane *lane)
{
    printf("  %-8s %-36s", lane->runner->name, lane->text);
    if (lane->rounds == 0) {
        printf(" failed: %s\n", lane->failure);
        return;
    }
    printf(" %11.1f ns [%.1f %.1f]", median_of(lane, FIGURE_NS),
           quantile_of(lane->values[FIGURE_NS], lane->rounds, 0.25),
           quantile_of(lane->values[FIGURE_NS], lane->rounds, 0.75));
    if (strcmp(group->work, "trip") == 0)
        printf("  p50 %.0f  p99 %.0f  p99.9 %.0f", median_of(lane, FIGURE_P50), median_of(lane, FIGURE_P99),
               median_of(lane, FIGURE_P999));
    putchar('\n');
}

void tell_survey(const struct plan *plan)
{
    for (uint32_t i = 0; i < plan->group_count; i++) {
        const struct group *group = plan->groups[i];
        if (is_of_goal(plan, group) || group->lane_count == 0)
            continue;
        printf("\n%s (%u of %u rounds disturbed)\n", group->title, disturbed_rounds(plan, group),
               group->lanes[0].rounds);
        for (uint32_t j = 0; j < group->lane_count; j++)
            tell_lane(group, &group->lanes[j]);
    }
}
