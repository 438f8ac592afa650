/* A storm of signals: a handler runs every 50 us, installed with and without SA_RESTART, during every call that may
 * wait. No message is lost, doubled or torn, nothing hangs, no wait ends early; only a call that slept says that it was
 * interrupted, and one with PIPC_RESTART never does. */
#define _GNU_SOURCE
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "signals.h"
#include "support_queue.h"

/* ---- Every call that waits ---- */

enum { FULL_AT = 2 };

static pipc_queue *empty_queue;
static pipc_queue *full_queue; /* two messages, of types 1 and 2 */
static pipc_event event;
static pipc_semaphore semaphore; /* without a token */
static pipc_mutex *mutex;        /* a child's */
static char body[64];

static int receive_any(uint32_t flags)
{
    pipc_message message = {.data = body, .size = sizeof body, .flags = flags};
    return pipc_queue_receive(empty_queue, pipc_any(), &message, SIGNALS_SPAN);
}

static int receive_exactly(uint32_t flags)
{
    pipc_message message = {.data = body, .size = sizeof body, .flags = flags};
    return pipc_queue_receive(full_queue, pipc_exactly(7), &message, SIGNALS_SPAN);
}

static int peek_exactly(uint32_t flags)
{
    pipc_message message = {.data = body, .size = sizeof body, .flags = flags};
    return pipc_queue_peek(full_queue, pipc_exactly(7), &message, SIGNALS_SPAN);
}

static int send_to_full(uint32_t flags)
{
    pipc_message message = {.data = body, .size = sizeof body, .type = 1, .flags = flags};
    return pipc_queue_send(full_queue, &message, SIGNALS_SPAN);
}

static int wait_for_event(uint32_t flags)
{
    (void)flags;
    return pipc_event_wait(&event, 0, NULL, SIGNALS_SPAN);
}

static int watch_event(uint32_t flags)
{
    (void)flags;
    return pipc_event_watch(&event, 0, NULL, SIGNALS_SPAN);
}

static int lock_mutex(uint32_t flags)
{
    (void)flags;
    return pipc_mutex_lock(mutex, SIGNALS_SPAN);
}

static int wait_for_semaphore(uint32_t flags)
{
    (void)flags;
    return pipc_semaphore_wait(&semaphore, SIGNALS_SPAN);
}

static const struct signals_waiter waiters[] = {
    {"receive", receive_any, true}, {"receive of a type", receive_exactly, true},  {"peek", peek_exactly, true},
    {"send", send_to_full, true},   {"event wait", wait_for_event, false},         {"event watch", watch_event, false},
    {"lock", lock_mutex, false},    {"semaphore wait", wait_for_semaphore, false},
};

static int hold_the_mutex(void *argument)
{
    CHECK_OK(pipc_mutex_lock(mutex, PIPC_NOWAIT));
    atomic_store((_Atomic uint32_t *)argument, 1);
    for (;;)
        pause();
    return 0;
}

static pid_t begin_holding(void)
{
    _Atomic uint32_t *held = test_shared(sizeof *held);
    mutex = test_shared(sizeof *mutex);
    pid_t child = test_fork(hold_the_mutex, held);
    test_await(held, 1);
    return child;
}

static void no_wait_ends_early_in_a_storm_of_signals(void)
{
    pid_t holder = begin_holding();
    empty_queue = queue_make("empty", FULL_AT, sizeof body);
    full_queue = queue_make("full", FULL_AT, sizeof body);
    for (unsigned i = 0; i < FULL_AT; i++)
        REQUIRE_OK(queue_send(full_queue, 1 + i, 0, i, sizeof body, PIPC_NOWAIT));
    signals_wait("eintr: waits", waiters, sizeof waiters / sizeof *waiters);
    test_kill(holder);
    for (unsigned i = 0; i < FULL_AT; i++)
        queue_expect(full_queue, pipc_any(), i);
    queue_end(full_queue, "full");
    queue_end(empty_queue, "empty");
}

/* ---- Traffic ---- */

enum { TYPES = 3, SENDERS = 2, RECEIVERS = 2, PLACES = 4, LARGEST = 9000, LEAST = 100 };

struct traffic {
    int64_t deadline;
    _Atomic uint64_t numbers[SENDERS]; /* sent by each: its index, and every SENDERSth from there */
    _Atomic uint32_t senders;          /* still at work */
    _Atomic uint64_t sent, received, interrupted, wrong, torn;
    struct signals_arrivals arrivals[SENDERS];
};

struct worker {
    struct traffic *traffic;
    unsigned index;
    int sa_flags;
};

/* Half of the calls go on after a signal, the others are made again. An error that neither is, is wrong. */
static bool is_to_be_repeated(struct traffic *traffic, int error, uint32_t flags)
{
    if (error == PIPC_E_INTERRUPTED && !flags) {
        atomic_fetch_add(&traffic->interrupted, 1);
        return true;
    }
    if (error && error != PIPC_E_TIMEOUT) {
        atomic_fetch_add(&traffic->wrong, 1);
        fprintf(stderr, "it answered %s: %s\n", pipc_error_name(error), pipc_error_detail());
    }
    return false;
}

