/* Limits of the system, set low in a namespace of its own: an error that names the limit, nothing left
 * half-made; or, where less will do, a queue that keeps its promises with less of the kernel's help. */
#include <fcntl.h>
#include <linux/capability.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "kinds.h"
#include "probe.h"

/* A limit that one kernel family has. The other never meets it. */
struct limit {
    const char *backend;
    const char *path; /* under /proc/sys */
    int64_t value;
    const char *name; /* as the error must call it */
    const struct kind *kind;
    uint64_t size; /* of memory */
};

static const struct limit limits[] = {
    {"sysv", "/proc/sys/kernel/msgmni", 2, "msgmni", &kind_queue, 0},
    {"sysv", "/proc/sys/kernel/shmmni", 2, "shmmni", &kind_shm, 64},
    {"sysv", "/proc/sys/kernel/shmmni", 2, "shmmni", &kind_queue, 0},
    {"sysv", "/proc/sys/kernel/shmmni", 2, "shmmni", &kind_channel, 0},
    {"sysv", "/proc/sys/kernel/shmmax", 65536, "shmmax", &kind_shm, 1 << 20},
    {"sysv", "/proc/sys/kernel/shmall", 64, "shmall", &kind_shm, 100000},
    {"posix", "/proc/sys/fs/mqueue/queues_max", 2, "queues_max", &kind_queue, 0},
};

static bool is_backend(const char *name)
{
    pipc_facts facts;
    return pipc_library_facts(&facts) == 0 && strcmp(facts.backend, name) == 0;
}

/* A privileged process may go beyond some limits. */
static void drop_privilege_over_limits(void)
{
    struct __user_cap_header_struct header = {.version = _LINUX_CAPABILITY_VERSION_3};
    struct __user_cap_data_struct sets[2];
    REQUIRE(syscall(SYS_capget, &header, sets) == 0);
    sets[0].effective &= ~(1u << CAP_SYS_RESOURCE);
    sets[0].permitted &= ~(1u << CAP_SYS_RESOURCE);
    REQUIRE(syscall(SYS_capset, &header, sets) == 0);
}

static int open_one(const struct limit *limit, void **handle, const char *name)
{
    if (limit->kind != &kind_shm)
        return limit->kind->open(handle, name, PIPC_CREATE, 0);
    pipc_shm *shm;
    int error = pipc_shm_open(&shm, name, PIPC_CREATE, &(pipc_shm_options){.size = limit->size});
    *handle = shm;
    return error;
}

static void ignore(const char *name)
{
    (void)name;
}

/* The detail names the limit and says how to get past it. */
static void names_limit(const char *name)
{
    if (!CHECK(strstr(pipc_error_detail(), name) != NULL))
        fprintf(stderr, "it says: %s\n", pipc_error_detail());
    CHECK(strstr(pipc_error_detail(), "raise") != NULL);
}

static int meet_limit(void *argument)
{
    enum { MOST = 6 };
    const struct limit *limit = argument;
    int64_t before = 0;
    void *handles[MOST], *refused = (void *)1;
    unsigned made = 0;
    int error = 0;
    REQUIRE(test_read_number(limit->path, &before));
    REQUIRE(test_write_number(limit->path, limit->value));
    drop_privilege_over_limits();
    while (made < MOST && !(error = open_one(limit, &handles[made], test_numbered("limited", made))))
        made++;
    CHECK_ERROR(error, LIMIT);
    names_limit(limit->name);
    unsigned there = probe_count(test_prefix());
    for (unsigned i = 0; i < 50; i++) { /* what is refused is undone, however often */
        CHECK_ERROR(open_one(limit, &refused, test_name("refused")), LIMIT);
        CHECK(refused == NULL);
    }
    CHECK_EQUAL(probe_count(test_prefix()), there);
    CHECK_ERROR(limit->kind->open(&refused, test_name("refused"), 0, 0), NOT_FOUND);
    for (unsigned i = 0; i < made; i++) { /* those before it are as good as ever */
        CHECK_OK(limit->kind->write(handles[i], i));
        CHECK_OK(limit->kind->close(handles[i]));
        CHECK_OK(limit->kind->remove(test_numbered("limited", i)));
    }
    CHECK_EQUAL(probe_remove_everything(ignore), 0);
    REQUIRE(test_write_number(limit->path, before));
    REQUIRE_OK(open_one(limit, &refused, test_name("refused")));
    CHECK_OK(limit->kind->close(refused));
    CHECK_OK(limit->kind->remove(test_name("refused")));
    return 0;
}

static void every_limit_of_the_kernel_is_answered_by_its_name(void)
{
    unsigned met = 0;
    for (unsigned i = 0; i < sizeof limits / sizeof limits[0]; i++) {
        if (!is_backend(limits[i].backend))
            continue;
        met++;
        if (!CHECK_EQUAL(test_in_private_ipc(0, meet_limit, (void *)&limits[i]), 0))
            fprintf(stderr, "that was %s for %s\n", limits[i].path, pipc_kind_word(limits[i].kind->number));
    }
    CHECK(met > 0);
}

/* ---- less of the kernel's queue, the same promises ---- */

