/* Sending: reserve a place, then put the message into the kernel queue, or, if it is too large or the
 * kernel has no room, into the place itself ("spilling"). Senders never take from the kernel queue.
 * put(), spill() and send_once() are modelled in tests/models/slots.pml. */
#include <stdlib.h>
#include <string.h>

#include "core/call.h"
#include "core/claim.h"
#include "core/object.h"
#include "core/platform.h"

#define BOUNCE 8192 /* kernel messages up to this size are put together on the stack */

/* Messages in the books, or 0 if they cannot be more than ever before: the receivers' counters, which they write all
 * the time, are not looked at then. What this handle saw of them earlier was less. */
static PIPC_FLAT uint64_t level_to_note(struct pipc_queue *queue)
{
    struct pipc_control *control = queue->control;
    uint64_t most = pipc_sent(control) - atomic_load_explicit(&queue->gone, memory_order_relaxed);
    if (most <= atomic_load_explicit(&control->high_water, memory_order_relaxed))
        return 0;
    uint64_t gone = atomic_load(&control->received) + atomic_load(&control->purged), sent = pipc_sent(control);
    atomic_store_explicit(&queue->gone, gone, memory_order_relaxed);
    return sent > gone ? sent - gone : 0;
}

/* `level`: messages in the books when this one was about to be sent, itself included. Counted then, because a
 * receiver may have taken it by now. */
static PIPC_FLAT void note_sent(struct pipc_queue *queue, uint64_t level)
{
    struct pipc_control *control = queue->control;
    atomic_store_explicit(&control->last_sender, pipc_self_pid(), memory_order_relaxed);
    uint64_t high = atomic_load_explicit(&control->high_water, memory_order_relaxed);
    if (level > queue->max_messages)
        level = queue->max_messages;
    while (level > high && !atomic_compare_exchange_weak(&control->high_water, &high, level))
        ;
}

/* Before the message is anywhere: who dies between sending and waking keeps nobody asleep for long. */
static PIPC_FLAT void rouse_receivers(struct pipc_queue *queue)
{
    pipc_word_rouse(&queue->control->items);
    pipc_word_rouse(&queue->control->picky);
}

static PIPC_FLAT void wake_receivers(struct pipc_queue *queue)
{
    pipc_word_bump(&queue->control->items, 1);
    pipc_word_bump(&queue->control->picky, INT32_MAX);
}

/* Before the message is anywhere: receivers may rely on it. */
static PIPC_FLAT void note_priority(struct pipc_queue *queue, uint32_t priority)
{
    uint32_t bit = UINT32_C(1) << priority;
    if (!(atomic_load_explicit(&queue->control->priorities, memory_order_relaxed) & bit))
        atomic_fetch_or(&queue->control->priorities, bit);
}

static PIPC_FLAT int put(struct pipc_queue *queue, const pipc_message *message, unsigned char *room, uint32_t slot,
                         uint64_t word)
{
    struct pipc_envelope *envelope = (struct pipc_envelope *)(room + PIPC_ENVELOPE_AT);
    envelope->nonce = queue->nonce;
    envelope->ticket = atomic_load_explicit(&queue->slots[slot].ticket, memory_order_relaxed);
    envelope->slot = slot;
    envelope->type = message->type;
    envelope->length = (uint32_t)message->size;
    envelope->generation = (uint16_t)pipc_word_generation(word);
    envelope->priority = (uint16_t)message->priority;
    if (message->size)
        memcpy(envelope + 1, message->data, message->size);
    size_t size = sizeof *envelope + message->size;
    int error = 0;
    note_priority(queue, message->priority);
    if (pipc_be_queue_put(queue->kernel, envelope, size, message->priority) != 0) /* model: slots.pml, send */
        error = pipc_be_queue_put_failed(queue->kernel, envelope, size, message->priority);
    PIPC_POINT("send: put, not confirmed");
    /* If the word has changed a receiver was faster: nobody else touches the reservation of the living. */
    if (error == 0) /* model: slots.pml, put */
        atomic_compare_exchange_strong(&queue->words[slot], &word, pipc_word_as(word, PIPC_SLOT_SENT));
    return error;
}

static int put_from_heap(struct pipc_queue *queue, const pipc_message *message, uint32_t slot, uint64_t word)
{
    unsigned char *room = malloc(PIPC_ENVELOPE_AT + sizeof(struct pipc_envelope) + message->size);
    if (!room)
        return PIPC_E_FULL;
    int error = put(queue, message, room, slot, word);
    free(room);
    return error;
}

/* 0, PIPC_E_FULL if the message has to be spilled, or an error. */
static PIPC_FLAT int send_through_kernel(struct pipc_queue *queue, const pipc_message *message, uint32_t slot,
                                         uint64_t word)
{
    /* Aligned to a line, so that it never lies where the kernel's copying is slow: where stores and the loads that
     * follow have nearly the same address within a page. */
    _Alignas(64) unsigned char bounce[PIPC_ENVELOPE_AT + BOUNCE];
    if (message->size > pipc_kernel_body_max(queue))
        return PIPC_E_FULL;
    if (message->size > BOUNCE - sizeof(struct pipc_envelope))
        return put_from_heap(queue, message, slot, word);
    return put(queue, message, bounce, slot, word);
}

