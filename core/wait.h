/* Waiting: how long, what may end it, and the words that waiters sleep on. */
#ifndef PIPC_CORE_WAIT_H
#define PIPC_CORE_WAIT_H

#include <stdatomic.h>
#include <stdbool.h>
#include <stdint.h>

#include "core/backend.h"

/* What a handle's interrupt() sets. `count` rises with each; `pending` is 1 until a call consumes it. */
struct pipc_interrupts {
    _Atomic uint32_t count;
    _Atomic uint32_t pending;
};

/* The patience of one call. */
struct pipc_patience {
    int64_t deadline; /* pipc_now() scale; INT64_MAX = for ever; of no account if nowait */
    bool nowait;
    bool restart;                       /* a signal handler does not end the wait */
    bool no_spin;                       /* sleep at once */
    const struct pipc_object *object;   /* its removal ends the wait; may be NULL */
    struct pipc_interrupts *interrupts; /* may be NULL */
    uint32_t interrupts_seen;
};

/* Starts a call's clock. 0 or PIPC_E_INVALID for a negative span. */
int pipc_patience_limit(struct pipc_patience *patience, int64_t span);
static inline int pipc_patience_begin(struct pipc_patience *patience, int64_t span, struct pipc_interrupts *interrupts,
                                      const struct pipc_object *object) /* model: wait.pml, waiter */
{
    *patience = (struct pipc_patience){.deadline = PIPC_FOREVER,
                                       .nowait = span == PIPC_NOWAIT,
                                       .object = object,
                                       .interrupts = interrupts,
                                       .interrupts_seen = interrupts ? atomic_load(&interrupts->count) : 0};
    return span == PIPC_NOWAIT || span == PIPC_FOREVER ? 0 : pipc_patience_limit(patience, span);
}

/* May this call sleep now? 0, PIPC_E_REMOVED, PIPC_E_INTERRUPTED (consumes the interrupt) or PIPC_E_TIMEOUT. */
int pipc_patience_check(struct pipc_patience *patience);

/* Nanoseconds to sleep now: `slice`, or what is left until the deadline if that is less. */
int64_t pipc_patience_slice(const struct pipc_patience *patience, int64_t slice);

/* A word to sleep on, in shared memory; zeros are ready. The sequence, whose low three bits say that
 * somebody watches (spins, or is about to look once more), that somebody is asleep, and deeply. Who waits:
 *
 *     announce; look; sleep on the announced value; again
 *
 * Who changes something: change; bump. A bump that finds neither bit costs one load. It is never
 * lost, because the change and the look are ordered by a common lock (the kernel queue's, the
 * queue's) or by sequentially consistent operations; tests/models holds the proof. A bumper killed between the
 * change and the bump makes the waiters late by at most one slice.
 *
 * Slices keep a processor from its rest, so who has slept through QUIET_SLICES of them sleeps long, if that is safe: it
 * marks the word DEEP, and no change that was begun before may be under way, which its `quiet` says. Who begins a
 * change from then on (in a way that `quiet` sees) finds the mark and wakes everybody before the change itself.
 *
 * `sleepers` tells a bump that wakes one whether to leave the marks for the next. It may be too high
 * (killed sleepers), which costs a spare wake-up after a real one; never too low. */
struct pipc_word {
    _Atomic uint32_t word;
    _Atomic uint32_t sleepers;
};

#define PIPC_LINGER PIPC_US(50) /* longer than a processor takes to awake */

/* Before a sleep: asks again and again, for `span` at most, whether `changed`; or not at all where that came to nothing
 * lately. */
bool pipc_linger(bool (*changed)(void *argument), void *argument, int64_t span);

#define PIPC_SLICE      PIPC_MS(40)     /* how late a lost wake-up can make a waiter */
#define PIPC_LONG_SLICE PIPC_SECONDS(1) /* of who sleeps deeply */

/* The same for what changes within less than a microsecond, as memory does: looks closely at first. */
bool pipc_spin_until(bool (*changed)(void *argument), void *argument, int64_t span);

/* Does nothing for a moment, `times` of some 20 ns, where there is another processor. */
void pipc_pause(unsigned times);

/* One wait of a call: what it announced last, and how far it came. Zeros are ready. */
struct pipc_watch {
    bool (*quiet)(void *argument); /* is no change under way? NULL: no deep sleep */
    void *argument;
    uint32_t value;
    uint32_t slices; /* slept through in a row */
    bool announced;
    bool slept;
    bool deep; /* the next sleep may be long */
};

/* After a look that found nothing: announces, and lingers a little; if that is done sleeps, and announces again. 0:
 * look again. Else as pipc_patience_check. */
int pipc_word_await(struct pipc_word *word, struct pipc_watch *watch, struct pipc_patience *patience);

#define PIPC_WORD_MARKS 7u
#define PIPC_WORD_DEEP  4u

/* Wakes up to `count` waiters, if there are any. Async-signal-safe. */
void pipc_word_bump_marked(struct pipc_word *word, int count);
static inline void pipc_word_bump(struct pipc_word *word, int count)
{
    if (atomic_load(&word->word) & PIPC_WORD_MARKS) /* model: wait.pml, bump; semaphore.pml, bump */
        pipc_word_bump_marked(word, count);
}

/* Wakes everybody, whatever the marks say. Async-signal-safe. */
void pipc_word_bump_all(struct pipc_word *word);

/* A change has begun: whoever sleeps deeply is woken. */
static inline void pipc_word_rouse(struct pipc_word *word)
{
    if (atomic_load(&word->word) & PIPC_WORD_DEEP) /* model: wait.pml, rouse */
        pipc_word_bump_all(word);
}

#endif
