/* What there is: pipc_each(). Where it reaps, to see that it leaves things alone, that is in a private namespace. */
#include <stdlib.h>
#include <sys/resource.h>
#include <unistd.h>

#include "harvest.h"
#include "probe.h"
#include "support_channel.h"
#include "support_queue.h"

/* ---- what is shown ---- */

static void check_queue_figures(const pipc_found *found, pipc_queue *queue)
{
    pipc_queue_info told = queue_info(queue);
    CHECK_EQUAL(found->state, PIPC_FOUND_READY);
    CHECK_EQUAL(found->verdict, PIPC_VERDICT_KEEP);
    CHECK_EQUAL(found->owner, told.owner);
    CHECK_EQUAL(found->mode, told.mode);
    CHECK_EQUAL(found->creator, told.creator);
    CHECK_EQUAL(found->created, told.created);
    REQUIRE_EQUAL(found->measured, 1);
    CHECK(memcmp(&found->queue, &told, sizeof told) == 0);
    CHECK(found->size >= told.max_messages * told.max_size);
}

static void a_queue_is_shown_with_its_figures(void)
{
    pipc_queue *queue = queue_make("q", 700, 20000), *other = queue_make("other", 1, 1);
    for (unsigned i = 0; i < 650; i++)
        REQUIRE_OK(queue_send(queue, 1 + i, i % 32, i, 8 + i * 30, PIPC_NOWAIT));
    for (unsigned i = 0; i < 40; i++)
        REQUIRE_OK(queue_receive(queue, pipc_any(), &(struct queue_got){0}, PIPC_NOWAIT));
    const struct harvest *harvest = gather(pipc_each);
    const pipc_found *found = find(harvest, PIPC_KIND_QUEUE, "q"), *second = find(harvest, PIPC_KIND_QUEUE, "other");
    REQUIRE(found && second);
    check_queue_figures(found, queue);
    check_queue_figures(second, other);
    CHECK_EQUAL(harvest->mine, 2);
    CHECK_EQUAL(found->queue.messages, 610);
    CHECK(find(harvest, PIPC_KIND_SHM, "q") == NULL);
    queue_end(queue, "q");
    queue_end(other, "other");
    CHECK_EQUAL(gather(pipc_each)->mine, 0);
}

static int watch_attachments(void *argument)
{
    (void)argument;
    pipc_shm *shm = memory_make("m", 5000), *again;
    const pipc_found *found = find(gather(pipc_each), PIPC_KIND_SHM, "m");
    REQUIRE(found != NULL);
    CHECK_EQUAL(found->state, PIPC_FOUND_READY);
    CHECK_EQUAL(found->size, 5000);
    CHECK_EQUAL(found->measured, 1);
    CHECK_EQUAL(found->attachments, 1);
    CHECK_EQUAL(found->mode, 0600);
    CHECK_EQUAL(found->owner, geteuid());
    CHECK_EQUAL(found->creator, getpid());
    REQUIRE_OK(pipc_shm_open(&again, test_name("m"), PIPC_READ, NULL));
    CHECK_EQUAL(find(gather(pipc_each), PIPC_KIND_SHM, "m")->attachments, 2);
    pipc_shm_close(again);
    pipc_shm_close(shm);
    CHECK_EQUAL(find(gather(pipc_each), PIPC_KIND_SHM, "m")->attachments, 0);
    CHECK_OK(pipc_shm_remove(test_name("m")));
    return 0;
}

static void memory_is_shown_with_its_attachments(void)
{
    CHECK_EQUAL(test_in_private_ipc(0, watch_attachments, NULL), 0);
}

static int stop_at_the_second(const pipc_found *found, void *argument)
{
    (void)found;
    return ++*(unsigned *)argument == 2;
}

static void a_visitor_can_end_the_walk(void)
{
    unsigned visits = 0;
    pipc_queue *queues[3] = {queue_make("a", 1, 8), queue_make("b", 1, 8), queue_make("c", 1, 8)};
    CHECK_OK(pipc_each(stop_at_the_second, &visits));
    CHECK_EQUAL(visits, 2);
    CHECK_ERROR(pipc_each(NULL, NULL), INVALID);
    queue_end(queues[0], "a");
    queue_end(queues[1], "b");
    queue_end(queues[2], "c");
}

