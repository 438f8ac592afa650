/* The lock of a queue, and of pipc_mutex: process-shared, pointer-free, robust against the death of its owner thread.
 */
#ifndef PIPC_CORE_LOCK_H
#define PIPC_CORE_LOCK_H

#include "core/wait.h"

/* [what tells a thread's images apart 12 | hash of the owner's start time 20 | waiters 1 | - | owner's thread id 30]; 0
 * is free. An owner is known by its pipc_self() of 50 bits, and if it likes by 12 bits above. */
struct pipc_lock {
    _Atomic uint64_t word;
};

#define PIPC_LOCK_STOLEN   (-1)        /* taken from a dead owner: what it guards may be half-done */
#define PIPC_LOCK_PATIENCE PIPC_MS(25) /* of calls that do not wait */

static inline uint64_t pipc_lock_word(uint64_t self)
{
    return (self & 0x3fffffff) | (self >> 30 << 32);
}

/* Takes the lock if it is free. `self`: this thread's identity. */
static inline bool pipc_lock_try(struct pipc_lock *lock, uint64_t self)
{
    uint64_t unowned = 0; /* model: lock.pml, pipc_lock_take; mutex.pml, pipc_lock_try */
    return atomic_load_explicit(&lock->word, memory_order_relaxed) == 0 &&
           atomic_compare_exchange_strong(&lock->word, &unowned, pipc_lock_word(self));
}

/* Takes the lock. `pid_namespace`: where identities mean something,
 * 0 = nowhere: never steal. The caller does not hold it. 0, PIPC_LOCK_STOLEN, PIPC_E_BUSY (nowait), or what
 * pipc_patience_check says. */
int pipc_lock_take(struct pipc_lock *lock, uint64_t self, uint64_t pid_namespace, struct pipc_patience *patience);

/* For those who do not wait at all: takes it from an owner that is dead. */
bool pipc_lock_steal(struct pipc_lock *lock, uint64_t self, uint64_t pid_namespace);

bool pipc_lock_is_of(struct pipc_lock *lock, uint64_t self);

/* Gives back what the same `self` took; false, and nothing is done, if it did not or it was stolen meanwhile. */
bool pipc_lock_give_to_waiters(struct pipc_lock *lock, uint64_t self);

static inline bool pipc_lock_give(struct pipc_lock *lock, uint64_t self)
{
    uint64_t word = pipc_lock_word(self);
    /* model: lock.pml, pipc_lock_give; mutex.pml, pipc_lock_give */
    return atomic_compare_exchange_strong(&lock->word, &word, 0) || pipc_lock_give_to_waiters(lock, self);
}

#endif
