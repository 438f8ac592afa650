/* Reads a ledger when all is quiet; see ledger.h. Two passes: what became of each message; then the order once more
 * from its beginning, with the messages that are certainly in the queue at each moment. */
#include <stdlib.h>
#include <string.h>

#include "ledger.h"

#define NOBODY UINT32_MAX

/* Places of notes; 0 = there is none. */
struct life {
    uint32_t begun, sent, refused, orphaned; /* orphaned: its sender died in the call */
    uint32_t takes, took;                    /* of the call that received it first */
    uint32_t at;                             /* in `there` */
    uint32_t type, priority;
    bool purged;
    bool is_there;
};

/* A receiver that died where it may have had a message in its hands. */
struct suspect {
    uint32_t takes, died;
    uint32_t accused_of; /* number, or NOBODY */
    bool asked;
};

struct judge {
    struct ledger *ledger;
    struct ledger_verdict verdict;
    struct life *lives;
    uint32_t messages, notes;
    uint32_t open[LEDGER_ACTORS]; /* the note with which its call began */
    struct suspect *suspects;
    uint32_t suspected;
    uint32_t *there; /* sent, and taken by no call that has begun yet */
    uint32_t count;
    uint32_t crowd;  /* begun and not yet received: at least those that hold a place */
    int64_t crowded; /* when there was no room last */
    uint32_t purge;  /* where the last purge ended */
};

static const struct ledger_note *note_at(const struct judge *judge, uint32_t at)
{
    return &judge->ledger->note[at];
}

static bool wanted(const struct ledger_note *takes, uint32_t type)
{
    switch (takes->rule) {
    case PIPC_RULE_EXACTLY:
        return type == takes->type;
    case PIPC_RULE_EXCEPT:
        return type != takes->type;
    case PIPC_RULE_UP_TO:
        return type <= takes->type;
    default:
        return true;
    }
}

/* ---- First pass ---- */

static void know(struct judge *judge, uint32_t number)
{
    struct letter letter = letter_of(judge->ledger, number);
    judge->lives[number].type = letter.type;
    judge->lives[number].priority = letter.priority;
}

static void learn_took(struct judge *judge, uint32_t at, uint32_t begun)
{
    const struct ledger_note *note = note_at(judge, at);
    struct life *life = &judge->lives[note->number];
    if (life->begun == 0 || life->begun > at || life->refused)
        judge->verdict.unsent++;
    judge->verdict.duplicated += life->took != 0;
    if (life->took)
        return;
    judge->verdict.received++;
    life->took = at;
    life->takes = begun;
    judge->ledger->note[begun].number = note->number;
}

static void learn_death(struct judge *judge, uint32_t at, uint32_t open)
{
    const struct ledger_note *begun = note_at(judge, open);
    if (begun->kind == LEDGER_SENDS)
        judge->lives[begun->number].orphaned = at;
    else if (begun->kind == LEDGER_TAKES && note_at(judge, at)->number)
        judge->suspects[judge->suspected++] = (struct suspect){open, at, NOBODY, false};
    else if (begun->kind == LEDGER_PURGES)
        judge->purge = at;
}

static void learn(struct judge *judge, uint32_t at)
{
    struct ledger_note *note = &judge->ledger->note[at];
    uint32_t *open = &judge->open[note->actor];
    switch (note->kind) {
    case LEDGER_NOTHING:
        return;
    case LEDGER_TAKES:
        note->number = NOBODY;
        *open = at;
        return;
    case LEDGER_SENDS:
        judge->lives[note->number].begun = at;
        *open = at;
        return;
    case LEDGER_PURGES:
        *open = at;
        return;
    case LEDGER_SENT:
        judge->verdict.sent++;
        judge->lives[note->number].sent = at;
        break;
    case LEDGER_NOT_SENT:
        judge->lives[note->number].refused = at;
        judge->verdict.unsent += judge->lives[note->number].took != 0;
        break;
    case LEDGER_TOOK:
        learn_took(judge, at, *open);
        break;
    case LEDGER_PURGED:
        judge->purge = at;
        break;
    case LEDGER_DIED:
        learn_death(judge, at, *open);
        break;
    }
    *open = 0;
}

