/* Every pair of points in calls on a channel: one call is stopped at a point, another killed at a point, the first goes
 * on. Nothing may be lost but what the dead consumer had taken; nothing doubled, torn, out of order, blocked, leaked.
 */
#include <string.h>

#include "pairs.h"
#include "parcel.h"
#include "support_queue.h"

/* Numbers: 0 to 2 wait from the beginning, from 100 and 200 on are sent by the two, from 300 on by a third, 400 to let
 * the one that goes on come to its end, 500 by the judge. */
enum {
    RING = 4096,
    WAITING = 3,
    FIRST_NEW = 100,
    FIRST_THIRD = 300,
    RELEASING = 400,
    LAST = 500,
    LAPS = 60,
    SIZE = 100
};

enum does { SENDS = 1, TAKES = 2, LAPS_ALL = 4 };

struct call {
    const char *name;
    pairs_call *call;
    unsigned does;
    uint32_t sends; /* so many */
    uint32_t takes; /* at most so many */
};

struct meeting {
    const struct call *stopped, *killed;
    uint32_t producers, delivery;
    bool tight; /* one record more fits */
};

static const struct meeting *meeting(const struct pairs_stage *stage)
{
    return stage->of->more;
}

static bool is_once(const struct pairs_stage *stage)
{
    return meeting(stage)->delivery == PIPC_DELIVER_ONCE;
}

static uint32_t first_of(enum pairs_who who)
{
    return FIRST_NEW + 100 * (uint32_t)who;
}

static int send_number(pipc_channel *channel, uint32_t sender, uint64_t number, int64_t timeout)
{
    struct parcel parcel = {sender, SIZE, number};
    return parcel_send(channel, &parcel, timeout);
}

/* ---- The calls ---- */

static int call_send(struct pairs_stage *stage, enum pairs_who who)
{
    return send_number(stage->handle, 1 + who, first_of(who), PIPC_SECONDS(20));
}

static int reserve_two(struct pairs_stage *stage, enum pairs_who who, pipc_record *records, uint32_t *count)
{
    int error = 0;
    for (*count = 0; *count < 2 && !error; *count += !error) {
        struct parcel parcel = {1 + who, SIZE, first_of(who) + *count};
        records[*count] = (pipc_record){.size = SIZE};
        error = pipc_channel_reserve(stage->handle, &records[*count], *count ? PIPC_NOWAIT : PIPC_SECONDS(20));
        if (!error)
            parcel_fill(records[*count].data, &parcel);
    }
    return *count ? 0 : error;
}

static int call_batch(struct pairs_stage *stage, enum pairs_who who)
{
    pipc_record records[2];
    uint32_t count;
    int error = reserve_two(stage, who, records, &count);
    if (!error)
        error = pipc_channel_commit(stage->handle, records, count);
    if (!error)
        atomic_store(&stage->traces->got[who], count);
    return error;
}

static int call_cancel(struct pairs_stage *stage, enum pairs_who who)
{
    pipc_record records[2];
    uint32_t count;
    int error = reserve_two(stage, who, records, &count);
    return error ? error : pipc_channel_cancel(stage->handle, records, count);
}

/* The ring goes round while others look at it. */
static int call_lap(struct pairs_stage *stage, enum pairs_who who)
{
    for (uint32_t i = 0; i < LAPS; i++) {
        struct parcel parcel = {1 + who, i % 5 ? SIZE : RING / 4 - 16, first_of(who) + i};
        int error = parcel_send(stage->handle, &parcel, PIPC_SECONDS(20));
        if (error)
            return error;
    }
    return 0;
}

/* A child's first read makes it a subscriber; then it has nothing to read yet but what it sends. */
static int begin_to_read(struct pairs_stage *stage, enum pairs_who who)
{
    struct parcel parcel;
    if (is_once(stage))
        return 0;
    int error = parcel_receive(stage->handle, &parcel, NULL, PIPC_NOWAIT);
    CHECK(error == PIPC_E_EMPTY || error == PIPC_E_BUSY || error == 0);
    return send_number(stage->handle, 1 + who, first_of(who), PIPC_SECONDS(20));
}

