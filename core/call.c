/* The frame of a call; see call.h. */
#include "core/call.h"

#include <pthread.h>
#include <stdatomic.h>

#include "core/backend.h"

static _Thread_local struct pipc_call *volatile innermost;

int pipc_call_enter(struct pipc_call *call, uint64_t nonce)
{
    for (const struct pipc_call *outer = innermost; nonce && outer; outer = outer->outer)
        if (outer->nonce == nonce)
            return pipc_fail(PIPC_E_BUSY, "this thread is inside a call on the same queue already; "
                                          "a signal handler must not use the queue that it interrupted");
    pthread_setcancelstate(PTHREAD_CANCEL_DISABLE, &call->cancel_state);
    call->nonce = nonce;
    call->outer = innermost;
    atomic_signal_fence(memory_order_seq_cst);
    innermost = call;
    return 0;
}

int pipc_call_leave(struct pipc_call *call, int result)
{
    innermost = call->outer;
    atomic_signal_fence(memory_order_seq_cst);
    pthread_setcancelstate(call->cancel_state, NULL);
    return result;
}
