/* What is garbage: pipc_reap(). All in private namespaces, where nobody else's remains are. */
#include <sys/mount.h>

#include "harvest.h"
#include "probe.h"
#include "support_channel.h"
#include "support_queue.h"

static void ignore(const char *name)
{
    (void)name;
}

/* What was removed by a remover that died before it freed anything. */
static void set_dead(uint32_t kind, const char *what)
{
    size_t bytes;
    struct pipc_object *object = probe_map(kind, test_name(what), &bytes);
    REQUIRE(object != NULL);
    atomic_store(&object->state, PIPC_STATE_DEAD);
    probe_unmap(object, bytes);
}

static int reap_removed(void *argument)
{
    (void)argument;
    pipc_queue *live = queue_make("live", 3, 8);
    pipc_shm *memory = memory_make("live", 64);
    pipc_queue_close(queue_make("q", 3, 8));
    pipc_shm_close(memory_make("m", 100));
    pipc_channel_close(channel_make("c", 0, 0, 0));
    REQUIRE_OK(queue_send(live, 1, 0, 42, 8, PIPC_NOWAIT));
    set_dead(PIPC_KIND_QUEUE, "q");
    set_dead(PIPC_KIND_SHM, "m");
    set_dead(PIPC_KIND_CHANNEL, "c");
    const struct harvest *harvest = gather(pipc_each);
    CHECK_EQUAL(harvest->verdicts[PIPC_VERDICT_GARBAGE], 3);
    CHECK_EQUAL(find(harvest, PIPC_KIND_CHANNEL, "c")->verdict, PIPC_VERDICT_GARBAGE);
    CHECK_EQUAL(find(harvest, PIPC_KIND_QUEUE, "q")->state, PIPC_FOUND_REMOVED);
    CHECK_EQUAL(find(harvest, PIPC_KIND_SHM, "m")->verdict, PIPC_VERDICT_GARBAGE);
    harvest = gather(reap_all);
    CHECK_EQUAL(harvest->verdicts[PIPC_VERDICT_REAPED], 3);
    CHECK_EQUAL(harvest->verdicts[PIPC_VERDICT_KEEP], 2);
    CHECK_OK(pipc_reap(NULL, NULL));
    CHECK_EQUAL(gather(pipc_each)->count, 2);
    CHECK(queue_expect(live, pipc_any(), 42));
    queue_end(live, "live");
    memory_end(memory, "live");
    CHECK_EQUAL(probe_remove_everything(ignore), 0);
    return 0;
}

static void remains_are_reaped_and_nothing_else(void)
{
    CHECK_EQUAL(test_in_private_ipc(0, reap_removed, NULL), 0);
}

static int reap_unused(void *argument)
{
    (void)argument;
    pipc_queue *queue = queue_make("q", 3, 8);
    REQUIRE_OK(queue_send(queue, 1, 0, 42, 8, PIPC_NOWAIT));
    pipc_queue_close(queue);
    pipc_shm_close(memory_make("m", 64));
    pipc_channel *channel = channel_make("c", 0, 0, 0);
    REQUIRE_OK(channel_send(channel, 43, 8, PIPC_NOWAIT));
    pipc_channel_close(channel);
    CHECK_EQUAL(gather(reap_all)->verdicts[PIPC_VERDICT_KEEP], 3);
    channel = channel_join("c", 0);
    CHECK(channel_expect(channel, 43));
    channel_end(channel, "c");
    queue = queue_join("q", 0);
    CHECK(queue_expect(queue, pipc_any(), 42));
    queue_end(queue, "q");
    CHECK_OK(pipc_shm_remove(test_name("m")));
    return 0;
}

static int die(void *argument)
{
    return reap_unused(argument) == 0 ? 7 : 8;
}

/* The one that made them is dead, nobody has them open: they are whole, so they stay. */
static void what_is_whole_is_never_reaped_however_unused(void)
{
    CHECK_EQUAL(test_in_private_ipc(0, die, NULL), 7);
}

static int lose_objects(void *argument)
{
    (void)argument;
    bool listed = probe_queues_can_be_listed();
    pipc_queue *live = queue_make("live", 3, 8), *queue = queue_make("q", 3, 8);
    REQUIRE_OK(queue_send(queue, 1, 0, 1, 8, PIPC_NOWAIT));
    pipc_queue_close(queue);
    CHECK_EQUAL(gather(reap_all)->verdicts[PIPC_VERDICT_KEEP], 2);
    REQUIRE(probe_remove_memory(PIPC_KIND_QUEUE, test_name("q")));
    const struct harvest *harvest = gather(pipc_each);
    const pipc_found *found = find(harvest, PIPC_KIND_QUEUE, "q");
    CHECK((found != NULL) == listed);
    if (found) {
        CHECK_EQUAL(found->state, PIPC_FOUND_ORPHAN);
        CHECK_EQUAL(found->queue.messages, 1);
        CHECK_EQUAL(found->verdict, PIPC_VERDICT_GARBAGE);
    }
    CHECK_EQUAL(gather(reap_all)->verdicts[PIPC_VERDICT_REAPED], listed);
    queue_end(live, "live");
    CHECK_EQUAL(probe_remove_everything(ignore), !listed); /* what cannot be proven stays */
    return 0;
}

