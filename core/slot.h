/* The slots' words: the capacity of a queue, and who holds it.
 *
 * [identity of the owner thread 50 | generation 12 | state 2]. The owner is 0 except in RESERVED.
 *
 *     FREE --reserve--> RESERVED --confirm--> SENT --claim--> FULL --release--> FREE
 *
 * Only its owner, a claim by the lock's holder, or a takeover from the provably dead changes RESERVED;
 * only the lock's holder changes SENT and FULL. The generation rises with each reservation, so that a
 * late compare-and-swap of a sender that was stopped hits nothing but its own. Modelled, with the functions that
 * move the words, in tests/models/slots.pml.
 */
#ifndef PIPC_CORE_SLOT_H
#define PIPC_CORE_SLOT_H

#include "core/control.h"

enum pipc_slot_state { PIPC_SLOT_FREE, PIPC_SLOT_RESERVED, PIPC_SLOT_SENT, PIPC_SLOT_FULL };

#define PIPC_GENERATION_MASK 0xfffu

/* How many reservations one call judges dead or alive, which costs system calls: more than there are sending
 * threads as a rule, and few enough that a peer who writes reservations into a million slots holds nobody up. */
#define PIPC_MOST_JUDGED 500

static inline enum pipc_slot_state pipc_word_state(uint64_t word)
{
    return (enum pipc_slot_state)(word & 3);
}

static inline uint32_t pipc_word_generation(uint64_t word)
{
    return (uint32_t)(word >> 2) & PIPC_GENERATION_MASK;
}

static inline uint64_t pipc_word_owner(uint64_t word)
{
    return word >> 14;
}

static inline uint64_t pipc_word_make(enum pipc_slot_state state, uint32_t generation, uint64_t owner)
{
    return owner << 14 | (uint64_t)(generation & PIPC_GENERATION_MASK) << 2 | state;
}

/* The same generation in another state, owned by nobody. */
static inline uint64_t pipc_word_as(uint64_t word, enum pipc_slot_state state)
{
    return pipc_word_make(state, pipc_word_generation(word), 0);
}

static inline bool pipc_slot_is_full(const struct pipc_queue *queue, uint32_t slot)
{
    return pipc_word_state(atomic_load(&queue->words[slot])) == PIPC_SLOT_FULL;
}

/* A ticket: unique, rising. */
static inline uint64_t pipc_ticket(struct pipc_queue *queue)
{
    return atomic_fetch_add(&queue->control->tickets, 1) + 1;
}

/* Word seen as `seen` -> RESERVED by this thread. */
static inline bool pipc_slot_reserve_seen(struct pipc_queue *queue, uint32_t slot, uint64_t seen, uint64_t *word)
{
    *word = pipc_word_make(PIPC_SLOT_RESERVED, pipc_word_generation(seen) + 1, pipc_queue_self(queue));
    /* model: slots.pml, pipc_slot_reserve_at */
    bool mine = atomic_compare_exchange_strong(&queue->words[slot], &seen, *word);
    PIPC_POINT("slot: reserved");
    return mine;
}

static inline bool pipc_slot_reserve_at(struct pipc_queue *queue, uint32_t slot, uint64_t *word)
{
    uint64_t seen = atomic_load(&queue->words[slot]); /* model: slots.pml, pipc_slot_reserve_at */
    return pipc_word_state(seen) == PIPC_SLOT_FREE && pipc_slot_reserve_seen(queue, slot, seen, word);
}

/* Reserves a free slot for this thread: the place used last, if it is free. 0; PIPC_E_FULL (sets no detail): at one
 * instant during the call no slot was free; or PIPC_E_BUSY: the others are so quick that nobody can tell. */
int pipc_slot_reserve_other(struct pipc_queue *queue, uint32_t *slot, uint64_t *word);
static inline int pipc_slot_reserve(struct pipc_queue *queue, uint32_t *slot, uint64_t *word)
{
    *slot = atomic_load_explicit(&queue->hint, memory_order_relaxed); /* model: slots.pml, reserve */
    return pipc_slot_reserve_at(queue, *slot, word) ? 0 : pipc_slot_reserve_other(queue, slot, word);
}

/* Gives a reservation back unused, and wakes a sender. */
void pipc_slot_cancel(struct pipc_queue *queue, uint32_t slot, uint64_t word);

/* Frees a FULL slot (lock held); the caller bumps the room word afterwards. */
static inline void pipc_slot_free(struct pipc_queue *queue, uint32_t slot)
{
    uint64_t word = atomic_load_explicit(&queue->words[slot], memory_order_relaxed);
    /* An exchange, not a store: it orders the freeing before the look at the room word's marks. */
    atomic_exchange(&queue->words[slot], pipc_word_as(word, PIPC_SLOT_FREE)); /* model: slots.pml, take_and_free */
    atomic_store_explicit(&queue->control->free_hint, slot, memory_order_relaxed);
}

/* Messages sent and not gone, by the counters: too many by those that the killed took along. */
static inline uint64_t pipc_messages_in_books(struct pipc_control *control)
{
    uint64_t gone = atomic_load(&control->received) + atomic_load(&control->purged);
    uint64_t sent = pipc_sent(control);
    return sent > gone ? sent - gone : 0;
}

#endif
