/* A channel's shared control area, and a handle on it.
 *
 * Data of the memory object:   control | readers[n] | ring
 *
 * One consumer is one reader; otherwise each subscriber has one. Everything here can be written by every process
 * that opened the channel: what a process relies on for its own safety it copied and verified at opening, what it
 * reads later it reads once, checks, then uses. */
#ifndef PIPC_CORE_CHANNEL_H
#define PIPC_CORE_CHANNEL_H

#include "core/backend.h"
#include "core/lock.h"
#include "core/platform.h"
#include "core/ring.h"
#include "core/wait.h"
#include "pipc/channel.h"

#define PIPC_SUBSCRIPTION_BITS   14          /* of pipc_reader.owner, beside the identity */
#define PIPC_SUBSCRIPTION_ACTIVE UINT64_C(1) /* one of them */

#define PIPC_LINE 128 /* two cache lines: processors fetch them in pairs */

/* A look without the lock that decides nothing: who acts on it looks again with it. Formally that is a race, and the
 * thread sanitizer is told to let it pass. */
#define PIPC_UNGUARDED __attribute__((no_sanitize("thread")))

/* What one reader has read. Guarded by its lock, but for the atomic fields, which others look at. */
struct pipc_reader {
    struct pipc_lock lock;
    _Atomic uint64_t position; /* the next record to read; producers may have what lies before it */
    uint64_t shown;            /* whoever has the lock may have seen the records before this position */
    uint64_t again;            /* somebody who died may have seen the records before this position */
    _Atomic int64_t judged_at; /* when a reservation that holds this reader up was judged last */
    _Atomic uint64_t received; /* statistics */
    _Atomic uint64_t redelivered;
    _Atomic uint64_t missed;
    uint32_t number; /* of the next record, to tell how many were missed, and how many are left */
    uint32_t passed; /* records given up that this reader has passed by */
    /* A subscriber: [identity of the process 50 | generation 13 | active 1], 0 = nobody. */
    _Atomic uint64_t owner;
};

/* The producers' side. Guarded by the lock, but for the atomic fields. */
struct pipc_writer {
    struct pipc_lock lock;
    _Atomic uint64_t head;   /* where the next record will begin */
    uint64_t limit;          /* records may reach up to here: what the readers had read when it was looked at last */
    _Atomic uint64_t oldest; /* DELIVER_LATEST: what lies before it may be overwritten at any moment. PRODUCERS_MANY
                                with DELIVER_ALL: there is no reservation before it */
    _Atomic uint64_t sent;
    _Atomic uint64_t skipped;   /* reserved by somebody who died */
    _Atomic uint64_t cancelled; /* PRODUCERS_MANY: counted as sent, and then given up */
    _Atomic int64_t judged_at;  /* when who holds the producers up was judged last */
    uint32_t number;            /* of the next record; `sent` modulo 2^32 */
    uint32_t reserving;         /* PRODUCERS_ONE: the lock's holder has this many reservations */
};

struct pipc_channel_control {
    _Alignas(PIPC_LINE) struct pipc_writer writer;
    _Alignas(PIPC_LINE) struct pipc_word items; /* what readers sleep on; producers look at it each time */
    _Alignas(PIPC_LINE) struct pipc_word room;  /* what producers sleep on; readers look at it each time */
    /* Fixed at creation. */
    _Alignas(PIPC_LINE) uint64_t ring_size;
    uint32_t producers;
    uint32_t delivery;
    uint32_t readers;
    uint32_t spare;
};

_Static_assert(sizeof(struct pipc_reader) <= PIPC_LINE, "a reader has a line pair of its own");

/* A place in the ring, and the number of the record that is expected there. */
struct pipc_cursor {
    uint64_t at;
    uint32_t number;
    uint32_t passed; /* given up, met before */
};

/* A subscriber's reader, and whose it is. The handle keeps them all until it is closed. */
struct pipc_subscription {
    struct pipc_subscription *older; /* of the processes that forked this one */
    uint64_t owner;                  /* what pipc_reader.owner says while it is ours */
    uint32_t reader;
    int32_t pid;
};

struct pipc_channel {
    struct pipc_be_memory *memory;
    struct pipc_object *object;
    /* Private copies, verified at opening. */
    struct pipc_channel_control *control;
    unsigned char *reader_at; /* one PIPC_LINE each */
    struct pipc_ring ring;
    uint64_t nonce;
    uint64_t max_size;
    uint64_t pid_namespace; /* 0: deaths cannot be seen, nothing is stolen */
    uint32_t rights;
    uint32_t readers;
    uint32_t delivery;
    bool many; /* producers */
    bool no_spin;
    _Atomic(struct pipc_subscription *) subscription;
    struct pipc_interrupts interrupts;
    _Atomic uint32_t streak; /* records received by this handle since it last had to wait */
    /* What the thread that holds the writers' lock has reserved (PRODUCERS_ONE), and what the one that holds the
     * reader's lock has been shown. */
    _Atomic uint32_t open;     /* PRODUCERS_MANY: reservations that were neither committed nor cancelled; a hint */
    _Atomic uint64_t producer; /* identity of that thread, 0 = nobody */
    uint64_t reserved_end;     /* position behind the last reservation */
    uint32_t reserved;
    _Atomic uint64_t consumer; /* identity of that thread, 0 = nobody */
    struct pipc_reader *shown_by;
    struct pipc_cursor shown_from, shown_end;
    uint32_t shown;
    uint32_t shown_again;  /* the first so many of them are marked */
    uint64_t shown_missed; /* before the first of them */
    void *data;            /* the mapping */
};

