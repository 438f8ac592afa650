/* Names, time, children, namespaces and what they share; see support.h. */
#define _GNU_SOURCE
#include <errno.h>
#include <fcntl.h>
#include <grp.h>
#include <sched.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/mount.h>
#include <sys/random.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include "support_internal.h"

enum { NAMES = 16 };

/* ---- Names and time ---- */

const char *test_prefix(void)
{
    static char prefix[24];
    uint16_t random = 0;
    if (prefix[0])
        return prefix;
    if (getrandom(&random, sizeof random, 0) != (ssize_t)sizeof random)
        abort();
    snprintf(prefix, sizeof prefix, "t%x-%04x.", (unsigned)getpid(), (unsigned)random);
    return prefix;
}

static char *next_name(void)
{
    static char names[NAMES][256];
    static _Atomic unsigned turn;
    return names[atomic_fetch_add(&turn, 1) % NAMES];
}

const char *test_name(const char *what)
{
    char *name = next_name();
    snprintf(name, 256, "%s%s", test_prefix(), what);
    return name;
}

const char *test_numbered(const char *what, unsigned number)
{
    char *name = next_name();
    snprintf(name, 256, "%s%s%u", test_prefix(), what, number);
    return name;
}

int64_t test_now(void)
{
    struct timespec now;
    clock_gettime(CLOCK_MONOTONIC, &now);
    return (int64_t)now.tv_sec * 1000000000 + now.tv_nsec;
}

void test_sleep(int64_t nanoseconds)
{
    int64_t end = test_now() + nanoseconds;
    struct timespec until = {.tv_sec = end / 1000000000, .tv_nsec = end % 1000000000};
    while (clock_nanosleep(CLOCK_MONOTONIC, TIMER_ABSTIME, &until, NULL) == EINTR)
        ;
}

unsigned test_patience(void)
{
    const char *patience = getenv("PIPC_TEST_PATIENCE");
    long times = patience ? strtol(patience, NULL, 10) : 1;
    return times >= 1 && times <= 100 ? (unsigned)times : 1;
}

/* So long from now, or as much longer as this machine needs. */
static int64_t patient_deadline(int64_t timeout)
{
    int64_t now = test_now(), times = test_patience();
    return timeout > (INT64_MAX - now) / times ? INT64_MAX : now + timeout * times;
}

/* ---- Processes ---- */

int test_wait(pid_t child, int64_t timeout)
{
    int status, answer = 0;
    int64_t deadline = patient_deadline(timeout);
    while ((answer = waitpid(child, &status, WNOHANG)) == 0 && test_now() < deadline)
        test_sleep(200000);
    if (answer == child)
        return WIFSIGNALED(status) ? 128 + WTERMSIG(status) : WEXITSTATUS(status);
    test_kill(child);
    CHECK(!"a child did not end in time");
    return -1;
}

void test_kill(pid_t child)
{
    if (child <= 0)
        return;
    kill(child, SIGKILL);
    while (waitpid(child, NULL, 0) < 0 && errno == EINTR)
        ;
}

bool test_sleeps(pid_t thread)
{
    char path[40], text[300] = "";
    snprintf(path, sizeof path, "/proc/%d/stat", (int)thread);
    int file = open(path, O_RDONLY | O_CLOEXEC);
    ssize_t length = file < 0 ? -1 : read(file, text, sizeof text - 1);
    if (file >= 0)
        close(file);
    const char *state = length > 0 ? strrchr(text, ')') : NULL;
    return state && state[1] == ' ' && state[2] == 'S';
}

bool test_await_sleep(pid_t thread)
{
    int64_t deadline = patient_deadline(PIPC_SECONDS(30));
    while (!test_sleeps(thread)) {
        if (test_now() > deadline)
            return CHECK(!"a thread never went to sleep");
        test_sleep(200000);
    }
    return true;
}

static int signal_the_parent(void *argument)
{
    _Atomic uint32_t *awake = argument;
    while (!atomic_load(awake)) {
        if (test_sleeps(getppid()))
            kill(getppid(), SIGUSR1);
        test_sleep(PIPC_MS(3));
    }
    return 0;
}

pid_t test_signal_sleeper(_Atomic uint32_t *awake)
{
    return test_fork(signal_the_parent, awake);
}

struct errand {
    uid_t user;
    uint64_t shm_bytes;
    test_body *body;
    void *argument;
};

static int run_as_user(void *argument)
{
    struct errand *errand = argument;
    REQUIRE(setgroups(0, NULL) == 0);
    REQUIRE(setresgid(errand->user, errand->user, errand->user) == 0);
    REQUIRE(setresuid(errand->user, errand->user, errand->user) == 0);
    return errand->body(errand->argument);
}

int test_as_user(uid_t user, test_body *body, void *argument)
{
    struct errand errand = {.user = user, .body = body, .argument = argument};
    if (geteuid() != 0)
        test_skip("only root can become another user");
    return test_wait(test_fork(run_as_user, &errand), PIPC_SECONDS(50));
}

