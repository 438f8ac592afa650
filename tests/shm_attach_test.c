/* Memory: how many have it open, and right at once when some of them die. */
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "support.h"

enum { SOME = 12 };

struct party {
    const char *name;
    _Atomic uint32_t open, leave;
    bool with_mapping, read_only;
};

static struct party *new_party(const char *name)
{
    struct party *party = test_shared(sizeof *party);
    party->name = name;
    return party;
}

static pipc_shm *create(const char *name)
{
    pipc_shm *shm;
    REQUIRE_OK(pipc_shm_open(&shm, name, PIPC_CREATE | PIPC_EXCLUSIVE, &(pipc_shm_options){.size = 4096}));
    return shm;
}

static uint64_t attachments(pipc_shm *shm)
{
    pipc_shm_info info = {0};
    CHECK_OK(pipc_shm_statistics(shm, &info));
    return info.attachments;
}

static int attend(void *argument)
{
    struct party *party = argument;
    uint32_t rights = party->read_only ? PIPC_READ : PIPC_READ | PIPC_WRITE;
    pipc_shm *shm;
    void *address;
    REQUIRE_OK(pipc_shm_open(&shm, party->name, rights, NULL));
    if (party->with_mapping)
        REQUIRE_OK(pipc_shm_map(shm, rights, &address));
    uint32_t place = atomic_fetch_add(&party->open, 1);
    REQUIRE(test_await(&party->leave, place + 1));
    return pipc_shm_close(shm);
}

/* Whoever forks shares its handle with the child, and the count is exact no longer: so the one who
 * counts is a child itself and answers questions. */
struct lookout {
    const char *name;
    _Atomic uint32_t asked, answered;
    uint64_t count;
};

static int look_out(void *argument)
{
    struct lookout *lookout = argument;
    pipc_shm *shm = create(lookout->name);
    for (uint32_t question = 1;; question++) {
        REQUIRE(test_await(&lookout->asked, question));
        lookout->count = attachments(shm);
        atomic_store(&lookout->answered, question);
    }
    return 0;
}

static uint64_t seen_by(struct lookout *lookout)
{
    uint32_t question = atomic_fetch_add(&lookout->asked, 1) + 1;
    REQUIRE(test_await(&lookout->answered, question));
    return lookout->count;
}

static void by_an_onlooker(bool with_mapping, bool read_only, bool kill_them)
{
    struct lookout *lookout = test_shared(sizeof *lookout);
    struct party *party = new_party(lookout->name = test_name("onlooker"));
    party->with_mapping = with_mapping;
    party->read_only = read_only;
    pid_t children[SOME], onlooker = test_fork(look_out, lookout);
    CHECK_EQUAL(seen_by(lookout), 1);
    for (uint32_t i = 0; i < SOME; i++) {
        children[i] = test_fork(attend, party);
        REQUIRE(test_await(&party->open, i + 1));
        CHECK_EQUAL(seen_by(lookout), 2 + i);
    }
    for (uint32_t i = 0; i < SOME; i++) {
        atomic_store(&party->leave, kill_them ? 0 : i + 1);
        if (kill_them)
            test_kill(children[i]);
        else
            CHECK_EQUAL(test_wait(children[i], PIPC_SECONDS(10)), 0);
        CHECK_EQUAL(seen_by(lookout), SOME - i); /* right at once */
    }
    test_kill(onlooker);
    CHECK_OK(pipc_shm_remove(lookout->name));
}

static void every_process_that_has_it_open_counts_once(void)
{
    by_an_onlooker(false, false, false);
    by_an_onlooker(true, false, false);
    by_an_onlooker(false, true, false);
    by_an_onlooker(true, true, false);
}

static void the_killed_count_no_longer_at_once(void)
{
    by_an_onlooker(false, false, true);
    by_an_onlooker(true, false, true);
    by_an_onlooker(true, true, true);
}

/* ---- in one process ---- */

static void mapping_does_not_count_beside_its_handle(void)
{
    const char *name = test_name("once");
    pipc_shm *shm = create(name);
    void *address;
    CHECK_EQUAL(attachments(shm), 1);
    REQUIRE_OK(pipc_shm_map(shm, PIPC_READ | PIPC_WRITE, &address));
    CHECK_EQUAL(attachments(shm), 1);
    CHECK_OK(pipc_shm_unmap(shm, address));
    CHECK_EQUAL(attachments(shm), 1);
    REQUIRE_OK(pipc_shm_map(shm, PIPC_READ, &address));
    CHECK_EQUAL(attachments(shm), 1);
    CHECK_OK(pipc_shm_close(shm));
    REQUIRE_OK(pipc_shm_open(&shm, name, 0, NULL));
    CHECK_EQUAL(attachments(shm), 1); /* nothing of the closed handle is left */
    CHECK_OK(pipc_shm_close(shm));
    CHECK_OK(pipc_shm_remove(name));
}

/* Whichever of two mappings goes first, of whatever rights, the one that stays counts once with its handle, keeps
 * its bytes, and so does what is mapped after it. */
