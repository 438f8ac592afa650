/* Headers: those of a queue, of memory and of a channel, with what follows them, written over as the input says, or
 * something that never was an object's. Opening answers what the header deserves; what can be opened can be used; the
 * name can be used again. */
#include <string.h>

#include "core/channel.h"
#include "core/slot.h"
#include "fuzz.h"
#include "probe.h"

enum { PLACES = 4, SIZE = 200, REACH = 1500, RING = 4096, MEMORY = 5000 };

/* What is done with an object of one kind. */
struct kind {
    uint32_t kind;
    void (*make)(void);
    int (*open)(void **handle);
    void (*use)(void *handle);
    int (*close)(void *handle);
    int (*remove)(const char *name);
};

static const struct kind *kind;
static struct pipc_object fresh; /* as it is when nobody has written there */
static struct pipc_object *object;
static size_t bytes;

/* ---- A queue ---- */

static void make_queue(void)
{
    const pipc_queue_options options = {.max_messages = PLACES, .max_size = SIZE};
    pipc_queue *queue = NULL;
    EXPECT_OK(pipc_queue_open(&queue, fuzz_name("o"), PIPC_CREATE | PIPC_EXCLUSIVE, &options));
    EXPECT_OK(fuzz_send(queue, 1, 0, 1, 8));
    EXPECT_OK(fuzz_send(queue, 2, 1, 2, 100));
    EXPECT_OK(pipc_queue_close(queue));
}

static int open_queue(void **handle)
{
    pipc_queue *queue = NULL;
    int error = pipc_queue_open(&queue, fuzz_name("o"), 0, NULL);
    *handle = queue;
    return error;
}

