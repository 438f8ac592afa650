/* What every call on a channel needs: its checks, its clock, its locks, judging who is dead. */
#include "core/channel.h"

#include "core/call.h"
#include "core/object.h"

#define JUDGE_EVERY PIPC_MS(10) /* judging costs system calls */
#define TURNS       6u
#define SHORT_PAUSE 8u

int pipc_channel_verdict(const struct pipc_channel *channel, int error)
{
    bool settled = error == 0 || error == PIPC_E_TOO_SMALL || error == PIPC_E_OVERRUN;
    if (settled || pipc_object_is_ready(channel->object))
        return error;
    return pipc_fail(PIPC_E_REMOVED, "the channel was removed; close the handle");
}

int pipc_channel_check(const struct pipc_channel *channel, uint32_t right)
{
    if (!pipc_object_is_ready(channel->object))
        return pipc_channel_verdict(channel, PIPC_E_REMOVED);
    if ((channel->rights & right) != right)
        return pipc_fail(PIPC_E_ACCESS, "the channel was opened without the right to %s",
                         right == PIPC_SEND ? "send" : "receive");
    return 0;
}

int pipc_channel_begin(struct pipc_channel *channel, struct pipc_patience *patience, uint32_t flags, int64_t timeout)
{
    int error = pipc_patience_begin(patience, timeout, &channel->interrupts, channel->object);
    patience->restart = flags & PIPC_RESTART;
    patience->no_spin = true; /* a channel's calls look at the ring itself instead */
    return error;
}

/* ---- locks ---- */

/* Who holds the lock has it for some tens of nanoseconds, and his next record costs less while nobody takes the
 * lines of memory away from him: so others come back later and later. */
static bool get_by_pausing(struct pipc_lock *lock, uint64_t self, int *error)
{
    for (unsigned turn = 0; turn < TURNS; turn++) {
        pipc_pause(SHORT_PAUSE << turn);
        if (pipc_lock_try(lock, self)) {
            *error = 0;
            return true;
        }
    }
    return false;
}

/* If this thread has no lock, one that carries its identity is a ghost's: of the image that exec replaced.
 */
int pipc_channel_lock_slowly(struct pipc_channel *channel, struct pipc_lock *lock, uint64_t self,
                             struct pipc_patience *patience)
{
    int error = PIPC_E_BUSY;
    if (pipc_known_self.locks > 1 && pipc_lock_is_of(lock, self))
        pipc_fail(error, "this thread is at work on the same channel already: between reserve and commit, or peek and "
                         "release, or a signal handler interrupted its call");
    else if (!get_by_pausing(lock, self, &error))
        error = pipc_lock_take(lock, self, pipc_channel_namespace(channel), patience);
    if (error != 0 && error != PIPC_LOCK_STOLEN)
        pipc_known_self.locks--;
    return error;
}

/* ---- the dead ---- */

static bool time_to_judge(_Atomic int64_t *judged_at)
{
    int64_t now = pipc_now(), last = atomic_load_explicit(judged_at, memory_order_relaxed);
    if ((uint64_t)now - (uint64_t)last < (uint64_t)JUDGE_EVERY)
        return false;
    atomic_store_explicit(judged_at, now, memory_order_relaxed);
    return true;
}

/* A reservation of this very thread is nobody's if the thread is in no call and reserved nothing; but who can tell that
 * of all handles? It is left alone. */
bool pipc_channel_skip_dead(struct pipc_channel *channel, uint64_t position, uint64_t word, struct pipc_judge *judge)
{
    struct pipc_record_head *head = pipc_ring_at(&channel->ring, position);
    uint64_t pid_namespace = pipc_channel_namespace(channel);
    if (judge->left == 0 || !pid_namespace || !time_to_judge(judge->judged_at))
        return false;
    judge->left--;
    if (!pipc_is_dead(word >> 2, pid_namespace))
        return false;
    /* model: channel.pml, pipc_channel_skip_dead */
    if (atomic_compare_exchange_strong(&head->word, &word, PIPC_RECORD_GIVEN_UP))
        atomic_fetch_add(&channel->control->writer.skipped, 1);
    atomic_store_explicit(judge->judged_at, 0, memory_order_relaxed); /* there may be more of them */
    return true;
}

bool pipc_channel_bury_readers(struct pipc_channel *channel, uint64_t before)
{
    uint64_t pid_namespace = pipc_channel_namespace(channel);
    bool buried = false;
    if (!pid_namespace || !time_to_judge(&channel->control->writer.judged_at))
        return false;
    for (uint32_t i = 0; i < channel->readers; i++) {
        struct pipc_reader *reader = pipc_channel_reader(channel, i);
        uint64_t owner = atomic_load(&reader->owner);
        if (owner && atomic_load(&reader->position) < before &&
            pipc_is_wholly_dead(owner >> PIPC_SUBSCRIPTION_BITS, pid_namespace))
            buried |= atomic_compare_exchange_strong(&reader->owner, &owner, 0); /* even if not active yet */
    }
    return buried;
}
