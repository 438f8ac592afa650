/* Records whose bodies can be verified, and the channels that carry them. */
#ifndef PIPC_TESTS_PARCEL_H
#define PIPC_TESTS_PARCEL_H

#include "support.h"

/* The beginning of every record; a pattern made from it follows. */
struct parcel {
    uint32_t sender;
    uint32_t size; /* of the record, at least that of this struct */
    uint64_t number;
};

void parcel_fill(void *place, const struct parcel *parcel);

/* Is this a record that parcel_fill() made, whole? Tells which. */
bool parcel_read(const void *place, uint64_t size, struct parcel *parcel);

/* Creates a channel exclusively under test_name(what), opens the existing one; 0 = both rights. */
pipc_channel *parcel_channel(const char *what, uint32_t flags, const pipc_channel_options *options);
pipc_channel *parcel_join(const char *what, uint32_t flags);

/* Closes the handle (may be NULL) and removes the channel. */
void parcel_end(pipc_channel *channel, const char *what);

pipc_channel_info parcel_info(pipc_channel *channel);

int parcel_send(pipc_channel *channel, const struct parcel *parcel, int64_t timeout);

/* Receives into a buffer of 1 MiB; a record that is not whole is noted as a failure. `record` may be NULL. */
int parcel_receive(pipc_channel *channel, struct parcel *parcel, pipc_record *record, int64_t timeout);

#endif
