/* Every kernel call and every allocation that a public call makes fails: the Nth, for every N, with each errno of
 * its manual page, once and for good. Whatever that does to the call: no crash, no hang, nothing leaked, an error
 * that the header lists and whose sentence names what failed, and afterwards everything works.
 *
 * The short form takes one errno at every N, and once or for good, ever another, where there are many calls. */
#define _GNU_SOURCE
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/time.h>
#include <unistd.h>

#include "fault_trial.h"
#include "points.h"
#include "probe.h"
#include "rig.h"
#include "support_internal.h"

enum { HUNG_SECONDS = 30 };

static struct trial *now; /* in the child, while the call runs */

/* ---- Allocations; the linker's --wrap leads the library's here ---- */

void *__real_malloc(size_t bytes);
void *__real_calloc(size_t count, size_t bytes);
void *__real_realloc(void *old, size_t bytes);
void *__wrap_malloc(size_t bytes);
void *__wrap_calloc(size_t count, size_t bytes);
void *__wrap_realloc(void *old, size_t bytes);

static bool may_allocate(void)
{
    if (!now)
        return true;
    unsigned nth = ++now->allocations, failing = now->failing_allocation;
    if (!failing || nth < failing || (nth > failing && !now->allocations_for_good))
        return true;
    errno = ENOMEM;
    return false;
}

void *__wrap_malloc(size_t bytes)
{
    return may_allocate() ? __real_malloc(bytes) : NULL;
}

void *__wrap_calloc(size_t count, size_t bytes)
{
    return may_allocate() ? __real_calloc(count, bytes) : NULL;
}

void *__wrap_realloc(void *old, size_t bytes)
{
    return may_allocate() ? __real_realloc(old, bytes) : NULL;
}

/* ---- The child: scene, call, and what holds afterwards ---- */

static int count_files(void)
{
    int count = 0;
    DIR *files = opendir("/proc/self/fd");
    while (files && readdir(files))
        count++;
    if (files)
        closedir(files);
    return count;
}

/* A sanitizer maps for itself while the process goes on: then only what is shared is counted, as all objects are. */
static bool is_counted(const char *line)
{
#if defined(__SANITIZE_ADDRESS__) || defined(__SANITIZE_THREAD__)
    return strstr(line, "-s ") || strstr(line, "xs ");
#else
    (void)line;
    return true;
#endif
}

static int count_maps(void)
{
    char line[512];
    int count = 0;
    FILE *maps = fopen("/proc/self/maps", "re");
    while (maps && fgets(line, sizeof line, maps))
        count += is_counted(line);
    if (maps)
        fclose(maps);
    return count;
}

static void say_nothing(const char *name)
{
    (void)name;
}

static void prepare(struct trial *trial)
{
    if (trial->scene.play->prepare)
        trial->scene.play->prepare(&trial->scene);
}

static void call(struct trial *trial)
{
    struct scene *scene = &trial->scene;
    int64_t began = test_now();
    now = trial;
    trial->answer = scene->play->call(scene);
    now = NULL;
    scene->took = test_now() - began;
}

static void verify(struct trial *trial)
{
    struct scene *scene = &trial->scene;
    if (trial->answer)
        snprintf(trial->detail, sizeof trial->detail, "%s", pipc_error_detail());
    scene->lied = trial->fault.lied;
    scene->maps = trial->fault.left_maps;
    scene->error = trial->fault.failed ? trial->fault.error : 0;
    scene->unread = scene->error && scene->error != ENOENT && strcmp(trial->fault.call->name, "getdents64") == 0;
    if (trial->answer && !scene->play->prepare && probe_remove_everything(say_nothing) > trial->fault.left_objects)
        scene_blame(scene, "an object of the kernel leaked when it failed");
    scene->play->verify(scene, trial->answer);
}

static int live(void *argument)
{
    struct trial *trial = argument;
    trial->maps = -count_maps();
    trial->files = -count_files();
    prepare(trial);
    if (!fault_first_mark())
        return 1;
    call(trial);
    fault_second_mark();
    verify(trial);
    trial->files += count_files();
    trial->maps += count_maps();
    return 0;
}

