/* Sending through a channel: reserve a place in the ring, fill it, commit. Modelled in tests/models/channel.pml. */
#include <string.h>

#include "core/call.h"
#include "core/channel_writer.h"

#define SMALL 2048u /* bytes: copied in less time than it takes to give the lock to and fro once more */

/* ---- one try ---- */

static inline struct pipc_place next_place(const struct pipc_channel *channel, uint64_t size)
{
    return pipc_place_at(&channel->ring, atomic_load_explicit(&channel->control->writer.head, memory_order_relaxed),
                         size);
}

/* Many producers: the place is marked as this thread's, and the next producer goes on behind it. */
static void set_aside(struct pipc_channel *channel, uint64_t self, const struct pipc_place *place)
{
    struct pipc_writer *writer = &channel->control->writer;
    pipc_ring_empty(&channel->ring, place->end);
    PIPC_POINT("channel: next word emptied, nothing reserved");
    /* model: channel.pml, set_aside */
    pipc_ring_show(&channel->ring, place, writer->number, pipc_record_word(PIPC_RECORD_RESERVED, self));
    PIPC_POINT("channel: reserved, head not moved");
    pipc_writer_advance(writer, place->end, 1);
}

static void hold_reservation(struct pipc_channel *channel, uint64_t self, const struct pipc_place *place,
                             uint32_t reserved)
{
    channel->control->writer.reserving = channel->reserved = reserved;
    channel->reserved_end = place->end;
    atomic_store_explicit(&channel->producer, self, memory_order_relaxed);
}

/* One more reservation of the thread that has the producers' lock already. If the ring is full of its own, nobody
 * can ever make room. */
static int reserve_more(struct pipc_channel *channel, uint64_t self, uint64_t size, struct pipc_place *place)
{
    *place = pipc_place_at(&channel->ring, channel->reserved_end, size);
    if (!pipc_channel_has_room(channel, place))
        return PIPC_E_FULL;
    hold_reservation(channel, self, place, channel->reserved + 1);
    return 0;
}

static int reserve_once(struct pipc_channel *channel, uint64_t self, uint64_t size, struct pipc_place *place,
                        struct pipc_patience *patience)
{
    if (!channel->many && pipc_channel_is_producer(channel, self))
        return reserve_more(channel, self, size, place);
    int error = pipc_channel_lock_writer(channel, self, patience);
    if (error)
        return error;
    *place = next_place(channel, size);
    if (!pipc_channel_has_room(channel, place)) /* model: channel.pml, await_room */
        error = PIPC_E_FULL;
    else if (channel->many)
        set_aside(channel, self, place);
    else /* whatever a thread that ended, or the parent, left in the handle */
        hold_reservation(channel, self, place, 1);
    if (error || channel->many)
        pipc_channel_unlock_writer(channel, self);
    if (!error)
        PIPC_POINT("channel: reserved, not filled");
    return error;
}

static int send_to_many(struct pipc_channel *channel, uint64_t self, const pipc_record *record,
                        struct pipc_patience *patience)
{
    struct pipc_place place;
    int error = reserve_once(channel, self, record->size, &place, patience);
    if (error)
        return error;
    if (record->size)
        memcpy(pipc_ring_body(&channel->ring, place.at), record->data, record->size);
    PIPC_POINT("channel: filled, not committed");
    /* model: channel.pml, send_to_many */
    if (!pipc_channel_settle(channel, self, place.at, pipc_record_word(PIPC_RECORD_WHOLE, record->size)))
        return pipc_fail(PIPC_E_DAMAGED, "the place reserved for the record was taken away: somebody scribbles on the "
                                         "channel");
    return 0;
}

static inline void put(struct pipc_channel *channel, const pipc_record *record, const struct pipc_place *place)
{
    struct pipc_writer *writer = &channel->control->writer;
    if (record->size)
        memcpy(pipc_ring_body(&channel->ring, place->at), record->data, record->size);
    pipc_ring_empty(&channel->ring, place->end);
    PIPC_POINT("channel: filled, not shown");
    /* model: channel.pml, put */
    pipc_ring_show(&channel->ring, place, writer->number, pipc_record_word(PIPC_RECORD_WHOLE, record->size));
    PIPC_POINT("channel: shown, head not moved");
    pipc_writer_advance(writer, place->end, 1);
}

