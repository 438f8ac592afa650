/* Names: what may be one, and that two of them never meet. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "kinds.h"

static void make(const struct kind *kind, const char *name, uint32_t number)
{
    void *handle;
    REQUIRE_OK(kind->open(&handle, name, PIPC_CREATE | PIPC_EXCLUSIVE, 0));
    CHECK_OK(kind->write(handle, number));
    CHECK_OK(kind->close(handle));
}

static void expect_number(const struct kind *kind, const char *name, uint32_t expected)
{
    void *handle;
    uint32_t number = 0;
    REQUIRE_OK(kind->open(&handle, name, 0, 0));
    CHECK_OK(kind->read(handle, &number));
    CHECK_EQUAL(number, expected);
    CHECK_OK(kind->close(handle));
}

static void expect_absent(const struct kind *kind, const char *name)
{
    void *handle = (void *)1;
    CHECK_ERROR(kind->open(&handle, name, 0, 0), NOT_FOUND);
    CHECK(handle == NULL);
}

static void works(const struct kind *kind, const char *name)
{
    make(kind, name, 4711);
    expect_number(kind, name, 4711);
    CHECK_OK(kind->remove(name));
    expect_absent(kind, name);
}

static void refused(const struct kind *kind, const char *name)
{
    void *handle = (void *)1;
    CHECK_ERROR(kind->open(&handle, name, PIPC_CREATE, 0), NAME);
    CHECK(handle == NULL);
    CHECK(pipc_error_detail()[0] != '\0');
    CHECK_ERROR(kind->open(&handle, name, 0, 0), NAME);
    CHECK_ERROR(kind->remove(name), NAME);
}

/* The prefix of this run, then letters up to this length. */
static const char *long_name(char *buffer, size_t length, char last)
{
    memset(buffer, 'n', length);
    memcpy(buffer, test_prefix(), strlen(test_prefix()));
    buffer[length - 1] = last;
    buffer[length] = '\0';
    return buffer;
}

/* ---- what may be a name ---- */

/* One byte cannot carry the run's prefix: take one that is free, beyond ASCII, where nobody else looks. */
static void one_byte(const struct kind *kind)
{
    for (unsigned i = 0; i < 128; i++) {
        char name[2] = {(char)(0x80 + (i + (unsigned)getpid()) % 128), 0};
        void *handle;
        int error = kind->open(&handle, name, PIPC_CREATE | PIPC_EXCLUSIVE, 0);
        if (error == PIPC_E_EXISTS)
            continue;
        REQUIRE_OK(error);
        CHECK_OK(kind->close(handle));
        CHECK_OK(kind->remove(name));
        return;
    }
    CHECK(!"a name of one byte was free");
}

static void a_name_may_be_one_byte_long(void)
{
    kind_all(one_byte);
}

static void two_hundred_bytes(const struct kind *kind)
{
    char name[300], other[300];
    long_name(name, PIPC_NAME_MAX, 'a');
    long_name(other, PIPC_NAME_MAX, 'b'); /* a name that is cut would be the same */
    make(kind, name, 1);
    make(kind, other, 2);
    expect_number(kind, name, 1);
    expect_number(kind, other, 2);
    CHECK_OK(kind->remove(name));
    CHECK_OK(kind->remove(other));
}

static void a_name_may_be_200_bytes_long_and_counts_whole(void)
{
    kind_all(two_hundred_bytes);
}

static void too_long(const struct kind *kind)
{
    char name[5000];
    refused(kind, long_name(name, PIPC_NAME_MAX + 1, 'a'));
    refused(kind, long_name(name, 255, 'a'));
    refused(kind, long_name(name, sizeof name - 1, 'a'));
}

static void a_longer_name_is_refused(void)
{
    kind_all(too_long);
}

static void utf8(const struct kind *kind)
{
    works(kind, test_name("消息队列"));
    works(kind, test_name("Größe-κόσμε-🦀"));
}

static void a_name_may_be_utf8(void)
{
    kind_all(utf8);
}

static bool legal(unsigned byte)
{
    return byte >= 0x20 && byte != '/' && byte != 0x7f;
}

static void each_byte(const struct kind *kind)
{
    for (unsigned byte = 1; byte < 256; byte++) {
        char inside[] = {'x', (char)byte, 'y', 0}, end[] = {'x', (char)byte, 0};
        if (!legal(byte)) {
            refused(kind, test_name(inside));
            refused(kind, test_name(end));
        } else {
            works(kind, test_name(inside));
        }
    }
}

static void every_byte_but_slash_and_controls_is_allowed(void)
{
    kind_all(each_byte);
}

static void odd(const struct kind *kind)
{
    char name[64];
    refused(kind, "");
    refused(kind, ".");
    refused(kind, "..");
    refused(kind, "/");
    snprintf(name, sizeof name, "/%s", test_name("slash"));
    refused(kind, name);
    for (unsigned dots = 1; dots <= 3; dots++) {
        snprintf(name, sizeof name, "%.*s%s", (int)dots, "...", test_name("dots"));
        works(kind, name);
    }
    works(kind, test_name("."));
    works(kind, test_name(".."));
    works(kind, test_name("%s%n%d"));
    works(kind, test_name("\\..\\"));
    works(kind, test_name(" "));
}

static void dots_alone_and_slashes_are_refused_and_odd_names_are_fine(void)
{
    kind_all(odd);
}

/* ---- that names never meet ---- */

struct hashed {
    uint32_t hash;
    uint32_t number;
};

static int by_hash(const void *left, const void *right)
{
    const struct hashed *a = left, *b = right;
    return a->hash < b->hash ? -1 : a->hash > b->hash;
}

/* Numbers in a row would differ in their last digits only, and hashes like to keep such names apart. */
static const char *spread(uint32_t number)
{
    return test_numbered("", number * 2654435761u);
}

