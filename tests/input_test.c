/* Bad input beside the queue's own: a clear error, nothing made, nothing lost. Arguments first, then
 * objects that somebody damaged, made with another version, or that were never ours. */
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "kinds.h"
#include "probe.h"

/* ---- arguments ---- */

static void missing_pointers_are_refused(void)
{
    const char *name = test_name("null");
    pipc_shm *shm;
    pipc_shm_info info;
    pipc_queue *queue;
    uint64_t size;
    CHECK_ERROR(pipc_shm_open(NULL, name, PIPC_CREATE, &(pipc_shm_options){.size = 1}), INVALID);
    CHECK_ERROR(pipc_shm_open(&shm, NULL, PIPC_CREATE, &(pipc_shm_options){.size = 1}), INVALID);
    CHECK(shm == NULL);
    CHECK_ERROR(pipc_shm_remove(NULL), INVALID);
    CHECK_OK(pipc_shm_close(NULL));
    CHECK_ERROR(pipc_shm_size(NULL, &size), INVALID);
    CHECK_ERROR(pipc_shm_statistics(NULL, &info), INVALID);
    CHECK_ERROR(pipc_shm_unmap(NULL, &size), INVALID);
    REQUIRE_OK(pipc_shm_open(&shm, name, PIPC_CREATE, &(pipc_shm_options){.size = 1}));
    CHECK_ERROR(pipc_shm_size(shm, NULL), INVALID);
    CHECK_ERROR(pipc_shm_statistics(shm, NULL), INVALID);
    CHECK_ERROR(pipc_shm_map(shm, PIPC_READ, NULL), INVALID);
    CHECK_OK(pipc_shm_close(shm));
    CHECK_OK(pipc_shm_remove(name));
    CHECK_ERROR(pipc_queue_open(NULL, name, PIPC_CREATE, NULL), INVALID);
    CHECK_ERROR(pipc_queue_open(&queue, NULL, PIPC_CREATE, NULL), INVALID);
    CHECK_ERROR(pipc_queue_remove(NULL), INVALID);
    CHECK_EQUAL(probe_count(test_prefix()), 0);
}

static void refused(const struct kind *kind, uint32_t flags, uint32_t mode)
{
    void *handle = (void *)1;
    CHECK_ERROR(kind->open(&handle, test_name("refused"), flags, mode), INVALID);
    CHECK(handle == NULL);
    CHECK(pipc_error_detail()[0] != '\0');
}

static void bad_flags(const struct kind *kind)
{
    uint32_t known = PIPC_READ | PIPC_WRITE | PIPC_CREATE | PIPC_EXCLUSIVE | PIPC_FOREIGN_PIDS;
    known |= kind == &kind_shm ? PIPC_PREFAULT : PIPC_NO_SPIN;
    for (unsigned bit = 0; bit < 32; bit++)
        if (!(known & (UINT32_C(1) << bit)))
            refused(kind, PIPC_CREATE | (UINT32_C(1) << bit), 0);
    refused(kind, PIPC_EXCLUSIVE, 0);
    refused(kind, UINT32_MAX, 0);
}

static void unknown_flags_are_refused(void)
{
    kind_all(bad_flags);
    CHECK_EQUAL(probe_count(test_prefix()), 0);
}

/* Every mode there is, and some there are not. */
static void bad_modes(const struct kind *kind)
{
    for (uint32_t mode = 1; mode <= 0777; mode++)
        if ((mode & ~0666u) || (mode & 0600) != 0600)
            refused(kind, PIPC_CREATE, mode);
    refused(kind, PIPC_CREATE, 01600);
    refused(kind, PIPC_CREATE, 04600);
    refused(kind, PIPC_CREATE, 0100600);
    refused(kind, PIPC_CREATE, UINT32_MAX);
}

static void modes_beyond_0666_or_without_the_owners_rights_are_refused(void)
{
    kind_all(bad_modes);
    CHECK_EQUAL(probe_count(test_prefix()), 0);
}

