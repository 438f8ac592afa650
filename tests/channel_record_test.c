/* Records sent and received with one copy: whole, in order, of any size, wherever in the ring they lie. */
#include "support_channel.h"

#include <string.h>

/* ---- content and order ---- */

static void all_sizes(uint32_t producers, uint32_t delivery)
{
    static unsigned char sent[CHANNEL_SMALL_MOST], got[CHANNEL_SMALL_MOST];
    pipc_channel *channel = channel_make("c", producers, delivery, CHANNEL_SMALL);
    for (uint64_t size = 0; size <= CHANNEL_SMALL_MOST; size++) {
        pipc_record record = {.data = got, .size = CHANNEL_SMALL_MOST, .missed = 9, .marks = 9};
        channel_fill(sent, size * 77, size);
        REQUIRE_OK(pipc_channel_send(channel, &(pipc_record){.data = sent, .size = size}, PIPC_NOWAIT));
        REQUIRE_OK(pipc_channel_receive(channel, &record, PIPC_NOWAIT));
        REQUIRE_EQUAL(record.size, size);
        REQUIRE(channel_is_whole(got, size * 77, size));
        REQUIRE(record.missed == 0 && record.marks == 0);
    }
    channel_end(channel, "c");
}

static void every_size_arrives_whole(void)
{
    channel_each_variety(all_sizes);
}

/* As many as fit, then one for one: each size begins at ever other places. */
static void backlog_of(pipc_channel *channel, uint64_t size)
{
    uint64_t sent = 0, received = 0;
    while (channel_send(channel, sent, size, PIPC_NOWAIT) == 0)
        sent++;
    REQUIRE(sent >= 2);
    for (; received < 3 * CHANNEL_SMALL / (size + 16); received++) {
        REQUIRE(channel_expect(channel, received));
        if (channel_send(channel, sent, size, PIPC_NOWAIT) == 0)
            sent++;
    }
    for (; received < sent; received++)
        REQUIRE(channel_expect(channel, received));
    REQUIRE_ERROR(channel_receive(channel, &(struct channel_got){0}, PIPC_NOWAIT), EMPTY);
}

static void backlogs(uint32_t producers, uint32_t delivery)
{
    pipc_channel *channel = channel_make("c", producers, delivery, CHANNEL_SMALL);
    for (uint64_t size = 8; delivery != PIPC_DELIVER_LATEST && size <= CHANNEL_SMALL_MOST; size += 5)
        backlog_of(channel, size);
    channel_end(channel, "c");
}

static void records_come_in_the_order_in_which_they_were_sent(void)
{
    channel_each_variety(backlogs);
}

/* Two largest ones fit wherever the ring begins, whatever is lost at its end. */
static void two_of_the_largest(uint32_t producers, uint32_t delivery)
{
    pipc_channel *channel = channel_make("c", producers, delivery, CHANNEL_SMALL);
    for (uint64_t i = 0; i < 2 * CHANNEL_SMALL / 16; i++) {
        REQUIRE_OK(channel_send(channel, 1, CHANNEL_SMALL_MOST, PIPC_NOWAIT));
        REQUIRE_OK(channel_send(channel, 2, CHANNEL_SMALL_MOST - i % 16, PIPC_NOWAIT));
        REQUIRE(channel_expect(channel, 1));
        REQUIRE(channel_expect(channel, 2));
        REQUIRE_OK(channel_send(channel, 3, 0, PIPC_NOWAIT)); /* on by one place */
        REQUIRE(channel_expect(channel, 0));
    }
    channel_end(channel, "c");
}

static void records_may_have_a_quarter_of_the_ring_wherever_they_begin(void)
{
    channel_each_variety(two_of_the_largest);
}

/* Sends until there is no room, or LATEST would overwrite; then takes some. */
static void random_sizes(uint32_t producers, uint32_t delivery)
{
    const uint32_t small = 100, largest = 16384 / 4 - 16;
    pipc_channel *channel = channel_make("c", producers, delivery, 16384);
    uint64_t sent = 0, received = 0, random = producers * 10 + delivery;
    while (received < 20000) {
        uint32_t size = 8 + test_random(&random, (test_random(&random, 3) ? small : largest) - 7);
        bool wait = delivery == PIPC_DELIVER_LATEST && sent - received == 2;
        if (!wait && channel_send(channel, sent, size, PIPC_NOWAIT) == 0) {
            sent++;
            continue;
        }
        for (uint32_t takes = 1 + test_random(&random, 4); takes > 0 && received < sent; takes--)
            REQUIRE(channel_expect(channel, received++));
    }
    channel_end(channel, "c");
}

static void records_of_random_sizes_wrap_around_whole(void)
{
    channel_each_variety(random_sizes);
}