/* ---- Who lost it? ---- */

static bool may_have_lost(const struct judge *judge, const struct suspect *suspect, uint32_t number)
{
    return judge->lives[number].begun < suspect->died &&
           wanted(note_at(judge, suspect->takes), judge->lives[number].type);
}

/* Each may have lost one: an assignment is sought (augmenting paths). */
static bool accuse(struct judge *judge, uint32_t number)
{
    for (uint32_t i = 0; i < judge->suspected; i++) {
        struct suspect *suspect = &judge->suspects[i];
        if (suspect->asked || !may_have_lost(judge, suspect, number))
            continue;
        suspect->asked = true;
        if (suspect->accused_of == NOBODY || accuse(judge, suspect->accused_of)) {
            suspect->accused_of = number;
            return true;
        }
    }
    return false;
}

static void find_lost(struct judge *judge)
{
    for (uint32_t number = 0; number < judge->messages; number++) {
        struct life *life = &judge->lives[number];
        life->purged = !life->took && life->begun < judge->purge;
        if (!life->sent || life->took || life->purged)
            continue;
        for (uint32_t i = 0; i < judge->suspected; i++)
            judge->suspects[i].asked = false;
        if (accuse(judge, number))
            judge->verdict.excused++;
        else
            judge->verdict.lost++;
    }
}

/* ---- Second pass ---- */

static void comes(struct judge *judge, uint32_t number)
{
    struct life *life = &judge->lives[number];
    life->at = judge->count;
    life->is_there = true;
    judge->there[judge->count++] = number;
}

static void goes(struct judge *judge, uint32_t number)
{
    struct life *life = &judge->lives[number];
    uint32_t last = judge->there[--judge->count];
    judge->there[life->at] = last;
    judge->lives[last].at = life->at;
    life->is_there = false;
}

/* Should `one` have been received before `other` by a call that wants both? Of two sends at once, either. */
static bool comes_first(const struct judge *judge, const struct ledger_note *takes, uint32_t one, uint32_t other)
{
    const struct life *first = &judge->lives[one], *second = &judge->lives[other];
    if (takes->rule == PIPC_RULE_UP_TO && first->type != second->type)
        return first->type < second->type;
    if (first->priority != second->priority)
        return first->priority > second->priority;
    return first->sent < second->begun;
}

/* A call that began at `takes` ended with this message (NOBODY: with none). What was there all the time? */
static bool was_passed_over(const struct judge *judge, uint32_t takes, uint32_t number)
{
    const struct ledger_note *begun = note_at(judge, takes);
    for (uint32_t i = 0; i < judge->count; i++) {
        uint32_t other = judge->there[i];
        if (other != number && judge->lives[other].sent < takes && wanted(begun, judge->lives[other].type) &&
            (number == NOBODY || comes_first(judge, begun, other, number)))
            return true;
    }
    return false;
}

static int64_t later(int64_t one, int64_t other)
{
    return one > other ? one : other;
}

static void note_late(struct judge *judge, uint32_t at, uint32_t takes, uint32_t there)
{
    int64_t since = later(note_at(judge, takes)->when, note_at(judge, there)->when);
    judge->verdict.late = later(judge->verdict.late, note_at(judge, at)->when - since);
}

/* How long was a call held up, though the message that it got was there? */
static void measure_take(struct judge *judge, uint32_t at, uint32_t takes, uint32_t number)
{
    const struct life *life = &judge->lives[number];
    uint32_t there = life->sent ? life->sent : life->orphaned;
    if (there != 0 && there < at)
        note_late(judge, at, takes, there);
}

