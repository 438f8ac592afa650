/* A channel as anyone can read it: all records that there ever were, in a row, each with the place that it takes. What
 * the model test compares the library with: C2 to C5, C10. */
#ifndef PIPC_TESTS_SUPPORT_RING_H
#define PIPC_TESTS_SUPPORT_RING_H

#include <stdbool.h>
#include <stdint.h>

#include "pipc/pipc.h"

enum { RING_READERS = 3, RING_BATCH = 8, RING_MOST = 60000 };

enum ring_state { RING_RESERVED, RING_WHOLE, RING_GONE };

struct ring_entry {
    uint64_t number, size;
    uint64_t from, at, end; /* what is left free before it, its head, what follows */
    enum ring_state state;
};

/* Who reads: behind which entries it is, and which one it expects next. */
struct ring_reader {
    uint64_t position, index, due;
    uint64_t received, missed;
};

struct ring_model {
    uint64_t size, head, oldest, oldest_index;
    uint32_t producers, delivery, readers;
    uint64_t count;
    struct ring_entry *entries; /* RING_MOST of them */
    struct ring_reader reader[RING_READERS];
    struct ring_entry batch[RING_BATCH]; /* one producer: reserved, not in the row yet */
    uint32_t reserved;
};

/* Makes a place for one more record. False: there is no room. Many producers: it is in the row, reserved; one: it is
 * the last of the batch. */
bool ring_reserve(struct ring_model *model, uint64_t number, uint64_t size);

/* One producer: the batch becomes whole, its records as large as it says now, or is dropped. */
void ring_commit_batch(struct ring_model *model);
void ring_cancel_batch(struct ring_model *model);

/* What a reader is shown: entries by index, at most `most`; how many. It may move over what was cancelled. */
struct ring_sight {
    uint64_t from;                /* position of the first */
    uint64_t indexes[RING_BATCH]; /* of the entries */
    uint64_t missed;              /* before the first */
};

uint32_t ring_look(struct ring_model *model, struct ring_reader *reader, struct ring_sight *sight, uint32_t most);

/* Takes the first `count` of `shown` records. False: they were overwritten meanwhile, and all are taken. */
bool ring_take(struct ring_model *model, struct ring_reader *reader, const struct ring_sight *sight, uint32_t shown,
               uint32_t count);

/* Do the statistics say what the model knows? */
bool ring_agrees(const struct ring_model *model, const pipc_channel_info *info);

#endif
