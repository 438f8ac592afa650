/* A storm of signals while objects are made, opened and removed: a handler runs every 50 us, installed with and without
 * SA_RESTART. Each call does what it should; a builder that is stopped is waited for one second, whatever signals come.
 */
#define _GNU_SOURCE
#include <signal.h>
#include <sys/wait.h>

#include "kinds.h"
#include "points.h"
#include "signals.h"
#include "support_channel.h"

/* ---- Making, opening, removing ---- */

enum { MEMORY = 3 << 20, MESSAGES = 300, LARGEST = 9000 };

static void live_a_queue(void)
{
    pipc_queue *queue, *other;
    pipc_queue_options options = {.max_messages = MESSAGES, .max_size = LARGEST};
    pipc_queue_info info;
    REQUIRE_OK(pipc_queue_open(&queue, test_name("born"), PIPC_CREATE | PIPC_EXCLUSIVE, &options));
    REQUIRE_OK(pipc_queue_open(&other, test_name("born"), 0, NULL));
    REQUIRE_OK(queue_send(queue, 1, 0, 5, LARGEST, PIPC_NOWAIT));
    REQUIRE_OK(pipc_queue_statistics(other, &info));
    CHECK_EQUAL(info.messages, 1);
    queue_expect(other, pipc_any(), 5);
    REQUIRE_OK(pipc_queue_purge(other, NULL));
    REQUIRE_OK(pipc_queue_close(other));
    REQUIRE_OK(pipc_queue_remove(test_name("born")));
    REQUIRE_ERROR(pipc_queue_open(&other, test_name("born"), 0, NULL), NOT_FOUND);
    REQUIRE_ERROR(pipc_queue_statistics(queue, &info), REMOVED);
    REQUIRE_OK(pipc_queue_close(queue));
}

static void live_a_memory(void)
{
    pipc_shm *shm, *other;
    unsigned char *bytes, *seen;
    pipc_shm_options options = {.size = MEMORY};
    REQUIRE_OK(pipc_shm_open(&shm, test_name("born"), PIPC_CREATE | PIPC_PREFAULT, &options));
    REQUIRE_OK(pipc_shm_open(&other, test_name("born"), PIPC_READ, NULL));
    REQUIRE_OK(pipc_shm_map(shm, PIPC_READ | PIPC_WRITE, (void **)&bytes));
    REQUIRE_OK(pipc_shm_map(other, PIPC_READ | PIPC_PREFAULT, (void **)&seen));
    CHECK_EQUAL(seen[MEMORY - 1], 0);
    bytes[MEMORY - 1] = 77;
    CHECK_EQUAL(seen[MEMORY - 1], 77);
    REQUIRE_OK(pipc_shm_unmap(shm, bytes));
    REQUIRE_OK(pipc_shm_close(shm));
    REQUIRE_OK(pipc_shm_remove(test_name("born")));
    REQUIRE_OK(pipc_shm_close(other));
}

static void live_a_channel(void)
{
    pipc_channel *channel, *other;
    pipc_channel_options options = {.size = MEMORY};
    REQUIRE_OK(pipc_channel_open(&channel, test_name("born"), PIPC_CREATE | PIPC_EXCLUSIVE, &options));
    REQUIRE_OK(pipc_channel_open(&other, test_name("born"), PIPC_RECEIVE, NULL));
    REQUIRE_OK(channel_send(channel, 5, LARGEST, PIPC_NOWAIT));
    CHECK_EQUAL(channel_info(other).records, 1);
    channel_expect(other, 5);
    REQUIRE_OK(pipc_channel_close(other));
    REQUIRE_OK(pipc_channel_remove(test_name("born")));
    REQUIRE_ERROR(pipc_channel_open(&other, test_name("born"), 0, NULL), NOT_FOUND);
    REQUIRE_ERROR(channel_send(channel, 6, 8, PIPC_NOWAIT), REMOVED);
    REQUIRE_OK(pipc_channel_close(channel));
}

struct life {
    const char *what;
    void (*live)(void);
    struct signals_results *results;
};

static int live_again_and_again(void *argument)
{
    const struct life *life = argument;
    struct signals sum = {0};
    int64_t deadline = signals_deadline(PIPC_MS(400));
    for (unsigned round = 0; round < 2 || test_now() < deadline; round++) {
        struct signals before = signals_now();
        signals_begin(round % 2 ? SA_RESTART : 0);
        life->live();
        signals_add(&sum, &before);
        int64_t took = test_now() - before.time;
        signals_note(life->results, took, took);
    }
    signals_end();
    signals_judge(life->what, &sum);
    return 0;
}

