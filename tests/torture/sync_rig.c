/* The storm over the lock and the semaphore: processes count under the lock, put tokens in and take them out, and die
 * at any instant, by kill -9 from outside or at a point. Nobody is inside with another, nobody meets a change cut short
 * without having been told; deaths with the lock are told, each once; tokens are neither lost nor made. */
#include <inttypes.h>
#include <stdio.h>
#include <string.h>

#include "crew.h"
#include "rig.h"
#include "support_queue.h"

enum { SEATS = 6, POSTERS = 3, KILLS_A_ROUND = 60, LONG_FORM = 100000 };
#define PATIENCE PIPC_SECONDS(30)

/* What a seat is doing: where it is when it dies says what it may have had. */
enum doing { AWAY, LOCKING, HOLDING, UNLOCKING, POSTING, TAKING, DOINGS };

struct yard {
    pipc_mutex mutex;
    _Atomic uint64_t first, second; /* equal, but in the middle of a change */
    _Atomic uint32_t inside;        /* seat + 1 of who is in that middle */
    _Atomic uint64_t told, turns, busy;
    pipc_semaphore semaphore;
    _Atomic uint64_t posted, taken;
    _Atomic uint32_t doing[SEATS];
    _Atomic int64_t longest; /* that the spared one waited for the lock */
    _Atomic uint64_t broken, late;
};

struct storm {
    struct crew crew;
    struct yard *yard;
    uint64_t deaths[DOINGS]; /* of a round */
    struct rig_figures figures;
};

static void set_doing(struct yard *yard, unsigned seat, enum doing doing)
{
    atomic_store(&yard->doing[seat], doing);
}

/* ---- Members ---- */

static void check_entry(struct yard *yard, unsigned seat, bool told)
{
    bool alone = atomic_exchange(&yard->inside, seat + 1) == 0;
    if (told)
        atomic_store(&yard->second, atomic_load(&yard->first));
    if ((!alone && !told) || atomic_load(&yard->first) != atomic_load(&yard->second))
        atomic_fetch_add(&yard->broken, 1);
}

static void count(struct yard *yard, uint64_t *dice)
{
    uint64_t number = atomic_load(&yard->first);
    atomic_store(&yard->first, number + 1);
    if (test_random(dice, 16) == 0)
        test_sleep(PIPC_US(test_random(dice, 200)));
    atomic_store(&yard->second, number + 1);
}

static void note_wait(struct yard *yard, unsigned seat, int64_t began)
{
    int64_t took = test_now() - began;
    if (seat == 0 && took > atomic_load(&yard->longest))
        atomic_store(&yard->longest, took);
}

static void lock_and_count(struct yard *yard, unsigned seat, uint64_t *dice)
{
    int64_t began = test_now();
    set_doing(yard, seat, LOCKING);
    int error = pipc_mutex_lock(&yard->mutex, test_random(dice, 4) ? PATIENCE : PIPC_NOWAIT);
    bool told = error == PIPC_E_OWNER_DIED;
    if (error && !told) {
        set_doing(yard, seat, AWAY);
        atomic_fetch_add(error == PIPC_E_BUSY ? &yard->busy : &yard->late, 1);
        return;
    }
    atomic_fetch_add(&yard->told, told);
    set_doing(yard, seat, HOLDING);
    note_wait(yard, seat, began);
    check_entry(yard, seat, told);
    count(yard, dice);
    atomic_store(&yard->inside, 0);
    atomic_fetch_add(&yard->turns, 1);
    set_doing(yard, seat, UNLOCKING);
    CHECK_OK(pipc_mutex_unlock(&yard->mutex));
    set_doing(yard, seat, AWAY);
}

static void post_or_take(struct yard *yard, unsigned seat, uint64_t *dice)
{
    bool posts = seat >= SEATS - POSTERS;
    set_doing(yard, seat, posts ? POSTING : TAKING);
    int error = posts ? pipc_semaphore_post(&yard->semaphore, 1) : pipc_semaphore_wait(&yard->semaphore, PATIENCE);
    if (!error)
        atomic_fetch_add(posts ? &yard->posted : &yard->taken, 1);
    set_doing(yard, seat, AWAY);
    if (error)
        atomic_fetch_add(&yard->late, 1);
    if (posts && test_random(dice, 2))
        test_sleep(PIPC_US(test_random(dice, 150))); /* the takers fall asleep */
}

static int work(void *argument, unsigned seat)
{
    struct storm *storm = argument;
    struct yard *yard = storm->yard;
    uint64_t dice = (uint64_t)test_now() * 16 + seat;
    for (;;) {
        crew_beat(&storm->crew, seat);
        lock_and_count(yard, seat, &dice);
        crew_beat(&storm->crew, seat);
        post_or_take(yard, seat, &dice);
    }
    return 0;
}

