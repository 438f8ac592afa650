/* Receiving from a channel: look at the records from the reader's position on, then move the position. Whoever dies
 * between the two leaves them to the next. The reader's lock is held from the first look to the release. Modelled in
 * tests/models/channel.pml. */
#include <string.h>

#include "core/call.h"
#include "core/channel.h"

#define AGAIN      (-2) /* not done, and nothing to wait for: look at the clock, then again */
#define STREAK     16u
#define MOST_STEPS 4096u /* over records that will never be whole, before that */

/* One receive or peek under way. */
struct look {
    struct pipc_channel *channel;
    uint64_t self;
    struct pipc_reader *reader;
    pipc_record *records;
    uint32_t most;  /* records to show */
    uint32_t count; /* shown */
    uint64_t room;  /* in the caller's buffer; the record's size is written over */
    uint32_t steps; /* left in this go, over what will never be whole */
    bool copy;
    bool freed; /* the position moved */
    struct pipc_judge judge;
    struct pipc_cursor from, end; /* what was shown */
};

/* ---- one record ---- */

/* DELIVER_LATEST: is what was read from this position on still there? Asked after reading. */
static bool still_there(const struct pipc_channel *channel, uint64_t position)
{
    if (channel->delivery != PIPC_DELIVER_LATEST)
        return true;
    atomic_thread_fence(memory_order_acquire);
    /* model: channel.pml, still_there */
    return atomic_load_explicit(&channel->control->writer.oldest, memory_order_relaxed) <= position;
}

/* The cursor behind the record where it stands. What will never be whole is not missed if it was met in its turn. */
static struct pipc_cursor behind(const struct pipc_channel *channel, const struct pipc_cursor *cursor, uint64_t word)
{
    struct pipc_cursor next = {cursor->at + pipc_ring_span(&channel->ring, cursor->at), cursor->number, cursor->passed};
    uint32_t number = pipc_ring_number(&channel->ring, cursor->at);
    bool given_up = word == PIPC_RECORD_GIVEN_UP;
    if (pipc_record_state(word) == PIPC_RECORD_WHOLE || (given_up && number == cursor->number))
        next.number = number + 1;
    next.passed += given_up;
    return next;
}

static int copy_out(const struct look *look, pipc_record *record, uint64_t position, uint64_t size)
{
    uint64_t room = look->room, bytes = size < room ? size : room;
    if (size > room && !(record->flags & PIPC_TRUNCATE)) {
        record->size = size;
        return pipc_fail(PIPC_E_TOO_SMALL, "the record has %llu bytes, the buffer %llu; the record stays",
                         (unsigned long long)size, (unsigned long long)room);
    }
    if (bytes)
        memcpy(record->data, pipc_ring_body(&look->channel->ring, position), bytes);
    record->size = size;
    return 0;
}

static int show(const struct look *look, const struct pipc_cursor *cursor, uint64_t word) /* model: channel.pml, show */
{
    const struct pipc_channel *channel = look->channel;
    pipc_record *record = &look->records[look->count];
    uint64_t size = pipc_ring_body_size(&channel->ring, cursor->at, word);
    record->position = cursor->at;
    record->marks = cursor->at < look->reader->again ? PIPC_REDELIVERED : 0;
    record->missed =
        channel->delivery == PIPC_DELIVER_LATEST ? pipc_ring_number(&channel->ring, cursor->at) - cursor->number : 0;
    if (look->copy)
        return copy_out(look, record, cursor->at, size);
    record->data = pipc_ring_body(&channel->ring, cursor->at);
    record->size = size;
    return 0;
}

/* Moves over what will never be whole. 0 and the word of a whole record; PIPC_E_EMPTY; or AGAIN. What stands behind
 * a record that has been overwritten is no head, and must not be believed, judged or given up: as long as the first
 * one is there, they all are. */
