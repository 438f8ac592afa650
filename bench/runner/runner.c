/* The runner: one trial of one kind of work, with the systems that are linked into it.
 *   runner list                                      prints each system and what it can do
 *   runner WORK [KEY=VALUE...] LANE[,KEY=VALUE...]...  prints figures and noise, one a line
 * Environment: PIPC_BENCH_NAME  what the names of all objects begin with (default: pipc-bench) */
#include "bench/runner/runner.h"

#include <errno.h>
#include <signal.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "bench/runner/crew.h"

#define LINKS_MAX 128
#define PATIENCE  30 /* seconds beyond the time to measure */

static struct made {
    const struct bench_system *system;
    void *link;
} made[LINKS_MAX];
static uint32_t made_count;
static pid_t parent;
static const char *prefix; /* of all names */
static volatile sig_atomic_t stopped;

/* ---- endings ---- */

static void clean_up(void)
{
    bench_crew_kill();
    while (made_count > 0) {
        struct made *last = &made[--made_count];
        last->system->destroy(last->link);
    }
}

static void say(const char *format, va_list arguments, const char *reason)
{
    fprintf(stderr, "bench: ");
    vfprintf(stderr, format, arguments);
    fprintf(stderr, "%s%s\n", reason ? ": " : "", reason ? reason : "");
}

static _Noreturn void end_badly(void)
{
    if (getpid() == parent)
        clean_up();
    _exit(1);
}

void bench_die(const char *format, ...)
{
    va_list arguments;
    va_start(arguments, format);
    say(format, arguments, NULL);
    va_end(arguments);
    end_badly();
}

void bench_fail(const char *format, ...)
{
    const char *reason = strerror(errno);
    va_list arguments;
    va_start(arguments, format);
    say(format, arguments, reason);
    va_end(arguments);
    end_badly();
}

void *bench_allocate(size_t size)
{
    void *memory = calloc(1, size);
    if (!memory)
        bench_die("no memory");
    return memory;
}

static void stop(int number)
{
    stopped = number;
}

void bench_check_signals(void)
{
    if (stopped)
        bench_die("ended by signal %d", (int)stopped);
}

static void watch_signals(int64_t span)
{
    struct sigaction action = {.sa_handler = stop};
    sigaction(SIGTERM, &action, NULL);
    sigaction(SIGINT, &action, NULL);
    sigaction(SIGALRM, &action, NULL);
    signal(SIGPIPE, SIG_IGN); /* whoever reads may be gone; what is left must go all the same */
    alarm((unsigned)(span / 1000000000) + PATIENCE);
}

/* ---- links ---- */

void *bench_make(const struct bench_lane *lane)
{
    if (made_count == LINKS_MAX)
        bench_die("more than %d links", LINKS_MAX);
    struct bench_setup setup = lane->setup;
    snprintf(setup.name, sizeof(setup.name), "%.32s-%d-%u", prefix, (int)parent, made_count);
    void *link = lane->system->make(&setup);
    made[made_count++] = (struct made){lane->system, link};
    return link;
}

void bench_join(const struct bench_lane *lane, void *link, enum bench_role role)
{
    if (lane->system->join)
        lane->system->join(link, role);
}

void bench_leave(const struct bench_lane *lane, void *link)
{
    if (lane->system->leave)
        lane->system->leave(link);
}

/* ---- arguments ---- */

static const struct {
    const char *name;
    uint32_t needs;
    void (*run)(const struct bench_job *job);
} works[] = {
    {"pair", BENCH_PAIR, bench_work_pair}, {"trip", BENCH_TRIP, bench_work_trip},
    {"flow", BENCH_FLOW, bench_work_flow}, {"memory", BENCH_MEMORY, bench_work_memory},
    {"idle", BENCH_FLOW, bench_work_idle},
};
#define WORKS (sizeof(works) / sizeof(works[0]))

static const struct bench_system *find_system(const char *name)
{
    for (int i = 0; bench_systems[i]; i++)
        if (strcmp(bench_systems[i]->name, name) == 0)
            return bench_systems[i];
    bench_die("no system is called %s", name);
}

static uint64_t number(const char *text)
{
    char *end;
    errno = 0;
    uint64_t value = strtoull(text, &end, 10);
    if (errno || *text < '0' || *text > '9' || *end)
        bench_die("not a number: %s", text);
    return value;
}

static void set_lane(struct bench_lane *lane, const char *key, const char *value)
{
    uint64_t n = number(value);
    if (strcmp(key, "size") == 0)
        lane->setup.size = n;
    else if (strcmp(key, "depth") == 0)
        lane->setup.depth = (uint32_t)n;
    else if (strcmp(key, "types") == 0)
        lane->setup.types = (uint32_t)n;
    else if (strcmp(key, "load") == 0)
        lane->load = (uint32_t)n;
    else if (strcmp(key, "sleep") == 0)
        lane->setup.sleep = n != 0;
    else
        bench_die("a lane has no %s", key);
}

