/* Subscribers that are killed: they hold nobody up, and their subscriptions come back. */
#include "support_channel.h"

#include <pthread.h>
#include <signal.h>
#include <string.h>
#include <sys/wait.h>

enum { ROUNDS = 12 };

struct victim {
    _Atomic uint32_t ready;
};

static pipc_channel *make_for(uint32_t producers, uint32_t delivery, uint32_t subscribers)
{
    pipc_channel *channel = NULL;
    pipc_channel_options options = {
        .size = CHANNEL_SMALL, .producers = producers, .delivery = delivery, .subscribers = subscribers};
    REQUIRE_OK(pipc_channel_open(&channel, test_name("c"), PIPC_CREATE | PIPC_EXCLUSIVE | PIPC_SEND, &options));
    return channel;
}

/* Subscribes, and dies while it reads nothing, or while it looks at a record. */
static int subscribe_and_stay(void *argument)
{
    struct victim *victim = argument;
    pipc_record record = {0};
    uint32_t count = 1;
    pipc_channel *channel = channel_join("c", PIPC_RECEIVE | PIPC_SEND);
    if (atomic_load(&victim->ready) == 100) {
        REQUIRE_OK(channel_send(channel, 7, 8, PIPC_NOWAIT));
        REQUIRE_OK(pipc_channel_peek(channel, &record, &count, PIPC_NOWAIT));
    }
    atomic_store(&victim->ready, 1);
    test_sleep(PIPC_SECONDS(50));
    return 1;
}

static pid_t start(struct victim *victim, bool peeks)
{
    atomic_store(&victim->ready, peeks ? 100 : 0);
    pid_t child = test_fork(subscribe_and_stay, victim);
    while (atomic_load(&victim->ready) != 1)
        test_sleep(PIPC_US(200));
    return child;
}

static uint64_t send_until(pipc_channel *sender, uint64_t count)
{
    for (uint64_t i = 0; i < count; i++)
        REQUIRE_OK(channel_send(sender, i, 500, PIPC_SECONDS(30)));
    return count;
}

static void hold_nobody_up(uint32_t producers)
{
    struct victim *victim = test_shared(sizeof *victim);
    pipc_channel *sender = make_for(producers, PIPC_DELIVER_ALL, 4);
    int64_t quickest = INT64_MAX;
    for (uint32_t round = 0; round < ROUNDS; round++) {
        pid_t child = start(victim, round % 3 == 0);
        siginfo_t info;
        kill(child, SIGKILL);
        REQUIRE(waitid(P_PID, (id_t)child, &info, WEXITED | WNOWAIT) == 0);
        if (round % 2)
            test_kill(child);
        int64_t began = test_now();
        send_until(sender, 30); /* several times the ring */
        int64_t took = test_now() - began;
        CHECK(took < PIPC_SECONDS(20));
        quickest = took < quickest ? took : quickest;
        CHECK_EQUAL(channel_info(sender).subscribers, 0);
        test_kill(child);
    }
    CHECK(quickest < PIPC_MS(80));
    channel_end(sender, "c");
}

static void a_dead_subscriber_holds_nobody_up(void)
{
    hold_nobody_up(PIPC_PRODUCERS_ONE);
    hold_nobody_up(PIPC_PRODUCERS_MANY);
}

static void the_living_see_everything_beside_the_dead(void)
{
    struct victim *victim = test_shared(sizeof *victim);
    pipc_channel *sender = make_for(0, PIPC_DELIVER_ALL, 6), *reader = channel_join("c", PIPC_RECEIVE);
    pid_t children[3];
    for (unsigned i = 0; i < 3; i++)
        children[i] = start(victim, false);
    for (unsigned i = 0; i < 3; i++)
        test_kill(children[i]);
    for (uint64_t i = 0; i < 200; i++) {
        REQUIRE_OK(channel_send(sender, i, 100, PIPC_SECONDS(30)));
        REQUIRE(channel_expect(reader, i));
    }
    CHECK_EQUAL(channel_info(sender).subscribers, 1);
    CHECK_OK(pipc_channel_close(reader));
    channel_end(sender, "c");
}

