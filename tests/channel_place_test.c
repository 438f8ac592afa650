/* Records written and read in place: reserve, commit, cancel; peek, release. */
#include "support_channel.h"

#include <string.h>

enum { MOST = 8 };

static void check_empty(pipc_channel *channel)
{
    REQUIRE_ERROR(channel_receive(channel, &(struct channel_got){0}, PIPC_NOWAIT), EMPTY);
}

/* Reserves records with the numbers from `first` on. */
static void reserve_some(pipc_channel *channel, pipc_record *records, uint64_t first, uint32_t count, uint64_t size)
{
    for (uint32_t i = 0; i < count; i++)
        REQUIRE_OK(channel_reserve(channel, &records[i], first + i, size, PIPC_NOWAIT));
}

static void send_some(pipc_channel *channel, uint64_t first, uint32_t count)
{
    for (uint64_t i = first; i < first + count; i++)
        REQUIRE_OK(channel_send(channel, i, 8 + i % 50, PIPC_NOWAIT));
}

/* ---- producing ---- */

static void one_in_place(uint32_t producers, uint32_t delivery)
{
    pipc_channel *channel = channel_make("c", producers, delivery, CHANNEL_SMALL);
    for (uint64_t size = 0; size <= CHANNEL_SMALL_MOST; size++) {
        pipc_record record;
        REQUIRE_OK(channel_reserve(channel, &record, size, size, PIPC_NOWAIT));
        REQUIRE(record.data != NULL && (uintptr_t)record.data % 16 == 0 && record.size == size);
        check_empty(channel);
        REQUIRE_OK(pipc_channel_commit(channel, &record, 1));
        struct channel_got got;
        REQUIRE_OK(channel_receive(channel, &got, PIPC_NOWAIT));
        REQUIRE(got.size == size && (size < 2 || got.number == size));
        check_empty(channel);
    }
    channel_end(channel, "c");
}

static void a_reserved_record_is_seen_once_it_is_committed(void)
{
    channel_each_variety(one_in_place);
}

/* A batch at ever other places of the ring, so that each of its records is the one that meets the end. */
static void batches_of(uint32_t producers, uint32_t delivery)
{
    pipc_channel *channel = channel_make("c", producers, delivery, CHANNEL_SMALL);
    pipc_record records[MOST];
    for (uint64_t i = 0; i < 1000; i++) {
        uint32_t count = 1 + i % 4;
        reserve_some(channel, records, 100 * i, count, 8 + i % 700);
        check_empty(channel);
        REQUIRE_OK(pipc_channel_commit(channel, records, count));
        for (uint32_t k = 0; k < count; k++)
            REQUIRE(channel_expect(channel, 100 * i + k));
        check_empty(channel);
    }
    if (delivery != PIPC_DELIVER_LATEST) /* there they stay until they are overwritten */
        CHECK_EQUAL(channel_info(channel).bytes, 0);
    channel_end(channel, "c");
}

static void a_batch_is_committed_as_a_whole_wherever_it_lies(void)
{
    channel_each_variety(batches_of);
}

static void shrunk(uint32_t producers, uint32_t delivery)
{
    pipc_channel *channel = channel_make("c", producers, delivery, CHANNEL_SMALL);
    pipc_record records[3];
    for (uint64_t size = 0; size <= 600; size += 3) {
        reserve_some(channel, records, 10, 3, 600);
        for (uint32_t i = 0; i < 3; i++) {
            records[i].size = i == 1 ? 600 - size : size;
            channel_fill(records[i].data, 10 + i, records[i].size);
        }
        REQUIRE_OK(pipc_channel_commit(channel, records, 3));
        for (uint32_t i = 0; i < 3; i++) {
            struct channel_got got;
            REQUIRE_OK(channel_receive(channel, &got, PIPC_NOWAIT));
            REQUIRE_EQUAL(got.size, records[i].size);
            REQUIRE(got.size < 8 || got.number == 10 + i);
        }
    }
    channel_end(channel, "c");
}

