/* Exact instants: one process dies or stops at a named point, another goes on. Each test is one hole that a missing
 * line of the code would leave open; ./dev mutate takes those lines away one by one. */
#include <signal.h>
#include <stdlib.h>
#include <sys/wait.h>
#include <unistd.h>

#include "core/claim.h"
#include "core/point.h"
#include "points.h"
#include "probe.h"
#include "rig.h"
#include "support_queue.h"

enum { BIG = 20000, KILLED = 128 + SIGKILL };

struct plan {
    pipc_queue *queue;
    const char *point;
    unsigned nth;
    uint64_t number, size;
    uint32_t type; /* a receive of exactly this, 0 = any */
};

#define PLAN(on, at, ...) ((struct plan){.queue = (on), .point = (at), __VA_ARGS__})

static void aim(const struct plan *plan, void (*at)(uint32_t, uint32_t))
{
    REQUIRE(points_find(plan->point) != POINTS_NONE);
    at(points_find(plan->point), plan->nth ? plan->nth : 1);
}

/* The bodies answer the number received, or 100: the call failed. */
static int send(void *argument)
{
    struct plan *plan = argument;
    return queue_send(plan->queue, 1, 0, plan->number, plan->size, PIPC_NOWAIT) ? 100 : 0;
}

static int receive(void *argument)
{
    struct plan *plan = argument;
    struct queue_got got;
    pipc_selection selection = plan->type ? pipc_exactly(plan->type) : pipc_any();
    return queue_receive(plan->queue, selection, &got, PIPC_NOWAIT) ? 100 : (int)got.number;
}

static int purge(void *argument)
{
    return pipc_queue_purge(((struct plan *)argument)->queue, NULL) ? 100 : 0;
}

struct step {
    struct plan *plan;
    test_body *body;
    void (*at)(uint32_t, uint32_t);
};

static int take_step(void *argument)
{
    struct step *step = argument;
    aim(step->plan, step->at);
    return step->body(step->plan);
}

/* Runs the body in a child that is killed at the plan's point. False: it did not come there. */
static bool killed(struct plan plan, test_body *body)
{
    struct step step = {&plan, body, points_kill_at};
    return test_wait(test_fork(take_step, &step), PIPC_SECONDS(30)) == KILLED;
}

/* Runs it in a child that stops there. */
static pid_t stopped(struct plan plan, test_body *body)
{
    struct step step = {&plan, body, points_stop_at};
    int status;
    pid_t child = test_fork(take_step, &step);
    REQUIRE(waitpid(child, &status, WUNTRACED) == child);
    REQUIRE(WIFSTOPPED(status));
    return child;
}

static int resumed(pid_t child)
{
    kill(child, SIGCONT);
    return test_wait(child, PIPC_SECONDS(30));
}

static void send_now(pipc_queue *queue, uint64_t number, uint64_t size)
{
    REQUIRE_OK(queue_send(queue, 1, 0, number, size, PIPC_NOWAIT));
}

/* Everything is gone, and every place is there. */
static void empty_and_whole(pipc_queue *queue, uint32_t places, uint64_t size)
{
    struct queue_got got;
    CHECK_ERROR(queue_receive(queue, pipc_any(), &got, PIPC_NOWAIT), EMPTY);
    CHECK_EQUAL(queue_info(queue).messages, 0);
    queue_check_room(queue, places, size);
    queue_end(queue, "q");
}

/* ---- senders ---- */

static void a_dead_senders_message_is_void_once_its_place_is_another_s(void)
{
    pipc_queue *queue = queue_make("q", 1, 64);
    struct queue_got got;
    REQUIRE(killed(PLAN(queue, "send: put, not confirmed", .number = 1, .size = 8), send));
    pid_t second = stopped(PLAN(queue, "send: reserved, no ticket", .number = 2, .size = 8), send);
    CHECK_ERROR(queue_receive(queue, pipc_any(), &got, PIPC_NOWAIT), EMPTY);
    CHECK_EQUAL(resumed(second), 0);
    CHECK(queue_expect(queue, pipc_any(), 2));
    empty_and_whole(queue, 1, 8);
}

