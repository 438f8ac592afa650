/* What one death costs the living, where nothing else goes on: a peer dies at each point of its call, while another
 * one waits for what it was about to give. In the storm there is always somebody else whose call helps; here not. */
#include <inttypes.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "crew.h"
#include "points.h"
#include "rig.h"
#include "support_queue.h"

#define PATIENCE PIPC_SECONDS(40) /* only a hang takes so long */
#define WINDOW   PIPC_MS(120)     /* after it there is nothing to wait for, or it comes too late */

enum { LARGEST = 9000, TYPE = 3 };

struct calm {
    const struct scene *scene;
    pipc_queue *queue;
    pid_t witness;
    _Atomic uint32_t steps; /* calls of the witness that succeeded */
    _Atomic int64_t stepped;
    _Atomic uint32_t last;
    _Atomic uint64_t reached[CREW_POINTS];
    int64_t worst; /* of this scene, and where that one died */
    uint32_t worst_point;
    struct rig_figures figures;
};

/* Who dies, in which call; who waits for it; and what shows that he waits in vain. */
struct scene {
    const char *name;
    int (*act)(struct calm *calm);     /* the call in which one dies */
    int (*wait)(struct calm *calm);    /* the call in which the witness sleeps */
    bool (*is_due)(struct calm *calm); /* could the witness's call end? */
    void (*use)(struct calm *calm);    /* what another peer's call is held up by: no longer than by the lock */
    uint32_t places;
    uint64_t size;
    pipc_selection selection;
};

/* ---- A sender dies, a receiver waits ---- */

static int send_one(struct calm *calm)
{
    return queue_send(calm->queue, TYPE, 0, 1, calm->scene->size, PATIENCE);
}

static int receive_one(struct calm *calm)
{
    struct queue_got got;
    return queue_receive(calm->queue, calm->scene->selection, &got, PIPC_FOREVER);
}

static bool has_message(struct calm *calm)
{
    return queue_info(calm->queue).messages > 0;
}

static void send_another(struct calm *calm)
{
    uint32_t before = atomic_load(&calm->steps);
    CHECK_OK(queue_send(calm->queue, TYPE, 0, 2, 8, PATIENCE));
    CHECK(test_await(&calm->steps, before + 1));
}

/* ---- A receiver dies, a sender waits; the queue is always full ---- */

static int receive_at_once(struct calm *calm)
{
    struct queue_got got;
    return queue_receive(calm->queue, calm->scene->selection, &got, PATIENCE);
}

static int send_when_there_is_room(struct calm *calm)
{
    return queue_send(calm->queue, TYPE, 0, 3, calm->scene->size, PIPC_FOREVER);
}

static bool has_room(struct calm *calm)
{
    return queue_info(calm->queue).messages < calm->scene->places;
}

static void look_in(struct calm *calm)
{
    struct queue_got got;
    CHECK_OK(queue_peek(calm->queue, pipc_any(), &got, PATIENCE));
}

static const struct scene scenes[] = {
    {"a sender dies", send_one, receive_one, has_message, send_another, 4, 100, {PIPC_RULE_ANY, 0}},
    {"a sender dies, its receiver is choosy",
     send_one,
     receive_one,
     has_message,
     send_another,
     4,
     100,
     {PIPC_RULE_EXACTLY, TYPE}},
    {"a sender of a large message dies",
     send_one,
     receive_one,
     has_message,
     send_another,
     4,
     LARGEST,
     {PIPC_RULE_ANY, 0}},
    {"a receiver dies", receive_at_once, send_when_there_is_room, has_room, look_in, 1, 100, {PIPC_RULE_ANY, 0}},
    {"a choosy receiver dies",
     receive_at_once,
     send_when_there_is_room,
     has_room,
     look_in,
     1,
     100,
     {PIPC_RULE_EXCEPT, 1}},
    {"a receiver of a large message dies",
     receive_at_once,
     send_when_there_is_room,
     has_room,
     look_in,
     1,
     LARGEST,
     {PIPC_RULE_ANY, 0}},
};

/* ---- One death ---- */

