/* kill -9 after each instruction of each call on a channel, in each way to deliver. A producer's record is wholly there
 * or absent, a consumer's comes again, the next call works at once, the figures agree, nothing leaks. */
#include "parcel.h"
#include "step_trial.h"

enum { RING = 4096, WAITING = 3, DEAD = 9, FRESH = 10, NEXT = 50, BATCH = 3, PADDED = 100, RECORDS = 16 };

/* What a case is about. */
struct ring_case {
    uint32_t producers, delivery;
    uint32_t fresh;   /* records that the call, or what is made ready for it, sends: from number FRESH on */
    uint32_t takes;   /* of those waiting, the call takes away */
    bool whole_batch; /* all of the fresh or none */
    bool never;       /* the fresh are never seen: not committed, or cancelled */
    bool reads;       /* those waiting may have been seen */
    bool at_the_end;  /* the next record wraps around */
    bool full;        /* there is no room for another */
};

static pipc_record reserved[BATCH]; /* in the child */
static uint32_t peeked;

static const struct ring_case *case_of(const struct step_stage *stage)
{
    return stage->of->more;
}

static struct parcel parcel_of(uint64_t number)
{
    return (struct parcel){1, PADDED, number};
}

static int send_number(pipc_channel *channel, uint64_t number, int64_t timeout)
{
    struct parcel parcel = parcel_of(number);
    return parcel_send(channel, &parcel, timeout);
}

/* ---- Before ---- */

static pipc_channel *open_it(struct step_stage *stage, uint32_t flags)
{
    const struct ring_case *of = case_of(stage);
    bool once = of->delivery == PIPC_DELIVER_ONCE;
    pipc_channel *channel = NULL;
    REQUIRE_OK(pipc_channel_open(
        &channel, test_name("c"), flags | PIPC_CREATE,
        &(pipc_channel_options){
            .size = RING, .producers = of->producers, .delivery = of->delivery, .subscribers = once ? 0 : 2}));
    return channel;
}

/* Moves the ring's end to where a record of this kind does not fit before it. */
static void go_to_the_end(pipc_channel *channel)
{
    struct parcel parcel = parcel_of(0);
    for (uint64_t at = 0; RING - at >= PADDED + 16 + 16; at += (PADDED + 16 + 15) / 16 * 16) {
        REQUIRE_OK(send_number(channel, 0, PIPC_NOWAIT));
        REQUIRE_OK(parcel_receive(channel, &parcel, NULL, PIPC_NOWAIT));
    }
}

static uint32_t waiting_of(const struct step_stage *stage)
{
    return stage->of->waiting;
}

static void set_channel(struct step_stage *stage)
{
    const struct ring_case *of = case_of(stage);
    stage->handle = open_it(stage, 0);
    if (of->at_the_end)
        go_to_the_end(stage->handle);
    for (uint32_t i = 0; i < waiting_of(stage); i++)
        REQUIRE_OK(send_number(stage->handle, i, PIPC_NOWAIT));
    if (stage->of->dies)
        step_die(stage);
}

/* A subscriber of its own: what waits for it the child sends itself; so do those that the other sees. */
static void ready_subscriber(struct step_stage *stage)
{
    stage->own = parcel_join("c", 0);
    for (uint32_t i = 0; i < case_of(stage)->fresh; i++)
        REQUIRE_OK(send_number(stage->own, FRESH + i, PIPC_NOWAIT));
}

static int reserve(struct step_stage *stage, uint32_t i)
{
    struct parcel parcel = parcel_of(FRESH + i);
    reserved[i] = (pipc_record){.size = PADDED};
    int error = pipc_channel_reserve(stage->handle, &reserved[i], PIPC_NOWAIT);
    if (!error)
        parcel_fill(reserved[i].data, &parcel);
    return error;
}

static void ready_reserved(struct step_stage *stage)
{
    for (uint32_t i = 0; i < case_of(stage)->fresh; i++)
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
    static unsigned char body[PADDED];
    struct parcel parcel = parcel_of(number);
    parcel_fill(body, &parcel);
    return pipc_channel_send(stage->handle, &(pipc_record){.data = body, .size = PADDED}, PIPC_NOWAIT);
}

