/* The robust lock. Released by compare-and-swap from the owner's own value, so that an owner taken
 * for dead cannot release what somebody else holds; stolen only from the provably dead.
 * Modelled in tests/models/lock.pml. */
#include "core/lock.h"

#include "core/platform.h"

#define TID          UINT64_C(0x3fffffff)
#define WAITERS      (UINT64_C(1) << 31)
#define THREAD       (TID | UINT64_C(0xfffff) << 32)
#define SHORTEST_NAP PIPC_US(500)
#define LONGEST_NAP  PIPC_MS(20) /* with the check of the owner after it: 25 ms a death */
#define SPINS        100

static uint64_t identity_of(uint64_t word)
{
    return (word & TID) | (word >> 32 << 30);
}

static const _Atomic uint32_t *low_half(struct pipc_lock *lock)
{
    _Atomic uint32_t *halves = (_Atomic uint32_t *)&lock->word;
    return &halves[__BYTE_ORDER__ == __ORDER_BIG_ENDIAN__];
}

static bool move(struct pipc_lock *lock, uint64_t from, uint64_t to)
{
    return atomic_compare_exchange_strong(&lock->word, &from, to);
}

/* Puts up the waiters' mark and sleeps. The value slept on goes to *word. */
static enum pipc_slept sleep_behind(struct pipc_lock *lock, uint64_t *word, int64_t span)
{
    if (!(*word & WAITERS) && !move(lock, *word, *word | WAITERS))
        return PIPC_SLEPT_WOKEN; /* model: lock.pml, sleep_behind */
    PIPC_POINT("lock: waiters marked");
    *word |= WAITERS;
    return pipc_sleep_on(low_half(lock), (uint32_t)*word, span);
}

/* An owner that is this very thread, though it is in no call, is a ghost: the thread of an image that
 * exec replaced. */
static bool may_steal(uint64_t word, uint64_t mine, uint64_t pid_namespace)
{
    /* model: lock.pml, may_steal; mutex.pml, may_steal */
    return (pid_namespace && ((word ^ mine) & THREAD) == 0) || pipc_is_dead(identity_of(word), pid_namespace);
}

static bool steal(struct pipc_lock *lock, uint64_t word, uint64_t mine, uint64_t pid_namespace)
{
    /* model: lock.pml, steal; mutex.pml, steal */
    if (!may_steal(word, mine, pid_namespace) || !move(lock, word, mine | WAITERS))
        return false;
    PIPC_POINT("lock: stolen");
    return true;
}

static int give_up(struct pipc_patience *patience, int64_t started)
{
    if (patience->nowait)
        return pipc_now() - started < PIPC_LOCK_PATIENCE
                   ? 0
                   : pipc_fail(PIPC_E_BUSY, "the lock was held for 25 ms by somebody else");
    return pipc_patience_check(patience);
}

static int64_t next_nap(const struct pipc_patience *patience, int64_t started, int64_t nap)
{
    if (!patience->nowait)
        return pipc_patience_slice(patience, nap);
    int64_t left = started + PIPC_LOCK_PATIENCE - pipc_now();
    return left < 0 ? 0 : left < nap ? left : nap;
}

static int take_slowly(struct pipc_lock *lock, uint64_t mine, uint64_t pid_namespace, struct pipc_patience *patience)
{
    int64_t started = pipc_now(), nap = SHORTEST_NAP;
    for (;;) {
        uint64_t word = atomic_load(&lock->word);
        if (word == 0 && move(lock, 0, mine | WAITERS)) /* model: lock.pml, slowly */
            return 0;
        int error = give_up(patience, started);
        if (word == 0 && !error)
            continue;
        if (error) /* the shortest patience too is enough to bury a dead owner */
            return word && steal(lock, word, mine, pid_namespace) ? PIPC_LOCK_STOLEN : error;
        enum pipc_slept slept = sleep_behind(lock, &word, next_nap(patience, started, nap));
        if (slept == PIPC_SLEPT_SIGNAL && !patience->nowait && !patience->restart)
            return pipc_fail(PIPC_E_INTERRUPTED, "a signal ended the wait for the lock");
        if (slept != PIPC_SLEPT_OUT)
            continue;
        if (steal(lock, word, mine, pid_namespace))
            return PIPC_LOCK_STOLEN;
        nap = nap * 2 < LONGEST_NAP ? nap * 2 : LONGEST_NAP;
    }
}

int pipc_lock_take(struct pipc_lock *lock, uint64_t self, uint64_t pid_namespace, struct pipc_patience *patience)
{
    for (int i = 0; i < SPINS; i++)
        if (pipc_lock_try(lock, self)) /* model: lock.pml, pipc_lock_take */
            return 0;
    return take_slowly(lock, pipc_lock_word(self), pid_namespace, patience);
}

bool pipc_lock_steal(struct pipc_lock *lock, uint64_t self, uint64_t pid_namespace)
{
    uint64_t word = atomic_load(&lock->word);
    return word && steal(lock, word, pipc_lock_word(self), pid_namespace);
}

bool pipc_lock_is_of(struct pipc_lock *lock, uint64_t self)
{
    return (atomic_load(&lock->word) & ~WAITERS) == pipc_lock_word(self);
}

bool pipc_lock_give_to_waiters(struct pipc_lock *lock, uint64_t self) /* model: lock.pml, pipc_lock_give */
{
    if (!move(lock, pipc_lock_word(self) | WAITERS, 0))
        return false;
    PIPC_POINT("lock: given, nobody woken");
    pipc_wake_on(low_half(lock), 1);
    return true;
}
