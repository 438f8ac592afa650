/* Somebody meddles with the kernel's queue or scribbles in the shared pages: G5 and G6. */
#include "support_queue.h"

#include <string.h>

#include "core/slot.h"
#include "probe.h"

/* ---- The kernel's queue ---- */

/* The place of a stolen message comes back when somebody looks who may receive. */
static void place_of_a_stolen_message_comes_back(void)
{
    for (unsigned stolen = 1; stolen <= 3; stolen++) {
        pipc_queue *queue = queue_make("q", 3, 64);
        struct queue_got got;
        for (uint64_t i = 0; i < 3; i++)
            REQUIRE_OK(queue_send(queue, 1, 0, i, 8, PIPC_NOWAIT));
        for (unsigned i = 0; i < stolen; i++)
            REQUIRE(probe_queue_steal(test_name("q")));
        for (uint64_t i = stolen; i < 3; i++)
            queue_expect(queue, pipc_any(), i);
        CHECK_ERROR(queue_receive(queue, pipc_any(), &got, PIPC_MS(100)), TIMEOUT);
        queue_check_room(queue, 3, 64);
        CHECK_EQUAL(queue_info(queue).messages, 0);
        queue_end(queue, "q");
    }
}

static int receive_patiently(void *argument)
{
    struct queue_got got;
    return queue_receive(argument, pipc_exactly(2), &got, PIPC_SECONDS(20));
}

/* All places stolen: a sender finds the queue full; a receiver who waits meanwhile gives them back. */
static void blocked_sender_gets_the_place_of_a_stolen_message(void)
{
    pipc_queue *queue = queue_make("q", 2, 64);
    REQUIRE_OK(queue_send(queue, 1, 0, 1, 8, PIPC_NOWAIT));
    REQUIRE_OK(queue_send(queue, 1, 0, 2, 8, PIPC_NOWAIT));
    REQUIRE(probe_queue_steal(test_name("q")) && probe_queue_steal(test_name("q")));
    pid_t receiver = test_fork(receive_patiently, queue);
    CHECK_OK(queue_send(queue, 2, 0, 3, 8, PIPC_SECONDS(15)));
    CHECK_EQUAL(test_wait(receiver, PIPC_SECONDS(25)), 0);
    queue_check_room(queue, 2, 64);
    queue_end(queue, "q");
}

/* Texts that no sender of ours wrote are thrown away, and cost no place. */
static void foreign_messages_are_dropped(void)
{
    static const size_t sizes[] = {0, 1, 4, 8, 16, 31, 32, 33, 40, 47, 48, 49, 56, 64, 100};
    unsigned char text[100];
    pipc_queue *queue = queue_make("q", 3, 64);
    for (unsigned i = 0; i < sizeof sizes / sizeof sizes[0]; i++) {
        for (unsigned filling = 0; filling < 256; filling += 85) {
            memset(text, (int)filling, sizeof text);
            REQUIRE_OK(queue_send(queue, 1, 1, i, 8, PIPC_NOWAIT));
            if (!probe_queue_inject(test_name("q"), text, sizes[i], filling % 32))
                CHECK(sizes[i] > 64); /* a kernel queue made for 64 bytes may refuse that */
            REQUIRE_OK(queue_send(queue, 1, 1, i + 1000, 8, PIPC_NOWAIT));
            queue_expect(queue, pipc_any(), i);
            queue_expect(queue, pipc_exactly(1), i + 1000);
        }
    }
    struct queue_got got;
    CHECK_ERROR(queue_receive(queue, pipc_any(), &got, PIPC_MS(50)), TIMEOUT);
    queue_check_room(queue, 3, 64);
    queue_end(queue, "q");
}

/* A peer that may only send writes into the header of a queue which kernel queue it has: that of another one of the
 * same owner. Neither opening nor removing the first may touch what lies in the second. */
