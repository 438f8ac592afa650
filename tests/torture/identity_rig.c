/* Who is dead, when identities change: exec while a thread is inside a call, a pid that is used again, other pid
 * namespaces, no /proc. What must be repaired is repaired; who cannot be judged is never robbed, and costs the
 * others their patience and no more. */
#define _GNU_SOURCE
#include <errno.h>
#include <pthread.h>
#include <sched.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <sys/mount.h>
#include <sys/wait.h>
#include <unistd.h>

#include "core/slot.h"
#include "points.h"
#include "rig.h"
#include "support_internal.h"
#include "support_queue.h"

enum { PLACES = 5, WAITING = 3, NEW = 100 };

struct deed {
    const char *name;
    test_body *call;
    const char *point; /* where it dies, or is held */
    bool sends;        /* NEW may be there then */
};

struct scene {
    pipc_queue *queue;
    const struct deed *deed;
    _Atomic uint32_t *held;
    struct rig_figures figures;
};

static int receive_one(void *argument)
{
    struct queue_got got;
    return queue_receive(((struct scene *)argument)->queue, pipc_any(), &got, PIPC_SECONDS(20));
}

static int send_one(void *argument)
{
    return queue_send(((struct scene *)argument)->queue, 9, 0, NEW, 64, PIPC_SECONDS(20));
}

static const struct deed deeds[] = {
    {"receive", receive_one, "receive: claimed", false},
    {"send", send_one, "send: reserved, no ticket", false},
    {"send", send_one, "send: put, not confirmed", true},
};

enum { DEEDS = sizeof deeds / sizeof *deeds };

static const struct deed with_the_lock = {"receive", receive_one, "receive: locked", false};

static void set(struct scene *scene, uint32_t places)
{
    scene->queue = queue_make("q", places, 64);
    for (uint32_t i = 0; i < WAITING; i++)
        REQUIRE_OK(queue_send(scene->queue, 1 + i, 0, i, 64, PIPC_NOWAIT));
}

/* All that waited is there, once and in order, and all places are. Each call has 20 s. */
static void check_repaired(struct scene *scene)
{
    struct queue_got got;
    int64_t began = test_now();
    for (uint32_t i = 0; i < WAITING; i++) {
        REQUIRE_OK(queue_receive(scene->queue, pipc_any(), &got, PIPC_SECONDS(20)));
        if (i == 0 && test_now() - began > scene->figures.worst_delay)
            scene->figures.worst_delay = test_now() - began;
        scene->figures.lost += !CHECK_EQUAL(got.number, i);
    }
    int error = queue_receive(scene->queue, pipc_any(), &got, PIPC_NOWAIT);
    CHECK(error == PIPC_E_EMPTY || (error == 0 && scene->deed->sends && got.number == NEW));
    queue_check_room(scene->queue, PLACES, 64);
    queue_end(scene->queue, "q");
    scene->figures.trials++;
}

/* Somebody who cannot be proven dead holds the lock: nobody hangs, nothing is stolen, and the rest works. */
static void check_unjudged(struct scene *scene)
{
    struct queue_got got;
    pipc_queue_info info;
    CHECK_ERROR(queue_receive(scene->queue, pipc_any(), &got, PIPC_NOWAIT), BUSY);
    CHECK_ERROR(queue_receive(scene->queue, pipc_any(), &got, PIPC_MS(80)), TIMEOUT);
    CHECK_OK(pipc_queue_statistics(scene->queue, &info));
    CHECK_EQUAL(info.messages, WAITING);
    scene->figures.trials++;
}

/* ---- exec ---- */

static void *do_deed(void *argument)
{
    struct scene *scene = argument;
    points_hold_at(points_find(scene->deed->point), scene->held);
    scene->deed->call(scene);
    return NULL;
}

static void become_another(void)
{
    execl("/bin/sleep", "sleep", "300", (char *)NULL);
}

