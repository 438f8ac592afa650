/* The storm over a channel: producers, consumers and subscribers, killed and stopped at any instant and at all points,
 * in rounds. After each the channel is emptied and the tally judged: what was confirmed arrives, whole and in order;
 * who dies takes no more along than it may, and holds nobody up. */
#include <inttypes.h>
#include <stdio.h>
#include <unistd.h>

#include "delays.h"
#include "points.h"
#include "probe.h"
#include "rig.h"
#include "support_queue.h"
#include "tally.h"

#define PATIENCE PIPC_SECONDS(40) /* of a call that must succeed: only a hang takes so long */
#define HELD_UP  PIPC_MS(120)     /* the longest that a death may hold up a call, in a storm of them (G2, G4) */
#define AGAIN    PIPC_SECONDS(1)  /* a dead peer's room is there again (G5), a stopped one has let go */
#define SHORT    PIPC_MS(2)
#define TINY     PIPC_US(20)

enum { KILLS_A_ROUND = 200, FEW_KILLS = 40, BATCH = 4, LEADER = CREW_SEATS, LONG_FORM = 200000 };

/* What a round is like. */
struct weather {
    const char *name;
    uint32_t producers, delivery;
    uint32_t size;
    unsigned senders; /* the first seats; the others read */
    bool stops;
};

static const struct weather weathers[] = {
    {"one producer at a time, one consumer", PIPC_PRODUCERS_ONE, PIPC_DELIVER_ONCE, 4096, 4, false},
    {"many producers, one consumer", PIPC_PRODUCERS_MANY, PIPC_DELIVER_ONCE, 4096, 4, false},
    {"one producer at a time, every subscriber", PIPC_PRODUCERS_ONE, PIPC_DELIVER_ALL, 4096, 4, false},
    {"many producers, every subscriber", PIPC_PRODUCERS_MANY, PIPC_DELIVER_ALL, 8192, 4, false},
    {"one producer, the latest", PIPC_PRODUCERS_ONE, PIPC_DELIVER_LATEST, 4096, 1, false},
    {"many producers, the latest", PIPC_PRODUCERS_MANY, PIPC_DELIVER_LATEST, 8192, 4, false},
    {"many producers, a large ring, some are stopped", PIPC_PRODUCERS_MANY, PIPC_DELIVER_ONCE, 65536, 5, true},
    {"one producer at a time, the latest, some are stopped", PIPC_PRODUCERS_ONE, PIPC_DELIVER_LATEST, 4096, 3, true},
};

enum { WEATHERS = sizeof weathers / sizeof *weathers };

struct storm {
    const struct weather *weather;
    struct tally *tally;
    struct crew crew;
    pipc_channel *channel; /* the leader's; not a subscriber's */
    struct rig_figures figures;
    uint64_t records, excused, marked, skipped, missed;
    struct delays late[WEATHERS], no_room[WEATHERS];
    uint32_t witness;
};

/* ---- What they do ---- */

static int64_t any_patience(uint64_t *dice)
{
    uint32_t roll = test_random(dice, 8);
    return roll == 0 ? PIPC_NOWAIT : roll == 1 ? SHORT : roll == 2 ? TINY : PATIENCE;
}

/* A failure that this patience allows. */
static void check_refusal(struct storm *storm, int error, int64_t patience, int nothing)
{
    bool fine = patience == PIPC_NOWAIT ? error == nothing || error == PIPC_E_BUSY : error == PIPC_E_TIMEOUT;
    if (fine && patience == PATIENCE)
        atomic_fetch_add(&storm->crew.board->hangs, 1);
    if (!CHECK(fine))
        printf("a call answered %s: %s\n", pipc_error_name(error), pipc_error_detail());
}

static uint32_t any_size(const struct storm *storm, uint64_t *dice)
{
    uint32_t most = storm->weather->size / 4 - 16, least = sizeof(struct parcel);
    return least + test_random(dice, test_random(dice, 4) ? 100 : most - least + 1);
}

static void send_one(struct storm *storm, pipc_channel *channel, unsigned seat, uint64_t *dice)
{
    uint32_t number = tally_begin(storm->tally, seat, 1);
    struct parcel parcel = {seat, any_size(storm, dice), number};
    int64_t patience = any_patience(dice);
    int error = parcel_send(channel, &parcel, patience);
    tally_end(storm->tally, seat, number, error ? TALLY_REFUSED : TALLY_CONFIRMED);
    if (error)
        check_refusal(storm, error, patience, PIPC_E_FULL);
}

