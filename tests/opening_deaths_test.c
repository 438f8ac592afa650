/* Makers and removers that die or stop: none of them blocks a name, none of them leaves anything. */
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

#include "kinds.h"
#include "probe.h"

/* ---- killed ---- */

enum { KILLS = 1200, KILLS_OF_RIVALS = 150, KILLS_COUNTED = 300 };

struct victim {
    const struct kind *kind;
    const char *name;
    uint32_t flags;
    _Atomic uint32_t *steps;
};

static int create_and_remove_for_ever(void *argument)
{
    struct victim *victim = argument;
    for (;;) {
        void *handle;
        victim->kind->open(&handle, victim->name, victim->flags, 0);
        atomic_fetch_add(victim->steps, 1);
        victim->kind->close(handle);
        victim->kind->remove(victim->name);
        atomic_fetch_add(victim->steps, 1);
    }
    return 0;
}

/* Busy: a sleep would be coarser than the calls that it shall hit. */
static void wait_about(int64_t nanoseconds)
{
    int64_t end = test_now() + nanoseconds;
    while (test_now() < end)
        ;
}

/* Right after the death the name must be usable for whoever comes. */
static void name_is_free_or_whole(const struct kind *kind, const char *name)
{
    void *handle;
    int64_t began = test_now();
    int error = kind->open(&handle, name, PIPC_CREATE | PIPC_EXCLUSIVE, 0);
    CHECK(error == 0 || error == PIPC_E_EXISTS);
    if (error == PIPC_E_EXISTS)
        REQUIRE_OK(kind->open(&handle, name, 0, 0));
    else
        REQUIRE_OK(error);
    CHECK_OK(kind->write(handle, 1));
    kind->close(handle);
    CHECK_OK(kind->remove(name));
    CHECK_ERROR(kind->remove(name), NOT_FOUND);
    CHECK(test_now() - began < PIPC_SECONDS(10));
}

static void kill_some(const struct kind *kind, unsigned kills)
{
    struct victim victim = {.kind = kind, .name = test_name("victim"), .flags = PIPC_CREATE};
    victim.steps = test_shared(sizeof *victim.steps);
    srand((unsigned)getpid());
    for (unsigned i = 0; i < kills && !test_failures(); i++) {
        uint32_t before = atomic_load(victim.steps);
        pid_t child = test_fork(create_and_remove_for_ever, &victim);
        REQUIRE(test_await(victim.steps, before + 1));
        wait_about(rand() % 150000);
        test_kill(child);
        name_is_free_or_whole(kind, victim.name);
    }
}

static void killed_queue_makers_never_block_the_name(void)
{
    kill_some(&kind_queue, KILLS);
}

static void killed_memory_makers_never_block_the_name(void)
{
    kill_some(&kind_shm, KILLS);
}

static void killed_channel_makers_never_block_the_name(void)
{
    kill_some(&kind_channel, KILLS);
}

/* Two fight for the name, both are killed: a loser's remains count too. */
static void kill_rivals(const struct kind *kind)
{
    struct victim victim = {.kind = kind, .name = test_name("rivals"), .flags = PIPC_CREATE | PIPC_EXCLUSIVE};
    victim.steps = test_shared(sizeof *victim.steps);
    srand((unsigned)getpid());
    for (unsigned i = 0; i < KILLS_OF_RIVALS && !test_failures(); i++) {
        uint32_t before = atomic_load(victim.steps);
        pid_t first = test_fork(create_and_remove_for_ever, &victim);
        pid_t second = test_fork(create_and_remove_for_ever, &victim);
        REQUIRE(test_await(victim.steps, before + 4));
        wait_about(rand() % 300000);
        kill(first, SIGKILL);
        wait_about(rand() % 20000);
        test_kill(second);
        test_kill(first);
        name_is_free_or_whole(kind, victim.name);
    }
}

static void killed_rivals_never_block_the_name(void)
{
    kind_all(kill_rivals);
}

static unsigned left_behind;

static void tell_left(const char *name)
{
    left_behind += name != NULL;
}

/* What a killed creator left may have no name yet: only a private namespace shows it. */
static int kill_and_count(void *argument)
{
    (void)argument;
    kill_some(&kind_queue, KILLS_COUNTED);
    kill_some(&kind_shm, KILLS_COUNTED);
    kill_some(&kind_channel, KILLS_COUNTED);
    kill_rivals(&kind_queue);
    unsigned left = probe_remove_everything(tell_left);
    CHECK_EQUAL(left, 0);
    CHECK_EQUAL(left_behind, 0);
    return 0;
}

static void killed_makers_leak_nothing_once_the_name_was_used(void)
{
    CHECK_EQUAL(test_in_private_ipc(0, kill_and_count, NULL), 0);
}

/* ---- a maker that is slow or stopped ---- */

enum { SLOW_BYTES = 64 << 20 };

struct slow {
    const char *name;
    _Atomic uint32_t *made;
};

