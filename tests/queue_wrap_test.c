/* Counters that come round: sequence words, the slots' generations, tickets, the count of interrupts. Each is
 * set to just below its end, as it would be after years of traffic, and traffic goes on over it. */
#define _GNU_SOURCE
#include "support_queue.h"

#include <pthread.h>

#include "core/slot.h"

enum { PLACES = 4, ROUNDS = 3000, BIG = 9000 };

struct road {
    pipc_queue *queue;
    bool picky; /* the receiver selects */
};

static uint64_t size_of(uint64_t number)
{
    return number % 7 ? 64 : BIG;
}

static int send_all(void *argument)
{
    struct road *road = argument;
    for (uint64_t i = 0; i < ROUNDS; i++)
        REQUIRE_OK(queue_send(road->queue, 3, 0, i, size_of(i), PIPC_SECONDS(40)));
    return 0;
}

static int receive_all(void *argument)
{
    struct road *road = argument;
    struct queue_got got;
    for (uint64_t i = 0; i < ROUNDS; i++) {
        REQUIRE_OK(queue_receive(road->queue, road->picky ? pipc_exactly(3) : pipc_any(), &got, PIPC_SECONDS(40)));
        REQUIRE_EQUAL(got.number, i);
        REQUIRE_EQUAL(got.size, size_of(i));
    }
    return 0;
}

/* Everything comes, in order, and nobody sleeps on. */
static void trade(pipc_queue *queue, bool picky)
{
    struct road road = {queue, picky};
    pid_t receiver = test_fork(receive_all, &road), sender = test_fork(send_all, &road);
    CHECK_EQUAL(test_wait(sender, PIPC_SECONDS(50)), 0);
    CHECK_EQUAL(test_wait(receiver, PIPC_SECONDS(50)), 0);
}

static void end_sound(pipc_queue *queue, uint64_t sent)
{
    pipc_queue_info info = queue_info(queue);
    CHECK_EQUAL(info.sent, sent);
    CHECK_EQUAL(info.received, sent);
    CHECK_EQUAL(info.messages, 0);
    queue_check_room(queue, PLACES, 64);
    queue_end(queue, "q");
}

static void set_word(struct pipc_word *word)
{
    atomic_store(&word->word, UINT32_MAX & ~UINT32_C(63));
}

static bool came_round(struct pipc_word *word)
{
    return atomic_load(&word->word) < UINT32_MAX / 2;
}

/* A queue of one place: both sides sleep all the time. */
static void sequence_words_come_round_and_nobody_sleeps_on(void)
{
    for (unsigned picky = 0; picky < 2; picky++) {
        pipc_queue *queue = queue_make("q", 1, BIG);
        struct pipc_control *control = queue->control;
        set_word(&control->items);
        set_word(&control->picky);
        set_word(&control->room);
        trade(queue, picky);
        CHECK(came_round(&control->room));
        CHECK(came_round(picky ? &control->picky : &control->items));
        queue_check_room(queue, 1, 64);
        queue_end(queue, "q");
    }
}

static void fill_and_empty(pipc_queue *queue)
{
    for (uint64_t i = 0; i < PLACES; i++)
        REQUIRE_OK(queue_send(queue, 3, 0, i, size_of(i), PIPC_NOWAIT));
    for (uint64_t i = 0; i < PLACES; i++)
        queue_expect(queue, pipc_any(), i);
}

static void generations_come_round_and_no_message_is_mistaken(void)
{
    pipc_queue *queue = queue_make("q", PLACES, BIG);
    for (uint32_t slot = 0; slot < PLACES; slot++)
        atomic_store(&queue->words[slot], pipc_word_make(PIPC_SLOT_FREE, PIPC_GENERATION_MASK - 2, 0));
    for (unsigned i = 0; i < 4; i++)
        fill_and_empty(queue);
    for (uint32_t slot = 0; slot < PLACES; slot++)
        CHECK_EQUAL(pipc_word_generation(atomic_load(&queue->words[slot])), 1);
    for (uint32_t slot = 0; slot < PLACES; slot++)
        atomic_store(&queue->words[slot], pipc_word_make(PIPC_SLOT_FREE, PIPC_GENERATION_MASK - slot, 0));
    trade(queue, true);
    end_sound(queue, 4 * PLACES + ROUNDS);
}

