/* Holes in a queue: each test is one that a missing line of the code would leave open (holes.h); ./dev mutate takes
 * those lines away one by one. Those of names are in holes_names_rig.c. */
#include <signal.h>
#include <sys/time.h>
#include <sys/wait.h>
#include <unistd.h>

#include "core/claim.h"
#include "holes.h"
#include "probe.h"
#include "rig.h"

enum { BIG = 20000 };

/* The bodies answer the number received, or 100: the call failed. */
static int send(void *argument)
{
    struct holes_plan *plan = argument;
    return queue_send(plan->queue, 1, 0, plan->number, plan->size, PIPC_NOWAIT) ? 100 : 0;
}

static int receive(void *argument)
{
    struct holes_plan *plan = argument;
    struct queue_got got;
    pipc_selection selection = plan->type ? pipc_exactly(plan->type) : pipc_any();
    return queue_receive(plan->queue, selection, &got, PIPC_NOWAIT) ? 100 : (int)got.number;
}

static int purge(void *argument)
{
    return pipc_queue_purge(((struct holes_plan *)argument)->queue, NULL) ? 100 : 0;
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
    REQUIRE(holes_killed(HOLES_PLAN(queue, "send: put, not confirmed", .number = 1, .size = 8), send));
    pid_t second = holes_stopped(HOLES_PLAN(queue, "send: reserved, no ticket", .number = 2, .size = 8), send);
    CHECK_ERROR(queue_receive(queue, pipc_any(), &got, PIPC_NOWAIT), EMPTY);
    CHECK_EQUAL(holes_resumed(second), 0);
    CHECK(queue_expect(queue, pipc_any(), 2));
    empty_and_whole(queue, 1, 8);
}

static void a_late_confirmation_does_not_bring_a_taken_message_back(void)
{
    pipc_queue *queue = queue_make("q", 2, 64);
    pid_t sender = holes_stopped(HOLES_PLAN(queue, "send: put, not confirmed", .number = 1, .size = 8), send);
    CHECK(queue_expect(queue, pipc_any(), 1));
    CHECK_EQUAL(holes_resumed(sender), 0);
    CHECK_EQUAL(queue_info(queue).messages, 0);
    empty_and_whole(queue, 2, 8);
}

static void a_spilled_message_survives_its_senders_death(void)
{
    static const char *const points[] = {"spill: full, not in the indexes", "spill: in the indexes, still pending"};
    for (unsigned i = 0; i < 2; i++) {
        pipc_queue *queue = queue_make("q", 2, BIG);
        REQUIRE(holes_killed(HOLES_PLAN(queue, points[i], .number = 1, .size = BIG), send));
        struct queue_got got;
        if (CHECK_OK(queue_receive(queue, pipc_any(), &got, PIPC_SECONDS(20))))
            CHECK_EQUAL(got.number, 1);
        empty_and_whole(queue, 2, BIG);
    }
}

/* A place freed behind the look, and another taken before it: the first look alone would say "full". */
/* The sender finds the places that are tried first taken, and stops after the first that it looks at in their order:
 * there the next one is free, and is taken while that one becomes free. */
static void full_is_not_said_when_a_place_was_free_all_the_time(void)
{
    pipc_queue *queue = queue_make("q", 3, 64), *other = queue_join("q", 0), *third = queue_join("q", 0);
    REQUIRE_OK(queue_send(queue, 1, 0, 1, 8, PIPC_NOWAIT));
    REQUIRE_OK(queue_send(other, 2, 0, 2, 8, PIPC_NOWAIT));
    REQUIRE_OK(queue_send(other, 3, 0, 3, 8, PIPC_NOWAIT)); /* goes for the third place from now on */
    CHECK(queue_expect(queue, pipc_exactly(3), 3));
    CHECK(queue_expect(queue, pipc_exactly(2), 2));
    REQUIRE_OK(queue_send(third, 4, 0, 4, 8, PIPC_NOWAIT));
    pid_t sender = holes_stopped(HOLES_PLAN(queue, "slot: one seen, not the next", .number = 6, .size = 8), send);
    CHECK(queue_expect(queue, pipc_exactly(4), 4));
    REQUIRE_OK(queue_send(other, 5, 0, 5, 8, PIPC_NOWAIT));
    CHECK_EQUAL(holes_resumed(sender), 0);
    CHECK(queue_expect(queue, pipc_any(), 1));
    CHECK(queue_expect(queue, pipc_any(), 5));
    CHECK(queue_expect(queue, pipc_any(), 6));
    CHECK_OK(pipc_queue_close(other));
    CHECK_OK(pipc_queue_close(third));
    empty_and_whole(queue, 3, 8);
}

static void a_stopped_senders_place_stays_its_own(void)
{
    pipc_queue *queue = queue_make("q", 1, 64);
    pid_t sender = holes_stopped(HOLES_PLAN(queue, "send: reserved, no ticket", .number = 1, .size = 8), send);
    CHECK_ERROR(queue_send(queue, 1, 0, 2, 8, PIPC_MS(150)), TIMEOUT);
    CHECK_EQUAL(holes_resumed(sender), 0);
    CHECK(queue_expect(queue, pipc_any(), 1));
    empty_and_whole(queue, 1, 8);
}

