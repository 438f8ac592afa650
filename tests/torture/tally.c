/* See tally.h. */
#include "tally.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* ---- Writing ---- */

void tally_clear(struct tally *tally)
{
    memset((void *)tally, 0, sizeof *tally);
}

uint32_t tally_begin(struct tally *tally, unsigned sender, uint32_t count)
{
    uint32_t first = atomic_fetch_add(&tally->numbers[sender], count);
    if (first + 2 * count + 16 > TALLY_NUMBERS)
        atomic_store(&tally->full, 1);
    REQUIRE(first + count <= TALLY_NUMBERS);
    for (uint32_t i = 0; i < count; i++) {
        struct tally_record *record = &tally->records[sender][first + i];
        record->batch = first;
        atomic_store(&record->begun, test_now());
        atomic_store(&record->state, TALLY_BEGUN);
    }
    return first;
}

void tally_end(struct tally *tally, unsigned sender, uint32_t number, enum tally_state state)
{
    struct tally_record *record = &tally->records[sender][number];
    atomic_store(&record->confirmed, test_now());
    atomic_store(&record->state, state);
}

uint32_t tally_live(struct tally *tally)
{
    uint32_t life = atomic_fetch_add(&tally->lives, 1);
    if (life + 32 > TALLY_LIVES)
        atomic_store(&tally->full, 1);
    REQUIRE(life < TALLY_LIVES);
    tally->life[life].began = test_now();
    return life;
}

bool tally_arrive(struct tally *tally, uint32_t life, const pipc_record *record)
{
    struct parcel parcel;
    if (!parcel_read(record->data, record->size, &parcel) || parcel.sender >= TALLY_SEATS ||
        parcel.number >= TALLY_NUMBERS) {
        atomic_fetch_add(&tally->torn, 1);
        return false;
    }
    uint32_t at = atomic_fetch_add(&tally->arrivals, 1);
    if (at + 1024 > TALLY_ARRIVALS)
        atomic_store(&tally->full, 1);
    REQUIRE(at < TALLY_ARRIVALS);
    struct tally_arrival *arrival = &tally->log[at];
    arrival->position = record->position;
    arrival->missed = record->missed;
    arrival->when = test_now();
    arrival->number = (uint32_t)parcel.number;
    arrival->life = life;
    arrival->sender = (uint8_t)parcel.sender;
    arrival->marked = (uint8_t)(record->marks & PIPC_REDELIVERED);
    atomic_store(&arrival->there, 1);
    return true;
}

/* ---- Judging ---- */

struct sight {
    uint64_t position;
    uint32_t count, unmarked;
};

struct court {
    const struct tally *tally;
    const struct tally_rules *rules;
    struct tally_verdict verdict;
    struct sight (*seen)[TALLY_NUMBERS]; /* by sender and number */
    const struct tally_arrival **sorted; /* by position, then by their order in the log */
    uint32_t arrivals;
};

static void complain(const struct tally_arrival *arrival, const char *what)
{
    static unsigned complaints;
    if (complaints++ < 10)
        printf("tally: record %u of %u, at position %llu, in life %u: %s\n", arrival->number, arrival->sender,
               (unsigned long long)arrival->position, arrival->life, what);
}

static int by_position(const void *a, const void *b)
{
    const struct tally_arrival *one = *(const struct tally_arrival *const *)a;
    const struct tally_arrival *other = *(const struct tally_arrival *const *)b;
    if (one->position != other->position)
        return one->position < other->position ? -1 : 1;
    return one < other ? -1 : one > other;
}

static void open_court(struct court *court)
{
    uint32_t most = atomic_load(&court->tally->arrivals);
    court->seen = calloc(TALLY_SEATS, sizeof *court->seen);
    court->sorted = malloc((most + 1) * sizeof *court->sorted);
    REQUIRE(court->seen != NULL && court->sorted != NULL);
    for (uint32_t i = 0; i < most; i++)
        if (atomic_load(&court->tally->log[i].there))
            court->sorted[court->arrivals++] = &court->tally->log[i];
    qsort(court->sorted, court->arrivals, sizeof *court->sorted, by_position);
}

