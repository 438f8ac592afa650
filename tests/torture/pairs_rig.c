/* Every pair of points in calls on a queue: one call is stopped at a point, another killed at a point, the first
 * goes on. Nothing may be lost but what the dead receiver had selected; nothing doubled, torn, out of order,
 * blocked or leaked. */
#include <string.h>

#include "pairs.h"
#include "support_queue.h"

/* Numbers: 0 to 2 wait from the beginning, 100 and 101 are sent by the two, 200 and on by a third, 300 to let the one
 * that goes on come to its end. */
enum { PLACES = 6, WAITING = 3, FIRST_NEW = 100, FIRST_THIRD = 200, RELEASING = 300, BIG = 8300, LATER = 77 };

enum does { SENDS = 1, TAKES = 2, LOOKS = 4, DROPS = 8 };

struct call {
    const char *name;
    pairs_call *call;
    unsigned does;
    uint32_t takes; /* bits: the waiting messages that it may select */
};

struct meeting {
    const struct call *stopped, *killed;
    bool stowed; /* the waiting messages lie in slots, not in the kernel's queue */
    bool tight;  /* one place is free */
};

static const struct meeting *meeting(const struct pairs_stage *stage)
{
    return stage->of->more;
}

static bool either_does(const struct pairs_stage *stage, unsigned what)
{
    return (meeting(stage)->stopped->does | meeting(stage)->killed->does) & what;
}

/* ---- The calls ---- */

static int send(struct pairs_stage *stage, enum pairs_who who, uint64_t size)
{
    return queue_send(stage->handle, 9, 0, FIRST_NEW + who, size, PIPC_SECONDS(20));
}

static int call_send(struct pairs_stage *stage, enum pairs_who who)
{
    return send(stage, who, 64);
}

static int call_spill(struct pairs_stage *stage, enum pairs_who who)
{
    return send(stage, who, BIG);
}

/* Where the other may have taken what this one wants, it waits less long. */
static int64_t patience(const struct pairs_stage *stage)
{
    uint32_t both = meeting(stage)->stopped->takes & meeting(stage)->killed->takes;
    bool one_only = (both & (both - 1)) == 0 && both != 0;
    return one_only || either_does(stage, DROPS) ? PIPC_MS(60) : PIPC_SECONDS(20);
}

static int take(struct pairs_stage *stage, enum pairs_who who, pipc_selection selection)
{
    struct queue_got got;
    int error = queue_receive(stage->handle, selection, &got, patience(stage));
    if (!error)
        atomic_store(&stage->traces->got[who], got.number);
    return error;
}

static int call_receive(struct pairs_stage *stage, enum pairs_who who)
{
    return take(stage, who, pipc_any());
}

static int call_select(struct pairs_stage *stage, enum pairs_who who)
{
    return take(stage, who, pipc_exactly(WAITING));
}

static int call_peek(struct pairs_stage *stage, enum pairs_who who)
{
    struct queue_got got;
    (void)who;
    int error = queue_peek(stage->handle, pipc_exactly(2), &got, patience(stage));
    CHECK(error != 0 || got.number == 1 || got.number == RELEASING);
    return error;
}

static int call_purge(struct pairs_stage *stage, enum pairs_who who)
{
    (void)who;
    return pipc_queue_purge(stage->handle, NULL);
}

static const struct call calls[] = {
    {"send", call_send, SENDS, 0},           {"send of a big message", call_spill, SENDS, 0},
    {"receive", call_receive, TAKES, 1 | 2}, {"selective receive", call_select, TAKES, 4},
    {"peek", call_peek, LOOKS, 0},           {"purge", call_purge, DROPS, 0},
};

enum { CALLS = sizeof calls / sizeof *calls };

/* ---- Before, meanwhile, after ---- */

/* How often each message was got by anybody: the waiting ones, then the two new ones. */
static uint32_t times[WAITING + 2 + PLACES + 1];
static uint32_t third_sent; /* messages that the third has sent */
static bool third_came, released;

enum { PLACE_OF_NEW = WAITING, PLACE_OF_THIRD = WAITING + 2, PLACE_OF_RELEASING = PLACE_OF_THIRD + PLACES };

