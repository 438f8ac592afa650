/* Receiving, peeking, purging. The lock is held from the first look to the last, so that a message that
 * was taken from the kernel and is wanted by nobody here is stowed before anybody else looks.
 * look_locked() and what it calls are modelled in tests/models/slots.pml. */
#include <string.h>

#include "core/call.h"
#include "core/claim.h"
#include "core/object.h"
#include "core/platform.h"

#define LONGEST_PULLS PIPC_SECONDS(1) /* of one call, the lock given back now and then */
#define MOST_PLACES   65536 /* that are looked through before a deep sleep: more would cost more than it saves */

static const char flooded[] = "the kernel queue fills up faster than it can be looked through";

/* One receive or peek under way. */
struct receive {
    struct pipc_queue *queue;
    pipc_selection selection;
    pipc_message *message;
    bool peek;
    struct pipc_pulls pulls; /* of the last look */
};

static bool wanted(pipc_selection selection, uint32_t type)
{
    switch (selection.rule) {
    case PIPC_RULE_EXACTLY:
        return type == selection.type;
    case PIPC_RULE_EXCEPT:
        return type != selection.type;
    case PIPC_RULE_UP_TO:
        return type <= selection.type;
    default:
        return true;
    }
}

/* May the first match that the kernel gives be delivered at once, without looking at what lies behind
 * it? If the kernel keeps our order, and the rule puts no type before another. */
static PIPC_FLAT bool first_match_is_best(const struct receive *receive)
{
    return pipc_be_takes_by_priority && (receive->selection.rule != PIPC_RULE_UP_TO || receive->selection.type == 1);
}

/* Pulls until the best of the kernel's matches is known. `candidate` stays in staging if it may be
 * delivered from there (*staged); all else is stowed. */
static PIPC_FLAT int pull(struct receive *receive, struct pipc_claimed *candidate, bool *staged)
{
    struct pipc_queue *queue = receive->queue;
    bool direct = first_match_is_best(receive);
    int error;
    *staged = false;
    while ((error = pipc_claim_next(queue, candidate, &receive->pulls)) == 0) {
        bool match = wanted(receive->selection, candidate->type);
        if (match && direct && !receive->peek) {
            *staged = true;
            return 0;
        }
        error = pipc_stow(queue, candidate);
        if (error || (match && direct))
            return error;
    }
    return error == PIPC_E_EMPTY ? 0 : error;
}

static bool find(struct receive *receive, uint32_t *slot)
{
    struct pipc_queue *queue = receive->queue;
    switch (receive->selection.rule) {
    case PIPC_RULE_EXACTLY:
        return pipc_index_first_of_type(queue, receive->selection.type, slot);
    case PIPC_RULE_EXCEPT:
        return pipc_index_first_except(queue, receive->selection.type, slot);
    case PIPC_RULE_UP_TO:
        return pipc_index_first(queue, PIPC_INDEX_BY_TYPE, slot);
    default:
        return pipc_index_first(queue, PIPC_INDEX_BY_PRIORITY, slot);
    }
}

/* What a FULL slot holds: read once, and made possible whatever a hostile peer wrote there. */
static void describe(const struct pipc_queue *queue, uint32_t slot, struct pipc_claimed *message)
{
    const volatile struct pipc_slot *full = &queue->slots[slot];
    uint32_t length = atomic_load_explicit(&full->length, memory_order_relaxed);
    uint32_t type = full->type, priority = full->priority;
    message->slot = slot;
    message->type = type != 0 && type <= PIPC_TYPE_MAX ? type : PIPC_TYPE_MAX;
    message->priority = priority <= PIPC_PRIORITY_MAX ? priority : PIPC_PRIORITY_MAX;
    message->length = length <= queue->max_size ? length : (uint32_t)queue->max_size;
    message->order = full->order;
    message->pull = full->pull;
}

