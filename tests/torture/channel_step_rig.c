/* kill -9 after each instruction of each call on a channel, in each way to deliver. A producer's record is wholly there
 * or absent, a consumer's comes again, the next call works at once, the figures agree, nothing leaks. */
#include "channel_step_judge.h"

enum { WAITING = 3, BATCH = 3 };

static pipc_record reserved[BATCH]; /* in the child */
static uint32_t peeked;

/* ---- Before ---- */

static pipc_channel *open_it(struct step_stage *stage, uint32_t flags)
{
    const struct ring_case *of = ring_case_of(stage);
    bool once = of->delivery == PIPC_DELIVER_ONCE;
    pipc_channel *channel = NULL;
    REQUIRE_OK(pipc_channel_open(
        &channel, test_name("c"), flags | PIPC_CREATE,
        &(pipc_channel_options){
            .size = RING_SIZE, .producers = of->producers, .delivery = of->delivery, .subscribers = once ? 0 : 2}));
    return channel;
}

/* Moves the ring's end to where a record of this kind does not fit before it. */
static void go_to_the_end(pipc_channel *channel)
{
    struct parcel parcel = ring_parcel(0);
    for (uint64_t at = 0; RING_SIZE - at >= RING_PADDED + 16 + 16; at += (RING_PADDED + 16 + 15) / 16 * 16) {
        REQUIRE_OK(ring_send(channel, 0, PIPC_NOWAIT));
        REQUIRE_OK(parcel_receive(channel, &parcel, NULL, PIPC_NOWAIT));
    }
}

static void set_channel(struct step_stage *stage)
{
    const struct ring_case *of = ring_case_of(stage);
    stage->handle = open_it(stage, 0);
    if (of->at_the_end)
        go_to_the_end(stage->handle);
    for (uint32_t i = 0; i < stage->of->waiting; i++)
        REQUIRE_OK(ring_send(stage->handle, i, PIPC_NOWAIT));
    if (stage->of->dies)
        step_die(stage);
}

/* A subscriber of its own: what waits for it the child sends itself; so do those that the other sees. */
static void ready_subscriber(struct step_stage *stage)
{
    stage->own = parcel_join("c", 0);
    for (uint32_t i = 0; i < ring_case_of(stage)->fresh; i++)
        REQUIRE_OK(ring_send(stage->own, RING_FRESH + i, PIPC_NOWAIT));
}

static int reserve(struct step_stage *stage, uint32_t i)
{
    struct parcel parcel = ring_parcel(RING_FRESH + i);
    reserved[i] = (pipc_record){.size = RING_PADDED};
    int error = pipc_channel_reserve(stage->handle, &reserved[i], PIPC_NOWAIT);
    if (!error)
        parcel_fill(reserved[i].data, &parcel);
    return error;
}

static void ready_reserved(struct step_stage *stage)
{
    for (uint32_t i = 0; i < ring_case_of(stage)->fresh; i++)
        REQUIRE_OK(reserve(stage, i));
}

static pipc_channel *its(struct step_stage *stage)
{
    return stage->own ? stage->own : stage->handle;
}

static int peek(struct step_stage *stage)
{
    pipc_record records[BATCH] = {0};
    peeked = BATCH;
    return pipc_channel_peek(its(stage), records, &peeked, PIPC_NOWAIT);
}

static void ready_peeked(struct step_stage *stage)
{
    REQUIRE_OK(peek(stage));
}

static void ready_peeked_subscriber(struct step_stage *stage)
{
    ready_subscriber(stage);
    REQUIRE_OK(peek(stage));
}

/* ---- The calls ---- */

static int send_padded(struct step_stage *stage, uint64_t number)
{
    static unsigned char body[RING_PADDED];
    struct parcel parcel = ring_parcel(number);
    parcel_fill(body, &parcel);
    return pipc_channel_send(stage->handle, &(pipc_record){.data = body, .size = RING_PADDED}, PIPC_NOWAIT);
}

static int call_send(struct step_stage *stage)
{
    return send_padded(stage, RING_FRESH);
}

/* Somebody who dies in it. */
static int call_send_dying(struct step_stage *stage)
{
    return send_padded(stage, RING_DEAD);
}

static int call_reserve_dying(struct step_stage *stage)
{
    return pipc_channel_reserve(stage->handle, &(pipc_record){.size = RING_PADDED}, PIPC_NOWAIT);
}

