/* Holes in the names: makers and removers that die or stop at a named point (holes.h), and whoever comes behind. */
#include <stdio.h>
#include <string.h>

#include "holes.h"
#include "points.h"
#include "probe.h"

static int create(void *argument)
{
    pipc_queue *queue;
    (void)argument;
    return pipc_queue_open(&queue, test_name("q"), PIPC_CREATE | PIPC_EXCLUSIVE, NULL);
}

static int remove_it(void *argument)
{
    (void)argument;
    return pipc_queue_remove(test_name("q"));
}

/* Where a creator has made something that has no name in it yet. */
static const char *unborn(void)
{
    static const char *const points[] = {"names: segment made, not attached", "names: noted, not locked"};
    return points[points_find(points[0]) == POINTS_NONE];
}

static const char *just_made(void)
{
    static const char *const points[] = {"names: segment made, not attached", "names: file made, mode not settled"};
    return points[points_find(points[0]) == POINTS_NONE];
}

/* The child may have got somewhere before it stops: its answer is judged by the caller. */
static void a_creator_that_comes_late_harms_no_newer_object(void)
{
    pid_t late = holes_stopped(HOLES_PLAN(NULL, unborn(), .nth = 1), create);
    queue_end(queue_make("q", 1, 64), "q");
    pipc_queue *queue = queue_make("q", 1, 64);
    CHECK_EQUAL(holes_resumed(late), PIPC_E_EXISTS);
    pipc_queue *again = NULL;
    CHECK_OK(pipc_queue_open(&again, test_name("q"), 0, NULL));
    pipc_queue_close(again);
    queue_end(queue, "q");
}

static void who_builds_is_not_taken_for_a_rival(void)
{
    pid_t rival = holes_stopped(HOLES_PLAN(NULL, just_made(), .nth = 1), create);
    pid_t builder = holes_stopped(HOLES_PLAN(NULL, "create: no kernel queue yet", .nth = 1), create);
    int answer = holes_resumed(rival);
    CHECK(answer == PIPC_E_BUSY || answer == PIPC_E_EXISTS);
    CHECK_EQUAL(holes_resumed(builder), 0);
    CHECK_OK(pipc_queue_remove(test_name("q")));
    CHECK_ERROR(pipc_queue_remove(test_name("q")), NOT_FOUND);
}

/* A remover stopped after its mark, which resumes when the name has been made anew. */
static void a_remover_that_comes_late_harms_no_newer_object(void)
{
    pipc_queue_close(queue_make("q", 1, 64));
    pid_t remover = holes_stopped(HOLES_PLAN(NULL, "names: dead, name not freed", .nth = 1), remove_it);
    pipc_queue *queue = NULL;
    int error = pipc_queue_open(&queue, test_name("q"), PIPC_CREATE | PIPC_EXCLUSIVE, NULL);
    CHECK(error == 0 || error == PIPC_E_BUSY);
    CHECK_EQUAL(holes_resumed(remover), 0);
    if (error)
        CHECK_OK(pipc_queue_open(&queue, test_name("q"), PIPC_CREATE | PIPC_EXCLUSIVE, NULL));
    pipc_queue *again = NULL;
    CHECK_OK(pipc_queue_open(&again, test_name("q"), 0, NULL));
    pipc_queue_close(again);
    queue_end(queue, "q");
}

static void a_remover_killed_after_its_mark_is_in_nobodys_way(void)
{
    static const char *const points[] = {"names: dead, name not freed", "remove: woken, name not freed",
                                         "names: kernel queue erased, name not freed"};
    for (unsigned i = 0; i < 3; i++) {
        pipc_queue_close(queue_make("q", 1, 64));
        REQUIRE(holes_killed(HOLES_PLAN(NULL, points[i], .nth = 1), remove_it));
        pipc_queue *queue = NULL;
        if (CHECK_OK(pipc_queue_open(&queue, test_name("q"), PIPC_CREATE | PIPC_EXCLUSIVE, NULL)))
            queue_end(queue, "q");
    }
}

static void an_object_of_another_pid_namespace_is_refused_unless_asked_for(void)
{
    size_t bytes;
    pipc_queue *queue = queue_make("q", 1, 64), *other = NULL;
    struct pipc_object *object = probe_map(PIPC_KIND_QUEUE, test_name("q"), &bytes);
    REQUIRE(object != NULL);
    object->pid_namespace ^= 1;
    CHECK_ERROR(pipc_queue_open(&other, test_name("q"), 0, NULL), NAMESPACE);
    CHECK_OK(pipc_queue_open(&other, test_name("q"), PIPC_FOREIGN_PIDS, NULL));
    pipc_queue_close(other);
    object->pid_namespace ^= 1;
    probe_unmap(object, bytes);
    queue_end(queue, "q");
}

static int create_memory(void *argument)
{
    pipc_shm *shm;
    (void)argument;
    return pipc_shm_open(&shm, test_name("m"), PIPC_CREATE | PIPC_EXCLUSIVE, &(pipc_shm_options){.size = 5000});
}

static void make_to_read(const char *point, uint32_t flags)
{
    pipc_shm *shm = NULL;
    int error = pipc_shm_open(&shm, test_name("m"), flags, &(pipc_shm_options){.size = 5000});
    if (!CHECK(error == 0 || (error == PIPC_E_EXISTS && (flags & PIPC_EXCLUSIVE))))
        printf("after a death at \"%s\": %s\n", point, pipc_error_detail());
    pipc_shm_close(shm);
    CHECK_OK(pipc_shm_remove(test_name("m")));
}

/* Whoever only wants to read what he makes is no less a maker. After some of the points it is whole already. */
static void remains_are_cleared_by_who_makes_something_to_read(void)
{
    unsigned killed = 0;
    for (uint32_t point = 0; point < points_count(); point++) {
        const char *name = points_name(point);
        if (strncmp(name, "names: ", 7) != 0)
            continue;
        killed += holes_killed(HOLES_PLAN(NULL, name, .nth = 1), create_memory);
        make_to_read(name, PIPC_CREATE | PIPC_READ);
        holes_killed(HOLES_PLAN(NULL, name, .nth = 1), create_memory);
        make_to_read(name, PIPC_CREATE | PIPC_EXCLUSIVE | PIPC_READ);
    }
    CHECK(killed >= 6);
}

static const struct test tests[] = {
    {"Q2", "a_creator_that_comes_late_harms_no_newer_object", a_creator_that_comes_late_harms_no_newer_object, 0},
    {"Q2", "who_builds_is_not_taken_for_a_rival", who_builds_is_not_taken_for_a_rival, 0},
    {"Q10", "a_remover_that_comes_late_harms_no_newer_object", a_remover_that_comes_late_harms_no_newer_object, 0},
    {"Q2 G4", "an_object_of_another_pid_namespace_is_refused_unless_asked_for",
     an_object_of_another_pid_namespace_is_refused_unless_asked_for, 0},
    {"Q2 M1", "remains_are_cleared_by_who_makes_something_to_read", remains_are_cleared_by_who_makes_something_to_read,
     0},
    {"Q10", "a_remover_killed_after_its_mark_is_in_nobodys_way", a_remover_killed_after_its_mark_is_in_nobodys_way, 0},
};

TEST_MAIN("holes_names", tests)