static void a_late_confirmation_does_not_bring_a_taken_message_back(void)
{
    pipc_queue *queue = queue_make("q", 2, 64);
    pid_t sender = stopped(PLAN(queue, "send: put, not confirmed", .number = 1, .size = 8), send);
    CHECK(queue_expect(queue, pipc_any(), 1));
    CHECK_EQUAL(resumed(sender), 0);
    CHECK_EQUAL(queue_info(queue).messages, 0);
    empty_and_whole(queue, 2, 8);
}

static void a_spilled_message_survives_its_senders_death(void)
{
    static const char *const points[] = {"spill: full, not in the indexes", "spill: in the indexes, still pending"};
    for (unsigned i = 0; i < 2; i++) {
        pipc_queue *queue = queue_make("q", 2, BIG);
        REQUIRE(killed(PLAN(queue, points[i], .number = 1, .size = BIG), send));
        struct queue_got got;
        if (CHECK_OK(queue_receive(queue, pipc_any(), &got, PIPC_SECONDS(20))))
            CHECK_EQUAL(got.number, 1);
        empty_and_whole(queue, 2, BIG);
    }
}

/* A place freed behind the look, and another taken before it: the first look alone would say "full". */
static void full_is_not_said_when_a_place_was_free_all_the_time(void)
{
    pipc_queue *queue = queue_make("q", 2, 64), *other = queue_join("q", 0);
    REQUIRE_OK(queue_send(queue, 1, 0, 1, 8, PIPC_NOWAIT));
    REQUIRE_OK(queue_send(other, 2, 0, 2, 8, PIPC_NOWAIT)); /* goes for the second place from now on */
    CHECK(queue_expect(queue, pipc_exactly(2), 2));
    CHECK(queue_expect(queue, pipc_exactly(1), 1));
    send_now(queue, 3, 8);
    pid_t sender = stopped(PLAN(queue, "slot: one seen, not the next", .number = 5, .size = 8), send);
    CHECK(queue_expect(queue, pipc_any(), 3));
    send_now(other, 4, 8);
    CHECK_EQUAL(resumed(sender), 0);
    CHECK(queue_expect(queue, pipc_any(), 4));
    CHECK(queue_expect(queue, pipc_any(), 5));
    CHECK_OK(pipc_queue_close(other));
    empty_and_whole(queue, 2, 8);
}

static void a_stopped_senders_place_stays_its_own(void)
{
    pipc_queue *queue = queue_make("q", 1, 64);
    pid_t sender = stopped(PLAN(queue, "send: reserved, no ticket", .number = 1, .size = 8), send);
    CHECK_ERROR(queue_send(queue, 1, 0, 2, 8, PIPC_MS(150)), TIMEOUT);
    CHECK_EQUAL(resumed(sender), 0);
    CHECK(queue_expect(queue, pipc_any(), 1));
    empty_and_whole(queue, 1, 8);
}

/* ---- receivers ---- */

static void a_message_that_the_dead_did_not_want_is_not_lost(void)
{
    static const char *const points[] = {"receive: taken, not claimed", "receive: claimed",
                                         "stow: filled, not in the indexes", "stow: in the indexes, still staged"};
    for (unsigned i = 0; i < 4; i++) {
        pipc_queue *queue = queue_make("q", 2, 64);
        send_now(queue, 1, 8);
        REQUIRE(killed(PLAN(queue, points[i], .type = 2), receive));
        struct queue_got got;
        if (CHECK_OK(queue_receive(queue, pipc_any(), &got, PIPC_SECONDS(20))))
            CHECK_EQUAL(got.number, 1);
        empty_and_whole(queue, 2, 8);
    }
}

static void a_receiver_killed_while_it_delivers_keeps_no_place(void)
{
    static const struct {
        const char *point;
        uint64_t size;
        bool gone;
    } cases[] = {{"receive: copied from staging, not freed", 8, false},
                 {"receive: freed, still staged", 8, true},
                 {"receive: copied from its slot, pending", BIG, false},
                 {"receive: out of the indexes, still full", BIG, false},
                 {"receive: freed, still pending", BIG, true}};
    for (unsigned i = 0; i < sizeof cases / sizeof *cases; i++) {
        pipc_queue *queue = queue_make("q", 2, BIG);
        send_now(queue, 1, cases[i].size);
        REQUIRE(killed(PLAN(queue, cases[i].point, .nth = 1), receive));
        struct queue_got got;
        int error = queue_receive(queue, pipc_any(), &got, PIPC_SECONDS(cases[i].gone ? 0 : 20));
        CHECK_EQUAL(error, cases[i].gone && error == PIPC_E_EMPTY ? PIPC_E_EMPTY : PIPC_OK);
        CHECK_EQUAL(queue_info(queue).messages, 0);
        CHECK(cases[i].gone ? error != PIPC_OK : error == PIPC_OK);
        empty_and_whole(queue, 2, BIG);
    }
}

