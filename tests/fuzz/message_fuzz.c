/* Message headers: envelopes of all kinds put into the kernel's queue between true messages. Without the queue's
 * nonce none may be taken for a true one, and the true ones arrive in their order. With it a forger may steal a
 * place, but what is received is always possible. Afterwards every place is there. */
#include <string.h>

#include "core/slot.h"
#include "fuzz.h"
#include "probe.h"
#include "support_model.h"

enum { PLACES = 4, SIZE = 200 };

static pipc_queue *queue;

static void open_queue(void)
{
    const pipc_queue_options options = {.max_messages = PLACES, .max_size = SIZE};
    if (!queue)
        EXPECT_OK(pipc_queue_open(&queue, fuzz_name("q"), PIPC_CREATE | PIPC_EXCLUSIVE, &options));
}

/* Begins true, of a slot's present message; then the input changes fields and length. */
static void inject(struct fuzz_input *input, bool knows_nonce)
{
    struct {
        struct pipc_envelope envelope;
        unsigned char body[SIZE + 56];
    } forged;
    uint8_t plan = fuzz_byte(input);
    uint32_t slot = plan % PLACES;
    memset(&forged, plan, sizeof forged);
    forged.envelope =
        (struct pipc_envelope){.nonce = queue->nonce,
                               .ticket = atomic_load(&queue->slots[slot].ticket),
                               .slot = slot,
                               .type = 1 + plan % 6,
                               .length = 8,
                               .generation = (uint16_t)pipc_word_generation(atomic_load(&queue->words[slot])),
                               .priority = plan % 32};
    for (unsigned changes = plan / 64; changes > 0; changes--) {
        size_t width = (size_t)1 << fuzz_byte(input) % 4,
               at = fuzz_byte(input) % (sizeof forged.envelope / width) * width;
        uint64_t value = fuzz_long(input);
        memcpy((char *)&forged + at, (char *)&value, width);
    }
    if (!knows_nonce && forged.envelope.nonce == queue->nonce)
        forged.envelope.nonce ^= 1;
    size_t size = sizeof forged.envelope + forged.envelope.length;
    if (plan & 32 || size > sizeof forged)
        size = fuzz_byte(input) % sizeof forged;
    probe_queue_inject(fuzz_name("q"), &forged, size, fuzz_byte(input) % 32);
}

static void send_true(struct fuzz_input *input, struct model *model, bool knows_nonce)
{
    uint8_t plan = fuzz_byte(input);
    struct model_entry entry = {model->next++, plan % SIZE, 1 + plan % 6, plan / 8u};
    int error = fuzz_send(queue, entry.type, entry.priority, entry.number, entry.size);
    if (knows_nonce)
        return;
    EXPECT(error == (model_send(model, &entry) ? 0 : PIPC_E_FULL));
}

static void receive(struct fuzz_input *input, struct model *model, bool knows_nonce)
{
    pipc_selection selection = fuzz_selection(input);
    pipc_message message = {.data = fuzz_buffer(), .size = SIZE};
    struct model_entry *entry = model_choose(model, selection);
    int error = pipc_queue_receive(queue, selection, &message, PIPC_NOWAIT);
    EXPECT(error == 0 || error == PIPC_E_EMPTY);
    if (error == 0)
        EXPECT(message.size <= SIZE && message.type >= 1 && message.type <= PIPC_TYPE_MAX &&
               message.priority <= PIPC_PRIORITY_MAX);
    if (knows_nonce)
        return;
    EXPECT((error == 0) == (entry != NULL));
    if (!entry)
        return;
    EXPECT(message.size == entry->size && message.type == entry->type && message.priority == entry->priority);
    EXPECT(fuzz_is_body(message.data, entry->number, entry->size));
    model_take(model, entry);
}

/* A place that a forger stole comes back to whoever may receive and finds none (G5). */
static void check_room(void)
{
    pipc_message message = {.data = fuzz_buffer(), .size = SIZE};
    EXPECT_OK(pipc_queue_purge(queue, NULL));
    atomic_store(&queue->control->audit_wanted, 1); /* now, not in 100 ms */
    EXPECT_ERROR(pipc_queue_receive(queue, pipc_any(), &message, PIPC_NOWAIT), EMPTY);
    for (unsigned i = 0; i < PLACES; i++)
        EXPECT_OK(fuzz_send(queue, 1, 0, i, 8));
    EXPECT_ERROR(fuzz_send(queue, 1, 0, PLACES, 8), FULL);
    EXPECT_OK(pipc_queue_purge(queue, NULL));
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct fuzz_input input = {data, size};
    struct model model = {.capacity = PLACES};
    open_queue();
    bool knows_nonce = fuzz_byte(&input) & 1;
    for (int steps = 0; steps < 24 && fuzz_more(&input); steps++) {
        uint8_t step = fuzz_byte(&input);
        if (step % 4 == 0)
            receive(&input, &model, knows_nonce);
        else if (step % 4 == 1)
            send_true(&input, &model, knows_nonce);
        else
            inject(&input, knows_nonce);
    }
    check_room();
    return 0;
}