static int send_alone(struct pipc_channel *channel, uint64_t self, const pipc_record *record,
                      struct pipc_patience *patience)
{
    int error = pipc_channel_lock_writer(channel, self, patience);
    if (error)
        return error;
    struct pipc_place place = next_place(channel, record->size);
    if (pipc_channel_has_room(channel, &place))
        put(channel, record, &place); /* model: channel.pml, send_alone */
    else
        error = PIPC_E_FULL;
    pipc_channel_unlock_writer(channel, self);
    return error;
}

/* Is the record filled under the producers' lock? With many producers a large one is filled beside the others. */
static inline bool is_filled_alone(const struct pipc_channel *channel, const pipc_record *record)
{
    return !channel->many || record->size <= SMALL;
}

/* The plain case: nobody is at work, and there is room for certain. No clock, no deadline. */
static bool send_at_once(struct pipc_channel *channel, uint64_t self, const pipc_record *record)
{
    struct pipc_writer *writer = &channel->control->writer;
    if (!is_filled_alone(channel, record) || !pipc_channel_try(&writer->lock, self))
        return false;
    pipc_word_rouse(&channel->control->items);
    struct pipc_place place = next_place(channel, record->size);
    bool room = place.end + PIPC_RECORD_ALIGN <= writer->limit;
    if (room)
        put(channel, record, &place);
    pipc_channel_unlock_writer(channel, self);
    if (room)
        pipc_channel_wake_others(channel);
    return room;
}

static int send_once(struct pipc_channel *channel, uint64_t self, const pipc_record *record,
                     struct pipc_patience *patience)
{
    int error = is_filled_alone(channel, record) ? send_alone(channel, self, record, patience)
                                                 : send_to_many(channel, self, record, patience);
    if (error)
        return error;
    PIPC_POINT("channel: sent, nobody woken");
    pipc_channel_wake_others(channel);
    return 0;
}

/* ---- with patience ---- */

/* One try to send, or to reserve. */
struct attempt {
    struct pipc_channel *channel;
    uint64_t self;
    const pipc_record *record;
    struct pipc_place *place; /* NULL: send */
};

static int once(const struct attempt *attempt, struct pipc_patience *patience)
{
    return attempt->place
               ? reserve_once(attempt->channel, attempt->self, attempt->record->size, attempt->place, patience)
               : send_once(attempt->channel, attempt->self, attempt->record, patience);
}

static int full(const struct pipc_channel *channel)
{
    return pipc_fail(PIPC_E_FULL, "the ring of %llu bytes has no room now", (unsigned long long)channel->ring.size);
}

/* Many producers: somebody else's record may stand there by now, which is looked at once more. */
static PIPC_UNGUARDED bool is_in_its_own_way(const struct pipc_channel *channel, uint64_t self)
{
    const _Atomic uint64_t *first = pipc_channel_first(channel);
    uint64_t at = atomic_load(first);
    uint64_t word = *(const volatile uint64_t *)(const volatile void *)&pipc_ring_at(&channel->ring, at)->word;
    return word == pipc_record_word(PIPC_RECORD_RESERVED, self) && atomic_load(first) == at;
}

/* Do this thread's own reservations leave no room? Then nobody else will ever make any. */
static bool is_stuck(struct pipc_channel *channel, uint64_t self)
{
    if (channel->many)
        return is_in_its_own_way(channel, self);
    if (!pipc_channel_is_producer(channel, self))
        return false;
    uint64_t slowest = pipc_channel_slowest(channel);
    return channel->delivery == PIPC_DELIVER_LATEST || slowest == UINT64_MAX ||
           slowest == atomic_load_explicit(&channel->control->writer.head, memory_order_relaxed);
}

static PIPC_UNGUARDED bool room_changed(void *argument)
{
    struct pipc_channel *channel = argument;
    return pipc_channel_slowest(channel) + channel->ring.size != channel->control->writer.limit;
}

