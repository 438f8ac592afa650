/* The scenes of queues; see fault_scene.h. */
#include "fault_scene.h"

#include <stdarg.h>
#include <stdio.h>
#include <string.h>

#include "support_queue.h"

enum { DEPTH = SCENE_DEPTH, SMALL = SCENE_BODY, LARGE = 12000, HUGE_BODY = 20000 };

void scene_blame(struct scene *scene, const char *format, ...)
{
    va_list arguments;
    if (scene->problem[0])
        return;
    va_start(arguments, format);
    vsnprintf(scene->problem, sizeof scene->problem, format, arguments);
    va_end(arguments);
}

void scene_must(struct scene *scene, int error, const char *what)
{
    if (error)
        scene_blame(scene, "afterwards %s answers %s: %.250s", what, pipc_error_name(error), pipc_error_detail());
}

/* ---- Queues before and after ---- */

static int make(struct scene *scene, pipc_queue **queue, uint32_t flags, uint64_t max_size)
{
    pipc_queue_options options = {.max_messages = DEPTH, .max_size = max_size};
    return pipc_queue_open(queue, scene->name, flags, &options);
}

void scene_fill(struct scene *scene, uint64_t max_size, uint64_t size, unsigned messages)
{
    REQUIRE_OK(make(scene, &scene->queue, PIPC_CREATE | PIPC_EXCLUSIVE, max_size));
    for (unsigned i = 1; i <= messages; i++)
        REQUIRE_OK(queue_send(scene->queue, i, 0, i, size, PIPC_NOWAIT));
}

static void prepare_small(struct scene *scene)
{
    scene_fill(scene, SMALL, SMALL, SCENE_MESSAGES);
}

static void prepare_huge(struct scene *scene)
{
    scene_fill(scene, HUGE_BODY, HUGE_BODY, SCENE_MESSAGES);
}

/* Messages whose bodies fit the kernel's queue and not the sender's stack. */
static void prepare_large(struct scene *scene)
{
    scene_fill(scene, LARGE, SMALL, SCENE_MESSAGES);
}

/* Somebody waited: the marks are up, and a message wakes by a kernel call. */
static void prepare_watched(struct scene *scene)
{
    struct queue_got got;
    prepare_small(scene);
    REQUIRE_ERROR(queue_receive(scene->queue, pipc_exactly(7), &got, PIPC_MS(1)), TIMEOUT);
}

static void prepare_closed(struct scene *scene)
{
    prepare_small(scene);
    REQUIRE_OK(pipc_queue_close(scene->queue));
    scene->queue = NULL;
}

/* The next message must be this one. */
static bool take(struct scene *scene, uint64_t number)
{
    struct queue_got got = {0};
    int error = queue_receive(scene->queue, pipc_any(), &got, PIPC_SECONDS(10));
    scene_must(scene, error, "a receive");
    if (!error && (got.number != number || !got.whole))
        scene_blame(scene, "message %llu was received where %llu must come", (unsigned long long)got.number,
                    (unsigned long long)number);
    return !error;
}

static void drop_all(struct scene *scene)
{
    scene_must(scene, pipc_queue_purge(scene->queue, NULL), "a purge");
}

static int look_at_it(void *argument)
{
    struct scene *scene = argument;
    struct queue_got got;
    return queue_peek(scene->queue, pipc_any(), &got, PIPC_NOWAIT);
}

/* Another process gets the queue's lock: this thread would take it from itself if it had kept it. */
static void check_lock(struct scene *scene)
{
    int error = test_wait(test_fork(look_at_it, scene), PIPC_SECONDS(30));
    if (error && error != PIPC_E_EMPTY)
        scene_blame(scene, "afterwards another process is answered %s", pipc_error_name(error));
}

/* Exactly these messages are there, in this order; then the queue does what a queue does. */
static void check_queue(struct scene *scene, const uint64_t *numbers, unsigned count)
{
    struct queue_got got;
    check_lock(scene);
    for (unsigned i = 0; i < count && !scene->lied; i++)
        if (!take(scene, numbers[i]))
            return;
    if (scene->lied)
        drop_all(scene);
    int error = queue_receive(scene->queue, pipc_any(), &got, PIPC_NOWAIT);
    if (error != PIPC_E_EMPTY)
        scene_blame(scene, "a receive from an empty queue answers %s", pipc_error_name(error));
    for (unsigned i = 0; i < DEPTH; i++)
        scene_must(scene, queue_send(scene->queue, 1, 0, 100 + i, SMALL, PIPC_SECONDS(10)), "a send");
    for (unsigned i = 0; i < DEPTH; i++)
        take(scene, 100 + i);
}