/* The place is filled before the lock is taken; the new ticket, drawn under it, is the message's age. */
static int spill(struct pipc_queue *queue, const pipc_message *message, uint32_t slot, uint64_t word,
                 struct pipc_patience *patience)
{
    struct pipc_slot *place = &queue->slots[slot];
    place->type = message->type;
    place->priority = message->priority;
    if (message->size)
        memcpy(pipc_slot_body(queue, slot), message->data, message->size);
    PIPC_POINT("spill: body written, not locked");
    int error = pipc_queue_lock(queue, patience);
    if (error)
        return error;
    atomic_fetch_add(&queue->control->spare_tickets, 1); /* the first ticket */
    uint64_t ticket = pipc_ticket(queue);
    atomic_store(&place->ticket, ticket); /* model: slots.pml, spill */
    place->order = ticket;
    place->pull = 0;
    pipc_pending(queue, slot + 1);
    PIPC_POINT("spill: pending, not full");
    bool mine = atomic_compare_exchange_strong(&queue->words[slot], &word, pipc_word_as(word, PIPC_SLOT_FULL));
    PIPC_POINT("spill: full, not in the indexes");
    if (!mine)
        error = pipc_fail(PIPC_E_DAMAGED,
                          "the place reserved for the message was taken away: somebody scribbles on the queue");
    else if (!pipc_index_insert(queue, slot))
        error = pipc_rebuild(queue);
    PIPC_POINT("spill: in the indexes, still pending");
    pipc_pending(queue, 0);
    pipc_queue_unlock(queue);
    return error;
}

static int give_back(struct pipc_queue *queue, uint32_t slot, uint64_t word, int error)
{
    atomic_fetch_add(&queue->control->spare_tickets, 1);
    pipc_slot_cancel(queue, slot, word);
    return error;
}

static PIPC_FLAT int send_once(struct pipc_queue *queue, const pipc_message *message, struct pipc_patience *patience)
{
    uint32_t slot;
    uint64_t word;
    int error = pipc_slot_reserve(queue, &slot, &word);
    if (error)
        return error;
    struct pipc_slot *place = &queue->slots[slot];
    PIPC_POINT("send: reserved, nobody roused");
    rouse_receivers(queue);
    PIPC_POINT("send: reserved, no ticket");
    atomic_store(&place->ticket, pipc_ticket(queue)); /* model: slots.pml, send */
    uint64_t level = level_to_note(queue);
    PIPC_POINT("send: ticket stored");
    atomic_store_explicit(&place->length, (uint32_t)message->size, memory_order_relaxed);
    error = send_through_kernel(queue, message, slot, word);
    if (error == PIPC_E_FULL)
        error = spill(queue, message, slot, word, patience);
    if (error)
        return give_back(queue, slot, word, error);
    PIPC_POINT("send: done, not counted");
    note_sent(queue, level);
    PIPC_POINT("send: done, nobody woken");
    wake_receivers(queue);
    return 0;
}

static int full(void)
{
    return pipc_fail(PIPC_E_FULL, "all places of the queue are taken");
}

/* Worth waiting for? Who does not wait gets "busy" as it is. */
static bool no_room(int error, const struct pipc_patience *patience)
{
    return error == PIPC_E_FULL || (error == PIPC_E_BUSY && !patience->nowait);
}

static PIPC_FLAT int send_patiently(struct pipc_queue *queue, const pipc_message *message,
                                    struct pipc_patience *patience)
{
    struct pipc_word *room = &queue->control->room;
    struct pipc_watch watch = {0};
    int error;
    while (no_room(error = send_once(queue, message, patience), patience)) {
        if (patience->nowait)
            error = full();
        else if ((error = pipc_word_await(room, &watch, patience)) == 0) /* model: wait.pml, waiter */
            continue;
        break;
    }
    if (!error)
        return 0;
    if (watch.slept)
        pipc_word_bump(room, 1); /* the wake-up may have been for somebody else too */
    return pipc_queue_verdict(queue, error);
}

static int check_message(const struct pipc_queue *queue, const pipc_message *message)
{
    if (message->type == 0 || message->type > PIPC_TYPE_MAX)
        return pipc_fail(PIPC_E_INVALID, "message type %u is not in 1 to %u", message->type, PIPC_TYPE_MAX);
    if (message->priority > PIPC_PRIORITY_MAX)
        return pipc_fail(PIPC_E_INVALID, "priority %u is above %u", message->priority, PIPC_PRIORITY_MAX);
    if ((message->flags & ~PIPC_RESTART) || message->reserved)
        return pipc_fail(PIPC_E_INVALID, "unknown message flags 0x%x", message->flags);
    if (message->size && !message->data)
        return pipc_fail(PIPC_E_INVALID, "the message's data is NULL");
    if (message->size > queue->max_size)
        return pipc_fail(PIPC_E_TOO_BIG, "the message has %llu bytes, the queue takes %llu",
                         (unsigned long long)message->size, (unsigned long long)queue->max_size);
    return 0;
}

int pipc_queue_send(pipc_queue *queue, const pipc_message *message, int64_t timeout)
{
    struct pipc_patience patience;
    struct pipc_call call;
    pipc_calling(__func__, queue ? queue->object->name : NULL);
    if (!queue || !message)
        return pipc_fail(PIPC_E_INVALID, "the %s is NULL", queue ? "message" : "queue");
    int error = check_message(queue, message);
    if (!error)
        error = pipc_patience_begin(&patience, timeout, &queue->interrupts, queue->object);
    if (!error)
        error = pipc_queue_check(queue, PIPC_SEND);
    if (!error)
        error = pipc_call_begin(&call, queue->nonce);
    if (error)
        return error;
    patience.restart = message->flags & PIPC_RESTART;
    patience.no_spin = queue->no_spin;
    return pipc_call_end(&call, send_patiently(queue, message, &patience));
}
