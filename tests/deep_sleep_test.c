/* Who waits long for a message costs next to nothing, and is woken as fast as others. The time that a slice takes is
 * the library's own affair; here only what a user notices: how often a sleeper runs, and how soon it is back. */
#include <pthread.h>
#include <stdio.h>
#include <sys/resource.h>

#include "support_channel.h"

#define UNTIL_DEEP PIPC_MS(550)  /* longer than the short slices take */
#define AT_ONCE    PIPC_MS(250)  /* much less than is left of a long slice */
#define REST       PIPC_MS(2500) /* 62 short slices */

enum { ROUNDS = 3, FEW = 30 };

/* What is waited for, and how it is made. */
struct sleeper {
    const struct kind *kind;
    pipc_queue *queue;
    pipc_channel *channel;
    _Atomic int64_t woken;
};

struct kind {
    const char *name;
    int (*sleep)(struct sleeper *sleeper, int64_t span);
    int (*wake)(struct sleeper *sleeper);
    int answer;
};

static int receive_any(struct sleeper *sleeper, int64_t span)
{
    struct queue_got got;
    return queue_receive(sleeper->queue, pipc_any(), &got, span);
}

static int receive_exactly(struct sleeper *sleeper, int64_t span)
{
    struct queue_got got;
    return queue_receive(sleeper->queue, pipc_exactly(7), &got, span);
}

static int peek(struct sleeper *sleeper, int64_t span)
{
    struct queue_got got;
    return queue_peek(sleeper->queue, pipc_any(), &got, span);
}

static int read_channel(struct sleeper *sleeper, int64_t span)
{
    struct channel_got got;
    return channel_receive(sleeper->channel, &got, span);
}

static int send_message(struct sleeper *sleeper)
{
    return queue_send(sleeper->queue, 7, 0, 1, 8, PIPC_NOWAIT);
}

static int send_large_message(struct sleeper *sleeper)
{
    return queue_send(sleeper->queue, 7, 0, 1, 20000, PIPC_NOWAIT);
}

static int send_record(struct sleeper *sleeper)
{
    return channel_send(sleeper->channel, 1, 8, PIPC_NOWAIT);
}

static int interrupt(struct sleeper *sleeper)
{
    return pipc_queue_interrupt(sleeper->queue);
}

static int remove_queue(struct sleeper *sleeper)
{
    (void)sleeper;
    return pipc_queue_remove(test_name("deep"));
}

static int remove_channel(struct sleeper *sleeper)
{
    (void)sleeper;
    return pipc_channel_remove(test_name("deep"));
}

static const struct kind kinds[] = {
    {"a receive of any message", receive_any, send_message, 0},
    {"a receive of any message, a large one", receive_any, send_large_message, 0},
    {"a receive of one type", receive_exactly, send_message, 0},
    {"a peek", peek, send_message, 0},
    {"a receive from a channel", read_channel, send_record, 0},
    {"an interrupted receive", receive_any, interrupt, PIPC_E_INTERRUPTED},
    {"a receive from a queue that is removed", receive_any, remove_queue, PIPC_E_REMOVED},
    {"a receive from a channel that is removed", read_channel, remove_channel, PIPC_E_REMOVED},
};

enum { KINDS = sizeof kinds / sizeof *kinds };

static struct sleeper *make(const struct kind *kind)
{
    struct sleeper *sleeper = test_shared(sizeof *sleeper);
    sleeper->kind = kind;
    if (kind->sleep == read_channel)
        sleeper->channel = channel_make("deep", PIPC_PRODUCERS_ONE, PIPC_DELIVER_ONCE, 4096);
    else
        sleeper->queue = queue_make("deep", 2, 20000);
    return sleeper;
}

static void end(struct sleeper *sleeper)
{
    pipc_queue_close(sleeper->queue);
    pipc_channel_close(sleeper->channel);
    if (sleeper->kind->answer != PIPC_E_REMOVED)
        CHECK_OK((sleeper->queue ? pipc_queue_remove : pipc_channel_remove)(test_name("deep")));
}

/* ---- It is woken at once ---- */

static void *sleep_in_thread(void *argument)
{
    struct sleeper *sleeper = argument;
    CHECK_EQUAL(sleeper->kind->sleep(sleeper, PIPC_SECONDS(40)), sleeper->kind->answer);
    atomic_store(&sleeper->woken, test_now());
    return NULL;
}

static int64_t time_to_wake(const struct kind *kind)
{
    struct sleeper *sleeper = make(kind);
    pthread_t thread;
    REQUIRE(pthread_create(&thread, NULL, sleep_in_thread, sleeper) == 0);
    test_sleep(UNTIL_DEEP);
    int64_t began = test_now();
    CHECK_OK(kind->wake(sleeper));
    pthread_join(thread, NULL);
    end(sleeper);
    return atomic_load(&sleeper->woken) - began;
}

static void a_deep_sleeper_is_woken_at_once(void)
{
    for (unsigned i = 0; i < KINDS; i++) {
        int64_t quickest = INT64_MAX;
        for (unsigned round = 0; round < ROUNDS && quickest > AT_ONCE; round++) {
            int64_t took = time_to_wake(&kinds[i]);
            quickest = took < quickest ? took : quickest;
        }
        if (!CHECK(quickest < AT_ONCE))
            printf("%s took %.0f ms to wake\n", kinds[i].name, (double)quickest / 1e6);
    }
}

/* ---- It rests ---- */

static int rest(void *argument)
{
    struct sleeper *sleeper = argument;
    return sleeper->kind->sleep(sleeper, REST) == PIPC_E_TIMEOUT ? 0 : 1;
}

static void a_long_wait_costs_few_wake_ups(void)
{
    for (unsigned i = 0; i < KINDS; i++) {
        if (kinds[i].answer)
            continue;
        struct rusage before, after;
        struct sleeper *sleeper = make(&kinds[i]);
        getrusage(RUSAGE_CHILDREN, &before);
        CHECK_EQUAL(test_wait(test_fork(rest, sleeper), PIPC_SECONDS(30)), 0);
        getrusage(RUSAGE_CHILDREN, &after);
        if (!CHECK(after.ru_nvcsw - before.ru_nvcsw < FEW))
            printf("%s slept %ld times\n", kinds[i].name, after.ru_nvcsw - before.ru_nvcsw);
        end(sleeper);
    }
}

static void a_deep_sleep_ends_at_the_deadline(void)
{
    int64_t quickest = INT64_MAX, span = UNTIL_DEEP + PIPC_MS(150);
    struct sleeper *sleeper = make(&kinds[0]);
    for (unsigned round = 0; round < ROUNDS; round++) {
        int64_t began = test_now();
        CHECK_ERROR(sleeper->kind->sleep(sleeper, span), TIMEOUT);
        int64_t took = test_now() - began;
        CHECK(took >= span);
        quickest = took < quickest ? took : quickest;
    }
    CHECK(quickest < span + AT_ONCE);
    end(sleeper);
}

static const struct test tests[] = {
    {"Q7 Q10 Q12 C6", "a_deep_sleeper_is_woken_at_once", a_deep_sleeper_is_woken_at_once, 90},
    {"Q7 C6", "a_long_wait_costs_few_wake_ups", a_long_wait_costs_few_wake_ups, 60},
    {"Q7", "a_deep_sleep_ends_at_the_deadline", a_deep_sleep_ends_at_the_deadline, 0},
};

TEST_MAIN("deep_sleep", tests)