static int remove_it(const pipc_found *found, void *argument)
{
    if (strncmp(found->name, test_prefix(), strlen(test_prefix())) != 0)
        return 0;
    ++*(unsigned *)argument;
    CHECK_OK(found->kind == PIPC_KIND_QUEUE     ? pipc_queue_remove(found->name)
             : found->kind == PIPC_KIND_CHANNEL ? pipc_channel_remove(found->name)
                                                : pipc_shm_remove(found->name));
    return 0;
}

static void a_visitor_may_remove_what_it_sees(void)
{
    unsigned removed = 0;
    pipc_queue *queue = queue_make("q", 3, 8);
    pipc_shm *shm = memory_make("m", 64);
    pipc_channel *channel = channel_make("c", 0, 0, 0);
    CHECK_OK(pipc_each(remove_it, &removed));
    CHECK_EQUAL(removed, 3);
    CHECK_ERROR(channel_send(channel, 1, 8, PIPC_NOWAIT), REMOVED);
    CHECK_OK(pipc_channel_close(channel));
    CHECK_ERROR(queue_send(queue, 1, 0, 0, 8, PIPC_NOWAIT), REMOVED);
    CHECK_OK(pipc_queue_close(queue));
    CHECK_OK(pipc_shm_close(shm));
    CHECK_EQUAL(gather(pipc_each)->mine, 0);
}

/* ---- foreign and hostile ---- */

static int look_at_oddities(void *argument)
{
    (void)argument;
    CHECK(probe_place_oddities(test_prefix()) > 0);
    CHECK(probe_place_foreign(PIPC_KIND_SHM, test_name("plain"), pipc_page(), 'p'));
    pipc_queue *queue = queue_make("q", 3, 8);
    for (int round = 0; round < 2; round++) {
        const struct harvest *harvest = gather(round ? reap_all : pipc_each);
        for (unsigned i = 0; i < harvest->mine; i++)
            if (strcmp(harvest->names[i], test_name("q")) != 0)
                CHECK_EQUAL(harvest->found[i].state, PIPC_FOUND_FOREIGN);
        CHECK_EQUAL(harvest->verdicts[PIPC_VERDICT_KEEP], harvest->count);
        REQUIRE(find(harvest, PIPC_KIND_QUEUE, "q") != NULL);
    }
    queue_end(queue, "q");
    return 0;
}

static void foreign_things_are_told_and_left_alone(void)
{
    CHECK_EQUAL(test_in_private_ipc(0, look_at_oddities, NULL), 0);
}

/* Of our size, and empty where a header would be; whoever made it is dead. */
static int leave_zeros(void *argument)
{
    (void)argument;
    return probe_place_foreign(PIPC_KIND_SHM, test_name("zeros"), 3 * pipc_page() - 1129, 0) ? 0 : 1;
}

static int look_at_zeros(void *argument)
{
    (void)argument;
    REQUIRE_EQUAL(test_wait(test_fork(leave_zeros, NULL), PIPC_SECONDS(20)), 0);
    const struct harvest *harvest = gather(reap_all);
    CHECK_EQUAL(harvest->count, 1);
    CHECK_EQUAL(harvest->verdicts[PIPC_VERDICT_KEEP], 1);
    CHECK(probe_remove_foreign(PIPC_KIND_SHM, test_name("zeros")));
    return 0;
}

static void memory_full_of_zeros_is_not_taken_for_unfinished(void)
{
    CHECK_EQUAL(test_in_private_ipc(0, look_at_zeros, NULL), 0);
}

/* Whatever lacks the whole word of readiness is shown as something else, and left alone. */
static void show_state(struct pipc_object *object, uint64_t state)
{
    atomic_store(&object->state, state);
    CHECK_EQUAL(gather(pipc_each)->states[PIPC_FOUND_READY], 0);
    atomic_store(&object->state, PIPC_STATE_READY);
    CHECK_EQUAL(gather(pipc_each)->states[PIPC_FOUND_READY], 1);
}