static void header_cannot_lead_to_another_queue(void)
{
    size_t bytes, others;
    pipc_queue *mine = queue_make("mine", 3, 64), *other = queue_make("other", 3, 64), *again = NULL;
    struct queue_got got;
    REQUIRE_OK(queue_send(other, 1, 0, 7, 8, PIPC_NOWAIT));
    struct pipc_object *object = probe_map(PIPC_KIND_QUEUE, test_name("mine"), &bytes);
    struct pipc_object *source = probe_map(PIPC_KIND_QUEUE, test_name("other"), &others);
    REQUIRE(object && source);
    REQUIRE(probe_queue_remove(test_name("mine"))); /* nobody will find it any more */
    object->queue_label = source->queue_label;
    object->queue_id = source->queue_id;
    int error = pipc_queue_open(&again, test_name("mine"), 0, NULL);
    CHECK_ERROR(error, DAMAGED);
    if (again)
        CHECK_ERROR(queue_receive(again, pipc_any(), &got, PIPC_NOWAIT), EMPTY);
    CHECK_OK(pipc_queue_close(again));
    CHECK_OK(pipc_queue_remove(test_name("mine")));
    queue_expect(other, pipc_any(), 7);
    probe_unmap(object, bytes);
    probe_unmap(source, others);
    queue_end(other, "other");
    CHECK_OK(pipc_queue_close(mine));
}

/* A forger knows everything but one thing: each alone must give it away, and the true message stays whole. */
static void forged_messages_are_dropped(void)
{
    enum { TRUE, NONCE, TICKET, GENERATION, SLOT, LENGTH, TYPE, PRIORITY, KINDS };
    for (unsigned kind = NONCE; kind < KINDS; kind++) {
        pipc_queue *queue = queue_make("q", 3, 64);
        struct {
            struct pipc_envelope envelope;
            unsigned char body[8];
        } forged = {.body = "forged"};
        REQUIRE_OK(queue_send(queue, 1, 0, 77, 8, PIPC_NOWAIT));
        uint32_t slot = 0;
        while (slot < 2 && pipc_word_state(atomic_load(&queue->words[slot])) != PIPC_SLOT_SENT)
            slot++;
        forged.envelope = (struct pipc_envelope){
            .nonce = queue->nonce + (kind == NONCE),
            .ticket = atomic_load(&queue->slots[slot].ticket) + (kind == TICKET),
            .slot = kind == SLOT ? queue->max_messages : slot,
            .type = kind == TYPE ? 0 : 1,
            .length = kind == LENGTH ? 7 : 8,
            .generation = (uint16_t)(pipc_word_generation(atomic_load(&queue->words[slot])) + (kind == GENERATION)),
            .priority = kind == PRIORITY ? 32 : 31};
        REQUIRE(probe_queue_inject(test_name("q"), &forged, sizeof forged.envelope + 8, 31));
        queue_expect(queue, pipc_any(), 77);
        queue_check_room(queue, 3, 64);
        queue_end(queue, "q");
    }
}

/* As many foreign messages as the kernel's queue takes: sends find another way; receives may say "damaged" while
 * they throw the flood away, or "busy" where that takes long, but must come through it, in order, and never say
 * "empty". */
static void kernel_queue_full_of_foreign_messages_stops_nobody(void)
{
    unsigned char text[32] = {7};
    pipc_queue *queue = queue_make("q", 20, 64);
    uint64_t received = 0;
    for (unsigned i = 0; i < 2000 && probe_queue_inject(test_name("q"), text, sizeof text, 31); i++)
        ;
    for (uint64_t i = 0; i < 20; i++)
        REQUIRE_OK(queue_send(queue, 1, 0, i, 8, PIPC_NOWAIT));
    for (unsigned tries = 0; tries < 200 && received < 20; tries++) {
        struct queue_got got;
        int error = queue_receive(queue, pipc_any(), &got, PIPC_NOWAIT);
        REQUIRE(error == 0 || error == PIPC_E_DAMAGED || error == PIPC_E_BUSY);
        if (error == 0)
            REQUIRE_EQUAL(got.number, received++);
    }
    CHECK_EQUAL(received, 20);
    queue_check_room(queue, 20, 64);
    queue_end(queue, "q");
}

