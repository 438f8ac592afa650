/* Rights: the mode asked for is the final mode, and it is checked at opening. */
#include <pthread.h>
#include <stdatomic.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include "kinds.h"
#include "probe.h"

enum { STRANGER = 65534 };

static void make(const struct kind *kind, const char *name, uint32_t mode)
{
    void *handle;
    REQUIRE_OK(kind->open(&handle, name, PIPC_CREATE | PIPC_EXCLUSIVE, mode));
    CHECK_OK(kind->write(handle, 77));
    CHECK_OK(kind->close(handle));
}

/* ---- the final mode ---- */

/* A class that has either right may write the control pages of a queue, and all of a channel. */
static uint32_t kernel_mode(const struct kind *kind, uint32_t mode)
{
    if (kind->number == PIPC_KIND_SHM)
        return mode;
    uint32_t wide = 0;
    for (unsigned shift = 0; shift <= 6; shift += 3)
        if ((mode >> shift) & 6)
            wide |= 6u << shift;
    return wide;
}

static void mode_is_final(const struct kind *kind, uint32_t asked, uint32_t expected)
{
    const char *name = test_name("mode");
    struct kind_facts facts;
    uint32_t mode = 0, owner = 0;
    void *handle;
    REQUIRE_OK(kind->open(&handle, name, PIPC_CREATE | PIPC_EXCLUSIVE, asked));
    REQUIRE_OK(kind->facts(handle, &facts));
    CHECK_EQUAL(facts.mode, expected);
    CHECK(probe_mode(kind->number, name, &mode, &owner));
    CHECK_EQUAL(mode, kernel_mode(kind, expected));
    CHECK_EQUAL(owner, geteuid());
    if (kind->number == PIPC_KIND_QUEUE) {
        CHECK(probe_queue_mode(name, &mode));
        CHECK_EQUAL(mode, expected);
    }
    CHECK_OK(kind->close(handle));
    CHECK_OK(kind->remove(name));
}

static void modes(const struct kind *kind)
{
    static const mode_t masks[] = {0, 022, 077, 0777};
    for (unsigned i = 0; i < sizeof masks / sizeof masks[0]; i++) {
        mode_t before = umask(masks[i]);
        mode_is_final(kind, 0, 0600);
        mode_is_final(kind, 0600, 0600);
        mode_is_final(kind, 0640, 0640);
        mode_is_final(kind, 0622, 0622);
        mode_is_final(kind, 0644, 0644);
        mode_is_final(kind, 0666, 0666);
        umask(before);
    }
}

static void the_mode_asked_for_is_final_whatever_the_umask(void)
{
    kind_all(modes);
}

static void umask_stays(const struct kind *kind)
{
    umask(027);
    make(kind, test_name("umask"), 0666);
    CHECK_EQUAL(umask(022), 027);
    CHECK_OK(kind->remove(test_name("umask")));
}

static void the_process_keeps_its_umask(void)
{
    kind_all(umask_stays);
}

/* Until it is settled a new thing has the mode that the umask leaves, and for as long as a fork may take that. */
struct forking {
    const struct kind *kind;
    _Atomic bool over;
};

static void *fork_on(void *argument)
{
    struct forking *forking = argument;
    while (!atomic_load(&forking->over)) {
        pid_t child = fork();
        if (child == 0)
            _exit(0);
        waitpid(child, NULL, 0);
    }
    return NULL;
}

static int make_while_forking(void *argument)
{
    struct forking *forking = argument;
    const char *name = test_name("forking");
    pthread_t thread;
    if (geteuid() == 0) /* root may everything whatever the mode */
        REQUIRE(setresgid(65534, 65534, 65534) == 0 && setresuid(65534, 65534, 65534) == 0);
    umask(0777);
    REQUIRE(pthread_create(&thread, NULL, fork_on, forking) == 0);
    for (int64_t until = test_now() + PIPC_MS(700); test_now() < until && test_failures() == 0;) {
        void *handle;
        if (!CHECK_OK(forking->kind->open(&handle, name, PIPC_CREATE | PIPC_EXCLUSIVE | PIPC_READ | PIPC_WRITE, 0)))
            break;
        CHECK_OK(forking->kind->close(handle));
        CHECK_OK(forking->kind->remove(name));
    }
    atomic_store(&forking->over, true);
    return pthread_join(thread, NULL);
}

