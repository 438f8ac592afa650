/* See step_trial.h. */
#define _GNU_SOURCE
#include "step_trial.h"

#include <inttypes.h>
#include <sched.h>
#include <signal.h>
#include <stdarg.h>
#include <stdio.h>

#include "core/object.h"
#include "points.h"
#include "probe.h"
#include "steps.h"
#include "support_internal.h"

enum { MOST_STEPS = 1000000, FEW_STEPS = 20000, MOST_INSTANTS = 5000, FEWEST_TRIALS = 5, TRIES = 3 };
/* Of the chosen instants so many percent, and so many, may be missed: a call that waits looks at the living in /proc,
 * and finds not always the same there. In the short form few are chosen. */
enum { MISSES = 5, FREE = 4 };
#define SHORT_SPAN  PIPC_MS(250) /* of the killing; there are some sixty calls */
#define RECORD_SPAN PIPC_SECONDS(2)

static uint32_t chosen, hit;

void step_bad(struct step_stage *stage, uint64_t *figure, const char *format, ...)
{
    char what[300], sentence[700];
    va_list arguments;
    va_start(arguments, format);
    vsnprintf(what, sizeof what, format, arguments);
    va_end(arguments);
    snprintf(sentence, sizeof sentence, "%s: %s: %s", stage->of->name, stage->detail, what);
    test_check(false, false, __FILE__, __LINE__, sentence);
    ++*figure;
}

static int die_in_call(void *argument)
{
    struct step_stage *stage = argument;
    points_kill_at(points_find(stage->of->dies_at), 1);
    stage->of->dies(stage);
    return 0;
}

void step_die(struct step_stage *stage)
{
    REQUIRE_EQUAL(test_wait(test_fork(die_in_call, stage), PIPC_SECONDS(30)), 128 + SIGKILL);
}

/* ---- One trial ---- */

static int make_call(void *argument)
{
    struct step_stage *stage = argument;
    int answer = stage->of->call(stage);
    step_world_leave();
    return answer;
}

/* Who it is was asked before: that is no part of the call. */
static int be_stepped(void *argument)
{
    struct step_stage *stage = argument;
    pipc_self();
    if (stage->of->ready)
        stage->of->ready(stage);
    atomic_store(stage->last_point, 0);
    points_note(stage->last_point, NULL);
    step_world_enter();
    return steps_make(make_call, stage) == stage->of->answer ? 0 : 1;
}

static void tell_nothing(const char *name)
{
    (void)name;
}

static void count_left(struct step_stage *stage)
{
    unsigned left =
        stage->alone ? probe_remove_everything(tell_nothing) : probe_remove_leftovers(test_prefix(), tell_nothing);
    if (left > 0)
        step_bad(stage, &stage->figures.leaks, "%u objects were left in the kernel", left);
}

static pid_t begin(struct step_stage *stage)
{
    stage->trial++;
    stage->whole = false;
    stage->of->set(stage);
    pid_t child = test_fork(be_stepped, stage);
    steps_await(child);
    return child;
}

static void judge(struct step_stage *stage, uint32_t instant, const struct steps *steps)
{
    uint32_t point = atomic_load(stage->last_point);
    snprintf(stage->detail, sizeof stage->detail, "%s after %u of %u instructions, behind the point \"%s\"",
             stage->whole ? "whole" : "killed", instant, steps->length, point ? points_name(point - 1) : "none");
    stage->figures.trials++;
    stage->figures.kills += !stage->whole;
    stage->of->judge(stage);
    count_left(stage);
}

static void end_whole(struct step_stage *stage, pid_t child)
{
    stage->whole = true;
    CHECK_EQUAL(steps_release(child), 0);
}

/* False: it was killed elsewhere, or not at all. That is a trial too. */
static bool kill_at(struct step_stage *stage, const struct steps *steps, uint32_t instant)
{
    pid_t child = begin(stage);
    enum steps_end end = steps_kill(steps, child, instant);
    if (end == STEPS_ENDED)
        end_whole(stage, child);
    judge(stage, instant, steps);
    return end == STEPS_KILLED;
}

