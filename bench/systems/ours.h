/* What the systems made of pipc share. */
#ifndef BENCH_OURS_H
#define BENCH_OURS_H

#include <pipc/error.h>

#include "bench/system.h"

static inline void must(int error)
{
    if (error != 0)
        bench_die("%s", pipc_error_detail());
}

#endif
