/** @file channel.h
 *  Named channels: a ring of records in shared memory, for traffic too fast for a kernel queue.
 *
 *  Records have any size up to a quarter of the ring and are received in the order in which they were reserved. They
 *  can be written and read in place: pipc_channel_reserve(), fill, pipc_channel_commit(); pipc_channel_peek(),
 *  look, pipc_channel_release(). pipc_channel_send() and pipc_channel_receive() do the same with one copy.
 *
 *  **Who sends.** One producer at a time (#PIPC_PRODUCERS_ONE: whoever reserves holds up other producers until it
 *  commits), or many at once (#PIPC_PRODUCERS_MANY: they fill their records side by side; a record that is not
 *  committed yet holds up those behind it, not their producers).
 *
 *  **Who receives.** One consumer at a time takes the records away (#PIPC_DELIVER_ONCE); or every subscriber sees every
 *  record: #PIPC_DELIVER_ALL holds the producers up until the slowest has read, #PIPC_DELIVER_LATEST overwrites the
 *  oldest and tells the slow how many they missed. A handle opened with #PIPC_READ on such a channel is a
 *  subscriber from then on, so a process that only sends must open with #PIPC_WRITE alone. A forked child that reads
 *  with an inherited handle becomes a subscriber of its own at its first read.
 *
 *  **Death.** A producer killed before its commit leaves nothing: what it had reserved is skipped and counted. A
 *  consumer killed between peek and release leaves its records to the next, marked #PIPC_REDELIVERED, once
 *  for each death. A dead subscriber holds nobody up. Nobody waits longer than 60 ms for the dead.
 *
 *  **Trust.** Whoever opened a channel may write all of it, while you read it in place too. Check what you rely on
 *  after copying it. The library itself stays within the ring and within deadlines whatever a peer writes.
 *
 *  **Life, names, rights, waiting, signals, removal, misuse**: as for queues (queue.h). Removing a channel wakes
 *  everybody with #PIPC_E_REMOVED; what was reserved or peeked in place stays mapped until the handle is closed.
 *  A channel uses no kernel queue: both builds run the same code.
 */
#ifndef PIPC_CHANNEL_H
#define PIPC_CHANNEL_H

#include "base.h"

