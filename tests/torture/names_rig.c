/* Names: creators, openers and removers of a few names, killed at any instant and at all points, in rounds, each in
 * an IPC namespace of its own. Afterwards each name works, and nothing is left but what has a name. */
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

#include "crew.h"
#include "delays.h"
#include "kinds.h"
#include "ledger.h"
#include "probe.h"
#include "rig.h"

enum {
    CREW = 6,
    VETERAN = CREW,
    NAMES = 4,
    KILLS_A_ROUND = 250,
    MOST_PER_NAME = 1 << 15,
    TOKEN = 1000,
    LONG_FORM = 200000
};

struct names {
    struct ledger *ledger;
    struct crew crew;
    struct rig_figures figures;
    uint64_t made, removed, calls;
    struct delays delays; /* the longest call of each round */
    _Atomic uint32_t over;
    int64_t until;
};

/* Even names are queues. */
static const struct kind *kind_of(uint32_t name)
{
    return name % 2 ? &kind_shm : &kind_queue;
}

static const char *text_of(uint32_t name)
{
    return test_numbered("name", name / 2);
}

/* ---- What they do ---- */

/* Others may have removed it meanwhile, and one killed in a call on the queue may hold its lock. */
static bool is_excuse(int error)
{
    return error == PIPC_E_REMOVED || error == PIPC_E_BUSY;
}

/* A new object is empty, and nobody else takes himself for its maker: he would find the place taken. */
static void put_token(uint32_t name, void *handle)
{
    const struct kind *kind = kind_of(name);
    uint32_t number = 0;
    int error = kind->read(handle, &number);
    CHECK_EQUAL(number, 0);
    CHECK(error == 0 || error == PIPC_E_EMPTY || is_excuse(error));
    for (unsigned i = 0; i < 2; i++) {
        error = kind->write(handle, TOKEN + name);
        if (!is_excuse(error))
            CHECK_OK(error);
    }
}

/* What has this name holds its token, or nothing yet. */
static void look_at(uint32_t name, void *handle)
{
    struct kind_facts facts;
    uint32_t number = 0;
    pipc_message message = {.data = &number, .size = sizeof number};
    int error = kind_of(name)->facts(handle, &facts);
    CHECK(is_excuse(error) || (error == 0 && facts.creator > 0 && facts.owner == geteuid() && facts.mode == 0600));
    if (name % 2)
        kind_shm.read(handle, &number);
    else
        pipc_queue_peek(handle, pipc_any(), &message, PIPC_NOWAIT);
    CHECK(number == 0 || number == TOKEN + name);
}

/* "Busy" may be said after a second; no other failure but `otherwise`. LIMIT: the user's purse for kernel queues
 * is one for all namespaces. */
static enum ledger_kind verdict_on(int error, enum ledger_kind success, int otherwise, enum ledger_kind failure)
{
    if (error == 0)
        return success;
    if (error != PIPC_E_BUSY && error != PIPC_E_LIMIT)
        CHECK_EQUAL(error, otherwise);
    return error == otherwise ? failure : LEDGER_NO;
}

static void open_it(struct names *names, unsigned actor, uint32_t name, enum ledger_kind kind)
{
    static const uint32_t flags[] = {PIPC_CREATE | PIPC_EXCLUSIVE, PIPC_CREATE, 0};
    void *handle = NULL;
    enum ledger_kind verdict;
    ledger_write(names->ledger, actor, kind, name);
    int error = kind_of(name)->open(&handle, text_of(name), flags[kind == LEDGER_OPENS ? 2 : kind == LEDGER_MEETS], 0);
    if (kind == LEDGER_MAKES)
        verdict = verdict_on(error, LEDGER_MADE, PIPC_E_EXISTS, LEDGER_NO);
    else
        verdict = verdict_on(error, LEDGER_NO, kind == LEDGER_OPENS ? PIPC_E_NOT_FOUND : PIPC_OK, LEDGER_ABSENT);
    ledger_write(names->ledger, actor, verdict, name);
    if (error)
        return;
    (kind == LEDGER_MAKES ? put_token : look_at)(name, handle);
    kind_of(name)->close(handle);
}