/* Where a handle still reaches the kernel's queue (the name only is gone) it goes on; else it says "damaged". */
static void kernel_queue_removed_behind_our_back_is_damage_and_no_hang(void)
{
    pipc_queue *queue = queue_make("q", 3, 64), *late = NULL;
    struct queue_got got;
    REQUIRE_OK(queue_send(queue, 1, 0, 1, 8, PIPC_NOWAIT));
    REQUIRE(probe_queue_remove(test_name("q")));
    CHECK_ERROR(pipc_queue_open(&late, test_name("q"), 0, NULL), DAMAGED);
    CHECK(late == NULL);
    int error = queue_send(queue, 1, 0, 2, 8, PIPC_MS(100));
    CHECK(error == 0 || error == PIPC_E_DAMAGED);
    error = queue_receive(queue, pipc_any(), &got, PIPC_MS(100));
    CHECK(error == 0 || error == PIPC_E_DAMAGED);
    queue_end(queue, "q");
    queue_end(queue_make("q", 3, 64), "q");
}

struct flood {
    pipc_queue *queue;
    _Atomic uint32_t stop, calls;
    _Atomic int64_t worst;
};

/* As fast as the kernel takes them. */
static int pour(void *argument)
{
    struct flood *flood = argument;
    _Alignas(8) char text[PIPC_BE_PREFIX + 1] = "";
    while (!atomic_load(&flood->stop))
        pipc_be_queue_put(flood->queue->kernel, text + PIPC_BE_PREFIX, 1, 0);
    return 0;
}

static int call_and_measure(void *argument)
{
    struct flood *flood = argument;
    while (!atomic_load(&flood->stop)) {
        struct queue_got got;
        uint32_t number = atomic_fetch_add(&flood->calls, 1);
        int64_t began = test_now();
        int error = queue_receive(flood->queue, pipc_exactly(2), &got, number % 2 ? PIPC_MS(2) : PIPC_NOWAIT);
        int64_t took = test_now() - began;
        CHECK(error == PIPC_E_EMPTY || error == PIPC_E_BUSY || error == PIPC_E_TIMEOUT);
        if (took > atomic_load(&flood->worst))
            atomic_store(&flood->worst, took);
    }
    return 0;
}

/* So many places would allow a look of many seconds. Two pour, two look, one sends and receives its own. */
static void flood_of_a_large_queue_holds_nobody_up(void)
{
    struct flood *flood = test_shared(sizeof *flood);
    struct queue_got got;
    pid_t children[4];
    flood->queue = queue_make("q", 1000000, 8);
    REQUIRE_OK(queue_send(flood->queue, 3, 0, 9, 8, PIPC_NOWAIT));
    for (unsigned i = 0; i < 4; i++)
        children[i] = test_fork(i < 2 ? pour : call_and_measure, flood);
    int64_t end = test_now() + PIPC_SECONDS(3);
    while (test_now() < end)
        test_sleep(PIPC_MS(10));
    atomic_store(&flood->stop, 1);
    for (unsigned i = 0; i < 4; i++)
        CHECK_EQUAL(test_wait(children[i], PIPC_SECONDS(20)), 0);
    CHECK(atomic_load(&flood->calls) > 2);
    CHECK(atomic_load(&flood->worst) < PIPC_SECONDS(2));
    if (CHECK_OK(queue_receive(flood->queue, pipc_any(), &got, PIPC_SECONDS(20))))
        CHECK_EQUAL(got.number, 9);
    queue_end(flood->queue, "q");
}

/* ---- The shared pages ---- */

