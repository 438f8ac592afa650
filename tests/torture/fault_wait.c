/* The scenes of what waits and what wakes; see fault_scene.h. */
#include "fault_scene.h"
#include "support_queue.h"

static void prepare_empty(struct scene *scene)
{
    scene_fill(scene, SCENE_BODY, 0, 0);
}

static void prepare_small(struct scene *scene)
{
    scene_fill(scene, SCENE_BODY, SCENE_BODY, SCENE_MESSAGES);
}

static void prepare_full(struct scene *scene)
{
    scene_fill(scene, SCENE_BODY, SCENE_BODY, SCENE_DEPTH);
}

static int receive_flagged(struct scene *scene, uint32_t flags)
{
    char body[SCENE_BODY];
    pipc_message message = {.data = body, .size = sizeof body, .flags = flags};
    return pipc_queue_receive(scene->queue, pipc_exactly(7), &message, SCENE_SPAN);
}

static int call_wait(struct scene *scene)
{
    return receive_flagged(scene, 0);
}

static int call_wait_restarting(struct scene *scene)
{
    return receive_flagged(scene, PIPC_RESTART);
}

static void check_span(struct scene *scene, int answer)
{
    if (answer == PIPC_E_TIMEOUT && scene->took < SCENE_SPAN)
        scene_blame(scene, "it timed out %lld us early", (long long)(SCENE_SPAN - scene->took) / 1000);
}

/* Nobody sent, took or lost anything meanwhile. */
static void verify_same(struct scene *scene)
{
    scene_check_queue(scene, scene_in_order, SCENE_MESSAGES);
}

static void verify_waited(struct scene *scene, int answer)
{
    check_span(scene, answer);
    verify_same(scene);
}

static void verify_waited_empty(struct scene *scene, int answer)
{
    check_span(scene, answer);
    scene_check_queue(scene, NULL, 0);
}

static int call_wait_empty(struct scene *scene)
{
    struct queue_got got;
    return queue_receive(scene->queue, pipc_any(), &got, SCENE_SPAN);
}

static int call_send(struct scene *scene)
{
    return queue_send(scene->queue, 1, 0, 99, SCENE_BODY, SCENE_SPAN);
}

static void verify_full(struct scene *scene, int answer)
{
    check_span(scene, answer);
    scene_check_queue(scene, scene_in_order, SCENE_DEPTH);
}

static int call_interrupt(struct scene *scene)
{
    return pipc_queue_interrupt(scene->queue);
}

static void verify_interrupt(struct scene *scene, int answer)
{
    (void)answer;
    int error = call_wait(scene);
    if (error != PIPC_E_INTERRUPTED)
        scene_blame(scene, "an interrupt was missed: %s", pipc_error_name(error));
    verify_same(scene);
}

/* Somebody waited: the marks are up, and what follows wakes by a kernel call. */
static void prepare_watched(struct scene *scene)
{
    prepare_small(scene);
    REQUIRE_ERROR(receive_flagged(scene, 0), TIMEOUT);
}

static int call_event_wait(struct scene *scene)
{
    uint32_t value;
    return pipc_event_wait(scene->event, 5, &value, SCENE_SPAN);
}

static int call_event_watch(struct scene *scene)
{
    uint32_t value;
    return pipc_event_watch(scene->event, 5, &value, SCENE_SPAN);
}

static void prepare_event(struct scene *scene)
{
    REQUIRE_OK(pipc_event_init(scene->event, 5));
}

static void prepare_watched_event(struct scene *scene)
{
    prepare_event(scene);
    REQUIRE_ERROR(call_event_wait(scene), TIMEOUT);
}

static int call_event_set(struct scene *scene)
{
    return pipc_event_set(scene->event, 6, PIPC_WAKE_ALL);
}

static void verify_event(struct scene *scene, int answer)
{
    uint32_t value = 0;
    check_span(scene, answer);
    scene_must(scene, call_event_set(scene), "setting the event");
    scene_must(scene, pipc_event_wait(scene->event, 5, &value, PIPC_SECONDS(10)), "waiting for the event");
    if (value != 6)
        scene_blame(scene, "the event has value %u", value);
}

static void verify_event_set(struct scene *scene, int answer)
{
    uint32_t value = 0;
    if (!answer)
        scene_must(scene, pipc_event_get(scene->event, &value), "looking at the event");
    if (!answer && value != 6)
        scene_blame(scene, "the event was set and has value %u", value);
    verify_event(scene, 0);
}

/* ---- All of them ---- */

#define SENDING " TIMEOUT INTERRUPTED ACCESS DAMAGED NO_MEMORY SYSTEM "
#define TAKING  " TIMEOUT INTERRUPTED ACCESS DAMAGED SYSTEM "

const struct scene_play fault_waits[] = {
    {"receive waits", "pipc_queue_receive", TAKING, PIPC_E_TIMEOUT, false, prepare_small, call_wait, verify_waited},
    {"receive waits, restarting", "pipc_queue_receive", " TIMEOUT ACCESS DAMAGED SYSTEM ", PIPC_E_TIMEOUT, false,
     prepare_small, call_wait_restarting, verify_waited},
    {"receive waits at an empty queue", "pipc_queue_receive", TAKING, PIPC_E_TIMEOUT, false, prepare_empty,
     call_wait_empty, verify_waited_empty},
    {"send waits", "pipc_queue_send", SENDING, PIPC_E_TIMEOUT, false, prepare_full, call_send, verify_full},
    {"interrupt", "pipc_queue_interrupt", "", 0, false, prepare_watched, call_interrupt, verify_interrupt},
    {"event wait", "pipc_event_wait", " TIMEOUT INTERRUPTED ", PIPC_E_TIMEOUT, false, prepare_event, call_event_wait,
     verify_event},
    {"event watch", "pipc_event_watch", " TIMEOUT INTERRUPTED ", PIPC_E_TIMEOUT, false, prepare_event, call_event_watch,
     verify_event},
    {"event set", "pipc_event_set", "", 0, false, prepare_watched_event, call_event_set, verify_event_set},
};

const unsigned fault_waits_count = sizeof fault_waits / sizeof *fault_waits;
