/* The scenes of those who come after a death: what the dead left is found, cleared or rescued while kernel calls
 * fail; see fault_scene.h. */
#include "fault_scene.h"
#include "points.h"
#include "support_queue.h"

static int create(struct scene *scene, uint32_t flags)
{
    pipc_queue_options options = {.max_messages = SCENE_DEPTH, .max_size = SCENE_BODY};
    return pipc_queue_open(&scene->queue, scene->name, flags, &options);
}

/* ---- The dead ---- */

static int die_creating(void *argument)
{
    points_kill_at(points_find("create: no kernel queue yet"), 1);
    return create(argument, PIPC_CREATE);
}

static int die_removing(void *argument)
{
    struct scene *scene = argument;
    points_kill_at(points_find("remove: woken, name not freed"), 1);
    return pipc_queue_remove(scene->name);
}

static int die_receiving(void *argument)
{
    struct scene *scene = argument;
    struct queue_got got;
    points_kill_at(points_find("receive: claimed"), 1);
    return queue_receive(scene->queue, pipc_any(), &got, PIPC_NOWAIT);
}

static int die_sending(void *argument)
{
    struct scene *scene = argument;
    points_kill_at(points_find("send: reserved, no ticket"), 1);
    return queue_send(scene->queue, 1, 0, 50, SCENE_BODY, PIPC_NOWAIT);
}

static void bury(struct scene *scene, test_body *death)
{
    REQUIRE_EQUAL(test_wait(test_fork(death, scene), PIPC_SECONDS(20)), 128 + 9);
}

static void prepare_half_made(struct scene *scene)
{
    bury(scene, die_creating);
}

static void prepare_half_removed(struct scene *scene)
{
    scene_fill(scene, SCENE_BODY, SCENE_BODY, SCENE_MESSAGES);
    bury(scene, die_removing);
    REQUIRE_OK(pipc_queue_close(scene->queue));
    scene->queue = NULL;
}

static void prepare_locked(struct scene *scene)
{
    scene_fill(scene, SCENE_BODY, SCENE_BODY, SCENE_MESSAGES);
    bury(scene, die_receiving);
}

/* All places are taken, the last one by a sender that is dead. */
static void prepare_reserved(struct scene *scene)
{
    scene_fill(scene, SCENE_BODY, SCENE_BODY, SCENE_DEPTH - 1);
    bury(scene, die_sending);
}

/* ---- Those who come after them ---- */

static int call_create(struct scene *scene)
{
    return create(scene, PIPC_CREATE);
}

static int call_open(struct scene *scene)
{
    return create(scene, 0);
}

static int call_remove(struct scene *scene)
{
    return pipc_queue_remove(scene->name);
}

static int call_receive(struct scene *scene)
{
    struct queue_got got;
    int error = queue_receive(scene->queue, pipc_any(), &got, PIPC_MS(200));
    scene->got = error ? 0 : got.number;
    return error;
}

static int call_send(struct scene *scene)
{
    return queue_send(scene->queue, 1, 0, SCENE_DEPTH, SCENE_BODY, PIPC_MS(200));
}

/* Whatever happened, a new queue can be made now, and nothing of the old one is in it. */
static void verify_name(struct scene *scene, int answer)
{
    if (answer)
        scene_must(scene, create(scene, PIPC_CREATE), "making it");
    if (scene->queue)
        scene_check_queue(scene, NULL, 0);
}

/* The message that the dead receiver had claimed is rescued, and is still the first. */
static void verify_receive(struct scene *scene, int answer)
{
    if (!answer && scene->got != 1 && !scene->lied)
        scene_blame(scene, "message %llu was received first", (unsigned long long)scene->got);
    scene_check_queue(scene, scene_in_order + (answer == 0), SCENE_MESSAGES - (answer == 0));
}

static void verify_send(struct scene *scene, int answer)
{
    scene_check_queue(scene, scene_in_order, SCENE_DEPTH - (answer != 0));
}

#define MAKING  " NOT_FOUND EXISTS ACCESS BUSY NO_SPACE LIMIT NO_MEMORY FOREIGN DAMAGED SYSTEM "
#define SENDING " TIMEOUT INTERRUPTED ACCESS DAMAGED NO_MEMORY SYSTEM "
#define TAKING  " TIMEOUT INTERRUPTED ACCESS DAMAGED SYSTEM "

const struct scene_play fault_deaths[] = {
    {"create after a dead creator", "pipc_queue_open", MAKING, 0, false, prepare_half_made, call_create, verify_name},
    {"open after a dead creator", "pipc_queue_open", MAKING, PIPC_E_NOT_FOUND, false, prepare_half_made, call_open,
     verify_name},
    {"remove after a dead creator", "pipc_queue_remove", MAKING, PIPC_E_NOT_FOUND, false, prepare_half_made,
     call_remove, verify_name},
    {"create after a dead remover", "pipc_queue_open", MAKING, 0, false, prepare_half_removed, call_create,
     verify_name},
    {"remove after a dead remover", "pipc_queue_remove", MAKING, PIPC_E_NOT_FOUND, false, prepare_half_removed,
     call_remove, verify_name},
    {"receive after a dead receiver", "pipc_queue_receive", TAKING, 0, false, prepare_locked, call_receive,
     verify_receive},
    {"send after a dead sender", "pipc_queue_send", SENDING, 0, false, prepare_reserved, call_send, verify_send},
};

const unsigned fault_deaths_count = sizeof fault_deaths / sizeof *fault_deaths;