/* Some of what was reserved, in any order, where that is allowed. */
static void commit_one_by_one(struct storm *storm, pipc_channel *channel, unsigned seat, uint32_t first,
                              const pipc_record *records, uint32_t count, uint64_t *dice)
{
    for (uint32_t i = 0, from = test_random(dice, count); i < count; i++) {
        uint32_t at = (from + i) % count;
        bool cancel = test_random(dice, 4) == 0;
        CHECK_OK((cancel ? pipc_channel_cancel : pipc_channel_commit)(channel, &records[at], 1));
        tally_end(storm->tally, seat, first + at, cancel ? TALLY_REFUSED : TALLY_CONFIRMED);
    }
}

static void settle_batch(struct storm *storm, pipc_channel *channel, unsigned seat, uint32_t first,
                         const pipc_record *records, uint32_t count, uint64_t *dice)
{
    bool cancel = test_random(dice, 5) == 0;
    if (storm->weather->producers == PIPC_PRODUCERS_MANY && test_random(dice, 2)) {
        commit_one_by_one(storm, channel, seat, first, records, count, dice);
        return;
    }
    CHECK_OK((cancel ? pipc_channel_cancel : pipc_channel_commit)(channel, records, count));
    for (uint32_t i = 0; i < count; i++)
        tally_end(storm->tally, seat, first + i, cancel ? TALLY_REFUSED : TALLY_CONFIRMED);
}

/* Reserves some, fills them (some less than reserved), commits or cancels. */
static void send_batch(struct storm *storm, pipc_channel *channel, unsigned seat, uint64_t *dice)
{
    pipc_record records[BATCH] = {0};
    uint32_t wanted = 1 + test_random(dice, BATCH), first = tally_begin(storm->tally, seat, wanted), got = 0;
    int64_t patience = any_patience(dice);
    int error = 0;
    for (; got < wanted && !error; got += !error) {
        records[got].size = any_size(storm, dice);
        error = pipc_channel_reserve(channel, &records[got], got ? PIPC_NOWAIT : patience);
        if (error && !got)
            check_refusal(storm, error, patience, PIPC_E_FULL);
    }
    for (uint32_t i = got; i < wanted; i++)
        tally_end(storm->tally, seat, first + i, TALLY_REFUSED);
    for (uint32_t i = 0; i < got; i++) {
        if (test_random(dice, 3) == 0)
            records[i].size -= test_random(dice, (uint32_t)records[i].size - (uint32_t)sizeof(struct parcel) + 1);
        parcel_fill(records[i].data, &(struct parcel){seat, (uint32_t)records[i].size, first + i});
    }
    if (got)
        settle_batch(storm, channel, seat, first, records, got, dice);
}

static void receive_one(struct storm *storm, pipc_channel *channel, unsigned seat, uint32_t life, uint64_t *dice)
{
    static unsigned char body[65536];
    pipc_record record = {.data = body, .size = sizeof body};
    int64_t patience = any_patience(dice);
    atomic_store(&storm->tally->receiving[seat], 1);
    int error = pipc_channel_receive(channel, &record, patience);
    if (error)
        check_refusal(storm, error, patience, PIPC_E_EMPTY);
    else
        CHECK(tally_arrive(storm->tally, life, &record));
    atomic_store(&storm->tally->receiving[seat], 0);
}

/* DELIVER_LATEST: what was overwritten meanwhile proves nothing. */
static void release_latest(struct storm *storm, pipc_channel *channel, uint32_t life, const pipc_record *records,
                           uint32_t count)
{
    static unsigned char copies[BATCH][65536];
    pipc_record copied[BATCH];
    for (uint32_t i = 0; i < count; i++) {
        copied[i] = records[i];
        copied[i].data = copies[i];
        for (uint64_t at = 0; at < records[i].size; at++)
            copies[i][at] = ((const volatile unsigned char *)records[i].data)[at];
    }
    int error = pipc_channel_release(channel, count);
    if (error == PIPC_E_OVERRUN)
        storm->tally->life[life].unsure += count;
    else if (CHECK_OK(error))
        for (uint32_t i = 0; i < count; i++)
            CHECK(tally_arrive(storm->tally, life, &copied[i]));
}

