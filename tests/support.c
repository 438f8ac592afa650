/* See support.h. The runner is the parent; tests and their descendants only write records to its pipe. */
#define _GNU_SOURCE
#include "support.h"

#include <CUnit/Basic.h>
#include <errno.h>
#include <poll.h>
#include <pthread.h>
#include <setjmp.h>
#include <signal.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/wait.h>
#include <unistd.h>

#include "probe.h"
#include "support_internal.h"

#ifndef PIPC_TESTS_DIR
#define PIPC_TESTS_DIR "tests"
#endif

enum { LONGEST_RECORD = 1000, MOST_FAILURES = 20 };

/* AddressSanitizer takes the end of a cancelled thread for an overflow while it has a signal stack there. */
const char *__asan_default_options(void);

const char *__asan_default_options(void)
{
    return "use_sigaltstack=0";
}

/* One write of this is atomic (below PIPE_BUF), whoever is killed when. */
struct record {
    char what; /* F failure, S skip, E end */
    int line;
    char file[120];
    char text[LONGEST_RECORD];
};

static struct {
    const char *suite;
    const struct test *tests;
    const struct test *current;
    int pipe[2];
    char skip[LONGEST_RECORD];
    char reason[LONGEST_RECORD];
    unsigned failed, skipped, passed;
    int64_t took; /* by the current test, ns */
    bool private_namespace;
} runner;

static struct {
    _Atomic uint32_t failures;
    _Atomic uint64_t checks;
} * tally; /* shared with all descendants */

/* ---- In the test's processes ---- */

static jmp_buf way_out; /* of this process's main thread */
static pthread_t main_thread;
static bool in_test; /* false: the runner */

static void write_record(char what, const char *file, int line, const char *text)
{
    struct record record = {.what = what, .line = line};
    const char *slash = strrchr(file, '/');
    snprintf(record.file, sizeof record.file, "%s", slash ? slash + 1 : file);
    snprintf(record.text, sizeof record.text, "%s", text);
    ssize_t written;
    do
        written = write(runner.pipe[1], &record, sizeof record);
    while (written < 0 && errno == EINTR);
}

static _Noreturn void leave(void)
{
    if (!pthread_equal(pthread_self(), main_thread))
        pthread_exit(NULL);
    longjmp(way_out, 1);
}

bool test_check(bool held, bool fatal, const char *file, int line, const char *text)
{
    if (!in_test) {
        fprintf(stderr, "%s:%d: a check outside of a test: %s\n", file, line, text);
        abort();
    }
    atomic_fetch_add_explicit(&tally->checks, 1, memory_order_relaxed);
    if (held)
        return true;
    if (atomic_fetch_add(&tally->failures, 1) < MOST_FAILURES)
        write_record('F', file, line, text);
    if (fatal)
        leave();
    return false;
}

bool test_check_equal(int64_t actual, int64_t expected, bool fatal, const char *file, int line, const char *text)
{
    char sentence[LONGEST_RECORD];
    if (actual == expected)
        return test_check(true, fatal, file, line, text);
    snprintf(sentence, sizeof sentence, "%.500s is %lld, not %lld", text, (long long)actual, (long long)expected);
    return test_check(false, fatal, file, line, sentence);
}

bool test_check_error(int actual, int expected, bool fatal, const char *file, int line, const char *text)
{
    char sentence[LONGEST_RECORD];
    if (actual == expected)
        return test_check(true, fatal, file, line, text);
    snprintf(sentence, sizeof sentence, "%.300s answered %s, not %s; detail: %.400s", text,
             actual ? pipc_error_name(actual) : "PIPC_OK", expected ? pipc_error_name(expected) : "PIPC_OK",
             pipc_error_detail());
    return test_check(false, fatal, file, line, sentence);
}

unsigned test_failures(void)
{
    return atomic_load(&tally->failures);
}

void test_skip(const char *format, ...)
{
    char reason[LONGEST_RECORD];
    va_list arguments;
    va_start(arguments, format);
    vsnprintf(reason, sizeof reason, format, arguments);
    va_end(arguments);
    write_record('S', "", 0, reason);
    leave();
}

/* Runs body with a way out of its own, so that no failed check returns into the parent's stack. */
int test_run_here(test_body *body, void *argument)
{
    volatile int answer = TEST_FAILED_CHILD;
    main_thread = pthread_self();
    if (setjmp(way_out) == 0)
        answer = body(argument);
    return answer;
}

pid_t test_fork(test_body *body, void *argument)
{
    bool from_main = pthread_equal(pthread_self(), main_thread);
    fflush(NULL);
    pid_t child = fork();
    if (child != 0) {
        REQUIRE(child > 0);
        return child;
    }
    if (from_main) /* the signal would come when a thread that forked ends */
        prctl(PR_SET_PDEATHSIG, SIGKILL);
    int answer = test_run_here(body, argument);
    fflush(NULL);
    _exit(answer);
}

static int run_test(void *argument)
{
    (void)argument;
    runner.current->run();
    return 0;
}

