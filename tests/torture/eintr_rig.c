/* A storm of signals: a handler runs every 50 us, installed with and without SA_RESTART, during every call that may
 * wait and during opening, making and removing. No message is lost, doubled or torn, nothing hangs, no wait ends
 * early; only a call that slept says that it was interrupted, and one with PIPC_RESTART never does. */
#define _GNU_SOURCE
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <sys/time.h>
#include <sys/wait.h>
#include <unistd.h>

#include "points.h"
#include "rig.h"
#include "support_queue.h"

#define EVERY_US 50
#define SPAN     PIPC_MS(15)
#define HANG     PIPC_SECONDS(40)

static volatile sig_atomic_t handled;

static void count_signal(int signal)
{
    (void)signal;
    handled++;
}

static void storm_begins(int flags)
{
    struct sigaction action = {.sa_handler = count_signal, .sa_flags = flags};
    struct itimerval timer = {{0, EVERY_US}, {0, EVERY_US}};
    REQUIRE(sigaction(SIGALRM, &action, NULL) == 0);
    REQUIRE(setitimer(ITIMER_REAL, &timer, NULL) == 0);
}

static void storm_ends(void)
{
    struct itimerval none = {{0, 0}, {0, 0}};
    REQUIRE(setitimer(ITIMER_REAL, &none, NULL) == 0);
}

/* ---- Every call that waits ---- */

enum { FULL_AT = 2 };

struct waiter {
    const char *name;
    int (*call)(uint32_t flags);
    uint32_t flags;
};

static pipc_queue *full_queue; /* two messages, of types 1 and 2 */
static pipc_event event;
static pipc_semaphore semaphore; /* without a token */
static pipc_mutex *mutex;        /* a child's */
static char body[64];

static int wait_to_receive(pipc_selection selection, uint32_t flags)
{
    pipc_message message = {.data = body, .size = sizeof body, .flags = flags};
    return pipc_queue_receive(full_queue, selection, &message, SPAN);
}

static int receive_exactly(uint32_t flags)
{
    return wait_to_receive(pipc_exactly(7), flags);
}

static int peek_exactly(uint32_t flags)
{
    pipc_message message = {.data = body, .size = sizeof body, .flags = flags};
    return pipc_queue_peek(full_queue, pipc_exactly(7), &message, SPAN);
}

static int send_to_full(uint32_t flags)
{
    pipc_message message = {.data = body, .size = sizeof body, .type = 1, .flags = flags};
    return pipc_queue_send(full_queue, &message, SPAN);
}

static int wait_for_event(uint32_t flags)
{
    (void)flags;
    return pipc_event_wait(&event, 0, NULL, SPAN);
}

static int watch_event(uint32_t flags)
{
    (void)flags;
    return pipc_event_watch(&event, 0, NULL, SPAN);
}

static int lock_mutex(uint32_t flags)
{
    (void)flags;
    return pipc_mutex_lock(mutex, SPAN);
}

static int wait_for_semaphore(uint32_t flags)
{
    (void)flags;
    return pipc_semaphore_wait(&semaphore, SPAN);
}

