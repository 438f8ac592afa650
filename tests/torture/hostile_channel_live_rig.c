/* A hostile peer of a channel at work while others are (G6): a large ring is full of what costs the most to walk over,
 * and the pages change while traffic runs. */
#include <stdio.h>
#include <string.h>

#include "core/object.h"
#include "parcel.h"
#include "prey.h"
#include "support_queue.h"
#include "watch.h"

static struct prey prey;

/* ---- A large ring full of heads ---- */

enum { LARGE = 64 << 20, MANY_PEEKS = 1000, HEAD_KINDS = 8 };
#define LONG_HELD PIPC_SECONDS(2) /* on any machine; a lock that is held so long is held too long */

/* Records of the living whose start time is another's cost the most to judge. */
static uint64_t head_word(unsigned kind, uint64_t dead, uint64_t *random)
{
    uint64_t impostor = pipc_self() ^ UINT64_C(1) << 40;
    switch (kind) {
    case 0:
        return PIPC_RECORD_FILLER;
    case 1:
        return PIPC_RECORD_GIVEN_UP;
    case 2:
        return pipc_record_word(PIPC_RECORD_RESERVED, dead);
    case 3:
        return pipc_record_word(PIPC_RECORD_RESERVED, impostor);
    case 4:
        return pipc_record_word(PIPC_RECORD_RESERVED, pipc_self());
    case 5:
        return pipc_record_word(PIPC_RECORD_WHOLE, 0);
    case 6:
        return pipc_record_word(PIPC_RECORD_WHOLE, UINT32_MAX);
    default:
        return (uint64_t)test_random(random, UINT32_MAX) << 32 | test_random(random, UINT32_MAX);
    }
}

static void fill_with_heads(pipc_channel *channel, unsigned kind, uint64_t dead, uint64_t *random)
{
    for (uint64_t at = 0; at < channel->ring.size; at += PIPC_RECORD_ALIGN) {
        struct pipc_record_head *head = pipc_ring_at(&channel->ring, at);
        atomic_store_explicit(&head->word, head_word(kind, dead, random), memory_order_relaxed);
        head->span = kind == 6 ? UINT32_MAX : 16;
        head->number = (uint32_t)at;
    }
}

struct stopwatch {
    struct rig_figures *figures;
    const char *what;
    unsigned kind, delivery;
    int64_t began;
};

static void start(struct stopwatch *watch, const char *what)
{
    watch->what = what;
    watch->began = test_now();
}

static void stop(struct stopwatch *watch)
{
    int64_t took = test_now() - watch->began;
    watch->figures->trials++;
    if (took > watch->figures->worst_delay) {
        watch->figures->worst_delay = took;
        printf("hostile-channel-large: %s, heads %u, delivery %u: %.3f ms\n", watch->what, watch->kind, watch->delivery,
               (double)took / 1e6);
    }
    watch->figures->hangs += took > LONG_HELD;
}

/* As large as can be: many heads must be passed over to make room for it. */
static void send_large(pipc_channel *channel, struct stopwatch *watch, const char *what, int64_t timeout)
{
    static unsigned char body[LARGE / 4 - 16];
    start(watch, what);
    pipc_channel_send(channel, &(pipc_record){.data = body, .size = sizeof body}, timeout);
    stop(watch);
}

static void call_on_heads(struct prey *it, pipc_channel *channel, struct stopwatch *watch, uint64_t *random)
{
    static pipc_record records[MANY_PEEKS];
    pipc_channel_info info;
    uint32_t count = MANY_PEEKS;
    struct pipc_writer *writer = &channel->control->writer;
    start(watch, "receive");
    prey_receive(it, channel, PREY_RING, PIPC_TRUNCATE);
    stop(watch);
    start(watch, "peek");
    int error = pipc_channel_peek(channel, records, &count, prey_span());
    stop(watch);
    if (!error) {
        fill_with_heads(channel, 0, it->dead, NULL); /* they shrink under its eyes */
        start(watch, "release");
        pipc_channel_release(channel, count - 1);
        stop(watch);
    }
    atomic_store(&writer->head, LARGE);
    writer->limit = 0;
    fill_with_heads(channel, watch->kind, it->dead, random);
    send_large(channel, watch, "send", prey_span());
    atomic_store(&writer->lock.word, it->dead_lock);
    send_large(channel, watch, "send after a death", PIPC_MS(1));
    start(watch, "statistics");
    pipc_channel_statistics(channel, &info);
    stop(watch);
}