static void check_removed(struct scene *scene)
{
    struct queue_got got;
    int error = scene->queue ? queue_receive(scene->queue, pipc_any(), &got, PIPC_NOWAIT) : PIPC_E_REMOVED;
    if (error != PIPC_E_REMOVED)
        scene_blame(scene, "the old handle of a removed queue answers %s", pipc_error_name(error));
    pipc_queue_close(scene->queue);
    scene->queue = NULL;
    error = make(scene, &scene->queue, 0, SMALL);
    if (error != PIPC_E_NOT_FOUND)
        scene_blame(scene, "a removed queue is opened: %s", pipc_error_name(error));
}

static void take_away(struct scene *scene)
{
    scene_must(scene, pipc_queue_close(scene->queue), "close");
    scene_must(scene, pipc_queue_remove(scene->name), "remove");
    scene->queue = NULL;
    check_removed(scene);
}

void scene_check_queue(struct scene *scene, const uint64_t *numbers, unsigned count)
{
    check_queue(scene, numbers, count);
    take_away(scene);
}

const uint64_t scene_in_order[] = {1, 2, 3, 4, 5, 6, 7, 8};

/* ---- Opening ---- */

static int call_create(struct scene *scene)
{
    return make(scene, &scene->queue, PIPC_CREATE, SMALL);
}

static int call_create_exclusively(struct scene *scene)
{
    return make(scene, &scene->queue, PIPC_CREATE | PIPC_EXCLUSIVE, SMALL);
}

static int call_open(struct scene *scene)
{
    return pipc_queue_open(&scene->queue, scene->name, 0, NULL);
}

static void verify_opened(struct scene *scene, int answer, unsigned messages)
{
    if (answer && scene->queue)
        scene_blame(scene, "a handle was given with the error");
    if (answer)
        scene_must(scene, make(scene, &scene->queue, PIPC_CREATE, SMALL), "opening it again");
    if (scene->queue)
        scene_check_queue(scene, scene_in_order, messages);
}

static void verify_created(struct scene *scene, int answer)
{
    verify_opened(scene, answer, 0);
}

static void verify_found(struct scene *scene, int answer)
{
    verify_opened(scene, answer, SCENE_MESSAGES);
}

static int call_remove(struct scene *scene)
{
    return pipc_queue_remove(scene->name);
}

static void verify_remove(struct scene *scene, int answer)
{
    if (answer)
        scene_check_queue(scene, scene_in_order, SCENE_MESSAGES);
    else
        check_removed(scene);
    scene_must(scene, make(scene, &scene->queue, PIPC_CREATE | PIPC_EXCLUSIVE, SMALL), "making it anew");
    if (scene->queue)
        scene_check_queue(scene, NULL, 0);
}

static int call_close(struct scene *scene)
{
    return pipc_queue_close(scene->queue);
}

static void verify_close(struct scene *scene, int answer)
{
    (void)answer;
    scene->queue = NULL;
    scene_must(scene, call_open(scene), "opening it again");
    if (scene->queue)
        scene_check_queue(scene, scene_in_order, SCENE_MESSAGES);
}

static int call_statistics(struct scene *scene)
{
    pipc_queue_info info;
    int error = pipc_queue_statistics(scene->queue, &info);
    if (!error && info.messages != SCENE_MESSAGES)
        scene_blame(scene, "%llu messages are told", (unsigned long long)info.messages);
    return error;
}

static void verify_same(struct scene *scene, int answer)
{
    (void)answer;
    scene_check_queue(scene, scene_in_order, SCENE_MESSAGES);
}

static int call_facts(struct scene *scene)
{
    pipc_facts facts;
    (void)scene;
    return pipc_library_facts(&facts);
}

static void verify_nothing(struct scene *scene, int answer)
{
    (void)scene;
    (void)answer;
}

/* ---- Messages ---- */

static int send_of(struct scene *scene, uint64_t size)
{
    return queue_send(scene->queue, 1, 0, SCENE_MESSAGES + 1, size, SCENE_SPAN);
}

static int call_send(struct scene *scene)
{
    return send_of(scene, SMALL);
}

static int call_send_large(struct scene *scene)
{
    return send_of(scene, LARGE);
}

static int call_send_huge(struct scene *scene)
{
    return send_of(scene, HUGE_BODY);
}

static void verify_send(struct scene *scene, int answer)
{
    scene_check_queue(scene, scene_in_order, SCENE_MESSAGES + (answer == 0));
}

static int receive(struct scene *scene, pipc_selection selection)
{
    struct queue_got got;
    int error = queue_receive(scene->queue, selection, &got, SCENE_SPAN);
    scene->got = error ? 0 : got.number;
    return error;
}

static int call_receive(struct scene *scene)
{
    return receive(scene, pipc_any());
}

static int call_select(struct scene *scene)
{
    return receive(scene, pipc_exactly(2));
}

static int call_receive_lowest(struct scene *scene)
{
    return receive(scene, pipc_up_to(9));
}

static int call_receive_too_small(struct scene *scene)
{
    char byte;
    pipc_message message = {.data = &byte, .size = 1};
    return pipc_queue_receive(scene->queue, pipc_any(), &message, SCENE_SPAN);
}

