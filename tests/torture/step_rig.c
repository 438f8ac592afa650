/* kill -9 after each instruction of each call that moves messages, or only looks at them: G1, G2, G3, G5. A storm of
 * random kills spends most of them inside system calls; this one visits the few instructions between two stores as
 * often as any other. */
#include "step_trial.h"
#include "support_queue.h"

enum { PLACES = 5, WAITING = 3, MANY_PLACES = 14, MANY = 12, LARGE = 4000 };

/* ---- What a call finds, and what must be there after it ---- */

static unsigned char body[STEP_BIG]; /* of STEP_NEW; its many steps are not the call's */

static void set_queue(struct step_stage *stage)
{
    const struct step_case *of = stage->of;
    for (uint64_t i = 8; i < sizeof body; i++)
        body[i] = queue_padding(STEP_NEW, i);
    body[0] = STEP_NEW;
    stage->queue = queue_make("q", of->places, of->max_size);
    for (uint32_t i = 0; i < of->waiting; i++)
        REQUIRE_OK(queue_send(stage->queue, 1 + i, 0, i, of->waiting_size, PIPC_NOWAIT));
    struct queue_got got;
    if (of->stowed)
        REQUIRE_ERROR(queue_receive(stage->queue, pipc_exactly(99), &got, PIPC_NOWAIT), EMPTY);
    if (of->dies)
        step_die(stage);
}

static void note_missing(struct step_stage *stage, uint32_t number)
{
    const struct step_case *of = stage->of;
    if (number != of->selected && !of->drops_all)
        step_bad(stage, &stage->figures.lost, "message %u is lost", number);
}

/* Is this the next that may come? Notes those that it passed over. */
static bool take_note(struct step_stage *stage, const struct queue_got *got, uint32_t *next)
{
    const struct step_case *of = stage->of;
    bool is_new = got->number == STEP_NEW && of->sends;
    uint64_t number = is_new ? of->waiting : got->number;
    if (!got->whole)
        step_bad(stage, &stage->figures.torn, "the body of message %llu is torn", (unsigned long long)got->number);
    if (number < *next || number > of->waiting || (number == of->waiting && !is_new)) {
        step_bad(stage, &stage->figures.duplicated, "message %llu came again, or behind a later one",
                 (unsigned long long)got->number);
        return false;
    }
    for (; *next < number; ++*next)
        note_missing(stage, *next);
    ++*next;
    return true;
}

/* Takes all that is there. The first call after the death also pays for it. */
static uint32_t drain(struct step_stage *stage)
{
    struct queue_got got;
    uint32_t next = 0, taken = 0;
    int error;
    int64_t began = test_now(), delay = 0;
    while ((error = queue_receive(stage->queue, pipc_any(), &got, PIPC_NOWAIT)) == 0 || error == PIPC_E_BUSY) {
        if (error && test_now() - began < PIPC_SECONDS(30))
            continue;
        delay = delay ? delay : test_now() - began;
        if (error || !take_note(stage, &got, &next))
            break;
        taken++;
    }
    delay = delay ? delay : test_now() - began;
    if (!stage->whole && delay > stage->figures.worst_delay)
        stage->figures.worst_delay = delay;
    if (error != PIPC_E_EMPTY)
        step_bad(stage, &stage->figures.hangs, "receive answered %s", pipc_error_name(error));
    if (stage->whole && stage->of->sends && next != stage->of->waiting + 1)
        step_bad(stage, &stage->figures.lost, "the message that was sent is not there");
    for (; next < stage->of->waiting; next++)
        note_missing(stage, next);
    return taken;
}

/* Exactly `places` messages fit, whatever the dead one held. */
static void check_room(struct step_stage *stage)
{
    uint32_t fit = 0, places = stage->of->places;
    struct queue_got got;
    while (fit <= places && queue_send(stage->queue, 1, 0, fit, 8, fit < places ? PIPC_SECONDS(20) : PIPC_NOWAIT) == 0)
        fit++;
    if (fit != places)
        step_bad(stage, &stage->figures.leaks, "%u messages fit, not %u", fit, places);
    for (uint32_t i = 0; i < fit; i++)
        if (queue_receive(stage->queue, pipc_any(), &got, PIPC_NOWAIT) != 0 || got.number != i)
            step_bad(stage, &stage->figures.lost, "the queue that was filled anew gives not message %u", i);
    uint64_t left = queue_info(stage->queue).messages;
    if (left)
        step_bad(stage, &stage->figures.leaks, "statistics tell %u messages in the empty queue", (unsigned)left);
}

static int receive_later(void *argument)
{
    struct queue_got got;
    struct step_stage *stage = argument;
    return queue_receive(stage->queue, pipc_exactly(7), &got, PIPC_SECONDS(20));
}

