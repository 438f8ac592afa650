/* Time, chance, quantiles. */
#include <stdio.h>
#include <stdlib.h>
#include <time.h>

#include "bench/runner/runner.h"

int64_t bench_now(void)
{
    struct timespec now;
    clock_gettime(CLOCK_MONOTONIC, &now);
    return now.tv_sec * INT64_C(1000000000) + now.tv_nsec;
}

uint64_t bench_random(uint64_t *state) /* splitmix64 */
{
    uint64_t z = *state += UINT64_C(0x9e3779b97f4a7c15);
    z = (z ^ z >> 30) * UINT64_C(0xbf58476d1ce4e5b9);
    z = (z ^ z >> 27) * UINT64_C(0x94d049bb133111eb);
    return z ^ z >> 31;
}

static int ascending(const void *left, const void *right)
{
    double a = *(const double *)left, b = *(const double *)right;
    return (a > b) - (a < b);
}

double bench_quantile(double *values, size_t count, double part)
{
    if (count == 0)
        return 0;
    qsort(values, count, sizeof(*values), ascending);
    size_t at = (size_t)(part * (double)(count - 1) + 0.5);
    return values[at];
}

void bench_figure(uint32_t lane, const char *name, double value)
{
    printf("figure %u %s %.9g\n", lane, name, value);
}
