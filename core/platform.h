/* What core needs of the operating system beside its IPC: one file a platform implements this. */
#ifndef PIPC_CORE_PLATFORM_H
#define PIPC_CORE_PLATFORM_H

#include <stdatomic.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "core/backend.h"

extern const char pipc_platform_name[];
extern const bool pipc_platform_detects_death;

enum pipc_slept { PIPC_SLEPT_WOKEN, PIPC_SLEPT_OUT, PIPC_SLEPT_SIGNAL };

/* Sleeps while *word is `expected`, at most `span` ns; may return WOKEN without reason. The word may
 * lie in shared, even read-only memory. SIGNAL: a signal handler ran, whatever SA_RESTART says. */
enum pipc_slept pipc_sleep_on(const _Atomic uint32_t *word, uint32_t expected, int64_t span);

/* Wakes up to `count` sleepers; tells how many, or 0 where nobody can know. Async-signal-safe. */
int pipc_wake_on(const _Atomic uint32_t *word, int count);

void pipc_yield(void);    /* lets others run on this processor first, if there are any */
bool pipc_may_spin(void); /* is there more than one processor? */

/* What a thread knows of itself. Forgotten in a forked child: by a handler after fork(), and by `*pipc_alive`,
 * which is 0 in a child that has not noticed yet. */
struct pipc_who {
    uint64_t self;          /* pipc_self(); 0: to be learnt */
    uint64_t pid_namespace; /* pipc_pid_namespace() */
    uint64_t process;       /* pipc_self_process(), 0: to be learnt */
    int32_t pid;
    int locks; /* of the caller's and of channels, that it has or is about to take: meanwhile it is not refreshed */
};
extern PIPC_HIDDEN _Thread_local struct pipc_who pipc_known_self;
extern PIPC_HIDDEN _Atomic uint32_t *pipc_alive;
struct pipc_who *pipc_learn_self(void);

/* Without a system call, but for the first time in a thread. */
static inline struct pipc_who *pipc_who(void)
{
    struct pipc_who *known = &pipc_known_self;
    return known->self && atomic_load_explicit(pipc_alive, memory_order_relaxed) ? known : pipc_learn_self();
}

/* This process, and pipc_pid_namespace(). */
static inline int32_t pipc_self_pid(void)
{
    return pipc_who()->pid;
}

static inline uint64_t pipc_self_namespace(void)
{
    return pipc_who()->pid_namespace;
}

uint64_t pipc_nobody(void); /* an identity of this thread that says nothing of its life: thread id 0 */

/* `noted`: the pid namespace in which identities were noted somewhere. Where they can be judged from here: it, or
 * 0 = nowhere. A child that inherited a handle may have been forked into another namespace. */
static inline uint64_t pipc_namespace_here(uint64_t noted)
{
    return noted == pipc_who()->pid_namespace ? noted : 0;
}

/* This thread's identity as it is to be noted there. Where identities mean nothing (another pid namespace, no /proc) it
 * is one that nobody can prove dead, or alive. */
static inline uint64_t pipc_self_there(uint64_t noted)
{
    const struct pipc_who *me = pipc_who();
    return noted && noted == me->pid_namespace ? me->self : pipc_nobody();
}

uint64_t pipc_self_process(void); /* the identity of this process: of its first thread */
/* What this thread could not learn of itself so far it tries to learn again. For calls that open or remove, before
 * they begin: whoever holds a lock must not become somebody else. */
void pipc_self_refresh(void);

uint64_t pipc_pid_namespace(void); /* identifies where pids and start times mean the same; 0 = unknown */

/* As pipc_is_dead(), of all threads of the process behind the identity of its first one, which may have ended before.
 */
bool pipc_is_wholly_dead(uint64_t identity, uint64_t pid_namespace);

/* Advice for a mapping. 0 or a PIPC_E_ number with its detail set. */
int pipc_lock_pages(void *address, size_t size);
void pipc_unlock_pages(void *address, size_t size);
int pipc_use_huge_pages(void *address, size_t size);

#endif
