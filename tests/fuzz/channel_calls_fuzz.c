/* A sequence of calls on one channel by one thread, compared with a model of the ring: every answer, every record,
 * every place. */
#include "channel_world.h"

/* ---- Sending ---- */

static void fill(unsigned char *place, uint32_t number, uint64_t size)
{
    for (uint64_t at = 0; at < size; at++)
        place[at] = (unsigned char)(number * 31 + at * 7 + (at >> 8));
}

static uint64_t any_size(struct fuzz_input *input)
{
    uint8_t plan = fuzz_byte(input);
    return plan < 200 ? plan : plan < 250 ? plan * 4u : LARGEST + plan - 250;
}

static void step_send(int handle, struct fuzz_input *input)
{
    static unsigned char body[LARGEST + 8];
    uint64_t size = any_size(input);
    fill(body, world.number, size);
    int error = pipc_channel_send(world.handles[handle], &(pipc_record){.data = body, .size = size}, PIPC_NOWAIT);
    if (size > LARGEST) {
        EXPECT_ERROR(error, TOO_BIG);
        return;
    }
    if (world.producer) {
        EXPECT_ERROR(error, BUSY);
        return;
    }
    struct entry *entry = put(size, WHOLE, handle);
    EXPECT(error == (entry ? 0 : PIPC_E_FULL));
    if (entry)
        count_in(entry);
}

static void step_reserve(int handle, struct fuzz_input *input)
{
    pipc_record record = {.size = any_size(input)};
    int error = pipc_channel_reserve(world.handles[handle], &record, PIPC_NOWAIT);
    if (record.size > LARGEST) {
        EXPECT_ERROR(error, TOO_BIG);
        return;
    }
    if (world.producer && world.producer != handle + 1) {
        EXPECT_ERROR(error, BUSY);
        return;
    }
    struct entry *entry = put(record.size, RESERVED, handle);
    EXPECT(error == (entry ? 0 : PIPC_E_FULL));
    if (!entry)
        return;
    EXPECT(record.position == entry->at);
    entry->data = record.data;
    world.open[handle] += is_many();
    if (is_many())
        count_in(entry);
    else
        world.producer = handle + 1;
}

/* PRODUCERS_ONE: nothing was shown. */
static void forget_reservations(void)
{
    while (world.last > world.first && world.entries[world.last - 1].at >= world.head)
        world.last--;
    world.producer = 0;
}

/* All that are reserved, or (many) some of them. Shorter now and then. */
static uint32_t gather(int handle, struct fuzz_input *input, pipc_record *records, uint32_t *which)
{
    uint8_t plan = fuzz_byte(input);
    uint32_t count = 0;
    for (uint32_t i = world.first; i < world.last; i++) {
        struct entry *entry = &world.entries[i];
        if (entry->state != RESERVED || (is_many() && (plan & 1 << i % 3 || entry->handle != handle)))
            continue;
        uint64_t size = plan & 64 ? entry->size - entry->size / 3 : entry->size;
        records[count] = (pipc_record){.data = entry->data, .size = size, .position = entry->at};
        which[count++] = i;
    }
    return count;
}

static void commit_one(struct entry *entry, const pipc_record *record, bool commit)
{
    entry->size = record->size;
    entry->state = commit ? WHOLE : GIVEN_UP;
    world.cancelled += !commit;
}

static uint64_t end_of(uint64_t at, uint64_t size)
{
    return at + (size + 16 + ALIGN - 1) / ALIGN * ALIGN;
}

/* The batch of one producer: each reaches up to the next, the last ends where its bytes do. */
static void show_batch(const pipc_record *records, const uint32_t *which, uint32_t count)
{
    uint32_t kept = which[0];
    for (uint32_t i = 0; i < count; i++) {
        struct entry entry = world.entries[which[i]];
        entry.size = records[i].size;
        entry.state = WHOLE;
        entry.end = i + 1 < count ? records[i + 1].position : end_of(entry.at, entry.size);
        world.entries[kept] = entry;
        count_in(&world.entries[kept++]);
    }
    world.last = kept; /* fillers between them are none */
    world.producer = 0;
}

static void step_settle(int handle, struct fuzz_input *input, bool commit)
{
    static pipc_record records[ENTRIES];
    static uint32_t which[ENTRIES];
    uint32_t count = gather(handle, input, records, which), number = world.number;
    if (!count)
        return;
    for (uint32_t i = 0; i < count && commit; i++)
        fill(records[i].data, is_many() ? world.entries[which[i]].number : number + i, records[i].size);
    int error = (commit ? pipc_channel_commit : pipc_channel_cancel)(world.handles[handle], records, count);
    if (!is_many() && world.producer != handle + 1) {
        EXPECT_ERROR(error, INVALID);
        return;
    }
    EXPECT_OK(error);
    world.open[handle] -= is_many() ? count : 0;
    for (uint32_t i = 0; i < count && is_many(); i++)
        commit_one(&world.entries[which[i]], &records[i], commit);
    if (!is_many() && commit)
        show_batch(records, which, count);
    else if (!is_many())
        forget_reservations();
}

