/* The same for programs: one object a line inside each list. */
#include <string.h>

#include "bench/driver/driver.h"

static const char *const figure_names[FIGURES] = {"ns", "p50", "p99", "p999", "percent"};

static void put_string(FILE *file, const char *text)
{
    fputc('"', file);
    for (; *text; text++) {
        if (*text == '"' || *text == '\\')
            fputc('\\', file);
        if ((unsigned char)*text >= ' ')
            fputc(*text, file);
    }
    fputc('"', file);
}

static void put_pair(FILE *file, const char *key, const char *value)
{
    fprintf(file, "\"%s\": ", key);
    put_string(file, value);
    fputs(", ", file);
}

static void put_goal(FILE *file, const struct plan *plan, const struct goal *goal)
{
    double ratios[ROUNDS_MAX];
    uint32_t count = ratios_of(goal, ratios);
    double ratio = quantile_of(ratios, count, 0.5);
    fputs("{", file);
    put_pair(file, "work", goal->text);
    put_pair(file, "build", goal->build->name);
    fprintf(file, "\"ours\": %.9g, ", median_of(&goal->group->lanes[goal->ours], FIGURE_NS));
    fprintf(file, "\"reference\": %.9g, ", median_of(&goal->group->lanes[goal->reference], FIGURE_NS));
    fprintf(file, "\"ratio\": %.9g, \"quartiles\": [%.9g, %.9g], ", ratio, quantile_of(ratios, count, 0.25),
            quantile_of(ratios, count, 0.75));
    fprintf(file, "\"bound\": %g, \"at_least\": %s, ", goal->bound, goal->measure == MEASURE_RATE ? "true" : "false");
    fprintf(file, "\"met\": %s, ", count && is_met(goal, ratio) ? "true" : "false");
    fprintf(file, "\"rounds\": %u, \"disturbed\": %u}", count, disturbed_rounds(plan, goal->group));
}

static void put_values(FILE *file, const struct lane *lane)
{
    for (int i = 0; i < FIGURES; i++) {
        bool any = false;
        for (uint32_t k = 0; k < lane->rounds; k++)
            any |= lane->values[i][k] != 0;
        if (!any)
            continue;
        fprintf(file, ", \"%s\": [", figure_names[i]);
        for (uint32_t k = 0; k < lane->rounds; k++)
            fprintf(file, "%s%.6g", k ? ", " : "", lane->values[i][k]);
        fputs("]", file);
    }
}

static void put_lane(FILE *file, const struct plan *plan, const struct group *group, const struct lane *lane)
{
    fputs("{", file);
    put_pair(file, "title", group->title);
    put_pair(file, "work", group->work);
    put_pair(file, "settings", group->settings);
    put_pair(file, "runner", lane->runner->name);
    put_pair(file, "system", lane->text);
    if (lane->failure[0])
        put_pair(file, "failure", lane->failure);
    fprintf(file, "\"disturbed\": %u", disturbed_rounds(plan, group));
    put_values(file, lane);
    fputs("}", file);
}

static void put_runner(FILE *file, const struct runner *runner)
{
    fputs("{", file);
    put_pair(file, "name", runner->name);
    put_pair(file, "absent", runner->absent);
    fputs("\"flags\": ", file);
    put_string(file, runner->flags);
    fputs("}", file);
}

void tell_json(FILE *file, const struct plan *plan)
{
    char machine[1024] = "";
    FILE *memory = fmemopen(machine, sizeof(machine) - 1, "w");
    if (memory) {
        tell_machine(memory, plan);
        fclose(memory);
    }
    fputs("{", file);
    put_pair(file, "machine", machine);
    fputs("\n\"runners\": [", file);
    for (uint32_t i = 0; i < plan->runner_count; i++) {
        fputs(i ? ",\n" : "\n", file);
        put_runner(file, &plan->runners[i]);
    }
    fputs("],\n\"goals\": [", file);
    for (uint32_t i = 0; i < plan->goal_count; i++) {
        fputs(i ? ",\n" : "\n", file);
        put_goal(file, plan, &plan->goals[i]);
    }
    fputs("],\n\"trials\": [", file);
    const char *separator = "\n";
    for (uint32_t i = 0; i < plan->group_count; i++) {
        for (uint32_t j = 0; j < plan->groups[i]->lane_count; j++) {
            fputs(separator, file);
            put_lane(file, plan, plan->groups[i], &plan->groups[i]->lanes[j]);
            separator = ",\n";
        }
    }
    fputs("]}\n", file);
}
