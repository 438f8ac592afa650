/* A sequence of calls on shared memory and on the events in it, by one process, compared with a model of the contract:
 * every answer, every byte of every mapping, of removed objects too. */
#include <string.h>

#include "fuzz.h"

enum { HANDLES = 3, MAPPINGS = 2, EVENTS = 4, STEPS = 60, LARGEST = 9000, BYTES_FROM = EVENTS * sizeof(pipc_event) };

static const uint64_t sizes[] = {0, BYTES_FROM, 5000, LARGEST};

/* What should be true of an object; it outlives its name. */
struct model {
    unsigned char bytes[LARGEST];
    uint32_t values[EVENTS]; /* the bytes of events are private, and taken over as they are */
    uint64_t size;
};

struct handle {
    pipc_shm *shm;
    struct model *model;
    bool may_write;
    unsigned char *mappings[MAPPINGS];
    bool writable[MAPPINGS];
};

static struct model models[STEPS + 1], *named; /* named: who has the name now */
static unsigned made;
static struct handle handles[HANDLES];

/* ---- Handles and names ---- */

static void close_one(struct handle *handle)
{
    EXPECT_OK(pipc_shm_close(handle->shm));
    memset(handle, 0, sizeof *handle);
}

static int expected_of_opening(uint32_t flags, uint64_t size)
{
    bool exclusive = flags & PIPC_EXCLUSIVE, create = flags & PIPC_CREATE;
    if (exclusive && (!create || size == 0))
        return PIPC_E_INVALID;
    if (named)
        return exclusive ? PIPC_E_EXISTS : size && size != named->size ? PIPC_E_MISMATCH : 0;
    return !create ? PIPC_E_NOT_FOUND : size == 0 ? PIPC_E_INVALID : 0;
}

static void step_open(struct handle *handle, struct fuzz_input *input)
{
    uint8_t plan = fuzz_byte(input);
    const pipc_shm_options options = {.size = sizes[plan / 4 % 4]};
    uint32_t flags = (plan & 1 ? PIPC_CREATE : 0) | (plan & 2 ? PIPC_EXCLUSIVE : 0) | (plan & 16 ? PIPC_READ : 0);
    close_one(handle);
    int error = pipc_shm_open(&handle->shm, fuzz_name("m"), flags, &options);
    EXPECT(error == expected_of_opening(flags, options.size));
    EXPECT((error == 0) == (handle->shm != NULL));
    if (error)
        return;
    if (!named) {
        named = &models[made++];
        memset(named, 0, sizeof *named);
        named->size = options.size;
    }
    handle->model = named;
    handle->may_write = !(plan & 16);
}

static void step_remove(void)
{
    EXPECT(pipc_shm_remove(fuzz_name("m")) == (named ? 0 : PIPC_E_NOT_FOUND));
    named = NULL;
}

/* ---- Mappings ---- */

static void check_bytes(const struct handle *handle, int which)
{
    if (handle->mappings[which])
        EXPECT(memcmp(handle->mappings[which], handle->model->bytes, handle->model->size) == 0);
}

static void step_map(struct handle *handle, struct fuzz_input *input)
{
    static const uint32_t rights[] = {PIPC_READ, PIPC_READ | PIPC_WRITE, PIPC_READ | PIPC_WRITE, PIPC_WRITE};
    uint8_t plan = fuzz_byte(input);
    uint32_t flags = rights[plan % 4];
    int which = plan / 4 % MAPPINGS;
    void *address = NULL;
    if (handle->mappings[which]) {
        EXPECT_OK(pipc_shm_unmap(handle->shm, handle->mappings[which]));
        handle->mappings[which] = NULL;
    }
    int error = pipc_shm_map(handle->shm, flags, &address), expected = 0;
    if (handle->model != named)
        expected = PIPC_E_REMOVED;
    else if (!(flags & PIPC_READ))
        expected = PIPC_E_INVALID;
    else if ((flags & PIPC_WRITE) && !handle->may_write)
        expected = PIPC_E_ACCESS;
    EXPECT(error == expected && (error == 0) == (address != NULL));
    handle->mappings[which] = address;
    handle->writable[which] = flags & PIPC_WRITE;
    check_bytes(handle, which);
}

static void step_unmap(struct handle *handle, struct fuzz_input *input)
{
    int which = fuzz_byte(input) % MAPPINGS;
    EXPECT(pipc_shm_unmap(handle->shm, handle->mappings[which]) == (handle->mappings[which] ? 0 : PIPC_E_INVALID));
    handle->mappings[which] = NULL;
}

