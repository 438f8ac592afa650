/* The soak: 64 processes and very many messages. Each message is verified, and comes exactly once and in its
 * sender's order; nobody's memory grows, and nothing is left of handles that come and go. */
#include <inttypes.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "probe.h"
#include "rig.h"
#include "support_queue.h"

#define PATIENCE PIPC_SECONDS(60) /* of a call that must succeed: only a hang takes so long */
#define LAST     UINT32_MAX       /* the number of a sender's last message, which ends one receiver */

enum { QUEUES = 4, A_QUEUE = 8, SENDERS = QUEUES * A_QUEUE, RECEIVERS = SENDERS };
enum { PLACES = 200, LARGEST = 9000, MESSAGES_A_HANDLE = 20, SETTLED = 100, GROWTH_KB = 100 };

/* The address sanitizer's, which keeps what was freed. */
extern void __asan_init(void) __attribute__((weak));

/* A sum in which each number counts, whatever their order. */
struct account {
    _Atomic uint64_t count, sum;
};

struct soak {
    uint64_t each; /* messages of a sender */
    int64_t until;
    _Atomic uint64_t misplaced, grown_kb, files, mappings, ended;
    struct account sent[SENDERS], received[SENDERS];
};

/* One process: it begins with its queue's name, and now and then closes its handle and opens another. */
struct stay {
    struct soak *soak;
    unsigned place; /* among the senders, or the receivers */
    pipc_queue *queue;
    uint64_t done, reopened;
    uint64_t memory_kb, files, mappings; /* when it had settled */
};

/* ---- What they gather ---- */

static uint64_t resident_kb(void)
{
    char line[200];
    unsigned long long kb = 0;
    FILE *file = fopen("/proc/self/status", "re");
    REQUIRE(file != NULL);
    while (fgets(line, sizeof line, file) && sscanf(line, "VmRSS: %llu", &kb) != 1)
        ;
    fclose(file);
    REQUIRE(kb > 0);
    return kb;
}

static void raise_to(_Atomic uint64_t *most, uint64_t value)
{
    uint64_t before = atomic_load(most);
    while (before < value && !atomic_compare_exchange_weak(most, &before, value))
        ;
}

static uint64_t excess(uint64_t now, uint64_t before)
{
    return now > before ? now - before : 0;
}

/* Looked at while no queue is open: how much of one has been touched is no growth. */
static void look(struct stay *stay)
{
    struct soak *soak = stay->soak;
    uint64_t memory_kb = resident_kb(), files = rig_entries("/proc/self/fd");
    uint64_t mappings = rig_entries("/proc/self/map_files");
    if (stay->reopened == SETTLED) {
        stay->memory_kb = memory_kb;
        stay->files = files;
        stay->mappings = mappings;
    }
    raise_to(&soak->grown_kb, excess(memory_kb, stay->memory_kb));
    raise_to(&soak->files, excess(files, stay->files));
    raise_to(&soak->mappings, excess(mappings, stay->mappings));
}

static void reopen(struct stay *stay)
{
    REQUIRE_OK(pipc_queue_close(stay->queue));
    if (++stay->reopened % SETTLED == 0)
        look(stay);
    REQUIRE_OK(pipc_queue_open(&stay->queue, test_numbered("soak", stay->place / A_QUEUE), 0, NULL));
}

static void begin(struct stay *stay)
{
    stay->queue = NULL;
    reopen(stay);
}

static void count_one(struct stay *stay)
{
    stay->done++;
    if (stay->done % MESSAGES_A_HANDLE == 0)
        reopen(stay);
}

/* ---- What they do ---- */

static uint64_t mixed(uint64_t number)
{
    uint64_t hash = (number + 1) * UINT64_C(0x9e3779b97f4a7c15);
    hash = (hash ^ hash >> 29) * UINT64_C(0xbf58476d1ce4e5b9);
    return hash ^ hash >> 32;
}

static uint64_t size_of(uint64_t number)
{
    uint64_t dice = mixed(number);
    return dice % 1000 == 0 ? LARGEST - dice / 1000 % 500 : 8 + dice % 93;
}

static uint32_t priority_of(uint64_t number)
{
    return (uint32_t)number == LAST ? 0 : (uint32_t)(mixed(number) >> 50) % 2 * 7;
}

static void send_number(struct stay *stay, uint64_t number)
{
    REQUIRE_OK(queue_send(stay->queue, 1 + stay->place, priority_of(number), number, size_of(number), PATIENCE));
}

static int send_all(void *argument)
{
    struct stay stay = *(struct stay *)argument;
    uint64_t sum = 0, first = (uint64_t)stay.place << 32;
    begin(&stay);
    while (stay.done < stay.soak->each && test_now() < stay.soak->until) {
        uint64_t number = first + stay.done;
        send_number(&stay, number);
        sum += mixed(number);
        count_one(&stay);
    }
    send_number(&stay, first + LAST);
    REQUIRE_OK(pipc_queue_close(stay.queue));
    atomic_store(&stay.soak->sent[stay.place].count, stay.done);
    atomic_store(&stay.soak->sent[stay.place].sum, sum);
    atomic_fetch_add(&stay.soak->ended, 1);
    return 0;
}

