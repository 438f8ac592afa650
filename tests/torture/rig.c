/* See rig.h. */
#include "rig.h"

#include <dirent.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static const char *wanted(void)
{
    const char *torture = getenv("PIPC_TORTURE");
    return torture && *torture ? torture : NULL;
}

bool rig_is_long(void)
{
    return wanted() != NULL;
}

uint64_t rig_trials(uint64_t small, uint64_t large)
{
    return rig_is_long() ? large : small;
}

int64_t rig_deadline(int64_t short_span)
{
    if (!rig_is_long())
        return test_now() + short_span;
    long seconds = strtol(wanted(), NULL, 10);
    return seconds > 0 ? test_now() + PIPC_SECONDS((int64_t)seconds) : INT64_MAX;
}

struct rig_part rig_part(uint64_t total)
{
    const char *text = getenv("PIPC_TORTURE_PART");
    unsigned part = 1, parts = 1;
    if (text && *text)
        REQUIRE(sscanf(text, "%u/%u", &part, &parts) == 2 && part >= 1 && part <= parts && parts <= 10000);
    return (struct rig_part){total * (part - 1) / parts, total * part / parts};
}

unsigned rig_entries(const char *folder)
{
    unsigned count = 0;
    DIR *open = opendir(folder);
    REQUIRE(open != NULL);
    while (readdir(open))
        count++;
    closedir(open);
    return count;
}

void rig_tell(const struct rig_figures *f)
{
    pipc_facts facts;
    REQUIRE_OK(pipc_library_facts(&facts));
    printf("RIG|%s|%s|%" PRIu64 "|%" PRIu64 "|%" PRIu64 "|%" PRIu64 "|%" PRIu64 "|%" PRIu64 "|%" PRIu64 "|%.3f|%" PRIu64
           "\n",
           f->rig, facts.backend, f->trials, f->kills, f->lost, f->duplicated, f->torn, f->hangs, f->leaks,
           (double)f->worst_delay / 1e6, f->wanted);
    if (f->kills < f->wanted)
        printf("%s: fell short: %" PRIu64 " kills of %" PRIu64 "\n", f->rig, f->kills, f->wanted);
    fflush(stdout);
    CHECK(f->trials > 0);
    if (rig_is_long() && strtol(wanted(), NULL, 10) <= 0)
        CHECK(f->kills >= f->wanted);
    CHECK_EQUAL(f->lost, 0);
    CHECK_EQUAL(f->duplicated, 0);
    CHECK_EQUAL(f->torn, 0);
    CHECK_EQUAL(f->hangs, 0);
    CHECK_EQUAL(f->leaks, 0);
}
