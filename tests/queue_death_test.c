/* Peers killed with kill -9 at any instant: G1 to G5, in short. */
#define _GNU_SOURCE
#include "support_queue.h"

#include <errno.h>
#include <sched.h>
#include <signal.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

#include "probe.h"

static uint64_t dice; /* when to kill; differs from run to run */

static void nap_before_killing(uint32_t longest_us)
{
    int64_t end = test_now() + PIPC_US(test_random(&dice, longest_us));
    while (test_now() < end)
        ;
}

/* ---- Creators ---- */

static int create_for_ever(void *argument)
{
    (void)argument;
    for (int error = 0; error == 0;) {
        pipc_queue *queue = NULL;
        error = pipc_queue_open(&queue, test_name("q"), PIPC_CREATE, &(pipc_queue_options){.max_messages = 3});
        pipc_queue_close(queue);
        pipc_queue_remove(test_name("q"));
    }
    return 1;
}

/* Whatever stage the dead creator or remover was at, the name works for the next one, within the second. */
static void kill_creators(unsigned kills)
{
    dice = (uint64_t)test_now();
    for (unsigned i = 0; i < kills && test_failures() == 0; i++) {
        pid_t child = test_fork(create_for_ever, NULL);
        test_sleep(PIPC_US(100));
        nap_before_killing(400);
        test_kill(child);
        int64_t began = test_now();
        pipc_queue *queue = NULL;
        CHECK_OK(pipc_queue_open(&queue, test_name("q"), PIPC_CREATE, NULL));
        CHECK(test_now() - began < PIPC_SECONDS(20));
        REQUIRE_OK(queue_send(queue, 1, 0, i, 64, PIPC_NOWAIT));
        queue_expect(queue, pipc_any(), i);
        queue_end(queue, "q");
    }
}

static void killed_creator_never_blocks_its_name(void)
{
    kill_creators(600);
}

static int kill_creators_and_look(void *argument)
{
    (void)argument;
    kill_creators(300);
    return (int)probe_count("");
}

static void tell_nothing(const char *name)
{
    (void)name;
}

static int kill_creators_and_look_at_all(void *argument)
{
    int left = kill_creators_and_look(argument);
    CHECK_EQUAL(left, 0);
    CHECK_EQUAL(probe_remove_everything(tell_nothing), 0);
    return 0;
}

/* In a namespace of its own even a kernel queue that no name leads to is seen. */
static void killed_creators_leave_nothing_in_the_kernel(void)
{
    CHECK_EQUAL(test_in_private_ipc(0, kill_creators_and_look_at_all, NULL), 0);
}

/* ---- Senders and receivers ---- */

enum { NUMBERS = 8000000, PLACES = 20 };

struct ledger {
    pipc_queue *queue;
    uint32_t big_one_in;        /* 0: no body is too big for the kernel */
    _Atomic uint32_t begun;     /* numbers whose send was begun */
    _Atomic uint32_t confirmed; /* numbers whose send succeeded: all below, since one sends at a time */
    _Atomic uint32_t started;   /* children that came so far as to begin */
    _Atomic uint8_t times[NUMBERS];
    _Atomic uint8_t sent[NUMBERS];
};

static uint64_t size_of(const struct ledger *ledger, uint64_t number)
{
    return ledger->big_one_in && number % ledger->big_one_in == 0 ? 9000 : 8 + number % 100;
}

/* Sends with numbers of its own, each once; a restarted sender goes on behind the last one begun. */
static int send_numbers(void *argument)
{
    struct ledger *ledger = argument;
    atomic_fetch_add(&ledger->started, 1);
    for (;;) {
        uint32_t number = atomic_fetch_add(&ledger->begun, 1);
        REQUIRE(number < NUMBERS);
        int error = queue_send(ledger->queue, 1, 0, number, size_of(ledger, number), PIPC_SECONDS(20));
        REQUIRE_OK(error);
        atomic_store(&ledger->sent[number], 1);
        atomic_fetch_add(&ledger->confirmed, 1);
    }
    return 0;
}

