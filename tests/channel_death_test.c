/* Peers that are killed, stopped or ended in the middle of a batch. Deaths by the thousand are in
 * torture/channel_storm_rig.c. How long the dead cost is a matter of scheduling too: the quickest of several rounds has
 * to keep the promise, and none may hang. */
#define _GNU_SOURCE
#include "support_channel.h"

#include <pthread.h>
#include <signal.h>
#include <string.h>
#include <sys/wait.h>

#include "core/object.h"
#include "probe.h"

enum { ROUNDS = 12 };

static const int64_t promised = PIPC_MS(60), slack = PIPC_MS(20), hang = PIPC_SECONDS(20);

struct victim {
    pipc_channel *channel;
    uint32_t count; /* of records to hold */
    _Atomic uint32_t ready;
};

static struct victim *victim_of(uint32_t producers, uint32_t delivery)
{
    struct victim *victim = test_shared(sizeof *victim);
    victim->channel = channel_make("c", producers, delivery, CHANNEL_SMALL);
    return victim;
}

static int be_ready(struct victim *victim)
{
    atomic_store(&victim->ready, 1);
    test_sleep(PIPC_SECONDS(50));
    return 1;
}

static int reserve_and_stay(void *argument)
{
    struct victim *victim = argument;
    pipc_record record;
    for (uint64_t i = 0; i < victim->count; i++)
        REQUIRE_OK(channel_reserve(victim->channel, &record, 100 + i, 8 + i, PIPC_NOWAIT));
    return be_ready(victim);
}

static int peek_and_stay(void *argument)
{
    struct victim *victim = argument;
    pipc_record records[8] = {{0}};
    uint32_t count = victim->count;
    REQUIRE_OK(pipc_channel_peek(victim->channel, records, &count, PIPC_NOWAIT));
    REQUIRE_EQUAL(count, victim->count);
    return be_ready(victim);
}

static pid_t start(test_body *body, struct victim *victim, uint32_t count)
{
    victim->count = count;
    atomic_store(&victim->ready, 0);
    pid_t child = test_fork(body, victim);
    REQUIRE(test_await(&victim->ready, 1));
    return child;
}

/* Killed, and in every other round left unreaped: a zombie is dead too. */
static void end(pid_t child, bool reap)
{
    siginfo_t info;
    if (reap) {
        test_kill(child);
        return;
    }
    kill(child, SIGKILL);
    REQUIRE(waitid(P_PID, (id_t)child, &info, WEXITED | WNOWAIT) == 0);
}

static void keep_quickest(int64_t *quickest, int64_t began)
{
    int64_t took = test_now() - began;
    CHECK(took < hang);
    *quickest = took < *quickest ? took : *quickest;
}

/* ---- producers ---- */

static void dead_producers(uint32_t producers, uint32_t delivery)
{
    struct victim *victim = victim_of(producers, delivery);
    int64_t quickest = INT64_MAX;
    uint64_t skipped = 0;
    for (uint32_t round = 0; round < ROUNDS; round++) {
        uint32_t count = 1 + round % 3;
        pid_t child = start(reserve_and_stay, victim, count);
        end(child, round % 2);
        int64_t began = test_now();
        struct channel_got got;
        REQUIRE_OK(channel_send(victim->channel, round, 8, PIPC_SECONDS(30)));
        REQUIRE_OK(channel_receive(victim->channel, &got, PIPC_SECONDS(30)));
        keep_quickest(&quickest, began);
        CHECK(got.number == round && got.marks == 0 && got.missed == 0);
        skipped += count;
        CHECK_EQUAL(channel_info(victim->channel).skipped, skipped);
        test_kill(child);
    }
    CHECK(quickest < promised + slack);
    CHECK_EQUAL(channel_info(victim->channel).sent, ROUNDS);
    CHECK_EQUAL(channel_info(victim->channel).received, ROUNDS);
    channel_end(victim->channel, "c");
}

static void what_a_killed_producer_reserved_is_skipped_and_counted(void)
{
    channel_each_variety(dead_producers);
}

static int wait_for_a_record(void *argument)
{
    struct channel_got got;
    REQUIRE_OK(channel_receive(argument, &got, PIPC_FOREVER));
    return (int)got.number;
}