/* Where a number is counted; NOWHERE: nobody sent it. */
#define NOWHERE UINT32_MAX
static uint32_t place_of(uint64_t number)
{
    if (number < WAITING)
        return (uint32_t)number;
    if (number == RELEASING && released)
        return PLACE_OF_RELEASING;
    if (number >= FIRST_THIRD)
        return number < FIRST_THIRD + third_sent ? PLACE_OF_THIRD + (uint32_t)(number - FIRST_THIRD) : NOWHERE;
    return number == FIRST_NEW || number == FIRST_NEW + 1 ? PLACE_OF_NEW + (uint32_t)(number - FIRST_NEW) : NOWHERE;
}

static void count(struct pairs_stage *stage, uint64_t number)
{
    uint32_t at = place_of(number);
    if (at == NOWHERE)
        pairs_bad(stage, &stage->figures.torn, "message %llu was never sent", (unsigned long long)number);
    else if (times[at]++ > 0)
        pairs_bad(stage, &stage->figures.duplicated, "message %llu came twice", (unsigned long long)number);
}

static void set(struct pairs_stage *stage)
{
    pipc_queue *queue = queue_make("q", meeting(stage)->tight ? WAITING + 1 : PLACES, BIG);
    struct queue_got got;
    for (uint32_t i = 0; i < WAITING; i++)
        REQUIRE_OK(queue_send(queue, 1 + i, 0, i, 64, PIPC_NOWAIT));
    if (meeting(stage)->stowed)
        REQUIRE_ERROR(queue_receive(queue, pipc_exactly(LATER), &got, PIPC_NOWAIT), EMPTY);
    stage->handle = queue;
    memset(times, 0, sizeof times);
    third_sent = 0;
    third_came = released = false;
}

/* What the one that goes on wants may have been taken meanwhile, and the place that it wants be filled. */
static void release(struct pairs_stage *stage)
{
    struct queue_got got;
    const struct call *stopped = meeting(stage)->stopped;
    pipc_queue_info info = queue_info(stage->handle);
    bool wants = stopped->does & (TAKES | LOOKS) && third_came && !released;
    if (!wants && !(stopped->does & SENDS))
        return;
    if (info.messages == info.max_messages && queue_receive(stage->handle, pipc_any(), &got, PIPC_NOWAIT) == 0)
        count(stage, got.number);
    if (wants)
        released = queue_send(stage->handle, stopped->does & LOOKS ? 2 : WAITING, 0, RELEASING, 64, PIPC_NOWAIT) == 0;
}

/* A third takes all that it can have and fills every place anew: what the stopped one knows of them is old. */
static void trade(struct pairs_stage *stage)
{
    struct queue_got got;
    int error;
    third_came = true;
    while ((error = queue_receive(stage->handle, pipc_any(), &got, PIPC_NOWAIT)) == 0)
        count(stage, got.number);
    for (; error == PIPC_E_EMPTY && third_sent < PLACES; third_sent++)
        if (queue_send(stage->handle, 5, 0, FIRST_THIRD + third_sent, 64, PIPC_NOWAIT) != 0)
            break;
}

/* A stopped process costs others no more than their patience, and those that need no lock nothing. */
static void meanwhile(struct pairs_stage *stage)
{
    struct queue_got got;
    pipc_queue_info info;
    int64_t began = test_now();
    if (stage->number % 2) {
        trade(stage);
        return;
    }
    int error = queue_receive(stage->handle, pipc_exactly(LATER), &got, PIPC_MS(3));
    if (error != PIPC_E_TIMEOUT)
        pairs_bad(stage, &stage->figures.hangs, "meanwhile a receive with a timeout answered %s",
                  pipc_error_name(error));
    error = queue_receive(stage->handle, pipc_exactly(LATER), &got, PIPC_NOWAIT);
    if (error != PIPC_E_EMPTY && error != PIPC_E_BUSY)
        pairs_bad(stage, &stage->figures.hangs, "meanwhile an asynchronous receive answered %s",
                  pipc_error_name(error));
    CHECK_OK(pipc_queue_statistics(stage->handle, &info));
    CHECK_OK(pipc_queue_close(queue_join("q", 0)));
    if (test_now() - began > PIPC_SECONDS(20))
        pairs_bad(stage, &stage->figures.hangs, "meanwhile calls took more than 20 s");
}