/* ---- Receiving ---- */

struct cursor {
    uint64_t at;
    uint32_t number;
};

static struct cursor start(const struct reader *reader)
{
    struct cursor cursor = {reader->position, reader->number};
    if (world.delivery == PIPC_DELIVER_LATEST && cursor.at < world.oldest)
        cursor.at = world.oldest;
    return cursor;
}

/* The next whole one, NULL if there is none; the cursor stands there. */
static struct entry *seek(struct cursor *cursor)
{
    for (uint32_t i = entry_at(cursor->at); cursor->at < world.head && i < world.last; i++) {
        struct entry *entry = &world.entries[i];
        if (entry->state == WHOLE)
            return entry;
        if (entry->state == RESERVED)
            return NULL;
        if (entry->state == GIVEN_UP && entry->number == cursor->number)
            cursor->number++;
        cursor->at = entry->end;
    }
    return NULL;
}

static void move(struct reader *reader, struct cursor cursor)
{
    reader->position = cursor.at;
    reader->number = cursor.number;
}

static uint64_t missed_before(const struct entry *entry, const struct cursor *cursor)
{
    return world.delivery == PIPC_DELIVER_LATEST ? entry->number - cursor->number : 0;
}

static void step_receive(int handle, struct fuzz_input *input)
{
    uint8_t plan = fuzz_byte(input);
    uint64_t room = plan & 128 ? plan % 64u : LARGEST;
    struct reader *reader = reader_of(handle);
    unsigned char *to = fuzz_buffer() + FUZZ_LARGEST - room;
    pipc_record record = {.data = to, .size = room, .flags = plan & 64 ? PIPC_TRUNCATE : 0};
    int error = pipc_channel_receive(world.handles[handle], &record, PIPC_NOWAIT);
    if (reader->by) {
        EXPECT_ERROR(error, BUSY);
        return;
    }
    struct cursor cursor = start(reader), before = cursor;
    struct entry *entry = seek(&cursor);
    if (!entry) {
        EXPECT_ERROR(error, EMPTY);
        if (cursor.at != before.at)
            move(reader, cursor);
        return;
    }
    EXPECT(record.size == entry->size);
    if (entry->size > room && !record.flags) {
        EXPECT_ERROR(error, TOO_SMALL);
        return;
    }
    EXPECT_OK(error);
    EXPECT(record.marks == 0 && record.missed == missed_before(entry, &cursor));
    EXPECT(fuzz_is_body(to, entry->number, entry->size < room ? entry->size : room));
    world.missed += record.missed;
    world.received++;
    move(reader, (struct cursor){entry->end, entry->number + 1});
}

static void check_shown(struct reader *reader, const pipc_record *records, uint32_t most)
{
    struct cursor cursor = start(reader);
    struct entry *entry;
    for (reader->count = 0; reader->count < most && (entry = seek(&cursor)); reader->count++) {
        const pipc_record *record = &records[reader->count];
        EXPECT(record->size == entry->size && record->marks == 0);
        EXPECT(record->missed == missed_before(entry, &cursor));
        EXPECT(fuzz_is_body(record->data, entry->number, entry->size));
        if (reader->count == 0) {
            reader->from = entry->at;
            reader->missed = record->missed;
        }
        reader->shown[reader->count] = (uint32_t)(entry - world.entries);
        cursor = (struct cursor){entry->end, entry->number + 1};
    }
}

static void step_peek(int handle, struct fuzz_input *input)
{
    pipc_record records[SHOWN] = {0};
    uint32_t most = 1 + fuzz_byte(input) % SHOWN, count = most;
    struct reader *reader = reader_of(handle);
    int error = pipc_channel_peek(world.handles[handle], records, &count, PIPC_NOWAIT);
    if (reader->by) {
        EXPECT_ERROR(error, BUSY);
        return;
    }
    struct cursor cursor = start(reader), before = cursor;
    if (!seek(&cursor)) {
        EXPECT_ERROR(error, EMPTY);
        if (cursor.at != before.at)
            move(reader, cursor);
        return;
    }
    EXPECT_OK(error);
    check_shown(reader, records, most);
    EXPECT(count == reader->count);
    reader->by = handle + 1;
}

