/* Removal of a channel: everybody wakes, and old handles answer "removed" for ever. */
#include "support_channel.h"

#include <string.h>

typedef int some_call(pipc_channel *channel);

static int receive(pipc_channel *channel)
{
    return channel_receive(channel, &(struct channel_got){0}, PIPC_FOREVER);
}

static int receive_restarted(pipc_channel *channel)
{
    return pipc_channel_receive(channel, &(pipc_record){.flags = PIPC_RESTART}, PIPC_FOREVER);
}

static int peek(pipc_channel *channel)
{
    uint32_t count = 1;
    return pipc_channel_peek(channel, &(pipc_record){0}, &count, PIPC_FOREVER);
}

static int send(pipc_channel *channel)
{
    return channel_send(channel, 1, CHANNEL_SMALL_MOST, PIPC_FOREVER);
}

static int reserve(pipc_channel *channel)
{
    return pipc_channel_reserve(channel, &(pipc_record){.size = CHANNEL_SMALL_MOST}, PIPC_FOREVER);
}

struct sleeper {
    pipc_channel *channel;
    some_call *call;
};

static int run(void *argument)
{
    struct sleeper *sleeper = argument;
    return sleeper->call(sleeper->channel);
}

static pid_t start(pipc_channel *channel, some_call *call)
{
    struct sleeper sleeper = {channel, call};
    pid_t child = test_fork(run, &sleeper);
    test_await_sleep(child);
    return child;
}

static void wake_all(pipc_channel *channel, some_call *const *calls, unsigned count)
{
    pid_t children[6];
    for (unsigned i = 0; i < 6; i++)
        children[i] = start(channel, calls[i % count]);
    int64_t began = test_now();
    CHECK_OK(pipc_channel_remove(test_name("c")));
    for (unsigned i = 0; i < 6; i++)
        CHECK_EQUAL(test_wait(children[i], PIPC_SECONDS(30)), PIPC_E_REMOVED);
    CHECK(test_now() - began < PIPC_SECONDS(20));
    CHECK_OK(pipc_channel_close(channel));
}

static void removal_wakes_receivers_and_subscribers(void)
{
    static some_call *const calls[] = {receive, receive_restarted, peek};
    for (uint32_t delivery = PIPC_DELIVER_ONCE; delivery <= PIPC_DELIVER_LATEST; delivery++)
        wake_all(channel_make("c", 0, delivery, CHANNEL_SMALL), calls, 3);
}

static void removal_wakes_producers_that_wait_for_room(void)
{
    static some_call *const calls[] = {send, reserve};
    for (uint32_t i = 0; i < 4; i++) {
        pipc_channel *channel = channel_make("c", 1 + i % 2, 1 + i / 2, CHANNEL_SMALL);
        while (channel_send(channel, 1, CHANNEL_SMALL_MOST, PIPC_NOWAIT) == 0)
            ;
        wake_all(channel, calls, 2);
    }
}

/* Those who wait for one who holds the channel. */
static void removal_wakes_who_waits_for_another(void)
{
    static some_call *const producers[] = {send, reserve}, *const consumers[] = {receive, peek};
    pipc_record record, shown = {0};
    uint32_t count = 1;
    pipc_channel *channel = channel_make("c", PIPC_PRODUCERS_ONE, 0, CHANNEL_SMALL), *other = channel_join("c", 0);
    REQUIRE_OK(channel_reserve(other, &record, 1, 8, PIPC_NOWAIT));
    wake_all(channel, producers, 2);
    CHECK_ERROR(pipc_channel_commit(other, &record, 1), REMOVED);
    CHECK_OK(pipc_channel_close(other));
    channel = channel_make("c", 0, 0, CHANNEL_SMALL);
    other = channel_join("c", 0);
    REQUIRE_OK(channel_send(other, 1, 8, PIPC_NOWAIT));
    REQUIRE_OK(pipc_channel_peek(other, &shown, &count, PIPC_NOWAIT));
    wake_all(channel, consumers, 2);
    CHECK_ERROR(pipc_channel_release(other, 1), REMOVED);
    CHECK_OK(pipc_channel_close(other));
}

/* ---- afterwards ---- */