static void drain(struct pairs_stage *stage)
{
    struct queue_got got;
    uint64_t last = 0;
    int error;
    int64_t began = test_now(), delay = 0;
    while ((error = queue_receive(stage->handle, pipc_any(), &got, PIPC_NOWAIT)) == 0 || error == PIPC_E_BUSY) {
        if (error && test_now() - began < PIPC_SECONDS(30))
            continue;
        delay = delay ? delay : test_now() - began;
        if (error)
            break;
        if (!got.whole)
            pairs_bad(stage, &stage->figures.torn, "message %llu is torn", (unsigned long long)got.number);
        bool in_order = got.number > last || (got.number >= FIRST_NEW && got.number < FIRST_THIRD) ||
                        last >= RELEASING || (last >= FIRST_NEW && last < FIRST_THIRD);
        if (!in_order && last > 0)
            pairs_bad(stage, &stage->figures.lost, "message %llu came behind a later one",
                      (unsigned long long)got.number);
        last = got.number;
        count(stage, got.number);
    }
    delay = delay ? delay : test_now() - began;
    if (delay > stage->figures.worst_delay)
        stage->figures.worst_delay = delay;
    if (error != PIPC_E_EMPTY)
        pairs_bad(stage, &stage->figures.hangs, "receive answered %s", pipc_error_name(error));
}

static void judge_answer(struct pairs_stage *stage)
{
    int answer = atomic_load(&stage->traces->answer[PAIRS_STOPPED]);
    const struct call *call = meeting(stage)->stopped;
    bool may_end_empty = call->does & (TAKES | LOOKS) && (third_came || patience(stage) < PIPC_SECONDS(1));
    bool fine = answer == 0 || answer == PAIRS_ABSENT || (answer == PIPC_E_TIMEOUT && may_end_empty) ||
                (answer == PIPC_E_BUSY && call->does & DROPS); /* it does not wait for the lock */
    if (!fine)
        pairs_bad(stage, &stage->figures.hangs, "the stopped call answered %s when it went on",
                  answer == PAIRS_PENDING ? "nothing" : pipc_error_name(answer));
}

/* Everything is there once, but for one that the dead had selected, or what was dropped. */
static void judge_tally(struct pairs_stage *stage)
{
    const struct pairs_traces *traces = stage->traces;
    const struct call *killed = meeting(stage)->killed;
    bool died = atomic_load(&traces->answer[PAIRS_KILLED]) == PAIRS_PENDING;
    bool may_lose = died && killed->does & TAKES;
    if (either_does(stage, DROPS))
        return;
    for (uint32_t i = 0; i < WAITING; i++) {
        if (times[i])
            continue;
        if (!may_lose || !(killed->takes >> i & 1))
            pairs_bad(stage, &stage->figures.lost, "message %u is lost", i);
        may_lose = false;
    }
    for (enum pairs_who who = 0; who < PAIRS_ROLES; who++) {
        bool sent = (who == PAIRS_STOPPED ? meeting(stage)->stopped : killed)->does & SENDS &&
                    atomic_load(&traces->answer[who]) == 0;
        if (sent && times[PLACE_OF_NEW + who] == 0)
            pairs_bad(stage, &stage->figures.lost, "the message that %s sent is lost", stage->of->names[who]);
    }
    for (uint32_t i = 0; i < third_sent; i++)
        if (times[PLACE_OF_THIRD + i] == 0)
            pairs_bad(stage, &stage->figures.lost, "message %u that a third sent meanwhile is lost", FIRST_THIRD + i);
}

static void check_room(struct pairs_stage *stage, uint32_t places)
{
    uint32_t fit = 0;
    struct queue_got got;
    while (fit <= places && queue_send(stage->handle, 1, 0, fit, 8, fit < places ? PIPC_SECONDS(20) : PIPC_NOWAIT) == 0)
        fit++;
    if (fit != places)
        pairs_bad(stage, &stage->figures.leaks, "%u messages fit, not %u", fit, places);
    for (uint32_t i = 0; i < fit; i++)
        if (queue_receive(stage->handle, pipc_any(), &got, PIPC_NOWAIT) != 0 || got.number != i)
            pairs_bad(stage, &stage->figures.lost, "the queue that was filled anew gives not message %u", i);
    if (queue_info(stage->handle).messages)
        pairs_bad(stage, &stage->figures.leaks, "statistics tell of messages in the empty queue");
}

