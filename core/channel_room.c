/* The producers' lock and what a dead owner left, room for records, and waking those who wait. Modelled in
 * tests/models/channel.pml. */
#include "core/channel_writer.h"

/* ---- room ---- */

/* Gives up the oldest records up to a position, or until there is room. A reservation of the living ends it: its place
 * is not overwritten, though nobody who listens may wait for it. DELIVER_LATEST: the reader's side looks at `oldest`
 * after it has copied. */
static bool give_up_oldest(struct pipc_channel *channel, uint64_t up_to, uint64_t need)
{
    struct pipc_writer *writer = &channel->control->writer;
    uint64_t oldest = atomic_load_explicit(&writer->oldest, memory_order_relaxed);
    uint64_t head = atomic_load_explicit(&writer->head, memory_order_relaxed);
    struct pipc_judge judge = {&writer->judged_at, PIPC_JUDGEMENTS};
    bool enough;
    while (!(enough = need - oldest <= channel->ring.size) && head - oldest <= channel->ring.size && oldest < up_to) {
        uint64_t word = pipc_ring_word(&channel->ring, oldest);
        if (pipc_record_state(word) == PIPC_RECORD_RESERVED && !pipc_channel_skip_dead(channel, oldest, word, &judge))
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

bool pipc_channel_find_room(struct pipc_channel *channel, uint64_t need)
{
    struct pipc_writer *writer = &channel->control->writer;
    uint64_t head = atomic_load_explicit(&writer->head, memory_order_relaxed);
    if (channel->delivery == PIPC_DELIVER_LATEST)
        return give_up_oldest(channel, head, need);
    do {
        uint64_t slowest = pipc_channel_slowest(channel);
        if (slowest > head) /* nobody listens */
            slowest = head;
        if (channel->many && channel->delivery == PIPC_DELIVER_ALL)
            give_up_oldest(channel, slowest, UINT64_MAX);
        else
            writer->limit = slowest + channel->ring.size;
        if (need <= writer->limit) /* model: channel.pml, await_room */
            return true;
    } while (channel->delivery == PIPC_DELIVER_ALL && pipc_channel_bury_readers(channel, need - channel->ring.size));
    return false;
}

/* ---- the lock ---- */

/* The dead may have shown records without moving the head behind them, and have counted them or not. */
static void repair(struct pipc_channel *channel)
{
    struct pipc_writer *writer = &channel->control->writer;
    uint64_t head = atomic_load(&writer->head), most = head + channel->ring.size, sent = atomic_load(&writer->sent);
    uint32_t records = 0, number = (uint32_t)sent;
    /* model: channel.pml, repair */
    for (uint64_t word; head != most && (word = pipc_ring_word(&channel->ring, head)) != PIPC_RECORD_EMPTY;) {
        if (word != PIPC_RECORD_FILLER) {
            records++;
            number = pipc_ring_number(&channel->ring, head) + 1;
        }
        uint64_t span = pipc_ring_span(&channel->ring, head);
        head += span < most - head ? span : most - head;
    }
    PIPC_POINT("channel: producers' repair begun");
    if (writer->reserving > records)
        atomic_fetch_add(&writer->skipped, writer->reserving - records);
    writer->reserving = 0;
    if (number - (uint32_t)sent <= records) /* else somebody scribbled */
        sent += number - (uint32_t)sent;
    writer->number = (uint32_t)sent;
    atomic_store(&writer->sent, sent);
    atomic_store(&writer->head, head);
}

int pipc_channel_lock_writer(struct pipc_channel *channel, uint64_t self, struct pipc_patience *patience)
{
    int error = pipc_channel_lock(channel, &channel->control->writer.lock, self, patience);
    if (error == PIPC_LOCK_STOLEN) { /* model: channel.pml, lock_writer */
        repair(channel);
        error = 0;
    }
    if (!error)
        pipc_word_rouse(&channel->control->items);
    return error;
}

/* A record that is settled no longer holds up those who would overwrite it. */
void pipc_channel_wake_others(struct pipc_channel *channel)
{
    pipc_word_bump(&channel->control->items, channel->delivery == PIPC_DELIVER_ONCE ? 1 : INT32_MAX);
    if (channel->many && channel->delivery != PIPC_DELIVER_ONCE)
        pipc_word_bump(&channel->control->room, 1);
}