static const struct waiter waiters[] = {
    {"receive", receive_exactly, 0},   {"receive, restarting", receive_exactly, PIPC_RESTART},
    {"peek", peek_exactly, 0},         {"peek, restarting", peek_exactly, PIPC_RESTART},
    {"send", send_to_full, 0},         {"send, restarting", send_to_full, PIPC_RESTART},
    {"event wait", wait_for_event, 0}, {"event watch", watch_event, 0},
    {"lock", lock_mutex, 0},           {"semaphore wait", wait_for_semaphore, 0},
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

/* A signal must have come while an interrupted call ran; one that goes on with the time left has it all. */
static void wait_once(const struct waiter *waiter, struct rig_figures *figures, uint64_t *interrupted)
{
    sig_atomic_t before = handled;
    int64_t began = test_now();
    int error = waiter->call(waiter->flags);
    int64_t took = test_now() - began;
    bool good = error == PIPC_E_TIMEOUT || (error == PIPC_E_INTERRUPTED && !waiter->flags);
    if (!CHECK(good))
        fprintf(stderr, "%s answered %s: %s\n", waiter->name, pipc_error_name(error), pipc_error_detail());
    if (error == PIPC_E_TIMEOUT && !CHECK(took >= SPAN))
        fprintf(stderr, "%s ended %lld us early\n", waiter->name, (long long)(SPAN - took) / 1000);
    if (error == PIPC_E_INTERRUPTED && !CHECK(handled != before))
        fprintf(stderr, "%s was interrupted by nothing\n", waiter->name);
    if (error == PIPC_E_TIMEOUT && took - SPAN > figures->worst_delay)
        figures->worst_delay = took - SPAN;
    *interrupted += error == PIPC_E_INTERRUPTED;
    figures->hangs += took > HANG;
    figures->trials++;
}

static void no_wait_ends_early_in_a_storm_of_signals(void)
{
    struct rig_figures figures = {.rig = "eintr: waits"};
    uint64_t interrupted = 0;
    int64_t deadline = rig_deadline(PIPC_SECONDS(2));
    uint64_t rounds = rig_trials(1000, 750);
    pid_t holder = begin_holding();
    full_queue = queue_make("full", FULL_AT, sizeof body);
    for (unsigned i = 0; i < FULL_AT; i++)
        REQUIRE_OK(queue_send(full_queue, 1 + i, 0, i, sizeof body, PIPC_NOWAIT));
    for (uint64_t round = 0; round < rounds && test_now() < deadline; round++) {
        storm_begins(round % 2 ? SA_RESTART : 0);
        for (unsigned i = 0; i < sizeof waiters / sizeof *waiters; i++)
            wait_once(&waiters[i], &figures, &interrupted);
    }
    storm_ends();
    test_kill(holder);
    CHECK(interrupted > 0);
    for (unsigned i = 0; i < FULL_AT; i++)
        queue_expect(full_queue, pipc_any(), i);
    queue_end(full_queue, "full");
    rig_tell(&figures);
}

/* ---- Traffic ---- */

enum { TYPES = 3, SENDERS = 2, RECEIVERS = 2, PLACES = 4, LARGEST = 9000, MOST = 4000000 };

struct traffic {
    int64_t deadline;
    _Atomic uint32_t numbers[SENDERS]; /* sent by each: its index, and every SENDERSth from there */
    _Atomic uint32_t senders;          /* still at work */
    _Atomic uint64_t sent, received, interrupted, wrong, torn;
    _Atomic uint8_t seen[MOST];
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

static void send_number(struct traffic *traffic, pipc_queue *queue, uint32_t number)
{
    static unsigned char bytes[LARGEST];
    uint32_t flags = number / 2 % 2 ? PIPC_RESTART : 0;
    uint64_t size = number % 5 ? 64 : LARGEST;
    pipc_message message = {.data = bytes, .size = size, .type = 1 + number % TYPES, .flags = flags};
    int error;
    for (uint64_t i = 8; i < size; i++)
        bytes[i] = queue_padding(number, i);
    memcpy(bytes, &(uint64_t){number}, 8);
    do
        error = pipc_queue_send(queue, &message, HANG);
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
    storm_begins(worker->sa_flags);
    for (uint32_t number = worker->index; number < MOST && test_now() < traffic->deadline; number += SENDERS) {
        send_number(traffic, queue, number);
        atomic_fetch_add(&traffic->numbers[worker->index], 1);
    }
    storm_ends();
    atomic_fetch_sub(&traffic->senders, 1);
    return pipc_queue_close(queue);
}

/* Within its type each sender's numbers come in order. */
static bool is_in_order(uint32_t number)
{
    static uint32_t next[SENDERS][TYPES];
    uint32_t *least = &next[number % SENDERS][number % TYPES];
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
    if (!whole || number >= MOST || message.size != (number % 5 ? 64 : LARGEST) || message.type != 1 + number % TYPES ||
        !is_in_order((uint32_t)number))
        atomic_fetch_add(&traffic->torn, 1);
    else
        atomic_fetch_add(&traffic->seen[number], 1);
    atomic_fetch_add(&traffic->received, 1);
    return 0;
}

/* Ends when all senders have and nothing is left. */
static int receive_all(void *argument)
{
    struct worker *worker = argument;
    struct traffic *traffic = worker->traffic;
    pipc_queue *queue = queue_join("traffic", 0);
    storm_begins(worker->sa_flags);
    for (uint32_t turn = 0;; turn++) {
        uint32_t flags = turn % 2 ? PIPC_RESTART : 0;
        bool last = atomic_load(&traffic->senders) == 0;
        pipc_selection selection = turn % 4 && !last ? pipc_any() : pipc_up_to(TYPES);
        int error = receive_one(traffic, queue, selection, flags);
        is_to_be_repeated(traffic, error, flags);
        if (error == PIPC_E_TIMEOUT && last)
            break;
    }
    storm_ends();
    return pipc_queue_close(queue);
}

static void settle_accounts(struct traffic *traffic, struct rig_figures *figures)
{
    figures->trials = atomic_load(&traffic->sent);
    figures->torn = atomic_load(&traffic->torn);
    for (uint32_t i = 0; i < MOST; i++) {
        uint8_t seen = atomic_load(&traffic->seen[i]);
        bool sent = i / SENDERS < atomic_load(&traffic->numbers[i % SENDERS]);
        figures->lost += sent && seen == 0;
        figures->duplicated += seen > sent;
    }
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
    traffic->deadline = rig_deadline(PIPC_SECONDS(2));
    if (traffic->deadline == INT64_MAX)
        traffic->deadline = test_now() + PIPC_SECONDS(60);
    traffic->senders = SENDERS;
    for (unsigned i = 0; i < SENDERS + RECEIVERS; i++) {
        workers[i] = (struct worker){traffic, i, i % 2 ? SA_RESTART : 0};
        children[i] = test_fork(i < SENDERS ? send_all : receive_all, &workers[i]);
    }
    int64_t limit = traffic->deadline - test_now() + 2 * HANG;
    for (unsigned i = 0; i < SENDERS + RECEIVERS; i++)
        figures.hangs += test_wait(children[i], limit) != 0;
    settle_accounts(traffic, &figures);
    queue_check_room(queue, PLACES, 64);
    queue_end(queue, "traffic");
    rig_tell(&figures);
}

/* ---- Making, opening, removing ---- */

enum { MEMORY = 3 << 20, MESSAGES = 300 };

static void live_a_queue(void)
{
    pipc_queue *queue, *other;
    pipc_queue_options options = {.max_messages = MESSAGES, .max_size = LARGEST};
    pipc_queue_info info;
    REQUIRE_OK(pipc_queue_open(&queue, test_name("born"), PIPC_CREATE | PIPC_EXCLUSIVE, &options));
    REQUIRE_OK(pipc_queue_open(&other, test_name("born"), 0, NULL));
    REQUIRE_OK(queue_send(queue, 1, 0, 5, LARGEST, PIPC_NOWAIT));
    REQUIRE_OK(pipc_queue_statistics(other, &info));
    CHECK_EQUAL(info.messages, 1);
    queue_expect(other, pipc_any(), 5);
    REQUIRE_OK(pipc_queue_purge(other, NULL));
    REQUIRE_OK(pipc_queue_close(other));
    REQUIRE_OK(pipc_queue_remove(test_name("born")));
    REQUIRE_ERROR(pipc_queue_open(&other, test_name("born"), 0, NULL), NOT_FOUND);
    REQUIRE_ERROR(pipc_queue_statistics(queue, &info), REMOVED);
    REQUIRE_OK(pipc_queue_close(queue));
}

static void live_a_memory(void)
{
    pipc_shm *shm, *other;
    unsigned char *bytes, *seen;
    pipc_shm_options options = {.size = MEMORY};
    REQUIRE_OK(pipc_shm_open(&shm, test_name("born"), PIPC_CREATE | PIPC_PREFAULT, &options));
    REQUIRE_OK(pipc_shm_open(&other, test_name("born"), PIPC_READ, NULL));
    REQUIRE_OK(pipc_shm_map(shm, PIPC_READ | PIPC_WRITE, (void **)&bytes));
    REQUIRE_OK(pipc_shm_map(other, PIPC_READ | PIPC_PREFAULT, (void **)&seen));
    CHECK_EQUAL(seen[MEMORY - 1], 0);
    bytes[MEMORY - 1] = 77;
    CHECK_EQUAL(seen[MEMORY - 1], 77);
    REQUIRE_OK(pipc_shm_unmap(shm, bytes));
    REQUIRE_OK(pipc_shm_close(shm));
    REQUIRE_OK(pipc_shm_remove(test_name("born")));
    REQUIRE_OK(pipc_shm_close(other));
}

static void objects_are_made_and_removed_in_a_storm_of_signals(void)
{
    struct rig_figures figures = {.rig = "eintr: opening"};
    int64_t deadline = rig_deadline(PIPC_SECONDS(2));
    uint64_t rounds = rig_trials(10000, 9000);
    for (uint64_t round = 0; round < rounds && test_now() < deadline; round++) {
        int64_t began = test_now();
        storm_begins(round % 2 ? SA_RESTART : 0);
        live_a_queue();
        live_a_memory();
        storm_ends();
        figures.hangs += test_now() - began > HANG;
        figures.trials++;
    }
    CHECK(handled > 10);
    rig_tell(&figures);
}

/* A builder that is stopped keeps the others waiting for one second, whatever signals come. */
static int build_slowly(void *argument)
{
    points_stop_at(points_find(argument), 1);
    queue_end(queue_make("slow", 4, 64), "slow");
    return 0;
}

static void expect_busy(int error, int64_t began, struct rig_figures *figures)
{
    int64_t took = test_now() - began;
    CHECK_ERROR(error, BUSY);
    CHECK(took >= PIPC_SECONDS(1));
    figures->hangs += took > HANG;
    if (took - PIPC_SECONDS(1) > figures->worst_delay)
        figures->worst_delay = took - PIPC_SECONDS(1);
    figures->trials++;
}

static void a_stopped_builder_is_waited_for_in_a_storm_of_signals(void)
{
    struct rig_figures figures = {.rig = "eintr: builder"};
    pipc_queue *queue;
    pid_t builder = test_fork(build_slowly, "create: no kernel queue yet");
    siginfo_t stopped;
    REQUIRE(waitid(P_PID, (id_t)builder, &stopped, WSTOPPED | WNOWAIT) == 0);
    for (int round = 0; round < (rig_is_long() ? 10 : 1); round++) {
        storm_begins(round % 2 ? 0 : SA_RESTART);
        int64_t began = test_now();
        expect_busy(pipc_queue_open(&queue, test_name("slow"), 0, NULL), began, &figures);
        began = test_now();
        expect_busy(pipc_queue_open(&queue, test_name("slow"), PIPC_CREATE, NULL), began, &figures);
        began = test_now();
        expect_busy(pipc_queue_remove(test_name("slow")), began, &figures);
        storm_ends();
    }
    kill(builder, SIGCONT);
    CHECK_EQUAL(test_wait(builder, HANG), 0);
    rig_tell(&figures);
}

static const struct test tests[] = {
    {"Q12 Q7", "no_wait_ends_early_in_a_storm_of_signals", no_wait_ends_early_in_a_storm_of_signals, 0},
    {"Q12 Q4", "traffic_is_whole_in_a_storm_of_signals", traffic_is_whole_in_a_storm_of_signals, 180},
    {"Q12 Q2", "objects_are_made_and_removed_in_a_storm_of_signals", objects_are_made_and_removed_in_a_storm_of_signals,
     0},
    {"Q12 Q2", "a_stopped_builder_is_waited_for_in_a_storm_of_signals",
     a_stopped_builder_is_waited_for_in_a_storm_of_signals, 120},
};

TEST_MAIN("eintr", tests)