/* Who sleeps already is not told of a death by anybody. */
static void a_death_is_found_by_those_who_sleep(void)
{
    struct victim *victim = victim_of(PIPC_PRODUCERS_MANY, PIPC_DELIVER_ONCE);
    int64_t quickest = INT64_MAX;
    for (uint32_t round = 0; round < ROUNDS; round++) {
        pid_t child = start(reserve_and_stay, victim, 2);
        REQUIRE_OK(channel_send(victim->channel, round, 8, PIPC_NOWAIT));
        pid_t sleeper = test_fork(wait_for_a_record, victim->channel);
        test_await_sleep(sleeper);
        end(child, round % 2);
        int64_t began = test_now();
        CHECK_EQUAL(test_wait(sleeper, PIPC_SECONDS(30)), round);
        keep_quickest(&quickest, began);
        test_kill(child);
    }
    CHECK(quickest < promised + slack);
    channel_end(victim->channel, "c");
}

static void *reserve_and_end(void *argument)
{
    pipc_record record;
    for (uint64_t i = 0; i < 2; i++)
        REQUIRE_OK(channel_reserve(argument, &record, i, 8, PIPC_NOWAIT));
    return NULL;
}

/* A thread that ends is dead, though its process lives; and the handle is as good as before. */
static void ended_threads(uint32_t producers, uint32_t delivery)
{
    pipc_channel *channel = channel_make("c", producers, delivery, CHANNEL_SMALL);
    for (uint32_t round = 0; round < 5; round++) {
        pthread_t thread;
        pipc_record record;
        REQUIRE(pthread_create(&thread, NULL, reserve_and_end, channel) == 0);
        pthread_join(thread, NULL);
        REQUIRE_OK(channel_reserve(channel, &record, round, 8, PIPC_SECONDS(30)));
        REQUIRE_OK(pipc_channel_commit(channel, &record, 1));
        struct channel_got got;
        REQUIRE_OK(channel_receive(channel, &got, PIPC_SECONDS(30)));
        CHECK_EQUAL(got.number, round);
        CHECK_EQUAL(channel_info(channel).skipped, 2 * (round + 1));
    }
    channel_end(channel, "c");
}

static void what_an_ended_thread_reserved_is_skipped_and_counted(void)
{
    channel_each_variety(ended_threads);
}

/* The living are not robbed however long they take. */
static void stopped_producer(uint32_t producers)
{
    struct victim *victim = victim_of(producers, PIPC_DELIVER_ONCE);
    struct channel_got got;
    pid_t child = start(reserve_and_stay, victim, 1);
    kill(child, SIGSTOP);
    REQUIRE(waitpid(child, NULL, WUNTRACED) == child);
    int64_t began = test_now();
    int error = channel_send(victim->channel, 1, 8, PIPC_MS(300));
    CHECK_EQUAL(error, producers == PIPC_PRODUCERS_ONE ? PIPC_E_TIMEOUT : PIPC_OK);
    CHECK_ERROR(channel_receive(victim->channel, &got, PIPC_MS(300)), TIMEOUT);
    CHECK_ERROR(channel_receive(victim->channel, &got, PIPC_NOWAIT), EMPTY);
    channel_info(victim->channel);
    CHECK_OK(pipc_channel_close(channel_join("c", 0)));
    CHECK(test_now() - began < hang);
    CHECK_EQUAL(channel_info(victim->channel).skipped, 0);
    test_kill(child);
    channel_end(victim->channel, "c");
}

static void a_stopped_producer_is_not_robbed(void)
{
    stopped_producer(PIPC_PRODUCERS_ONE);
    stopped_producer(PIPC_PRODUCERS_MANY);
}

/* ---- consumers ---- */

static void take(pipc_channel *channel, uint64_t number, uint32_t marks)
{
    struct channel_got got;
    REQUIRE_OK(channel_receive(channel, &got, PIPC_SECONDS(30)));
    CHECK_EQUAL(got.number, number);
    CHECK_EQUAL(got.marks, marks);
}

