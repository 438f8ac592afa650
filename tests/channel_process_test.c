/* Channels between processes: inherited handles, several producers, several subscribers; every record is checked. */
#include "support_channel.h"

#include <string.h>

enum { PRODUCERS = 4, EACH = 6000, ALL = PRODUCERS * EACH, RING = 16384, LOOKALIKES = 1000000 };

struct run {
    pipc_channel *channel;
    uint32_t producers, delivery;
    _Atomic uint32_t next, ready, done;
};

static struct run *new_run(uint32_t producers, uint32_t delivery)
{
    struct run *run = test_shared(sizeof *run);
    run->producers = producers;
    run->delivery = delivery;
    run->channel = channel_make("c", producers, delivery, RING);
    return run;
}

/* The producer's number in the upper half, the record's in the lower. */
static uint64_t size_of(uint64_t number)
{
    return 8 + number * 7919 % (number % 50 ? 200 : RING / 4 - 24);
}

static int produce_one(struct run *run, uint64_t number, bool in_place)
{
    pipc_record record;
    if (!in_place)
        return channel_send(run->channel, number, size_of(number), PIPC_SECONDS(40));
    int error = channel_reserve(run->channel, &record, number, size_of(number), PIPC_SECONDS(40));
    return error ? error : pipc_channel_commit(run->channel, &record, 1);
}

static int produce(void *argument)
{
    struct run *run = argument;
    uint64_t me = atomic_fetch_add(&run->next, 1);
    for (uint64_t i = 0; i < EACH; i++)
        REQUIRE_OK(produce_one(run, me << 32 | i, (me + i) % 2));
    atomic_fetch_add(&run->done, 1);
    return 0;
}

/* Notes a record: each producer's come in its order. Gaps only where they were told. */
static void note(uint64_t expected[PRODUCERS], uint64_t number)
{
    uint64_t from = number >> 32, i = number & UINT32_MAX;
    REQUIRE(from < PRODUCERS && i < EACH);
    REQUIRE(i >= expected[from]);
    expected[from] = i + 1;
}

static uint64_t consume_in_place(struct run *run, uint64_t expected[PRODUCERS])
{
    pipc_record records[16] = {{0}};
    uint32_t count = 16;
    REQUIRE_OK(pipc_channel_peek(run->channel, records, &count, PIPC_SECONDS(40)));
    for (uint32_t i = 0; i < count; i++) {
        REQUIRE(records[i].marks == 0 && records[i].missed == 0);
        uint64_t number = channel_number(&records[i]);
        REQUIRE_EQUAL(records[i].size, size_of(number));
        REQUIRE_EQUAL(number & UINT32_MAX, expected[number >> 32]);
        note(expected, number);
    }
    uint32_t done = count - (count > 3 ? 1 : 0);
    for (uint32_t i = done; i < count; i++)
        expected[channel_number(&records[i]) >> 32]--; /* it will be shown again */
    REQUIRE_OK(pipc_channel_release(run->channel, done));
    return done;
}

static uint64_t consume_copy(struct run *run, uint64_t expected[PRODUCERS])
{
    struct channel_got got;
    REQUIRE_OK(channel_receive(run->channel, &got, PIPC_SECONDS(40)));
    REQUIRE(got.marks == 0 && got.missed == 0 && got.size == size_of(got.number));
    REQUIRE_EQUAL(got.number & UINT32_MAX, expected[got.number >> 32]);
    note(expected, got.number);
    return 1;
}

static void consume_all(struct run *run)
{
    uint64_t expected[PRODUCERS] = {0};
    for (uint64_t got = 0; got < ALL;)
        got += got % 3 ? consume_in_place(run, expected) : consume_copy(run, expected);
    CHECK_ERROR(channel_receive(run->channel, &(struct channel_got){0}, PIPC_NOWAIT), EMPTY);
}

static void many_to_one(uint32_t producers)
{
    struct run *run = new_run(producers, PIPC_DELIVER_ONCE);
    pid_t children[PRODUCERS];
    for (unsigned i = 0; i < PRODUCERS; i++)
        children[i] = test_fork(produce, run);
    consume_all(run);
    for (unsigned i = 0; i < PRODUCERS; i++)
        CHECK_EQUAL(test_wait(children[i], PIPC_SECONDS(40)), 0);
    pipc_channel_info info = channel_info(run->channel);
    CHECK(info.sent == ALL && info.received == ALL && info.records == 0 && info.bytes == 0 && info.skipped == 0);
    channel_end(run->channel, "c");
}

