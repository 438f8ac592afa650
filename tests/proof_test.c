/* Who is dead: true only if it is proven (core/platform.h). */
#define _GNU_SOURCE
#include "core/backend.h"
#include "core/platform.h"

#include <signal.h>
#include <stdlib.h>
#include <sys/resource.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include "support.h"

static int64_t wall_clock(void)
{
    struct timespec now;
    clock_gettime(CLOCK_REALTIME, &now);
    return PIPC_SECONDS(now.tv_sec) + now.tv_nsec;
}

static int end_at_once(void *argument)
{
    if (argument)
        *(uint64_t *)argument = pipc_self();
    return 0;
}

static void what_is_no_identity_is_not_dead(void)
{
    uint64_t here = pipc_who()->pid_namespace, *dead = test_shared(sizeof *dead);
    CHECK(!pipc_is_dead(0, here));
    CHECK(!pipc_is_dead_process(0, wall_clock()));
    CHECK(!pipc_is_dead_process(-1, wall_clock()));
    CHECK_EQUAL(test_wait(test_fork(end_at_once, dead), PIPC_SECONDS(30)), 0);
    CHECK(!pipc_is_dead(*dead, 0)); /* known nowhere, or elsewhere */
    CHECK(!pipc_is_dead(*dead, here ^ 1));
    CHECK(here == 0 || pipc_is_dead(*dead, here));
}

static void a_process_is_dead_when_it_is_gone_a_zombie_or_another(void)
{
    siginfo_t info;
    pid_t child = test_fork(end_at_once, NULL);
    REQUIRE(waitid(P_PID, (id_t)child, &info, WEXITED | WNOWAIT) == 0);
    CHECK(pipc_is_dead_process(child, wall_clock()));
    CHECK_EQUAL(test_wait(child, PIPC_SECONDS(30)), 0);
    CHECK(pipc_is_dead_process(child, wall_clock()));
    CHECK(!pipc_is_dead_process(getpid(), wall_clock()));
    CHECK(pipc_is_dead_process(getpid(), wall_clock() - PIPC_SECONDS(3600) * 24)); /* it began later than that */
}

/* kill() says EPERM: it lives. */
static int judge_the_parent(void *argument)
{
    (void)argument;
    CHECK(kill(getppid(), 0) != 0);
    CHECK(!pipc_is_dead_process(getppid(), wall_clock()));
    CHECK(!pipc_is_dead(*(uint64_t *)argument, pipc_who()->pid_namespace));
    return 0;
}

static void a_process_of_another_user_lives(void)
{
    uint64_t me = pipc_self();
    CHECK_EQUAL(test_as_user(40103, judge_the_parent, &me), 0);
}

/* Nothing can be read any more, so nothing is proven but what kill() says. */
static int judge_without_descriptors(void *argument)
{
    uint64_t parent = *(uint64_t *)argument, here = pipc_who()->pid_namespace;
    struct rlimit none = {0, 0};
    CHECK(!pipc_is_dead(parent, here)); /* and knows by now whose /proc it is */
    REQUIRE(setrlimit(RLIMIT_NOFILE, &none) == 0);
    CHECK(!pipc_is_dead(parent ^ UINT64_C(1) << 35, here)); /* another start time, if that could be seen */
    CHECK(!pipc_is_dead_process(getppid(), 0));
    return 0;
}

static void who_cannot_look_takes_nobody_for_dead(void)
{
    uint64_t me = pipc_self();
    CHECK_EQUAL(test_wait(test_fork(judge_without_descriptors, &me), PIPC_SECONDS(30)), 0);
}

struct known {
    uint64_t parent, here;
    pid_t dead;
};

/* Not even in which namespace we are. What kill() says is still a proof for a process. */
static int judge_without_proc(void *argument)
{
    const struct known *known = argument;
    char folder[] = "/tmp/pipc-proof-XXXXXX";
    REQUIRE(mkdtemp(folder) != NULL);
    REQUIRE(chdir(folder) == 0 && rmdir(folder) == 0 && chroot(".") == 0);
    CHECK_EQUAL(pipc_who()->pid_namespace, 0);
    CHECK(!pipc_is_dead(known->parent ^ UINT64_C(1) << 35, known->here));
    CHECK(!pipc_is_dead_process(getppid(), 0));
    CHECK(pipc_is_dead_process(known->dead, wall_clock()));
    return 0;
}

static void without_proc_nobody_is_taken_for_dead(void)
{
    struct known known = {pipc_self(), pipc_who()->pid_namespace, test_fork(end_at_once, NULL)};
    if (geteuid() != 0)
        test_skip("only root can go where there is no /proc");
    CHECK_EQUAL(test_wait(known.dead, PIPC_SECONDS(30)), 0);
    CHECK_EQUAL(test_wait(test_fork(judge_without_proc, &known), PIPC_SECONDS(30)), 0);
}

static const struct test tests[] = {
    {"G4 G5", "what_is_no_identity_is_not_dead", what_is_no_identity_is_not_dead, 0},
    {"G4 G5", "a_process_is_dead_when_it_is_gone_a_zombie_or_another",
     a_process_is_dead_when_it_is_gone_a_zombie_or_another, 0},
    {"G4 G5", "a_process_of_another_user_lives", a_process_of_another_user_lives, 0},
    {"G4 G5", "who_cannot_look_takes_nobody_for_dead", who_cannot_look_takes_nobody_for_dead, 0},
    {"G4 G5", "without_proc_nobody_is_taken_for_dead", without_proc_nobody_is_taken_for_dead, 0},
};

TEST_MAIN("proof", tests)