static void dead_consumers(uint32_t producers)
{
    struct victim *victim = victim_of(producers, PIPC_DELIVER_ONCE);
    int64_t quickest = INT64_MAX;
    uint64_t redelivered = 0;
    for (uint32_t round = 0; round < ROUNDS; round++) {
        uint32_t count = 1 + round % 3;
        for (uint64_t i = 0; i < 5; i++)
            REQUIRE_OK(channel_send(victim->channel, i, 8 + i, PIPC_NOWAIT));
        pid_t child = start(peek_and_stay, victim, count);
        end(child, round % 2);
        int64_t began = test_now();
        take(victim->channel, 0, PIPC_REDELIVERED);
        keep_quickest(&quickest, began);
        for (uint64_t i = 1; i < 5; i++)
            take(victim->channel, i, i < count ? PIPC_REDELIVERED : 0);
        redelivered += count;
        CHECK_EQUAL(channel_info(victim->channel).redelivered, redelivered);
        CHECK_EQUAL(channel_info(victim->channel).records, 0);
        test_kill(child);
    }
    CHECK(quickest < promised + slack);
    CHECK_EQUAL(channel_info(victim->channel).received, 5 * ROUNDS);
    channel_end(victim->channel, "c");
}

static void what_a_killed_consumer_was_shown_comes_again_marked(void)
{
    dead_consumers(PIPC_PRODUCERS_ONE);
    dead_consumers(PIPC_PRODUCERS_MANY);
}

/* Each death shows them once more; what was never shown is not marked. */
static void records_come_again_once_for_each_death(void)
{
    struct victim *victim = victim_of(PIPC_PRODUCERS_ONE, PIPC_DELIVER_ONCE);
    for (uint64_t i = 0; i < 4; i++)
        REQUIRE_OK(channel_send(victim->channel, i, 8, PIPC_NOWAIT));
    for (uint32_t count = 3; count > 0; count--) {
        pid_t child = start(peek_and_stay, victim, count);
        test_kill(child);
        test_sleep(PIPC_MS(30)); /* so that the next one does not find it busy */
        pipc_record records[4] = {{0}};
        uint32_t shown = 4;
        REQUIRE_OK(pipc_channel_peek(victim->channel, records, &shown, PIPC_SECONDS(30)));
        REQUIRE_EQUAL(shown, 4);
        for (uint64_t i = 0; i < 4; i++) {
            CHECK_EQUAL(channel_number(&records[i]), i);
            CHECK_EQUAL(records[i].marks, i < 3 ? PIPC_REDELIVERED : 0);
        }
        CHECK_OK(pipc_channel_release(victim->channel, 0));
    }
    CHECK_EQUAL(channel_info(victim->channel).redelivered, 0); /* none was taken yet */
    for (uint64_t i = 0; i < 4; i++)
        take(victim->channel, i, i < 3 ? PIPC_REDELIVERED : 0);
    CHECK_EQUAL(channel_info(victim->channel).redelivered, 3);
    CHECK_ERROR(channel_receive(victim->channel, &(struct channel_got){0}, PIPC_NOWAIT), EMPTY);
    channel_end(victim->channel, "c");
}

static void *peek_and_end(void *argument)
{
    pipc_record records[2] = {{0}};
    uint32_t count = 2;
    REQUIRE_OK(pipc_channel_peek(argument, records, &count, PIPC_NOWAIT));
    return NULL;
}

static void ended_readers(uint32_t producers, uint32_t delivery)
{
    pipc_channel *channel = channel_make("c", producers, delivery, CHANNEL_SMALL);
    pthread_t thread;
    for (uint64_t i = 0; i < 4; i++)
        REQUIRE_OK(channel_send(channel, i, 8, PIPC_NOWAIT));
    REQUIRE(pthread_create(&thread, NULL, peek_and_end, channel) == 0);
    pthread_join(thread, NULL);
    for (uint64_t i = 0; i < 4; i++)
        take(channel, i, i < 2 ? PIPC_REDELIVERED : 0);
    channel_end(channel, "c");
}

static void what_an_ended_thread_was_shown_comes_again_marked(void)
{
    channel_each_variety(ended_readers);
}

