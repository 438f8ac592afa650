/* From many rounds to one figure. */
#include <stdlib.h>
#include <string.h>

#include "bench/driver/driver.h"

#define SLOWER 1.15 /* a round in which the fixed piece of work took so much longer than at best is disturbed */

static int ascending(const void *left, const void *right)
{
    double a = *(const double *)left, b = *(const double *)right;
    return (a > b) - (a < b);
}

double quantile_of(const double *values, uint32_t count, double part)
{
    double sorted[ROUNDS_MAX];
    if (count == 0)
        return 0;
    memcpy(sorted, values, count * sizeof(*values));
    qsort(sorted, count, sizeof(*sorted), ascending);
    double place = part * (count - 1);
    uint32_t below = (uint32_t)place, above = below + 1 < count ? below + 1 : below;
    return sorted[below] + (place - below) * (sorted[above] - sorted[below]);
}

double median_of(const struct lane *lane, enum figure figure)
{
    return quantile_of(lane->values[figure], lane->rounds, 0.5);
}

uint32_t ratios_of(const struct goal *goal, double *ratios)
{
    const struct lane *ours = &goal->group->lanes[goal->ours], *reference = &goal->group->lanes[goal->reference];
    uint32_t count = ours->rounds < reference->rounds ? ours->rounds : reference->rounds;
    for (uint32_t i = 0; i < count; i++) {
        double a = ours->values[FIGURE_NS][i], b = reference->values[FIGURE_NS][i];
        if (goal->measure == MEASURE_SHARE)
            ratios[i] = ours->values[FIGURE_PERCENT][i];
        else
            ratios[i] = goal->measure == MEASURE_TIME ? a / b : b / a;
    }
    return count;
}

static double best_loop(const struct plan *plan)
{
    double best = 0;
    for (uint32_t i = 0; i < plan->group_count; i++) {
        const struct group *group = plan->groups[i];
        for (uint32_t j = 0; j < group->lane_count; j++)
            for (uint32_t k = 0; k < group->lanes[j].rounds; k++)
                if (best == 0 || group->lanes[j].loops[k] < best)
                    best = group->lanes[j].loops[k];
    }
    return best;
}

uint32_t disturbed_rounds(const struct plan *plan, const struct group *group)
{
    double limit = best_loop(plan) * SLOWER;
    uint32_t disturbed = 0;
    for (uint32_t k = 0; k < ROUNDS_MAX; k++) {
        bool any = false;
        for (uint32_t j = 0; j < group->lane_count; j++)
            any |= k < group->lanes[j].rounds && (group->lanes[j].noisy[k] || group->lanes[j].loops[k] > limit);
        disturbed += any;
    }
    return disturbed;
}

bool is_met(const struct goal *goal, double ratio)
{
    return goal->measure == MEASURE_RATE ? ratio >= goal->bound : ratio <= goal->bound;
}