static void made_while_forking(const struct kind *kind)
{
    CHECK_EQUAL(test_wait(test_fork(make_while_forking, &(struct forking){.kind = kind}), PIPC_SECONDS(60)), 0);
}

static void neither_umask_nor_forks_lock_the_maker_out(void)
{
    kind_all(made_while_forking);
}

/* ---- what a stranger may ---- */

static void needs_root(void)
{
    if (geteuid() != 0)
        test_skip("only root can become another user");
}

struct attempt {
    const struct kind *kind;
    const char *name;
    uint32_t flags;
    uint32_t number; /* what it read */
};

/* Exit status: the error of opening. */
static int try_to_open(void *argument)
{
    struct attempt *attempt = argument;
    void *handle = NULL;
    int error = attempt->kind->open(&handle, attempt->name, attempt->flags, 0);
    if (error) {
        CHECK(handle == NULL);
        if (!CHECK(strstr(pipc_error_detail(), attempt->name) != NULL))
            fprintf(stderr, "it says: %s\n", pipc_error_detail());
        return error;
    }
    return attempt->kind->close(handle);
}

static int try_to_remove(void *argument)
{
    struct attempt *attempt = argument;
    return attempt->kind->remove(attempt->name);
}

static int stranger(test_body *body, const struct kind *kind, const char *name, uint32_t flags)
{
    struct attempt attempt = {.kind = kind, .name = name, .flags = flags};
    return test_as_user(STRANGER, body, &attempt);
}

static void a_stranger_may(const struct kind *kind, uint32_t mode, int to_read, int to_write, int to_do_both)
{
    const char *name = test_name("guarded");
    make(kind, name, mode);
    CHECK_EQUAL(stranger(try_to_open, kind, name, PIPC_READ), to_read);
    CHECK_EQUAL(stranger(try_to_open, kind, name, PIPC_WRITE), to_write);
    CHECK_EQUAL(stranger(try_to_open, kind, name, PIPC_READ | PIPC_WRITE), to_do_both);
    CHECK_EQUAL(stranger(try_to_open, kind, name, 0), to_do_both);
    CHECK_EQUAL(stranger(try_to_open, kind, name, PIPC_CREATE), to_do_both);
    CHECK_EQUAL(stranger(try_to_remove, kind, name, 0), PIPC_E_ACCESS);
    void *handle;
    uint32_t number = 0;
    REQUIRE_OK(kind->open(&handle, name, 0, 0)); /* all that changed nothing */
    CHECK_OK(kind->read(handle, &number));
    CHECK_EQUAL(number, 77);
    CHECK_OK(kind->close(handle));
    CHECK_OK(kind->remove(name));
}

static void strangers(const struct kind *kind)
{
    const int no = PIPC_E_ACCESS, yes = PIPC_OK;
    a_stranger_may(kind, 0600, no, no, no);
    a_stranger_may(kind, 0640, no, no, no);
    a_stranger_may(kind, 0660, no, no, no);
    a_stranger_may(kind, 0644, yes, no, no);
    a_stranger_may(kind, 0666, yes, yes, yes);
}

static void a_stranger_may_what_the_mode_says_and_never_remove(void)
{
    needs_root();
    kind_all(strangers);
    a_stranger_may(&kind_queue, 0622, PIPC_E_ACCESS, PIPC_OK, PIPC_E_ACCESS);
    a_stranger_may(&kind_channel, 0622, PIPC_E_ACCESS, PIPC_OK, PIPC_E_ACCESS);
}

/* A member of the owner's group: root's own group, another user. */
static int as_group_member(void *argument)
{
    REQUIRE(setresuid(STRANGER, STRANGER, STRANGER) == 0);
    return try_to_open(argument);
}

