/* A sequence of calls on a queue by one process, compared with a model of the contract. */
#include <string.h>

#include "fuzz.h"
#include "support_model.h"

enum { HANDLES = 3 };

static const uint64_t sizes[] = {64, 8200, FUZZ_LARGEST};

/* What should be true. */
struct world {
    struct model model;
    uint64_t max_size;
    pipc_queue *handles[HANDLES]; /* of the queue that has the name now, or of none */
    bool exists;
};

static int open_one(pipc_queue **handle, uint32_t flags, uint32_t capacity, uint64_t max_size)
{
    const pipc_queue_options options = {.max_messages = capacity, .max_size = max_size};
    return pipc_queue_open(handle, fuzz_name("q"), flags, &options);
}

/* Creates, or opens with the right, no or wrong options. */
static void step_open(struct world *world, struct fuzz_input *input, pipc_queue **handle)
{
    uint8_t plan = fuzz_byte(input);
    uint32_t capacity = 1 + plan % 12, flags = plan & 16 ? PIPC_CREATE : 0;
    uint64_t max_size = sizes[plan / 32 % 3];
    pipc_queue_close(*handle);
    *handle = NULL;
    if (plan & 128)
        flags = PIPC_CREATE | PIPC_EXCLUSIVE;
    int error = open_one(handle, flags, capacity, max_size);
    EXPECT((error == 0) == (*handle != NULL));
    if (world->exists && (flags & PIPC_EXCLUSIVE)) {
        EXPECT_ERROR(error, EXISTS);
    } else if (world->exists) {
        bool same = capacity == world->model.capacity && max_size == world->max_size;
        EXPECT(error == (same ? 0 : PIPC_E_MISMATCH));
        if (!same)
            EXPECT_OK(open_one(handle, flags, 0, 0));
    } else if (!flags) {
        EXPECT_ERROR(error, NOT_FOUND);
    } else {
        EXPECT_OK(error);
        world->exists = true;
        world->max_size = max_size;
        world->model = (struct model){.capacity = capacity, .next = world->model.next};
    }
}

static void check_removed(pipc_queue *handle)
{
    pipc_queue_info info;
    pipc_message message = {.data = fuzz_buffer(), .size = FUZZ_LARGEST};
    EXPECT_ERROR(pipc_queue_receive(handle, pipc_any(), &message, PIPC_NOWAIT), REMOVED);
    EXPECT_ERROR(pipc_queue_peek(handle, pipc_any(), &message, PIPC_NOWAIT), REMOVED);
    EXPECT_ERROR(fuzz_send(handle, 1, 0, 1, 8), REMOVED);
    EXPECT_ERROR(pipc_queue_purge(handle, NULL), REMOVED);
    EXPECT_ERROR(pipc_queue_statistics(handle, &info), REMOVED);
    EXPECT_ERROR(pipc_queue_interrupt(handle), REMOVED);
}

static void step_remove(struct world *world)
{
    int error = pipc_queue_remove(fuzz_name("q"));
    EXPECT(error == (world->exists ? 0 : PIPC_E_NOT_FOUND));
    world->exists = false;
    for (int i = 0; i < HANDLES; i++) {
        if (world->handles[i])
            check_removed(world->handles[i]);
        EXPECT_OK(pipc_queue_close(world->handles[i]));
        world->handles[i] = NULL;
    }
}

static void step_send(struct world *world, struct fuzz_input *input, pipc_queue *handle)
{
    uint8_t plan = fuzz_byte(input);
    struct model_entry entry = {world->model.next++, fuzz_short(input) % (FUZZ_LARGEST + 1), plan % 7, plan / 7u};
    int error = fuzz_send(handle, entry.type, entry.priority, entry.number, entry.size);
    if (entry.type == 0 || entry.priority > PIPC_PRIORITY_MAX)
        EXPECT_ERROR(error, INVALID);
    else if (entry.size > world->max_size)
        EXPECT_ERROR(error, TOO_BIG);
    else
        EXPECT(error == (model_send(&world->model, &entry) ? 0 : PIPC_E_FULL));
}

/* Into a buffer that may be too small, which may be allowed to cut. */
static void step_take(struct world *world, struct fuzz_input *input, pipc_queue *handle, bool peek)
{
    pipc_selection selection = fuzz_selection(input);
    uint8_t plan = fuzz_byte(input);
    struct model_entry *entry = model_choose(&world->model, selection);
    uint64_t room = plan < 128 ? FUZZ_LARGEST : plan % 32u;
    pipc_message message = {.data = fuzz_buffer() + FUZZ_LARGEST - room, .size = room};
    message.flags = plan & 64 ? PIPC_TRUNCATE : 0;
    int error = (peek ? pipc_queue_peek : pipc_queue_receive)(handle, selection, &message, PIPC_NOWAIT);
    if (!entry) {
        EXPECT_ERROR(error, EMPTY);
        return;
    }
    EXPECT(message.size == entry->size);
    if (entry->size > room && !message.flags) {
        EXPECT_ERROR(error, TOO_SMALL);
        return;
    }
    EXPECT_OK(error);
    EXPECT(message.type == entry->type && message.priority == entry->priority);
    EXPECT(fuzz_is_body(message.data, entry->number, entry->size < room ? entry->size : room));
    if (!peek)
        model_take(&world->model, entry);
}

static void step_purge(struct world *world, pipc_queue *handle)
{
    uint64_t dropped = 0;
    EXPECT_OK(pipc_queue_purge(handle, &dropped));
    EXPECT(dropped == model_purge(&world->model));
}

static void step_statistics(struct world *world, pipc_queue *handle)
{
    pipc_queue_info info;
    EXPECT_OK(pipc_queue_statistics(handle, &info));
    EXPECT(model_agrees(&world->model, &info));
    EXPECT(info.max_messages == world->model.capacity && info.max_size == world->max_size && info.waiters == 0);
}

static void use(struct world *world, struct fuzz_input *input, pipc_queue *handle, unsigned dice)
{
    if (dice < 5)
        step_send(world, input, handle);
    else if (dice < 9)
        step_take(world, input, handle, false);
    else if (dice < 11)
        step_take(world, input, handle, true);
    else if (dice < 12)
        step_purge(world, handle);
    else if (dice < 13)
        EXPECT_OK(pipc_queue_interrupt(handle)); /* no call here would sleep, so none consumes it */
    else
        step_statistics(world, handle);
}

static void step(struct world *world, struct fuzz_input *input)
{
    uint8_t plan = fuzz_byte(input);
    pipc_queue **handle = &world->handles[plan / 16 % HANDLES];
    unsigned dice = plan % 16;
    if (dice == 15)
        step_remove(world);
    else if (dice == 14 || !*handle)
        step_open(world, input, handle);
    else
        use(world, input, *handle, dice);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct world world;
    struct fuzz_input input = {data, size};
    memset(&world, 0, sizeof world);
    for (int steps = 0; steps < 60 && fuzz_more(&input); steps++)
        step(&world, &input);
    step_remove(&world);
    return 0;
}