/* ---- The tracer ---- */

static void note_alarm(int signal)
{
    (void)signal;
}

static void set_alarm(long seconds)
{
    struct sigaction action = {.sa_handler = note_alarm}; /* no SA_RESTART: it ends the waiting for a child */
    struct itimerval timer = {.it_value = {.tv_sec = seconds}};
    sigaction(SIGALRM, &action, NULL);
    setitimer(ITIMER_REAL, &timer, NULL);
}

/* Runs the trial that is described in it. False: something was wrong, and has been told. */
static bool run_trial(struct trial *trial, int usual, struct rig_figures *figures)
{
    set_alarm(HUNG_SECONDS);
    trial->fault.until = test_now() + PIPC_SECONDS(HUNG_SECONDS);
    pid_t child = test_fork(live, trial);
    enum fault_end end = fault_follow(child, &trial->fault);
    set_alarm(0);
    struct scene *scene = &trial->scene;
    if (end == FAULT_HUNG)
        scene_blame(scene, "it did not end in %d s", HUNG_SECONDS);
    else if (end == FAULT_CRASHED)
        scene_blame(scene, "it crashed, wait status 0x%x", (unsigned)trial->fault.status);
    else if (test_wait(child, PIPC_SECONDS(HUNG_SECONDS)) != 0)
        scene_blame(scene, "what follows the call failed");
    else
        trial_judge_leftovers(trial);
    if (end != FAULT_DONE)
        test_kill(child);
    if (trial->fault.unknown)
        scene_blame(scene, "kernel call %d is not in the table", (int)trial->fault.unknown - 1);
    unsigned objects = probe_remove_everything(say_nothing);
    if (end == FAULT_DONE && objects > trial->fault.left_objects)
        scene_blame(scene, "%u objects of the kernel leaked", objects);
    trial_judge_answer(trial, usual);
    figures->trials++;
    figures->hangs += end == FAULT_HUNG;
    figures->leaks += strstr(scene->problem, "leaked") != NULL;
    if (scene->problem[0])
        trial_tell_problem(trial);
    return !scene->problem[0];
}

static void clear(struct trial *trial, const struct scene_play *play)
{
    pipc_event *event = trial->scene.event;
    const char *name = trial->scene.name;
    memset(trial, 0, sizeof *trial);
    memset(event, 0, sizeof *event);
    trial->scene.event = event;
    trial->scene.name = name;
    trial->scene.play = play;
}

struct stage {
    const struct scene_play *plays;
    unsigned count;
    struct rig_figures *figures;
    struct trial *trial;
    int64_t deadline;
    bool every; /* errno, in the short form too */
    bool cut;   /* by the deadline, before all was tried */
};

static void fail_kernel_call(struct stage *stage, const struct scene_play *play, int usual, unsigned nth, unsigned pick,
                             bool for_good)
{
    clear(stage->trial, play);
    stage->trial->fault = (struct fault){.nth = nth, .pick = pick, .for_good = for_good};
    run_trial(stage->trial, usual, stage->figures);
}

/* One hang is enough: the next would take as long. */
static bool may_go_on(struct stage *stage)
{
    stage->cut |= test_now() >= stage->deadline;
    return stage->figures->hangs == 0 && !stage->cut;
}

/* With every errno, once and for good; or with one errno, once or for good, ever another. */
static void fail_every_kernel_call(struct stage *stage, const struct scene_play *play, int usual, bool every)
{
    const struct fault *fault = &stage->trial->fault;
    unsigned salt = (unsigned)(play - stage->plays);
    for (unsigned nth = 1; may_go_on(stage); nth++) {
        unsigned turn = nth + salt;
        fail_kernel_call(stage, play, usual, nth, every ? 0 : turn, !every && turn % 2);
        if (!fault->call)
            break;
        for (unsigned pick = 0, count = every ? fault->errnos : 0; pick < count && may_go_on(stage); pick++) {
            if (pick > 0)
                fail_kernel_call(stage, play, usual, nth, pick, false);
            fail_kernel_call(stage, play, usual, nth, pick, true);
        }
    }
}

