/* A channel whose control area, readers and ring are written over as the input says, between calls and between the
 * halves of calls: every call answers something possible, in time, and stays within its buffer. */
#include <string.h>

#include "core/channel.h"
#include "fuzz.h"

enum { RING = 4096, READERS = 2, SIZE = 60, PEEKS = 4 };

static pipc_channel *channel;
static unsigned char *data; /* what a peer can write */
static size_t bytes;

static void make_channel(uint8_t plan)
{
    uint32_t delivery = PIPC_DELIVER_ONCE + plan / 2 % 3;
    const pipc_channel_options options = {.size = RING,
                                          .producers = PIPC_PRODUCERS_ONE + plan % 2,
                                          .delivery = delivery,
                                          .subscribers = delivery == PIPC_DELIVER_ONCE ? 0 : READERS};
    unsigned char body[SIZE] = {0};
    EXPECT_OK(pipc_channel_open(&channel, fuzz_name("c"), PIPC_CREATE | PIPC_EXCLUSIVE, &options));
    for (int i = 0; i < 5; i++)
        EXPECT_OK(pipc_channel_send(channel, &(pipc_record){.data = body, .size = sizeof body}, PIPC_NOWAIT));
    data = (unsigned char *)channel->control;
    bytes = (size_t)(channel->ring.bytes + channel->ring.size - data);
}

/* Where it hurts: positions, words, heads; else anywhere. */
static size_t any_place(struct fuzz_input *input)
{
    uint8_t plan = fuzz_byte(input);
    size_t control = sizeof(struct pipc_channel_control), ring = (size_t)(channel->ring.bytes - data);
    if (plan < 100)
        return plan % (sizeof(struct pipc_writer) / 4) * 4;
    if (plan < 160)
        return control + plan % (sizeof(struct pipc_reader) / 4) * 4;
    if (plan < 240)
        return ring + plan % 40u * 8;
    return fuzz_short(input) % bytes;
}

static void write_over(struct fuzz_input *input)
{
    for (int writes = 1 + fuzz_byte(input) % 4; writes > 0 && fuzz_more(input); writes--) {
        size_t at = any_place(input);
        uint64_t value = fuzz_long(input);
        size_t width = (size_t)1 << (value >> 60 & 3);
        memcpy(data + at, &value, at + width <= bytes ? width : bytes - at);
    }
}

/* Who holds a lock for good costs each call 25 ms. */
static void free_locks(void)
{
    atomic_store(&channel->control->writer.lock.word, 0);
    for (uint32_t i = 0; i < channel->readers; i++)
        atomic_store(&pipc_channel_reader(channel, i)->lock.word, 0);
}

static void check_inside(const pipc_record *record)
{
    const unsigned char *place = record->data;
    EXPECT(place >= channel->ring.bytes && record->size <= RING / 4 &&
           place + record->size <= channel->ring.bytes + RING);
}

static void step_receive(struct fuzz_input *input)
{
    uint64_t room = fuzz_byte(input) * 4u;
    pipc_record record = {.data = fuzz_buffer() + FUZZ_LARGEST - room, .size = room};
    record.flags = room & 64 ? PIPC_TRUNCATE : 0;
    int error = pipc_channel_receive(channel, &record, PIPC_NOWAIT);
    EXPECT(error || record.size <= RING / 4);
    EXPECT(error == 0 || error == PIPC_E_TOO_SMALL || record.size == room);
}

static void step_peek(struct fuzz_input *input)
{
    pipc_record records[PEEKS] = {0};
    uint32_t count = PEEKS;
    if (pipc_channel_peek(channel, records, &count, PIPC_NOWAIT) != 0)
        return;
    EXPECT(count >= 1 && count <= PEEKS);
    for (uint32_t i = 0; i < count; i++)
        check_inside(&records[i]);
    write_over(input);
    pipc_channel_release(channel, fuzz_byte(input) % (count + 1));
}

static void step_reserve(struct fuzz_input *input)
{
    pipc_record records[2] = {{.size = fuzz_byte(input)}, {.size = fuzz_byte(input) * 4u}};
    uint32_t count = 0;
    while (count < 2 && pipc_channel_reserve(channel, &records[count], PIPC_NOWAIT) == 0)
        count++;
    for (uint32_t i = 0; i < count; i++) {
        check_inside(&records[i]);
        memset(records[i].data, 0xff, records[i].size);
    }
    write_over(input);
    if (count && (fuzz_byte(input) & 1 ? pipc_channel_commit : pipc_channel_cancel)(channel, records, count) != 0) {
        EXPECT_OK(pipc_channel_close(channel));
        EXPECT_OK(pipc_channel_open(&channel, fuzz_name("c"), 0, NULL));
        data = (unsigned char *)channel->control;
    }
}

static void step_send(struct fuzz_input *input)
{
    unsigned char body[RING / 4 - 16] = {0xff};
    uint64_t size = fuzz_byte(input) * 5u % sizeof body;
    pipc_channel_send(channel, &(pipc_record){.data = body, .size = size}, PIPC_NOWAIT);
}

static void step(struct fuzz_input *input)
{
    pipc_channel_info info;
    switch (fuzz_byte(input) % 8) {
    case 0:
    case 1:
        step_send(input);
        break;
    case 2:
    case 3:
        step_receive(input);
        break;
    case 4:
        step_peek(input);
        break;
    case 5:
        step_reserve(input);
        break;
    case 6:
        EXPECT_OK(pipc_channel_statistics(channel, &info));
        break;
    default:
        EXPECT_OK(pipc_channel_interrupt(channel));
    }
}

int LLVMFuzzerTestOneInput(const uint8_t *input_data, size_t size)
{
    struct fuzz_input input = {input_data, size};
    make_channel(fuzz_byte(&input));
    struct pipc_channel_control fresh;
    memcpy(&fresh, data, sizeof fresh);
    for (int steps = 0; steps < 12 && fuzz_more(&input); steps++) {
        free_locks();
        write_over(&input);
        /* What the library verified at opening stays, or a handle that is opened anew cannot be. */
        memcpy(data + offsetof(struct pipc_channel_control, ring_size), &fresh.ring_size,
               sizeof fresh - offsetof(struct pipc_channel_control, ring_size));
        step(&input);
    }
    free_locks();
    EXPECT_OK(pipc_channel_close(channel));
    EXPECT_OK(pipc_channel_remove(fuzz_name("c")));
    return 0;
}