static int exec_while_a_thread_is_inside(void *argument)
{
    pthread_t thread;
    struct scene *scene = argument;
    REQUIRE(pthread_create(&thread, NULL, do_deed, scene) == 0);
    REQUIRE(test_await(scene->held, 1));
    become_another();
    return 1;
}

static void *exec_when_held(void *argument)
{
    struct scene *scene = argument;
    if (test_await(scene->held, 1))
        become_another();
    return NULL;
}

static int exec_while_the_first_thread_is_inside(void *argument)
{
    pthread_t thread;
    struct scene *scene = argument;
    REQUIRE(pthread_create(&thread, NULL, exec_when_held, scene) == 0);
    do_deed(scene);
    return 1;
}

/* The new image has no pipc in it: the descriptors that the old one had are gone when exec is over. */
static void await_exec(pid_t child)
{
    char path[40], name[20] = "";
    snprintf(path, sizeof path, "/proc/%d/comm", (int)child);
    for (int64_t end = test_now() + PIPC_SECONDS(30); strcmp(name, "sleep\n") != 0;) {
        REQUIRE(test_now() < end);
        FILE *file = fopen(path, "re");
        if (file && !fgets(name, sizeof name, file))
            name[0] = 0;
        if (file)
            fclose(file);
        test_sleep(PIPC_MS(1));
    }
}

/* That thread's id is gone, so what it held is free at once, though its process lives on as another program. */
static void what_a_thread_held_is_free_after_exec(void)
{
    struct scene scene = {.held = test_shared(sizeof *scene.held), .figures = {.rig = "identity/exec"}};
    for (unsigned i = 0; i < DEEDS; i++) {
        atomic_store(scene.held, 0);
        scene.deed = &deeds[i];
        set(&scene, PLACES);
        pid_t child = test_fork(exec_while_a_thread_is_inside, &scene);
        await_exec(child);
        check_repaired(&scene);
        test_kill(child);
        scene.figures.kills++;
    }
    rig_tell(&scene.figures);
}

/* Whoever calls exec takes over the id and the start time of the first thread: what that one held looks held by
 * the living until the new image ends. It costs the others their patience; then all is repaired. */
static void what_the_first_thread_held_is_free_when_the_new_image_ends(void)
{
    struct scene scene = {.held = test_shared(sizeof *scene.held), .figures = {.rig = "identity/exec of first"}};
    for (unsigned i = 0; i < DEEDS; i++) {
        atomic_store(scene.held, 0);
        scene.deed = &deeds[i];
        set(&scene, PLACES);
        pid_t child = test_fork(exec_while_the_first_thread_is_inside, &scene);
        await_exec(child);
        if (strcmp(scene.deed->point, "receive: claimed") == 0)
            check_unjudged(&scene);
        test_kill(child);
        scene.figures.kills++;
        check_repaired(&scene);
    }
    rig_tell(&scene.figures);
}

static int die_in_deed(void *argument)
{
    struct scene *scene = argument;
    points_kill_at(points_find(scene->deed->point), 1);
    return scene->deed->call(scene);
}

/* The new image may use the same queue again: what stands there in its own name is a ghost's. Here the ghost is a dead
 * child whose marks are renamed. */
static void a_new_image_takes_back_what_the_old_one_held(void)
{
    struct scene scene = {.figures = {.rig = "identity/ghost"}};
    uint64_t self = pipc_self(), lock = (self & 0x3fffffff) | self >> 30 << 32;
    for (unsigned i = 0; i < DEEDS; i++) {
        scene.deed = &deeds[i];
        set(&scene, PLACES);
        CHECK_EQUAL(test_wait(test_fork(die_in_deed, &scene), PIPC_SECONDS(30)), 128 + SIGKILL);
        scene.figures.kills++;
        if (atomic_load(&scene.queue->control->lock.word))
            atomic_store(&scene.queue->control->lock.word, lock);
        for (uint32_t at = 0; at < PLACES; at++) {
            uint64_t word = atomic_load(&scene.queue->words[at]);
            if (pipc_word_state(word) == PIPC_SLOT_RESERVED)
                atomic_store(&scene.queue->words[at],
                             pipc_word_make(PIPC_SLOT_RESERVED, pipc_word_generation(word), self));
        }
        check_repaired(&scene);
    }
    rig_tell(&scene.figures);
}