/* Capacity, order and priority with messages that fit and messages that do not. */
static void keeps_its_promises(const char *name)
{
    enum { COUNT = 40, LARGE = 3000 };
    static unsigned char body[LARGE], back[LARGE];
    pipc_queue *queue;
    pipc_queue_options options = {.max_messages = COUNT, .max_size = LARGE};
    REQUIRE_OK(pipc_queue_open(&queue, name, PIPC_CREATE | PIPC_EXCLUSIVE, &options));
    for (uint32_t i = 0; i < COUNT; i++) {
        pipc_message message = {.type = 1 + i, .data = body, .size = i % 4 ? 8 : LARGE, .priority = i % 3 == 0};
        memset(body, (int)i, LARGE);
        REQUIRE_OK(pipc_queue_send(queue, &message, PIPC_NOWAIT));
    }
    CHECK_ERROR(pipc_queue_send(queue, &(pipc_message){.type = 1}, PIPC_NOWAIT), FULL);
    for (uint32_t priority = 2; priority-- > 0;)
        for (uint32_t i = 0; i < COUNT; i++) {
            if ((i % 3 == 0) != priority)
                continue;
            pipc_message got = {.data = back, .size = LARGE};
            REQUIRE_OK(pipc_queue_receive(queue, pipc_any(), &got, PIPC_NOWAIT));
            CHECK_EQUAL(got.type, 1 + i);
            CHECK_EQUAL(got.size, i % 4 ? 8 : LARGE);
            CHECK(back[0] == i && back[got.size - 1] == i);
        }
    CHECK_ERROR(pipc_queue_receive(queue, pipc_any(), &(pipc_message){0}, PIPC_NOWAIT), EMPTY);
    CHECK_OK(pipc_queue_close(queue));
    CHECK_OK(pipc_queue_remove(name));
}

struct squeeze {
    enum probe_limit limit;
    int64_t value;
};

static int live_with_less(void *argument)
{
    const struct squeeze *squeeze = argument;
    REQUIRE(test_write_number(probe_limit_path(squeeze->limit), squeeze->value));
    drop_privilege_over_limits();
    keeps_its_promises(test_name("squeezed"));
    CHECK_EQUAL(probe_remove_everything(ignore), 0);
    return 0;
}

static void squeeze_it(enum probe_limit limit, const int64_t *values, unsigned count)
{
    for (unsigned i = 0; i < count; i++) {
        struct squeeze squeeze = {limit, values[i]};
        if (!CHECK_EQUAL(test_in_private_ipc(0, live_with_less, &squeeze), 0))
            fprintf(stderr, "that was %s = %d\n", probe_limit_path(limit), (int)values[i]);
    }
}

static void a_queue_keeps_its_promises_when_the_kernels_is_small(void)
{
    static const int64_t sizes[] = {8192, 1024, 256, 128}, messages[] = {5, 2, 1}, bytes[] = {1000, 256, 100};
    pipc_facts facts;
    REQUIRE_OK(pipc_library_facts(&facts));
    squeeze_it(PROBE_LIMIT_MESSAGE_SIZE, sizes, 4);
    squeeze_it(PROBE_LIMIT_DEPTH, facts.kernel_depth_max ? messages : bytes, 3);
}

/* ---- limits of the process ---- */

static void set_limit(int resource, rlim_t value)
{
    struct rlimit limit;
    REQUIRE(getrlimit(resource, &limit) == 0);
    limit.rlim_cur = value;
    REQUIRE(setrlimit(resource, &limit) == 0);
}

static int with_purse_of(void *argument)
{
    drop_privilege_over_limits();
    set_limit(RLIMIT_MSGQUEUE, *(rlim_t *)argument);
    keeps_its_promises(test_name("purse"));
    return 0;
}

static int with_empty_purse(void *argument)
{
    (void)argument;
    struct rlimit before;
    REQUIRE(getrlimit(RLIMIT_MSGQUEUE, &before) == 0);
    drop_privilege_over_limits();
    set_limit(RLIMIT_MSGQUEUE, 0);
    pipc_queue *queue = (pipc_queue *)1;
    int error = pipc_queue_open(&queue, test_name("broke"), PIPC_CREATE, NULL);
    if (is_backend("posix")) {
        CHECK_ERROR(error, LIMIT);
        CHECK(queue == NULL);
        names_limit("RLIMIT_MSGQUEUE");
        CHECK_EQUAL(probe_count(test_prefix()), 0);
        set_limit(RLIMIT_MSGQUEUE, before.rlim_cur);
        REQUIRE_OK(pipc_queue_open(&queue, test_name("broke"), PIPC_CREATE, NULL));
    } else {
        REQUIRE_OK(error);
    }
    CHECK_OK(kind_queue_write(queue, 1));
    CHECK_OK(pipc_queue_close(queue));
    CHECK_OK(pipc_queue_remove(test_name("broke")));
    return 0;
}

/* The purse is one for all queues of a user: so it must be a user whom nobody else is just now. */
static int with_own_purse(test_body *body, void *argument)
{
    if (geteuid() == 0)
        return test_as_user(1000000 + (uid_t)getpid(), body, argument);
    return test_in_private_ipc(0, body, argument);
}