static int member(const struct kind *kind, const char *name, uint32_t flags)
{
    struct attempt attempt = {.kind = kind, .name = name, .flags = flags};
    return test_wait(test_fork(as_group_member, &attempt), PIPC_SECONDS(10));
}

static void members(const struct kind *kind)
{
    const char *name = test_name("group");
    make(kind, name, 0640);
    CHECK_EQUAL(member(kind, name, PIPC_READ), PIPC_OK);
    CHECK_EQUAL(member(kind, name, PIPC_WRITE), PIPC_E_ACCESS);
    CHECK_EQUAL(member(kind, name, 0), PIPC_E_ACCESS);
    CHECK_OK(kind->remove(name));
    make(kind, name, 0606); /* the group has less than the others: the kernel looks at the group only */
    CHECK_EQUAL(member(kind, name, PIPC_READ), PIPC_E_ACCESS);
    CHECK_OK(kind->remove(name));
}

static void the_group_may_what_its_bits_say(void)
{
    needs_root();
    kind_all(members);
}

/* ---- one direction only ---- */

static int send_only(void *argument)
{
    pipc_queue *queue;
    uint32_t number;
    REQUIRE_OK(pipc_queue_open(&queue, argument, PIPC_SEND, NULL));
    CHECK_OK(kind_queue_write(queue, 1234));
    CHECK_ERROR(kind_queue_read(queue, &number), ACCESS);
    CHECK_ERROR(pipc_queue_purge(queue, NULL), ACCESS);
    pipc_message message = {.data = &number, .size = sizeof number};
    CHECK_ERROR(pipc_queue_peek(queue, pipc_any(), &message, PIPC_NOWAIT), ACCESS);
    return pipc_queue_close(queue);
}

static void a_send_only_stranger_sends_and_cannot_look(void)
{
    const char *name = test_name("mailbox");
    pipc_queue *queue;
    uint32_t number = 0;
    pipc_queue_options options = {.max_messages = 8, .max_size = 16, .mode = 0622};
    needs_root();
    REQUIRE_OK(pipc_queue_open(&queue, name, PIPC_CREATE, &options));
    CHECK_EQUAL(test_as_user(STRANGER, send_only, (void *)name), 0);
    CHECK_OK(kind_queue_read(queue, &number));
    CHECK_EQUAL(number, 1234);
    CHECK_OK(pipc_queue_close(queue));
    CHECK_OK(pipc_queue_remove(name));
}

/* More than the kernel's queue holds, so that messages lie in shared memory too. */
static int send_many(void *argument)
{
    pipc_queue *queue;
    REQUIRE_OK(pipc_queue_open(&queue, argument, PIPC_SEND, NULL));
    for (uint32_t i = 0; i < 200; i++)
        REQUIRE_OK(kind_queue_write(queue, i));
    CHECK_ERROR(kind_queue_write(queue, 200), FULL);
    return pipc_queue_close(queue);
}

static void a_send_only_stranger_can_fill_the_queue(void)
{
    const char *name = test_name("filled");
    pipc_queue *queue;
    uint32_t number;
    pipc_queue_options options = {.max_messages = 200, .max_size = 16, .mode = 0622};
    needs_root();
    REQUIRE_OK(pipc_queue_open(&queue, name, PIPC_CREATE, &options));
    CHECK_EQUAL(test_as_user(STRANGER, send_many, (void *)name), 0);
    for (uint32_t i = 0; i < 200; i++) {
        REQUIRE_OK(kind_queue_read(queue, &number));
        CHECK_EQUAL(number, i);
    }
    CHECK_ERROR(kind_queue_read(queue, &number), EMPTY);
    CHECK_OK(pipc_queue_close(queue));
    CHECK_OK(pipc_queue_remove(name));
}

