/* Committing and cancelling reservations. Modelled in tests/models/channel.pml. */
#include "core/call.h"
#include "core/channel_writer.h"

static int not_reserved(uint32_t which)
{
    return pipc_fail(PIPC_E_INVALID, "record %u is not reserved by this thread, or named twice, or its size has grown",
                     which);
}

/* Where record i of a batch ends: at the next, or where the last one was reserved to. */
static uint64_t batch_end(const struct pipc_channel *channel, const pipc_record *records, uint32_t count, uint32_t i)
{
    return i + 1 < count ? records[i + 1].position : channel->reserved_end;
}

/* One producer: are these just the reservations, in their order, none longer than it was? */
static int check_batch(const struct pipc_channel *channel, const pipc_record *records, uint32_t count)
{
    const struct pipc_ring *ring = &channel->ring;
    uint64_t head = atomic_load_explicit(&channel->control->writer.head, memory_order_relaxed);
    if (count != channel->reserved)
        return pipc_fail(PIPC_E_INVALID, "this thread has reserved %u records, these are %u", channel->reserved, count);
    if (records[0].position != head && records[0].position != head + pipc_ring_rest(ring, head))
        return not_reserved(0);
    for (uint32_t i = 0; i < count; i++) {
        uint64_t at = records[i].position, room = batch_end(channel, records, count, i) - at;
        if (at % PIPC_RECORD_ALIGN || room > pipc_ring_rest(ring, at) || records[i].size > channel->max_size ||
            pipc_record_span(records[i].size) > room)
            return not_reserved(i);
    }
    return 0;
}

static void let_go(struct pipc_channel *channel, uint64_t self)
{
    channel->reserved = 0;
    channel->control->writer.reserving = 0;
    atomic_store_explicit(&channel->producer, 0, memory_order_relaxed);
    pipc_channel_unlock_writer(channel, self);
}

/* From the last to the first: until the first is set no reader sees any. */
static void commit_batch(struct pipc_channel *channel, uint64_t self, const pipc_record *records, uint32_t count)
{
    struct pipc_writer *writer = &channel->control->writer;
    const pipc_record *last = &records[count - 1];
    channel->reserved_end = last->position + pipc_record_span(last->size);
    pipc_ring_empty(&channel->ring, channel->reserved_end);
    for (uint32_t i = count - 1; i > 0; i--) {
        pipc_ring_set_head(&channel->ring, records[i].position,
                           batch_end(channel, records, count, i) - records[i].position, writer->number + i,
                           pipc_record_word(PIPC_RECORD_WHOLE, records[i].size));
        PIPC_POINT("channel: some of a batch set");
    }
    struct pipc_place first = {atomic_load_explicit(&writer->head, memory_order_relaxed), records[0].position,
                               batch_end(channel, records, count, 0)};
    /* model: channel.pml, commit_batch */
    pipc_ring_show(&channel->ring, &first, writer->number, pipc_record_word(PIPC_RECORD_WHOLE, records[0].size));
    writer->reserving = 0; /* who dies from here on has reserved nothing that is not shown */
    PIPC_POINT("channel: batch shown, head not moved");
    pipc_writer_advance(writer, channel->reserved_end, count);
    let_go(channel, self);
}

/* Was record i named before? Not if its place lies outside all those before, as it does if they are in order. */
static bool is_repeated(const pipc_record *records, uint32_t i, uint64_t lowest, uint64_t highest)
{
    uint64_t at = records[i].position;
    bool found = false;
    if (i == 0 || at < lowest || at > highest)
        return false;
    for (uint32_t before = 0; before < i && !found; before++)
        found = records[before].position == at;
    return found;
}

/* Many producers: are these reservations of this thread, each once? */
static int check_reserved(struct pipc_channel *channel, uint64_t self, const pipc_record *records, uint32_t count)
{
    uint64_t mine = pipc_record_word(PIPC_RECORD_RESERVED, self), lowest = UINT64_MAX, highest = 0;
    uint64_t head = atomic_load(&channel->control->writer.head);
    for (uint32_t i = 0; i < count; i++) {
        uint64_t at = records[i].position;
        if (at % PIPC_RECORD_ALIGN || head - at - 1 >= channel->ring.size ||
            pipc_ring_word(&channel->ring, at) != mine || records[i].size > channel->max_size ||
            pipc_record_span(records[i].size) > pipc_ring_span(&channel->ring, at) ||
            is_repeated(records, i, lowest, highest))
            return not_reserved(i);
        lowest = at < lowest ? at : lowest;
        highest = at > highest ? at : highest;
    }
    return 0;
}

