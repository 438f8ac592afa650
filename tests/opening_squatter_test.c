/* Other users: what somebody who was there first can put under a name, what he can make an object say, and what he
 * can do to other people's objects. He is a nuisance; he is never obeyed, and never taken for somebody else. */
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "kinds.h"
#include "probe.h"

enum { SQUATTER = 65534, VICTIM = 65533 };

struct attempt {
    const struct kind *kind;
    const char *name;
    uint32_t flags;
    uint32_t mode;
    uint64_t label; /* of a queue to be led to */
    int64_t id;
};

static void needs_root(void)
{
    if (geteuid() != 0)
        test_skip("only root can become another user");
}

static int as(uid_t user, test_body *body, const struct attempt *attempt)
{
    return test_as_user(user, body, (void *)attempt);
}

/* ---- What anybody does ---- */

static int make(void *argument)
{
    const struct attempt *attempt = argument;
    void *handle;
    REQUIRE_OK(attempt->kind->open(&handle, attempt->name, PIPC_CREATE | PIPC_EXCLUSIVE, attempt->mode));
    CHECK_OK(attempt->kind->write(handle, 77));
    return attempt->kind->close(handle);
}

/* Exit status: the error. */
static int try_to_open(void *argument)
{
    const struct attempt *attempt = argument;
    void *handle = argument;
    int error = attempt->kind->open(&handle, attempt->name, attempt->flags, attempt->mode);
    CHECK(error == 0 || handle == NULL);
    return error ? error : attempt->kind->close(handle);
}

static int try_to_remove(void *argument)
{
    const struct attempt *attempt = argument;
    return attempt->kind->remove(attempt->name);
}

/* Opening, opening or creating, creating and removing, by this user. */
static void all_answer(uid_t user, const struct kind *kind, const char *name, int to_open, int to_create, int to_remove)
{
    struct attempt attempt = {.kind = kind, .name = name};
    CHECK_EQUAL(as(user, try_to_open, &attempt), to_open);
    attempt.flags = PIPC_CREATE;
    CHECK_EQUAL(as(user, try_to_open, &attempt), to_open == PIPC_E_NOT_FOUND ? to_create : to_open);
    attempt.flags = PIPC_CREATE | PIPC_EXCLUSIVE;
    CHECK_EQUAL(as(user, try_to_open, &attempt), to_create);
    CHECK_EQUAL(as(user, try_to_remove, &attempt), to_remove);
}

static int remove_foreign(void *argument)
{
    const struct attempt *attempt = argument;
    return !probe_remove_foreign(attempt->kind->number, attempt->name);
}

static int remove_own(void *argument)
{
    return try_to_remove(argument);
}

/* ---- A sound object that belongs to somebody else ---- */

/* Makes the header say that somebody else made it, for himself only. */
static int forge_owner(void *argument)
{
    const struct attempt *attempt = argument;
    size_t bytes;
    struct pipc_object *object = probe_map(attempt->kind->number, attempt->name, &bytes);
    REQUIRE(object != NULL);
    object->owner = VICTIM;
    object->creator = 1;
    probe_unmap(object, bytes);
    return 0;
}

static int see_whose_it_is(void *argument)
{
    const struct attempt *attempt = argument;
    struct kind_facts facts;
    void *handle;
    REQUIRE_OK(attempt->kind->open(&handle, attempt->name, PIPC_CREATE, 0));
    REQUIRE_OK(attempt->kind->facts(handle, &facts));
    CHECK_EQUAL(facts.owner, SQUATTER);
    return attempt->kind->close(handle);
}

