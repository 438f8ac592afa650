/* The storm: senders and receivers of several types and priorities, killed and stopped at any instant and at all
 * points, in rounds. After each the queue is emptied and the ledger judged: who dies takes no more along than it
 * may, and nobody else notices. */
#include <inttypes.h>
#include <stdio.h>
#include <unistd.h>

#include "crew.h"
#include "delays.h"
#include "ledger.h"
#include "points.h"
#include "probe.h"
#include "rig.h"

#define PATIENCE PIPC_SECONDS(40) /* of a call that must succeed: only a hang takes so long */
#define HELD_UP  PIPC_MS(120)     /* the longest that a death may hold up a call, in a storm of them (G2, G4) */
#define AGAIN    PIPC_SECONDS(1)  /* a dead peer's place is there again (G5), a stopped one has let go */
#define SHORT    PIPC_MS(2)
#define TINY     PIPC_US(20) /* over before the lock comes, now and then */

enum { CREW = 8, KILLS_A_ROUND = 250, LARGEST = 9000, LONG_FORM = 500000 };

/* What a round is like. */
struct weather {
    const char *name;
    uint32_t places;
    uint32_t big_one_in;
    uint32_t purge_one_in;
    bool stops;
};

static const struct weather weathers[] = {
    {"plain: all goes through the kernel's queue", 8, 0, 0, false},
    {"more than the kernel's queue holds", 40, 5, 0, false},
    {"some are stopped", 24, 6, 0, true},
    {"purges", 24, 6, 150, false},
};

enum { WEATHERS = sizeof weathers / sizeof *weathers };

struct storm {
    const struct weather *weather;
    struct ledger *ledger;
    struct crew crew;
    pipc_queue *queue;
    struct rig_figures figures;
    uint64_t messages, excused;
    struct delays late[WEATHERS], no_room[WEATHERS];
};

/* ---- What they do ---- */

static int64_t any_patience(uint64_t *dice)
{
    uint32_t roll = test_random(dice, 8);
    return roll == 0 ? PIPC_NOWAIT : roll == 1 ? SHORT : roll == 2 ? TINY : PATIENCE;
}

/* May a call with this patience answer so? */
static bool is_excuse(struct storm *storm, int error, int64_t patience, int nothing)
{
    if (patience == PIPC_NOWAIT)
        return error == nothing || error == PIPC_E_BUSY;
    bool over = error == PIPC_E_TIMEOUT;
    atomic_fetch_add(&storm->crew.board->hangs, over && patience == PATIENCE);
    return over && patience != PATIENCE;
}

static void send_one(struct storm *storm, pipc_queue *queue, unsigned seat, uint64_t *dice)
{
    struct ledger *ledger = storm->ledger;
    uint32_t number = atomic_fetch_add(&ledger->numbers, 1);
    struct letter letter = letter_of(ledger, number);
    int64_t patience = any_patience(dice);
    ledger_write(ledger, seat, LEDGER_SENDS, number);
    int error = queue_send(queue, letter.type, letter.priority, letter.body, letter.size, patience);
    ledger_write(ledger, seat, error ? LEDGER_NOT_SENT : LEDGER_SENT, number);
    if (!is_excuse(storm, error, patience, PIPC_E_FULL))
        REQUIRE_OK(error);
}

/* Who is choosy waits only a little: what fills the queue may be of no type that anybody here wants. */
static void receive_one(struct storm *storm, pipc_queue *queue, unsigned seat, uint64_t *dice)
{
    pipc_selection selection = queue_any_selection(dice, LETTER_TYPES);
    bool peek = test_random(dice, 16) == 0;
    int64_t patience = any_patience(dice);
    struct queue_got got;
    uint32_t number = 0;
    if (patience == PATIENCE && (peek || selection.rule != PIPC_RULE_ANY))
        patience = SHORT;
    ledger_write_takes(storm->ledger, seat, selection);
    int error = (peek ? queue_peek : queue_receive)(queue, selection, &got, patience);
    if (error) {
        ledger_write(storm->ledger, seat, error == PIPC_E_EMPTY ? LEDGER_EMPTY : LEDGER_GAVE_UP, 0);
        if (!is_excuse(storm, error, patience, PIPC_E_EMPTY))
            REQUIRE_OK(error);
        return;
    }
    REQUIRE(letter_is(storm->ledger, &got, &number));
    ledger_write(storm->ledger, seat, peek ? LEDGER_PEEKED : LEDGER_TOOK, number);
}

