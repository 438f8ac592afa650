/* Subscribers: each sees everything from its subscription on; the slow hold up, or miss and are told how many. */
#include "support_channel.h"

#include <string.h>

enum { SUBSCRIBERS = 5 };

static pipc_channel *make_for(uint32_t producers, uint32_t delivery, uint32_t subscribers)
{
    pipc_channel *channel = NULL;
    pipc_channel_options options = {
        .size = CHANNEL_SMALL, .producers = producers, .delivery = delivery, .subscribers = subscribers};
    REQUIRE_OK(pipc_channel_open(&channel, test_name("c"), PIPC_CREATE | PIPC_EXCLUSIVE | PIPC_SEND, &options));
    return channel;
}

static void check_empty(pipc_channel *channel)
{
    CHECK_ERROR(channel_receive(channel, &(struct channel_got){0}, PIPC_NOWAIT), EMPTY);
}

/* ---- everybody sees everything ---- */

static void see_all(uint32_t producers, uint32_t delivery)
{
    pipc_channel *sender = make_for(producers, delivery, SUBSCRIBERS), *readers[SUBSCRIBERS];
    uint64_t sent = 0;
    for (uint32_t i = 0; i < SUBSCRIBERS; i++)
        readers[i] = channel_join("c", PIPC_RECEIVE);
    CHECK_EQUAL(channel_info(sender).subscribers, SUBSCRIBERS);
    for (uint32_t round = 0; round < 300; round++, sent += 3) {
        for (uint64_t i = 0; i < 3; i++)
            REQUIRE_OK(channel_send(sender, sent + i, 8 + round, PIPC_NOWAIT));
        for (uint32_t i = 0; i < SUBSCRIBERS; i++)
            for (uint64_t k = 0; k < 3; k++)
                REQUIRE(channel_expect(readers[(i + round) % SUBSCRIBERS], sent + k));
    }
    CHECK_EQUAL(channel_info(sender).received, SUBSCRIBERS * sent);
    CHECK_EQUAL(channel_info(sender).missed, 0);
    for (uint32_t i = 0; i < SUBSCRIBERS; i++)
        CHECK_OK(pipc_channel_close(readers[i]));
    CHECK_EQUAL(channel_info(sender).subscribers, 0);
    channel_end(sender, "c");
}

static void both_deliveries(void (*body)(uint32_t producers, uint32_t delivery))
{
    for (uint32_t producers = PIPC_PRODUCERS_ONE; producers <= PIPC_PRODUCERS_MANY; producers++) {
        body(producers, PIPC_DELIVER_ALL);
        body(producers, PIPC_DELIVER_LATEST);
    }
}

static void every_subscriber_sees_every_record(void)
{
    both_deliveries(see_all);
}

static void from_then_on(uint32_t producers, uint32_t delivery)
{
    pipc_channel *sender = make_for(producers, delivery, 0), *early, *late;
    REQUIRE_OK(channel_send(sender, 1, 8, PIPC_NOWAIT)); /* nobody listens */
    early = channel_join("c", PIPC_RECEIVE);
    REQUIRE_OK(channel_send(sender, 2, 8, PIPC_NOWAIT));
    late = channel_join("c", PIPC_RECEIVE);
    REQUIRE_OK(channel_send(sender, 3, 8, PIPC_NOWAIT));
    CHECK(channel_expect(early, 2));
    CHECK(channel_expect(early, 3));
    check_empty(early);
    CHECK(channel_expect(late, 3));
    check_empty(late);
    CHECK_OK(pipc_channel_close(early));
    CHECK_OK(pipc_channel_close(late));
    channel_end(sender, "c");
}

static void a_subscriber_sees_what_is_sent_after_it_subscribed(void)
{
    both_deliveries(from_then_on);
}

static void nobody_listens(uint32_t producers, uint32_t delivery)
{
    pipc_channel *sender = make_for(producers, delivery, 0);
    pipc_record record;
    for (uint64_t i = 0; i < 1000; i++)
        REQUIRE_OK(channel_send(sender, i, i, PIPC_NOWAIT));
    REQUIRE_OK(channel_reserve(sender, &record, 1, 1000, PIPC_NOWAIT));
    CHECK_OK(pipc_channel_commit(sender, &record, 1));
    CHECK_EQUAL(channel_info(sender).sent, 1001);
    CHECK_EQUAL(channel_info(sender).received, 0);
    channel_end(sender, "c");
}

static void sending_to_nobody_never_waits(void)
{
    both_deliveries(nobody_listens);
}

/* ---- the slow ---- */