static void reserved_fields_must_be_0(void)
{
    const char *name = test_name("reserved");
    pipc_shm *shm;
    pipc_queue *queue;
    pipc_channel *channel;
    for (unsigned i = 0; i < 4; i++) {
        pipc_shm_options memory = {.size = 1};
        pipc_queue_options traffic = {.max_size = 1};
        pipc_channel_options ring = {.size = PIPC_CHANNEL_SIZE_MIN};
        memory.reserved[i] = traffic.reserved[i] = ring.reserved[i] = 1;
        CHECK_ERROR(pipc_shm_open(&shm, name, PIPC_CREATE, &memory), INVALID);
        CHECK_ERROR(pipc_queue_open(&queue, name, PIPC_CREATE, &traffic), INVALID);
        CHECK_ERROR(pipc_channel_open(&channel, name, PIPC_CREATE, &ring), INVALID);
    }
    CHECK_ERROR(pipc_shm_open(&shm, name, PIPC_CREATE, &(pipc_shm_options){.size = 1, .reserved32 = 1}), INVALID);
    CHECK_EQUAL(probe_count(test_prefix()), 0);
}

static void new_memory_needs_a_size_that_exists(void)
{
    static const uint64_t sizes[] = {UINT64_MAX,     UINT64_MAX - 1,         UINT64_MAX - 4095, UINT64_MAX - 4096,
                                     UINT64_MAX / 2, UINT64_C(1) << 63,      UINT64_C(1) << 62, UINT64_C(1) << 53,
                                     INT64_MAX,      INT64_MAX - UINT64_C(5)};
    const char *name = test_name("size");
    pipc_shm *shm = (pipc_shm *)1;
    CHECK_ERROR(pipc_shm_open(&shm, name, PIPC_CREATE, NULL), INVALID);
    CHECK(shm == NULL);
    CHECK_ERROR(pipc_shm_open(&shm, name, PIPC_CREATE, &(pipc_shm_options){0}), INVALID);
    CHECK_ERROR(pipc_shm_open(&shm, name, PIPC_CREATE | PIPC_EXCLUSIVE, &(pipc_shm_options){0}), INVALID);
    for (unsigned i = 0; i < sizeof sizes / sizeof sizes[0]; i++) {
        shm = (pipc_shm *)1;
        int error = pipc_shm_open(&shm, name, PIPC_CREATE, &(pipc_shm_options){.size = sizes[i]});
        CHECK(error == PIPC_E_INVALID || error == PIPC_E_NO_SPACE || error == PIPC_E_LIMIT ||
              error == PIPC_E_NO_MEMORY);
        CHECK(shm == NULL);
        CHECK(pipc_error_detail()[0] != '\0');
    }
    CHECK_ERROR(pipc_shm_open(&shm, name, 0, NULL), NOT_FOUND);
    CHECK_EQUAL(probe_count(test_prefix()), 0);
}

static void capacities_that_cannot_be_are_refused(void)
{
    static const pipc_queue_options options[] = {
        {.max_messages = PIPC_MESSAGES_MAX + 1},
        {.max_messages = UINT32_MAX, .max_size = 1},
        {.max_size = PIPC_MESSAGE_SIZE_MAX + UINT64_C(1)},
        {.max_messages = 1, .max_size = UINT64_MAX},
        {.max_messages = 2, .max_size = UINT64_C(1) << 63},
    };
    pipc_queue_options most = {.max_messages = PIPC_MESSAGES_MAX, .max_size = PIPC_MESSAGE_SIZE_MAX};
    pipc_queue *queue;
    for (unsigned i = 0; i < sizeof options / sizeof options[0]; i++) {
        queue = (pipc_queue *)1;
        CHECK_ERROR(pipc_queue_open(&queue, test_name("size"), PIPC_CREATE, &options[i]), INVALID);
        CHECK(queue == NULL);
    }
    queue = (pipc_queue *)1; /* 16 PiB */
    int error = pipc_queue_open(&queue, test_name("size"), PIPC_CREATE, &most);
    CHECK(error == PIPC_E_NO_SPACE || error == PIPC_E_LIMIT || error == PIPC_E_NO_MEMORY);
    CHECK(queue == NULL);
    CHECK_EQUAL(probe_count(test_prefix()), 0);
}

/* ---- objects that somebody damaged ---- */

struct object {
    const struct kind *kind;
    const char *name;
    struct pipc_object *header; /* the shared one */
    struct pipc_object sound;   /* as it was */
    size_t bytes;
};