/* Tickets are the messages' age. Of 64 bits none comes round; those of 32, and the sign, must mean nothing. */
static void old_tickets_keep_the_order(void)
{
    static const uint64_t ends[] = {UINT32_MAX, INT32_MAX, INT64_MAX, UINT64_MAX - 100 * ROUNDS};
    for (unsigned i = 0; i < sizeof ends / sizeof *ends; i++) {
        pipc_queue *queue = queue_make("q", PLACES, BIG);
        struct pipc_control *control = queue->control;
        atomic_store(&control->tickets, ends[i] - 20);
        atomic_store(&control->spare_tickets, ends[i] - 20);
        control->floor = ends[i] - 30;
        control->pulls = ends[i] - 10;
        trade(queue, i % 2);
        end_sound(queue, ROUNDS);
    }
}

static void *interrupt_when_asleep(void *argument)
{
    pipc_queue *queue = argument;
    while (queue_info(queue).waiters == 0)
        test_sleep(PIPC_US(100));
    CHECK_OK(pipc_queue_interrupt(queue));
    return NULL;
}

static void interrupts_come_round_and_none_is_missed(void)
{
    struct queue_got got;
    pipc_queue *queue = queue_make("q", 1, 64);
    atomic_store(&queue->interrupts.count, UINT32_MAX - 2);
    for (unsigned i = 0; i < 6; i++) {
        pthread_t thread;
        REQUIRE(pthread_create(&thread, NULL, interrupt_when_asleep, queue) == 0);
        CHECK_ERROR(queue_receive(queue, pipc_any(), &got, PIPC_SECONDS(40)), INTERRUPTED);
        pthread_join(thread, NULL);
    }
    CHECK(atomic_load(&queue->interrupts.count) < 10);
    queue_end(queue, "q");
}

struct bell {
    pipc_event there, back;
};

static int answer_all(void *argument)
{
    struct bell *bell = argument;
    for (uint32_t i = 0; i < ROUNDS; i++) {
        REQUIRE_OK(pipc_event_wait(&bell->there, i, NULL, PIPC_SECONDS(40)));
        REQUIRE_OK(pipc_event_set(&bell->back, i + 1, PIPC_WAKE_ALL));
    }
    return 0;
}

static void an_events_words_come_round(void)
{
    struct bell *bell = test_shared(sizeof *bell);
    struct pipc_word *words[] = {(struct pipc_word *)&bell->there.words[1], (struct pipc_word *)&bell->back.words[1]};
    set_word(words[0]);
    set_word(words[1]);
    pid_t child = test_fork(answer_all, bell);
    for (uint32_t i = 0; i < ROUNDS; i++) {
        REQUIRE_OK(pipc_event_set(&bell->there, i + 1, PIPC_WAKE_ALL));
        REQUIRE_OK(pipc_event_wait(&bell->back, i, NULL, PIPC_SECONDS(40)));
    }
    CHECK_EQUAL(test_wait(child, PIPC_SECONDS(50)), 0);
    CHECK(came_round(words[0]) && came_round(words[1]));
}

static const struct test tests[] = {
    {"Q7", "sequence_words_come_round_and_nobody_sleeps_on", sequence_words_come_round_and_nobody_sleeps_on, 120},
    {"Q4 Q5", "generations_come_round_and_no_message_is_mistaken", generations_come_round_and_no_message_is_mistaken,
     0},
    {"Q5 Q11", "old_tickets_keep_the_order", old_tickets_keep_the_order, 240},
    {"Q12", "interrupts_come_round_and_none_is_missed", interrupts_come_round_and_none_is_missed, 0},
    {"M7", "an_events_words_come_round", an_events_words_come_round, 0},
};

TEST_MAIN("queue_wrap", tests)