/* The numbers of a sender rise within a priority. */
struct hearing {
    uint64_t next[2], count, sum;
};

static bool hear(struct soak *soak, struct hearing *hearings, const struct queue_got *got)
{
    uint64_t sender = got->number >> 32, sequence = got->number & LAST;
    REQUIRE(got->whole && sender < SENDERS && got->type == 1 + sender);
    REQUIRE(got->size == size_of(got->number) && got->priority == priority_of(got->number));
    if (sequence == LAST)
        return false;
    struct hearing *hearing = &hearings[sender];
    uint64_t *next = &hearing->next[got->priority > 0];
    atomic_fetch_add(&soak->misplaced, sequence < *next);
    *next = sequence + 1;
    hearing->count++;
    hearing->sum += mixed(got->number);
    return true;
}

static int receive_until_the_last(void *argument)
{
    struct stay stay = *(struct stay *)argument;
    struct hearing hearings[SENDERS] = {0};
    struct queue_got got;
    begin(&stay);
    for (;;) {
        REQUIRE_OK(queue_receive(stay.queue, pipc_any(), &got, PATIENCE));
        if (!hear(stay.soak, hearings, &got))
            break;
        count_one(&stay);
    }
    REQUIRE_OK(pipc_queue_close(stay.queue));
    for (unsigned sender = 0; sender < SENDERS; sender++) {
        atomic_fetch_add(&stay.soak->received[sender].count, hearings[sender].count);
        atomic_fetch_add(&stay.soak->received[sender].sum, hearings[sender].sum);
    }
    atomic_fetch_add(&stay.soak->ended, 1);
    return 0;
}

/* ---- The test ---- */

/* Nothing comes and nothing goes but what the test itself made. */
static void watch(struct soak *soak, unsigned objects)
{
    while (atomic_load(&soak->ended) < SENDERS + RECEIVERS && test_failures() == 0) {
        CHECK_EQUAL(probe_count(test_prefix()), objects);
        test_sleep(PIPC_MS(200));
    }
}

static void weigh(const struct soak *soak, struct rig_figures *figures)
{
    for (unsigned sender = 0; sender < SENDERS; sender++) {
        const struct account *sent = &soak->sent[sender], *received = &soak->received[sender];
        bool complete = sent->count == received->count && sent->sum == received->sum;
        figures->trials += sent->count;
        figures->lost += sent->count > received->count ? sent->count - received->count : 0;
        figures->duplicated += sent->count < received->count ? received->count - sent->count : 0;
        figures->duplicated += sent->count == received->count && !complete;
        CHECK(complete);
    }
    figures->torn = soak->misplaced;
    figures->leaks = soak->files + soak->mappings;
    CHECK_EQUAL(soak->misplaced, 0);
    CHECK_EQUAL(soak->files, 0);
    CHECK_EQUAL(soak->mappings, 0);
    CHECK(__asan_init || soak->grown_kb < GROWTH_KB);
}

static void sixty_four_processes_lose_nothing_and_gather_nothing(void)
{
    struct soak *soak = test_shared(sizeof *soak);
    struct rig_figures figures = {.rig = "soak"};
    pid_t processes[SENDERS + RECEIVERS];
    pipc_queue *queues[QUEUES];
    soak->each = rig_trials(500000, 100000000) / SENDERS;
    soak->until = rig_deadline(PIPC_SECONDS(10));
    for (unsigned i = 0; i < QUEUES; i++)
        REQUIRE_OK(pipc_queue_open(&queues[i], test_numbered("soak", i), PIPC_CREATE | PIPC_EXCLUSIVE,
                                   &(pipc_queue_options){.max_messages = PLACES, .max_size = LARGEST}));
    unsigned objects = probe_count(test_prefix());
    int64_t began = test_now();
    for (unsigned i = 0; i < SENDERS + RECEIVERS; i++) {
        struct stay stay = {.soak = soak, .place = i / 2};
        processes[i] = test_fork(i % 2 ? receive_until_the_last : send_all, &stay);
    }
    watch(soak, objects);
    for (unsigned i = 0; i < SENDERS + RECEIVERS; i++)
        figures.hangs += test_wait(processes[i], PIPC_SECONDS(60)) != 0;
    double seconds = (double)(test_now() - began) / 1e9;
    weigh(soak, &figures);
    for (unsigned i = 0; i < QUEUES; i++) {
        CHECK_EQUAL(queue_info(queues[i]).messages, 0);
        queue_check_room(queues[i], PLACES, 64);
        CHECK_OK(pipc_queue_close(queues[i]));
        CHECK_OK(pipc_queue_remove(test_numbered("soak", i)));
    }
    figures.leaks += probe_count(test_prefix());
    printf("soak: %" PRIu64 " messages in %.1f s, the memory of none grew by more than %" PRIu64 " KiB\n",
           figures.trials, seconds, (uint64_t)soak->grown_kb);
    rig_tell(&figures);
}

static const struct test tests[] = {
    {"Q5 Q14 G1", "sixty_four_processes_lose_nothing_and_gather_nothing",
     sixty_four_processes_lose_nothing_and_gather_nothing, 180},
};

TEST_MAIN("soak", tests)
