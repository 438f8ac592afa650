/* A peer that may write a channel's pages does its worst (G6): whatever stands in the control area, in the readers'
 * table and in the ring, no call crashes, writes beyond its buffer or outstays its time. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>

#include "core/channel.h"
#include "core/object.h"
#include "parcel.h"
#include "support_queue.h"
#include "watch.h"

enum { RING = 4096, READERS = 3, RECORDS = 5, SIZE = 60, CANARY = 0x5a, PEEKS = 8, KINDS = 6 };

/* The public calls, each in the situations that matter. */
enum prey_call {
    SEND,
    SEND_LARGEST,
    COMMIT,
    CANCEL,
    RECEIVE,
    RECEIVE_LITTLE,
    RECEIVE_CUT,
    RELEASE_ALL,
    RELEASE_SOME,
    STATISTICS,
    INTERRUPT,
    SEND_AFTER_DEATH,
    RECEIVE_AFTER_DEATH,
    OPEN,
    OPEN_OR_CREATE,
    CREATE,
    REMOVE,
    CALLS
};

static const char *const call_names[CALLS] = {"send",
                                              "send of the largest",
                                              "reserve and commit",
                                              "reserve and cancel",
                                              "receive",
                                              "receive into too little",
                                              "receive cut off",
                                              "peek and release all",
                                              "peek and release some",
                                              "statistics",
                                              "interrupt",
                                              "send after a death",
                                              "receive after a death",
                                              "open",
                                              "open or create",
                                              "create",
                                              "remove"};

struct prey {
    struct kind {
        pipc_channel *channel;
        unsigned char *pristine;
        struct pipc_channel handle; /* as it was */
    } kinds[KINDS];
    unsigned char *body; /* RING bytes that end at a page which nobody may touch */
    uint64_t dead_lock, dead;
};

static struct prey prey;

/* What is done between two halves of a call. */
static void (*between)(void *argument);
static void *between_argument;

/* ---- The channels in their known state ---- */

static uint64_t bytes_of(const pipc_channel *channel)
{
    return (uint64_t)(channel->ring.bytes + channel->ring.size - (unsigned char *)channel->control);
}

static const char *name_of(unsigned kind)
{
    return test_numbered("c", kind);
}

static int open_kind(pipc_channel **channel, unsigned kind, uint32_t flags)
{
    uint32_t delivery = PIPC_DELIVER_ONCE + kind / 2;
    pipc_channel_options options = {.size = RING,
                                    .producers = PIPC_PRODUCERS_ONE + kind % 2,
                                    .delivery = delivery,
                                    .subscribers = delivery == PIPC_DELIVER_ONCE ? 0 : READERS};
    return pipc_channel_open(channel, name_of(kind), flags, flags & PIPC_CREATE ? &options : NULL);
}

static void make_kind(struct prey *it, unsigned number)
{
    struct kind *kind = &it->kinds[number];
    pipc_channel_remove(name_of(number));
    REQUIRE_OK(open_kind(&kind->channel, number, PIPC_CREATE | PIPC_EXCLUSIVE));
    for (uint32_t i = 0; i < RECORDS; i++) {
        struct parcel parcel = {1, SIZE, i};
        REQUIRE_OK(parcel_send(kind->channel, &parcel, PIPC_NOWAIT));
    }
    uint64_t bytes = bytes_of(kind->channel);
    kind->pristine = realloc(kind->pristine, sizeof(struct pipc_object) + bytes);
    REQUIRE(kind->pristine != NULL);
    memcpy(kind->pristine, kind->channel->object, sizeof(struct pipc_object));
    memcpy(kind->pristine + sizeof(struct pipc_object), kind->channel->control, bytes);
    memcpy(&kind->handle, kind->channel, sizeof kind->handle);
}

static void restore(struct prey *it, unsigned number)
{
    struct kind *kind = &it->kinds[number];
    pipc_channel *channel = kind->channel;
    struct pipc_subscription *subscription = atomic_load(&channel->subscription);
    memcpy(channel->object, kind->pristine, sizeof(struct pipc_object));
    memcpy(channel->control, kind->pristine + sizeof(struct pipc_object), bytes_of(channel));
    memcpy(channel, &kind->handle, sizeof kind->handle);
    while (subscription && subscription != atomic_load(&channel->subscription)) { /* that were made meanwhile */
        struct pipc_subscription *older = subscription->older;
        free(subscription);
        subscription = older;
    }
}

