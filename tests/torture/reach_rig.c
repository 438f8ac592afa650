/* Points: a plain life of a queue reaches the points that it should, and a process dies where it is told to. */
#include <string.h>

#include "core/point.h"
#include "points.h"
#include "rig.h"
#include "support_queue.h"

static int live(void *argument)
{
    points_kill_at(points_find(argument), 1);
    pipc_queue *queue = queue_make("q", 4, 64);
    REQUIRE_OK(queue_send(queue, 1, 0, 7, 64, PIPC_NOWAIT));
    queue_expect(queue, pipc_any(), 7);
    queue_end(queue, "q");
    return 0;
}

static void a_process_dies_at_the_point_it_is_told(void)
{
    static const char *const points[] = {"create: no kernel queue yet", "send: put, not confirmed", "receive: claimed",
                                         "remove: woken, name not freed"};
    struct rig_figures figures = {.rig = "reach"};
    for (size_t i = 0; i < sizeof points / sizeof *points; i++) {
        REQUIRE(points_find(points[i]) != POINTS_NONE);
        figures.kills += test_wait(test_fork(live, (void *)points[i]), PIPC_SECONDS(20)) == 128 + 9;
        figures.trials++;
        pipc_queue_remove(test_name("q"));
    }
    CHECK_EQUAL(figures.kills, figures.trials);
    rig_tell(&figures);
}

static const struct test tests[] = {
    {"G1", "a_process_dies_at_the_point_it_is_told", a_process_dies_at_the_point_it_is_told, 0},
};

TEST_MAIN("reach", tests)
