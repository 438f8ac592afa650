/* Capacity and the kernel's part in it: Q9. */
#include "support_queue.h"

#include "probe.h"

static void check_capacity(uint32_t messages, uint64_t size)
{
    pipc_queue *queue = queue_make("q", messages, size);
    struct queue_got got;
    queue_check_room(queue, messages, size);
    for (uint64_t i = 0; i < messages; i++)
        REQUIRE_OK(queue_send(queue, 1, 0, i, size, PIPC_NOWAIT));
    int64_t began = test_now();
    CHECK_ERROR(queue_send(queue, 1, 0, 0, size, PIPC_MS(3)), TIMEOUT);
    CHECK(test_now() - began >= PIPC_MS(3));
    queue_expect(queue, pipc_any(), 0);
    CHECK_OK(queue_send(queue, 1, 0, messages, size, PIPC_NOWAIT));
    CHECK_ERROR(queue_send(queue, 1, 0, 0, 8, PIPC_NOWAIT), FULL);
    for (uint64_t i = 1; i <= messages; i++)
        queue_expect(queue, pipc_any(), i);
    CHECK_ERROR(queue_receive(queue, pipc_any(), &got, PIPC_NOWAIT), EMPTY);
    CHECK_EQUAL(queue_info(queue).high_water, messages);
    queue_end(queue, "q");
}

static void exactly_1_message_fits(void)
{
    check_capacity(1, 64);
    check_capacity(1, 100000);
}

static void exactly_10_messages_fit(void)
{
    check_capacity(10, 64);
    check_capacity(10, 8192);
}

static void exactly_11_messages_fit(void)
{
    check_capacity(11, 64);
    check_capacity(11, 20000);
}

static void exactly_1000_messages_fit(void)
{
    check_capacity(1000, 64);
    check_capacity(1000, 9000);
}

static void exactly_50000_messages_fit(void)
{
    check_capacity(50000, 16);
}

static void messages_without_bodies_count_too(void)
{
    pipc_queue *queue = queue_make("q", 500, 8);
    pipc_message empty = {.type = 1};
    for (unsigned i = 0; i < 500; i++)
        REQUIRE_OK(pipc_queue_send(queue, &empty, PIPC_NOWAIT));
    CHECK_ERROR(pipc_queue_send(queue, &empty, PIPC_NOWAIT), FULL);
    CHECK_EQUAL(queue_info(queue).messages, 500);
    queue_end(queue, "q");
}

/* As many as the kernel says it takes; where it counts bytes, ten small ones surely fit. */
static void messages_that_fit_the_kernels_queue_wait_there(void)
{
    pipc_queue *queue = queue_make("q", 100, 64);
    pipc_queue_info info = queue_info(queue);
    uint64_t depth = info.kernel_depth ? info.kernel_depth : 10, waiting = 0;
    CHECK(info.kernel_size >= 64);
    for (uint64_t i = 0; i < depth; i++) {
        REQUIRE_OK(queue_send(queue, 1, 0, i, 64, PIPC_NOWAIT));
        CHECK(probe_queue_count(test_name("q"), &waiting));
        CHECK_EQUAL(waiting, i + 1);
    }
    for (uint64_t i = 0; i < depth; i++)
        queue_expect(queue, pipc_any(), i);
    CHECK(probe_queue_count(test_name("q"), &waiting));
    CHECK_EQUAL(waiting, 0);
    queue_end(queue, "q");
}

static void message_of_the_kernels_largest_size_goes_through_it(void)
{
    pipc_queue *queue = queue_make("q", 4, 100000);
    uint64_t edge = queue_info(queue).kernel_size, waiting = 0;
    REQUIRE_OK(queue_send(queue, 1, 0, 1, edge, PIPC_NOWAIT));
    CHECK(probe_queue_count(test_name("q"), &waiting));
    CHECK_EQUAL(waiting, 1);
    REQUIRE_OK(queue_send(queue, 1, 0, 2, edge + 1, PIPC_NOWAIT));
    CHECK(probe_queue_count(test_name("q"), &waiting));
    CHECK_EQUAL(waiting, 1);
    queue_expect(queue, pipc_any(), 1);
    queue_expect(queue, pipc_any(), 2);
    queue_end(queue, "q");
}

static void kernels_queue_takes_no_more_than_its_depth_and_the_rest_waits_in_slots(void)
{
    pipc_queue *queue = queue_make("q", 1000, 64);
    uint64_t depth = queue_info(queue).kernel_depth, waiting = 0;
    for (uint64_t i = 0; i < 1000; i++)
        REQUIRE_OK(queue_send(queue, 1, 0, i, 64, PIPC_NOWAIT));
    CHECK(probe_queue_count(test_name("q"), &waiting));
    CHECK(waiting > 0 && waiting < 1000);
    CHECK(depth == 0 || waiting == depth);
    for (uint64_t i = 0; i < 1000; i++)
        queue_expect(queue, pipc_any(), i);
    queue_end(queue, "q");
}

