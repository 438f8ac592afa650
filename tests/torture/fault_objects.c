/* The scenes of looking at all objects and of reaping: among them are whole ones, remains of the dead, and one that a
 * living process builds; see fault_scene.h. */
#include <errno.h>
#include <pthread.h>
#include <signal.h>
#include <string.h>
#include <sys/wait.h>

#include "core/object.h"
#include "fault_scene.h"
#include "points.h"
#include "probe.h"
#include "support_queue.h"

enum { WHOLE = 3 }; /* a queue, memory, a channel */

/* What the visitor was shown. */
static struct shown {
    unsigned whole, building, garbage, reaped;
    bool wrong; /* something whole, or that the living build, is taken for garbage */
} shown;

static unsigned remains; /* that there are before the call */
static int64_t places;

static int note(const pipc_found *found, void *argument)
{
    bool lives = found->state == PIPC_FOUND_READY || found->state == PIPC_FOUND_BUILDING;
    (void)argument;
    shown.whole += found->state == PIPC_FOUND_READY;
    shown.building += found->state == PIPC_FOUND_BUILDING;
    shown.garbage += found->verdict == PIPC_VERDICT_GARBAGE;
    shown.reaped += found->verdict == PIPC_VERDICT_REAPED;
    shown.wrong |= lives && found->verdict != PIPC_VERDICT_KEEP;
    return 0;
}

/* ---- Before ---- */

/* The next object's memory lies where it lay in every trial before, so that the nth kernel call is always the same. */
static void settle_place(void)
{
    probe_ask_for_ids(&(struct probe_ids){.memory = places++, .queue = -1});
}

static int open_queue(pipc_queue **queue, const char *name)
{
    pipc_queue_options options = {.max_messages = 2, .max_size = SCENE_BODY};
    return pipc_queue_open(queue, name, PIPC_CREATE, &options);
}

static void make_and_close(const char *name)
{
    pipc_queue *queue;
    settle_place();
    REQUIRE_OK(open_queue(&queue, name));
    REQUIRE_OK(pipc_queue_close(queue));
}

static void *create_half(void *argument)
{
    pipc_queue *queue;
    (void)argument;
    open_queue(&queue, "half made");
    return NULL;
}

/* Of what its two threads leave one has a header, the other has none yet. */
static int die_creating(void *argument)
{
    static _Atomic uint32_t held;
    pipc_queue *queue;
    pthread_t thread;
    uint32_t point = points_find("names: segment made, not attached");
    (void)argument;
    points_hold_at(points_find("create: no kernel queue yet"), &held);
    REQUIRE(pthread_create(&thread, NULL, create_half, NULL) == 0 && test_await(&held, 1));
    settle_place();
    points_kill_at(point != POINTS_NONE ? point : points_find("names: file made, mode not settled"), 1);
    return open_queue(&queue, "unborn");
}

static int stop_creating(void *argument)
{
    pipc_queue *queue;
    (void)argument;
    points_stop_at(points_find("create: no kernel queue yet"), 1);
    int error = open_queue(&queue, "building");
    return error ? error : pipc_queue_close(queue);
}

static void prepare_half_made(void)
{
    settle_place();
    REQUIRE_EQUAL(test_wait(test_fork(die_creating, NULL), PIPC_SECONDS(20)), 128 + SIGKILL);
    places++;
    remains += 2;
}

/* As a remover leaves it that dies before it frees the name. */
static void prepare_half_removed(void)
{
    size_t bytes;
    make_and_close("half removed");
    struct pipc_object *object = probe_map(PIPC_KIND_QUEUE, "half removed", &bytes);
    REQUIRE(object != NULL);
    atomic_store(&object->state, PIPC_STATE_DEAD);
    probe_unmap(object, bytes);
    remains++;
}

static void prepare_whole(struct scene *scene)
{
    pipc_channel_options small = {.size = PIPC_CHANNEL_SIZE_MIN};
    settle_place();
    scene_fill(scene, SCENE_BODY, SCENE_BODY, SCENE_MESSAGES);
    settle_place();
    REQUIRE_OK(pipc_shm_open(&scene->shm, scene->name, PIPC_CREATE, &(pipc_shm_options){.size = 64}));
    settle_place();
    REQUIRE_OK(pipc_channel_open(&scene->channel, scene->name, PIPC_CREATE, &small));
}

