/* Memory: what is in it, how it is mapped, and what removal does. */
#include <pthread.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "support.h"

enum { READ_WRITE = PIPC_READ | PIPC_WRITE, KILLED_BY_FAULT = 128 + SIGSEGV };

static pipc_shm *create(const char *name, uint64_t size)
{
    pipc_shm *shm;
    REQUIRE_OK(pipc_shm_open(&shm, name, PIPC_CREATE | PIPC_EXCLUSIVE, &(pipc_shm_options){.size = size}));
    return shm;
}

static unsigned char *map(pipc_shm *shm, uint32_t flags)
{
    void *address;
    REQUIRE_OK(pipc_shm_map(shm, flags, &address));
    CHECK(address != NULL);
    CHECK_EQUAL((uintptr_t)address % (uintptr_t)sysconf(_SC_PAGESIZE), 0);
    return address;
}

static void finish(pipc_shm *shm, const char *name)
{
    CHECK_OK(pipc_shm_close(shm));
    CHECK_OK(pipc_shm_remove(name));
}

static bool all(const unsigned char *bytes, uint64_t size, unsigned char expected)
{
    for (uint64_t i = 0; i < size; i++)
        if (bytes[i] != expected)
            return false;
    return true;
}

/* ---- content and size ---- */

static void fresh_memory(uint64_t size)
{
    const char *name = test_name("fresh");
    for (unsigned life = 0; life < 3; life++) { /* nothing of an earlier life shows */
        pipc_shm *shm = create(name, size);
        unsigned char *bytes = map(shm, READ_WRITE);
        uint64_t told = 0;
        CHECK(all(bytes, size, 0));
        memset(bytes, 0xa5, size);
        CHECK(all(bytes, size, 0xa5));
        CHECK_OK(pipc_shm_size(shm, &told));
        CHECK_EQUAL(told, size);
        finish(shm, name);
    }
}

static void new_memory_is_zero_filled_and_has_its_exact_size(void)
{
    static const uint64_t sizes[] = {1, 7, 4088, 4095, 4096, 4097, 65536, 1048576, 1048577, 9000000};
    for (unsigned i = 0; i < sizeof sizes / sizeof sizes[0]; i++)
        fresh_memory(sizes[i]);
}

static void opening_tells_the_size(void)
{
    const char *name = test_name("size");
    pipc_shm *made = create(name, 12345), *found;
    pipc_shm_info info;
    uint64_t size = 0;
    REQUIRE_OK(pipc_shm_open(&found, name, PIPC_READ, NULL));
    CHECK_OK(pipc_shm_size(found, &size));
    CHECK_EQUAL(size, 12345);
    CHECK_OK(pipc_shm_statistics(found, &info));
    CHECK_EQUAL(info.size, 12345);
    CHECK_EQUAL(info.reserved, 0);
    CHECK_OK(pipc_shm_close(found));
    finish(made, name);
}

static int write_by_name(void *argument)
{
    pipc_shm *shm;
    REQUIRE_OK(pipc_shm_open(&shm, argument, 0, NULL));
    unsigned char *bytes = map(shm, READ_WRITE);
    CHECK_EQUAL(bytes[0], 1);
    CHECK_EQUAL(bytes[8191], 2);
    memset(bytes, 0x77, 8192);
    return pipc_shm_close(shm);
}

static void processes_see_each_others_bytes(void)
{
    const char *name = test_name("shared");
    pipc_shm *shm = create(name, 8192);
    unsigned char *bytes = map(shm, READ_WRITE);
    bytes[0] = 1;
    bytes[8191] = 2;
    CHECK_EQUAL(test_wait(test_fork(write_by_name, (void *)name), PIPC_SECONDS(10)), 0);
    CHECK(all(bytes, 8192, 0x77));
    finish(shm, name);
}

static int use_inherited(void *argument)
{
    pipc_shm *shm = argument;
    unsigned char *bytes = map(shm, READ_WRITE);
    CHECK_EQUAL(bytes[10], 10);
    bytes[11] = 11;
    return pipc_shm_close(shm);
}

static void a_handle_works_in_a_forked_child(void)
{
    const char *name = test_name("inherited");
    pipc_shm *shm = create(name, 4096);
    unsigned char *bytes = map(shm, READ_WRITE);
    bytes[10] = 10;
    CHECK_EQUAL(test_wait(test_fork(use_inherited, shm), PIPC_SECONDS(10)), 0);
    CHECK_EQUAL(bytes[11], 11);
    bytes[12] = 12; /* the child's close took nothing from the parent */
    CHECK_EQUAL(map(shm, PIPC_READ)[12], 12);
    finish(shm, name);
}

