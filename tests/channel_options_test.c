/* Options of channels: defaults, what is refused, what must agree; and the rights of those who open them. */
#include <string.h>
#include <unistd.h>

#include "probe.h"
#include "support_channel.h"

enum { STRANGER = 65534 };

static void defaults_are_the_same_everywhere(void)
{
    pipc_channel *channel = NULL;
    REQUIRE_OK(pipc_channel_open(&channel, test_name("c"), PIPC_CREATE, NULL));
    pipc_channel_info info = channel_info(channel);
    CHECK_EQUAL(info.size, PIPC_DEFAULT_RING);
    CHECK_EQUAL(info.max_size, PIPC_DEFAULT_RING / 4 - 16);
    CHECK_EQUAL(info.mode, 0600);
    CHECK_EQUAL(info.producers, PIPC_PRODUCERS_ONE);
    CHECK_EQUAL(info.delivery, PIPC_DELIVER_ONCE);
    CHECK_EQUAL(info.max_subscribers, 0);
    channel_end(channel, "c");
    channel = channel_make("c", 0, PIPC_DELIVER_ALL, 0);
    CHECK_EQUAL(channel_info(channel).max_subscribers, PIPC_DEFAULT_SUBSCRIBERS);
    channel_end(channel, "c");
}

static void the_ring_is_rounded_up_to_a_power_of_two(void)
{
    static const uint64_t sizes[][2] = {
        {4096, 4096}, {4097, 8192}, {10000, 16384}, {65536, 65536}, {(1 << 20) + 1, 2 << 20}};
    for (unsigned i = 0; i < sizeof sizes / sizeof *sizes; i++) {
        pipc_channel *channel = channel_make("c", 0, 0, sizes[i][0]), *other = NULL;
        CHECK_EQUAL(channel_info(channel).size, sizes[i][1]);
        CHECK_OK(pipc_channel_open(&other, test_name("c"), 0, &(pipc_channel_options){.size = sizes[i][1]}));
        CHECK_OK(pipc_channel_close(other));
        CHECK_OK(pipc_channel_open(&other, test_name("c"), 0, &(pipc_channel_options){.size = sizes[i][0]}));
        CHECK_OK(pipc_channel_close(other));
        channel_end(channel, "c");
    }
}

static void options_that_cannot_be_are_refused(void)
{
    static const pipc_channel_options options[] = {
        {.size = 1},
        {.size = PIPC_CHANNEL_SIZE_MIN - 1},
        {.size = PIPC_CHANNEL_SIZE_MAX + 1},
        {.size = UINT64_MAX},
        {.producers = PIPC_PRODUCERS_MANY + 1},
        {.producers = UINT32_MAX},
        {.delivery = PIPC_DELIVER_LATEST + 1},
        {.delivery = UINT32_MAX},
        {.subscribers = PIPC_SUBSCRIBERS_MAX + 1},
        {.subscribers = UINT32_MAX, .delivery = PIPC_DELIVER_ALL},
        {.mode = 0777},
        {.mode = 0400},
    };
    for (unsigned i = 0; i < sizeof options / sizeof *options; i++) {
        pipc_channel *channel = (pipc_channel *)1;
        CHECK_ERROR(pipc_channel_open(&channel, test_name("c"), PIPC_CREATE, &options[i]), INVALID);
        CHECK(channel == NULL && pipc_error_detail()[0] != '\0');
    }
    CHECK_EQUAL(probe_count(test_prefix()), 0);
}

/* The detail must contain both values. */
static void asks(pipc_channel_options options, const char *has, const char *asked)
{
    for (uint32_t flags = 0; flags <= PIPC_CREATE; flags += PIPC_CREATE) {
        pipc_channel *channel = (pipc_channel *)1;
        CHECK_ERROR(pipc_channel_open(&channel, test_name("c"), flags, &options), MISMATCH);
        CHECK(channel == NULL);
        CHECK(strstr(pipc_error_detail(), has) != NULL && strstr(pipc_error_detail(), asked) != NULL);
    }
}