/* The best FULL slot; its number is PIPC_INDEX_NONE if none is wanted. Damage found on the way is mended once. */
static int find_best_full(struct receive *receive, struct pipc_claimed *best)
{
    if (!find(receive, &best->slot)) {
        int error = pipc_rebuild(receive->queue);
        if (error)
            return error;
        if (!find(receive, &best->slot))
            return pipc_fail(PIPC_E_DAMAGED, "the queue's index is damaged");
    }
    if (best->slot == PIPC_INDEX_NONE)
        return 0;
    describe(receive->queue, best->slot, best);
    if (!wanted(receive->selection, best->type))
        best->slot = PIPC_INDEX_NONE;
    return 0;
}

static PIPC_FLAT int best_full(struct receive *receive, struct pipc_claimed *best) /* model: slots.pml, best_full */
{
    best->slot = PIPC_INDEX_NONE;
    return pipc_index_is_empty(receive->queue) ? 0 : find_best_full(receive, best);
}

static bool staged_is_better(const struct pipc_claimed *staged, const struct pipc_claimed *full)
{
    if (staged->priority != full->priority)
        return staged->priority > full->priority;
    if (staged->order != full->order)
        return staged->order < full->order;
    return staged->pull < full->pull;
}

/* Copies a message to the caller's buffer. */
static PIPC_FLAT int hand_over(const struct receive *receive, const struct pipc_claimed *from, const void *body)
{
    pipc_message *to = receive->message;
    uint64_t room = to->size;
    if (from->length > room && !(to->flags & PIPC_TRUNCATE)) {
        to->size = from->length;
        return pipc_fail(PIPC_E_TOO_SMALL, "the message has %u bytes, the buffer %llu; the message stays in the queue",
                         from->length, (unsigned long long)room);
    }
    uint64_t bytes = from->length < room ? from->length : room;
    if (bytes)
        memcpy(to->data, body, bytes);
    to->size = from->length;
    to->type = from->type;
    to->priority = from->priority;
    return 0;
}

static PIPC_FLAT void count_received(struct pipc_queue *queue)
{
    struct pipc_control *control = queue->control;
    uint64_t received = atomic_load_explicit(&control->received, memory_order_relaxed);
    atomic_store_explicit(&control->received, received + 1, memory_order_relaxed);
    atomic_store_explicit(&control->last_receiver, pipc_self_pid(), memory_order_relaxed);
}

static PIPC_FLAT int deliver_staged(struct receive *receive, const struct pipc_claimed *staged)
{
    struct pipc_queue *queue = receive->queue;
    int error = hand_over(receive, staged, queue->staging + 1);
    if (error) {
        int damage = pipc_stow(queue, staged);
        return damage ? damage : error;
    }
    PIPC_POINT("receive: copied from staging, not freed");
    pipc_slot_free(queue, staged->slot); /* model: slots.pml, deliver_staged */
    PIPC_POINT("receive: freed, still staged");
    pipc_staging_clear(queue);
    PIPC_POINT("receive: done, not counted");
    count_received(queue);
    return 0;
}

static int deliver_full(struct receive *receive, const struct pipc_claimed *full)
{
    struct pipc_queue *queue = receive->queue;
    uint32_t slot = full->slot;
    int error = hand_over(receive, full, pipc_slot_body(queue, slot));
    if (error || receive->peek)
        return error;
    pipc_pending(queue, slot + 1); /* model: slots.pml, deliver_full */
    PIPC_POINT("receive: copied from its slot, pending");
    bool sound = pipc_index_remove(queue, slot);
    PIPC_POINT("receive: out of the indexes, still full");
    pipc_slot_free(queue, slot);
    PIPC_POINT("receive: freed, still pending");
    pipc_pending(queue, 0);
    if (!sound)
        error = pipc_rebuild(queue);
    count_received(queue);
    return error;
}

static PIPC_FLAT int look_locked(struct receive *receive)
{
    struct pipc_queue *queue = receive->queue;
    struct pipc_claimed staged, full;
    bool is_staged;
    receive->pulls = (struct pipc_pulls){0};
    int error = pull(receive, &staged, &is_staged); /* model: slots.pml, look_locked */
    if (!error && !is_staged && pipc_audit_due(queue, pipc_index_is_empty(queue)))
        error = pipc_audit(queue, &receive->pulls);
    if (!error)
        error = best_full(receive, &full);
    if (error)
        return error;
    if (is_staged && (full.slot == PIPC_INDEX_NONE || staged_is_better(&staged, &full)))
        return deliver_staged(receive, &staged);
    if (is_staged && (error = pipc_stow(queue, &staged)))
        return error;
    return full.slot == PIPC_INDEX_NONE ? PIPC_E_EMPTY : deliver_full(receive, &full);
}

