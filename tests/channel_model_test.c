/* Random calls by one thread, compared with a model of a channel that anyone can read: C2 to C5, C10. */
#include "support_channel.h"
#include "support_ring.h"

#include <stdlib.h>
#include <string.h>

struct play {
    struct ring_model model;
    pipc_channel *sender, *readers[RING_READERS];
    pipc_record open[RING_BATCH]; /* reserved; many producers: entry open_index[i] */
    uint64_t open_index[RING_BATCH];
    uint32_t opened;
    uint64_t next, random;
};

static uint64_t random_size(struct play *play)
{
    uint32_t dice = test_random(&play->random, 10);
    return dice == 0 ? CHANNEL_SMALL_MOST - test_random(&play->random, 40) : test_random(&play->random, 200);
}

static bool is_many(const struct play *play)
{
    return play->model.producers == PIPC_PRODUCERS_MANY;
}

static struct ring_entry *last(struct play *play)
{
    return &play->model.entries[play->model.count - 1];
}

/* ---- producing ---- */

static void step_send(struct play *play)
{
    uint64_t number = play->next++, size = random_size(play);
    int error = channel_send(play->sender, number, size, PIPC_NOWAIT);
    if (!is_many(play) && play->opened) {
        REQUIRE_ERROR(error, BUSY);
    } else if (!ring_reserve(&play->model, number, size)) {
        REQUIRE_ERROR(error, FULL);
    } else {
        REQUIRE_OK(error);
        if (is_many(play))
            last(play)->state = RING_WHOLE;
        else
            ring_commit_batch(&play->model);
    }
}

static void step_reserve(struct play *play)
{
    uint64_t number = play->next++, size = random_size(play);
    if (play->opened == RING_BATCH)
        return;
    int error = channel_reserve(play->sender, &play->open[play->opened], number, size, PIPC_NOWAIT);
    if (!ring_reserve(&play->model, number, size)) {
        REQUIRE_ERROR(error, FULL);
        return;
    }
    REQUIRE_OK(error);
    play->open_index[play->opened++] = play->model.count - 1;
}

/* Smaller than it was, now and then; the number stays. */
static void shrink(struct play *play, pipc_record *record, struct ring_entry *entry)
{
    if (test_random(&play->random, 3) == 0)
        record->size = entry->size = test_random(&play->random, (uint32_t)entry->size + 1);
    channel_fill(record->data, entry->number, entry->size);
}

/* Many producers: one of the open ones, whichever. */
static void settle_one(struct play *play, bool commit)
{
    uint32_t which = test_random(&play->random, play->opened);
    struct ring_entry *entry = &play->model.entries[play->open_index[which]];
    shrink(play, &play->open[which], entry);
    REQUIRE_OK((commit ? pipc_channel_commit : pipc_channel_cancel)(play->sender, &play->open[which], 1));
    entry->state = commit ? RING_WHOLE : RING_GONE;
    play->opened--;
    play->open[which] = play->open[play->opened];
    play->open_index[which] = play->open_index[play->opened];
}

static void settle_batch(struct play *play, bool commit)
{
    for (uint32_t i = 0; i < play->opened; i++)
        shrink(play, &play->open[i], &play->model.batch[i]);
    REQUIRE_OK((commit ? pipc_channel_commit : pipc_channel_cancel)(play->sender, play->open, play->opened));
    (commit ? ring_commit_batch : ring_cancel_batch)(&play->model);
    play->opened = 0;
}

/* LATEST with many producers: what was cancelled and is overwritten counts as missed, which is no promise. */
static void step_settle(struct play *play)
{
    bool commit = test_random(&play->random, 4) != 0;
    if (!play->opened)
        return;
    if (is_many(play))
        settle_one(play, commit || play->model.delivery == PIPC_DELIVER_LATEST);
    else
        settle_batch(play, commit);
}

/* ---- consuming ---- */

static uint32_t some_reader(struct play *play)
{
    return test_random(&play->random, play->model.readers);
}

static void check_record(const struct play *play, uint64_t index, const void *data, uint64_t size)
{
    const struct ring_entry *entry = &play->model.entries[index];
    REQUIRE_EQUAL(size, entry->size);
    REQUIRE(channel_is_whole(data, entry->number, size));
}

static void step_receive(struct play *play)
{
    static unsigned char bytes[CHANNEL_SMALL];
    struct ring_sight sight = {0};
    uint32_t which = some_reader(play), room = test_random(&play->random, 8) ? CHANNEL_SMALL : 50;
    struct ring_reader *reader = &play->model.reader[which];
    pipc_record record = {.data = bytes, .size = room};
    int error = pipc_channel_receive(play->readers[which], &record, PIPC_NOWAIT);
    if (ring_look(&play->model, reader, &sight, 1) == 0) {
        REQUIRE_ERROR(error, EMPTY);
        return;
    }
    if (play->model.entries[sight.indexes[0]].size > room) {
        REQUIRE_ERROR(error, TOO_SMALL);
        REQUIRE_EQUAL(record.size, play->model.entries[sight.indexes[0]].size);
        return;
    }
    REQUIRE_OK(error);
    check_record(play, sight.indexes[0], bytes, record.size);
    REQUIRE_EQUAL(record.missed, sight.missed);
    ring_take(&play->model, reader, &sight, 1, 1);
}