static void open_to_all(const struct kind *kind)
{
    struct attempt attempt = {.kind = kind, .name = test_name("bait"), .mode = 0666};
    CHECK_EQUAL(as(SQUATTER, make, &attempt), 0);
    CHECK_EQUAL(as(SQUATTER, forge_owner, &attempt), 0);
    all_answer(VICTIM, kind, attempt.name, PIPC_OK, PIPC_E_EXISTS, PIPC_E_ACCESS);
    CHECK_EQUAL(as(VICTIM, see_whose_it_is, &attempt), 0);
    attempt.flags = PIPC_CREATE;
    attempt.mode = 0600; /* what is asked for is not what is there */
    CHECK_EQUAL(as(VICTIM, try_to_open, &attempt), PIPC_E_MISMATCH);
    CHECK_EQUAL(as(SQUATTER, remove_own, &attempt), 0);
}

static void a_squatters_object_is_never_taken_for_a_new_one_and_tells_its_owner(void)
{
    needs_root();
    kind_all(open_to_all);
}

static void closed_to_all(const struct kind *kind)
{
    struct attempt attempt = {.kind = kind, .name = test_name("closed"), .mode = 0600};
    CHECK_EQUAL(as(SQUATTER, make, &attempt), 0);
    all_answer(VICTIM, kind, attempt.name, PIPC_E_ACCESS, PIPC_E_ACCESS, PIPC_E_ACCESS);
    CHECK_OK(kind->remove(attempt.name)); /* root's way out */
    CHECK_EQUAL(as(VICTIM, make, &attempt), 0);
    CHECK_EQUAL(as(VICTIM, remove_own, &attempt), 0);
}

static void a_squatters_closed_object_is_an_error_and_root_may_clear_it(void)
{
    needs_root();
    kind_all(closed_to_all);
}

/* ---- What is no object ---- */

static int place_foreign(void *argument)
{
    const struct attempt *attempt = argument;
    return !probe_place_foreign(attempt->kind->number, attempt->name, attempt->mode, 0x5a);
}

static void foreign_of(const struct kind *kind, uint32_t bytes)
{
    struct attempt attempt = {.kind = kind, .name = test_name("foreign"), .mode = bytes};
    CHECK_EQUAL(as(SQUATTER, place_foreign, &attempt), 0);
    all_answer(VICTIM, kind, attempt.name, PIPC_E_ACCESS, PIPC_E_ACCESS, PIPC_E_ACCESS);
    CHECK_EQUAL(as(SQUATTER, remove_foreign, &attempt), 0); /* still there */
    CHECK_EQUAL(as(VICTIM, make, &(struct attempt){.kind = kind, .name = attempt.name}), 0);
    CHECK_EQUAL(as(VICTIM, remove_own, &attempt), 0);
}

static void foreign_things(const struct kind *kind)
{
    foreign_of(kind, 0);
    foreign_of(kind, 100);
    foreign_of(kind, 16384);
}

/* What cannot be looked at may be the object: never "not found". */
static void what_another_user_left_there_is_an_error_and_stays(void)
{
    needs_root();
    kind_all(foreign_things);
}

/* Who may look at it is told what it is, and does not clear it away either. */
static void foreign_to_root(const struct kind *kind)
{
    struct attempt attempt = {.kind = kind, .name = test_name("foreign"), .mode = 16384};
    CHECK_EQUAL(as(SQUATTER, place_foreign, &attempt), 0);
    attempt.mode = 0;
    for (attempt.flags = 0; attempt.flags <= PIPC_CREATE; attempt.flags += PIPC_CREATE)
        CHECK_EQUAL(try_to_open(&attempt), PIPC_E_FOREIGN);
    CHECK_ERROR(kind->remove(attempt.name), FOREIGN);
    CHECK_EQUAL(as(SQUATTER, remove_foreign, &attempt), 0);
}

static void not_even_root_takes_a_foreign_thing_for_an_object(void)
{
    needs_root();
    kind_all(foreign_to_root);
}

/* ---- Links, fifos, directories ---- */

static void write_file(const char *path)
{
    int file = open(path, O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, 0600);
    REQUIRE(file >= 0);
    REQUIRE(write(file, "precious", 8) == 8);
    close(file);
}