/* Looks a while whether the readers move on. */
static bool watch_room(struct pipc_channel *channel, const struct pipc_patience *patience)
{
    return !channel->no_spin && pipc_spin_until(room_changed, channel, pipc_patience_slice(patience, PIPC_LINGER));
}

/* Seen to be stuck: the readers may have made room on the way there. From now on they make none. */
static int try_once_more(const struct attempt *attempt, struct pipc_patience *patience)
{
    int error = once(attempt, patience);
    return error == PIPC_E_FULL ? full(attempt->channel) : error;
}

/* Who slept passes the wake-up on: there may be room for another, or it was not enough for this one. */
static int patiently(const struct attempt *attempt, struct pipc_patience *patience)
{
    struct pipc_channel *channel = attempt->channel;
    struct pipc_word *room = &channel->control->room;
    struct pipc_watch watch = {0};
    int error = once(attempt, patience);
    if (error == PIPC_E_FULL && !patience->nowait && watch_room(channel, patience))
        error = once(attempt, patience);
    PIPC_POINT("channel: tried, not judged stuck");
    while (error == PIPC_E_FULL) {
        if (patience->nowait)
            error = full(channel);
        else if (is_stuck(channel, attempt->self))
            error = try_once_more(attempt, patience);
        else if ((error = pipc_word_await(room, &watch, patience)) == 0) {
            error = once(attempt, patience);
            continue;
        }
        break;
    }
    if (watch.slept)
        pipc_word_bump(room, 1);
    return pipc_channel_verdict(channel, error);
}

/* ---- the calls ---- */

static int check_record(const struct pipc_channel *channel, const pipc_record *record)
{
    if (record->flags & ~PIPC_RESTART)
        return pipc_fail(PIPC_E_INVALID, "unknown record flags 0x%x", record->flags);
    if (record->size > channel->max_size)
        return pipc_fail(PIPC_E_TOO_BIG, "the record has %llu bytes, the channel takes %llu",
                         (unsigned long long)record->size, (unsigned long long)channel->max_size);
    return 0;
}

static int check(const struct pipc_channel *channel, const pipc_record *record)
{
    if (!channel || !record)
        return pipc_fail(PIPC_E_INVALID, "the %s is NULL", channel ? "record" : "channel");
    int error = check_record(channel, record);
    return error ? error : pipc_channel_check(channel, PIPC_SEND);
}

static int send(pipc_channel *channel, const pipc_record *record, int64_t timeout)
{
    struct pipc_patience patience;
    uint64_t self = pipc_channel_self(channel);
    if (timeout >= 0 && send_at_once(channel, self, record))
        return 0;
    int error = pipc_channel_begin(channel, &patience, record->flags, timeout);
    return error ? error : patiently(&(struct attempt){channel, self, record, NULL}, &patience);
}

int pipc_channel_send(pipc_channel *channel, const pipc_record *record, int64_t timeout)
{
    struct pipc_call call;
    pipc_calling(__func__, channel ? channel->object->name : NULL);
    int error = check(channel, record);
    if (!error && record->size && !record->data)
        error = pipc_fail(PIPC_E_INVALID, "the record's data is NULL");
    if (!error)
        error = pipc_call_begin(&call, channel->nonce);
    return error ? error : pipc_call_end(&call, send(channel, record, timeout));
}

static int reserve(pipc_channel *channel, pipc_record *record, int64_t timeout)
{
    struct pipc_patience patience;
    struct pipc_place place;
    int error = pipc_channel_begin(channel, &patience, record->flags, timeout);
    if (!error)
        error = patiently(&(struct attempt){channel, pipc_channel_self(channel), record, &place}, &patience);
    if (error)
        return error;
    if (channel->many)
        atomic_fetch_add_explicit(&channel->open, 1, memory_order_relaxed);
    record->position = place.at;
    record->data = pipc_ring_body(&channel->ring, place.at);
    return 0;
}

int pipc_channel_reserve(pipc_channel *channel, pipc_record *record, int64_t timeout)
{
    struct pipc_call call;
    pipc_calling(__func__, channel ? channel->object->name : NULL);
    int error = check(channel, record);
    if (!error)
        error = pipc_call_begin(&call, channel->nonce);
    return error ? error : pipc_call_end(&call, reserve(channel, record, timeout));
}
