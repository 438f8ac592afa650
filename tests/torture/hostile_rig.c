/* A peer that may write the shared pages does its worst (G6): whatever stands there, a call neither crashes nor
 * writes beyond its buffer nor outstays its time, and a new queue under the name works. */
#include <string.h>

#include "probe.h"
#include "support_queue.h"
#include "victim.h"
#include "watch.h"

/* The live control fields: few enough for every value of each byte. */
#define CONTROL_BYTES offsetof(struct pipc_control, max_messages)
#define FIXED_BYTES   (offsetof(struct pipc_control, max_size) + sizeof(uint64_t) - CONTROL_BYTES)

static struct victim victim;

static void begin(void *prey)
{
    victim_begin(prey, test_name("q"));
}

static void end(void *prey)
{
    victim_end(prey);
}

/* Visits all numbers below `total` in an order that is nearly random, so that a part of them is a sample. */
static uint64_t scattered(uint64_t number, uint64_t total)
{
    const uint64_t step = 1000000007; /* a prime that is no factor of any total here */
    return number % total * step % total;
}

/* ---- Each byte ---- */

static void check_answer(enum victim_call call, bool header, size_t at, int error)
{
    if (header || at >= CONTROL_BYTES)
        return;
    if (call == VICTIM_REMOVE || call == VICTIM_OPEN)
        CHECK_EQUAL(error, 0);
    if (call == VICTIM_CREATE)
        CHECK_EQUAL(error, PIPC_E_EXISTS);
}

enum { HEADER_BYTES = sizeof(struct pipc_object), BYTES = HEADER_BYTES + CONTROL_BYTES + FIXED_BYTES };

static void scribble_byte(void *prey, uint64_t number)
{
    struct victim *it = prey;
    uint64_t which = scattered(number, (uint64_t)VICTIM_CALLS * BYTES * 256);
    enum victim_call call = (enum victim_call)(which % VICTIM_CALLS);
    size_t byte = which / VICTIM_CALLS % BYTES;
    unsigned char value = (unsigned char)(which / VICTIM_CALLS / BYTES);
    bool header = byte < HEADER_BYTES;
    size_t at = header ? byte : byte - HEADER_BYTES;
    watch_doing("byte %zu of the %s set to 0x%02x, then: %s", at, header ? "header" : "control area", value,
                victim_call_name(call));
    victim_prepare(it, call);
    (header ? it->state.header : it->state.data)[at] = value;
    int error = victim_call(it, call);
    check_answer(call, header, at, error);
    if (number % 64 == 0 && call < VICTIM_OPEN)
        victim_renew(it, !header);
}

static void every_value_of_each_live_byte_under_each_call(void)
{
    watch_trials(&(struct watch){"hostile-bytes", begin, scribble_byte, end, &victim,
                                 (uint64_t)VICTIM_CALLS * BYTES * 256, rig_deadline(PIPC_SECONDS(6))});
}

/* ---- Slots, links, orders, notes, staging: at random ---- */

static uint64_t random_value(uint64_t *random)
{
    uint64_t any = (uint64_t)test_random(random, UINT32_MAX) << 32 | test_random(random, UINT32_MAX);
    const uint64_t values[] = {
        0,          1,         2,         VICTIM_PLACES, VICTIM_PLACES + 1, VICTIM_SIZE + 1, UINT32_MAX,
        UINT64_MAX, INT32_MAX, INT64_MAX, any,           any & 0xff,        any & 0xffff,    any & UINT32_MAX};
    return values[test_random(random, sizeof values / sizeof *values)];
}

/* Where a scribble begins: mostly in the words and slots, else anywhere before the bodies. */
static size_t random_place(const struct victim *it, uint64_t *random, size_t width)
{
    const struct pipc_queue *queue = it->queue;
    size_t words = (size_t)((unsigned char *)queue->words - it->state.data), first = 0, end = it->state.data_bytes;
    switch (test_random(random, 4)) {
    case 0:
    case 1:
        first = words;
        break;
    case 2:
        end = sizeof(struct pipc_control) + 64; /* and the first notes */
        break;
    default:
        break;
    }
    return first + test_random(random, (uint32_t)((end - first) / width)) * width;
}