static void judge(struct pairs_stage *stage)
{
    bool purged = meeting(stage)->stopped->does & DROPS && atomic_load(&stage->traces->answer[PAIRS_STOPPED]) == 0;
    uint32_t before[WAITING];
    memcpy(before, times, sizeof before);
    judge_answer(stage);
    drain(stage);
    for (uint32_t i = 0; purged && i < WAITING; i++)
        if (times[i] > before[i])
            pairs_bad(stage, &stage->figures.duplicated, "message %u outlived the purge", i);
    for (enum pairs_who who = 0; who < PAIRS_ROLES; who++)
        if (atomic_load(&stage->traces->got[who]) != UINT64_MAX)
            count(stage, atomic_load(&stage->traces->got[who]));
    judge_tally(stage);
    check_room(stage, meeting(stage)->tight ? WAITING + 1 : PLACES);
    queue_end(stage->handle, "q");
}

/* ---- The tests ---- */

static void meet(struct pairs_stage *stage, const struct meeting *who, int64_t deadline)
{
    struct pairs_case of = {.name = "pairs",
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

/* One call is stopped, each other is killed, in each state of the queue. */
static void stop(unsigned call, const char *rig)
{
    struct pairs_stage stage;
    const int64_t short_span = PIPC_MS(1500);
    int64_t deadline = rig_deadline(short_span);
    uint64_t turn = (uint64_t)test_now() / 1000;
    pairs_begin(&stage, rig);
    for (unsigned i = 0; i < CALLS * 4 && test_failures() == 0 && test_now() < deadline; i++) {
        unsigned at = (unsigned)((turn + i * 5) % (CALLS * 4));
        struct meeting who = {&calls[call], &calls[at / 4], at & 1, at & 2};
        bool two_senders = who.stopped->does & who.killed->does & SENDS;
        if (who.tight && !two_senders)
            continue;
        meet(&stage, &who, rig_is_long() ? deadline : test_now() + short_span / 12);
    }
    pairs_end(&stage);
}

static void a_stopped_send_and_any_death_harm_nobody(void)
{
    stop(0, "pairs/send");
}

static void a_stopped_send_of_a_big_message_and_any_death_harm_nobody(void)
{
    stop(1, "pairs/big send");
}

static void a_stopped_receive_and_any_death_harm_nobody(void)
{
    stop(2, "pairs/receive");
}

static void a_stopped_selective_receive_and_any_death_harm_nobody(void)
{
    stop(3, "pairs/selective receive");
}

static void a_stopped_peek_and_any_death_harm_nobody(void)
{
    stop(4, "pairs/peek");
}

static void a_stopped_purge_and_any_death_harm_nobody(void)
{
    stop(5, "pairs/purge");
}

static const struct test tests[] = {
    {"G1 G2 G3 G4 G5", "a_stopped_send_and_any_death_harm_nobody", a_stopped_send_and_any_death_harm_nobody, 0},
    {"G1 G2 G3 G4 G5", "a_stopped_send_of_a_big_message_and_any_death_harm_nobody",
     a_stopped_send_of_a_big_message_and_any_death_harm_nobody, 0},
    {"G1 G2 G3 G4 G5", "a_stopped_receive_and_any_death_harm_nobody", a_stopped_receive_and_any_death_harm_nobody, 0},
    {"G1 G2 G3 G4 G5", "a_stopped_selective_receive_and_any_death_harm_nobody",
     a_stopped_selective_receive_and_any_death_harm_nobody, 0},
    {"G1 G2 G3 G4 G5", "a_stopped_peek_and_any_death_harm_nobody", a_stopped_peek_and_any_death_harm_nobody, 0},
    {"G1 G2 G3 G4 G5", "a_stopped_purge_and_any_death_harm_nobody", a_stopped_purge_and_any_death_harm_nobody, 0},
};

TEST_MAIN("pairs", tests)