static void step_peek(struct play *play)
{
    struct ring_sight sight = {0};
    uint32_t which = some_reader(play), count = 1 + test_random(&play->random, RING_BATCH);
    struct ring_reader *reader = &play->model.reader[which];
    pipc_record records[RING_BATCH] = {{0}};
    uint32_t expected = ring_look(&play->model, reader, &sight, count);
    int error = pipc_channel_peek(play->readers[which], records, &count, PIPC_NOWAIT);
    if (expected == 0) {
        REQUIRE_ERROR(error, EMPTY);
        return;
    }
    REQUIRE_OK(error);
    REQUIRE_EQUAL(count, expected);
    for (uint32_t i = 0; i < count; i++) {
        check_record(play, sight.indexes[i], records[i].data, records[i].size);
        REQUIRE_EQUAL(records[i].missed, i ? 0 : sight.missed);
    }
    for (uint32_t i = test_random(&play->random, 20); i > 0 && i < 10; i--)
        step_send(play);
    uint32_t done = test_random(&play->random, count + 1);
    bool there = ring_take(&play->model, reader, &sight, count, done);
    REQUIRE_EQUAL(pipc_channel_release(play->readers[which], done), there ? PIPC_OK : PIPC_E_OVERRUN);
}

/* ---- all ---- */

/* `sends` of ten steps produce: above 5 the ring tends to be full, below to be empty. */
static void step(struct play *play, uint32_t sends)
{
    uint32_t dice = test_random(&play->random, 10);
    if (test_random(&play->random, 10) < sends) {
        if (dice < 5)
            step_send(play);
        else if (dice < 8)
            step_reserve(play);
        else
            step_settle(play);
    } else if (dice < 6) {
        step_receive(play);
    } else {
        step_peek(play);
    }
}

static void start(struct play *play, uint32_t producers, uint32_t delivery)
{
    pipc_channel_options options = {.size = CHANNEL_SMALL, .producers = producers, .delivery = delivery};
    play->model.size = CHANNEL_SMALL;
    play->model.producers = producers;
    play->model.delivery = delivery;
    play->model.readers = delivery == PIPC_DELIVER_ONCE ? 1 : RING_READERS;
    play->model.entries = calloc(RING_MOST, sizeof *play->model.entries);
    play->random = producers * 10 + delivery;
    REQUIRE(play->model.entries != NULL);
    REQUIRE_OK(pipc_channel_open(&play->sender, test_name("c"), PIPC_CREATE | PIPC_EXCLUSIVE | PIPC_SEND, &options));
    for (uint32_t i = 0; i < play->model.readers; i++)
        play->readers[i] = channel_join("c", PIPC_RECEIVE);
}

static void compare(struct play *play)
{
    pipc_channel_info info = channel_info(play->sender);
    REQUIRE(ring_agrees(&play->model, &info));
}

static void run(uint32_t producers, uint32_t delivery)
{
    struct play *play = calloc(1, sizeof *play);
    REQUIRE(play != NULL);
    start(play, producers, delivery);
    for (uint32_t i = 0; i < 40000; i++) {
        step(play, i / 500 % 2 ? 3 : 7);
        if (i % 200 == 0)
            compare(play);
    }
    compare(play);
    CHECK(play->model.count > 1000);
    for (uint32_t i = 0; i < play->model.readers; i++)
        CHECK_OK(pipc_channel_close(play->readers[i]));
    channel_end(play->sender, "c");
    free(play->model.entries);
    free(play);
}

static void calls_answer_as_the_model_does_with_one_producer(void)
{
    run(PIPC_PRODUCERS_ONE, PIPC_DELIVER_ONCE);
    run(PIPC_PRODUCERS_ONE, PIPC_DELIVER_ALL);
    run(PIPC_PRODUCERS_ONE, PIPC_DELIVER_LATEST);
}

static void calls_answer_as_the_model_does_with_many_producers(void)
{
    run(PIPC_PRODUCERS_MANY, PIPC_DELIVER_ONCE);
    run(PIPC_PRODUCERS_MANY, PIPC_DELIVER_ALL);
    run(PIPC_PRODUCERS_MANY, PIPC_DELIVER_LATEST);
}

static const struct test tests[] = {
    {"C2 C3 C4 C5 C10", "calls_answer_as_the_model_does_with_one_producer",
     calls_answer_as_the_model_does_with_one_producer, 0},
    {"C2 C3 C4 C5 C10", "calls_answer_as_the_model_does_with_many_producers",
     calls_answer_as_the_model_does_with_many_producers, 0},
};

TEST_MAIN("channel_model", tests)
