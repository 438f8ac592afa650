/* See delays.h. */
#include "delays.h"

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

void delays_begin(struct delays *delays, const char *rig, const char *what, int64_t bound)
{
    *delays = (struct delays){.rig = rig, .what = what, .bound = bound};
}

void delays_note(struct delays *delays, int64_t took, int64_t stall)
{
    delays->took[delays->count++ % DELAYS_KEPT] = took;
    delays->disturbed += stall > DELAYS_STALL;
    delays->beyond += stall <= DELAYS_STALL && took > delays->bound + DELAYS_STALLS * stall;
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

static double ms(int64_t nanoseconds)
{
    return (double)nanoseconds / 1e6;
}

void delays_tell(const struct delays *delays)
{
    if (delays->count > 0)
        printf("DELAY|%s|%s|%.3f|%" PRIu64 "|%.3f|%.3f|%.3f|%" PRIu64 "|%" PRIu64 "\n", delays->rig, delays->what,
               ms(delays->bound), delays->count, ms(delays->quickest), ms(median_of(delays)), ms(delays->worst),
               delays->beyond, delays->disturbed);
}

void delays_judge_half(const struct delays *delays)
{
    char sentence[400];
    uint64_t judged = delays->count - delays->disturbed;
    delays_tell(delays);
    if (judged < DELAYS_LEAST)
        return;
    snprintf(sentence, sizeof sentence,
             "%s: %s: of %" PRIu64 " delays half may be beyond %.3f ms, and %" PRIu64
             " were: quickest %.3f, median %.3f, worst %.3f ms",
             delays->rig, delays->what, judged, ms(delays->bound), delays->beyond, ms(delays->quickest),
             ms(median_of(delays)), ms(delays->worst));
    test_check(delays->beyond <= judged / 2, false, __FILE__, __LINE__, sentence);
}

void delays_try(struct delays *delays, const char *where, int64_t (*once)(void *argument), void *argument)
{
    char sentence[400];
    int64_t quickest = INT64_MAX;
    unsigned tries = 0;
    for (; tries < DELAYS_TRIES && quickest > delays->bound && test_failures() == 0; tries++) {
        int64_t took = once(argument);
        if (took < 0 && quickest == INT64_MAX)
            return;
        if (took < 0)
            continue;
        delays_note(delays, took, 0);
        quickest = took < quickest ? took : quickest;
    }
    snprintf(sentence, sizeof sentence, "%s: %s, \"%s\": the quickest of %u took %.3f ms, promised are %.3f",
             delays->rig, delays->what, where, tries, ms(quickest), ms(delays->bound));
    test_check(quickest <= delays->bound || test_failures() > 0, false, __FILE__, __LINE__, sentence);
}

void delays_judge_halves(const struct delays *delays, unsigned count)
{
    for (unsigned i = 0; i < count; i++)
        delays_judge_half(&delays[i]);
}
