/* The event: a value, and a word to sleep on. */
#include "pipc/event.h"

#include <limits.h>
#include <string.h>

#include "core/call.h"
#include "core/platform.h"
#include "core/wait.h"

/* What lies in pipc_event. */
struct event {
    _Atomic uint32_t value;
    uint32_t spare;
    struct pipc_word word;
};

_Static_assert(sizeof(struct event) == sizeof(pipc_event), "the event's size is part of the promise");

/* Setting and reading are for signal handlers too: unless they fail they leave the interrupted call's name alone. */
static int check(const pipc_event *event, const char *function)
{
    if (event && (uintptr_t)event % sizeof(uint64_t) == 0)
        return 0;
    pipc_calling(function, NULL);
    if (!event)
        return pipc_fail(PIPC_E_INVALID, "the event is NULL");
    return pipc_fail(PIPC_E_INVALID, "the event at %p is not aligned to 8 bytes", (const void *)event);
}

static uint32_t value_of(const pipc_event *event)
{
    return atomic_load(&((const struct event *)event)->value);
}

int pipc_event_init(pipc_event *event, uint32_t value)
{
    int error = check(event, __func__);
    if (error)
        return error;
    memset(event, 0, sizeof *event);
    atomic_store(&((struct event *)event)->value, value);
    return 0;
}

/* The value is exchanged, not stored: the waiter puts up its mark before its last look at the value,
 * the setter changes the value before its look at the marks, all in one order. */
int pipc_event_set(pipc_event *event, uint32_t value, int wake)
{
    int error = check(event, __func__);
    if (error)
        return error;
    if (wake != PIPC_WAKE_ALL && wake != PIPC_WAKE_ONE) {
        pipc_calling(__func__, NULL);
        return pipc_fail(PIPC_E_INVALID, "%d is neither PIPC_WAKE_ALL nor PIPC_WAKE_ONE", wake);
    }
    struct event *at = (struct event *)event;
    atomic_exchange(&at->value, value);
    pipc_word_bump(&at->word, wake == PIPC_WAKE_ONE ? 1 : INT_MAX);
    return 0;
}

int pipc_event_get(const pipc_event *event, uint32_t *value)
{
    int error = check(event, __func__);
    if (error)
        return error;
    if (!value) {
        pipc_calling(__func__, NULL);
        return pipc_fail(PIPC_E_INVALID, "the value's address is NULL");
    }
    *value = value_of(event);
    return 0;
}

static int timed_out_if(int error, uint32_t now, uint32_t seen)
{
    return now != seen ? 0 : error;
}

static int wait_change(struct event *event, uint32_t seen, struct pipc_patience *patience)
{
    struct pipc_watch watch = {0};
    int error = 0;
    while (!error && atomic_load(&event->value) == seen)
        error = pipc_word_await(&event->word, &watch, patience);
    return timed_out_if(error, atomic_load(&event->value), seen);
}

/* Sleeps on the value itself, which setters wake only if somebody else put up a mark. */
static int watch_change(const struct event *event, uint32_t seen, struct pipc_patience *patience)
{
    while (atomic_load(&event->value) == seen) {
        int error = pipc_patience_check(patience);
        if (error)
            return timed_out_if(error, atomic_load(&event->value), seen);
        if (pipc_sleep_on(&event->value, seen, pipc_patience_slice(patience, PIPC_SLICE)) == PIPC_SLEPT_SIGNAL)
            return timed_out_if(pipc_fail(PIPC_E_INTERRUPTED, "a signal ended the wait"), atomic_load(&event->value),
                                seen);
    }
    return 0;
}

static int begin(const pipc_event *event, const char *function, int64_t timeout, struct pipc_patience *patience,
                 struct pipc_call *call)
{
    int error = check(event, function);
    if (!error)
        error = pipc_patience_begin(patience, timeout, NULL, NULL);
    if (error)
        return error;
    if (patience->nowait)
        patience->deadline = 0;
    return pipc_call_enter(call, 0);
}

int pipc_event_wait(pipc_event *event, uint32_t seen, uint32_t *value, int64_t timeout)
{
    struct pipc_patience patience;
    struct pipc_call call;
    pipc_calling(__func__, NULL);
    int error = begin(event, __func__, timeout, &patience, &call);
    if (error)
        return error;
    error = pipc_call_leave(&call, wait_change((struct event *)event, seen, &patience));
    if (value)
        *value = value_of(event);
    return error;
}

int pipc_event_watch(const pipc_event *event, uint32_t seen, uint32_t *value, int64_t timeout)
{
    struct pipc_patience patience;
    struct pipc_call call;
    pipc_calling(__func__, NULL);
    int error = begin(event, __func__, timeout, &patience, &call);
    if (error)
        return error;
    error = pipc_call_leave(&call, watch_change((const struct event *)event, seen, &patience));
    if (value)
        *value = value_of(event);
    return error;
}
