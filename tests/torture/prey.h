/* The prey of a hostile peer: channels of each kind in a known state whose shared pages can be scribbled on, and each
 * public call on them. */
#ifndef PIPC_TESTS_PREY_H
#define PIPC_TESTS_PREY_H

#include "core/channel.h"
#include "support.h"

enum {
    PREY_KINDS = 6, /* one producer or many, each way to deliver */
    PREY_RING = 4096,
    PREY_SIZE = 60, /* of each of the records that wait */
    PREY_CONTROL = sizeof(struct pipc_channel_control) + PIPC_LINE
};

/* The public calls, each in the situations that matter. */
enum prey_call {
    PREY_SEND,
    PREY_SEND_LARGEST,
    PREY_COMMIT,
    PREY_CANCEL,
    PREY_RECEIVE,
    PREY_RECEIVE_LITTLE,
    PREY_RECEIVE_CUT,
    PREY_RELEASE_ALL,
    PREY_RELEASE_SOME,
    PREY_STATISTICS,
    PREY_INTERRUPT,
    PREY_SEND_AFTER_DEATH,
    PREY_RECEIVE_AFTER_DEATH,
    PREY_OPEN,
    PREY_OPEN_OR_CREATE,
    PREY_CREATE,
    PREY_REMOVE,
    PREY_CALLS
};

const char *prey_call_name(enum prey_call call);

struct prey {
    struct prey_kind {
        pipc_channel *channel;
        unsigned char *pristine;    /* header, control area, readers' table and ring, as they were */
        struct pipc_channel handle; /* as it was */
    } kinds[PREY_KINDS];
    unsigned char *body;             /* PREY_RING bytes that end at a page which nobody may touch */
    uint64_t dead_lock;              /* the lock's word as a dead process would have left it */
    uint64_t dead;                   /* identity of that process */
    void (*between)(void *argument); /* done between two halves of a call; may be NULL */
    void *between_argument;
};

/* Makes the channels; takes them away. The argument is a struct prey. */
void prey_begin(void *argument);
void prey_end(void *argument);

/* Puts the channel into the known state; for a call after a death also what the dead one leaves. */
void prey_prepare(struct prey *it, unsigned kind, enum prey_call call);

/* Makes the channel under its name anew, whatever is there. */
void prey_make_anew(struct prey *it, unsigned kind);

const char *prey_name(unsigned kind);
int prey_open(pipc_channel **channel, unsigned kind, uint32_t flags);

/* Of the control area, the readers' table and the ring. */
uint64_t prey_bytes(const pipc_channel *channel);

/* Makes the call, checks that it kept within its buffers. */
int prey_call(struct prey *it, unsigned kind, enum prey_call call);

/* The same within a trial (watch.h); checks the answer too, and leaves a channel under the name. */
void prey_watched_call(struct prey *it, unsigned kind, enum prey_call call);

/* Receives into the last `room` bytes before the fence; those before them must stay as they are. */
int prey_receive(struct prey *it, pipc_channel *channel, uint64_t room, uint32_t flags);

/* How long the next call waits: in turn not at all and 1 ms. */
int64_t prey_span(void);

/* What a peer writes. */
struct prey_scribbles {
    const struct prey *it;
    pipc_channel *channel;
    uint64_t random;
    uint32_t count;
};

/* Writes `count` values over the channel's pages. The argument is a struct prey_scribbles. */
void prey_scribble(void *argument);

#endif