static void a_record_may_shrink_at_its_commit(void)
{
    channel_each_variety(shrunk);
}

static void grown(uint32_t producers, uint32_t delivery)
{
    pipc_channel *channel = channel_make("c", producers, delivery, CHANNEL_SMALL);
    pipc_record records[2];
    reserve_some(channel, records, 1, 2, 32);
    for (uint32_t i = 0; i < 2; i++) {
        pipc_record grown[2] = {records[0], records[1]};
        grown[i].size = 33;
        CHECK_ERROR(pipc_channel_commit(channel, grown, 2), INVALID);
        grown[i].size = UINT64_MAX - 7;
        CHECK_ERROR(pipc_channel_commit(channel, grown, 2), INVALID);
    }
    check_empty(channel);
    CHECK_OK(pipc_channel_commit(channel, records, 2));
    CHECK(channel_expect(channel, 1));
    CHECK(channel_expect(channel, 2));
    channel_end(channel, "c");
}

static void a_record_that_has_grown_is_refused_and_still_reserved(void)
{
    channel_each_variety(grown);
}

static void cancelled(uint32_t producers, uint32_t delivery)
{
    pipc_channel *channel = channel_make("c", producers, delivery, CHANNEL_SMALL);
    pipc_record records[3];
    for (uint64_t i = 0; i < 500; i++) {
        reserve_some(channel, records, 7, 3, i % 300);
        REQUIRE_OK(pipc_channel_cancel(channel, records, 3));
        check_empty(channel);
        REQUIRE_OK(channel_send(channel, i, 100, PIPC_NOWAIT));
        REQUIRE(channel_expect(channel, i));
    }
    pipc_channel_info info = channel_info(channel);
    CHECK_EQUAL(info.sent, 500);
    CHECK_EQUAL(info.received, 500);
    CHECK_EQUAL(info.skipped, 0);
    if (delivery != PIPC_DELIVER_LATEST)
        CHECK_EQUAL(info.bytes, 0);
    channel_end(channel, "c");
}

static void what_is_cancelled_is_never_seen_and_takes_no_room(void)
{
    channel_each_variety(cancelled);
}

/* Another producer's records lie between; what is not committed holds up those behind it, not their producers. */
static void any_order(uint32_t delivery)
{
    pipc_channel *channel = channel_make("c", PIPC_PRODUCERS_MANY, delivery, CHANNEL_SMALL);
    pipc_record records[4];
    reserve_some(channel, records, 0, 2, 40);
    REQUIRE_OK(channel_send(channel, 2, 40, PIPC_NOWAIT));
    REQUIRE_OK(channel_reserve(channel, &records[2], 3, 40, PIPC_NOWAIT));
    REQUIRE_OK(channel_reserve(channel, &records[3], 4, 40, PIPC_NOWAIT));
    REQUIRE_OK(pipc_channel_commit(channel, &records[3], 1));
    REQUIRE_OK(pipc_channel_commit(channel, &records[1], 1));
    check_empty(channel);
    REQUIRE_OK(pipc_channel_commit(channel, &records[0], 1));
    CHECK(channel_expect(channel, 0));
    CHECK(channel_expect(channel, 1));
    CHECK(channel_expect(channel, 2));
    check_empty(channel);
    REQUIRE_OK(pipc_channel_cancel(channel, &records[2], 1));
    CHECK(channel_expect(channel, 4));
    check_empty(channel);
    CHECK_EQUAL(channel_info(channel).sent, 4);
    channel_end(channel, "c");
}

static void many_producers_commit_and_cancel_in_any_order(void)
{
    any_order(PIPC_DELIVER_ONCE);
    any_order(PIPC_DELIVER_ALL);
    any_order(PIPC_DELIVER_LATEST);
}

