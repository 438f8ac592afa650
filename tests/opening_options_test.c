/* Opening: what exists, what does not, and what options mean. */
#include <stdio.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#include "kinds.h"

static void *create(const struct kind *kind, const char *name)
{
    void *handle;
    REQUIRE_OK(kind->open(&handle, name, PIPC_CREATE | PIPC_EXCLUSIVE, 0));
    return handle;
}

static void finish(const struct kind *kind, void *handle, const char *name)
{
    CHECK_OK(kind->close(handle));
    CHECK_OK(kind->remove(name));
}

/* The last detail must contain both numbers. */
static void detail_tells(const char *has, const char *asked)
{
    CHECK(strstr(pipc_error_detail(), has) != NULL);
    CHECK(strstr(pipc_error_detail(), asked) != NULL);
}

/* ---- what exists ---- */

static void open_existing(const struct kind *kind)
{
    const char *name = test_name("existing");
    void *absent = (void *)1, *found;
    CHECK_ERROR(kind->open(&absent, name, 0, 0), NOT_FOUND);
    CHECK(absent == NULL);
    CHECK(strstr(pipc_error_detail(), name) != NULL);
    void *made = create(kind, name);
    REQUIRE_OK(kind->open(&found, name, 0, 0));
    uint32_t number = 0;
    CHECK_OK(kind->write(made, 99));
    CHECK_OK(kind->read(found, &number));
    CHECK_EQUAL(number, 99);
    CHECK_OK(kind->close(found));
    finish(kind, made, name);
    CHECK_ERROR(kind->open(&absent, name, 0, 0), NOT_FOUND);
    CHECK_ERROR(kind->remove(name), NOT_FOUND);
}

static void opening_finds_what_exists_and_only_that(void)
{
    kind_all(open_existing);
}

static void exclusive(const struct kind *kind)
{
    const char *name = test_name("exclusive");
    void *made = create(kind, name), *second = (void *)1;
    CHECK_ERROR(kind->open(&second, name, PIPC_CREATE | PIPC_EXCLUSIVE, 0), EXISTS);
    CHECK(second == NULL);
    CHECK(strstr(pipc_error_detail(), name) != NULL);
    CHECK_ERROR(kind->open(&second, name, PIPC_EXCLUSIVE, 0), INVALID);
    finish(kind, made, name);
    made = create(kind, name);
    finish(kind, made, name);
}

static void exclusive_creation_refuses_an_existing_object(void)
{
    kind_all(exclusive);
}

static void open_or_create(const struct kind *kind)
{
    const char *name = test_name("either");
    void *first, *second;
    uint32_t number = 0;
    REQUIRE_OK(kind->open(&first, name, PIPC_CREATE, 0));
    CHECK_OK(kind->write(first, 5));
    REQUIRE_OK(kind->open(&second, name, PIPC_CREATE, 0));
    CHECK_OK(kind->read(second, &number));
    CHECK_EQUAL(number, 5);
    CHECK_OK(kind->close(first));
    finish(kind, second, name);
}

static void open_or_create_makes_it_once_and_then_opens_it(void)
{
    kind_all(open_or_create);
}

static void closing(const struct kind *kind)
{
    const char *name = test_name("stays");
    void *handle = create(kind, name);
    uint32_t number = 0;
    CHECK_OK(kind->write(handle, 8));
    CHECK_OK(kind->close(handle));
    CHECK_OK(kind->close(NULL));
    REQUIRE_OK(kind->open(&handle, name, 0, 0));
    CHECK_OK(kind->read(handle, &number));
    CHECK_EQUAL(number, 8);
    finish(kind, handle, name);
}

static void closing_never_removes(void)
{
    kind_all(closing);
}

static void removed(const struct kind *kind)
{
    const char *name = test_name("twice");
    struct kind_facts facts;
    uint32_t number;
    void *old = create(kind, name), *new;
    CHECK_OK(kind->remove(name));
    CHECK_ERROR(kind->facts(old, &facts), REMOVED);
    CHECK_ERROR(kind->write(old, 1), REMOVED);
    new = create(kind, name);
    CHECK_OK(kind->write(new, 2));
    CHECK_ERROR(kind->facts(old, &facts), REMOVED); /* the name's second life is not the first */
    CHECK_ERROR(kind->write(old, 1), REMOVED);
    CHECK_ERROR(kind->read(old, &number), REMOVED);
    CHECK_OK(kind->close(old));
    CHECK_OK(kind->read(new, &number));
    CHECK_EQUAL(number, 2);
    finish(kind, new, name);
}