/* A kernel queue without its object, where that can be found. That is made possible once, in the warm-up. */
static void prepare_orphan(void)
{
    static int listed = -1;
    if (listed < 0)
        listed = probe_queues_can_be_listed();
    if (!listed)
        return;
    make_and_close("orphan");
    REQUIRE(probe_remove_memory(PIPC_KIND_QUEUE, "orphan"));
    remains++;
}

static void prepare_builder(struct scene *scene)
{
    int status;
    settle_place();
    scene->holder = test_fork(stop_creating, NULL);
    REQUIRE(waitpid(scene->holder, &status, WUNTRACED) == scene->holder && WIFSTOPPED(status));
}

static void prepare_all(struct scene *scene)
{
    remains = 0;
    places = 0;
    memset(&shown, 0, sizeof shown);
    prepare_whole(scene);
    prepare_half_made();
    prepare_half_removed();
    prepare_orphan();
    prepare_builder(scene);
}

/* ---- Calls ---- */

static int call_each(struct scene *scene)
{
    (void)scene;
    return pipc_each(note, NULL);
}

static int call_reap(struct scene *scene)
{
    (void)scene;
    return pipc_reap(note, NULL);
}

/* ---- Afterwards ---- */

/* Success must have shown all, if nothing failed, or for lack of descriptors, or if it was the list that failed. */
static void check_shown(struct scene *scene, int answer, unsigned garbage, unsigned reaped)
{
    bool must_show_all = scene->error == 0 || scene->error == EMFILE || scene->error == ENFILE || scene->unread;
    if (shown.wrong && !scene->lied)
        scene_blame(scene, "what is whole, or is being built, is taken for garbage");
    if (!answer && must_show_all && (shown.whole != WHOLE || shown.building != 1))
        scene_blame(scene, "%u whole objects and %u unfinished ones are shown", shown.whole, shown.building);
    if (!answer && scene->error == 0 && (shown.garbage != garbage || shown.reaped != reaped))
        scene_blame(scene, "%u objects are called garbage, %u were reaped", shown.garbage, shown.reaped);
}

/* The builder goes on, and succeeds. */
static void check_builder(struct scene *scene)
{
    kill(scene->holder, SIGCONT);
    int error = test_wait(scene->holder, PIPC_SECONDS(20));
    if (scene->lied && error)
        return;
    if (error)
        scene_blame(scene, "a builder that was only stopped is answered %s", pipc_error_name(error));
    else
        scene_must(scene, pipc_queue_remove("building"), "removing what it built");
}

/* Now everything that is garbage goes, and nothing else. What has no header yet stays while somebody is attached. */
static void check_reaping(struct scene *scene)
{
    memset(&shown, 0, sizeof shown);
    if (scene->maps)
        probe_remove_foreign(PIPC_KIND_QUEUE, "unborn");
    scene_must(scene, pipc_reap(NULL, NULL), "a reap");
    scene_must(scene, pipc_each(note, NULL), "a look");
    if (shown.garbage || shown.whole != WHOLE || shown.building)
        scene_blame(scene, "%u whole objects, %u unfinished ones and %u that are garbage remain", shown.whole,
                    shown.building, shown.garbage);
}

static void take_whole_away(struct scene *scene)
{
    scene_check_queue(scene, scene_in_order, SCENE_MESSAGES);
    scene_must(scene, pipc_shm_close(scene->shm), "closing the memory");
    scene_must(scene, pipc_shm_remove(scene->name), "removing the memory");
    scene_must(scene, pipc_channel_close(scene->channel), "closing the channel");
    scene_must(scene, pipc_channel_remove(scene->name), "removing the channel");
}

static void verify_each(struct scene *scene, int answer)
{
    check_shown(scene, answer, remains, 0);
    check_builder(scene);
    check_reaping(scene);
    take_whole_away(scene);
}

static void verify_reap(struct scene *scene, int answer)
{
    check_shown(scene, answer, 0, remains);
    check_builder(scene);
    check_reaping(scene);
    take_whole_away(scene);
}

/* ---- All of them ---- */

/* NO_SPACE: of ENOSPC and ENOMEM, which the kernel answers only to those who make or lock something. */
#define LISTING " ACCESS LIMIT NO_MEMORY NO_SPACE SYSTEM "

const struct scene_play fault_objects[] = {
    {"reap", "pipc_reap", LISTING, 0, false, prepare_all, call_reap, verify_reap},
    {"look at all objects", "pipc_each", LISTING, 0, false, prepare_all, call_each, verify_each},
};

const unsigned fault_objects_count = sizeof fault_objects / sizeof *fault_objects;
