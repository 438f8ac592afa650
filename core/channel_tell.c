/* Where everything lies in a channel's shared memory, and what its figures tell. */
#include "core/channel.h"

uint64_t pipc_channel_ring_at(uint32_t readers)
{
    return sizeof(struct pipc_channel_control) + (uint64_t)readers * PIPC_LINE;
}

bool pipc_channel_is_possible(const struct pipc_channel_control *control, uint64_t bytes)
{
    uint64_t size = control->ring_size;
    return size >= PIPC_CHANNEL_SIZE_MIN && size <= PIPC_CHANNEL_SIZE_MAX && (size & (size - 1)) == 0 &&
           control->readers >= 1 && control->readers <= PIPC_SUBSCRIBERS_MAX &&
           control->producers >= PIPC_PRODUCERS_ONE && control->producers <= PIPC_PRODUCERS_MANY &&
           control->delivery >= PIPC_DELIVER_ONCE && control->delivery <= PIPC_DELIVER_LATEST &&
           pipc_channel_ring_at(control->readers) + size <= bytes;
}

/* Until pipc_channel_tell() has the head, info->bytes is the position of the slowest, 0 if there is none: a reader
 * at position 0 is no slower than none. */
PIPC_UNGUARDED void pipc_channel_tell_reader(struct pipc_reader *reader, uint32_t delivery, pipc_channel_info *info)
{
    bool reads = delivery == PIPC_DELIVER_ONCE || (atomic_load(&reader->owner) & PIPC_SUBSCRIPTION_ACTIVE);
    uint64_t position = atomic_load(&reader->position);
    info->received += atomic_load(&reader->received);
    if (delivery == PIPC_DELIVER_ONCE) /* until pipc_channel_tell() knows what was sent */
        info->records = reader->number - reader->passed;
    info->redelivered += atomic_load(&reader->redelivered);
    info->missed += atomic_load(&reader->missed);
    if (!reads)
        return;
    if (!info->subscribers || position < info->bytes)
        info->bytes = position;
    info->subscribers++;
}

/* By the records' numbers, which a reader that was killed before it counted cannot spoil. */
static PIPC_UNGUARDED uint64_t left(struct pipc_writer *writer, const pipc_channel_info *info)
{
    uint64_t given_up = atomic_load(&writer->cancelled);
    if (info->producers == PIPC_PRODUCERS_MANY)
        given_up += info->skipped;
    uint32_t records = writer->number - (uint32_t)given_up - (uint32_t)info->records;
    return records <= INT32_MAX ? records : 0;
}

void pipc_channel_tell(struct pipc_channel_control *control, const struct pipc_object *object, pipc_channel_info *info)
{
    struct pipc_writer *writer = &control->writer;
    uint32_t delivery = control->delivery;
    bool once = delivery == PIPC_DELIVER_ONCE, many = control->producers == PIPC_PRODUCERS_MANY;
    uint64_t from = delivery == PIPC_DELIVER_LATEST ? atomic_load(&writer->oldest) : info->bytes;
    uint64_t head = atomic_load(&writer->head), sent = atomic_load(&writer->sent);
    info->producers = many ? PIPC_PRODUCERS_MANY : PIPC_PRODUCERS_ONE;
    info->skipped = atomic_load(&writer->skipped);
    uint64_t given_up = atomic_load(&writer->cancelled) + (many ? info->skipped : 0);
    info->sent = sent > given_up ? sent - given_up : 0;
    info->bytes = from < head && (info->subscribers || delivery == PIPC_DELIVER_LATEST) ? head - from : 0;
    if (info->bytes > control->ring_size) /* the two were read one after the other, and the traffic went on */
        info->bytes = control->ring_size;
    info->records = once && info->bytes ? left(writer, info) : 0;
    info->delivery = delivery;
    info->max_subscribers = once ? 0 : control->readers;
    info->subscribers = once ? 0 : info->subscribers;
    info->waiters = atomic_load(&control->items.sleepers) + atomic_load(&control->room.sleepers);
    info->created = object->created;
    info->creator = object->creator;
    info->owner = object->owner;
    info->mode = object->mode;
    info->size = control->ring_size;
    info->max_size = pipc_ring_largest(control->ring_size);
    info->backend = pipc_be_name;
}
