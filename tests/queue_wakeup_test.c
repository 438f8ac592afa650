/* What callers owe each other, brought about step by step with the library's own inner functions: a sleeper is
 * woken at once, not found awake at the end of its slice; a place that was reserved in vain comes back. */
#include "support_queue.h"

#include <pthread.h>
#include <signal.h>
#include <unistd.h>

#include "core/claim.h"

enum { ROUNDS = 12 };

/* What a sleeper and its waker share. */
struct wakeup {
    pipc_queue *queue;
    test_body *sleeper;
    void (*wake)(pipc_queue *queue);
    void (*restore)(pipc_queue *queue);
    _Atomic int64_t began, woken;
    _Atomic uint32_t thread;
};

static int sleep_once(void *argument)
{
    struct wakeup *wakeup = argument;
    int error = wakeup->sleeper(wakeup->queue);
    atomic_store(&wakeup->woken, test_now());
    return error;
}

/* Without a wake-up each of the sleepers would sleep to the end of its slice, which has just begun when it is
 * woken. So even on a busy machine the quickest of a dozen tells. */
static void quickest_is_quicker_than_a_slice(struct wakeup *wakeup)
{
    int64_t quickest = INT64_MAX;
    for (unsigned i = 0; i < ROUNDS; i++) {
        pid_t child = test_fork(sleep_once, wakeup);
        REQUIRE(test_await_sleep(child));
        atomic_store(&wakeup->began, test_now());
        wakeup->wake(wakeup->queue);
        CHECK_EQUAL(test_wait(child, PIPC_SECONDS(30)), 0);
        int64_t took = atomic_load(&wakeup->woken) - atomic_load(&wakeup->began);
        quickest = took < quickest ? took : quickest;
        if (wakeup->restore)
            wakeup->restore(wakeup->queue);
    }
    CHECK(quickest < PIPC_SLICE / 4);
}

static int receive_any(void *queue)
{
    struct queue_got got;
    return queue_receive(queue, pipc_any(), &got, PIPC_SECONDS(20));
}

static int receive_exactly(void *queue)
{
    struct queue_got got;
    return queue_receive(queue, pipc_exactly(1), &got, PIPC_SECONDS(20));
}

static int peek_any(void *queue)
{
    struct queue_got got;
    return queue_peek(queue, pipc_any(), &got, PIPC_SECONDS(20));
}

static int send_one(void *queue)
{
    return queue_send(queue, 1, 0, 1, 8, PIPC_SECONDS(20));
}

static void do_send(pipc_queue *queue)
{
    CHECK_OK(queue_send(queue, 1, 0, 1, 8, PIPC_NOWAIT));
}

static void do_send_beyond_the_kernel(pipc_queue *queue)
{
    CHECK_OK(queue_send(queue, 1, 0, 1, 20000, PIPC_NOWAIT));
}

static void do_receive(pipc_queue *queue)
{
    struct queue_got got;
    CHECK_OK(queue_receive(queue, pipc_any(), &got, PIPC_NOWAIT));
}

static void do_purge(pipc_queue *queue)
{
    CHECK_OK(pipc_queue_purge(queue, NULL));
}

static void check_wakeup(test_body *sleeper, void (*wake)(pipc_queue *), void (*restore)(pipc_queue *), bool full)
{
    struct wakeup *wakeup = test_shared(sizeof *wakeup);
    *wakeup = (struct wakeup){.queue = queue_make("q", 1, 20000), .sleeper = sleeper, .wake = wake, .restore = restore};
    if (full)
        do_send(wakeup->queue);
    quickest_is_quicker_than_a_slice(wakeup);
    queue_end(wakeup->queue, "q");
}

static void send_wakes_a_receiver_at_once(void)
{
    check_wakeup(receive_any, do_send, NULL, false);
    check_wakeup(receive_any, do_send_beyond_the_kernel, NULL, false);
}

static void send_wakes_a_selective_receiver_at_once(void)
{
    check_wakeup(receive_exactly, do_send, NULL, false);
    check_wakeup(receive_exactly, do_send_beyond_the_kernel, NULL, false);
}

static void send_wakes_a_peek_at_once(void)
{
    check_wakeup(peek_any, do_send, do_receive, false);
}

static void receive_wakes_a_sender_at_once(void)
{
    check_wakeup(send_one, do_receive, NULL, true);
}

static void purge_wakes_a_sender_at_once(void)
{
    check_wakeup(send_one, do_purge, NULL, true);
}

/* The words of everybody who may sleep, without their marks: a bump changes them. */
static uint32_t sequences(const pipc_queue *queue, unsigned which)
{
    struct pipc_control *control = queue->control;
    struct pipc_word *words[] = {&control->items, &control->picky, &control->room};
    return atomic_load(&words[which]->word) & ~PIPC_WORD_MARKS;
}