static void purge(struct storm *storm, pipc_queue *queue, unsigned seat)
{
    ledger_write(storm->ledger, seat, LEDGER_PURGES, 0);
    int error = pipc_queue_purge(queue, NULL);
    ledger_write(storm->ledger, seat, error ? LEDGER_GAVE_UP : LEDGER_PURGED, 0);
    if (error != PIPC_E_BUSY)
        REQUIRE_OK(error);
}

/* Even seats send, odd ones receive; some do the other thing too. Half of them open the queue themselves. */
static int work(void *argument, unsigned seat)
{
    struct storm *storm = argument;
    uint64_t dice = (uint64_t)test_now() ^ (uint64_t)getpid() << 32;
    pipc_queue *queue = test_random(&dice, 2) ? storm->queue : queue_join("storm", 0);
    bool both = test_random(&dice, 4) == 0;
    uint32_t purge_one_in = storm->weather->purge_one_in;
    while (!atomic_load(&storm->ledger->full)) {
        crew_beat(&storm->crew, seat);
        if (seat % 2 == 0 || both)
            send_one(storm, queue, seat, &dice);
        crew_beat(&storm->crew, seat);
        if (seat % 2 == 1 || both)
            receive_one(storm, queue, seat, &dice);
        if (purge_one_in && seat % 2 == 1 && test_random(&dice, purge_one_in) == 0)
            purge(storm, queue, seat);
    }
    for (;;)
        pause();
    return 0;
}

/* Only who came as far as this in a receive can have taken a message along: from the copy on, and not before. */
static bool may_have_taken(const struct crew_post *post)
{
    static const char *const points[] = {"receive: copied from staging, not freed",
                                         "receive: freed, still staged",
                                         "receive: done, not counted",
                                         "receive: out of the indexes, still full",
                                         "receive: freed, still pending",
                                         "receive: looked, still locked",
                                         "lock: given, nobody woken",
                                         "receive: unlocked, nobody woken",
                                         "wake: word changed, nobody woken"};
    uint32_t last = atomic_load(&post->last);
    for (unsigned i = 0; i < sizeof points / sizeof *points; i++) {
        uint32_t point = points_find(points[i]);
        REQUIRE(point != POINTS_NONE);
        if (last == point + 1)
            return true;
    }
    return false;
}

static void note_death(void *argument, unsigned seat)
{
    struct storm *storm = argument;
    ledger_write(storm->ledger, seat, LEDGER_DIED, may_have_taken(&storm->crew.board->posts[seat]));
}

/* ---- One round ---- */

/* The leader takes what is left. Nobody else is there: "busy" and "empty" end by themselves. */
static void drain(struct storm *storm)
{
    int64_t deadline = test_now() + PATIENCE;
    int error = 0;
    while (error == 0 || (error == PIPC_E_BUSY && test_now() < deadline)) {
        struct queue_got got;
        uint32_t number = 0;
        ledger_write_takes(storm->ledger, CREW, pipc_any());
        error = queue_receive(storm->queue, pipc_any(), &got, PIPC_NOWAIT);
        if (error)
            ledger_write(storm->ledger, CREW, error == PIPC_E_EMPTY ? LEDGER_EMPTY : LEDGER_GAVE_UP, 0);
        else if (CHECK(letter_is(storm->ledger, &got, &number)))
            ledger_write(storm->ledger, CREW, LEDGER_TOOK, number);
    }
    storm->figures.hangs += error == PIPC_E_BUSY;
    CHECK_ERROR(error, EMPTY);
}

static void add_up(struct storm *storm, const struct ledger_verdict *verdict)
{
    struct rig_figures *figures = &storm->figures;
    const struct weather *weather = storm->weather;
    struct delays *no_room = &storm->no_room[weather - weathers];
    figures->lost += verdict->lost + verdict->hidden;
    figures->duplicated += verdict->duplicated + verdict->revived;
    figures->torn += verdict->unsent + verdict->misplaced;
    storm->messages += verdict->received;
    storm->excused += verdict->excused;
    if (!weather->stops && verdict->late > figures->worst_delay)
        figures->worst_delay = verdict->late;
    delays_note(&storm->late[weather - weathers], verdict->late, storm->crew.stall);
    if (!weather->purge_one_in) /* what a purge drops makes room that nobody knows of */
        delays_note(no_room, verdict->no_room, storm->crew.stall);
    CHECK_EQUAL(verdict->lost, 0);
    CHECK_EQUAL(verdict->hidden, 0);
    CHECK_EQUAL(verdict->duplicated, 0);
    CHECK_EQUAL(verdict->revived, 0);
    CHECK_EQUAL(verdict->unsent, 0);
    CHECK_EQUAL(verdict->misplaced, 0);
}

