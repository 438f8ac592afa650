/* The scenes of channels; see fault_scene.h. */
#include <string.h>

#include "fault_scene.h"
#include "parcel.h"
#include "points.h"

enum { RING = 4096, WAITING = SCENE_MESSAGES, FRESH = 50 };

static struct parcel parcel_of(uint64_t number)
{
    return (struct parcel){1, SCENE_BODY, number};
}

static int open_it(struct scene *scene, uint32_t flags, uint32_t producers, uint32_t delivery)
{
    pipc_channel_options options = {.size = RING, .producers = producers, .delivery = delivery};
    return pipc_channel_open(&scene->channel, scene->name, flags, flags & PIPC_CREATE ? &options : NULL);
}

static int send(struct scene *scene, uint64_t number, int64_t timeout)
{
    struct parcel parcel = parcel_of(number);
    return parcel_send(scene->channel, &parcel, timeout);
}

/* ---- Before ---- */

static void fill(struct scene *scene, uint32_t producers, uint32_t delivery, uint32_t records)
{
    REQUIRE_OK(open_it(scene, PIPC_CREATE | PIPC_EXCLUSIVE, producers, delivery));
    for (uint32_t i = 1; i <= records; i++)
        REQUIRE_OK(send(scene, i, PIPC_NOWAIT));
}

static void prepare_one(struct scene *scene)
{
    fill(scene, PIPC_PRODUCERS_ONE, PIPC_DELIVER_ONCE, WAITING);
}

static void prepare_many(struct scene *scene)
{
    fill(scene, PIPC_PRODUCERS_MANY, PIPC_DELIVER_ALL, WAITING);
}

static void prepare_empty(struct scene *scene)
{
    fill(scene, PIPC_PRODUCERS_ONE, PIPC_DELIVER_ONCE, 0);
}

static void prepare_full(struct scene *scene)
{
    fill(scene, PIPC_PRODUCERS_ONE, PIPC_DELIVER_ONCE, 0);
    struct parcel parcel = {1, RING / 4 - 16, 1};
    for (; parcel.number <= WAITING; parcel.number++)
        REQUIRE_OK(parcel_send(scene->channel, &parcel, PIPC_NOWAIT));
}

static void close_it(struct scene *scene)
{
    REQUIRE_OK(pipc_channel_close(scene->channel));
    scene->channel = NULL;
}

static void prepare_closed(struct scene *scene)
{
    prepare_one(scene);
    close_it(scene);
}

/* ---- The dead ---- */

static int die_sending(void *argument)
{
    points_kill_at(points_find("channel: shown, head not moved"), 1);
    return send(argument, FRESH - 1, PIPC_NOWAIT);
}

static int die_reserving(void *argument)
{
    struct scene *scene = argument;
    points_kill_at(points_find("channel: reserved, not filled"), 1);
    return pipc_channel_reserve(scene->channel, &(pipc_record){.size = 1}, PIPC_NOWAIT);
}

static int die_receiving(void *argument)
{
    struct scene *scene = argument;
    struct parcel parcel;
    points_kill_at(points_find("channel: about to show a record"), 1);
    uint32_t count = 1;
    pipc_record record = {0};
    return pipc_channel_peek(scene->channel, &record, &count, PIPC_NOWAIT) +
           parcel_receive(scene->channel, &parcel, NULL, PIPC_NOWAIT);
}

static void bury(struct scene *scene, test_body *death)
{
    REQUIRE_EQUAL(test_wait(test_fork(death, scene), PIPC_SECONDS(20)), 128 + 9);
}

static void prepare_dead_producer(struct scene *scene)
{
    prepare_empty(scene);
    bury(scene, die_sending);
}

static void prepare_dead_reservation(struct scene *scene)
{
    fill(scene, PIPC_PRODUCERS_MANY, PIPC_DELIVER_ONCE, 0);
    bury(scene, die_reserving);
    REQUIRE_OK(send(scene, FRESH, PIPC_NOWAIT));
}

static void prepare_dead_consumer(struct scene *scene)
{
    prepare_one(scene);
    bury(scene, die_receiving);
}

/* ---- Calls ---- */

static int call_create(struct scene *scene)
{
    return open_it(scene, PIPC_CREATE | PIPC_EXCLUSIVE, PIPC_PRODUCERS_ONE, PIPC_DELIVER_ONCE);
}

static int call_create_for_all(struct scene *scene)
{
    return open_it(scene, PIPC_CREATE, PIPC_PRODUCERS_MANY, PIPC_DELIVER_ALL);
}

static int call_open(struct scene *scene)
{
    return open_it(scene, 0, 0, 0);
}

