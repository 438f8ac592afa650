/* Where everything lies in a queue's shared memory. */
#include "core/control.h"

#define UNDO_BYTES (PIPC_UNDO_MAX * sizeof(struct pipc_undo))

static uint64_t aligned(uint64_t bytes)
{
    return (bytes + 63) & ~UINT64_C(63);
}

static uint64_t staging_bytes(uint32_t kernel_ask)
{
    return aligned(PIPC_ENVELOPE_AT + (uint64_t)kernel_ask);
}

static uint64_t body_stride(uint64_t max_size)
{
    return (max_size + 7) & ~UINT64_C(7);
}

uint64_t pipc_control_words_at(uint32_t kernel_ask)
{
    return aligned(sizeof(struct pipc_control)) + UNDO_BYTES + staging_bytes(kernel_ask);
}

uint64_t pipc_control_slots_at(uint32_t max_messages, uint32_t kernel_ask)
{
    return pipc_control_words_at(kernel_ask) + aligned(max_messages * sizeof(uint64_t));
}

static uint64_t bytes_before_bodies(uint32_t n, uint32_t kernel_ask)
{
    return pipc_control_slots_at(n, kernel_ask) + (uint64_t)n * sizeof(struct pipc_slot);
}

/* With 2^24 messages of 2^30 bytes at most nothing here can overflow 64 bits. */
uint64_t pipc_control_bytes(uint32_t max_messages, uint64_t max_size, uint32_t kernel_ask)
{
    if (max_messages == 0 || max_messages > PIPC_MESSAGES_MAX || max_size == 0 || max_size > PIPC_MESSAGE_SIZE_MAX ||
        kernel_ask < sizeof(struct pipc_envelope) || kernel_ask > PIPC_MESSAGE_SIZE_MAX)
        return 0;
    return bytes_before_bodies(max_messages, kernel_ask) + max_messages * body_stride(max_size);
}

int pipc_control_attach(struct pipc_queue *queue, void *data, uint64_t bytes)
{
    const volatile struct pipc_control *control = data; /* each field is read once */
    if (bytes < sizeof *control)
        return pipc_fail(PIPC_E_DAMAGED, "the queue has no room for its control area; remove the queue");
    uint32_t n = control->max_messages, ask = control->kernel_ask;
    uint64_t size = control->max_size, need = pipc_control_bytes(n, size, ask);
    uint32_t kernel_size = ((const volatile struct pipc_object *)queue->object)->queue_size;
    if (need == 0 || need > bytes || kernel_size < sizeof(struct pipc_envelope) || kernel_size > ask)
        return pipc_fail(PIPC_E_DAMAGED,
                         "the queue's sizes are impossible: %u messages of %llu bytes, kernel messages of %u, in %llu "
                         "bytes; remove the queue",
                         n, (unsigned long long)size, kernel_size, (unsigned long long)bytes);
    unsigned char *at = data;
    queue->control = data;
    queue->max_messages = n;
    queue->max_size = size;
    queue->kernel_size = kernel_size;
    queue->body_stride = body_stride(size);
    queue->nonce = queue->object->nonce;
    at += aligned(sizeof *control);
    queue->undo = (struct pipc_undo *)at;
    at += UNDO_BYTES;
    queue->staging = (struct pipc_envelope *)(at + PIPC_ENVELOPE_AT);
    at += staging_bytes(ask);
    queue->words = (_Atomic uint64_t *)at;
    at += aligned(n * sizeof(uint64_t));
    queue->slots = (struct pipc_slot *)at;
    queue->bodies = at + (uint64_t)n * sizeof(struct pipc_slot);
    return 0;
}

static uint32_t count_sleepers(struct pipc_control *control)
{
    return atomic_load(&control->items.sleepers) + atomic_load(&control->picky.sleepers) +
           atomic_load(&control->room.sleepers);
}

void pipc_control_tell(struct pipc_control *control, const struct pipc_object *object, pipc_queue_info *info)
{
    info->high_water = atomic_load(&control->high_water);
    info->sent = pipc_sent(control);
    info->received = atomic_load(&control->received);
    info->created = object->created;
    info->waiters = count_sleepers(control);
    info->last_sender = atomic_load(&control->last_sender);
    info->last_receiver = atomic_load(&control->last_receiver);
    info->creator = object->creator;
    info->owner = object->owner;
    info->mode = object->mode;
    info->kernel_depth = object->queue_depth;
    info->backend = pipc_be_name;
}
