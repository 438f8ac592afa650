/* See pairs.h. */
#define _GNU_SOURCE
#include "pairs.h"

#include <inttypes.h>
#include <signal.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

#include "points.h"
#include "probe.h"
#include "support_internal.h"
#include "support_queue.h"

enum { MOST_POINTS = 128, MOST_PLACES = 2 * MOST_POINTS, MOST_FUTILE = 30 };
/* In percent, and one less. */
enum { FIRST_CAME = 75, BOTH_CAME = 20 };
#define RELEASE_EVERY PIPC_MS(5)

/* When who comes to its point. */
enum order {
    STOP_THEN_KILL, /* the one is stopped; the other comes, and dies */
    KILL_BEHIND,    /* the other stands at its point already, and dies when the one is stopped */
    DEAD_THEN_STOP, /* the other is dead already */
    ORDERS
};

/* A place is a point that a call comes to: the first time, or the last time of several. Number: point * 2 + last. */
static _Atomic uint64_t *reached[PAIRS_ROLES];   /* by point, in all trials of this case */
static uint64_t times[PAIRS_ROLES][MOST_POINTS]; /* by point, alone */
static uint8_t visited[ORDERS][MOST_PLACES][MOST_PLACES];
static uint64_t random_state;

struct aim {
    struct pairs_stage *stage;
    enum pairs_who who;
    uint32_t place;
    bool dies;
};

void pairs_bad(struct pairs_stage *stage, uint64_t *figure, const char *format, ...)
{
    char what[300], sentence[900];
    va_list arguments;
    va_start(arguments, format);
    vsnprintf(what, sizeof what, format, arguments);
    va_end(arguments);
    snprintf(sentence, sizeof sentence, "%s: %s", stage->detail, what);
    test_check(false, false, __FILE__, __LINE__, sentence);
    ++*figure;
}

/* ---- The two processes ---- */

static uint32_t nth(enum pairs_who who, uint32_t place)
{
    return place % 2 ? (uint32_t)times[who][place / 2] : 1;
}

static int take_part(void *argument)
{
    const struct aim *aim = argument;
    struct pairs_traces *traces = aim->stage->traces;
    points_note(&traces->last[aim->who], reached[aim->who]);
    if (aim->place < MOST_PLACES && aim->dies)
        points_kill_at(aim->place / 2, nth(aim->who, aim->place));
    else if (aim->place < MOST_PLACES)
        points_stop_at(aim->place / 2, nth(aim->who, aim->place));
    int answer = aim->stage->of->calls[aim->who](aim->stage, aim->who);
    points_forget();
    atomic_store(&traces->answer[aim->who], answer);
    return 0;
}

static pid_t start(struct pairs_stage *stage, enum pairs_who who, uint32_t place, bool dies)
{
    struct aim aim = {stage, who, place, dies};
    return test_fork(take_part, &aim);
}

enum state { STOPPED, DEAD, ENDED, ASLEEP };

/* Asleep, and still after a while: it waits for the other, or for something that never comes. */
static bool sleeps_soundly(pid_t child)
{
    if (!test_sleeps(child))
        return false;
    test_sleep(PIPC_MS(1));
    return test_sleeps(child);
}

/* A child that is DEAD or ENDED has been reaped. */
static enum state await(pid_t child)
{
    int status;
    for (;;) {
        if (waitpid(child, &status, WNOHANG | WUNTRACED) == child)
            return WIFSTOPPED(status) ? STOPPED : WIFSIGNALED(status) ? DEAD : ENDED;
        if (sleeps_soundly(child))
            return ASLEEP;
        test_sleep(PIPC_US(30));
    }
}

/* Lets the stopped one go on to its end. */
static void finish(struct pairs_stage *stage, pid_t child)
{
    int status;
    int64_t deadline = test_now() + PIPC_SECONDS(60), release = test_now() + RELEASE_EVERY;
    kill(child, SIGCONT);
    while (waitpid(child, &status, WNOHANG | WUNTRACED) != child || WIFSTOPPED(status)) {
        kill(child, SIGCONT);
        if (stage->of->release && test_now() > release) {
            stage->of->release(stage);
            release = test_now() + RELEASE_EVERY;
        }
        if (test_now() > deadline) {
            pairs_bad(stage, &stage->figures.hangs, "the stopped one did not come to its end when it went on");
            test_kill(child);
            return;
        }
        test_sleep(PIPC_US(50));
    }
    if (status != 0)
        pairs_bad(stage, &stage->figures.torn, "the stopped one ended with status 0x%x", (unsigned)status);
}