/* A header of zeros but for what its parameters say, as somebody leaves it that dies while writing it, or lies. */
static void show_header(struct pipc_object *object, uint64_t state, uint32_t layout, uint32_t kind, bool named)
{
    struct pipc_object was;
    memcpy(&was, object, sizeof was);
    memset(object, 0, sizeof *object);
    object->state = state;
    object->magic = layout ? was.magic : 0;
    object->layout = layout;
    object->kind = kind;
    if (named)
        memcpy(object->name, was.name, sizeof object->name);
    CHECK_EQUAL(gather(pipc_each)->states[PIPC_FOUND_READY], 0);
    memcpy(object, &was, sizeof was);
    CHECK_EQUAL(gather(pipc_each)->states[PIPC_FOUND_READY], 1);
}

static int write_headers(void *argument)
{
    (void)argument;
    static const uint64_t states[] = {PIPC_STATE_INIT,
                                      PIPC_STATE_CLAIMED,
                                      PIPC_STATE_BUILDING,
                                      PIPC_STATE_READY | 8,
                                      PIPC_STATE_DEAD,
                                      PIPC_STATE_DEAD | 8,
                                      7,
                                      UINT64_MAX};
    static const uint32_t kinds[] = {PIPC_KIND_UNKNOWN, PIPC_KIND_SHM, 99};
    pipc_shm *shm = memory_make("m", 5000);
    size_t bytes;
    struct pipc_object *object = probe_map(PIPC_KIND_SHM, test_name("m"), &bytes);
    REQUIRE(object != NULL);
    for (size_t i = 0; i < sizeof states / sizeof *states; i++) {
        show_state(object, states[i]);
        for (size_t k = 0; k < sizeof kinds / sizeof *kinds; k++)
            for (uint32_t layout = 0; layout <= 2; layout++) {
                show_header(object, states[i], layout ? object->layout + layout - 1 : 0, kinds[k], true);
                show_header(object, states[i], layout ? object->layout + layout - 1 : 0, kinds[k], false);
            }
    }
    probe_unmap(object, bytes);
    CHECK_OK(pipc_shm_close(shm));
    CHECK_OK(pipc_shm_remove(test_name("m")));
    return 0;
}

static void a_half_written_header_may_say_anything(void)
{
    CHECK_EQUAL(test_in_private_ipc(0, write_headers, NULL), 0);
}

/* Any byte of header and control area may have any value. */
static void scribble_on(uint32_t kind)
{
    static const unsigned char values[] = {0x00, 0x01, 0x04, 0x7f, 0x80, 0xff};
    size_t bytes, header = sizeof(struct pipc_object);
    unsigned char *all = (unsigned char *)probe_map(kind, test_name("q"), &bytes);
    REQUIRE(all != NULL);
    for (size_t i = 0; i < header + 2000 && i < bytes - pipc_page() + header; i++) {
        unsigned char *byte = i < header ? all + i : all + pipc_page() + (i - header), was = *byte;
        for (size_t v = 0; v < sizeof values; v++) {
            *byte = values[v];
            CHECK_OK(pipc_each(note, &(struct harvest){0}));
        }
        *byte = was;
    }
    memset(all + pipc_page(), 0xff, bytes - pipc_page());
    const pipc_found *found = find(gather(pipc_each), kind, "q");
    CHECK(found && found->state == PIPC_FOUND_DAMAGED && !found->measured);
    probe_unmap((struct pipc_object *)all, bytes);
}

static int scribble(void *argument)
{
    (void)argument;
    pipc_queue *queue = queue_make("q", 3, 100);
    REQUIRE_OK(queue_send(queue, 1, 0, 7, 50, PIPC_NOWAIT));
    scribble_on(PIPC_KIND_QUEUE);
    queue_end(queue, "q");
    pipc_channel *channel = channel_make("q", PIPC_PRODUCERS_MANY, PIPC_DELIVER_ALL, CHANNEL_SMALL);
    REQUIRE_OK(channel_send(channel, 7, 50, PIPC_NOWAIT));
    scribble_on(PIPC_KIND_CHANNEL);
    channel_end(channel, "q");
    return 0;
}

