/* The frame of a call; see call.h. */
#include "core/call.h"

#include <pthread.h>

#include "core/backend.h"

_Thread_local struct pipc_thread pipc_thread;

int pipc_call_nested(struct pipc_call *outer, uint64_t nonce)
{
    for (; nonce && outer; outer = outer->outer)
        if (outer->nonce == nonce)
            return pipc_fail(PIPC_E_BUSY, "this thread is inside a call on the same queue already; "
                                          "a signal handler must not use the queue that it interrupted");
    return 0;
}

int pipc_call_enter(struct pipc_call *call, uint64_t nonce)
{
    int error = pipc_call_begin(call, nonce);
    if (!error)
        pthread_setcancelstate(PTHREAD_CANCEL_DISABLE, &call->cancel_state);
    return error;
}

int pipc_call_leave(struct pipc_call *call, int result)
{
    pipc_call_end(call, result);
    pthread_setcancelstate(call->cancel_state, NULL);
    return result;
}