static void set_job(struct bench_job *job, struct bench_lane *standard, const char *key, const char *value)
{
    if (strcmp(key, "ms") == 0)
        job->span = (int64_t)number(value) * 1000000;
    else if (strcmp(key, "cores") == 0)
        job->cores = (uint32_t)number(value);
    else if (strcmp(key, "senders") == 0)
        job->senders = (uint32_t)number(value);
    else if (strcmp(key, "pairs") == 0)
        job->pairs = (uint32_t)number(value);
    else if (strcmp(key, "place") == 0)
        job->place = number(value) != 0;
    else if (strcmp(key, "seed") == 0)
        job->seed = number(value);
    else
        set_lane(standard, key, value);
}

static void add_lane(struct bench_job *job, const struct bench_lane *standard, char *text)
{
    if (job->lane_count == BENCH_LANES_MAX)
        bench_die("more than %d lanes", BENCH_LANES_MAX);
    struct bench_lane *lane = &job->lanes[job->lane_count++];
    char *rest = NULL, *word = strtok_r(text, ",", &rest);
    *lane = *standard;
    lane->system = find_system(word);
    while ((word = strtok_r(NULL, ",", &rest))) {
        char *value = strchr(word, '=');
        if (!value)
            bench_die("no value for %s", word);
        *value = '\0';
        set_lane(lane, word, value + 1);
    }
    if (lane->load && !lane->setup.depth)
        lane->setup.depth = lane->load + 1;
    snprintf(lane->setup.name, sizeof(lane->setup.name), "%.32s-%d-lane-%u", prefix, (int)parent, job->lane_count);
}

static void parse(struct bench_job *job, int count, char **words)
{
    struct bench_lane standard = {.setup = {.size = 64, .types = 1}};
    for (int i = 0; i < count; i++) {
        char *value = strchr(words[i], '='), *comma = strchr(words[i], ',');
        if (value && (!comma || value < comma)) {
            if (job->lane_count > 0)
                bench_die("%s stands behind a lane and would not hold for it", words[i]);
            *value = '\0';
            set_job(job, &standard, words[i], value + 1);
        } else {
            standard.setup.senders = job->senders;
            add_lane(job, &standard, words[i]);
        }
    }
    if (job->lane_count == 0 || job->senders == 0 || job->pairs == 0 || job->cores < 1 || job->cores > 2)
        bench_die("a trial needs a lane, a sender, a pair, one core or two");
}

/* What of the job this lane cannot do, or 0. */
static bool able(const struct bench_job *job, const struct bench_lane *lane, uint32_t needs)
{
    needs |= job->senders > 1 ? BENCH_MANY : 0;
    needs |= lane->setup.types > 1 ? BENCH_TYPES : 0;
    needs |= job->place ? BENCH_PLACE : 0;
    needs |= lane->setup.sleep ? BENCH_PATIENT : 0;
    return (lane->system->can & needs) == needs &&
           (!lane->system->largest || lane->setup.size <= lane->system->largest);
}

static void run(const char *name, const struct bench_job *job)
{
    for (size_t i = 0; i < WORKS; i++) {
        if (strcmp(works[i].name, name) != 0)
            continue;
        for (uint32_t lane = 0; lane < job->lane_count; lane++)
            if (!able(job, &job->lanes[lane], works[i].needs))
                bench_die("%s cannot do that", job->lanes[lane].system->name);
        works[i].run(job);
        return;
    }
    bench_die("no work is called %s", name);
}

static void list(void)
{
    for (int i = 0; bench_systems[i]; i++)
        printf("%s %u %zu\n", bench_systems[i]->name, bench_systems[i]->can, bench_systems[i]->largest);
}

int main(int count, char **words)
{
    static struct bench_job job = {.senders = 1, .pairs = 1, .cores = 2, .span = 100000000, .seed = 1};
    parent = getpid();
    prefix = getenv("PIPC_BENCH_NAME");
    prefix = prefix ? prefix : "pipc-bench";
    setvbuf(stdout, NULL, _IOFBF, 1 << 16);
    if (count == 2 && strcmp(words[1], "list") == 0) {
        list();
        return 0;
    }
    if (count < 3)
        bench_die("usage: runner list | runner WORK [KEY=VALUE...] LANE[,KEY=VALUE...]...");
    parse(&job, count - 2, words + 2);
    watch_signals(job.span);
    bench_check_signals();
    run(words[1], &job);
    fflush(stdout);
    clean_up();
    return 0;
}
