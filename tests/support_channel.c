/* See support_channel.h. */
#include "support_channel.h"

#include <string.h>

enum { LONGEST_BODY = 2097152 };

pipc_channel *channel_make(const char *what, uint32_t producers, uint32_t delivery, uint64_t size)
{
    pipc_channel *channel = NULL;
    pipc_channel_options options = {.size = size, .producers = producers, .delivery = delivery};
    REQUIRE_OK(pipc_channel_open(&channel, test_name(what), PIPC_CREATE | PIPC_EXCLUSIVE, &options));
    return channel;
}

pipc_channel *channel_join(const char *what, uint32_t flags)
{
    pipc_channel *channel = NULL;
    REQUIRE_OK(pipc_channel_open(&channel, test_name(what), flags, NULL));
    return channel;
}

void channel_end(pipc_channel *channel, const char *what)
{
    CHECK_OK(pipc_channel_close(channel));
    CHECK_OK(pipc_channel_remove(test_name(what)));
}

pipc_channel_info channel_info(pipc_channel *channel)
{
    pipc_channel_info info;
    memset(&info, 0, sizeof info);
    REQUIRE_OK(pipc_channel_statistics(channel, &info));
    return info;
}

void channel_each_variety(void (*body)(uint32_t producers, uint32_t delivery))
{
    for (uint32_t producers = PIPC_PRODUCERS_ONE; producers <= PIPC_PRODUCERS_MANY; producers++)
        for (uint32_t delivery = PIPC_DELIVER_ONCE; delivery <= PIPC_DELIVER_LATEST; delivery++)
            body(producers, delivery);
}

/* ---- Bodies ---- */

static _Thread_local unsigned char body[LONGEST_BODY]; /* pages that nobody touches cost nothing */

void channel_fill(void *data, uint64_t number, uint64_t size)
{
    unsigned char *bytes = data;
    if (size)
        memcpy(bytes, &number, size < sizeof number ? size : sizeof number);
    for (uint64_t i = sizeof number; i < size; i++)
        bytes[i] = queue_padding(number, i);
}

bool channel_is_whole(const void *data, uint64_t number, uint64_t size)
{
    const unsigned char *bytes = data;
    if (size && memcmp(bytes, &number, size < sizeof number ? size : sizeof number) != 0)
        return false;
    for (uint64_t i = sizeof number; i < size; i++)
        if (bytes[i] != queue_padding(number, i))
            return false;
    return true;
}

int channel_send(pipc_channel *channel, uint64_t number, uint64_t size, int64_t timeout)
{
    channel_fill(body, number, size);
    return pipc_channel_send(channel, &(pipc_record){.data = body, .size = size}, timeout);
}

int channel_reserve(pipc_channel *channel, pipc_record *record, uint64_t number, uint64_t size, int64_t timeout)
{
    *record = (pipc_record){.size = size};
    int error = pipc_channel_reserve(channel, record, timeout);
    if (!error)
        channel_fill(record->data, number, size);
    return error;
}

static uint64_t number_of(const void *data, uint64_t size)
{
    uint64_t number = 0;
    if (size)
        memcpy(&number, data, size < sizeof number ? size : sizeof number);
    return number;
}

int channel_receive(pipc_channel *channel, struct channel_got *got, int64_t timeout)
{
    pipc_record record = {.data = body, .size = LONGEST_BODY};
    memset(got, 0, sizeof *got);
    int error = pipc_channel_receive(channel, &record, timeout);
    if (error)
        return error;
    *got = (struct channel_got){number_of(body, record.size), record.size, record.missed, record.marks};
    CHECK(channel_is_whole(body, got->number, got->size));
    return 0;
}

bool channel_expect(pipc_channel *channel, uint64_t number)
{
    struct channel_got got;
    return CHECK_OK(channel_receive(channel, &got, PIPC_NOWAIT)) && CHECK_EQUAL(got.number, number) &&
           CHECK_EQUAL(got.missed, 0) && CHECK_EQUAL(got.marks, 0);
}

uint64_t channel_number(const pipc_record *record)
{
    uint64_t number = number_of(record->data, record->size);
    CHECK(channel_is_whole(record->data, number, record->size));
    return number;
}