/* Looks at some in place, and takes some of them away. What it takes it has written down before. */
static void peek_some(struct storm *storm, pipc_channel *channel, uint32_t life, uint64_t *dice)
{
    pipc_record records[BATCH] = {0};
    uint32_t count = 1 + test_random(dice, BATCH);
    int64_t patience = any_patience(dice);
    int error = pipc_channel_peek(channel, records, &count, patience);
    if (error) {
        check_refusal(storm, error, patience, PIPC_E_EMPTY);
        return;
    }
    if (storm->weather->delivery == PIPC_DELIVER_LATEST) {
        release_latest(storm, channel, life, records, count);
        return;
    }
    if (test_random(dice, 4) == 0)
        count = test_random(dice, count + 1);
    for (uint32_t i = 0; i < count; i++)
        CHECK(tally_arrive(storm->tally, life, &records[i]));
    CHECK_OK(pipc_channel_release(channel, count));
}

static void produce(struct storm *storm, unsigned seat, uint64_t *dice)
{
    pipc_channel *channel = test_random(dice, 2) ? storm->channel : parcel_join("storm", PIPC_SEND);
    while (!atomic_load(&storm->tally->full)) {
        crew_beat(&storm->crew, seat);
        if (test_random(dice, 2))
            send_one(storm, channel, seat, dice);
        else
            send_batch(storm, channel, seat, dice);
    }
}

static void consume(struct storm *storm, unsigned seat, uint64_t *dice)
{
    pipc_channel *channel = parcel_join("storm", PIPC_RECEIVE);
    uint32_t life = tally_live(storm->tally);
    while (!atomic_load(&storm->tally->full)) {
        crew_beat(&storm->crew, seat);
        if (test_random(dice, 2))
            receive_one(storm, channel, seat, life, dice);
        else
            peek_some(storm, channel, life, dice);
    }
}

static int work(void *argument, unsigned seat)
{
    struct storm *storm = argument;
    uint64_t dice = (uint64_t)test_now() ^ (uint64_t)getpid() << 32;
    atomic_store(&storm->tally->receiving[seat], 0);
    if (seat < storm->weather->senders)
        produce(storm, seat, &dice);
    else
        consume(storm, seat, &dice);
    for (;;)
        pause();
    return 0;
}

/* Only who came as far as this in a receive can have taken a record along. */
static bool may_have_taken(const struct crew_post *post)
{
    static const char *const points[] = {"channel: shown, not taken", "channel: taken, not counted",
                                         "channel: read, nobody woken", "lock: given, nobody woken",
                                         "wake: word changed, nobody woken"};
    uint32_t last = atomic_load(&post->last);
    for (unsigned i = 0; i < sizeof points / sizeof *points; i++) {
        uint32_t point = points_find(points[i]);
        if (point != POINTS_NONE && last == point + 1)
            return true;
    }
    return false;
}

static void note_death(void *argument, unsigned seat)
{
    struct storm *storm = argument;
    struct tally *tally = storm->tally;
    bool reads = seat >= storm->weather->senders;
    tally->consumers_died += reads;
    tally->producers_died += !reads;
    tally->excuses += reads && atomic_load(&tally->receiving[seat]) && may_have_taken(&storm->crew.board->posts[seat]);
}

/* ---- Who is not killed ---- */

/* Sees everything (or is told how much it missed) from the beginning to the end. */
static int witness(void *argument)
{
    struct storm *storm = argument;
    pipc_channel *channel = parcel_join("storm", PIPC_RECEIVE);
    static unsigned char body[65536];
    storm->tally->life[storm->witness].began = test_now();
    atomic_store(&storm->tally->receiving[LEADER], 1); /* it is there */
    for (;;) {
        bool last = atomic_load(&storm->tally->stop);
        pipc_record record = {.data = body, .size = sizeof body};
        int error = pipc_channel_receive(channel, &record, PIPC_MS(150));
        if (error == 0)
            REQUIRE(tally_arrive(storm->tally, storm->witness, &record));
        else
            REQUIRE_ERROR(error, TIMEOUT);
        if (error && last)
            break;
    }
    return pipc_channel_close(channel);
}

static pid_t call_witness(struct storm *storm)
{
    storm->witness = tally_live(storm->tally);
    if (storm->weather->delivery == PIPC_DELIVER_ONCE)
        return 0;
    pid_t child = test_fork(witness, storm);
    REQUIRE(test_await(&storm->tally->receiving[LEADER], 1));
    return child;
}

/* ---- One round ---- */

/* What is left; the dead hold it up for a while at most. */
static void drain(struct storm *storm, pid_t child)
{
    if (child) {
        atomic_store(&storm->tally->stop, 1);
        storm->figures.hangs += test_wait(child, PATIENCE) != 0;
        return;
    }
    struct parcel parcel;
    pipc_record record;
    int error;
    while ((error = parcel_receive(storm->channel, &parcel, &record, PIPC_MS(150))) == 0)
        CHECK(tally_arrive(storm->tally, storm->witness, &record));
    CHECK_ERROR(error, TIMEOUT);
}