/* All but the message that was received. */
static void verify_received(struct scene *scene, uint64_t number)
{
    uint64_t rest[SCENE_MESSAGES];
    unsigned count = 0;
    if (scene->got && scene->got != number && !scene->lied)
        scene_blame(scene, "message %llu was received instead of %llu", (unsigned long long)scene->got,
                    (unsigned long long)number);
    for (uint64_t i = 1; i <= SCENE_MESSAGES; i++)
        if (i != scene->got)
            rest[count++] = i;
    scene_check_queue(scene, rest, count);
}

static void verify_receive(struct scene *scene, int answer)
{
    (void)answer;
    verify_received(scene, 1);
}

static void verify_select(struct scene *scene, int answer)
{
    (void)answer;
    verify_received(scene, 2);
}

static int call_peek(struct scene *scene)
{
    struct queue_got got;
    int error = queue_peek(scene->queue, pipc_any(), &got, SCENE_SPAN);
    if (!error && got.number != 1)
        scene_blame(scene, "message %llu was peeked", (unsigned long long)got.number);
    return error;
}

static int call_purge(struct scene *scene)
{
    return pipc_queue_purge(scene->queue, &scene->dropped);
}

/* After an error those that had left the kernel's queue may be gone or not; none comes twice. */
static void verify_purge(struct scene *scene, int answer)
{
    if (!answer && scene->dropped != SCENE_MESSAGES && !scene->lied)
        scene_blame(scene, "%llu messages were dropped", (unsigned long long)scene->dropped);
    scene_check_queue(scene, scene_in_order, answer ? SCENE_MESSAGES : 0);
}

/* ---- All of them ---- */

#define MAKING  " EXISTS ACCESS BUSY NO_SPACE LIMIT NO_MEMORY FOREIGN SYSTEM "
#define FINDING " NOT_FOUND ACCESS BUSY LIMIT NO_MEMORY FOREIGN DAMAGED SYSTEM NO_SPACE "
#define SENDING " TIMEOUT INTERRUPTED ACCESS DAMAGED NO_MEMORY SYSTEM "
#define TAKING  " TIMEOUT INTERRUPTED ACCESS DAMAGED SYSTEM "

const struct scene_play fault_openings[] = {
    {"first create", "pipc_queue_open", MAKING, 0, true, NULL, call_create, verify_created},
    {"create", "pipc_queue_open", MAKING, 0, false, NULL, call_create, verify_created},
    {"create exclusively", "pipc_queue_open", MAKING, 0, false, NULL, call_create_exclusively, verify_created},
    {"create where it exists", "pipc_queue_open", FINDING MAKING, 0, false, prepare_closed, call_create, verify_found},
    {"open", "pipc_queue_open", FINDING, 0, false, prepare_closed, call_open, verify_found},
    {"remove", "pipc_queue_remove", FINDING, 0, false, prepare_small, call_remove, verify_remove},
    {"close", "pipc_queue_close", "", 0, false, prepare_small, call_close, verify_close},
    {"statistics", "pipc_queue_statistics", "", 0, false, prepare_small, call_statistics, verify_same},
    {"facts", "pipc_library_facts", "", 0, false, NULL, call_facts, verify_nothing},
};

const struct scene_play fault_messages[] = {
    {"send", "pipc_queue_send", SENDING, 0, false, prepare_small, call_send, verify_send},
    {"send a large body", "pipc_queue_send", SENDING, 0, false, prepare_large, call_send_large, verify_send},
    {"send through a slot", "pipc_queue_send", SENDING, 0, false, prepare_huge, call_send_huge, verify_send},
    {"send with a wake-up", "pipc_queue_send", SENDING, 0, false, prepare_watched, call_send, verify_send},
    {"receive", "pipc_queue_receive", TAKING, 0, false, prepare_small, call_receive, verify_receive},
    {"receive from a slot", "pipc_queue_receive", TAKING, 0, false, prepare_huge, call_receive, verify_receive},
    {"receive a type", "pipc_queue_receive", TAKING, 0, false, prepare_small, call_select, verify_select},
    {"receive the lowest type", "pipc_queue_receive", TAKING, 0, false, prepare_small, call_receive_lowest,
     verify_receive},
    {"receive too small", "pipc_queue_receive", TAKING " TOO_SMALL ", PIPC_E_TOO_SMALL, false, prepare_small,
     call_receive_too_small, verify_same},
    {"peek", "pipc_queue_peek", TAKING, 0, false, prepare_small, call_peek, verify_same},
    {"purge", "pipc_queue_purge", " BUSY ACCESS DAMAGED SYSTEM ", 0, false, prepare_small, call_purge, verify_purge},
};

const unsigned fault_openings_count = sizeof fault_openings / sizeof *fault_openings;
const unsigned fault_messages_count = sizeof fault_messages / sizeof *fault_messages;
