/* A hostile peer and the making of objects (G6): it scribbles on what is being built; it writes claims without number;
 * and it truncates, which nobody can survive. */
#include <signal.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

#include "points.h"
#include "probe.h"
#include "support_queue.h"
#include "victim.h"
#include "watch.h"

/* ---- Scribbling on what is being built ---- */

/* Where a builder is frozen, and what it builds there. Not every family comes to each. */
struct moment {
    const char *point;
    uint32_t kind;
};

static const struct moment moments[] = {
    {"names: building", PIPC_KIND_SHM},
    {"names: built, not ready", PIPC_KIND_SHM},
    {"names: building", PIPC_KIND_QUEUE},
    {"create: no kernel queue yet", PIPC_KIND_QUEUE},
    {"kernel queue: label told, not made", PIPC_KIND_QUEUE},
    {"kernel queue: made, id not told", PIPC_KIND_QUEUE},
    {"kernel queue: made, mode not settled", PIPC_KIND_QUEUE},
    {"names: built, not ready", PIPC_KIND_QUEUE},
};

enum { MOMENTS = sizeof moments / sizeof *moments };

enum { BUILT_BYTES = 20000, BUILT_PLACES = 3, BUILT_SIZE = 64 };

static int build_memory(void)
{
    const pipc_shm_options options = {.size = BUILT_BYTES};
    unsigned char *address;
    pipc_shm *shm;
    if (pipc_shm_open(&shm, test_name("b"), PIPC_CREATE | PIPC_PREFAULT, &options))
        return 0;
    if (pipc_shm_map(shm, PIPC_READ | PIPC_WRITE, (void **)&address) == 0)
        address[0] = address[BUILT_BYTES - 1] = 7;
    return pipc_shm_close(shm);
}

static int build_queue(void)
{
    const pipc_queue_options options = {.max_messages = BUILT_PLACES, .max_size = BUILT_SIZE};
    struct queue_got got;
    pipc_queue *queue;
    if (pipc_queue_open(&queue, test_name("b"), PIPC_CREATE, &options))
        return 0;
    queue_send(queue, 1, 0, 7, BUILT_SIZE, PIPC_MS(1));
    queue_receive(queue, pipc_any(), &got, PIPC_MS(1));
    return pipc_queue_close(queue);
}

static int build(void *argument)
{
    const struct moment *moment = argument;
    points_stop_at(points_find(moment->point), 1);
    return moment->kind == PIPC_KIND_QUEUE ? build_queue() : build_memory();
}

static bool await_stop(pid_t child)
{
    int status;
    return waitpid(child, &status, WUNTRACED) == child && WIFSTOPPED(status);
}

/* What the peer does: one byte of the header gets one value, or some bytes of all that is there so far any. */
struct scribble {
    bool everywhere;
    size_t byte;
    unsigned char value;
    uint64_t random;
};

static void scribble_everywhere(unsigned char *bytes, size_t count, uint64_t *random)
{
    static const unsigned char values[] = {0x00, 0x01, 0x7f, 0x80, 0xff};
    const size_t fields = offsetof(struct pipc_object, name);
    for (uint32_t i = 1 + test_random(random, 4); i > 0; i--) {
        size_t at =
            test_random(random, 2) ? test_random(random, (uint32_t)fields) : test_random(random, (uint32_t)count);
        unsigned char any = (unsigned char)test_random(random, 256);
        if (at < count)
            bytes[at] = test_random(random, 2) ? values[test_random(random, sizeof values)] : any;
    }
}

static int remove_object(uint32_t kind)
{
    return (kind == PIPC_KIND_QUEUE ? pipc_queue_remove : pipc_shm_remove)(test_name("b"));
}

/* Clears the name as its owner would by hand: a header that was scribbled on is mended first. */
static void clear_name(uint32_t kind, struct pipc_object *object, const struct pipc_object *saved)
{
    const size_t state = sizeof object->state;
    atomic_store(&object->state, PIPC_STATE_DEAD);
    memcpy((char *)object + state, (const char *)saved + state, sizeof *saved - state);
    for (int tries = 0; tries < 8 && remove_object(kind) == 0; tries++)
        ;
}

/* One builder frozen, scribbled on, and let go. True: the moment came. */
static bool freeze_and_scribble(const struct moment *moment, struct scribble *scribble, struct rig_figures *figures)
{
    pid_t child = test_fork(build, (void *)moment);
    if (!await_stop(child)) {
        remove_object(moment->kind); /* if it could be made: the purse for queues may be empty */
        return false;
    }
    size_t bytes = 0;
    struct pipc_object *object = probe_map(moment->kind, test_name("b"), &bytes), saved;
    REQUIRE(object != NULL);
    saved = *object;
    if (scribble->everywhere)
        scribble_everywhere((unsigned char *)object, bytes, &scribble->random);
    else
        ((unsigned char *)object)[scribble->byte] = scribble->value;
    int64_t began = test_now();
    kill(child, SIGCONT);
    CHECK_EQUAL(test_wait(child, 4 * WATCH_HANG), 0);
    int64_t took = test_now() - began;
    figures->hangs += took > WATCH_HANG;
    figures->worst_delay = took > figures->worst_delay ? took : figures->worst_delay;
    figures->trials++;
    clear_name(moment->kind, object, &saved);
    probe_unmap(object, bytes);
    return true;
}

/* In a namespace of its own: when a label is overwritten, nobody knows the kernel queue any more that was made
 * under it. */
static void scribble_on_builders(test_body *body, const char *rig)
{
    struct rig_figures *figures = test_shared(sizeof *figures);
    figures->rig = rig;
    CHECK_EQUAL(test_in_private_ipc(0, body, figures), 0);
    rig_tell(figures);
}