static void each_handle_does_what_it_was_opened_for(void)
{
    const char *name = test_name("courtesy");
    pipc_queue *sender, *receiver;
    pipc_queue_info info;
    uint32_t number;
    REQUIRE_OK(pipc_queue_open(&sender, name, PIPC_CREATE | PIPC_SEND, NULL));
    REQUIRE_OK(pipc_queue_open(&receiver, name, PIPC_RECEIVE, NULL));
    CHECK_ERROR(kind_queue_read(sender, &number), ACCESS);
    CHECK_ERROR(kind_queue_write(receiver, 1), ACCESS);
    CHECK_OK(kind_queue_write(sender, 1));
    CHECK_OK(pipc_queue_statistics(sender, &info));
    CHECK_EQUAL(info.messages, 1);
    CHECK_OK(kind_queue_read(receiver, &number));
    CHECK_OK(pipc_queue_close(sender));
    CHECK_OK(pipc_queue_close(receiver));
    CHECK_OK(pipc_queue_remove(name));
}

static int read_only_stranger(void *argument)
{
    pipc_shm *shm;
    void *address;
    REQUIRE_OK(pipc_shm_open(&shm, argument, PIPC_READ, NULL));
    CHECK_ERROR(pipc_shm_map(shm, PIPC_READ | PIPC_WRITE, &address), ACCESS);
    REQUIRE_OK(pipc_shm_map(shm, PIPC_READ, &address));
    CHECK_EQUAL(*(volatile uint32_t *)address, 77);
    pipc_shm_info info;
    REQUIRE_OK(pipc_shm_statistics(shm, &info));
    CHECK_EQUAL(info.owner, 0);
    CHECK_EQUAL(info.mode, 0644);
    CHECK_EQUAL(info.attachments, 1);
    return pipc_shm_close(shm);
}

static void a_read_only_stranger_reads_memory(void)
{
    const char *name = test_name("board");
    needs_root();
    make(&kind_shm, name, 0644);
    CHECK_EQUAL(test_as_user(STRANGER, read_only_stranger, (void *)name), 0);
    CHECK_OK(pipc_shm_remove(name));
}

/* ---- who may remove ---- */

static int make_as_user(void *argument)
{
    struct attempt *attempt = argument;
    make(attempt->kind, attempt->name, 0600);
    return 0;
}

static void privileged(const struct kind *kind)
{
    const char *name = test_name("privileged");
    void *handle;
    struct kind_facts facts;
    struct attempt attempt = {.kind = kind, .name = name};
    CHECK_EQUAL(test_as_user(STRANGER, make_as_user, &attempt), 0);
    REQUIRE_OK(kind->open(&handle, name, 0, 0));
    CHECK_OK(kind->facts(handle, &facts));
    CHECK_EQUAL(facts.owner, STRANGER);
    CHECK_OK(kind->close(handle));
    CHECK_OK(kind->remove(name));
    CHECK_ERROR(kind->remove(name), NOT_FOUND);
}

static void a_privileged_process_may_open_and_remove_anything(void)
{
    needs_root();
    kind_all(privileged);
}

static const struct test tests[] = {
    {"Q3 M1", "the_mode_asked_for_is_final_whatever_the_umask", the_mode_asked_for_is_final_whatever_the_umask, 0},
    {"Q3 M1", "the_process_keeps_its_umask", the_process_keeps_its_umask, 0},
    {"Q3 Q13 M1", "neither_umask_nor_forks_lock_the_maker_out", neither_umask_nor_forks_lock_the_maker_out, 0},
    {"Q3 M1", "a_stranger_may_what_the_mode_says_and_never_remove", a_stranger_may_what_the_mode_says_and_never_remove,
     0},
    {"Q3 M1", "the_group_may_what_its_bits_say", the_group_may_what_its_bits_say, 0},
    {"Q3", "a_send_only_stranger_sends_and_cannot_look", a_send_only_stranger_sends_and_cannot_look, 0},
    {"Q3 Q9", "a_send_only_stranger_can_fill_the_queue", a_send_only_stranger_can_fill_the_queue, 0},
    {"Q3", "each_handle_does_what_it_was_opened_for", each_handle_does_what_it_was_opened_for, 0},
    {"Q3 M1 M3 M5", "a_read_only_stranger_reads_memory", a_read_only_stranger_reads_memory, 0},
    {"Q3 M1", "a_privileged_process_may_open_and_remove_anything", a_privileged_process_may_open_and_remove_anything,
     0},
};

TEST_MAIN("opening_rights", tests)
