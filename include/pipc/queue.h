/** @file queue.h
 *  Named message queues.
 *
 *  **Life.** A queue lives until it is removed or the machine restarts; closing a handle never
 *  removes it. **Handles** belong to the process that opened them, may be used by any number of
 *  its threads at once, work on in a forked child, and do not survive exec. Closing a handle while
 *  another thread is in a call on it is the caller's error.
 *
 *  **Waiting.** Spans are in nanoseconds (#PIPC_NOWAIT, #PIPC_FOREVER, #PIPC_MS). A wait never ends
 *  early and ends late by scheduling only. #PIPC_NOWAIT never waits for messages or room; it waits
 *  at most 25 ms for the queue's internal lock, then answers #PIPC_E_BUSY. #PIPC_E_FULL and
 *  #PIPC_E_EMPTY are answers of #PIPC_NOWAIT calls; other spans end with #PIPC_E_TIMEOUT.
 *
 *  **Signals.** A call whose sleep a signal handler interrupted answers #PIPC_E_INTERRUPTED,
 *  whatever SA_RESTART says, unless the message has #PIPC_RESTART. No call but
 *  pipc_queue_interrupt() is async-signal-safe; one made from a handler that interrupted a call on
 *  the same queue answers #PIPC_E_BUSY. Calls are no cancellation points.
 *
 *  **Removal.** Once a queue is removed every call that begins on an old handle answers
 *  #PIPC_E_REMOVED, for ever; only pipc_queue_close() is left to do.
 *
 *  **Misuse.** A NULL where none is allowed, an unknown flag, a value out of range:
 *  #PIPC_E_INVALID, and nothing is changed.
 *
 *  **Both builds** keep the same promises. Where a message waits differs: one that fits the
 *  kernel's queue waits there, others in the queue's shared memory; see the manual's page "The
 *  contract".
 */
#ifndef PIPC_QUEUE_H
#define PIPC_QUEUE_H

#include "base.h"