static void send_number(struct traffic *traffic, pipc_queue *queue, uint64_t number)
{
    static unsigned char bytes[LARGEST];
    uint32_t flags = number / 2 % 2 ? PIPC_RESTART : 0;
    uint64_t size = number % 5 ? 64 : LARGEST;
    pipc_message message = {.data = bytes, .size = size, .type = 1 + (uint32_t)(number % TYPES), .flags = flags};
    int error;
    for (uint64_t i = 8; i < size; i++)
        bytes[i] = queue_padding(number, i);
    memcpy(bytes, &number, 8);
    do
        error = pipc_queue_send(queue, &message, SIGNALS_HANG);
    while (is_to_be_repeated(traffic, error, flags));
    if (error)
        atomic_fetch_add(&traffic->wrong, 1);
    else
        atomic_fetch_add(&traffic->sent, 1);
}

static int send_all(void *argument)
{
    struct worker *worker = argument;
    struct traffic *traffic = worker->traffic;
    pipc_queue *queue = queue_join("traffic", 0);
    struct signals sum = {0}, began = signals_now();
    signals_begin(worker->sa_flags);
    for (uint64_t number = worker->index; number < LEAST || test_now() < traffic->deadline; number += SENDERS) {
        send_number(traffic, queue, number);
        atomic_fetch_add(&traffic->numbers[worker->index], 1);
    }
    signals_add(&sum, &began);
    signals_end();
    signals_judge("sender", &sum);
    atomic_fetch_sub(&traffic->senders, 1);
    return pipc_queue_close(queue);
}

/* Within its type each sender's numbers come in order. */
static bool is_in_order(uint64_t number)
{
    static uint64_t next[SENDERS][TYPES];
    uint64_t *least = &next[number % SENDERS][number % TYPES];
    bool good = number >= *least;
    *least = number + 1;
    return good;
}

static int receive_one(struct traffic *traffic, pipc_queue *queue, pipc_selection selection, uint32_t flags)
{
    static unsigned char bytes[LARGEST];
    uint64_t number = 0;
    pipc_message message = {.data = bytes, .size = sizeof bytes, .flags = flags};
    int error = pipc_queue_receive(queue, selection, &message, PIPC_MS(20));
    if (error)
        return error;
    bool whole = message.size >= 8;
    memcpy(&number, bytes, 8);
    for (uint64_t i = 8; i < message.size && whole; i++)
        whole = bytes[i] == queue_padding(number, i);
    if (!whole || message.size != (number % 5 ? 64 : LARGEST) || message.type != 1 + number % TYPES ||
        !is_in_order(number))
        atomic_fetch_add(&traffic->torn, 1);
    else
        signals_arrived(&traffic->arrivals[number % SENDERS], number / SENDERS);
    atomic_fetch_add(&traffic->received, 1);
    return 0;
}

/* Ends when all senders have and nothing is left. */
static int receive_all(void *argument)
{
    struct worker *worker = argument;
    struct traffic *traffic = worker->traffic;
    pipc_queue *queue = queue_join("traffic", 0);
    struct signals sum = {0}, began = signals_now();
    signals_begin(worker->sa_flags);
    for (uint32_t turn = 0;; turn++) {
        uint32_t flags = turn % 2 ? PIPC_RESTART : 0;
        bool last = atomic_load(&traffic->senders) == 0;
        pipc_selection selection = turn % 4 && !last ? pipc_any() : pipc_up_to(TYPES);
        int error = receive_one(traffic, queue, selection, flags);
        is_to_be_repeated(traffic, error, flags);
        if (error == PIPC_E_TIMEOUT && last)
            break;
    }
    signals_add(&sum, &began);
    signals_end();
    signals_judge("receiver", &sum);
    return pipc_queue_close(queue);
}

static void settle_accounts(struct traffic *traffic, struct rig_figures *figures)
{
    figures->torn = atomic_load(&traffic->torn);
    for (unsigned i = 0; i < SENDERS; i++)
        signals_settle(&traffic->arrivals[i], atomic_load(&traffic->numbers[i]), figures);
    CHECK_EQUAL(atomic_load(&traffic->wrong), 0);
    CHECK_EQUAL(atomic_load(&traffic->received), atomic_load(&traffic->sent));
    CHECK(atomic_load(&traffic->interrupted) > 0);
}

static void traffic_is_whole_in_a_storm_of_signals(void)
{
    struct rig_figures figures = {.rig = "eintr: traffic"};
    struct traffic *traffic = test_shared(sizeof *traffic);
    struct worker workers[SENDERS + RECEIVERS];
    pid_t children[SENDERS + RECEIVERS];
    pipc_queue *queue = queue_make("traffic", PLACES, LARGEST);
    traffic->deadline = signals_deadline(PIPC_MS(500));
    traffic->senders = SENDERS;
    for (unsigned i = 0; i < SENDERS + RECEIVERS; i++) {
        workers[i] = (struct worker){traffic, i, i % 2 ? SA_RESTART : 0};
        children[i] = test_fork(i < SENDERS ? send_all : receive_all, &workers[i]);
    }
    int64_t limit = traffic->deadline - test_now() + 2 * SIGNALS_HANG;
    for (unsigned i = 0; i < SENDERS + RECEIVERS; i++)
        figures.hangs += test_wait(children[i], limit) != 0;
    settle_accounts(traffic, &figures);
    queue_check_room(queue, PLACES, 64);
    queue_end(queue, "traffic");
    rig_tell(&figures);
}

static const struct test tests[] = {
    {"Q12 Q7", "no_wait_ends_early_in_a_storm_of_signals", no_wait_ends_early_in_a_storm_of_signals, 0},
    {"Q12 Q4", "traffic_is_whole_in_a_storm_of_signals", traffic_is_whole_in_a_storm_of_signals, 180},
};

TEST_MAIN("eintr", tests)
