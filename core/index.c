/* Treaps over the FULL slots; index.h says how they are guarded against damage. */
#include "core/index.h"

#include <stddef.h>

#include "core/control.h"

#define DEEPEST 128 /* a sound treap of 2^24 nodes is less than 100 deep */
#define REBUILD UINT32_MAX

_Static_assert(offsetof(struct pipc_slot, by_type) == offsetof(struct pipc_slot, by_priority) + 8,
               "the four links of a slot lie side by side");

static uint32_t read_link(const uint32_t *link)
{
    return *(const volatile uint32_t *)link;
}

static uint32_t *root(struct pipc_queue *queue, enum pipc_index which)
{
    struct pipc_control *control = queue->control;
    return which == PIPC_INDEX_BY_TYPE ? &control->by_type.top : &control->by_priority.top;
}

static struct pipc_index_node *node(struct pipc_queue *queue, enum pipc_index which, uint32_t slot)
{
    struct pipc_slot *at = &queue->slots[slot];
    return which == PIPC_INDEX_BY_TYPE ? &at->by_type : &at->by_priority;
}

/* Follows a link. False: it leads nowhere sane. */
static bool follow(const struct pipc_queue *queue, const uint32_t *link, uint32_t *slot)
{
    uint32_t value = read_link(link);
    *slot = value - 1; /* 0 becomes PIPC_INDEX_NONE */
    return value <= queue->max_messages;
}

/* The heap's order: any mix will do that two processes compute alike. */
static uint64_t rank(const struct pipc_queue *queue, uint32_t slot)
{
    uint64_t mix = atomic_load_explicit(&queue->slots[slot].ticket, memory_order_relaxed) + slot;
    mix = (mix ^ mix >> 31) * UINT64_C(0x7fb5d329728ea185);
    mix = (mix ^ mix >> 27) * UINT64_C(0x81dadef4bc2dd44d);
    return mix ^ mix >> 33;
}

static bool before(const struct pipc_queue *queue, enum pipc_index which, uint32_t a, uint32_t b)
{
    const struct pipc_slot *x = &queue->slots[a], *y = &queue->slots[b];
    if (which == PIPC_INDEX_BY_TYPE && x->type != y->type)
        return x->type < y->type;
    if (x->priority != y->priority)
        return x->priority > y->priority;
    if (x->order != y->order)
        return x->order < y->order;
    if (x->pull != y->pull)
        return x->pull < y->pull;
    return a < b;
}

/* ---- writing links, and undoing it ---- */

/* 0 and 1 are the tops; then come four links a slot. */
static uint32_t number_of(struct pipc_queue *queue, const uint32_t *link)
{
    if (link == root(queue, PIPC_INDEX_BY_PRIORITY))
        return 0;
    if (link == root(queue, PIPC_INDEX_BY_TYPE))
        return 1;
    size_t offset = (size_t)((const char *)link - (const char *)queue->slots);
    size_t within = offset % sizeof(struct pipc_slot) - offsetof(struct pipc_slot, by_priority);
    return (uint32_t)(2 + offset / sizeof(struct pipc_slot) * 4 + within / sizeof *link);
}

static uint32_t *link_of(struct pipc_queue *queue, uint32_t number)
{
    if (number < 2)
        return root(queue, number ? PIPC_INDEX_BY_TYPE : PIPC_INDEX_BY_PRIORITY);
    uint32_t slot = (number - 2) / 4, which = (number - 2) % 4;
    return slot < queue->max_messages ? &queue->slots[slot].by_priority.less + which : NULL;
}

/* Every write of a link. The fences keep the compiler to this order; a death keeps to it by itself. */
static void write_link(struct pipc_queue *queue, uint32_t *link, uint32_t value)
{
    volatile uint32_t *count = &queue->control->undo_count;
    uint32_t noted = *count;
    if (noted < PIPC_UNDO_MAX) {
        queue->undo[noted] = (struct pipc_undo){number_of(queue, link), *link};
        atomic_signal_fence(memory_order_seq_cst);
        *count = noted + 1;
        atomic_signal_fence(memory_order_seq_cst);
    } else {
        *count = REBUILD;
    }
    PIPC_POINT("index: noted, link as it was");
    *(volatile uint32_t *)link = value;
    PIPC_POINT("index: link written");
}

