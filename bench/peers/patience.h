/* For libraries that only say "full" or "empty": look a while, then let others run. */
#ifndef BENCH_PATIENCE_H
#define BENCH_PATIENCE_H

#include <sched.h>

#define LOOKS 1000

static inline void look_again(unsigned *looks)
{
    if (++*looks > LOOKS)
        sched_yield();
#if defined(__x86_64__) || defined(__i386__)
    else
        __builtin_ia32_pause();
#endif
}

#endif
