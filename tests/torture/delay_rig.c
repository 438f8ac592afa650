/* What one death costs the living, where nothing else goes on: a peer dies at each point of its call, while another
 * one waits for what it was about to give. In the storm there is always somebody else whose call helps; here not. */
#include <inttypes.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "core/claim.h"
#include "crew.h"
#include "delays.h"
#include "points.h"
#include "rig.h"
#include "support_queue.h"

#define PATIENCE PIPC_SECONDS(40) /* only a hang takes so long */
#define WINDOW   PIPC_MS(120)     /* after it there is nothing to wait for, or it comes too late */
#define GOES_ON  PIPC_MS(60)      /* G2: how much longer others wait for a dead one's message, */
#define UNLOCKS  PIPC_MS(100)     /* if it also held the lock; */
#define LOCKED   PIPC_MS(25)      /* G4: and for its lock */

enum { LARGEST = 9000, TYPE = 3 };

struct calm {
    const struct scene *scene;
    pipc_queue *queue;
    pid_t witness;
    _Atomic uint32_t steps; /* calls of the witness that succeeded */
    _Atomic int64_t stepped;
    _Atomic uint32_t last;
    _Atomic uint64_t reached[CREW_POINTS];
    uint32_t point;                /* where the next one dies */
    struct delays goes_on, locked; /* of this scene: the witness's call; another peer's */
    struct rig_figures figures;
};

/* Who dies, in which call; who waits for it; and what shows that he waits in vain. */
struct scene {
    const char *name;
    int (*act)(struct calm *calm);     /* the call in which one dies */
    int (*wait)(struct calm *calm);    /* the call in which the witness sleeps */
    bool (*is_due)(struct calm *calm); /* could the witness's call end? */
    int64_t (*use)(struct calm *calm); /* another peer's call, held up no longer than by the lock; how long it took */
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

static int64_t send_another(struct calm *calm)
{
    uint32_t before = atomic_load(&calm->steps);
    int64_t began = test_now();
    CHECK_OK(queue_send(calm->queue, TYPE, 0, 2, calm->scene->size, PATIENCE));
    int64_t took = test_now() - began;
    CHECK(test_await(&calm->steps, before + 1));
    return took;
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

static int64_t look_in(struct calm *calm)
{
    struct queue_got got;
    int64_t began = test_now();
    CHECK_OK(queue_peek(calm->queue, pipc_any(), &got, PATIENCE));
    return test_now() - began;
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

static bool holds_the_lock(const struct calm *calm, pid_t dead)
{
    return (atomic_load(&calm->queue->control->lock.word) & 0x3fffffff) == (uint64_t)dead;
}

/* How long the witness waited; -1 if there was nothing to wait for, or nobody died. */
static int64_t die(void *argument)
{
    struct calm *calm = argument;
    struct death death = {calm, calm->point};
    REQUIRE(test_await_sleep(calm->witness));
    uint32_t before = atomic_load(&calm->steps);
    pid_t child = test_fork(act, &death);
    int status = test_wait(child, PATIENCE);
    int64_t died = test_now();
    calm->figures.trials++;
    if (status != 128 + 9) { /* it did not come there this time, or was not meant to die */
        CHECK_EQUAL(status, 0);
        CHECK(await_step(calm, before, died + PATIENCE));
        return -1;
    }
    calm->figures.kills++;
    calm->goes_on.bound = holds_the_lock(calm, child) ? UNLOCKS : GOES_ON;
    bool stepped = await_step(calm, before, died + WINDOW);
    if (!stepped && calm->scene->is_due(calm)) {
        stepped = await_step(calm, before, died + PATIENCE);
        calm->figures.hangs += !stepped;
    }
    int64_t waited = atomic_load(&calm->stepped) - died;
    delays_note(&calm->locked, calm->scene->use(calm), 0);
    return stepped ? waited > 0 ? waited : 0 : -1;
}

static void tell(struct calm *calm)
{
    delays_tell(&calm->goes_on);
    delays_judge_half(&calm->locked);
    if (calm->goes_on.worst > calm->figures.worst_delay)
        calm->figures.worst_delay = calm->goes_on.worst;
}

static void play(struct calm *calm, const struct scene *scene, uint64_t times, int64_t until)
{
    calm->scene = scene;
    calm->goes_on = (struct delays){.rig = "delay: goes on", .what = scene->name, .bound = GOES_ON};
    calm->locked = (struct delays){.rig = "delay: locked out", .what = scene->name, .bound = LOCKED};
    calm->queue = queue_make("calm", scene->places, LARGEST);
    memset(calm->reached, 0, sizeof calm->reached);
    calm->witness = test_fork(witness, calm);
    calm->point = POINTS_NONE;
    for (unsigned i = 0; i < 3; i++)
        die(calm);
    for (uint64_t i = 0; i < times && test_now() < until; i++)
        for (calm->point = 0; calm->point < points_count() && test_failures() == 0; calm->point++)
            if (atomic_load(&calm->reached[calm->point]) > 0)
                delays_try(&calm->goes_on, points_name(calm->point), die, calm);
    test_kill(calm->witness);
    CHECK_OK(pipc_queue_purge(calm->queue, NULL));
    queue_check_room(calm->queue, scene->places, 64);
    queue_end(calm->queue, "calm");
    tell(calm);
}

static void a_death_holds_up_others_for_a_moment_only(void)
{
    struct calm *calm = test_shared(sizeof *calm);
    uint64_t times = rig_trials(1, 60);
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
