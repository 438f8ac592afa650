/* Limits of the process, and a memory file system that holds next to nothing: each is answered by an error that
 * names it and says what helps, or does not matter; nothing is left half-made, and what was open works on. */
#include <dirent.h>
#include <stdio.h>
#include <string.h>
#include <sys/resource.h>

#include "kinds.h"
#include "probe.h"

enum { READ_WRITE = PIPC_READ | PIPC_WRITE, MIB = 1 << 20 };

static bool is_backend(const char *name)
{
    pipc_facts facts;
    return pipc_library_facts(&facts) == 0 && strcmp(facts.backend, name) == 0;
}

static void set_limit(int resource, rlim_t value)
{
    struct rlimit limit;
    REQUIRE(getrlimit(resource, &limit) == 0);
    limit.rlim_cur = value < limit.rlim_max ? value : limit.rlim_max;
    REQUIRE(setrlimit(resource, &limit) == 0);
}

/* The detail has both: what it was, and what to do. */
static void says(const char *limit, const char *remedy)
{
    const char *detail = pipc_error_detail();
    bool good = strstr(detail, limit) != NULL && strstr(detail, remedy) != NULL;
    if (!CHECK(good))
        fprintf(stderr, "of %s and %s it says: %s\n", limit, remedy, detail);
}

static int count_files(void)
{
    int count = 0;
    DIR *files = opendir("/proc/self/fd");
    REQUIRE(files != NULL);
    while (readdir(files))
        count++;
    closedir(files);
    return count;
}

/* ---- RLIMIT_NOFILE from 3 to 40 ---- */

enum { LEAST_FILES = 3, MOST_FILES = 40, ALL_FILES = 1024 };

struct opening {
    const struct kind *kind;
    const char *made, *name; /* a name that is free, a name that exists */
    pipc_shm *shm;
};

static int create(struct opening *opening)
{
    void *handle = opening;
    int error = opening->kind->open(&handle, opening->made, PIPC_CREATE | PIPC_EXCLUSIVE, 0);
    set_limit(RLIMIT_NOFILE, ALL_FILES);
    CHECK(error == 0 || handle == NULL);
    if (!error) {
        CHECK_OK(opening->kind->write(handle, 1));
        CHECK_OK(opening->kind->close(handle));
        CHECK_OK(opening->kind->remove(opening->made));
    }
    return error;
}

static int open_existing(struct opening *opening)
{
    void *handle = opening;
    int error = opening->kind->open(&handle, opening->name, 0, 0);
    set_limit(RLIMIT_NOFILE, ALL_FILES);
    CHECK(error == 0 || handle == NULL);
    if (!error)
        CHECK_OK(opening->kind->close(handle));
    return error;
}

static int open_or_create_existing(struct opening *opening)
{
    void *handle = opening;
    int error = opening->kind->open(&handle, opening->name, PIPC_CREATE, 0);
    set_limit(RLIMIT_NOFILE, ALL_FILES);
    CHECK(error == 0 || handle == NULL);
    if (!error)
        CHECK_OK(opening->kind->close(handle));
    return error;
}

static int remove_existing(struct opening *opening)
{
    void *handle;
    int error = opening->kind->remove(opening->name);
    set_limit(RLIMIT_NOFILE, ALL_FILES);
    if (error) /* it is all there */
        return error;
    REQUIRE_OK(opening->kind->open(&handle, opening->name, PIPC_CREATE | PIPC_EXCLUSIVE, 0));
    CHECK_OK(opening->kind->close(handle));
    return 0;
}

/* Whether huge pages are granted is in a file. */
static int map_huge(struct opening *opening)
{
    void *address = opening;
    int error = pipc_shm_map(opening->shm, READ_WRITE | PIPC_HUGE, &address);
    set_limit(RLIMIT_NOFILE, ALL_FILES);
    CHECK(error == 0 || address == NULL);
    if (!error)
        CHECK_OK(pipc_shm_unmap(opening->shm, address));
    return error == PIPC_E_UNSUPPORTED ? 0 : error;
}

/* With n descriptors: it works or names the limit; then all is as before. */
static int try_with(int files, int (*call)(struct opening *opening), struct opening *opening)
{
    unsigned objects = probe_count(test_prefix());
    int before = count_files();
    set_limit(RLIMIT_NOFILE, (rlim_t)files);
    int error = call(opening);
    if (error) {
        CHECK_ERROR(error, LIMIT);
        says("RLIMIT_NOFILE", "raise");
    }
    CHECK_EQUAL(count_files(), before);
    CHECK_EQUAL(probe_count(test_prefix()), objects);
    return error;
}

/* It fails up to some number of descriptors, and works with every higher one. */
static void try_with_all(int (*call)(struct opening *opening), struct opening *opening, bool needs_files)
{
    bool worked = false;
    CHECK_EQUAL(try_with(LEAST_FILES, call, opening) != 0, needs_files);
    for (int files = LEAST_FILES; files <= MOST_FILES; files++) {
        int error = try_with(files, call, opening);
        CHECK(!worked || !error);
        worked |= !error;
    }
    CHECK(worked);
}