static int call_subscribe(struct scene *scene)
{
    pipc_channel *second;
    int error = pipc_channel_open(&second, scene->name, PIPC_RECEIVE, NULL);
    return error ? error : pipc_channel_close(second);
}

static int call_remove(struct scene *scene)
{
    return pipc_channel_remove(scene->name);
}

static int call_close(struct scene *scene)
{
    int error = pipc_channel_close(scene->channel);
    scene->channel = NULL;
    return error;
}

static int call_send(struct scene *scene)
{
    return send(scene, FRESH, PIPC_MS(200));
}

static int call_send_waiting(struct scene *scene)
{
    static unsigned char body[RING / 4 - 16];
    return pipc_channel_send(scene->channel, &(pipc_record){.data = body, .size = sizeof body}, SCENE_SPAN);
}

static int call_reserve_and_commit(struct scene *scene)
{
    pipc_record record = {.size = SCENE_BODY};
    struct parcel parcel = parcel_of(FRESH);
    int error = pipc_channel_reserve(scene->channel, &record, PIPC_MS(200));
    if (error)
        return error;
    parcel_fill(record.data, &parcel);
    return pipc_channel_commit(scene->channel, &record, 1);
}

static int call_receive(struct scene *scene)
{
    struct parcel parcel;
    int error = parcel_receive(scene->channel, &parcel, NULL, PIPC_MS(200));
    scene->got = error ? 0 : parcel.number;
    return error;
}

static int call_receive_waiting(struct scene *scene)
{
    struct parcel parcel;
    return parcel_receive(scene->channel, &parcel, NULL, SCENE_SPAN);
}

static int call_peek_and_release(struct scene *scene)
{
    pipc_record record = {0};
    uint32_t count = 1;
    struct parcel parcel;
    int error = pipc_channel_peek(scene->channel, &record, &count, PIPC_MS(200));
    if (error)
        return error;
    CHECK(parcel_read(record.data, record.size, &parcel));
    scene->got = parcel.number;
    return pipc_channel_release(scene->channel, 1);
}

static int call_statistics(struct scene *scene)
{
    pipc_channel_info info;
    return pipc_channel_statistics(scene->channel, &info);
}

static int call_interrupt(struct scene *scene)
{
    return pipc_channel_interrupt(scene->channel);
}

/* ---- Afterwards ---- */

static void take(struct scene *scene, uint64_t number)
{
    struct parcel parcel = {0};
    int error = parcel_receive(scene->channel, &parcel, NULL, PIPC_SECONDS(10));
    scene_must(scene, error, "a receive");
    if (!error && parcel.number != number)
        scene_blame(scene, "record %llu was received where %llu must come", (unsigned long long)parcel.number,
                    (unsigned long long)number);
}

static int look_at_it(void *argument)
{
    return send(argument, FRESH + 1, PIPC_SECONDS(10));
}

static void take_away(struct scene *scene)
{
    scene_must(scene, pipc_channel_close(scene->channel), "close");
    scene->channel = NULL;
    scene_must(scene, pipc_channel_remove(scene->name), "remove");
    int error = open_it(scene, 0, 0, 0);
    if (error != PIPC_E_NOT_FOUND)
        scene_blame(scene, "a removed channel is opened: %s", pipc_error_name(error));
}

/* These come, in this order, then the one that another process sends, who gets the producers' lock for it. Then the
 * channel does what a channel does, and goes. */
static void check_channel(struct scene *scene, uint64_t from, uint64_t to, bool fresh)
{
    struct parcel parcel;
    for (uint64_t number = from; number <= to; number++)
        take(scene, number);
    if (fresh)
        take(scene, FRESH);
    int error = test_wait(test_fork(look_at_it, scene), PIPC_SECONDS(30));
    if (error)
        scene_blame(scene, "afterwards another process is answered %s", pipc_error_name(error));
    take(scene, FRESH + 1);
    error = parcel_receive(scene->channel, &parcel, NULL, PIPC_NOWAIT);
    if (error != PIPC_E_EMPTY)
        scene_blame(scene, "a receive from an empty channel answers %s", pipc_error_name(error));
    for (uint64_t i = 0; i < 100 && !scene->problem[0]; i++) {
        scene_must(scene, send(scene, i, PIPC_SECONDS(10)), "a send");
        take(scene, i);
    }
    take_away(scene);
}

static void verify_made(struct scene *scene, int answer)
{
    if (answer)
        scene_must(scene, call_create(scene), "making it");
    if (scene->channel)
        check_channel(scene, 1, 0, false);
}

static void verify_there(struct scene *scene, int answer)
{
    if (answer || !scene->channel)
        scene_must(scene, call_open(scene), "opening it");
    if (scene->channel)
        check_channel(scene, 1, WAITING, false);
}

