/* A hostile peer at work while others are (G6): during traffic, while a builder builds, on memory's header and on
 * events; claims without number; and what truncation does, which nobody can survive. */
#include <string.h>

#include "probe.h"
#include "support_queue.h"
#include "victim.h"
#include "watch.h"

/* ---- Scribbling while traffic runs ---- */

enum { USERS = 2, TRAFFIC_PLACES = 8, TRAFFIC_SIZE = 300 };

struct scene {
    _Atomic uint32_t stop;
    _Atomic uint64_t calls;
    _Atomic int64_t worst;
    pipc_event event; /* the peer scribbles on it too */
    pipc_queue *queue;
};

static void timed(struct scene *scene, int64_t began)
{
    int64_t took = test_now() - began;
    atomic_fetch_add(&scene->calls, 1);
    if (took > atomic_load(&scene->worst))
        atomic_store(&scene->worst, took);
}

static int take(pipc_queue *queue, uint64_t *random)
{
    unsigned char body[TRAFFIC_SIZE + 8];
    const pipc_selection selections[] = {pipc_any(), pipc_exactly(1 + test_random(random, 4)), pipc_except(2),
                                         pipc_up_to(3)};
    pipc_message message = {.data = body, .size = TRAFFIC_SIZE - test_random(random, 2) * 250};
    uint64_t room = message.size;
    memset(body + room, 0x5a, sizeof body - room);
    int error = (test_random(random, 4) ? pipc_queue_receive : pipc_queue_peek)(
        queue, selections[test_random(random, 4)], &message, PIPC_MS(1));
    for (uint64_t at = room; at < sizeof body; at++)
        REQUIRE_EQUAL(body[at], 0x5a);
    if (error == 0)
        CHECK(message.type >= 1 && message.type <= PIPC_TYPE_MAX && message.priority <= PIPC_PRIORITY_MAX);
    return error;
}

static int put(pipc_queue *queue, uint64_t *random)
{
    unsigned char body[TRAFFIC_SIZE] = {0};
    pipc_message message = {.data = body,
                            .size = test_random(random, TRAFFIC_SIZE),
                            .type = 1 + test_random(random, 4),
                            .priority = test_random(random, 32)};
    return pipc_queue_send(queue, &message, PIPC_MS(1));
}

static int join_and_look(uint64_t *random)
{
    pipc_queue *late;
    pipc_queue_info info;
    int error = pipc_queue_open(&late, test_name("q"), 0, NULL);
    if (error)
        return error;
    take(late, random);
    pipc_queue_statistics(late, &info);
    return pipc_queue_close(late);
}

static int call_the_event(pipc_event *event, uint64_t *random)
{
    uint32_t value = 0;
    pipc_event_get(event, &value);
    switch (test_random(random, 4)) {
    case 0:
        return pipc_event_set(event, value + 1, PIPC_WAKE_ALL);
    case 1:
        return pipc_event_set(event, value + 1, PIPC_WAKE_ONE);
    case 2:
        return pipc_event_watch(event, value, &value, PIPC_MS(1));
    default:
        return pipc_event_wait(event, value, &value, PIPC_MS(1));
    }
}

static int call_something(struct scene *scene, uint64_t *random)
{
    pipc_queue_info info;
    uint32_t dice = test_random(random, 100);
    if (dice < 40)
        return put(scene->queue, random);
    if (dice < 80)
        return take(scene->queue, random);
    if (dice < 85)
        return pipc_queue_statistics(scene->queue, &info);
    if (dice < 95)
        return call_the_event(&scene->event, random);
    if (dice < 97)
        return pipc_queue_interrupt(scene->queue);
    return dice < 98 ? pipc_queue_purge(scene->queue, NULL) : join_and_look(random);
}

static int use(void *argument)
{
    struct scene *scene = argument;
    uint64_t random = (uint64_t)test_now();
    while (!atomic_load(&scene->stop)) {
        int64_t began = test_now();
        CHECK(call_something(scene, &random) != PIPC_E_SYSTEM);
        timed(scene, began);
    }
    return 0;
}

/* Writes for a millisecond, rests for another, so that some traffic comes through. The header comes back soon,
 * lest all calls answer "removed" for the rest of the time; the lock comes free, lest all answer "busy". */
