/* From the kernel queue into the slots: taking, claiming, stowing; and the repair after a death.
 * Everything here is done with the queue's lock held. */
#ifndef PIPC_CORE_CLAIM_H
#define PIPC_CORE_CLAIM_H

#include "core/slot.h"

/* A message that was claimed and whose body lies in the staging buffer still. */
struct pipc_claimed {
    uint32_t slot;
    uint32_t type;
    uint32_t priority;
    uint32_t length;
    uint64_t order;
    uint64_t pull;
};

/* The takes from the kernel's queue since the lock was taken; zeros at first. Their number and their time are bounded:
 * a hostile peer must not keep the lock busy. */
struct pipc_pulls {
    uint64_t count;
    uint64_t dropped; /* of them, those that were not this queue's */
    int64_t until;    /* pipc_now() scale; 0 = few so far */
};

#define PIPC_CLAIM_LATER (-2) /* the lock was held for long enough: give it back, and begin anew */
#define PIPC_CLOCK_EVERY 64   /* takes; most calls need one and never look at the clock */

/* Did the takes last as long as the lock may be held for? */
bool pipc_claim_enough(struct pipc_pulls *pulls);

/* Claims the slot of the message of `size` bytes that was taken into staging; false: it is not valid, and dropped. */
bool pipc_claim_taken(struct pipc_queue *queue, size_t size, struct pipc_claimed *claimed);

/* Has every message the same priority? Senders note theirs before the kernel has the message. Who sends with a new one
 * after this look sends after whatever the receive that looks will take. */
static inline bool pipc_is_one_priority(const struct pipc_queue *queue)
{
    uint32_t bits = atomic_load(&queue->control->priorities);
    return (bits & (bits - 1)) == 0;
}

/* After a take that failed: as pipc_be_queue_take_failed; notes when the kernel was empty. */
int pipc_claim_none(struct pipc_queue *queue, bool oldest, size_t *size);

/* Takes the kernel queue's next valid message and claims its slot; invalid ones are dropped. What was stowed before
 * is not lost when it is LATER. 0 (claimed), PIPC_CLAIM_LATER, PIPC_E_EMPTY (the kernel said so), or PIPC_E_DAMAGED,
 * _ACCESS, _SYSTEM of the backend. */
static PIPC_FLAT int pipc_claim_next(struct pipc_queue *queue, struct pipc_claimed *claimed, struct pipc_pulls *pulls)
{
    while (pulls->count++ < UINT64_C(4) * queue->max_messages + 64) {
        if (pulls->count % PIPC_CLOCK_EVERY == 0 && pipc_claim_enough(pulls))
            return PIPC_CLAIM_LATER;
        bool oldest = pipc_is_one_priority(queue);
        long taken = pipc_be_queue_take(queue->kernel, queue->staging, queue->kernel_size, oldest);
        size_t size = (size_t)taken;
        int error = taken < 0 ? pipc_claim_none(queue, oldest, &size) : 0;
        if (error)
            return error;
        if (pipc_claim_taken(queue, size, claimed)) /* model: slots.pml, claim_next */
            return 0;
        pulls->dropped++;
    }
    return pipc_fail(PIPC_E_DAMAGED, "the kernel queue is flooded with messages that are not this queue's");
}

/* Moves a claimed message from staging into its slot and indexes it. 0 or PIPC_E_DAMAGED. */
int pipc_stow(struct pipc_queue *queue, const struct pipc_claimed *claimed);

/* Marks the staging buffer as empty. */
void pipc_staging_clear(struct pipc_queue *queue);

/* Has a sender asked for an audit, or do more messages stand in the books than there can be, and is the last
 * audit 100 ms ago (500 in a very large queue)? Call when the kernel said empty; `none_full`: no slot is FULL either.
 */
bool pipc_audit_due(struct pipc_queue *queue, bool none_full);

/* Frees places whose kernel message vanished or whose dead sender never put it, and balances the books. Call
 * when the kernel said empty; pulls once more (what turns up is stowed). 0 or an error of pipc_claim_next. */
int pipc_audit(struct pipc_queue *queue, struct pipc_pulls *pulls);

/* Takes the queue's lock; after a theft repairs first. As pipc_lock_take without STOLEN, or PIPC_E_DAMAGED. */
int pipc_queue_lock_slowly(struct pipc_queue *queue, struct pipc_patience *patience);
static inline int pipc_queue_lock(struct pipc_queue *queue, struct pipc_patience *patience)
{
    bool free = pipc_lock_try(&queue->control->lock, pipc_queue_self(queue)); /* model: slots.pml, take_lock */
    return free ? 0 : pipc_queue_lock_slowly(queue, patience);
}

/* Frees every FULL slot. A death on the way is finished by the next thief of the lock. Tells how many. */
uint64_t pipc_free_all(struct pipc_queue *queue);

/* Marks a slot that goes into or out of the indexes, 0 = done; see rescue_pending. */
static inline void pipc_pending(struct pipc_queue *queue, uint32_t slot_plus_1)
{
    atomic_signal_fence(memory_order_seq_cst);
    *(volatile uint32_t *)&queue->control->pending = slot_plus_1;
    atomic_signal_fence(memory_order_seq_cst);
}

/* Builds the indexes anew from the slots. 0 or PIPC_E_DAMAGED. */
int pipc_rebuild(struct pipc_queue *queue);

#endif
