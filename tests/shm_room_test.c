/* Memory: room that is promised at creation, and pages that are touched, locked or huge. */
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/resource.h>
#include <unistd.h>

#include "kinds.h"
#include "probe.h"

enum { READ_WRITE = PIPC_READ | PIPC_WRITE, STRANGER = 65534, MIB = 1 << 20 };

static int create(pipc_shm **shm, const char *name, uint64_t size, uint32_t flags)
{
    return pipc_shm_open(shm, name, PIPC_CREATE | PIPC_EXCLUSIVE | flags, &(pipc_shm_options){.size = size});
}

static void finish(pipc_shm *shm, const char *name)
{
    CHECK_OK(pipc_shm_close(shm));
    CHECK_OK(pipc_shm_remove(name));
}

/* ---- a system with little room ---- */

enum { ROOM = 8 * MIB };

/* Whichever way this family counts its memory, it ends at about ROOM. */
static void bound_memory(void)
{
    const char *path = probe_limit_path(PROBE_LIMIT_MEMORY);
    if (path)
        REQUIRE(test_write_number(path, ROOM / sysconf(_SC_PAGESIZE)));
}

static bool says_no_room(int error)
{
    return error == PIPC_E_NO_SPACE || error == PIPC_E_LIMIT;
}

static void names_the_bytes(uint64_t bytes)
{
    char number[24];
    snprintf(number, sizeof number, "%" PRIu64, bytes);
    unsigned long long told = 0;
    const char *detail = pipc_error_detail();
    bool found = strstr(detail, number) != NULL;
    for (const char *at = detail; !found && *at; at++) /* or a little more, for the header */
        found = sscanf(at, "%20llu", &told) == 1 && told >= bytes && told <= bytes + 65536;
    CHECK(found);
}

static void refused_whole(const char *name, uint64_t size)
{
    pipc_shm *shm = (pipc_shm *)1;
    int error = create(&shm, name, size, 0);
    CHECK(says_no_room(error));
    CHECK(shm == NULL);
    names_the_bytes(size);
    CHECK_ERROR(pipc_shm_open(&shm, name, 0, NULL), NOT_FOUND);
}

static void fill_whole(pipc_shm *shm, uint64_t size)
{
    unsigned char *bytes;
    REQUIRE_OK(pipc_shm_map(shm, READ_WRITE, (void **)&bytes));
    memset(bytes, 0xee, size); /* a SIGBUS would end this process */
}

static int fill_the_room(void *argument)
{
    (void)argument;
    enum { MOST = 40, PIECE = MIB / 2 };
    pipc_shm *pieces[MOST];
    unsigned made = 0;
    bound_memory();
    refused_whole(test_name("huge"), 4 * ROOM);
    while (made < MOST && create(&pieces[made], test_numbered("piece", made), PIECE, 0) == 0)
        made++;
    CHECK(made >= 10 && made < ROOM / PIECE + 1);
    CHECK(pipc_error_detail()[0] != '\0');
    refused_whole(test_name("another"), PIECE);
    for (unsigned i = 0; i < made; i++)
        fill_whole(pieces[i], PIECE);
    refused_whole(test_name("another"), PIECE);
    finish(pieces[0], test_numbered("piece", 0));
    REQUIRE_OK(create(&pieces[0], test_numbered("piece", 0), PIECE, 0)); /* room that is given back is room again */
    fill_whole(pieces[0], PIECE);
    for (unsigned i = 0; i < made; i++)
        finish(pieces[i], test_numbered("piece", i));
    return 0;
}

static void too_little_room_is_an_error_at_creation_and_never_a_sigbus(void)
{
    CHECK_EQUAL(test_in_private_ipc(ROOM, fill_the_room, NULL), 0);
}

static void ignore(const char *name)
{
    (void)name;
}