static int call_send(struct step_stage *stage)
{
    return send_padded(stage, FRESH);
}

/* Somebody who dies in it. */
static int call_send_dying(struct step_stage *stage)
{
    return send_padded(stage, DEAD);
}

static int call_reserve_dying(struct step_stage *stage)
{
    return pipc_channel_reserve(stage->handle, &(pipc_record){.size = PADDED}, PIPC_NOWAIT);
}

static int call_send_waiting(struct step_stage *stage)
{
    static unsigned char body[RING / 4 - 16];
    return pipc_channel_send(stage->handle, &(pipc_record){.data = body, .size = sizeof body}, PIPC_US(200));
}

static int call_reserve(struct step_stage *stage)
{
    return reserve(stage, 0);
}

static int call_commit(struct step_stage *stage)
{
    return pipc_channel_commit(stage->handle, reserved, case_of(stage)->fresh);
}

static int call_cancel(struct step_stage *stage)
{
    return pipc_channel_cancel(stage->handle, reserved, case_of(stage)->fresh);
}

static int receive(struct step_stage *stage, uint64_t room, int64_t timeout)
{
    static unsigned char body[PADDED];
    return pipc_channel_receive(its(stage), &(pipc_record){.data = body, .size = room}, timeout);
}

static int call_receive(struct step_stage *stage)
{
    return receive(stage, PADDED, PIPC_NOWAIT);
}

static int call_receive_too_little(struct step_stage *stage)
{
    return receive(stage, 8, PIPC_NOWAIT);
}

static int call_receive_waiting(struct step_stage *stage)
{
    return receive(stage, PADDED, PIPC_US(200));
}

