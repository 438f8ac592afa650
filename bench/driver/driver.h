/* The driver: plans the trials, runs them in rounds, tells the medians. */
#ifndef BENCH_DRIVER_H
#define BENCH_DRIVER_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>

#define RUNNERS_MAX 24
#define LANES_MAX   40
#define ROUNDS_MAX  64

enum figure { FIGURE_NS, FIGURE_P50, FIGURE_P99, FIGURE_P999, FIGURE_PERCENT, FIGURES };

/* A program that runs trials: a build of pipc together with the raw calls, or a peer. */
struct runner {
    char name[32];
    char path[512];
    char flags[512];  /* how it was compiled, for the reader */
    bool is_build;    /* of pipc */
    char absent[160]; /* a peer that is not there: why */
    struct {
        char name[32];
        uint32_t can; /* BENCH_* of system.h */
        size_t largest;
    } systems[16];
    uint32_t system_count;
};

/* One system in one group: what it did in each round. */
struct lane {
    const struct runner *runner;
    char text[96]; /* for the runner: the system and its own settings */
    double values[FIGURES][ROUNDS_MAX];
    double loops[ROUNDS_MAX]; /* time of the fixed piece of work */
    bool noisy[ROUNDS_MAX];
    uint32_t rounds;
    char failure[160];
};

/* Trials that are compared: in each round they run one right after the other. */
struct group {
    char title[96];
    char work[16];
    char settings[96];
    bool together;   /* in one process */
    uint32_t rounds; /* 0: as the others */
    uint32_t ms;     /* likewise */
    struct lane lanes[LANES_MAX];
    uint32_t lane_count;
};

enum measure {
    MEASURE_TIME, /* ours / reference, to be at most the goal */
    MEASURE_RATE, /* reference's time / ours, to be at least the goal */
    MEASURE_SHARE /* ours alone, in percent, at most the goal */
};

/* One row of the first table. */
struct goal {
    char text[96];
    const struct runner *build;
    struct group *group;
    uint32_t ours, reference; /* lanes */
    enum measure measure;
    double bound;
};

struct plan {
    struct runner runners[RUNNERS_MAX];
    uint32_t runner_count;
    struct group **groups;
    uint32_t group_count;
    struct goal *goals;
    uint32_t goal_count;
    uint32_t rounds, ms;
    double seconds; /* no round is begun that would end later; 0: no limit */
    bool quick;
    uint32_t cores; /* that we may use */
    uint64_t seed;
    const char *command;
};

/* ---- plan.c ---- */
void *more(void *array, uint32_t count, size_t size); /* room for one more, zeroed; the program ends if there is none */
/* NULL if it needs more cores than there are. */
struct group *add_group(struct plan *plan, const char *title, const char *work, const char *settings);
struct lane *add_lane(struct group *group, const struct runner *runner, const char *text);
const struct runner *find_runner(const struct plan *plan, const char *name); /* NULL: absent */
bool runner_can(const struct runner *runner, const char *lane);
/* The lane with "raw" or "raw memory" at its front replaced by the calls of the build's own kernel family. */
void lane_text(char *text, size_t size, const struct runner *build, const char *lane);

/* ---- goals.c, survey.c: fill the plan; only works that are wanted, all if none is named ---- */
void plan_goals(struct plan *plan, char **works, uint32_t count);
void plan_survey(struct plan *plan, char **works, uint32_t count);
bool work_wanted(const char *work, char **works, uint32_t count);

/* ---- trial.c ---- */
void list_systems(struct runner *runner);
void run_group(struct plan *plan, struct group *group); /* one round of it */

/* ---- summary.c ---- */
double quantile_of(const double *values, uint32_t count, double part);
double median_of(const struct lane *lane, enum figure figure);
uint32_t ratios_of(const struct goal *goal, double *ratios); /* one a round */
uint32_t disturbed_rounds(const struct plan *plan, const struct group *group);
bool is_met(const struct goal *goal, double ratio);

/* ---- table.c, json.c ---- */
void tell_machine(FILE *file, const struct plan *plan);
void tell_goals(const struct plan *plan);
void tell_survey(const struct plan *plan);
void tell_json(FILE *file, const struct plan *plan);

#endif
