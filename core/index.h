/* Two ordered indexes over the FULL slots of a queue, in shared memory, guarded by the queue's lock.
 *
 * Treaps whose nodes lie in the slots: search by key, a heap by a number mixed from the slot's ticket.
 * Links are slot numbers + 1, 0 = none. The code trusts no link: each is checked before use and every
 * walk is bounded, so that damage is noticed ("false") and never followed; the caller rebuilds.
 *
 * A change notes the old value of each link before it writes it, and forgets the notes when it is whole. Whoever
 * takes the lock from a dead holder puts the old values back (pipc_index_recover): the change never
 * happened. So a death costs a few links, not a rebuild.
 */
#ifndef PIPC_CORE_INDEX_H
#define PIPC_CORE_INDEX_H

#include <stdbool.h>
#include <stdint.h>

struct pipc_queue;

struct pipc_index_root {
    uint32_t top;
};

struct pipc_index_node {
    uint32_t less;
    uint32_t more;
};

enum pipc_index { PIPC_INDEX_BY_PRIORITY, PIPC_INDEX_BY_TYPE };

#define PIPC_INDEX_NONE UINT32_MAX

struct pipc_undo {
    uint32_t link; /* which one */
    uint32_t old;
};

#define PIPC_UNDO_MAX 512u /* a sound change writes less than 300 links */

void pipc_index_clear(struct pipc_queue *queue);

/* Between these two a death leaves "rebuild me" behind; inserts in between are not noted. */
void pipc_index_rebuild_begin(struct pipc_queue *queue);
void pipc_index_rebuild_end(struct pipc_queue *queue);

/* After a theft of the lock: undoes a change cut short. False: the indexes must be built anew. */
bool pipc_index_recover(struct pipc_queue *queue);

/* Is the slot in the indexes? False also if they are damaged. */
bool pipc_index_holds(struct pipc_queue *queue, uint32_t slot);

/* Puts a FULL slot into both indexes, whole or not at all. False: damaged. */
bool pipc_index_insert(struct pipc_queue *queue, uint32_t slot);

/* Takes it out of both. False: damaged, or it was not there. */
bool pipc_index_remove(struct pipc_queue *queue, uint32_t slot);

/* The first in an index, PIPC_INDEX_NONE if there is none. False: damaged. */
bool pipc_index_first(struct pipc_queue *queue, enum pipc_index which, uint32_t *slot);

/* The first of one type, by priority, then order. */
bool pipc_index_first_of_type(struct pipc_queue *queue, uint32_t type, uint32_t *slot);

/* The first by priority, then order, of any type but one. */
bool pipc_index_first_except(struct pipc_queue *queue, uint32_t type, uint32_t *slot);

#endif
