/* The channels in their known state; see prey.h. */
#include "prey.h"

#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>

#include "core/object.h"
#include "parcel.h"
#include "support_queue.h"

enum { READERS = 3, RECORDS = 5 };

uint64_t prey_bytes(const pipc_channel *channel)
{
    return (uint64_t)(channel->ring.bytes + channel->ring.size - (unsigned char *)channel->control);
}

const char *prey_name(unsigned kind)
{
    return test_numbered("c", kind);
}

int prey_open(pipc_channel **channel, unsigned kind, uint32_t flags)
{
    uint32_t delivery = PIPC_DELIVER_ONCE + kind / 2;
    pipc_channel_options options = {.size = PREY_RING,
                                    .producers = PIPC_PRODUCERS_ONE + kind % 2,
                                    .delivery = delivery,
                                    .subscribers = delivery == PIPC_DELIVER_ONCE ? 0 : READERS};
    return pipc_channel_open(channel, prey_name(kind), flags, flags & PIPC_CREATE ? &options : NULL);
}

static void make_kind(struct prey *it, unsigned number)
{
    struct prey_kind *kind = &it->kinds[number];
    pipc_channel_remove(prey_name(number));
    REQUIRE_OK(prey_open(&kind->channel, number, PIPC_CREATE | PIPC_EXCLUSIVE));
    for (uint32_t i = 0; i < RECORDS; i++) {
        struct parcel parcel = {1, PREY_SIZE, i};
        REQUIRE_OK(parcel_send(kind->channel, &parcel, PIPC_NOWAIT));
    }
    uint64_t bytes = prey_bytes(kind->channel);
    kind->pristine = realloc(kind->pristine, sizeof(struct pipc_object) + bytes);
    REQUIRE(kind->pristine != NULL);
    memcpy(kind->pristine, kind->channel->object, sizeof(struct pipc_object));
    memcpy(kind->pristine + sizeof(struct pipc_object), kind->channel->control, bytes);
    memcpy(&kind->handle, kind->channel, sizeof kind->handle);
}

static void restore(struct prey *it, unsigned number)
{
    struct prey_kind *kind = &it->kinds[number];
    pipc_channel *channel = kind->channel;
    struct pipc_subscription *subscription = atomic_load(&channel->subscription);
    memcpy(channel->object, kind->pristine, sizeof(struct pipc_object));
    memcpy(channel->control, kind->pristine + sizeof(struct pipc_object), prey_bytes(channel));
    memcpy(channel, &kind->handle, sizeof kind->handle);
    while (subscription && subscription != atomic_load(&channel->subscription)) { /* that were made meanwhile */
        struct pipc_subscription *older = subscription->older;
        free(subscription);
        subscription = older;
    }
}

void prey_make_anew(struct prey *it, unsigned number)
{
    restore(it, number);
    CHECK_OK(pipc_channel_close(it->kinds[number].channel));
    for (int tries = 0; tries < 8 && pipc_channel_remove(prey_name(number)) == 0; tries++)
        ;
    make_kind(it, number);
}

static int note_identity(void *argument)
{
    *(uint64_t *)argument = pipc_self();
    return 0;
}

static void learn_the_dead(struct prey *it)
{
    uint64_t *identity = test_shared(sizeof *identity);
    REQUIRE_EQUAL(test_wait(test_fork(note_identity, identity), PIPC_SECONDS(20)), 0);
    it->dead = *identity;
    it->dead_lock = (*identity & 0x3fffffffu) | (*identity >> 30 << 32); /* core/lock.c */
}

void prey_begin(void *argument)
{
    struct prey *it = argument;
    size_t page = pipc_page();
    unsigned char *base = mmap(NULL, PREY_RING + 2 * page, PROT_NONE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    REQUIRE(base != MAP_FAILED && mprotect(base + page, PREY_RING, PROT_READ | PROT_WRITE) == 0);
    it->body = base + page;
    learn_the_dead(it);
    for (unsigned i = 0; i < PREY_KINDS; i++)
        make_kind(it, i);
}

void prey_end(void *argument)
{
    struct prey *it = argument;
    for (unsigned i = 0; i < PREY_KINDS; i++) {
        restore(it, i);
        CHECK_OK(pipc_channel_close(it->kinds[i].channel));
        for (int tries = 0; tries < 8 && pipc_channel_remove(prey_name(i)) == 0; tries++)
            ;
        free(it->kinds[i].pristine);
    }
}

void prey_prepare(struct prey *it, unsigned number, enum prey_call call)
{
    restore(it, number);
    pipc_channel *channel = it->kinds[number].channel;
    if (call == PREY_SEND_AFTER_DEATH) {
        atomic_store(&channel->control->writer.lock.word, it->dead_lock);
        channel->control->writer.reserving = 2;
    } else if (call == PREY_RECEIVE_AFTER_DEATH) {
        atomic_store(&pipc_channel_reader(channel, 0)->lock.word, it->dead_lock);
    }
}

/* ---- Scribbles ---- */

static uint64_t random_value(const struct prey *it, uint64_t *random)
{
    uint64_t any = (uint64_t)test_random(random, UINT32_MAX) << 32 | test_random(random, UINT32_MAX);
    const uint64_t values[] = {0,
                               1,
                               16,
                               PREY_RING,
                               PREY_RING - 16,
                               PREY_RING / 4,
                               UINT32_MAX,
                               UINT64_MAX,
                               UINT64_MAX - 15,
                               INT64_MAX,
                               any,
                               any & 0xffff,
                               any & UINT32_MAX,
                               PIPC_RECORD_FILLER,
                               PIPC_RECORD_GIVEN_UP,
                               pipc_record_word(PIPC_RECORD_RESERVED, it->dead),
                               pipc_record_word(PIPC_RECORD_RESERVED, any),
                               pipc_record_word(PIPC_RECORD_WHOLE, any & 0xffff),
                               pipc_record_word(PIPC_RECORD_WHOLE, UINT64_MAX),
                               it->dead_lock,
                               it->dead << PIPC_SUBSCRIPTION_BITS | PIPC_SUBSCRIPTION_ACTIVE};
    return values[test_random(random, sizeof values / sizeof *values)];
}

void prey_scribble(void *argument)
{
    struct prey_scribbles *scribbles = argument;
    unsigned char *data = (unsigned char *)scribbles->channel->control;
    uint32_t bytes = (uint32_t)prey_bytes(scribbles->channel);
    for (uint32_t i = 0; i < scribbles->count; i++) {
        uint64_t value = random_value(scribbles->it, &scribbles->random);
        size_t width = (size_t)1 << (1 + test_random(&scribbles->random, 3));
        uint32_t end = test_random(&scribbles->random, 2) ? PREY_CONTROL : bytes;
        memcpy(data + test_random(&scribbles->random, end / 8) * 8, &value, width);
    }
}