/* Failures that did harm once. */
static const struct harm {
    const char *play, *call;
    int error;
    bool for_good;
} harms[] = {
    {"create exclusively", "shmat", EACCES, false},               /* stored into a read-only attachment */
    {"create exclusively", "shmat", EINVAL, false},               /* left the new segment */
    {"create exclusively", "openat", EINTR, true},                /* never ended, nor did the next ones */
    {"create exclusively", "fallocate", EINTR, true},             /* likewise */
    {"create exclusively", "fcntl(F_OFD_SETLK)", EINTR, true},    /* likewise */
    {"create exclusively", "mq_open", EINTR, true},               /* likewise */
    {"send", "msgsnd", EINTR, true},                              /* likewise */
    {"send", "mq_timedsend", EINTR, true},                        /* likewise */
    {"receive", "msgrcv", EINTR, true},                           /* likewise */
    {"receive", "mq_timedreceive", EINTR, true},                  /* likewise */
    {"create exclusively", "openat", EMFILE, true},               /* left an empty file */
    {"create memory", "fcntl(F_OFD_SETLK)", EINVAL, false},       /* was told as lack of room */
    {"create after a dead creator", "newfstatat", ENOMEM, false}, /* no death was seen ever again */
};

static void repeat_harm(struct stage *stage, const struct scene_play *play, int usual)
{
    for (unsigned i = 0; i < sizeof harms / sizeof *harms; i++) {
        const struct harm *harm = &harms[i];
        for (unsigned nth = 1; strcmp(harm->play, play->name) == 0 && may_go_on(stage); nth++) {
            clear(stage->trial, play);
            stage->trial->fault =
                (struct fault){.nth = nth, .only = harm->call, .with = harm->error, .for_good = harm->for_good};
            run_trial(stage->trial, usual, stage->figures);
            if (!stage->trial->fault.call)
                break;
        }
    }
}

static void fail_every_allocation(struct stage *stage, const struct scene_play *play, int usual)
{
    for (unsigned nth = 1; may_go_on(stage); nth++)
        for (unsigned for_good = 0; for_good < 2; for_good++) {
            clear(stage->trial, play);
            stage->trial->failing_allocation = nth;
            stage->trial->allocations_for_good = for_good;
            run_trial(stage->trial, usual, stage->figures);
            if (stage->trial->allocations < nth)
                return;
        }
}

/* Without a fault it must do what it does; that is also the measure of what is usual. */
static void perform(struct stage *stage, const struct scene_play *play)
{
    unsigned failures = test_failures();
    clear(stage->trial, play);
    run_trial(stage->trial, play->usual, stage->figures);
    int usual = play->usual < 0 ? stage->trial->answer : play->usual;
    unsigned calls = stage->trial->fault.calls;
    if (!CHECK_EQUAL(test_failures(), failures) || !CHECK_EQUAL(stage->trial->answer, usual))
        return;
    uint64_t before = stage->figures->trials;
    fail_every_kernel_call(stage, play, usual, rig_is_long() || stage->every);
    repeat_harm(stage, play, usual);
    fail_every_allocation(stage, play, usual);
    printf("fault: %s: %u kernel calls, %u allocations, %u trials\n", play->name, calls, stage->trial->allocations,
           (unsigned)(stage->figures->trials - before));
}

/* What the C library and pipc set up once is set up now, so that it does not look like a leak later. */
static void warm_up(struct stage *stage)
{
    free(malloc(100000)); /* the heap grows here, not in a call */
    for (unsigned i = 0; i < 2 * stage->count; i++) {
        clear(stage->trial, &stage->plays[i % stage->count]);
        prepare(stage->trial);
        call(stage->trial);
        verify(stage->trial);
    }
    count_files();
    count_maps();
}