static int seek(struct look *look, struct pipc_cursor *cursor, uint64_t *word)
{
    const struct pipc_ring *ring = &look->channel->ring;
    uint64_t first = cursor->at;
    for (; look->steps > 0; look->steps--) {
        PIPC_POINT("channel: about to look at a head");
        *word = pipc_ring_word(ring, cursor->at); /* model: channel.pml, seek */
        enum pipc_record_state state = pipc_record_state(*word);
        if (state == PIPC_RECORD_WHOLE)
            return 0; /* who shows it asks whether the first is still there */
        if (state != PIPC_RECORD_VOID && !still_there(look->channel, first))
            return AGAIN;
        if (state == PIPC_RECORD_EMPTY)
            return PIPC_E_EMPTY;
        if (state == PIPC_RECORD_VOID)
            *cursor = behind(look->channel, cursor, *word);
        else if (!pipc_channel_skip_dead(look->channel, cursor->at, *word, &look->judge))
            return look->judge.left > 0 ? PIPC_E_EMPTY : AGAIN;
    }
    return AGAIN;
}

/* ---- under the lock ---- */

static void move(struct look *look, const struct pipc_cursor *to)
{
    struct pipc_reader *reader = look->reader;
    reader->number = to->number;
    reader->passed = to->passed;
    atomic_store_explicit(&reader->position, to->at, memory_order_release);
    look->freed = true;
}

/* Where to begin: at the reader's position, or at the oldest record if that one is gone. */
static uint64_t start_at(const struct look *look)
{
    const struct pipc_channel *channel = look->channel;
    uint64_t at = atomic_load_explicit(&look->reader->position, memory_order_relaxed);
    if (channel->delivery != PIPC_DELIVER_LATEST)
        return at;
    uint64_t oldest = atomic_load_explicit(&channel->control->writer.oldest, memory_order_acquire);
    return at < oldest ? oldest : at;
}

static struct pipc_cursor start(const struct look *look)
{
    return (struct pipc_cursor){start_at(look), look->reader->number, look->reader->passed};
}

/* What others were shown before, who gave the lock back alive, is of no account. */
static void about_to_show(struct look *look, uint64_t up_to)
{
    if (look->count == 0 || look->reader->shown < up_to)
        look->reader->shown = up_to; /* model: channel.pml, about_to_show */
    atomic_signal_fence(memory_order_seq_cst);
}

/* Shows as many records as there are and as are wanted. */
static int gather(struct look *look)
{
    struct pipc_cursor cursor = start(look);
    uint64_t word;
    int error = 0;
    look->from = cursor;
    look->steps = MOST_STEPS;
    look->judge = (struct pipc_judge){&look->reader->judged_at, PIPC_JUDGEMENTS};
    while (look->count < look->most && cursor.at - look->from.at < look->channel->ring.size) {
        uint64_t first = cursor.at;
        if ((error = seek(look, &cursor, &word))) /* model: channel.pml, receive */
            break;
        struct pipc_cursor next = behind(look->channel, &cursor, word);
        if (look->count == 0)
            look->from = cursor;
        about_to_show(look, next.at);
        PIPC_POINT("channel: about to show a record");
        error = show(look, &cursor, word);
        if (!still_there(look->channel, first)) {
            if (look->copy)
                look->records->size = look->room;
            return look->count ? 0 : AGAIN;
        }
        if (error)
            return error;
        cursor = look->end = next;
        look->count++;
    }
    if (look->count)
        return 0;
    if (error && cursor.at != look->from.at && still_there(look->channel, look->from.at))
        move(look, &cursor); /* nothing but what will never be whole lay there */
    return error;
}

static void take(struct look *look, const struct pipc_cursor *to, uint32_t count)
{
    struct pipc_reader *reader = look->reader;
    _Atomic uint32_t *streak = &look->channel->streak;
    PIPC_POINT("channel: shown, not taken");
    move(look, to); /* model: channel.pml, take */
    PIPC_POINT("channel: taken, not counted");
    atomic_store_explicit(&reader->received, atomic_load_explicit(&reader->received, memory_order_relaxed) + count,
                          memory_order_relaxed);
    atomic_store_explicit(streak, atomic_load_explicit(streak, memory_order_relaxed) + count, memory_order_relaxed);
}

