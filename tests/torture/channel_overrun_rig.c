/* A reader of the latest is stopped just before it looks at a record, and finds there what a producer has written over
 * it: bytes of a body that look like a head of any kind. It must not believe them, judge them, write there, or take
 * a size from them. */
#define _GNU_SOURCE
#include <signal.h>
#include <string.h>
#include <sys/wait.h>

#include "core/platform.h"
#include "core/ring.h"
#include "parcel.h"
#include "points.h"
#include "rig.h"

enum { RING = 4096, LARGEST = RING / 4 - 16, SMALL = 16, ROOM = 64, CANARY = 0x5a, SENDS = 4 };

/* What lies over the reader's place. Bodies are made of pairs of heads: the first of each pair lies where its place
 * is, and leads to the second of another pair, further on than what is overwritten. */
struct forgery {
    uint64_t first, second; /* words */
    uint64_t room;          /* of the reader's buffer */
};

enum { LEADS_TO = 3024 }; /* from the reader's place into the third large record */

static unsigned char body[LARGEST];

static void forge(const struct forgery *forgery)
{
    for (size_t at = 0; at < sizeof body; at += 16) {
        bool second = at % 32 == 0;
        struct pipc_record_head head = {second ? forgery->second : forgery->first, second ? 32 : LEADS_TO, 7};
        memcpy(body + at, &head, sizeof head);
    }
}

struct scene {
    pipc_channel *channel;
    const struct forgery *forgery;
};

/* Takes all that is there: each is one of the large ones, whole. */
static int read_on(void *argument)
{
    const struct scene *scene = argument;
    static unsigned char buffer[RING];
    uint64_t room = scene->forgery->room;
    pipc_record record = {.size = SMALL};
    int records = 0, error;
    REQUIRE_ERROR(pipc_channel_receive(scene->channel, &(pipc_record){.size = 0}, PIPC_NOWAIT), EMPTY); /* subscribes */
    REQUIRE_OK(pipc_channel_send(scene->channel, &(pipc_record){.data = body, .size = SMALL}, PIPC_NOWAIT));
    points_stop_at(points_find("channel: about to look at a head"), 1);
    for (;; records++) {
        memset(buffer, CANARY, sizeof buffer);
        record = (pipc_record){.data = buffer, .size = room, .flags = room < LARGEST ? PIPC_TRUNCATE : 0};
        error = pipc_channel_receive(scene->channel, &record, PIPC_NOWAIT);
        if (error)
            break;
        REQUIRE_EQUAL(record.size, LARGEST);
        REQUIRE(memcmp(buffer, body, room < LARGEST ? room : LARGEST) == 0);
        for (uint64_t at = room; at < sizeof buffer; at++)
            REQUIRE_EQUAL(buffer[at], CANARY);
    }
    REQUIRE_ERROR(error, EMPTY);
    REQUIRE_EQUAL(records, SENDS - 1); /* the first large one is overwritten as well */
    return 0;
}

static void overtake(const struct forgery *forgery, struct rig_figures *figures)
{
    struct scene scene = {.forgery = forgery};
    int status = 0;
    forge(forgery);
    scene.channel =
        parcel_channel("over", PIPC_SEND, &(pipc_channel_options){.size = RING, .delivery = PIPC_DELIVER_LATEST});
    REQUIRE_OK(pipc_channel_close(scene.channel));
    scene.channel = parcel_join("over", 0);
    REQUIRE_OK(pipc_channel_send(scene.channel, &(pipc_record){.data = body, .size = SMALL}, PIPC_NOWAIT));
    pid_t reader = test_fork(read_on, &scene);
    REQUIRE(waitpid(reader, &status, WUNTRACED) == reader && WIFSTOPPED(status));
    for (int i = 0; i < SENDS; i++)
        REQUIRE_OK(pipc_channel_send(scene.channel, &(pipc_record){.data = body, .size = LARGEST}, PIPC_NOWAIT));
    kill(reader, SIGCONT);
    figures->torn += test_wait(reader, PIPC_SECONDS(40)) != 0;
    figures->trials++;
    parcel_end(scene.channel, "over");
}