static int use_every_call(void *argument)
{
    unsigned char bytes[64] = {0};
    pipc_queue_info info;
    for (uint64_t i = 0; i < 10; i++) {
        pipc_message message = {.data = bytes, .size = sizeof bytes, .flags = PIPC_TRUNCATE};
        pipc_message sent = {.data = bytes, .size = i % 64, .type = 1 + (uint32_t)i % 3, .priority = i % 32};
        pipc_queue_send(argument, &sent, i % 4 ? PIPC_NOWAIT : PIPC_MS(2));
        message.size = sizeof bytes;
        pipc_queue_receive(argument, i % 2 ? pipc_any() : pipc_exactly(2), &message, i % 5 ? PIPC_NOWAIT : PIPC_MS(2));
        message.size = sizeof bytes;
        pipc_queue_peek(argument, pipc_up_to(2), &message, PIPC_NOWAIT);
        pipc_queue_statistics(argument, &info);
        if (i % 5 == 4)
            pipc_queue_purge(argument, NULL);
    }
    return 0;
}

static void scribble(unsigned char *bytes, size_t count, uint64_t *random)
{
    static const unsigned char fillings[] = {0x00, 0xff, 0x7f, 0x80, 0x01};
    for (unsigned i = 0; i < 8; i++) {
        /* Most of it hits the control words in front, the rest anywhere. */
        size_t range = i % 4 ? (count < 1024 ? count : 1024) : count;
        size_t at = test_random(random, (uint32_t)range), length = 1 + test_random(random, 8);
        unsigned char filling = i % 2 ? (unsigned char)test_random(random, 256) : fillings[test_random(random, 5)];
        for (size_t j = at; j < count && j < at + length; j++)
            bytes[j] = filling;
    }
}

/* Random bytes over the control pages before and while another process works with the queue: it may get any
 * answer, but must neither crash nor outstay its timeouts. */
static void scribbling_crashes_and_hangs_nobody(void)
{
    uint64_t random = (uint64_t)test_now();
    for (unsigned round = 0; round < 80 && test_failures() == 0; round++) {
        size_t bytes = 0;
        pipc_queue *queue = queue_make("q", 6, 64);
        for (uint64_t i = 0; i < 5; i++)
            REQUIRE_OK(queue_send(queue, 1 + (uint32_t)i % 3, 0, i, 8 + i, PIPC_NOWAIT));
        struct pipc_object *object = probe_map(PIPC_KIND_QUEUE, test_name("q"), &bytes);
        REQUIRE(object != NULL);
        unsigned char *data = (unsigned char *)object + pipc_page();
        scribble(data, bytes - pipc_page(), &random);
        pid_t user = test_fork(use_every_call, queue);
        for (unsigned i = 0; i < round % 20; i++)
            scribble(data, bytes - pipc_page(), &random);
        CHECK_EQUAL(test_wait(user, PIPC_SECONDS(30)), 0);
        probe_unmap(object, bytes);
        queue_end(queue, "q");
    }
}

static const struct test tests[] = {
    {"G5", "place_of_a_stolen_message_comes_back", place_of_a_stolen_message_comes_back, 0},
    {"G5", "blocked_sender_gets_the_place_of_a_stolen_message", blocked_sender_gets_the_place_of_a_stolen_message, 0},
    {"G6", "foreign_messages_are_dropped", foreign_messages_are_dropped, 0},
    {"Q1 G6", "header_cannot_lead_to_another_queue", header_cannot_lead_to_another_queue, 0},
    {"G6", "forged_messages_are_dropped", forged_messages_are_dropped, 0},
    {"G6", "kernel_queue_full_of_foreign_messages_stops_nobody", kernel_queue_full_of_foreign_messages_stops_nobody, 0},
    {"Q7 G6", "flood_of_a_large_queue_holds_nobody_up", flood_of_a_large_queue_holds_nobody_up, 0},
    {"G6", "kernel_queue_removed_behind_our_back_is_damage_and_no_hang",
     kernel_queue_removed_behind_our_back_is_damage_and_no_hang, 0},
    {"G6", "scribbling_crashes_and_hangs_nobody", scribbling_crashes_and_hangs_nobody, 0},
};

TEST_MAIN("queue_foreign", tests)
