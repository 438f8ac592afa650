/* Linux: futexes, /proc, namespaces. */
#include "core/platform.h"

#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <linux/futex.h>
#include <pthread.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/random.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <time.h>
#include <unistd.h>

#include "core/backend.h"

#define TID_BITS    30
#define TID_MASK    ((UINT64_C(1) << TID_BITS) - 1)
#define HASH_MASK   ((UINT64_C(1) << 20) - 1)
#define LONGEST_NAP PIPC_MS(1)

const char pipc_platform_name[] = "linux";
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

bool pipc_nap(int64_t *nap, int64_t deadline)
{
    int64_t now = pipc_now();
    if (now >= deadline)
        return false;
    *nap = *nap ? *nap * 2 : PIPC_US(50);
    if (*nap > PIPC_MS(5))
        *nap = PIPC_MS(5);
    int64_t span = deadline - now < *nap ? deadline - now : *nap;
    struct timespec time = {.tv_sec = 0, .tv_nsec = (long)span};
    int cancellation = hold_cancellation();
    clock_nanosleep(CLOCK_MONOTONIC, 0, &time, NULL);
    release_cancellation(cancellation);
    return true;
}

/* With a time-out FUTEX_WAIT is never restarted after a handler: EINTR whatever SA_RESTART says. */
enum pipc_slept pipc_sleep_on(const _Atomic uint32_t *word, uint32_t expected, int64_t span)
{
    struct timespec time = {.tv_sec = span / PIPC_SECONDS(1), .tv_nsec = (long)(span % PIPC_SECONDS(1))};
    /* model: wait.pml, pipc_sleep_on; lock.pml, pipc_sleep_on */
    if (syscall(SYS_futex, word, FUTEX_WAIT, expected, &time, NULL, 0) == 0 || errno == EAGAIN)
        return PIPC_SLEPT_WOKEN;
    if (errno == EINTR)
        return PIPC_SLEPT_SIGNAL;
    if (errno == ETIMEDOUT)
        return PIPC_SLEPT_OUT;
    /* No futex to be had here (private read-only memory): a nap, not a busy loop. */
    time = (struct timespec){.tv_nsec = (long)(span < LONGEST_NAP ? span : LONGEST_NAP)};
    int cancellation = hold_cancellation();
    int error = clock_nanosleep(CLOCK_MONOTONIC, 0, &time, NULL);
    release_cancellation(cancellation);
    return error == EINTR ? PIPC_SLEPT_SIGNAL : PIPC_SLEPT_OUT;
}

int pipc_wake_on(const _Atomic uint32_t *word, int count)
{
    int kept = errno;
    long woken = syscall(SYS_futex, word, FUTEX_WAKE, count, NULL, NULL, 0);
    errno = kept;
    return woken > 0 ? (int)woken : 0;
}

void pipc_yield(void)
{
    sched_yield();
}

/* What this process may run on does not matter: the others may run elsewhere. */
bool pipc_may_spin(void)
{
    return sysconf(_SC_NPROCESSORS_ONLN) > 1;
}

uint64_t pipc_random(void)
{
    uint64_t value = 0;
    while (value == 0) /* getrandom() is a cancellation point, its system call by itself is none */
        if (syscall(SYS_getrandom, &value, sizeof value, 0) != sizeof value)
            value = (uint64_t)pipc_now() * UINT64_C(0x9e3779b97f4a7c15) ^ (uint64_t)syscall(SYS_gettid);
    return value;
}

/* ---- who is who ---- */

/* 0: there is none, or it cannot be seen. What the kernel had no memory for a moment ago it may tell now. */
static uint64_t namespace_of(const char *path)
{
    struct stat about;
    for (int tries = 0; tries < 3; tries++) {
        errno = 0;
        if (stat(path, &about) == 0)
            return (uint64_t)about.st_ino & 0xffffffffu;
        if (errno == ENOENT || errno == EACCES)
            break;
    }
    return 0;
}

/* Start times are shifted by a time namespace, so that one counts too; old kernels have none. */
uint64_t pipc_pid_namespace(void)
{
    uint64_t pids = namespace_of("/proc/self/ns/pid");
    uint64_t time = pids ? namespace_of("/proc/self/ns/time") : 0;
    return pids && (time || errno == ENOENT) ? pids | time << 32 : 0;
}

