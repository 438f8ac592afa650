/* What surrounds every call on a queue: no cancellation inside, no call within a call on one queue. */
#ifndef PIPC_CORE_CALL_H
#define PIPC_CORE_CALL_H

#include "core/backend.h"

/* How well lingering before a sleep went lately; see wait.c. */
struct pipc_luck {
    uint32_t skip;   /* waits that sleep at once */
    uint32_t seldom; /* how many they will be after the next that does not */
};

/* What a call notes of its thread. */
struct pipc_thread {
    const char *function; /* the public call under way */
    const char *name;     /* of the object it is about; NULL: none yet */
    struct pipc_call *volatile innermost;
    struct pipc_luck luck[2]; /* with pausing, with yielding */
};
extern PIPC_HIDDEN _Thread_local struct pipc_thread pipc_thread;

/* Notes which public call this thread is in, and about which object (NULL: none yet), for the sentences of
 * pipc_fail. The first thing that every public function does. Async-signal-safe. */
static inline void pipc_calling(const char *function, const char *name)
{
    pipc_thread.function = function;
    pipc_thread.name = name;
}

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

/* The same for calls that meet no cancellation point, and so leave cancellation as it is. */
int pipc_call_nested(struct pipc_call *outer, uint64_t nonce);
static inline int pipc_call_begin(struct pipc_call *call, uint64_t nonce)
{
    struct pipc_call *outer = pipc_thread.innermost;
    if (outer && pipc_call_nested(outer, nonce))
        return PIPC_E_BUSY;
    call->nonce = nonce;
    call->outer = outer;
    atomic_signal_fence(memory_order_seq_cst);
    pipc_thread.innermost = call;
    return 0;
}

static inline int pipc_call_end(struct pipc_call *call, int result)
{
    atomic_signal_fence(memory_order_seq_cst);
    pipc_thread.innermost = call->outer;
    return result;
}

#endif