static void an_old_handle_answers_removed_even_when_the_name_lives_again(void)
{
    kind_all(removed);
}

/* ---- facts about the maker ---- */

static void maker(const struct kind *kind)
{
    const char *name = test_name("maker");
    struct kind_facts facts, again;
    struct timespec before, after;
    clock_gettime(CLOCK_REALTIME, &before);
    void *made = create(kind, name), *other;
    clock_gettime(CLOCK_REALTIME, &after);
    REQUIRE_OK(kind->facts(made, &facts));
    CHECK(facts.created >= PIPC_SECONDS(before.tv_sec) + before.tv_nsec);
    CHECK(facts.created <= PIPC_SECONDS(after.tv_sec) + after.tv_nsec);
    CHECK_EQUAL(facts.creator, getpid());
    CHECK_EQUAL(facts.owner, geteuid());
    CHECK_EQUAL(facts.mode, 0600);
    REQUIRE_OK(kind->open(&other, name, 0, 0));
    REQUIRE_OK(kind->facts(other, &again));
    CHECK_EQUAL(again.created, facts.created);
    CHECK_EQUAL(again.creator, facts.creator);
    CHECK_EQUAL(again.owner, facts.owner);
    CHECK_EQUAL(again.mode, facts.mode);
    CHECK_OK(kind->close(other));
    finish(kind, made, name);
}

static void statistics_tell_who_made_it_when_and_with_which_mode(void)
{
    kind_all(maker);
}

static void queue_defaults_are_the_same_everywhere(void)
{
    pipc_queue *queue;
    pipc_queue_info info;
    REQUIRE_OK(pipc_queue_open(&queue, test_name("plain"), PIPC_CREATE, NULL));
    REQUIRE_OK(pipc_queue_statistics(queue, &info));
    CHECK_EQUAL(info.max_messages, PIPC_DEFAULT_MESSAGES);
    CHECK_EQUAL(info.max_size, PIPC_DEFAULT_SIZE);
    CHECK_EQUAL(info.mode, 0600);
    finish(&kind_queue, queue, test_name("plain"));
}

/* ---- options of an existing object ---- */

static void queue_asks(const char *name, pipc_queue_options options, const char *has, const char *asked)
{
    for (uint32_t create_too = 0; create_too < 2; create_too++) {
        pipc_queue *queue = (pipc_queue *)1;
        CHECK_ERROR(pipc_queue_open(&queue, name, create_too ? PIPC_CREATE : 0, &options), MISMATCH);
        CHECK(queue == NULL);
        detail_tells(has, asked);
    }
}

static void queue_agrees(const char *name, const pipc_queue_options *options)
{
    pipc_queue *queue;
    pipc_queue_info info;
    REQUIRE_OK(pipc_queue_open(&queue, name, PIPC_CREATE, options));
    REQUIRE_OK(pipc_queue_statistics(queue, &info));
    CHECK_EQUAL(info.max_messages, 17);
    CHECK_EQUAL(info.max_size, 333);
    CHECK_EQUAL(info.mode, 0640);
    CHECK_OK(pipc_queue_close(queue));
}

static void a_queue_with_other_options_is_refused_telling_both_values(void)
{
    const char *name = test_name("strict");
    queue_agrees(name, &(pipc_queue_options){.max_messages = 17, .max_size = 333, .mode = 0640});
    queue_asks(name, (pipc_queue_options){.max_messages = 18}, "17", "18");
    queue_asks(name, (pipc_queue_options){.max_messages = 16, .max_size = 333}, "17", "16");
    queue_asks(name, (pipc_queue_options){.max_size = 334}, "333", "334");
    queue_asks(name, (pipc_queue_options){.mode = 0600}, "640", "600");
    queue_agrees(name, NULL);
    queue_agrees(name, &(pipc_queue_options){0});
    queue_agrees(name, &(pipc_queue_options){.max_size = 333});
    queue_agrees(name, &(pipc_queue_options){.max_messages = 17, .mode = 0640});
    CHECK_OK(pipc_queue_remove(name));
}