/* Fills the ring; how many that took. */
static uint64_t fill(pipc_channel *sender, uint64_t first)
{
    uint64_t sent = 0;
    while (channel_send(sender, first + sent, 100, PIPC_NOWAIT) == 0)
        sent++;
    return sent;
}

static void the_slowest_holds_the_producers_up(void)
{
    pipc_channel *sender = make_for(PIPC_PRODUCERS_ONE, PIPC_DELIVER_ALL, 0);
    pipc_channel *fast = channel_join("c", PIPC_RECEIVE), *slow = channel_join("c", PIPC_RECEIVE);
    uint64_t sent = fill(sender, 0), more;
    CHECK(sent >= CHANNEL_SMALL / 128 - 2);
    for (uint64_t i = 0; i < sent; i++)
        CHECK(channel_expect(fast, i));
    CHECK_ERROR(channel_send(sender, sent, 100, PIPC_MS(5)), TIMEOUT);
    CHECK(channel_expect(slow, 0));
    CHECK_OK(channel_send(sender, sent, 100, PIPC_NOWAIT));
    CHECK_ERROR(channel_send(sender, sent, 100, PIPC_NOWAIT), FULL);
    CHECK_OK(pipc_channel_close(slow)); /* and holds up nobody once it is gone */
    more = fill(sender, sent + 1);
    CHECK(more > 10);
    for (uint64_t i = sent; i < sent + 1 + more; i++)
        CHECK(channel_expect(fast, i));
    CHECK_OK(pipc_channel_close(fast));
    channel_end(sender, "c");
}

/* An open reservation that no subscriber waits for: it came before them, or there are none. It holds the other
 * producers up before they come round to its place, and nobody else. */
static void keep_a_place(uint32_t delivery, bool somebody)
{
    pipc_channel *sender = make_for(PIPC_PRODUCERS_MANY, delivery, 0), *reader = NULL;
    pipc_record record;
    uint64_t sent = 0;
    int error;
    REQUIRE_OK(channel_reserve(sender, &record, 1, 400, PIPC_NOWAIT));
    if (somebody)
        reader = channel_join("c", PIPC_RECEIVE);
    while ((error = channel_send(sender, sent, 100, PIPC_NOWAIT)) == 0 && sent++ < 100)
        if (somebody)
            REQUIRE(channel_expect(reader, sent - 1));
    CHECK_ERROR(error, FULL);
    CHECK(sent >= (CHANNEL_SMALL - 416) / 128 - 2);
    CHECK(channel_is_whole(record.data, 1, 400));
    CHECK_OK(pipc_channel_commit(sender, &record, 1));
    for (uint64_t i = 0; i < 100; i++) {
        CHECK_OK(channel_send(sender, i, 100, PIPC_NOWAIT));
        if (somebody)
            REQUIRE(channel_expect(reader, i));
    }
    CHECK_OK(pipc_channel_close(reader));
    channel_end(sender, "c");
}

static void a_reservation_keeps_its_place_whoever_listens(void)
{
    for (int somebody = 0; somebody < 2; somebody++) {
        keep_a_place(PIPC_DELIVER_ALL, somebody);
        keep_a_place(PIPC_DELIVER_LATEST, somebody);
    }
}

static void miss_some(uint32_t producers)
{
    pipc_channel *sender = make_for(producers, PIPC_DELIVER_LATEST, 0);
    pipc_channel *fast = channel_join("c", PIPC_RECEIVE), *slow = channel_join("c", PIPC_RECEIVE);
    uint64_t sent = 0, expected = 0, missed = 0;
    for (uint32_t round = 0; round < 200; round++) {
        struct channel_got got;
        for (uint32_t i = 0; i < round % 90; i++, sent++) {
            REQUIRE_OK(channel_send(sender, sent, 8 + sent % 200, PIPC_NOWAIT));
            REQUIRE(channel_expect(fast, sent));
        }
        for (uint32_t i = 0; i < 10 && expected < sent; i++, expected = got.number + 1) {
            REQUIRE_OK(channel_receive(slow, &got, PIPC_NOWAIT));
            REQUIRE_EQUAL(got.missed, got.number - expected);
            missed += got.missed;
        }
        REQUIRE_EQUAL(channel_info(sender).missed, missed);
    }
    CHECK(missed > 1000);
    CHECK_OK(pipc_channel_close(fast));
    CHECK_OK(pipc_channel_close(slow));
    channel_end(sender, "c");
}

static void the_slow_are_told_how_many_they_missed(void)
{
    miss_some(PIPC_PRODUCERS_ONE);
    miss_some(PIPC_PRODUCERS_MANY);
}

