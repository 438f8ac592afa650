/* See fuzz.h. */
#include "fuzz.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "probe.h"

void __sanitizer_set_death_callback(void (*callback)(void));

static void tell_nobody(const char *name)
{
    (void)name;
}

static void clear_up(void)
{
    probe_remove_leftovers(fuzz_prefix(), tell_nobody);
}

void fuzz_found(const char *file, int line, const char *condition)
{
    fprintf(stderr, "FOUND|%s:%d: %s; last detail: %s\n", file, line, condition, pipc_error_detail());
    clear_up();
    abort();
}

void fuzz_expect_error(int actual, int expected, const char *file, int line, const char *call)
{
    if (actual == expected)
        return;
    fprintf(stderr, "%s answered %s, not %s\n", call, pipc_error_name(actual), pipc_error_name(expected));
    fuzz_found(file, line, call);
}

const char *fuzz_prefix(void)
{
    static char prefix[24];
    if (prefix[0])
        return prefix;
    snprintf(prefix, sizeof prefix, "f%x-%04x.", (unsigned)getpid(), (unsigned)(uintptr_t)prefix >> 4 & 0xffffu);
    atexit(clear_up);
    __sanitizer_set_death_callback(clear_up);
    return prefix;
}

const char *fuzz_name(const char *what)
{
    static char names[4][300];
    static unsigned turn;
    char *name = names[turn++ % 4];
    snprintf(name, sizeof names[0], "%s%s", fuzz_prefix(), what);
    return name;
}

bool fuzz_more(const struct fuzz_input *input)
{
    return input->size > 0;
}

uint8_t fuzz_byte(struct fuzz_input *input)
{
    if (input->size == 0)
        return 0;
    input->size--;
    return *input->data++;
}

uint16_t fuzz_short(struct fuzz_input *input)
{
    uint16_t high = fuzz_byte(input);
    return (uint16_t)(high << 8 | fuzz_byte(input));
}

uint64_t fuzz_long(struct fuzz_input *input)
{
    uint64_t value = 0;
    for (int i = 0; i < 4; i++)
        value = value << 16 | fuzz_short(input);
    return value;
}

pipc_selection fuzz_selection(struct fuzz_input *input)
{
    uint8_t dice = fuzz_byte(input);
    uint32_t type = 1 + dice / 4 % 6;
    switch (dice % 4) {
    case 0:
        return pipc_any();
    case 1:
        return pipc_exactly(type);
    case 2:
        return pipc_except(type);
    default:
        return pipc_up_to(type);
    }
}

static unsigned char pattern(uint64_t number, uint64_t at)
{
    return (unsigned char)(number * 31 + at * 7 + (at >> 8));
}

int fuzz_send(pipc_queue *queue, uint32_t type, uint32_t priority, uint64_t number, uint64_t size)
{
    static unsigned char body[FUZZ_LARGEST];
    for (uint64_t at = 0; at < size && at < sizeof body; at++)
        body[at] = pattern(number, at);
    pipc_message message = {.data = body, .size = size, .type = type, .priority = priority};
    return pipc_queue_send(queue, &message, PIPC_NOWAIT);
}

bool fuzz_is_body(const void *body, uint64_t number, uint64_t size)
{
    for (uint64_t at = 0; at < size; at++)
        if (((const unsigned char *)body)[at] != pattern(number, at))
            return false;
    return true;
}

/* Each time anew from the heap, so that a byte too many is seen. */
unsigned char *fuzz_buffer(void)
{
    static unsigned char *buffer;
    free(buffer);
    buffer = malloc(FUZZ_LARGEST);
    EXPECT(buffer != NULL);
    return buffer;
}