static void of_two_mappings_the_one_that_stays_counts_once(void)
{
    const char *name = test_name("two");
    pipc_shm *shm = create(name);
    for (unsigned turn = 0; turn < 8; turn++) {
        unsigned stays = turn & 1;
        uint32_t rights[2] = {turn & 2 ? PIPC_READ : PIPC_READ | PIPC_WRITE,
                              turn & 4 ? PIPC_READ : PIPC_READ | PIPC_WRITE};
        unsigned char *mappings[2], *writer;
        for (unsigned i = 0; i < 2; i++)
            REQUIRE_OK(pipc_shm_map(shm, rights[i], (void **)&mappings[i]));
        CHECK(attachments(shm) >= 1);
        CHECK_OK(pipc_shm_unmap(shm, mappings[!stays]));
        CHECK_EQUAL(attachments(shm), 1);
        REQUIRE_OK(pipc_shm_map(shm, PIPC_READ | PIPC_WRITE, (void **)&writer));
        writer[100] = (unsigned char)(turn + 1);
        CHECK_EQUAL(mappings[stays][100], turn + 1);
        CHECK_OK(pipc_shm_unmap(shm, mappings[stays]));
        writer[101] = (unsigned char)(turn + 2);
        CHECK_EQUAL(attachments(shm), 1);
        CHECK_OK(pipc_shm_unmap(shm, writer));
        CHECK_EQUAL(attachments(shm), 1);
    }
    CHECK_OK(pipc_shm_close(shm));
    CHECK_OK(pipc_shm_remove(name));
}

static int close_inherited(void *argument)
{
    CHECK(attachments(argument) >= 1);
    return pipc_shm_close(argument);
}

static void with_forked_handles_the_count_is_at_least_one(void)
{
    const char *name = test_name("forked");
    pipc_shm *shm = create(name);
    CHECK_EQUAL(test_wait(test_fork(close_inherited, shm), PIPC_SECONDS(10)), 0);
    CHECK(attachments(shm) >= 1); /* the child's close did not take the parent's place away */
    CHECK_OK(pipc_shm_close(shm));
    REQUIRE_OK(pipc_shm_open(&shm, name, 0, NULL));
    CHECK_EQUAL(attachments(shm), 1);
    CHECK_OK(pipc_shm_close(shm));
    CHECK_OK(pipc_shm_remove(name));
}

static void several_handles_of_one_process_are_at_least_one(void)
{
    const char *name = test_name("handles");
    pipc_shm *first = create(name), *second;
    REQUIRE_OK(pipc_shm_open(&second, name, PIPC_READ, NULL));
    CHECK(attachments(first) >= 1);
    CHECK_OK(pipc_shm_close(first));
    CHECK_EQUAL(attachments(second), 1);
    CHECK_OK(pipc_shm_close(second));
    CHECK_OK(pipc_shm_remove(name));
}

/* Opens, maps and dies over and over while somebody counts: never less than the counter itself, never more than all. */
static int come_and_go(void *argument)
{
    for (;;) {
        pipc_shm *shm;
        void *address;
        REQUIRE_OK(pipc_shm_open(&shm, argument, PIPC_READ, NULL));
        REQUIRE_OK(pipc_shm_map(shm, PIPC_READ, &address));
        pipc_shm_close(shm);
    }
    return 0;
}

static void the_count_stays_sane_while_others_come_and_die(void)
{
    struct lookout *lookout = test_shared(sizeof *lookout);
    lookout->name = test_name("storm");
    pid_t onlooker = test_fork(look_out, lookout), guests[3] = {0};
    CHECK_EQUAL(seen_by(lookout), 1);
    for (unsigned i = 0; i < 300; i++) {
        test_kill(guests[i % 3]);
        guests[i % 3] = test_fork(come_and_go, (void *)lookout->name);
        uint64_t count = seen_by(lookout);
        CHECK(count >= 1 && count <= 1 + 2 * 3); /* a guest between two calls may show twice */
    }
    for (unsigned i = 0; i < 3; i++)
        test_kill(guests[i]);
    CHECK_EQUAL(seen_by(lookout), 1);
    test_kill(onlooker);
    CHECK_OK(pipc_shm_remove(lookout->name));
}

static const struct test tests[] = {
    {"M5", "every_process_that_has_it_open_counts_once", every_process_that_has_it_open_counts_once, 0},
    {"M5", "the_killed_count_no_longer_at_once", the_killed_count_no_longer_at_once, 0},
    {"M5", "mapping_does_not_count_beside_its_handle", mapping_does_not_count_beside_its_handle, 0},
    {"M5", "of_two_mappings_the_one_that_stays_counts_once", of_two_mappings_the_one_that_stays_counts_once, 0},
    {"M5", "with_forked_handles_the_count_is_at_least_one", with_forked_handles_the_count_is_at_least_one, 0},
    {"M5", "several_handles_of_one_process_are_at_least_one", several_handles_of_one_process_are_at_least_one, 0},
    {"M5", "the_count_stays_sane_while_others_come_and_die", the_count_stays_sane_while_others_come_and_die, 0},
};

TEST_MAIN("shm_attach", tests)