static int scribble_at_random(void *argument)
{
    struct scribble scribble = {.everywhere = true, .random = (uint64_t)test_now()};
    uint64_t trials = rig_trials(100000, 100000);
    int64_t deadline = rig_deadline(PIPC_SECONDS(2));
    bool reached[MOMENTS] = {false};
    for (uint64_t i = 0; i < trials && (test_now() < deadline || i < 2 * MOMENTS) && test_failures() == 0; i++) {
        const struct moment *moment = &moments[i % MOMENTS];
        if (points_find(moment->point) != POINTS_NONE && freeze_and_scribble(moment, &scribble, argument))
            reached[i % MOMENTS] = true;
    }
    CHECK(reached[0]);
    CHECK(reached[1]);
    return 0;
}

static void scribbling_on_what_is_being_built(void)
{
    scribble_on_builders(scribble_at_random, "hostile-builder");
}

/* The header's fields, and of the name what is used and its end. */
static uint64_t bytes_that_mean_something(void)
{
    return offsetof(struct pipc_object, name) + strlen(test_name("b")) + 1;
}

/* In an order that is nearly random, so that a part of them is a sample. */
static int scribble_every_value(void *argument)
{
    const uint64_t step = 1000000007, bytes = bytes_that_mean_something(), total = MOMENTS * bytes * 256;
    int64_t deadline = rig_deadline(PIPC_SECONDS(2));
    struct rig_part part = rig_part(total);
    for (uint64_t i = part.first; i < part.end && test_now() < deadline && test_failures() == 0; i++) {
        uint64_t which = i % total * step % total;
        const struct moment *moment = &moments[which % MOMENTS];
        struct scribble scribble = {.byte = which / MOMENTS % bytes, .value = (unsigned char)(which / MOMENTS / bytes)};
        if (points_find(moment->point) != POINTS_NONE)
            freeze_and_scribble(moment, &scribble, argument);
    }
    return 0;
}

static void every_value_of_each_byte_of_a_header_being_built(void)
{
    scribble_on_builders(scribble_every_value, "hostile-builder-bytes");
}

/* ---- Claims without number ---- */

enum { CROWD_PLACES = 400000 };

/* Every place reserved, each in the name of somebody who lives: to judge one takes system calls. */
static void a_crowd_of_claims_holds_nobody_up(void)
{
    struct rig_figures figures = {.rig = "hostile-crowd"};
    pipc_queue *queue = queue_make("q", CROWD_PLACES, 8);
    struct queue_got got;
    for (uint32_t slot = 0; slot < CROWD_PLACES; slot++)
        atomic_store(&queue->words[slot], pipc_word_make(PIPC_SLOT_RESERVED, slot, (uint64_t)getppid()));
    for (int i = 0; i < 10 && !figures.hangs; i++, figures.trials += 2) {
        atomic_store(&queue->control->takeover_at, 0);
        atomic_store(&queue->control->audit_wanted, 1);
        int64_t began = test_now();
        CHECK_ERROR(queue_send(queue, 1, 0, 1, 8, PIPC_MS(1)), TIMEOUT);
        if (test_now() - began < WATCH_HANG)
            CHECK_ERROR(queue_receive(queue, pipc_any(), &got, PIPC_MS(1)), TIMEOUT);
        int64_t took = test_now() - began;
        figures.worst_delay = took > figures.worst_delay ? took : figures.worst_delay;
        figures.hangs += took > WATCH_HANG;
    }
    queue_end(queue, "q");
    rig_tell(&figures);
}

/* ---- Truncation ---- */

static int use_every_page(void *argument)
{
    struct queue_got got;
    signal(SIGBUS, SIG_DFL); /* a sanitizer would turn the fault into a report */
    for (int i = 0; i < 8; i++)
        queue_send(argument, 1, 0, 7, BUILT_BYTES, PIPC_NOWAIT);
    queue_receive(argument, pipc_any(), &got, PIPC_NOWAIT);
    return 0;
}

/* Not survived, but shown: who touches what was cut off dies of SIGBUS, where a family's memory can be cut at all.
 * The library calls what is left damaged; once it is removed by hand, as the sentence says, the name is free. */
static void truncation_is_a_sigbus_where_memory_can_shrink(void)
{
    pipc_queue *queue = queue_make("q", 8, BUILT_BYTES);
    bool shrinks = probe_resize_memory(PIPC_KIND_QUEUE, test_name("q"), 4 * pipc_page());
    int status = test_wait(test_fork(use_every_page, queue), 4 * WATCH_HANG);
    CHECK_EQUAL(status, shrinks ? 128 + SIGBUS : 0);
    if (shrinks) {
        CHECK_ERROR(pipc_queue_remove(test_name("q")), DAMAGED);
        CHECK(probe_queue_remove(test_name("q")) && probe_remove_memory(PIPC_KIND_QUEUE, test_name("q")));
        CHECK_OK(pipc_queue_close(queue));
    } else {
        queue_end(queue, "q");
    }
    queue_end(queue_make("q", 8, BUILT_BYTES), "q");
}

static const struct test tests[] = {
    {"G6", "scribbling_on_what_is_being_built", scribbling_on_what_is_being_built, 120},
    {"G6", "every_value_of_each_byte_of_a_header_being_built", every_value_of_each_byte_of_a_header_being_built, 120},
    {"G6", "a_crowd_of_claims_holds_nobody_up", a_crowd_of_claims_holds_nobody_up, 120},
    {"G6", "truncation_is_a_sigbus_where_memory_can_shrink", truncation_is_a_sigbus_where_memory_can_shrink, 0},
};

TEST_MAIN("hostile_build", tests)