static int make_big_queue(void *argument)
{
    (void)argument;
    pipc_queue *queue = (pipc_queue *)1;
    pipc_queue_options big = {.max_messages = 64, .max_size = MIB}, small = {.max_messages = 4, .max_size = 100};
    bound_memory();
    int error = pipc_queue_open(&queue, test_name("big"), PIPC_CREATE, &big);
    CHECK(says_no_room(error));
    CHECK(queue == NULL);
    names_the_bytes(UINT64_C(64) * MIB);
    CHECK_ERROR(pipc_queue_open(&queue, test_name("big"), 0, NULL), NOT_FOUND);
    CHECK_EQUAL(probe_remove_everything(ignore), 0); /* nothing half-made is left */
    REQUIRE_OK(pipc_queue_open(&queue, test_name("big"), PIPC_CREATE, &small));
    CHECK_OK(kind_queue_write(queue, 1));
    CHECK_OK(pipc_queue_close(queue));
    CHECK_OK(pipc_queue_remove(test_name("big")));
    return 0;
}

static void a_queue_without_room_is_an_error_and_leaves_nothing(void)
{
    CHECK_EQUAL(test_in_private_ipc(ROOM, make_big_queue, NULL), 0);
}

/* Whoever is refused must not be charged: a thousand refusals, then the room is still there. */
static int be_refused_often(void *argument)
{
    (void)argument;
    pipc_shm *shm;
    bound_memory();
    for (unsigned i = 0; i < 1000; i++)
        CHECK(says_no_room(create(&shm, test_name("often"), 2 * ROOM, 0)));
    REQUIRE_OK(create(&shm, test_name("often"), ROOM / 2, 0));
    fill_whole(shm, ROOM / 2);
    finish(shm, test_name("often"));
    return 0;
}

static void refusals_cost_no_room(void)
{
    CHECK_EQUAL(test_in_private_ipc(ROOM, be_refused_often, NULL), 0);
}

/* ---- pages ---- */

static unsigned resident(void *address, size_t size)
{
    size_t page = (size_t)sysconf(_SC_PAGESIZE), count = (size + page - 1) / page;
    unsigned char *pages = calloc(count, 1);
    REQUIRE(pages != NULL);
    REQUIRE(mincore(address, size, pages) == 0);
    unsigned found = 0;
    for (size_t i = 0; i < count; i++)
        found += pages[i] & 1;
    free(pages);
    return found;
}

static void prefault_at_creation_touches_every_page(void)
{
    const char *name = test_name("touched");
    const unsigned pages = (unsigned)(4 * MIB / sysconf(_SC_PAGESIZE));
    pipc_shm *shm;
    void *address;
    REQUIRE_OK(create(&shm, name, 4 * MIB, PIPC_PREFAULT));
    REQUIRE_OK(pipc_shm_map(shm, PIPC_READ, &address));
    CHECK_EQUAL(resident(address, 4 * MIB), pages);
    for (unsigned i = 0; i < 4 * MIB; i++)
        REQUIRE(((unsigned char *)address)[i] == 0);
    finish(shm, name);
}

static long faults(void)
{
    struct rusage usage;
    getrusage(RUSAGE_SELF, &usage);
    return usage.ru_minflt;
}

static long faults_of_touching(volatile unsigned char *bytes, uint32_t flags)
{
    long page = sysconf(_SC_PAGESIZE), before = faults();
    for (long at = 0; at < 4 * MIB; at += page) {
        if (flags & PIPC_WRITE)
            bytes[at] = 1;
        else
            (void)bytes[at];
    }
    return faults() - before;
}

static void prefault_of_a_mapping_takes_the_faults_away(void)
{
    static const uint32_t rights[] = {READ_WRITE, PIPC_READ};
    const char *name = test_name("ready");
    const long pages = 4 * MIB / sysconf(_SC_PAGESIZE);
    for (unsigned i = 0; i < 2; i++) {
        pipc_shm *shm;
        void *plain, *ready;
        REQUIRE_OK(create(&shm, name, 4 * MIB, PIPC_PREFAULT));
        REQUIRE_OK(pipc_shm_map(shm, rights[i], &plain));
        REQUIRE_OK(pipc_shm_map(shm, rights[i] | PIPC_PREFAULT, &ready));
        CHECK(faults_of_touching(ready, rights[i]) < pages / 10);
        CHECK_EQUAL(*(unsigned char *)plain, rights[i] & PIPC_WRITE ? 1 : 0);
        finish(shm, name);
    }
}

