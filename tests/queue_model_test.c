/* Random calls by one process, compared with a model of a queue that anyone can read: Q5, Q6, Q9, Q11, Q15. */
#include "support_model.h"
#include "support_queue.h"

#include <stdlib.h>

enum { TYPES = 6 };

static uint64_t random_size(uint64_t *random)
{
    uint32_t dice = test_random(random, 10);
    if (dice == 0)
        return 9000 + test_random(random, 9000);
    return dice == 1 ? 8000 + test_random(random, 400) : 8 + test_random(random, 100);
}

static void step_send(pipc_queue *queue, struct model *model, uint64_t *random)
{
    struct model_entry entry = {.number = model->next++, .size = random_size(random)};
    entry.type = 1 + test_random(random, TYPES);
    entry.priority = test_random(random, 2) ? 0 : test_random(random, 32);
    int error = queue_send(queue, entry.type, entry.priority, entry.number, entry.size, PIPC_NOWAIT);
    if (model_send(model, &entry))
        REQUIRE_OK(error);
    else
        REQUIRE_ERROR(error, FULL);
}

static void check_got(const struct queue_got *got, const struct model_entry *entry)
{
    REQUIRE_EQUAL(got->number, entry->number);
    REQUIRE_EQUAL(got->size, entry->size);
    REQUIRE_EQUAL(got->type, entry->type);
    REQUIRE_EQUAL(got->priority, entry->priority);
}

static void step_take(pipc_queue *queue, struct model *model, uint64_t *random, bool peek)
{
    pipc_selection selection = queue_any_selection(random, TYPES);
    struct model_entry *entry = model_choose(model, selection);
    struct queue_got got;
    int error = (peek ? queue_peek : queue_receive)(queue, selection, &got, PIPC_NOWAIT);
    if (!entry) {
        REQUIRE_ERROR(error, EMPTY);
        return;
    }
    REQUIRE_OK(error);
    check_got(&got, entry);
    if (!peek)
        model_take(model, entry);
}

static void step_too_small(pipc_queue *queue, struct model *model, uint64_t *random)
{
    pipc_selection selection = queue_any_selection(random, TYPES);
    struct model_entry *entry = model_choose(model, selection);
    char byte;
    pipc_message message = {.data = &byte, .size = 1};
    if (!entry)
        return;
    REQUIRE_ERROR(pipc_queue_receive(queue, selection, &message, PIPC_NOWAIT), TOO_SMALL);
    REQUIRE_EQUAL(message.size, entry->size);
}

static void step_purge(pipc_queue *queue, struct model *model)
{
    uint64_t dropped = 0;
    REQUIRE_OK(pipc_queue_purge(queue, &dropped));
    REQUIRE_EQUAL(dropped, model_purge(model));
}

static void compare_statistics(pipc_queue *queue, const struct model *model)
{
    pipc_queue_info info = queue_info(queue);
    REQUIRE_EQUAL(info.messages, model->count);
    REQUIRE_EQUAL(info.sent, model->sent);
    REQUIRE_EQUAL(info.received, model->received);
    REQUIRE_EQUAL(info.high_water, model->high_water);
    REQUIRE(model_agrees(model, &info));
}

/* `sends` of ten steps send: above 5 the queue tends to be full, below to be empty. */
static void step(pipc_queue *queue, struct model *model, uint64_t *random, uint32_t sends)
{
    uint32_t dice = test_random(random, 100);
    if (dice == 0 && test_random(random, 5) == 0)
        step_purge(queue, model);
    else if (dice < 10)
        step_take(queue, model, random, true);
    else if (dice < 15)
        step_too_small(queue, model, random);
    else if (test_random(random, 10) < sends)
        step_send(queue, model, random);
    else
        step_take(queue, model, random, false);
}

static void play(uint32_t capacity, uint32_t steps, uint64_t seed)
{
    struct model *model = calloc(1, sizeof *model);
    REQUIRE(model != NULL);
    pipc_queue *queue = queue_make("q", capacity, 20000);
    model->capacity = capacity;
    for (uint32_t i = 0; i < steps; i++) {
        step(queue, model, &seed, i / 500 % 2 ? 3 : 7);
        if (i % 50 == 0)
            compare_statistics(queue, model);
    }
    compare_statistics(queue, model);
    queue_end(queue, "q");
    free(model);
}

static void calls_answer_as_the_model_does_with_one_place(void)
{
    play(1, 3000, 1);
}

static void calls_answer_as_the_model_does_with_a_few_places(void)
{
    play(4, 5000, 2);
    play(10, 5000, 3);
    play(11, 5000, 4);
}

static void calls_answer_as_the_model_does_beyond_the_kernels_depth(void)
{
    play(64, 10000, 5);
    play(MODEL_MOST, 20000, 6);
}

static const struct test tests[] = {
    {"Q5 Q6 Q9 Q11 Q15", "calls_answer_as_the_model_does_with_one_place", calls_answer_as_the_model_does_with_one_place,
     0},
    {"Q5 Q6 Q9 Q11 Q15", "calls_answer_as_the_model_does_with_a_few_places",
     calls_answer_as_the_model_does_with_a_few_places, 0},
    {"Q5 Q6 Q9 Q11 Q15", "calls_answer_as_the_model_does_beyond_the_kernels_depth",
     calls_answer_as_the_model_does_beyond_the_kernels_depth, 0},
};

TEST_MAIN("queue_model", tests)