/* Looking twice is missing once. */
static void a_peek_tells_what_was_missed_and_counts_it_once(void)
{
    pipc_channel *sender = make_for(0, PIPC_DELIVER_LATEST, 0), *slow = channel_join("c", PIPC_RECEIVE);
    pipc_record records[4] = {{0}};
    for (uint64_t i = 0; i < 100; i++)
        REQUIRE_OK(channel_send(sender, i, 100, PIPC_NOWAIT));
    for (uint32_t done = 0; done < 2; done++) {
        uint32_t count = 4;
        REQUIRE_OK(pipc_channel_peek(slow, records, &count, PIPC_NOWAIT));
        REQUIRE_EQUAL(count, 4);
        CHECK_EQUAL(records[0].missed, channel_number(&records[0]));
        CHECK(records[1].missed == 0 && records[2].missed == 0 && records[3].missed == 0);
        CHECK_OK(pipc_channel_release(slow, done));
    }
    CHECK_EQUAL(channel_info(sender).missed, channel_number(&records[0]));
    CHECK(channel_expect(slow, channel_number(&records[1])));
    CHECK_OK(pipc_channel_close(slow));
    channel_end(sender, "c");
}

static void what_is_overwritten_while_it_is_shown_is_told_at_the_release(void)
{
    pipc_channel *sender = make_for(0, PIPC_DELIVER_LATEST, 0), *slow = channel_join("c", PIPC_RECEIVE);
    for (uint32_t more = 0; more < 60; more++) {
        pipc_record records[3] = {{0}};
        uint32_t count = 3;
        struct channel_got got;
        for (uint64_t i = 0; i < 3; i++)
            REQUIRE_OK(channel_send(sender, i, 100, PIPC_NOWAIT));
        REQUIRE_OK(pipc_channel_peek(slow, records, &count, PIPC_NOWAIT));
        REQUIRE_EQUAL(count, 3);
        for (uint64_t i = 0; i < more; i++)
            REQUIRE_OK(channel_send(sender, 3 + i, 100, PIPC_NOWAIT));
        int error = pipc_channel_release(slow, 3);
        CHECK(error == (more < 29 ? PIPC_OK : PIPC_E_OVERRUN) || (more == 29 && !error));
        if (more) {
            REQUIRE_OK(channel_receive(slow, &got, PIPC_NOWAIT));
            CHECK_EQUAL(got.missed, got.number - 3); /* those that were shown are taken, overwritten or not */
        }
        while (channel_receive(slow, &got, PIPC_NOWAIT) == 0)
            ;
    }
    CHECK_OK(pipc_channel_close(slow));
    channel_end(sender, "c");
}

/* ---- how many there may be ---- */

static void limited(uint32_t producers, uint32_t delivery)
{
    pipc_channel *sender = make_for(producers, delivery, 3), *readers[3], *more = (pipc_channel *)1;
    for (uint32_t i = 0; i < 3; i++)
        readers[i] = channel_join("c", PIPC_RECEIVE);
    CHECK_EQUAL(channel_info(sender).max_subscribers, 3);
    CHECK_ERROR(pipc_channel_open(&more, test_name("c"), PIPC_RECEIVE, NULL), LIMIT);
    CHECK(more == NULL && strstr(pipc_error_detail(), "3") != NULL);
    CHECK_ERROR(pipc_channel_open(&more, test_name("c"), 0, NULL), LIMIT);
    more = channel_join("c", PIPC_SEND); /* who only sends is none */
    CHECK_OK(pipc_channel_close(more));
    for (uint32_t i = 0; i < 10; i++) {
        CHECK_OK(pipc_channel_close(readers[i % 3]));
        readers[i % 3] = channel_join("c", PIPC_RECEIVE);
    }
    REQUIRE_OK(channel_send(sender, 1, 8, PIPC_NOWAIT));
    for (uint32_t i = 0; i < 3; i++) {
        CHECK(channel_expect(readers[i], 1));
        CHECK_OK(pipc_channel_close(readers[i]));
    }
    channel_end(sender, "c");
}

static void one_subscriber_too_many_is_refused(void)
{
    both_deliveries(limited);
}

static void a_thousand_may_subscribe(void)
{
    static pipc_channel *readers[PIPC_SUBSCRIBERS_MAX];
    pipc_channel *sender = make_for(0, PIPC_DELIVER_ALL, PIPC_SUBSCRIBERS_MAX);
    for (uint32_t i = 0; i < PIPC_SUBSCRIBERS_MAX; i += 8)
        readers[i] = channel_join("c", PIPC_RECEIVE);
    REQUIRE_OK(channel_send(sender, 1, 8, PIPC_NOWAIT));
    for (uint32_t i = 0; i < PIPC_SUBSCRIBERS_MAX; i += 8) {
        CHECK(channel_expect(readers[i], 1));
        CHECK_OK(pipc_channel_close(readers[i]));
    }
    channel_end(sender, "c");
}