static int call_send_waiting(struct step_stage *stage)
{
    static unsigned char body[RING_SIZE / 4 - 16];
    return pipc_channel_send(stage->handle, &(pipc_record){.data = body, .size = sizeof body}, PIPC_US(200));
}

static int call_reserve(struct step_stage *stage)
{
    return reserve(stage, 0);
}

static int call_commit(struct step_stage *stage)
{
    return pipc_channel_commit(stage->handle, reserved, ring_case_of(stage)->fresh);
}

static int call_cancel(struct step_stage *stage)
{
    return pipc_channel_cancel(stage->handle, reserved, ring_case_of(stage)->fresh);
}

static int receive(struct step_stage *stage, uint64_t room, int64_t timeout)
{
    static unsigned char body[RING_PADDED];
    return pipc_channel_receive(its(stage), &(pipc_record){.data = body, .size = room}, timeout);
}

static int call_receive(struct step_stage *stage)
{
    return receive(stage, RING_PADDED, PIPC_NOWAIT);
}

static int call_receive_too_little(struct step_stage *stage)
{
    return receive(stage, 8, PIPC_NOWAIT);
}

static int call_receive_waiting(struct step_stage *stage)
{
    return receive(stage, RING_PADDED, PIPC_US(200));
}

static int call_release(struct step_stage *stage)
{
    return pipc_channel_release(its(stage), ring_case_of(stage)->takes);
}

static int call_release_all(struct step_stage *stage)
{
    return pipc_channel_release(its(stage), peeked);
}

static int call_subscribe(struct step_stage *stage)
{
    pipc_channel *channel;
    int error = pipc_channel_open(&channel, test_name("c"), PIPC_RECEIVE, NULL);
    stage->own = channel;
    return error;
}

static int call_close(struct step_stage *stage)
{
    return pipc_channel_close(its(stage));
}

static int call_statistics(struct step_stage *stage)
{
    pipc_channel_info info;
    return pipc_channel_statistics(stage->handle, &info);
}

static int call_interrupt(struct step_stage *stage)
{
    return pipc_channel_interrupt(stage->handle);
}

static void set_nothing(struct step_stage *stage)
{
    (void)stage;
}

static int call_create(struct step_stage *stage)
{
    pipc_channel *channel;
    int error = ring_make(&channel);
    stage->own = channel;
    return error;
}

static int call_remove(struct step_stage *stage)
{
    (void)stage;
    return pipc_channel_remove(test_name("c"));
}

/* ---- The tests ---- */

#define STEP(what, set_it, call_it, judge_it, ring, ...)                                                               \
    static void killed_in_a_##what(void)                                                                               \
    {                                                                                                                  \
        static const struct ring_case more = ring;                                                                     \
        step_everywhere(&(struct step_case){.name = "step/channel/" #what,                                             \
                                            .set = set_it,                                                             \
                                            .call = call_it,                                                           \
                                            .judge = judge_it,                                                         \
                                            .more = &more,                                                             \
                                            .short_span = PIPC_MS(80),                                                 \
                                            __VA_ARGS__});                                                             \
    }

#define RING_OF(...)                                                                                                   \
    {                                                                                                                  \
        __VA_ARGS__                                                                                                    \
    }
#define ONE                          .producers = PIPC_PRODUCERS_ONE
#define MANY                         .producers = PIPC_PRODUCERS_MANY
#define ONCE                         .delivery = PIPC_DELIVER_ONCE
#define ALL                          .delivery = PIPC_DELIVER_ALL
#define LATEST                       .delivery = PIPC_DELIVER_LATEST
#define AFTER(call, point)           .dies = call, .dies_at = point
#define ON(what, call_it, ring, ...) STEP(what, set_channel, call_it, ring_judge, RING_OF ring, __VA_ARGS__)