/* Tests that run beside this one look into every segment now and then: a count that stays is the truth. */
static bool counts_one(pipc_shm *shm)
{
    pipc_shm_info info = {0};
    for (int64_t end = test_now() + PIPC_SECONDS(10); info.attachments != 1 && test_now() < end; test_sleep(PIPC_MS(1)))
        CHECK_OK(pipc_shm_statistics(shm, &info));
    return info.attachments == 1;
}

/* ---- locked pages; not under the address sanitizer, where mlock does nothing and says that it did ---- */

#ifndef __SANITIZE_ADDRESS__

static long locked_kib(void)
{
    char line[200];
    long amount = -1;
    FILE *status = fopen("/proc/self/status", "re");
    REQUIRE(status != NULL);
    while (amount < 0 && fgets(line, sizeof line, status))
        sscanf(line, "VmLck: %ld", &amount);
    fclose(status);
    return amount;
}

static void locked_pages_stay_in_memory_until_unmapped(void)
{
    const char *name = test_name("locked");
    pipc_shm *shm;
    void *first, *second;
    REQUIRE_OK(create(&shm, name, 256 << 10, 0));
    long before = locked_kib();
    REQUIRE_OK(pipc_shm_map(shm, READ_WRITE | PIPC_LOCK, &first));
    CHECK(locked_kib() >= before + 256);
    CHECK_EQUAL(resident(first, 256 << 10), (256 << 10) / sysconf(_SC_PAGESIZE));
    REQUIRE_OK(pipc_shm_map(shm, PIPC_READ | PIPC_LOCK, &second));
    CHECK(locked_kib() >= before + 512);
    CHECK_OK(pipc_shm_unmap(shm, second));
    CHECK_OK(pipc_shm_unmap(shm, first));
    CHECK_EQUAL(locked_kib(), before);
    REQUIRE_OK(pipc_shm_map(shm, READ_WRITE | PIPC_LOCK, &first));
    CHECK_OK(pipc_shm_close(shm));
    CHECK_EQUAL(locked_kib(), before);
    CHECK_OK(pipc_shm_remove(name));
}

static int lock_too_much(void *argument)
{
    pipc_shm *shm;
    void *address = (void *)1;
    REQUIRE_OK(create(&shm, argument, MIB, 0));
    struct rlimit limit = {.rlim_cur = 64 << 10, .rlim_max = 64 << 10};
    REQUIRE(setrlimit(RLIMIT_MEMLOCK, &limit) == 0);
    CHECK_ERROR(pipc_shm_map(shm, READ_WRITE | PIPC_LOCK, &address), LIMIT);
    CHECK(address == NULL);
    CHECK(strstr(pipc_error_detail(), "RLIMIT_MEMLOCK") != NULL);
    CHECK_EQUAL(locked_kib(), 0);
    REQUIRE_OK(pipc_shm_map(shm, READ_WRITE, &address)); /* without the lock all is well */
    memset(address, 1, MIB);
    finish(shm, argument);
    return 0;
}

static void locking_beyond_the_limit_is_refused_by_its_name(void)
{
    const char *name = test_name("unlocked");
    int status = geteuid() == 0 ? test_as_user(STRANGER, lock_too_much, (void *)name)
                                : test_wait(test_fork(lock_too_much, (void *)name), PIPC_SECONDS(20));
    CHECK_EQUAL(status, 0);
}

#endif

/* ---- huge pages ---- */

