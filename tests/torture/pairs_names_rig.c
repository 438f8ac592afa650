/* Every pair of points in the making and removing of names: one process is stopped at a point, another killed at a
 * point, a third may come meanwhile; then the first goes on. Of what was made and removed a ledger is kept: it must
 * agree with what stands under the name in the end, so that no remover that was stopped hits what was made anew,
 * and no two creators both create. */
#include <string.h>
#include <unistd.h>

#include "kinds.h"
#include "pairs.h"

enum { NUMBER = 41, MADE = 1 };

struct call {
    const char *name;
    pairs_call *call;
    bool makes, removes;
};

struct meeting {
    const struct kind *kind;
    const struct call *stopped, *killed; /* killed: may be NULL */
    bool there;                          /* there is an object at the beginning */
};

static struct {
    void *first; /* a handle on the object that was there at the beginning */
    int made, removed;
    bool third_came;
} ledger;

static const struct meeting *meeting(const struct pairs_stage *stage)
{
    return stage->of->more;
}

static const struct kind *kind_of(const struct pairs_stage *stage)
{
    return meeting(stage)->kind;
}

/* ---- The calls ---- */

static int make(const struct pairs_stage *stage, void **handle)
{
    return kind_of(stage)->open(handle, test_name("o"), PIPC_CREATE | PIPC_EXCLUSIVE, 0);
}

static int drop(const struct pairs_stage *stage)
{
    return kind_of(stage)->remove(test_name("o"));
}

static int call_create(struct pairs_stage *stage, enum pairs_who who)
{
    void *handle;
    int error = make(stage, &handle);
    if (!error)
        atomic_store(&stage->traces->got[who], MADE);
    return error;
}

static int call_open_or_create(struct pairs_stage *stage, enum pairs_who who)
{
    void *handle;
    struct kind_facts facts = {0};
    int error = kind_of(stage)->open(&handle, test_name("o"), PIPC_CREATE, 0);
    if (!error && kind_of(stage)->facts(handle, &facts) == 0 && facts.creator == getpid())
        atomic_store(&stage->traces->got[who], MADE);
    return error;
}

/* Handles in other hands work or are removed: the opener puts a number where those who look find it. */
static int call_open(struct pairs_stage *stage, enum pairs_who who)
{
    void *handle;
    struct kind_facts facts;
    (void)who;
    int error = kind_of(stage)->open(&handle, test_name("o"), 0, 0);
    if (error)
        return error;
    int answer = kind_of(stage)->facts(handle, &facts), written = kind_of(stage)->write(handle, NUMBER);
    CHECK(answer == 0 || answer == PIPC_E_REMOVED);
    CHECK(written == 0 || written == PIPC_E_REMOVED || written == PIPC_E_FULL);
    return 0;
}

static int call_remove(struct pairs_stage *stage, enum pairs_who who)
{
    (void)who;
    return drop(stage);
}

static const struct call calls[] = {
    {"create", call_create, true, false},
    {"open or create", call_open_or_create, true, false},
    {"remove", call_remove, false, true},
    {"open", call_open, false, false},
};

enum { CALLS = sizeof calls / sizeof *calls, REMOVE = 2, OPEN = 3 };

/* ---- Before, meanwhile, after ---- */

static void set(struct pairs_stage *stage)
{
    memset(&ledger, 0, sizeof ledger);
    if (!meeting(stage)->there)
        return;
    REQUIRE_OK(make(stage, &ledger.first));
    REQUIRE_OK(kind_of(stage)->write(ledger.first, NUMBER));
    ledger.made = 1;
}

static void bad_answer(struct pairs_stage *stage, const char *call, int answer)
{
    pairs_bad(stage, answer == PIPC_E_BUSY ? &stage->figures.hangs : &stage->figures.lost, "%s answered %s; detail: %s",
              call, answer ? pipc_error_name(answer) : "PIPC_OK", pipc_error_detail());
}