static void all_answer_removed(pipc_channel *old)
{
    pipc_record record = {.size = 8};
    uint32_t count = 1;
    CHECK_ERROR(channel_send(old, 9, 8, PIPC_NOWAIT), REMOVED);
    CHECK_ERROR(channel_send(old, 9, 8, PIPC_FOREVER), REMOVED);
    CHECK_ERROR(channel_receive(old, &(struct channel_got){0}, PIPC_NOWAIT), REMOVED);
    CHECK_ERROR(channel_receive(old, &(struct channel_got){0}, PIPC_FOREVER), REMOVED);
    CHECK_ERROR(pipc_channel_reserve(old, &record, PIPC_NOWAIT), REMOVED);
    CHECK_ERROR(pipc_channel_peek(old, &record, &count, PIPC_NOWAIT), REMOVED);
    CHECK_ERROR(pipc_channel_statistics(old, &(pipc_channel_info){0}), REMOVED);
    CHECK_ERROR(pipc_channel_interrupt(old), REMOVED);
}

static void old_handles(uint32_t producers, uint32_t delivery)
{
    pipc_channel *old = channel_make("c", producers, delivery, CHANNEL_SMALL);
    pipc_channel *sender = channel_join("c", PIPC_SEND);
    REQUIRE_OK(channel_send(old, 1, 8, PIPC_NOWAIT));
    CHECK_OK(pipc_channel_remove(test_name("c")));
    CHECK_ERROR(pipc_channel_remove(test_name("c")), NOT_FOUND);
    all_answer_removed(old);
    pipc_channel *new = channel_make("c", producers, delivery, CHANNEL_SMALL);
    REQUIRE_OK(channel_send(new, 2, 8, PIPC_NOWAIT));
    all_answer_removed(old);
    CHECK_ERROR(channel_send(sender, 9, 8, PIPC_FOREVER), REMOVED);
    CHECK_OK(pipc_channel_close(old));
    CHECK_OK(pipc_channel_close(sender));
    CHECK(channel_expect(new, 2));
    CHECK_ERROR(channel_receive(new, &(struct channel_got){0}, PIPC_NOWAIT), EMPTY);
    channel_end(new, "c");
}

static void old_handles_answer_removed_though_the_name_lives_again(void)
{
    channel_each_variety(old_handles);
}

/* In the middle of a batch: the places stay mapped, and the handle can be closed. */
static void in_the_middle(uint32_t producers, uint32_t delivery)
{
    for (int finish = 0; finish < 2; finish++) {
        pipc_channel *channel = channel_make("c", producers, delivery, CHANNEL_SMALL);
        pipc_record record, shown = {0};
        uint32_t count = 1;
        REQUIRE_OK(channel_send(channel, 1, 100, PIPC_NOWAIT));
        REQUIRE_OK(channel_reserve(channel, &record, 2, 100, PIPC_NOWAIT));
        REQUIRE_OK(pipc_channel_peek(channel, &shown, &count, PIPC_NOWAIT));
        CHECK_OK(pipc_channel_remove(test_name("c")));
        CHECK_EQUAL(channel_number(&shown), 1);
        channel_fill(record.data, 3, 100);
        if (finish) {
            CHECK_ERROR(pipc_channel_commit(channel, &record, 1), REMOVED);
            CHECK_ERROR(pipc_channel_release(channel, 1), REMOVED);
        }
        all_answer_removed(channel);
        CHECK_OK(pipc_channel_close(channel));
    }
}

static void places_stay_mapped_when_the_channel_is_removed(void)
{
    channel_each_variety(in_the_middle);
}

static const struct test tests[] = {
    {"C8", "removal_wakes_receivers_and_subscribers", removal_wakes_receivers_and_subscribers, 0},
    {"C8", "removal_wakes_producers_that_wait_for_room", removal_wakes_producers_that_wait_for_room, 0},
    {"C8", "removal_wakes_who_waits_for_another", removal_wakes_who_waits_for_another, 0},
    {"C8", "old_handles_answer_removed_though_the_name_lives_again",
     old_handles_answer_removed_though_the_name_lives_again, 0},
    {"C8 C3", "places_stay_mapped_when_the_channel_is_removed", places_stay_mapped_when_the_channel_is_removed, 0},
};

TEST_MAIN("channel_removal", tests)
