/** @file semaphore.h
 *  A counting semaphore in shared memory: a number of tokens to take and to put back.
 *
 *  Place it in memory that the processes share (pipc_shm_map()) or in ordinary memory shared by
 *  threads. Memory filled with zeros holds a ready semaphore of value 0. It has a fixed size, no
 *  pointers, and needs no clean-up; a process killed at any instant leaves it usable.
 *
 *  A token is taken by whoever takes it off the count, and by nobody else: a waiter that is killed takes nothing
 *  with it, unless it had taken a token already. Nobody owns tokens, so those of the dead do not come back by
 *  themselves; where that matters use a lock (mutex.h). Who waits looks again at least every 40 ms, so even a
 *  poster killed before its wake-up, or a waiter killed after it, delays nobody longer.
 */
#ifndef PIPC_SEMAPHORE_H
#define PIPC_SEMAPHORE_H

#include "base.h"

#ifdef __cplusplus
extern "C" {
#endif

#define PIPC_SEMAPHORE_MAX INT32_MAX /**< The most tokens that a semaphore can hold. */

/** The semaphore. Treat the content as private; zeros are a ready semaphore of value 0. Aligned to 8. */
typedef struct pipc_semaphore {
    uint64_t words[2]; /**< Private. */
} pipc_semaphore;

/** Makes the semaphore ready with a number of tokens. Only while nobody waits on it.
 *  @param semaphore in writable memory, aligned to 8
 *  @param value its first tokens, 0 to #PIPC_SEMAPHORE_MAX
 *  @return 0, or #PIPC_E_INVALID (NULL, misaligned, a value beyond the most)
 *  @par Threads, fork, signals
 *  One thread, before others use the semaphore. Memory that is all zeros needs no init. */
PIPC_API int pipc_semaphore_init(pipc_semaphore *semaphore, uint32_t value);

/** Puts tokens in and wakes as many waiters. What was written to memory before is seen by whoever takes them.
 *  @param semaphore in writable memory, aligned to 8
 *  @param count how many, 1 to #PIPC_SEMAPHORE_MAX; all or none
 *  @return 0, or #PIPC_E_INVALID (NULL, misaligned, a count out of range), #PIPC_E_LIMIT (there would be more than
 *    #PIPC_SEMAPHORE_MAX; nothing changed)
 *  @par Threads, fork, signals
 *  Any thread or process at any time, also in a signal handler. */
PIPC_API int pipc_semaphore_post(pipc_semaphore *semaphore, uint32_t count);

/** Takes one token, and waits for one if there is none. No order among those who wait.
 *  @param semaphore in writable memory, aligned to 8
 *  @param timeout span, nanoseconds: #PIPC_NOWAIT, #PIPC_FOREVER or between
 *  @return 0, or #PIPC_E_INVALID (NULL, misaligned, a negative span), #PIPC_E_TIMEOUT (there is still none,
 *    #PIPC_NOWAIT too), #PIPC_E_INTERRUPTED (a signal handler ran during the sleep, whatever SA_RESTART says)
 *  @par Threads, fork, signals
 *  Any number of threads and processes at once. Not in a signal handler; no cancellation point. */
PIPC_API int pipc_semaphore_wait(pipc_semaphore *semaphore, int64_t timeout);

/** Reads how many tokens there are. Others may have changed that by the time the call returns.
 *  @param semaphore readable memory is enough
 *  @param[out] value the tokens now
 *  @return 0, or #PIPC_E_INVALID (NULL, misaligned)
 *  @par Threads, fork, signals
 *  Any thread or process at any time, also in a signal handler. */
PIPC_API int pipc_semaphore_value(const pipc_semaphore *semaphore, uint32_t *value);

#ifdef __cplusplus
}
#endif
#endif