static void the_subscriptions_of_the_dead_are_used_again(void)
{
    for (uint32_t delivery = PIPC_DELIVER_ALL; delivery <= PIPC_DELIVER_LATEST; delivery++) {
        struct victim *victim = test_shared(sizeof *victim);
        pipc_channel *sender = make_for(0, delivery, 2), *readers[2], *more;
        for (uint32_t round = 0; round < 5; round++) {
            pid_t first = start(victim, round % 2), second = start(victim, false);
            CHECK_ERROR(pipc_channel_open(&more, test_name("c"), PIPC_RECEIVE, NULL), LIMIT);
            test_kill(first);
            test_kill(second);
            for (unsigned i = 0; i < 2; i++)
                readers[i] = channel_join("c", PIPC_RECEIVE);
            REQUIRE_OK(channel_send(sender, round, 8, PIPC_NOWAIT));
            for (unsigned i = 0; i < 2; i++) {
                CHECK(channel_expect(readers[i], round)); /* nothing of what the dead had before them, and no mark */
                CHECK_OK(pipc_channel_close(readers[i]));
            }
        }
        channel_end(sender, "c");
    }
}

/* A stopped subscriber is a slow one. */
static void a_stopped_subscriber_is_not_robbed(void)
{
    struct victim *victim = test_shared(sizeof *victim);
    pipc_channel *sender = make_for(0, PIPC_DELIVER_ALL, 2);
    pid_t child = start(victim, false);
    int error;
    kill(child, SIGSTOP);
    REQUIRE(waitpid(child, NULL, WUNTRACED) == child);
    do
        error = channel_send(sender, 1, 500, PIPC_MS(200));
    while (error == 0);
    CHECK_ERROR(error, TIMEOUT);
    CHECK_EQUAL(channel_info(sender).subscribers, 1);
    test_kill(child);
    CHECK_OK(channel_send(sender, 1, 500, PIPC_SECONDS(30)));
    channel_end(sender, "c");
}

static void *stay(void *argument)
{
    (void)argument;
    test_sleep(PIPC_SECONDS(50));
    return NULL;
}

/* Subscribes; then its first thread ends, and the process lives on: a zombie by name. */
static int subscribe_and_leave_a_thread(void *argument)
{
    struct victim *victim = argument;
    pthread_t thread;
    channel_join("c", PIPC_RECEIVE);
    REQUIRE(pthread_create(&thread, NULL, stay, NULL) == 0);
    atomic_store(&victim->ready, 1);
    pthread_exit(NULL);
}

static void a_subscriber_whose_first_thread_has_ended_is_not_robbed(void)
{
    struct victim *victim = test_shared(sizeof *victim);
    pipc_channel *sender = make_for(0, PIPC_DELIVER_ALL, 2);
    pid_t child = test_fork(subscribe_and_leave_a_thread, victim);
    int error = 0;
    REQUIRE(test_await(&victim->ready, 1));
    for (unsigned i = 0; i < 50 && !error; i++) /* more than the ring holds */
        error = channel_send(sender, 1, 500, PIPC_MS(300));
    CHECK_ERROR(error, TIMEOUT);
    CHECK_EQUAL(channel_info(sender).subscribers, 1);
    test_kill(child);
    CHECK_OK(channel_send(sender, 1, 500, PIPC_SECONDS(30)));
    channel_end(sender, "c");
}

static const struct test tests[] = {
    {"C13", "a_dead_subscriber_holds_nobody_up", a_dead_subscriber_holds_nobody_up, 0},
    {"C13 C5", "the_living_see_everything_beside_the_dead", the_living_see_everything_beside_the_dead, 0},
    {"C13 C5", "the_subscriptions_of_the_dead_are_used_again", the_subscriptions_of_the_dead_are_used_again, 0},
    {"C13", "a_stopped_subscriber_is_not_robbed", a_stopped_subscriber_is_not_robbed, 0},
    {"C13", "a_subscriber_whose_first_thread_has_ended_is_not_robbed",
     a_subscriber_whose_first_thread_has_ended_is_not_robbed, 0},
};

TEST_MAIN("channel_subscriber_death", tests)