/* ---- sizes that do not fit ---- */

static void too_big(uint32_t producers, uint32_t delivery)
{
    pipc_channel *channel = channel_make("c", producers, delivery, CHANNEL_SMALL);
    static unsigned char bytes[CHANNEL_SMALL];
    static const uint64_t sizes[] = {CHANNEL_SMALL_MOST + 1, CHANNEL_SMALL, UINT64_MAX, UINT64_MAX - 15, INT64_MAX};
    CHECK_EQUAL(channel_info(channel).max_size, CHANNEL_SMALL_MOST);
    for (unsigned i = 0; i < sizeof sizes / sizeof *sizes; i++) {
        pipc_record record = {.data = bytes, .size = sizes[i]};
        CHECK_ERROR(pipc_channel_send(channel, &record, PIPC_FOREVER), TOO_BIG);
        CHECK_ERROR(pipc_channel_reserve(channel, &record, PIPC_FOREVER), TOO_BIG);
    }
    CHECK(strstr(pipc_error_detail(), "1008") != NULL);
    CHECK_EQUAL(channel_info(channel).bytes, 0);
    channel_end(channel, "c");
}

static void larger_records_are_refused(void)
{
    channel_each_variety(too_big);
}

static void small_buffer(uint32_t producers, uint32_t delivery)
{
    pipc_channel *channel = channel_make("c", producers, delivery, CHANNEL_SMALL);
    unsigned char bytes[200];
    REQUIRE_OK(channel_send(channel, 5, 100, PIPC_NOWAIT));
    REQUIRE_OK(channel_send(channel, 6, 8, PIPC_NOWAIT));
    for (uint64_t room = 0; room < 100; room++) {
        pipc_record record = {.data = room ? bytes : NULL, .size = room};
        memset(bytes, 0xee, sizeof bytes);
        CHECK_ERROR(pipc_channel_receive(channel, &record, PIPC_FOREVER), TOO_SMALL);
        CHECK_EQUAL(record.size, 100);
        CHECK(bytes[0] == 0xee && bytes[room] == 0xee);
    }
    CHECK_EQUAL(channel_info(channel).received, 0);
    CHECK(channel_expect(channel, 5));
    CHECK(channel_expect(channel, 6));
    CHECK_EQUAL(channel_info(channel).received, 2);
    channel_end(channel, "c");
}

static void too_small_a_buffer_leaves_the_record_and_tells_its_size(void)
{
    channel_each_variety(small_buffer);
}

static void truncation(uint32_t producers, uint32_t delivery)
{
    pipc_channel *channel = channel_make("c", producers, delivery, CHANNEL_SMALL);
    unsigned char bytes[200], whole[100];
    channel_fill(whole, 5, sizeof whole);
    for (uint64_t room = 0; room <= 120; room += 12) {
        pipc_record record = {.data = room ? bytes : NULL, .size = room, .flags = PIPC_TRUNCATE};
        memset(bytes, 0xee, sizeof bytes);
        REQUIRE_OK(channel_send(channel, 5, sizeof whole, PIPC_NOWAIT));
        CHECK_OK(pipc_channel_receive(channel, &record, PIPC_NOWAIT));
        CHECK_EQUAL(record.size, sizeof whole);
        uint64_t copied = room < sizeof whole ? room : sizeof whole;
        CHECK(memcmp(bytes, whole, copied) == 0 && bytes[copied] == 0xee);
    }
    CHECK_ERROR(channel_receive(channel, &(struct channel_got){0}, PIPC_NOWAIT), EMPTY);
    channel_end(channel, "c");
}

static void records_are_cut_only_when_asked(void)
{
    channel_each_variety(truncation);
}

static const struct test tests[] = {
    {"C2 C4 C5", "every_size_arrives_whole", every_size_arrives_whole, 0},
    {"C2 C4 C5", "records_come_in_the_order_in_which_they_were_sent", records_come_in_the_order_in_which_they_were_sent,
     0},
    {"C2", "records_may_have_a_quarter_of_the_ring_wherever_they_begin",
     records_may_have_a_quarter_of_the_ring_wherever_they_begin, 0},
    {"C2 C4 C5", "records_of_random_sizes_wrap_around_whole", records_of_random_sizes_wrap_around_whole, 0},
    {"C2", "larger_records_are_refused", larger_records_are_refused, 0},
    {"C7", "too_small_a_buffer_leaves_the_record_and_tells_its_size",
     too_small_a_buffer_leaves_the_record_and_tells_its_size, 0},
    {"C7", "records_are_cut_only_when_asked", records_are_cut_only_when_asked, 0},
};

TEST_MAIN("channel_record", tests)
