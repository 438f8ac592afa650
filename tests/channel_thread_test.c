/* Threads on one handle of a channel: nothing lost, nothing twice, whatever they call at once. All of them see one
 * mapping, so that the thread sanitizer sees the whole protocol (./dev check). It is not given PIPC_DELIVER_LATEST:
 * there a reader copies what a producer may be writing over, and throws the copy away; formally that is a race. */
#include <pthread.h>

#include "support_channel.h"

enum { PRODUCERS = 3, CONSUMERS = 3, EACH = 2000, ALL = PRODUCERS * EACH, RING = 16384 };

struct crowd {
    pipc_channel *channel;
    _Atomic uint32_t next, gone, stop;
    _Atomic uint32_t times[ALL];
};

static uint64_t size_of(uint64_t number)
{
    return 8 + number * 7919 % (number % 20 ? 100 : RING / 4 - 24);
}

/* Interrupts end waits of every kind. */
static int again(int error)
{
    return error == PIPC_E_INTERRUPTED || error == PIPC_E_TIMEOUT;
}

static int send_one(struct crowd *crowd, uint64_t number)
{
    pipc_record record;
    int error;
    if (number % 2)
        return channel_send(crowd->channel, number, size_of(number), PIPC_SECONDS(40));
    error = channel_reserve(crowd->channel, &record, number, size_of(number), PIPC_SECONDS(40));
    if (!error && number % 10 == 0) {
        REQUIRE_OK(pipc_channel_cancel(crowd->channel, &record, 1));
        return PIPC_E_INTERRUPTED;
    }
    return error ? error : pipc_channel_commit(crowd->channel, &record, 1);
}

static void *send_all(void *argument)
{
    struct crowd *crowd = argument;
    uint32_t first = atomic_fetch_add(&crowd->next, 1) * EACH;
    for (uint32_t i = first; i < first + EACH; i++) {
        int error = send_one(crowd, i);
        while (again(error))
            error = channel_send(crowd->channel, i, size_of(i), PIPC_SECONDS(40));
        REQUIRE_OK(error);
    }
    return NULL;
}

static void note(struct crowd *crowd, uint64_t number)
{
    REQUIRE(number < ALL);
    REQUIRE_EQUAL(atomic_fetch_add(&crowd->times[number], 1), 0);
    atomic_fetch_add(&crowd->gone, 1);
}

static void *receive_all(void *argument)
{
    struct crowd *crowd = argument;
    struct channel_got got;
    while (atomic_load(&crowd->gone) < ALL) {
        int error = channel_receive(crowd->channel, &got, PIPC_MS(20));
        if (again(error))
            continue;
        REQUIRE_OK(error);
        note(crowd, got.number);
    }
    return NULL;
}

static void *peek_all(void *argument)
{
    struct crowd *crowd = argument;
    while (atomic_load(&crowd->gone) < ALL) {
        pipc_record records[8] = {{0}};
        uint32_t count = 8;
        int error = pipc_channel_peek(crowd->channel, records, &count, PIPC_MS(20));
        if (again(error))
            continue;
        REQUIRE_OK(error);
        uint32_t done = (count + 1) / 2;
        for (uint32_t i = 0; i < done; i++)
            note(crowd, channel_number(&records[i]));
        REQUIRE_OK(pipc_channel_release(crowd->channel, done));
    }
    return NULL;
}

static void *look(void *argument)
{
    struct crowd *crowd = argument;
    while (atomic_load(&crowd->gone) < ALL) {
        CHECK(channel_info(crowd->channel).bytes <= RING);
        CHECK_OK(pipc_channel_interrupt(crowd->channel));
        test_sleep(PIPC_MS(1));
    }
    return NULL;
}