static void a_stopped_consumer_is_not_robbed(void)
{
    struct victim *victim = victim_of(PIPC_PRODUCERS_ONE, PIPC_DELIVER_ONCE);
    struct channel_got got;
    for (uint64_t i = 0; i < 2; i++)
        REQUIRE_OK(channel_send(victim->channel, i, 8, PIPC_NOWAIT));
    pid_t child = start(peek_and_stay, victim, 1);
    kill(child, SIGSTOP);
    REQUIRE(waitpid(child, NULL, WUNTRACED) == child);
    CHECK_ERROR(channel_receive(victim->channel, &got, PIPC_MS(300)), TIMEOUT);
    CHECK_ERROR(channel_receive(victim->channel, &got, PIPC_NOWAIT), BUSY);
    CHECK_OK(channel_send(victim->channel, 2, 8, PIPC_NOWAIT));
    test_kill(child);
    take(victim->channel, 0, PIPC_REDELIVERED);
    take(victim->channel, 1, 0);
    channel_end(victim->channel, "c");
}

/* ---- Where deaths cannot be seen ---- */

/* The channel seems to be of another pid namespace from now on; the handle is opened anew. */
static void move_abroad(struct victim *victim)
{
    size_t bytes;
    CHECK_OK(pipc_channel_close(victim->channel));
    struct pipc_object *object = probe_map(PIPC_KIND_CHANNEL, test_name("c"), &bytes);
    REQUIRE(object != NULL);
    object->pid_namespace ^= 1;
    probe_unmap(object, bytes);
    victim->channel = channel_join("c", PIPC_FOREIGN_PIDS);
}

static int subscribe_and_stay(void *argument)
{
    channel_join("c", PIPC_RECEIVE | PIPC_FOREIGN_PIDS);
    return be_ready(argument);
}

static void a_reservation_made_abroad_is_nobodys_to_give_up(void)
{
    struct victim *victim = victim_of(PIPC_PRODUCERS_MANY, PIPC_DELIVER_ONCE);
    struct channel_got got;
    move_abroad(victim);
    test_kill(start(reserve_and_stay, victim, 1));
    CHECK_OK(channel_send(victim->channel, 1, 8, PIPC_NOWAIT));
    CHECK_ERROR(channel_receive(victim->channel, &got, PIPC_MS(200)), TIMEOUT);
    CHECK_EQUAL(channel_info(victim->channel).skipped, 0);
    channel_end(victim->channel, "c");
}

static void a_subscriber_from_abroad_is_not_robbed(void)
{
    struct victim *victim = victim_of(PIPC_PRODUCERS_ONE, PIPC_DELIVER_ALL);
    int error;
    move_abroad(victim);
    uint32_t subscribers = channel_info(victim->channel).subscribers;
    test_kill(start(subscribe_and_stay, victim, 0));
    do
        error = channel_send(victim->channel, 1, 500, PIPC_MS(200));
    while (error == 0);
    CHECK_ERROR(error, TIMEOUT);
    CHECK_EQUAL(channel_info(victim->channel).subscribers, subscribers + 1);
    channel_end(victim->channel, "c");
}

static const struct test tests[] = {
    {"C12", "what_a_killed_producer_reserved_is_skipped_and_counted",
     what_a_killed_producer_reserved_is_skipped_and_counted, 0},
    {"C12", "a_death_is_found_by_those_who_sleep", a_death_is_found_by_those_who_sleep, 0},
    {"C12", "what_an_ended_thread_reserved_is_skipped_and_counted",
     what_an_ended_thread_reserved_is_skipped_and_counted, 0},
    {"C12", "a_stopped_producer_is_not_robbed", a_stopped_producer_is_not_robbed, 0},
    {"C13", "what_a_killed_consumer_was_shown_comes_again_marked", what_a_killed_consumer_was_shown_comes_again_marked,
     0},
    {"C13", "records_come_again_once_for_each_death", records_come_again_once_for_each_death, 0},
    {"C13", "what_an_ended_thread_was_shown_comes_again_marked", what_an_ended_thread_was_shown_comes_again_marked, 0},
    {"C13", "a_stopped_consumer_is_not_robbed", a_stopped_consumer_is_not_robbed, 0},
    {"C13", "a_reservation_made_abroad_is_nobodys_to_give_up", a_reservation_made_abroad_is_nobodys_to_give_up, 0},
    {"C13", "a_subscriber_from_abroad_is_not_robbed", a_subscriber_from_abroad_is_not_robbed, 0},
};

TEST_MAIN("channel_death", tests)
