/* See crew.h. */
#include "crew.h"

#include <inttypes.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

#include "points.h"
#include "rig.h"
#include "support_queue.h"

#define LOOK_EVERY PIPC_US(150)
#define SILENCE    PIPC_SECONDS(60) /* longer than any call may take on any machine */

enum { LEAST_KILLS = 100, BUSY = 100000 };

struct crew_board *crew_board_make(void)
{
    struct crew_board *board = test_shared(sizeof *board);
    REQUIRE(points_count() <= CREW_POINTS);
    return board;
}

void crew_beat(struct crew *crew, unsigned seat)
{
    atomic_store_explicit(&crew->board->posts[seat].heard, test_now(), memory_order_relaxed);
}

/* ---- How each dies ---- */

static int64_t within(struct crew *crew, int64_t span)
{
    return (int64_t)test_random(&crew->dice, (uint32_t)(span / 1000)) * 1000;
}

static uint64_t times_reached(const struct crew_board *board, uint32_t point)
{
    uint64_t times = 0;
    for (unsigned seat = 0; seat < CREW_SEATS; seat++)
        times += atomic_load_explicit(&board->posts[seat].reached[point], memory_order_relaxed);
    return times;
}

static bool is_its(const struct crew *crew, uint32_t point)
{
    for (const char *const *begins = crew->points; *begins; begins++)
        if (strncmp(points_name(point), *begins, strlen(*begins)) == 0)
            return true;
    return false;
}

/* One of the points that this crew comes to; rather one at which few have died. */
static uint32_t neglected(struct crew *crew)
{
    const struct crew_board *board = crew->board;
    uint32_t best = POINTS_NONE, found = 0;
    for (uint32_t tries = 0; tries < 16 && found < 3; tries++) {
        uint32_t point = test_random(&crew->dice, points_count());
        if (!is_its(crew, point) || times_reached(board, point) == 0)
            continue;
        found++;
        if (best == POINTS_NONE || board->kills_at[point + 1] < board->kills_at[best + 1])
            best = point;
    }
    return best;
}

struct sitting {
    struct crew *crew;
    unsigned seat;
    uint32_t point; /* POINTS_NONE: none in particular */
    uint32_t nth;   /* 0: it is killed from outside */
};

static int sit(void *argument)
{
    struct sitting *sitting = argument;
    struct crew_post *post = &sitting->crew->board->posts[sitting->seat];
    atomic_store(&post->last, 0);
    points_note(&post->last, post->reached);
    if (sitting->point != POINTS_NONE)
        points_kill_at(sitting->point, sitting->nth);
    else if (sitting->nth)
        points_kill_one_in(sitting->nth, (uint64_t)getpid() * 1000003 + sitting->crew->dice);
    return sitting->crew->work(sitting->crew->argument, sitting->seat);
}

static void begin(struct crew *crew, unsigned seat)
{
    struct sitting sitting = {crew, seat, POINTS_NONE, 0};
    struct crew_member *member = &crew->members[seat];
    int64_t now = test_now();
    int64_t life = crew->life >> test_random(&crew->dice, 3);
    *member = (struct crew_member){.die = now + within(crew, life)};
    if (seat < crew->spared) {
        member->die = INT64_MAX;
    } else if (test_random(&crew->dice, 2)) {
        member->die = now + 2 * crew->life; /* if it does not come to its point */
        sitting.nth = 1u << (3 + test_random(&crew->dice, 8));
        if (test_random(&crew->dice, 4) == 0 && (sitting.point = neglected(crew)) != POINTS_NONE)
            sitting.nth = 1 + test_random(&crew->dice, times_reached(crew->board, sitting.point) > BUSY ? 3 : 1);
    }
    if (crew->stops && seat >= crew->spared && test_random(&crew->dice, 3) == 0) {
        member->stop = now + within(crew, crew->life / 2);
        member->resume = member->stop + within(crew, PIPC_MS(10));
    }
    crew_beat(crew, seat);
    member->pid = test_fork(sit, &sitting);
}

/* ---- Leading them ---- */

