/* A message is in the kernel, in staging, or FULL in its slot: never in private memory only. A
 * process killed between any two instructions here leaves it in one of them, and pipc_repair finds it.
 * Modelled in tests/models/slots.pml. */
#include "core/claim.h"

#include <limits.h>
#include <string.h>

#define AUDIT_EVERY  ((uint64_t)PIPC_MS(100))
#define AUDIT_SELDOM ((uint64_t)PIPC_MS(500))
#define LONGEST_PULL PIPC_MS(10) /* with the lock held: others wait for it, some no more than 25 ms */

static const unsigned char *staged_body(const struct pipc_queue *queue)
{
    return (const unsigned char *)(queue->staging + 1);
}

void pipc_staging_clear(struct pipc_queue *queue) /* model: slots.pml, staging_clear */
{
    *(volatile uint64_t *)&queue->staging->nonce = 0;
}

/* Copies the staged envelope once and checks every field of it. */
static bool read_envelope(const struct pipc_queue *queue, struct pipc_envelope *envelope)
{
    memcpy(envelope, queue->staging, sizeof *envelope);
    atomic_signal_fence(memory_order_seq_cst);
    return envelope->nonce == queue->nonce && envelope->slot < queue->max_messages &&
           envelope->length <= queue->max_size && envelope->length <= pipc_kernel_body_max(queue) &&
           envelope->priority <= PIPC_PRIORITY_MAX && envelope->type != 0 && envelope->type <= PIPC_TYPE_MAX;
}

static bool is_its_slot(const struct pipc_queue *queue, const struct pipc_envelope *envelope, uint64_t word)
{
    return pipc_word_generation(word) == envelope->generation && /* model: slots.pml, is_its_slot */
           atomic_load(&queue->slots[envelope->slot].ticket) == envelope->ticket;
}

/* RESERVED or SENT -> FULL. Fails if the reservation is not this message's (any more). */
static bool claim(struct pipc_queue *queue, const struct pipc_envelope *envelope)
{
    _Atomic uint64_t *at = &queue->words[envelope->slot];
    uint64_t word = atomic_load(at);
    do {
        enum pipc_slot_state state = pipc_word_state(word);
        if ((state != PIPC_SLOT_RESERVED && state != PIPC_SLOT_SENT) || !is_its_slot(queue, envelope, word))
            return false;
        /* model: slots.pml, claim */
    } while (!atomic_compare_exchange_weak(at, &word, pipc_word_as(word, PIPC_SLOT_FULL)));
    return true;
}

static uint64_t max64(uint64_t a, uint64_t b)
{
    return a > b ? a : b;
}

/* The kernel's order of putting decides among kernel messages; tickets place them among the spilled. */
static void place(struct pipc_queue *queue, const struct pipc_envelope *envelope, struct pipc_claimed *claimed)
{
    struct pipc_control *control = queue->control;
    uint64_t *last = &control->last_order[envelope->priority];
    claimed->slot = envelope->slot;
    claimed->type = envelope->type;
    claimed->priority = envelope->priority;
    claimed->length = envelope->length;
    claimed->order = max64(envelope->ticket, max64(control->floor, *last)); /* model: slots.pml, place */
    claimed->pull = ++control->pulls;
    *last = claimed->order;
}

bool pipc_claim_enough(struct pipc_pulls *pulls)
{
    int64_t now = pipc_now();
    if (pulls->until == 0)
        pulls->until = now + LONGEST_PULL;
    return now > pulls->until;
}

bool pipc_claim_taken(struct pipc_queue *queue, size_t size, struct pipc_claimed *claimed)
{
    struct pipc_envelope envelope;
    PIPC_POINT("receive: taken, not claimed");
    if (size >= sizeof envelope && read_envelope(queue, &envelope) && size - sizeof envelope == envelope.length &&
        claim(queue, &envelope)) {
        PIPC_POINT("receive: claimed");
        place(queue, &envelope, claimed);
        return true;
    }
    pipc_staging_clear(queue);
    return false;
}

int pipc_claim_none(struct pipc_queue *queue, bool oldest, size_t *size)
{
    int error = pipc_be_queue_take_failed(queue->kernel, queue->staging, queue->kernel_size, oldest, size);
    if (error == PIPC_E_EMPTY)
        queue->control->floor = atomic_load(&queue->control->tickets);
    return error;
}

