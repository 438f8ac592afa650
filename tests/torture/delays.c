/* See delays.h. */
#include "delays.h"

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

void delays_note(struct delays *delays, int64_t took, int64_t stall)
{
    delays->took[delays->count++ % DELAYS_KEPT] = took;
    delays->beyond += took > delays->bound + DELAYS_STALLS * stall;
    if (DELAYS_STALLS * stall > delays->allowed)
        delays->allowed = DELAYS_STALLS * stall;
    if (delays->count == 1 || took < delays->quickest)
        delays->quickest = took;
    if (took > delays->worst)
        delays->worst = took;
}

static int by_size(const void *a, const void *b)
{
    const int64_t *one = a, *other = b;
    return *one < *other ? -1 : *one > *other;
}

static int64_t median_of(const struct delays *delays)
{
    int64_t sorted[DELAYS_KEPT];
    size_t kept = delays->count < DELAYS_KEPT ? (size_t)delays->count : DELAYS_KEPT;
    memcpy(sorted, delays->took, kept * sizeof *sorted);
    qsort(sorted, kept, sizeof *sorted, by_size);
    return sorted[kept / 2];
}

static void judge(const struct delays *delays, uint64_t most_beyond)
{
    char sentence[400];
    if (delays->count == 0)
        return;
    double median = (double)median_of(delays) / 1e6, bound = (double)delays->bound / 1e6;
    double quickest = (double)delays->quickest / 1e6, worst = (double)delays->worst / 1e6;
    printf("DELAY|%s|%s|%.3f|%" PRIu64 "|%.3f|%.3f|%.3f|%" PRIu64 "|%.3f\n", delays->rig, delays->what, bound,
           delays->count, quickest, median, worst, delays->beyond, (double)delays->allowed / 1e6);
    snprintf(sentence, sizeof sentence,
             "%s: %s: of %" PRIu64 " delays at most %" PRIu64 " may be beyond %.3f ms, and %" PRIu64
             " were: quickest %.3f, median %.3f, worst %.3f ms",
             delays->rig, delays->what, delays->count, most_beyond, bound, delays->beyond, quickest, median, worst);
    test_check(delays->beyond <= most_beyond, false, __FILE__, __LINE__, sentence);
}

void delays_judge_half(const struct delays *delays)
{
    judge(delays, delays->count < DELAYS_LEAST ? delays->count : delays->count / 2);
}

void delays_judge_quickest(const struct delays *delays)
{
    judge(delays, delays->count - 1);
}
