/* The test double: the smallest backend there can be, for threads of one process.
 *
 * It is what remains of a backend when the kernel is left out: names lead to memory, a queue takes a
 * few short messages. A new backend can start as a copy of this folder: keep the functions, replace
 * the two tables by what the new kernel offers. What this one does not need and a real one does:
 * rights of other users, creators killed half-way, names left behind by an earlier process.
 */
#ifndef PIPC_TESTS_DOUBLE_H
#define PIPC_TESTS_DOUBLE_H

#include "core/backend.h"

/* One object. It is in the list while its name leads to it, and lives until its name and its last
 * opening are gone. */
struct thing {
    struct thing *next;
    struct pipc_object *object; /* the header page, mapped */
    uint64_t size;              /* of the data behind it */
    uint64_t openings;
    bool named;
    int fd;
};

struct pipc_be_memory {
    struct thing *thing;
};

/* Opens the nth object of the list, whatever its state; NULL: there is none. */
struct pipc_be_memory *pipc_double_open_nth(unsigned nth);

/* Removes the kernel queue with this label from the table, if there is one. */
void pipc_double_queue_remove(uint64_t label);

/* After so many takes from kernel queues, counted from now, each gets a foreign message. INT64_MAX: none does. */
void pipc_double_flood(int64_t after);

#endif
