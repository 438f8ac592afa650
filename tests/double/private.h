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

/* Removes the kernel queue with this label from the table, if there is one. */
void pipc_double_queue_remove(uint64_t label);

#endif