static PIPC_FLAT int look(struct receive *receive, struct pipc_patience *patience)
{
    struct pipc_queue *queue = receive->queue;
    int error = pipc_queue_lock(queue, patience);
    if (error)
        return error;
    PIPC_POINT("receive: locked");
    error = look_locked(receive);
    PIPC_POINT("receive: looked, still locked");
    pipc_queue_unlock(queue);
    PIPC_POINT("receive: unlocked, nobody woken");
    if (!error && !receive->peek)
        pipc_word_bump(&queue->control->room, 1);
    return error;
}

static int empty(void)
{
    return pipc_fail(PIPC_E_EMPTY, "the queue holds no message that the selection wants");
}

/* The lock was given back because the kernel's queue did not come to an end. If all that was taken is this queue's
 * the end is near, and worth a second of anybody's time; else somebody floods it, and the call's patience decides. */
static int may_go_on(const struct receive *receive, struct pipc_patience *patience, int64_t began)
{
    if (receive->pulls.dropped == 0 && pipc_now() - began < LONGEST_PULLS)
        return 0;
    if (patience->nowait)
        return pipc_fail(PIPC_E_BUSY, "%s", flooded);
    return pipc_patience_check(patience);
}

static int look_on(struct receive *receive, struct pipc_patience *patience)
{
    int64_t nap = 0, began = pipc_now();
    int error;
    do {
        error = may_go_on(receive, patience, began);
        if (error)
            return error;
        pipc_nap(&nap, PIPC_FOREVER); /* so that others get the lock */
        error = look(receive, patience);
    } while (error == PIPC_CLAIM_LATER);
    return error;
}

static PIPC_FLAT int look_to_the_end(struct receive *receive, struct pipc_patience *patience)
{
    int error = look(receive, patience);
    return error == PIPC_CLAIM_LATER ? look_on(receive, patience) : error;
}

/* A message that is on its way has a place that says so; of one whose place was free before the look the look knows. */
static bool nothing_on_its_way(void *argument)
{
    const struct pipc_queue *queue = argument;
    if (queue->max_messages > MOST_PLACES)
        return false;
    for (uint32_t slot = 0; slot < queue->max_messages; slot++) {
        enum pipc_slot_state state = pipc_word_state(atomic_load(&queue->words[slot]));
        if (state == PIPC_SLOT_RESERVED || state == PIPC_SLOT_SENT)
            return false;
    }
    return true;
}

static PIPC_FLAT int receive_patiently(struct receive *receive, struct pipc_patience *patience)
{
    struct pipc_queue *queue = receive->queue;
    bool any = receive->selection.rule == PIPC_RULE_ANY && !receive->peek;
    struct pipc_word *word = any ? &queue->control->items : &queue->control->picky;
    struct pipc_watch watch = {.quiet = nothing_on_its_way, .argument = queue};
    int error;
    while ((error = look_to_the_end(receive, patience)) == PIPC_E_EMPTY) {
        if (patience->nowait)
            error = empty();
        else if ((error = pipc_word_await(word, &watch, patience)) == 0) /* model: wait.pml, waiter */
            continue;
        break;
    }
    if (!error)
        return 0;
    if (watch.slept && any)
        pipc_word_bump(word, 1); /* the wake-up may have been for somebody else too */
    return pipc_queue_verdict(queue, error);
}

static int check_receive(pipc_selection selection, const pipc_message *message)
{
    if (selection.rule > PIPC_RULE_UP_TO)
        return pipc_fail(PIPC_E_INVALID, "unknown selection rule %u", selection.rule);
    if (selection.rule == PIPC_RULE_ANY ? selection.type != 0 : selection.type == 0 || selection.type > PIPC_TYPE_MAX)
        return pipc_fail(PIPC_E_INVALID, "the selection's type %u is not in 1 to %u", selection.type, PIPC_TYPE_MAX);
    if ((message->flags & ~(PIPC_RESTART | PIPC_TRUNCATE)) || message->reserved)
        return pipc_fail(PIPC_E_INVALID, "unknown message flags 0x%x", message->flags);
    if (message->size && !message->data)
        return pipc_fail(PIPC_E_INVALID, "the buffer is NULL");
    return 0;
}