static void any_byte_of_an_object_may_lie(void)
{
    CHECK_EQUAL(test_in_private_ipc(0, scribble, NULL), 0);
}

static void an_object_cut_short_is_damaged_not_a_crash(void)
{
    size_t whole;
    pipc_queue *queue = queue_make("q", 100, 1000);
    pipc_shm *shm = memory_make("m", 3 * pipc_page());
    struct pipc_object *object = probe_map(PIPC_KIND_QUEUE, test_name("q"), &whole);
    REQUIRE(object != NULL);
    uint64_t label = object->queue_label; /* nobody will find the kernel queue when the header is gone */
    probe_unmap(object, whole);
    for (uint64_t bytes = 3 * pipc_page(); bytes > 0; bytes = bytes * 2 / 3) {
        if (!probe_resize_memory(PIPC_KIND_QUEUE, test_name("q"), bytes) ||
            !probe_resize_memory(PIPC_KIND_SHM, test_name("m"), bytes))
            break; /* segments cannot shrink */
        const struct harvest *harvest = gather(pipc_each);
        const pipc_found *found = find(harvest, PIPC_KIND_QUEUE, "q"), *memory = find(harvest, PIPC_KIND_SHM, "m");
        REQUIRE(found && memory);
        CHECK(found->state == PIPC_FOUND_DAMAGED || found->state == PIPC_FOUND_FOREIGN);
        CHECK(memory->state == PIPC_FOUND_DAMAGED || memory->state == PIPC_FOUND_FOREIGN);
    }
    pipc_queue_close(queue);
    pipc_shm_close(shm);
    CHECK(probe_queue_remove_labelled(test_name("q"), label));
    CHECK(probe_remove_memory(PIPC_KIND_QUEUE, test_name("q")));
    CHECK(probe_remove_memory(PIPC_KIND_SHM, test_name("m")));
}

static int change_layout(void *argument)
{
    (void)argument;
    size_t bytes;
    pipc_shm *shm = memory_make("m", 100);
    struct pipc_object *object = probe_map(PIPC_KIND_SHM, test_name("m"), &bytes);
    REQUIRE(object != NULL);
    object->layout++;
    CHECK_EQUAL(gather(reap_all)->states[PIPC_FOUND_OTHER_LAYOUT], 1);
    object->layout--;
    CHECK_EQUAL(gather(pipc_each)->states[PIPC_FOUND_READY], 1);
    probe_unmap(object, bytes);
    memory_end(shm, "m");
    return 0;
}

static void another_layout_is_told_and_left_alone(void)
{
    CHECK_EQUAL(test_in_private_ipc(0, change_layout, NULL), 0);
}

static void a_queue_without_its_kernel_queue_is_damaged(void)
{
    pipc_queue *queue = queue_make("q", 3, 8);
    REQUIRE(probe_queue_remove(test_name("q")));
    const pipc_found *found = find(gather(pipc_each), PIPC_KIND_QUEUE, "q");
    REQUIRE(found != NULL);
    CHECK_EQUAL(found->state, PIPC_FOUND_DAMAGED);
    CHECK_EQUAL(found->verdict, PIPC_VERDICT_KEEP);
    CHECK(strstr(found->why, "kernel queue") != NULL);
    queue_end(queue, "q");
}

static int list_as_stranger(void *argument)
{
    (void)argument;
    const struct harvest *harvest = gather(pipc_each);
    CHECK(harvest->count >= 1);
    for (unsigned i = 0; i < harvest->mine; i++)
        CHECK_EQUAL(harvest->found[i].state, PIPC_FOUND_UNREADABLE);
    CHECK_EQUAL(gather(reap_all)->verdicts[PIPC_VERDICT_KEEP], harvest->count);
    return 0;
}