static void take_turns(uint32_t producers, uint32_t delivery)
{
    void *(*const bodies[])(void *) = {send_all, send_all, send_all, receive_all, peek_all, receive_all, look};
    enum { THREADS = sizeof bodies / sizeof *bodies };
    struct crowd *crowd = test_shared(sizeof *crowd);
    pthread_t threads[THREADS];
    crowd->channel = channel_make("c", producers, delivery, RING);
    for (unsigned i = 0; i < THREADS; i++)
        REQUIRE_EQUAL(pthread_create(&threads[i], NULL, bodies[i], crowd), 0);
    for (unsigned i = 0; i < THREADS; i++)
        REQUIRE_EQUAL(pthread_join(threads[i], NULL), 0);
    pipc_channel_info info = channel_info(crowd->channel);
    CHECK_EQUAL(info.sent, ALL);
    CHECK_EQUAL(info.received, ALL);
    CHECK_EQUAL(info.redelivered, 0);
    channel_end(crowd->channel, "c");
}

static void threads_on_one_handle_lose_and_double_nothing(void)
{
    take_turns(PIPC_PRODUCERS_ONE, PIPC_DELIVER_ONCE);
    take_turns(PIPC_PRODUCERS_MANY, PIPC_DELIVER_ONCE);
}

/* The threads of one handle are one subscriber. */
static void threads_on_one_subscription_lose_and_double_nothing(void)
{
    take_turns(PIPC_PRODUCERS_ONE, PIPC_DELIVER_ALL);
    take_turns(PIPC_PRODUCERS_MANY, PIPC_DELIVER_ALL);
}

static void *subscribe_and_read(void *argument)
{
    struct crowd *crowd = argument;
    pipc_channel *channel = channel_join("c", PIPC_RECEIVE);
    uint32_t expected[PRODUCERS] = {0};
    atomic_fetch_add(&crowd->gone, 1);
    for (uint32_t i = 0; i < ALL; i++) {
        struct channel_got got;
        REQUIRE_OK(channel_receive(channel, &got, PIPC_SECONDS(40)));
        REQUIRE_EQUAL(got.number % EACH, expected[got.number / EACH]++);
    }
    CHECK_OK(pipc_channel_close(channel));
    return NULL;
}

static void each_to_each(uint32_t producers)
{
    struct crowd *crowd = test_shared(sizeof *crowd);
    pthread_t threads[CONSUMERS + PRODUCERS];
    CHECK_OK(pipc_channel_close(channel_make("c", producers, PIPC_DELIVER_ALL, RING)));
    crowd->channel = channel_join("c", PIPC_SEND);
    for (unsigned i = 0; i < CONSUMERS; i++)
        REQUIRE_EQUAL(pthread_create(&threads[i], NULL, subscribe_and_read, crowd), 0);
    REQUIRE(test_await(&crowd->gone, CONSUMERS));
    for (unsigned i = CONSUMERS; i < CONSUMERS + PRODUCERS; i++)
        REQUIRE_EQUAL(pthread_create(&threads[i], NULL, send_all, crowd), 0);
    for (unsigned i = 0; i < CONSUMERS + PRODUCERS; i++)
        REQUIRE_EQUAL(pthread_join(threads[i], NULL), 0);
    CHECK_EQUAL(channel_info(crowd->channel).received, CONSUMERS * ALL);
    channel_end(crowd->channel, "c");
}

static void threads_with_subscriptions_of_their_own_see_everything(void)
{
    each_to_each(PIPC_PRODUCERS_ONE);
    each_to_each(PIPC_PRODUCERS_MANY);
}

static const struct test tests[] = {
    {"C9 C3", "threads_on_one_handle_lose_and_double_nothing", threads_on_one_handle_lose_and_double_nothing, 180},
    {"C9 C5", "threads_on_one_subscription_lose_and_double_nothing",
     threads_on_one_subscription_lose_and_double_nothing, 180},
    {"C9 C5", "threads_with_subscriptions_of_their_own_see_everything",
     threads_with_subscriptions_of_their_own_see_everything, 180},
};

TEST_MAIN("channel_thread", tests)