static int call_receive(struct pairs_stage *stage, enum pairs_who who)
{
    unsigned char body[RING + 8];
    uint64_t room = stage->number % 2 ? 40 : RING;
    pipc_record record = {.data = body, .size = room, .flags = PIPC_TRUNCATE};
    struct parcel parcel;
    int error = begin_to_read(stage, who);
    memset(body + room, 0x5a, sizeof body - room);
    if (!error)
        error = pipc_channel_receive(stage->handle, &record, PIPC_SECONDS(20));
    for (uint64_t at = room; at < sizeof body; at++)
        REQUIRE_EQUAL(body[at], 0x5a);
    if (error)
        return error;
    memcpy(&parcel, body, sizeof parcel);
    REQUIRE(parcel.size == record.size);
    if (record.size <= room)
        REQUIRE(parcel_read(body, record.size, &parcel));
    atomic_store(&stage->traces->got[who], parcel.number);
    return 0;
}

static int call_peek(struct pairs_stage *stage, enum pairs_who who)
{
    pipc_record records[2] = {0};
    uint32_t count = 2;
    struct parcel parcel = {0};
    int error = begin_to_read(stage, who);
    if (!error)
        error = pipc_channel_peek(stage->handle, records, &count, PIPC_SECONDS(20));
    if (error)
        return error;
    bool whole = parcel_read(records[0].data, records[0].size, &parcel);
    error = pipc_channel_release(stage->handle, 1);
    if (error == PIPC_E_OVERRUN && meeting(stage)->delivery == PIPC_DELIVER_LATEST)
        return 0;
    REQUIRE(whole);
    if (!error)
        atomic_store(&stage->traces->got[who], parcel.number);
    return error;
}

static const struct call calls[] = {
    {"send", call_send, SENDS, 1, 0},
    {"batch", call_batch, SENDS, 2, 0},
    {"cancel", call_cancel, 0, 0, 0},
    {"receive", call_receive, TAKES, 1, 1},
    {"peek and release", call_peek, TAKES, 1, 1},
    {"laps", call_lap, SENDS | LAPS_ALL, LAPS, 0},
};

enum { CALLS = sizeof calls / sizeof *calls, LAPPING = 5 };

/* ---- Before, meanwhile, after ---- */

static uint32_t times[LAST + 1];
static uint64_t last_of[4]; /* by sender */
static uint32_t third_sent;
static bool third_came, released;

static void set(struct pairs_stage *stage)
{
    const struct meeting *of = meeting(stage);
    pipc_channel_options options = {.size = RING,
                                    .producers = of->producers,
                                    .delivery = of->delivery,
                                    .subscribers = of->delivery == PIPC_DELIVER_ONCE ? 0 : 4};
    stage->handle = parcel_channel("c", 0, &options);
    struct parcel filling = {0, RING / 4 - 16, 0};
    for (int i = 0; i < 3 && of->tight; i++)
        REQUIRE_OK(parcel_send(stage->handle, &filling, PIPC_NOWAIT));
    for (uint32_t i = 0; i < WAITING; i++)
        REQUIRE_OK(send_number(stage->handle, 0, i, PIPC_NOWAIT));
    for (int i = 0; i < 3 && of->tight; i++)
        REQUIRE_OK(parcel_receive(stage->handle, &filling, NULL, PIPC_NOWAIT));
    memset(times, 0, sizeof times);
    memset(last_of, 0, sizeof last_of);
    third_sent = 0;
    third_came = released = false;
}

static void count(struct pairs_stage *stage, uint64_t number)
{
    bool latest = meeting(stage)->delivery == PIPC_DELIVER_LATEST;
    if (number > LAST)
        pairs_bad(stage, &stage->figures.torn, "record %llu was never sent", (unsigned long long)number);
    else if (times[number]++ > 0 && !latest && is_once(stage))
        pairs_bad(stage, &stage->figures.duplicated, "record %llu came twice", (unsigned long long)number);
}

