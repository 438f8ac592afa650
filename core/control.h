/* The queue's shared control area, and a handle on it.
 *
 * Data of the memory object, in this order, each part aligned to 64:
 *
 *     control | undo | staging: 16 spare bytes + one kernel message | words[n] | slots[n] | bodies[n]
 *
 * Everything here can be written by every process that opened the queue. What a process relies on
 * for its own safety (addresses, sizes, the nonce) it copied and verified at opening; what it reads
 * later it reads once, checks, then uses.
 */
#ifndef PIPC_CORE_CONTROL_H
#define PIPC_CORE_CONTROL_H

#include "core/backend.h"
#include "core/index.h"
#include "core/lock.h"
#include "core/object.h"
#include "core/platform.h"
#include "core/wait.h"
#include "pipc/queue.h"

#define PIPC_PRIORITIES (PIPC_PRIORITY_MAX + 1)

/* The live control fields: at most 512 bytes, so that a test can try every value of each. */
struct pipc_control {
    /* Guarded by the lock (the receivers' side). */
    struct pipc_lock lock;
    uint64_t pulls;            /* numbers kernel messages in the order they were taken */
    uint64_t floor;            /* the last ticket drawn when the kernel queue was seen empty */
    _Atomic uint64_t received; /* statistics */
    _Atomic uint64_t purged;
    struct pipc_index_root by_priority; /* FULL slots: priority, order */
    struct pipc_index_root by_type;     /* FULL slots: type, priority, order */
    uint32_t undo_count;                /* links noted in the undo area; see index.c */
    uint32_t pending;                   /* slot + 1 that goes into or out of the indexes now, 0 = none */
    uint32_t purging;                   /* every FULL slot is to be freed */
    _Atomic int32_t last_receiver;
    _Atomic int64_t audit_at;      /* when the books were compared last */
    _Atomic uint32_t audit_wanted; /* a sender found no room: count what the kernel really holds */
    struct pipc_word room;         /* what senders sleep on, woken one by one; receivers look at it each time */
    _Atomic uint32_t free_hint;    /* a slot freed lately */

    /* The senders' side. */
    _Alignas(64) _Atomic uint64_t tickets; /* the last ticket drawn */
    _Atomic uint64_t spare_tickets;        /* tickets, drawn before, that stand for no send */
    _Atomic uint64_t high_water;
    _Atomic int64_t takeover_at; /* when RESERVED slots of the dead were looked for last */
    _Atomic int32_t last_sender;

    /* What receivers sleep on; senders look at it each time. */
    _Alignas(64) struct pipc_word items; /* receivers of any message, woken one by one */
    struct pipc_word picky;              /* selective receivers, all woken */
    _Atomic uint32_t priorities;         /* a bit for each that a message was ever sent with */

    _Alignas(64) uint64_t last_order[PIPC_PRIORITIES]; /* highest order claimed so far, by priority (lock) */

    /* Fixed at creation. */
    uint32_t max_messages;
    uint32_t kernel_ask; /* bytes of one kernel message asked for: the staging buffer's size */
    uint64_t max_size;
};

/* Bytes before an envelope that is to be put or was taken: PIPC_BE_PREFIX are the backend's. So the body is aligned to
 * 16 bytes, as most people's buffers are. Were it not, one buffer in 256 would lie a few bytes off it within a page,
 * and there are processors that copy 8000 bytes 25 times slower then (their stores and the loads that follow look
 * alike). */
#define PIPC_ENVELOPE_AT 16

/* What travels through the kernel queue before the body. 32 bytes, no padding. */
struct pipc_envelope {
    uint64_t nonce; /* of the queue; 0 marks an empty staging buffer */
    uint64_t ticket;
    uint32_t slot;
    uint32_t type;
    uint32_t length; /* of the body */
    uint16_t generation;
    uint16_t priority;
};

/* One place. Written by the owner of the RESERVED word, or under the lock when it is FULL. */
struct pipc_slot {
    _Atomic uint64_t ticket;
    uint64_t order; /* position among equals: lower is older */
    uint64_t pull;  /* breaks ties of order */
    uint32_t type;
    uint32_t priority;
    _Atomic uint32_t length;
    uint32_t noted_before; /* with `noted`: the place that was noted before this one + 1, 0 = none */
    struct pipc_index_node by_priority;
    struct pipc_index_node by_type;
    uint64_t noted; /* the word as it was when the audit noted this place */
};