/* ---- One trial ---- */

static void describe(struct pairs_stage *stage, uint32_t i, uint32_t j, enum order order)
{
    static const char *const orders[] = {"then", "before, later killed,", "before"};
    if (!stage->of->calls[PAIRS_KILLED]) {
        snprintf(stage->detail, sizeof stage->detail, "%s stopped at \"%s\" (%u)", stage->of->names[PAIRS_STOPPED],
                 points_name(i / 2), nth(PAIRS_STOPPED, i));
        return;
    }
    snprintf(stage->detail, sizeof stage->detail, "%s stopped at \"%s\" (%u), %s killed %s at \"%s\" (%u)",
             stage->of->names[PAIRS_STOPPED], points_name(i / 2), nth(PAIRS_STOPPED, i), stage->of->names[PAIRS_KILLED],
             orders[order], points_name(j / 2), nth(PAIRS_KILLED, j));
}

/* Kills the other at its point, or, if it never comes there, in its sleep. */
static enum state kill_other(struct pairs_stage *stage, uint32_t j)
{
    pid_t child = start(stage, PAIRS_KILLED, j, true);
    enum state state = await(child);
    if (state == ASLEEP || state == STOPPED)
        test_kill(child);
    return state;
}

static void judge(struct pairs_stage *stage, pid_t stopped, enum state state)
{
    if (stage->of->meanwhile && test_random(&random_state, stage->of->meanwhile_one_in) == 0)
        stage->of->meanwhile(stage);
    if (state != ENDED && state != DEAD)
        finish(stage, stopped);
    stage->of->judge(stage);
    stage->figures.trials++;
}

static void forget_traces(struct pairs_stage *stage)
{
    for (unsigned who = 0; who < PAIRS_ROLES; who++) {
        atomic_store(&stage->traces->answer[who], PAIRS_PENDING);
        atomic_store(&stage->traces->got[who], UINT64_MAX);
    }
}

static void tell_nothing(const char *name)
{
    (void)name;
}

static void count_left(struct pairs_stage *stage)
{
    unsigned left =
        stage->alone ? probe_remove_everything(tell_nothing) : probe_remove_leftovers(test_prefix(), tell_nothing);
    if (left > 0)
        pairs_bad(stage, &stage->figures.leaks, "%u objects were left in the kernel", left);
}

/* Who begins finds what it found alone, and comes where it came alone; what the other finds then, nobody knows. */
static void count_first(struct pairs_stage *stage, uint64_t times_alone, bool came)
{
    stage->first_due += times_alone > 0;
    stage->first_came += times_alone > 0 && came;
}

static void try_pair(struct pairs_stage *stage, uint32_t i, uint32_t j, enum order order)
{
    const bool alone = !stage->of->calls[PAIRS_KILLED];
    enum state killed = DEAD;
    pid_t other = 0;
    describe(stage, i, j, order);
    forget_traces(stage);
    stage->number++;
    stage->of->set(stage);
    if (order == DEAD_THEN_STOP) {
        killed = kill_other(stage, j);
    } else if (order == KILL_BEHIND) {
        other = start(stage, PAIRS_KILLED, j, false);
        killed = await(other);
    }
    pid_t stopped = start(stage, PAIRS_STOPPED, i, false);
    enum state state = await(stopped);
    if (order == STOP_THEN_KILL && !alone)
        killed = kill_other(stage, j);
    else if (order == KILL_BEHIND && killed != ENDED)
        test_kill(other);
    stage->figures.kills += !alone && killed != ENDED;
    bool there = killed == (order == KILL_BEHIND ? STOPPED : DEAD), here = state == STOPPED;
    stage->both += here && there;
    stage->waited += killed == ASLEEP || state == ASLEEP;
    count_first(stage, order == STOP_THEN_KILL ? times[PAIRS_STOPPED][i / 2] : times[PAIRS_KILLED][j / 2],
                order == STOP_THEN_KILL ? here : there);
    judge(stage, stopped, state);
    count_left(stage);
}

/* ---- All of them ---- */

/* What each of them reaches alone. */
static void explore(struct pairs_stage *stage)
{
    for (enum pairs_who who = 0; who < PAIRS_ROLES && stage->of->calls[who]; who++) {
        memset((void *)reached[who], 0, MOST_POINTS * sizeof *reached[who]);
        snprintf(stage->detail, sizeof stage->detail, "%s alone", stage->of->names[who]);
        forget_traces(stage);
        stage->of->set(stage);
        pid_t child = start(stage, who, MOST_PLACES, false);
        if (await(child) != ENDED)
            test_kill(child);
        atomic_store(&stage->traces->answer[!who], PAIRS_ABSENT);
        stage->of->judge(stage);
        for (uint32_t point = 0; point < points_count(); point++)
            times[who][point] = atomic_load(&reached[who][point]);
        count_left(stage);
    }
}

