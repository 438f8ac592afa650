/* The code of the pages "Concepts" and "Queue, channel or plain memory?" that is about channels. */
#include <stdio.h>
#include <string.h>

#include <pipc/pipc.h>

#include "snippets.h"

int show_channel(const char *name)
{
    //! [channel]
    pipc_channel *channel;
    pipc_channel_options options = {.size = 65536}; /* bytes of the ring */
    int error = pipc_channel_open(&channel, name, PIPC_CREATE, &options);
    if (error)
        return error;

    pipc_record out = {.data = "22.5 C", .size = 6};
    error = pipc_channel_send(channel, &out, PIPC_FOREVER); /* waits while the ring is full */

    char text[100];
    pipc_record in = {.data = text, .size = sizeof text};
    if (!error)
        error = pipc_channel_receive(channel, &in, PIPC_MS(500));
    if (!error)
        printf("%.*s\n", (int)in.size, text);
    //! [channel]
    pipc_channel_close(channel);
    pipc_channel_remove(name);
    return error || in.size != 6;
}

int show_in_place(const char *name)
{
    pipc_channel *channel;
    int error = pipc_channel_open(&channel, name, PIPC_CREATE, NULL), sum = 0;
    if (error)
        return error;
    //! [in_place]
    /* the producer */
    pipc_record record = {.size = 1000};
    error = pipc_channel_reserve(channel, &record, PIPC_FOREVER);
    if (!error) {
        memset(record.data, 1, 1000); /* make it there; record.size may become smaller */
        error = pipc_channel_commit(channel, &record, 1);
    }

    /* the consumer: all that there are, but not more than eight */
    pipc_record records[8] = {{NULL, 0, 0, 0, 0, 0}};
    uint32_t count = 8;
    if (!error)
        error = pipc_channel_peek(channel, records, &count, PIPC_FOREVER);
    if (!error) {
        for (uint32_t i = 0; i < count; i++)
            sum += ((const char *)records[i].data)[0]; /* look at it there */
        error = pipc_channel_release(channel, count);
    }
    //! [in_place]
    pipc_channel_close(channel);
    pipc_channel_remove(name);
    return error || sum != 1;
}

int show_subscribers(const char *name)
{
    int error;
    //! [subscribers]
    pipc_channel *publisher, *subscriber;
    pipc_channel_options options = {.delivery = PIPC_DELIVER_LATEST};
    error = pipc_channel_open(&publisher, name, PIPC_CREATE | PIPC_SEND, &options);
    if (!error) /* whoever opens for receiving subscribes, and sees all that is sent from now on */
        error = pipc_channel_open(&subscriber, name, PIPC_RECEIVE, NULL);
    if (error)
        return error;

    uint32_t number = 0;
    for (number = 1; number <= 100000; number++) {
        pipc_record out = {.data = &number, .size = sizeof number};
        pipc_channel_send(publisher, &out, PIPC_NOWAIT); /* never waits: the oldest are overwritten */
    }

    pipc_record in = {.data = &number, .size = sizeof number};
    error = pipc_channel_receive(subscriber, &in, PIPC_NOWAIT);
    if (!error)
        printf("missed %u, then got number %u\n", (unsigned)in.missed, (unsigned)number);
    //! [subscribers]
    pipc_channel_close(subscriber);
    pipc_channel_close(publisher);
    pipc_channel_remove(name);
    return error || in.missed + 1 != number;
}