/* Who opened it from elsewhere cannot tell who is dead: he takes no place over. */
static void a_dead_senders_place_is_not_taken_from_another_pid_namespace(void)
{
    size_t bytes;
    pipc_queue *queue = queue_make("q", 1, 64), *abroad = NULL;
    struct pipc_object *object = probe_map(PIPC_KIND_QUEUE, test_name("q"), &bytes);
    REQUIRE(object != NULL);
    REQUIRE(holes_killed(HOLES_PLAN(queue, "send: reserved, no ticket", .number = 1, .size = 8), send));
    object->pid_namespace ^= 1;
    REQUIRE_OK(pipc_queue_open(&abroad, test_name("q"), PIPC_FOREIGN_PIDS, NULL));
    object->pid_namespace ^= 1;
    CHECK_ERROR(queue_send(abroad, 1, 0, 2, 8, PIPC_NOWAIT), FULL);
    atomic_store(&queue->words[0],
                 pipc_word_make(PIPC_SLOT_RESERVED, 5, pipc_self())); /* here it is called as we are */
    atomic_store(&queue->control->takeover_at, 0);
    CHECK_ERROR(queue_send(abroad, 1, 0, 2, 8, PIPC_NOWAIT), FULL);
    CHECK_OK(queue_send(queue, 1, 0, 3, 8, PIPC_SECONDS(20)));
    CHECK(queue_expect(queue, pipc_any(), 3));
    CHECK_OK(pipc_queue_close(abroad));
    probe_unmap(object, bytes);
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
        REQUIRE(holes_killed(HOLES_PLAN(queue, points[i], .type = 2), receive));
        struct queue_got got;
        if (CHECK_OK(queue_receive(queue, pipc_any(), &got, PIPC_SECONDS(20))))
            CHECK_EQUAL(got.number, 1);
        empty_and_whole(queue, 2, 8);
    }
}

/* Nor if the notes on its links were scribbled on meanwhile: then the indexes are built anew. */
static void a_stowed_message_survives_damaged_notes(void)
{
    pipc_queue *queue = queue_make("q", 2, 64);
    struct queue_got got;
    send_now(queue, 1, 8);
    REQUIRE(holes_killed(HOLES_PLAN(queue, "stow: in the indexes, still staged", .type = 2), receive));
    queue->control->undo_count = UINT32_MAX;
    if (CHECK_OK(queue_receive(queue, pipc_any(), &got, PIPC_SECONDS(20))))
        CHECK_EQUAL(got.number, 1);
    empty_and_whole(queue, 2, 8);
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
        REQUIRE(holes_killed(HOLES_PLAN(queue, cases[i].point, .nth = 1), receive));
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
    bool cut = holes_killed(HOLES_PLAN(queue, links->point, .nth = nth, .type = type), receive);
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
        REQUIRE(holes_killed(HOLES_PLAN(queue, "purge: some freed", .nth = nth), purge));
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
    pid_t receiver = holes_stopped(HOLES_PLAN(queue, "audit: begun, nothing noted", .nth = 1), receive);
    send_now(queue, 9, 8);
    CHECK_EQUAL(holes_resumed(receiver), 9);
    CHECK_ERROR(queue_receive(queue, pipc_any(), &got, PIPC_NOWAIT), EMPTY);
    empty_and_whole(queue, 2, 8);
}

/* Of the places that an audit noted each tells the one before it. Those numbers can be scribbled on as well. */
static void an_audit_whose_notes_are_scribbled_on_comes_to_its_end(void)
{
    enum { PLACES = 3 };
    const uint32_t lies[] = {0, 1, PLACES, PLACES + 1, UINT32_MAX}; /* the second: place 0 comes after itself */
    for (unsigned i = 0; i < sizeof lies / sizeof *lies; i++) {
        pipc_queue *queue = queue_make("q", PLACES, 64);
        for (uint64_t number = 1; number <= PLACES; number++)
            send_now(queue, number, 8);
        for (unsigned stolen = 0; stolen < PLACES; stolen++)
            REQUIRE(probe_queue_steal(test_name("q")));
        pid_t auditor = holes_stopped(HOLES_PLAN(queue, "audit: pulled, not freed"), receive);
        for (unsigned place = 0; place < PLACES; place++)
            queue->slots[place].noted_before = lies[i];
        CHECK_EQUAL(holes_resumed(auditor), 100);
        CHECK_ERROR(queue_receive(queue, pipc_any(), &(struct queue_got){0}, PIPC_MS(500)), TIMEOUT);
        empty_and_whole(queue, PLACES, 64);
    }
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
    pid_t holder = holes_stopped(HOLES_PLAN(queue, "receive: locked", .nth = 1), receive);
    CHECK_ERROR(queue_receive(queue, pipc_any(), &got, PIPC_MS(100)), TIMEOUT);
    CHECK_ERROR(queue_receive(queue, pipc_any(), &got, PIPC_NOWAIT), BUSY);
    CHECK_EQUAL(holes_resumed(holder), 1);
    empty_and_whole(queue, 2, 8);
}