static void fill(struct pipc_queue *queue, const struct pipc_claimed *claimed) /* model: slots.pml, fill */
{
    struct pipc_slot *slot = &queue->slots[claimed->slot];
    slot->type = claimed->type;
    slot->priority = claimed->priority;
    slot->order = claimed->order;
    slot->pull = claimed->pull;
    atomic_store_explicit(&slot->length, claimed->length, memory_order_relaxed);
    memcpy(pipc_slot_body(queue, claimed->slot), staged_body(queue), claimed->length);
    atomic_signal_fence(memory_order_seq_cst);
}

/* The staging buffer is cleared last: until then a death finds the message there and stows it anew. */
int pipc_stow(struct pipc_queue *queue, const struct pipc_claimed *claimed)
{
    fill(queue, claimed); /* model: slots.pml, stow */
    PIPC_POINT("stow: filled, not in the indexes");
    int error = pipc_index_insert(queue, claimed->slot) ? 0 : pipc_rebuild(queue);
    PIPC_POINT("stow: in the indexes, still staged");
    pipc_staging_clear(queue);
    return error;
}

uint64_t pipc_free_all(struct pipc_queue *queue)
{
    uint64_t freed = 0;
    queue->control->purging = 1; /* model: slots.pml, free_all */
    atomic_signal_fence(memory_order_seq_cst);
    pipc_index_clear(queue);
    for (uint32_t slot = 0; slot < queue->max_messages; slot++)
        if (pipc_slot_is_full(queue, slot)) {
            pipc_slot_free(queue, slot);
            PIPC_POINT("purge: some freed");
            freed++;
        }
    atomic_signal_fence(memory_order_seq_cst);
    queue->control->purging = 0;
    return freed;
}

int pipc_rebuild(struct pipc_queue *queue)
{
    pipc_index_rebuild_begin(queue);
    for (uint32_t slot = 0; slot < queue->max_messages; slot++)
        if (pipc_slot_is_full(queue, slot) && !pipc_index_insert(queue, slot))
            return pipc_fail(PIPC_E_DAMAGED, "the queue's index changes under the lock: somebody scribbles on it");
    PIPC_POINT("rebuild: built, not said");
    pipc_index_rebuild_end(queue);
    return 0;
}

/* ---- after a death ---- */

/* What a dead holder of the lock left in staging: stowed anew if its slot is claimed and not in the indexes yet,
 * claimed if its slot waits for it, else it was delivered or never valid. */
static bool rescue_staged(struct pipc_queue *queue, bool indexed)
{
    struct pipc_envelope envelope;
    struct pipc_claimed claimed;
    if (!read_envelope(queue, &envelope))
        return indexed;
    uint64_t word = atomic_load(&queue->words[envelope.slot]);
    /* model: slots.pml, rescue_staged */
    bool stowed = pipc_word_state(word) == PIPC_SLOT_FULL && is_its_slot(queue, &envelope, word);
    if (stowed && indexed && pipc_index_holds(queue, envelope.slot))
        return true;
    if (stowed || claim(queue, &envelope)) {
        PIPC_POINT("repair: rescued from staging, not filled");
        place(queue, &envelope, &claimed);
        fill(queue, &claimed);
        indexed = indexed && pipc_index_insert(queue, claimed.slot);
    }
    return indexed;
}

/* A slot on its way into the indexes, or out of them to be freed, goes (back) in. */
static bool rescue_pending(struct pipc_queue *queue, bool indexed) /* model: slots.pml, rescue_pending */
{
    uint32_t slot = queue->control->pending - 1;
    if (indexed && slot < queue->max_messages && pipc_slot_is_full(queue, slot) && !pipc_index_holds(queue, slot))
        indexed = pipc_index_insert(queue, slot);
    return indexed;
}

/* May itself be cut short by a death: the next thief begins anew. */
static int repair(struct pipc_queue *queue)
{
    struct pipc_control *control = queue->control;
    PIPC_POINT("repair: begun"); /* model: slots.pml, repair */
    bool indexed = pipc_index_recover(queue);
    PIPC_POINT("repair: links put back");
    if (control->purging)
        pipc_free_all(queue);
    indexed = rescue_pending(queue, indexed);
    indexed = rescue_staged(queue, indexed);
    int error = indexed ? 0 : pipc_rebuild(queue);
    PIPC_POINT("repair: rescued, still staged");
    pipc_staging_clear(queue);
    control->pending = 0;
    atomic_store(&control->audit_wanted, 1);
    pipc_word_bump_all(&control->room);
    pipc_word_bump_all(&control->items);
    pipc_word_bump_all(&control->picky);
    return error;
}

int pipc_queue_lock_slowly(struct pipc_queue *queue, struct pipc_patience *patience)
{
    int error = pipc_lock_take(&queue->control->lock, pipc_queue_self(queue), pipc_queue_namespace(queue), patience);
    if (error != PIPC_LOCK_STOLEN)
        return error;
    error = repair(queue);
    if (error)
        pipc_queue_unlock(queue);
    return error;
}

