/* What pipc_each() and pipc_reap() showed, kept for a look. */
#ifndef PIPC_TESTS_HARVEST_H
#define PIPC_TESTS_HARVEST_H

#include <stdio.h>
#include <string.h>

#include "support.h"

enum { MOST_FOUND = 100 };

struct harvest {
    unsigned count; /* all that were shown */
    unsigned mine;  /* those whose names have this run's prefix, noted below */
    unsigned verdicts[4];
    unsigned states[PIPC_FOUND_UNREADABLE + 1];
    pipc_found found[MOST_FOUND];
    char names[MOST_FOUND][PIPC_NAME_MAX + 1], whys[MOST_FOUND][300];
};

static inline int note(const pipc_found *found, void *argument)
{
    struct harvest *harvest = argument;
    harvest->count++;
    harvest->verdicts[found->verdict]++;
    harvest->states[found->state]++;
    CHECK(found->why && strlen(found->why) > 5 && strlen(found->name) <= PIPC_NAME_MAX);
    for (const char *byte = found->name; *byte; byte++)
        CHECK((unsigned char)*byte >= 0x20 && *byte != 0x7f && *byte != '/');
    if (strncmp(found->name, test_prefix(), strlen(test_prefix())) != 0 || harvest->mine == MOST_FOUND)
        return 0;
    unsigned i = harvest->mine++;
    harvest->found[i] = *found;
    snprintf(harvest->names[i], sizeof harvest->names[i], "%s", found->name);
    snprintf(harvest->whys[i], sizeof harvest->whys[i], "%s", found->why);
    harvest->found[i].name = harvest->names[i];
    harvest->found[i].why = harvest->whys[i];
    return 0;
}

/* One static harvest at a time. */
static inline struct harvest *gather(int (*walk)(pipc_visitor *visit, void *argument))
{
    static struct harvest harvest;
    memset(&harvest, 0, sizeof harvest);
    CHECK_OK(walk(note, &harvest));
    return &harvest;
}

static inline const pipc_found *find(const struct harvest *harvest, uint32_t kind, const char *what)
{
    const pipc_found *found = NULL;
    for (unsigned i = 0; i < harvest->mine; i++)
        if (harvest->found[i].kind == kind && strcmp(harvest->found[i].name, test_name(what)) == 0) {
            CHECK(found == NULL); /* nothing is shown twice */
            found = &harvest->found[i];
        }
    return found;
}

static inline int reap_all(pipc_visitor *visit, void *argument)
{
    return pipc_reap(visit, argument);
}

static inline pipc_shm *memory_make(const char *what, uint64_t size)
{
    pipc_shm *shm;
    REQUIRE_OK(pipc_shm_open(&shm, test_name(what), PIPC_CREATE | PIPC_EXCLUSIVE, &(pipc_shm_options){.size = size}));
    return shm;
}

static inline void memory_end(pipc_shm *shm, const char *what)
{
    CHECK_OK(pipc_shm_close(shm));
    CHECK_OK(pipc_shm_remove(test_name(what)));
}

#endif