static void step_release(int handle, struct fuzz_input *input)
{
    uint8_t plan = fuzz_byte(input);
    struct reader *reader = reader_of(handle);
    bool ours = reader->by == handle + 1;
    uint32_t count = !ours ? 1 : plan & 64 ? plan % 10u : reader->count;
    int error = pipc_channel_release(world.handles[handle], count);
    if (!ours || count > reader->count) {
        EXPECT_ERROR(error, INVALID);
        return;
    }
    bool overrun = count > 0 && world.delivery == PIPC_DELIVER_LATEST && reader->from < world.oldest;
    EXPECT(error == (overrun ? PIPC_E_OVERRUN : 0));
    reader->by = 0;
    if (!count)
        return;
    const struct entry *last = &world.entries[reader->shown[(overrun ? reader->count : count) - 1]];
    world.received += count;
    world.missed += reader->missed;
    move(reader, (struct cursor){last->end, last->number + 1});
}

/* ---- Handles, figures ---- */

static void step_open(int handle)
{
    const pipc_channel_options options = {
        .size = RING, .producers = world.producers, .delivery = world.delivery, .subscribers = is_once() ? 0 : HANDLES};
    EXPECT_OK(pipc_channel_open(&world.handles[handle], fuzz_name("c"), PIPC_CREATE, &options));
    if (!is_once())
        world.readers[handle] = (struct reader){.position = world.head, .number = world.number};
}

/* What the thread has reserved goes with a handle that reserved some of it. */
static void step_close(int handle)
{
    struct reader *reader = reader_of(handle);
    bool all = is_many() && world.open[handle] > 0;
    EXPECT_OK(pipc_channel_close(world.handles[handle]));
    world.handles[handle] = NULL;
    world.open[handle] = 0;
    if (reader->by == handle + 1)
        reader->by = 0;
    if (world.producer == handle + 1)
        forget_reservations();
    for (uint32_t i = world.first; all && i < world.last; i++)
        if (world.entries[i].state == RESERVED) {
            world.entries[i].state = GIVEN_UP;
            world.cancelled++;
        }
}

static uint64_t count_left(bool *reserved)
{
    uint64_t left = 0;
    *reserved = false;
    for (uint32_t i = world.first; i < world.last; i++) {
        left += world.entries[i].state == WHOLE && world.entries[i].at >= world.readers[0].position;
        *reserved |= world.entries[i].state == RESERVED;
    }
    return left;
}

static void step_statistics(int handle)
{
    pipc_channel_info info;
    bool reserved;
    uint64_t left = count_left(&reserved);
    uint32_t subscribers = 0;
    for (int i = 0; i < HANDLES; i++)
        subscribers += !is_once() && world.handles[i] != NULL;
    EXPECT_OK(pipc_channel_statistics(world.handles[handle], &info));
    EXPECT(info.sent == world.number - world.cancelled && info.received == world.received);
    EXPECT(info.missed == world.missed && info.skipped == 0 && info.redelivered == 0);
    EXPECT(info.subscribers == subscribers && info.size == RING && info.waiters == 0);
    if (is_once() && !reserved)
        EXPECT(info.records == left && info.bytes == world.head - world.readers[0].position);
}

static void step(struct fuzz_input *input)
{
    uint8_t plan = fuzz_byte(input);
    int handle = plan / 16 % HANDLES;
    unsigned dice = plan % 16;
    if (!world.handles[handle])
        step_open(handle);
    else if (dice < 3)
        step_send(handle, input);
    else if (dice < 5)
        step_reserve(handle, input);
    else if (dice < 7)
        step_settle(handle, input, true);
    else if (dice < 8)
        step_settle(handle, input, false);
    else if (dice < 11)
        step_receive(handle, input);
    else if (dice < 13)
        step_peek(handle, input);
    else if (dice < 14)
        step_release(handle, input);
    else if (dice < 15)
        step_statistics(handle);
    else
        step_close(handle);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct fuzz_input input = {data, size};
    uint8_t plan = fuzz_byte(&input);
    memset(&world, 0, sizeof world);
    world.producers = plan & 1 ? PIPC_PRODUCERS_MANY : PIPC_PRODUCERS_ONE;
    world.delivery = PIPC_DELIVER_ONCE + plan / 2 % 3;
    step_open(0);
    for (int steps = 0; steps < 200 && fuzz_more(&input); steps++)
        step(&input);
    for (int i = 0; i < HANDLES; i++)
        EXPECT_OK(pipc_channel_close(world.handles[i]));
    EXPECT_OK(pipc_channel_remove(fuzz_name("c")));
    return 0;
}