#ifdef __cplusplus
extern "C" {
#endif

#define PIPC_TYPE_MAX         0x7fffffffu /**< Highest message type; the lowest is 1. */
#define PIPC_PRIORITY_MAX     31u         /**< Highest priority; higher is received first. */
#define PIPC_MESSAGES_MAX     16777216u   /**< Highest max_messages of a queue (2^24). */
#define PIPC_MESSAGE_SIZE_MAX 1073741824u /**< Highest max_size of a queue, bytes (2^30). */
#define PIPC_DEFAULT_MESSAGES 64u         /**< max_messages of a new queue whose options leave it 0. */
#define PIPC_DEFAULT_SIZE     4096u       /**< max_size of a new queue whose options leave it 0, bytes. */

/** An open queue. Opaque; made by pipc_queue_open(), ended by pipc_queue_close(). */
typedef struct pipc_queue pipc_queue;

/** What a new queue shall be, or what an existing one is expected to be.
 *  0 means "the default" for a new queue and "whatever it has" for an existing one; any other value
 *  that differs from an existing queue's is #PIPC_E_MISMATCH. All zero, or NULL, is fine. */
typedef struct pipc_queue_options {
    uint32_t max_messages; /**< 1 to #PIPC_MESSAGES_MAX; default #PIPC_DEFAULT_MESSAGES. Exactly so many fit. */
    uint32_t mode;         /**< Permission bits within 0666, the final mode whatever the umask; r = receive,
                                w = send; the owner's bits must be rw. Default 0600. */
    uint64_t max_size;     /**< Largest message, bytes, 1 to #PIPC_MESSAGE_SIZE_MAX; default #PIPC_DEFAULT_SIZE. */
    uint64_t reserved[4];  /**< Must be 0. */
} pipc_queue_options;

/** One message, to send or received.
 *  To send: set type, data and size, perhaps priority. To receive: set data and size to the buffer's;
 *  the call sets type, priority and size to the message's. */
typedef struct pipc_message {
    void *data;        /**< The body or the buffer, owned by the caller; never written by a send. May be
                            NULL if size is 0. */
    uint64_t size;     /**< Bytes. After a receive: the message's whole size (more than the buffer's only if
                            #PIPC_TRUNCATE cut it); after #PIPC_E_TOO_SMALL: the size needed. */
    uint32_t type;     /**< 1 to #PIPC_TYPE_MAX. */
    uint32_t priority; /**< 0 (default) to #PIPC_PRIORITY_MAX. */
    uint32_t flags;    /**< 0, #PIPC_RESTART, #PIPC_TRUNCATE (receive and peek only). */
    uint32_t reserved; /**< Must be 0. */
} pipc_message;

/** Which message to receive; made by pipc_any(), pipc_exactly(), pipc_except(), pipc_up_to(). */
typedef struct pipc_selection {
    uint32_t rule; /**< One of #pipc_rule. */
    uint32_t type; /**< The type that the rule speaks of; 0 for #PIPC_RULE_ANY. */
} pipc_selection;

/** The rules of selection. */
enum pipc_rule {
    PIPC_RULE_ANY = 0, /**< Any message: highest priority, then oldest. */
    PIPC_RULE_EXACTLY, /**< Of one type: highest priority, then oldest. */
    PIPC_RULE_EXCEPT,  /**< Of any type but one: highest priority, then oldest. */
    PIPC_RULE_UP_TO    /**< Lowest type not above a bound, then highest priority, then oldest. */
};

/** Any message: highest priority first, oldest first within a priority. @return the selection */
static inline pipc_selection pipc_any(void)
{
    pipc_selection selection = {PIPC_RULE_ANY, 0};
    return selection;
}

/** Only messages of this type. @param type 1 to #PIPC_TYPE_MAX @return the selection */
static inline pipc_selection pipc_exactly(uint32_t type)
{
    pipc_selection selection = {PIPC_RULE_EXACTLY, type};
    return selection;
}

/** Messages of any type but this. @param type 1 to #PIPC_TYPE_MAX @return the selection */
static inline pipc_selection pipc_except(uint32_t type)
{
    pipc_selection selection = {PIPC_RULE_EXCEPT, type};
    return selection;
}

/** The lowest type that is not above the bound. @param type 1 to #PIPC_TYPE_MAX @return the selection */
static inline pipc_selection pipc_up_to(uint32_t type)
{
    pipc_selection selection = {PIPC_RULE_UP_TO, type};
    return selection;
}

/** A queue's statistics, see pipc_queue_statistics(). Exact while nobody is inside a call and nobody
 *  was killed inside one; `messages` always is. */
typedef struct pipc_queue_info {
    uint64_t messages;     /**< Messages now: sent and not yet taken. */
    uint64_t bytes;        /**< Bytes of their bodies. */
    uint64_t high_water;   /**< Most messages there ever were at once; one on its way in or out counts. */
    uint64_t sent;         /**< Messages sent since creation. */
    uint64_t received;     /**< Messages received since creation (purged ones do not count). */
    uint64_t max_size;     /**< Largest message, bytes. */
    int64_t created;       /**< When the queue was made, nanoseconds since 1970 (UTC). */
    uint32_t max_messages; /**< Capacity. */
    uint32_t waiters;      /**< Callers asleep now; an estimate. */
    int32_t last_sender;   /**< Process that sent last, 0 if none. */
    int32_t last_receiver; /**< Process that received last, 0 if none. */
    int32_t creator;       /**< Process that made the queue. */
    uint32_t owner;        /**< User that made the queue, as the kernel said at opening. */
    uint32_t mode;         /**< Permission bits. */
    uint32_t kernel_depth; /**< Messages the kernel's queue takes, 0 if it counts bytes only. */
    uint64_t kernel_size;  /**< Largest body that goes through the kernel's queue, bytes. */
    const char *backend;   /**< "sysv" or "posix". */
} pipc_queue_info;

/** Opens or creates a queue.
 *  Of racing creators exactly one creates; a half-made queue is never visible; what a killed creator
 *  left is finished or cleared. Waits at most 1 s for somebody who is at work on the name.
 *  @param[out] queue the handle on success, else NULL; end it with pipc_queue_close()
 *  @param name 1 to 200 bytes, see base.h
 *  @param flags 0 or #PIPC_CREATE, #PIPC_EXCLUSIVE (only with #PIPC_CREATE); #PIPC_RECEIVE and
 *         #PIPC_SEND (neither means both); #PIPC_NO_SPIN; #PIPC_FOREIGN_PIDS
 *  @param options copied; NULL is the same as all zeros: the defaults, or whatever the queue has
 *  @return 0, or #PIPC_E_INVALID, #PIPC_E_NAME, #PIPC_E_NOT_FOUND (without #PIPC_CREATE),
 *    #PIPC_E_EXISTS (with #PIPC_EXCLUSIVE), #PIPC_E_MISMATCH (both values are in the detail),
 *    #PIPC_E_ACCESS (the mode grants less than asked for), #PIPC_E_BUSY (somebody builds or removes it
 *    for more than 1 s), #PIPC_E_NO_SPACE (the room for all messages is reserved at creation; the detail
 *    names the bytes), #PIPC_E_LIMIT (the detail names the limit and the remedy), #PIPC_E_NO_MEMORY,
 *    #PIPC_E_FOREIGN, #PIPC_E_LAYOUT, #PIPC_E_DAMAGED, #PIPC_E_NAMESPACE, #PIPC_E_SYSTEM
 *  @par Threads, fork, signals
 *  Any thread at any time. The handle works on in forked children; exec ends it. Not in a signal handler.
 *  @par Builds
 *  System V: each queue takes one segment and one kernel queue of the machine's. POSIX: a file in
 *  /dev/shm and a kernel queue, which counts for its creator's RLIMIT_MSGQUEUE; each handle holds one
 *  descriptor. */
PIPC_API int pipc_queue_open(pipc_queue **queue, const char *name, uint32_t flags, const pipc_queue_options *options);

/** Closes a handle; the queue and its messages stay. A forked child closes its own copy.
 *  @param queue NULL is allowed and does nothing
 *  @return 0
 *  @par Threads, fork, signals
 *  No other thread may be in a call on the handle, and no handler may interrupt() it any more. In a
 *  forked child it ends the child's handle only. Not in a signal handler. */
PIPC_API int pipc_queue_close(pipc_queue *queue);

/** Removes a queue: frees the name at once, wakes every waiter with #PIPC_E_REMOVED; its messages are
 *  lost. Of racing removers exactly one succeeds. Only the owner or a privileged process may.
 *  Handles stay open and answer #PIPC_E_REMOVED until they are closed. Waits at most 1 s for somebody
 *  who is at work on the name; never for the queue's lock.
 *  @param name 1 to 200 bytes, see base.h
 *  @return 0, or #PIPC_E_INVALID (NULL), #PIPC_E_NAME, #PIPC_E_NOT_FOUND, #PIPC_E_ACCESS, #PIPC_E_BUSY
 *    (somebody else builds or removes it for more than 1 s), #PIPC_E_FOREIGN, #PIPC_E_LAYOUT,
 *    #PIPC_E_DAMAGED, #PIPC_E_LIMIT, #PIPC_E_NO_MEMORY, #PIPC_E_SYSTEM
 *  @par Threads, fork, signals
 *  Any thread or process at any time. Not in a signal handler. */
PIPC_API int pipc_queue_remove(const char *name);

/** Sends one message, whole or not at all.
 *  Success means that it lies in the queue, not that anybody has received it.
 *  @param queue opened with #PIPC_SEND
 *  @param message type, data, size, priority, flags (#PIPC_RESTART); not changed, and not needed after
 *         the call; a size of 0 is a message without a body
 *  @param timeout span to wait for room, nanoseconds: #PIPC_NOWAIT, #PIPC_FOREVER or between
 *  @return 0, or #PIPC_E_INVALID (type 0, a priority above 31, ...), #PIPC_E_TOO_BIG (above max_size),
 *    #PIPC_E_FULL (#PIPC_NOWAIT only), #PIPC_E_TIMEOUT, #PIPC_E_INTERRUPTED, #PIPC_E_REMOVED,
 *    #PIPC_E_ACCESS (the handle may not send), #PIPC_E_BUSY (#PIPC_NOWAIT: the lock is held for more than
 *    25 ms; or called in a handler), #PIPC_E_DAMAGED, #PIPC_E_NO_MEMORY, #PIPC_E_SYSTEM. After an error
 *    nothing was sent.
 *  @par Threads, fork, signals
 *  Any number of threads and forked children at once. Not in a signal handler; no cancellation point.
 *  @par Builds
 *  The same. A message that fits the kernel's queue (pipc_queue_info::kernel_size) takes one system
 *  call, msgsnd or mq_send; another waits in shared memory. */
PIPC_API int pipc_queue_send(pipc_queue *queue, const pipc_message *message, int64_t timeout);

/** Receives the first message that the selection wants.
 *  The order of the other messages stays as it was.
 *  @param queue opened with #PIPC_RECEIVE
 *  @param selection pipc_any(), pipc_exactly(), pipc_except(), pipc_up_to()
 *  @param[in,out] message data and size of the buffer, flags (#PIPC_RESTART, #PIPC_TRUNCATE);
 *         type, priority and size are set on success, size also by #PIPC_E_TOO_SMALL. A size of 0 with
 *         data NULL takes messages without a body
 *  @param timeout span to wait for a message, nanoseconds: #PIPC_NOWAIT, #PIPC_FOREVER or between
 *  @return 0, or #PIPC_E_INVALID, #PIPC_E_TOO_SMALL (the message stays, message->size is what it needs),
 *    #PIPC_E_EMPTY (#PIPC_NOWAIT only), #PIPC_E_TIMEOUT, #PIPC_E_INTERRUPTED, #PIPC_E_REMOVED,
 *    #PIPC_E_ACCESS (the handle may not receive), #PIPC_E_BUSY (#PIPC_NOWAIT: the lock is held for more than
 *    25 ms, or somebody floods the kernel's queue; or called in a handler), #PIPC_E_DAMAGED, #PIPC_E_SYSTEM
 *  @par Threads, fork, signals
 *  Any number of threads and forked children at once. Not in a signal handler; no cancellation point.
 *  @par Builds
 *  The same. Neither kernel's own selection or waiting is used. */
PIPC_API int pipc_queue_receive(pipc_queue *queue, pipc_selection selection, pipc_message *message, int64_t timeout);

/** Copies the first message that the selection wants and leaves it in its place.
 *  As pipc_queue_receive() in every other way: parameters, waiting, errors.
 *  @param queue opened with #PIPC_RECEIVE
 *  @param selection as for pipc_queue_receive()
 *  @param[in,out] message as for pipc_queue_receive()
 *  @param timeout span to wait for a message, nanoseconds: #PIPC_NOWAIT, #PIPC_FOREVER or between
 *  @return as pipc_queue_receive()
 *  @par Threads, fork, signals
 *  Any number of threads and forked children at once. Not in a signal handler; no cancellation point. */
PIPC_API int pipc_queue_peek(pipc_queue *queue, pipc_selection selection, pipc_message *message, int64_t timeout);

/** Drops every message that was sent before the call began.
 *  @param queue opened with #PIPC_RECEIVE
 *  @param[out] dropped how many, may be NULL
 *  @return 0, or #PIPC_E_INVALID, #PIPC_E_REMOVED, #PIPC_E_ACCESS, #PIPC_E_BUSY (the lock is held for more
 *    than 25 ms; a flood of messages did not end within a second; or called in a handler), #PIPC_E_DAMAGED,
 *    #PIPC_E_SYSTEM
 *  @par Threads, fork, signals
 *  Any thread at any time; in a forked child too. Not in a signal handler; no cancellation point. */
PIPC_API int pipc_queue_purge(pipc_queue *queue, uint64_t *dropped);

/** Tells a queue's statistics and limits. Never takes the queue's lock.
 *  @param queue any open handle
 *  @param[out] info filled in on success, else untouched; its strings are constants
 *  @return 0, or #PIPC_E_INVALID (NULL), #PIPC_E_REMOVED, #PIPC_E_BUSY (called in a handler that interrupted a
 *    call on this queue)
 *  @par Threads, fork, signals
 *  Any thread at any time; in a forked child too. Not in a signal handler. Does not wait. */
PIPC_API int pipc_queue_statistics(pipc_queue *queue, pipc_queue_info *info);

/** Ends the sleep of every thread of this process that waits in a call on this handle; their calls
 *  answer #PIPC_E_INTERRUPTED. If none sleeps, the next call on the handle that would sleep answers
 *  so at once: a "stop" flag that a signal handler sets just before the sleep is not missed.
 *  #PIPC_RESTART does not resist it. Other handles and processes do not notice.
 *  @param queue any open handle
 *  @return 0, or #PIPC_E_INVALID (NULL), #PIPC_E_REMOVED (this one sets no pipc_error_detail())
 *  @par Threads, fork, signals
 *  Any thread at any time, also in a signal handler, whatever it interrupted. In a forked child it
 *  concerns the child's threads only. */
PIPC_API int pipc_queue_interrupt(pipc_queue *queue);

#ifdef __cplusplus
}
#endif
#endif