static void a_kernel_queue_without_an_object_is_reaped_if_that_can_be_proven(void)
{
    CHECK_EQUAL(test_in_private_ipc(0, lose_objects, NULL), 0);
}

/* A peer writes the header's label over, then the queue is removed by name: the kernel queue cannot be found by the
 * label any more, and nothing else leads to it. */
static int write_label_over(void *argument)
{
    (void)argument;
    size_t bytes;
    bool listed = probe_queues_can_be_listed();
    pipc_queue *live = queue_make("live", 3, 8), *queue = queue_make("q", 3, 8);
    struct pipc_object *object = probe_map(PIPC_KIND_QUEUE, test_name("q"), &bytes);
    REQUIRE(object != NULL && object->queue_label != 0);
    uint64_t label = object->queue_label;
    object->queue_label ^= UINT64_C(0x42f2);
    probe_unmap(object, bytes);
    CHECK_OK(pipc_queue_remove(test_name("q")));
    CHECK_ERROR(queue_send(queue, 1, 0, 1, 8, PIPC_NOWAIT), REMOVED);
    CHECK_OK(pipc_queue_close(queue));
    const pipc_found *found = find(gather(pipc_each), PIPC_KIND_QUEUE, "q");
    CHECK((found != NULL) == listed);
    CHECK(!found || (found->state == PIPC_FOUND_ORPHAN && found->verdict == PIPC_VERDICT_GARBAGE));
    CHECK_EQUAL(gather(reap_all)->verdicts[PIPC_VERDICT_REAPED], listed);
    CHECK_EQUAL(probe_queue_remove_labelled(test_name("q"), label), !listed); /* what cannot be proven stays */
    CHECK_EQUAL(gather(pipc_each)->count, 1);
    queue_end(queue_make("q", 3, 8), "q");
    queue_end(live, "live");
    CHECK_EQUAL(probe_remove_everything(ignore), 0);
    return 0;
}

static void a_kernel_queue_whose_label_was_written_over_is_reaped_after_the_removal(void)
{
    CHECK_EQUAL(test_in_private_ipc(0, write_label_over, NULL), 0);
}

/* The same kernel queues, but another /dev/shm: their objects only seem to be gone. */
static int look_elsewhere(void *argument)
{
    (void)argument;
    probe_queues_can_be_listed();
    pipc_queue *queue = queue_make("q", 3, 8);
    REQUIRE_OK(queue_send(queue, 1, 0, 42, 8, PIPC_NOWAIT));
    REQUIRE(mount("tmpfs", "/dev/shm", "tmpfs", 0, "mode=1777") == 0);
    probe_queues_can_be_listed();
    CHECK_EQUAL(gather(reap_all)->verdicts[PIPC_VERDICT_REAPED], 0);
    REQUIRE(umount2("/dev/shm", MNT_DETACH) == 0);
    pipc_queue_close(queue);
    queue = queue_join("q", 0);
    CHECK(queue_expect(queue, pipc_any(), 42));
    queue_end(queue, "q");
    return 0;
}

static void objects_that_lie_elsewhere_are_not_taken_for_gone(void)
{
    CHECK_EQUAL(test_in_private_ipc(0, look_elsewhere, NULL), 0);
}

static const struct test tests[] = {
    {"Q14", "remains_are_reaped_and_nothing_else", remains_are_reaped_and_nothing_else, 0},
    {"Q14", "what_is_whole_is_never_reaped_however_unused", what_is_whole_is_never_reaped_however_unused, 0},
    {"Q14", "a_kernel_queue_without_an_object_is_reaped_if_that_can_be_proven",
     a_kernel_queue_without_an_object_is_reaped_if_that_can_be_proven, 0},
    {"G6", "a_kernel_queue_whose_label_was_written_over_is_reaped_after_the_removal",
     a_kernel_queue_whose_label_was_written_over_is_reaped_after_the_removal, 0},
    {"Q14", "objects_that_lie_elsewhere_are_not_taken_for_gone", objects_that_lie_elsewhere_are_not_taken_for_gone, 0},
};

TEST_MAIN("reap", tests)
