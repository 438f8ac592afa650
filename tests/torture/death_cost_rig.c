/* What a dead or a stopped peer of a queue costs the next call of another one, at each point of the peer's call: its
 * lock and what it left half-done (G4), its place (G5), and nothing at all where no lock is needed (G4). */
#include <signal.h>
#include <string.h>
#include <sys/wait.h>

#include "core/claim.h"
#include "crew.h"
#include "delays.h"
#include "points.h"
#include "support_queue.h"

#define PATIENCE  PIPC_SECONDS(40)
#define LOCKED    PIPC_MS(25)     /* a dead holder's lock; also what a call that does not wait waits for it, */
#define ANSWERED  PIPC_MS(35)     /* and answers a little later */
#define A_SECOND  PIPC_SECONDS(1) /* a dead one's place; and whatever needs no lock */
#define REBUILD   20000           /* slots a millisecond, */
#define A_MESSAGE PIPC_US(4)      /* and for each message: half of one is usual, cold memory takes more */

enum { LARGEST = 9000, FEW = 4 };

struct cost {
    pipc_queue *queue, *sender; /* the leader's handles: with all rights; sends only */
    int (*act)(pipc_queue *queue, uint64_t size);
    uint64_t size;
    uint32_t point;
    bool held; /* by the last that died: the lock */
    _Atomic uint32_t last;
    _Atomic uint64_t reached[CREW_POINTS];
    struct delays delays, asking;
    struct rig_figures figures;
};

static int send_one(pipc_queue *queue, uint64_t size)
{
    return queue_send(queue, 3, 0, 1, size, PATIENCE);
}

static int receive_one(pipc_queue *queue, uint64_t size)
{
    struct queue_got got;
    (void)size;
    return queue_receive(queue, pipc_any(), &got, PATIENCE);
}

static const struct deed {
    const char *name;
    int (*act)(pipc_queue *queue, uint64_t size);
    uint64_t size;
} deeds[] = {{"sends", send_one, 64}, {"sends a large one", send_one, LARGEST}, {"receives", receive_one, 64}};

static int receive_some(pipc_queue *queue, uint64_t size)
{
    struct queue_got got;
    (void)size;
    return queue_receive(queue, pipc_exactly(4), &got, PATIENCE);
}

static const struct deed choosy = {"receives one of many", receive_some, 64};

enum { DEEDS = sizeof deeds / sizeof *deeds };

/* ---- Who dies, or is stopped ---- */

static int act_and_die(void *argument)
{
    struct cost *cost = argument;
    points_note(&cost->last, cost->reached);
    if (cost->point != POINTS_NONE)
        points_kill_at(cost->point, 1);
    return cost->act(cost->queue, cost->size) ? 1 : 0;
}

static int act_and_stop(void *argument)
{
    struct cost *cost = argument;
    points_stop_at(cost->point, 1);
    return cost->act(cost->queue, cost->size) ? 1 : 0;
}

/* True: it came to its point. */
static bool die(struct cost *cost)
{
    pid_t child = test_fork(act_and_die, cost);
    int status = test_wait(child, PATIENCE);
    CHECK(status == 0 || status == 128 + 9);
    cost->held = (atomic_load(&cost->queue->control->lock.word) & 0x3fffffff) == (uint64_t)child;
    cost->figures.trials++;
    cost->figures.kills += status == 128 + 9;
    return status == 128 + 9;
}

/* At each point that this deed comes to. */
static void at_each_point(struct cost *cost, const struct deed *deed, void (*prepare)(struct cost *cost),
                          int64_t (*once)(void *cost))
{
    cost->act = deed->act;
    cost->size = deed->size;
    cost->delays.what = deed->name;
    memset(cost->reached, 0, sizeof cost->reached);
    cost->point = POINTS_NONE;
    prepare(cost);
    die(cost);
    for (cost->point = 0; cost->point < points_count() && test_failures() == 0; cost->point++)
        if (atomic_load(&cost->reached[cost->point]) > 0)
            delays_try(&cost->delays, points_name(cost->point), once, cost);
    delays_tell(&cost->delays);
}

static void tell(struct cost *cost, const char *rig)
{
    cost->figures.rig = rig;
    rig_tell(&cost->figures);
}

/* ---- Its lock (G4) ---- */

static void put_two_in(struct cost *cost)
{
    CHECK_OK(pipc_queue_purge(cost->queue, NULL));
    for (unsigned i = 0; i < 2; i++)
        CHECK_OK(queue_send(cost->queue, 3, 0, 1, 64, PATIENCE));
}

static void leave_as_it_is(struct cost *cost)
{
    (void)cost;
}