static struct object make_object(const struct kind *kind)
{
    struct object object = {.kind = kind, .name = test_name("damaged")};
    void *handle;
    REQUIRE_OK(kind->open(&handle, object.name, PIPC_CREATE | PIPC_EXCLUSIVE, 0));
    CHECK_OK(kind->write(handle, 31415));
    CHECK_OK(kind->close(handle));
    object.header = probe_map(kind->number, object.name, &object.bytes);
    REQUIRE(object.header != NULL);
    memcpy(&object.sound, object.header, sizeof object.sound);
    return object;
}

/* The header is mended: all must be there as before. */
static void finish_object(struct object *object)
{
    void *handle;
    uint32_t number = 0;
    memcpy(object->header, &object->sound, sizeof object->sound);
    probe_unmap(object->header, object->bytes);
    REQUIRE_OK(object->kind->open(&handle, object->name, 0, 0));
    CHECK_OK(object->kind->read(handle, &number));
    CHECK_EQUAL(number, 31415);
    CHECK_OK(object->kind->close(handle));
    CHECK_OK(object->kind->remove(object->name));
}

static void all_answer(struct object *object, int expected)
{
    static const uint32_t flags[] = {0, PIPC_READ, PIPC_CREATE};
    for (unsigned i = 0; i < 3; i++) {
        void *handle = (void *)1;
        int64_t began = test_now();
        CHECK_EQUAL(object->kind->open(&handle, object->name, flags[i], 0), expected);
        CHECK(handle == NULL);
        CHECK(strstr(pipc_error_detail(), object->name) != NULL);
        CHECK(test_now() - began < PIPC_MS(1500));
    }
    CHECK_EQUAL(object->kind->remove(object->name), expected);
}

static void wrong_magic(const struct kind *kind)
{
    struct object object = make_object(kind);
    object.header->magic ^= 1;
    all_answer(&object, PIPC_E_FOREIGN);
    object.header->magic = 0;
    all_answer(&object, PIPC_E_FOREIGN);
    finish_object(&object);
}

static void an_object_without_the_magic_is_foreign(void)
{
    kind_all(wrong_magic);
}

static void other_layout(const struct kind *kind)
{
    struct object object = make_object(kind);
    object.header->layout = PIPC_OBJECT_LAYOUT + 1;
    all_answer(&object, PIPC_E_LAYOUT);
    object.header->layout = 0;
    all_answer(&object, PIPC_E_LAYOUT);
    finish_object(&object);
}

static void an_object_of_another_layout_is_refused_as_such(void)
{
    kind_all(other_layout);
}

static void impossible_size(const struct kind *kind)
{
    struct object object = make_object(kind);
    const uint64_t sizes[] = {UINT64_MAX, UINT64_MAX - 4095, object.bytes + 1, UINT64_C(1) << 40};
    for (unsigned i = 0; i < sizeof sizes / sizeof sizes[0]; i++) {
        object.header->size = sizes[i];
        all_answer(&object, PIPC_E_DAMAGED);
    }
    finish_object(&object);
}

static void an_object_that_claims_more_than_there_is_is_damaged(void)
{
    kind_all(impossible_size);
}

static int open_in_child(void *argument)
{
    const struct object *object = argument;
    void *handle;
    uint32_t number;
    int error = object->kind->open(&handle, object->name, 0, 0);
    if (error)
        return error;
    struct kind_facts facts;
    object->kind->facts(handle, &facts);
    object->kind->write(handle, 1);
    object->kind->read(handle, &number);
    object->kind->close(handle);
    return 0;
}

/* Whatever the answer is, it is an answer: no crash, no hang. */
static int survives(struct object *object)
{
    pid_t child = test_fork(open_in_child, object);
    int status = test_wait(child, PIPC_SECONDS(5));
    CHECK(status >= 0 && status <= 23);
    return status;
}

static void odd_headers(const struct kind *kind)
{
    struct object object = make_object(kind);
    const uint64_t states[] = {5, 6, 7, 0x7ff0 | PIPC_STATE_READY, UINT64_MAX, UINT64_MAX - 7};
    for (unsigned i = 0; i < sizeof states / sizeof states[0]; i++) {
        atomic_store(&object.header->state, states[i]);
        CHECK(survives(&object) != 0);
    }
    memcpy(object.header, &object.sound, sizeof object.sound);
    object.header->kind = 99;
    CHECK(survives(&object) != 0);
    object.header->kind = object.sound.kind;
    object.header->name[0] ^= 1;
    CHECK(survives(&object) != 0);
    object.header->name[0] ^= 1;
    object.header->size = 0;
    CHECK(survives(&object) != 0);
    memset(object.header, 0xff, sizeof *object.header);
    CHECK(survives(&object) != 0);
    finish_object(&object);
}

