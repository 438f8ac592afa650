/* Statistics of channels: exact at rest, and the same for those who only list. */
#include "core/backend.h"
#include "harvest.h"
#include "support_channel.h"

#include <unistd.h>

static void figures(uint32_t producers, uint32_t delivery)
{
    bool once = delivery == PIPC_DELIVER_ONCE;
    pipc_channel *channel = channel_make("c", producers, delivery, 8192);
    pipc_channel_info info = channel_info(channel);
    CHECK_EQUAL(info.size, 8192);
    CHECK_EQUAL(info.max_size, 8192 / 4 - 16);
    CHECK_EQUAL(info.producers, producers);
    CHECK_EQUAL(info.delivery, delivery);
    CHECK_EQUAL(info.subscribers, once ? 0 : 1);
    CHECK_EQUAL(info.max_subscribers, once ? 0 : PIPC_DEFAULT_SUBSCRIBERS);
    CHECK_EQUAL(info.waiters, 0);
    CHECK_EQUAL(info.creator, getpid());
    CHECK_EQUAL(info.owner, geteuid());
    CHECK_EQUAL(info.mode, 0600);
    CHECK(info.backend == pipc_be_name || strcmp(info.backend, pipc_be_name) == 0);
    CHECK(info.records == 0 && info.bytes == 0 && info.sent == 0 && info.received == 0 && info.skipped == 0 &&
          info.redelivered == 0 && info.missed == 0);
    channel_end(channel, "c");
}

static void a_new_channel_tells_what_it_is(void)
{
    channel_each_variety(figures);
}

/* 100 bytes and a head take 128 of the ring. */
static void traffic(uint32_t producers, uint32_t delivery)
{
    bool once = delivery == PIPC_DELIVER_ONCE;
    pipc_channel *channel = channel_make("c", producers, delivery, 8192);
    pipc_record records[3] = {{0}};
    for (uint64_t i = 0; i < 10; i++)
        REQUIRE_OK(channel_send(channel, i, 100, PIPC_NOWAIT));
    for (uint64_t i = 0; i < 3; i++)
        REQUIRE_OK(channel_reserve(channel, &records[i], 10 + i, 100, PIPC_NOWAIT));
    REQUIRE_OK(pipc_channel_commit(channel, records, 3));
    for (uint64_t i = 0; i < 4; i++)
        CHECK(channel_expect(channel, i));
    uint32_t count = 3;
    REQUIRE_OK(pipc_channel_peek(channel, records, &count, PIPC_NOWAIT));
    REQUIRE_OK(pipc_channel_release(channel, 2));
    CHECK_ERROR(pipc_channel_receive(channel, &(pipc_record){0}, PIPC_NOWAIT), TOO_SMALL);
    pipc_channel_info info = channel_info(channel);
    CHECK_EQUAL(info.sent, 13);
    CHECK_EQUAL(info.received, 6);
    CHECK_EQUAL(info.bytes, delivery == PIPC_DELIVER_LATEST ? 13 * 128 : 7 * 128);
    CHECK(!once || info.records == 7);
    CHECK(info.skipped == 0 && info.redelivered == 0 && info.missed == 0 && info.waiters == 0);
    for (uint64_t i = 6; i < 13; i++)
        CHECK(channel_expect(channel, i));
    info = channel_info(channel);
    CHECK(info.received == 13 && info.records == 0);
    CHECK(delivery == PIPC_DELIVER_LATEST || info.bytes == 0);
    channel_end(channel, "c");
}

static void what_was_sent_and_received_is_counted_exactly(void)
{
    channel_each_variety(traffic);
}

static int sleep_in_receive(void *argument)
{
    return channel_receive(argument, &(struct channel_got){0}, PIPC_SECONDS(40));
}

static void sleepers_are_counted_as_waiters(void)
{
    pipc_channel *channel = channel_make("c", 0, 0, 0);
    pid_t children[2] = {test_fork(sleep_in_receive, channel), test_fork(sleep_in_receive, channel)};
    int64_t deadline = test_now() + PIPC_SECONDS(20);
    uint32_t most = 0;
    while (most < 2 && test_now() < deadline) { /* an estimate: it changes with their slices */
        uint32_t now = channel_info(channel).waiters;
        most = now > most ? now : most;
    }
    CHECK_EQUAL(most, 2);
    for (uint64_t i = 0; i < 2; i++)
        REQUIRE_OK(channel_send(channel, i, 8, PIPC_NOWAIT));
    for (unsigned i = 0; i < 2; i++)
        CHECK_EQUAL(test_wait(children[i], PIPC_SECONDS(30)), 0);
    CHECK_EQUAL(channel_info(channel).waiters, 0);
    channel_end(channel, "c");
}

/* pipc_each() reads the same figures from outside. */
static void listed(uint32_t producers, uint32_t delivery)
{
    pipc_channel *channel = channel_make("c", producers, delivery, 8192);
    for (uint64_t i = 0; i < 20; i++)
        REQUIRE_OK(channel_send(channel, i, 8 * i, PIPC_NOWAIT));
    for (uint64_t i = 0; i < 5; i++)
        CHECK_OK(channel_receive(channel, &(struct channel_got){0}, PIPC_NOWAIT));
    const struct harvest *harvest = gather(pipc_each);
    const pipc_found *found = find(harvest, PIPC_KIND_CHANNEL, "c");
    REQUIRE(found != NULL);
    pipc_channel_info told = channel_info(channel);
    CHECK_EQUAL(found->state, PIPC_FOUND_READY);
    CHECK_EQUAL(found->verdict, PIPC_VERDICT_KEEP);
    REQUIRE_EQUAL(found->measured, 1);
    CHECK(memcmp(&found->channel, &told, sizeof told) == 0);
    CHECK(found->size >= told.size);
    CHECK_EQUAL(found->owner, told.owner);
    CHECK_EQUAL(found->mode, told.mode);
    CHECK_EQUAL(found->creator, told.creator);
    CHECK_EQUAL(found->created, told.created);
    CHECK(find(harvest, PIPC_KIND_QUEUE, "c") == NULL && find(harvest, PIPC_KIND_SHM, "c") == NULL);
    channel_end(channel, "c");
    CHECK_EQUAL(gather(pipc_each)->mine, 0);
}

static void a_channel_is_listed_with_its_figures(void)
{
    channel_each_variety(listed);
}

static const struct test tests[] = {
    {"C10", "a_new_channel_tells_what_it_is", a_new_channel_tells_what_it_is, 0},
    {"C10", "what_was_sent_and_received_is_counted_exactly", what_was_sent_and_received_is_counted_exactly, 0},
    {"C10", "sleepers_are_counted_as_waiters", sleepers_are_counted_as_waiters, 0},
    {"C10", "a_channel_is_listed_with_its_figures", a_channel_is_listed_with_its_figures, 0},
};

TEST_MAIN("channel_statistics", tests)
