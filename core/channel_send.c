/* Sending through a channel: reserve a place in the ring, fill it, commit. The order of the stores in show(),
 * set_aside() and commit_one() is what makes a death at any instant harmless; ring.h has the rule. Modelled in
 * tests/models/channel.pml. */
#include <string.h>

#include "core/call.h"
#include "core/channel.h"

/* Where a record goes. */
struct place {
    uint64_t from; /* where the filler begins, if the record does not fit before the ring's end */
    uint64_t at;
    uint64_t end; /* where the next record will begin */
};

static struct place place_at(const struct pipc_ring *ring, uint64_t from, uint64_t size)
{
    uint64_t span = pipc_record_span(size), rest = pipc_ring_rest(ring, from);
    struct place place = {.from = from, .at = span > rest ? from + rest : from};
    place.end = place.at + span;
    return place;
}

/* ---- room ---- */

/* DELIVER_LATEST: gives up the oldest records. The reader's side looks at `oldest` after it has copied. */
static bool overwrite(struct pipc_channel *channel, uint64_t need)
{
    struct pipc_writer *writer = &channel->control->writer;
    uint64_t oldest = atomic_load_explicit(&writer->oldest, memory_order_relaxed);
    uint64_t head = atomic_load_explicit(&writer->head, memory_order_relaxed);
    bool enough;
    while (!(enough = need - oldest <= channel->ring.size) && head - oldest <= channel->ring.size && oldest != head) {
        enum pipc_record_state state = pipc_record_state(pipc_ring_word(&channel->ring, oldest));
        if (state == PIPC_RECORD_RESERVED && !pipc_channel_skip_dead(channel, oldest, &writer->judged_at))
            break;
        oldest += pipc_ring_span(&channel->ring, oldest);
    }
    if (head - oldest > channel->ring.size) /* somebody scribbled */
        oldest = head;
    atomic_store_explicit(&writer->oldest, oldest, memory_order_relaxed);
    atomic_thread_fence(memory_order_release);
    writer->limit = oldest + channel->ring.size;
    return enough;
}

static bool find_room(struct pipc_channel *channel, uint64_t need)
{
    struct pipc_writer *writer = &channel->control->writer;
    if (channel->delivery == PIPC_DELIVER_LATEST)
        return overwrite(channel, need);
    do {
        uint64_t slowest = pipc_channel_slowest(channel);
        if (slowest == UINT64_MAX) /* nobody listens */
            slowest = atomic_load_explicit(&writer->head, memory_order_relaxed);
        writer->limit = slowest + channel->ring.size;
        if (need <= writer->limit)
            return true;
    } while (channel->delivery == PIPC_DELIVER_ALL &&
             pipc_channel_bury_readers(channel, writer->limit - channel->ring.size));
    return false;
}

/* The word behind the record is emptied, so its place must be free too. */
static inline bool has_room(struct pipc_channel *channel, const struct place *place)
{
    uint64_t need = place->end + PIPC_RECORD_ALIGN;
    return need <= channel->control->writer.limit || find_room(channel, need);
}

/* ---- heads ---- */

static void set_head(const struct pipc_ring *ring, uint64_t at, uint64_t span, uint32_t number, uint64_t word)
{
    struct pipc_record_head *head = pipc_ring_at(ring, at);
    head->span = (uint32_t)span;
    head->number = number;
    atomic_store_explicit(&head->word, word, memory_order_release);
}

/* The chain of heads begins at place->from: what stands there is set last. */
static void show(const struct pipc_ring *ring, const struct place *place, uint32_t number, uint64_t word)
{
    set_head(ring, place->at, place->end - place->at, number, word);
    PIPC_POINT("channel: record set, filler not");
    if (place->from != place->at)
        set_head(ring, place->from, place->at - place->from, number, PIPC_RECORD_FILLER);
}

static void empty_word_at(const struct pipc_ring *ring, uint64_t position)
{
    atomic_store_explicit(&pipc_ring_at(ring, position)->word, PIPC_RECORD_EMPTY, memory_order_relaxed);
}

static void advance(struct pipc_writer *writer, uint64_t end, uint32_t records)
{
    writer->number += records;
    atomic_store_explicit(&writer->sent, atomic_load_explicit(&writer->sent, memory_order_relaxed) + records,
                          memory_order_relaxed);
    atomic_store_explicit(&writer->head, end, memory_order_release);
}

/* ---- the producers' lock ---- */

