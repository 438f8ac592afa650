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

static const char *const moments[] = {
    "names: building",
    "create: no kernel queue yet",
    "kernel queue: label told, not made",
    "kernel queue: made, id not told",
    "kernel queue: made, mode not settled",
    "names: built, not ready",
};

#define MOMENTS (sizeof moments / sizeof *moments)

struct building {
    uint32_t point;
    uint32_t kind;
};

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
    const struct building *building = argument;
    points_stop_at(building->point, 1);
    return building->kind == PIPC_KIND_QUEUE ? build_queue() : build_memory();
}

static bool await_stop(pid_t child)
{
    int status;
    return waitpid(child, &status, WUNTRACED) == child && WIFSTOPPED(status);
}

/* The peer's view: the header, and of the data what is there so far. */
static void scribble(unsigned char *bytes, size_t count, uint64_t *random)
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
static void clear_name(const struct building *building, struct pipc_object *object, const struct pipc_object *saved)
{
    const size_t state = sizeof object->state;
    atomic_store(&object->state, PIPC_STATE_DEAD);
    memcpy((char *)object + state, (const char *)saved + state, sizeof *saved - state);
    for (int tries = 0; tries < 8 && remove_object(building->kind) == 0; tries++)
        ;
}

/* One builder frozen at a point, scribbled on, and let go. True: the point was on its way. */
static bool freeze_and_scribble(const struct building *building, uint64_t *random, struct rig_figures *figures)
{
    pid_t child = test_fork(build, (void *)building);
    if (!await_stop(child)) {
        remove_object(building->kind); /* if it could be made: the purse for queues may be empty */
        return false;
    }
    size_t bytes = 0;
    struct pipc_object *object = probe_map(building->kind, test_name("b"), &bytes), saved;
    REQUIRE(object != NULL);
    saved = *object;
    scribble((unsigned char *)object, bytes, random);
    int64_t began = test_now();
    kill(child, SIGCONT);
    CHECK_EQUAL(test_wait(child, 4 * WATCH_HANG), 0);
    int64_t took = test_now() - began;
    figures->hangs += took > WATCH_HANG;
    figures->worst_delay = took > figures->worst_delay ? took : figures->worst_delay;
    figures->trials++;
    clear_name(building, object, &saved);
    probe_unmap(object, bytes);
    return true;
}

static int scribble_on_builders(void *argument)
{
    struct rig_figures *figures = argument;
    uint64_t random = (uint64_t)test_now(), trials = rig_trials(100000, 20000);
    int64_t deadline = rig_is_long() ? test_now() + PIPC_SECONDS(30) : test_now() + PIPC_SECONDS(3);
    uint32_t reached = 0;
    for (uint64_t i = 0; i < trials && (test_now() < deadline || i < 2 * MOMENTS) && test_failures() == 0; i++) {
        struct building building = {.point = points_find(moments[i % MOMENTS]),
                                    .kind = i / MOMENTS % 2 ? PIPC_KIND_QUEUE : PIPC_KIND_SHM};
        if (building.point != POINTS_NONE && freeze_and_scribble(&building, &random, figures))
            reached |= 1u << i % MOMENTS;
    }
    CHECK(reached & 1u);
    CHECK(reached & 2u);
    return 0;
}

/* In a namespace of its own: when a label is overwritten, nobody knows the kernel queue any more that was made
 * under it. */
static void scribbling_on_what_is_being_built(void)
{
    struct rig_figures *figures = test_shared(sizeof *figures);
    figures->rig = "hostile-builder";
    CHECK_EQUAL(test_in_private_ipc(0, scribble_on_builders, figures), 0);
    rig_tell(figures);
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
    {"G6", "a_crowd_of_claims_holds_nobody_up", a_crowd_of_claims_holds_nobody_up, 120},
    {"G6", "truncation_is_a_sigbus_where_memory_can_shrink", truncation_is_a_sigbus_where_memory_can_shrink, 0},
};

TEST_MAIN("hostile_build", tests)