static int witness(void *argument)
{
    struct calm *calm = argument;
    for (;;) {
        REQUIRE_OK(calm->scene->wait(calm));
        atomic_store(&calm->stepped, test_now());
        atomic_fetch_add(&calm->steps, 1);
    }
    return 0;
}

struct death {
    struct calm *calm;
    uint32_t point; /* POINTS_NONE: it lives, and only shows which points there are */
};

static int act(void *argument)
{
    struct death *death = argument;
    points_note(&death->calm->last, death->calm->reached);
    if (death->point != POINTS_NONE)
        points_kill_at(death->point, 1);
    return death->calm->scene->act(death->calm) ? 1 : 0;
}

static bool await_step(struct calm *calm, uint32_t before, int64_t until)
{
    while (atomic_load(&calm->steps) == before && test_now() < until)
        test_sleep(PIPC_US(200));
    return atomic_load(&calm->steps) != before;
}

static void note_delay(struct calm *calm, uint32_t point, int64_t delay)
{
    if (delay <= calm->worst)
        return;
    calm->worst = delay;
    calm->worst_point = point;
}

static void die_at(struct calm *calm, uint32_t point)
{
    struct death death = {calm, point};
    REQUIRE(test_await_sleep(calm->witness));
    uint32_t before = atomic_load(&calm->steps);
    int status = test_wait(test_fork(act, &death), PATIENCE);
    int64_t died = test_now();
    calm->figures.trials++;
    if (status != 128 + 9) { /* it did not come there this time, or was not meant to die */
        CHECK_EQUAL(status, 0);
        CHECK(await_step(calm, before, died + PATIENCE));
        return;
    }
    calm->figures.kills++;
    bool stepped = await_step(calm, before, died + WINDOW);
    if (!stepped && calm->scene->is_due(calm)) {
        stepped = await_step(calm, before, died + PATIENCE);
        calm->figures.hangs += !stepped;
    }
    if (stepped)
        note_delay(calm, point, atomic_load(&calm->stepped) - died);
    int64_t began = test_now();
    calm->scene->use(calm);
    note_delay(calm, point, test_now() - began);
}

static void play(struct calm *calm, const struct scene *scene, uint64_t times, int64_t until)
{
    calm->scene = scene;
    calm->worst = 0;
    calm->queue = queue_make("calm", scene->places, LARGEST);
    memset(calm->reached, 0, sizeof calm->reached);
    calm->witness = test_fork(witness, calm);
    for (unsigned i = 0; i < 3; i++)
        die_at(calm, POINTS_NONE);
    for (uint64_t i = 0; i < times && test_now() < until; i++)
        for (uint32_t point = 0; point < points_count() && test_failures() == 0; point++)
            if (atomic_load(&calm->reached[point]) > 0)
                die_at(calm, point);
    test_kill(calm->witness);
    CHECK_OK(pipc_queue_purge(calm->queue, NULL));
    queue_check_room(calm->queue, scene->places, 64);
    queue_end(calm->queue, "calm");
    if (calm->worst > calm->figures.worst_delay)
        calm->figures.worst_delay = calm->worst;
    printf("delay: %s: others waited %.3f ms at most, after a death at \"%s\"\n", scene->name,
           (double)calm->worst / 1e6, points_name(calm->worst_point));
}

static void a_death_holds_up_others_for_a_moment_only(void)
{
    struct calm *calm = test_shared(sizeof *calm);
    uint64_t times = rig_trials(2, 60);
    int64_t until = rig_deadline(PIPC_SECONDS(20));
    REQUIRE(points_count() <= CREW_POINTS);
    calm->figures.rig = "delay";
    for (unsigned i = 0; i < sizeof scenes / sizeof *scenes && test_failures() == 0; i++)
        play(calm, &scenes[i], times, until);
    rig_tell(&calm->figures);
}

static const struct test tests[] = {
    {"G2 G4 G5", "a_death_holds_up_others_for_a_moment_only", a_death_holds_up_others_for_a_moment_only, 180},
};

TEST_MAIN("delay", tests)
