/* Threads on one handle (Q13): nothing lost, nothing twice, whatever they call at once. All of them see one mapping,
 * so that the thread sanitizer, which is blind between processes, sees the whole protocol (./dev check). */
#include <pthread.h>

#include "support_queue.h"

enum { SENDERS = 3, RECEIVERS = 4, EACH = 1500, ALL = SENDERS * EACH, PLACES = 6, LARGE = 9000 };

struct crowd {
    pipc_queue *queue;
    _Atomic uint32_t sent, gone; /* gone: received or purged */
    _Atomic uint32_t next_sender, next_receiver;
    _Atomic uint32_t times[ALL];
};

static struct crowd *new_crowd(void)
{
    struct crowd *crowd = test_shared(sizeof *crowd);
    crowd->queue = queue_make("q", PLACES, LARGE);
    return crowd;
}

/* Types 1 to 4, some bodies too large for the kernel's queue. */
static void *send_all(void *argument)
{
    struct crowd *crowd = argument;
    uint32_t first = atomic_fetch_add(&crowd->next_sender, 1) * EACH;
    for (uint32_t i = first; i < first + EACH; i++) {
        uint64_t size = i % 7 == 0 ? LARGE : 8 + i % 50;
        int error;
        while ((error = queue_send(crowd->queue, 1 + i % 4, i % 3, i, size, PIPC_SECONDS(40))) == PIPC_E_INTERRUPTED)
            ;
        REQUIRE_OK(error);
        atomic_fetch_add(&crowd->sent, 1);
    }
    return NULL;
}

/* One takes any, one all but a type, one exactly a type, one the lowest two. */
static void *receive_all(void *argument)
{
    struct crowd *crowd = argument;
    const pipc_selection selections[RECEIVERS] = {pipc_any(), pipc_except(1), pipc_exactly(1), pipc_up_to(2)};
    pipc_selection selection = selections[atomic_fetch_add(&crowd->next_receiver, 1) % RECEIVERS];
    struct queue_got got;
    while (atomic_load(&crowd->gone) < ALL) {
        int error = queue_receive(crowd->queue, selection, &got, PIPC_MS(20));
        if (error == PIPC_E_TIMEOUT || error == PIPC_E_INTERRUPTED)
            continue;
        REQUIRE_OK(error);
        REQUIRE(got.number < ALL);
        REQUIRE_EQUAL(atomic_fetch_add(&crowd->times[got.number], 1), 0);
        atomic_fetch_add(&crowd->gone, 1);
    }
    return NULL;
}

static void *look(void *argument)
{
    struct crowd *crowd = argument;
    struct queue_got got;
    while (atomic_load(&crowd->gone) < ALL) {
        CHECK(queue_info(crowd->queue).messages <= PLACES);
        queue_peek(crowd->queue, pipc_exactly(2), &got, PIPC_MS(1));
        queue_peek(crowd->queue, pipc_up_to(3), &got, PIPC_NOWAIT);
    }
    return NULL;
}

static void *disturb(void *argument)
{
    struct crowd *crowd = argument;
    while (atomic_load(&crowd->gone) < ALL) {
        uint64_t dropped = 0;
        CHECK_OK(pipc_queue_interrupt(crowd->queue));
        int error = pipc_queue_purge(crowd->queue, &dropped);
        CHECK(error == 0 || error == PIPC_E_BUSY);
        atomic_fetch_add(&crowd->gone, (uint32_t)dropped);
        test_sleep(PIPC_MS(2));
    }
    return NULL;
}

static void run(struct crowd *crowd, void *(*const *bodies)(void *argument), unsigned count)
{
    pthread_t threads[SENDERS + RECEIVERS + 2];
    for (unsigned i = 0; i < count; i++)
        REQUIRE_EQUAL(pthread_create(&threads[i], NULL, bodies[i], crowd), 0);
    for (unsigned i = 0; i < count; i++)
        REQUIRE_EQUAL(pthread_join(threads[i], NULL), 0);
    CHECK_EQUAL(atomic_load(&crowd->sent), ALL);
    CHECK_EQUAL(atomic_load(&crowd->gone), ALL);
    pipc_queue_info info = queue_info(crowd->queue);
    CHECK_EQUAL(info.messages, 0);
    CHECK_EQUAL(info.sent, ALL);
    queue_check_room(crowd->queue, PLACES, LARGE);
    queue_end(crowd->queue, "q");
}

static void threads_on_one_handle_lose_and_double_nothing(void)
{
    void *(*const bodies[])(void *) = {send_all,    send_all,    send_all,    receive_all,
                                       receive_all, receive_all, receive_all, look};
    run(new_crowd(), bodies, sizeof bodies / sizeof *bodies);
}

static void threads_that_purge_and_interrupt_lose_nothing_else(void)
{
    void *(*const bodies[])(void *) = {send_all,    send_all,    send_all, receive_all, receive_all,
                                       receive_all, receive_all, look,     disturb};
    run(new_crowd(), bodies, sizeof bodies / sizeof *bodies);
}

static const struct test tests[] = {
    {"Q13 Q4", "threads_on_one_handle_lose_and_double_nothing", threads_on_one_handle_lose_and_double_nothing, 180},
    {"Q13 Q15", "threads_that_purge_and_interrupt_lose_nothing_else",
     threads_that_purge_and_interrupt_lose_nothing_else, 180},
};

TEST_MAIN("queue_thread", tests)