/* Plain CU_ASSERTs of the test are handed over too. */
static void hand_over_cunit(unsigned already)
{
    CU_pFailureRecord failure = CU_get_failure_list();
    for (unsigned i = 0; failure; failure = failure->pNext, i++) {
        if (i < already)
            continue;
        atomic_fetch_add(&tally->failures, 1);
        write_record('F', failure->strFileName, (int)failure->uiLineNumber, failure->strCondition);
    }
}

static _Noreturn void be_the_test(void)
{
    signal(SIGINT, SIG_DFL);
    signal(SIGTERM, SIG_DFL);
    setpgid(0, 0);
    prctl(PR_SET_PDEATHSIG, SIGKILL);
    close(runner.pipe[0]);
    in_test = true;
    unsigned already = CU_get_number_of_failure_records();
    jmp_buf cunit;
    if (setjmp(cunit) == 0) {
        CU_get_current_test()->pJumpBuf = &cunit;
        test_run_here(run_test, NULL);
    }
    hand_over_cunit(already);
    write_record('E', "", 0, "");
    exit(0);
}

/* ---- The runner ---- */

static void note_failure(const char *file, int line, const char *text)
{
    if (!runner.reason[0])
        snprintf(runner.reason, sizeof runner.reason, "%.100s:%d: %.800s", file, line, text);
    CU_assertImplementation(CU_FALSE, (unsigned)line, text, file, "", CU_FALSE);
}

static bool take_record(void)
{
    struct record record;
    if (read(runner.pipe[0], &record, sizeof record) != (ssize_t)sizeof record)
        return false;
    if (record.what == 'F')
        note_failure(record.file, record.line, record.text);
    else if (record.what == 'S')
        memcpy(runner.skip, record.text, sizeof runner.skip);
    return record.what != 'E';
}

static volatile sig_atomic_t told_to_end; /* Ctrl-C and kill leave nothing behind either */

static void note_end(int signal)
{
    told_to_end = signal;
}

/* Reads records until the test says that it ends, dies, or its time is over. */
static void follow(pid_t test, int64_t deadline)
{
    int status = 0;
    bool on = true, reaped = false;
    while (!reaped && !told_to_end && test_now() < deadline) {
        struct pollfd ready = {.fd = runner.pipe[0], .events = POLLIN};
        if (on && poll(&ready, 1, 20) > 0) {
            on = take_record();
            continue;
        }
        reaped = waitpid(test, &status, WNOHANG) == test;
        if (!on && !reaped)
            test_sleep(200000);
    }
    char sentence[100] = "hung: the watchdog ended it";
    if (told_to_end)
        snprintf(sentence, sizeof sentence, "ended by signal %d to the runner", (int)told_to_end);
    if (reaped && WIFSIGNALED(status))
        snprintf(sentence, sizeof sentence, "killed by signal %d, %s", WTERMSIG(status), strsignal(WTERMSIG(status)));
    else if (reaped)
        snprintf(sentence, sizeof sentence, "ended with status %d", WEXITSTATUS(status));
    if (!reaped || status != 0)
        note_failure(runner.current->name, 0, sentence);
}

/* The runner is the subreaper: every descendant that is still there is killed and reaped. */
static void end_group(pid_t group)
{
    while (kill(-group, SIGKILL), waitpid(-1, NULL, WNOHANG) >= 0)
        test_sleep(100000);
    struct pollfd ready = {.fd = runner.pipe[0], .events = POLLIN};
    while (poll(&ready, 1, 0) > 0 && (ready.revents & POLLIN))
        take_record();
}

static void tell_leftover(const char *name)
{
    char sentence[LONGEST_RECORD];
    snprintf(sentence, sizeof sentence, "left behind: %.500s", name);
    note_failure(runner.current->name, 0, sentence);
}

static void count_leftovers(void)
{
    probe_remove_leftovers(test_prefix(), tell_leftover);
    if (runner.private_namespace && probe_remove_everything(tell_leftover) > 0)
        note_failure(runner.current->name, 0, "something was left in the private namespace");
}

static unsigned watchdog_seconds(void)
{
    const char *torture = getenv("PIPC_TORTURE");
    if (torture && *torture)
        return 24 * 3600;
    return (runner.current->seconds ? runner.current->seconds : 60) * test_patience();
}

static void run_current(void)
{
    unsigned seconds = watchdog_seconds();
    runner.skip[0] = runner.reason[0] = '\0';
    atomic_store(&tally->failures, 0);
    atomic_store(&tally->checks, 0);
    fflush(NULL);
    if (pipe(runner.pipe) < 0)
        abort();
    pid_t test = fork();
    if (test == 0)
        be_the_test();
    setpgid(test, test);
    follow(test, test_now() + (int64_t)seconds * 1000000000);
    end_group(test);
    close(runner.pipe[0]);
    close(runner.pipe[1]);
    count_leftovers();
    for (uint64_t i = atomic_load(&tally->failures); i < atomic_load(&tally->checks); i++)
        CU_assertImplementation(CU_TRUE, 0, "", "", "", CU_FALSE);
}