static void verify_same(struct scene *scene, int answer)
{
    if (answer == PIPC_E_TIMEOUT && scene->took < SCENE_SPAN)
        scene_blame(scene, "it timed out %lld us early", (long long)(SCENE_SPAN - scene->took) / 1000);
    check_channel(scene, 1, WAITING, false);
}

static void verify_empty(struct scene *scene, int answer)
{
    if (answer == PIPC_E_TIMEOUT && scene->took < SCENE_SPAN)
        scene_blame(scene, "it timed out %lld us early", (long long)(SCENE_SPAN - scene->took) / 1000);
    check_channel(scene, 1, 0, false);
}

static void verify_interrupt(struct scene *scene, int answer)
{
    (void)answer;
    int error = call_receive_waiting(scene);
    if (error != PIPC_E_INTERRUPTED)
        scene_blame(scene, "an interrupt was missed: %s", pipc_error_name(error));
    check_channel(scene, 1, 0, false);
}

static void verify_removed(struct scene *scene, int answer)
{
    pipc_channel_info info;
    if (answer)
        scene_must(scene, pipc_channel_remove(scene->name), "remove");
    int error = pipc_channel_statistics(scene->channel, &info);
    if (error != PIPC_E_REMOVED)
        scene_blame(scene, "the old handle of a removed channel answers %s", pipc_error_name(error));
    scene_must(scene, pipc_channel_close(scene->channel), "close");
    scene->channel = NULL;
}

static void verify_sent(struct scene *scene, int answer)
{
    check_channel(scene, 1, WAITING, answer == 0);
}

static void verify_received(struct scene *scene, int answer)
{
    if (!answer && scene->got != 1)
        scene_blame(scene, "record %llu was received first", (unsigned long long)scene->got);
    check_channel(scene, answer ? 1 : 2, WAITING, false);
}

/* What the dead producer had shown comes first. */
static void verify_sent_behind_dead(struct scene *scene, int answer)
{
    check_channel(scene, FRESH - 1, FRESH - 1, answer == 0);
}

static void verify_skipped(struct scene *scene, int answer)
{
    check_channel(scene, 1, 0, answer != 0);
}

#define MAKING  " NOT_FOUND EXISTS ACCESS BUSY NO_SPACE LIMIT NO_MEMORY FOREIGN LAYOUT DAMAGED NAMESPACE SYSTEM "
#define SENDING " TIMEOUT INTERRUPTED "
#define TAKING  " TIMEOUT INTERRUPTED "

const struct scene_play fault_channels[] = {
    {"create a channel", "pipc_channel_open", MAKING, 0, false, NULL, call_create, verify_made},
    {"create a channel for all", "pipc_channel_open", MAKING, 0, false, NULL, call_create_for_all, verify_made},
    {"open a channel", "pipc_channel_open", MAKING, 0, false, prepare_closed, call_open, verify_there},
    {"subscribe", "pipc_channel_open", MAKING, 0, false, prepare_many, call_subscribe, verify_same},
    {"remove a channel", "pipc_channel_remove", MAKING, 0, false, prepare_one, call_remove, verify_removed},
    {"close a channel", "pipc_channel_close", "", 0, false, prepare_one, call_close, verify_there},
    {"channel send", "pipc_channel_send", SENDING, 0, false, prepare_one, call_send, verify_sent},
    {"channel send waits", "pipc_channel_send", SENDING, PIPC_E_TIMEOUT, false, prepare_full, call_send_waiting,
     verify_same},
    {"reserve and commit", "pipc_channel_", SENDING, 0, false, prepare_many, call_reserve_and_commit, verify_sent},
    {"channel receive", "pipc_channel_receive", TAKING, 0, false, prepare_many, call_receive, verify_received},
    {"channel receive waits", "pipc_channel_receive", TAKING, PIPC_E_TIMEOUT, false, prepare_empty,
     call_receive_waiting, verify_empty},
    {"peek and release", "pipc_channel_", TAKING, 0, false, prepare_one, call_peek_and_release, verify_received},
    {"channel statistics", "pipc_channel_statistics", "", 0, false, prepare_one, call_statistics, verify_same},
    {"channel interrupt", "pipc_channel_interrupt", "", 0, false, prepare_empty, call_interrupt, verify_interrupt},
    {"send after a dead producer", "pipc_channel_send", SENDING, 0, false, prepare_dead_producer, call_send,
     verify_sent_behind_dead},
    {"receive after a dead reservation", "pipc_channel_receive", TAKING, 0, false, prepare_dead_reservation,
     call_receive, verify_skipped},
    {"receive after a dead consumer", "pipc_channel_receive", TAKING, 0, false, prepare_dead_consumer, call_receive,
     verify_received},
};

const unsigned fault_channels_count = sizeof fault_channels / sizeof *fault_channels;
