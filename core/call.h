/* What surrounds every call on a queue: no cancellation inside, no call within a call on one queue. */
#ifndef PIPC_CORE_CALL_H
#define PIPC_CORE_CALL_H

#include <stdint.h>

/* Notes which public call this thread is in, and about which object (NULL: none yet), for the sentences of
 * pipc_fail. The first thing that every public function does. Async-signal-safe. */
void pipc_calling(const char *function, const char *name);

struct pipc_call {
    struct pipc_call *outer;
    uint64_t nonce; /* of the queue; 0 = of no queue */
    int cancel_state;
};

/* 0, or PIPC_E_BUSY if this thread is inside a call on the same queue already (a signal handler is
 * running in it). After 0 pipc_call_leave must follow. */
int pipc_call_enter(struct pipc_call *call, uint64_t nonce);

/* Ends the call; returns `result`. */
int pipc_call_leave(struct pipc_call *call, int result);

#endif