/* The ring goes round twice, whatever the dead had of it. */
static void check_room(struct storm *storm)
{
    uint32_t size = storm->weather->size / 4 - 16;
    struct parcel parcel = {.size = size};
    int64_t longest = 0;
    for (int i = 0; i < 10; i++) {
        int64_t began = test_now();
        CHECK_OK(parcel_send(storm->channel, &parcel, PATIENCE));
        longest = test_now() - began > longest ? test_now() - began : longest;
        if (storm->weather->delivery == PIPC_DELIVER_ONCE)
            CHECK_OK(parcel_receive(storm->channel, &parcel, NULL, PIPC_NOWAIT));
    }
    delays_note(&storm->no_room[storm->weather - weathers], longest, 0);
}

static struct tally_verdict judge(struct storm *storm)
{
    const struct weather *weather = storm->weather;
    struct tally_rules rules = {.delivery = weather->delivery,
                                .whole_batches = weather->producers == PIPC_PRODUCERS_ONE,
                                .counts_missed = weather->senders == 1,
                                .witness = storm->witness};
    struct tally_verdict verdict = tally_judge(storm->tally, &rules);
    struct rig_figures *figures = &storm->figures;
    figures->lost += verdict.lost + verdict.miscounted;
    figures->duplicated += verdict.duplicated;
    figures->torn += verdict.unsent + verdict.misplaced + verdict.torn_batches + atomic_load(&storm->tally->torn);
    storm->records += verdict.present;
    storm->excused += verdict.excused;
    storm->marked += verdict.marked;
    if (!weather->stops && verdict.late > figures->worst_delay)
        figures->worst_delay = verdict.late;
    delays_note(&storm->late[weather - weathers], verdict.late, storm->crew.stall);
    CHECK_EQUAL(verdict.lost, 0);
    CHECK_EQUAL(verdict.miscounted, 0);
    CHECK_EQUAL(verdict.duplicated, 0);
    CHECK_EQUAL(verdict.unsent, 0);
    CHECK_EQUAL(verdict.misplaced, 0);
    CHECK_EQUAL(verdict.torn_batches, 0);
    CHECK_EQUAL(atomic_load(&storm->tally->torn), 0);
    return verdict;
}

static bool is_near(uint64_t value, uint64_t wanted, uint64_t doubt)
{
    return value + doubt >= wanted && value <= wanted + doubt;
}

/* Seen and missed are what was sent. Given up by many producers, and overwritten before the reader came there, it
 * counts as missed. */
static void check_told(const struct storm *storm, const pipc_channel_info *info, const struct tally_verdict *verdict)
{
    uint64_t told = verdict->witness_seen + verdict->witness_missed, doubt = storm->tally->producers_died / 10;
    uint64_t given_up = storm->weather->producers == PIPC_PRODUCERS_MANY ? verdict->refused + info->skipped : 0;
    CHECK(told + doubt >= info->sent && told <= info->sent + given_up + doubt);
}

/* Statistics are right, up to what a death in the middle of counting leaves. */
static void check_figures(struct storm *storm, const pipc_channel_info *info, const struct tally_verdict *verdict)
{
    bool once = storm->weather->delivery == PIPC_DELIVER_ONCE, all = storm->weather->delivery == PIPC_DELIVER_ALL;
    uint64_t deaths = storm->tally->consumers_died + storm->tally->producers_died;
    uint64_t present = verdict->present + verdict->excused;
    if (once || all)
        CHECK(is_near(info->sent, present, deaths / 10 + storm->tally->excuses));
    if (once) {
        CHECK_EQUAL(info->records, 0);
        CHECK_EQUAL(info->bytes, 0);
        CHECK(is_near(info->received, present, deaths));
        storm->figures.leaks += info->records || info->bytes;
    }
    CHECK(info->skipped <= verdict->begun_only + deaths / 10);
    if (storm->weather->delivery == PIPC_DELIVER_LATEST)
        check_told(storm, info, verdict);
    storm->skipped += info->skipped;
    storm->missed += info->missed;
}

/* Who died last may have shown records and not counted them, which the next producer mends: here one that sends
 * nothing. The witness makes room for it. */
static void mend(struct storm *storm)
{
    pipc_record none = {0};
    if (CHECK_OK(pipc_channel_reserve(storm->channel, &none, PATIENCE)))
        CHECK_OK(pipc_channel_cancel(storm->channel, &none, 1));
}