/* One producer: nobody but itself could make room, so that it must not wait. */
static void a_producer_that_reserved_all_there_is_is_told_so_at_once(void)
{
    pipc_record records[MOST];
    for (uint32_t delivery = PIPC_DELIVER_ONCE; delivery <= PIPC_DELIVER_LATEST; delivery++) {
        pipc_channel *channel = channel_make("c", PIPC_PRODUCERS_ONE, delivery, CHANNEL_SMALL);
        reserve_some(channel, records, 0, 3, CHANNEL_SMALL_MOST);
        CHECK_ERROR(pipc_channel_reserve(channel, &(pipc_record){.size = CHANNEL_SMALL_MOST}, PIPC_FOREVER), FULL);
        CHECK_OK(pipc_channel_commit(channel, records, 3));
        for (uint64_t i = 0; i < 3; i++)
            CHECK(channel_expect(channel, i));
        channel_end(channel, "c");
    }
}

static int read_the_first(void *channel)
{
    test_sleep(PIPC_MS(100));
    return channel_expect(channel, 0) ? 0 : 1;
}

/* Many producers: it waits for the readers; but once they have come up to its own reservation it would wait for ever.
 */
static void one_of_many_waits_for_others_but_not_for_itself(void)
{
    pipc_record records[3];
    pipc_channel *channel = channel_make("c", PIPC_PRODUCERS_MANY, PIPC_DELIVER_ONCE, CHANNEL_SMALL);
    REQUIRE_OK(channel_send(channel, 0, CHANNEL_SMALL_MOST, PIPC_NOWAIT));
    reserve_some(channel, records, 1, 2, CHANNEL_SMALL_MOST);
    pid_t reader = test_fork(read_the_first, channel);
    CHECK_OK(channel_reserve(channel, &records[2], 3, CHANNEL_SMALL_MOST, PIPC_SECONDS(20)));
    CHECK_EQUAL(test_wait(reader, PIPC_SECONDS(30)), 0);
    CHECK_ERROR(channel_send(channel, 4, CHANNEL_SMALL_MOST, PIPC_SECONDS(5)), FULL);
    CHECK_ERROR(pipc_channel_reserve(channel, &(pipc_record){.size = CHANNEL_SMALL_MOST}, PIPC_SECONDS(5)), FULL);
    CHECK_OK(pipc_channel_commit(channel, records, 3));
    for (uint64_t i = 1; i <= 3; i++)
        CHECK(channel_expect(channel, i));
    channel_end(channel, "c");
}

/* Where the readers wait for nobody, or have read all. */
static void a_producer_among_many_that_reserved_all_there_is_is_told(void)
{
    pipc_record records[MOST];
    for (uint32_t delivery = PIPC_DELIVER_ONCE; delivery <= PIPC_DELIVER_LATEST; delivery++) {
        pipc_channel *channel = channel_make("c", PIPC_PRODUCERS_MANY, delivery, CHANNEL_SMALL);
        REQUIRE_OK(channel_send(channel, 0, 100, PIPC_NOWAIT));
        CHECK(channel_expect(channel, 0));
        reserve_some(channel, records, 1, 3, CHANNEL_SMALL_MOST);
        CHECK_ERROR(pipc_channel_reserve(channel, &(pipc_record){.size = CHANNEL_SMALL_MOST}, PIPC_SECONDS(5)), FULL);
        CHECK_OK(pipc_channel_cancel(channel, records, 3));
        channel_end(channel, "c");
    }
}