static volatile sig_atomic_t signals;

static void count_signal(int number)
{
    (void)number;
    signals++;
}

static void alarm_every(long microseconds)
{
    struct sigaction action = {.sa_handler = count_signal};
    struct itimerval timer = {{0, microseconds}, {0, microseconds}};
    REQUIRE(sigaction(SIGALRM, &action, NULL) == 0 && setitimer(ITIMER_REAL, &timer, NULL) == 0);
}

static int receive_flagged(pipc_queue *queue, uint32_t flags, int64_t timeout)
{
    char byte;
    pipc_message message = {.data = &byte, .size = 1, .flags = flags};
    return pipc_queue_receive(queue, pipc_any(), &message, timeout);
}

/* As in any other sleep: a handler ends it, unless the call restarts, or does not wait but for the lock. */
static void a_signal_ends_the_wait_for_a_stopped_holder(void)
{
    pipc_queue *queue = queue_make("q", 2, 64);
    send_now(queue, 1, 8);
    pid_t holder = holes_stopped(HOLES_PLAN(queue, "receive: locked", .nth = 1), receive);
    alarm_every(3000);
    CHECK_ERROR(receive_flagged(queue, 0, PIPC_FOREVER), INTERRUPTED);
    CHECK_ERROR(receive_flagged(queue, PIPC_RESTART, PIPC_MS(200)), TIMEOUT);
    for (unsigned i = 0; i < 10; i++)
        CHECK_ERROR(receive_flagged(queue, 0, PIPC_NOWAIT), BUSY);
    alarm_every(0);
    CHECK(signals > 2);
    CHECK_EQUAL(holes_resumed(holder), 1);
    empty_and_whole(queue, 2, 8);
}

static void a_zombie_that_holds_the_lock_is_robbed(void)
{
    pipc_queue *queue = queue_make("q", 2, 64);
    struct queue_got got;
    siginfo_t info;
    send_now(queue, 1, 8);
    pid_t zombie = holes_doomed(HOLES_PLAN(queue, "receive: locked", .nth = 1), receive);
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
    return queue_receive(((struct holes_plan *)argument)->queue, pipc_any(), &got, PIPC_FOREVER) ? 100
                                                                                                 : (int)got.number;
}

static void a_wake_up_that_died_with_its_sender_is_late_and_not_lost(void)
{
    static const char *const points[] = {"send: done, nobody woken", "wake: word changed, nobody woken"};
    for (unsigned i = 0; i < 2; i++) {
        pipc_queue *queue = queue_make("q", 2, 64);
        struct holes_plan plan = {.queue = queue};
        pid_t sleeper = test_fork(await_message, &plan);
        REQUIRE(test_await_sleep(sleeper));
        REQUIRE(holes_killed(HOLES_PLAN(queue, points[i], .number = 7, .size = 8), send));
        CHECK_EQUAL(test_wait(sleeper, PIPC_SECONDS(20)), 7);
        empty_and_whole(queue, 2, 8);
    }
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
    {"G4 G5", "a_dead_senders_place_is_not_taken_from_another_pid_namespace",
     a_dead_senders_place_is_not_taken_from_another_pid_namespace, 0},
    {"G3", "a_message_that_the_dead_did_not_want_is_not_lost", a_message_that_the_dead_did_not_want_is_not_lost, 0},
    {"G3 G6", "a_stowed_message_survives_damaged_notes", a_stowed_message_survives_damaged_notes, 0},
    {"G3 G5", "a_receiver_killed_while_it_delivers_keeps_no_place", a_receiver_killed_while_it_delivers_keeps_no_place,
     0},
    {"G3", "a_death_in_the_indexes_loses_no_other_message", a_death_in_the_indexes_loses_no_other_message, 0},
    {"G5 Q15", "a_purge_cut_short_is_finished_by_the_next", a_purge_cut_short_is_finished_by_the_next, 0},
    {"G1", "an_audit_frees_no_place_whose_message_has_just_come", an_audit_frees_no_place_whose_message_has_just_come,
     0},
    {"G4 G6", "an_audit_whose_notes_are_scribbled_on_comes_to_its_end",
     an_audit_whose_notes_are_scribbled_on_comes_to_its_end, 0},
    {"G6", "a_length_that_lies_is_cut_to_what_a_place_holds", a_length_that_lies_is_cut_to_what_a_place_holds, 0},
    {"G4", "a_stopped_holder_is_not_robbed", a_stopped_holder_is_not_robbed, 20},
    {"Q12 G4", "a_signal_ends_the_wait_for_a_stopped_holder", a_signal_ends_the_wait_for_a_stopped_holder, 0},
    {"G4", "a_zombie_that_holds_the_lock_is_robbed", a_zombie_that_holds_the_lock_is_robbed, 0},
    {"G4", "a_number_that_was_given_anew_does_not_keep_the_lock", a_number_that_was_given_anew_does_not_keep_the_lock,
     0},
    {"G2 Q7", "a_wake_up_that_died_with_its_sender_is_late_and_not_lost",
     a_wake_up_that_died_with_its_sender_is_late_and_not_lost, 0},
};

TEST_MAIN("holes", tests)