struct links {
    struct rig_figures figures;
    const char *point;
    bool by_type; /* how the survivor receives: each index has its own tree */
};

enum { MANY = 7 };

/* A receiver of this type is killed at the nth place. False: it did not come there. */
static bool cut_a_link(struct links *links, uint32_t type, unsigned nth)
{
    pipc_queue *queue = queue_make("q", MANY, BIG);
    for (uint32_t number = 1; number <= MANY; number++)
        REQUIRE_OK(queue_send(queue, number, 0, number, BIG, PIPC_NOWAIT));
    bool cut = killed(PLAN(queue, links->point, .nth = nth, .type = type), receive);
    for (uint64_t number = 1; number <= MANY; number++) {
        struct queue_got got;
        if (!cut && number == type)
            continue;
        pipc_selection selection = links->by_type ? pipc_exactly((uint32_t)number) : pipc_any();
        int error = queue_receive(queue, selection, &got, PIPC_SECONDS(5));
        links->figures.lost += error != 0 || got.number != number;
    }
    links->figures.kills += cut;
    links->figures.trials++;
    empty_and_whole(queue, MANY, BIG);
    return cut;
}

/* At every write of a link, and before each: the indexes lose nobody. */
static void a_death_in_the_indexes_loses_no_other_message(void)
{
    static const char *const points[] = {"index: noted, link as it was", "index: link written"};
    struct links links = {.figures = {.rig = "holes_index"}};
    for (unsigned i = 0; i < 4; i++)
        for (uint32_t type = 1; type <= MANY; type++) {
            links.point = points[i / 2];
            links.by_type = i % 2;
            for (unsigned nth = 1; cut_a_link(&links, type, nth); nth++)
                ;
        }
    CHECK(links.figures.kills > 4 * MANY);
    rig_tell(&links.figures);
}

static void a_purge_cut_short_is_finished_by_the_next(void)
{
    for (unsigned nth = 1; nth <= 3; nth++) {
        pipc_queue *queue = queue_make("q", 3, BIG);
        for (uint64_t number = 1; number <= 3; number++)
            send_now(queue, number, BIG);
        REQUIRE(killed(PLAN(queue, "purge: some freed", .nth = nth), purge));
        struct queue_got got;
        while (queue_receive(queue, pipc_any(), &got, PIPC_MS(100)) == 0)
            ;
        empty_and_whole(queue, 3, BIG);
    }
}

/* The audit looks for messages that vanished from the kernel; one that is put just before it has not. */
static void an_audit_frees_no_place_whose_message_has_just_come(void)
{
    pipc_queue *queue = queue_make("q", 2, 64);
    struct queue_got got;
    send_now(queue, 1, 8);
    send_now(queue, 2, 8);
    CHECK_ERROR(queue_send(queue, 1, 0, 3, 8, PIPC_NOWAIT), FULL); /* asks for an audit */
    CHECK(queue_expect(queue, pipc_any(), 1));
    CHECK(queue_expect(queue, pipc_any(), 2));
    atomic_store(&queue->control->audit_wanted, 1);
    pid_t receiver = stopped(PLAN(queue, "audit: begun, nothing noted", .nth = 1), receive);
    send_now(queue, 9, 8);
    CHECK_EQUAL(resumed(receiver), 9);
    CHECK_ERROR(queue_receive(queue, pipc_any(), &got, PIPC_NOWAIT), EMPTY);
    empty_and_whole(queue, 2, 8);
}