static void make_anew(struct prey *it, unsigned number)
{
    restore(it, number);
    CHECK_OK(pipc_channel_close(it->kinds[number].channel));
    for (int tries = 0; tries < 8 && pipc_channel_remove(name_of(number)) == 0; tries++)
        ;
    make_kind(it, number);
}

static int note_identity(void *argument)
{
    *(uint64_t *)argument = pipc_self();
    return 0;
}

static void learn_the_dead(struct prey *it)
{
    uint64_t *identity = test_shared(sizeof *identity);
    REQUIRE_EQUAL(test_wait(test_fork(note_identity, identity), PIPC_SECONDS(20)), 0);
    it->dead = *identity;
    it->dead_lock = (*identity & 0x3fffffffu) | (*identity >> 30 << 32); /* core/lock.c */
}

static void begin(void *argument)
{
    struct prey *it = argument;
    size_t page = pipc_page();
    unsigned char *base = mmap(NULL, RING + 2 * page, PROT_NONE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    REQUIRE(base != MAP_FAILED && mprotect(base + page, RING, PROT_READ | PROT_WRITE) == 0);
    it->body = base + page;
    learn_the_dead(it);
    for (unsigned i = 0; i < KINDS; i++)
        make_kind(it, i);
}

static void end(void *argument)
{
    struct prey *it = argument;
    for (unsigned i = 0; i < KINDS; i++) {
        restore(it, i);
        CHECK_OK(pipc_channel_close(it->kinds[i].channel));
        for (int tries = 0; tries < 8 && pipc_channel_remove(name_of(i)) == 0; tries++)
            ;
        free(it->kinds[i].pristine);
    }
}

/* ---- The calls ---- */

static int64_t span_of(const struct prey *it)
{
    (void)it;
    static unsigned turn;
    return turn++ % 2 ? PIPC_NOWAIT : PIPC_MS(1);
}

/* Into the last `room` bytes before the fence; those before them stay as they are. */
static int receive(struct prey *it, pipc_channel *channel, uint64_t room, uint32_t flags)
{
    unsigned char *to = it->body + RING - room;
    memset(it->body, CANARY, RING);
    pipc_record record = {.data = to, .size = room, .flags = flags};
    int error = pipc_channel_receive(channel, &record, span_of(it));
    for (unsigned char *at = it->body; at < to; at++)
        REQUIRE_EQUAL(*at, CANARY);
    if (error == 0)
        CHECK(record.size <= channel->max_size && (record.size <= room || flags));
    else
        CHECK(error == PIPC_E_TOO_SMALL || record.size == room);
    return error;
}

static bool is_inside(const pipc_channel *channel, const pipc_record *record)
{
    const unsigned char *first = record->data, *ring = channel->ring.bytes;
    return first >= ring && first + record->size <= ring + channel->ring.size && record->size <= channel->max_size;
}

static void do_between(void)
{
    if (between)
        between(between_argument);
}

static int peek(struct prey *it, pipc_channel *channel, bool all)
{
    pipc_record records[PEEKS] = {0};
    uint32_t count = PEEKS;
    int error = pipc_channel_peek(channel, records, &count, span_of(it));
    if (error)
        return error;
    CHECK(count >= 1 && count <= PEEKS);
    for (uint32_t i = 0; i < count; i++)
        CHECK(is_inside(channel, &records[i]));
    do_between();
    error = pipc_channel_release(channel, all ? count : count / 2);
    return error == PIPC_E_OVERRUN ? 0 : error;
}

static int reserve(struct prey *it, pipc_channel *channel, bool commit)
{
    pipc_record records[2] = {{.size = SIZE}, {.size = 300}};
    uint32_t count = 0;
    int error = 0;
    for (; count < 2 && !error; count += !error)
        error = pipc_channel_reserve(channel, &records[count], count ? PIPC_NOWAIT : span_of(it));
    if (!count)
        return error;
    for (uint32_t i = 0; i < count; i++) {
        REQUIRE(is_inside(channel, &records[i]));
        memset(records[i].data, 7, records[i].size);
    }
    do_between();
    return (commit ? pipc_channel_commit : pipc_channel_cancel)(channel, records, count);
}

static int send(struct prey *it, pipc_channel *channel, uint64_t size)
{
    return pipc_channel_send(channel, &(pipc_record){.data = it->body, .size = size}, span_of(it));
}

/* A handle that could be opened must be as safe to use as any other. */
static int join_and_use(struct prey *it, unsigned kind, uint32_t flags)
{
    pipc_channel *late = NULL;
    pipc_channel_info info;
    int error = open_kind(&late, kind, flags);
    CHECK((late == NULL) == (error != 0));
    if (error)
        return error;
    receive(it, late, RING / 4, 0);
    send(it, late, SIZE);
    pipc_channel_statistics(late, &info);
    return pipc_channel_close(late);
}

static int call_once(struct prey *it, unsigned kind, enum prey_call call)
{
    pipc_channel *channel = it->kinds[kind].channel;
    pipc_channel_info info;
    switch (call) {
    case SEND:
    case SEND_AFTER_DEATH:
        return send(it, channel, SIZE);
    case SEND_LARGEST:
        return send(it, channel, channel->max_size);
    case COMMIT:
        return reserve(it, channel, true);
    case CANCEL:
        return reserve(it, channel, false);
    case RECEIVE:
    case RECEIVE_AFTER_DEATH:
        return receive(it, channel, RING / 4, 0);
    case RECEIVE_LITTLE:
        return receive(it, channel, 1, 0);
    case RECEIVE_CUT:
        return receive(it, channel, 10, PIPC_TRUNCATE);
    case RELEASE_ALL:
        return peek(it, channel, true);
    case RELEASE_SOME:
        return peek(it, channel, false);
    case STATISTICS:
        return pipc_channel_statistics(channel, &info);
    case INTERRUPT:
        return pipc_channel_interrupt(channel);
    case OPEN:
        return join_and_use(it, kind, 0);
    case OPEN_OR_CREATE:
        return join_and_use(it, kind, PIPC_CREATE);
    case CREATE:
        return join_and_use(it, kind, PIPC_CREATE | PIPC_EXCLUSIVE);
    default:
        return pipc_channel_remove(name_of(kind));
    }
}

static void make_call(struct prey *it, unsigned kind, enum prey_call call)
{
    watch_call_begins();
    int error = call_once(it, kind, call);
    watch_call_ends();
    CHECK(error != PIPC_E_SYSTEM);
    CHECK(error >= 0 && strcmp(pipc_error_name(error), "PIPC_E_?") != 0);
    if (call >= OPEN) /* whatever it left under the name */
        make_anew(it, kind);
}

static void prepare(struct prey *it, unsigned number, enum prey_call call)
{
    restore(it, number);
    pipc_channel *channel = it->kinds[number].channel;
    if (call == SEND_AFTER_DEATH) {
        atomic_store(&channel->control->writer.lock.word, it->dead_lock);
        channel->control->writer.reserving = 2;
    } else if (call == RECEIVE_AFTER_DEATH) {
        atomic_store(&pipc_channel_reader(channel, 0)->lock.word, it->dead_lock);
    }
}

/* ---- Each byte ---- */

static uint64_t scattered(uint64_t number, uint64_t total)
{
    return number % total * 1000000007 % total;
}

enum { HEADER = sizeof(struct pipc_object), CONTROL = sizeof(struct pipc_channel_control) + PIPC_LINE, HEADS = 3 * 16 };

enum { BYTES = HEADER + CONTROL + HEADS };

struct stroke {
    unsigned char *at;
    unsigned char value;
};

static void strike(void *argument)
{
    const struct stroke *stroke = argument;
    *stroke->at = stroke->value;
}

/* The heads of the first records: 16 bytes each, one SIZE + 16 rounded up behind the other. */
static unsigned char *byte_of(const pipc_channel *channel, size_t byte)
{
    if (byte < HEADER)
        return (unsigned char *)channel->object + byte;
    byte -= HEADER;
    if (byte < CONTROL)
        return (unsigned char *)channel->control + byte;
    byte -= CONTROL;
    return channel->ring.bytes + byte / 16 * pipc_record_span(SIZE) + byte % 16;
}

static void scribble_byte(void *argument, uint64_t number)
{
    struct prey *it = argument;
    uint64_t which = scattered(number, (uint64_t)CALLS * KINDS * BYTES * 256);
    enum prey_call call = (enum prey_call)(which % CALLS);
    unsigned kind = (unsigned)(which / CALLS % KINDS);
    size_t byte = which / CALLS / KINDS % BYTES;
    struct stroke stroke = {.value = (unsigned char)(which / CALLS / KINDS / BYTES)};
    bool halves = (call == COMMIT || call == CANCEL || call == RELEASE_ALL || call == RELEASE_SOME) && number % 2;
    prepare(it, kind, call);
    stroke.at = byte_of(it->kinds[kind].channel, byte);
    watch_doing("channel %u, byte %zu of header %u, control %u, heads %u set to 0x%02x %s %s", kind, byte, HEADER,
                CONTROL, HEADS, stroke.value, halves ? "in the middle of" : "before", call_names[call]);
    between = halves ? strike : NULL;
    between_argument = &stroke;
    if (!halves)
        strike(&stroke);
    make_call(it, kind, call);
    between = NULL;
}

static void every_value_of_each_live_byte_under_each_call(void)
{
    watch_trials(&(struct watch){"hostile-channel-bytes", begin, scribble_byte, end, &prey,
                                 (uint64_t)CALLS * KINDS * BYTES * 256, rig_deadline(PIPC_SECONDS(3))});
}

/* ---- At random ---- */

static uint64_t random_value(const struct prey *it, uint64_t *random)
{
    uint64_t any = (uint64_t)test_random(random, UINT32_MAX) << 32 | test_random(random, UINT32_MAX);
    const uint64_t values[] = {0,
                               1,
                               16,
                               RING,
                               RING - 16,
                               RING / 4,
                               UINT32_MAX,
                               UINT64_MAX,
                               UINT64_MAX - 15,
                               INT64_MAX,
                               any,
                               any & 0xffff,
                               any & UINT32_MAX,
                               PIPC_RECORD_FILLER,
                               PIPC_RECORD_GIVEN_UP,
                               pipc_record_word(PIPC_RECORD_RESERVED, it->dead),
                               pipc_record_word(PIPC_RECORD_RESERVED, any),
                               pipc_record_word(PIPC_RECORD_WHOLE, any & 0xffff),
                               pipc_record_word(PIPC_RECORD_WHOLE, UINT64_MAX),
                               it->dead_lock,
                               it->dead << PIPC_SUBSCRIPTION_BITS | PIPC_SUBSCRIPTION_ACTIVE};
    return values[test_random(random, sizeof values / sizeof *values)];
}

struct scribbles {
    const struct prey *it;
    pipc_channel *channel;
    uint64_t random;
    uint32_t count;
};

static void scribble_some(void *argument)
{
    struct scribbles *scribbles = argument;
    unsigned char *data = (unsigned char *)scribbles->channel->control;
    uint32_t bytes = (uint32_t)bytes_of(scribbles->channel);
    for (uint32_t i = 0; i < scribbles->count; i++) {
        uint64_t value = random_value(scribbles->it, &scribbles->random);
        size_t width = (size_t)1 << (1 + test_random(&scribbles->random, 3));
        uint32_t end = test_random(&scribbles->random, 2) ? CONTROL : bytes;
        memcpy(data + test_random(&scribbles->random, end / 8) * 8, &value, width);
    }
}

static void scribble_at_random(void *argument, uint64_t number)
{
    struct prey *it = argument;
    uint64_t random = number * 2 + 1;
    test_random(&random, 2);
    enum prey_call first = (enum prey_call)test_random(&random, OPEN);
    unsigned kind = test_random(&random, KINDS);
    struct scribbles scribbles = {it, it->kinds[kind].channel, random, 1 + test_random(&random, 8)};
    uint32_t calls = 1 + test_random(&random, 4);
    watch_doing("channel %u, %u random writes, then %u calls from %s on", kind, scribbles.count, calls,
                call_names[first]);
    prepare(it, kind, first);
    between = test_random(&random, 2) ? scribble_some : NULL;
    between_argument = &scribbles;
    scribble_some(&scribbles);
    make_call(it, kind, first);
    for (uint32_t i = 1; i < calls; i++) {
        scribbles.channel = it->kinds[kind].channel; /* it may be a new one */
        make_call(it, kind, (enum prey_call)test_random(&random, test_random(&random, 8) ? OPEN : CALLS));
    }
    between = NULL;
}

static void control_readers_and_ring_at_random(void)
{
    watch_trials(&(struct watch){"hostile-channel-ring", begin, scribble_at_random, end, &prey,
                                 rig_trials(100000, 2000000), rig_deadline(PIPC_SECONDS(3))});
}

/* ---- A large ring full of heads ---- */

enum { LARGE = 64 << 20, MANY_PEEKS = 1000, HEAD_KINDS = 8 };
#define LONG_HELD PIPC_SECONDS(2) /* on any machine; a lock that is held so long is held too long */

/* Records of the living whose start time is another's cost the most to judge. */
static uint64_t head_word(unsigned kind, uint64_t dead, uint64_t *random)
{
    uint64_t impostor = pipc_self() ^ UINT64_C(1) << 40;
    switch (kind) {
    case 0:
        return PIPC_RECORD_FILLER;
    case 1:
        return PIPC_RECORD_GIVEN_UP;
    case 2:
        return pipc_record_word(PIPC_RECORD_RESERVED, dead);
    case 3:
        return pipc_record_word(PIPC_RECORD_RESERVED, impostor);
    case 4:
        return pipc_record_word(PIPC_RECORD_RESERVED, pipc_self());
    case 5:
        return pipc_record_word(PIPC_RECORD_WHOLE, 0);
    case 6:
        return pipc_record_word(PIPC_RECORD_WHOLE, UINT32_MAX);
    default:
        return (uint64_t)test_random(random, UINT32_MAX) << 32 | test_random(random, UINT32_MAX);
    }
}

static void fill_with_heads(pipc_channel *channel, unsigned kind, uint64_t dead, uint64_t *random)
{
    for (uint64_t at = 0; at < channel->ring.size; at += PIPC_RECORD_ALIGN) {
        struct pipc_record_head *head = pipc_ring_at(&channel->ring, at);
        atomic_store_explicit(&head->word, head_word(kind, dead, random), memory_order_relaxed);
        head->span = kind == 6 ? UINT32_MAX : 16;
        head->number = (uint32_t)at;
    }
}

struct stopwatch {
    struct rig_figures *figures;
    const char *what;
    unsigned kind, delivery;
    int64_t began;
};

static void start(struct stopwatch *watch, const char *what)
{
    watch->what = what;
    watch->began = test_now();
}

static void stop(struct stopwatch *watch)
{
    int64_t took = test_now() - watch->began;
    watch->figures->trials++;
    if (took > watch->figures->worst_delay) {
        watch->figures->worst_delay = took;
        printf("hostile-channel-large: %s, heads %u, delivery %u: %.3f ms\n", watch->what, watch->kind, watch->delivery,
               (double)took / 1e6);
    }
    watch->figures->hangs += took > LONG_HELD;
}

static void call_on_heads(struct prey *it, pipc_channel *channel, struct stopwatch *watch)
{
    static pipc_record records[MANY_PEEKS];
    pipc_channel_info info;
    uint32_t count = MANY_PEEKS;
    struct pipc_writer *writer = &channel->control->writer;
    start(watch, "receive");
    receive(it, channel, RING, PIPC_TRUNCATE);
    stop(watch);
    start(watch, "peek");
    int error = pipc_channel_peek(channel, records, &count, span_of(it));
    stop(watch);
    if (!error) {
        fill_with_heads(channel, 0, it->dead, NULL); /* they shrink under its eyes */
        start(watch, "release");
        pipc_channel_release(channel, count - 1);
        stop(watch);
    }
    atomic_store(&writer->head, LARGE);
    writer->limit = 0;
    start(watch, "send");
    pipc_channel_send(channel, &(pipc_record){.data = it->body, .size = RING}, span_of(it));
    stop(watch);
    atomic_store(&writer->lock.word, it->dead_lock);
    start(watch, "send after a death");
    pipc_channel_send(channel, &(pipc_record){.data = it->body, .size = RING}, PIPC_MS(1));
    stop(watch);
    start(watch, "statistics");
    pipc_channel_statistics(channel, &info);
    stop(watch);
}

static void a_large_ring_full_of_hostile_heads_holds_nobody_up(void)
{
    struct rig_figures figures = {.rig = "hostile-channel-large"};
    uint64_t random = (uint64_t)test_now();
    int64_t deadline = rig_deadline(PIPC_SECONDS(3));
    begin(&prey);
    for (unsigned turn = 0; turn < 6 * HEAD_KINDS && (turn < 12 || test_now() < deadline); turn++) {
        unsigned at = (unsigned)((turn * 7 + (uint64_t)random) % (6 * HEAD_KINDS)), kind = at / 6;
        pipc_channel *channel = NULL;
        pipc_channel_options options = {
            .size = LARGE, .producers = PIPC_PRODUCERS_ONE + at % 2, .delivery = PIPC_DELIVER_ONCE + at % 6 / 2};
        struct stopwatch watch = {.figures = &figures, .kind = kind, .delivery = options.delivery};
        int error = pipc_channel_open(&channel, test_name("large"), PIPC_CREATE | PIPC_EXCLUSIVE, &options);
        if (error == PIPC_E_NO_SPACE || error == PIPC_E_NO_MEMORY)
            test_skip("there is no room for 64 MiB: %s", pipc_error_detail());
        REQUIRE_OK(error);
        fill_with_heads(channel, kind, prey.dead, &random);
        call_on_heads(&prey, channel, &watch);
        parcel_end(channel, "large");
    }
    end(&prey);
    rig_tell(&figures);
}

/* ---- While traffic runs ---- */

enum { USERS = 3 };

struct scene {
    struct prey *it;
    _Atomic uint32_t stop;
    _Atomic uint64_t calls;
    _Atomic int64_t worst;
    unsigned kind;
};

/* Each subscribes anew: a forked child's first read does. */
static int use(void *argument)
{
    struct scene *scene = argument;
    uint64_t random = (uint64_t)test_now() * 2 + 1;
    while (!atomic_load(&scene->stop)) {
        int64_t began = test_now();
        enum prey_call call =
            (enum prey_call)test_random(&random, test_random(&random, 50) ? SEND_AFTER_DEATH : CREATE);
        CHECK(call_once(scene->it, scene->kind, call) != PIPC_E_SYSTEM);
        int64_t took = test_now() - began;
        atomic_fetch_add(&scene->calls, 1);
        if (took > atomic_load(&scene->worst))
            atomic_store(&scene->worst, took);
    }
    return 0;
}

static int scribble(void *argument)
{
    struct scene *scene = argument;
    struct kind *kind = &scene->it->kinds[scene->kind];
    pipc_channel *channel = kind->channel;
    struct scribbles scribbles = {scene->it, channel, (uint64_t)test_now() * 2 + 1, 0};
    while (!atomic_load(&scene->stop)) {
        scribbles.count = 1 + test_random(&scribbles.random, 100);
        scribble_some(&scribbles);
        if (test_random(&scribbles.random, 3) == 0) /* lest all answer "busy" */
            memcpy(channel->control, kind->pristine + sizeof(struct pipc_object), bytes_of(channel));
        test_sleep(PIPC_US(test_random(&scribbles.random, 300)));
    }
    return 0;
}

static void scribbling_while_traffic_runs(void)
{
    struct scene *scene = test_shared(sizeof *scene);
    struct rig_figures figures = {.rig = "hostile-channel-traffic"};
    int64_t deadline = rig_deadline(PIPC_SECONDS(3));
    begin(&prey);
    scene->it = &prey;
    for (scene->kind = 0; scene->kind < KINDS && test_failures() == 0; scene->kind++) {
        pid_t users[USERS];
        int64_t left = (deadline - test_now()) / (KINDS - scene->kind), until = test_now() + left;
        if (deadline == INT64_MAX)
            until = test_now() + PIPC_SECONDS(30);
        atomic_store(&scene->stop, 0);
        for (int i = 0; i < USERS; i++)
            users[i] = test_fork(use, scene);
        pid_t peer = test_fork(scribble, scene);
        while (test_now() < until && test_failures() == 0)
            test_sleep(PIPC_MS(20));
        atomic_store(&scene->stop, 1);
        for (int i = 0; i < USERS; i++)
            CHECK_EQUAL(test_wait(users[i], 4 * WATCH_HANG), 0);
        CHECK_EQUAL(test_wait(peer, 4 * WATCH_HANG), 0);
    }
    figures.trials = atomic_load(&scene->calls);
    figures.worst_delay = atomic_load(&scene->worst);
    figures.hangs = figures.worst_delay > WATCH_HANG;
    end(&prey);
    rig_tell(&figures);
}

static const struct test tests[] = {
    {"G6", "every_value_of_each_live_byte_under_each_call", every_value_of_each_live_byte_under_each_call, 120},
    {"G6", "control_readers_and_ring_at_random", control_readers_and_ring_at_random, 120},
    {"G6", "a_large_ring_full_of_hostile_heads_holds_nobody_up", a_large_ring_full_of_hostile_heads_holds_nobody_up,
     120},
    {"G6", "scribbling_while_traffic_runs", scribbling_while_traffic_runs, 120},
};

TEST_MAIN("hostile_channel", tests)