/* All are dead. What they held of the queue comes back, and nothing else is left of them. */
static void settle(struct storm *storm)
{
    drain(storm);
    uint64_t kept = queue_info(storm->queue).messages;
    CHECK_EQUAL(kept, 0);
    struct ledger_verdict verdict = ledger_judge(storm->ledger);
    add_up(storm, &verdict);
    if (verdict.lost || verdict.misplaced || verdict.hidden || verdict.duplicated || verdict.unsent)
        printf("storm: in a round with this weather: %s\n", storm->weather->name);
    unsigned failures = test_failures();
    queue_check_room(storm->queue, storm->weather->places, 64);
    queue_end(storm->queue, "storm");
    storm->figures.leaks += kept + (test_failures() > failures) + probe_count(test_prefix());
}

static void go_through(struct storm *storm, const struct weather *weather, uint64_t kills, int64_t until)
{
    storm->weather = weather;
    storm->ledger->places = weather->places;
    storm->ledger->big_one_in = weather->big_one_in;
    ledger_clear(storm->ledger);
    storm->queue = queue_make("storm", weather->places, LARGEST);
    storm->crew.stops = weather->stops;
    crew_run(&storm->crew, kills, until, &storm->ledger->full);
    crew_end(&storm->crew);
    settle(storm);
    storm->figures.trials++;
}

/* One kind of delay of each weather. */
static void prepare(struct storm *storm)
{
    for (unsigned i = 0; i < WEATHERS; i++) {
        delays_begin(&storm->late[i], "storm", weathers[i].name, weathers[i].stops ? AGAIN : HELD_UP);
        delays_begin(&storm->no_room[i], "storm: room", weathers[i].name, AGAIN);
    }
}

/* All points of sending and receiving. A rebuild comes of damage only: see death_cost and step; long sleep: see deep.
 */
static const char *const points[] = {"audit: ",
                                     "index: ",
                                     "lock: ",
                                     "open: ",
                                     "purge: ",
                                     "receive: ",
                                     "repair: ",
                                     "send: ",
                                     "slot: ",
                                     "spill: ",
                                     "stow: ",
                                     "wait: ",
                                     "wake: word changed, nobody",
                                     NULL};

static void storm_of_deaths_loses_doubles_tears_and_strands_nothing(void)
{
    static struct storm storm;
    storm = (struct storm){.ledger = test_shared(sizeof *storm.ledger), .figures = {.rig = "storm"}};
    prepare(&storm);
    struct crew_board *board = crew_board_make();
    int64_t until = rig_deadline(PIPC_SECONDS(40));
    uint64_t goal = rig_trials(7000, LONG_FORM);
    storm.crew = (struct crew){.board = board,
                               .points = points,
                               .seats = CREW,
                               .spared = 2,
                               .life = PIPC_MS(20),
                               .work = work,
                               .died = note_death,
                               .argument = &storm,
                               .dice = (uint64_t)test_now()};
    unsigned files = rig_entries("/proc/self/fd");
    for (unsigned round = 0; board->kills < goal && test_now() < until && test_failures() == 0; round++)
        go_through(&storm, &weathers[round % WEATHERS], KILLS_A_ROUND, until);
    storm.figures.kills = board->kills;
    storm.figures.wanted = goal;
    storm.figures.hangs += board->hangs;
    storm.figures.torn += storm.ledger->torn;
    storm.figures.leaks += rig_entries("/proc/self/fd") - files;
    printf("storm: %" PRIu64 " rounds, %" PRIu64 " messages received, %" PRIu64 " lost with their receivers, %" PRIu64
           " of the deaths at a point\n",
           storm.figures.trials, storm.messages, storm.excused, board->suicides);
    CHECK(storm.messages > 0);
    delays_judge_halves(storm.late, WEATHERS);
    delays_judge_halves(storm.no_room, WEATHERS);
    crew_tell(&storm.crew, LONG_FORM);
    rig_tell(&storm.figures);
}

static const struct test tests[] = {
    {"G1 G2 G3 G4 G5", "storm_of_deaths_loses_doubles_tears_and_strands_nothing",
     storm_of_deaths_loses_doubles_tears_and_strands_nothing, 180},
};

TEST_MAIN("storm", tests)