/* What a first trial does once (learning limits, growing the heap) is no part of the way either. */
static void rehearse(struct step_stage *stage)
{
    struct steps none = {0};
    for (unsigned i = 0; i < 2; i++) {
        pid_t child = begin(stage);
        steps_record(&none, child, 1, INT64_MAX);
        test_kill(child);
        judge(stage, 1, &none);
        steps_free(&none);
    }
}

/* A build with a sanitizer has many more instructions: the short form knows only the first of them. */
static void record(struct step_stage *stage, struct steps *steps)
{
    pid_t child = begin(stage);
    steps_record(steps, child, rig_is_long() ? MOST_STEPS : FEW_STEPS, rig_deadline(RECORD_SPAN));
    if (steps->whole)
        end_whole(stage, child);
    else
        test_kill(child);
    judge(stage, steps->length, steps);
}

/* ---- All of them ---- */

/* Each process steps the other on: on one processor neither has to be woken from afar. */
static void stay_on_one_processor(void)
{
    cpu_set_t set;
    int processor = sched_getcpu();
    if (processor < 0)
        return;
    CPU_ZERO(&set);
    CPU_SET(processor, &set);
    sched_setaffinity(0, sizeof set, &set);
}

static uint32_t common_divisor(uint32_t a, uint32_t b)
{
    return b ? common_divisor(b, a % b) : a;
}

/* Steps of the golden section: however many there will be, they are spread evenly, and none comes twice. */
static uint32_t stride(uint32_t count)
{
    uint32_t stride = (uint32_t)(count * 0.6180339887) | 1;
    while (common_divisor(stride, count) != 1)
        stride++;
    return stride;
}

static void visit(struct step_stage *stage, const struct steps *steps, int64_t deadline)
{
    uint32_t most = steps->count < MOST_INSTANTS ? steps->count : MOST_INSTANTS, by = stride(steps->count);
    uint32_t next = (uint32_t)((uint64_t)test_now() / 1000 % steps->count);
    for (uint32_t i = 0; i < most && test_failures() == 0; i++) {
        if (i >= FEWEST_TRIALS && test_now() > deadline)
            break;
        bool there = false;
        for (unsigned tries = 0; tries < TRIES && !there; tries++)
            there = kill_at(stage, steps, steps->instants[next]);
        chosen++;
        hit += there;
        next = (uint32_t)(((uint64_t)next + by) % steps->count);
    }
}

static void tell_hits(const struct step_stage *stage, const struct steps *steps)
{
    const char *name = stage->of->name;
    printf("STEP|%s|%" PRIu32 " instructions%s|%" PRIu32 " instants|%" PRIu32 " chosen|%" PRIu32 " hit\n", name,
           steps->length, steps->whole ? "" : " and more", steps->count, chosen, hit);
    if (chosen - hit <= FREE + chosen * MISSES / 100)
        return;
    char sentence[300];
    snprintf(sentence, sizeof sentence, "%s: only %" PRIu32 " of %" PRIu32 " chosen instants were hit", name, hit,
             chosen);
    test_check(false, false, __FILE__, __LINE__, sentence);
}

void step_everywhere(const struct step_case *of)
{
    struct step_stage stage = {.of = of, .figures = {.rig = of->name}};
    struct steps steps;
    stage.event = test_shared(sizeof *stage.event);
    stage.last_point = test_shared(sizeof *stage.last_point);
    stage.alone = test_unshare_ipc(0) == NULL;
    step_world_begin();
    stay_on_one_processor();
    rehearse(&stage);
    record(&stage, &steps);
    visit(&stage, &steps, rig_deadline(of->short_span ? of->short_span : SHORT_SPAN));
    tell_hits(&stage, &steps);
    steps_free(&steps);
    rig_tell(&stage.figures);
}