static void four_producers_to_one_consumer_lose_and_double_nothing(void)
{
    many_to_one(PIPC_PRODUCERS_MANY);
    many_to_one(PIPC_PRODUCERS_ONE); /* they take turns */
}

/* ---- consumers that take turns ---- */

struct turns {
    pipc_channel *channel;
    _Atomic uint32_t taken;
    _Atomic uint32_t times[ALL];
};

static int take_turns(void *argument)
{
    struct turns *turns = argument;
    struct channel_got got;
    while (atomic_load(&turns->taken) < ALL) {
        int error = channel_receive(turns->channel, &got, PIPC_MS(20));
        if (error == PIPC_E_TIMEOUT)
            continue;
        REQUIRE_OK(error);
        REQUIRE_EQUAL(atomic_fetch_add(&turns->times[got.number], 1), 0);
        atomic_fetch_add(&turns->taken, 1);
    }
    return 0;
}

static void consumers_that_take_turns_get_each_record_once(void)
{
    struct turns *turns = test_shared(sizeof *turns);
    pid_t children[3];
    turns->channel = channel_make("c", 0, PIPC_DELIVER_ONCE, RING);
    for (unsigned i = 0; i < 3; i++)
        children[i] = test_fork(take_turns, turns);
    for (uint64_t i = 0; i < ALL; i++)
        REQUIRE_OK(channel_send(turns->channel, i, size_of(i), PIPC_SECONDS(40)));
    for (unsigned i = 0; i < 3; i++)
        CHECK_EQUAL(test_wait(children[i], PIPC_SECONDS(40)), 0);
    CHECK_EQUAL(channel_info(turns->channel).records, 0);
    channel_end(turns->channel, "c");
}

/* ---- subscribers ---- */

static int subscribe_and_read_all(void *argument)
{
    struct run run = *(struct run *)argument, *shared = argument;
    run.channel = channel_join("c", PIPC_RECEIVE);
    atomic_fetch_add(&shared->ready, 1);
    consume_all(&run);
    return pipc_channel_close(run.channel);
}

static void all_to_all(uint32_t producers)
{
    enum { READERS = 3 };
    struct run *run = new_run(producers, PIPC_DELIVER_ALL);
    pid_t children[READERS + PRODUCERS];
    CHECK_OK(pipc_channel_close(run->channel)); /* it was a subscriber too */
    run->channel = channel_join("c", PIPC_SEND);
    for (unsigned i = 0; i < READERS; i++)
        children[i] = test_fork(subscribe_and_read_all, run);
    REQUIRE(test_await(&run->ready, READERS));
    for (unsigned i = READERS; i < READERS + PRODUCERS; i++)
        children[i] = test_fork(produce, run);
    for (unsigned i = 0; i < READERS + PRODUCERS; i++)
        CHECK_EQUAL(test_wait(children[i], PIPC_SECONDS(50)), 0);
    CHECK_EQUAL(channel_info(run->channel).received, READERS * ALL);
    channel_end(run->channel, "c");
}

static void every_subscriber_gets_all_of_every_producer(void)
{
    all_to_all(PIPC_PRODUCERS_ONE);
    all_to_all(PIPC_PRODUCERS_MANY);
}

/* Bodies that look like heads of records: when they overwrite what a subscriber reads, it must not take them for one.
 */
static int produce_lookalikes(void *argument)
{
    struct run *run = argument;
    uint64_t words[60], me = atomic_fetch_add(&run->next, 1);
    for (uint64_t i = 0; i < LOOKALIKES; i++) {
        uint64_t size = 16 + 16 * (i % 29);
        words[0] = me << 32 | i;
        words[1] = size;
        for (uint64_t k = 2; k < size / 8; k++)
            words[k] = k % 2 ? UINT64_C(0x100000200) * (1 + i % 3) : (i << 6 | (k * 5 + i) % 16);
        REQUIRE_OK(pipc_channel_send(run->channel, &(pipc_record){.data = words, .size = size}, PIPC_SECONDS(40)));
    }
    atomic_fetch_add(&run->done, 1);
    return 0;
}

static bool is_lookalike(const uint64_t *words, uint64_t size)
{
    uint64_t i = words[0] & UINT32_MAX;
    bool good = size == 16 + 16 * (i % 29) && words[1] == size;
    for (uint64_t k = 2; good && k < size / 8; k++)
        good = words[k] == (k % 2 ? UINT64_C(0x100000200) * (1 + i % 3) : (i << 6 | (k * 5 + i) % 16));
    return good;
}

