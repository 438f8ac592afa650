/* See points.h. */
#include "points.h"

#include <signal.h>
#include <stddef.h>
#include <string.h>
#include <unistd.h>

#include "core/point.h"

enum { MOST_POINTS = 1024 };

struct aim {
    uint32_t point;
    uint32_t left; /* how often it is to be reached still */
    int signal;
};

static struct aim kill_aim = {POINTS_NONE, 0, SIGKILL}, stop_aim = {POINTS_NONE, 0, SIGSTOP};
static uint32_t hold_point = POINTS_NONE;
static _Atomic uint32_t *holding;
static uint32_t lottery; /* one in so many dies, 0 = none */
static uint64_t lots;
static _Atomic uint32_t *noted;
static _Atomic uint64_t *counted;
static uint32_t numbers[MOST_POINTS];

uint32_t points_count(void)
{
    return (uint32_t)(__stop_pipc_points - __start_pipc_points);
}

const char *points_name(uint32_t point)
{
    return __start_pipc_points[point].name;
}

uint32_t points_find(const char *name)
{
    for (uint32_t i = 0; i < points_count(); i++)
        if (strcmp(points_name(i), name) == 0)
            return i;
    return POINTS_NONE;
}

/* What is inlined in several places is one point: the first of that name. All are learnt before a rig begins, so that
 * no process goes another way through a point than those before it (steps.h). */
__attribute__((constructor)) static void learn_numbers(void)
{
    for (uint32_t i = 0; i < points_count() && i < MOST_POINTS; i++)
        numbers[i] = points_find(points_name(i));
}

void points_forget(void)
{
    kill_aim.point = stop_aim.point = hold_point = POINTS_NONE;
    lottery = 0;
    noted = NULL;
    counted = NULL;
}

void points_kill_at(uint32_t point, uint32_t nth)
{
    kill_aim.left = nth;
    kill_aim.point = point;
}

void points_stop_at(uint32_t point, uint32_t nth)
{
    stop_aim.left = nth;
    stop_aim.point = point;
}

void points_hold_at(uint32_t point, _Atomic uint32_t *held)
{
    holding = held;
    hold_point = point;
}

void points_kill_one_in(uint32_t one_in, uint64_t seed)
{
    lottery = one_in;
    lots = seed * 2 + 1;
}

void points_note(_Atomic uint32_t *last, _Atomic uint64_t *reached)
{
    noted = last;
    counted = reached;
}

/* The signal comes before kill() returns: it is sent to this very process, which does not block it. */
static void fire(struct aim *aim, uint32_t point)
{
    if (aim->point == point && --aim->left == 0) {
        aim->point = POINTS_NONE;
        kill(getpid(), aim->signal);
    }
}

static void hold(uint32_t point)
{
    if (hold_point != point)
        return;
    hold_point = POINTS_NONE;
    atomic_store(holding, 1);
    for (;;)
        pause();
}

static void draw(void)
{
    lots = lots * UINT64_C(6364136223846793005) + UINT64_C(1442695040888963407);
    if ((uint32_t)(lots >> 33) % lottery == 0)
        kill(getpid(), SIGKILL);
}

static uint32_t number_of(const struct pipc_point *point)
{
    uint32_t number = (uint32_t)(point - __start_pipc_points);
    return number < MOST_POINTS ? numbers[number] : number;
}

void pipc_point_reached(const struct pipc_point *point)
{
    uint32_t number = number_of(point);
    if (noted)
        atomic_store_explicit(noted, number + 1, memory_order_relaxed);
    if (counted)
        atomic_fetch_add_explicit(&counted[number], 1, memory_order_relaxed);
    fire(&stop_aim, number);
    fire(&kill_aim, number);
    hold(number);
    if (lottery)
        draw();
}
