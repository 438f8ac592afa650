/* A storm of signals over a channel: a handler runs every 50 us, installed with and without SA_RESTART, during every
 * call that may wait. No record is lost, doubled or torn, nothing hangs, no wait ends early; only a call that slept
 * says that it was interrupted, and one with PIPC_RESTART never does. */
#define _GNU_SOURCE
#include <signal.h>
#include <stdio.h>

#include "parcel.h"
#include "signals.h"
#include "support_queue.h"

enum { RING = 4096, LARGEST = RING / 4 - 16 };

/* ---- Every call that waits ---- */

static pipc_channel *full, *empty, *taken; /* the last: a stopped consumer and producer have its locks */
static unsigned char body[LARGEST];

static int receive_from(pipc_channel *channel, uint32_t flags)
{
    return pipc_channel_receive(channel, &(pipc_record){.data = body, .size = sizeof body, .flags = flags},
                                SIGNALS_SPAN);
}

static int receive(uint32_t flags)
{
    return receive_from(empty, flags);
}

static int receive_behind(uint32_t flags)
{
    return receive_from(taken, flags);
}

static int peek(uint32_t flags)
{
    pipc_record record = {.flags = flags};
    return pipc_channel_peek(empty, &record, &(uint32_t){1}, SIGNALS_SPAN);
}

static int send_to(pipc_channel *channel, uint32_t flags)
{
    return pipc_channel_send(channel, &(pipc_record){.data = body, .size = sizeof body, .flags = flags}, SIGNALS_SPAN);
}

static int send_to_full(uint32_t flags)
{
    return send_to(full, flags);
}

static int send_behind(uint32_t flags)
{
    return send_to(taken, flags);
}

static int reserve(uint32_t flags)
{
    return pipc_channel_reserve(full, &(pipc_record){.size = sizeof body, .flags = flags}, SIGNALS_SPAN);
}

static const struct signals_waiter waiters[] = {
    {"channel receive", receive, true},
    {"channel receive behind a consumer", receive_behind, true},
    {"channel peek", peek, true},
    {"channel send", send_to_full, true},
    {"channel send behind a producer", send_behind, true},
    {"channel reserve", reserve, true},
};

/* Keeps the locks of a channel until it is killed. */
static int hold(void *argument)
{
    pipc_record record = {0}, reserved = {.size = 10};
    REQUIRE_OK(pipc_channel_peek(taken, &record, &(uint32_t){1}, SIGNALS_HANG));
    REQUIRE_OK(pipc_channel_reserve(taken, &reserved, SIGNALS_HANG));
    atomic_store((_Atomic uint32_t *)argument, 1);
    for (;;)
        test_sleep(PIPC_SECONDS(1));
    return 0;
}

static pipc_channel *make(const char *what, unsigned records)
{
    struct parcel parcel = {1, LARGEST, 0};
    pipc_channel *channel = parcel_channel(what, 0, &(pipc_channel_options){.size = RING});
    for (; parcel.number < records; parcel.number++)
        REQUIRE_OK(parcel_send(channel, &parcel, PIPC_NOWAIT));
    return channel;
}

static void no_wait_on_a_channel_ends_early_in_a_storm_of_signals(void)
{
    _Atomic uint32_t *held = test_shared(sizeof *held);
    full = make("full", 3);
    empty = make("empty", 0);
    taken = make("taken", 1);
    pid_t holder = test_fork(hold, held);
    REQUIRE(test_await(held, 1));
    signals_wait("eintr: channel waits", waiters, sizeof waiters / sizeof *waiters);
    test_kill(holder);
    struct parcel parcel;
    for (uint64_t i = 0; i < 3 && CHECK_OK(parcel_receive(full, &parcel, NULL, PIPC_NOWAIT)); i++)
        CHECK_EQUAL(parcel.number, i);
    CHECK_OK(parcel_receive(taken, &parcel, NULL, PIPC_SECONDS(20)));
    CHECK_OK(parcel_send(taken, &parcel, PIPC_SECONDS(20)));
    parcel_end(full, "full");
    parcel_end(empty, "empty");
    parcel_end(taken, "taken");
}

/* ---- Traffic ---- */

enum { PRODUCERS = 2, CONSUMERS = 2, LEAST = 100 };

struct traffic {
    int64_t deadline;
    _Atomic uint32_t producers; /* still at work */
    _Atomic uint64_t numbers[PRODUCERS], interrupted, wrong;
    struct signals_arrivals arrivals[PRODUCERS];
};

struct worker {
    struct traffic *traffic;
    unsigned index;
};

/* Half of the calls go on after a signal, the others are made again. */
static bool again(struct traffic *traffic, int error, uint32_t flags)
{
    if (error == PIPC_E_INTERRUPTED && !flags) {
        atomic_fetch_add(&traffic->interrupted, 1);
        return true;
    }
    if (error && error != PIPC_E_TIMEOUT) {
        atomic_fetch_add(&traffic->wrong, 1);
        fprintf(stderr, "it answered %s: %s\n", pipc_error_name(error), pipc_error_detail());
    }
    return false;
}