static int tell_identity(void *argument)
{
    *(uint64_t *)argument = pipc_self();
    return 0;
}

static void what_lies_over_an_overwritten_head_is_not_believed(void)
{
    struct rig_figures figures = {.rig = "channel-overrun"};
    uint64_t *dead = test_shared(sizeof *dead);
    REQUIRE_EQUAL(test_wait(test_fork(tell_identity, dead), PIPC_SECONDS(20)), 0);
    const uint64_t whole = pipc_record_word(PIPC_RECORD_WHOLE, 8);
    const struct forgery forgeries[] = {
        {PIPC_RECORD_FILLER, whole, RING},
        {PIPC_RECORD_GIVEN_UP, whole, RING},
        {PIPC_RECORD_EMPTY, whole, RING},
        {pipc_record_word(PIPC_RECORD_RESERVED, *dead), whole, RING},
        {pipc_record_word(PIPC_RECORD_RESERVED, pipc_self()), whole, RING},
        {PIPC_RECORD_FILLER, pipc_record_word(PIPC_RECORD_RESERVED, *dead), RING},
        {PIPC_RECORD_FILLER, PIPC_RECORD_EMPTY, RING},
        {whole, whole, RING},
        {pipc_record_word(PIPC_RECORD_WHOLE, 500), whole, ROOM},
        {pipc_record_word(PIPC_RECORD_WHOLE, 20), whole, ROOM},
    };
    for (unsigned i = 0; i < sizeof forgeries / sizeof *forgeries; i++)
        overtake(&forgeries[i], &figures);
    rig_tell(&figures);
}

/* ---- Room that comes late ---- */

/* One record of its own is in the ring's second quarter when it asks for room that somebody is about to make. */
static int ask_for_room(void *argument)
{
    pipc_channel *channel = argument;
    pipc_record mine = {.size = LARGEST}, other = {.size = LARGEST}, third = {.size = LARGEST};
    REQUIRE_OK(pipc_channel_reserve(channel, &mine, PIPC_NOWAIT));
    REQUIRE_OK(pipc_channel_reserve(channel, &other, PIPC_NOWAIT));
    points_stop_at(points_find("channel: tried, not judged stuck"), 1);
    REQUIRE_OK(pipc_channel_reserve(channel, &third, PIPC_SECONDS(20)));
    return pipc_channel_commit(channel, (pipc_record[]){mine, other, third}, 3);
}

/* The reader takes what was before it and comes to the other's reservation, between its try and its judgement. */
static void room_that_comes_late_is_used(void)
{
    struct rig_figures figures = {.rig = "channel-room"};
    static unsigned char buffer[RING];
    int status = 0;
    pipc_channel *channel =
        parcel_channel("room", 0, &(pipc_channel_options){.size = RING, .producers = PIPC_PRODUCERS_MANY});
    REQUIRE_OK(pipc_channel_send(channel, &(pipc_record){.data = body, .size = LARGEST}, PIPC_NOWAIT));
    pid_t sender = test_fork(ask_for_room, channel);
    REQUIRE(waitpid(sender, &status, WUNTRACED) == sender && WIFSTOPPED(status));
    REQUIRE_OK(pipc_channel_receive(channel, &(pipc_record){.data = buffer, .size = RING}, PIPC_NOWAIT));
    REQUIRE_ERROR(pipc_channel_receive(channel, &(pipc_record){.data = buffer, .size = RING}, PIPC_NOWAIT), EMPTY);
    kill(sender, SIGCONT);
    figures.hangs += !CHECK_EQUAL(test_wait(sender, PIPC_SECONDS(40)), 0);
    figures.trials++;
    for (int i = 0; i < 3; i++)
        CHECK_OK(pipc_channel_receive(channel, &(pipc_record){.data = buffer, .size = RING}, PIPC_NOWAIT));
    parcel_end(channel, "room");
    rig_tell(&figures);
}

static const struct test tests[] = {
    {"G3 G6", "what_lies_over_an_overwritten_head_is_not_believed", what_lies_over_an_overwritten_head_is_not_believed,
     0},
    {"C6", "room_that_comes_late_is_used", room_that_comes_late_is_used, 0},
};

TEST_MAIN("channel_overrun", tests)
