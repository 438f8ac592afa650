/* The semaphore: a count, and a word to sleep on. Modelled in tests/models/semaphore.pml. */
#include "pipc/semaphore.h"

#include <string.h>

#include "core/call.h"
#include "core/wait.h"

/* What lies in pipc_semaphore. */
struct semaphore {
    _Atomic uint32_t value;
    uint32_t spare;
    struct pipc_word word;
};

_Static_assert(sizeof(struct semaphore) == sizeof(pipc_semaphore), "the semaphore's size is part of the promise");

/* Posting and reading are for signal handlers too: unless they fail they leave the interrupted call's name alone. */
static int check(const pipc_semaphore *semaphore, const char *function)
{
    if (semaphore && (uintptr_t)semaphore % sizeof(uint64_t) == 0)
        return 0;
    pipc_calling(function, NULL);
    if (!semaphore)
        return pipc_fail(PIPC_E_INVALID, "the semaphore is NULL");
    return pipc_fail(PIPC_E_INVALID, "the semaphore at %p is not aligned to 8 bytes", (const void *)semaphore);
}

static int beyond(const char *function, int error, const char *what, uint32_t count)
{
    pipc_calling(function, NULL);
    return pipc_fail(error, "%s of %u; a semaphore holds up to %d", what, count, PIPC_SEMAPHORE_MAX);
}

int pipc_semaphore_init(pipc_semaphore *semaphore, uint32_t value)
{
    int error = check(semaphore, __func__);
    if (error)
        return error;
    if (value > PIPC_SEMAPHORE_MAX)
        return beyond(__func__, PIPC_E_INVALID, "a value", value);
    memset(semaphore, 0, sizeof *semaphore);
    atomic_store(&((struct semaphore *)semaphore)->value, value);
    return 0;
}

/* Whoever waits announces itself before its last look at the count, whoever posts changes the count before its
 * look at the marks, all in one order. */
int pipc_semaphore_post(pipc_semaphore *semaphore, uint32_t count)
{
    int error = check(semaphore, __func__);
    if (error)
        return error;
    if (count == 0 || count > PIPC_SEMAPHORE_MAX)
        return beyond(__func__, PIPC_E_INVALID, "a count", count);
    struct semaphore *at = (struct semaphore *)semaphore;
    uint32_t value = atomic_load_explicit(&at->value, memory_order_relaxed);
    do
        if (value > PIPC_SEMAPHORE_MAX - count)
            return beyond(__func__, PIPC_E_LIMIT, "a count too many", count);
    while (!atomic_compare_exchange_weak(&at->value, &value, value + count)); /* model: semaphore.pml, poster */
    PIPC_POINT("semaphore: counted, nobody woken");
    pipc_word_bump(&at->word, (int)count);
    return 0;
}

static bool take(struct semaphore *at)
{
    uint32_t value = atomic_load(&at->value);
    while (value && !atomic_compare_exchange_weak(&at->value, &value, value - 1)) /* model: semaphore.pml, take */
        ;
    if (!value)
        return false;
    PIPC_POINT("semaphore: taken");
    return true;
}

/* Who gives up looks once more: a wake-up that came meanwhile was for a token that is there. */
static int wait_for_token(struct semaphore *at, struct pipc_patience *patience)
{
    struct pipc_watch watch = {0};
    while (!take(at)) {
        int error = pipc_word_await(&at->word, &watch, patience);
        if (error)
            return take(at) ? 0 : error; /* model: semaphore.pml, leave */
    }
    return 0;
}

static int wait_slowly(struct semaphore *at, int64_t timeout)
{
    struct pipc_patience patience;
    struct pipc_call call;
    pipc_calling("pipc_semaphore_wait", NULL);
    if (timeout == PIPC_NOWAIT)
        return pipc_fail(PIPC_E_TIMEOUT, "there is no token now");
    int error = pipc_patience_begin(&patience, timeout, NULL, NULL);
    if (!error)
        error = pipc_call_enter(&call, 0);
    return error ? error : pipc_call_leave(&call, wait_for_token(at, &patience));
}

int pipc_semaphore_wait(pipc_semaphore *semaphore, int64_t timeout)
{
    int error = check(semaphore, __func__);
    if (error)
        return error;
    struct semaphore *at = (struct semaphore *)semaphore;
    return timeout >= 0 && take(at) ? 0 : wait_slowly(at, timeout);
}

int pipc_semaphore_value(const pipc_semaphore *semaphore, uint32_t *value)
{
    int error = check(semaphore, __func__);
    if (error)
        return error;
    if (!value) {
        pipc_calling(__func__, NULL);
        return pipc_fail(PIPC_E_INVALID, "the value's address is NULL");
    }
    *value = atomic_load(&((const struct semaphore *)semaphore)->value);
    return 0;
}