static int produce(void *argument)
{
    struct worker *worker = argument;
    struct traffic *traffic = worker->traffic;
    pipc_channel *channel = parcel_join("traffic", PIPC_SEND);
    struct parcel parcel = {worker->index, 0, 0};
    struct signals sum = {0}, began = signals_now();
    signals_begin(worker->index % 2 ? SA_RESTART : 0);
    for (; parcel.number < LEAST || test_now() < traffic->deadline; parcel.number++) {
        pipc_record record = {.size = parcel.number % 5 ? 64 : LARGEST, .flags = parcel.number % 2 ? PIPC_RESTART : 0};
        int error;
        parcel.size = (uint32_t)record.size;
        do
            error = pipc_channel_reserve(channel, &record, SIGNALS_HANG);
        while (again(traffic, error, record.flags));
        REQUIRE_OK(error);
        parcel_fill(record.data, &parcel);
        REQUIRE_OK(pipc_channel_commit(channel, &record, 1));
        atomic_fetch_add(&traffic->numbers[worker->index], 1);
    }
    signals_add(&sum, &began);
    signals_end();
    signals_judge("producer", &sum);
    atomic_fetch_sub(&traffic->producers, 1);
    return pipc_channel_close(channel);
}

/* Ends when all producers have and nothing is left. */
static int consume(void *argument)
{
    struct worker *worker = argument;
    struct traffic *traffic = worker->traffic;
    pipc_channel *channel = parcel_join("traffic", PIPC_RECEIVE);
    static unsigned char buffer[LARGEST];
    uint64_t next[PRODUCERS] = {0};
    struct signals sum = {0}, began = signals_now();
    signals_begin(worker->index % 2 ? SA_RESTART : 0);
    for (uint32_t turn = 0;; turn++) {
        pipc_record record = {.data = buffer, .size = sizeof buffer, .flags = turn % 2 ? PIPC_RESTART : 0};
        struct parcel parcel;
        bool last = atomic_load(&traffic->producers) == 0;
        uint32_t flags = record.flags;
        int error = pipc_channel_receive(channel, &record, PIPC_MS(20));
        again(traffic, error, flags);
        if (error == PIPC_E_TIMEOUT && last)
            break;
        if (error)
            continue;
        REQUIRE(parcel_read(buffer, record.size, &parcel) && parcel.sender < PRODUCERS);
        CHECK(parcel.number >= next[parcel.sender]);
        next[parcel.sender] = parcel.number + 1;
        signals_arrived(&traffic->arrivals[parcel.sender], parcel.number);
    }
    signals_add(&sum, &began);
    signals_end();
    signals_judge("consumer", &sum);
    return pipc_channel_close(channel);
}

static void settle_accounts(struct traffic *traffic, struct rig_figures *figures)
{
    for (unsigned i = 0; i < PRODUCERS; i++)
        signals_settle(&traffic->arrivals[i], atomic_load(&traffic->numbers[i]), figures);
    CHECK_EQUAL(atomic_load(&traffic->wrong), 0);
    CHECK(atomic_load(&traffic->interrupted) > 0);
}

static void traffic_on_a_channel_is_whole_in_a_storm_of_signals(void)
{
    struct rig_figures figures = {.rig = "eintr: channel traffic"};
    struct traffic *traffic = test_shared(sizeof *traffic);
    struct worker workers[PRODUCERS + CONSUMERS];
    pid_t children[PRODUCERS + CONSUMERS];
    pipc_channel *channel =
        parcel_channel("traffic", 0, &(pipc_channel_options){.size = RING, .producers = PIPC_PRODUCERS_MANY});
    traffic->deadline = signals_deadline(PIPC_MS(500));
    traffic->producers = PRODUCERS;
    for (unsigned i = 0; i < PRODUCERS + CONSUMERS; i++) {
        workers[i] = (struct worker){traffic, i};
        children[i] = test_fork(i < PRODUCERS ? produce : consume, &workers[i]);
    }
    int64_t limit = traffic->deadline - test_now() + 2 * SIGNALS_HANG;
    for (unsigned i = 0; i < PRODUCERS + CONSUMERS; i++)
        figures.hangs += test_wait(children[i], limit) != 0;
    settle_accounts(traffic, &figures);
    pipc_channel_info info = parcel_info(channel);
    figures.leaks += info.records || info.bytes;
    parcel_end(channel, "traffic");
    rig_tell(&figures);
}

static const struct test tests[] = {
    {"Q12 Q7", "no_wait_on_a_channel_ends_early_in_a_storm_of_signals",
     no_wait_on_a_channel_ends_early_in_a_storm_of_signals, 0},
    {"Q12 Q4", "traffic_on_a_channel_is_whole_in_a_storm_of_signals",
     traffic_on_a_channel_is_whole_in_a_storm_of_signals, 180},
};

TEST_MAIN("eintr_channel", tests)