static void note_death(void *argument, unsigned seat)
{
    struct storm *storm = argument;
    storm->deaths[atomic_exchange(&storm->yard->doing[seat], AWAY)]++;
}

/* ---- One round ---- */

/* All are dead. Who died in a call may have had the lock (a token) or not; all others are certain. */
static void settle_lock(struct storm *storm)
{
    struct yard *yard = storm->yard;
    int error = pipc_mutex_lock(&yard->mutex, PATIENCE);
    CHECK(error == 0 || error == PIPC_E_OWNER_DIED);
    if (error == 0 && atomic_load(&yard->first) != atomic_load(&yard->second))
        atomic_fetch_add(&yard->broken, 1);
    CHECK_OK(pipc_mutex_unlock(&yard->mutex));
    CHECK_OK(pipc_mutex_lock(&yard->mutex, PIPC_NOWAIT));
    CHECK_OK(pipc_mutex_unlock(&yard->mutex));
    uint64_t told = atomic_load(&yard->told) + (error != 0), certain = storm->deaths[HOLDING];
    uint64_t possible = certain + storm->deaths[LOCKING] + storm->deaths[UNLOCKING];
    storm->figures.lost += !CHECK(told >= certain);
    storm->figures.duplicated += !CHECK(told <= possible);
    storm->figures.torn += atomic_load(&yard->broken);
    CHECK_EQUAL(atomic_load(&yard->broken), 0);
}

static void settle_tokens(struct storm *storm)
{
    struct yard *yard = storm->yard;
    uint32_t left = 0;
    CHECK_OK(pipc_semaphore_value(&yard->semaphore, &left));
    uint64_t posted = atomic_load(&yard->posted), taken = atomic_load(&yard->taken) + left;
    storm->figures.lost += !CHECK(taken + storm->deaths[TAKING] >= posted);
    storm->figures.duplicated += !CHECK(taken <= posted + storm->deaths[POSTING]);
}

static void go_through(struct storm *storm, int64_t until)
{
    memset(storm->yard, 0, sizeof *storm->yard);
    memset(storm->deaths, 0, sizeof storm->deaths);
    if (storm->figures.trials % 4) /* else a member settles where the lock is at home, and may die of it */
        settle_lock(storm);
    crew_run(&storm->crew, KILLS_A_ROUND, until, NULL);
    crew_end(&storm->crew);
    settle_lock(storm);
    settle_tokens(storm);
    storm->figures.hangs += atomic_load(&storm->yard->late);
    CHECK_EQUAL(atomic_load(&storm->yard->late), 0);
    if (atomic_load(&storm->yard->longest) > storm->figures.worst_delay)
        storm->figures.worst_delay = atomic_load(&storm->yard->longest);
    storm->figures.trials++;
}

static const char *const points[] = {"lock: ", "mutex: ", "semaphore: ", "wait: ", NULL};

static void storm_of_deaths_over_a_lock_and_a_semaphore(void)
{
    struct storm storm = {.yard = test_shared(sizeof *storm.yard), .figures = {.rig = "sync"}};
    struct crew_board *board = crew_board_make();
    int64_t until = rig_deadline(PIPC_SECONDS(15));
    uint64_t goal = rig_trials(2500, LONG_FORM), turns = 0, told = 0, taken = 0;
    storm.crew = (struct crew){.board = board,
                               .points = points,
                               .seats = SEATS,
                               .spared = 1,
                               .life = PIPC_MS(20),
                               .work = work,
                               .died = note_death,
                               .argument = &storm,
                               .dice = (uint64_t)test_now()};
    while (board->kills < goal && test_now() < until && test_failures() == 0) {
        go_through(&storm, until);
        turns += atomic_load(&storm.yard->turns);
        told += atomic_load(&storm.yard->told);
        taken += atomic_load(&storm.yard->taken);
    }
    storm.figures.kills = board->kills;
    storm.figures.hangs += board->hangs;
    printf("sync: %" PRIu64 " rounds, %" PRIu64 " turns under the lock, %" PRIu64 " told of a death, %" PRIu64
           " tokens taken, %" PRIu64 " of the deaths at a point\n",
           storm.figures.trials, turns, told, taken, board->suicides);
    CHECK(turns > 0);
    CHECK(told > 0);
    CHECK(taken > 0);
    crew_tell(&storm.crew, LONG_FORM);
    rig_tell(&storm.figures);
}

static const struct test tests[] = {
    {"M7 G4", "storm_of_deaths_over_a_lock_and_a_semaphore", storm_of_deaths_over_a_lock_and_a_semaphore, 120},
};

TEST_MAIN("sync", tests)