static void agrees(pipc_channel_options options)
{
    pipc_channel *channel = NULL;
    CHECK_OK(pipc_channel_open(&channel, test_name("c"), PIPC_CREATE | PIPC_WRITE, &options));
    CHECK_OK(pipc_channel_close(channel));
}

static void other_options_are_refused_telling_both_values(void)
{
    const pipc_channel_options whole = {
        .size = 8192, .producers = PIPC_PRODUCERS_MANY, .delivery = PIPC_DELIVER_ALL, .subscribers = 7, .mode = 0640};
    pipc_channel *channel = NULL;
    REQUIRE_OK(pipc_channel_open(&channel, test_name("c"), PIPC_CREATE, &whole));
    agrees(whole);
    agrees((pipc_channel_options){0});
    agrees((pipc_channel_options){.size = 5000, .subscribers = 7});
    asks((pipc_channel_options){.size = 4096}, "8192", "4096");
    asks((pipc_channel_options){.size = 8193}, "8192", "16384");
    asks((pipc_channel_options){.producers = PIPC_PRODUCERS_ONE}, "2", "1");
    asks((pipc_channel_options){.delivery = PIPC_DELIVER_LATEST}, "2", "3");
    asks((pipc_channel_options){.subscribers = 8}, "7", "8");
    asks((pipc_channel_options){.mode = 0600}, "640", "600");
    CHECK_EQUAL(channel_info(channel).subscribers, 1); /* who was refused is none */
    channel_end(channel, "c");
}

/* The number of subscribers means nothing where there are none. */
static void subscribers_do_not_matter_to_one_consumer(void)
{
    pipc_channel *channel = channel_make("c", 0, PIPC_DELIVER_ONCE, 0);
    agrees((pipc_channel_options){.subscribers = 900});
    CHECK_EQUAL(channel_info(channel).subscribers, 0);
    channel_end(channel, "c");
}

/* ---- rights ---- */

static void needs_root(void)
{
    if (geteuid() != 0)
        test_skip("only root can become another user");
}

static pipc_channel *make_with_mode(uint32_t mode, uint32_t delivery)
{
    pipc_channel *channel = NULL;
    pipc_channel_options options = {.size = CHANNEL_SMALL, .mode = mode, .delivery = delivery};
    REQUIRE_OK(pipc_channel_open(&channel, test_name("c"), PIPC_CREATE | PIPC_EXCLUSIVE, &options));
    return channel;
}

static int send_only(void *argument)
{
    pipc_channel *channel = (pipc_channel *)1;
    pipc_record record = {0};
    uint32_t count = 1;
    CHECK_ERROR(pipc_channel_open(&channel, argument, 0, NULL), ACCESS);
    CHECK_ERROR(pipc_channel_open(&channel, argument, PIPC_RECEIVE, NULL), ACCESS);
    CHECK(channel == NULL);
    REQUIRE_OK(pipc_channel_open(&channel, argument, PIPC_SEND, NULL));
    CHECK_OK(channel_send(channel, 1234, 8, PIPC_NOWAIT));
    CHECK_OK(channel_reserve(channel, &record, 1235, 8, PIPC_NOWAIT));
    CHECK_OK(pipc_channel_commit(channel, &record, 1));
    CHECK_ERROR(channel_receive(channel, &(struct channel_got){0}, PIPC_NOWAIT), ACCESS);
    CHECK_ERROR(pipc_channel_peek(channel, &(pipc_record){0}, &count, PIPC_NOWAIT), ACCESS);
    CHECK_ERROR(pipc_channel_remove(argument), ACCESS);
    CHECK_EQUAL(channel_info(channel).owner, 0);
    return pipc_channel_close(channel);
}

