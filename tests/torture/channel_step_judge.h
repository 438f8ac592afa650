/* The calls on a channel that are killed after each of their instructions: what such a case is about, and the judgement
 * of what is left. The records have numbers: those that wait before the call count from 0 (step_trial.h). */
#ifndef PIPC_TESTS_CHANNEL_STEP_JUDGE_H
#define PIPC_TESTS_CHANNEL_STEP_JUDGE_H

#include "parcel.h"
#include "step_trial.h"

enum {
    RING_SIZE = 4096,  /* of the channel */
    RING_PADDED = 100, /* of each record */
    RING_DEAD = 9,     /* number of the one in whose sending somebody died */
    RING_FRESH = 10,   /* of the first that the call sends */
    RING_NEXT = 50     /* of those that are sent afterwards */
};

/* What a case is about: the `more` of its struct step_case. */
struct ring_case {
    uint32_t producers, delivery;
    uint32_t fresh;   /* records that the call, or what is made ready for it, sends: from number RING_FRESH on */
    uint32_t takes;   /* of those waiting, the call takes away */
    bool sent_before; /* the fresh, by what is made ready */
    bool whole_batch; /* all of the fresh or none */
    bool never;       /* the fresh are never seen: not committed, or cancelled */
    bool reads;       /* those waiting may have been seen */
    bool at_the_end;  /* the next record wraps around */
    bool full;        /* there is no room for another */
    bool exact;       /* whoever died before left nothing uncounted */
};

const struct ring_case *ring_case_of(const struct step_stage *stage);

struct parcel ring_parcel(uint64_t number);
int ring_send(pipc_channel *channel, uint64_t number, int64_t timeout);

/* Creates the channel exclusively, for the cases of names. */
int ring_make(pipc_channel **channel);

/* After a call on a channel, after its creation, after its removal. */
void ring_judge(struct step_stage *stage);
void ring_judge_name(struct step_stage *stage);
void ring_judge_removal(struct step_stage *stage);

#endif