/* Is the mounted /proc the one of this pid namespace? Another's numbers would lie. */
static bool proc_is_ours(void)
{
    char target[32];
    ssize_t length = readlink("/proc/self", target, sizeof target - 1);
    if (length <= 0)
        return false;
    target[length] = 0;
    return atol(target) == (long)getpid();
}

/* What /proc tells of a thread. */
struct stat_line {
    char state;
    int threads;    /* of its process, itself included while it is a zombie */
    uint64_t start; /* clock ticks since boot */
};

/* False if it cannot be read. */
static bool read_stat(pid_t tid, struct stat_line *line)
{
    char path[40], text[1024];
    snprintf(path, sizeof path, "/proc/%ld/stat", (long)tid);
    int file = open(path, O_RDONLY | O_CLOEXEC);
    if (file < 0)
        return false;
    ssize_t length = read(file, text, sizeof text - 1);
    close(file);
    if (length <= 0)
        return false;
    text[length] = 0;
    const char *after_name = strrchr(text, ')');
    unsigned long long ticks;
    if (!after_name ||
        sscanf(after_name + 1, " %c %*d %*d %*d %*d %*d %*u %*u %*u %*u %*u %*u %*u %*d %*d %*d %*d %d %*d %llu",
               &line->state, &line->threads, &ticks) != 3)
        return false;
    line->start = ticks;
    return true;
}

/* 20 bits, never 0: 0 stands for "unknown". */
static uint64_t hash_start(uint64_t start)
{
    uint64_t hash = ((start + 1) * UINT64_C(0x9e3779b97f4a7c15)) >> 44;
    return hash ? hash : 1;
}

/* `*pipc_alive` lies in a page that the kernel wipes in every child, after _Fork() and clone() too. */
_Thread_local struct pipc_who pipc_known_self;
static _Thread_local uint64_t nobody;
static _Atomic uint32_t always_alive = 1;
_Atomic uint32_t *pipc_alive = &always_alive;

static void forget_self(void)
{
    pipc_known_self.self = 0;
}

void pipc_self_refresh(void)
{
    const struct pipc_who *known = &pipc_known_self;
    if (known->locks <= 0 && (known->pid_namespace >> 32 == 0 || known->self >> TID_BITS == 0))
        forget_self();
}