static void shm_asks(const char *name, pipc_shm_options options, const char *has, const char *asked)
{
    for (uint32_t create_too = 0; create_too < 2; create_too++) {
        pipc_shm *shm = (pipc_shm *)1;
        CHECK_ERROR(pipc_shm_open(&shm, name, create_too ? PIPC_CREATE : 0, &options), MISMATCH);
        CHECK(shm == NULL);
        detail_tells(has, asked);
    }
}

static void shm_agrees(const char *name, const pipc_shm_options *options)
{
    pipc_shm *shm;
    uint64_t size;
    REQUIRE_OK(pipc_shm_open(&shm, name, PIPC_CREATE, options));
    CHECK_OK(pipc_shm_size(shm, &size));
    CHECK_EQUAL(size, 5000);
    CHECK_OK(pipc_shm_close(shm));
}

static void memory_with_other_options_is_refused_telling_both_values(void)
{
    const char *name = test_name("strict");
    shm_agrees(name, &(pipc_shm_options){.size = 5000, .mode = 0644});
    shm_asks(name, (pipc_shm_options){.size = 5001}, "5000", "5001");
    shm_asks(name, (pipc_shm_options){.size = 4999, .mode = 0644}, "5000", "4999");
    shm_asks(name, (pipc_shm_options){.mode = 0666}, "644", "666");
    shm_agrees(name, NULL);
    shm_agrees(name, &(pipc_shm_options){0});
    shm_agrees(name, &(pipc_shm_options){.size = 5000});
    CHECK_OK(pipc_shm_remove(name));
}

static void a_mismatch_leaves_the_object_as_it_was(void)
{
    const char *name = test_name("untouched");
    pipc_queue *queue, *refused;
    pipc_queue_info info;
    REQUIRE_OK(pipc_queue_open(&queue, name, PIPC_CREATE, &(pipc_queue_options){.max_messages = 3}));
    CHECK_OK(kind_queue_write(queue, 6));
    CHECK_ERROR(pipc_queue_open(&refused, name, PIPC_CREATE, &(pipc_queue_options){.max_messages = 4}), MISMATCH);
    CHECK_OK(pipc_queue_statistics(queue, &info));
    CHECK_EQUAL(info.messages, 1);
    CHECK_EQUAL(info.max_messages, 3);
    finish(&kind_queue, queue, name);
}

static void exclusive_creation_says_exists_before_it_compares_options(void)
{
    const char *name = test_name("first");
    pipc_shm *shm, *second;
    pipc_shm_options options = {.size = 100}, others = {.size = 200};
    REQUIRE_OK(pipc_shm_open(&shm, name, PIPC_CREATE, &options));
    CHECK_ERROR(pipc_shm_open(&second, name, PIPC_CREATE | PIPC_EXCLUSIVE, &others), EXISTS);
    finish(&kind_shm, shm, name);
}

static const struct test tests[] = {
    {"Q2 M1", "opening_finds_what_exists_and_only_that", opening_finds_what_exists_and_only_that, 0},
    {"Q2 M1", "exclusive_creation_refuses_an_existing_object", exclusive_creation_refuses_an_existing_object, 0},
    {"Q2 M1", "open_or_create_makes_it_once_and_then_opens_it", open_or_create_makes_it_once_and_then_opens_it, 0},
    {"Q13 Q14 M1", "closing_never_removes", closing_never_removes, 0},
    {"Q10 M4", "an_old_handle_answers_removed_even_when_the_name_lives_again",
     an_old_handle_answers_removed_even_when_the_name_lives_again, 0},
    {"Q11 M5", "statistics_tell_who_made_it_when_and_with_which_mode",
     statistics_tell_who_made_it_when_and_with_which_mode, 0},
    {"Q2", "queue_defaults_are_the_same_everywhere", queue_defaults_are_the_same_everywhere, 0},
    {"Q2", "a_queue_with_other_options_is_refused_telling_both_values",
     a_queue_with_other_options_is_refused_telling_both_values, 0},
    {"M1", "memory_with_other_options_is_refused_telling_both_values",
     memory_with_other_options_is_refused_telling_both_values, 0},
    {"Q2", "a_mismatch_leaves_the_object_as_it_was", a_mismatch_leaves_the_object_as_it_was, 0},
    {"Q2 M1", "exclusive_creation_says_exists_before_it_compares_options",
     exclusive_creation_says_exists_before_it_compares_options, 0},
};

TEST_MAIN("opening_options", tests)
