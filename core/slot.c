/* Reserving and freeing places; slot.h has the states. Modelled in tests/models/slots.pml. */
#include "core/slot.h"

#define TAKEOVER_EVERY PIPC_MS(100) /* looking for the dead costs system calls */
#define MOST_LOOKS     (1 << 22)    /* at words, while every scan sees another picture */

/* One pass over all words from `start`. True: reserved. Else *digest stands for the words seen. */
static bool scan(struct pipc_queue *queue, uint32_t start, uint32_t *slot, uint64_t *word, uint64_t *digest)
{
    uint32_t at = start;
    uint64_t sum = 0;
    do {
        uint64_t seen = atomic_load(&queue->words[at]); /* model: slots.pml, scan */
        if (pipc_word_state(seen) == PIPC_SLOT_FREE && pipc_slot_reserve_seen(queue, at, seen, word)) {
            *slot = at;
            return true;
        }
        uint64_t mix = (seen + at * UINT64_C(0xd6e8feb86659fd93)) * UINT64_C(0x9e3779b97f4a7c15);
        sum += mix ^ mix >> 32; /* no link depends on the one before: several are computed at once */
        PIPC_POINT("slot: one seen, not the next");
        at = at + 1 < queue->max_messages ? at + 1 : 0;
    } while (at != start);
    *digest = sum;
    return false;
}

/* May this reservation be taken over? One of this very thread is a ghost: a thread never reserves twice at once. */
static bool abandoned(const struct pipc_queue *queue, uint64_t word)
{
    return pipc_queue_namespace(queue) &&
           (pipc_word_owner(word) == pipc_self() || pipc_is_dead(pipc_word_owner(word), queue->pid_namespace));
}

/* Takes a place over from a dead sender. If its message was put, the new generation voids it. Begins anywhere, so
 * that in the end every reservation is judged. */
static bool take_over(struct pipc_queue *queue, uint32_t *slot, uint64_t *word)
{
    int64_t now = pipc_now(), last = atomic_load(&queue->control->takeover_at);
    if ((uint64_t)now - (uint64_t)last < (uint64_t)TAKEOVER_EVERY)
        return false;
    if (!atomic_compare_exchange_strong(&queue->control->takeover_at, &last, now))
        return false;
    uint32_t first = (uint32_t)(pipc_random() % queue->max_messages), judged = 0;
    for (uint32_t i = 0; i < queue->max_messages && judged < PIPC_MOST_JUDGED; i++) {
        uint32_t at = (first + i) % queue->max_messages;
        uint64_t seen = atomic_load(&queue->words[at]);
        if (pipc_word_state(seen) != PIPC_SLOT_RESERVED)
            continue;
        judged++;
        if (abandoned(queue, seen) && pipc_slot_reserve_seen(queue, at, seen, word)) { /* model: slots.pml, take_over */
            *slot = at;
            atomic_store(&queue->control->takeover_at, 0); /* there may be more of them */
            return true;
        }
    }
    return false;
}

/* "Full" needs two passes in a row that saw the same words, else a place freed behind one pass and
 * taken before it would be missed. A queue that never shows the same picture twice is busy. */
static int reserve_anywhere(struct pipc_queue *queue, uint32_t start, uint32_t *slot, uint64_t *word)
{
    uint64_t before, after;
    if (scan(queue, start, slot, word, &before))
        return 0;
    for (uint64_t looks = 0; looks < MOST_LOOKS; looks += queue->max_messages) {
        if (scan(queue, start, slot, word, &after))
            return 0;
        if (after == before) /* model: slots.pml, reserve */
            return take_over(queue, slot, word) ? 0 : PIPC_E_FULL;
        before = after;
    }
    return pipc_fail(PIPC_E_BUSY, "the queue changes faster than it can be looked through");
}

/* The place used last is warm; in a queue that is filled and emptied in order the one behind it is free, or will be
 * next; else the one freed last is. */
int pipc_slot_reserve_other(struct pipc_queue *queue, uint32_t *slot, uint64_t *word)
{
    struct pipc_control *control = queue->control;
    uint32_t next = *slot + 1 < queue->max_messages ? *slot + 1 : 0, freed;
    int error = 0;
    *slot = next;
    if (!pipc_slot_reserve_at(queue, next, word)) {
        freed = atomic_load_explicit(&control->free_hint, memory_order_relaxed);
        *slot = freed;
        if (freed >= queue->max_messages || !pipc_slot_reserve_at(queue, freed, word))
            error = reserve_anywhere(queue, next, slot, word);
    }
    if (error == 0)
        atomic_store_explicit(&queue->hint, *slot, memory_order_relaxed);
    else if (!atomic_load_explicit(&control->audit_wanted, memory_order_relaxed))
        atomic_store(&control->audit_wanted, 1);
    return error;
}

void pipc_slot_cancel(struct pipc_queue *queue, uint32_t slot, uint64_t word)
{
    atomic_compare_exchange_strong(&queue->words[slot], &word, pipc_word_as(word, PIPC_SLOT_FREE));
    PIPC_POINT("slot: cancelled, nobody woken");
    pipc_word_bump(&queue->control->room, 1);
}