static PIPC_FLAT int receive_or_peek(pipc_queue *queue, pipc_selection selection, pipc_message *message,
                                     int64_t timeout, bool peek)
{
    struct pipc_patience patience;
    struct pipc_call call;
    if (!queue || !message)
        return pipc_fail(PIPC_E_INVALID, "the %s is NULL", queue ? "message" : "queue");
    int error = check_receive(selection, message);
    if (!error)
        error = pipc_patience_begin(&patience, timeout, &queue->interrupts, queue->object);
    if (!error)
        error = pipc_queue_check(queue, PIPC_RECEIVE);
    if (!error)
        error = pipc_call_begin(&call, queue->nonce);
    if (error)
        return error;
    patience.restart = message->flags & PIPC_RESTART;
    patience.no_spin = queue->no_spin;
    struct receive receive = {.queue = queue, .selection = selection, .message = message, .peek = peek};
    return pipc_call_end(&call, receive_patiently(&receive, &patience));
}

int pipc_queue_receive(pipc_queue *queue, pipc_selection selection, pipc_message *message, int64_t timeout)
{
    pipc_calling(__func__, queue ? queue->object->name : NULL);
    return receive_or_peek(queue, selection, message, timeout, false);
}

int pipc_queue_peek(pipc_queue *queue, pipc_selection selection, pipc_message *message, int64_t timeout)
{
    pipc_calling(__func__, queue ? queue->object->name : NULL);
    return receive_or_peek(queue, selection, message, timeout, true);
}

/* Stows what the kernel holds, so that the places stay taken and the pulling ends; then frees every FULL slot. */
static int purge_locked(struct pipc_queue *queue, uint64_t *dropped) /* model: slots.pml, purge */
{
    struct pipc_claimed claimed;
    struct pipc_pulls pulls = {0};
    int error;
    while ((error = pipc_claim_next(queue, &claimed, &pulls)) == 0 && (error = pipc_stow(queue, &claimed)) == 0)
        ;
    if (error != PIPC_E_EMPTY)
        return error;
    *dropped = pipc_free_all(queue);
    return 0;
}

static int purge_once(struct pipc_queue *queue, uint64_t *dropped)
{
    struct pipc_patience patience;
    struct pipc_control *control = queue->control;
    pipc_patience_begin(&patience, PIPC_NOWAIT, NULL, NULL);
    int error = pipc_queue_lock(queue, &patience);
    if (error)
        return error;
    error = purge_locked(queue, dropped);
    PIPC_POINT("purge: freed, not counted");
    atomic_fetch_add(&control->purged, *dropped);
    pipc_queue_unlock(queue);
    pipc_word_bump(&control->room, INT32_MAX);
    return error;
}

/* Against a flood it goes on for a second: it is what throws one away. */
static int purge(struct pipc_queue *queue, uint64_t *dropped)
{
    int64_t nap = 0, until = pipc_now() + LONGEST_PULLS;
    int error;
    do
        error = purge_once(queue, dropped);
    while (error == PIPC_CLAIM_LATER && pipc_nap(&nap, until));
    return error == PIPC_CLAIM_LATER ? pipc_fail(PIPC_E_BUSY, "%s", flooded) : error;
}

int pipc_queue_purge(pipc_queue *queue, uint64_t *dropped)
{
    struct pipc_call call;
    uint64_t count = 0;
    pipc_calling(__func__, queue ? queue->object->name : NULL);
    if (!queue)
        return pipc_fail(PIPC_E_INVALID, "the queue is NULL");
    int error = pipc_queue_check(queue, PIPC_RECEIVE);
    if (!error)
        error = pipc_call_enter(&call, queue->nonce);
    if (error)
        return error;
    error = pipc_call_leave(&call, pipc_queue_verdict(queue, purge(queue, &count)));
    if (dropped)
        *dropped = count;
    return error;
}