/* ---- Pid namespaces ---- */

struct errand {
    test_body *body;
    void *argument;
};

static int with_own_proc(void *argument)
{
    struct errand *errand = argument;
    if (mount("proc", "/proc", "proc", MS_NOSUID | MS_NODEV | MS_NOEXEC, NULL) < 0)
        test_skip("no /proc of a private pid namespace: %s", strerror(errno));
    return errand->body(errand->argument);
}

static int with_own_pids(void *argument)
{
    const char *failed = test_unshare_ipc(0);
    if (failed || unshare(CLONE_NEWPID) < 0)
        test_skip("no private pid namespace: %s: %s", failed ? failed : "unshare", strerror(errno));
    return test_wait(test_fork(with_own_proc, argument), PIPC_SECONDS(100));
}

/* Runs body in pid, IPC and mount namespaces of its own, with its own /proc. */
static int in_private_pids(test_body *body, void *argument)
{
    struct errand errand = {body, argument};
    unsigned failures = test_failures();
    int status = test_wait(test_fork(with_own_pids, &errand), PIPC_SECONDS(110));
    if (status == TEST_FAILED_CHILD && test_failures() == failures)
        test_skip("no private pid namespace");
    return status;
}

static int live_on(void *argument)
{
    (void)argument;
    for (;;)
        pause();
    return 0;
}

/* A living child with just this pid. Start times count in ticks: the dead one's must be over. */
static pid_t fork_as(pid_t pid)
{
    test_sleep(PIPC_MS(30));
    for (unsigned tries = 0; tries < 20; tries++) {
        if (!test_write_number("/proc/sys/kernel/ns_last_pid", pid - 1))
            test_skip("ns_last_pid cannot be written: %s", strerror(errno));
        pid_t child = test_fork(live_on, NULL);
        if (child == pid)
            return child;
        test_kill(child);
    }
    REQUIRE(!"a pid could not be had again");
    return -1;
}

static int use_a_pid_again(void *argument)
{
    struct scene *scene = argument;
    for (unsigned i = 0; i < DEEDS; i++) {
        scene->deed = &deeds[i];
        set(scene, PLACES);
        pid_t dead = test_fork(die_in_deed, scene);
        CHECK_EQUAL(test_wait(dead, PIPC_SECONDS(30)), 128 + SIGKILL);
        scene->figures.kills++;
        pid_t living = fork_as(dead);
        check_repaired(scene);
        test_kill(living);
    }
    rig_tell(&scene->figures);
    return 0;
}

static void a_pid_that_is_used_again_does_not_keep_the_dead_alive(void)
{
    struct scene scene = {.figures = {.rig = "identity/pid again"}};
    CHECK_EQUAL(in_private_pids(use_a_pid_again, &scene), 0);
}

static int die_creating(void *argument)
{
    pipc_queue *queue;
    points_kill_at(points_find(argument), 1);
    return pipc_queue_open(&queue, test_name("q"), PIPC_CREATE, NULL);
}

/* System V: a segment that only the kernel knows the maker of. */
static const char nameless[] = "names: segment made, not attached";

