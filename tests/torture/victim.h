/* The victim of a hostile peer: a queue in a known state whose shared pages can be scribbled on, and each public call
 * on it. */
#ifndef PIPC_TESTS_VICTIM_H
#define PIPC_TESTS_VICTIM_H

#include "core/slot.h"
#include "support.h"

enum {
    VICTIM_PLACES = 4,
    VICTIM_SIZE = 8400,  /* largest message */
    VICTIM_LARGE = 8300, /* too large for the kernel's queue */
};

/* What the peer scribbles on. */
struct victim_state {
    unsigned char *header; /* struct pipc_object */
    unsigned char *data;   /* the control area and what follows */
    size_t data_bytes;     /* up to the bodies */
};

struct victim {
    pipc_queue *queue;
    const char *name;
    struct victim_state state;
    unsigned char *pristine; /* header and data as they were when the queue was new and empty */
    unsigned char *buffer;   /* VICTIM_SIZE bytes that end at a page which nobody may touch */
    unsigned char *fences[2];
    uint64_t dead_lock; /* the lock's word as a dead process would have left it */
};

/* The public calls, each in the situations that matter. */
enum victim_call {
    VICTIM_SEND,
    VICTIM_SEND_SPILLED,
    VICTIM_RECEIVE_ANY,
    VICTIM_RECEIVE_EXACTLY,
    VICTIM_RECEIVE_EXCEPT,
    VICTIM_RECEIVE_UP_TO,
    VICTIM_RECEIVE_SMALL,
    VICTIM_PEEK,
    VICTIM_PURGE,
    VICTIM_STATISTICS,
    VICTIM_INTERRUPT,
    VICTIM_SEND_AFTER_DEATH, /* the holder of the lock died: whoever locks next repairs what it left */
    VICTIM_RECEIVE_AFTER_DEATH,
    VICTIM_PURGE_AFTER_DEATH,
    VICTIM_OPEN, /* these work on the name */
    VICTIM_OPEN_OR_CREATE,
    VICTIM_CREATE,
    VICTIM_REMOVE,
    VICTIM_CALLS
};

const char *victim_call_name(enum victim_call call);

/* Makes the queue. */
void victim_begin(struct victim *victim, const char *name);
void victim_end(struct victim *victim);

/* Puts the queue into the known state: one message of type 3 in a slot, types 1 and 2 in the kernel's queue, one
 * place free; after a death also what a dead holder of the lock leaves. */
void victim_prepare(struct victim *victim, enum victim_call call);

/* Makes the call with 1 ms of patience, checks that it kept within its buffer and gave a possible answer. Tells that.
 */
int victim_call(struct victim *victim, enum victim_call call);

/* A new queue under the same name must work, whatever the pages look like. `whole_header`: the header was left
 * alone, so that the old queue can be removed through the library. */
void victim_renew(struct victim *victim, bool whole_header);

#endif