static void remove_it(struct names *names, unsigned actor, uint32_t name)
{
    ledger_write(names->ledger, actor, LEDGER_REMOVES, name);
    int error = kind_of(name)->remove(text_of(name));
    ledger_write(names->ledger, actor, verdict_on(error, LEDGER_REMOVED, PIPC_E_NOT_FOUND, LEDGER_ABSENT), name);
}

static void do_one(struct names *names, unsigned actor, uint64_t *dice)
{
    static const enum ledger_kind ways[] = {LEDGER_MAKES, LEDGER_MAKES, LEDGER_MEETS, LEDGER_OPENS, LEDGER_OPENS};
    uint32_t name = test_random(dice, NAMES), what = test_random(dice, 8);
    if (what < 5)
        open_it(names, actor, name, ways[what]);
    else
        remove_it(names, actor, name);
}

static int work(void *argument, unsigned seat)
{
    struct names *names = argument;
    uint64_t dice = (uint64_t)test_now() ^ (uint64_t)getpid() << 32;
    while (!atomic_load(&names->ledger->full)) {
        crew_beat(&names->crew, seat);
        do_one(names, seat, &dice);
    }
    for (;;)
        pause();
    return 0;
}

static void note_death(void *argument, unsigned seat)
{
    struct names *names = argument;
    ledger_write(names->ledger, seat, LEDGER_DIED, 0);
}

/* ---- One that lives on ---- */

/* It does what the others do, and gathers no descriptors and no mappings by it. */
static int live_through_it(void *argument)
{
    struct names *names = argument;
    uint64_t dice = (uint64_t)test_now();
    unsigned files = 0, maps = 0, done = 0;
    for (; done < 100 || !atomic_load(&names->over); done++) {
        if (done == 50)
            files = rig_entries("/proc/self/fd"), maps = rig_entries("/proc/self/map_files");
        if (!atomic_load(&names->ledger->full))
            do_one(names, VETERAN, &dice);
        else
            test_sleep(PIPC_MS(1));
    }
    CHECK_EQUAL(rig_entries("/proc/self/fd"), files);
    CHECK_EQUAL(rig_entries("/proc/self/map_files"), maps);
    return 0;
}

/* ---- The judge ---- */

/* Calls that made an object, or removed one: those that said so, and those cut short that may have. */
struct deeds {
    struct deed {
        uint32_t begun, ended;
    } sure[MOST_PER_NAME], maybe[MOST_PER_NAME];
    uint32_t sures, maybes;
};

static void add_deed(struct deeds *deeds, bool sure, uint32_t begun, uint32_t ended)
{
    struct deed deed = {begun, ended};
    REQUIRE(deeds->maybes < MOST_PER_NAME);
    deeds->maybe[deeds->maybes++] = deed;
    if (sure)
        deeds->sure[deeds->sures++] = deed;
}

static void gather(const struct ledger *ledger, uint32_t name, struct deeds *makings, struct deeds *removals)
{
    uint32_t open[LEDGER_ACTORS] = {0}, notes = atomic_load(&ledger->notes);
    makings->sures = makings->maybes = removals->sures = removals->maybes = 0;
    for (uint32_t at = 1; at <= notes && at < LEDGER_NOTES; at++) {
        const struct ledger_note *note = &ledger->note[at];
        if (note->kind == LEDGER_NOTHING)
            continue;
        const struct ledger_note *begun = &ledger->note[open[note->actor]];
        bool died = note->kind == LEDGER_DIED, mine = begun->number == name;
        bool meets = begun->kind == LEDGER_MEETS && (died || note->kind == LEDGER_NO);
        if (mine && (note->kind == LEDGER_MADE || meets || (died && begun->kind == LEDGER_MAKES)))
            add_deed(makings, note->kind == LEDGER_MADE, open[note->actor], at);
        if (mine && (note->kind == LEDGER_REMOVED || (died && begun->kind == LEDGER_REMOVES)))
            add_deed(removals, note->kind == LEDGER_REMOVED, open[note->actor], at);
        open[note->actor] = at;
    }
}