static void use_queue(void *handle)
{
    pipc_queue *queue = handle;
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

static int close_queue(void *handle)
{
    return pipc_queue_close(handle);
}

/* ---- Memory ---- */

static void make_memory(void)
{
    pipc_shm *shm = NULL;
    EXPECT_OK(pipc_shm_open(&shm, fuzz_name("o"), PIPC_CREATE | PIPC_EXCLUSIVE, &(pipc_shm_options){.size = MEMORY}));
    EXPECT_OK(pipc_shm_close(shm));
}

static int open_memory(void **handle)
{
    pipc_shm *shm = NULL;
    int error = pipc_shm_open(&shm, fuzz_name("o"), 0, NULL);
    *handle = shm;
    return error;
}

/* Whatever size the header tells: all of it is there. */
static void use_memory(void *handle)
{
    pipc_shm_info info;
    void *address = NULL;
    uint64_t size = 0;
    EXPECT_OK(pipc_shm_size(handle, &size));
    EXPECT(size <= bytes);
    EXPECT_OK(pipc_shm_map(handle, PIPC_READ | PIPC_WRITE, &address));
    memset(address, 0xa5, size);
    EXPECT_OK(pipc_shm_statistics(handle, &info));
    EXPECT(info.size == size && info.attachments >= 1);
    EXPECT_OK(pipc_shm_unmap(handle, address));
}

static int close_memory(void *handle)
{
    return pipc_shm_close(handle);
}

/* ---- A channel ---- */

static void make_channel(void)
{
    unsigned char body[60] = {0};
    pipc_channel *channel = NULL;
    const pipc_channel_options options = {.size = RING};
    EXPECT_OK(pipc_channel_open(&channel, fuzz_name("o"), PIPC_CREATE | PIPC_EXCLUSIVE, &options));
    for (int i = 0; i < 2; i++)
        EXPECT_OK(pipc_channel_send(channel, &(pipc_record){.data = body, .size = sizeof body}, PIPC_NOWAIT));
    EXPECT_OK(pipc_channel_close(channel));
}

static int open_channel(void **handle)
{
    pipc_channel *channel = NULL;
    int error = pipc_channel_open(&channel, fuzz_name("o"), 0, NULL);
    *handle = channel;
    return error;
}

static void use_channel(void *handle)
{
    pipc_channel *channel = handle;
    pipc_channel_info info;
    pipc_record record = {.data = fuzz_buffer(), .size = FUZZ_LARGEST};
    bool locked = atomic_load(&channel->control->writer.lock.word) != 0;
    for (uint32_t i = 0; i < channel->readers; i++)
        locked |= atomic_load(&pipc_channel_reader(channel, i)->lock.word) != 0;
    EXPECT_OK(pipc_channel_statistics(channel, &info));
    EXPECT(info.size <= bytes && info.bytes <= info.size);
    int error = pipc_channel_receive(channel, &record, PIPC_NOWAIT);
    if (error == 0)
        EXPECT(record.size <= info.max_size);
    if (locked)
        return;
    pipc_channel_send(channel, &(pipc_record){.data = fuzz_buffer(), .size = info.max_size}, PIPC_NOWAIT);
    record = (pipc_record){.data = fuzz_buffer(), .size = 20, .flags = PIPC_TRUNCATE};
    pipc_channel_receive(channel, &record, PIPC_NOWAIT);
    pipc_channel_interrupt(channel);
}

static int close_channel(void *handle)
{
    return pipc_channel_close(handle);
}

static const struct kind kinds[] = {
    {PIPC_KIND_QUEUE, make_queue, open_queue, use_queue, close_queue, pipc_queue_remove},
    {PIPC_KIND_QUEUE, make_queue, open_queue, use_queue, close_queue, pipc_queue_remove},
    {PIPC_KIND_SHM, make_memory, open_memory, use_memory, close_memory, pipc_shm_remove},
    {PIPC_KIND_CHANNEL, make_channel, open_channel, use_channel, close_channel, pipc_channel_remove},
};

/* ---- Whatever it is ---- */

static void make(void)
{
    kind->make();
    object = probe_map(kind->kind, fuzz_name("o"), &bytes);
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
    if (object->kind < PIPC_KIND_QUEUE || object->kind > PIPC_KIND_CHANNEL || object->nonce == 0 ||
        object->size > whole_pages(bytes) - pipc_page())
        return PIPC_E_DAMAGED;
    return 0;
}

static bool is_possible(int error)
{
    return error == 0 || error == PIPC_E_NOT_FOUND || error == PIPC_E_FOREIGN || error == PIPC_E_LAYOUT ||
           error == PIPC_E_DAMAGED || error == PIPC_E_NAMESPACE || error == PIPC_E_MISMATCH || error == PIPC_E_EXISTS ||
           (kind->kind == PIPC_KIND_CHANNEL && error == PIPC_E_LIMIT); /* all subscriptions look taken */
}

static void open_and_use(void)
{
    void *handle = NULL;
    bool ready = atomic_load(&object->state) == PIPC_STATE_READY;
    int expected = ready ? deserved() : 0;
    int error = kind->open(&handle);
    EXPECT((error == 0) == (handle != NULL));
    EXPECT(is_possible(error));
    if (expected)
        EXPECT(error == expected);
    if (error)
        return;
    EXPECT(ready && object->kind == kind->kind && strcmp(object->name, fuzz_name("o")) == 0);
    kind->use(handle);
    EXPECT_OK(kind->close(handle));
}

/* Mends the header, so that what is left under the name can be removed. Who removed it while its label was written
 * over could not find the kernel queue (the cleaner would); here nobody comes to clean, and the kernel has few. */
static void clear_name(void)
{
    *object = fresh;
    probe_unmap(object, bytes);
    for (int tries = 0; tries < 8 && kind->remove(fuzz_name("o")) == 0; tries++)
        ;
    if (kind->kind == PIPC_KIND_QUEUE)
        probe_queue_remove_labelled(fuzz_name("o"), fresh.queue_label);
}

/* The input's first byte: bit 0, it is removed while it is written over; bits 6 and 7, what it is. */
int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct fuzz_input input = {data, size};
    uint8_t plan = fuzz_byte(&input);
    kind = &kinds[plan / 64];
    make();
    write_over(&input);
    uint64_t state = atomic_load(&object->state) & PIPC_STATE_MASK;
    if (state != PIPC_STATE_CLAIMED && state != PIPC_STATE_BUILDING) { /* a builder is waited for, 1 s */
        open_and_use();
        if (plan & 1)
            EXPECT(is_possible(kind->remove(fuzz_name("o"))));
    }
    clear_name();
    return 0;
}