/* ---- forked children ---- */

struct family {
    pipc_channel *channel;
    _Atomic uint32_t subscribed, sent;
};

static int read_as_a_child(void *argument)
{
    struct family *family = argument;
    check_empty(family->channel); /* its first read: from now on it sees all */
    atomic_store(&family->subscribed, 1);
    test_await(&family->sent, 1);
    CHECK(channel_expect(family->channel, 2));
    CHECK(channel_expect(family->channel, 3));
    check_empty(family->channel);
    return pipc_channel_close(family->channel);
}

static void a_forked_child_is_a_subscriber_of_its_own(void)
{
    for (uint32_t delivery = PIPC_DELIVER_ALL; delivery <= PIPC_DELIVER_LATEST; delivery++) {
        struct family *family = test_shared(sizeof *family);
        pipc_channel *sender = make_for(0, delivery, 2);
        family->channel = channel_join("c", PIPC_RECEIVE);
        REQUIRE_OK(channel_send(sender, 1, 8, PIPC_NOWAIT));
        pid_t child = test_fork(read_as_a_child, family);
        REQUIRE(test_await(&family->subscribed, 1));
        CHECK_EQUAL(channel_info(sender).subscribers, 2);
        REQUIRE_OK(channel_send(sender, 2, 8, PIPC_NOWAIT));
        REQUIRE_OK(channel_send(sender, 3, 8, PIPC_NOWAIT));
        atomic_store(&family->sent, 1);
        CHECK_EQUAL(test_wait(child, PIPC_SECONDS(30)), 0);
        CHECK_EQUAL(channel_info(sender).subscribers, 1);
        for (uint64_t i = 1; i <= 3; i++)
            CHECK(channel_expect(family->channel, i));
        CHECK_OK(pipc_channel_close(family->channel));
        channel_end(sender, "c");
    }
}

static int read_as_one_too_many(void *argument)
{
    CHECK_ERROR(channel_receive(argument, &(struct channel_got){0}, PIPC_FOREVER), LIMIT);
    return pipc_channel_close(argument);
}

static void a_forked_child_may_be_one_too_many(void)
{
    pipc_channel *sender = make_for(0, PIPC_DELIVER_ALL, 1), *reader = channel_join("c", PIPC_RECEIVE);
    CHECK_EQUAL(test_wait(test_fork(read_as_one_too_many, reader), PIPC_SECONDS(30)), 0);
    REQUIRE_OK(channel_send(sender, 1, 8, PIPC_NOWAIT));
    CHECK(channel_expect(reader, 1)); /* the child's handle was another */
    CHECK_OK(pipc_channel_close(reader));
    channel_end(sender, "c");
}

static const struct test tests[] = {
    {"C5", "every_subscriber_sees_every_record", every_subscriber_sees_every_record, 0},
    {"C5", "a_subscriber_sees_what_is_sent_after_it_subscribed", a_subscriber_sees_what_is_sent_after_it_subscribed, 0},
    {"C5 C6", "sending_to_nobody_never_waits", sending_to_nobody_never_waits, 0},
    {"C5", "the_slowest_holds_the_producers_up", the_slowest_holds_the_producers_up, 0},
    {"C5 C4", "a_reservation_keeps_its_place_whoever_listens", a_reservation_keeps_its_place_whoever_listens, 0},
    {"C5", "the_slow_are_told_how_many_they_missed", the_slow_are_told_how_many_they_missed, 0},
    {"C5 C10", "a_peek_tells_what_was_missed_and_counts_it_once", a_peek_tells_what_was_missed_and_counts_it_once, 0},
    {"C5 C3", "what_is_overwritten_while_it_is_shown_is_told_at_the_release",
     what_is_overwritten_while_it_is_shown_is_told_at_the_release, 0},
    {"C5", "one_subscriber_too_many_is_refused", one_subscriber_too_many_is_refused, 0},
    {"C5", "a_thousand_may_subscribe", a_thousand_may_subscribe, 0},
    {"C5 C9", "a_forked_child_is_a_subscriber_of_its_own", a_forked_child_is_a_subscriber_of_its_own, 0},
    {"C5 C9", "a_forked_child_may_be_one_too_many", a_forked_child_may_be_one_too_many, 0},
};

TEST_MAIN("channel_subscribe", tests)