static bool write_text(const char *path, const char *text)
{
    int file = open(path, O_WRONLY | O_CLOEXEC);
    bool written = file >= 0 && write(file, text, strlen(text)) == (ssize_t)strlen(text);
    if (file >= 0)
        close(file);
    return written;
}

/* An ordinary user becomes the root of a user namespace of its own first. */
static const char *unshare_as_user(int spaces)
{
    char map[60];
    unsigned user = geteuid(), group = getegid();
    if (unshare(spaces | CLONE_NEWUSER) < 0)
        return "unshare(CLONE_NEWUSER | CLONE_NEWIPC | CLONE_NEWNS)";
    snprintf(map, sizeof map, "0 %u 1", user);
    if (!write_text("/proc/self/uid_map", map) || !write_text("/proc/self/setgroups", "deny"))
        return "the map of users";
    snprintf(map, sizeof map, "0 %u 1", group);
    return write_text("/proc/self/gid_map", map) ? NULL : "the map of groups";
}

const char *test_unshare_ipc(uint64_t shm_bytes)
{
    char options[60] = "mode=1777";
    int spaces = CLONE_NEWIPC | CLONE_NEWNS;
    const char *failed = NULL;
    if (unshare(spaces) < 0)
        failed = unshare_as_user(spaces);
    if (failed)
        return failed;
    if (shm_bytes)
        snprintf(options, sizeof options, "mode=1777,size=%llu", (unsigned long long)shm_bytes);
    if (mount("none", "/", "none", MS_REC | MS_PRIVATE, NULL) < 0)
        return "a private mount tree";
    if (mount("tmpfs", "/dev/shm", "tmpfs", MS_NOSUID | MS_NODEV, options) < 0)
        return "mounting /dev/shm";
    if (access("/dev/mqueue", F_OK) == 0 && mount("mqueue", "/dev/mqueue", "mqueue", 0, NULL) < 0)
        return "mounting /dev/mqueue";
    return NULL;
}

static int run_in_private_ipc(void *argument)
{
    struct errand *errand = argument;
    const char *failed = test_unshare_ipc(errand->shm_bytes);
    if (failed)
        test_skip("no private IPC namespace: %s: %s", failed, strerror(errno));
    return errand->body(errand->argument);
}

/* The long form of a rig takes its time. */
static int64_t errand_patience(void)
{
    const char *torture = getenv("PIPC_TORTURE");
    return torture && *torture ? PIPC_SECONDS(24 * 3600) : PIPC_SECONDS(50);
}

int test_in_private_ipc(uint64_t shm_bytes, test_body *body, void *argument)
{
    struct errand errand = {.shm_bytes = shm_bytes, .body = body, .argument = argument};
    unsigned failures = test_failures();
    int status = test_wait(test_fork(run_in_private_ipc, &errand), errand_patience());
    if (status == TEST_FAILED_CHILD && test_failures() == failures) /* it left, and nothing had failed: it skipped */
        test_skip("no private IPC namespace");
    return status;
}

bool test_write_number(const char *path, int64_t value)
{
    char text[30];
    snprintf(text, sizeof text, "%lld", (long long)value);
    return write_text(path, text);
}

bool test_read_number(const char *path, int64_t *value)
{
    long long number = 0;
    FILE *file = fopen(path, "re");
    bool good = file && fscanf(file, "%lld", &number) == 1;
    if (file)
        fclose(file);
    *value = number;
    return good;
}

/* ---- What processes share ---- */

void *test_shared(size_t bytes)
{
    void *shared = mmap(NULL, bytes, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
    REQUIRE(shared != MAP_FAILED);
    return shared;
}

void test_barrier_init(struct test_barrier *barrier, uint32_t parties)
{
    atomic_store(&barrier->parties, parties);
    atomic_store(&barrier->arrived, 0);
    atomic_store(&barrier->round, 0);
}

/* Yields at first, so that the parties start within microseconds of each other. */
static bool await_change(_Atomic uint32_t *word, uint32_t old)
{
    int64_t deadline = patient_deadline(PIPC_SECONDS(30));
    for (unsigned looks = 0; atomic_load(word) == old; looks++) {
        if (looks < 2000)
            sched_yield();
        else if (test_now() > deadline)
            return false;
        else
            test_sleep(100000);
    }
    return true;
}

bool test_barrier_wait(struct test_barrier *barrier)
{
    uint32_t round = atomic_load(&barrier->round);
    if (atomic_fetch_add(&barrier->arrived, 1) + 1 == atomic_load(&barrier->parties)) {
        atomic_store(&barrier->arrived, 0);
        atomic_fetch_add(&barrier->round, 1);
        return true;
    }
    return await_change(&barrier->round, round) || CHECK(!"a barrier was not reached by all");
}

bool test_await(_Atomic uint32_t *word, uint32_t least)
{
    int64_t deadline = patient_deadline(PIPC_SECONDS(30));
    while (atomic_load(word) < least) {
        if (test_now() > deadline)
            return CHECK(!"a count was not reached");
        test_sleep(100000);
    }
    return true;
}