static void is_untouched(const char *path)
{
    char text[16] = "";
    struct stat facts;
    int file = open(path, O_RDONLY | O_CLOEXEC);
    CHECK(file >= 0 && read(file, text, sizeof text - 1) == 8);
    CHECK(strcmp(text, "precious") == 0);
    CHECK(fstat(file, &facts) == 0 && (facts.st_mode & 0777) == 0600);
    close(file);
}

static void fall_into(const struct kind *kind, enum probe_trap trap, const char *target)
{
    static const uint32_t flags[] = {0, PIPC_READ, PIPC_CREATE, PIPC_CREATE | PIPC_EXCLUSIVE};
    const char *name = test_name("trap");
    void *handle = &handle;
    if (!CHECK(probe_place_trap(kind->number, name, trap, target)))
        return;
    for (unsigned i = 0; i < sizeof flags / sizeof flags[0]; i++) {
        CHECK_ERROR(kind->open(&handle, name, flags[i], 0), FOREIGN);
        CHECK(strstr(pipc_error_detail(), "remove") != NULL);
        CHECK(handle == NULL);
    }
    CHECK_ERROR(kind->remove(name), FOREIGN);
    CHECK(probe_remove_trap(kind->number, name));
}

static void traps(const struct kind *kind)
{
    char target[300];
    if (!probe_trap_folder())
        return; /* nothing but objects can stand under a name of this family */
    snprintf(target, sizeof target, "%s/%s", probe_trap_folder(), test_name("target"));
    write_file(target);
    for (int trap = 0; trap < PROBE_TRAPS; trap++) {
        fall_into(kind, (enum probe_trap)trap, target);
        is_untouched(target);
    }
    CHECK(unlink(target) == 0);
    fall_into(kind, PROBE_TRAP_LINK, "/nowhere/at/all");
    fall_into(kind, PROBE_TRAP_LINK, "."); /* itself a directory */
}

static void links_fifos_and_directories_are_foreign_and_never_followed(void)
{
    kind_all(traps);
}

/* ---- Other people's queues ---- */

/* Makes an object that names somebody else's kernel queue as its own. */
static int lead_astray(void *argument)
{
    const struct attempt *attempt = argument;
    size_t bytes;
    REQUIRE_EQUAL(make(argument), 0);
    CHECK(probe_queue_remove(attempt->name)); /* nobody would find it any more */
    struct pipc_object *object = probe_map(attempt->kind->number, attempt->name, &bytes);
    REQUIRE(object != NULL);
    object->queue_label = attempt->label;
    object->queue_id = attempt->id;
    object->owner = 0;
    probe_unmap(object, bytes);
    return 0;
}

static void nobody_is_led_to_anothers_queue(void)
{
    const char *private = test_name("private");
    struct attempt attempt = {.kind = &kind_queue, .name = test_name("astray"), .mode = 0666};
    size_t bytes;
    void *handle, *other = NULL;
    uint32_t number = 0;
    needs_root();
    REQUIRE_OK(kind_queue_open(&handle, private, PIPC_CREATE | PIPC_EXCLUSIVE, 0600));
    REQUIRE_OK(kind_queue_write(handle, 5));
    struct pipc_object *object = probe_map(PIPC_KIND_QUEUE, private, &bytes);
    REQUIRE(object != NULL);
    attempt.label = object->queue_label;
    attempt.id = object->queue_id;
    uint64_t label = attempt.label;
    probe_unmap(object, bytes);
    CHECK_EQUAL(as(SQUATTER, lead_astray, &attempt), 0);
    CHECK_ERROR(kind_queue_open(&other, attempt.name, 0, 0), DAMAGED);
    CHECK(other == NULL && label != 0);
    CHECK_OK(pipc_queue_remove(attempt.name)); /* and takes nothing with it */
    CHECK_OK(kind_queue_read(handle, &number));
    CHECK_EQUAL(number, 5);
    CHECK_OK(kind_queue_write(handle, 6));
    CHECK_OK(pipc_queue_close(handle));
    CHECK_OK(pipc_queue_remove(private));
}