/* A change is whole: its notes are forgotten. A change that met damage leaves "rebuild me". */
static bool settle(struct pipc_queue *queue, bool sound)
{
    atomic_signal_fence(memory_order_seq_cst);
    *(volatile uint32_t *)&queue->control->undo_count = sound ? 0 : REBUILD;
    return sound;
}

void pipc_index_rebuild_begin(struct pipc_queue *queue)
{
    settle(queue, false);
    atomic_signal_fence(memory_order_seq_cst);
    pipc_index_clear(queue);
}

void pipc_index_rebuild_end(struct pipc_queue *queue)
{
    settle(queue, true);
}

bool pipc_index_recover(struct pipc_queue *queue)
{
    uint32_t count = *(volatile uint32_t *)&queue->control->undo_count;
    if (count > PIPC_UNDO_MAX)
        return false;
    while (count > 0) {
        const volatile struct pipc_undo *undo = &queue->undo[--count];
        uint32_t *link = link_of(queue, undo->link);
        if (!link)
            return settle(queue, false);
        *(volatile uint32_t *)link = undo->old;
    }
    return settle(queue, true);
}

/* ---- changing ---- */

void pipc_index_clear(struct pipc_queue *queue)
{
    queue->control->by_priority.top = 0;
    queue->control->by_type.top = 0;
}

/* Parts the tree under *link into what comes before and after `slot`, which becomes its top. */
static bool split(struct pipc_queue *queue, enum pipc_index which, uint32_t *link, uint32_t slot)
{
    uint32_t current;
    bool sound = follow(queue, link, &current);
    uint32_t *less = &node(queue, which, slot)->less, *more = &node(queue, which, slot)->more;
    write_link(queue, link, slot + 1);
    for (int depth = 0; sound && current != PIPC_INDEX_NONE; depth++) {
        bool is_less = before(queue, which, current, slot);
        uint32_t **side = is_less ? &less : &more;
        write_link(queue, *side, current + 1);
        *side = is_less ? &node(queue, which, current)->more : &node(queue, which, current)->less;
        sound = depth < DEEPEST && current != slot && follow(queue, *side, &current);
    }
    write_link(queue, less, 0);
    write_link(queue, more, 0);
    return sound;
}

static bool insert(struct pipc_queue *queue, enum pipc_index which, uint32_t slot)
{
    uint32_t *link = root(queue, which);
    uint64_t mine = rank(queue, slot);
    for (int depth = 0; depth < DEEPEST; depth++) {
        uint32_t current;
        if (!follow(queue, link, &current) || current == slot)
            return false;
        if (current == PIPC_INDEX_NONE || mine > rank(queue, current))
            return split(queue, which, link, slot);
        struct pipc_index_node *at = node(queue, which, current);
        link = before(queue, which, slot, current) ? &at->less : &at->more;
    }
    return false;
}

/* Joins the two trees below a removed slot and hangs the result on *link. */
static bool join(struct pipc_queue *queue, enum pipc_index which, uint32_t *link, uint32_t slot)
{
    uint32_t less, more;
    bool sound =
        follow(queue, &node(queue, which, slot)->less, &less) && follow(queue, &node(queue, which, slot)->more, &more);
    for (int depth = 0; sound && less != PIPC_INDEX_NONE && more != PIPC_INDEX_NONE; depth++) {
        bool take_less = rank(queue, less) > rank(queue, more);
        uint32_t *chosen = take_less ? &less : &more;
        write_link(queue, link, *chosen + 1);
        struct pipc_index_node *at = node(queue, which, *chosen);
        link = take_less ? &at->more : &at->less;
        sound = depth < DEEPEST && follow(queue, link, chosen);
    }
    if (sound)
        write_link(queue, link, (less != PIPC_INDEX_NONE ? less : more) + 1);
    return sound;
}

