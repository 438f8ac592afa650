/* See parcel.h. */
#include "parcel.h"

#include <string.h>

/* Words of all kinds: what is torn may look like anything. */
static uint64_t word_of(const struct parcel *parcel, uint64_t at)
{
    uint64_t word = (parcel->number + 1) * UINT64_C(0x9e3779b97f4a7c15) +
                    parcel->sender * UINT64_C(0xc2b2ae3d27d4eb4f) + at * UINT64_C(0x165667b19e3779f9);
    return word ^ word >> 29;
}

void parcel_fill(void *place, const struct parcel *parcel)
{
    unsigned char *to = place;
    memcpy(to, parcel, sizeof *parcel);
    for (uint64_t at = sizeof *parcel; at < parcel->size; at += 8) {
        uint64_t word = word_of(parcel, at), left = parcel->size - at;
        memcpy(to + at, &word, left < 8 ? left : 8);
    }
}

bool parcel_read(const void *place, uint64_t size, struct parcel *parcel)
{
    const unsigned char *from = place;
    if (size < sizeof *parcel)
        return false;
    memcpy(parcel, from, sizeof *parcel);
    if (parcel->size != size)
        return false;
    for (uint64_t at = sizeof *parcel; at < size; at += 8) {
        uint64_t word = word_of(parcel, at), left = size - at;
        if (memcmp(from + at, &word, left < 8 ? left : 8) != 0)
            return false;
    }
    return true;
}

pipc_channel *parcel_channel(const char *what, uint32_t flags, const pipc_channel_options *options)
{
    pipc_channel *channel = NULL;
    REQUIRE_OK(pipc_channel_open(&channel, test_name(what), flags | PIPC_CREATE | PIPC_EXCLUSIVE, options));
    return channel;
}

pipc_channel *parcel_join(const char *what, uint32_t flags)
{
    pipc_channel *channel = NULL;
    REQUIRE_OK(pipc_channel_open(&channel, test_name(what), flags, NULL));
    return channel;
}

void parcel_end(pipc_channel *channel, const char *what)
{
    CHECK_OK(pipc_channel_close(channel));
    CHECK_OK(pipc_channel_remove(test_name(what)));
}

pipc_channel_info parcel_info(pipc_channel *channel)
{
    pipc_channel_info info = {0};
    CHECK_OK(pipc_channel_statistics(channel, &info));
    return info;
}

int parcel_send(pipc_channel *channel, const struct parcel *parcel, int64_t timeout)
{
    static _Thread_local unsigned char body[1 << 20];
    parcel_fill(body, parcel);
    return pipc_channel_send(channel, &(pipc_record){.data = body, .size = parcel->size}, timeout);
}

int parcel_receive(pipc_channel *channel, struct parcel *parcel, pipc_record *record, int64_t timeout)
{
    static _Thread_local unsigned char body[1 << 20];
    pipc_record own;
    record = record ? record : &own;
    *record = (pipc_record){.data = body, .size = sizeof body};
    int error = pipc_channel_receive(channel, record, timeout);
    if (!error)
        CHECK(parcel_read(body, record->size, parcel));
    return error;
}