static int scribble(void *argument)
{
    struct scene *scene = argument;
    struct pipc_queue *queue = scene->queue;
    unsigned char *data = (unsigned char *)queue->control, *header = (unsigned char *)queue->object;
    size_t bytes = (size_t)(queue->bodies - data);
    struct pipc_object saved = *queue->object;
    uint64_t random = (uint64_t)test_now();
    for (uint64_t round = 1; !atomic_load(&scene->stop); round++) {
        for (int i = 0; i < 200; i++)
            data[test_random(&random, 3) ? test_random(&random, sizeof(struct pipc_control))
                                         : test_random(&random, (uint32_t)bytes)] =
                (unsigned char)test_random(&random, 256);
        header[test_random(&random, sizeof saved)] = (unsigned char)test_random(&random, 256);
        ((unsigned char *)&scene->event)[test_random(&random, sizeof scene->event)] =
            (unsigned char)test_random(&random, 256);
        if (round % 2 == 0)
            memcpy(header, &saved, sizeof saved);
        if (round % 4 == 0)
            memset(data, 0, sizeof(struct pipc_control) - 64);
        test_sleep(PIPC_US(test_random(&random, 500)));
    }
    memcpy(header, &saved, sizeof saved);
    return 0;
}

static void scribbling_while_traffic_runs(void)
{
    struct scene *scene = test_shared(sizeof *scene);
    struct rig_figures figures = {.rig = "hostile-traffic"};
    int64_t deadline = rig_deadline(PIPC_SECONDS(3));
    uint64_t most = rig_trials(UINT64_MAX, 550000);
    pid_t users[USERS];
    scene->queue = queue_make("q", TRAFFIC_PLACES, TRAFFIC_SIZE);
    for (int i = 0; i < USERS; i++)
        users[i] = test_fork(use, scene);
    pid_t peer = test_fork(scribble, scene);
    while (test_now() < deadline && atomic_load(&scene->calls) < most && test_failures() == 0)
        test_sleep(PIPC_MS(20));
    atomic_store(&scene->stop, 1);
    for (int i = 0; i < USERS; i++)
        CHECK_EQUAL(test_wait(users[i], 4 * WATCH_HANG), 0);
    CHECK_EQUAL(test_wait(peer, 4 * WATCH_HANG), 0);
    figures.trials = atomic_load(&scene->calls);
    figures.worst_delay = atomic_load(&scene->worst);
    figures.hangs = figures.worst_delay > WATCH_HANG;
    uint64_t label = scene->queue->object->queue_label;
    CHECK_OK(pipc_queue_close(scene->queue));
    int error = pipc_queue_remove(test_name("q")); /* an opener may have cleared away what looked half made */
    CHECK(error == 0 || error == PIPC_E_NOT_FOUND);
    probe_queue_remove_labelled(test_name("q"), label);
    pipc_queue *fresh = queue_make("q", TRAFFIC_PLACES, TRAFFIC_SIZE);
    queue_check_room(fresh, TRAFFIC_PLACES, TRAFFIC_SIZE);
    queue_end(fresh, "q");
    rig_tell(&figures);
}

/* ---- Memory's header ---- */

enum { MEMORY_BYTES = 10000, MEMORY_CALLS = 6 };

struct memory {
    pipc_shm *shm;
    struct pipc_object *header; /* as the peer sees it */
    size_t bytes;
    struct pipc_object saved;
};

static const pipc_shm_options memory_options = {.size = MEMORY_BYTES};

static void memory_begin(void *prey)
{
    struct memory *memory = prey;
    REQUIRE_OK(pipc_shm_open(&memory->shm, test_name("m"), PIPC_CREATE | PIPC_EXCLUSIVE, &memory_options));
    memory->header = probe_map(PIPC_KIND_SHM, test_name("m"), &memory->bytes);
    REQUIRE(memory->header != NULL);
    memory->saved = *memory->header;
}

static void memory_end(void *prey)
{
    struct memory *memory = prey;
    *memory->header = memory->saved;
    probe_unmap(memory->header, memory->bytes);
    CHECK_OK(pipc_shm_close(memory->shm));
    for (int tries = 0; tries < 8 && pipc_shm_remove(test_name("m")) == 0; tries++)
        ;
}

static int map_and_touch(pipc_shm *shm)
{
    unsigned char *address;
    uint64_t size = 0;
    int error = pipc_shm_map(shm, PIPC_READ | PIPC_WRITE, (void **)&address);
    if (error)
        return error;
    if (pipc_shm_size(shm, &size) == 0 && size > 0)
        address[0] = address[size - 1] = 7;
    return pipc_shm_unmap(shm, address);
}