_Static_assert(offsetof(struct pipc_control, max_messages) <= 512, "every value of each live byte can be tried");
_Static_assert(sizeof(struct pipc_envelope) == 32, "the envelope has no padding");
_Static_assert(PIPC_ENVELOPE_AT >= PIPC_BE_PREFIX, "what a backend may scribble on is spare");
_Static_assert(sizeof(struct pipc_slot) == 64, "one slot, one line");

struct pipc_queue {
    struct pipc_be_memory *memory;
    struct pipc_object *object;
    struct pipc_be_queue *kernel;
    /* Private copies, verified at opening. */
    struct pipc_control *control;
    struct pipc_undo *undo;
    struct pipc_envelope *staging; /* PIPC_ENVELOPE_AT bytes before it are spare */
    _Atomic uint64_t *words;
    struct pipc_slot *slots;
    unsigned char *bodies;
    uint64_t nonce;
    uint64_t max_size;
    uint64_t body_stride;
    uint64_t pid_namespace; /* 0: deaths cannot be seen, nothing is stolen */
    uint32_t max_messages;
    uint32_t kernel_size; /* bytes of one kernel message */
    uint32_t rights;
    bool no_spin;
    _Atomic uint32_t hint; /* where this handle found a free slot last */
    _Atomic uint64_t gone; /* messages gone, when it looked last */
    struct pipc_interrupts interrupts;
    void *data; /* the mapping */
};

/* 0, PIPC_E_ACCESS if the handle lacks the right, or PIPC_E_REMOVED. */
int pipc_queue_refuse(const struct pipc_queue *queue, uint32_t right);
static inline int pipc_queue_check(const struct pipc_queue *queue, uint32_t right)
{
    bool fine = pipc_object_is_ready(queue->object) && (queue->rights & right) == right;
    return fine ? 0 : pipc_queue_refuse(queue, right);
}

/* Notes and returns PIPC_E_REMOVED. */
int pipc_queue_removed(void);

/* What a call that ends with `error` answers: a failure on a queue that was removed meanwhile is PIPC_E_REMOVED. */
int pipc_queue_verdict(const struct pipc_queue *queue, int error);

static inline uint64_t pipc_queue_namespace(const struct pipc_queue *queue)
{
    return pipc_namespace_here(queue->pid_namespace);
}

static inline uint64_t pipc_queue_self(const struct pipc_queue *queue)
{
    return pipc_self_there(queue->pid_namespace);
}

/* No FULL slot is in the indexes. */
static inline bool pipc_index_is_empty(const struct pipc_queue *queue)
{
    const volatile struct pipc_control *control = queue->control;
    return control->by_priority.top == 0 && control->by_type.top == 0;
}

/* Gives the queue's lock back. */
static inline void pipc_queue_unlock(struct pipc_queue *queue)
{
    pipc_lock_give(&queue->control->lock, pipc_queue_self(queue));
}

/* Sends that succeeded or are under way. A ticket becomes a spare one after it was drawn: so, read in this order,
 * there are never more spare ones than tickets. */
static inline uint64_t pipc_sent(struct pipc_control *control)
{
    uint64_t spare = atomic_load(&control->spare_tickets), tickets = atomic_load(&control->tickets);
    return tickets > spare ? tickets - spare : 0; /* a peer may scribble */
}

/* Bytes of data that a queue with this control needs; 0 if the figures are impossible. */
uint64_t pipc_control_bytes(uint32_t max_messages, uint64_t max_size, uint32_t kernel_ask);

/* Where the words and the slots of such a queue lie in its data; the figures are possible. */
uint64_t pipc_control_words_at(uint32_t kernel_ask);
uint64_t pipc_control_slots_at(uint32_t max_messages, uint32_t kernel_ask);

/* Statistics from the control area and the header: all but messages and bytes, max_messages, max_size and
 * kernel_size. */
void pipc_control_tell(struct pipc_control *control, const struct pipc_object *object, pipc_queue_info *info);

/* Sets the handle's addresses and sizes from the control area after checking them against the bytes
 * that are there. 0 or PIPC_E_DAMAGED. */
int pipc_control_attach(struct pipc_queue *queue, void *data, uint64_t bytes);

static inline unsigned char *pipc_slot_body(const struct pipc_queue *queue, uint32_t slot)
{
    return queue->bodies + slot * queue->body_stride;
}

static inline uint32_t pipc_kernel_body_max(const struct pipc_queue *queue)
{
    return queue->kernel_size - (uint32_t)sizeof(struct pipc_envelope);
}

#endif
