/* The ring of a channel: records one behind the other, each with a head of 16 bytes, at positions that only grow
 * (a position modulo the ring's size is a place in it).
 *
 *     EMPTY --reserve--> RESERVED --commit--> WHOLE
 *                            \---cancel, or its owner is dead--> VOID
 *
 * The word at the position where the next record will begin is always EMPTY: whoever puts a record there first empties
 * the word behind it, then fills it in, then sets its word. So a reader needs to look at nothing but the word at its
 * own position, and a producer killed between any two instructions has shown a record whole or not at all. A record
 * never wraps: where it would, a VOID one fills the ring up to its end.
 */
#ifndef PIPC_CORE_RING_H
#define PIPC_CORE_RING_H

#include <stdatomic.h>
#include <stdbool.h>
#include <stdint.h>

enum pipc_record_state { PIPC_RECORD_EMPTY, PIPC_RECORD_RESERVED, PIPC_RECORD_WHOLE, PIPC_RECORD_VOID };

struct pipc_record_head {
    _Atomic uint64_t word; /* [identity of the owner thread if RESERVED, size if WHOLE 62 | state 2] */
    uint32_t span;         /* bytes to the next head */
    uint32_t number;       /* of the record; of a VOID one that fills up: of the next */
};

#define PIPC_RECORD_ALIGN  16u
#define PIPC_RECORD_FILLER ((uint64_t)PIPC_RECORD_VOID) /* fills the ring up to its end */
#define PIPC_RECORD_GIVEN_UP                                                                                           \
    ((uint64_t)PIPC_RECORD_VOID | UINT64_C(1) << 2) /* was reserved and will never be whole                            \
                                                     */

_Static_assert(sizeof(struct pipc_record_head) == PIPC_RECORD_ALIGN, "bodies are aligned as heads are");

/* A process's own view, verified at opening. */
struct pipc_ring {
    unsigned char *bytes;
    uint64_t size; /* a power of two */
};

static inline enum pipc_record_state pipc_record_state(uint64_t word)
{
    return (enum pipc_record_state)(word & 3);
}

static inline uint64_t pipc_record_word(enum pipc_record_state state, uint64_t rest)
{
    return rest << 2 | state;
}

static inline struct pipc_record_head *pipc_ring_at(const struct pipc_ring *ring, uint64_t position)
{
    return (struct pipc_record_head *)(void *)(ring->bytes + (position & (ring->size - PIPC_RECORD_ALIGN)));
}

/* Bytes from a position to the ring's end. */
static inline uint64_t pipc_ring_rest(const struct pipc_ring *ring, uint64_t position)
{
    return ring->size - (position & (ring->size - PIPC_RECORD_ALIGN));
}

/* Bytes that a record of this size takes, its head included. */
static inline uint64_t pipc_record_span(uint64_t size)
{
    return (size + sizeof(struct pipc_record_head) + PIPC_RECORD_ALIGN - 1) & ~(uint64_t)(PIPC_RECORD_ALIGN - 1);
}

static inline uint64_t pipc_ring_largest(uint64_t ring_size)
{
    return ring_size / 4 - sizeof(struct pipc_record_head);
}

/* What a head says, read once and made possible whatever a hostile peer wrote there: within the ring, going on. */
static inline uint64_t pipc_ring_span(const struct pipc_ring *ring, uint64_t position)
{
    uint64_t span = ((const volatile struct pipc_record_head *)pipc_ring_at(ring, position))->span;
    uint64_t rest = pipc_ring_rest(ring, position);
    span &= ~(uint64_t)(PIPC_RECORD_ALIGN - 1);
    return span == 0 ? PIPC_RECORD_ALIGN : span < rest ? span : rest;
}

static inline uint64_t pipc_ring_body_size(const struct pipc_ring *ring, uint64_t position, uint64_t word)
{
    uint64_t most = pipc_ring_rest(ring, position) - sizeof(struct pipc_record_head), size = word >> 2;
    if (most > pipc_ring_largest(ring->size))
        most = pipc_ring_largest(ring->size);
    return size < most ? size : most;
}

static inline void *pipc_ring_body(const struct pipc_ring *ring, uint64_t position)
{
    return pipc_ring_at(ring, position) + 1;
}

static inline uint32_t pipc_ring_number(const struct pipc_ring *ring, uint64_t position)
{
    return ((const volatile struct pipc_record_head *)pipc_ring_at(ring, position))->number;
}

static inline uint64_t pipc_ring_word(const struct pipc_ring *ring, uint64_t position)
{
    return atomic_load_explicit(&pipc_ring_at(ring, position)->word, memory_order_acquire);
}

#endif