/* A third: its calls end within their second, and count. One that must wait for the stopped one is "busy". */
static void third(struct pairs_stage *stage)
{
    void *handle = NULL;
    int64_t began = test_now();
    int error = 0, other = PIPC_E_EXISTS;
    ledger.third_came = true;
    if (stage->number % 3 == 0) {
        error = drop(stage);
        other = PIPC_E_NOT_FOUND;
        ledger.removed += error == 0;
    }
    if (stage->number % 3 != 1 && error != PIPC_E_BUSY) {
        if (error != 0 && error != other)
            bad_answer(stage, "meanwhile remove", error);
        error = make(stage, &handle);
        other = PIPC_E_EXISTS;
        ledger.made += error == 0;
    } else if (stage->number % 3 == 1) {
        error = kind_of(stage)->open(&handle, test_name("o"), 0, 0);
        other = PIPC_E_NOT_FOUND;
    }
    if (error != 0 && error != other && error != PIPC_E_BUSY)
        bad_answer(stage, "meanwhile a call", error);
    if (test_now() - began > PIPC_SECONDS(20))
        pairs_bad(stage, &stage->figures.hangs, "meanwhile two calls took more than 20 s");
    kind_of(stage)->close(handle);
}

static void judge_answer(struct pairs_stage *stage)
{
    int answer = atomic_load(&stage->traces->answer[PAIRS_STOPPED]);
    const struct call *call = meeting(stage)->stopped;
    bool fine = answer == 0 || answer == PAIRS_ABSENT || (!call->makes && answer == PIPC_E_NOT_FOUND) ||
                (call->call == call_create && answer == PIPC_E_EXISTS) ||
                (answer == PIPC_E_BUSY && ledger.third_came); /* it was kept past its own second */
    if (answer == PAIRS_PENDING)
        pairs_bad(stage, &stage->figures.hangs, "the stopped call did not end");
    else if (!fine)
        bad_answer(stage, "the stopped call", answer);
}

/* Enters what the two did. The dead one's deed is open: it widens what may stand there in the end. */
static void enter(struct pairs_stage *stage, int *least, int *most)
{
    const struct call *both[] = {meeting(stage)->stopped, meeting(stage)->killed};
    *least = ledger.made - ledger.removed;
    *most = *least;
    for (enum pairs_who who = 0; who < PAIRS_ROLES && both[who]; who++) {
        int answer = atomic_load(&stage->traces->answer[who]);
        int made = atomic_load(&stage->traces->got[who]) == MADE, removed = both[who]->removes && answer == 0;
        *least += made - removed;
        *most += made - removed;
        if (answer == PAIRS_PENDING) {
            *least -= both[who]->removes;
            *most += both[who]->makes && !made;
        }
    }
}

static void use(struct pairs_stage *stage, void *handle)
{
    uint32_t number = 0;
    kind_of(stage)->read(handle, &number);
    kind_of(stage)->read(handle, &number);
    int error = kind_of(stage)->write(handle, NUMBER);
    if (!error)
        error = kind_of(stage)->read(handle, &number);
    if (error || number != NUMBER)
        bad_answer(stage, "what stands under the name: writing and reading", error);
}

/* The first object's handle agrees with the name: it is the one that stands there, or it is removed. */
static void judge_first(struct pairs_stage *stage, void *found)
{
    uint32_t number = 0;
    struct kind_facts facts;
    if (!ledger.first)
        return;
    int error = kind_of(stage)->facts(ledger.first, &facts);
    if (error && error != PIPC_E_REMOVED)
        bad_answer(stage, "statistics of the first", error);
    if (!error && !found)
        pairs_bad(stage, &stage->figures.lost, "the first object lives, and its name leads nowhere");
    if (!error && found && (kind_of(stage)->read(found, &number) != 0 || number != NUMBER))
        pairs_bad(stage, &stage->figures.duplicated, "the first object lives, and its name leads to another");
    kind_of(stage)->close(ledger.first);
}

static void judge(struct pairs_stage *stage)
{
    void *found = NULL, *anew = NULL;
    int least, most;
    judge_answer(stage);
    enter(stage, &least, &most);
    int64_t began = test_now();
    int error = kind_of(stage)->open(&found, test_name("o"), 0, 0), there = error == 0;
    if (test_now() - began > stage->figures.worst_delay)
        stage->figures.worst_delay = test_now() - began;
    if (error && error != PIPC_E_NOT_FOUND)
        bad_answer(stage, "open", error);
    if (there < least || there > most)
        pairs_bad(stage, there ? &stage->figures.duplicated : &stage->figures.lost,
                  "by the ledger %d to %d objects should stand under the name, there is %d", least, most, there);
    judge_first(stage, found);
    if (found)
        use(stage, found);
    kind_of(stage)->close(found);
    error = drop(stage);
    if (error != (there ? 0 : PIPC_E_NOT_FOUND))
        bad_answer(stage, "remove", error);
    error = make(stage, &anew);
    if (error)
        bad_answer(stage, "create", error);
    else
        use(stage, anew);
    kind_of(stage)->close(anew);
    drop(stage);
}

