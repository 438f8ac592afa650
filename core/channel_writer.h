/* The producers' side of a channel, as sending and committing share it. The order of the stores in pipc_ring_show() and
 * its callers is what makes a death at any instant harmless; ring.h has the rule. */
#ifndef PIPC_CORE_CHANNEL_WRITER_H
#define PIPC_CORE_CHANNEL_WRITER_H

#include "core/channel.h"

/* Where a record goes. */
struct pipc_place {
    uint64_t from; /* where the filler begins, if the record does not fit before the ring's end */
    uint64_t at;
    uint64_t end; /* where the next record will begin */
};

static inline struct pipc_place pipc_place_at(const struct pipc_ring *ring, uint64_t from, uint64_t size)
{
    uint64_t span = pipc_record_span(size), rest = pipc_ring_rest(ring, from);
    struct pipc_place place = {.from = from, .at = span > rest ? from + rest : from};
    place.end = place.at + span;
    return place;
}

/* Room up to this position? Looks at the readers anew; DELIVER_LATEST gives up the oldest records. Lock held. */
bool pipc_channel_find_room(struct pipc_channel *channel, uint64_t need);

/* The word behind the record is emptied, so its place must be free too. Lock held. */
static inline bool pipc_channel_has_room(struct pipc_channel *channel, const struct pipc_place *place)
{
    uint64_t need = place->end + PIPC_RECORD_ALIGN;
    return need <= channel->control->writer.limit || pipc_channel_find_room(channel, need);
}

static inline void pipc_ring_set_head(const struct pipc_ring *ring, uint64_t at, uint64_t span, uint32_t number,
                                      uint64_t word)
{
    struct pipc_record_head *head = pipc_ring_at(ring, at);
    head->span = (uint32_t)span;
    head->number = number;
    atomic_store_explicit(&head->word, word, memory_order_release);
}

/* The chain of heads begins at place->from: what stands there is set last. */
static inline void pipc_ring_show(const struct pipc_ring *ring, const struct pipc_place *place, uint32_t number,
                                  uint64_t word)
{
    pipc_ring_set_head(ring, place->at, place->end - place->at, number, word);
    PIPC_POINT("channel: record set, filler not");
    if (place->from != place->at)
        pipc_ring_set_head(ring, place->from, place->at - place->from, number, PIPC_RECORD_FILLER);
}

static inline void pipc_ring_empty(const struct pipc_ring *ring, uint64_t position)
{
    /* model: channel.pml, clear */
    atomic_store_explicit(&pipc_ring_at(ring, position)->word, PIPC_RECORD_EMPTY, memory_order_relaxed);
}

static inline void pipc_writer_advance(struct pipc_writer *writer, uint64_t end, uint32_t records)
{
    writer->number += records;
    atomic_store_explicit(&writer->sent, atomic_load_explicit(&writer->sent, memory_order_relaxed) + records,
                          memory_order_relaxed);
    PIPC_POINT("channel: counted, head not moved");
    atomic_store_explicit(&writer->head, end, memory_order_release);
}

/* Many producers: where room will be made next, if no reservation stands there. */
static inline const _Atomic uint64_t *pipc_channel_first(const struct pipc_channel *channel)
{
    return channel->delivery == PIPC_DELIVER_ONCE ? &pipc_channel_reader(channel, 0)->position
                                                  : &channel->control->writer.oldest;
}

static inline void pipc_channel_unlock_writer(struct pipc_channel *channel, uint64_t self)
{
    pipc_channel_unlock(&channel->control->writer.lock, self);
}

/* After something was committed or cancelled. */
void pipc_channel_wake_others(struct pipc_channel *channel);

static inline bool pipc_channel_is_producer(struct pipc_channel *channel, uint64_t self)
{
    return atomic_load_explicit(&channel->producer, memory_order_relaxed) == self;
}

/* Many producers: RESERVED -> WHOLE or given up. Nobody else touches the reservation of the living. */
static inline bool pipc_channel_settle(struct pipc_channel *channel, uint64_t self, uint64_t position, uint64_t word)
{
    uint64_t mine = pipc_record_word(PIPC_RECORD_RESERVED, self);
    /* model: channel.pml, pipc_channel_settle */
    return atomic_compare_exchange_strong(&pipc_ring_at(&channel->ring, position)->word, &mine, word);
}

#endif