ON(send, call_send, (ONE, ONCE, .fresh = 1), .waiting = WAITING)
ON(send_of_many, call_send, (MANY, ONCE, .fresh = 1), .waiting = WAITING)
ON(send_around_the_end, call_send, (ONE, ONCE, .fresh = 1, .at_the_end = true), .waiting = 0)
ON(send_of_many_around_the_end, call_send, (MANY, ONCE, .fresh = 1, .at_the_end = true), .waiting = 0)
ON(send_to_all, call_send, (MANY, ALL, .fresh = 1), .waiting = WAITING)
ON(send_of_the_latest, call_send, (ONE, LATEST, .fresh = 1), .waiting = WAITING)
ON(send_that_waits, call_send_waiting, (ONE, ONCE, .full = true), .waiting = 30, .answer = PIPC_E_TIMEOUT)
ON(send_of_many_that_waits, call_send_waiting, (MANY, ALL, .full = true), .waiting = 30, .answer = PIPC_E_TIMEOUT)
ON(reservation, call_reserve, (ONE, ONCE, .fresh = 1, .never = true), .waiting = WAITING)
ON(reservation_of_many, call_reserve, (MANY, ONCE, .fresh = 1, .never = true), .waiting = WAITING)
ON(reservation_of_the_latest, call_reserve, (MANY, LATEST, .fresh = 1, .never = true), .waiting = WAITING)
ON(commit, call_commit, (ONE, ONCE, .fresh = BATCH, .whole_batch = true), .waiting = WAITING, .ready = ready_reserved)
ON(commit_of_many, call_commit, (MANY, ONCE, .fresh = BATCH), .waiting = WAITING, .ready = ready_reserved)
ON(commit_to_all, call_commit, (ONE, ALL, .fresh = BATCH, .whole_batch = true), .waiting = WAITING,
   .ready = ready_reserved)
ON(commit_around_the_end, call_commit, (ONE, ONCE, .fresh = BATCH, .whole_batch = true, .at_the_end = true),
   .ready = ready_reserved)
ON(cancel, call_cancel, (ONE, ONCE, .fresh = BATCH, .never = true), .waiting = WAITING, .ready = ready_reserved)
ON(cancel_of_many, call_cancel, (MANY, ONCE, .fresh = BATCH, .never = true), .waiting = WAITING,
   .ready = ready_reserved)
ON(receive, call_receive, (ONE, ONCE, .takes = 1, .reads = true), .waiting = WAITING)
ON(receive_from_many, call_receive, (MANY, ONCE, .takes = 1, .reads = true), .waiting = WAITING)
ON(receive_by_a_subscriber, call_receive, (ONE, ALL, .fresh = BATCH, .sent_before = true), .ready = ready_subscriber)
ON(receive_of_the_latest, call_receive, (MANY, LATEST, .fresh = BATCH, .sent_before = true), .ready = ready_subscriber)
ON(receive_that_is_refused, call_receive_too_little, (ONE, ONCE, .reads = true), .waiting = WAITING,
   .answer = PIPC_E_TOO_SMALL)
ON(receive_that_waits, call_receive_waiting, (ONE, ONCE), .answer = PIPC_E_TIMEOUT)
ON(receive_by_a_subscriber_that_waits, call_receive_waiting, (MANY, ALL), .ready = ready_subscriber,
   .answer = PIPC_E_TIMEOUT)
ON(peek, peek, (ONE, ONCE, .reads = true), .waiting = WAITING)
ON(peek_by_a_subscriber, peek, (MANY, ALL, .fresh = BATCH, .sent_before = true), .ready = ready_subscriber)
ON(release, call_release, (ONE, ONCE, .takes = BATCH, .reads = true), .waiting = WAITING + 1, .ready = ready_peeked)
ON(release_of_some, call_release, (MANY, ONCE, .takes = 1, .reads = true), .waiting = WAITING + 1,
   .ready = ready_peeked)
ON(release_of_nothing, call_release, (ONE, ONCE, .reads = true), .waiting = WAITING, .ready = ready_peeked)
ON(release_by_a_subscriber, call_release_all, (ONE, ALL, .fresh = BATCH, .sent_before = true),
   .ready = ready_peeked_subscriber)
ON(release_of_the_latest, call_release_all, (ONE, LATEST, .fresh = BATCH, .sent_before = true),
   .ready = ready_peeked_subscriber)
ON(subscription, call_subscribe, (ONE, ALL), .waiting = WAITING)
ON(subscription_to_the_latest, call_subscribe, (MANY, LATEST), .waiting = WAITING)
ON(closing, call_close, (ONE, ONCE), .waiting = WAITING)
ON(closing_with_reservations, call_close, (ONE, ONCE, .fresh = BATCH, .never = true), .waiting = WAITING,
   .ready = ready_reserved)
