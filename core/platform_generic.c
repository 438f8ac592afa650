/* Any POSIX system, by plain means: waiting is looking again, death is a process id that is gone.
 * Slower to wake than platform_linux.c (up to 1 ms), blind to dead threads of living processes and to
 * process ids used again; right in all else. */
#include "core/platform.h"

#include <errno.h>
#include <fcntl.h>
#include <pthread.h>
#include <sched.h>
#include <signal.h>
#include <string.h>
#include <sys/mman.h>
#include <time.h>
#include <unistd.h>

#include "core/backend.h"

#define PID_BITS     30
#define PID_MASK     ((UINT64_C(1) << PID_BITS) - 1)
#define LONGEST_LOOK PIPC_MS(1)

const char pipc_platform_name[] = "generic";
const bool pipc_platform_detects_death = true;

/* Around what is a cancellation point, in functions that calls on a queue use: those leave cancellation as it is. */
static int hold_cancellation(void)
{
    int state;
    pthread_setcancelstate(PTHREAD_CANCEL_DISABLE, &state);
    return state;
}

static void release_cancellation(int state)
{
    pthread_setcancelstate(state, NULL);
}

/* ---- time and sleeping ---- */

int64_t pipc_now(void)
{
    struct timespec now;
    clock_gettime(CLOCK_MONOTONIC, &now);
    return PIPC_SECONDS(now.tv_sec) + now.tv_nsec;
}

static int sleep_for(int64_t span)
{
    struct timespec time = {.tv_sec = (time_t)(span / PIPC_SECONDS(1)), .tv_nsec = (long)(span % PIPC_SECONDS(1))};
    int cancellation = hold_cancellation();
    int result = nanosleep(&time, NULL);
    release_cancellation(cancellation);
    return result;
}

bool pipc_nap(int64_t *nap, int64_t deadline)
{
    int64_t now = pipc_now();
    if (now >= deadline)
        return false;
    *nap = *nap ? *nap * 2 : PIPC_US(50);
    if (*nap > PIPC_MS(5))
        *nap = PIPC_MS(5);
    sleep_for(deadline - now < *nap ? deadline - now : *nap);
    return true;
}

enum pipc_slept pipc_sleep_on(const _Atomic uint32_t *word, uint32_t expected, int64_t span)
{
    int64_t end = pipc_now() + span, look = PIPC_US(50);
    while (atomic_load(word) == expected) { /* model: wait.pml, pipc_sleep_on; lock.pml, pipc_sleep_on */
        int64_t left = end - pipc_now();
        if (left <= 0)
            return PIPC_SLEPT_OUT;
        if (sleep_for(left < look ? left : look) != 0 && errno == EINTR)
            return PIPC_SLEPT_SIGNAL;
        look = look * 2 < LONGEST_LOOK ? look * 2 : LONGEST_LOOK;
    }
    return PIPC_SLEPT_WOKEN;
}

/* Sleepers look by themselves. */
int pipc_wake_on(const _Atomic uint32_t *word, int count)
{
    (void)word;
    (void)count;
    return 0;
}

void pipc_yield(void)
{
    sched_yield();
}

bool pipc_may_spin(void)
{
    return sysconf(_SC_NPROCESSORS_ONLN) > 1;
}

uint64_t pipc_random(void)
{
    uint64_t value = 0;
    int cancellation = hold_cancellation();
    int file = open("/dev/urandom", O_RDONLY | O_CLOEXEC);
    if (file >= 0 && read(file, &value, sizeof value) != sizeof value)
        value = 0;
    if (file >= 0)
        close(file);
    release_cancellation(cancellation);
    return value ? value : (uint64_t)pipc_now() * UINT64_C(0x9e3779b97f4a7c15) + (uint64_t)getpid();
}

/* ---- who is who ---- */

/* One namespace for all: the kernels that have others have platform_linux.c. */
uint64_t pipc_pid_namespace(void)
{
    return 1;
}

void pipc_self_refresh(void)
{
}

_Thread_local struct pipc_who pipc_known_self;
static _Thread_local uint64_t nobody;
static _Atomic uint32_t always_alive = 1;
_Atomic uint32_t *pipc_alive = &always_alive;

static void forget_self(void)
{
    pipc_known_self.self = 0;
    nobody = 0;
}

static void watch_forks(void)
{
    pthread_atfork(NULL, NULL, forget_self);
}

/* [number of the thread in this process 20 | process id 30] */
struct pipc_who *pipc_learn_self(void)
{
    static pthread_once_t once = PTHREAD_ONCE_INIT;
    static _Atomic uint64_t threads;
    struct pipc_who *known = &pipc_known_self;
    pthread_once(&once, watch_forks);
    known->pid = getpid();
    known->pid_namespace = pipc_pid_namespace();
    known->self = (atomic_fetch_add(&threads, 1) + 1) << 44 >> 14 | ((uint64_t)known->pid & PID_MASK);
    return known;
}

uint64_t pipc_self(void)
{
    return pipc_who()->self;
}

uint64_t pipc_nobody(void)
{
    while (!nobody) {
        pipc_who(); /* so that a fork is noticed */
        nobody = pipc_random() >> 44 << PID_BITS;
    }
    return nobody;
}

static bool gone(pid_t pid)
{
    return pid > 0 && kill(pid, 0) != 0 && errno == ESRCH;
}

bool pipc_is_dead(uint64_t identity, uint64_t pid_namespace) /* model: mutex.pml, pipc_is_dead */
{
    return pid_namespace == pipc_pid_namespace() && gone((pid_t)(identity & PID_MASK));
}

uint64_t pipc_self_process(void)
{
    return (uint64_t)pipc_who()->pid & PID_MASK;
}

bool pipc_is_wholly_dead(uint64_t identity, uint64_t pid_namespace)
{
    return pipc_is_dead(identity, pid_namespace);
}

bool pipc_is_dead_process(int32_t pid, int64_t began_before)
{
    (void)began_before;
    return gone(pid);
}

/* ---- advice for mappings ---- */

int pipc_lock_pages(void *address, size_t size)
{
    if (mlock(address, size) == 0)
        return 0;
    return pipc_fail(errno == EAGAIN ? PIPC_E_NO_SPACE : PIPC_E_LIMIT,
                     "mlock(%zu bytes): %s; raise RLIMIT_MEMLOCK with ulimit -l", size, strerror(errno));
}

void pipc_unlock_pages(void *address, size_t size)
{
    munlock(address, size);
}

int pipc_use_huge_pages(void *address, size_t size)
{
    (void)address;
    return pipc_fail(PIPC_E_UNSUPPORTED, "huge pages for %zu bytes: not on this platform", size);
}