/* After a burst the kernel's queue is in use again, not the slots for ever. */
static void kernels_queue_is_used_again_after_a_burst(void)
{
    pipc_queue *queue = queue_make("q", 200, 64);
    uint64_t waiting = 0;
    for (unsigned burst = 0; burst < 3; burst++) {
        for (uint64_t i = 0; i < 200; i++)
            REQUIRE_OK(queue_send(queue, 1, 0, i, 64, PIPC_NOWAIT));
        for (uint64_t i = 0; i < 200; i++)
            queue_expect(queue, pipc_any(), i);
        REQUIRE_OK(queue_send(queue, 1, 0, 5, 64, PIPC_NOWAIT));
        CHECK(probe_queue_count(test_name("q"), &waiting));
        CHECK_EQUAL(waiting, 1);
        queue_expect(queue, pipc_any(), 5);
    }
    queue_end(queue, "q");
}

static void kernels_queue_is_no_deeper_than_needed(void)
{
    pipc_facts facts;
    REQUIRE_OK(pipc_library_facts(&facts));
    pipc_queue *queue = queue_make("q", 2, 64);
    pipc_queue_info info = queue_info(queue);
    CHECK(info.kernel_depth <= 2);
    CHECK(info.kernel_size >= 64 && info.kernel_size <= facts.kernel_message_max);
    CHECK((info.kernel_depth == 0) == (facts.kernel_depth_max == 0));
    queue_end(queue, "q");
}

enum { CROWD = 6, PLACES = 100 };

struct crowd {
    pipc_queue *queue;
    struct test_barrier barrier;
    _Atomic uint32_t sent;
    uint64_t size;
};

static int send_until_full(void *argument)
{
    struct crowd *crowd = argument;
    int error;
    test_barrier_wait(&crowd->barrier);
    do {
        int64_t began = test_now();
        error = queue_send(crowd->queue, 1, 0, 7, crowd->size, PIPC_NOWAIT);
        atomic_fetch_add(&crowd->sent, error == 0);
        if (error == PIPC_E_BUSY) /* the lock's holder did not get its turn for so long: a busy machine */
            CHECK(test_now() - began >= PIPC_MS(25));
    } while (error == 0 || error == PIPC_E_BUSY);
    return error;
}

/* Racing for the last places: exactly PLACES sends succeed, and the others learn "full", not "busy" at once. */
static void racing_senders_fill_the_queue_exactly(void)
{
    struct crowd *crowd = test_shared(sizeof *crowd);
    crowd->queue = queue_make("q", PLACES, 20000);
    for (unsigned round = 0; round < 40; round++) {
        pid_t children[CROWD];
        test_barrier_init(&crowd->barrier, CROWD);
        atomic_store(&crowd->sent, 0);
        crowd->size = round % 2 ? 64 : 20000;
        for (unsigned i = 0; i < CROWD; i++)
            children[i] = test_fork(send_until_full, crowd);
        for (unsigned i = 0; i < CROWD; i++)
            CHECK_EQUAL(test_wait(children[i], PIPC_SECONDS(20)), PIPC_E_FULL);
        CHECK_EQUAL(atomic_load(&crowd->sent), PLACES);
        uint64_t dropped = 0;
        CHECK_OK(pipc_queue_purge(crowd->queue, &dropped));
        CHECK_EQUAL(dropped, PLACES);
    }
    queue_end(crowd->queue, "q");
}

static const struct test tests[] = {
    {"Q9", "exactly_1_message_fits", exactly_1_message_fits, 0},
    {"Q9", "exactly_10_messages_fit", exactly_10_messages_fit, 0},
    {"Q9", "exactly_11_messages_fit", exactly_11_messages_fit, 0},
    {"Q9", "exactly_1000_messages_fit", exactly_1000_messages_fit, 0},
    {"Q9", "exactly_50000_messages_fit", exactly_50000_messages_fit, 0},
    {"Q4 Q9", "messages_without_bodies_count_too", messages_without_bodies_count_too, 0},
    {"Q9", "messages_that_fit_the_kernels_queue_wait_there", messages_that_fit_the_kernels_queue_wait_there, 0},
    {"Q9", "message_of_the_kernels_largest_size_goes_through_it", message_of_the_kernels_largest_size_goes_through_it,
     0},
    {"Q9", "kernels_queue_takes_no_more_than_its_depth_and_the_rest_waits_in_slots",
     kernels_queue_takes_no_more_than_its_depth_and_the_rest_waits_in_slots, 0},
    {"Q9", "kernels_queue_is_used_again_after_a_burst", kernels_queue_is_used_again_after_a_burst, 0},
    {"Q9", "kernels_queue_is_no_deeper_than_needed", kernels_queue_is_no_deeper_than_needed, 0},
    {"Q9", "racing_senders_fill_the_queue_exactly", racing_senders_fill_the_queue_exactly, 0},
};

TEST_MAIN("queue_capacity", tests)