#ifdef __cplusplus
extern "C" {
#endif

#define PIPC_CHANNEL_SIZE_MIN    4096u               /**< Smallest ring, bytes. */
#define PIPC_CHANNEL_SIZE_MAX    (UINT64_C(1) << 32) /**< Largest ring, bytes. */
#define PIPC_DEFAULT_RING        65536u              /**< Ring of a new channel whose options leave it 0, bytes. */
#define PIPC_SUBSCRIBERS_MAX     1024u               /**< Highest number of subscribers. */
#define PIPC_DEFAULT_SUBSCRIBERS 16u                 /**< Subscribers of a new channel whose options leave it 0. */

/** Set in pipc_record::marks: somebody who was killed may have seen this record already. */
#define PIPC_REDELIVERED 0x1u

/** An open channel. Opaque; made by pipc_channel_open(), ended by pipc_channel_close(). */
typedef struct pipc_channel pipc_channel;

/** How many may send at once. */
enum pipc_producers {
    PIPC_PRODUCERS_ONE = 1, /**< One at a time; the fastest. The default. */
    PIPC_PRODUCERS_MANY     /**< Any number side by side. */
};

/** Who gets a record. */
enum pipc_delivery {
    PIPC_DELIVER_ONCE = 1, /**< One consumer takes each record. The default. */
    PIPC_DELIVER_ALL,      /**< Every subscriber; the slowest holds the producers up. */
    PIPC_DELIVER_LATEST    /**< Every subscriber; who is too slow misses the oldest, and is told. */
};

/** What a new channel shall be, or what an existing one is expected to be. 0 means "the default" or "whatever it
 *  has"; any other value that differs from an existing channel's is #PIPC_E_MISMATCH. */
typedef struct pipc_channel_options {
    uint64_t size;        /**< Bytes of the ring, #PIPC_CHANNEL_SIZE_MIN to #PIPC_CHANNEL_SIZE_MAX, rounded up to a
                               power of two; default #PIPC_DEFAULT_RING. */
    uint32_t mode;        /**< Permission bits within 0666, the final mode whatever the umask; r = receive,
                               w = send; the owner's bits must be rw. Default 0600. */
    uint32_t producers;   /**< One of #pipc_producers. */
    uint32_t delivery;    /**< One of #pipc_delivery. */
    uint32_t subscribers; /**< Most subscribers at once, 1 to #PIPC_SUBSCRIBERS_MAX; default
                               #PIPC_DEFAULT_SUBSCRIBERS. Of no account with #PIPC_DELIVER_ONCE. */
    uint64_t reserved[4]; /**< Must be 0. */
} pipc_channel_options;

/** One record: to send, received, or in place in the ring. */
typedef struct pipc_record {
    void *data;        /**< Send: the caller's bytes. Receive: the caller's buffer. Reserve, peek: set to the place in
                            the ring, aligned to 16. May be NULL if size is 0. */
    uint64_t size;     /**< Bytes. Receive: the buffer's, then the record's. Commit: what is left of what was
                            reserved. */
    uint32_t flags;    /**< To the call: 0, #PIPC_RESTART, #PIPC_TRUNCATE (receive only). */
    uint32_t marks;    /**< From receive and peek: 0 or #PIPC_REDELIVERED. */
    uint64_t missed;   /**< From receive and peek: records overwritten between the one read last and this one
                            (#PIPC_DELIVER_LATEST). */
    uint64_t position; /**< Private: set by reserve and peek, needed by commit. */
} pipc_record;

/** A channel's statistics, see pipc_channel_statistics(). Exact while nobody is inside a call and nobody was killed
 *  inside one. */
typedef struct pipc_channel_info {
    uint64_t size;            /**< Bytes of the ring. */
    uint64_t max_size;        /**< Largest record, bytes. */
    uint64_t records;         /**< #PIPC_DELIVER_ONCE: records sent and not yet taken. Else 0. */
    uint64_t bytes;           /**< Bytes of the ring in use, heads too, for whoever is the slowest;
                                   #PIPC_DELIVER_LATEST: those that are not overwritten yet. */
    uint64_t sent;            /**< Records sent since creation; #PIPC_PRODUCERS_MANY: also those that are reserved, as
                                   long as they are not given up. */
    uint64_t received;        /**< Records received since creation, by all together. */
    uint64_t skipped;         /**< Records that were reserved by somebody who was killed. */
    uint64_t redelivered;     /**< Records taken that were marked. */
    uint64_t missed;          /**< Records that subscribers missed, all together. */
    int64_t created;          /**< When the channel was made, nanoseconds since 1970 (UTC). */
    uint32_t producers;       /**< One of #pipc_producers. */
    uint32_t delivery;        /**< One of #pipc_delivery. */
    uint32_t subscribers;     /**< Subscribers now. */
    uint32_t waiters;         /**< Callers asleep now; an estimate. */
    int32_t creator;          /**< Process that made the channel. */
    uint32_t owner;           /**< User that made the channel, as the kernel said at opening. */
    uint32_t mode;            /**< Permission bits. */
    uint32_t max_subscribers; /**< Most subscribers at once; 0 with #PIPC_DELIVER_ONCE. */
    const char *backend;      /**< "sysv" or "posix". */
} pipc_channel_info;

/** Opens or creates a channel. As pipc_queue_open(); with #PIPC_READ on a channel that delivers to all, it also
 *  subscribes: nothing sent after the call returned is missed.
 *  @param[out] channel the handle on success, else NULL; end it with pipc_channel_close()
 *  @param name 1 to 200 bytes, see base.h
 *  @param flags 0 or #PIPC_CREATE, #PIPC_EXCLUSIVE (only with #PIPC_CREATE); #PIPC_RECEIVE and #PIPC_SEND (neither
 *         means both); #PIPC_NO_SPIN; #PIPC_FOREIGN_PIDS
 *  @param options copied; NULL is the same as all zeros
 *  @return 0, or #PIPC_E_INVALID, #PIPC_E_NAME, #PIPC_E_NOT_FOUND, #PIPC_E_EXISTS, #PIPC_E_MISMATCH,
 *    #PIPC_E_ACCESS, #PIPC_E_BUSY, #PIPC_E_NO_SPACE, #PIPC_E_LIMIT (also: all subscriptions are taken),
 *    #PIPC_E_NO_MEMORY, #PIPC_E_FOREIGN, #PIPC_E_LAYOUT, #PIPC_E_DAMAGED, #PIPC_E_NAMESPACE, #PIPC_E_SYSTEM
 *  @par Threads, fork, signals
 *  Any thread at any time. The handle works on in forked children; exec ends it. Not in a signal handler. */
PIPC_API int pipc_channel_open(pipc_channel **channel, const char *name, uint32_t flags,
                               const pipc_channel_options *options);

/** Closes a handle, and with it its subscription; the channel and its records stay. What this thread had reserved is
 *  given up, what it had peeked at goes back.
 *  @param channel NULL is allowed and does nothing
 *  @return 0
 *  @par Threads, fork, signals
 *  No other thread may be in a call on the handle, touch a record in place, or interrupt() it any more. In a forked
 *  child it ends the child's handle only. Not in a signal handler. */
PIPC_API int pipc_channel_close(pipc_channel *channel);

/** Removes a channel: as pipc_queue_remove().
 *  @param name 1 to 200 bytes, see base.h
 *  @return 0, or #PIPC_E_INVALID (NULL), #PIPC_E_NAME, #PIPC_E_NOT_FOUND, #PIPC_E_ACCESS, #PIPC_E_BUSY,
 * #PIPC_E_FOREIGN, #PIPC_E_LAYOUT, #PIPC_E_DAMAGED, #PIPC_E_LIMIT, #PIPC_E_NO_MEMORY, #PIPC_E_SYSTEM
 *  @par Threads, fork, signals
 *  Any thread or process at any time. Not in a signal handler. */
PIPC_API int pipc_channel_remove(const char *name);

/** Sends one record with one copy, whole or not at all.
 *  @param channel opened with #PIPC_SEND
 *  @param record data, size, flags (#PIPC_RESTART); not changed
 *  @param timeout span to wait for room (and for another producer), nanoseconds
 *  @return 0, or #PIPC_E_INVALID, #PIPC_E_TOO_BIG, #PIPC_E_FULL (#PIPC_NOWAIT; or, with many producers, this thread's
 *    own reservations are in its way), #PIPC_E_TIMEOUT, #PIPC_E_INTERRUPTED, #PIPC_E_REMOVED, #PIPC_E_ACCESS,
 *    #PIPC_E_BUSY (#PIPC_NOWAIT: another producer holds the channel for more than 25 ms; or called in a handler; or
 *    this thread has a reservation on a channel of one producer), #PIPC_E_DAMAGED. After an error nothing was sent.
 *  @par Threads, fork, signals
 *  Any number of threads and forked children at once. Not in a signal handler; no cancellation point. */
PIPC_API int pipc_channel_send(pipc_channel *channel, const pipc_record *record, int64_t timeout);

/** Receives the oldest record with one copy.
 *  @param channel opened with #PIPC_RECEIVE
 *  @param[in,out] record data and size of the buffer, flags (#PIPC_RESTART, #PIPC_TRUNCATE); gets size, marks, missed
 *  @param timeout span to wait for a record (and for another consumer), nanoseconds
 *  @return 0, or #PIPC_E_INVALID, #PIPC_E_TOO_SMALL (the size needed is in record->size; the record stays),
 *    #PIPC_E_EMPTY (#PIPC_NOWAIT only), #PIPC_E_TIMEOUT, #PIPC_E_INTERRUPTED, #PIPC_E_REMOVED, #PIPC_E_ACCESS,
 * #PIPC_E_BUSY
 *    (#PIPC_NOWAIT: another consumer holds the channel for more than 25 ms; or called in a handler; or this thread is
 *    between peek and release), #PIPC_E_LIMIT (a forked child: all subscriptions are taken), #PIPC_E_DAMAGED
 *  @par Threads, fork, signals
 *  Any number of threads and forked children at once; they take turns. Not in a signal handler; no cancellation point.
 */
PIPC_API int pipc_channel_receive(pipc_channel *channel, pipc_record *record, int64_t timeout);

/** Reserves a place in the ring, to be filled and committed by this thread. Several may be reserved before the commit.
 *  @param channel opened with #PIPC_SEND
 *  @param[in,out] record size and flags (#PIPC_RESTART); gets data, the place, and position
 *  @param timeout as pipc_channel_send()
 *  @return as pipc_channel_send(), but several reservations of one thread are fine; if they are in its own way
 *    #PIPC_E_FULL comes with one producer too
 *  @par Threads, fork, signals
 *  As pipc_channel_send(). A forked child must not commit its parent's reservations. */
PIPC_API int pipc_channel_reserve(pipc_channel *channel, pipc_record *record, int64_t timeout);

/** Shows reserved records to the receivers, at once and in their order. Never waits.
 *  @param channel as reserved from
 *  @param records all that this thread reserved and did not commit yet, in the order of their reservation, each with
 *         its final size, which may be smaller than reserved (#PIPC_PRODUCERS_MANY: any of them in any order, each
 *         once)
 *  @param count how many, at least 1
 *  @return 0, or #PIPC_E_INVALID (they are not reserved by this thread, one is named twice, or a size has grown;
 *    nothing is committed),
 *    #PIPC_E_REMOVED (they are given up), #PIPC_E_BUSY (called in a handler)
 *  @par Threads, fork, signals
 *  The thread that reserved them. Not in a signal handler; no cancellation point. */
PIPC_API int pipc_channel_commit(pipc_channel *channel, const pipc_record *records, uint32_t count);

/** Gives reserved records up; receivers never see them. As pipc_channel_commit() in everything else.
 *  @param channel as reserved from
 *  @param records as for pipc_channel_commit()
 *  @param count how many, at least 1
 *  @return as pipc_channel_commit()
 *  @par Threads, fork, signals
 *  The thread that reserved them. Not in a signal handler; no cancellation point. */
PIPC_API int pipc_channel_cancel(pipc_channel *channel, const pipc_record *records, uint32_t count);

/** Shows the oldest records in place, and keeps other consumers out until this thread releases them.
 *  @param channel opened with #PIPC_RECEIVE
 *  @param[out] records get data, size, marks, missed; flags of the first is read (#PIPC_RESTART)
 *  @param[in,out] count how many there is room for, at least 1; then how many there are, at least 1 on success
 *  @param timeout as pipc_channel_receive(): waits for the first, never for more
 *  @return as pipc_channel_receive(), without #PIPC_E_TOO_SMALL
 *  @par Threads, fork, signals
 *  Any thread; the same must release. Not in a signal handler; no cancellation point. */
PIPC_API int pipc_channel_peek(pipc_channel *channel, pipc_record *records, uint32_t *count, int64_t timeout);

/** Ends a peek: takes its first records away and leaves the rest. Never waits.
 *  @param channel as peeked at
 *  @param count how many are done with, 0 to the number shown
 *  @return 0, or #PIPC_E_INVALID (nothing is peeked at by this thread, or fewer), #PIPC_E_OVERRUN
 *    (#PIPC_DELIVER_LATEST: a producer has overwritten some of them meanwhile: what was read in place may be torn; they
 *    are taken away all the same), #PIPC_E_REMOVED, #PIPC_E_BUSY (called in a handler)
 *  @par Threads, fork, signals
 *  The thread that peeked. Not in a signal handler; no cancellation point. */
PIPC_API int pipc_channel_release(pipc_channel *channel, uint32_t count);

/** Tells a channel's statistics and limits. Takes no lock.
 *  @param channel any open handle
 *  @param[out] info filled in on success, else untouched; its string is a constant
 *  @return 0, or #PIPC_E_INVALID (NULL), #PIPC_E_REMOVED, #PIPC_E_BUSY (called in a handler)
 *  @par Threads, fork, signals
 *  Any thread at any time; in a forked child too. Not in a signal handler. Does not wait. */
PIPC_API int pipc_channel_statistics(pipc_channel *channel, pipc_channel_info *info);

/** Ends the sleep of every thread of this process that waits in a call on this handle: as pipc_queue_interrupt().
 *  @param channel any open handle
 *  @return 0, or #PIPC_E_INVALID (NULL), #PIPC_E_REMOVED (this one sets no pipc_error_detail())
 *  @par Threads, fork, signals
 *  Any thread at any time, also in a signal handler, whatever it interrupted. In a forked child it concerns the child's
 *  threads only. */
PIPC_API int pipc_channel_interrupt(pipc_channel *channel);

#ifdef __cplusplus
}
#endif
#endif