/* Names whose hashes differ by `apart`, found by a birthday search. */
static unsigned find_alike(uint32_t kind, uint32_t apart, uint32_t pairs[][2], unsigned wanted)
{
    enum { COUNT = 500000 };
    struct hashed *all = malloc(COUNT * sizeof *all);
    REQUIRE(all != NULL);
    unsigned found = 0;
    for (uint32_t i = 0; i < COUNT; i++)
        all[i] = (struct hashed){pipc_name_hash(kind, spread(i)), i};
    qsort(all, COUNT, sizeof *all, by_hash);
    for (uint32_t i = 0; i + 1 < COUNT && found < wanted; i++) {
        if (all[i + 1].hash - all[i].hash != apart)
            continue;
        pairs[found][0] = all[i].number;
        pairs[found++][1] = all[i + 1].number;
    }
    free(all);
    return found;
}

static void keep_apart(const struct kind *kind, const char *first, const char *second)
{
    make(kind, first, 1);
    expect_absent(kind, second);
    make(kind, second, 2);
    expect_number(kind, first, 1);
    expect_number(kind, second, 2);
    CHECK_OK(kind->remove(first));
    expect_absent(kind, first); /* the way to the second leads past the first one's empty place */
    void *handle;
    CHECK_ERROR(kind->open(&handle, second, PIPC_CREATE | PIPC_EXCLUSIVE, 0), EXISTS);
    make(kind, first, 3);
    expect_number(kind, first, 3);
    CHECK_OK(kind->remove(second));
    expect_absent(kind, second);
    CHECK_OK(kind->remove(first));
    expect_absent(kind, first);
}

static void hash_alike(const struct kind *kind)
{
    uint32_t pairs[8][2];
    for (uint32_t apart = 0; apart < 2; apart++) {
        unsigned found = find_alike(kind->number, apart, pairs, 8);
        CHECK(found > 0);
        for (unsigned i = 0; i < found; i++) {
            keep_apart(kind, spread(pairs[i][0]), spread(pairs[i][1]));
            keep_apart(kind, spread(pairs[i][1]), spread(pairs[i][0]));
        }
    }
}

static void names_that_hash_alike_never_meet(void)
{
    kind_all(hash_alike);
}

static void things_of_each_kind_may_have_one_name(void)
{
    const char *name = test_name("both");
    make(&kind_queue, name, 1);
    expect_absent(&kind_shm, name);
    expect_absent(&kind_channel, name);
    make(&kind_shm, name, 2);
    expect_absent(&kind_channel, name);
    make(&kind_channel, name, 4);
    expect_number(&kind_queue, name, 1);
    expect_number(&kind_shm, name, 2);
    CHECK_OK(pipc_queue_remove(name));
    expect_absent(&kind_queue, name);
    expect_number(&kind_shm, name, 2);
    make(&kind_queue, name, 3);
    CHECK_OK(pipc_shm_remove(name));
    expect_absent(&kind_shm, name);
    expect_number(&kind_queue, name, 3);
    CHECK_OK(pipc_queue_remove(name));
    expect_number(&kind_channel, name, 4);
    CHECK_OK(pipc_channel_remove(name));
}

static void prefixes(const struct kind *kind)
{
    make(kind, test_name("stem"), 1);
    expect_absent(kind, test_name("ste"));
    expect_absent(kind, test_name("stems"));
    expect_absent(kind, test_name("STEM"));
    CHECK_OK(kind->remove(test_name("stem")));
}

static void a_name_is_neither_its_prefix_nor_its_other_case(void)
{
    kind_all(prefixes);
}

static void used_again(const struct kind *kind)
{
    for (unsigned i = 0; i < 50; i++) {
        void *handle;
        uint32_t number = 0;
        REQUIRE_OK(kind->open(&handle, test_name("again"), PIPC_CREATE | PIPC_EXCLUSIVE, 0));
        int error = kind->read(handle, &number);
        CHECK(error == PIPC_E_EMPTY || number == 0); /* nothing of the one before */
        CHECK_OK(kind->write(handle, i + 1));
        CHECK_OK(kind->close(handle));
        CHECK_OK(kind->remove(test_name("again")));
    }
}

static void a_name_can_be_used_again_and_starts_empty(void)
{
    kind_all(used_again);
}

static const struct test tests[] = {
    {"Q1 M1", "a_name_may_be_one_byte_long", a_name_may_be_one_byte_long, 0},
    {"Q1 M1", "a_name_may_be_200_bytes_long_and_counts_whole", a_name_may_be_200_bytes_long_and_counts_whole, 0},
    {"Q1 M1", "a_longer_name_is_refused", a_longer_name_is_refused, 0},
    {"Q1 M1", "a_name_may_be_utf8", a_name_may_be_utf8, 0},
    {"Q1 M1", "every_byte_but_slash_and_controls_is_allowed", every_byte_but_slash_and_controls_is_allowed, 0},
    {"Q1 M1", "dots_alone_and_slashes_are_refused_and_odd_names_are_fine",
     dots_alone_and_slashes_are_refused_and_odd_names_are_fine, 0},
    {"Q1 M1", "names_that_hash_alike_never_meet", names_that_hash_alike_never_meet, 0},
    {"Q1 M1", "things_of_each_kind_may_have_one_name", things_of_each_kind_may_have_one_name, 0},
    {"Q1 M1", "a_name_is_neither_its_prefix_nor_its_other_case", a_name_is_neither_its_prefix_nor_its_other_case, 0},
    {"Q1 Q10 M1", "a_name_can_be_used_again_and_starts_empty", a_name_can_be_used_again_and_starts_empty, 0},
};

TEST_MAIN("opening_names", tests)