/* ---- The tests ---- */

static void meet(struct pairs_stage *stage, const struct meeting *who, unsigned third_one_in, int64_t deadline)
{
    struct pairs_case of = {.name = "pairs",
                            .set = set,
                            .calls = {who->stopped->call, who->killed ? who->killed->call : NULL},
                            .names = {who->stopped->name, who->killed ? who->killed->name : NULL},
                            .meanwhile_one_in = third_one_in,
                            .meanwhile = third,
                            .judge = judge,
                            .more = who};
    pairs_visit(stage, &of, deadline);
}

static void every_pair(const struct kind *kind, const char *rig)
{
    struct pairs_stage stage;
    const int64_t short_span = PIPC_MS(2500);
    int64_t deadline = rig_deadline(short_span);
    unsigned turn = (unsigned)(test_now() / 1000 % (CALLS * CALLS * 2));
    pairs_begin(&stage, rig);
    for (unsigned i = 0; i < CALLS * CALLS * 2 && test_failures() == 0 && test_now() < deadline; i++) {
        unsigned at = (turn + i) % (CALLS * CALLS * 2);
        struct meeting who = {kind, &calls[at / 2 / CALLS], &calls[at / 2 % CALLS], at % 2};
        meet(&stage, &who, 24, rig_is_long() ? deadline : test_now() + short_span / (CALLS * CALLS * 2));
    }
    pairs_end(&stage);
}

static void stopped_and_killed_makers_and_removers_of_queues(void)
{
    every_pair(&kind_queue, "pairs/queue names");
}

static void stopped_and_killed_makers_and_removers_of_memory(void)
{
    every_pair(&kind_shm, "pairs/memory names");
}

/* One is stopped at every point of its call; a third uses the name in each of three ways. */
static void stop_everywhere(unsigned call, bool there, const char *rig)
{
    struct pairs_stage stage;
    int64_t deadline = rig_deadline(PIPC_MS(2000));
    const struct kind *const kinds[] = {&kind_queue, &kind_shm};
    unsigned turn = (unsigned)(test_now() / 1000 % 2);
    pairs_begin(&stage, rig);
    for (unsigned i = 0; i < 6 && test_failures() == 0; i++) {
        struct meeting who = {kinds[(i + turn) % 2], &calls[call], NULL, there};
        stage.number = (uint64_t)i;
        meet(&stage, &who, 1, rig_is_long() ? deadline : test_now() + (deadline - test_now()) / (6 - i));
    }
    pairs_end(&stage);
}

static void a_remover_that_was_stopped_never_hits_what_was_made_anew(void)
{
    stop_everywhere(REMOVE, true, "pairs/remove and anew");
}

static void a_creator_that_was_stopped_and_another_make_one_object(void)
{
    stop_everywhere(0, false, "pairs/two creators");
}

static void a_creator_that_was_stopped_joins_what_was_made_meanwhile(void)
{
    stop_everywhere(1, false, "pairs/create or join");
}

static void an_opener_that_was_stopped_never_holds_what_is_gone(void)
{
    stop_everywhere(OPEN, true, "pairs/open and anew");
}

static const struct test tests[] = {
    {"Q2 Q10", "stopped_and_killed_makers_and_removers_of_queues", stopped_and_killed_makers_and_removers_of_queues, 0},
    {"M1 M4", "stopped_and_killed_makers_and_removers_of_memory", stopped_and_killed_makers_and_removers_of_memory, 0},
    {"Q10 M4", "a_remover_that_was_stopped_never_hits_what_was_made_anew",
     a_remover_that_was_stopped_never_hits_what_was_made_anew, 0},
    {"Q2 M1", "a_creator_that_was_stopped_and_another_make_one_object",
     a_creator_that_was_stopped_and_another_make_one_object, 0},
    {"Q2 M1", "a_creator_that_was_stopped_joins_what_was_made_meanwhile",
     a_creator_that_was_stopped_joins_what_was_made_meanwhile, 0},
    {"Q2 Q10 M1 M4", "an_opener_that_was_stopped_never_holds_what_is_gone",
     an_opener_that_was_stopped_never_holds_what_is_gone, 0},
};

TEST_MAIN("pairs_names", tests)
