/* Messages that can be checked. The loops are plain, for the compiler to make vectors of. */
#include "bench/runner/message.h"

#include <inttypes.h>
#include <stdlib.h>

#include "bench/system.h"

#define GOLDEN UINT64_C(0x9e3779b97f4a7c15)
#define HEADER 2 /* words */

void *bench_buffer(size_t size)
{
    size_t whole = BENCH_HEAD + (size + 63) / 64 * 64;
    char *buffer = aligned_alloc(64, whole);
    if (!buffer)
        bench_die("no memory");
    for (size_t at = 0; at < whole; at++)
        buffer[at] = 0;
    return buffer + BENCH_HEAD;
}

static uint64_t sum_of(const uint64_t *words, size_t count)
{
    uint64_t sum = 0;
    for (size_t i = 0; i < count; i++)
        sum += words[i];
    return sum;
}

void bench_prepare(struct bench_bodies *bodies, size_t size)
{
    size_t words = size / sizeof(uint64_t);
    if (size % sizeof(uint64_t) || words == 0)
        bench_die("the size must be a multiple of 8");
    bodies->size = size;
    for (int which = 0; which < 2; which++) {
        uint64_t *body = bench_buffer(size);
        for (size_t i = HEADER; i < words; i++)
            body[i] = (i * 2 + (size_t)which) * GOLDEN;
        bodies->words[which] = body;
        bodies->sums[which] = words > HEADER ? sum_of(body + HEADER, words - HEADER) : 0;
    }
}

void *bench_stamp(struct bench_bodies *bodies, uint64_t sequence)
{
    uint64_t *words = bodies->words[sequence & 1];
    words[0] = sequence;
    if (bodies->size > sizeof(uint64_t))
        words[1] = bodies->sums[sequence & 1] ^ (sequence * GOLDEN);
    return words;
}

static void check_size(size_t size, size_t expected)
{
    if (size != expected)
        bench_die("a message of %zu bytes came, not %zu", size, expected);
}

uint64_t bench_check(const void *message, size_t size, size_t expected)
{
    check_size(size, expected);
    const uint64_t *words = message;
    size_t count = size / sizeof(uint64_t);
    if (count < HEADER)
        return words[0];
    if (words[1] != (sum_of(words + HEADER, count - HEADER) ^ (words[0] * GOLDEN)))
        bench_die("message %" PRIu64 " is torn", words[0]);
    return words[0];
}

void bench_fill(void *message, size_t size, uint64_t sequence)
{
    uint64_t *words = message;
    words[0] = sequence;
    for (size_t i = 1; i < size / sizeof(uint64_t); i++)
        words[i] = sequence * GOLDEN + i;
}

uint64_t bench_check_filled(const void *message, size_t size, size_t expected)
{
    check_size(size, expected);
    const uint64_t *words = message;
    uint64_t differences = 0;
    for (size_t i = 1; i < size / sizeof(uint64_t); i++)
        differences |= words[i] ^ (words[0] * GOLDEN + i);
    if (differences)
        bench_die("message %" PRIu64 " is torn", words[0]);
    return words[0];
}

void bench_in_order(uint64_t sequence, uint64_t expected)
{
    if (sequence != expected)
        bench_die("message %" PRIu64 " came, not %" PRIu64, sequence, expected);
}