static void the_purse_for_queues_is_named_when_it_is_empty(void)
{
    CHECK_EQUAL(with_own_purse(with_empty_purse, NULL), 0);
}

static void a_small_purse_is_enough(void)
{
    static rlim_t purses[] = {200000, 20000, 1000};
    for (unsigned i = 0; i < sizeof purses / sizeof purses[0]; i++)
        CHECK_EQUAL(with_own_purse(with_purse_of, &purses[i]), 0);
}

/* Opens something with `left` descriptors to spare. True if that was enough. */
static bool open_with(const struct kind *kind, int next, int left)
{
    void *handle = (void *)1;
    unsigned there = probe_count(test_prefix());
    set_limit(RLIMIT_NOFILE, (rlim_t)(next + left));
    int error = kind->open(&handle, test_name("files"), PIPC_CREATE, 0);
    if (error) {
        CHECK_ERROR(error, LIMIT);
        CHECK(handle == NULL);
        names_limit("RLIMIT_NOFILE");
        error = kind->open(&handle, test_name("open"), 0, 0);
        CHECK(error == PIPC_OK || error == PIPC_E_LIMIT); /* opening needs less than making */
        CHECK_OK(kind->close(handle));
        set_limit(RLIMIT_NOFILE, (rlim_t)next + 10); /* the probe needs some */
        CHECK_EQUAL(probe_count(test_prefix()), there);
        return false;
    }
    CHECK_OK(kind->write(handle, 1));
    CHECK_OK(kind->close(handle));
    CHECK_OK(kind->remove(test_name("files")));
    return true;
}

static int without_descriptors(void *argument)
{
    const struct kind *kind = argument;
    void *existing;
    uint32_t number = 0;
    REQUIRE_OK(kind->open(&existing, test_name("open"), PIPC_CREATE, 0));
    int next = dup(0), left = 0;
    REQUIRE(next >= 0);
    close(next);
    while (left < 6 && !open_with(kind, next, left))
        left++;
    CHECK(left < 6);
    CHECK(left == 0 || !is_backend("sysv"));
    set_limit(RLIMIT_NOFILE, (rlim_t)next);
    CHECK_OK(kind->write(existing, 7)); /* what is open works on */
    CHECK_OK(kind->read(existing, &number));
    CHECK_EQUAL(number, 7);
    set_limit(RLIMIT_NOFILE, (rlim_t)next + 10);
    CHECK_OK(kind->close(existing));
    CHECK_OK(kind->remove(test_name("open")));
    CHECK_EQUAL(probe_count(test_prefix()), 0);
    return 0;
}

static void too_few_descriptors_are_named(void)
{
    CHECK_EQUAL(test_wait(test_fork(without_descriptors, (void *)&kind_queue), PIPC_SECONDS(20)), 0);
    CHECK_EQUAL(test_wait(test_fork(without_descriptors, (void *)&kind_shm), PIPC_SECONDS(20)), 0);
    CHECK_EQUAL(test_wait(test_fork(without_descriptors, (void *)&kind_channel), PIPC_SECONDS(20)), 0);
}

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

static int without_address_space(void *argument)
{
    const uint64_t size = 64 << 20;
    pipc_shm *shm = NULL;
    void *address = (void *)1;
    set_limit(RLIMIT_AS, (rlim_t)(address_space_kib() + 16384) << 10);
    int error = pipc_shm_open(&shm, argument, PIPC_CREATE, &(pipc_shm_options){.size = size});
    if (!error)
        error = pipc_shm_map(shm, PIPC_READ | PIPC_WRITE, &address);
    CHECK_ERROR(error, NO_MEMORY);
    CHECK(!shm || address == NULL);
    if (!CHECK(strstr(pipc_error_detail(), "address space") != NULL))
        fprintf(stderr, "it says: %s\n", pipc_error_detail());
    CHECK_OK(pipc_shm_close(shm));
    if (shm)
        CHECK_OK(pipc_shm_remove(argument));
    CHECK_EQUAL(probe_count(test_prefix()), 0);
    return 0;
}

static void too_little_address_space_is_told(void)
{
    CHECK_EQUAL(test_wait(test_fork(without_address_space, (void *)test_name("space")), PIPC_SECONDS(20)), 0);
}

static const struct test tests[] = {
    {"Q9 M2", "every_limit_of_the_kernel_is_answered_by_its_name", every_limit_of_the_kernel_is_answered_by_its_name,
     0},
    {"Q9", "a_queue_keeps_its_promises_when_the_kernels_is_small", a_queue_keeps_its_promises_when_the_kernels_is_small,
     0},
    {"Q9", "the_purse_for_queues_is_named_when_it_is_empty", the_purse_for_queues_is_named_when_it_is_empty, 0},
    {"Q9", "a_small_purse_is_enough", a_small_purse_is_enough, 0},
    {"Q2 M1", "too_few_descriptors_are_named", too_few_descriptors_are_named, 0},
    {"M3", "too_little_address_space_is_told", too_little_address_space_is_told, 0},
};

TEST_MAIN("limits", tests)