/* Deeds stand in the order in which they ended. */
static bool happens_within(const struct deeds *deeds, uint32_t from, uint32_t to)
{
    uint32_t first = 0, end = deeds->maybes;
    while (first < end) {
        uint32_t middle = (first + end) / 2;
        if (deeds->maybe[middle].ended > from)
            end = middle;
        else
            first = middle + 1;
    }
    for (uint32_t i = first; i < deeds->maybes; i++)
        if (deeds->maybe[i].begun < to)
            return true;
    return false;
}

/* Between two makings of one name lies a removal, between two removals a making. */
static uint64_t unparted(const struct deeds *deeds, const struct deeds *others)
{
    uint64_t count = 0;
    for (uint32_t i = 1; i < deeds->sures; i++) {
        const struct deed *one = &deeds->sure[i - 1], *two = &deeds->sure[i];
        uint32_t from = one->begun < two->begun ? one->begun : two->begun;
        count += !happens_within(others, from, two->ended);
    }
    return count;
}

/* "Not found" was said, though it had been made before and nobody can have removed it since. */
static uint64_t unseen(const struct ledger *ledger, uint32_t name, const struct deeds *makings,
                       const struct deeds *removals)
{
    uint32_t open[LEDGER_ACTORS] = {0}, notes = atomic_load(&ledger->notes), past = 0;
    uint64_t count = 0;
    for (uint32_t at = 1; at <= notes && at < LEDGER_NOTES; at++) {
        const struct ledger_note *note = &ledger->note[at];
        uint32_t begun = open[note->actor];
        if (note->kind == LEDGER_ABSENT && note->number == name) {
            while (past < makings->sures && makings->sure[past].ended < begun)
                past++;
            while (past > 0 && makings->sure[past - 1].ended >= begun)
                past--;
            count += past > 0 && !happens_within(removals, makings->sure[past - 1].begun, at);
        }
        if (note->kind != LEDGER_NOTHING)
            open[note->actor] = at;
    }
    return count;
}

static void measure_calls(struct names *names)
{
    const struct ledger *ledger = names->ledger;
    uint32_t open[LEDGER_ACTORS] = {0}, notes = atomic_load(&ledger->notes);
    int64_t longest = 0;
    for (uint32_t at = 1; at <= notes && at < LEDGER_NOTES; at++) {
        const struct ledger_note *note = &ledger->note[at], *begun = &ledger->note[open[note->actor]];
        bool ends = note->kind == LEDGER_MADE || note->kind == LEDGER_REMOVED || note->kind == LEDGER_ABSENT ||
                    note->kind == LEDGER_NO;
        if (note->kind == LEDGER_NOTHING)
            continue;
        if (ends && note->when - begun->when > longest)
            longest = note->when - begun->when;
        names->calls += ends;
        open[note->actor] = at;
    }
    delays_note(&names->delays, longest, names->crew.stall);
    names->figures.worst_delay = names->delays.worst;
}

static void judge(struct names *names)
{
    struct deeds *makings = malloc(sizeof *makings), *removals = malloc(sizeof *removals);
    REQUIRE(makings && removals);
    for (uint32_t name = 0; name < NAMES; name++) {
        gather(names->ledger, name, makings, removals);
        uint64_t twice = unparted(makings, removals), again = unparted(removals, makings);
        uint64_t lost = unseen(names->ledger, name, makings, removals);
        names->figures.duplicated += twice + again;
        names->figures.lost += lost;
        CHECK_EQUAL(twice, 0); /* two made it, though nobody had removed it */
        CHECK_EQUAL(again, 0); /* two removed it, though nobody had made it anew */
        CHECK_EQUAL(lost, 0);  /* it was not found, though nobody had removed it */
        names->made += makings->sures;
        names->removed += removals->sures;
    }
    free(makings);
    free(removals);
    measure_calls(names);
}