static int64_t time_of_peek(struct cost *cost)
{
    struct queue_got got;
    int64_t began = test_now();
    int error = queue_peek(cost->queue, pipc_any(), &got, PATIENCE);
    int64_t took = test_now() - began;
    CHECK_OK(error);
    return took;
}

static int64_t peek_with_few_slots(void *argument)
{
    struct cost *cost = argument;
    put_two_in(cost);
    return die(cost) && cost->held ? time_of_peek(cost) : -1;
}

static int64_t peek_with_many_slots(void *argument)
{
    struct cost *cost = argument;
    return die(cost) && cost->held ? time_of_peek(cost) : -1;
}

/* The worst that it can leave: it died in a rebuild itself. */
static int64_t peek_after_a_rebuilder(void *argument)
{
    struct cost *cost = argument;
    if (!die(cost) || !cost->held)
        return -1;
    cost->queue->control->undo_count = UINT32_MAX;
    return time_of_peek(cost);
}

static void a_dead_lock_holder_costs_the_next_call_a_moment(void)
{
    struct cost *cost = test_shared(sizeof *cost);
    cost->queue = queue_make("few", FEW, LARGEST);
    for (unsigned i = 0; i < DEEDS; i++) {
        cost->delays = (struct delays){.rig = "death-cost: lock", .bound = LOCKED};
        at_each_point(cost, &deeds[i], put_two_in, peek_with_few_slots);
    }
    queue_end(cost->queue, "few");
    CHECK(cost->delays.count > 0);
    tell(cost, "death-cost: lock");
}

static void keep_one(struct cost *cost)
{
    CHECK_OK(pipc_queue_purge(cost->queue, NULL));
    CHECK_OK(queue_send(cost->queue, 4, 0, 1, 8, PATIENCE));
    CHECK_OK(queue_send(cost->queue, 1, 0, 1, 8, PATIENCE));
}

static int64_t peek_at_one(void *argument)
{
    keep_one(argument);
    return peek_after_a_rebuilder(argument);
}

static void the_rebuild_of_many_slots_costs_a_millisecond_for_20000(void)
{
    struct cost *cost = test_shared(sizeof *cost);
    uint32_t slots = (uint32_t)rig_trials(100000, 1000000);
    cost->queue = queue_make("many", slots, 64);
    cost->delays = (struct delays){.rig = "death-cost: rebuild", .bound = LOCKED + PIPC_MS(1) * slots / REBUILD};
    at_each_point(cost, &choosy, keep_one, peek_at_one);
    queue_end(cost->queue, "many");
    CHECK(cost->delays.count > 0);
    tell(cost, "death-cost: rebuild");
}

/* More messages than the kernel's queue holds: all that follow lie in slots. A death costs a few links of their
 * indexes; one in a rebuild costs another, which takes longer for each message than for a free slot. */
static void a_death_beside_many_messages_costs_no_rebuild(void)
{
    struct cost *cost = test_shared(sizeof *cost);
    uint32_t messages = (uint32_t)rig_trials(50000, 500000);
    cost->queue = queue_make("full", 2 * messages, 64);
    for (uint32_t i = 0; i < messages; i++)
        REQUIRE_OK(queue_send(cost->queue, 1 + i % 5, i % 3, i, 8, PATIENCE));
    cost->delays =
        (struct delays){.rig = "death-cost: beside many", .bound = LOCKED + PIPC_MS(1) * 2 * messages / REBUILD};
    at_each_point(cost, &choosy, leave_as_it_is, peek_with_many_slots);
    cost->delays = (struct delays){.rig = "death-cost: in a rebuild", .bound = LOCKED + A_MESSAGE * (int64_t)messages};
    at_each_point(cost, &choosy, leave_as_it_is, peek_after_a_rebuilder);
    queue_end(cost->queue, "full");
    CHECK(cost->delays.count > 0);
    tell(cost, "death-cost: beside many");
}

/* ---- Its place (G5) ---- */

static void make_room(struct cost *cost)
{
    CHECK_OK(pipc_queue_purge(cost->queue, NULL));
}

/* Nobody receives: the next sender helps itself, unless the dead one's message is there. */
static int64_t send_after_a_sender(void *argument)
{
    struct cost *cost = argument;
    make_room(cost);
    if (!die(cost) || queue_info(cost->queue).messages == 1)
        return -1;
    int64_t began = test_now();
    int error = queue_send(cost->sender, 3, 0, 2, 64, PIPC_SECONDS(3));
    int64_t took = test_now() - began;
    if (error == PIPC_E_TIMEOUT && queue_info(cost->queue).messages == 1)
        return -1;
    CHECK(error == 0 || error == PIPC_E_TIMEOUT);
    return took;
}

