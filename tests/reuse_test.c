/* Names and the kernel's ids that are used again: a handle on what was removed touches nothing new. */
#define _GNU_SOURCE
#include <errno.h>
#include <fcntl.h>
#include <sched.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "probe.h"
#include "support_internal.h"
#include "support_queue.h"

static bool write_to(const char *path, const char *text)
{
    int file = open(path, O_WRONLY | O_CLOEXEC);
    bool written = file >= 0 && write(file, text, strlen(text)) == (ssize_t)strlen(text);
    if (file >= 0)
        close(file);
    return written;
}

/* The kernel lets choose ids in an IPC namespace whose user namespace one rules. */
static void rule_a_namespace(void)
{
    char users[40], groups[40];
    snprintf(users, sizeof users, "0 %u 1", geteuid());
    snprintf(groups, sizeof groups, "0 %u 1", getegid());
    if (unshare(CLONE_NEWUSER) < 0 || !write_to("/proc/self/uid_map", users) ||
        !write_to("/proc/self/setgroups", "deny") || !write_to("/proc/self/gid_map", groups))
        test_skip("no user namespaces here: %s", strerror(errno));
    const char *failed = test_unshare_ipc(0);
    if (failed)
        test_skip("no private IPC namespace: %s: %s", failed, strerror(errno));
}

static void check_removed(pipc_queue *old)
{
    struct queue_got got;
    pipc_queue_info info;
    CHECK_ERROR(queue_send(old, 1, 0, 9, 64, PIPC_NOWAIT), REMOVED);
    CHECK_ERROR(queue_send(old, 1, 0, 9, 9000, PIPC_SECONDS(1)), REMOVED);
    CHECK_ERROR(queue_receive(old, pipc_any(), &got, PIPC_NOWAIT), REMOVED);
    CHECK_ERROR(queue_receive(old, pipc_exactly(1), &got, PIPC_SECONDS(1)), REMOVED);
    CHECK_ERROR(queue_peek(old, pipc_any(), &got, PIPC_NOWAIT), REMOVED);
    CHECK_ERROR(pipc_queue_purge(old, NULL), REMOVED);
    CHECK_ERROR(pipc_queue_statistics(old, &info), REMOVED);
    CHECK_ERROR(pipc_queue_interrupt(old), REMOVED);
}

static void check_queue_with_an_old_id(const char *first, const char *second)
{
    struct probe_ids ids;
    pipc_queue *old = queue_make(first, 4, 9000);
    REQUIRE_OK(queue_send(old, 1, 0, 1, 64, PIPC_NOWAIT));
    REQUIRE(probe_ids_of(PIPC_KIND_QUEUE, test_name(first), &ids));
    CHECK_OK(pipc_queue_remove(test_name(first)));
    if (!probe_ask_for_ids(&ids))
        test_skip("the kernel's next ids cannot be chosen: %s", strerror(errno));
    pipc_queue *new = queue_make(second, 4, 9000);
    CHECK(probe_has_queue_id(test_name(second), &ids));
    for (uint64_t i = 0; i < 3; i++)
        REQUIRE_OK(queue_send(new, 1, 0, 20 + i, i == 1 ? 9000 : 64, PIPC_NOWAIT));
    check_removed(old);
    CHECK_OK(pipc_queue_close(old));
    CHECK_ERROR(pipc_queue_remove(test_name("none")), NOT_FOUND);
    for (uint64_t i = 0; i < 3; i++)
        queue_expect(new, pipc_any(), 20 + i);
    queue_check_room(new, 4, 64);
    queue_end(new, second);
}

static int check_queues(void *argument)
{
    (void)argument;
    rule_a_namespace();
    check_queue_with_an_old_id("one", "another");
    check_queue_with_an_old_id("same", "same");
    return 0;
}

/* In a child: it has one thread only, whatever a sanitizer starts, or the kernel gives no user namespace. */
static void check_in_child(test_body *body)
{
    unsigned failures = test_failures();
    int status = test_wait(test_fork(body, NULL), PIPC_SECONDS(50));
    if (status == TEST_FAILED_CHILD && test_failures() == failures)
        test_skip("no namespace to rule");
    CHECK_EQUAL(status, 0);
}

static void an_old_handle_never_acts_on_a_queue_that_has_its_id(void)
{
    check_in_child(check_queues);
}

static pipc_shm *make_memory(const char *what, uint64_t number)
{
    pipc_shm *shm = NULL;
    void *address = NULL;
    REQUIRE_OK(pipc_shm_open(&shm, test_name(what), PIPC_CREATE | PIPC_EXCLUSIVE, &(pipc_shm_options){.size = 64}));
    REQUIRE_OK(pipc_shm_map(shm, PIPC_READ | PIPC_WRITE, &address));
    memcpy(address, &number, sizeof number);
    REQUIRE_OK(pipc_shm_unmap(shm, address));
    return shm;
}

static void check_memory_with_an_old_id(const char *first, const char *second)
{
    struct probe_ids ids;
    pipc_shm_info info;
    void *address = NULL;
    pipc_shm *old = make_memory(first, 1);
    REQUIRE(probe_ids_of(PIPC_KIND_SHM, test_name(first), &ids));
    CHECK_OK(pipc_shm_remove(test_name(first)));
    if (!probe_ask_for_ids(&ids))
        test_skip("the kernel's next ids cannot be chosen: %s", strerror(errno));
    pipc_shm *new = make_memory(second, 2);
    CHECK_ERROR(pipc_shm_map(old, PIPC_READ, &address), REMOVED);
    CHECK_ERROR(pipc_shm_statistics(old, &info), REMOVED);
    CHECK_OK(pipc_shm_statistics(new, &info));
    CHECK_EQUAL(info.attachments, 1);
    CHECK_OK(pipc_shm_close(old));
    REQUIRE_OK(pipc_shm_map(new, PIPC_READ, &address));
    CHECK_EQUAL(*(uint64_t *)address, 2);
    CHECK_OK(pipc_shm_close(new));
    CHECK_OK(pipc_shm_remove(test_name(second)));
}

static int check_memory(void *argument)
{
    (void)argument;
    rule_a_namespace();
    check_memory_with_an_old_id("one", "another");
    check_memory_with_an_old_id("same", "same");
    return 0;
}

static void an_old_handle_never_acts_on_memory_made_anew(void)
{
    check_in_child(check_memory);
}

static const struct test tests[] = {
    {"Q10", "an_old_handle_never_acts_on_a_queue_that_has_its_id", an_old_handle_never_acts_on_a_queue_that_has_its_id,
     0},
    {"M4", "an_old_handle_never_acts_on_memory_made_anew", an_old_handle_never_acts_on_memory_made_anew, 0},
};

TEST_MAIN("reuse", tests)
