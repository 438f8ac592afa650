/* What the channel tests share: channels under the run's prefix, records whose bodies can be verified. */
#ifndef PIPC_TESTS_SUPPORT_CHANNEL_H
#define PIPC_TESTS_SUPPORT_CHANNEL_H

#include "support_queue.h"

enum { CHANNEL_SMALL = 4096, CHANNEL_SMALL_MOST = 1008 }; /* the smallest ring, and its largest record */

/* Creates a channel exclusively under test_name(what), opened with both rights; 0 = the default. Fails the test if
 * that fails. */
pipc_channel *channel_make(const char *what, uint32_t producers, uint32_t delivery, uint64_t size);

/* Opens the existing one with these rights (0 = both). */
pipc_channel *channel_join(const char *what, uint32_t flags);

/* Closes the handle (may be NULL) and removes the channel. */
void channel_end(pipc_channel *channel, const char *what);

pipc_channel_info channel_info(pipc_channel *channel);

/* Runs a body for one and for many producers, with each delivery. */
void channel_each_variety(void (*body)(uint32_t producers, uint32_t delivery));

/* A body is one number: its first 8 bytes, then a pattern made from it. */
void channel_fill(void *data, uint64_t number, uint64_t size);
bool channel_is_whole(const void *data, uint64_t number, uint64_t size);

int channel_send(pipc_channel *channel, uint64_t number, uint64_t size, int64_t timeout);

/* Reserves and fills. */
int channel_reserve(pipc_channel *channel, pipc_record *record, uint64_t number, uint64_t size, int64_t timeout);

/* What was received. The body has been compared with what channel_send() makes of its number, if it has 8 bytes. */
struct channel_got {
    uint64_t number, size, missed;
    uint32_t marks;
};

/* Receives up to 2 MiB. A body that is not whole is noted as a failure. */
int channel_receive(pipc_channel *channel, struct channel_got *got, int64_t timeout);

/* Receives without waiting and checks the number; nothing may have been missed, or be marked. */
bool channel_expect(pipc_channel *channel, uint64_t number);

/* The number of a record in place, whose body is checked. */
uint64_t channel_number(const pipc_record *record);

#endif