static void bury(struct crew *crew, unsigned seat, int status)
{
    struct crew_board *board = crew->board;
    struct crew_member *member = &crew->members[seat];
    CHECK_EQUAL(WIFSIGNALED(status) ? 128 + WTERMSIG(status) : WEXITSTATUS(status), 128 + SIGKILL);
    board->kills++;
    board->suicides += !member->sentenced;
    board->kills_at[atomic_load(&board->posts[seat].last)]++;
    member->pid = 0;
    if (crew->died)
        crew->died(crew->argument, seat);
}

static void sentence(struct crew *crew, unsigned seat)
{
    struct crew_member *member = &crew->members[seat];
    member->sentenced = true;
    kill(member->pid, SIGKILL);
}

/* Every call of a member ends long before this; a stopped one is silent with good reason. */
static void listen_to(struct crew *crew, unsigned seat, int64_t now)
{
    int64_t heard = atomic_load_explicit(&crew->board->posts[seat].heard, memory_order_relaxed);
    if (now - heard < SILENCE)
        return;
    crew->board->hangs++;
    CHECK(!"a process of the crew hung in a call");
}

static void attend(struct crew *crew, unsigned seat)
{
    struct crew_member *member = &crew->members[seat];
    int status;
    if (member->pid > 0 && waitpid(member->pid, &status, WNOHANG) == member->pid)
        bury(crew, seat, status);
    if (member->pid == 0)
        begin(crew, seat);
    int64_t now = test_now();
    if (member->stop && now >= member->stop) {
        kill(member->pid, SIGSTOP);
        member->stop = 0;
    }
    if (!member->stop && member->resume && now >= member->resume) {
        kill(member->pid, SIGCONT);
        member->resume = 0;
    }
    if (!member->sentenced && now >= member->die)
        sentence(crew, seat);
    listen_to(crew, seat, now);
}

/* A nap. How much too long it was is the machine's doing. */
static void nap(struct crew *crew)
{
    int64_t began = test_now();
    test_sleep(LOOK_EVERY);
    int64_t stall = test_now() - began - LOOK_EVERY;
    if (stall > crew->stall)
        crew->stall = stall;
}

void crew_run(struct crew *crew, uint64_t kills, int64_t until, const _Atomic uint32_t *enough)
{
    uint64_t goal = crew->board->kills + kills;
    crew->stall = 0;
    while (crew->board->kills < goal && test_now() < until && test_failures() == 0 &&
           !(enough && atomic_load(enough))) {
        for (unsigned seat = 0; seat < crew->seats; seat++)
            attend(crew, seat);
        nap(crew);
    }
}

void crew_end(struct crew *crew)
{
    for (unsigned seat = 0; seat < crew->seats; seat++)
        if (crew->members[seat].pid > 0)
            sentence(crew, seat);
    for (unsigned seat = 0; seat < crew->seats; seat++) {
        int status;
        if (crew->members[seat].pid > 0 && waitpid(crew->members[seat].pid, &status, 0) > 0)
            bury(crew, seat, status);
    }
}

static void check_enough(const struct crew_board *board, uint32_t point)
{
    char sentence[300];
    uint64_t kills = board->kills_at[point + 1];
    snprintf(sentence, sizeof sentence, "at \"%s\", which was reached %" PRIu64 " times, only %" PRIu64 " died, not %d",
             points_name(point), times_reached(board, point), kills, LEAST_KILLS);
    test_check(kills >= LEAST_KILLS, false, __FILE__, __LINE__, sentence);
}

void crew_tell(const struct crew *crew, uint64_t long_form)
{
    const struct crew_board *board = crew->board;
    pipc_facts facts;
    REQUIRE_OK(pipc_library_facts(&facts));
    for (uint32_t point = 0; rig_is_long() && point < points_count(); point++) {
        if (!is_its(crew, point) || points_find(points_name(point)) != point)
            continue;
        printf("POINT|%s|%s|%" PRIu64 "|%" PRIu64 "\n", facts.backend, points_name(point), board->kills_at[point + 1],
               times_reached(board, point));
        if (board->kills >= long_form)
            check_enough(board, point);
    }
    fflush(stdout);
}