/* And one that got none, because its process was killed meanwhile? */
static void measure_death(struct judge *judge, uint32_t at, uint32_t takes)
{
    for (uint32_t i = 0; i < judge->count; i++) {
        const struct life *life = &judge->lives[judge->there[i]];
        if (wanted(note_at(judge, takes), life->type))
            note_late(judge, at, takes, life->sent);
    }
}

static void measure_send(struct judge *judge, uint32_t at, uint32_t begun)
{
    int64_t since = later(note_at(judge, begun)->when, judge->crowded);
    judge->verdict.no_room = later(judge->verdict.no_room, note_at(judge, at)->when - since);
}

/* Of those that nobody received nothing is known: they count as if they had held no place. */
static void count_crowd(struct judge *judge, const struct ledger_note *note)
{
    bool known = note->kind == LEDGER_SENDS || note->kind == LEDGER_TOOK;
    if (judge->crowd >= judge->ledger->places)
        judge->crowded = note->when;
    if (known && judge->lives[note->number].took)
        judge->crowd += note->kind == LEDGER_SENDS ? 1 : UINT32_MAX;
}

static bool outlived_a_purge(const struct judge *judge, uint32_t purge)
{
    for (uint32_t i = 0; i < judge->count; i++)
        if (judge->lives[judge->there[i]].sent < purge)
            return true;
    return false;
}

static void replay(struct judge *judge, uint32_t at)
{
    const struct ledger_note *note = note_at(judge, at);
    uint32_t *open = &judge->open[note->actor];
    const struct life *life = &judge->lives[note->number < judge->messages ? note->number : 0];
    if (note->kind == LEDGER_NOTHING)
        return;
    count_crowd(judge, note);
    switch (note->kind) {
    case LEDGER_TAKES:
        if (note->number != NOBODY && life->is_there)
            goes(judge, note->number);
        break;
    case LEDGER_SENT:
        measure_send(judge, at, *open);
        if (life->took && life->takes > at)
            comes(judge, note->number);
        break;
    case LEDGER_TOOK:
        measure_take(judge, at, *open, note->number);
        judge->verdict.misplaced += was_passed_over(judge, *open, note->number);
        break;
    case LEDGER_PEEKED:
        judge->verdict.misplaced += was_passed_over(judge, *open, note->number);
        judge->verdict.unsent += life->begun == 0 || life->begun > at || (life->took && life->took < *open);
        break;
    case LEDGER_EMPTY:
        judge->verdict.hidden += was_passed_over(judge, *open, NOBODY);
        break;
    case LEDGER_PURGED:
        judge->verdict.revived += outlived_a_purge(judge, *open);
        break;
    case LEDGER_DIED:
        if (note_at(judge, *open)->kind == LEDGER_TAKES)
            measure_death(judge, at, *open);
        break;
    }
    *open = at; /* looked at only by the note that ends the call */
}

static uint32_t at_most(uint32_t value, uint32_t most)
{
    return value < most ? value : most;
}

struct ledger_verdict ledger_judge(struct ledger *ledger)
{
    struct judge judge = {.ledger = ledger};
    judge.messages = atomic_load(&ledger->numbers);
    judge.notes = at_most(atomic_load(&ledger->notes), LEDGER_NOTES - 1);
    judge.lives = calloc(judge.messages + 1, sizeof *judge.lives);
    judge.there = calloc(judge.messages + 1, sizeof *judge.there);
    judge.suspects = calloc(judge.notes + 1, sizeof *judge.suspects);
    REQUIRE(judge.lives && judge.there && judge.suspects);
    for (uint32_t number = 0; number < judge.messages; number++)
        know(&judge, number);
    for (uint32_t at = 1; at <= judge.notes; at++)
        learn(&judge, at);
    find_lost(&judge);
    memset(judge.open, 0, sizeof judge.open);
    for (uint32_t at = 1; at <= judge.notes; at++)
        replay(&judge, at);
    free(judge.suspects);
    free(judge.there);
    free(judge.lives);
    return judge.verdict;
}