static void be_overtaken(uint32_t producers, uint32_t count)
{
    struct run *run = new_run(producers, PIPC_DELIVER_LATEST);
    pipc_channel *reader = channel_join("c", PIPC_RECEIVE);
    pid_t children[PRODUCERS];
    uint64_t words[512], got = 0, missed = 0;
    for (unsigned i = 0; i < count; i++)
        children[i] = test_fork(produce_lookalikes, run);
    for (;;) {
        pipc_record record = {.data = words, .size = sizeof words};
        bool all_sent = atomic_load(&run->done) == count;
        int error = pipc_channel_receive(reader, &record, PIPC_MS(1));
        if (error == PIPC_E_TIMEOUT && all_sent)
            break;
        if (error == PIPC_E_TIMEOUT)
            continue;
        REQUIRE_OK(error);
        REQUIRE(record.size >= 16 && is_lookalike(words, record.size));
        got++;
        missed += record.missed;
    }
    for (unsigned i = 0; i < count; i++)
        CHECK_EQUAL(test_wait(children[i], PIPC_SECONDS(50)), 0);
    CHECK_EQUAL(got + missed, count * LOOKALIKES);
    CHECK_EQUAL(channel_info(run->channel).missed, missed);
    CHECK_EQUAL(channel_info(run->channel).skipped, 0);
    CHECK_OK(pipc_channel_close(reader));
    channel_end(run->channel, "c");
}

static void who_is_overtaken_gets_whole_records_and_an_exact_count(void)
{
    be_overtaken(PIPC_PRODUCERS_ONE, 1);
    be_overtaken(PIPC_PRODUCERS_MANY, 2);
}

/* ---- forks ---- */

static int go_on_in_the_child(void *argument)
{
    struct run *run = argument;
    pipc_record record;
    REQUIRE_OK(channel_reserve(run->channel, &record, 20, 8, PIPC_SECONDS(40)));
    REQUIRE_OK(pipc_channel_commit(run->channel, &record, 1));
    REQUIRE_OK(channel_send(run->channel, 21, 8, PIPC_SECONDS(40)));
    CHECK_ERROR(pipc_channel_release(run->channel, 0), INVALID);
    return pipc_channel_close(run->channel);
}

/* What the parent had reserved or shown when it forked stays the parent's. */
static void a_child_forked_in_the_middle_of_a_batch_starts_anew(void)
{
    for (uint32_t producers = PIPC_PRODUCERS_ONE; producers <= PIPC_PRODUCERS_MANY; producers++) {
        struct run *run = new_run(producers, PIPC_DELIVER_ONCE);
        pipc_record records[2], shown = {0};
        uint32_t count = 1;
        REQUIRE_OK(channel_send(run->channel, 1, 8, PIPC_NOWAIT));
        for (uint64_t i = 0; i < 2; i++)
            REQUIRE_OK(channel_reserve(run->channel, &records[i], 10 + i, 8, PIPC_NOWAIT));
        REQUIRE_OK(pipc_channel_peek(run->channel, &shown, &count, PIPC_NOWAIT));
        pid_t child = test_fork(go_on_in_the_child, run);
        test_sleep(PIPC_MS(20));
        CHECK_OK(pipc_channel_commit(run->channel, records, 2));
        CHECK_EQUAL(test_wait(child, PIPC_SECONDS(40)), 0);
        CHECK_OK(pipc_channel_release(run->channel, 1));
        CHECK(channel_expect(run->channel, 10));
        CHECK(channel_expect(run->channel, 11));
        CHECK(channel_expect(run->channel, 20));
        CHECK(channel_expect(run->channel, 21));
        channel_end(run->channel, "c");
    }
}

static const struct test tests[] = {
    {"C2 C4 C9", "four_producers_to_one_consumer_lose_and_double_nothing",
     four_producers_to_one_consumer_lose_and_double_nothing, 120},
    {"C5 C9", "consumers_that_take_turns_get_each_record_once", consumers_that_take_turns_get_each_record_once, 120},
    {"C5 C9", "every_subscriber_gets_all_of_every_producer", every_subscriber_gets_all_of_every_producer, 180},
    {"C5 C9", "who_is_overtaken_gets_whole_records_and_an_exact_count",
     who_is_overtaken_gets_whole_records_and_an_exact_count, 180},
    {"C9", "a_child_forked_in_the_middle_of_a_batch_starts_anew", a_child_forked_in_the_middle_of_a_batch_starts_anew,
     0},
};

TEST_MAIN("channel_process", tests)