/* ---- The three classes ---- */

static int become_member(void *argument)
{
    REQUIRE(setresuid(VICTIM, VICTIM, VICTIM) == 0); /* root's own group */
    const struct attempt *attempt = argument;
    int error = try_to_open(argument);
    int removal = attempt->kind->remove(attempt->name);
    CHECK_EQUAL(removal, PIPC_E_ACCESS);
    return error;
}

static int become_stranger(void *argument)
{
    const struct attempt *attempt = argument;
    int error = try_to_open(argument);
    CHECK_EQUAL(attempt->kind->remove(attempt->name), PIPC_E_ACCESS);
    return error;
}

static void classes_of(const struct kind *kind, uint32_t mode)
{
    static const uint32_t rights[] = {PIPC_READ, PIPC_WRITE, PIPC_READ | PIPC_WRITE};
    struct attempt attempt = {.kind = kind, .name = test_name("classes"), .mode = mode};
    void *handle;
    uint32_t number = 0;
    CHECK_EQUAL(make(&attempt), 0);
    attempt.mode = 0;
    for (unsigned i = 0; i < 3; i++) {
        uint32_t bits = (rights[i] & PIPC_READ ? 4 : 0) | (rights[i] & PIPC_WRITE ? 2 : 0);
        attempt.flags = rights[i];
        CHECK_EQUAL(try_to_open(&attempt), PIPC_OK);
        CHECK_EQUAL(test_wait(test_fork(become_member, &attempt), PIPC_SECONDS(20)),
                    (mode >> 3 & bits) == bits ? PIPC_OK : PIPC_E_ACCESS);
        CHECK_EQUAL(as(SQUATTER, become_stranger, &attempt), (mode & bits) == bits ? PIPC_OK : PIPC_E_ACCESS);
    }
    REQUIRE_OK(kind->open(&handle, attempt.name, 0, 0)); /* refused removals harm nothing */
    CHECK_OK(kind->read(handle, &number));
    CHECK_EQUAL(number, 77);
    CHECK_OK(kind->close(handle));
    CHECK_OK(kind->remove(attempt.name));
}

static void classes(const struct kind *kind)
{
    static const uint32_t modes[] = {0600, 0640, 0660, 0644, 0664, 0666};
    for (unsigned i = 0; i < sizeof modes / sizeof modes[0]; i++)
        classes_of(kind, modes[i]);
}

static void owner_group_and_others_have_what_the_mode_says_and_only_the_owner_removes(void)
{
    needs_root();
    kind_all(classes);
}

static const struct test tests[] = {
    {"Q3 M1", "a_squatters_object_is_never_taken_for_a_new_one_and_tells_its_owner",
     a_squatters_object_is_never_taken_for_a_new_one_and_tells_its_owner, 0},
    {"Q3 M1", "a_squatters_closed_object_is_an_error_and_root_may_clear_it",
     a_squatters_closed_object_is_an_error_and_root_may_clear_it, 0},
    {"Q3 M1", "what_another_user_left_there_is_an_error_and_stays", what_another_user_left_there_is_an_error_and_stays,
     0},
    {"Q3 M1", "not_even_root_takes_a_foreign_thing_for_an_object", not_even_root_takes_a_foreign_thing_for_an_object,
     0},
    {"Q1 M1", "links_fifos_and_directories_are_foreign_and_never_followed",
     links_fifos_and_directories_are_foreign_and_never_followed, 0},
    {"Q3 G6", "nobody_is_led_to_anothers_queue", nobody_is_led_to_anothers_queue, 0},
    {"Q3 M1", "owner_group_and_others_have_what_the_mode_says_and_only_the_owner_removes",
     owner_group_and_others_have_what_the_mode_says_and_only_the_owner_removes, 0},
};

TEST_MAIN("opening_squatter", tests)
