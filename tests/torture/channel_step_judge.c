/* See channel_step_judge.h. */
#include "channel_step_judge.h"

const struct ring_case *ring_case_of(const struct step_stage *stage)
{
    return stage->of->more;
}

struct parcel ring_parcel(uint64_t number)
{
    return (struct parcel){1, RING_PADDED, number};
}

int ring_send(pipc_channel *channel, uint64_t number, int64_t timeout)
{
    struct parcel parcel = ring_parcel(number);
    return parcel_send(channel, &parcel, timeout);
}

int ring_make(pipc_channel **channel)
{
    return pipc_channel_open(channel, test_name("c"), PIPC_CREATE | PIPC_EXCLUSIVE,
                             &(pipc_channel_options){.size = RING_SIZE, .delivery = PIPC_DELIVER_ALL});
}

/* ---- What must be there afterwards ---- */

static void note_delay(struct step_stage *stage, int64_t began)
{
    if (!stage->whole && test_now() - began > stage->figures.worst_delay)
        stage->figures.worst_delay = test_now() - began;
}

/* How often each came, and the last number. */
struct harvest {
    uint32_t times[RING_NEXT + 1];
    uint64_t last;
};

static void take_note(struct step_stage *stage, struct harvest *harvest, const struct parcel *parcel,
                      const pipc_record *record)
{
    const struct ring_case *of = ring_case_of(stage);
    uint64_t number = parcel->number;
    bool waits = number < stage->of->waiting,
         fresh = number >= RING_FRESH && number < RING_FRESH + of->fresh && !of->never;
    if (!waits && !fresh && number != RING_NEXT && (number != RING_DEAD || !stage->of->dies))
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
    int error = ring_case_of(stage)->full ? 0 : ring_send(stage->handle, RING_NEXT, PIPC_SECONDS(20));
    bool full = ring_case_of(stage)->full, more = true;
    if (error)
        step_bad(stage, &stage->figures.hangs, "the next send answered %s", pipc_error_name(error));
    while (!error && more && (error = parcel_receive(stage->handle, &parcel, &record, PIPC_SECONDS(20))) == 0) {
        take_note(stage, harvest, &parcel, &record);
        more = full ? parcel.number + 1 < stage->of->waiting : parcel.number != RING_NEXT;
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
    const struct ring_case *of = ring_case_of(stage);
    uint32_t waiting = stage->of->waiting, taken = of->delivery == PIPC_DELIVER_ONCE ? of->takes : 0;
    uint32_t kept = count(harvest, taken, waiting), gone = taken - count(harvest, 0, taken);
    uint32_t fresh = count(harvest, RING_FRESH, RING_FRESH + of->fresh);
    bool sends = of->fresh > 0 && !of->never;
    if (kept != waiting - taken)
        step_bad(stage, &stage->figures.lost, "%u of %u records are there", kept, waiting - taken);
    if (gone != taken && (gone || stage->whole))
        step_bad(stage, &stage->figures.lost, "%u of %u records are taken", gone, taken);
    if (sends && fresh != of->fresh && (stage->whole || (fresh && of->whole_batch) || of->sent_before))
        step_bad(stage, &stage->figures.lost, "%u of %u fresh records are there", fresh, of->fresh);
}

static void judge_figures(struct step_stage *stage, const struct harvest *harvest)
{
    const struct ring_case *of = ring_case_of(stage);
    pipc_channel_info info = parcel_info(stage->handle);
    uint64_t there = count(harvest, 0, RING_NEXT + 1),
             most = there + (of->delivery == PIPC_DELIVER_ONCE ? of->takes : 0);
    uint64_t moved = of->at_the_end ? RING_SIZE / 112 + 1 : 0;
    uint64_t dead = stage->of->dies || (of->never && !stage->whole);
    if (of->exact)
        dead = 0;
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
    const uint32_t span = 32, most = (RING_SIZE - 16) / span;
    struct parcel parcel = {1, sizeof parcel, 0};
    int64_t began = test_now();
    for (int round = 0; round < 2 && ring_case_of(stage)->delivery != PIPC_DELIVER_LATEST; round++) {
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
    CHECK_OK(ring_send(stage->handle, RING_NEXT, PIPC_SECONDS(20)));
    int ended = test_wait(child, PIPC_SECONDS(30));
    if (ended)
        step_bad(stage, &stage->figures.hangs, "a receiver that slept afterwards ended with %d", ended);
    note_delay(stage, began);
}

/* The table has two places: the dead one's is given to the next. */
static void check_subscriptions(struct step_stage *stage)
{
    pipc_channel *channel = NULL;
    if (ring_case_of(stage)->delivery == PIPC_DELIVER_ONCE)
        return;
    int error = pipc_channel_open(&channel, test_name("c"), PIPC_RECEIVE, NULL);
    if (error)
        step_bad(stage, &stage->figures.leaks, "the next subscriber is answered %s", pipc_error_name(error));
    uint32_t subscribers = parcel_info(stage->handle).subscribers;
    if (subscribers != 2)
        step_bad(stage, &stage->figures.leaks, "there are two subscribers, and %u are counted", subscribers);
    CHECK_OK(pipc_channel_close(channel));
}

void ring_judge(struct step_stage *stage)
{
    struct harvest harvest = {0};
    uint64_t left = parcel_info(stage->handle).records;
    reap(stage, &harvest);
    if (ring_case_of(stage)->exact && stage->whole && left != count(&harvest, 0, RING_NEXT))
        step_bad(stage, &stage->figures.lost, "%llu were told to be there, %u were", (unsigned long long)left,
                 count(&harvest, 0, RING_NEXT));
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

static void use(struct step_stage *stage, pipc_channel *channel)
{
    struct parcel parcel = {0};
    if (ring_send(channel, 1, PIPC_NOWAIT) != 0 || parcel_receive(channel, &parcel, NULL, PIPC_NOWAIT) != 0 ||
        parcel.number != 1)
        step_bad(stage, &stage->figures.lost, "a record does not come through: %s", pipc_error_detail());
}

/* The name is free, or leads to a whole channel. */
void ring_judge_name(struct step_stage *stage)
{
    pipc_channel *channel = NULL;
    int64_t began = test_now();
    int error = ring_make(&channel);
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

void ring_judge_removal(struct step_stage *stage)
{
    pipc_channel_info info;
    int error = pipc_channel_statistics(stage->handle, &info), removed = pipc_channel_remove(test_name("c"));
    if ((error == 0) != (removed == 0) || (stage->whole && !error))
        step_bad(stage, &stage->figures.lost, "the handle answers %s, a second removal %s", pipc_error_name(error),
                 pipc_error_name(removed));
    error = ring_send(stage->handle, 1, PIPC_NOWAIT);
    if (error != PIPC_E_REMOVED)
        step_bad(stage, &stage->figures.lost, "a send to the removed answers %s", pipc_error_name(error));
    CHECK_OK(pipc_channel_close(stage->handle));
    stage->handle = NULL;
    stage->whole = false;
    ring_judge_name(stage);
}