static void odd_states_kinds_and_names_are_no_way_in(void)
{
    kind_all(odd_headers);
}

/* ---- scribbles ---- */

/* One byte of the header or of what lies behind it, over and over. The state is left alone, so that the
 * object is opened and its content used. */
static void scribble(const struct kind *kind)
{
    struct object object = make_object(kind);
    unsigned char *bytes = (unsigned char *)object.header, *copy = malloc(object.bytes);
    REQUIRE(copy != NULL);
    memcpy(copy, bytes, object.bytes);
    srand((unsigned)getpid());
    for (unsigned i = 0; i < 400 && !test_failures(); i++) {
        bool in_header = rand() % 3 == 0;
        size_t first = in_header ? sizeof object.header->state : pipc_page();
        size_t count = in_header ? sizeof *object.header - first : object.bytes - first;
        size_t at = first + (size_t)rand() % (count < 1200 ? count : 1200);
        static const unsigned char values[] = {0, 1, 0x7f, 0x80, 0xff};
        unsigned char value = rand() % 2 ? (unsigned char)rand() : values[rand() % 5];
        bytes[at] = value;
        if (survives(&object) > 23 || test_failures())
            fprintf(stderr, "that was byte %zu = 0x%02x (%s)\n", at, value, pipc_kind_word(kind->number));
        memcpy(bytes, copy, object.bytes);
    }
    free(copy);
    probe_unmap(object.header, object.bytes);
    void *handle;
    REQUIRE_OK(kind->open(&handle, object.name, 0, 0));
    CHECK_OK(kind->close(handle));
    CHECK_OK(kind->remove(object.name));
}

static void a_scribbled_queue_crashes_and_hangs_nobody(void)
{
    scribble(&kind_queue);
}

static void scribbled_memory_crashes_and_hangs_nobody(void)
{
    scribble(&kind_shm);
}

static void a_scribbled_channel_crashes_and_hangs_nobody(void)
{
    scribble(&kind_channel);
}

/* ---- what was never ours ---- */

static void foreign_object(const struct kind *kind, size_t bytes, int filling)
{
    const char *name = test_name("foreign");
    static const uint32_t flags[] = {0, PIPC_CREATE, PIPC_READ};
    REQUIRE(probe_place_foreign(kind->number, name, bytes, filling));
    for (unsigned i = 0; i < 3; i++) {
        void *handle = (void *)1;
        CHECK_ERROR(kind->open(&handle, name, flags[i], 0), FOREIGN);
        CHECK(handle == NULL);
        CHECK(strstr(pipc_error_detail(), name) != NULL);
    }
    CHECK_ERROR(kind->remove(name), FOREIGN);
    CHECK(probe_remove_foreign(kind->number, name)); /* it is still there: pipc never takes what is not its own */
    void *handle;
    REQUIRE_OK(kind->open(&handle, name, PIPC_CREATE | PIPC_EXCLUSIVE, 0));
    CHECK_OK(kind->close(handle));
    CHECK_OK(kind->remove(name));
}

static void foreign_objects(const struct kind *kind)
{
    foreign_object(kind, 16384, 0x5a);
    foreign_object(kind, 16384, 0xff);
    foreign_object(kind, 16384, 0x00);
    foreign_object(kind, 4096, 0x5a);
    foreign_object(kind, 100, 0x5a);
    foreign_object(kind, 1, 0x5a);
    foreign_object(kind, 1000000, 0x03); /* the state of a finished object */
}

static void what_holds_our_name_but_is_not_ours_is_named_and_left_alone(void)
{
    kind_all(foreign_objects);
}

