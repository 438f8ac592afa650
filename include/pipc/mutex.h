/** @file mutex.h
 *  A lock in shared memory that survives the death of whoever holds it.
 *
 *  Place it in memory that the processes share (pipc_shm_map()) or in ordinary memory shared by
 *  threads, and put what it guards beside it. Memory filled with zeros holds a ready, free lock. It has
 *  a fixed size, no pointers, and needs no clean-up.
 *
 *  A thread owns it, not a process. If that thread is killed, or ends, while it has the lock, the next one that
 *  locks gets it, with the answer #PIPC_E_OWNER_DIED: the lock is held then, and what it guards may be half
 *  changed. Of all who wait or come exactly one is told of each such death, within 25 ms. If that one dies before it
 *  unlocks, the next is told.
 *
 *  Whose death can be seen: that of threads in the pid namespace (often: the container) of whoever locked
 *  first since the memory was zeros or pipc_mutex_init(). Threads of other namespaces, and those that find no `/proc`,
 *  may lock too; but they never take the lock from the dead, and if they die with it, it stays locked until
 *  pipc_mutex_init(). A process that calls `exec` with the lock keeps it until the new program ends, or
 *  locks it itself and is told #PIPC_E_OWNER_DIED. A build for the generic platform (pipc_facts::platform) sees only
 * the deaths of whole processes, once their parents have waited for them.
 */
#ifndef PIPC_MUTEX_H
#define PIPC_MUTEX_H

#include "base.h"

#ifdef __cplusplus
extern "C" {
#endif

/** The lock. Treat the content as private; zeros are a ready, free lock. Aligned to 8, in writable memory. */
typedef struct pipc_mutex {
    uint64_t words[2]; /**< Private. */
} pipc_mutex;

/** Makes the lock ready and free. Only while nobody uses it, or nobody who lives.
 *  @param mutex in writable memory, aligned to 8
 *  @return 0, or #PIPC_E_INVALID (NULL, misaligned)
 *  @par Threads, fork, signals
 *  One thread, before others use the lock. Memory that is all zeros needs no init. */
PIPC_API int pipc_mutex_init(pipc_mutex *mutex);

/** Takes the lock, and waits for it if somebody else has it. What its last owner wrote before unlocking is seen.
 *  No order among those who wait. Not recursive.
 *  @param mutex in writable memory, aligned to 8
 *  @param timeout span, nanoseconds: #PIPC_NOWAIT (try), #PIPC_FOREVER or between. A try that finds the lock taken
 * looks whether its owner lives, which takes some microseconds, and waits for nothing.
 *  @return 0 and #PIPC_E_OWNER_DIED (the last owner died with it) with the lock held; else, without it:
 *    #PIPC_E_INVALID (NULL, misaligned, a negative span), #PIPC_E_DEADLOCK (this thread has it already),
 *    #PIPC_E_BUSY (#PIPC_NOWAIT: somebody has it), #PIPC_E_TIMEOUT, #PIPC_E_INTERRUPTED (a signal handler ran during
 * the sleep, whatever SA_RESTART says)
 *  @par Threads, fork, signals
 *  Any number of threads and processes at once. A forked child does not have what its parent's threads have. Not in
 *  a signal handler; no cancellation point. */
PIPC_API int pipc_mutex_lock(pipc_mutex *mutex, int64_t timeout);

/** Gives the lock back and wakes one that waits.
 *  @param mutex in writable memory, aligned to 8
 *  @return 0, or #PIPC_E_INVALID (NULL, misaligned), #PIPC_E_ACCESS (this thread does not have it: it is free,
 *    or another thread's, or the parent's; nothing changed)
 *  @par Threads, fork, signals
 *  The thread that locked it. Not in a signal handler; no cancellation point. */
PIPC_API int pipc_mutex_unlock(pipc_mutex *mutex);

#ifdef __cplusplus
}
#endif
#endif
