/* bench: plans the trials, runs them in rounds of random order, tells what came out.
 *   bench [--quick] [--rounds N] [--ms N] [--seconds N] [--json FILE] [--command TEXT]
 *         --build NAME=PATH=FLAGS... [--peer NAME=PATH | --absent NAME=REASON]... [WORK...] */
#include <sched.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "bench/driver/driver.h"

static void die(const char *what, const char *about)
{
    fprintf(stderr, "bench: %s %s\n", what, about);
    exit(2);
}

/* ---- arguments ---- */

static void add_runner(struct plan *plan, char kind, char *text)
{
    if (plan->runner_count == RUNNERS_MAX)
        die("too many runners at", text);
    struct runner *runner = &plan->runners[plan->runner_count++];
    char *value = strchr(text, '='), *flags;
    if (!value)
        die("NAME=... is wanted, not", text);
    *value++ = '\0';
    if ((flags = strchr(value, '=')) && kind == 'b')
        *flags++ = '\0';
    snprintf(runner->name, sizeof(runner->name), "%s", text);
    snprintf(runner->flags, sizeof(runner->flags), "%s", flags && kind == 'b' ? flags : "");
    runner->is_build = kind == 'b';
    if (kind == 'a')
        snprintf(runner->absent, sizeof(runner->absent), "%s", value);
    else
        snprintf(runner->path, sizeof(runner->path), "%s", value);
    if (kind != 'a')
        list_systems(runner);
    if (kind == 'b' && runner->absent[0])
        die("this runner does not start:", runner->path);
}

static bool take_option(struct plan *plan, const char *name, char *value, const char **json)
{
    if (strcmp(name, "--rounds") == 0)
        plan->rounds = (uint32_t)atoi(value);
    else if (strcmp(name, "--ms") == 0)
        plan->ms = (uint32_t)atoi(value);
    else if (strcmp(name, "--seconds") == 0)
        plan->seconds = atof(value);
    else if (strcmp(name, "--json") == 0)
        *json = value;
    else if (strcmp(name, "--command") == 0)
        plan->command = value;
    else if (strcmp(name, "--build") == 0 || strcmp(name, "--peer") == 0 || strcmp(name, "--absent") == 0)
        add_runner(plan, name[2], value);
    else
        return false;
    return true;
}

/* Answers where the works begin. */
static int parse(struct plan *plan, int count, char **words, const char **json)
{
    int i = 1;
    while (i < count && strncmp(words[i], "--", 2) == 0) {
        if (strcmp(words[i], "--quick") == 0) {
            plan->quick = true;
            i++;
        } else if (i + 1 < count && take_option(plan, words[i], words[i + 1], json)) {
            i += 2;
        } else {
            die("unknown option, or no value:", words[i]);
        }
    }
    if (plan->runner_count == 0)
        die("no build is given:", "--build NAME=PATH=FLAGS");
    if (plan->rounds < 1 || plan->rounds > ROUNDS_MAX || plan->ms < 1)
        die("rounds or milliseconds are out of range", "");
    return i;
}

static uint32_t usable_cores(void)
{
    cpu_set_t set;
    return sched_getaffinity(0, sizeof(set), &set) == 0 ? (uint32_t)CPU_COUNT(&set) : 1;
}

/* ---- rounds ---- */

static double now(void)
{
    struct timespec time;
    clock_gettime(CLOCK_MONOTONIC, &time);
    return (double)time.tv_sec + (double)time.tv_nsec / 1e9;
}

static void shuffle(struct group **groups, uint32_t count)
{
    for (uint32_t i = count; i > 1; i--) {
        uint32_t other = (uint32_t)rand() % i;
        struct group *kept = groups[i - 1];
        groups[i - 1] = groups[other];
        groups[other] = kept;
    }
}

static void run_round(struct plan *plan, struct group **order, uint32_t round)
{
    shuffle(order, plan->group_count);
    for (uint32_t i = 0; i < plan->group_count; i++)
        if (order[i]->rounds == 0 || round < order[i]->rounds)
            run_group(plan, order[i]);
    fprintf(stderr, "bench: round %u of %u\n", round + 1, plan->rounds);
}

static void run_rounds(struct plan *plan)
{
    double start = now(), longest = 0;
    struct group **order = NULL;
    for (uint32_t i = 0; i < plan->group_count; i++) {
        order = more(order, i, sizeof(*order));
        order[i] = plan->groups[i];
    }
    for (uint32_t round = 0; round < plan->rounds; round++) {
        double began = now();
        if (plan->seconds > 0 && round > 0 && began - start + longest > plan->seconds)
            break;
        run_round(plan, order, round);
        if (round != 0 || plan->rounds == 1) /* the first has more in it */
            longest = now() - began > longest ? now() - began : longest;
    }
    free(order);
}

/* ---- what comes out ---- */

static void tell_runners(const struct plan *plan)
{
    if (plan->cores < 2)
        printf("works on two cores are skipped: there is one\n");
    for (uint32_t i = 0; i < plan->runner_count; i++) {
        const struct runner *runner = &plan->runners[i];
        if (runner->absent[0])
            printf("%s is skipped: %s\n", runner->name, runner->absent);
        else if (runner->flags[0])
            printf("%s: %s\n", runner->name, runner->flags);
    }
}

/* Answers whether there was none. */
static bool tell_failures(const struct plan *plan)
{
    bool none = true;
    for (uint32_t i = 0; i < plan->group_count; i++) {
        const struct group *group = plan->groups[i];
        for (uint32_t j = 0; j < group->lane_count; j++) {
            const struct lane *lane = &group->lanes[j];
            if (!lane->failure[0])
                continue;
            printf("FAILED: %s, %s %s: %s\n", group->title, lane->runner->name, lane->text, lane->failure);
            none = false;
        }
    }
    return none;
}

static bool write_json(const struct plan *plan, const char *path)
{
    FILE *file = fopen(path, "w");
    if (!file) {
        fprintf(stderr, "bench: %s cannot be written\n", path);
        return false;
    }
    tell_json(file, plan);
    return fclose(file) == 0;
}

int main(int count, char **words)
{
    static struct plan plan = {.rounds = 15, .ms = 200, .seed = 1, .command = "bench"};
    const char *json = NULL;
    int first = parse(&plan, count, words, &json);
    plan.cores = usable_cores();
    srand((unsigned)time(NULL));
    plan.seed = (uint64_t)time(NULL) << 20;
    plan_goals(&plan, words + first, (uint32_t)(count - first));
    if (!plan.quick)
        plan_survey(&plan, words + first, (uint32_t)(count - first));
    if (plan.group_count == 0)
        die("no such work:", words[first]);
    run_rounds(&plan);
    tell_machine(stdout, &plan);
    putchar('\n');
    tell_runners(&plan);
    putchar('\n');
    tell_goals(&plan);
    tell_survey(&plan);
    bool good = tell_failures(&plan);
    if (json && !write_json(&plan, json))
        return 1;
    return good ? 0 : 1;
}