static void step_write(struct handle *handle, struct fuzz_input *input)
{
    int which = fuzz_byte(input) % MAPPINGS;
    uint64_t room = handle->model->size - BYTES_FROM, at = fuzz_short(input), length = fuzz_byte(input) * 16u;
    if (!handle->mappings[which] || !handle->writable[which] || room == 0)
        return;
    at = BYTES_FROM + at % room;
    length = at + length > handle->model->size ? handle->model->size - at : length;
    int value = fuzz_byte(input);
    memset(handle->mappings[which] + at, value, length);
    memset(handle->model->bytes + at, value, length);
}

static void step_statistics(const struct handle *handle)
{
    pipc_shm_info info;
    uint64_t size = 77;
    unsigned mappings = 0, others = 0;
    int error = handle->model == named ? 0 : PIPC_E_REMOVED;
    EXPECT(pipc_shm_size(handle->shm, &size) == error && size == (error ? 77 : named->size));
    EXPECT(pipc_shm_statistics(handle->shm, &info) == error);
    for (int i = 0; i < HANDLES; i++)
        others += &handles[i] != handle && handles[i].model == handle->model;
    for (int i = 0; i < MAPPINGS; i++)
        mappings += handle->mappings[i] != NULL;
    if (error)
        return;
    EXPECT(info.size == named->size && info.mode == 0600 && info.attachments >= 1);
    EXPECT(info.attachments == 1 || others > 0 || mappings > 1);
}

/* ---- Events ---- */

static void set(pipc_event *event, uint32_t *value, uint8_t plan)
{
    uint32_t next = plan / 4 % 8;
    int wake = plan / 32 % 3; /* 2 is none */
    EXPECT(pipc_event_set(event, next, wake) == (wake == 2 ? PIPC_E_INVALID : 0));
    if (wake != 2)
        *value = next;
}

/* None sleeps: nobody could wake it. */
static void wait_for(pipc_event *event, uint32_t value, uint8_t plan, bool writable)
{
    uint32_t seen = plan / 4 % 8, now = seen + 1;
    int64_t span = plan & 128 ? PIPC_NOWAIT : seen != value ? PIPC_FOREVER : 1;
    int error = writable ? pipc_event_wait(event, seen, &now, span) : pipc_event_watch(event, seen, &now, span);
    EXPECT(error == (seen != value ? 0 : PIPC_E_TIMEOUT));
    EXPECT(now == value);
}

static void step_event(struct handle *handle, struct fuzz_input *input)
{
    uint8_t plan = fuzz_byte(input), what = fuzz_byte(input);
    int which = plan % MAPPINGS, number = plan / 2 % EVENTS;
    unsigned char *mapping = handle->mappings[which];
    uint32_t *value = &handle->model->values[number], now = 77;
    if (!mapping)
        return;
    pipc_event *event = (pipc_event *)(void *)mapping + number;
    bool writable = handle->writable[which];
    if (what % 4 == 0 && writable)
        set(event, value, what);
    else if (what % 4 == 1 && writable && what / 4 % 4 == 0)
        EXPECT_OK(pipc_event_init(event, *value = what));
    else if (what % 4 == 2)
        wait_for(event, *value, what, writable);
    EXPECT_OK(pipc_event_get(event, &now));
    EXPECT(now == *value);
    memcpy(handle->model->bytes, mapping, BYTES_FROM);
}

/* ---- All of it ---- */

static void step(struct fuzz_input *input)
{
    uint8_t plan = fuzz_byte(input);
    struct handle *handle = &handles[plan / 16 % HANDLES];
    unsigned dice = plan % 16;
    if (dice == 15)
        step_remove();
    else if (dice == 14 || !handle->shm)
        step_open(handle, input);
    else if (dice < 4)
        step_map(handle, input);
    else if (dice < 5)
        step_unmap(handle, input);
    else if (dice < 8)
        step_write(handle, input);
    else if (dice < 12)
        step_event(handle, input);
    else
        step_statistics(handle);
    for (int i = 0; i < HANDLES * MAPPINGS; i++)
        check_bytes(&handles[i / MAPPINGS], i % MAPPINGS);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct fuzz_input input = {data, size};
    made = 0;
    for (int steps = 0; steps < STEPS && fuzz_more(&input); steps++)
        step(&input);
    for (int i = 0; i < HANDLES; i++)
        close_one(&handles[i]);
    if (named)
        step_remove();
    EXPECT_ERROR(pipc_shm_remove(fuzz_name("m")), NOT_FOUND);
    return 0;
}
