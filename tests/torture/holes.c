/* See holes.h. */
#include "holes.h"

#include <signal.h>
#include <sys/wait.h>

#include "points.h"

struct step {
    struct holes_plan *plan;
    test_body *body;
    void (*at)(uint32_t, uint32_t);
};

static int take_step(void *argument)
{
    struct step *step = argument;
    uint32_t point = points_find(step->plan->point);
    REQUIRE(point != POINTS_NONE);
    step->at(point, step->plan->nth ? step->plan->nth : 1);
    return step->body(step->plan);
}

pid_t holes_doomed(struct holes_plan plan, test_body *body)
{
    struct step step = {&plan, body, points_kill_at};
    return test_fork(take_step, &step);
}

bool holes_killed(struct holes_plan plan, test_body *body)
{
    return test_wait(holes_doomed(plan, body), PIPC_SECONDS(30)) == 128 + SIGKILL;
}

pid_t holes_stopped(struct holes_plan plan, test_body *body)
{
    struct step step = {&plan, body, points_stop_at};
    int status;
    pid_t child = test_fork(take_step, &step);
    REQUIRE(waitpid(child, &status, WUNTRACED) == child);
    REQUIRE(WIFSTOPPED(status));
    return child;
}

int holes_resumed(pid_t child)
{
    kill(child, SIGCONT);
    return test_wait(child, PIPC_SECONDS(30));
}