static int settle_many(struct pipc_channel *channel, uint64_t self, const pipc_record *records, uint32_t count,
                       bool commit)
{
    int error = check_reserved(channel, self, records, count);
    if (error)
        return error;
    for (uint32_t i = count; i-- > 0;) {
        uint64_t word = commit ? pipc_record_word(PIPC_RECORD_WHOLE, records[i].size) : PIPC_RECORD_GIVEN_UP;
        if (!pipc_channel_settle(channel, self, records[i].position, word)) /* model: channel.pml, settle_many */
            return not_reserved(i);
        PIPC_POINT("channel: some of many settled");
        if (!commit)
            atomic_fetch_add(&channel->control->writer.cancelled, 1);
    }
    atomic_fetch_sub_explicit(&channel->open, count, memory_order_relaxed);
    return 0;
}

static int settle_one(struct pipc_channel *channel, uint64_t self, const pipc_record *records, uint32_t count,
                      bool commit)
{
    if (!pipc_channel_is_producer(channel, self))
        return not_reserved(0);
    int error = check_batch(channel, records, count);
    if (error)
        return error;
    if (commit)
        commit_batch(channel, self, records, count);
    else
        let_go(channel, self);
    return 0;
}

static int settle_and_wake(struct pipc_channel *channel, const pipc_record *records, uint32_t count, bool commit)
{
    uint64_t self = pipc_channel_self(channel);
    int error = channel->many ? settle_many(channel, self, records, count, commit)
                              : settle_one(channel, self, records, count, commit);
    if (error)
        return error;
    PIPC_POINT("channel: committed, nobody woken");
    if (channel->many || commit)
        pipc_channel_wake_others(channel);
    return pipc_channel_check(channel, 0);
}

static int finish(struct pipc_channel *channel, const pipc_record *records, uint32_t count, bool commit)
{
    struct pipc_call call;
    if (!channel || !records || !count)
        return pipc_fail(PIPC_E_INVALID, "%s", !channel ? "the channel is NULL" : "there are no records");
    int error = pipc_call_begin(&call, channel->nonce);
    return error ? error : pipc_call_end(&call, settle_and_wake(channel, records, count, commit));
}

int pipc_channel_commit(pipc_channel *channel, const pipc_record *records, uint32_t count)
{
    pipc_calling(__func__, channel ? channel->object->name : NULL);
    return finish(channel, records, count, true);
}

int pipc_channel_cancel(pipc_channel *channel, const pipc_record *records, uint32_t count)
{
    pipc_calling(__func__, channel ? channel->object->name : NULL);
    return finish(channel, records, count, false);
}

/* ---- closing ---- */

/* Many producers: all that are this thread's, wherever they lie. While the lock is held nobody overwrites what is
 * behind the last reader, or the oldest reservation. */
static void give_up_mine(struct pipc_channel *channel, uint64_t self)
{
    struct pipc_writer *writer = &channel->control->writer;
    uint64_t at = atomic_load(pipc_channel_first(channel));
    uint64_t head = atomic_load(&writer->head);
    while (at < head && head - at <= channel->ring.size) {
        if (pipc_channel_settle(channel, self, at, PIPC_RECORD_GIVEN_UP))
            atomic_fetch_add(&writer->cancelled, 1);
        at += pipc_ring_span(&channel->ring, at);
    }
}

/* If somebody keeps the lock long, they are given up when this thread ends. */
void pipc_channel_drop_reservations(struct pipc_channel *channel)
{
    struct pipc_patience patience;
    uint64_t self = pipc_channel_self(channel);
    if (!channel->many && pipc_channel_is_producer(channel, self))
        let_go(channel, self);
    if (!channel->many || atomic_load(&channel->open) == 0)
        return;
    pipc_patience_begin(&patience, PIPC_NOWAIT, NULL, NULL);
    if (pipc_channel_lock_writer(channel, self, &patience) != 0)
        return;
    give_up_mine(channel, self);
    pipc_channel_unlock_writer(channel, self);
    pipc_channel_wake_others(channel);
}
