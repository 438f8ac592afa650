/* Members wait for the start asleep: on one processor they would be in each other's way. */
#include "bench/runner/crew.h"

#include <errno.h>
#include <linux/futex.h>
#include <sched.h>
#include <signal.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include "bench/runner/noise.h"
#include "bench/runner/runner.h"

static struct board { /* shared by all */
    _Atomic uint32_t ready;
    _Atomic uint32_t started;
    int64_t start, deadline;
    struct bench_told told[BENCH_CREW_MAX];
} * board;

static pid_t members[BENCH_CREW_MAX];
static uint32_t member_count;
static uint64_t cpu_before, waited_before; /* of this process, when its work began */

void bench_pin(uint32_t core)
{
    cpu_set_t all, one;
    if (sched_getaffinity(0, sizeof(all), &all) == -1)
        bench_fail("sched_getaffinity");
    CPU_ZERO(&one);
    for (int cpu = 0; cpu < CPU_SETSIZE; cpu++) {
        if (CPU_ISSET(cpu, &all) && core-- == 0) {
            CPU_SET(cpu, &one);
            break;
        }
    }
    if (sched_setaffinity(0, sizeof(one), &one) == -1)
        bench_fail("sched_setaffinity");
}

static uint64_t cpu_time(void)
{
    struct timespec used;
    clock_gettime(CLOCK_PROCESS_CPUTIME_ID, &used);
    return (uint64_t)used.tv_sec * 1000000000u + (uint64_t)used.tv_nsec;
}

/* For a processor, by a process of one thread; 0 where the kernel does not tell. */
static uint64_t time_waited(void)
{
    unsigned long long waited = 0;
    struct stat threads;
    if (stat("/proc/self/task", &threads) == -1 || threads.st_nlink != 3)
        return 0;
    FILE *file = fopen("/proc/self/schedstat", "r");
    if (file && fscanf(file, "%*u %llu", &waited) != 1)
        waited = 0;
    if (file)
        fclose(file);
    return waited;
}

static void live(bench_member *member, uint32_t number, uint32_t core, void *argument, pid_t parent)
{
    struct bench_told *told = &board->told[member_count];
    prctl(PR_SET_PDEATHSIG, SIGKILL);
    if (getppid() != parent) /* it died before that */
        _exit(1);
    signal(SIGTERM, SIG_DFL);
    signal(SIGINT, SIG_DFL);
    signal(SIGALRM, SIG_DFL);
    bench_pin(core);
    member(number, argument, told);
    told->cpu = cpu_time() - cpu_before;
    told->waited = time_waited() - waited_before;
    exit(0); /* there are libraries that say goodbye then */
}

void bench_fork(bench_member *member, uint32_t number, uint32_t core, void *argument)
{
    if (!board) {
        board = mmap(NULL, sizeof(*board), PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
        if (board == MAP_FAILED)
            bench_fail("mmap");
    }
    if (member_count == BENCH_CREW_MAX)
        bench_die("more than %d processes", BENCH_CREW_MAX);
    pid_t parent = getpid(), pid = fork();
    if (pid == -1)
        bench_fail("fork");
    if (pid == 0)
        live(member, number, core, argument, parent);
    members[member_count++] = pid;
}

/* Waits for one member; a failure of one is the failure of all. */
static bool one_ended(int how)
{
    int status;
    pid_t pid = waitpid(-1, &status, how);
    if (pid == -1 && errno == EINTR)
        bench_check_signals();
    if (pid <= 0)
        return false;
    bool ours = false;
    for (uint32_t i = 0; i < member_count; i++) {
        if (members[i] == pid) {
            members[i] = 0;
            ours = true;
        }
    }
    if (ours && status != 0)
        bench_die("a process of the trial failed");
    return ours;
}

void bench_all_ready(void)
{
    while (atomic_load(&board->ready) < member_count) {
        one_ended(WNOHANG);
        bench_check_signals();
        nanosleep(&(struct timespec){.tv_nsec = 200000}, NULL);
    }
}

int64_t bench_ready(int64_t *start)
{
    atomic_fetch_add(&board->ready, 1);
    while (atomic_load(&board->started) == 0)
        syscall(SYS_futex, &board->started, FUTEX_WAIT, 0, NULL, NULL, 0);
    cpu_before = cpu_time();
    waited_before = time_waited();
    if (start)
        *start = board->start;
    return board->deadline;
}

void bench_crew_run(int64_t span, uint32_t cores)
{
    struct bench_noise noise;
    bench_all_ready();
    bench_noise_begin(&noise, cores);
    board->start = bench_now();
    board->deadline = board->start + span;
    atomic_store(&board->started, 1);
    syscall(SYS_futex, &board->started, FUTEX_WAKE, BENCH_CREW_MAX, NULL, NULL, 0);
    for (uint32_t left = member_count; left > 0;)
        left -= one_ended(0) ? 1 : 0;
    uint64_t cpu = 0, waited = 0;
    for (uint32_t i = 0; i < member_count; i++) {
        cpu += board->told[i].cpu;
        waited += board->told[i].waited;
    }
    bench_noise_end(&noise, cpu, member_count <= cores ? waited : 0);
}

const struct bench_told *bench_crew_told(uint32_t index)
{
    return &board->told[index];
}

uint32_t bench_crew_size(void)
{
    return member_count;
}

void bench_crew_kill(void)
{
    for (uint32_t i = 0; i < member_count; i++)
        if (members[i] > 0)
            kill(members[i], SIGKILL);
}