static void the_place_of_a_dead_sender_is_there_again_in_a_second(void)
{
    struct cost *cost = test_shared(sizeof *cost);
    cost->queue = queue_make("place", 1, LARGEST);
    cost->sender = queue_join("place", PIPC_SEND);
    for (unsigned i = 0; i < DEEDS; i++) {
        if (deeds[i].act != send_one)
            continue;
        cost->delays = (struct delays){.rig = "death-cost: place", .bound = A_SECOND};
        at_each_point(cost, &deeds[i], make_room, send_after_a_sender);
    }
    CHECK_OK(pipc_queue_close(cost->sender));
    queue_end(cost->queue, "place");
    CHECK(cost->delays.count > 0);
    tell(cost, "death-cost: place");
}

/* ---- It is stopped (G4, Q7) ---- */

static int64_t time_of_opening(void)
{
    int64_t began = test_now();
    CHECK_OK(pipc_queue_close(queue_join("stop", 0)));
    return test_now() - began;
}

/* Only a call that met the held lock is counted. */
static void note_asking(struct cost *cost)
{
    struct queue_got got;
    int64_t began = test_now();
    int error = queue_receive(cost->queue, pipc_exactly(9), &got, PIPC_NOWAIT);
    CHECK(error == PIPC_E_EMPTY || error == PIPC_E_BUSY);
    if (error == PIPC_E_BUSY)
        delays_note(&cost->asking, test_now() - began, 0);
}

static int64_t time_of_telling(struct cost *cost)
{
    int64_t began = test_now();
    queue_info(cost->queue);
    return test_now() - began;
}

static int64_t time_of_removal(void)
{
    int64_t began = test_now();
    CHECK_OK(pipc_queue_remove(test_name("stop")));
    return test_now() - began;
}

/* The longest of what needs no lock. */
static int64_t use_beside_a_stopped_one(void *argument)
{
    struct cost *cost = argument;
    int status;
    put_two_in(cost);
    pid_t child = test_fork(act_and_stop, cost);
    REQUIRE(waitpid(child, &status, WUNTRACED) == child);
    if (!WIFSTOPPED(status)) {
        CHECK(WIFEXITED(status) && WEXITSTATUS(status) == 0);
        return -1;
    }
    cost->figures.trials++;
    int64_t spans[] = {time_of_opening(), time_of_telling(cost), 0}, longest = 0;
    note_asking(cost);
    spans[2] = time_of_removal();
    for (unsigned i = 0; i < sizeof spans / sizeof *spans; i++)
        longest = spans[i] > longest ? spans[i] : longest;
    test_kill(child);
    cost->figures.kills++;
    CHECK_OK(pipc_queue_close(cost->queue));
    cost->queue = queue_make("stop", FEW, LARGEST);
    return longest;
}

static void a_stopped_peer_holds_up_nothing_that_needs_no_lock(void)
{
    struct cost *cost = test_shared(sizeof *cost);
    cost->queue = queue_make("stop", FEW, LARGEST);
    cost->asking = (struct delays){.rig = "death-cost: asynchronous beside a stopped one", .bound = ANSWERED};
    cost->asking.what = "receives";
    for (unsigned i = 0; i < DEEDS; i++) {
        cost->delays = (struct delays){.rig = "death-cost: stopped", .bound = A_SECOND};
        at_each_point(cost, &deeds[i], put_two_in, use_beside_a_stopped_one);
    }
    queue_end(cost->queue, "stop");
    CHECK(cost->delays.count > 0);
    delays_judge_half(&cost->asking);
    tell(cost, "death-cost: stopped");
}

static const struct test tests[] = {
    {"G4", "a_dead_lock_holder_costs_the_next_call_a_moment", a_dead_lock_holder_costs_the_next_call_a_moment, 180},
    {"G4", "the_rebuild_of_many_slots_costs_a_millisecond_for_20000",
     the_rebuild_of_many_slots_costs_a_millisecond_for_20000, 300},
    {"G4", "a_death_beside_many_messages_costs_no_rebuild", a_death_beside_many_messages_costs_no_rebuild, 300},
    {"G5", "the_place_of_a_dead_sender_is_there_again_in_a_second",
     the_place_of_a_dead_sender_is_there_again_in_a_second, 180},
    {"G4 Q7", "a_stopped_peer_holds_up_nothing_that_needs_no_lock", a_stopped_peer_holds_up_nothing_that_needs_no_lock,
     180},
};

TEST_MAIN("death_cost", tests)