static int call_release(struct step_stage *stage)
{
    return pipc_channel_release(its(stage), case_of(stage)->takes);
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

/* ---- What must be there afterwards ---- */

static void note_delay(struct step_stage *stage, int64_t began)
{
    if (!stage->whole && test_now() - began > stage->figures.worst_delay)
        stage->figures.worst_delay = test_now() - began;
}

/* How often each came, and the last number. */
struct harvest {
    uint32_t times[NEXT + 1];
    uint64_t last;
};

static void take_note(struct step_stage *stage, struct harvest *harvest, const struct parcel *parcel,
                      const pipc_record *record)
{
    const struct ring_case *of = case_of(stage);
    uint64_t number = parcel->number;
    bool waits = number < waiting_of(stage), fresh = number >= FRESH && number < FRESH + of->fresh && !of->never;
    if (!waits && !fresh && number != NEXT && (number != DEAD || !stage->of->dies))
        step_bad(stage, &stage->figures.torn, "record %llu was never sent", (unsigned long long)number);
    else if (harvest->times[number]++ > 0 || number < harvest->last)
        step_bad(stage, &stage->figures.duplicated, "record %llu came again, or behind a later one",
                 (unsigned long long)number);
    if (record->marks && !of->reads && !stage->of->dies)
        step_bad(stage, &stage->figures.duplicated, "record %llu is marked", (unsigned long long)number);
    harvest->last = number;
}

/* The next send and the next receives work at once: whatever held them up is over soon. */
static void reap(struct step_stage *stage, struct harvest *harvest)
{
    struct parcel parcel = {0};
    pipc_record record;
    int64_t began = test_now();
    int error = case_of(stage)->full ? 0 : send_number(stage->handle, NEXT, PIPC_SECONDS(20));
    bool full = case_of(stage)->full, more = true;
    if (error)
        step_bad(stage, &stage->figures.hangs, "the next send answered %s", pipc_error_name(error));
    while (!error && more && (error = parcel_receive(stage->handle, &parcel, &record, PIPC_SECONDS(20))) == 0) {
        take_note(stage, harvest, &parcel, &record);
        more = full ? parcel.number + 1 < waiting_of(stage) : parcel.number != NEXT;
    }
    note_delay(stage, began);
    if (error)
        step_bad(stage, &stage->figures.hangs, "a receive answered %s", pipc_error_name(error));
    error = parcel_receive(stage->handle, &parcel, &record, PIPC_NOWAIT);
    if (error != PIPC_E_EMPTY)
        step_bad(stage, &stage->figures.hangs, "a receive from the empty channel answered %s", pipc_error_name(error));
}

static uint32_t count(const struct harvest *harvest, uint32_t from, uint32_t to)
{
    uint32_t there = 0;
    for (uint32_t i = from; i < to; i++)
        there += harvest->times[i] > 0;
    return there;
}

static void judge_harvest(struct step_stage *stage, const struct harvest *harvest)
{
    const struct ring_case *of = case_of(stage);
    uint32_t waiting = waiting_of(stage), taken = of->delivery == PIPC_DELIVER_ONCE ? of->takes : 0;
    uint32_t kept = count(harvest, taken, waiting), gone = taken - count(harvest, 0, taken);
    uint32_t fresh = count(harvest, FRESH, FRESH + of->fresh);
    bool sends = of->fresh > 0 && !of->never, ready = stage->of->ready == ready_subscriber;
    if (kept != waiting - taken)
        step_bad(stage, &stage->figures.lost, "%u of %u records are there", kept, waiting - taken);
    if (gone != taken && (gone || stage->whole))
        step_bad(stage, &stage->figures.lost, "%u of %u records are taken", gone, taken);
    if (sends && fresh != of->fresh && (stage->whole || (fresh && of->whole_batch) || ready))
        step_bad(stage, &stage->figures.lost, "%u of %u fresh records are there", fresh, of->fresh);
}

static void judge_figures(struct step_stage *stage, const struct harvest *harvest)
{
    const struct ring_case *of = case_of(stage);
    pipc_channel_info info = parcel_info(stage->handle);
    uint64_t there = count(harvest, 0, NEXT + 1), most = there + (of->delivery == PIPC_DELIVER_ONCE ? of->takes : 0);
    uint64_t moved = of->at_the_end ? RING / 112 + 1 : 0, dead = stage->of->dies || (of->never && !stage->whole);
    if (info.sent + dead < there || info.sent > most + moved + dead)
        step_bad(stage, &stage->figures.lost, "%llu are counted as sent, %llu were there",
                 (unsigned long long)info.sent, (unsigned long long)there);
    if (info.skipped > of->fresh + dead || (info.skipped && stage->whole && !of->never && !dead))
        step_bad(stage, &stage->figures.lost, "%llu are counted as skipped", (unsigned long long)info.skipped);
    if (of->delivery == PIPC_DELIVER_ONCE && (info.records || info.bytes))
        step_bad(stage, &stage->figures.leaks, "the empty channel has %llu records, %llu bytes",
                 (unsigned long long)info.records, (unsigned long long)info.bytes);
}

/* As many small ones fit as ever, twice around; and whoever was killed holds none of it. */
static void check_room(struct step_stage *stage)
{
    const uint32_t span = 32, most = (RING - 16) / span;
    struct parcel parcel = {1, sizeof parcel, 0};
    int64_t began = test_now();
    for (int round = 0; round < 2 && case_of(stage)->delivery != PIPC_DELIVER_LATEST; round++) {
        uint32_t fit = 0;
        for (; fit <= most; fit++)
            if (parcel_send(stage->handle, &parcel, fit + 1 < most ? PIPC_SECONDS(20) : PIPC_NOWAIT) != 0)
                break;
        if (fit + 2 < most || fit > most)
            step_bad(stage, &stage->figures.leaks, "%u small records fit, not %u", fit, most);
        for (uint32_t i = 0; i < fit; i++)
            if (parcel_receive(stage->handle, &parcel, NULL, PIPC_NOWAIT) != 0)
                step_bad(stage, &stage->figures.lost, "small record %u is not there", i);
    }
    note_delay(stage, began);
}

static int receive_later(void *argument)
{
    struct parcel parcel;
    return parcel_receive(argument, &parcel, NULL, PIPC_SECONDS(20));
}

/* A sleeper that comes now is woken, whatever marks the dead one left. The child of a subscriber subscribes. */
static void check_sleeper(struct step_stage *stage)
{
    pid_t child = test_fork(receive_later, stage->handle);
    test_await_sleep(child);
    int64_t began = test_now();
    CHECK_OK(send_number(stage->handle, NEXT, PIPC_SECONDS(20)));
    int ended = test_wait(child, PIPC_SECONDS(30));
    if (ended)
        step_bad(stage, &stage->figures.hangs, "a receiver that slept afterwards ended with %d", ended);
    note_delay(stage, began);
}

/* The table has two places: the dead one's is given to the next. */
static void check_subscriptions(struct step_stage *stage)
{
    pipc_channel *channel = NULL;
    if (case_of(stage)->delivery == PIPC_DELIVER_ONCE)
        return;
    int error = pipc_channel_open(&channel, test_name("c"), PIPC_RECEIVE, NULL);
    if (error)
        step_bad(stage, &stage->figures.leaks, "the next subscriber is answered %s", pipc_error_name(error));
    uint32_t subscribers = parcel_info(stage->handle).subscribers;
    if (subscribers != 2)
        step_bad(stage, &stage->figures.leaks, "there are two subscribers, and %u are counted", subscribers);
    CHECK_OK(pipc_channel_close(channel));
}

static void judge_channel(struct step_stage *stage)
{
    struct harvest harvest = {0};
    reap(stage, &harvest);
    judge_harvest(stage, &harvest);
    judge_figures(stage, &harvest);
    check_room(stage);
    if (stage->trial % 4 == 0)
        check_sleeper(stage);
    check_subscriptions(stage);
    parcel_end(stage->handle, "c");
    stage->handle = stage->own = NULL;
}

/* ---- Names ---- */

static int make(pipc_channel **channel)
{
    return pipc_channel_open(channel, test_name("c"), PIPC_CREATE | PIPC_EXCLUSIVE,
                             &(pipc_channel_options){.size = RING, .delivery = PIPC_DELIVER_ALL});
}

static void set_nothing(struct step_stage *stage)
{
    (void)stage;
}

static int call_create(struct step_stage *stage)
{
    pipc_channel *channel;
    int error = make(&channel);
    stage->own = channel;
    return error;
}

static int call_remove(struct step_stage *stage)
{
    (void)stage;
    return pipc_channel_remove(test_name("c"));
}

static void use(struct step_stage *stage, pipc_channel *channel)
{
    struct parcel parcel = {0};
    if (send_number(channel, 1, PIPC_NOWAIT) != 0 || parcel_receive(channel, &parcel, NULL, PIPC_NOWAIT) != 0 ||
        parcel.number != 1)
        step_bad(stage, &stage->figures.lost, "a record does not come through: %s", pipc_error_detail());
}

/* The name is free, or leads to a whole channel. */
static void judge_name(struct step_stage *stage)
{
    pipc_channel *channel = NULL;
    int64_t began = test_now();
    int error = make(&channel);
    note_delay(stage, began);
    bool there = error == PIPC_E_EXISTS;
    if ((stage->whole && !there) || (error && !there))
        step_bad(stage, &stage->figures.lost, "create answered %s", pipc_error_name(error));
    if (there)
        channel = parcel_join("c", 0);
    if (channel) {
        use(stage, channel);
        parcel_end(channel, "c");
    }
    stage->own = NULL;
}

static void judge_removal(struct step_stage *stage)
{
    pipc_channel_info info;
    int error = pipc_channel_statistics(stage->handle, &info), removed = pipc_channel_remove(test_name("c"));
    if ((error == 0) != (removed == 0) || (stage->whole && !error))
        step_bad(stage, &stage->figures.lost, "the handle answers %s, a second removal %s", pipc_error_name(error),
                 pipc_error_name(removed));
    error = send_number(stage->handle, 1, PIPC_NOWAIT);
    if (error != PIPC_E_REMOVED)
        step_bad(stage, &stage->figures.lost, "a send to the removed answers %s", pipc_error_name(error));
    CHECK_OK(pipc_channel_close(stage->handle));
    stage->handle = NULL;
    stage->whole = false;
    judge_name(stage);
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
#define ON(what, call_it, ring, ...) STEP(what, set_channel, call_it, judge_channel, RING_OF ring, __VA_ARGS__)

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
ON(receive_by_a_subscriber, call_receive, (ONE, ALL, .fresh = BATCH), .ready = ready_subscriber)
ON(receive_of_the_latest, call_receive, (MANY, LATEST, .fresh = BATCH), .ready = ready_subscriber)
ON(receive_that_is_refused, call_receive_too_little, (ONE, ONCE, .reads = true), .waiting = WAITING,
   .answer = PIPC_E_TOO_SMALL)
ON(receive_that_waits, call_receive_waiting, (ONE, ONCE), .answer = PIPC_E_TIMEOUT)
ON(receive_by_a_subscriber_that_waits, call_receive_waiting, (MANY, ALL), .ready = ready_subscriber,
   .answer = PIPC_E_TIMEOUT)
ON(peek, peek, (ONE, ONCE, .reads = true), .waiting = WAITING)
ON(peek_by_a_subscriber, peek, (MANY, ALL, .fresh = BATCH), .ready = ready_subscriber)
ON(release, call_release, (ONE, ONCE, .takes = BATCH, .reads = true), .waiting = WAITING + 1, .ready = ready_peeked)
ON(release_of_some, call_release, (MANY, ONCE, .takes = 1, .reads = true), .waiting = WAITING + 1,
   .ready = ready_peeked)
ON(release_of_nothing, call_release, (ONE, ONCE, .reads = true), .waiting = WAITING, .ready = ready_peeked)
ON(release_by_a_subscriber, call_release_all, (ONE, ALL, .fresh = BATCH), .ready = ready_peeked_subscriber)
ON(release_of_the_latest, call_release_all, (ONE, LATEST, .fresh = BATCH), .ready = ready_peeked_subscriber)
ON(subscription, call_subscribe, (ONE, ALL), .waiting = WAITING)
ON(subscription_to_the_latest, call_subscribe, (MANY, LATEST), .waiting = WAITING)
ON(closing, call_close, (ONE, ONCE), .waiting = WAITING)
ON(closing_with_reservations, call_close, (ONE, ONCE, .fresh = BATCH, .never = true), .waiting = WAITING,
   .ready = ready_reserved)
ON(closing_with_a_peek, call_close, (ONE, ONCE, .reads = true), .waiting = WAITING, .ready = ready_peeked)
ON(closing_of_a_subscriber, call_close, (ONE, ALL, .fresh = BATCH), .ready = ready_subscriber)
ON(look_at_statistics, call_statistics, (ONE, ALL), .waiting = WAITING)
ON(interrupt, call_interrupt, (ONE, ONCE), .waiting = WAITING)
ON(repair_of_a_send, call_send, (ONE, ONCE, .fresh = 1), .waiting = WAITING,
   AFTER(call_send_dying, "channel: shown, head not moved"))
ON(repair_of_a_reservation, call_send, (MANY, ONCE, .fresh = 1), .waiting = WAITING,
   AFTER(call_reserve_dying, "channel: reserved, head not moved"))
ON(skip_of_a_reservation, call_receive, (MANY, ONCE, .takes = 1, .reads = true), .waiting = WAITING,
   AFTER(call_reserve_dying, "channel: reserved, not filled"))
ON(redelivery, call_receive, (ONE, ONCE, .takes = 1, .reads = true), .waiting = WAITING,
   AFTER(call_receive, "channel: shown, not taken"))
STEP(creation, set_nothing, call_create, judge_name, RING_OF(ONE, ALL))
STEP(removal, set_channel, call_remove, judge_removal, RING_OF(ONE, ONCE), .waiting = WAITING)

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
    TEST("G1 G2 G4", repair_of_a_reservation),
    TEST("G1 G2 G4", skip_of_a_reservation),
    TEST("G1 G3 G4", redelivery),
    TEST("Q2", creation),
    TEST("Q10", removal),
};

TEST_MAIN("channel_step", tests)