static bool file_has(const char *path, const char *wanted)
{
    char line[1000];
    bool found = false;
    FILE *file = fopen(path, "re");
    while (file && !found && fgets(line, sizeof line, file))
        found = strstr(line, wanted) != NULL;
    if (file)
        fclose(file);
    return found;
}

/* What the system says about huge pages in shared memory, for segments or for files in /dev/shm. */
static bool surely_refused(void)
{
    const char *setting = "/sys/kernel/mm/transparent_hugepage/shmem_enabled";
    return access(setting, R_OK) != 0 || file_has(setting, "[deny]") ||
           (file_has(setting, "[never]") && !file_has("/proc/mounts", "huge="));
}

static bool surely_granted(void)
{
    const char *setting = "/sys/kernel/mm/transparent_hugepage/shmem_enabled";
    return file_has(setting, "[force]");
}

static void huge_pages_are_granted_or_refused_as_the_system_says(void)
{
    const char *name = test_name("huge");
    pipc_shm *shm;
    unsigned char *bytes = (unsigned char *)1;
    REQUIRE_OK(create(&shm, name, 8 * MIB, 0));
    int error = pipc_shm_map(shm, READ_WRITE | PIPC_HUGE, (void **)&bytes);
    CHECK(error == PIPC_OK || error == PIPC_E_UNSUPPORTED);
    CHECK(!surely_refused() || error == PIPC_E_UNSUPPORTED);
    CHECK(!surely_granted() || error == PIPC_OK);
    if (error) {
        CHECK(bytes == NULL);
        CHECK(strstr(pipc_error_detail(), "huge") != NULL);
        REQUIRE_OK(pipc_shm_map(shm, READ_WRITE, (void **)&bytes));
    }
    memset(bytes, 3, 8 * MIB);
    CHECK_EQUAL(bytes[8 * MIB - 1], 3);
    CHECK(counts_one(shm)); /* advice does not split the mapping in two */
    finish(shm, name);
}

static void options_of_pages_do_not_change_the_count(void)
{
    static const uint32_t flags[] = {PIPC_PREFAULT, PIPC_LOCK, PIPC_LOCK | PIPC_PREFAULT};
    const char *name = test_name("counted");
    for (unsigned i = 0; i < sizeof flags / sizeof flags[0]; i++) {
        pipc_shm *shm;
        void *address;
        REQUIRE_OK(create(&shm, name, 100000, flags[i] & PIPC_PREFAULT));
        REQUIRE_OK(pipc_shm_map(shm, PIPC_READ | flags[i], &address));
        CHECK(counts_one(shm));
        CHECK_OK(pipc_shm_unmap(shm, address));
        CHECK(counts_one(shm));
        finish(shm, name);
    }
}

static const struct test tests[] = {
    {"M2", "too_little_room_is_an_error_at_creation_and_never_a_sigbus",
     too_little_room_is_an_error_at_creation_and_never_a_sigbus, 0},
    {"M2 Q9", "a_queue_without_room_is_an_error_and_leaves_nothing",
     a_queue_without_room_is_an_error_and_leaves_nothing, 0},
    {"M2", "refusals_cost_no_room", refusals_cost_no_room, 0},
    {"M2", "prefault_at_creation_touches_every_page", prefault_at_creation_touches_every_page, 0},
    {"M2", "prefault_of_a_mapping_takes_the_faults_away", prefault_of_a_mapping_takes_the_faults_away, 0},
#ifndef __SANITIZE_ADDRESS__
    {"M6", "locked_pages_stay_in_memory_until_unmapped", locked_pages_stay_in_memory_until_unmapped, 0},
    {"M6", "locking_beyond_the_limit_is_refused_by_its_name", locking_beyond_the_limit_is_refused_by_its_name, 0},
#endif
    {"M6", "huge_pages_are_granted_or_refused_as_the_system_says", huge_pages_are_granted_or_refused_as_the_system_says,
     0},
    {"M5 M6", "options_of_pages_do_not_change_the_count", options_of_pages_do_not_change_the_count, 0},
};

TEST_MAIN("shm_room", tests)