/* The dead may have shown records without moving the head behind them. */
static void repair(struct pipc_channel *channel)
{
    struct pipc_writer *writer = &channel->control->writer;
    uint64_t head = atomic_load(&writer->head), most = head + channel->ring.size;
    uint32_t records = 0;
    for (uint64_t word; head < most && (word = pipc_ring_word(&channel->ring, head)) != PIPC_RECORD_EMPTY;) {
        records += word != PIPC_RECORD_FILLER;
        head += pipc_ring_span(&channel->ring, head);
    }
    PIPC_POINT("channel: producers' repair begun");
    if (writer->reserving > records)
        atomic_fetch_add(&writer->skipped, writer->reserving - records);
    writer->reserving = 0;
    advance(writer, head, records);
}

int pipc_channel_lock_writer(struct pipc_channel *channel, struct pipc_patience *patience)
{
    bool died;
    int error = pipc_channel_lock(channel, &channel->control->writer.lock, patience, &died);
    if (!error && died)
        repair(channel);
    return error;
}

static void unlock_writer(struct pipc_channel *channel)
{
    pipc_channel_unlock(channel, &channel->control->writer.lock);
}

/* A record that is settled no longer holds up those who would overwrite it. */
static void wake_others(struct pipc_channel *channel)
{
    pipc_word_bump(&channel->control->items, channel->delivery == PIPC_DELIVER_ONCE ? 1 : INT32_MAX);
    if (channel->many && channel->delivery == PIPC_DELIVER_LATEST)
        pipc_word_bump(&channel->control->room, 1);
}

/* ---- one try ---- */

/* Many producers: the place is marked as this thread's, and the next producer goes on behind it. */
static void set_aside(struct pipc_channel *channel, const struct place *place)
{
    struct pipc_writer *writer = &channel->control->writer;
    empty_word_at(&channel->ring, place->end);
    PIPC_POINT("channel: next word emptied, nothing reserved");
    show(&channel->ring, place, writer->number, pipc_record_word(PIPC_RECORD_RESERVED, pipc_channel_self(channel)));
    PIPC_POINT("channel: reserved, head not moved");
    advance(writer, place->end, 1);
}

static void hold_reservation(struct pipc_channel *channel, const struct place *place)
{
    channel->control->writer.reserving = ++channel->reserved;
    channel->reserved_end = place->end;
    atomic_store_explicit(&channel->producer, pipc_channel_self(channel), memory_order_relaxed);
}

static bool is_producer(struct pipc_channel *channel)
{
    uint64_t producer = atomic_load_explicit(&channel->producer, memory_order_relaxed);
    return producer && producer == pipc_channel_self(channel);
}

/* One more reservation of the thread that has the producers' lock already. If the ring is full of its own, nobody
 * can ever make room. */
static int reserve_more(struct pipc_channel *channel, uint64_t size, struct place *place)
{
    *place = place_at(&channel->ring, channel->reserved_end, size);
    if (!has_room(channel, place))
        return PIPC_E_FULL;
    hold_reservation(channel, place);
    return 0;
}

static int reserve_once(struct pipc_channel *channel, uint64_t size, struct place *place,
                        struct pipc_patience *patience)
{
    if (!channel->many && is_producer(channel))
        return reserve_more(channel, size, place);
    int error = pipc_channel_lock_writer(channel, patience);
    if (error)
        return error;
    *place = place_at(&channel->ring, atomic_load_explicit(&channel->control->writer.head, memory_order_relaxed), size);
    if (!has_room(channel, place))
        error = PIPC_E_FULL;
    else if (channel->many)
        set_aside(channel, place);
    else
        hold_reservation(channel, place);
    if (error || channel->many)
        unlock_writer(channel);
    return error;
}

/* Many producers: RESERVED -> WHOLE or given up. Nobody else touches the reservation of the living. */
static bool settle(struct pipc_channel *channel, uint64_t position, uint64_t word)
{
    uint64_t mine = pipc_record_word(PIPC_RECORD_RESERVED, pipc_channel_self(channel));
    return atomic_compare_exchange_strong(&pipc_ring_at(&channel->ring, position)->word, &mine, word);
}

static int send_to_many(struct pipc_channel *channel, const pipc_record *record, struct pipc_patience *patience)
{
    struct place place;
    int error = reserve_once(channel, record->size, &place, patience);
    if (error)
        return error;
    PIPC_POINT("channel: reserved, not filled");
    if (record->size)
        memcpy(pipc_ring_body(&channel->ring, place.at), record->data, record->size);
    PIPC_POINT("channel: filled, not committed");
    if (!settle(channel, place.at, pipc_record_word(PIPC_RECORD_WHOLE, record->size)))
        return pipc_fail(PIPC_E_DAMAGED, "the place reserved for the record was taken away: somebody scribbles on the "
                                         "channel");
    return 0;
}

