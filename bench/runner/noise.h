/* What else happened on the processors meanwhile. */
#ifndef BENCH_NOISE_H
#define BENCH_NOISE_H

#include <stdint.h>

struct bench_noise {
    uint32_t cores;
    int64_t began;
    double busy, stolen; /* seconds */
    double loop;         /* ns, of a fixed piece of work */
};

/* For the trial's first so many processors. */
void bench_noise_begin(struct bench_noise *noise, uint32_t cores);

/* Prints the share of the time that others took, that the hypervisor took, and the time of a fixed piece of work.
 * `used` and `waited`: the crew's own processor time, and how long it was ready in vain; ns. */
void bench_noise_end(const struct bench_noise *noise, uint64_t used, uint64_t waited);

#endif
