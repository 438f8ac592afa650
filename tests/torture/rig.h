/* What the torture rigs share: how long to go on, and the figures that they tell.
 *
 * A rig is a test executable (support.h) linked with the library's build that has points. Run by `./dev test` it
 * does its short form; with PIPC_TORTURE in the environment, as `./dev torture` runs it, the long one:
 *
 *     PIPC_TORTURE=long      as many trials as the long form asks for, however long that takes
 *     PIPC_TORTURE=SECONDS   no more than that for each test, and no more trials than the long form
 *
 * Where every case of many is tried, PIPC_TORTURE_PART=K/N, such as 3/8, takes the Kth of N equal parts of them: N
 * runs are one whole.
 *
 * Each test that is a rig's ends with rig_tell(): one line
 *     RIG|name|backend|trials|kills|lost|duplicated|torn|hangs|leaks|worst_delay_ms|kills_wanted
 * of which `./dev torture` makes its table and its file. */
#ifndef PIPC_TESTS_RIG_H
#define PIPC_TESTS_RIG_H

#include "support.h"

struct rig_figures {
    const char *rig; /* "storm" */
    uint64_t trials; /* experiments made */
    uint64_t kills;  /* processes killed with -9 */
    uint64_t wanted; /* kills that the form asks for; 0 = no certain number */
    uint64_t lost;   /* messages (objects) lost beyond what is allowed */
    uint64_t duplicated;
    uint64_t torn;       /* messages whose body or place was wrong */
    uint64_t hangs;      /* calls past their deadline, processes that did not end */
    uint64_t leaks;      /* kernel objects, places or descriptors left */
    int64_t worst_delay; /* ns: the longest that a call was held up by a death; 0 = not measured */
};

/* Is this the long form? */
bool rig_is_long(void);

/* How many trials: `small` in the short form, `large` in the long. */
uint64_t rig_trials(uint64_t small, uint64_t large);

/* When to stop however many trials are left: `short_span` from now in the short form, the span that
 * PIPC_TORTURE names, or never, in the long. */
int64_t rig_deadline(int64_t short_span);

/* A part of numbered trials: all of them from 0 to total - 1, or those of the part that PIPC_TORTURE_PART names. */
struct rig_part {
    uint64_t first, end; /* the first that is not its own */
};

struct rig_part rig_part(uint64_t total);

/* How many entries a folder has: "/proc/self/fd", "/proc/self/map_files". */
unsigned rig_entries(const char *folder);

/* Writes the line, and fails the test if any figure that must be 0 is not, or if the real long form (not one that ends
 * after so many seconds) fell short of its kills. Called once, in the test's own process. */
void rig_tell(const struct rig_figures *figures);

#endif