static int send_alone(struct pipc_channel *channel, const pipc_record *record, struct pipc_patience *patience)
{
    struct pipc_writer *writer = &channel->control->writer;
    int error = pipc_channel_lock_writer(channel, patience);
    if (error)
        return error;
    struct place place =
        place_at(&channel->ring, atomic_load_explicit(&writer->head, memory_order_relaxed), record->size);
    if (!has_room(channel, &place)) {
        unlock_writer(channel);
        return PIPC_E_FULL;
    }
    if (record->size)
        memcpy(pipc_ring_body(&channel->ring, place.at), record->data, record->size);
    empty_word_at(&channel->ring, place.end);
    PIPC_POINT("channel: filled, not shown");
    show(&channel->ring, &place, writer->number, pipc_record_word(PIPC_RECORD_WHOLE, record->size));
    PIPC_POINT("channel: shown, head not moved");
    advance(writer, place.end, 1);
    unlock_writer(channel);
    return 0;
}

static int send_once(struct pipc_channel *channel, const pipc_record *record, struct pipc_patience *patience)
{
    int error = channel->many ? send_to_many(channel, record, patience) : send_alone(channel, record, patience);
    if (error)
        return error;
    PIPC_POINT("channel: sent, nobody woken");
    wake_others(channel);
    return 0;
}

/* ---- with patience ---- */

/* One try to send, or to reserve. */
struct attempt {
    struct pipc_channel *channel;
    const pipc_record *record;
    struct place *place; /* NULL: send */
};

static int once(const struct attempt *attempt, struct pipc_patience *patience)
{
    return attempt->place ? reserve_once(attempt->channel, attempt->record->size, attempt->place, patience)
                          : send_once(attempt->channel, attempt->record, patience);
}

static int full(const struct pipc_channel *channel)
{
    return pipc_fail(PIPC_E_FULL, "the ring of %llu bytes has no room now", (unsigned long long)channel->ring.size);
}

/* Nothing in the ring but this thread's own reservations? Then nobody will ever make room. */
static bool is_stuck(struct pipc_channel *channel)
{
    if (channel->many || !is_producer(channel))
        return false;
    uint64_t slowest = pipc_channel_slowest(channel);
    return channel->delivery == PIPC_DELIVER_LATEST || slowest == UINT64_MAX ||
           slowest == atomic_load_explicit(&channel->control->writer.head, memory_order_relaxed);
}

static bool room_changed(void *argument)
{
    struct pipc_channel *channel = argument;
    return pipc_channel_slowest(channel) + channel->ring.size != channel->control->writer.limit;
}

/* Looks a while whether the readers move on. */
static bool watch_room(struct pipc_channel *channel)
{
    return !channel->no_spin && pipc_spin_until(room_changed, channel);
}

