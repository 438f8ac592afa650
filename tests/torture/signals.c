/* See signals.h. */
#define _GNU_SOURCE
#include "signals.h"

#include <inttypes.h>
#include <signal.h>
#include <stdio.h>
#include <time.h>
#include <unistd.h>

#define EVERY PIPC_US(50)

enum { MOST_AT_ONCE = 16 };

/* ---- The storm ---- */

static _Atomic uint64_t handled, fired;
static timer_t timer;
static pid_t timers_process; /* a child inherits none */

static void count_signal(int number, siginfo_t *info, void *context)
{
    (void)number, (void)context;
    atomic_fetch_add(&handled, 1);
    atomic_fetch_add(&fired, 1 + (uint64_t)info->si_overrun);
}

static void fire_every(int64_t span)
{
    struct timespec every = {.tv_nsec = span};
    REQUIRE(timer_settime(timer, 0, &(struct itimerspec){every, every}, NULL) == 0);
}

void signals_begin(int flags)
{
    struct sigaction action = {.sa_sigaction = count_signal, .sa_flags = flags | SA_SIGINFO};
    struct sigevent event = {.sigev_notify = SIGEV_SIGNAL, .sigev_signo = SIGALRM};
    REQUIRE(sigaction(SIGALRM, &action, NULL) == 0);
    if (timers_process != getpid())
        REQUIRE(timer_create(CLOCK_MONOTONIC, &event, &timer) == 0);
    timers_process = getpid();
    fire_every(EVERY);
}

void signals_end(void)
{
    fire_every(0);
}

int64_t signals_deadline(int64_t short_span)
{
    int64_t deadline = rig_deadline(short_span);
    return deadline < INT64_MAX ? deadline : test_now() + PIPC_SECONDS(60);
}

struct signals signals_now(void)
{
    return (struct signals){atomic_load(&handled), atomic_load(&fired), test_now()};
}

void signals_add(struct signals *sum, const struct signals *since)
{
    struct signals now = signals_now();
    sum->handled += now.handled - since->handled;
    sum->fired += now.fired - since->fired;
    sum->time += now.time - since->time;
}

/* ns that this process was ready to run and others did. */
static int64_t waited_for_processor(void)
{
    unsigned long long ran, waited = 0;
    FILE *file = fopen("/proc/self/schedstat", "re");
    if (file && fscanf(file, "%llu %llu", &ran, &waited) != 2)
        waited = 0;
    if (file)
        fclose(file);
    return (int64_t)waited;
}

void signals_judge(const char *what, const struct signals *sum)
{
    int64_t waited = waited_for_processor();
    pipc_facts facts;
    REQUIRE_OK(pipc_library_facts(&facts));
    printf("SIGNALS|%s|%s|%.3f|%" PRIu64 "|%" PRIu64 "\n", what, facts.backend, (double)sum->time / 1e9, sum->handled,
           sum->fired);
    if (!CHECK((int64_t)sum->fired >= sum->time / EVERY / 2))
        fprintf(stderr, "%s: the timer fired too seldom\n", what);
    if (!CHECK((int64_t)sum->handled > (sum->time - waited) / PIPC_MS(1)))
        fprintf(stderr, "%s: too few signals came, with %.3f s without a processor\n", what, (double)waited / 1e9);
}

/* ---- Side by side ---- */

void signals_note(struct signals_results *results, int64_t took, int64_t given)
{
    int64_t worst = atomic_load(&results->worst);
    while (took - given > worst && !atomic_compare_exchange_weak(&results->worst, &worst, took - given))
        ;
    atomic_fetch_add(&results->hangs, took > SIGNALS_HANG);
    atomic_fetch_add(&results->trials, 1);
}

void signals_side_by_side(test_body *body, void *items, size_t size, unsigned count, struct signals_results *results)
{
    pid_t children[MOST_AT_ONCE];
    REQUIRE(count <= MOST_AT_ONCE);
    int64_t limit = signals_deadline(0) - test_now() + 2 * SIGNALS_HANG;
    for (unsigned i = 0; i < count; i++)
        children[i] = test_fork(body, (char *)items + i * size);
    for (unsigned i = 0; i < count; i++)
        atomic_fetch_add(&results->hangs, test_wait(children[i], limit) != 0);
}

