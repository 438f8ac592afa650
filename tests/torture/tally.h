/* The tally of a storm over a channel: which records its producers began, confirmed and gave up, which arrived where.
 * Each fact is noted before or after the call that it speaks of, so what stands in it is certain; who is killed in
 * between leaves the later one out. When all is quiet, it is judged. */
#ifndef PIPC_TESTS_TALLY_H
#define PIPC_TESTS_TALLY_H

#include "crew.h"
#include "parcel.h"

enum { TALLY_SEATS = CREW_SEATS + 1, TALLY_NUMBERS = 1 << 14, TALLY_ARRIVALS = 1 << 17, TALLY_LIVES = 1 << 12 };

enum tally_state { TALLY_NOTHING, TALLY_BEGUN, TALLY_CONFIRMED, TALLY_REFUSED };

struct tally_record {
    _Atomic int64_t begun, confirmed; /* when */
    _Atomic uint32_t state;
    uint32_t batch; /* the first number of those that are committed together */
};

struct tally_arrival {
    uint64_t position;
    uint64_t missed;
    int64_t when;
    uint32_t number;
    uint32_t life;
    uint8_t sender;
    uint8_t marked;
    _Atomic uint8_t there; /* written last */
};

/* One subscription, or one consumer. */
struct tally_life {
    int64_t began;   /* after its channel was open */
    uint64_t unsure; /* records that were overwritten in its hands */
};

struct tally {
    _Atomic uint32_t numbers[TALLY_SEATS], arrivals, lives, full, torn, stop;
    _Atomic uint32_t receiving[TALLY_SEATS]; /* in a receive that may have taken a record along */
    uint32_t excuses;                        /* records that may be gone with who received them */
    uint32_t consumers_died, producers_died;
    struct tally_record records[TALLY_SEATS][TALLY_NUMBERS];
    struct tally_life life[TALLY_LIVES];
    struct tally_arrival log[TALLY_ARRIVALS];
};

void tally_clear(struct tally *tally);

/* So many numbers of this sender, from the answer on, begin as one batch. */
uint32_t tally_begin(struct tally *tally, unsigned sender, uint32_t count);
void tally_end(struct tally *tally, unsigned sender, uint32_t number, enum tally_state state);

/* Somebody begins to read; his number. */
uint32_t tally_live(struct tally *tally);

/* A record is in his hands: seen, checked and written down. */
bool tally_arrive(struct tally *tally, uint32_t life, const pipc_record *record);

/* What kind of channel it was. */
struct tally_rules {
    uint32_t delivery;
    bool whole_batches; /* one producer at a time: all of a batch or nothing */
    bool counts_missed; /* LATEST, one sender: what was missed is known exactly */
    uint32_t witness;   /* ALL, LATEST: the life that saw it from the beginning to the end */
};

struct tally_verdict {
    uint64_t present, lost, excused, duplicated, unsent, misplaced, torn_batches, miscounted;
    uint64_t begun_only; /* killed producers' records that never came */
    uint64_t marked, refused;
    uint64_t witness_seen, witness_missed;
    int64_t late; /* the longest that a confirmed record stood first and nobody (the witness) took it */
};

struct tally_verdict tally_judge(const struct tally *tally, const struct tally_rules *rules);

#endif
