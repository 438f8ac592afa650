/* The lock in the caller's memory: the lock of core/lock.c, and what makes its owners' identities mean
 * something. Modelled in tests/models/mutex.pml.
 *
 * `home` is the pid namespace in which the identities in the lock were noted. The first who locks sets it, once.
 * Whoever lives elsewhere locks under an identity that nobody can prove dead, and steals from nobody.
 *
 * A steal makes the thief the owner in one step: if it dies before it says so to its caller, it is itself
 * an owner that died with the lock, and the next one says so. No mark is needed for that. */
#include "pipc/mutex.h"

#include <string.h>

#include "core/call.h"
#include "core/lock.h"
#include "core/platform.h"

/* What lies in pipc_mutex. */
struct mutex {
    struct pipc_lock lock;
    _Atomic uint64_t home; /* 0: nobody knew his own yet */
};

_Static_assert(sizeof(struct mutex) == sizeof(pipc_mutex), "the lock's size is part of the promise");

#define IMAGE_SHIFT 50 /* above the bits of pipc_self() */

/* The caller as an owner. */
struct owner {
    uint64_t self;
    uint64_t pid_namespace; /* 0: not at home here */
};

static bool usable(const pipc_mutex *mutex)
{
    return mutex && (uintptr_t)mutex % sizeof(uint64_t) == 0;
}

static int unusable(const pipc_mutex *mutex, const char *function)
{
    pipc_calling(function, NULL);
    if (!mutex)
        return pipc_fail(PIPC_E_INVALID, "the mutex is NULL");
    return pipc_fail(PIPC_E_INVALID, "the mutex at %p is not aligned to 8 bytes", (const void *)mutex);
}

/* After exec the thread is the same and the program another: what the old one held the new one does not have. */
static _Atomic uint64_t image;

static uint64_t draw_image(void)
{
    uint64_t known = 0, fresh = (pipc_random() % 4095 + 1) << IMAGE_SHIFT;
    return atomic_compare_exchange_strong(&image, &known, fresh) ? fresh : known;
}

/* For those who are at home here, as nearly all are: the identity is known at once. Else 0. */
static inline uint64_t self_at_home(struct mutex *at, const struct pipc_who *thread)
{
    uint64_t home = atomic_load_explicit(&at->home, memory_order_relaxed);
    uint64_t known = atomic_load_explicit(&image, memory_order_relaxed);
    return home && home == thread->pid_namespace && known ? thread->self | known : 0;
}

static struct owner owner_of(struct mutex *at, struct pipc_who *thread) /* model: mutex.pml, owner_of */
{
    uint64_t known = atomic_load(&image);
    if (!known)
        known = draw_image();
    if (self_at_home(at, thread))
        return (struct owner){thread->self | known, thread->pid_namespace};
    return (struct owner){pipc_nobody() | known, 0};
}

static void settle(struct mutex *at, uint64_t here)
{
    uint64_t nowhere = 0;
    if (here && atomic_compare_exchange_strong(&at->home, &nowhere, here)) /* model: mutex.pml, settle */
        PIPC_POINT("mutex: home is set, not locked");
}

int pipc_mutex_init(pipc_mutex *mutex)
{
    if (!usable(mutex))
        return unusable(mutex, __func__);
    memset(mutex, 0, sizeof *mutex);
    return 0;
}

/* Who could not learn all of where it lives asks again when that matters: the owner may be dead. */
static void learn_where(struct mutex *at, struct pipc_who *thread)
{
    bool abroad = atomic_load(&at->home) != thread->pid_namespace;
    if (abroad && thread->pid_namespace >> 32 == 0 && atomic_load(&at->lock.word) != 0) {
        pipc_self_refresh();
        pipc_who();
    }
    settle(at, thread->pid_namespace);
}

static int try_once(struct mutex *at, const struct owner *me)
{
    if (pipc_lock_try(&at->lock, me->self))
        return 0;
    if (pipc_lock_steal(&at->lock, me->self, me->pid_namespace))
        return PIPC_LOCK_STOLEN;
    return pipc_fail(PIPC_E_BUSY, "another thread has the lock");
}

static int wait_for(struct mutex *at, const struct owner *me, int64_t timeout)
{
    struct pipc_patience patience;
    struct pipc_call call;
    int error = pipc_patience_begin(&patience, timeout, NULL, NULL);
    if (!error)
        error = pipc_call_enter(&call, 0);
    if (error)
        return error;
    return pipc_call_leave(&call, pipc_lock_take(&at->lock, me->self, me->pid_namespace, &patience));
}

static int lock_slowly(struct mutex *at, struct pipc_who *thread, int64_t timeout)
{
    pipc_calling("pipc_mutex_lock", NULL);
    if (timeout < 0)
        return pipc_fail(PIPC_E_INVALID, "the time span is negative");
    learn_where(at, thread);
    struct owner me = owner_of(at, thread);
    if (pipc_lock_is_of(&at->lock, me.self))
        return pipc_fail(PIPC_E_DEADLOCK, "this thread has the lock already, and it is not recursive");
    int error = timeout == PIPC_NOWAIT ? try_once(at, &me) : wait_for(at, &me, timeout);
    if (error && error != PIPC_LOCK_STOLEN)
        return error;
    PIPC_POINT("mutex: locked after all, not told");
    thread->locks++;
    return error ? pipc_fail(PIPC_E_OWNER_DIED, "the last owner died with the lock, which is yours now") : 0;
}

int pipc_mutex_lock(pipc_mutex *mutex, int64_t timeout)
{
    if (!usable(mutex))
        return unusable(mutex, __func__);
    struct mutex *at = (struct mutex *)mutex;
    struct pipc_who *thread = pipc_who();
    uint64_t self = self_at_home(at, thread);
    if (!self || timeout < 0 || !pipc_lock_try(&at->lock, self))
        return lock_slowly(at, thread, timeout);
    PIPC_POINT("mutex: locked, not told");
    thread->locks++;
    return 0;
}

static int unlock_slowly(struct mutex *at, struct pipc_who *thread)
{
    struct owner me = owner_of(at, thread);
    if (!pipc_lock_give(&at->lock, me.self)) {
        pipc_calling("pipc_mutex_unlock", NULL);
        return pipc_fail(PIPC_E_ACCESS, "this thread does not have the lock");
    }
    thread->locks--;
    return 0;
}

int pipc_mutex_unlock(pipc_mutex *mutex)
{
    if (!usable(mutex))
        return unusable(mutex, __func__);
    struct mutex *at = (struct mutex *)mutex;
    struct pipc_who *thread = pipc_who();
    uint64_t self = self_at_home(at, thread);
    if (!self || !pipc_lock_give(&at->lock, self))
        return unlock_slowly(at, thread);
    thread->locks--;
    return 0;
}