/* A sleeper that comes now is woken, whatever marks the dead one left. */
static void check_sleeper(struct step_stage *stage)
{
    pid_t child = test_fork(receive_later, stage);
    test_await_sleep(child);
    int64_t began = test_now();
    CHECK_OK(queue_send(stage->queue, 7, 0, 7, 8, PIPC_SECONDS(20)));
    int ended = test_wait(child, PIPC_SECONDS(30));
    if (ended)
        step_bad(stage, &stage->figures.hangs, "a receiver that slept afterwards ended with %d", ended);
    if (test_now() - began > stage->figures.worst_delay)
        stage->figures.worst_delay = test_now() - began;
}

static void judge_queue(struct step_stage *stage)
{
    const struct step_case *of = stage->of;
    uint64_t told = queue_info(stage->queue).messages;
    uint32_t taken = drain(stage);
    if (!of->drops_all && (taken < told || taken > told + of->sends))
        step_bad(stage, &stage->figures.lost, "statistics told %u messages, there were %u", (unsigned)told, taken);
    check_room(stage);
    if (of->waits)
        check_sleeper(stage);
    CHECK_OK(pipc_queue_close(queue_join("q", 0)));
    queue_end(stage->queue, "q");
}

/* ---- The calls ---- */

static int send_size(struct step_stage *stage, uint64_t size, int64_t timeout)
{
    pipc_message message = {.data = body, .size = size, .type = 9};
    return pipc_queue_send(stage->queue, &message, timeout);
}

static int send_small(struct step_stage *stage)
{
    return send_size(stage, 64, PIPC_NOWAIT);
}

static int send_large(struct step_stage *stage)
{
    return send_size(stage, LARGE, PIPC_NOWAIT);
}

static int send_big(struct step_stage *stage)
{
    return send_size(stage, STEP_BIG, PIPC_NOWAIT);
}

static int send_patiently(struct step_stage *stage)
{
    return send_size(stage, 64, PIPC_US(200));
}

static int receive(struct step_stage *stage, pipc_selection selection, int64_t timeout)
{
    static unsigned char buffer[STEP_BIG];
    pipc_message message = {.data = buffer, .size = sizeof buffer};
    return pipc_queue_receive(stage->queue, selection, &message, timeout);
}

static int receive_first(struct step_stage *stage)
{
    return receive(stage, pipc_any(), PIPC_NOWAIT);
}

static int receive_last(struct step_stage *stage)
{
    return receive(stage, pipc_exactly(stage->of->waiting), PIPC_NOWAIT);
}

static int receive_other(struct step_stage *stage)
{
    return receive(stage, pipc_except(1), PIPC_NOWAIT);
}

static int receive_lowest(struct step_stage *stage)
{
    return receive(stage, pipc_up_to(3), PIPC_NOWAIT);
}

static int receive_none(struct step_stage *stage)
{
    return receive(stage, pipc_exactly(99), PIPC_NOWAIT);
}

static int receive_patiently(struct step_stage *stage)
{
    return receive(stage, pipc_any(), PIPC_US(200));
}

static int receive_small(struct step_stage *stage)
{
    static unsigned char buffer[8];
    pipc_message message = {.data = buffer, .size = sizeof buffer};
    return pipc_queue_receive(stage->queue, pipc_any(), &message, PIPC_NOWAIT);
}

static int peek_second(struct step_stage *stage)
{
    static unsigned char buffer[STEP_BIG];
    pipc_message message = {.data = buffer, .size = sizeof buffer};
    return pipc_queue_peek(stage->queue, pipc_exactly(2), &message, PIPC_NOWAIT);
}

static int purge(struct step_stage *stage)
{
    return pipc_queue_purge(stage->queue, NULL);
}

static int statistics(struct step_stage *stage)
{
    pipc_queue_info info;
    return pipc_queue_statistics(stage->queue, &info);
}

static int interrupt(struct step_stage *stage)
{
    return pipc_queue_interrupt(stage->queue);
}

/* ---- The tests ---- */