static void add(_Atomic uint64_t *counter, uint64_t more)
{
    if (more)
        atomic_store_explicit(counter, atomic_load_explicit(counter, memory_order_relaxed) + more,
                              memory_order_relaxed);
}

/* Once a record, however often it was shown: when it is taken. */
static void count_marks(struct pipc_reader *reader, uint64_t again, uint64_t missed)
{
    add(&reader->redelivered, again);
    add(&reader->missed, missed);
}

static void keep_peek(struct look *look)
{
    struct pipc_channel *channel = look->channel;
    channel->shown_by = look->reader;
    channel->shown = look->count;
    channel->shown_from = look->from;
    channel->shown_end = look->end;
    channel->shown_missed = look->records->missed;
    channel->shown_again = 0;
    while (channel->shown_again < look->count && look->records[channel->shown_again].marks)
        channel->shown_again++;
    atomic_store_explicit(&channel->consumer, look->self, memory_order_relaxed);
}

static void unlock_reader(struct look *look)
{
    pipc_channel_unlock(&look->reader->lock, look->self);
    PIPC_POINT("channel: read, nobody woken");
    if (look->freed)
        pipc_word_bump(&look->channel->control->room, 1);
}

/* What the dead may have seen is marked from now on. */
static int lock_reader(struct look *look, struct pipc_patience *patience)
{
    struct pipc_reader *reader = look->reader;
    int error = pipc_channel_lock(look->channel, &reader->lock, look->self, patience);
    if (error != PIPC_LOCK_STOLEN)
        return error;
    if (reader->again < reader->shown)
        reader->again = reader->shown;
    return 0;
}

static int look_once(struct look *look, struct pipc_patience *patience)
{
    int error = lock_reader(look, patience);
    if (error)
        return error;
    look->count = 0;
    look->freed = false;
    error = gather(look);
    if (!error && !look->copy) {
        keep_peek(look);
        return 0;
    }
    if (!error) {
        take(look, &look->end, 1);
        count_marks(look->reader, look->records->marks & PIPC_REDELIVERED, look->records->missed);
    }
    unlock_reader(look);
    return error;
}

/* The plain case: nobody else reads, a whole record is next, it fits, and nobody was shown it before. No clock, no
 * deadline. */
static bool receive_at_once(struct pipc_channel *channel, uint64_t self, pipc_record *record)
{
    struct pipc_reader *reader = pipc_channel_reader(channel, 0);
    if (channel->delivery != PIPC_DELIVER_ONCE || !pipc_channel_try(&reader->lock, self))
        return false;
    struct look look = {.channel = channel, .self = self, .reader = reader, .records = record, .room = record->size};
    struct pipc_cursor cursor = start(&look);
    uint64_t word = pipc_ring_word(&channel->ring, cursor.at);
    bool plain = pipc_record_state(word) == PIPC_RECORD_WHOLE && cursor.at >= reader->again &&
                 pipc_ring_body_size(&channel->ring, cursor.at, word) <= record->size;
    if (plain) {
        look.end = behind(channel, &cursor, word);
        look.copy = true;
        about_to_show(&look, look.end.at);
        show(&look, &cursor, word);
        take(&look, &look.end, 1);
    }
    unlock_reader(&look);
    return plain;
}

/* ---- with patience ---- */

/* Others may read on meanwhile: then the body of a record may stand there. */
static PIPC_UNGUARDED bool something_to_read(void *argument)
{
    const struct look *look = argument;
    const struct pipc_record_head *head = pipc_ring_at(&look->channel->ring, start_at(look));
    uint64_t word = *(const volatile uint64_t *)(const volatile void *)&head->word;
    return pipc_record_state(word) >= PIPC_RECORD_WHOLE;
}