/* ---- mappings ---- */

struct touch {
    pipc_shm *shm;
    unsigned char *address;
    bool close_first, unmap_first;
};

/* Ends by a fault; if not, answers 0. */
static int touch_it(void *argument)
{
    struct touch *touch = argument;
    signal(SIGSEGV, SIG_DFL); /* a sanitizer would turn the fault into a report */
    signal(SIGBUS, SIG_DFL);
    if (touch->unmap_first)
        CHECK_OK(pipc_shm_unmap(touch->shm, touch->address));
    if (touch->close_first)
        CHECK_OK(pipc_shm_close(touch->shm));
    *(volatile unsigned char *)touch->address = 1;
    return 0;
}

static int touched(struct touch touch)
{
    return test_wait(test_fork(touch_it, &touch), PIPC_SECONDS(20));
}

static void a_write_to_a_read_only_mapping_faults(void)
{
    const char *name = test_name("fault");
    pipc_shm *both = create(name, 5000), *reader;
    unsigned char *writable = map(both, READ_WRITE);
    REQUIRE_OK(pipc_shm_open(&reader, name, PIPC_READ, NULL));
    unsigned char *view = map(both, PIPC_READ), *readers_view = map(reader, PIPC_READ);
    writable[0] = 9;
    CHECK_EQUAL(view[0], 9);
    CHECK_EQUAL(readers_view[0], 9);
    CHECK_EQUAL(touched((struct touch){.shm = both, .address = writable}), 0);
    CHECK_EQUAL(touched((struct touch){.shm = both, .address = view}), KILLED_BY_FAULT);
    CHECK_EQUAL(touched((struct touch){.shm = reader, .address = readers_view}), KILLED_BY_FAULT);
    CHECK_OK(pipc_shm_close(reader));
    finish(both, name);
}

/* Whatever the mappings before it were, and in whatever order they ended. */
static void a_later_read_only_mapping_faults_too(void)
{
    const char *name = test_name("later");
    pipc_shm *shm = create(name, 5000);
    for (unsigned turn = 0; turn < 8; turn++) {
        unsigned first = turn / 4;
        unsigned char *mappings[2];
        for (unsigned i = 0; i < 2; i++)
            mappings[i] = map(shm, turn & (1u << i) ? PIPC_READ : READ_WRITE);
        for (unsigned i = 0; i < 2; i++)
            CHECK_OK(pipc_shm_unmap(shm, mappings[i ^ first]));
        mappings[0] = map(shm, PIPC_READ);
        CHECK_EQUAL(touched((struct touch){.shm = shm, .address = mappings[0]}), KILLED_BY_FAULT);
        CHECK_OK(pipc_shm_unmap(shm, mappings[0]));
    }
    finish(shm, name);
}

static void a_read_only_handle_cannot_be_mapped_writable(void)
{
    const char *name = test_name("reader");
    pipc_shm *made = create(name, 100), *reader;
    void *address = (void *)1;
    REQUIRE_OK(pipc_shm_open(&reader, name, PIPC_READ, NULL));
    CHECK_ERROR(pipc_shm_map(reader, READ_WRITE, &address), ACCESS);
    CHECK(address == NULL);
    CHECK_OK(pipc_shm_close(reader));
    finish(made, name);
}

static void several_mappings_show_the_same_memory(void)
{
    enum { MAPPINGS = 20 };
    const char *name = test_name("several");
    unsigned char *mappings[MAPPINGS];
    pipc_shm *shm = create(name, 4096);
    for (unsigned i = 0; i < MAPPINGS; i++) {
        mappings[i] = map(shm, i % 3 ? READ_WRITE : PIPC_READ);
        for (unsigned j = 0; j < i; j++)
            CHECK(mappings[i] != mappings[j]);
    }
    mappings[1][77] = 42;
    for (unsigned i = 0; i < MAPPINGS; i++)
        CHECK_EQUAL(mappings[i][77], 42);
    for (unsigned i = 0; i < MAPPINGS; i += 2)
        CHECK_OK(pipc_shm_unmap(shm, mappings[i]));
    mappings[7][78] = 43;
    for (unsigned i = 1; i < MAPPINGS; i += 2)
        CHECK_EQUAL(mappings[i][78], 43);
    finish(shm, name);
}

