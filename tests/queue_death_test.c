/* Peers that are dead, or only seem so: zombies, stopped ones, those of another pid namespace. Deaths by the thousand
 * are in torture/storm_rig.c. */
#define _GNU_SOURCE
#include "support_queue.h"

#include <errno.h>
#include <sched.h>
#include <signal.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

static uint64_t dice; /* when to kill; differs from run to run */

static void nap_before_killing(uint32_t longest_us)
{
    int64_t end = test_now() + PIPC_US(test_random(&dice, longest_us));
    while (test_now() < end)
        ;
}

enum { PLACES = 20 };

#define AT_ONCE  PIPC_MS(35)     /* 25 for the lock (Q7, G4), and a little to answer */
#define A_SECOND PIPC_SECONDS(1) /* capacity is back (G5); a call that needs no lock has ended (G4) */

/* The quickest of many tells, even on a busy machine. */
static void note_quickest(int64_t *quickest, int64_t began)
{
    int64_t took = test_now() - began;
    *quickest = took < *quickest ? took : *quickest;
}

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

/* An unreaped child is a zombie that still answers kill(): it must count as dead nevertheless. */
static void zombie_counts_as_dead(void)
{
    pipc_queue *queue = queue_make("q", 2, 64);
    pid_t zombies[40];
    int64_t quickest = INT64_MAX;
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
        note_quickest(&quickest, began);
    }
    CHECK(quickest < A_SECOND);
    for (unsigned i = 0; i < 40; i++)
        test_kill(zombies[i]);
    queue_end(queue, "q");
}

/* A stopped peer may hold the lock: calls with a timeout keep it, asynchronous ones say "busy" at worst, and
 * statistics, open and close do not care. What busy costs is judged by those that were told so: the others met no
 * held lock. */
static void stopped_peer_costs_no_more_than_the_timeout(void)
{
    pipc_queue *queue = queue_make("q", PLACES, 9000);
    pid_t child = test_fork(trade_for_ever, queue);
    int64_t asking = INT64_MAX, waiting = INT64_MAX, telling = INT64_MAX;
    dice = (uint64_t)test_now();
    for (unsigned i = 0, busy = 0; i < 60 || (asking >= AT_ONCE && busy < 20); i++) {
        REQUIRE(i < 5000); /* else it was never stopped with the lock */
        struct queue_got got;
        nap_before_killing(400);
        kill(child, SIGSTOP);
        REQUIRE(waitpid(child, NULL, WUNTRACED) == child);
        int64_t began = test_now();
        int error = queue_receive(queue, pipc_exactly(9), &got, PIPC_NOWAIT);
        CHECK(error == PIPC_E_EMPTY || error == PIPC_E_BUSY);
        if (error == PIPC_E_BUSY && ++busy)
            note_quickest(&asking, began);
        began = test_now();
        CHECK_ERROR(queue_receive(queue, pipc_exactly(9), &got, PIPC_MS(5)), TIMEOUT);
        CHECK(test_now() - began >= PIPC_MS(5));
        note_quickest(&waiting, began);
        began = test_now();
        queue_info(queue);
        CHECK_OK(pipc_queue_close(queue_join("q", 0)));
        note_quickest(&telling, began);
        kill(child, SIGCONT);
    }
    CHECK(asking < AT_ONCE);
    CHECK(waiting < AT_ONCE);
    CHECK(telling < A_SECOND);
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
    {"G4 G5", "zombie_counts_as_dead", zombie_counts_as_dead, 0},
    {"G4", "living_peer_in_another_pid_namespace_is_not_robbed", living_peer_in_another_pid_namespace_is_not_robbed, 0},
    {"G4", "stopped_peer_costs_no_more_than_the_timeout", stopped_peer_costs_no_more_than_the_timeout, 0},
};

TEST_MAIN("queue_death", tests)
