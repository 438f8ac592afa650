/* What the fuzzers share: their input as a stream, checks that end the process, names of their own. */
#ifndef PIPC_TESTS_FUZZ_H
#define PIPC_TESTS_FUZZ_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "pipc/pipc.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

/* Ends the process with the condition, so that the fuzzer keeps the input. Objects of this process are removed. */
#define EXPECT(condition) ((condition) ? (void)0 : fuzz_found(__FILE__, __LINE__, #condition))
#define EXPECT_ERROR(call, error)                                                                                      \
    fuzz_expect_error((call), PIPC_E_##error, __FILE__, __LINE__, #call) /* error: FULL, EMPTY, ... */
#define EXPECT_OK(call) fuzz_expect_error((call), PIPC_OK, __FILE__, __LINE__, #call)

_Noreturn void fuzz_found(const char *file, int line, const char *condition);
void fuzz_expect_error(int actual, int expected, const char *file, int line, const char *call);

/* This process's beginning of names, about 12 bytes, and a name that begins with it. */
const char *fuzz_prefix(void);
const char *fuzz_name(const char *what); /* one of 4 static buffers, in turn */

/* The input, read from its beginning; zeros behind its end. */
struct fuzz_input {
    const uint8_t *data;
    size_t size;
};

bool fuzz_more(const struct fuzz_input *input);
uint8_t fuzz_byte(struct fuzz_input *input);
uint16_t fuzz_short(struct fuzz_input *input);
uint64_t fuzz_long(struct fuzz_input *input);

/* One of the four selections, of types 1 to 6. */
pipc_selection fuzz_selection(struct fuzz_input *input);

/* Messages whose bodies are made from their number. What is sent and received is compared by the caller. */
int fuzz_send(pipc_queue *queue, uint32_t type, uint32_t priority, uint64_t number, uint64_t size);
bool fuzz_is_body(const void *body, uint64_t number, uint64_t size);

enum { FUZZ_LARGEST = 9000 };
unsigned char *fuzz_buffer(void); /* of FUZZ_LARGEST bytes */

#endif