static int open_and_touch(uint32_t flags)
{
    pipc_shm *late;
    int error = pipc_shm_open(&late, test_name("m"), flags | PIPC_PREFAULT, flags ? &memory_options : NULL);
    if (error)
        return error;
    map_and_touch(late);
    return pipc_shm_close(late);
}

static int call_memory(struct memory *memory, uint32_t call)
{
    pipc_shm_info info;
    switch (call) {
    case 0:
        return map_and_touch(memory->shm);
    case 1:
        return pipc_shm_statistics(memory->shm, &info);
    case 2:
        return open_and_touch(0);
    case 3:
        return open_and_touch(PIPC_CREATE);
    case 4:
        return open_and_touch(PIPC_CREATE | PIPC_EXCLUSIVE);
    default:
        return pipc_shm_remove(test_name("m"));
    }
}

static void scribble_on_memory(void *prey, uint64_t number)
{
    const uint64_t total = (uint64_t)MEMORY_CALLS * sizeof(struct pipc_object) * 256;
    struct memory *memory = prey;
    uint64_t which = number * 1000000007 % total;
    uint32_t call = (uint32_t)(which % MEMORY_CALLS);
    size_t byte = which / MEMORY_CALLS % sizeof(struct pipc_object);
    unsigned char value = (unsigned char)(which / MEMORY_CALLS / sizeof(struct pipc_object));
    watch_doing("byte %zu of memory's header set to 0x%02x, then call %u", byte, value, call);
    ((unsigned char *)memory->header)[byte] = value;
    watch_call_begins();
    CHECK(call_memory(memory, call) != PIPC_E_SYSTEM);
    watch_call_ends();
    if (call < 2) {
        *memory->header = memory->saved;
        return;
    }
    memory_end(memory);
    memory_begin(memory);
}

static void every_value_of_each_byte_of_memorys_header(void)
{
    struct memory memory;
    watch_trials(&(struct watch){"hostile-memory", memory_begin, scribble_on_memory, memory_end, &memory,
                                 (uint64_t)MEMORY_CALLS * sizeof(struct pipc_object) * 256,
                                 rig_deadline(PIPC_SECONDS(2))});
}

/* ---- Events ---- */

static void scribble_on_event(void *prey, uint64_t number)
{
    pipc_event *event = prey;
    uint64_t random = number * 2 + 1;
    uint32_t value = 0;
    size_t byte = number / 256 % sizeof *event;
    watch_doing("byte %zu of an event set to %u", byte, (unsigned)(number % 256));
    memset(event, 0, sizeof *event);
    ((unsigned char *)event)[byte] = (unsigned char)number;
    CHECK_OK(pipc_event_get(event, &value));
    CHECK_ERROR(pipc_event_wait(event, value, NULL, PIPC_NOWAIT), TIMEOUT);
    if (test_random(&random, 4) == 0) {
        CHECK_ERROR(pipc_event_watch(event, value, NULL, PIPC_MS(1)), TIMEOUT);
        watch_call_begins();
        CHECK_ERROR(pipc_event_wait(event, value, NULL, PIPC_MS(1)), TIMEOUT);
        watch_call_ends();
    }
    CHECK_OK(pipc_event_set(event, value + 1, number % 2 ? PIPC_WAKE_ONE : PIPC_WAKE_ALL));
    CHECK_OK(pipc_event_wait(event, value, &value, PIPC_SECONDS(1)));
}

static void nothing(void *prey)
{
    (void)prey;
}

static void every_value_of_each_byte_of_an_event(void)
{
    pipc_event *event = test_shared(sizeof *event);
    watch_trials(&(struct watch){"hostile-event", nothing, scribble_on_event, nothing, event, sizeof *event * 256,
                                 rig_deadline(PIPC_SECONDS(10))});
}

static const struct test tests[] = {
    {"G6", "scribbling_while_traffic_runs", scribbling_while_traffic_runs, 120},
    {"G6 M1", "every_value_of_each_byte_of_memorys_header", every_value_of_each_byte_of_memorys_header, 120},
    {"G6 M7", "every_value_of_each_byte_of_an_event", every_value_of_each_byte_of_an_event, 120},
};

TEST_MAIN("hostile_live", tests)
