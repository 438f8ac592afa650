/* The messages: each has a sequence number and a check word over its body, and each is checked.
 *
 * Words of 8 bytes: the sequence number, the check word, the body. One with a copy comes from one of two prepared
 * bodies in turn, so that a message made of halves of two is noticed; one in place is written anew, every word. */
#ifndef BENCH_MESSAGE_H
#define BENCH_MESSAGE_H

#include <stddef.h>
#include <stdint.h>

#define BENCH_LAST (UINT64_C(1) << 63) /* in the sequence number: this sender sends no more */

struct bench_bodies {
    uint64_t *words[2];
    uint64_t sums[2];
    size_t size;
};

void *bench_buffer(size_t size); /* aligned to 64, BENCH_HEAD bytes in front */

void bench_prepare(struct bench_bodies *bodies, size_t size);
void *bench_stamp(struct bench_bodies *bodies, uint64_t sequence);

/* The sequence number. Ends the process if the message is not whole. */
uint64_t bench_check(const void *message, size_t size, size_t expected);

/* The same for messages of which every word was written. */
void bench_fill(void *message, size_t size, uint64_t sequence);
uint64_t bench_check_filled(const void *message, size_t size, size_t expected);

/* Ends the process unless the sequence number is this. */
void bench_in_order(uint64_t sequence, uint64_t expected);

#endif