/* A record that is on its way has a place here, or its producer has the lock. */
static bool nothing_on_its_way(void *argument)
{
    const struct look *look = argument;
    return atomic_load(&look->channel->control->writer.lock.word) == 0 &&
           pipc_record_state(pipc_ring_word(&look->channel->ring, start_at(look))) == PIPC_RECORD_EMPTY;
}

/* Looks a while without the lock, and without telling the producers that somebody waits. Not after many records in a
 * row: there it is better to fall behind, asleep, than to take each line of memory away from the producer while it
 * writes the next one to it. */
static void watch(struct look *look, const struct pipc_patience *patience)
{
    _Atomic uint32_t *streak = &look->channel->streak;
    uint32_t records = atomic_load_explicit(streak, memory_order_relaxed);
    atomic_store_explicit(streak, 0, memory_order_relaxed);
    if (!look->channel->no_spin && records <= STREAK)
        pipc_spin_until(something_to_read, look, pipc_patience_slice(patience, PIPC_LINGER));
}

static int out_of_time(struct pipc_patience *patience, int64_t *began)
{
    int64_t now = pipc_now();
    if (!*began)
        *began = now;
    if (!patience->nowait)
        return pipc_patience_check(patience);
    return now - *began < PIPC_LOCK_PATIENCE ? 0
                                             : pipc_fail(PIPC_E_BUSY, "the channel holds nothing but given-up records");
}

static int look_again_and_again(struct look *look, struct pipc_patience *patience)
{
    int64_t began = 0;
    int error;
    while ((error = look_once(look, patience)) == AGAIN)
        if ((error = out_of_time(patience, &began)))
            return error;
    return error;
}

/* Who slept passes the wake-up on: there may be more records, and more readers. */
static int patiently(struct look *look, struct pipc_patience *patience)
{
    struct pipc_channel *channel = look->channel;
    struct pipc_word *items = &channel->control->items;
    struct pipc_watch waiting = {.quiet = nothing_on_its_way, .argument = look};
    int error = pipc_channel_reader_of(channel, &look->reader);
    if (!error && !patience->nowait)
        watch(look, patience);
    while (!error && (error = look_again_and_again(look, patience)) == PIPC_E_EMPTY) {
        if (patience->nowait)
            error = pipc_fail(PIPC_E_EMPTY, "the channel holds no whole record");
        else if ((error = pipc_word_await(items, &waiting, patience)) == 0)
            continue;
        break;
    }
    if (waiting.slept && channel->delivery == PIPC_DELIVER_ONCE)
        pipc_word_bump(items, 1);
    return pipc_channel_verdict(channel, error);
}

/* ---- the calls ---- */

static int check(const struct pipc_channel *channel, const pipc_record *records, uint32_t allowed)
{
    if (!channel || !records)
        return pipc_fail(PIPC_E_INVALID, "the %s is NULL", channel ? "record" : "channel");
    if (records->flags & ~allowed)
        return pipc_fail(PIPC_E_INVALID, "unknown record flags 0x%x", records->flags);
    return pipc_channel_check(channel, PIPC_RECEIVE);
}

static int receive(pipc_channel *channel, pipc_record *record, int64_t timeout)
{
    struct pipc_patience patience;
    uint64_t self = pipc_channel_self(channel);
    if (timeout >= 0 && receive_at_once(channel, self, record))
        return 0;
    struct look look = {
        .channel = channel, .self = self, .records = record, .most = 1, .room = record->size, .copy = true};
    int error = pipc_channel_begin(channel, &patience, record->flags, timeout);
    return error ? error : patiently(&look, &patience);
}