static void unmap_takes_only_what_this_handle_mapped(void)
{
    const char *name = test_name("unmap");
    pipc_shm *shm = create(name, 9000), *other;
    REQUIRE_OK(pipc_shm_open(&other, name, 0, NULL));
    unsigned char *bytes = map(shm, READ_WRITE);
    unsigned char here[16];
    CHECK_ERROR(pipc_shm_unmap(shm, NULL), INVALID);
    CHECK_ERROR(pipc_shm_unmap(shm, here), INVALID);
    CHECK_ERROR(pipc_shm_unmap(shm, bytes + 1), INVALID);
    CHECK_ERROR(pipc_shm_unmap(shm, bytes + 4096), INVALID);
    CHECK_ERROR(pipc_shm_unmap(other, bytes), INVALID);
    bytes[8999] = 1; /* all that unmapped nothing */
    CHECK_OK(pipc_shm_unmap(shm, bytes));
    CHECK_ERROR(pipc_shm_unmap(shm, bytes), INVALID);
    CHECK_OK(pipc_shm_close(other));
    finish(shm, name);
}

static void closing_and_unmapping_end_the_mapping(void)
{
    const char *name = test_name("ended");
    pipc_shm *shm = create(name, 4096);
    unsigned char *bytes = map(shm, READ_WRITE);
    CHECK_EQUAL(touched((struct touch){.shm = shm, .address = bytes, .close_first = true}), KILLED_BY_FAULT);
    CHECK_EQUAL(touched((struct touch){.shm = shm, .address = bytes, .unmap_first = true}), KILLED_BY_FAULT);
    CHECK_EQUAL(touched((struct touch){.shm = shm, .address = bytes}), 0);
    finish(shm, name);
}

static void map_refuses_odd_rights_and_flags(void)
{
    static const uint32_t flags[] = {0, PIPC_WRITE, PIPC_PREFAULT, PIPC_READ | PIPC_CREATE, PIPC_READ | 0x80000000u};
    const char *name = test_name("flags");
    pipc_shm *shm = create(name, 100);
    void *address;
    for (unsigned i = 0; i < sizeof flags / sizeof flags[0]; i++) {
        address = (void *)1;
        CHECK_ERROR(pipc_shm_map(shm, flags[i], &address), INVALID);
        CHECK(address == NULL);
    }
    CHECK_ERROR(pipc_shm_map(shm, READ_WRITE, NULL), INVALID);
    CHECK_ERROR(pipc_shm_map(NULL, READ_WRITE, &address), INVALID);
    finish(shm, name);
}

static void *map_and_unmap(void *argument)
{
    for (unsigned i = 0; i < 300; i++) {
        void *address;
        REQUIRE_OK(pipc_shm_map(argument, READ_WRITE, &address));
        __atomic_fetch_add((uint64_t *)address, 1, __ATOMIC_RELAXED);
        CHECK_OK(pipc_shm_unmap(argument, address));
    }
    return NULL;
}

static void threads_may_map_and_unmap_one_handle(void)
{
    pthread_t threads[4];
    const char *name = test_name("threads");
    pipc_shm *shm = create(name, 4096);
    for (unsigned i = 0; i < 4; i++)
        REQUIRE(pthread_create(&threads[i], NULL, map_and_unmap, shm) == 0);
    for (unsigned i = 0; i < 4; i++)
        pthread_join(threads[i], NULL);
    CHECK_EQUAL(*(uint64_t *)map(shm, PIPC_READ), 1200);
    finish(shm, name);
}

/* ---- removal ---- */

struct outlive {
    const char *name;
    _Atomic uint32_t mapped, removed;
};

static int live_on(void *argument)
{
    struct outlive *outlive = argument;
    pipc_shm *shm;
    void *address = (void *)1;
    uint64_t size;
    pipc_shm_info info;
    REQUIRE_OK(pipc_shm_open(&shm, outlive->name, 0, NULL));
    unsigned char *bytes = map(shm, READ_WRITE);
    atomic_store(&outlive->mapped, 1);
    REQUIRE(test_await(&outlive->removed, 1));
    CHECK_EQUAL(bytes[100], 100);
    bytes[101] = 101;
    CHECK_ERROR(pipc_shm_map(shm, PIPC_READ, &address), REMOVED);
    CHECK(address == NULL);
    CHECK_ERROR(pipc_shm_size(shm, &size), REMOVED);
    CHECK_ERROR(pipc_shm_statistics(shm, &info), REMOVED);
    CHECK_OK(pipc_shm_unmap(shm, bytes));
    return pipc_shm_close(shm);
}

