/* The judges of the torture rigs, given figures of which they must turn red (red_...) or stay green (green_...):
 * judges_test.sh runs each and looks. Never part of a rig's figures. */
#include <stdlib.h>

#include "../delays.h"

static struct rig_figures figures(void)
{
    return (struct rig_figures){.rig = "judges", .trials = 1};
}

#define RED_IF(what)                                                                                                   \
    static void red_if_##what(void)                                                                                    \
    {                                                                                                                  \
        struct rig_figures bad = figures();                                                                            \
        bad.what = 1;                                                                                                  \
        rig_tell(&bad);                                                                                                \
    }

RED_IF(lost)
RED_IF(duplicated)
RED_IF(torn)
RED_IF(hangs)
RED_IF(leaks)

static void red_if_nothing_was_tried(void)
{
    struct rig_figures none = figures();
    none.trials = 0;
    rig_tell(&none);
}

static void too_few_kills(const char *form)
{
    struct rig_figures few = figures();
    few.kills = 9;
    few.wanted = 10;
    REQUIRE(setenv("PIPC_TORTURE", form, 1) == 0);
    rig_tell(&few);
}

static void red_if_the_long_form_has_too_few_kills(void)
{
    too_few_kills("long");
}

static void green_if_a_form_cut_in_time_has_too_few_kills(void)
{
    too_few_kills("60");
}

/* Ten delays. */
static void note(unsigned late, int64_t stall)
{
    struct delays delays;
    delays_begin(&delays, "judges", "delays", PIPC_MS(10));
    for (unsigned i = 0; i < 10; i++)
        delays_note(&delays, i < late ? PIPC_MS(11) : PIPC_MS(10), stall);
    delays_judge_half(&delays);
}

static void green_if_half_are_late(void)
{
    note(5, 0);
}

static void red_if_more_than_half_are_late(void)
{
    note(6, 0);
}

static void green_if_the_machine_stood_still(void)
{
    note(10, DELAYS_STALL + 1);
}

static int64_t next(void *argument)
{
    const int64_t **at = argument;
    return *(*at)++;
}

static void take_the_quickest_of(const int64_t *times)
{
    struct delays delays;
    delays_begin(&delays, "judges", "tries", PIPC_MS(10));
    delays_try(&delays, "here", next, &times);
}

static void red_if_the_quickest_is_late(void)
{
    int64_t times[DELAYS_TRIES];
    for (unsigned i = 0; i < DELAYS_TRIES; i++)
        times[i] = PIPC_MS(11);
    take_the_quickest_of(times);
}

static void green_if_one_of_several_is_in_time(void)
{
    take_the_quickest_of((const int64_t[]){PIPC_MS(500), -1, PIPC_MS(9)});
}

#define TEST(what)                                                                                                     \
    {                                                                                                                  \
        "judges", #what, what, 0                                                                                       \
    }

static const struct test tests[] = {
    TEST(red_if_lost),
    TEST(red_if_duplicated),
    TEST(red_if_torn),
    TEST(red_if_hangs),
    TEST(red_if_leaks),
    TEST(red_if_nothing_was_tried),
    TEST(red_if_the_long_form_has_too_few_kills),
    TEST(green_if_a_form_cut_in_time_has_too_few_kills),
    TEST(green_if_half_are_late),
    TEST(red_if_more_than_half_are_late),
    TEST(green_if_the_machine_stood_still),
    TEST(red_if_the_quickest_is_late),
    TEST(green_if_one_of_several_is_in_time),
};

TEST_MAIN("judges", tests)