/* What this process takes. */
static void take_note(struct pairs_stage *stage, const struct parcel *parcel, const pipc_record *record)
{
    bool reads = meeting(stage)->killed->does & TAKES;
    count(stage, parcel->number);
    if (record->marks && (!reads || !is_once(stage)))
        pairs_bad(stage, &stage->figures.duplicated, "record %llu is marked", (unsigned long long)parcel->number);
    if (parcel->sender < 4 && parcel->number < last_of[parcel->sender])
        pairs_bad(stage, &stage->figures.lost, "record %llu came behind a later one",
                  (unsigned long long)parcel->number);
    if (parcel->sender < 4)
        last_of[parcel->sender] = parcel->number;
}

static int take(struct pairs_stage *stage, int64_t timeout, uint64_t *number)
{
    struct parcel parcel;
    pipc_record record;
    int error = parcel_receive(stage->handle, &parcel, &record, timeout);
    if (!error)
        take_note(stage, &parcel, &record);
    if (!error && number)
        *number = parcel.number;
    return error;
}

/* What the one that goes on wants may have been taken meanwhile, and the room that it wants be filled. */
static void release(struct pairs_stage *stage)
{
    const struct call *stopped = meeting(stage)->stopped;
    if (stopped->does & SENDS || !is_once(stage))
        take(stage, PIPC_NOWAIT, NULL);
    if (stopped->does & TAKES && third_came && !released)
        released = send_number(stage->handle, 3, RELEASING, PIPC_NOWAIT) == 0;
}

/* A third takes all that it can have, and sends. */
static void trade(struct pairs_stage *stage)
{
    third_came = true;
    while (take(stage, PIPC_NOWAIT, NULL) == 0)
        ;
    for (; third_sent < 6; third_sent++)
        if (send_number(stage->handle, 3, FIRST_THIRD + third_sent, PIPC_NOWAIT) != 0)
            break;
}

/* A stopped process costs others no more than their patience, and those that need no lock nothing. */
static void meanwhile(struct pairs_stage *stage)
{
    pipc_channel_info info;
    if (stage->number % 2) {
        trade(stage);
        return;
    }
    int64_t began = test_now();
    int error = send_number(stage->handle, 3, FIRST_THIRD, PIPC_MS(3));
    if (error == 0)
        third_sent = 1;
    else if (error != PIPC_E_TIMEOUT)
        pairs_bad(stage, &stage->figures.hangs, "meanwhile a send answered %s", pipc_error_name(error));
    CHECK_OK(pipc_channel_statistics(stage->handle, &info));
    CHECK_OK(pipc_channel_close(parcel_join("c", 0)));
    if (test_now() - began > PIPC_SECONDS(20))
        pairs_bad(stage, &stage->figures.hangs, "meanwhile calls took more than 20 s");
}

/* Everything up to a last record comes at once. */
static void drain(struct pairs_stage *stage)
{
    int64_t began = test_now();
    uint64_t number = 0;
    int error = 0;
    while (number != LAST && !error && (error = send_number(stage->handle, 0, LAST, PIPC_MS(1))) != 0 &&
           test_now() - began < PIPC_SECONDS(20)) /* there may be no room before something is taken */
        error = take(stage, PIPC_NOWAIT, &number) == 0 ? 0 : 0;
    while (number != LAST && !error)
        error = take(stage, PIPC_SECONDS(20), &number);
    if (test_now() - began > stage->figures.worst_delay)
        stage->figures.worst_delay = test_now() - began;
    if (error)
        pairs_bad(stage, &stage->figures.hangs, "a call answered %s", pipc_error_name(error));
    error = take(stage, PIPC_NOWAIT, NULL);
    if (error != PIPC_E_EMPTY)
        pairs_bad(stage, &stage->figures.hangs, "a receive from the empty channel answered %s", pipc_error_name(error));
}

