/** @file event.h
 *  An event: a value in shared memory that processes wait on until it changes.
 *
 *  Place it in memory that the processes share (pipc_shm_map()) or in ordinary memory shared by
 *  threads. Memory filled with zeros holds a ready event of value 0. It has a fixed size, no
 *  pointers, and needs no clean-up; a process killed at any instant leaves it usable. The waiter
 *  looks again at least every 40 ms, so even a setter killed before its wake-up delays nobody longer.
 */
#ifndef PIPC_EVENT_H
#define PIPC_EVENT_H

#include "base.h"

#ifdef __cplusplus
extern "C" {
#endif

/** The event. Treat the content as private; zeros are a ready event of value 0. Aligned to 8. */
typedef struct pipc_event {
    uint64_t words[2]; /**< Private. */
} pipc_event;

/** Whom pipc_event_set() wakes. */
enum pipc_wake {
    PIPC_WAKE_ALL = 0, /**< Every waiter. */
    PIPC_WAKE_ONE = 1  /**< One waiter; those on read-only mappings find out by themselves. */
};

/** Makes the event ready with a value. Only while nobody waits on it.
 *  @param event in writable memory, aligned to 8
 *  @param value its first value
 *  @return 0, or #PIPC_E_INVALID (NULL, misaligned)
 *  @par Threads, fork, signals
 *  One thread, before others use the event. Memory that is all zeros needs no init. */
PIPC_API int pipc_event_init(pipc_event *event, uint32_t value);

/** Stores a value and wakes waiters. What was written to memory before is seen by whoever sees the value.
 *  @param event in writable memory
 *  @param value any; "reset" is setting 0
 *  @param wake one of #pipc_wake
 *  @return 0, or #PIPC_E_INVALID (NULL, misaligned, an unknown wake)
 *  @par Threads, fork, signals
 *  Any thread or process at any time, also in a signal handler. */
PIPC_API int pipc_event_set(pipc_event *event, uint32_t value, int wake);

/** Reads the value.
 *  @param event readable memory is enough
 *  @param[out] value the value now
 *  @return 0, or #PIPC_E_INVALID (NULL, misaligned)
 *  @par Threads, fork, signals
 *  Any thread or process at any time, also in a signal handler. */
PIPC_API int pipc_event_get(const pipc_event *event, uint32_t *value);

/** Waits until the value differs from one already seen; returns at once if it does.
 *  A value that changed and changed back between two looks may be missed.
 *  @param event in writable memory
 *  @param seen the value already known
 *  @param[out] value the value now, also after a timeout or an interrupt; may be NULL
 *  @param timeout span, nanoseconds: #PIPC_NOWAIT, #PIPC_FOREVER or between
 *  @return 0, or #PIPC_E_INVALID (NULL, misaligned, a negative span), #PIPC_E_TIMEOUT (the value is still
 *    the one seen, #PIPC_NOWAIT too), #PIPC_E_INTERRUPTED (a signal handler ran during the sleep, whatever
 *    SA_RESTART says)
 *  @par Threads, fork, signals
 *  Any number of threads and processes at once. Not in a signal handler; no cancellation point. */
PIPC_API int pipc_event_wait(pipc_event *event, uint32_t seen, uint32_t *value, int64_t timeout);

/** As pipc_event_wait(), for a read-only mapping: writes nothing, and so may be late by 40 ms.
 *  @param event readable memory is enough
 *  @param seen the value already known
 *  @param[out] value the value now, also after a timeout or an interrupt; may be NULL
 *  @param timeout span, nanoseconds: #PIPC_NOWAIT, #PIPC_FOREVER or between
 *  @return as pipc_event_wait()
 *  @par Threads, fork, signals
 *  Any number of threads and processes at once. Not in a signal handler; no cancellation point. */
PIPC_API int pipc_event_watch(const pipc_event *event, uint32_t seen, uint32_t *value, int64_t timeout);

#ifdef __cplusplus
}
#endif
#endif
