/* See support_ring.h. */
#include "support_ring.h"

enum { HEAD = 16 };

static uint64_t span(uint64_t size)
{
    return (size + HEAD + 15) / 16 * 16;
}

static uint64_t slowest(const struct ring_model *model)
{
    uint64_t least = UINT64_MAX;
    for (uint32_t i = 0; i < model->readers; i++)
        if (model->reader[i].position < least)
            least = model->reader[i].position;
    return least;
}

/* The producers stop before the oldest reservation, though all readers may have come after it. */
static uint64_t kept_from(const struct ring_model *model)
{
    uint64_t least = slowest(model);
    for (uint64_t i = model->count; i > 0 && model->entries[i - 1].end + model->size > model->head; i--)
        if (model->entries[i - 1].state == RING_RESERVED && model->entries[i - 1].at < least)
            least = model->entries[i - 1].at;
    return least;
}

static void overwrite(struct ring_model *model, uint64_t need)
{
    while (need > model->oldest + model->size && model->oldest < model->head) {
        const struct ring_entry *entry = &model->entries[model->oldest_index];
        if (model->oldest < entry->at) {
            model->oldest = entry->at;
            continue;
        }
        if (entry->state == RING_RESERVED)
            return;
        model->oldest = entry->end;
        model->oldest_index++;
    }
}

static bool has_room(struct ring_model *model, uint64_t end)
{
    uint64_t need = end + HEAD; /* the head of the next one is there already */
    if (model->delivery != PIPC_DELIVER_LATEST)
        return need <= kept_from(model) + model->size;
    overwrite(model, need);
    return need <= model->oldest + model->size;
}

bool ring_reserve(struct ring_model *model, uint64_t number, uint64_t size)
{
    bool many = model->producers == PIPC_PRODUCERS_MANY;
    uint64_t from = model->reserved ? model->batch[model->reserved - 1].end : model->head;
    uint64_t rest = model->size - from % model->size, at = span(size) > rest ? from + rest : from;
    struct ring_entry entry = {number, size, from, at, at + span(size), RING_RESERVED};
    if (!has_room(model, entry.end))
        return false;
    if (!many) {
        model->batch[model->reserved++] = entry;
        return true;
    }
    model->entries[model->count++] = entry;
    model->head = entry.end;
    return true;
}

/* Each record but the last reaches up to the next one; the last gives back what it does not need. */
void ring_commit_batch(struct ring_model *model)
{
    for (uint32_t i = 0; i < model->reserved; i++) {
        struct ring_entry entry = model->batch[i];
        entry.from = model->head;
        entry.end = i + 1 < model->reserved ? model->batch[i + 1].at : entry.at + span(entry.size);
        entry.state = RING_WHOLE;
        model->entries[model->count++] = entry;
        model->head = entry.end;
    }
    model->reserved = 0;
}

void ring_cancel_batch(struct ring_model *model)
{
    model->reserved = 0;
}

/* Behind an entry: cancelled ones are not missed if they were met in their turn. */
static void pass(struct ring_reader *reader, const struct ring_model *model)
{
    const struct ring_entry *entry = &model->entries[reader->index];
    if (entry->state == RING_WHOLE || reader->index == reader->due)
        reader->due = reader->index + 1;
    reader->position = entry->end;
    reader->index++;
}

/* Moves over what is cancelled, and over what was left free. */
static bool seek(struct ring_reader *reader, const struct ring_model *model)
{
    while (reader->index < model->count) {
        const struct ring_entry *entry = &model->entries[reader->index];
        if (reader->position < entry->at)
            reader->position = entry->at;
        if (entry->state != RING_GONE)
            return entry->state == RING_WHOLE;
        pass(reader, model);
    }
    return false;
}

static void catch_up(struct ring_reader *reader, const struct ring_model *model)
{
    if (model->delivery != PIPC_DELIVER_LATEST || reader->position >= model->oldest)
        return;
    reader->position = model->oldest;
    reader->index = model->oldest_index;
}

uint32_t ring_look(struct ring_model *model, struct ring_reader *reader, struct ring_sight *sight, uint32_t most)
{
    struct ring_reader walk = *reader;
    uint32_t count = 0;
    catch_up(&walk, model);
    while (count < most && seek(&walk, model)) {
        if (count == 0) {
            sight->from = walk.position;
            sight->missed = walk.index - walk.due;
        }
        sight->indexes[count++] = walk.index;
        pass(&walk, model);
    }
    if (count == 0)
        *reader = walk;
    return count;
}

bool ring_take(struct ring_model *model, struct ring_reader *reader, const struct ring_sight *sight, uint32_t shown,
               uint32_t count)
{
    bool there = count == 0 || model->delivery != PIPC_DELIVER_LATEST || model->oldest <= sight->from;
    if (count == 0)
        return true;
    reader->index = sight->indexes[(there ? count : shown) - 1];
    pass(reader, model);
    reader->received += count;
    reader->missed += sight->missed;
    return there;
}

bool ring_agrees(const struct ring_model *model, const pipc_channel_info *info)
{
    uint64_t sent = 0, left = 0, received = 0, missed = 0;
    uint64_t from = model->delivery == PIPC_DELIVER_LATEST ? model->oldest : slowest(model);
    for (uint64_t i = 0; i < model->count; i++) {
        sent += model->entries[i].state != RING_GONE;
        left += model->entries[i].state != RING_GONE && i >= model->reader[0].index;
    }
    for (uint32_t i = 0; i < model->readers; i++) {
        received += model->reader[i].received;
        missed += model->reader[i].missed;
    }
    return info->sent == sent && info->received == received && info->missed == missed &&
           info->bytes == model->head - from && (model->delivery != PIPC_DELIVER_ONCE || info->records == left) &&
           info->skipped == 0 && info->redelivered == 0;
}