static int receive_until_the_end(void *queue)
{
    struct queue_got got;
    int error = queue_receive(queue, pipc_any(), &got, PIPC_SECONDS(20));
    return error == PIPC_E_REMOVED || error == PIPC_E_INTERRUPTED ? 0 : 100;
}

static void remove_queue(pipc_queue *queue)
{
    (void)queue;
    CHECK_OK(pipc_queue_remove(test_name("q")));
}

static void removal_wakes_a_receiver_at_once(void)
{
    uint32_t before[3];
    int64_t quickest = INT64_MAX;
    for (unsigned i = 0; i < ROUNDS; i++) {
        struct wakeup *wakeup = test_shared(sizeof *wakeup);
        *wakeup = (struct wakeup){queue_make("q", 1, 64), receive_until_the_end, remove_queue, NULL, 0, 0, 0};
        pid_t child = test_fork(sleep_once, wakeup);
        REQUIRE(test_await_sleep(child));
        atomic_store(&wakeup->began, test_now());
        for (unsigned which = 0; which < 3; which++)
            before[which] = sequences(wakeup->queue, which);
        wakeup->wake(wakeup->queue);
        for (unsigned which = 0; which < 3; which++)
            CHECK(sequences(wakeup->queue, which) != before[which]);
        CHECK_EQUAL(test_wait(child, PIPC_SECONDS(30)), 0);
        int64_t took = atomic_load(&wakeup->woken) - atomic_load(&wakeup->began);
        quickest = took < quickest ? took : quickest;
        pipc_queue_close(wakeup->queue);
    }
    CHECK(quickest < PIPC_SLICE / 4);
}

/* A thread sleeps: an interrupt reaches the handles of its own process only. */
static void *sleep_in_thread(void *argument)
{
    struct wakeup *wakeup = argument;
    atomic_store(&wakeup->thread, (uint32_t)pipc_self() & 0x3fffffff);
    sleep_once(wakeup);
    return NULL;
}

static void interrupt_wakes_a_receiver_at_once(void)
{
    uint32_t before[3];
    struct wakeup wakeup = {.queue = queue_make("q", 1, 64), .sleeper = receive_until_the_end};
    int64_t quickest = INT64_MAX;
    for (unsigned i = 0; i < ROUNDS; i++) {
        pthread_t thread;
        atomic_store(&wakeup.thread, 0);
        REQUIRE(pthread_create(&thread, NULL, sleep_in_thread, &wakeup) == 0);
        REQUIRE(test_await(&wakeup.thread, 1));
        REQUIRE(test_await_sleep((pid_t)atomic_load(&wakeup.thread)));
        atomic_store(&wakeup.began, test_now());
        for (unsigned which = 0; which < 3; which++)
            before[which] = sequences(wakeup.queue, which);
        CHECK_OK(pipc_queue_interrupt(wakeup.queue));
        for (unsigned which = 0; which < 3; which++)
            CHECK(sequences(wakeup.queue, which) != before[which]);
        pthread_join(thread, NULL);
        int64_t took = atomic_load(&wakeup.woken) - atomic_load(&wakeup.began);
        quickest = took < quickest ? took : quickest;
    }
    CHECK(quickest < PIPC_SLICE / 4);
    queue_end(wakeup.queue, "q");
}

/* ---- the lock is held ---- */

struct held {
    pipc_queue *queue;
    _Atomic uint32_t locked, tried, leave;
};

static int hold_the_lock(void *argument)
{
    struct held *held = argument;
    struct pipc_patience patience;
    pipc_patience_begin(&patience, PIPC_FOREVER, NULL, NULL);
    REQUIRE_EQUAL(pipc_lock_take(&held->queue->control->lock, pipc_queue_self(held->queue),
                                 pipc_queue_namespace(held->queue), &patience),
                  0);
    atomic_store(&held->locked, 1);
    raise(SIGSTOP);
    return 0;
}

/* Messages that need the lock, because they go through slots; and it lives on, so nobody repairs after it. */
static int send_in_vain(void *argument)
{
    struct held *held = argument;
    for (unsigned i = 0; i < 5; i++) {
        CHECK_ERROR(queue_send(held->queue, 1, 0, i, 20000, PIPC_NOWAIT), BUSY);
        CHECK_ERROR(queue_send(held->queue, 1, 0, i, 20000, PIPC_MS(5)), TIMEOUT);
    }
    atomic_store(&held->tried, 1);
    REQUIRE(test_await(&held->leave, 1));
    return 0;
}