/* What was never tried was not shown: the long form, which is to try it all, has then failed. */
static void tell_cut(const struct stage *stage)
{
    printf("fault: %s: cut short by the time limit, not all was tried\n", stage->figures->rig);
    fflush(stdout);
    if (rig_is_long())
        test_check(false, false, __FILE__, __LINE__, "cut short by the time limit: not every failure was tried");
}

static int perform_all(void *argument)
{
    struct stage *stage = argument;
    points_forget();
    const char *limit = probe_limit_path(PROBE_LIMIT_MESSAGE_SIZE);
    if (limit)
        test_write_number(limit, 16384);
    for (unsigned i = 0; i < stage->count; i++)
        if (stage->plays[i].first)
            perform(stage, &stage->plays[i]);
    warm_up(stage);
    for (unsigned i = 0; i < stage->count; i++)
        if (!stage->plays[i].first)
            perform(stage, &stage->plays[i]);
    if (stage->cut)
        tell_cut(stage);
    return 0;
}

/* ---- The tests ---- */

static int try_to_trace(void *argument)
{
    (void)argument;
    if (!fault_first_mark())
        return 1;
    fault_second_mark();
    return 0;
}

static void needs_tracing(void)
{
    struct fault none = {0};
    if (fault_impossible())
        test_skip("%s", fault_impossible());
    pid_t child = test_fork(try_to_trace, NULL);
    if (fault_follow(child, &none) != FAULT_DONE)
        test_skip("ptrace is not permitted here");
    CHECK_EQUAL(test_wait(child, PIPC_SECONDS(20)), 0);
}

static void survive(const char *rig, const struct scene_play *plays, unsigned count, bool every)
{
    struct stage stage = {.plays = plays, .count = count, .every = every};
    needs_tracing();
    stage.figures = test_shared(sizeof *stage.figures);
    stage.trial = test_shared(sizeof *stage.trial);
    stage.trial->scene.event = test_shared(sizeof *stage.trial->scene.event);
    char name[40];
    snprintf(name, sizeof name, "%s", test_name("fault"));
    stage.trial->scene.name = name;
    stage.figures->rig = rig;
    stage.deadline = rig_deadline(PIPC_SECONDS(15)); /* in the short form, of which only the reaping needs it all */
    CHECK_EQUAL(test_in_private_ipc(0, perform_all, &stage), 0);
    rig_tell(stage.figures);
}

static void opening_survives_every_failure(void)
{
    survive("fault: opening", fault_openings, fault_openings_count, false);
}

static void messages_survive_every_failure(void)
{
    survive("fault: messages", fault_messages, fault_messages_count, true);
}

static void waiting_survives_every_failure(void)
{
    survive("fault: waiting", fault_waits, fault_waits_count, true);
}

static void memory_survives_every_failure(void)
{
    survive("fault: memory", fault_memories, fault_memories_count, false);
}

static void locking_survives_every_failure(void)
{
    survive("fault: locking", fault_syncs, fault_syncs_count, false);
}

static void recovery_survives_every_failure(void)
{
    survive("fault: recovery", fault_deaths, fault_deaths_count, false);
}

static void looking_and_reaping_survive_every_failure(void)
{
    survive("fault: objects", fault_objects, fault_objects_count, false);
}

static void channels_survive_every_failure(void)
{
    survive("fault: channels", fault_channels, fault_channels_count, false);
}

static const struct test tests[] = {
    {"Q2", "opening_survives_every_failure", opening_survives_every_failure, 0},
    {"Q4", "messages_survive_every_failure", messages_survive_every_failure, 0},
    {"Q7", "waiting_survives_every_failure", waiting_survives_every_failure, 0},
    {"M7", "locking_survives_every_failure", locking_survives_every_failure, 0},
    {"G1 G3 G5", "recovery_survives_every_failure", recovery_survives_every_failure, 0},
    {"Q2 G1 G3", "channels_survive_every_failure", channels_survive_every_failure, 0},
    {"Q14", "looking_and_reaping_survive_every_failure", looking_and_reaping_survive_every_failure, 0},
    {"M1 M2 M3", "memory_survives_every_failure", memory_survives_every_failure, 0},
};

TEST_MAIN("fault", tests)