static int create_over_a_pid_used_again(void *argument)
{
    static const char *const points[] = {nameless, "names: building", "kernel queue: label told, not made",
                                         "names: built, not ready"};
    struct rig_figures *figures = argument;
    for (unsigned i = 0; i < sizeof points / sizeof *points; i++) {
        pipc_queue *queue = NULL;
        if (points_find(points[i]) == POINTS_NONE)
            continue;
        pid_t dead = test_fork(die_creating, (void *)points[i]);
        CHECK_EQUAL(test_wait(dead, PIPC_SECONDS(30)), 128 + SIGKILL);
        figures->kills++;
        figures->trials++;
        if (points[i] == nameless)
            test_sleep(PIPC_MS(4500)); /* the kernel tells whole seconds, and two of them are of doubt */
        pid_t living = fork_as(dead);
        int64_t began = test_now();
        CHECK_OK(pipc_queue_open(&queue, test_name("q"), PIPC_CREATE, NULL));
        if (test_now() - began > figures->worst_delay)
            figures->worst_delay = test_now() - began;
        queue_end(queue, "q");
        test_kill(living);
    }
    rig_tell(figures);
    return 0;
}

static void a_pid_that_is_used_again_does_not_keep_a_name_busy(void)
{
    struct rig_figures figures = {.rig = "identity/builder's pid"};
    CHECK_EQUAL(in_private_pids(create_over_a_pid_used_again, &figures), 0);
}

/* Its parent has not asked for it yet. */
static void a_maker_that_is_a_zombie_does_not_keep_a_name_busy(void)
{
    struct rig_figures figures = {.rig = "identity/zombie"};
    const char *const points[] = {nameless, "names: building"};
    for (unsigned i = 0; i < sizeof points / sizeof *points; i++) {
        siginfo_t end;
        pipc_queue *queue = NULL;
        if (points_find(points[i]) == POINTS_NONE)
            continue;
        pid_t dead = test_fork(die_creating, (void *)points[i]);
        REQUIRE(waitid(P_PID, (id_t)dead, &end, WEXITED | WNOWAIT) == 0);
        CHECK_OK(pipc_queue_open(&queue, test_name("q"), PIPC_CREATE | PIPC_EXCLUSIVE, NULL));
        queue_end(queue, "q");
        CHECK_EQUAL(test_wait(dead, PIPC_SECONDS(30)), 128 + SIGKILL);
        figures.kills++;
        figures.trials++;
    }
    rig_tell(&figures);
}

/* Opens from another pid namespace, and dies with the lock. */
static int die_abroad(void *argument)
{
    struct scene *scene = argument;
    CHECK_ERROR(pipc_queue_open(&scene->queue, test_name("q"), 0, NULL), NAMESPACE);
    REQUIRE_OK(pipc_queue_open(&scene->queue, test_name("q"), PIPC_FOREIGN_PIDS, NULL));
    REQUIRE_OK(send_one(scene));
    queue_expect(scene->queue, pipc_exactly(9), NEW);
    return die_in_deed(scene);
}

/* The first process of a namespace cannot kill itself; its child can. */
static int be_first_abroad(void *argument)
{
    return test_wait(test_fork(die_abroad, argument), PIPC_SECONDS(50)) == 128 + SIGKILL ? 0 : 1;
}

static int die_in_another_pid_namespace(void *argument)
{
    if (unshare(CLONE_NEWPID) < 0 && unshare(CLONE_NEWUSER | CLONE_NEWPID) < 0)
        test_skip("no pid namespaces here: %s", strerror(errno));
    return test_wait(test_fork(be_first_abroad, argument), PIPC_SECONDS(55));
}

/* Its death cannot be seen from here: that was waived with PIPC_FOREIGN_PIDS. Nobody hangs, and the name can go. */
static void the_death_of_one_from_another_pid_namespace_is_never_guessed(void)
{
    struct scene scene = {.deed = &with_the_lock, .figures = {.rig = "identity/other pids"}};
    unsigned failures = test_failures();
    set(&scene, PLACES);
    int status = test_wait(test_fork(die_in_another_pid_namespace, &scene), PIPC_SECONDS(60));
    if (status == TEST_FAILED_CHILD && test_failures() == failures) {
        queue_end(scene.queue, "q");
        test_skip("no pid namespaces here");
    }
    CHECK_EQUAL(status, 0);
    scene.figures.kills++;
    check_unjudged(&scene);
    queue_end(scene.queue, "q");
    queue_end(queue_make("q", PLACES, 64), "q");
    rig_tell(&scene.figures);
}