/* The memory vanished behind our back: the name is free, old handles know nothing of it. */
static void vanished(const struct kind *kind)
{
    const char *name = test_name("vanished");
    void *handle, *young;
    REQUIRE_OK(kind->open(&handle, name, PIPC_CREATE | PIPC_EXCLUSIVE, 0));
    if (kind == &kind_queue)
        CHECK(probe_queue_remove(name));
    CHECK(probe_remove_memory(kind->number, name));
    CHECK_ERROR(kind->open(&young, name, 0, 0), NOT_FOUND);
    CHECK_ERROR(kind->remove(name), NOT_FOUND);
    REQUIRE_OK(kind->open(&young, name, PIPC_CREATE | PIPC_EXCLUSIVE, 0));
    CHECK_OK(kind->close(handle));
    CHECK_OK(kind->write(young, 1));
    CHECK_OK(kind->close(young));
    CHECK_OK(kind->remove(name));
}

static void an_object_removed_behind_our_back_frees_its_name(void)
{
    kind_all(vanished);
}

static void a_queue_whose_kernel_queue_vanished_is_damaged_and_removable(void)
{
    const char *name = test_name("hollow");
    pipc_queue *queue, *other = (pipc_queue *)1;
    uint32_t number;
    REQUIRE_OK(pipc_queue_open(&queue, name, PIPC_CREATE, NULL));
    CHECK(probe_queue_remove(name));
    CHECK_ERROR(pipc_queue_open(&other, name, 0, NULL), DAMAGED);
    CHECK(other == NULL);
    int error = kind_queue_write(queue, 1); /* a descriptor may outlive the name of the kernel's queue */
    CHECK(error == PIPC_OK || error == PIPC_E_DAMAGED);
    CHECK_EQUAL(kind_queue_read(queue, &number), error);
    for (unsigned i = 0; error && i < 2 * PIPC_DEFAULT_MESSAGES; i++)
        CHECK_ERROR(kind_queue_write(queue, 1), DAMAGED); /* what fails gives its place back: never "full" */
    CHECK_OK(pipc_queue_close(queue));
    CHECK_OK(pipc_queue_remove(name));
    REQUIRE_OK(pipc_queue_open(&queue, name, PIPC_CREATE | PIPC_EXCLUSIVE, NULL));
    CHECK_OK(kind_queue_write(queue, 1));
    CHECK_OK(pipc_queue_close(queue));
    CHECK_OK(pipc_queue_remove(name));
}

static const struct test tests[] = {
    {"M1 Q2", "missing_pointers_are_refused", missing_pointers_are_refused, 0},
    {"M1 Q2", "unknown_flags_are_refused", unknown_flags_are_refused, 0},
    {"M1 Q3", "modes_beyond_0666_or_without_the_owners_rights_are_refused",
     modes_beyond_0666_or_without_the_owners_rights_are_refused, 0},
    {"M1 Q2", "reserved_fields_must_be_0", reserved_fields_must_be_0, 0},
    {"M1 M2", "new_memory_needs_a_size_that_exists", new_memory_needs_a_size_that_exists, 0},
    {"Q9", "capacities_that_cannot_be_are_refused", capacities_that_cannot_be_are_refused, 0},
    {"M1 Q2", "an_object_without_the_magic_is_foreign", an_object_without_the_magic_is_foreign, 0},
    {"M1 Q2", "an_object_of_another_layout_is_refused_as_such", an_object_of_another_layout_is_refused_as_such, 0},
    {"M1 Q2", "an_object_that_claims_more_than_there_is_is_damaged",
     an_object_that_claims_more_than_there_is_is_damaged, 0},
    {"M1 Q2", "odd_states_kinds_and_names_are_no_way_in", odd_states_kinds_and_names_are_no_way_in, 0},
    {"Q2", "a_scribbled_queue_crashes_and_hangs_nobody", a_scribbled_queue_crashes_and_hangs_nobody, 0},
    {"M1", "scribbled_memory_crashes_and_hangs_nobody", scribbled_memory_crashes_and_hangs_nobody, 0},
    {"C11", "a_scribbled_channel_crashes_and_hangs_nobody", a_scribbled_channel_crashes_and_hangs_nobody, 0},
    {"M1 Q1", "what_holds_our_name_but_is_not_ours_is_named_and_left_alone",
     what_holds_our_name_but_is_not_ours_is_named_and_left_alone, 0},
    {"M1 Q10", "an_object_removed_behind_our_back_frees_its_name", an_object_removed_behind_our_back_frees_its_name, 0},
    {"Q2 Q10", "a_queue_whose_kernel_queue_vanished_is_damaged_and_removable",
     a_queue_whose_kernel_queue_vanished_is_damaged_and_removable, 0},
};

TEST_MAIN("input", tests)