static void watch_forks(void)
{
    size_t size = pipc_page();
    void *page = mmap(NULL, size, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    if (page != MAP_FAILED && madvise(page, size, MADV_WIPEONFORK) == 0)
        pipc_alive = page;
    pthread_atfork(NULL, NULL, forget_self);
}

static uint64_t identity_of(pid_t tid)
{
    struct stat_line line;
    uint64_t hash = proc_is_ours() && read_stat(tid, &line) ? hash_start(line.start) : 0;
    return hash << TID_BITS | ((uint64_t)tid & TID_MASK);
}

struct pipc_who *pipc_learn_self(void)
{
    static pthread_once_t once = PTHREAD_ONCE_INIT;
    struct pipc_who *known = &pipc_known_self;
    pthread_once(&once, watch_forks);
    int kept = errno, cancellation = hold_cancellation();
    nobody = 0;
    known->pid = getpid();
    known->pid_namespace = pipc_pid_namespace();
    known->process = 0;
    known->locks = 0;
    known->self = identity_of((pid_t)syscall(SYS_gettid));
    atomic_store_explicit(pipc_alive, 1, memory_order_relaxed);
    release_cancellation(cancellation);
    errno = kept;
    return known;
}

uint64_t pipc_self(void)
{
    return pipc_who()->self;
}

uint64_t pipc_self_process(void)
{
    int32_t pid = pipc_who()->pid;
    int cancellation = hold_cancellation();
    if (!pipc_known_self.process)
        pipc_known_self.process = identity_of((pid_t)pid);
    release_cancellation(cancellation);
    return pipc_known_self.process;
}

uint64_t pipc_nobody(void)
{
    pipc_who(); /* so that a fork is noticed */
    while (!nobody)
        nobody = pipc_random() >> 44 << TID_BITS;
    return nobody;
}

/* Reading /proc opens files, which would be a cancellation point. */
static bool read_stat_whole(pid_t tid, struct stat_line *line)
{
    int cancellation = hold_cancellation();
    bool read = proc_is_ours() && read_stat(tid, line);
    release_cancellation(cancellation);
    return read;
}

static bool is_zombie(const struct stat_line *line)
{
    return line->state == 'Z' || line->state == 'X' || line->state == 'x';
}

/* A first thread that ended before the others is a zombie too. */
static bool is_zombie_process(const struct stat_line *line)
{
    return is_zombie(line) && line->threads <= 1;
}

/* Is what stands behind an identity dead? */
static bool identity_is_dead(uint64_t identity, uint64_t pid_namespace, bool (*dead)(const struct stat_line *line))
{
    pid_t tid = (pid_t)(identity & TID_MASK);
    uint64_t mine = pipc_who()->pid_namespace, hash = identity >> TID_BITS & HASH_MASK;
    struct stat_line line;
    if (tid <= 0 || !mine || mine != pid_namespace)
        return false;
    if (kill(tid, 0) != 0 && errno == ESRCH)
        return true;
    return read_stat_whole(tid, &line) && (dead(&line) || (hash && hash_start(line.start) != hash));
}

bool pipc_is_dead(uint64_t identity, uint64_t pid_namespace) /* model: mutex.pml, pipc_is_dead */
{
    return identity_is_dead(identity, pid_namespace, is_zombie);
}

bool pipc_is_wholly_dead(uint64_t identity, uint64_t pid_namespace)
{
    return identity_is_dead(identity, pid_namespace, is_zombie_process);
}

bool pipc_is_dead_process(int32_t pid, int64_t began_before)
{
    struct stat_line line;
    if (pid <= 0)
        return false;
    if (kill(pid, 0) != 0 && errno == ESRCH)
        return true;
    if (!read_stat_whole(pid, &line))
        return false;
    struct timespec real, boot;
    clock_gettime(CLOCK_REALTIME, &real);
    clock_gettime(CLOCK_BOOTTIME, &boot);
    int64_t began = PIPC_SECONDS(line.start / (uint64_t)sysconf(_SC_CLK_TCK)) + PIPC_SECONDS(real.tv_sec - boot.tv_sec);
    /* Two seconds of doubt: ticks, whole seconds, a clock that was set a little. */
    return is_zombie_process(&line) || began > began_before + PIPC_SECONDS(2);
}

/* ---- advice for mappings ---- */

int pipc_lock_pages(void *address, size_t size)
{
    if (mlock(address, size) == 0)
        return 0;
    struct rlimit limit = {0, 0};
    getrlimit(RLIMIT_MEMLOCK, &limit);
    return pipc_fail(errno == EAGAIN ? PIPC_E_NO_SPACE : PIPC_E_LIMIT,
                     "mlock(%zu bytes): %s; RLIMIT_MEMLOCK is %llu bytes for this user, raise it with ulimit -l", size,
                     strerror(errno), (unsigned long long)limit.rlim_cur);
}

void pipc_unlock_pages(void *address, size_t size)
{
    munlock(address, size);
}

int pipc_use_huge_pages(void *address, size_t size)
{
    static const char setting[] = "/sys/kernel/mm/transparent_hugepage/shmem_enabled";
    char text[128] = "";
    int file = open(setting, O_RDONLY | O_CLOEXEC);
    if (file < 0 && (errno == EMFILE || errno == ENFILE))
        return pipc_fail(PIPC_E_LIMIT, "open(\"%s\"): %s; raise RLIMIT_NOFILE with ulimit -n, or fs.file-max", setting,
                         strerror(errno));
    ssize_t length = file >= 0 ? read(file, text, sizeof text - 1) : -1;
    if (file >= 0)
        close(file);
    bool granted = length > 0 && (strstr(text, "[always]") || strstr(text, "[advise]") ||
                                  strstr(text, "[within_size]") || strstr(text, "[force]"));
    if (granted && madvise(address, size, MADV_HUGEPAGE) == 0)
        return 0;
    return pipc_fail(PIPC_E_UNSUPPORTED,
                     "huge pages for %zu bytes of shared memory are not granted; "
                     "write \"advise\" to %s as root",
                     size, setting);
}