static inline struct pipc_reader *pipc_channel_reader(const struct pipc_channel *channel, uint32_t number)
{
    return (struct pipc_reader *)(void *)(channel->reader_at + (uint64_t)number * PIPC_LINE);
}

static inline uint64_t pipc_channel_namespace(const struct pipc_channel *channel)
{
    return pipc_namespace_here(channel->pid_namespace);
}

static inline uint64_t pipc_channel_self(const struct pipc_channel *channel)
{
    return pipc_self_there(channel->pid_namespace);
}

/* 0, PIPC_E_ACCESS if the handle lacks the right, or PIPC_E_REMOVED. */
int pipc_channel_check(const struct pipc_channel *channel, uint32_t right);

/* What a call that ends with `error` answers: a failure on a channel that was removed meanwhile is PIPC_E_REMOVED. */
int pipc_channel_verdict(const struct pipc_channel *channel, int error);

/* Starts a call's clock; `flags` of the record. */
int pipc_channel_begin(struct pipc_channel *channel, struct pipc_patience *patience, uint32_t flags, int64_t timeout);

int pipc_channel_lock_slowly(struct pipc_channel *channel, struct pipc_lock *lock, uint64_t self,
                             struct pipc_patience *patience);

/* Takes one of the channel's locks; `self` is pipc_channel_self(). PIPC_LOCK_STOLEN: the last owner died with it.
 * PIPC_E_BUSY also if this thread has it already: it is in a signal handler, or between reserve and commit, or peek and
 * release. */
static inline int pipc_channel_lock(struct pipc_channel *channel, struct pipc_lock *lock, uint64_t self,
                                    struct pipc_patience *patience)
{
    pipc_known_self.locks++;
    atomic_signal_fence(memory_order_seq_cst);
    return pipc_lock_try(lock, self) ? 0 : pipc_channel_lock_slowly(channel, lock, self, patience);
}

/* Takes a lock that is free now; false if it is not. */
static inline bool pipc_channel_try(struct pipc_lock *lock, uint64_t self)
{
    pipc_known_self.locks++;
    atomic_signal_fence(memory_order_seq_cst);
    if (pipc_lock_try(lock, self))
        return true;
    pipc_known_self.locks--;
    return false;
}

static inline void pipc_channel_unlock(struct pipc_lock *lock, uint64_t self)
{
    pipc_lock_give(lock, self);
    atomic_signal_fence(memory_order_seq_cst);
    pipc_known_self.locks--;
}

/* Takes the producers' lock, and mends what a dead owner left. */
int pipc_channel_lock_writer(struct pipc_channel *channel, uint64_t self, struct pipc_patience *patience);

/* Judging costs system calls, and a hostile peer could ask for as many as the ring has records. */
struct pipc_judge {
    _Atomic int64_t *judged_at; /* when this was done last; after a living one not again for 10 ms */
    uint32_t left;              /* as often yet, in this go */
};

#define PIPC_JUDGEMENTS 64u

/* Gives up what is RESERVED at a position, where `word` stood, if its owner is proven dead. False: it is still
 * reserved, or it is too early to ask. */
bool pipc_channel_skip_dead(struct pipc_channel *channel, uint64_t position, uint64_t word, struct pipc_judge *judge);

/* Drops the subscriptions of those readers before a position that are proven dead. True: look again. Asked every
 * 10 ms at most. */
bool pipc_channel_bury_readers(struct pipc_channel *channel, uint64_t before);

/* What a handle that is closed gives up: channel_send.c, channel_receive.c. */
void pipc_channel_drop_reservations(struct pipc_channel *channel);
void pipc_channel_drop_peek(struct pipc_channel *channel);

/* ---- figures: channel_tell.c ---- */

/* Where the ring begins in the data. */
uint64_t pipc_channel_ring_at(uint32_t readers);

/* Are these the figures of a channel that fits into so many bytes of data? */
bool pipc_channel_is_possible(const struct pipc_channel_control *control, uint64_t bytes);

/* Statistics, from copies too: first of every reader, then of all. The owner is the header's. */
void pipc_channel_tell_reader(struct pipc_reader *reader, uint32_t delivery, pipc_channel_info *info);
void pipc_channel_tell(struct pipc_channel_control *control, const struct pipc_object *object, pipc_channel_info *info);

/* ---- readers: channel_subscribe.c ---- */

/* The reader that this handle reads with now. A subscriber whose subscription is not this process's (it was forked,
 * or somebody scribbled) subscribes anew. 0, PIPC_E_LIMIT or PIPC_E_NO_MEMORY. */
int pipc_channel_reader_of(struct pipc_channel *channel, struct pipc_reader **reader);

/* Ends this handle's subscription if it is this process's, and forgets it. */
void pipc_channel_unsubscribe(struct pipc_channel *channel);

/* Forgets them only: the channel was never shown to others, or is no longer there. */
void pipc_channel_forget_subscriptions(struct pipc_channel *channel);

/* The position of the slowest live reader; UINT64_MAX if there is none. */
uint64_t pipc_channel_slowest(struct pipc_channel *channel);

#endif