/* The link that leads to a slot; NULL if there is none, or the index is damaged. */
static uint32_t *find(struct pipc_queue *queue, enum pipc_index which, uint32_t slot)
{
    uint32_t *link = root(queue, which);
    for (int depth = 0; depth < DEEPEST; depth++) {
        uint32_t current;
        if (!follow(queue, link, &current) || current == PIPC_INDEX_NONE)
            return NULL;
        if (current == slot)
            return link;
        struct pipc_index_node *at = node(queue, which, current);
        link = before(queue, which, slot, current) ? &at->less : &at->more;
    }
    return NULL;
}

static bool take_out(struct pipc_queue *queue, enum pipc_index which, uint32_t slot)
{
    uint32_t *link = find(queue, which, slot);
    return link && join(queue, which, link, slot);
}

static bool insert_both(struct pipc_queue *queue, uint32_t slot)
{
    return insert(queue, PIPC_INDEX_BY_PRIORITY, slot) && insert(queue, PIPC_INDEX_BY_TYPE, slot);
}

bool pipc_index_insert(struct pipc_queue *queue, uint32_t slot)
{
    if (*(volatile uint32_t *)&queue->control->undo_count == REBUILD)
        return insert_both(queue, slot);
    return settle(queue, insert_both(queue, slot));
}

bool pipc_index_remove(struct pipc_queue *queue, uint32_t slot)
{
    return settle(queue, take_out(queue, PIPC_INDEX_BY_PRIORITY, slot) && take_out(queue, PIPC_INDEX_BY_TYPE, slot));
}

bool pipc_index_holds(struct pipc_queue *queue, uint32_t slot)
{
    return find(queue, PIPC_INDEX_BY_PRIORITY, slot) && find(queue, PIPC_INDEX_BY_TYPE, slot);
}

/* ---- looking ---- */

bool pipc_index_first(struct pipc_queue *queue, enum pipc_index which, uint32_t *slot)
{
    uint32_t next;
    *slot = PIPC_INDEX_NONE;
    bool sound = follow(queue, root(queue, which), &next);
    for (int depth = 0; sound && next != PIPC_INDEX_NONE; depth++) {
        *slot = next;
        sound = depth < DEEPEST && follow(queue, &node(queue, which, next)->less, &next);
    }
    return sound;
}

bool pipc_index_first_of_type(struct pipc_queue *queue, uint32_t type, uint32_t *slot)
{
    uint32_t next;
    *slot = PIPC_INDEX_NONE;
    bool sound = follow(queue, root(queue, PIPC_INDEX_BY_TYPE), &next);
    for (int depth = 0; sound && next != PIPC_INDEX_NONE; depth++) {
        struct pipc_index_node *at = node(queue, PIPC_INDEX_BY_TYPE, next);
        uint32_t here = queue->slots[next].type;
        if (here == type)
            *slot = next;
        sound = depth < DEEPEST && follow(queue, here < type ? &at->more : &at->less, &next);
    }
    return sound;
}

/* Walks in order of priority past the messages of the unwanted type. */
bool pipc_index_first_except(struct pipc_queue *queue, uint32_t type, uint32_t *slot)
{
    uint32_t path[DEEPEST], next;
    int depth = 0;
    *slot = PIPC_INDEX_NONE;
    bool sound = follow(queue, root(queue, PIPC_INDEX_BY_PRIORITY), &next);
    for (uint32_t seen = 0; sound && seen <= queue->max_messages; seen++) {
        for (; next != PIPC_INDEX_NONE;
             path[depth++] = next, sound = follow(queue, &node(queue, PIPC_INDEX_BY_PRIORITY, next)->less, &next))
            if (!sound || depth == DEEPEST)
                return false;
        if (!sound || depth == 0)
            return sound;
        next = path[--depth];
        if (queue->slots[next].type != type) {
            *slot = next;
            return true;
        }
        sound = follow(queue, &node(queue, PIPC_INDEX_BY_PRIORITY, next)->more, &next);
    }
    return false;
}
