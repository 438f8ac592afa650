/* The ledger of a storm: what its processes begin, end, send and receive, in the order in which it happened. Each
 * note takes one place of the order before or after the call that it speaks of, so what stands in it is certain:
 * a call happened somewhere between its two notes. A process killed in between leaves the second one out. When all
 * is quiet, the ledger is judged. */
#ifndef PIPC_TESTS_LEDGER_H
#define PIPC_TESTS_LEDGER_H

#include "support_queue.h"

enum { LEDGER_NOTES = 1 << 19, LEDGER_ACTORS = 16 };

enum ledger_kind {
    LEDGER_NOTHING, /* a place that a killed process took and did not fill */
    LEDGER_SENDS,
    LEDGER_SENT,
    LEDGER_NOT_SENT, /* the call said so */
    LEDGER_TAKES,    /* or peeks */
    LEDGER_TOOK,
    LEDGER_PEEKED,
    LEDGER_EMPTY,   /* the call said that there is nothing */
    LEDGER_GAVE_UP, /* the call's time was over */
    LEDGER_PURGES,
    LEDGER_PURGED,
    LEDGER_MAKES, /* `number` is a name's from here on */
    LEDGER_MADE,  /* exclusively */
    LEDGER_MEETS, /* opens, or makes if there is nothing */
    LEDGER_OPENS,
    LEDGER_REMOVES,
    LEDGER_REMOVED,
    LEDGER_ABSENT, /* the call said so */
    LEDGER_NO,     /* it failed otherwise, or did not change anything */
    LEDGER_DIED    /* `number`: not 0 if it may have taken a message along */
};

struct ledger_note {
    int64_t when;
    uint32_t number; /* of the message, of the name */
    uint8_t actor;
    uint8_t rule, type; /* of the selection */
    uint8_t kind;       /* written last */
};

struct ledger {
    uint32_t epoch;                        /* in every body: nothing of another storm is taken for ours */
    uint32_t places;                       /* of the queue */
    uint32_t big_one_in;                   /* 0: no body is too big for the kernel */
    _Alignas(64) _Atomic uint32_t numbers; /* given out */
    _Alignas(64) _Atomic uint32_t notes;
    _Atomic uint32_t full; /* no more room: the storm must end */
    _Atomic uint64_t torn; /* received, and not as anything was sent; counts on over all storms */
    _Alignas(64) struct ledger_note note[LEDGER_NOTES];
};

/* Before a storm. */
void ledger_clear(struct ledger *ledger);

void ledger_write(struct ledger *ledger, unsigned actor, enum ledger_kind kind, uint32_t number);
void ledger_write_takes(struct ledger *ledger, unsigned actor, pipc_selection selection);

/* A message is known by its number: all else follows from it. */
struct letter {
    uint64_t body;
    uint64_t size;
    uint32_t type; /* 1 to LETTER_TYPES */
    uint32_t priority;
};

enum { LETTER_TYPES = 4 };

struct letter letter_of(const struct ledger *ledger, uint32_t number);

/* Is what was received a message of this storm, as it was sent? Sets *number. */
bool letter_is(struct ledger *ledger, const struct queue_got *got, uint32_t *number);

struct ledger_verdict {
    uint64_t sent, received;
    uint64_t excused;    /* lost, each with a receiver killed at the end of a call that wanted it */
    uint64_t lost;       /* others */
    uint64_t duplicated; /* received twice */
    uint64_t unsent;     /* received, though its send said that it had failed, or was never begun */
    uint64_t misplaced;  /* received before one that should have come first */
    uint64_t hidden;     /* "empty" was said, and it was there all the time */
    uint64_t revived;    /* received after a purge that should have dropped it */
    int64_t late;        /* ns: the longest that one was there before a call that waited for it got it */
    int64_t no_room;     /* ns: the longest that a send waited while no living peer held the last place */
};

struct ledger_verdict ledger_judge(struct ledger *ledger);

#endif
