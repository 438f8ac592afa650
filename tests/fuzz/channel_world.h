/* What a channel should hold: the plain model that channel_calls_fuzz compares with. */
#ifndef CHANNEL_WORLD_H
#define CHANNEL_WORLD_H

#include "fuzz.h"
#include <string.h>

enum { RING = 4096, LARGEST = RING / 4 - 16, HANDLES = 3, ENTRIES = 4096, SHOWN = 8, ALIGN = 16 };

enum state { FILLER, RESERVED, WHOLE, GIVEN_UP };

struct entry {
    uint64_t at, end, size;
    uint32_t number;
    enum state state;
    int handle;
    unsigned char *data;
};

struct reader {
    uint64_t position;
    uint32_t number;
    /* While it is peeked at. */
    int by; /* handle + 1; 0: nobody */
    uint64_t from;
    uint32_t shown[SHOWN], count; /* entries */
    uint64_t missed;
};

/* What should be true. */
struct world {
    uint32_t producers, delivery;
    struct entry entries[ENTRIES];
    uint32_t first, last; /* of them: those that are not overwritten; behind the last */
    uint64_t head, oldest;
    uint32_t number, cancelled;
    uint64_t received, missed;
    struct reader readers[HANDLES];
    pipc_channel *handles[HANDLES];
    uint32_t open[HANDLES]; /* PRODUCERS_MANY: what each handle reserved and did not settle; others may have since */
    int producer;           /* PRODUCERS_ONE: the handle + 1 that has the lock */
};

static struct world world;

static bool is_many(void)
{
    return world.producers == PIPC_PRODUCERS_MANY;
}

static bool is_once(void)
{
    return world.delivery == PIPC_DELIVER_ONCE;
}

static struct reader *reader_of(int handle)
{
    return &world.readers[is_once() ? 0 : handle];
}

static bool listens(int handle)
{
    return is_once() ? handle == 0 : world.handles[handle] != NULL;
}

/* ---- The ring ---- */

static uint64_t rest_of(uint64_t at)
{
    return RING - at % RING;
}

static uint64_t slowest(void)
{
    uint64_t least = world.head;
    for (int i = 0; i < HANDLES; i++)
        if (listens(i) && world.readers[i].position < least)
            least = world.readers[i].position;
    for (uint32_t i = world.first; is_many() && !is_once() && i < world.last; i++)
        if (world.entries[i].state == RESERVED && world.entries[i].at < least)
            least = world.entries[i].at;
    return least;
}

/* DELIVER_LATEST: the oldest go until there is room, or a reservation stands there. */
static void overwrite(uint64_t need)
{
    while (need - world.oldest > RING && world.first < world.last && world.oldest < world.head) {
        struct entry *entry = &world.entries[world.first];
        if (entry->state == RESERVED)
            return;
        world.oldest = entry->end;
        world.first++;
    }
}

static bool has_room(uint64_t need)
{
    if (world.delivery != PIPC_DELIVER_LATEST)
        return need <= slowest() + RING;
    overwrite(need);
    return need - world.oldest <= RING;
}

/* Where the next reservations begin: behind those that are held, or at the head. */
static uint64_t next_place(void)
{
    return world.producer ? world.entries[world.last - 1].end : world.head;
}

/* Puts an entry, and a filler before it where it wraps. NULL: no room. */
static struct entry *put(uint64_t size, enum state state, int handle)
{
    uint64_t span = (size + 16 + ALIGN - 1) / ALIGN * ALIGN, from = next_place(), at = from;
    if (span > rest_of(at))
        at += rest_of(at);
    if (!has_room(at + span + ALIGN))
        return NULL;
    EXPECT(world.last + 2 < ENTRIES);
    if (at != from)
        world.entries[world.last++] = (struct entry){.at = from, .end = at, .number = world.number, .state = FILLER};
    struct entry *entry = &world.entries[world.last++];
    *entry = (struct entry){.at = at, .end = at + span, .size = size, .state = state, .handle = handle};
    return entry;
}

static void count_in(struct entry *entry)
{
    entry->number = world.number++;
    world.head = entry->end;
}

static uint32_t entry_at(uint64_t at)
{
    uint32_t i = world.first;
    while (i < world.last && world.entries[i].at < at)
        i++;
    return i;
}

#endif