static void a_send_only_stranger_sends_and_cannot_look(void)
{
    needs_root();
    for (uint32_t delivery = PIPC_DELIVER_ONCE; delivery <= PIPC_DELIVER_LATEST; delivery++) {
        pipc_channel *channel = make_with_mode(0622, delivery);
        CHECK_EQUAL(test_as_user(STRANGER, send_only, (void *)test_name("c")), 0);
        CHECK(channel_expect(channel, 1234));
        CHECK(channel_expect(channel, 1235));
        channel_end(channel, "c");
    }
}

static int receive_only(void *argument)
{
    pipc_channel *channel = (pipc_channel *)1;
    CHECK_ERROR(pipc_channel_open(&channel, argument, 0, NULL), ACCESS);
    CHECK_ERROR(pipc_channel_open(&channel, argument, PIPC_SEND, NULL), ACCESS);
    REQUIRE_OK(pipc_channel_open(&channel, argument, PIPC_RECEIVE, NULL));
    CHECK(channel_expect(channel, 77));
    CHECK_ERROR(channel_send(channel, 1, 8, PIPC_NOWAIT), ACCESS);
    CHECK_ERROR(pipc_channel_reserve(channel, &(pipc_record){.size = 8}, PIPC_NOWAIT), ACCESS);
    return pipc_channel_close(channel);
}

static void a_receive_only_stranger_takes_and_cannot_send(void)
{
    needs_root();
    pipc_channel *channel = make_with_mode(0644, PIPC_DELIVER_ONCE);
    REQUIRE_OK(channel_send(channel, 77, 8, PIPC_NOWAIT));
    CHECK_EQUAL(test_as_user(STRANGER, receive_only, (void *)test_name("c")), 0);
    CHECK_EQUAL(channel_info(channel).records, 0);
    channel_end(channel, "c");
}

static void each_handle_does_what_it_was_opened_for(void)
{
    pipc_channel *channel = channel_make("c", 0, 0, 0);
    pipc_channel *sender = channel_join("c", PIPC_SEND), *receiver = channel_join("c", PIPC_RECEIVE);
    pipc_record record = {.size = 8};
    uint32_t count = 1;
    CHECK_ERROR(channel_send(receiver, 1, 8, PIPC_FOREVER), ACCESS);
    CHECK_ERROR(pipc_channel_reserve(receiver, &record, PIPC_FOREVER), ACCESS);
    CHECK_ERROR(channel_receive(sender, &(struct channel_got){0}, PIPC_FOREVER), ACCESS);
    CHECK_ERROR(pipc_channel_peek(sender, &record, &count, PIPC_FOREVER), ACCESS);
    CHECK_OK(channel_send(sender, 1, 8, PIPC_NOWAIT));
    CHECK_EQUAL(channel_info(sender).records, 1);
    CHECK(channel_expect(receiver, 1));
    CHECK_EQUAL(channel_info(receiver).records, 0);
    CHECK_OK(pipc_channel_close(sender));
    CHECK_OK(pipc_channel_close(receiver));
    channel_end(channel, "c");
}

static const struct test tests[] = {
    {"C1", "defaults_are_the_same_everywhere", defaults_are_the_same_everywhere, 0},
    {"C1", "the_ring_is_rounded_up_to_a_power_of_two", the_ring_is_rounded_up_to_a_power_of_two, 0},
    {"C1", "options_that_cannot_be_are_refused", options_that_cannot_be_are_refused, 0},
    {"C1", "other_options_are_refused_telling_both_values", other_options_are_refused_telling_both_values, 0},
    {"C1", "subscribers_do_not_matter_to_one_consumer", subscribers_do_not_matter_to_one_consumer, 0},
    {"C1", "a_send_only_stranger_sends_and_cannot_look", a_send_only_stranger_sends_and_cannot_look, 0},
    {"C1", "a_receive_only_stranger_takes_and_cannot_send", a_receive_only_stranger_takes_and_cannot_send, 0},
    {"C1", "each_handle_does_what_it_was_opened_for", each_handle_does_what_it_was_opened_for, 0},
};

TEST_MAIN("channel_options", tests)