static int receive_numbers(void *argument)
{
    struct ledger *ledger = argument;
    struct queue_got got;
    atomic_fetch_add(&ledger->started, 1);
    for (;;) {
        int error = queue_receive(ledger->queue, pipc_any(), &got, PIPC_SECONDS(20));
        REQUIRE_OK(error);
        REQUIRE(got.number < NUMBERS);
        REQUIRE_EQUAL(got.size, size_of(ledger, got.number));
        atomic_fetch_add(&ledger->times[got.number], 1);
    }
    return 0;
}

static struct ledger *make_ledger(uint32_t big_one_in)
{
    struct ledger *ledger = test_shared(sizeof *ledger);
    dice = (uint64_t)test_now();
    ledger->queue = queue_make("q", PLACES, 9000);
    ledger->big_one_in = big_one_in;
    return ledger;
}

/* Starts a child and kills it at some instant of its work. */
static void start_and_kill(struct ledger *ledger, test_body *body)
{
    uint32_t started = atomic_load(&ledger->started);
    pid_t child = test_fork(body, ledger);
    test_await(&ledger->started, started + 1);
    nap_before_killing(300);
    test_kill(child);
}

/* Receives all that is there; each wait is long enough for a message whose sender just died (60 ms). */
static void drain(struct ledger *ledger, uint64_t *last)
{
    struct queue_got got;
    int error;
    while ((error = queue_receive(ledger->queue, pipc_any(), &got, PIPC_NOWAIT)) == 0 || error == PIPC_E_BUSY) {
        if (error)
            continue;
        REQUIRE(got.number < NUMBERS);
        REQUIRE_EQUAL(got.size, size_of(ledger, got.number));
        if (last) {
            REQUIRE(*last == 0 || got.number + 1 > *last);
            *last = got.number + 1;
        }
        atomic_fetch_add(&ledger->times[got.number], 1);
    }
    REQUIRE_ERROR(error, EMPTY);
}

/* Every confirmed message came exactly once, but for `lost` at most; every other at most once. */
static void check_ledger(struct ledger *ledger, uint32_t may_be_lost)
{
    uint32_t lost = 0, twice = 0;
    for (uint32_t i = 0; i < NUMBERS && i < atomic_load(&ledger->begun); i++) {
        lost += ledger->sent[i] && ledger->times[i] == 0;
        twice += ledger->times[i] > 1;
    }
    CHECK(lost <= may_be_lost);
    CHECK_EQUAL(twice, 0);
    CHECK(atomic_load(&ledger->confirmed) > PLACES);
    queue_check_room(ledger->queue, PLACES, 64);
    queue_end(ledger->queue, "q");
}

static void kill_senders(uint32_t big_one_in, unsigned kills)
{
    struct ledger *ledger = make_ledger(big_one_in);
    uint64_t last = 0;
    uint32_t looked = 0;
    for (unsigned i = 0; i < kills && test_failures() == 0; i++) {
        start_and_kill(ledger, send_numbers);
        drain(ledger, &last);
        for (; looked < atomic_load(&ledger->begun); looked++)
            REQUIRE(!ledger->sent[looked] || ledger->times[looked] == 1);
    }
    check_ledger(ledger, 0);
}

static void killed_senders_message_is_whole_or_absent_and_no_other_suffers(void)
{
    kill_senders(0, 500);
}

static void killed_sender_of_big_bodies_harms_nobody(void)
{
    kill_senders(3, 400);
}

static void kill_receivers(uint32_t big_one_in, unsigned kills)
{
    struct ledger *ledger = make_ledger(big_one_in);
    pid_t sender = test_fork(send_numbers, ledger);
    for (unsigned i = 0; i < kills && test_failures() == 0; i++)
        start_and_kill(ledger, receive_numbers);
    test_kill(sender);
    drain(ledger, NULL);
    check_ledger(ledger, kills);
}

static void killed_receiver_loses_at_most_the_message_it_was_taking(void)
{
    kill_receivers(0, 500);
}

static void killed_receiver_of_big_bodies_loses_at_most_one(void)
{
    kill_receivers(3, 400);
}

/* ---- Everybody at once ---- */

enum { CREW = 6 };