/* Was it sent, once, and is it where it was before? */
static void judge_arrival(struct court *court, const struct tally_arrival *arrival)
{
    struct sight *sight = &court->seen[arrival->sender][arrival->number];
    uint32_t state = atomic_load(&court->tally->records[arrival->sender][arrival->number].state);
    if (state != TALLY_BEGUN && state != TALLY_CONFIRMED) {
        court->verdict.unsent++;
        complain(arrival, "it was never sent, or given up");
    }
    if (sight->count++ == 0) {
        sight->position = arrival->position;
    } else if (sight->position != arrival->position) {
        court->verdict.duplicated++;
        complain(arrival, "it is in the channel twice");
    }
    sight->unmarked += !arrival->marked;
    court->verdict.marked += arrival->marked;
    if (court->rules->delivery != PIPC_DELIVER_ONCE)
        return;
    if (sight->unmarked > 1 || sight->count > 1 + court->tally->consumers_died) {
        court->verdict.duplicated++;
        complain(arrival, "it came again without a mark, or too often");
    }
}

static void judge_arrivals(struct court *court)
{
    for (uint32_t i = 0; i < court->arrivals; i++) {
        const struct tally_arrival *arrival = court->sorted[i];
        judge_arrival(court, arrival);
        bool first = i == 0 || court->sorted[i - 1]->position != arrival->position;
        int64_t ready = atomic_load(&court->tally->records[arrival->sender][arrival->number].confirmed);
        int64_t before = i ? court->sorted[i - 1]->when : 0;
        int64_t late = arrival->when - (before > ready ? before : ready);
        if (first && ready && court->rules->delivery == PIPC_DELIVER_ONCE && late > court->verdict.late)
            court->verdict.late = late;
        if (!first &&
            (court->sorted[i - 1]->number != arrival->number || court->sorted[i - 1]->sender != arrival->sender)) {
            court->verdict.duplicated++;
            complain(arrival, "another one was seen at the same place");
        }
    }
}

/* What each sender sent comes in its order; what was confirmed comes. */
static void judge_sender(struct court *court, unsigned sender)
{
    uint32_t most = atomic_load(&court->tally->numbers[sender]);
    uint64_t last = 0;
    bool any = false;
    for (uint32_t number = 0; number < most && number < TALLY_NUMBERS; number++) {
        const struct sight *sight = &court->seen[sender][number];
        uint32_t state = atomic_load(&court->tally->records[sender][number].state);
        court->verdict.present += sight->count > 0;
        court->verdict.refused += state == TALLY_REFUSED;
        court->verdict.begun_only += state == TALLY_BEGUN && sight->count == 0;
        if (state == TALLY_CONFIRMED && sight->count == 0)
            court->verdict.lost++;
        if (!sight->count)
            continue;
        if (any && sight->position <= last)
            court->verdict.misplaced++;
        last = sight->position;
        any = true;
    }
}

static void judge_batches(struct court *court, unsigned sender)
{
    uint32_t most = atomic_load(&court->tally->numbers[sender]), absent = 0, present = 0;
    for (uint32_t number = 0; number < most && number < TALLY_NUMBERS; number++) {
        const struct tally_record *record = &court->tally->records[sender][number];
        if (record->batch == number)
            absent = present = 0;
        uint32_t state = atomic_load(&record->state);
        bool here = court->seen[sender][number].count > 0;
        present += here;
        absent += !here && state != TALLY_REFUSED && state != TALLY_NOTHING; /* who was killed while he noted it */
        bool ends = number + 1 >= most || court->tally->records[sender][number + 1].batch == number + 1;
        if (ends && present && absent > court->tally->excuses)
            court->verdict.torn_batches++;
    }
}

static void excuse(struct court *court)
{
    struct tally_verdict *verdict = &court->verdict;
    uint64_t excused = court->tally->excuses;
    if (court->rules->delivery != PIPC_DELIVER_ONCE)
        excused = 0;
    verdict->excused = verdict->lost < excused ? verdict->lost : excused;
    verdict->lost -= verdict->excused;
}

/* ---- Judging those who see everything ---- */

/* The arrivals of one life, as it saw them; the union's place of each. */
struct view {
    uint32_t first, last; /* places in the union */
    uint64_t seen;
    const struct tally_arrival *previous;
};

static void judge_witness(struct court *court, const struct view *view, const struct tally_arrival *arrival)
{
    int64_t ready = atomic_load(&court->tally->records[arrival->sender][arrival->number].confirmed);
    int64_t since = view->previous && view->previous->when > ready ? view->previous->when : ready;
    if (ready && arrival->when - since > court->verdict.late)
        court->verdict.late = arrival->when - since;
    court->verdict.witness_seen++;
    court->verdict.witness_missed += arrival->missed;
}