static int with_few_files(void *argument)
{
    struct opening opening = {.kind = argument, .made = test_name("made"), .name = test_name("there")};
    bool posix = is_backend("posix");
    void *handle;
    uint32_t number = 0;
    REQUIRE_OK(opening.kind->open(&handle, opening.name, PIPC_CREATE | PIPC_EXCLUSIVE, 0));
    CHECK_OK(opening.kind->write(handle, 7));
    try_with_all(create, &opening, posix);
    try_with_all(open_existing, &opening, posix);
    try_with_all(open_or_create_existing, &opening, posix);
    if (opening.kind->number == PIPC_KIND_SHM) {
        opening.shm = handle;
        try_with_all(map_huge, &opening, true);
    }
    set_limit(RLIMIT_NOFILE, LEAST_FILES); /* what is open works on */
    CHECK_OK(opening.kind->read(handle, &number));
    CHECK_EQUAL(number, 7);
    CHECK_OK(opening.kind->write(handle, 8));
    CHECK_OK(opening.kind->close(handle));
    set_limit(RLIMIT_NOFILE, ALL_FILES);
    try_with_all(remove_existing, &opening, posix);
    CHECK_OK(opening.kind->remove(opening.name));
    CHECK_EQUAL(probe_count(test_prefix()), 0);
    return 0;
}

static void every_opening_names_the_lack_of_descriptors(void)
{
    CHECK_EQUAL(test_wait(test_fork(with_few_files, (void *)&kind_queue), PIPC_SECONDS(40)), 0);
    CHECK_EQUAL(test_wait(test_fork(with_few_files, (void *)&kind_shm), PIPC_SECONDS(40)), 0);
    CHECK_EQUAL(test_wait(test_fork(with_few_files, (void *)&kind_channel), PIPC_SECONDS(40)), 0);
}

/* ---- 64 KiB of memory file system ---- */

enum { ROOM = 65536 };

static int make_memory(pipc_shm **shm, const char *name, uint64_t size)
{
    return pipc_shm_open(shm, name, PIPC_CREATE | PIPC_EXCLUSIVE, &(pipc_shm_options){.size = size});
}

static int make_queue(pipc_queue **queue, const char *name, uint32_t messages, uint64_t size)
{
    pipc_queue_options options = {.max_messages = messages, .max_size = size};
    return pipc_queue_open(queue, name, PIPC_CREATE | PIPC_EXCLUSIVE, &options);
}

static void tell_nobody(const char *name)
{
    (void)name;
}

/* Refused where memory is files, with the remedy; of no account where it is not. */
static void refused_for_lack_of_room(int error)
{
    if (!is_backend("posix")) {
        CHECK_OK(error);
        return;
    }
    CHECK_ERROR(error, NO_SPACE);
    says("/dev/shm", "enlarge it");
}

static void fill(pipc_shm *shm, size_t size)
{
    unsigned char *bytes;
    REQUIRE_OK(pipc_shm_map(shm, READ_WRITE, (void **)&bytes));
    memset(bytes, 0xa5, size); /* a SIGBUS would end this process */
}

static int in_little_room(void *argument)
{
    enum { PIECE = 20000 };
    pipc_shm *shm = argument, *pieces[2], *third = argument;
    pipc_queue *queue;
    uint32_t number = 0;
    for (unsigned i = 0; i < 100; i++) { /* what is refused costs nothing, however often */
        refused_for_lack_of_room(make_memory(&shm, test_name("large"), ROOM));
        CHECK((shm != NULL) == !is_backend("posix"));
        pipc_shm_close(shm);
        pipc_shm_remove(test_name("large"));
    }
    refused_for_lack_of_room(make_queue(&queue, test_name("queue"), 64, 4096));
    pipc_queue_close(queue);
    pipc_queue_remove(test_name("queue"));
    for (unsigned i = 0; i < 2; i++)
        REQUIRE_OK(make_memory(&pieces[i], test_numbered("piece", i), PIECE));
    refused_for_lack_of_room(make_memory(&third, test_name("third"), PIECE));
    pipc_shm_close(third);
    pipc_shm_remove(test_name("third"));
    fill(pieces[0], PIECE);
    fill(pieces[1], PIECE);
    CHECK_OK(pipc_shm_close(pieces[0]));
    CHECK_OK(pipc_shm_remove(test_numbered("piece", 0)));
    REQUIRE_OK(make_queue(&queue, test_name("queue"), 4, 100)); /* in the room of the first */
    CHECK_OK(kind_queue_write(queue, 5));
    CHECK_OK(kind_queue_read(queue, &number));
    CHECK_EQUAL(number, 5);
    CHECK_OK(pipc_queue_close(queue));
    CHECK_OK(pipc_queue_remove(test_name("queue")));
    CHECK_OK(pipc_shm_close(pieces[1]));
    CHECK_OK(pipc_shm_remove(test_numbered("piece", 1)));
    CHECK_EQUAL(probe_remove_everything(tell_nobody), 0);
    return 0;
}

static void sixty_four_kibibytes_of_room_are_used_and_their_end_is_told(void)
{
    CHECK_EQUAL(test_in_private_ipc(ROOM, in_little_room, NULL), 0);
}