static void a_length_that_lies_is_cut_to_what_a_place_holds(void)
{
    enum { MOST = 9000 };
    static unsigned char room[1 << 20];
    pipc_queue *queue = queue_make("q", 1, MOST);
    send_now(queue, 1, MOST);
    atomic_store(&queue->slots[0].length, UINT32_MAX);
    pipc_message message = {.data = room, .size = sizeof room};
    if (CHECK_OK(pipc_queue_receive(queue, pipc_any(), &message, PIPC_NOWAIT)))
        CHECK_EQUAL(message.size, MOST);
    empty_and_whole(queue, 1, MOST);
}

/* ---- the lock ---- */

static void a_stopped_holder_is_not_robbed(void)
{
    pipc_queue *queue = queue_make("q", 2, 64);
    struct queue_got got;
    send_now(queue, 1, 8);
    pid_t holder = stopped(PLAN(queue, "receive: locked", .nth = 1), receive);
    CHECK_ERROR(queue_receive(queue, pipc_any(), &got, PIPC_MS(100)), TIMEOUT);
    CHECK_ERROR(queue_receive(queue, pipc_any(), &got, PIPC_NOWAIT), BUSY);
    CHECK_EQUAL(resumed(holder), 1);
    empty_and_whole(queue, 2, 8);
}

static void a_zombie_that_holds_the_lock_is_robbed(void)
{
    pipc_queue *queue = queue_make("q", 2, 64);
    struct queue_got got;
    siginfo_t info;
    struct plan plan = PLAN(queue, "receive: locked", .nth = 1);
    struct step step = {&plan, receive, points_kill_at};
    send_now(queue, 1, 8);
    pid_t zombie = test_fork(take_step, &step);
    REQUIRE(waitid(P_PID, (id_t)zombie, &info, WEXITED | WNOWAIT) == 0);
    CHECK_OK(queue_receive(queue, pipc_any(), &got, PIPC_SECONDS(10)));
    test_kill(zombie);
    empty_and_whole(queue, 2, 8);
}

/* The holder died and its number belongs to a process that began later. */
static void a_number_that_was_given_anew_does_not_keep_the_lock(void)
{
    pipc_queue *queue = queue_make("q", 2, 64);
    struct queue_got got;
    struct pipc_patience patience;
    pipc_patience_begin(&patience, PIPC_NOWAIT, NULL, NULL);
    uint64_t other = (pipc_self() & ~UINT64_C(0x3fffffff)) ^ UINT64_C(1) << 35;
    send_now(queue, 1, 8);
    REQUIRE_EQUAL(
        pipc_lock_take(&queue->control->lock, other | (uint64_t)getppid(), pipc_queue_namespace(queue), &patience), 0);
    CHECK_OK(queue_receive(queue, pipc_any(), &got, PIPC_SECONDS(10)));
    empty_and_whole(queue, 2, 8);
}

/* ---- waiting ---- */

static int await_message(void *argument)
{
    struct queue_got got;
    return queue_receive(((struct plan *)argument)->queue, pipc_any(), &got, PIPC_FOREVER) ? 100 : (int)got.number;
}

static void a_wake_up_that_died_with_its_sender_is_late_and_not_lost(void)
{
    static const char *const points[] = {"send: done, nobody woken", "wake: word changed, nobody woken"};
    for (unsigned i = 0; i < 2; i++) {
        pipc_queue *queue = queue_make("q", 2, 64);
        struct plan plan = {.queue = queue};
        pid_t sleeper = test_fork(await_message, &plan);
        REQUIRE(test_await_sleep(sleeper));
        REQUIRE(killed(PLAN(queue, points[i], .number = 7, .size = 8), send));
        CHECK_EQUAL(test_wait(sleeper, PIPC_SECONDS(20)), 7);
        empty_and_whole(queue, 2, 8);
    }
}

/* ---- names ---- */

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
    static const char *const points[] = {"names: segment made, not attached", "names: lock opened, not locked"};
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
    pid_t late = stopped(PLAN(NULL, unborn(), .nth = 1), create);
    queue_end(queue_make("q", 1, 64), "q");
    pipc_queue *queue = queue_make("q", 1, 64);
    CHECK_EQUAL(resumed(late), PIPC_E_EXISTS);
    pipc_queue *again = NULL;
    CHECK_OK(pipc_queue_open(&again, test_name("q"), 0, NULL));
    pipc_queue_close(again);
    queue_end(queue, "q");
}