int pipc_channel_receive(pipc_channel *channel, pipc_record *record, int64_t timeout)
{
    struct pipc_call call;
    pipc_calling(__func__, channel ? channel->object->name : NULL);
    int error = check(channel, record, PIPC_RESTART | PIPC_TRUNCATE);
    if (!error && record->size && !record->data)
        error = pipc_fail(PIPC_E_INVALID, "the buffer is NULL");
    if (!error)
        error = pipc_call_begin(&call, channel->nonce);
    return error ? error : pipc_call_end(&call, receive(channel, record, timeout));
}

static int peek(pipc_channel *channel, pipc_record *records, uint32_t *count, int64_t timeout)
{
    struct pipc_patience patience;
    struct look look = {.channel = channel, .self = pipc_channel_self(channel), .records = records, .most = *count};
    int error = pipc_channel_begin(channel, &patience, records->flags, timeout);
    if (!error)
        error = patiently(&look, &patience);
    if (!error)
        *count = look.count;
    return error;
}

int pipc_channel_peek(pipc_channel *channel, pipc_record *records, uint32_t *count, int64_t timeout)
{
    struct pipc_call call;
    pipc_calling(__func__, channel ? channel->object->name : NULL);
    if (!count || !*count)
        return pipc_fail(PIPC_E_INVALID, "there is no room for a record");
    int error = check(channel, records, PIPC_RESTART);
    if (!error)
        error = pipc_call_begin(&call, channel->nonce);
    return error ? error : pipc_call_end(&call, peek(channel, records, count, timeout));
}

/* The cursor behind the first `count` of the records shown. */
static struct pipc_cursor end_of(const struct pipc_channel *channel, uint32_t count)
{
    struct pipc_cursor cursor = channel->shown_from;
    while (count > 0 && cursor.at < channel->shown_end.at) {
        uint64_t word = pipc_ring_word(&channel->ring, cursor.at);
        count -= pipc_record_state(word) == PIPC_RECORD_WHOLE;
        cursor = behind(channel, &cursor, word);
    }
    return cursor;
}

static bool is_consumer(const struct pipc_channel *channel)
{
    uint64_t consumer = atomic_load_explicit(&channel->consumer, memory_order_relaxed);
    return consumer && consumer == pipc_channel_self(channel);
}

static int release(struct pipc_channel *channel, uint32_t count)
{
    struct look look = {.channel = channel, .self = pipc_channel_self(channel), .reader = channel->shown_by};
    struct pipc_cursor to = count == channel->shown ? channel->shown_end : end_of(channel, count);
    int error = 0;
    if (count > 0 && !still_there(channel, channel->shown_from.at)) {
        to = channel->shown_end;
        error = pipc_fail(PIPC_E_OVERRUN, "producers have overwritten what was read in place; read faster, or make the "
                                          "ring larger");
    }
    if (count > 0) {
        take(&look, &to, count);
        count_marks(look.reader, count < channel->shown_again ? count : channel->shown_again, channel->shown_missed);
    }
    atomic_store_explicit(&channel->consumer, 0, memory_order_relaxed);
    unlock_reader(&look);
    return error;
}

static int release_some(struct pipc_channel *channel, uint32_t count)
{
    if (!is_consumer(channel))
        return pipc_fail(PIPC_E_INVALID, "this thread has peeked at nothing");
    if (count > channel->shown)
        return pipc_fail(PIPC_E_INVALID, "%u records were shown, %u shall be released", channel->shown, count);
    int error = release(channel, count);
    return error ? error : pipc_channel_check(channel, 0);
}

int pipc_channel_release(pipc_channel *channel, uint32_t count)
{
    struct pipc_call call;
    pipc_calling(__func__, channel ? channel->object->name : NULL);
    if (!channel)
        return pipc_fail(PIPC_E_INVALID, "the channel is NULL");
    int error = pipc_call_begin(&call, channel->nonce);
    return error ? error : pipc_call_end(&call, release_some(channel, count));
}

void pipc_channel_drop_peek(struct pipc_channel *channel)
{
    if (is_consumer(channel))
        release(channel, 0);
}
