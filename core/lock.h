/* The lock of a queue: process-shared, pointer-free, robust against the death of its owner thread. */
#ifndef PIPC_CORE_LOCK_H
#define PIPC_CORE_LOCK_H

#include "core/wait.h"

/* [hash of the owner's start time 20 | waiters 1 | owner's thread id 30]; 0 is free. */
struct pipc_lock {
    _Atomic uint64_t word;
};

#define PIPC_LOCK_STOLEN   (-1)        /* taken from a dead owner: what it guards may be half-done */
#define PIPC_LOCK_PATIENCE PIPC_MS(25) /* of calls that do not wait */

/* Takes the lock if it is free now. */
bool pipc_lock_try(struct pipc_lock *lock, uint64_t self);

/* Takes the lock. `self`: this thread's identity. `pid_namespace`: where identities mean something,
 * 0 = nowhere: never steal. The caller does not hold it. 0, PIPC_LOCK_STOLEN, PIPC_E_BUSY (nowait), or what
 * pipc_patience_check says. */
int pipc_lock_take(struct pipc_lock *lock, uint64_t self, uint64_t pid_namespace, struct pipc_patience *patience);

/* Does the lock carry this identity? */
bool pipc_lock_is_held_by(struct pipc_lock *lock, uint64_t self);

/* Gives back what the same `self` took; does nothing if it was stolen meanwhile. */
void pipc_lock_give(struct pipc_lock *lock, uint64_t self);

#endif