static int open_slowly(pipc_shm **shm, const char *name)
{
    return pipc_shm_open(shm, name, PIPC_CREATE | PIPC_PREFAULT, &(pipc_shm_options){.size = SLOW_BYTES});
}

static int make_slowly_for_ever(void *argument)
{
    struct slow *slow = argument;
    for (;;) {
        pipc_shm *shm;
        atomic_fetch_add(slow->made, 1);
        REQUIRE_OK(open_slowly(&shm, slow->name));
        pipc_shm_close(shm);
        pipc_shm_remove(slow->name);
    }
    return 0;
}

/* Stops the maker somewhere in its loop. True if it was while it built: then the name is busy. */
static bool stop_and_look(const struct slow *slow, pid_t maker)
{
    pipc_shm *shm = NULL;
    uint32_t before = atomic_load(slow->made);
    REQUIRE(test_await(slow->made, before + 1));
    test_sleep(rand() % 15000000);
    kill(maker, SIGSTOP);
    waitpid(maker, NULL, WUNTRACED);
    int64_t began = test_now();
    int error = pipc_shm_open(&shm, slow->name, 0, NULL);
    int64_t took = test_now() - began;
    if (error == PIPC_E_BUSY) {
        CHECK(shm == NULL);
        CHECK(took >= PIPC_MS(950) && took < PIPC_SECONDS(10));
        CHECK(strstr(pipc_error_detail(), slow->name) != NULL);
        CHECK_ERROR(pipc_shm_remove(slow->name), BUSY);
    } else {
        CHECK(error == 0 || error == PIPC_E_NOT_FOUND);
        CHECK(took < PIPC_SECONDS(5));
    }
    pipc_shm_close(shm);
    kill(maker, SIGCONT);
    return error == PIPC_E_BUSY;
}

static void a_stopped_builder_is_waited_for_one_second_then_answers_busy(void)
{
    struct slow slow = {.name = test_name("stopped"), .made = test_shared(sizeof *slow.made)};
    srand((unsigned)getpid());
    pid_t maker = test_fork(make_slowly_for_ever, &slow);
    bool busy = false;
    for (unsigned i = 0; i < 60 && !busy; i++)
        busy = stop_and_look(&slow, maker);
    CHECK(busy);
    test_kill(maker);
    name_is_free_or_whole(&kind_shm, slow.name);
}

struct builders {
    const char *name;
    struct test_barrier barrier;
};

static int open_what_another_builds(void *argument)
{
    struct builders *builders = argument;
    for (unsigned i = 0; i < 10; i++) {
        pipc_shm *shm;
        pipc_shm_info info;
        int error;
        REQUIRE(test_barrier_wait(&builders->barrier));
        do {
            int64_t began = test_now();
            error = open_slowly(&shm, builders->name);
            CHECK(error != PIPC_E_BUSY || test_now() - began >= PIPC_MS(950)); /* not before its second is over */
        } while (error == PIPC_E_BUSY);
        REQUIRE_OK(error);
        REQUIRE_OK(pipc_shm_statistics(shm, &info));
        CHECK_EQUAL(info.size, SLOW_BYTES);
        REQUIRE(test_barrier_wait(&builders->barrier));
        pipc_shm_close(shm);
        if (info.creator == getpid())
            CHECK_OK(pipc_shm_remove(builders->name));
        REQUIRE(test_barrier_wait(&builders->barrier));
    }
    return 0;
}

static void a_slow_builder_is_waited_for(void)
{
    pid_t children[3];
    struct builders *builders = test_shared(sizeof *builders);
    builders->name = test_name("slow");
    test_barrier_init(&builders->barrier, 3);
    for (unsigned i = 0; i < 3; i++)
        children[i] = test_fork(open_what_another_builds, builders);
    for (unsigned i = 0; i < 3; i++)
        CHECK_EQUAL(test_wait(children[i], PIPC_SECONDS(50)), 0);
}

static const struct test tests[] = {
    {"Q2", "killed_queue_makers_never_block_the_name", killed_queue_makers_never_block_the_name, 0},
    {"M1", "killed_memory_makers_never_block_the_name", killed_memory_makers_never_block_the_name, 0},
    {"C1", "killed_channel_makers_never_block_the_name", killed_channel_makers_never_block_the_name, 0},
    {"Q2 M1", "killed_rivals_never_block_the_name", killed_rivals_never_block_the_name, 0},
    {"Q2 M1", "killed_makers_leak_nothing_once_the_name_was_used", killed_makers_leak_nothing_once_the_name_was_used,
     0},
    {"Q2 M1", "a_stopped_builder_is_waited_for_one_second_then_answers_busy",
     a_stopped_builder_is_waited_for_one_second_then_answers_busy, 0},
    {"Q2 M1", "a_slow_builder_is_waited_for", a_slow_builder_is_waited_for, 0},
};

TEST_MAIN("opening_deaths", tests)