/* A value, or what stands elsewhere: links that lead in circles, two messages of one slot. */
static void scribble_somewhere(const struct victim *it, uint64_t *random)
{
    size_t width = (size_t)1 << test_random(random, 4);
    unsigned char *to = it->state.data + random_place(it, random, width);
    uint64_t value = random_value(random);
    if (test_random(random, 4) == 0)
        memcpy(to, it->state.data + random_place(it, random, width), width);
    else
        memcpy(to, &value, width);
}

static void scribble_at_random(void *prey, uint64_t number)
{
    struct victim *it = prey;
    uint64_t random = number * 2 + 1;
    test_random(&random, 2);
    enum victim_call first = (enum victim_call)test_random(&random, VICTIM_OPEN);
    victim_prepare(it, first);
    uint32_t scribbles = 1 + test_random(&random, 6), calls = 1 + test_random(&random, 3);
    watch_doing("%u random writes, then %u calls from %s on", scribbles, calls, victim_call_name(first));
    for (uint32_t i = 0; i < scribbles; i++)
        scribble_somewhere(it, &random);
    victim_call(it, first);
    for (uint32_t i = 1; i < calls; i++)
        victim_call(it, (enum victim_call)test_random(&random, VICTIM_CALLS));
    if (number % 64 == 0)
        victim_renew(it, true);
}

static void slots_links_and_staging_at_random(void)
{
    watch_trials(&(struct watch){"hostile-slots", begin, scribble_at_random, end, &victim, rig_trials(100000, 1000000),
                                 rig_deadline(PIPC_SECONDS(4))});
}

/* ---- Forged messages in the kernel's queue ---- */

struct forged {
    struct pipc_envelope envelope;
    unsigned char body[8192];
};

/* What a true message of this slot would say, with up to three lies. */
static void forge(const struct pipc_queue *queue, struct forged *forged, uint64_t *random)
{
    uint32_t slot = test_random(random, VICTIM_PLACES);
    struct pipc_envelope *envelope = &forged->envelope;
    *envelope = (struct pipc_envelope){.nonce = queue->nonce,
                                       .ticket = atomic_load(&queue->slots[slot].ticket),
                                       .slot = slot,
                                       .type = 1 + test_random(random, 4),
                                       .length = test_random(random, 2) ? 8 : test_random(random, VICTIM_SIZE),
                                       .generation = (uint16_t)pipc_word_generation(atomic_load(&queue->words[slot])),
                                       .priority = (uint16_t)test_random(random, 32)};
    for (uint32_t lies = test_random(random, 4); lies > 0; lies--) {
        uint64_t value = random_value(random);
        size_t width = (size_t)1 << test_random(random, 4);
        size_t at = test_random(random, (uint32_t)(sizeof *envelope / width)) * width;
        memcpy((unsigned char *)envelope + at, &value, width);
    }
}

static void inject(const struct victim *it, uint64_t *random)
{
    static struct forged forged;
    forge(it->queue, &forged, random);
    size_t size = sizeof forged.envelope + forged.envelope.length;
    if (size > sizeof forged || test_random(random, 8) == 0)
        size = test_random(random, sizeof forged);
    memset(forged.body, (int)test_random(random, 256), 64);
    probe_queue_inject(it->name, &forged, size, test_random(random, 32));
}

static void forge_and_call(void *prey, uint64_t number)
{
    struct victim *it = prey;
    uint64_t random = number * 2 + 1;
    test_random(&random, 2);
    enum victim_call call = (enum victim_call)test_random(&random, VICTIM_OPEN);
    uint32_t forged = 1 + test_random(&random, 3);
    watch_doing("%u forged messages, then: %s", forged, victim_call_name(call));
    victim_prepare(it, call);
    for (uint32_t i = 0; i < forged; i++)
        inject(it, &random);
    victim_call(it, call);
    victim_call(it, VICTIM_RECEIVE_ANY);
    if (number % 64 == 0)
        victim_renew(it, true);
}

static void forged_messages_in_the_kernels_queue(void)
{
    watch_trials(&(struct watch){"hostile-forged", begin, forge_and_call, end, &victim, rig_trials(50000, 300000),
                                 rig_deadline(PIPC_SECONDS(2))});
}

static const struct test tests[] = {
    {"G6", "every_value_of_each_live_byte_under_each_call", every_value_of_each_live_byte_under_each_call, 120},
    {"G6", "slots_links_and_staging_at_random", slots_links_and_staging_at_random, 120},
    {"G6", "forged_messages_in_the_kernels_queue", forged_messages_in_the_kernels_queue, 120},
};

TEST_MAIN("hostile", tests)