/* All are dead. */
static void settle(struct storm *storm, pid_t child)
{
    unsigned failures = test_failures();
    if (child)
        mend(storm);
    drain(storm, child);
    pipc_channel_info info = parcel_info(storm->channel);
    struct tally_verdict verdict = judge(storm);
    check_figures(storm, &info, &verdict);
    check_room(storm);
    parcel_end(storm->channel, "storm");
    storm->figures.leaks += probe_count(test_prefix());
    if (test_failures() > failures)
        printf("channel storm: in a round with this weather: %s; sent %" PRIu64 ", received %" PRIu64
               ", skipped %" PRIu64 ", records %" PRIu64 ", bytes %" PRIu64 ", missed %" PRIu64 "; present %" PRIu64
               ", excused %" PRIu64 ", never came %" PRIu64 ", deaths %u + %u, witness %" PRIu64 " + %" PRIu64 "\n",
               storm->weather->name, info.sent, info.received, info.skipped, info.records, info.bytes, info.missed,
               verdict.present, verdict.excused, verdict.begun_only, storm->tally->producers_died,
               storm->tally->consumers_died, verdict.witness_seen, verdict.witness_missed);
}

static void go_through(struct storm *storm, const struct weather *weather, uint64_t kills, int64_t until)
{
    bool once = weather->delivery == PIPC_DELIVER_ONCE;
    storm->weather = weather;
    tally_clear(storm->tally);
    storm->channel = parcel_channel("storm", once ? 0 : PIPC_SEND,
                                    &(pipc_channel_options){.size = weather->size,
                                                            .producers = weather->producers,
                                                            .delivery = weather->delivery,
                                                            .subscribers = once ? 0 : 8});
    storm->crew.stops = weather->stops;
    pid_t child = call_witness(storm);
    crew_run(&storm->crew, kills, until, &storm->tally->full);
    crew_end(&storm->crew);
    settle(storm, child);
    storm->figures.trials++;
}

/* One kind of delay of each weather. */
static void prepare(struct storm *storm)
{
    for (unsigned i = 0; i < WEATHERS; i++) {
        delays_begin(&storm->late[i], "channel-storm", weathers[i].name, weathers[i].stops ? AGAIN : HELD_UP);
        delays_begin(&storm->no_room[i], "channel-storm: room", weathers[i].name, AGAIN);
    }
}

static const char *const points[] = {"channel: ", "lock: ", "wait: ", "wake: word changed, nobody", NULL};

static void storm_of_deaths_over_a_channel_loses_doubles_tears_and_strands_nothing(void)
{
    static struct storm storm;
    storm = (struct storm){.tally = test_shared(sizeof *storm.tally), .figures = {.rig = "channel-storm"}};
    prepare(&storm);
    struct crew_board *board = crew_board_make();
    int64_t until = rig_deadline(PIPC_SECONDS(6));
    uint64_t goal = rig_trials(1000, LONG_FORM), kills = rig_trials(FEW_KILLS, KILLS_A_ROUND);
    storm.crew = (struct crew){.board = board,
                               .points = points,
                               .seats = CREW_SEATS,
                               .life = PIPC_MS(20),
                               .work = work,
                               .died = note_death,
                               .argument = &storm,
                               .dice = (uint64_t)test_now()};
    unsigned files = rig_entries("/proc/self/fd");
    for (unsigned round = 0; board->kills < goal && test_now() < until && test_failures() == 0; round++)
        go_through(&storm, &weathers[round % WEATHERS], kills, until);
    storm.figures.kills = board->kills;
    storm.figures.wanted = goal;
    storm.figures.hangs += board->hangs;
    storm.figures.leaks += rig_entries("/proc/self/fd") - files;
    printf("channel storm: %" PRIu64 " rounds, %" PRIu64 " records, %" PRIu64 " lost with their receivers, %" PRIu64
           " delivered with a mark, %" PRIu64 " skipped, %" PRIu64 " missed, %" PRIu64 " of the deaths at a point\n",
           storm.figures.trials, storm.records, storm.excused, storm.marked, storm.skipped, storm.missed,
           board->suicides);
    CHECK(storm.records > 0);
    delays_judge_halves(storm.late, WEATHERS);
    delays_judge_halves(storm.no_room, WEATHERS);
    crew_tell(&storm.crew, LONG_FORM);
    rig_tell(&storm.figures);
}

static const struct test tests[] = {
    {"G1 G2 G3 G4", "storm_of_deaths_over_a_channel_loses_doubles_tears_and_strands_nothing",
     storm_of_deaths_over_a_channel_loses_doubles_tears_and_strands_nothing, 180},
};

TEST_MAIN("channel_storm", tests)