/* By its name, or with all of its suite. */
static bool skip_is_listed(void)
{
    char line[300], wanted[300], all[300];
    snprintf(wanted, sizeof wanted, "%s/%s", runner.suite, runner.current->name);
    snprintf(all, sizeof all, "%s/*", runner.suite);
    FILE *list = fopen(PIPC_TESTS_DIR "/skips.txt", "r");
    bool found = false;
    while (list && !found && fgets(line, sizeof line, list)) {
        line[strcspn(line, " \t\r\n")] = '\0';
        found = strcmp(line, wanted) == 0 || strcmp(line, all) == 0;
    }
    if (list)
        fclose(list);
    return found;
}

static void refuse_skip(const char *why)
{
    char sentence[LONGEST_RECORD + 100];
    snprintf(sentence, sizeof sentence, "%s: %s", why, runner.skip);
    note_failure(runner.current->name, 0, sentence);
}

/* CUnit's list of a test's failures ends without a newline; hence ours in front. */
static void print_result(const char *result, const char *reason)
{
    char line[LONGEST_RECORD];
    snprintf(line, sizeof line, "%s", reason);
    for (char *byte = line; *byte; byte++)
        if (*byte == '\n' || *byte == '|')
            *byte = ' ';
    printf("%sRESULT|%s|%s/%s|%s|%s\n", runner.failed ? "\n" : "", runner.current->promises, runner.suite,
           runner.current->name, result, line);
    printf("TIME|%s/%s|%.3f s\n", runner.suite, runner.current->name, (double)runner.took / 1e9);
    fflush(stdout);
}

static void tell_result(void)
{
    const char *result = "pass", *reason = "";
    const char *forbidden = getenv("PIPC_NO_SKIP");
    if (!runner.reason[0] && runner.skip[0]) {
        if (forbidden && strcmp(forbidden, "1") == 0)
            refuse_skip("skipped, though PIPC_NO_SKIP is set");
        else if (!skip_is_listed())
            refuse_skip("skipped, but not in tests/skips.txt");
        result = "skip", reason = runner.skip;
    }
    if (runner.reason[0])
        result = "fail", reason = runner.reason;
    runner.failed += result[0] == 'f';
    runner.skipped += result[0] == 's';
    runner.passed += result[0] == 'p';
    print_result(result, reason);
}

/* CUnit's tests all lead here; its current test's name points into our table. */
static void trampoline(void)
{
    const char *name = CU_get_current_test()->pName;
    const struct test *test = runner.tests;
    while (strcmp(test->name, name) != 0)
        test++;
    runner.current = test;
    runner.took = -test_now();
    run_current();
    runner.took += test_now();
    tell_result();
    if (told_to_end)
        exit(2);
}

static unsigned add_tests(CU_pSuite suite, size_t count, const char *part)
{
    unsigned added = 0;
    for (size_t i = 0; i < count; i++) {
        if (part && !strstr(runner.tests[i].name, part))
            continue;
        if (!CU_add_test(suite, runner.tests[i].name, trampoline)) {
            fprintf(stderr, "%s: %s\n", runner.tests[i].name, CU_get_error_msg());
            exit(2);
        }
        added++;
    }
    return added;
}

static int list_tests(size_t count)
{
    for (size_t i = 0; i < count; i++)
        printf("%s|%s/%s\n", runner.tests[i].promises, runner.suite, runner.tests[i].name);
    return 0;
}

static void enter_private_namespace(void)
{
    const char *wanted = getenv("PIPC_TEST_PRIVATE");
    if (!wanted || strcmp(wanted, "1") != 0)
        return;
    const char *failed = test_unshare_ipc(0);
    if (failed) {
        fprintf(stderr, "PIPC_TEST_PRIVATE=1, but %s failed\n", failed);
        exit(2);
    }
    runner.private_namespace = true;
}

int test_main(int argc, char **argv, const char *suite, const struct test *tests, size_t count)
{
    runner.suite = suite;
    runner.tests = tests;
    if (argc > 1 && strcmp(argv[1], "--list") == 0)
        return list_tests(count);
    enter_private_namespace();
    signal(SIGPIPE, SIG_IGN);
    signal(SIGINT, note_end);
    signal(SIGTERM, note_end);
    prctl(PR_SET_CHILD_SUBREAPER, 1);
    tally = mmap(NULL, sizeof *tally, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
    if (tally == MAP_FAILED || CU_initialize_registry() != CUE_SUCCESS)
        return 2;
    test_prefix();
    if (add_tests(CU_add_suite(suite, NULL, NULL), count, argc > 1 ? argv[1] : NULL) == 0) {
        fprintf(stderr, "%s: no test has \"%s\" in its name\n", suite, argv[1]);
        return 2;
    }
    CU_basic_set_mode(CU_BRM_NORMAL);
    CU_basic_run_tests();
    printf("TOTAL|%s|%u passed|%u failed|%u skipped\n", suite, runner.passed, runner.failed, runner.skipped);
    CU_cleanup_registry();
    return runner.failed > 0 || runner.passed + runner.skipped == 0;
}
