/* A peer that may write a channel's pages does its worst (G6): whatever stands in the control area, in the readers'
 * table and in the ring, no call crashes, writes beyond its buffer or outstays its time. */
#include "core/object.h"
#include "prey.h"
#include "support_queue.h"
#include "watch.h"

static struct prey prey;

/* ---- Each byte ---- */

static uint64_t scattered(uint64_t number, uint64_t total)
{
    return number % total * 1000000007 % total;
}

enum { HEADER = sizeof(struct pipc_object), HEADS = 3 * 16 };

enum { BYTES = HEADER + PREY_CONTROL + HEADS };

/* The kinds take turns: they share the code that a byte is read by. */
static const uint64_t strokes = (uint64_t)PREY_CALLS * BYTES * 256;

struct stroke {
    unsigned char *at;
    unsigned char value;
};

static void strike(void *argument)
{
    const struct stroke *stroke = argument;
    *stroke->at = stroke->value;
}

/* The heads of the first records: 16 bytes each, one PREY_SIZE + 16 rounded up behind the other. */
static unsigned char *byte_of(const pipc_channel *channel, size_t byte)
{
    if (byte < HEADER)
        return (unsigned char *)channel->object + byte;
    byte -= HEADER;
    if (byte < PREY_CONTROL)
        return (unsigned char *)channel->control + byte;
    byte -= PREY_CONTROL;
    return channel->ring.bytes + byte / 16 * pipc_record_span(PREY_SIZE) + byte % 16;
}

static void scribble_byte(void *argument, uint64_t number)
{
    struct prey *it = argument;
    uint64_t which = scattered(number, strokes);
    enum prey_call call = (enum prey_call)(which % PREY_CALLS);
    size_t byte = which / PREY_CALLS % BYTES;
    struct stroke stroke = {.value = (unsigned char)(which / PREY_CALLS / BYTES)};
    unsigned kind = (unsigned)(call + byte + stroke.value) % PREY_KINDS;
    bool halves =
        (call == PREY_COMMIT || call == PREY_CANCEL || call == PREY_RELEASE_ALL || call == PREY_RELEASE_SOME) &&
        number % 2;
    prey_prepare(it, kind, call);
    stroke.at = byte_of(it->kinds[kind].channel, byte);
    watch_doing("channel %u, byte %zu of header %u, control %u, heads %u set to 0x%02x %s %s", kind, byte, HEADER,
                PREY_CONTROL, HEADS, stroke.value, halves ? "in the middle of" : "before", prey_call_name(call));
    it->between = halves ? strike : NULL;
    it->between_argument = &stroke;
    if (!halves)
        strike(&stroke);
    prey_watched_call(it, kind, call);
    it->between = NULL;
}

static void every_value_of_each_live_byte_under_each_call(void)
{
    watch_trials(&(struct watch){"hostile-channel-bytes", prey_begin, scribble_byte, prey_end, &prey, strokes,
                                 rig_deadline(PIPC_SECONDS(2))});
}

/* ---- At random ---- */

static void scribble_at_random(void *argument, uint64_t number)
{
    struct prey *it = argument;
    uint64_t random = number * 2 + 1;
    test_random(&random, 2);
    enum prey_call first = (enum prey_call)test_random(&random, PREY_OPEN);
    unsigned kind = test_random(&random, PREY_KINDS);
    struct prey_scribbles scribbles = {it, it->kinds[kind].channel, random, 1 + test_random(&random, 8)};
    uint32_t calls = 1 + test_random(&random, 4);
    watch_doing("channel %u, %u random writes, then %u calls from %s on", kind, scribbles.count, calls,
                prey_call_name(first));
    prey_prepare(it, kind, first);
    it->between = test_random(&random, 2) ? prey_scribble : NULL;
    it->between_argument = &scribbles;
    prey_scribble(&scribbles);
    prey_watched_call(it, kind, first);
    for (uint32_t i = 1; i < calls; i++) {
        scribbles.channel = it->kinds[kind].channel; /* it may be a new one */
        prey_watched_call(it, kind,
                          (enum prey_call)test_random(&random, test_random(&random, 8) ? PREY_OPEN : PREY_CALLS));
    }
    it->between = NULL;
}

static void control_readers_and_ring_at_random(void)
{
    watch_trials(&(struct watch){"hostile-channel-ring", prey_begin, scribble_at_random, prey_end, &prey,
                                 rig_trials(100000, 2000000), rig_deadline(PIPC_SECONDS(2))});
}

static const struct test tests[] = {
    {"G6", "every_value_of_each_live_byte_under_each_call", every_value_of_each_live_byte_under_each_call, 120},
    {"G6", "control_readers_and_ring_at_random", control_readers_and_ring_at_random, 120},
};

TEST_MAIN("hostile_channel", tests)
