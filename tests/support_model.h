/* A queue as anyone can read it: the messages in the order of sending, all of them looked through each time. What the
 * model test and the fuzzers compare the library with: Q5, Q6, Q9, Q11, Q15. */
#ifndef PIPC_TESTS_SUPPORT_MODEL_H
#define PIPC_TESTS_SUPPORT_MODEL_H

#include <stdbool.h>
#include <stdint.h>

#include "pipc/pipc.h"

enum { MODEL_MOST = 300 };

struct model_entry {
    uint64_t number, size;
    uint32_t type, priority;
};

struct model {
    struct model_entry entries[MODEL_MOST];
    uint32_t count, capacity;
    uint64_t next, sent, received, high_water;
};

/* Appends a message. False: full. */
bool model_send(struct model *model, const struct model_entry *entry);

/* The message that this selection receives, NULL if none. */
struct model_entry *model_choose(struct model *model, pipc_selection selection);

/* Takes out what was received. */
void model_take(struct model *model, struct model_entry *entry);

/* Empties it; how many there were. */
uint32_t model_purge(struct model *model);

/* Do the statistics say what the model knows? */
bool model_agrees(const struct model *model, const pipc_queue_info *info);

#endif