static int hide_from_a_stranger(void *argument)
{
    (void)argument;
    pipc_queue *queue = queue_make("q", 3, 8);
    CHECK_EQUAL(test_as_user(65534, list_as_stranger, NULL), 0);
    queue_end(queue, "q");
    return 0;
}

static void what_a_stranger_may_not_read_shows_as_unreadable(void)
{
    if (geteuid() != 0)
        test_skip("only root can become another user");
    CHECK_EQUAL(test_in_private_ipc(0, hide_from_a_stranger, NULL), 0);
}

/* With each number of descriptors left: an error, or all that there is. */
static int look_with_few_descriptors(void *argument)
{
    (void)argument;
    unsigned failed = 0;
    bool listed = probe_queues_can_be_listed();
    pipc_queue *queue = queue_make("q", 3, 8);
    pipc_queue_close(queue_make("lost", 3, 8));
    REQUIRE(probe_remove_memory(PIPC_KIND_QUEUE, test_name("lost")));
    int next = dup(0);
    for (int more = 0; more < 8; more++) {
        struct rlimit limit = {(rlim_t)(next + more), 1024};
        struct harvest harvest = {0};
        REQUIRE(setrlimit(RLIMIT_NOFILE, &limit) == 0);
        int error = pipc_each(note, &harvest);
        CHECK(error == 0 || error == PIPC_E_LIMIT);
        CHECK(error == 0 || strstr(pipc_error_detail(), "RLIMIT_NOFILE"));
        CHECK(error || (harvest.states[PIPC_FOUND_READY] == 1 && harvest.states[PIPC_FOUND_ORPHAN] == listed));
        CHECK_EQUAL(harvest.states[PIPC_FOUND_UNREADABLE] + harvest.states[PIPC_FOUND_DAMAGED], 0);
        failed = error ? failed + 1 : failed;
        CHECK(error == 0 || more < 7);
    }
    CHECK(failed > 0 || !listed); /* the other family needs none */
    close(next);
    queue_end(queue, "q");
    return 0;
}

static void too_few_descriptors_are_an_error_not_an_empty_list(void)
{
    CHECK_EQUAL(test_in_private_ipc(0, look_with_few_descriptors, NULL), 0);
}

static const struct test tests[] = {
    {"Q11", "a_queue_is_shown_with_its_figures", a_queue_is_shown_with_its_figures, 0},
    {"M5", "memory_is_shown_with_its_attachments", memory_is_shown_with_its_attachments, 0},
    {"Q11", "a_visitor_can_end_the_walk", a_visitor_can_end_the_walk, 0},
    {"Q10 M4", "a_visitor_may_remove_what_it_sees", a_visitor_may_remove_what_it_sees, 0},
    {"Q2 G6", "foreign_things_are_told_and_left_alone", foreign_things_are_told_and_left_alone, 0},
    {"Q2", "memory_full_of_zeros_is_not_taken_for_unfinished", memory_full_of_zeros_is_not_taken_for_unfinished, 0},
    {"Q2 G6", "a_half_written_header_may_say_anything", a_half_written_header_may_say_anything, 0},
    {"G6 C11", "any_byte_of_an_object_may_lie", any_byte_of_an_object_may_lie, 120},
    {"G6", "an_object_cut_short_is_damaged_not_a_crash", an_object_cut_short_is_damaged_not_a_crash, 0},
    {"Q2", "another_layout_is_told_and_left_alone", another_layout_is_told_and_left_alone, 0},
    {"Q2", "a_queue_without_its_kernel_queue_is_damaged", a_queue_without_its_kernel_queue_is_damaged, 0},
    {"Q3", "what_a_stranger_may_not_read_shows_as_unreadable", what_a_stranger_may_not_read_shows_as_unreadable, 0},
    {"Q11", "too_few_descriptors_are_an_error_not_an_empty_list", too_few_descriptors_are_an_error_not_an_empty_list,
     0},
};

TEST_MAIN("objects", tests)