static void judge_answer(struct pairs_stage *stage)
{
    int answer = atomic_load(&stage->traces->answer[PAIRS_STOPPED]);
    if (answer != 0 && answer != PAIRS_ABSENT)
        pairs_bad(stage, &stage->figures.hangs, "the stopped call answered %s when it went on",
                  answer == PAIRS_PENDING ? "nothing" : pipc_error_name(answer));
}

static uint32_t sent_by(const struct pairs_stage *stage, enum pairs_who who)
{
    const struct call *call = who == PAIRS_STOPPED ? meeting(stage)->stopped : meeting(stage)->killed;
    if (atomic_load(&stage->traces->answer[who]) != 0 || (call->does & TAKES && is_once(stage)))
        return 0;
    return call->call == call_batch ? (uint32_t)atomic_load(&stage->traces->got[who]) : call->sends;
}

/* Everything is there, but for what the dead had taken. */
static void judge_tally(struct pairs_stage *stage)
{
    const struct pairs_traces *traces = stage->traces;
    const struct call *killed = meeting(stage)->killed;
    bool died = atomic_load(&traces->answer[PAIRS_KILLED]) == PAIRS_PENDING;
    uint32_t missing = 0, may_miss = died && is_once(stage) ? killed->takes : 0;
    if (meeting(stage)->delivery == PIPC_DELIVER_LATEST)
        return;
    for (uint32_t i = 0; i < WAITING; i++)
        missing += times[i] == 0;
    for (enum pairs_who who = 0; who < PAIRS_ROLES; who++)
        for (uint32_t i = 0; i < sent_by(stage, who); i++)
            missing += times[first_of(who) + i] == 0;
    for (uint32_t i = 0; i < third_sent; i++)
        missing += times[FIRST_THIRD + i] == 0;
    if (missing > may_miss)
        pairs_bad(stage, &stage->figures.lost, "%u records are lost", missing);
    for (uint32_t i = 0; i < 2 && killed->call == call_cancel; i++)
        if (times[first_of(PAIRS_KILLED) + i])
            pairs_bad(stage, &stage->figures.torn, "a record came that was not committed");
}

static void judge_figures(struct pairs_stage *stage)
{
    pipc_channel_info info = parcel_info(stage->handle);
    if (is_once(stage) && (info.records || info.bytes))
        pairs_bad(stage, &stage->figures.leaks, "the empty channel has %llu records, %llu bytes",
                  (unsigned long long)info.records, (unsigned long long)info.bytes);
    struct parcel parcel = {0, RING / 4 - 16, 0};
    int64_t began = test_now();
    for (int i = 0; i < 6; i++) {
        CHECK_OK(parcel_send(stage->handle, &parcel, PIPC_SECONDS(20)));
        CHECK_OK(parcel_receive(stage->handle, &parcel, NULL, PIPC_NOWAIT));
    }
    if (test_now() - began > stage->figures.worst_delay)
        stage->figures.worst_delay = test_now() - began;
}

static void judge(struct pairs_stage *stage)
{
    judge_answer(stage);
    drain(stage);
    for (enum pairs_who who = 0; who < PAIRS_ROLES && is_once(stage); who++) {
        const struct call *call = who == PAIRS_STOPPED ? meeting(stage)->stopped : meeting(stage)->killed;
        if (call->does & TAKES && atomic_load(&stage->traces->got[who]) != UINT64_MAX)
            count(stage, atomic_load(&stage->traces->got[who]));
    }
    judge_tally(stage);
    judge_figures(stage);
    parcel_end(stage->handle, "c");
}

/* ---- The tests ---- */

static void meet(struct pairs_stage *stage, const struct meeting *who, int64_t deadline)
{
    struct pairs_case of = {.name = "pairs/channel",
                            .set = set,
                            .calls = {who->stopped->call, who->killed->call},
                            .names = {who->stopped->name, who->killed->name},
                            .meanwhile_one_in = 3,
                            .meanwhile = meanwhile,
                            .judge = judge,
                            .release = release,
                            .more = who};
    pairs_visit(stage, &of, deadline);
}