/* Who slept passes the wake-up on: there may be room for another, or it was not enough for this one. */
static int patiently(const struct attempt *attempt, struct pipc_patience *patience)
{
    struct pipc_channel *channel = attempt->channel;
    struct pipc_word *room = &channel->control->room;
    bool slept = false;
    int error = once(attempt, patience);
    if (error == PIPC_E_FULL && !patience->nowait && watch_room(channel))
        error = once(attempt, patience);
    while (error == PIPC_E_FULL) {
        if (patience->nowait || is_stuck(channel))
            return pipc_channel_verdict(channel, full(channel));
        uint32_t announced = pipc_word_announce(room);
        if ((error = once(attempt, patience)) == PIPC_E_FULL) {
            slept = true;
            int ended = pipc_word_sleep(room, announced, patience);
            error = ended ? ended : error;
        }
    }
    if (slept)
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

static int begin(struct pipc_channel *channel, const pipc_record *record, int64_t timeout,
                 struct pipc_patience *patience)
{
    if (!channel || !record)
        return pipc_fail(PIPC_E_INVALID, "the %s is NULL", channel ? "record" : "channel");
    int error = check_record(channel, record);
    if (!error)
        error = pipc_channel_begin(channel, patience, record->flags, timeout);
    return error ? error : pipc_channel_check(channel, PIPC_SEND);
}

int pipc_channel_send(pipc_channel *channel, const pipc_record *record, int64_t timeout)
{
    struct pipc_patience patience;
    pipc_calling(__func__, channel ? channel->object->name : NULL);
    int error = begin(channel, record, timeout, &patience);
    if (!error && record->size && !record->data)
        error = pipc_fail(PIPC_E_INVALID, "the record's data is NULL");
    if (error)
        return error;
    return patiently(&(struct attempt){channel, record, NULL}, &patience);
}

int pipc_channel_reserve(pipc_channel *channel, pipc_record *record, int64_t timeout)
{
    struct pipc_patience patience;
    struct place place;
    pipc_calling(__func__, channel ? channel->object->name : NULL);
    int error = begin(channel, record, timeout, &patience);
    if (!error)
        error = patiently(&(struct attempt){channel, record, &place}, &patience);
    if (error)
        return error;
    record->position = place.at;
    record->data = pipc_ring_body(&channel->ring, place.at);
    return 0;
}

/* ---- commit and cancel ---- */

static int not_reserved(uint32_t which)
{
    return pipc_fail(PIPC_E_INVALID, "record %u is not reserved by this thread, or its size has grown", which);
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

static void let_go(struct pipc_channel *channel)
{
    channel->reserved = 0;
    channel->control->writer.reserving = 0;
    atomic_store_explicit(&channel->producer, 0, memory_order_relaxed);
    unlock_writer(channel);
}

/* From the last to the first: until the first is set no reader sees any. */
static void commit_batch(struct pipc_channel *channel, const pipc_record *records, uint32_t count)
{
    struct pipc_writer *writer = &channel->control->writer;
    const pipc_record *last = &records[count - 1];
    channel->reserved_end = last->position + pipc_record_span(last->size);
    empty_word_at(&channel->ring, channel->reserved_end);
    for (uint32_t i = count - 1; i > 0; i--) {
        set_head(&channel->ring, records[i].position, batch_end(channel, records, count, i) - records[i].position,
                 writer->number + i, pipc_record_word(PIPC_RECORD_WHOLE, records[i].size));
        PIPC_POINT("channel: some of a batch set");
    }
    struct place first = {atomic_load_explicit(&writer->head, memory_order_relaxed), records[0].position,
                          batch_end(channel, records, count, 0)};
    show(&channel->ring, &first, writer->number, pipc_record_word(PIPC_RECORD_WHOLE, records[0].size));
    PIPC_POINT("channel: batch shown, head not moved");
    advance(writer, channel->reserved_end, count);
    let_go(channel);
}

/* Many producers: are these reservations of this thread? */
static int check_reserved(struct pipc_channel *channel, const pipc_record *records, uint32_t count)
{
    uint64_t mine = pipc_record_word(PIPC_RECORD_RESERVED, pipc_channel_self(channel));
    for (uint32_t i = 0; i < count; i++) {
        uint64_t at = records[i].position;
        if (at % PIPC_RECORD_ALIGN || pipc_ring_word(&channel->ring, at) != mine ||
            records[i].size > channel->max_size ||
            pipc_record_span(records[i].size) > pipc_ring_span(&channel->ring, at))
            return not_reserved(i);
    }
    return 0;
}

static int settle_all(struct pipc_channel *channel, const pipc_record *records, uint32_t count, bool commit)
{
    for (uint32_t i = count; i-- > 0;) {
        uint64_t word = commit ? pipc_record_word(PIPC_RECORD_WHOLE, records[i].size) : PIPC_RECORD_GIVEN_UP;
        if (!settle(channel, records[i].position, word))
            return not_reserved(i);
        PIPC_POINT("channel: some of many settled");
        if (!commit)
            atomic_fetch_add(&channel->control->writer.cancelled, 1);
    }
    return 0;
}

static int settle_one(struct pipc_channel *channel, const pipc_record *records, uint32_t count, bool commit)
{
    if (!is_producer(channel))
        return not_reserved(0);
    int error = check_batch(channel, records, count);
    if (error)
        return error;
    if (commit)
        commit_batch(channel, records, count);
    else
        let_go(channel);
    return 0;
}

static int finish(struct pipc_channel *channel, const pipc_record *records, uint32_t count, bool commit)
{
    int error;
    if (!channel || !records || !count)
        return pipc_fail(PIPC_E_INVALID, "%s", !channel ? "the channel is NULL" : "there are no records");
    if (channel->many) {
        error = check_reserved(channel, records, count);
        error = error ? error : settle_all(channel, records, count, commit);
    } else {
        error = settle_one(channel, records, count, commit);
    }
    if (error)
        return error;
    PIPC_POINT("channel: committed, nobody woken");
    if (channel->many || commit)
        wake_others(channel);
    return pipc_channel_check(channel, 0);
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

void pipc_channel_drop_reservations(struct pipc_channel *channel)
{
    if (!channel->many && is_producer(channel))
        let_go(channel);
}