/* Notes the words of places that should have a message in the kernel, or whose sender is dead. The noted make a chain,
 * and the others, of which there may be a million, are left untouched. Tells the last noted one + 1, or 0. Begins
 * anywhere, so that in the end every reservation is judged. */
static uint32_t note_places(struct pipc_queue *queue) /* model: slots.pml, note_places */
{
    uint32_t first = (uint32_t)(pipc_random() % queue->max_messages), judged = 0, last = 0;
    for (uint32_t i = 0; i < queue->max_messages; i++) {
        uint32_t at = (first + i) % queue->max_messages;
        uint64_t word = atomic_load(&queue->words[at]);
        bool lost = pipc_word_state(word) == PIPC_SLOT_SENT ||
                    (pipc_word_state(word) == PIPC_SLOT_RESERVED && judged++ < PIPC_MOST_JUDGED &&
                     pipc_is_dead(pipc_word_owner(word), pipc_queue_namespace(queue)));
        if (!lost)
            continue;
        queue->slots[at].noted = word;
        queue->slots[at].noted_before = last;
        last = at + 1;
    }
    return last;
}

/* A peer may have scribbled on the chain: no more of it is followed than there are places. */
static void free_noted(struct pipc_queue *queue, uint32_t last)
{
    uint64_t freed = 0;
    for (uint32_t i = 0; i < queue->max_messages && last - 1 < queue->max_messages; i++) {
        const volatile struct pipc_slot *place = &queue->slots[last - 1];
        uint64_t word = place->noted;
        enum pipc_slot_state state = pipc_word_state(word);
        if (state == PIPC_SLOT_SENT || state == PIPC_SLOT_RESERVED)
            /* model: slots.pml, free_noted */
            freed += atomic_compare_exchange_strong(&queue->words[last - 1], &word, pipc_word_as(word, PIPC_SLOT_FREE));
        last = place->noted_before;
    }
    if (freed)
        pipc_word_bump(&queue->control->room, INT_MAX);
}

static uint64_t places_taken(const struct pipc_queue *queue)
{
    uint64_t taken = 0;
    for (uint32_t at = 0; at < queue->max_messages; at++)
        taken += pipc_word_state(atomic_load(&queue->words[at])) != PIPC_SLOT_FREE;
    return taken;
}

int pipc_audit(struct pipc_queue *queue, struct pipc_pulls *pulls)
{
    struct pipc_control *control = queue->control;
    struct pipc_claimed claimed;
    int error;
    atomic_store(&control->audit_wanted, 0);
    PIPC_POINT("audit: begun, nothing noted");
    uint32_t last = note_places(queue); /* model: slots.pml, audit */
    PIPC_POINT("audit: noted");
    while ((error = pipc_claim_next(queue, &claimed, pulls)) == 0 && (error = pipc_stow(queue, &claimed)) == 0)
        ;
    if (error == PIPC_CLAIM_LATER)
        atomic_store(&control->audit_wanted, 1);
    if (error != PIPC_E_EMPTY)
        return error;
    PIPC_POINT("audit: pulled, not freed");
    uint64_t before = pipc_messages_in_books(control);
    free_noted(queue, last);
    uint64_t taken = places_taken(queue);
    uint64_t after = pipc_messages_in_books(control), in_books = before < after ? before : after;
    PIPC_POINT("audit: freed, books not balanced");
    if (in_books > taken) /* the killed took them along */
        atomic_fetch_add(&control->purged, in_books - taken);
    return 0;
}

/* An audit looks at every place: in a large queue it comes more seldom, but twice a second at least. */
static uint64_t audit_every(const struct pipc_queue *queue)
{
    uint64_t every = AUDIT_EVERY + (uint64_t)queue->max_messages * 400;
    return every < AUDIT_SELDOM ? every : AUDIT_SELDOM;
}

bool pipc_audit_due(struct pipc_queue *queue, bool none_full)
{
    struct pipc_control *control = queue->control;
    bool wanted = atomic_load_explicit(&control->audit_wanted, memory_order_relaxed);
    if (!wanted && (!none_full || pipc_messages_in_books(control) == 0))
        return false;
    int64_t now = pipc_now(), last = atomic_load_explicit(&control->audit_at, memory_order_relaxed);
    if ((uint64_t)now - (uint64_t)last < audit_every(queue))
        return false;
    atomic_store_explicit(&control->audit_at, now, memory_order_relaxed);
    return true;
}
