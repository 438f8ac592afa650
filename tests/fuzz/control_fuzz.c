/* Control headers: a queue's header and control pages, written over as the input says, or something that never was a
 * queue's. Opening answers what the header deserves; what can be opened can be used; the name can be used again. */
#include <string.h>

#include "core/slot.h"
#include "fuzz.h"
#include "probe.h"

enum { PLACES = 4, SIZE = 200, REACH = 1500 };

static struct pipc_object fresh; /* as it is when nobody has written there */
static struct pipc_object *object;
static size_t bytes;

static void make_queue(void)
{
    const pipc_queue_options options = {.max_messages = PLACES, .max_size = SIZE};
    pipc_queue *queue = NULL;
    EXPECT_OK(pipc_queue_open(&queue, fuzz_name("q"), PIPC_CREATE | PIPC_EXCLUSIVE, &options));
    EXPECT_OK(fuzz_send(queue, 1, 0, 1, 8));
    EXPECT_OK(fuzz_send(queue, 2, 1, 2, 100));
    EXPECT_OK(pipc_queue_close(queue));
    object = probe_map(PIPC_KIND_QUEUE, fuzz_name("q"), &bytes);
    EXPECT(object != NULL);
    fresh = *object;
}

/* The header first, then what follows behind its page. */
static unsigned char *place(size_t at)
{
    return at < sizeof *object ? (unsigned char *)object + at
                               : (unsigned char *)object + pipc_page() + (at - sizeof *object);
}

static void write_over(struct fuzz_input *input)
{
    for (int writes = 0; writes < 16 && fuzz_more(input); writes++) {
        size_t at = fuzz_short(input), end = bytes - pipc_page() + sizeof *object;
        uint8_t plan = fuzz_byte(input);
        at %= plan & 128 ? end : REACH;
        for (unsigned length = 1 + plan % 8; length > 0 && at < end; length--)
            *place(at++) = fuzz_byte(input);
    }
}

/* What is really there: the kernel gives whole pages. */
static size_t whole_pages(size_t size)
{
    return (size + pipc_page() - 1) / pipc_page() * pipc_page();
}

/* What a READY header deserves; 0: cannot be told so easily. */
static int deserved(void)
{
    if (object->magic != PIPC_OBJECT_MAGIC)
        return PIPC_E_FOREIGN;
    if (object->layout != PIPC_OBJECT_LAYOUT)
        return PIPC_E_LAYOUT;
    if ((object->kind != PIPC_KIND_QUEUE && object->kind != PIPC_KIND_SHM) || object->nonce == 0 ||
        object->size > whole_pages(bytes) - pipc_page())
        return PIPC_E_DAMAGED;
    return 0;
}

static void use(pipc_queue *queue)
{
    pipc_queue_info info;
    pipc_message message = {.data = fuzz_buffer(), .size = FUZZ_LARGEST};
    bool locked = atomic_load(&queue->control->lock.word) != 0;
    EXPECT_OK(pipc_queue_statistics(queue, &info));
    int error = pipc_queue_receive(queue, pipc_exactly(2), &message, PIPC_NOWAIT);
    if (error == 0)
        EXPECT(message.size <= info.max_size && message.type == 2 && message.priority <= PIPC_PRIORITY_MAX);
    if (locked) /* each further call would wait 25 ms for it */
        return;
    pipc_queue_peek(queue, pipc_up_to(5), &message, PIPC_NOWAIT);
    fuzz_send(queue, 3, 2, 3, 60);
    fuzz_send(queue, 3, 2, 4, 199);
    message.size = 20;
    message.flags = PIPC_TRUNCATE;
    pipc_queue_receive(queue, pipc_except(1), &message, PIPC_NOWAIT);
    pipc_queue_purge(queue, NULL);
    pipc_queue_interrupt(queue);
}

static bool is_possible(int error)
{
    return error == 0 || error == PIPC_E_NOT_FOUND || error == PIPC_E_FOREIGN || error == PIPC_E_LAYOUT ||
           error == PIPC_E_DAMAGED || error == PIPC_E_NAMESPACE || error == PIPC_E_MISMATCH || error == PIPC_E_EXISTS;
}

static void open_and_use(void)
{
    pipc_queue *queue = NULL;
    bool ready = atomic_load(&object->state) == PIPC_STATE_READY;
    int expected = ready ? deserved() : 0;
    int error = pipc_queue_open(&queue, fuzz_name("q"), 0, NULL);
    EXPECT((error == 0) == (queue != NULL));
    EXPECT(is_possible(error));
    if (expected)
        EXPECT(error == expected);
    if (error)
        return;
    EXPECT(ready && strcmp(object->name, fuzz_name("q")) == 0);
    use(queue);
    EXPECT_OK(pipc_queue_close(queue));
}

/* Mends the header, so that what is left under the name can be removed. Who removed it while its label was written
 * over could not find the kernel queue (the cleaner would); here nobody comes to clean, and the kernel has few. */
static void clear_name(void)
{
    *object = fresh;
    probe_unmap(object, bytes);
    for (int tries = 0; tries < 8 && pipc_queue_remove(fuzz_name("q")) == 0; tries++)
        ;
    probe_queue_remove_labelled(fuzz_name("q"), fresh.queue_label);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct fuzz_input input = {data, size};
    bool remove = fuzz_byte(&input) & 1;
    make_queue();
    write_over(&input);
    uint64_t state = atomic_load(&object->state) & PIPC_STATE_MASK;
    if (state != PIPC_STATE_CLAIMED && state != PIPC_STATE_BUILDING) { /* a builder is waited for, 1 s */
        open_and_use();
        if (remove)
            EXPECT(is_possible(pipc_queue_remove(fuzz_name("q"))));
    }
    clear_name();
    return 0;
}