static void a_large_ring_full_of_hostile_heads_holds_nobody_up(void)
{
    struct rig_figures figures = {.rig = "hostile-channel-large"};
    uint64_t random = (uint64_t)test_now();
    int64_t deadline = rig_deadline(PIPC_SECONDS(2));
    prey_begin(&prey);
    /* First the reservations of the dead, and of impostors, which the latest would overwrite. */
    for (unsigned turn = 0; turn < 6 * HEAD_KINDS && (turn < 12 || test_now() < deadline); turn++) {
        unsigned at = turn < 2 ? (2 + turn) * 6 + 5 : (unsigned)((turn * 7 + random) % (6 * HEAD_KINDS)), kind = at / 6;
        pipc_channel *channel = NULL;
        pipc_channel_options options = {
            .size = LARGE, .producers = PIPC_PRODUCERS_ONE + at % 2, .delivery = PIPC_DELIVER_ONCE + at % 6 / 2};
        struct stopwatch watch = {.figures = &figures, .kind = kind, .delivery = options.delivery};
        int error = pipc_channel_open(&channel, test_name("large"), PIPC_CREATE | PIPC_EXCLUSIVE, &options);
        if (error == PIPC_E_NO_SPACE || error == PIPC_E_NO_MEMORY)
            test_skip("there is no room for 64 MiB: %s", pipc_error_detail());
        REQUIRE_OK(error);
        fill_with_heads(channel, kind, prey.dead, &random);
        call_on_heads(&prey, channel, &watch, &random);
        parcel_end(channel, "large");
    }
    prey_end(&prey);
    rig_tell(&figures);
}

/* ---- While traffic runs ---- */

enum { USERS = 3 };

struct scene {
    struct prey *it;
    _Atomic uint32_t stop;
    _Atomic uint64_t calls;
    _Atomic int64_t worst;
    unsigned kind;
};

/* Each subscribes anew: a forked child's first read does. */
static int use(void *argument)
{
    struct scene *scene = argument;
    uint64_t random = (uint64_t)test_now() * 2 + 1;
    while (!atomic_load(&scene->stop)) {
        int64_t began = test_now();
        enum prey_call call =
            (enum prey_call)test_random(&random, test_random(&random, 50) ? PREY_SEND_AFTER_DEATH : PREY_CREATE);
        CHECK(prey_call(scene->it, scene->kind, call) != PIPC_E_SYSTEM);
        int64_t took = test_now() - began;
        atomic_fetch_add(&scene->calls, 1);
        if (took > atomic_load(&scene->worst))
            atomic_store(&scene->worst, took);
    }
    return 0;
}

static int scribble(void *argument)
{
    struct scene *scene = argument;
    struct prey_kind *kind = &scene->it->kinds[scene->kind];
    pipc_channel *channel = kind->channel;
    struct prey_scribbles scribbles = {scene->it, channel, (uint64_t)test_now() * 2 + 1, 0};
    while (!atomic_load(&scene->stop)) {
        scribbles.count = 1 + test_random(&scribbles.random, 100);
        prey_scribble(&scribbles);
        if (test_random(&scribbles.random, 3) == 0) /* lest all answer "busy" */
            memcpy(channel->control, kind->pristine + sizeof(struct pipc_object), prey_bytes(channel));
        test_sleep(PIPC_US(test_random(&scribbles.random, 300)));
    }
    return 0;
}

static void scribbling_while_traffic_runs(void)
{
    struct scene *scene = test_shared(sizeof *scene);
    struct rig_figures figures = {.rig = "hostile-channel-traffic"};
    int64_t deadline = rig_deadline(PIPC_SECONDS(2));
    prey_begin(&prey);
    scene->it = &prey;
    for (scene->kind = 0; scene->kind < PREY_KINDS && test_failures() == 0; scene->kind++) {
        pid_t users[USERS];
        int64_t left = (deadline - test_now()) / (PREY_KINDS - scene->kind), until = test_now() + left;
        if (deadline == INT64_MAX)
            until = test_now() + PIPC_SECONDS(30);
        atomic_store(&scene->stop, 0);
        for (int i = 0; i < USERS; i++)
            users[i] = test_fork(use, scene);
        pid_t peer = test_fork(scribble, scene);
        while (test_now() < until && test_failures() == 0)
            test_sleep(PIPC_MS(20));
        atomic_store(&scene->stop, 1);
        for (int i = 0; i < USERS; i++)
            CHECK_EQUAL(test_wait(users[i], 4 * WATCH_HANG), 0);
        CHECK_EQUAL(test_wait(peer, 4 * WATCH_HANG), 0);
    }
    figures.trials = atomic_load(&scene->calls);
    figures.worst_delay = atomic_load(&scene->worst);
    figures.hangs = figures.worst_delay > WATCH_HANG;
    prey_end(&prey);
    rig_tell(&figures);
}

static const struct test tests[] = {
    {"G6", "a_large_ring_full_of_hostile_heads_holds_nobody_up", a_large_ring_full_of_hostile_heads_holds_nobody_up,
     120},
    {"G6", "scribbling_while_traffic_runs", scribbling_while_traffic_runs, 120},
};

TEST_MAIN("hostile_channel_live", tests)