/* ---- No /proc ---- */

static int live_without_proc(void *argument)
{
    struct scene *scene = argument;
    pipc_queue *queue = NULL;
    if (mount("tmpfs", "/proc", "tmpfs", 0, "size=4096") < 0)
        test_skip("nothing can be mounted over /proc: %s", strerror(errno));
    set(scene, PLACES);
    CHECK_EQUAL(test_wait(test_fork(send_one, scene), PIPC_SECONDS(30)), 0);
    queue_expect(scene->queue, pipc_exactly(9), NEW);
    CHECK_EQUAL(test_wait(test_fork(die_in_deed, scene), PIPC_SECONDS(30)), 128 + SIGKILL);
    scene->figures.kills++;
    check_unjudged(scene);
    queue_end(scene->queue, "q");
    CHECK_EQUAL(test_wait(test_fork(die_creating, "names: building"), PIPC_SECONDS(30)), 128 + SIGKILL);
    scene->figures.kills++;
    int64_t began = test_now();
    int error = pipc_queue_open(&queue, test_name("q"), PIPC_CREATE, NULL);
    CHECK(error == 0 || error == PIPC_E_BUSY);
    CHECK(test_now() - began < PIPC_SECONDS(20));
    CHECK_OK(pipc_queue_close(queue));
    rig_tell(&scene->figures);
    return 0;
}

static int without_proc(void *argument)
{
    const char *failed = test_unshare_ipc(0);
    if (failed)
        test_skip("no private mounts: %s: %s", failed, strerror(errno));
    return test_wait(test_fork(live_without_proc, argument), PIPC_SECONDS(100));
}

/* The living trade as ever; the dead cannot be told from them, so they are not robbed, and nobody hangs. */
static void without_proc_nobody_is_taken_for_dead_and_nobody_hangs(void)
{
    struct scene scene = {.deed = &with_the_lock, .figures = {.rig = "identity/no proc"}};
    unsigned failures = test_failures();
    int status = test_wait(test_fork(without_proc, &scene), PIPC_SECONDS(110));
    if (status == TEST_FAILED_CHILD && test_failures() == failures)
        test_skip("/proc cannot be hidden here");
    CHECK_EQUAL(status, 0);
}

static const struct test tests[] = {
    {"Q13 G3 G4", "what_a_thread_held_is_free_after_exec", what_a_thread_held_is_free_after_exec, 0},
    {"Q13 G4", "what_the_first_thread_held_is_free_when_the_new_image_ends",
     what_the_first_thread_held_is_free_when_the_new_image_ends, 0},
    {"Q13 G4 G5", "a_new_image_takes_back_what_the_old_one_held", a_new_image_takes_back_what_the_old_one_held, 0},
    {"G2 G3 G4 G5", "a_pid_that_is_used_again_does_not_keep_the_dead_alive",
     a_pid_that_is_used_again_does_not_keep_the_dead_alive, 120},
    {"Q2", "a_pid_that_is_used_again_does_not_keep_a_name_busy", a_pid_that_is_used_again_does_not_keep_a_name_busy,
     120},
    {"Q2", "a_maker_that_is_a_zombie_does_not_keep_a_name_busy", a_maker_that_is_a_zombie_does_not_keep_a_name_busy, 0},
    {"G4", "the_death_of_one_from_another_pid_namespace_is_never_guessed",
     the_death_of_one_from_another_pid_namespace_is_never_guessed, 120},
    {"G4", "without_proc_nobody_is_taken_for_dead_and_nobody_hangs",
     without_proc_nobody_is_taken_for_dead_and_nobody_hangs, 120},
};

TEST_MAIN("identity", tests)
