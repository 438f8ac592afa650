/* What core needs of the operating system beside its IPC: one file a platform implements this. */
#ifndef PIPC_CORE_PLATFORM_H
#define PIPC_CORE_PLATFORM_H

#include <stdatomic.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

extern const char pipc_platform_name[];
extern const bool pipc_platform_detects_death;

enum pipc_slept { PIPC_SLEPT_WOKEN, PIPC_SLEPT_OUT, PIPC_SLEPT_SIGNAL };

/* Sleeps while *word is `expected`, at most `span` ns; may return WOKEN without reason. The word may
 * lie in shared, even read-only memory. SIGNAL: a signal handler ran, whatever SA_RESTART says. */
enum pipc_slept pipc_sleep_on(const _Atomic uint32_t *word, uint32_t expected, int64_t span);

/* Wakes up to `count` sleepers; tells how many, or 0 where nobody can know. Async-signal-safe. */
int pipc_wake_on(const _Atomic uint32_t *word, int count);

bool pipc_may_spin(void);           /* is there more than one processor for this process? */
int32_t pipc_self_pid(void);        /* this process, without a system call */
uint64_t pipc_nobody(void);         /* an identity of this thread that says nothing of its life: thread id 0 */
uint64_t pipc_self_namespace(void); /* pipc_pid_namespace() without a system call */
/* What this thread could not learn of itself so far it tries to learn again. For calls that open or remove, before
 * they begin: whoever holds a lock must not become somebody else. */
void pipc_self_refresh(void);

/* What this thread knows of itself, in one call: it lies where only the thread itself changes it. */
struct pipc_identity {
    uint64_t self;          /* pipc_self() */
    uint64_t pid_namespace; /* pipc_self_namespace() */
    int locks;              /* that it has between calls: while it has any, it is not refreshed */
};
struct pipc_identity *pipc_identity(void);
uint64_t pipc_pid_namespace(void); /* identifies where pids and start times mean the same; 0 = unknown */

/* Advice for a mapping. 0 or a PIPC_E_ number with its detail set. */
int pipc_lock_pages(void *address, size_t size);
void pipc_unlock_pages(void *address, size_t size);
int pipc_use_huge_pages(void *address, size_t size);

#endif
