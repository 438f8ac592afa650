/* Who sleeps deeply, because nothing came for long, is woken before a message is on its way: a sender that dies at any
 * point of its call leaves nobody asleep beside its message until the long slice ends. */
#include <signal.h>
#include <stdio.h>

#include "delays.h"
#include "points.h"
#include "rig.h"
#include "support_channel.h"

#define UNTIL_DEEP PIPC_MS(550) /* longer than the short slices take */
#define TOO_LATE   PIPC_MS(60)  /* G2; nobody dies with the lock here but in a queue's send of a large message: */
#define UNLOCKED   PIPC_MS(100)
#define ALL_HEARD  PIPC_MS(1300) /* by then also a long slice is over */

enum { PITS = 10, POINTS = 256, TRIES = 20 };

/* One object, one sleeper. */
struct pit {
    const struct scene *scene;
    char what[16];
    pipc_queue *queue;
    pipc_channel *channel;
    pid_t sleeper;
    _Atomic uint32_t woken;
    _Atomic int64_t woken_at;
    int64_t died_at;
    uint32_t point; /* where its sender dies; POINTS_NONE: it lives */
};

struct deep {
    struct pit pits[PITS];
    _Atomic uint32_t last;
    _Atomic uint64_t reached[POINTS];
    struct rig_figures figures;
    struct delays delays; /* of one scene */
};

struct scene {
    const char *name;
    unsigned pits; /* at once: as many queues as the kernel grants */
    void (*make)(struct pit *pit);
    int (*send)(struct pit *pit);
    int (*sleep)(struct pit *pit);
    void (*end)(struct pit *pit);
    uint64_t size;
    uint32_t variety; /* selection rule, or producers */
    int64_t promise;
};

/* ---- Queues, channels ---- */

static void make_queue(struct pit *pit)
{
    pit->queue = queue_make(pit->what, 2, pit->scene->size);
}

static int send_message(struct pit *pit)
{
    return queue_send(pit->queue, 3, 0, 1, pit->scene->size, PIPC_NOWAIT);
}

static int receive_message(struct pit *pit)
{
    struct queue_got got;
    uint32_t rule = pit->scene->variety;
    return queue_receive(pit->queue, (pipc_selection){rule, rule == PIPC_RULE_ANY ? 0 : 3}, &got, PIPC_FOREVER);
}

static void end_queue(struct pit *pit)
{
    queue_end(pit->queue, pit->what);
}

static void make_channel(struct pit *pit)
{
    pit->channel = channel_make(pit->what, pit->scene->variety, PIPC_DELIVER_ONCE, 16384);
}

static int send_record(struct pit *pit)
{
    return channel_send(pit->channel, 1, pit->scene->size, PIPC_NOWAIT);
}

static int reserve_and_commit(struct pit *pit)
{
    pipc_record record = {.size = pit->scene->size};
    int error = channel_reserve(pit->channel, &record, 1, pit->scene->size, PIPC_NOWAIT);
    return error ? error : pipc_channel_commit(pit->channel, &record, 1);
}

static int receive_record(struct pit *pit)
{
    struct channel_got got;
    return channel_receive(pit->channel, &got, PIPC_FOREVER);
}

static void end_channel(struct pit *pit)
{
    channel_end(pit->channel, pit->what);
}

#define QUEUE(pits, size, rule)        pits, make_queue, send_message, receive_message, end_queue, size, rule
#define CHANNEL(send, size, producers) PITS, make_channel, send, receive_record, end_channel, size, producers

static const struct scene scenes[] = {
    {"a queue", QUEUE(PITS, 64, PIPC_RULE_ANY), TOO_LATE},
    {"a queue, a choosy receiver", QUEUE(PITS, 64, PIPC_RULE_EXACTLY), TOO_LATE},
    {"a queue, a message beside the kernel's", QUEUE(3, 9000, PIPC_RULE_ANY), UNLOCKED},
    {"a channel", CHANNEL(send_record, 64, PIPC_PRODUCERS_ONE), TOO_LATE},
    {"a channel, in place", CHANNEL(reserve_and_commit, 64, PIPC_PRODUCERS_ONE), TOO_LATE},
    {"a channel of many", CHANNEL(send_record, 64, PIPC_PRODUCERS_MANY), TOO_LATE},
    {"a channel of many, a large record", CHANNEL(send_record, 3000, PIPC_PRODUCERS_MANY), TOO_LATE},
};

/* ---- One death ---- */

static int sleep_deeply(void *argument)
{
    struct pit *pit = argument;
    REQUIRE_OK(pit->scene->sleep(pit));
    atomic_store(&pit->woken_at, test_now());
    atomic_store(&pit->woken, 1);
    return 0;
}

struct sending {
    struct deep *deep;
    struct pit *pit;
};

static int send_and_die(void *argument)
{
    struct sending *sending = argument;
    points_note(&sending->deep->last, sending->deep->reached);
    if (sending->pit->point != POINTS_NONE)
        points_kill_at(sending->pit->point, 1);
    return sending->pit->scene->send(sending->pit) ? 1 : 0;
}

static void dig(struct deep *deep, unsigned at, const struct scene *scene, uint32_t point)
{
    struct pit *pit = &deep->pits[at];
    *pit = (struct pit){.scene = scene, .point = point};
    snprintf(pit->what, sizeof pit->what, "deep%u", at);
    scene->make(pit);
    pit->sleeper = test_fork(sleep_deeply, pit);
}