static void storm(uint32_t big_one_in, unsigned kills)
{
    struct ledger *ledger = make_ledger(big_one_in);
    pid_t crew[CREW];
    uint32_t receivers_killed = CREW / 2;
    for (unsigned i = 0; i < CREW; i++)
        crew[i] = test_fork(i % 2 ? receive_numbers : send_numbers, ledger);
    for (unsigned i = 0; i < kills && test_failures() == 0; i++) {
        unsigned victim = test_random(&dice, CREW);
        nap_before_killing(500);
        test_kill(crew[victim]);
        receivers_killed += victim % 2;
        crew[victim] = test_fork(victim % 2 ? receive_numbers : send_numbers, ledger);
    }
    for (unsigned i = 0; i < CREW; i++)
        test_kill(crew[i]);
    drain(ledger, NULL);
    check_ledger(ledger, receivers_killed);
}

static void storm_of_kills_among_many_loses_and_doubles_nothing_else(void)
{
    storm(0, 700);
}

static void storm_of_kills_with_big_bodies_loses_and_doubles_nothing_else(void)
{
    storm(4, 700);
}

/* ---- Time ---- */

static int trade_for_ever(void *argument)
{
    struct queue_got got;
    for (uint64_t i = 0; i < UINT64_MAX; i++) {
        queue_send(argument, 1, 0, i, i % 5 ? 8 : 9000, PIPC_NOWAIT);
        queue_receive(argument, pipc_any(), &got, PIPC_NOWAIT);
    }
    return 0;
}

static void empty(pipc_queue *queue)
{
    struct queue_got got;
    int error;
    do
        error = queue_receive(queue, pipc_any(), &got, PIPC_NOWAIT);
    while (error == 0 || error == PIPC_E_BUSY);
    CHECK_ERROR(error, EMPTY);
}

/* The dead hold the lock now and then; a call that need not wait must go through all the same. */
static void dead_lock_holders_delay_nobody_for_long(void)
{
    pipc_queue *queue = queue_make("q", PLACES, 9000);
    dice = (uint64_t)test_now();
    for (unsigned i = 0; i < 300 && test_failures() == 0; i++) {
        struct queue_got got;
        pid_t child = test_fork(trade_for_ever, queue);
        test_sleep(PIPC_US(100));
        nap_before_killing(300);
        kill(child, SIGKILL);
        int64_t began = test_now();
        CHECK_OK(queue_send(queue, 7, 0, i, 8, PIPC_SECONDS(20)));
        CHECK_OK(queue_receive(queue, pipc_exactly(7), &got, PIPC_SECONDS(20)));
        CHECK_EQUAL(got.number, i);
        CHECK(test_now() - began < PIPC_SECONDS(20));
        test_kill(child);
        empty(queue);
    }
    queue_check_room(queue, PLACES, 64);
    queue_end(queue, "q");
}

/* An unreaped child is a zombie that still answers kill(): it must count as dead nevertheless. */
static void zombie_counts_as_dead(void)
{
    pipc_queue *queue = queue_make("q", 2, 64);
    pid_t zombies[40];
    dice = (uint64_t)test_now();
    for (unsigned i = 0; i < 40; i++) {
        zombies[i] = test_fork(trade_for_ever, queue);
        test_sleep(PIPC_US(100));
        nap_before_killing(200);
        kill(zombies[i], SIGKILL);
        siginfo_t info;
        REQUIRE(waitid(P_PID, (id_t)zombies[i], &info, WEXITED | WNOWAIT) == 0);
        int64_t began = test_now();
        empty(queue);
        queue_check_room(queue, 2, 64);
        CHECK(test_now() - began < PIPC_SECONDS(20));
    }
    for (unsigned i = 0; i < 40; i++)
        test_kill(zombies[i]);
    queue_end(queue, "q");
}

/* A stopped peer may hold the lock: calls with a timeout keep it, asynchronous ones say "busy" at worst, and
 * statistics, open and close do not care. */
static void stopped_peer_costs_no_more_than_the_timeout(void)
{
    pipc_queue *queue = queue_make("q", PLACES, 9000);
    pid_t child = test_fork(trade_for_ever, queue);
    dice = (uint64_t)test_now();
    for (unsigned i = 0; i < 60; i++) {
        struct queue_got got;
        nap_before_killing(400);
        kill(child, SIGSTOP);
        REQUIRE(waitpid(child, NULL, WUNTRACED) == child);
        int64_t began = test_now();
        int error = queue_receive(queue, pipc_exactly(9), &got, PIPC_NOWAIT);
        CHECK(error == PIPC_E_EMPTY || error == PIPC_E_BUSY);
        CHECK(test_now() - began < PIPC_SECONDS(20));
        began = test_now();
        CHECK_ERROR(queue_receive(queue, pipc_exactly(9), &got, PIPC_MS(5)), TIMEOUT);
        CHECK(test_now() - began >= PIPC_MS(5) && test_now() - began < PIPC_SECONDS(20));
        began = test_now();
        queue_info(queue);
        CHECK_OK(pipc_queue_close(queue_join("q", 0)));
        CHECK(test_now() - began < PIPC_SECONDS(20));
        kill(child, SIGCONT);
    }
    test_kill(child);
    CHECK_OK(pipc_queue_purge(queue, NULL));
    queue_check_room(queue, PLACES, 64);
    queue_end(queue, "q");
}