static bool is_place(enum pairs_who who, uint32_t place)
{
    return atomic_load(&reached[who][place / 2]) > 0 && (place % 2 == 0 || times[who][place / 2] > 1);
}

static bool is_pair(const struct pairs_stage *stage, uint32_t i, uint32_t j, enum order order)
{
    if (!stage->of->calls[PAIRS_KILLED])
        return is_place(PAIRS_STOPPED, i) && j == 0 && order == STOP_THEN_KILL;
    return is_place(PAIRS_STOPPED, i) && is_place(PAIRS_KILLED, j);
}

/* New points turn up on the way, so it goes over all of them until nothing is new. */
static void visit_all(struct pairs_stage *stage, int64_t deadline)
{
    const uint32_t places = 2 * points_count();
    for (bool more = true; more;) {
        more = false;
        for (uint32_t at = 0; at < places * places * ORDERS; at++) {
            enum order order = at % ORDERS;
            uint32_t i = at / ORDERS / places, j = at / ORDERS % places;
            if (visited[order][i][j] || !is_pair(stage, i, j, order))
                continue;
            if (test_now() > deadline || test_failures() > 0)
                return;
            visited[order][i][j] = more = true;
            try_pair(stage, i, j, order);
        }
    }
}

/* A call may reach no point at all. */
static bool has_places(enum pairs_who who)
{
    for (uint32_t point = 0; point < points_count(); point++)
        if (times[who][point])
            return true;
    return false;
}

/* On a busy machine too some pairs come about: it goes on until the first, within reason. */
static void visit_some(struct pairs_stage *stage, int64_t deadline)
{
    const uint32_t places = 2 * points_count();
    if (!has_places(PAIRS_STOPPED) || (stage->of->calls[PAIRS_KILLED] && !has_places(PAIRS_KILLED)))
        return;
    for (unsigned done = 0; test_failures() == 0;) {
        if (done > 0 && test_now() > deadline && (stage->both > 0 || done >= MOST_FUTILE))
            return;
        uint32_t i = test_random(&random_state, places), j = test_random(&random_state, places);
        enum order order = test_random(&random_state, ORDERS);
        if (!is_pair(stage, i, j, order))
            continue;
        try_pair(stage, i, j, order);
        done++;
    }
}

void pairs_begin(struct pairs_stage *stage, const char *rig)
{
    *stage = (struct pairs_stage){.figures = {.rig = rig}};
    REQUIRE(points_count() <= MOST_POINTS);
    stage->traces = test_shared(sizeof *stage->traces);
    for (unsigned who = 0; who < PAIRS_ROLES; who++)
        reached[who] = test_shared(MOST_POINTS * sizeof *reached[who]);
    stage->alone = test_unshare_ipc(0) == NULL;
    random_state = (uint64_t)test_now();
}

void pairs_visit(struct pairs_stage *stage, const struct pairs_case *of, int64_t deadline)
{
    stage->of = of;
    memset(visited, 0, sizeof visited);
    explore(stage);
    if (rig_is_long())
        visit_all(stage, deadline);
    else
        visit_some(stage, deadline);
}

static void check_share(const struct pairs_stage *stage, const char *what, uint64_t count, uint64_t of, uint64_t floor)
{
    char sentence[200];
    if (count > 0 && (count + 1) * 100 >= of * floor)
        return;
    snprintf(sentence, sizeof sentence, "%s: in only %" PRIu64 " of %" PRIu64 " trials %s", stage->figures.rig, count,
             of, what);
    test_check(false, false, __FILE__, __LINE__, sentence);
}

void pairs_end(struct pairs_stage *stage)
{
    printf("PAIRS|%s|%" PRIu64 " trials|%" PRIu64 " times both were at their points|%" PRIu64
           " times one waited|%" PRIu64 " of %" PRIu64 " first ones came\n",
           stage->figures.rig, stage->figures.trials, stage->both, stage->waited, stage->first_came, stage->first_due);
    check_share(stage, "the first came to its point, as it does alone", stage->first_came, stage->first_due,
                FIRST_CAME);
    check_share(stage, "where none waited both were at their points", stage->both,
                stage->figures.trials - stage->waited, BOTH_CAME);
    rig_tell(&stage->figures);
}