/* With many producers or one, once, to all or the latest. */
static void stop(unsigned call, const char *rig)
{
    struct pairs_stage stage;
    const int64_t short_span = PIPC_MS(600);
    const unsigned kinds = 6;
    int64_t deadline = rig_deadline(short_span);
    uint64_t turn = (uint64_t)test_now() / 1000;
    pairs_begin(&stage, rig);
    for (unsigned i = 0; i < CALLS * kinds && test_failures() == 0 && test_now() < deadline; i++) {
        unsigned at = (unsigned)((turn + i * 7) % (CALLS * kinds));
        struct meeting who = {.stopped = &calls[call],
                              .killed = &calls[at / kinds],
                              .producers = at % 2 ? PIPC_PRODUCERS_MANY : PIPC_PRODUCERS_ONE,
                              .delivery = PIPC_DELIVER_ONCE + at % kinds / 2};
        who.tight = who.delivery != PIPC_DELIVER_LATEST && turn % 2;
        if (who.killed->does & LAPS_ALL && who.delivery != PIPC_DELIVER_LATEST)
            continue;
        meet(&stage, &who, rig_is_long() ? deadline : test_now() + short_span / 10);
    }
    pairs_end(&stage);
}

static void a_stopped_send_and_any_death_harm_nobody(void)
{
    stop(0, "pairs/channel send");
}

static void a_stopped_batch_and_any_death_harm_nobody(void)
{
    stop(1, "pairs/channel batch");
}

static void a_stopped_cancel_and_any_death_harm_nobody(void)
{
    stop(2, "pairs/channel cancel");
}

static void a_stopped_receive_and_any_death_harm_nobody(void)
{
    stop(3, "pairs/channel receive");
}

static void a_stopped_peek_and_any_death_harm_nobody(void)
{
    stop(4, "pairs/channel peek");
}

/* The reader is stopped somewhere, and finds the ring overwritten, maybe by somebody who died over it. */
static void a_reader_that_is_lapped_gets_whole_records(void)
{
    struct pairs_stage stage;
    int64_t deadline = rig_deadline(PIPC_MS(600));
    pairs_begin(&stage, "pairs/channel laps");
    for (unsigned i = 0; i < 4 && test_failures() == 0; i++) {
        struct meeting who = {.stopped = &calls[3 + i / 2],
                              .killed = &calls[LAPPING],
                              .producers = i % 2 ? PIPC_PRODUCERS_MANY : PIPC_PRODUCERS_ONE,
                              .delivery = PIPC_DELIVER_LATEST};
        meet(&stage, &who, rig_is_long() ? deadline : test_now() + PIPC_MS(150));
    }
    pairs_end(&stage);
}

static const struct test tests[] = {
    {"G1 G2 G3 G4", "a_stopped_send_and_any_death_harm_nobody", a_stopped_send_and_any_death_harm_nobody, 0},
    {"G1 G2 G3 G4", "a_stopped_batch_and_any_death_harm_nobody", a_stopped_batch_and_any_death_harm_nobody, 0},
    {"G1 G2 G3 G4", "a_stopped_cancel_and_any_death_harm_nobody", a_stopped_cancel_and_any_death_harm_nobody, 0},
    {"G1 G2 G3 G4", "a_stopped_receive_and_any_death_harm_nobody", a_stopped_receive_and_any_death_harm_nobody, 0},
    {"G1 G2 G3 G4", "a_stopped_peek_and_any_death_harm_nobody", a_stopped_peek_and_any_death_harm_nobody, 0},
    {"G1 G3", "a_reader_that_is_lapped_gets_whole_records", a_reader_that_is_lapped_gets_whole_records, 0},
};

TEST_MAIN("pairs_channel", tests)