/* ---- Another pid namespace ---- */

enum { ABROAD = 2000 };

static int send_a_few(void *argument)
{
    for (uint64_t i = 0; i < ABROAD; i++)
        REQUIRE_OK(queue_send(argument, 1, 0, i, i % 4 ? 8 : 9000, PIPC_SECONDS(40)));
    return 0;
}

static int receive_a_few(void *argument)
{
    struct queue_got got;
    for (uint64_t i = 0; i < ABROAD; i++) {
        REQUIRE_OK(queue_receive(argument, pipc_any(), &got, PIPC_SECONDS(40)));
        REQUIRE_EQUAL(got.number, i);
    }
    return 0;
}

static int send_from_another_pid_namespace(void *argument)
{
    if (unshare(CLONE_NEWPID) < 0 && unshare(CLONE_NEWUSER | CLONE_NEWPID) < 0)
        test_skip("no pid namespaces here: %s", strerror(errno));
    return test_wait(test_fork(send_a_few, argument), PIPC_SECONDS(50));
}

/* kill() cannot see a sender with an inherited handle in there: that must not make it "dead" and its lock free. */
static void living_peer_in_another_pid_namespace_is_not_robbed(void)
{
    pipc_queue *queue = queue_make("q", PLACES, 9000);
    pid_t sender = test_fork(send_from_another_pid_namespace, queue);
    pid_t receiver = test_fork(receive_a_few, queue);
    CHECK_EQUAL(test_wait(sender, PIPC_SECONDS(50)), 0);
    CHECK_EQUAL(test_wait(receiver, PIPC_SECONDS(50)), 0);
    queue_check_room(queue, PLACES, 64);
    queue_end(queue, "q");
}

static const struct test tests[] = {
    {"Q2", "killed_creator_never_blocks_its_name", killed_creator_never_blocks_its_name, 0},
    {"Q2", "killed_creators_leave_nothing_in_the_kernel", killed_creators_leave_nothing_in_the_kernel, 0},
    {"G1 G2 G5", "killed_senders_message_is_whole_or_absent_and_no_other_suffers",
     killed_senders_message_is_whole_or_absent_and_no_other_suffers, 0},
    {"G1 G2 G5", "killed_sender_of_big_bodies_harms_nobody", killed_sender_of_big_bodies_harms_nobody, 0},
    {"G1 G3 G5", "killed_receiver_loses_at_most_the_message_it_was_taking",
     killed_receiver_loses_at_most_the_message_it_was_taking, 0},
    {"G1 G3 G5", "killed_receiver_of_big_bodies_loses_at_most_one", killed_receiver_of_big_bodies_loses_at_most_one, 0},
    {"G1 G2 G3 G5", "storm_of_kills_among_many_loses_and_doubles_nothing_else",
     storm_of_kills_among_many_loses_and_doubles_nothing_else, 0},
    {"G1 G2 G3 G5", "storm_of_kills_with_big_bodies_loses_and_doubles_nothing_else",
     storm_of_kills_with_big_bodies_loses_and_doubles_nothing_else, 0},
    {"G4", "dead_lock_holders_delay_nobody_for_long", dead_lock_holders_delay_nobody_for_long, 0},
    {"G4 G5", "zombie_counts_as_dead", zombie_counts_as_dead, 0},
    {"G4", "living_peer_in_another_pid_namespace_is_not_robbed", living_peer_in_another_pid_namespace_is_not_robbed, 0},
    {"G4", "stopped_peer_costs_no_more_than_the_timeout", stopped_peer_costs_no_more_than_the_timeout, 0},
};

TEST_MAIN("queue_death", tests)