void signals_tell(const char *rig, struct signals_results *results)
{
    rig_tell(&(struct rig_figures){.rig = rig,
                                   .trials = atomic_load(&results->trials),
                                   .hangs = atomic_load(&results->hangs),
                                   .worst_delay = atomic_load(&results->worst)});
}

/* ---- Every call that waits ---- */

struct vigil {
    const struct signals_waiter *waiter;
    struct signals_results *results;
};

/* A signal must have come while an interrupted call ran; one that goes on with the time left has it all. */
static void wait_once(const struct vigil *vigil, uint32_t flags, struct signals *sum)
{
    const char *name = vigil->waiter->name;
    struct signals before = signals_now();
    int error = vigil->waiter->call(flags);
    int64_t took = test_now() - before.time;
    bool came = signals_now().handled > before.handled;
    signals_add(sum, &before);
    if (!CHECK(error == PIPC_E_TIMEOUT || (error == PIPC_E_INTERRUPTED && !flags)))
        fprintf(stderr, "%s answered %s: %s\n", name, pipc_error_name(error), pipc_error_detail());
    if (error == PIPC_E_TIMEOUT && !CHECK(took >= SIGNALS_SPAN))
        fprintf(stderr, "%s ended %lld us early\n", name, (long long)(SIGNALS_SPAN - took) / 1000);
    if (error == PIPC_E_INTERRUPTED && !CHECK(came))
        fprintf(stderr, "%s was interrupted by nothing\n", name);
    atomic_fetch_add(&vigil->results->interrupted, error == PIPC_E_INTERRUPTED);
    signals_note(vigil->results, took, error == PIPC_E_TIMEOUT ? SIGNALS_SPAN : took);
}

static int keep_vigil(void *argument)
{
    const struct vigil *vigil = argument;
    struct signals sum = {0};
    int64_t deadline = signals_deadline(PIPC_MS(400));
    for (unsigned round = 0; round < 4 || test_now() < deadline; round++) {
        signals_begin(round % 2 ? SA_RESTART : 0);
        wait_once(vigil, vigil->waiter->restarts && round / 2 % 2 ? PIPC_RESTART : 0, &sum);
    }
    signals_end();
    signals_judge(vigil->waiter->name, &sum);
    return 0;
}

void signals_wait(const char *rig, const struct signals_waiter *waiters, unsigned count)
{
    struct signals_results *results = test_shared(sizeof *results);
    struct vigil vigils[MOST_AT_ONCE];
    REQUIRE(count <= MOST_AT_ONCE);
    for (unsigned i = 0; i < count; i++)
        vigils[i] = (struct vigil){&waiters[i], results};
    signals_side_by_side(keep_vigil, vigils, sizeof *vigils, count, results);
    CHECK(atomic_load(&results->interrupted) > 0);
    signals_tell(rig, results);
}

/* ---- Traffic ---- */

void signals_arrived(struct signals_arrivals *arrivals, uint64_t number)
{
    uint32_t times = atomic_fetch_add(&arrivals->seen[number % SIGNALS_ARRIVALS], 1);
    atomic_fetch_add(&arrivals->early, times < number / SIGNALS_ARRIVALS);
    atomic_fetch_add(&arrivals->late, times > number / SIGNALS_ARRIVALS);
}

void signals_settle(struct signals_arrivals *arrivals, uint64_t sent, struct rig_figures *figures)
{
    figures->trials += sent;
    figures->lost += atomic_load(&arrivals->early);
    figures->duplicated += atomic_load(&arrivals->late);
    for (uint64_t i = 0; i < SIGNALS_ARRIVALS; i++) {
        uint64_t expected = (sent + SIGNALS_ARRIVALS - 1 - i) / SIGNALS_ARRIVALS;
        uint64_t seen = atomic_load(&arrivals->seen[i]);
        figures->lost += seen < expected ? expected - seen : 0;
        figures->duplicated += seen > expected ? seen - expected : 0;
    }
}
