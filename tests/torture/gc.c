/* See gc.h. */
#include "gc.h"

#include <stdio.h>
#include <string.h>

#include "probe.h"
#include "support_queue.h"

enum { PLACES = 4, BYTES = 64 };

void gc_begin_living(struct gc_living *living)
{
    *living = (struct gc_living){.queue = queue_make("live", PLACES, BYTES)};
    REQUIRE_OK(pipc_shm_open(&living->shm, test_name("live"), PIPC_CREATE, &(pipc_shm_options){.size = BYTES}));
}

/* Both still work: under their names, and in the hands of who has them. */
void gc_check_living(struct gc_living *living)
{
    pipc_shm *again;
    pipc_queue *joined = queue_join("live", 0);
    CHECK_OK(queue_send(joined, 1, 0, ++living->sent, 8, PIPC_NOWAIT));
    CHECK(queue_expect(living->queue, pipc_any(), living->sent));
    CHECK_OK(pipc_queue_close(joined));
    CHECK_OK(pipc_shm_open(&again, test_name("live"), PIPC_READ, NULL));
    CHECK_OK(pipc_shm_close(again));
}

static unsigned char *memory_of(struct gc_living *living)
{
    void *bytes;
    REQUIRE_OK(pipc_shm_map(living->shm, PIPC_READ | PIPC_WRITE, &bytes));
    return bytes;
}

void gc_fill_living(struct gc_living *living)
{
    unsigned char *bytes = memory_of(living);
    memset(bytes, 77, BYTES);
    CHECK_OK(pipc_shm_unmap(living->shm, bytes));
    for (unsigned i = 0; i < PLACES; i++)
        CHECK_OK(queue_send(living->queue, 1 + i, 0, i, BYTES, PIPC_NOWAIT));
}

void gc_check_kept(struct gc_living *living)
{
    unsigned char *bytes = memory_of(living);
    for (unsigned i = 0; i < BYTES; i++)
        CHECK_EQUAL(bytes[i], 77);
    CHECK_OK(pipc_shm_unmap(living->shm, bytes));
    for (unsigned i = 0; i < PLACES; i++)
        queue_expect(living->queue, pipc_any(), i);
}

void gc_end_living(struct gc_living *living)
{
    queue_end(living->queue, "live");
    CHECK_OK(pipc_shm_close(living->shm));
    CHECK_OK(pipc_shm_remove(test_name("live")));
}

/* ---- Reaping and counting ---- */

static const char *left_name;

static void note_left(const char *name)
{
    static char kept[100];
    snprintf(kept, sizeof kept, "%s", name);
    left_name = kept;
}

/* Ends all that is left, which should be nothing. */
uint64_t gc_count_left(const char *where)
{
    unsigned left = probe_remove_everything(note_left);
    char sentence[300];
    if (left == 0)
        return 0;
    snprintf(sentence, sizeof sentence, "%u left after a death at \"%s\", such as %s", left, where, left_name);
    test_check(false, false, __FILE__, __LINE__, sentence);
    return left;
}

static int count(const pipc_found *found, void *argument)
{
    struct gc_tally *tally = argument;
    tally->reaped += found->verdict == PIPC_VERDICT_REAPED;
    tally->garbage += found->verdict == PIPC_VERDICT_GARBAGE;
    tally->stayed += found->verdict == PIPC_VERDICT_STAYED;
    if (found->verdict == PIPC_VERDICT_KEEP) {
        tally->ready += found->state == PIPC_FOUND_READY;
        tally->kept += found->state != PIPC_FOUND_READY;
    }
    CHECK(found->state != PIPC_FOUND_DAMAGED && found->state != PIPC_FOUND_FOREIGN);
    return 0;
}

struct gc_tally gc_reap(void)
{
    struct gc_tally tally = {0};
    CHECK_OK(pipc_reap(count, &tally));
    return tally;
}

struct gc_tally gc_look(void)
{
    struct gc_tally tally = {0};
    CHECK_OK(pipc_each(count, &tally));
    return tally;
}