static void judge_step(struct court *court, struct view *view, const struct tally_arrival *arrival, uint32_t place)
{
    bool latest = court->rules->delivery == PIPC_DELIVER_LATEST;
    if (!view->previous) {
        view->first = place;
    } else if (arrival->position <= view->previous->position) {
        court->verdict.duplicated++;
        complain(arrival, "this subscriber has seen it, or a later one");
    } else if (!latest && place != view->last + 1) {
        court->verdict.lost++;
        complain(arrival, "this subscriber has not seen the one before it");
    } else if (latest && court->rules->counts_missed && court->tally->life[arrival->life].unsure == 0) {
        uint64_t sure = 0, unsure = 0;
        for (uint32_t n = view->previous->number + 1; n < arrival->number; n++) {
            uint32_t state = atomic_load(&court->tally->records[arrival->sender][n].state);
            sure += state == TALLY_CONFIRMED;
            unsure += state == TALLY_BEGUN;
        }
        if (arrival->missed < sure || arrival->missed > sure + unsure) {
            court->verdict.miscounted++;
            complain(arrival, "what was missed before it was counted wrong");
        }
    }
    if (arrival->marked)
        court->verdict.duplicated++;
    if (arrival->life == court->rules->witness)
        judge_witness(court, view, arrival);
    view->seen++;
    view->last = place;
    view->previous = arrival;
}

static int by_log(const void *a, const void *b)
{
    const uint32_t *one = a, *other = b;
    return one[0] != other[0] ? (one[0] < other[0] ? -1 : 1) : one[1] < other[1] ? -1 : one[1] > other[1];
}

/* What was begun after a subscriber had come must be his. */
static void judge_beginning(struct court *court, const struct view *view)
{
    const struct tally_arrival *first = view->previous;
    int64_t began = court->tally->life[first->life].began;
    uint32_t place = 0;
    for (uint32_t i = 0; i < court->arrivals && place < view->first; i++) {
        const struct tally_arrival *arrival = court->sorted[i];
        if (i > 0 && court->sorted[i - 1]->position == arrival->position)
            continue;
        place++;
        if (atomic_load(&court->tally->records[arrival->sender][arrival->number].begun) > began) {
            court->verdict.lost++;
            complain(arrival, "somebody who was there already did not see it");
        }
    }
}

static void judge_views(struct court *court)
{
    uint32_t place = 0, i = 0;
    uint32_t(*views)[3] = malloc((court->arrivals + 1) * sizeof *views); /* life, place in the log, in the union */
    REQUIRE(views != NULL);
    for (; i < court->arrivals; i++) {
        place += i > 0 && court->sorted[i - 1]->position != court->sorted[i]->position;
        views[i][0] = court->sorted[i]->life;
        views[i][1] = (uint32_t)(court->sorted[i] - court->tally->log);
        views[i][2] = place;
    }
    qsort(views, court->arrivals, sizeof *views, by_log);
    struct view view = {0};
    for (i = 0; i < court->arrivals; i++) {
        if (i == 0 || views[i - 1][0] != views[i][0])
            view = (struct view){0};
        judge_step(court, &view, &court->tally->log[views[i][1]], views[i][2]);
        if (view.seen == 1 && court->rules->delivery == PIPC_DELIVER_ALL)
            judge_beginning(court, &view);
    }
    free(views);
}

struct tally_verdict tally_judge(const struct tally *tally, const struct tally_rules *rules)
{
    struct court court = {.tally = tally, .rules = rules};
    open_court(&court);
    judge_arrivals(&court);
    for (unsigned sender = 0; sender < TALLY_SEATS; sender++) {
        judge_sender(&court, sender);
        if (rules->whole_batches && rules->delivery != PIPC_DELIVER_LATEST)
            judge_batches(&court, sender);
    }
    if (rules->delivery == PIPC_DELIVER_LATEST)
        court.verdict.lost = 0; /* the witness's count says it */
    excuse(&court);
    if (rules->delivery != PIPC_DELIVER_ONCE)
        judge_views(&court);
    free(court.seen);
    free(court.sorted);
    return court.verdict;
}