static void who_builds_is_not_taken_for_a_rival(void)
{
    pid_t rival = stopped(PLAN(NULL, just_made(), .nth = 1), create);
    pid_t builder = stopped(PLAN(NULL, "create: no kernel queue yet", .nth = 1), create);
    int answer = resumed(rival);
    CHECK(answer == PIPC_E_BUSY || answer == PIPC_E_EXISTS);
    CHECK_EQUAL(resumed(builder), 0);
    CHECK_OK(pipc_queue_remove(test_name("q")));
    CHECK_ERROR(pipc_queue_remove(test_name("q")), NOT_FOUND);
}

/* A remover stopped after its mark, which resumes when the name has been made anew. */
static void a_remover_that_comes_late_harms_no_newer_object(void)
{
    pipc_queue_close(queue_make("q", 1, 64));
    pid_t remover = stopped(PLAN(NULL, "names: dead, name not freed", .nth = 1), remove_it);
    pipc_queue *queue = NULL;
    int error = pipc_queue_open(&queue, test_name("q"), PIPC_CREATE | PIPC_EXCLUSIVE, NULL);
    CHECK(error == 0 || error == PIPC_E_BUSY);
    CHECK_EQUAL(resumed(remover), 0);
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
        REQUIRE(killed(PLAN(NULL, points[i], .nth = 1), remove_it));
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

static const struct test tests[] = {
    {"G1 G2", "a_dead_senders_message_is_void_once_its_place_is_another_s",
     a_dead_senders_message_is_void_once_its_place_is_another_s, 0},
    {"G1", "a_late_confirmation_does_not_bring_a_taken_message_back",
     a_late_confirmation_does_not_bring_a_taken_message_back, 0},
    {"G2 G5", "a_spilled_message_survives_its_senders_death", a_spilled_message_survives_its_senders_death, 0},
    {"Q9", "full_is_not_said_when_a_place_was_free_all_the_time", full_is_not_said_when_a_place_was_free_all_the_time,
     0},
    {"G5", "a_stopped_senders_place_stays_its_own", a_stopped_senders_place_stays_its_own, 0},
    {"G3", "a_message_that_the_dead_did_not_want_is_not_lost", a_message_that_the_dead_did_not_want_is_not_lost, 0},
    {"G3 G5", "a_receiver_killed_while_it_delivers_keeps_no_place", a_receiver_killed_while_it_delivers_keeps_no_place,
     0},
    {"G3", "a_death_in_the_indexes_loses_no_other_message", a_death_in_the_indexes_loses_no_other_message, 0},
    {"G5 Q15", "a_purge_cut_short_is_finished_by_the_next", a_purge_cut_short_is_finished_by_the_next, 0},
    {"G1", "an_audit_frees_no_place_whose_message_has_just_come", an_audit_frees_no_place_whose_message_has_just_come,
     0},
    {"G6", "a_length_that_lies_is_cut_to_what_a_place_holds", a_length_that_lies_is_cut_to_what_a_place_holds, 0},
    {"G4", "a_stopped_holder_is_not_robbed", a_stopped_holder_is_not_robbed, 20},
    {"G4", "a_zombie_that_holds_the_lock_is_robbed", a_zombie_that_holds_the_lock_is_robbed, 0},
    {"G4", "a_number_that_was_given_anew_does_not_keep_the_lock", a_number_that_was_given_anew_does_not_keep_the_lock,
     0},
    {"G2 Q7", "a_wake_up_that_died_with_its_sender_is_late_and_not_lost",
     a_wake_up_that_died_with_its_sender_is_late_and_not_lost, 0},
    {"Q2", "a_creator_that_comes_late_harms_no_newer_object", a_creator_that_comes_late_harms_no_newer_object, 0},
    {"Q2", "who_builds_is_not_taken_for_a_rival", who_builds_is_not_taken_for_a_rival, 0},
    {"Q10", "a_remover_that_comes_late_harms_no_newer_object", a_remover_that_comes_late_harms_no_newer_object, 0},
    {"Q2 G4", "an_object_of_another_pid_namespace_is_refused_unless_asked_for",
     an_object_of_another_pid_namespace_is_refused_unless_asked_for, 0},
    {"Q10", "a_remover_killed_after_its_mark_is_in_nobodys_way", a_remover_killed_after_its_mark_is_in_nobodys_way, 0},
};

TEST_MAIN("holes", tests)