static void a_record_named_twice_is_refused_and_still_reserved(void)
{
    pipc_channel *channel = channel_make("c", PIPC_PRODUCERS_MANY, PIPC_DELIVER_ONCE, CHANNEL_SMALL);
    pipc_record records[3];
    reserve_some(channel, records, 1, 3, 40);
    for (uint32_t twice = 0; twice < 3; twice++)
        for (uint32_t at = 0; at < 3; at++) {
            pipc_record batch[4] = {records[2], records[0], records[1]};
            memmove(&batch[at + 1], &batch[at], (3 - at) * sizeof *batch);
            batch[at] = records[twice];
            CHECK_ERROR(pipc_channel_commit(channel, batch, 4), INVALID);
            CHECK_ERROR(pipc_channel_cancel(channel, batch, 4), INVALID);
        }
    pipc_record alias[2] = {records[0], records[0]};
    alias[1].position += CHANNEL_SMALL; /* the same place, a lap later */
    CHECK_ERROR(pipc_channel_commit(channel, alias, 2), INVALID);
    CHECK_ERROR(pipc_channel_commit(channel, &alias[1], 1), INVALID);
    check_empty(channel);
    CHECK_OK(pipc_channel_commit(channel, records, 3));
    for (uint64_t i = 1; i <= 3; i++)
        CHECK(channel_expect(channel, i));
    CHECK_EQUAL(channel_info(channel).sent, 3);
    channel_end(channel, "c");
}

/* ---- consuming ---- */

static uint32_t peek(pipc_channel *channel, pipc_record *records, uint32_t most)
{
    uint32_t count = most;
    memset(records, 0xee, MOST * sizeof *records);
    records[0].flags = 0;
    REQUIRE_OK(pipc_channel_peek(channel, records, &count, PIPC_NOWAIT));
    REQUIRE(count >= 1 && count <= most);
    for (uint32_t i = 0; i < count; i++)
        REQUIRE(records[i].marks == 0 && records[i].missed == 0 && (uintptr_t)records[i].data % 16 == 0);
    return count;
}

static void partial(uint32_t producers, uint32_t delivery)
{
    pipc_channel *channel = channel_make("c", producers, delivery, CHANNEL_SMALL);
    pipc_record records[MOST];
    uint64_t sent = 0, taken = 0;
    for (uint32_t round = 0; round < 400; round++) {
        for (; sent < taken + 5; sent++)
            REQUIRE_OK(channel_send(channel, sent, 8 + sent % 300, PIPC_NOWAIT));
        uint32_t most = 1 + round % MOST, count = peek(channel, records, most);
        REQUIRE_EQUAL(count, most < 5 ? most : 5);
        for (uint32_t i = 0; i < count; i++)
            REQUIRE_EQUAL(channel_number(&records[i]), taken + i);
        uint32_t done = round % (count + 1);
        REQUIRE_OK(pipc_channel_release(channel, done));
        taken += done;
        REQUIRE_EQUAL(channel_info(channel).received, taken);
    }
    channel_end(channel, "c");
}

static void release_takes_the_first_and_leaves_the_rest(void)
{
    channel_each_variety(partial);
}

static void over_gaps(uint32_t delivery)
{
    pipc_channel *channel = channel_make("c", PIPC_PRODUCERS_MANY, delivery, CHANNEL_SMALL);
    pipc_record gap, records[MOST];
    for (uint32_t round = 0; round < 300; round++) {
        for (uint32_t i = 0; i < 4; i++) {
            REQUIRE_OK(channel_reserve(channel, &gap, 99, round % 200, PIPC_NOWAIT));
            REQUIRE_OK(channel_send(channel, i, 30, PIPC_NOWAIT));
            REQUIRE_OK(pipc_channel_cancel(channel, &gap, 1));
        }
        uint32_t done = round % 5;
        REQUIRE_EQUAL(peek(channel, records, MOST), 4);
        for (uint32_t i = 0; i < 4; i++)
            REQUIRE_EQUAL(channel_number(&records[i]), i);
        REQUIRE_OK(pipc_channel_release(channel, done));
        REQUIRE(delivery != PIPC_DELIVER_ONCE || channel_info(channel).records == 4 - done);
        for (uint32_t i = done; i < 4; i++)
            REQUIRE(channel_expect(channel, i));
        check_empty(channel);
    }
    channel_end(channel, "c");
}