ON(closing_with_a_peek, call_close, (ONE, ONCE, .reads = true), .waiting = WAITING, .ready = ready_peeked)
ON(closing_of_a_subscriber, call_close, (ONE, ALL, .fresh = BATCH, .sent_before = true), .ready = ready_subscriber)
ON(look_at_statistics, call_statistics, (ONE, ALL), .waiting = WAITING)
ON(interrupt, call_interrupt, (ONE, ONCE), .waiting = WAITING)
ON(repair_of_a_send, call_send, (ONE, ONCE, .fresh = 1), .waiting = WAITING,
   AFTER(call_send_dying, "channel: shown, head not moved"))
ON(repair_of_a_count, call_send, (ONE, ONCE, .fresh = 1, .exact = true), .waiting = WAITING,
   AFTER(call_send_dying, "channel: counted, head not moved"))
ON(send_after_a_taking, call_send, (ONE, ONCE, .fresh = 1, .takes = 1, .reads = true, .exact = true),
   .waiting = WAITING, AFTER(call_receive, "channel: taken, not counted"))
ON(repair_of_a_reservation, call_send, (MANY, ONCE, .fresh = 1), .waiting = WAITING,
   AFTER(call_reserve_dying, "channel: reserved, head not moved"))
ON(skip_of_a_reservation, call_receive, (MANY, ONCE, .takes = 1, .reads = true), .waiting = WAITING,
   AFTER(call_reserve_dying, "channel: reserved, not filled"))
ON(redelivery, call_receive, (ONE, ONCE, .takes = 1, .reads = true), .waiting = WAITING,
   AFTER(call_receive, "channel: shown, not taken"))
STEP(creation, set_nothing, call_create, ring_judge_name, RING_OF(ONE, ALL))
STEP(removal, set_channel, call_remove, ring_judge_removal, RING_OF(ONE, ONCE), .waiting = WAITING)

#define TEST(promises, what)                                                                                           \
    {                                                                                                                  \
        promises, "killed_in_a_" #what, killed_in_a_##what, 0                                                          \
    }

static const struct test tests[] = {
    TEST("G1 G2", send),
    TEST("G1 G2", send_of_many),
    TEST("G1 G2", send_around_the_end),
    TEST("G1 G2", send_of_many_around_the_end),
    TEST("G1 G2", send_to_all),
    TEST("G1 G2", send_of_the_latest),
    TEST("G1 G2", send_that_waits),
    TEST("G1 G2", send_of_many_that_waits),
    TEST("G1 G2", reservation),
    TEST("G1 G2", reservation_of_many),
    TEST("G1 G2", reservation_of_the_latest),
    TEST("G1 G2", commit),
    TEST("G1 G2", commit_of_many),
    TEST("G1 G2", commit_to_all),
    TEST("G1 G2", commit_around_the_end),
    TEST("G1 G2", cancel),
    TEST("G1 G2", cancel_of_many),
    TEST("G1 G3", receive),
    TEST("G1 G3", receive_from_many),
    TEST("G1 G3", receive_by_a_subscriber),
    TEST("G1 G3", receive_of_the_latest),
    TEST("G1 G3", receive_that_is_refused),
    TEST("G1 G3", receive_that_waits),
    TEST("G1 G3", receive_by_a_subscriber_that_waits),
    TEST("G1 G3", peek),
    TEST("G1 G3", peek_by_a_subscriber),
    TEST("G1 G3", release),
    TEST("G1 G3", release_of_some),
    TEST("G1 G3", release_of_nothing),
    TEST("G1 G3", release_by_a_subscriber),
    TEST("G1 G3", release_of_the_latest),
    TEST("G1 G3", subscription),
    TEST("G1 G3", subscription_to_the_latest),
    TEST("G1", closing),
    TEST("G1 G2", closing_with_reservations),
    TEST("G1 G3", closing_with_a_peek),
    TEST("G1 G3", closing_of_a_subscriber),
    TEST("G1", look_at_statistics),
    TEST("G1", interrupt),
    TEST("G1 G2 G4", repair_of_a_send),
    TEST("G1 G2 G4", repair_of_a_count),
    TEST("G1 G3 G4", send_after_a_taking),
    TEST("G1 G2 G4", repair_of_a_reservation),
    TEST("G1 G2 G4", skip_of_a_reservation),
    TEST("G1 G3 G4", redelivery),
    TEST("Q2", creation),
    TEST("Q10", removal),
};

TEST_MAIN("channel_step", tests)
