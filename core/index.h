/* Two ordered indexes over the FULL slots of a queue, in shared memory, guarded by the queue's lock.
 *
 * Treaps whose nodes lie in the slots: search by key, a heap by a number mixed from the slot's ticket.
 * Links are slot numbers + 1, 0 = none. The code trusts no link: each is checked before use and every
 * walk is bounded, so that damage is noticed ("false") and never followed; the caller rebuilds.
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

void pipc_index_clear(struct pipc_queue *queue);

bool pipc_index_is_empty(struct pipc_queue *queue);

/* Puts a FULL slot into both indexes. False: damaged. */
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