#define STEP(what, ...)                                                                                                \
    static void killed_in_a_##what(void)                                                                               \
    {                                                                                                                  \
        step_everywhere(                                                                                               \
            &(struct step_case){.name = "step/" #what, .set = set_queue, .judge = judge_queue, __VA_ARGS__});          \
    }

/* Three messages that wait; by default none of them may be gone. */
#define SMALL .places = PLACES, .max_size = 64, .waiting = WAITING, .waiting_size = 64
#define MIXED .places = PLACES, .max_size = STEP_BIG, .waiting = WAITING, .waiting_size = 64
#define BIG   .places = PLACES, .max_size = STEP_BIG, .waiting = WAITING, .waiting_size = STEP_BIG

#define FULL .places = WAITING, .max_size = 64, .waiting = WAITING, .waiting_size = 64

STEP(plain_send, SMALL, .selected = WAITING, .sends = true, .call = send_small)
STEP(send_into_a_full_kernel, .places = MANY_PLACES, .max_size = LARGE, .waiting = MANY, .waiting_size = LARGE,
     .selected = MANY, .sends = true, .call = send_large)
STEP(send_larger_than_the_kernels_limit, MIXED, .selected = WAITING, .sends = true, .call = send_big)
STEP(send_into_a_full_queue, FULL, .selected = WAITING, .call = send_small, .answer = PIPC_E_FULL)
STEP(send_that_waits, FULL, .selected = WAITING, .waits = true, .call = send_patiently, .answer = PIPC_E_TIMEOUT)
STEP(plain_receive, SMALL, .selected = 0, .call = receive_first)
STEP(selective_receive, SMALL, .selected = 2, .call = receive_last)
STEP(receive_except, SMALL, .selected = 1, .call = receive_other)
STEP(receive_up_to, SMALL, .selected = 0, .call = receive_lowest)
STEP(receive_from_a_slot, SMALL, .stowed = true, .selected = 0, .call = receive_first)
STEP(selective_receive_from_a_slot, SMALL, .stowed = true, .selected = 2, .call = receive_last)
STEP(receive_of_a_big_message, BIG, .selected = 2, .call = receive_last)
STEP(receive_that_is_refused, SMALL, .selected = WAITING, .call = receive_small, .answer = PIPC_E_TOO_SMALL)
STEP(receive_of_nothing, SMALL, .selected = WAITING, .call = receive_none, .answer = PIPC_E_EMPTY)
STEP(receive_that_waits, .places = PLACES, .max_size = 64, .waits = true, .call = receive_patiently,
     .answer = PIPC_E_TIMEOUT)
STEP(peek, SMALL, .selected = WAITING, .call = peek_second)
STEP(purge, SMALL, .drops_all = true, .call = purge)
STEP(purge_of_slots, SMALL, .stowed = true, .drops_all = true, .call = purge)
STEP(look_at_statistics, SMALL, .selected = WAITING, .call = statistics)
STEP(interrupt, SMALL, .selected = WAITING, .call = interrupt)

/* The lock's holder is dead already: who repairs may die of it too. */
#define AFTER(call, point) .dies = call, .dies_at = point
STEP(repair_of_a_plain_receive, SMALL, .selected = 0, .call = receive_first, AFTER(receive_first, "receive: claimed"))
STEP(repair_of_a_stow, SMALL, .selected = 2, .call = receive_last,
     AFTER(receive_last, "stow: filled, not in the indexes"))
STEP(repair_of_a_link, SMALL, .stowed = true, .selected = 2, .call = receive_last,
     AFTER(receive_last, "index: link written"))
STEP(repair_of_a_receive_from_a_slot, SMALL, .stowed = true, .selected = 0, .call = receive_first,
     AFTER(receive_first, "receive: out of the indexes, still full"))
STEP(repair_of_a_purge, SMALL, .drops_all = true, .call = purge, AFTER(purge, "purge: some freed"))
STEP(takeover_from_a_dead_sender, .places = WAITING + 1, .max_size = 64, .waiting = WAITING, .waiting_size = 64,
     .selected = WAITING, .sends = true, .call = send_small, AFTER(send_small, "send: reserved, no ticket"))

/* The books tell of a message that is not there: who finds nothing compares them. */
STEP(audit, .places = PLACES, .max_size = 64, .call = receive_none, .answer = PIPC_E_EMPTY,
     AFTER(send_small, "send: reserved, no ticket"))

#define TEST(promises, what)                                                                                           \
    {                                                                                                                  \
        promises, "killed_in_a_" #what, killed_in_a_##what, 0                                                          \
    }

static const struct test tests[] = {
    TEST("G1 G2 G5", plain_send),
    TEST("G1 G2 G5", send_into_a_full_kernel),
    TEST("G1 G2 G5", send_larger_than_the_kernels_limit),
    TEST("G1 G2 G5", send_into_a_full_queue),
    TEST("G1 G2 G5", send_that_waits),
    TEST("G1 G3 G5", plain_receive),
    TEST("G1 G3 G5", selective_receive),
    TEST("G1 G3 G5", receive_except),
    TEST("G1 G3 G5", receive_up_to),
    TEST("G1 G3 G5", receive_from_a_slot),
    TEST("G1 G3 G5", selective_receive_from_a_slot),
    TEST("G1 G3 G5", receive_of_a_big_message),
    TEST("G1 G3 G5", receive_that_is_refused),
    TEST("G1 G3 G5", receive_of_nothing),
    TEST("G1 G3 G5", receive_that_waits),
    TEST("G1 G3", peek),
    TEST("G5", purge),
    TEST("G5", purge_of_slots),
    TEST("G1", look_at_statistics),
    TEST("G1", interrupt),
    TEST("G1 G3 G4 G5", repair_of_a_plain_receive),
    TEST("G1 G3 G4 G5", repair_of_a_stow),
    TEST("G1 G3 G4 G5", repair_of_a_link),
    TEST("G1 G3 G4 G5", repair_of_a_receive_from_a_slot),
    TEST("G4 G5", repair_of_a_purge),
    TEST("G1 G2 G5", takeover_from_a_dead_sender),
    TEST("G2 G5", audit),
};

TEST_MAIN("step", tests)
