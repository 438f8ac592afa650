/* Who reads from a channel: its one consumer, or a table of subscribers. */
#include <stdlib.h>

#include "core/call.h"
#include "core/channel.h"

#define GENERATION UINT64_C(0x3ffe) /* of an entry of the table: rises by 2 */
#define MOST_TRIES 2

/* ---- looking at the table ---- */

uint64_t pipc_channel_slowest(struct pipc_channel *channel)
{
    if (channel->delivery == PIPC_DELIVER_ONCE)
        return atomic_load_explicit(&pipc_channel_reader(channel, 0)->position, memory_order_acquire);
    uint64_t slowest = UINT64_MAX;
    for (uint32_t i = 0; i < channel->readers; i++) {
        struct pipc_reader *reader = pipc_channel_reader(channel, i);
        if (!(atomic_load(&reader->owner) & PIPC_SUBSCRIPTION_ACTIVE))
            continue;
        uint64_t position = atomic_load(&reader->position);
        slowest = position < slowest ? position : slowest;
    }
    return slowest;
}

/* ---- subscribing ---- */

/* Subscriptions belong to processes, not to threads; where identities mean nothing, to nobody who could be judged. */
static uint64_t identity(const struct pipc_channel *channel)
{
    return pipc_channel_namespace(channel) ? pipc_self_process() : pipc_nobody();
}

static bool is_free(struct pipc_channel *channel, uint64_t owner, bool bury)
{
    return owner >> PIPC_SUBSCRIPTION_BITS == 0 ||
           (bury && pipc_is_wholly_dead(owner >> PIPC_SUBSCRIPTION_BITS, pipc_channel_namespace(channel)));
}

/* Claims an entry of the table; it counts for nobody until it is active. */
static bool claim(struct pipc_channel *channel, struct pipc_subscription *subscription, bool bury)
{
    for (uint32_t i = 0; i < channel->readers; i++) {
        _Atomic uint64_t *owner = &pipc_channel_reader(channel, i)->owner;
        uint64_t seen = atomic_load(owner);
        if (!is_free(channel, seen, bury))
            continue;
        uint64_t mine = identity(channel) << PIPC_SUBSCRIPTION_BITS | ((seen + 2) & GENERATION);
        if (!atomic_compare_exchange_strong(owner, &seen, mine))
            continue;
        subscription->reader = i;
        subscription->owner = mine | PIPC_SUBSCRIPTION_ACTIVE;
        subscription->pid = pipc_who()->pid;
        return true;
    }
    return false;
}

/* From now on nothing is missed. With the producers' lock the number of the next record is known too. Without it
 * (somebody keeps it long) the position is read again once the entry is active: whatever room a producer found
 * before that began at a position that was not behind this one. */
static void activate(struct pipc_channel *channel, const struct pipc_subscription *subscription)
{
    struct pipc_writer *writer = &channel->control->writer;
    struct pipc_reader *reader = pipc_channel_reader(channel, subscription->reader);
    struct pipc_patience patience;
    uint64_t self = pipc_channel_self(channel);
    pipc_patience_begin(&patience, PIPC_NOWAIT, NULL, NULL);
    bool locked = pipc_channel_lock_writer(channel, self, &patience) == 0;
    reader->number = writer->number;
    atomic_store(&reader->position, atomic_load(&writer->head));
    PIPC_POINT("channel: subscription claimed, not active");
    atomic_store(&reader->owner, subscription->owner);
    if (locked)
        pipc_channel_unlock(&writer->lock, self);
    else
        atomic_store(&reader->position, atomic_load(&writer->head));
}

static void give_back(struct pipc_channel *channel, const struct pipc_subscription *subscription)
{
    struct pipc_reader *reader = pipc_channel_reader(channel, subscription->reader);
    uint64_t owner = subscription->owner;
    atomic_compare_exchange_strong(&reader->owner, &owner, owner & GENERATION);
    pipc_word_bump(&channel->control->room, 1);
}

static int subscribe(struct pipc_channel *channel, struct pipc_subscription *older)
{
    struct pipc_subscription *subscription = calloc(1, sizeof *subscription);
    if (!subscription)
        return pipc_fail(PIPC_E_NO_MEMORY, "no memory to note a subscription");
    if (!claim(channel, subscription, false) && !claim(channel, subscription, true)) {
        free(subscription);
        return pipc_fail(PIPC_E_LIMIT, "all %u subscriptions of the channel are taken; create it with more",
                         channel->readers);
    }
    activate(channel, subscription);
    subscription->older = older;
    if (atomic_compare_exchange_strong(&channel->subscription, &older, subscription))
        return 0;
    give_back(channel, subscription); /* another thread was faster */
    free(subscription);
    return 0;
}

static bool is_ours(struct pipc_channel *channel, const struct pipc_subscription *subscription)
{
    return subscription && subscription->pid == pipc_who()->pid &&
           atomic_load_explicit(&pipc_channel_reader(channel, subscription->reader)->owner, memory_order_relaxed) ==
               subscription->owner;
}

/* Somebody who scribbles on the table all the time makes this handle read with what it had last. */
int pipc_channel_reader_of(struct pipc_channel *channel, struct pipc_reader **reader)
{
    *reader = pipc_channel_reader(channel, 0);
    if (channel->delivery == PIPC_DELIVER_ONCE)
        return 0;
    struct pipc_subscription *subscription = atomic_load(&channel->subscription);
    for (int tries = 0; tries < MOST_TRIES && !is_ours(channel, subscription); tries++) {
        int error = subscribe(channel, subscription);
        if (error)
            return error;
        subscription = atomic_load(&channel->subscription);
    }
    *reader = pipc_channel_reader(channel, subscription->reader);
    return 0;
}

void pipc_channel_forget_subscriptions(struct pipc_channel *channel)
{
    struct pipc_subscription *subscription = atomic_exchange(&channel->subscription, NULL);
    while (subscription) {
        struct pipc_subscription *older = subscription->older;
        free(subscription);
        subscription = older;
    }
}

void pipc_channel_unsubscribe(struct pipc_channel *channel)
{
    struct pipc_subscription *subscription = atomic_load(&channel->subscription);
    if (is_ours(channel, subscription))
        give_back(channel, subscription);
    pipc_channel_forget_subscriptions(channel);
}