static void kill_the_sender(struct deep *deep, struct pit *pit)
{
    int status = test_wait(test_fork(send_and_die, &(struct sending){deep, pit}), PIPC_SECONDS(20));
    pit->died_at = test_now();
    deep->figures.trials++;
    deep->figures.kills += status == 128 + 9;
    CHECK(status == 128 + 9 || status == 0); /* it does not come to every point each time */
}

/* How long its message lay beside the sleeper; 0 if there was none. */
static int64_t delay_of(struct pit *pit, int64_t until)
{
    while (!atomic_load(&pit->woken) && test_now() < until)
        test_sleep(PIPC_US(200));
    int64_t delay = atomic_load(&pit->woken) ? atomic_load(&pit->woken_at) - pit->died_at : 0;
    test_kill(pit->sleeper);
    pit->scene->end(pit);
    return delay > 0 ? delay : 0;
}

/* One death at each of these points; leaves those after which somebody slept on. */
static unsigned die_at_each(struct deep *deep, const struct scene *scene, uint32_t *points, unsigned count)
{
    unsigned late = 0;
    for (unsigned first = 0; first < count; first += scene->pits) {
        unsigned here = count - first < scene->pits ? count - first : scene->pits;
        for (unsigned i = 0; i < here; i++)
            dig(deep, i, scene, points[first + i]);
        test_sleep(UNTIL_DEEP);
        for (unsigned i = 0; i < here; i++)
            kill_the_sender(deep, &deep->pits[i]);
        int64_t until = test_now() + ALL_HEARD;
        for (unsigned i = 0; i < here; i++) {
            int64_t delay = delay_of(&deep->pits[i], until);
            if (delay > 0)
                delays_note(&deep->delays, delay, 0);
            if (delay > scene->promise)
                points[late++] = deep->pits[i].point;
            else if (delay > deep->figures.worst_delay)
                deep->figures.worst_delay = delay;
        }
    }
    return late;
}

/* A machine that stands still now and then makes one late, not each time at the same point. */
static void play(struct deep *deep, const struct scene *scene)
{
    uint32_t points[POINTS], none = POINTS_NONE;
    unsigned count = 0;
    for (uint32_t point = 0; point < points_count(); point++)
        atomic_store(&deep->reached[point], 0);
    die_at_each(deep, scene, &none, 1); /* shows the points */
    deep->delays = (struct delays){.rig = "deep", .what = scene->name, .bound = scene->promise};
    for (uint32_t point = 0; point < points_count(); point++)
        if (atomic_load(&deep->reached[point]) > 0)
            points[count++] = point;
    CHECK(count > 0);
    for (unsigned tries = 0; tries < TRIES && count > 0; tries++)
        count = die_at_each(deep, scene, points, count);
    for (unsigned i = 0; i < count; i++)
        printf("deep: %s: each of %d times the sleeper slept on after a death at \"%s\"\n", scene->name, TRIES,
               points_name(points[i]));
    CHECK_EQUAL(count, 0);
    delays_tell(&deep->delays);
}

static void a_death_leaves_nobody_in_a_deep_sleep(void)
{
    struct deep *deep = test_shared(sizeof *deep);
    uint64_t times = rig_trials(1, 20);
    int64_t until = rig_deadline(PIPC_SECONDS(60));
    REQUIRE(points_count() <= POINTS);
    deep->figures.rig = "deep";
    for (uint64_t i = 0; i < times && test_now() < until; i++)
        for (unsigned at = 0; at < sizeof scenes / sizeof *scenes && test_failures() == 0; at++)
            play(deep, &scenes[at]);
    rig_tell(&deep->figures);
}

/* ---- A sender that takes its time ---- */

/* After it has roused the sleeper it stops, for longer than the short slices take. */
static const struct scene slow = {"a queue, a slow sender", QUEUE(1, 64, PIPC_RULE_ANY), TOO_LATE};

static void die_before_the_wake_up(int signal)
{
    (void)signal;
    points_kill_at(points_find("send: done, nobody woken"), 1);
}

static int send_slowly(void *argument)
{
    struct pit *pit = argument;
    signal(SIGCONT, die_before_the_wake_up);
    points_stop_at(points_find("send: reserved, no ticket"), 1);
    return pit->scene->send(pit) ? 1 : 0;
}

static int64_t delay_after_a_slow_sender(void *argument)
{
    struct deep *deep = argument;
    struct pit *pit = &deep->pits[0];
    dig(deep, 0, &slow, POINTS_NONE);
    test_sleep(UNTIL_DEEP);
    pid_t sender = test_fork(send_slowly, pit);
    test_sleep(UNTIL_DEEP);
    kill(sender, SIGCONT);
    CHECK_EQUAL(test_wait(sender, PIPC_SECONDS(20)), 128 + 9);
    pit->died_at = test_now();
    return delay_of(pit, pit->died_at + ALL_HEARD);
}

static void nobody_sleeps_deeply_beside_a_sender_at_work(void)
{
    struct deep *deep = test_shared(sizeof *deep);
    deep->delays = (struct delays){.rig = "deep", .what = slow.name, .bound = slow.promise};
    delays_try(&deep->delays, "send: done, nobody woken", delay_after_a_slow_sender, deep);
    delays_tell(&deep->delays);
}

static const struct test tests[] = {
    {"G2", "a_death_leaves_nobody_in_a_deep_sleep", a_death_leaves_nobody_in_a_deep_sleep, 180},
    {"G2", "nobody_sleeps_deeply_beside_a_sender_at_work", nobody_sleeps_deeply_beside_a_sender_at_work, 60},
};

TEST_MAIN("deep", tests)