static void peek_and_release_do_not_count_what_was_cancelled(void)
{
    over_gaps(PIPC_DELIVER_ONCE);
    over_gaps(PIPC_DELIVER_ALL);
    over_gaps(PIPC_DELIVER_LATEST);
}

static void shown_stays(uint32_t producers, uint32_t delivery)
{
    pipc_channel *channel = channel_make("c", producers, delivery, CHANNEL_SMALL);
    pipc_record records[MOST];
    send_some(channel, 0, 3);
    REQUIRE_EQUAL(peek(channel, records, MOST), 3);
    send_some(channel, 3, 20); /* beside it */
    if (delivery != PIPC_DELIVER_LATEST)
        while (channel_send(channel, 99, 300, PIPC_NOWAIT) == 0)
            ;
    for (uint32_t i = 0; i < 3; i++)
        CHECK_EQUAL(channel_number(&records[i]), i);
    CHECK_OK(pipc_channel_release(channel, 3));
    for (uint64_t i = 3; i < 23; i++)
        CHECK(channel_expect(channel, i));
    channel_end(channel, "c");
}

static void what_is_shown_stays_while_producers_go_on(void)
{
    channel_each_variety(shown_stays);
}

static void an_empty_channel_shows_nothing(void)
{
    pipc_channel *channel = channel_make("c", 0, 0, 0);
    pipc_record records[MOST] = {{0}};
    uint32_t count = MOST;
    CHECK_ERROR(pipc_channel_peek(channel, records, &count, PIPC_NOWAIT), EMPTY);
    CHECK_ERROR(pipc_channel_release(channel, 0), INVALID);
    send_some(channel, 0, 1);
    count = MOST;
    CHECK_OK(pipc_channel_peek(channel, records, &count, PIPC_FOREVER)); /* waits for the first, never for more */
    CHECK_EQUAL(count, 1);
    CHECK_OK(pipc_channel_release(channel, 1));
    channel_end(channel, "c");
}

static const struct test tests[] = {
    {"C3", "a_reserved_record_is_seen_once_it_is_committed", a_reserved_record_is_seen_once_it_is_committed, 0},
    {"C3", "a_batch_is_committed_as_a_whole_wherever_it_lies", a_batch_is_committed_as_a_whole_wherever_it_lies, 0},
    {"C3", "a_record_may_shrink_at_its_commit", a_record_may_shrink_at_its_commit, 0},
    {"C3", "a_record_that_has_grown_is_refused_and_still_reserved",
     a_record_that_has_grown_is_refused_and_still_reserved, 0},
    {"C3", "what_is_cancelled_is_never_seen_and_takes_no_room", what_is_cancelled_is_never_seen_and_takes_no_room, 0},
    {"C3 C4", "many_producers_commit_and_cancel_in_any_order", many_producers_commit_and_cancel_in_any_order, 0},
    {"C3 C6", "a_producer_that_reserved_all_there_is_is_told_so_at_once",
     a_producer_that_reserved_all_there_is_is_told_so_at_once, 0},
    {"C3 C6", "one_of_many_waits_for_others_but_not_for_itself", one_of_many_waits_for_others_but_not_for_itself, 0},
    {"C3 C6", "a_producer_among_many_that_reserved_all_there_is_is_told",
     a_producer_among_many_that_reserved_all_there_is_is_told, 0},
    {"C3", "a_record_named_twice_is_refused_and_still_reserved", a_record_named_twice_is_refused_and_still_reserved, 0},
    {"C3", "release_takes_the_first_and_leaves_the_rest", release_takes_the_first_and_leaves_the_rest, 0},
    {"C3", "peek_and_release_do_not_count_what_was_cancelled", peek_and_release_do_not_count_what_was_cancelled, 0},
    {"C3", "what_is_shown_stays_while_producers_go_on", what_is_shown_stays_while_producers_go_on, 0},
    {"C3", "an_empty_channel_shows_nothing", an_empty_channel_shows_nothing, 0},
};

TEST_MAIN("channel_place", tests)