static void mappings_outlive_removal_and_old_handles_answer_removed(void)
{
    const char *name = test_name("outlive");
    struct outlive *outlive = test_shared(sizeof *outlive);
    outlive->name = name;
    pipc_shm *shm = create(name, 4096), *young;
    unsigned char *bytes = map(shm, READ_WRITE);
    bytes[100] = 100;
    pid_t child = test_fork(live_on, outlive);
    REQUIRE(test_await(&outlive->mapped, 1));
    CHECK_OK(pipc_shm_remove(name));
    CHECK_ERROR(pipc_shm_open(&young, name, 0, NULL), NOT_FOUND);
    CHECK_ERROR(pipc_shm_remove(name), NOT_FOUND);
    young = create(name, 4096); /* the name is free at once, and the new memory is another */
    unsigned char *young_bytes = map(young, READ_WRITE);
    atomic_store(&outlive->removed, 1);
    CHECK_EQUAL(test_wait(child, PIPC_SECONDS(10)), 0);
    CHECK_EQUAL(bytes[101], 101); /* the two that had it still share it */
    CHECK(all(young_bytes, 4096, 0));
    void *address;
    CHECK_ERROR(pipc_shm_map(shm, PIPC_READ, &address), REMOVED);
    CHECK_OK(pipc_shm_close(shm));
    finish(young, name);
}

static void removed_for_ever(void)
{
    const char *name = test_name("for-ever");
    pipc_shm *old = create(name, 64);
    CHECK_OK(pipc_shm_remove(name));
    for (unsigned i = 0; i < 300; i++) { /* ids and names come back */
        pipc_shm *young = create(name, 64);
        uint64_t size;
        CHECK_ERROR(pipc_shm_size(old, &size), REMOVED);
        CHECK_OK(pipc_shm_size(young, &size));
        finish(young, name);
    }
    CHECK_OK(pipc_shm_close(old));
}

/* One that was mapped beside another is gone when it is unmapped. */
static void a_second_mapping_faults_once_it_is_unmapped(void)
{
    const char *name = test_name("second");
    pipc_shm *shm;
    void *first, *second;
    REQUIRE_OK(pipc_shm_open(&shm, name, PIPC_CREATE, &(pipc_shm_options){.size = 10000}));
    REQUIRE_OK(pipc_shm_map(shm, READ_WRITE, &first));
    REQUIRE_OK(pipc_shm_map(shm, READ_WRITE, &second));
    CHECK_EQUAL(touched((struct touch){.address = second}), 0);
    CHECK_OK(pipc_shm_unmap(shm, second));
    CHECK(touched((struct touch){.address = second}) != 0);
    CHECK_EQUAL(touched((struct touch){.address = first}), 0);
    CHECK_OK(pipc_shm_close(shm));
    CHECK_OK(pipc_shm_remove(name));
}

static const struct test tests[] = {
    {"M3", "a_second_mapping_faults_once_it_is_unmapped", a_second_mapping_faults_once_it_is_unmapped, 0},
    {"M2", "new_memory_is_zero_filled_and_has_its_exact_size", new_memory_is_zero_filled_and_has_its_exact_size, 0},
    {"M1 M5", "opening_tells_the_size", opening_tells_the_size, 0},
    {"M3", "processes_see_each_others_bytes", processes_see_each_others_bytes, 0},
    {"M3", "a_handle_works_in_a_forked_child", a_handle_works_in_a_forked_child, 0},
    {"M3", "a_write_to_a_read_only_mapping_faults", a_write_to_a_read_only_mapping_faults, 0},
    {"M3", "a_later_read_only_mapping_faults_too", a_later_read_only_mapping_faults_too, 0},
    {"M3", "a_read_only_handle_cannot_be_mapped_writable", a_read_only_handle_cannot_be_mapped_writable, 0},
    {"M3", "several_mappings_show_the_same_memory", several_mappings_show_the_same_memory, 0},
    {"M3", "unmap_takes_only_what_this_handle_mapped", unmap_takes_only_what_this_handle_mapped, 0},
    {"M3", "closing_and_unmapping_end_the_mapping", closing_and_unmapping_end_the_mapping, 0},
    {"M3", "map_refuses_odd_rights_and_flags", map_refuses_odd_rights_and_flags, 0},
    {"M3", "threads_may_map_and_unmap_one_handle", threads_may_map_and_unmap_one_handle, 0},
    {"M4", "mappings_outlive_removal_and_old_handles_answer_removed",
     mappings_outlive_removal_and_old_handles_answer_removed, 0},
    {"M4", "an_old_handle_answers_removed_for_ever", removed_for_ever, 0},
};

TEST_MAIN("shm_content", tests)