/* ---- One round ---- */

static void works_again(uint32_t name)
{
    const struct kind *kind = kind_of(name);
    void *handle;
    int64_t began = test_now();
    REQUIRE_OK(kind->open(&handle, text_of(name), PIPC_CREATE, 0));
    look_at(name, handle);
    kind->close(handle);
    CHECK_OK(kind->remove(text_of(name)));
    CHECK_ERROR(kind->remove(text_of(name)), NOT_FOUND);
    REQUIRE_OK(kind->open(&handle, text_of(name), PIPC_CREATE | PIPC_EXCLUSIVE, 0));
    put_token(name, handle);
    kind->close(handle);
    CHECK_OK(kind->remove(text_of(name)));
    CHECK(test_now() - began < PIPC_SECONDS(40));
}

static void tell_left(const char *name)
{
    printf("names: left behind: %s\n", name);
}

static int go_through(void *argument)
{
    struct names *names = argument;
    ledger_clear(names->ledger);
    atomic_store(&names->over, 0);
    pid_t veteran = test_fork(live_through_it, names);
    int64_t until = test_now() + PIPC_SECONDS(15); /* a private namespace is ours for less than a minute */
    crew_run(&names->crew, KILLS_A_ROUND, until < names->until ? until : names->until, &names->ledger->full);
    crew_end(&names->crew);
    atomic_store(&names->over, 1);
    CHECK_EQUAL(test_wait(veteran, PIPC_SECONDS(40)), 0);
    judge(names);
    for (uint32_t name = 0; name < NAMES; name++)
        works_again(name);
    names->figures.leaks += probe_remove_everything(tell_left);
    return 0;
}

static const char *const points[] = {"create: ", "kernel queue: ", "names: ", "remove: ", NULL};

static void racing_and_dying_makers_and_removers_leave_names_that_work_and_nothing_else(void)
{
    struct names *names = test_shared(sizeof *names);
    struct crew_board *board = crew_board_make();
    uint64_t goal = rig_trials(3000, LONG_FORM);
    names->figures.rig = "names";
    names->delays.rig = "names", names->delays.what = "a call that makes, opens or removes";
    names->delays.bound = PIPC_SECONDS(1); /* Q2, G4 */
    names->ledger = test_shared(sizeof *names->ledger);
    names->until = rig_deadline(PIPC_SECONDS(30));
    names->crew = (struct crew){.board = board,
                                .points = points,
                                .seats = CREW,
                                .life = PIPC_MS(20),
                                .work = work,
                                .died = note_death,
                                .argument = names,
                                .dice = (uint64_t)test_now()};
    while (board->kills < goal && test_now() < names->until && test_failures() == 0) {
        CHECK_EQUAL(test_in_private_ipc(0, go_through, names), 0);
        names->figures.trials++;
    }
    names->figures.kills = board->kills;
    names->figures.wanted = goal;
    names->figures.hangs = board->hangs;
    printf("names: %" PRIu64 " rounds, %" PRIu64 " calls, %" PRIu64 " made, %" PRIu64 " removed, %" PRIu64
           " of the deaths at a point\n",
           names->figures.trials, names->calls, names->made, names->removed, board->suicides);
    CHECK(names->made > 0 && names->removed > 0);
    delays_judge_half(&names->delays);
    crew_tell(&names->crew, LONG_FORM);
    rig_tell(&names->figures);
}

static const struct test tests[] = {
    {"Q2 Q10 M1 M4", "racing_and_dying_makers_and_removers_leave_names_that_work_and_nothing_else",
     racing_and_dying_makers_and_removers_leave_names_that_work_and_nothing_else, 180},
};

TEST_MAIN("names", tests)
