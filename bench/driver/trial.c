/* Runs one trial in a runner, and takes down what it prints. */
#include <errno.h>
#include <poll.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include "bench/driver/driver.h"

#define WORDS_MAX  32
#define OTHERS_MAX 0.10 /* a round in which others took more of the time is disturbed */
#define STOLEN_MAX 0.02

static const char *const figure_names[FIGURES] = {"ns", "p50", "p99", "p999", "percent"};

/* ---- programs ---- */

struct output {
    char text[16384];
    size_t size;
};

static pid_t start(char **words, int *from)
{
    int ends[2];
    if (pipe(ends) == -1)
        return -1;
    pid_t pid = fork();
    if (pid == 0) {
        prctl(PR_SET_PDEATHSIG, SIGTERM);
        dup2(ends[1], STDOUT_FILENO);
        dup2(ends[1], STDERR_FILENO);
        close(ends[0]);
        close(ends[1]);
        execv(words[0], words);
        _exit(127);
    }
    close(ends[1]);
    *from = ends[0];
    return pid;
}

/* Answers whether it ended well. It ends by itself: runners have an alarm. */
static bool run_program(char **words, struct output *output)
{
    int from, status = -1;
    output->size = 0;
    pid_t pid = start(words, &from);
    if (pid == -1)
        return false;
    for (ssize_t n = 1; n != 0;) {
        n = read(from, output->text + output->size, sizeof(output->text) - 1 - output->size);
        if (n == -1 && errno != EINTR)
            break;
        output->size += n > 0 ? (size_t)n : 0;
    }
    output->text[output->size] = '\0';
    close(from);
    while (waitpid(pid, &status, 0) == -1 && errno == EINTR)
        ;
    return status == 0;
}

void list_systems(struct runner *runner)
{
    static struct output output;
    char *words[] = {runner->path, "list", NULL}, *rest = NULL;
    if (!run_program(words, &output)) {
        snprintf(runner->absent, sizeof(runner->absent), "its runner does not start");
        return;
    }
    for (char *line = strtok_r(output.text, "\n", &rest); line; line = strtok_r(NULL, "\n", &rest)) {
        uint32_t i = runner->system_count;
        if (i < sizeof(runner->systems) / sizeof(runner->systems[0]) &&
            sscanf(line, "%31s %u %zu", runner->systems[i].name, &runner->systems[i].can,
                   &runner->systems[i].largest) == 3)
            runner->system_count++;
    }
}

/* ---- what they print ---- */

static void take_figure(struct lane *lane, const char *name, double value)
{
    for (int i = 0; i < FIGURES; i++)
        if (strcmp(name, figure_names[i]) == 0)
            lane->values[i][lane->rounds] = value;
}

static void take_noise(struct lane *lane, const char *name, double value)
{
    if (strcmp(name, "loop") == 0)
        lane->loops[lane->rounds] = value;
    else if (value > (strcmp(name, "others") == 0 ? OTHERS_MAX : STOLEN_MAX))
        lane->noisy[lane->rounds] = true;
}

static void take(struct lane *lanes, uint32_t count, char *text)
{
    char *rest = NULL, name[16];
    uint32_t at;
    double value;
    for (uint32_t i = 0; i < count; i++)
        lanes[i].noisy[lanes[i].rounds] = false;
    for (char *line = strtok_r(text, "\n", &rest); line; line = strtok_r(NULL, "\n", &rest)) {
        if (sscanf(line, "figure %u %15s %lf", &at, name, &value) == 3 && at < count)
            take_figure(&lanes[at], name, value);
        for (uint32_t i = 0; i < count && sscanf(line, "noise %15s %lf", name, &value) == 2; i++)
            take_noise(&lanes[i], name, value);
    }
    for (uint32_t i = 0; i < count; i++)
        lanes[i].rounds++;
}

static void take_failure(struct lane *lanes, uint32_t count, const char *text)
{
    const char *said = strstr(text, "bench: ");
    said = said ? said + strlen("bench: ") : "it crashed";
    for (uint32_t i = 0; i < count; i++)
        snprintf(lanes[i].failure, sizeof(lanes[i].failure), "%.*s", (int)strcspn(said, "\n"), said);
}

/* ---- one round ---- */

/* The trial of these lanes: one, or all that run together. */
static void run_lanes(struct plan *plan, const struct group *group, struct lane *lanes, uint32_t count)
{
    static struct output output;
    char settings[sizeof(group->settings)], ms[24], seed[32], *words[WORDS_MAX], *rest = NULL;
    uint32_t n = 0;
    if (lanes[0].failure[0])
        return;
    snprintf(settings, sizeof(settings), "%s", group->settings);
    snprintf(ms, sizeof(ms), "ms=%u", group->ms ? group->ms : plan->ms);
    snprintf(seed, sizeof(seed), "seed=%llu", (unsigned long long)plan->seed++);
    words[n++] = (char *)(uintptr_t)lanes[0].runner->path;
    words[n++] = (char *)(uintptr_t)group->work;
    words[n++] = ms;
    words[n++] = seed;
    for (char *word = strtok_r(settings, " ", &rest); word; word = strtok_r(NULL, " ", &rest))
        words[n++] = word;
    for (uint32_t i = 0; i < count; i++)
        words[n++] = lanes[i].text;
    words[n] = NULL;
    if (run_program(words, &output))
        take(lanes, count, output.text);
    else
        take_failure(lanes, count, output.text);
}

void run_group(struct plan *plan, struct group *group)
{
    if (group->together) {
        run_lanes(plan, group, group->lanes, group->lane_count);
        return;
    }
    uint32_t order[LANES_MAX];
    for (uint32_t i = 0; i < group->lane_count; i++)
        order[i] = i;
    for (uint32_t i = group->lane_count; i > 1; i--) {
        uint32_t other = (uint32_t)rand() % i, kept = order[i - 1];
        order[i - 1] = order[other];
        order[other] = kept;
    }
    for (uint32_t i = 0; i < group->lane_count; i++)
        run_lanes(plan, group, &group->lanes[order[i]], 1);
}
