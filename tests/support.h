/* The frame of every test executable.
 *
 * A test file holds a table of tests and TEST_MAIN. Each test runs in a process of its own, in a
 * process group of its own, under a watchdog: a crash or a hang fails that test by name and the
 * others still run. CHECK and REQUIRE may be used anywhere: in the test, in its threads, in the
 * children that test_fork() makes; failures travel to the runner through a pipe and become CUnit's.
 * After each test every kernel object whose name begins with the run's prefix must be gone.
 *
 *   program [part of a test's name | --list]
 *
 * One line a test: RESULT|promises|suite/test|pass, fail or skip|reason
 * Environment: PIPC_NO_SKIP=1         a skip counts as a failure (else it must stand in skips.txt)
 *              PIPC_TEST_PRIVATE=1    run in a private IPC namespace and demand that each test leaves
 *                                     nothing at all there (needs root or user namespaces)
 *              PIPC_TEST_PATIENCE=N   watchdogs, and waits for children, take N times as long: a busy or slow machine
 *              PIPC_TORTURE=...       the long form of the rigs (torture/rig.h); the watchdog waits a day
 */
#ifndef PIPC_TESTS_SUPPORT_H
#define PIPC_TESTS_SUPPORT_H

#include <stdatomic.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/types.h>

#include "pipc/pipc.h"

/* ---- Tests -------------------------------------------------------------------------------- */

struct test {
    const char *promises; /* the rows it shows: "Q5", or several: "Q5 Q6" */
    const char *name;     /* the behaviour: "higher_priority_comes_first" */
    void (*run)(void);
    unsigned seconds; /* for the watchdog, 0 = 60 */
};

int test_main(int argc, char **argv, const char *suite, const struct test *tests, size_t count);

#define TEST_MAIN(suite, tests)                                                                                        \
    int main(int argc, char **argv)                                                                                    \
    {                                                                                                                  \
        return test_main(argc, argv, suite, tests, sizeof(tests) / sizeof((tests)[0]));                                \
    }

/* Ends the test as skipped (from the test itself or from one of its children). */
_Noreturn void test_skip(const char *format, ...) __attribute__((format(printf, 1, 2)));

/* ---- Checks ------------------------------------------------------------------------------- */

/* CHECK notes a failure and goes on; REQUIRE ends the test (a child: the child; a thread: the thread). */
#define CHECK(condition)   test_check((condition), false, __FILE__, __LINE__, #condition)
#define REQUIRE(condition) test_check((condition), true, __FILE__, __LINE__, #condition)

/* Two integers, both shown when they differ. */
#define CHECK_EQUAL(actual, expected)                                                                                  \
    test_check_equal((int64_t)(actual), (int64_t)(expected), false, __FILE__, __LINE__, #actual)
#define REQUIRE_EQUAL(actual, expected)                                                                                \
    test_check_equal((int64_t)(actual), (int64_t)(expected), true, __FILE__, __LINE__, #actual)

/* The answer of a pipc call, shown by name with pipc_error_detail(). error: FULL, TIMEOUT, ... */
#define CHECK_ERROR(call, error)   test_check_error((call), PIPC_E_##error, false, __FILE__, __LINE__, #call)
#define REQUIRE_ERROR(call, error) test_check_error((call), PIPC_E_##error, true, __FILE__, __LINE__, #call)
#define CHECK_OK(call)             test_check_error((call), PIPC_OK, false, __FILE__, __LINE__, #call)
#define REQUIRE_OK(call)           test_check_error((call), PIPC_OK, true, __FILE__, __LINE__, #call)

/* All return whether the check held. */
bool test_check(bool held, bool fatal, const char *file, int line, const char *text);
bool test_check_equal(int64_t actual, int64_t expected, bool fatal, const char *file, int line, const char *text);
bool test_check_error(int actual, int expected, bool fatal, const char *file, int line, const char *text);

/* Failures noted so far in this test, by all its processes. */
unsigned test_failures(void);

/* ---- Names and time ----------------------------------------------------------------------- */

const char *test_prefix(void);                                /* this run's, about 12 bytes */
const char *test_name(const char *what);                      /* prefix + what; one of 16 static buffers, in turn */
const char *test_numbered(const char *what, unsigned number); /* prefix + what + number, likewise */
int64_t test_now(void);                                       /* CLOCK_MONOTONIC, ns */
void test_sleep(int64_t nanoseconds);                         /* whole, whatever signals come */

/* ---- Processes ---------------------------------------------------------------------------- */

typedef int test_body(void *argument); /* its answer is the exit status, 0 to 100 */

#define TEST_FAILED_CHILD 101 /* exit status of a child in which a REQUIRE failed */

pid_t test_fork(test_body *body, void *argument);
unsigned test_patience(void); /* how many times longer than planned things may take here: PIPC_TEST_PATIENCE, or 1 */
int test_wait(pid_t child, int64_t timeout); /* exit status; 128 + signal; -1 after the timeout: killed, and noted as
                                                a failure */
void test_kill(pid_t child);                 /* kill -9, and reaps it */
bool test_sleeps(pid_t thread);              /* whether this thread (of any process) is asleep in the kernel */
bool test_await_sleep(pid_t thread);         /* waits until it is, at most 30 s */
/* Forks a child that sends this process SIGUSR1 while it sleeps, again and again until *awake is 1: a signal that comes
 * between two slices of a sleep does not end it. */
pid_t test_signal_sleeper(_Atomic uint32_t *awake);

/* Runs body in a child as another user, with no supplementary groups; only for root (else skips). */
int test_as_user(uid_t user, test_body *body, void *argument);

/* Runs body in a child in an IPC namespace of its own, with its own /dev/shm (a tmpfs of shm_bytes, 0 = the
 * default) and /dev/mqueue; there the limits in /proc/sys may be written. Skips where it is impossible.
 * Answers the child's exit status. */
int test_in_private_ipc(uint64_t shm_bytes, test_body *body, void *argument);

/* Writes a number to a file, such as "/proc/sys/fs/mqueue/msg_max". */
bool test_write_number(const char *path, int64_t value);
bool test_read_number(const char *path, int64_t *value);

/* ---- What processes share ----------------------------------------------------------------- */

void *test_shared(size_t bytes); /* zeros, shared with the children; freed when the test ends */

/* A barrier for a known number of threads and processes. It does not survive the death of a party. */
struct test_barrier {
    _Atomic uint32_t parties;
    _Atomic uint32_t arrived;
    _Atomic uint32_t round;
};

void test_barrier_init(struct test_barrier *barrier, uint32_t parties);
bool test_barrier_wait(struct test_barrier *barrier); /* false (and noted as a failure) after 30 s */

/* Waits until *word >= least, at most 30 s (then false, and noted as a failure). */
bool test_await(_Atomic uint32_t *word, uint32_t least);

#endif
