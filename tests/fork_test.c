/* Forks while another thread makes, maps and removes: the child's copy of everything is whole, and the child holds
 * nothing that belongs to the other thread. */
#define _GNU_SOURCE
#include <pthread.h>
#include <unistd.h>

#include "kinds.h"
#include "support.h"

enum { FORKS = 120, AT_ONCE = 6 };

struct maker {
    const struct kind *kind;
    const char *name;
    _Atomic uint32_t rounds;
    _Atomic uint32_t stop;
};

/* Nobody else uses the name: it must always be free, however many children live on. */
static void *make_and_remove(void *argument)
{
    struct maker *maker = argument;
    while (!atomic_load(&maker->stop)) {
        void *handle = NULL;
        uint32_t number = 0;
        REQUIRE_OK(maker->kind->open(&handle, maker->name, PIPC_CREATE | PIPC_EXCLUSIVE, 0));
        CHECK_OK(maker->kind->write(handle, 5));
        CHECK_OK(maker->kind->read(handle, &number));
        CHECK_EQUAL(number, 5);
        CHECK_OK(maker->kind->close(handle));
        REQUIRE_OK(maker->kind->remove(maker->name));
        atomic_fetch_add(&maker->rounds, 1);
    }
    return NULL;
}

struct child {
    const struct kind *kind;
    void *handle; /* inherited */
    _Atomic uint32_t done, end;
};

/* The child has one thread, and no lock of the other's stands in its way. It uses what it inherited and what it
 * makes itself, then lives on. */
static int use_everything(void *argument)
{
    struct child *child = argument;
    const char *name = test_numbered("child", (unsigned)getpid());
    uint32_t number = 0;
    void *own;
    CHECK_OK(child->kind->write(child->handle, 6));
    CHECK_OK(child->kind->read(child->handle, &number));
    CHECK_EQUAL(number, 6);
    REQUIRE_OK(child->kind->open(&own, name, PIPC_CREATE | PIPC_EXCLUSIVE, 0));
    CHECK_OK(child->kind->write(own, 7));
    CHECK_OK(child->kind->close(own));
    CHECK_OK(child->kind->remove(name));
    atomic_fetch_add(&child->done, 1);
    test_await(&child->end, 1);
    return 0;
}

static void fork_while_a_thread_makes(const struct kind *kind)
{
    pthread_t thread;
    pid_t children[AT_ONCE];
    struct maker maker = {.kind = kind, .name = test_name("thread's")};
    struct child *child = test_shared(sizeof *child);
    child->kind = kind;
    REQUIRE_OK(kind->open(&child->handle, test_name("inherited"), PIPC_CREATE | PIPC_EXCLUSIVE, 0));
    REQUIRE(pthread_create(&thread, NULL, make_and_remove, &maker) == 0);
    for (unsigned i = 0; i < FORKS / AT_ONCE && test_failures() == 0; i++) {
        atomic_store(&child->done, 0);
        atomic_store(&child->end, 0);
        for (unsigned k = 0; k < AT_ONCE; k++) {
            children[k] = test_fork(use_everything, child);
            test_await(&child->done, k + 1);
        }
        uint32_t rounds = atomic_load(&maker.rounds);
        test_await(&maker.rounds, rounds + 3); /* whatever they inherited, the thread goes on */
        atomic_store(&child->end, 1);
        for (unsigned k = 0; k < AT_ONCE; k++)
            CHECK_EQUAL(test_wait(children[k], PIPC_SECONDS(30)), 0);
    }
    atomic_store(&maker.stop, 1);
    pthread_join(thread, NULL);
    CHECK_OK(kind->close(child->handle));
    CHECK_OK(kind->remove(test_name("inherited")));
}

static void forks_while_a_thread_makes_queues_hurt_nobody(void)
{
    fork_while_a_thread_makes(&kind_queue);
}

static void forks_while_a_thread_makes_memory_hurt_nobody(void)
{
    fork_while_a_thread_makes(&kind_shm);
}

static void forks_while_a_thread_makes_channels_hurt_nobody(void)
{
    fork_while_a_thread_makes(&kind_channel);
}

static const struct test tests[] = {
    {"Q2 Q13", "forks_while_a_thread_makes_queues_hurt_nobody", forks_while_a_thread_makes_queues_hurt_nobody, 0},
    {"M1", "forks_while_a_thread_makes_memory_hurt_nobody", forks_while_a_thread_makes_memory_hurt_nobody, 0},
    {"C1 C9", "forks_while_a_thread_makes_channels_hurt_nobody", forks_while_a_thread_makes_channels_hurt_nobody, 0},
};

TEST_MAIN("fork", tests)
