/* Names: any bytes. What is a name is judged here once more, from the words of base.h alone; a legal name leads to
 * one object, and no other name leads there. */
#include <string.h>

#include "core/object.h"
#include "fuzz.h"

enum { LONGEST = 260 };

/* 1 to 200 bytes, any but '/', 0x00 to 0x1f and 0x7f; neither "." nor "..". */
static bool is_legal(const char *name)
{
    static const char forbidden[] =
        "/\x7f\x01\x02\x03\x04\x05\x06\x07\x08\x09\x0a\x0b\x0c\x0d\x0e\x0f\x10\x11\x12\x13\x14"
        "\x15\x16\x17\x18\x19\x1a\x1b\x1c\x1d\x1e\x1f";
    size_t length = strlen(name);
    return length >= 1 && length <= 200 && strcspn(name, forbidden) == length && strcmp(name, ".") != 0 &&
           strcmp(name, "..") != 0;
}

static void check_each_call(const char *name)
{
    pipc_shm *shm = NULL;
    pipc_queue *queue = NULL;
    int expected = is_legal(name) ? PIPC_E_NOT_FOUND : PIPC_E_NAME;
    EXPECT((pipc_name_check(name) == 0) == is_legal(name));
    EXPECT(pipc_shm_open(&shm, name, 0, NULL) == expected && !shm);
    EXPECT(pipc_queue_open(&queue, name, 0, NULL) == expected && !queue);
    EXPECT(pipc_shm_remove(name) == expected);
    EXPECT(pipc_queue_remove(name) == expected);
}

/* Another name, one bit away, if that is a name. */
static void check_neighbour(const char *name, unsigned bit)
{
    char other[LONGEST];
    pipc_shm *shm = NULL;
    size_t at = strlen(fuzz_prefix()) + bit / 8 % (strlen(name) - strlen(fuzz_prefix()));
    strcpy(other, name);
    other[at] = (char)(other[at] ^ 1 << bit % 8);
    if (other[at] != 0 && is_legal(other))
        EXPECT_ERROR(pipc_shm_open(&shm, other, 0, NULL), NOT_FOUND);
}

static void check_life(const char *name, unsigned bit)
{
    const pipc_shm_options options = {.size = 64};
    pipc_shm *made = NULL, *again = NULL;
    uint64_t size = 0;
    pipc_queue *queue = NULL;
    if (!is_legal(name)) {
        EXPECT_ERROR(pipc_shm_open(&made, name, PIPC_CREATE, &options), NAME);
        return;
    }
    EXPECT_OK(pipc_shm_open(&made, name, PIPC_CREATE | PIPC_EXCLUSIVE, &options));
    EXPECT_ERROR(pipc_shm_open(&again, name, PIPC_CREATE | PIPC_EXCLUSIVE, &options), EXISTS);
    EXPECT_ERROR(pipc_queue_open(&queue, name, 0, NULL), NOT_FOUND);
    EXPECT_OK(pipc_shm_open(&again, name, PIPC_READ, NULL));
    EXPECT_OK(pipc_shm_size(again, &size));
    EXPECT(size == 64);
    if (name[strlen(fuzz_prefix())] != 0)
        check_neighbour(name, bit);
    EXPECT_OK(pipc_shm_remove(name));
    EXPECT_ERROR(pipc_shm_size(again, &size), REMOVED);
    EXPECT_ERROR(pipc_shm_remove(name), NOT_FOUND);
    pipc_shm_close(made);
    pipc_shm_close(again);
}

/* A queue too, one time in sixteen: it takes more of the kernel. */
static void check_queue(const char *name)
{
    const pipc_queue_options options = {.max_messages = 1, .max_size = 8};
    pipc_queue *queue = NULL;
    EXPECT_OK(pipc_queue_open(&queue, name, PIPC_CREATE | PIPC_EXCLUSIVE, &options));
    EXPECT_OK(pipc_queue_remove(name));
    EXPECT_OK(pipc_queue_close(queue));
}

/* The input's first two bytes are the neighbour's bit; all else is the name, as it is and behind our prefix. */
int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    char name[LONGEST] = "";
    struct fuzz_input input = {data, size};
    unsigned bit = fuzz_short(&input);
    for (size_t i = 0; i < sizeof name - 1 && fuzz_more(&input); i++)
        name[i] = (char)fuzz_byte(&input);
    check_each_call(name);
    const char *ours = fuzz_name(name);
    if (strlen(ours) < LONGEST)
        check_life(ours, bit);
    if (bit % 16 == 0 && is_legal(ours))
        check_queue(ours);
    return 0;
}