static void send_that_finds_the_lock_held_gives_its_place_back(void)
{
    struct held *held = test_shared(sizeof *held);
    held->queue = queue_make("q", 2, 20000);
    pid_t holder = test_fork(hold_the_lock, held);
    REQUIRE(test_await(&held->locked, 1));
    pid_t sender = test_fork(send_in_vain, held);
    REQUIRE(test_await(&held->tried, 1));
    test_kill(holder);
    queue_check_room(held->queue, 2, 20000);
    atomic_store(&held->leave, 1);
    CHECK_EQUAL(test_wait(sender, PIPC_SECONDS(30)), 0);
    queue_end(held->queue, "q");
}

static int reserve_and_die(void *queue)
{
    uint32_t slot;
    uint64_t word;
    REQUIRE_EQUAL(pipc_slot_reserve(queue, &slot, &word), 0);
    return 0;
}

/* Nobody receives: senders have to help themselves, within a second (G5) at the quickest of three times. */
static void place_reserved_by_a_dead_sender_goes_to_the_next(void)
{
    int64_t quickest = INT64_MAX;
    for (unsigned dead = 1; dead <= 3; dead++) {
        pipc_queue *queue = queue_make("q", 3, 64);
        pipc_queue *sender = queue_join("q", PIPC_SEND);
        for (unsigned i = 0; i < dead; i++)
            REQUIRE_EQUAL(test_wait(test_fork(reserve_and_die, queue), PIPC_SECONDS(30)), 0);
        int64_t began = test_now();
        for (uint64_t i = 0; i < 3; i++)
            CHECK_OK(queue_send(sender, 1, 0, i, 8, PIPC_SECONDS(20)));
        int64_t took = test_now() - began;
        quickest = took < quickest ? took : quickest;
        CHECK_ERROR(queue_send(sender, 1, 0, 3, 8, PIPC_MS(300)), TIMEOUT);
        CHECK_EQUAL(queue_info(queue).messages, 3);
        CHECK_OK(pipc_queue_close(sender));
        for (uint64_t i = 0; i < 3; i++)
            queue_expect(queue, pipc_any(), i);
        queue_end(queue, "q");
    }
    CHECK(quickest < PIPC_SECONDS(1));
}

static int claim_and_die(void *queue)
{
    struct pipc_patience patience;
    struct pipc_claimed claimed;
    struct pipc_pulls pulls = {0};
    pipc_patience_begin(&patience, PIPC_FOREVER, NULL, NULL);
    REQUIRE_OK(pipc_queue_lock(queue, &patience)); /* the second finds the first one dead */
    REQUIRE_EQUAL(pipc_claim_next(queue, &claimed, &pulls), 0);
    return 0;
}

/* It died with the lock, and a message that was neither in the kernel's queue nor in a slot any more. */
static void message_in_the_hands_of_a_dead_receiver_is_rescued(void)
{
    pipc_queue *queue = queue_make("q", 3, 64);
    for (uint64_t i = 0; i < 3; i++)
        REQUIRE_OK(queue_send(queue, 1, 0, i, 40, PIPC_NOWAIT));
    for (unsigned deaths = 0; deaths < 2; deaths++)
        REQUIRE_EQUAL(test_wait(test_fork(claim_and_die, queue), PIPC_SECONDS(30)), 0);
    struct queue_got got;
    for (uint64_t i = 0; i < 3; i++)
        if (CHECK_OK(queue_receive(queue, pipc_any(), &got, PIPC_SECONDS(20))))
            CHECK_EQUAL(got.number, i);
    queue_check_room(queue, 3, 64);
    queue_end(queue, "q");
}

static const struct test tests[] = {
    {"Q7", "send_wakes_a_receiver_at_once", send_wakes_a_receiver_at_once, 0},
    {"Q6 Q7", "send_wakes_a_selective_receiver_at_once", send_wakes_a_selective_receiver_at_once, 0},
    {"Q7 Q15", "send_wakes_a_peek_at_once", send_wakes_a_peek_at_once, 0},
    {"Q7 Q9", "receive_wakes_a_sender_at_once", receive_wakes_a_sender_at_once, 0},
    {"Q7 Q15", "purge_wakes_a_sender_at_once", purge_wakes_a_sender_at_once, 0},
    {"Q10", "removal_wakes_a_receiver_at_once", removal_wakes_a_receiver_at_once, 0},
    {"Q12", "interrupt_wakes_a_receiver_at_once", interrupt_wakes_a_receiver_at_once, 0},
    {"Q7 Q9", "send_that_finds_the_lock_held_gives_its_place_back", send_that_finds_the_lock_held_gives_its_place_back,
     0},
    {"G2 G5", "place_reserved_by_a_dead_sender_goes_to_the_next", place_reserved_by_a_dead_sender_goes_to_the_next, 0},
    {"G1 G3", "message_in_the_hands_of_a_dead_receiver_is_rescued", message_in_the_hands_of_a_dead_receiver_is_rescued,
     0},
};

TEST_MAIN("queue_wakeup", tests)