/* ---- RLIMIT_FSIZE ---- */

static void refused_for_its_size(int error)
{
    if (is_backend("posix")) {
        CHECK_ERROR(error, LIMIT);
        says("RLIMIT_FSIZE", "raise it with ulimit -f");
    } else {
        CHECK_OK(error);
    }
}

/* Beyond the limit the kernel would send SIGXFSZ, which ends the process. */
static int with_small_files_only(void *argument)
{
    pipc_shm *shm, *small;
    pipc_queue *queue;
    (void)argument;
    set_limit(RLIMIT_FSIZE, 100000);
    refused_for_its_size(make_memory(&shm, test_name("large"), MIB));
    refused_for_its_size(make_queue(&queue, test_name("queue"), 64, 4096));
    REQUIRE_OK(make_memory(&small, test_name("small"), 50000));
    set_limit(RLIMIT_FSIZE, 0);
    fill(small, 50000); /* memory that is there is no file to be made larger */
    CHECK_OK(pipc_shm_close(small));
    CHECK_OK(pipc_shm_remove(test_name("small")));
    refused_for_its_size(make_memory(&small, test_name("small"), 1));
    pipc_shm_close(small);
    pipc_shm_remove(test_name("small"));
    pipc_shm_close(shm);
    pipc_shm_remove(test_name("large"));
    pipc_queue_close(queue);
    pipc_queue_remove(test_name("queue"));
    CHECK_EQUAL(probe_count(test_prefix()), 0);
    return 0;
}

static void too_small_a_file_size_is_told(void)
{
    CHECK_EQUAL(test_wait(test_fork(with_small_files_only, NULL), PIPC_SECONDS(20)), 0);
}

/* ---- RLIMIT_AS ---- */

static long address_space_kib(void)
{
    char line[200];
    long amount = 0;
    FILE *status = fopen("/proc/self/status", "re");
    REQUIRE(status != NULL);
    while (!amount && fgets(line, sizeof line, status))
        sscanf(line, "VmSize: %ld", &amount);
    fclose(status);
    return amount;
}

static void refused_for_address_space(int error)
{
    CHECK_ERROR(error, NO_MEMORY);
    says("address space", "needs");
}

static int with_little_address_space(void *argument)
{
    pipc_queue *queue = argument;
    pipc_shm *shm = argument;
    REQUIRE(setrlimit(RLIMIT_AS, &(struct rlimit){(rlim_t)(address_space_kib() + 4096) << 10, RLIM_INFINITY}) == 0);
    refused_for_address_space(make_queue(&queue, test_name("new"), 1024, 16384));
    CHECK(queue == NULL);
    refused_for_address_space(pipc_queue_open(&queue, test_name("queue"), 0, NULL));
    CHECK(queue == NULL);
    refused_for_address_space(pipc_shm_open(&shm, test_name("memory"), 0, NULL));
    CHECK(shm == NULL);
    refused_for_address_space(make_memory(&shm, test_name("new"), 16 * MIB));
    CHECK(shm == NULL);
    REQUIRE(setrlimit(RLIMIT_AS, &(struct rlimit){RLIM_INFINITY, RLIM_INFINITY}) == 0);
    CHECK_ERROR(pipc_queue_open(&queue, test_name("new"), 0, NULL), NOT_FOUND);
    REQUIRE_OK(pipc_queue_open(&queue, test_name("queue"), 0, NULL));
    REQUIRE_OK(pipc_shm_open(&shm, test_name("memory"), 0, NULL));
    CHECK_OK(kind_queue_write(queue, 3));
    CHECK_OK(pipc_queue_close(queue));
    return pipc_shm_close(shm);
}

static void too_little_address_space_is_told_by_every_opening(void)
{
#if defined(__SANITIZE_ADDRESS__) || defined(__SANITIZE_THREAD__)
    return; /* they need address space of their own */
#endif
    pipc_queue *queue;
    pipc_shm *shm;
    REQUIRE_OK(make_queue(&queue, test_name("queue"), 1024, 16384));
    REQUIRE_OK(make_memory(&shm, test_name("memory"), 16 * MIB));
    CHECK_EQUAL(test_wait(test_fork(with_little_address_space, NULL), PIPC_SECONDS(20)), 0);
    CHECK_OK(pipc_queue_close(queue));
    CHECK_OK(pipc_queue_remove(test_name("queue")));
    CHECK_OK(pipc_shm_close(shm));
    CHECK_OK(pipc_shm_remove(test_name("memory")));
}

static const struct test tests[] = {
    {"Q2 M1", "every_opening_names_the_lack_of_descriptors", every_opening_names_the_lack_of_descriptors, 0},
    {"Q9 M2", "sixty_four_kibibytes_of_room_are_used_and_their_end_is_told",
     sixty_four_kibibytes_of_room_are_used_and_their_end_is_told, 0},
    {"Q9 M2", "too_small_a_file_size_is_told", too_small_a_file_size_is_told, 0},
    {"Q2 M3", "too_little_address_space_is_told_by_every_opening", too_little_address_space_is_told_by_every_opening,
     0},
};

TEST_MAIN("limits_process", tests)