static void objects_are_made_and_removed_in_a_storm_of_signals(void)
{
    struct signals_results *results = test_shared(sizeof *results);
    struct life lives[] = {{"a queue's life", live_a_queue, results},
                           {"memory's life", live_a_memory, results},
                           {"a channel's life", live_a_channel, results}};
    signals_side_by_side(live_again_and_again, lives, sizeof *lives, sizeof lives / sizeof *lives, results);
    signals_tell("eintr: opening", results);
}

/* ---- A builder that is stopped ---- */

struct site {
    const struct kind *kind;
    const char *point; /* where its builder stops */
    pid_t builder;
};

static int build_slowly(void *argument)
{
    const struct site *site = argument;
    void *handle;
    points_stop_at(points_find(site->point), 1);
    REQUIRE_OK(site->kind->open(&handle, test_name("slow"), PIPC_CREATE | PIPC_EXCLUSIVE, 0));
    CHECK_OK(site->kind->close(handle));
    CHECK_OK(site->kind->remove(test_name("slow")));
    return 0;
}

static int open_it(const struct kind *kind)
{
    void *handle;
    return kind->open(&handle, test_name("slow"), 0, 0);
}

static int create_it(const struct kind *kind)
{
    void *handle;
    return kind->open(&handle, test_name("slow"), PIPC_CREATE, 0);
}

static int remove_it(const struct kind *kind)
{
    return kind->remove(test_name("slow"));
}

static const struct {
    const char *names[PIPC_KIND_CHANNEL + 1];
    int (*call)(const struct kind *kind);
} calls[] = {
    {{NULL, "queue open", "memory open", "channel open"}, open_it},
    {{NULL, "queue create", "memory create", "channel create"}, create_it},
    {{NULL, "queue remove", "memory remove", "channel remove"}, remove_it},
};

enum { CALLS = sizeof calls / sizeof *calls, SITES = 3 };

struct visitor {
    const struct kind *kind;
    unsigned call;
    struct signals_results *results;
};

static int wait_for_the_builder(void *argument)
{
    const struct visitor *visitor = argument;
    struct signals sum = {0};
    int64_t deadline = signals_deadline(PIPC_MS(400));
    for (unsigned round = 0; round == 0 || test_now() < deadline; round++) {
        signals_begin(round % 2 ? 0 : SA_RESTART);
        struct signals before = signals_now();
        int error = calls[visitor->call].call(visitor->kind);
        int64_t took = test_now() - before.time;
        signals_add(&sum, &before);
        CHECK_ERROR(error, BUSY);
        CHECK(took >= PIPC_SECONDS(1));
        signals_note(visitor->results, took, PIPC_SECONDS(1));
    }
    signals_end();
    signals_judge(calls[visitor->call].names[visitor->kind->number], &sum);
    return 0;
}

static void a_stopped_builder_is_waited_for_in_a_storm_of_signals(void)
{
    struct signals_results *results = test_shared(sizeof *results);
    struct site sites[SITES] = {{.kind = &kind_queue, .point = "create: no kernel queue yet"},
                                {.kind = &kind_shm, .point = "names: built, not ready"},
                                {.kind = &kind_channel, .point = "names: built, not ready"}};
    struct visitor visitors[SITES * CALLS];
    for (unsigned i = 0; i < SITES; i++) {
        siginfo_t stopped;
        sites[i].builder = test_fork(build_slowly, &sites[i]);
        REQUIRE(waitid(P_PID, (id_t)sites[i].builder, &stopped, WSTOPPED | WEXITED | WNOWAIT) == 0);
        REQUIRE(stopped.si_code == CLD_STOPPED);
    }
    for (unsigned i = 0; i < SITES * CALLS; i++)
        visitors[i] = (struct visitor){sites[i / CALLS].kind, i % CALLS, results};
    signals_side_by_side(wait_for_the_builder, visitors, sizeof *visitors, SITES * CALLS, results);
    for (unsigned i = 0; i < SITES; i++) {
        kill(sites[i].builder, SIGCONT);
        CHECK_EQUAL(test_wait(sites[i].builder, SIGNALS_HANG), 0);
    }
    signals_tell("eintr: builder", results);
}

static const struct test tests[] = {
    {"Q12 Q2 M1", "objects_are_made_and_removed_in_a_storm_of_signals",
     objects_are_made_and_removed_in_a_storm_of_signals, 0},
    {"Q12 Q2 M1", "a_stopped_builder_is_waited_for_in_a_storm_of_signals",
     a_stopped_builder_is_waited_for_in_a_storm_of_signals, 120},
};

TEST_MAIN("eintr_names", tests)
