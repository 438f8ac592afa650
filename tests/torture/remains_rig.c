/* Remains and rivals of other users, met by creators, openers and removers: what may be read and not written, what
 * may not be read at all, what only root may clear. Nobody is held up for longer than a second, nobody takes what is
 * another's, and its owner finds his name in order. Only root can become others; all in a namespace of its own. */
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "holes.h"
#include "points.h"
#include "probe.h"

enum { OWNER = 40101, STRANGER = 40102, BYTES = 5000 };

/* Who does it, and how; for the next child. */
static struct {
    uid_t user;
    uint32_t mode, flags;
} who;

static void be(uid_t user, uint32_t mode, uint32_t flags)
{
    who.user = user;
    who.mode = mode;
    who.flags = flags;
}

static void change_user(void)
{
    umask(0);
    REQUIRE(setresgid(who.user, who.user, who.user) == 0 && setresuid(who.user, who.user, who.user) == 0);
}

static int open_it(void *argument)
{
    const pipc_shm_options options = {.size = BYTES, .mode = who.mode};
    pipc_shm *shm;
    (void)argument;
    change_user();
    return pipc_shm_open(&shm, test_name("m"), who.flags, who.flags & PIPC_CREATE ? &options : NULL);
}

static int remove_it(void *argument)
{
    (void)argument;
    change_user();
    return pipc_shm_remove(test_name("m"));
}

static int answer(uid_t user, uint32_t mode, uint32_t flags)
{
    be(user, mode, flags);
    return test_wait(test_fork(open_it, NULL), PIPC_SECONDS(30));
}

static int answer_to_remove(uid_t user)
{
    be(user, 0, 0);
    return test_wait(test_fork(remove_it, NULL), PIPC_SECONDS(30));
}

static bool killed_at(const char *point, uid_t user, uint32_t mode)
{
    be(user, mode, PIPC_CREATE | PIPC_EXCLUSIVE);
    return holes_killed(HOLES_PLAN(NULL, point, .nth = 1), open_it);
}

static pid_t stopped_at(const char *point, uid_t user, uint32_t mode)
{
    be(user, mode, PIPC_CREATE | PIPC_EXCLUSIVE);
    return holes_stopped(HOLES_PLAN(NULL, point, .nth = 1), open_it);
}

/* The owner can use his name as if nothing had been, and nothing is left then. */
static void owner_is_at_home(void)
{
    CHECK_EQUAL(answer(OWNER, 0600, PIPC_CREATE | PIPC_EXCLUSIVE), 0);
    CHECK_EQUAL(answer_to_remove(OWNER), 0);
    CHECK_EQUAL(answer_to_remove(OWNER), PIPC_E_NOT_FOUND);
}

static void tell_left(const char *name)
{
    printf("left: %s\n", name);
}

static void privately(test_body *body)
{
    if (geteuid() != 0)
        test_skip("only root can become another user");
    CHECK_EQUAL(test_in_private_ipc(0, body, NULL), 0);
}

/* ---- half made by another, who is dead ---- */

/* Where names are keys the stranger takes the next one; where they are files the remains are in his way. */
static int meet_what_may_only_be_read(void *argument)
{
    (void)argument;
    REQUIRE(killed_at("names: building", OWNER, 0644));
    CHECK_EQUAL(answer(STRANGER, 0, PIPC_READ), PIPC_E_NOT_FOUND);
    int made = answer(STRANGER, 0600, PIPC_CREATE);
    CHECK(made == 0 || made == PIPC_E_ACCESS);
    if (made == 0)
        CHECK_EQUAL(answer_to_remove(STRANGER), 0);
    owner_is_at_home();
    CHECK_EQUAL(probe_remove_everything(tell_left), 0);
    return 0;
}

static void remains_that_may_only_be_read_stay_for_their_owner(void)
{
    privately(meet_what_may_only_be_read);
}

/* All may write it, and its maker had no time to say so much as what it is. */
static int meet_what_may_be_written(void *argument)
{
    static const char *const points[] = {"names: segment made, not attached", "names: file made, mode not settled"};
    uint32_t mode, owner = UINT32_MAX;
    (void)argument;
    REQUIRE(killed_at(points[points_find(points[0]) == POINTS_NONE], OWNER, 0666));
    int made = answer(STRANGER, 0600, PIPC_CREATE);
    CHECK(made == 0 || made == PIPC_E_ACCESS);
    if (made == 0)
        CHECK_EQUAL(answer_to_remove(STRANGER), 0);
    CHECK_EQUAL(answer(0, 0600, PIPC_CREATE), 0);
    CHECK(probe_mode(PIPC_KIND_SHM, test_name("m"), &mode, &owner) && owner == 0);
    CHECK_EQUAL(answer_to_remove(0), 0);
    owner_is_at_home();
    CHECK_EQUAL(probe_remove_everything(tell_left), 0);
    return 0;
}

static void an_empty_thing_of_another_user_is_never_built_in(void)
{
    privately(meet_what_may_be_written);
}

/* ---- another who is alive ---- */

static int wait_for_another(void *argument)
{
    (void)argument;
    pid_t builder = stopped_at("names: building", OWNER, 0644);
    int64_t began = test_now();
    CHECK_EQUAL(answer(STRANGER, 0, PIPC_READ), PIPC_E_BUSY);
    CHECK(test_now() - began >= PIPC_MS(950));
    CHECK_EQUAL(holes_resumed(builder), 0);
    CHECK_EQUAL(answer(STRANGER, 0, PIPC_READ), 0);
    CHECK_EQUAL(answer_to_remove(STRANGER), PIPC_E_ACCESS);
    CHECK_EQUAL(answer_to_remove(OWNER), 0);
    CHECK_EQUAL(probe_remove_everything(tell_left), 0);
    return 0;
}

static void a_builder_whose_lock_one_may_not_take_is_waited_for(void)
{
    privately(wait_for_another);
}

/* ---- rivals, where names are keys ---- */

struct rivals {
    pid_t low, high;
};

/* Both are after the same name: the owner is about to make a claim at the lowest key, the stranger has one at the next,
 * because the lowest was taken when he looked, and has stopped at the point. */
static struct rivals make_rivals(uint32_t mode, const char *point)
{
    struct rivals rivals;
    rivals.low = stopped_at("names: looked, nothing made", OWNER, mode);
    pid_t first = stopped_at("names: segment made, not attached", OWNER, 0644);
    rivals.high = stopped_at(point, STRANGER, mode);
    test_kill(first);
    be(OWNER, 0, 0);
    pid_t cleaner = test_fork(remove_it, NULL); /* buries what `first` left, and would wait for a second */
    test_sleep(PIPC_MS(100));
    test_kill(cleaner);
    return rivals;
}

static bool have_claims(void)
{
    return points_find("names: claimed") != POINTS_NONE;
}

/* At most one has made it. */
static void end_of_rivals(int low, int high)
{
    CHECK((low == 0) + (high == 0) <= 1);
    if (low == 0)
        CHECK_EQUAL(answer_to_remove(OWNER), 0);
    if (high == 0)
        CHECK_EQUAL(answer_to_remove(STRANGER), 0);
}

struct duel {
    uint32_t mode;
    const char *point;
    int low, high; /* how it ends */
};

/* The owner cannot kill the stranger's claim: he waits until that one gives way, or has gone too far to do so. False:
 * his second was over before he was let go. */
static bool fight(const struct duel *duel)
{
    struct rivals rivals = make_rivals(duel->mode, duel->point);
    kill(rivals.low, SIGCONT);
    test_sleep(PIPC_MS(30));
    int high = holes_resumed(rivals.high), low = test_wait(rivals.low, PIPC_SECONDS(30));
    end_of_rivals(low, high);
    CHECK(low == PIPC_E_BUSY || (low == duel->low && high == duel->high));
    return low == duel->low;
}

static int meet_rivals(void *argument)
{
    static const struct duel duels[] = {{0644, "names: claimed", 0, PIPC_E_EXISTS},
                                        {0600, "names: claimed", 0, PIPC_E_ACCESS},
                                        {0644, "names: contested, not committed", PIPC_E_EXISTS, 0}};
    (void)argument;
    for (unsigned i = 0; have_claims() && i < sizeof duels / sizeof *duels; i++) {
        bool fought = false;
        for (unsigned tries = 0; tries < 20 && !fought && test_failures() == 0; tries++)
            fought = fight(&duels[i]);
        CHECK(fought);
    }
    CHECK_EQUAL(probe_remove_everything(tell_left), 0);
    return 0;
}

static void of_rivals_of_two_users_one_gives_way(void)
{
    privately(meet_rivals);
}

/* What cannot be read may be the object: then the answer says so. */
static int meet_a_stopped_rival(void *argument)
{
    (void)argument;
    if (!have_claims())
        return 0;
    struct rivals rivals = make_rivals(0600, "names: claimed");
    CHECK_EQUAL(holes_resumed(rivals.low), PIPC_E_ACCESS);
    int high = holes_resumed(rivals.high);
    end_of_rivals(PIPC_E_ACCESS, high);
    CHECK_EQUAL(probe_remove_everything(tell_left), 0);
    return 0;
}

static void a_rival_that_stands_still_is_told_and_not_guessed_at(void)
{
    privately(meet_a_stopped_rival);
}

/* ---- taken for dead ---- */

/* Writes a word where the process has mapped the first page of a segment. */
static bool write_state(pid_t process, uint64_t state)
{
    char path[60], line[300];
    unsigned long long start = 0;
    snprintf(path, sizeof path, "/proc/%d/maps", (int)process);
    FILE *maps = fopen(path, "re");
    while (maps && !start && fgets(line, sizeof line, maps))
        if (strstr(line, "/SYSV"))
            sscanf(line, "%llx-", &start);
    if (maps)
        fclose(maps);
    snprintf(path, sizeof path, "/proc/%d/mem", (int)process);
    FILE *memory = start ? fopen(path, "r+e") : NULL;
    bool written = memory && fseeko(memory, (off_t)start, SEEK_SET) == 0 && fwrite(&state, 8, 1, memory) == 1;
    if (memory)
        written = fclose(memory) == 0 && written;
    return written;
}

/* If a proof of death ever errs, the creator notices it and begins anew. */
static int take_for_dead(void *argument)
{
    (void)argument;
    if (!have_claims())
        return 0;
    pid_t creator = stopped_at("names: attached, no header", OWNER, 0600);
    CHECK(write_state(creator, PIPC_STATE_DEAD));
    CHECK_EQUAL(holes_resumed(creator), 0);
    CHECK_EQUAL(answer_to_remove(OWNER), 0);
    CHECK_EQUAL(probe_remove_everything(tell_left), 0);
    return 0;
}

static void a_creator_taken_for_dead_begins_anew(void)
{
    privately(take_for_dead);
}

static const struct test tests[] = {
    {"Q2 Q3", "remains_that_may_only_be_read_stay_for_their_owner", remains_that_may_only_be_read_stay_for_their_owner,
     0},
    {"Q2 Q3", "an_empty_thing_of_another_user_is_never_built_in", an_empty_thing_of_another_user_is_never_built_in, 0},
    {"Q2", "a_builder_whose_lock_one_may_not_take_is_waited_for", a_builder_whose_lock_one_may_not_take_is_waited_for,
     0},
    {"Q2", "of_rivals_of_two_users_one_gives_way", of_rivals_of_two_users_one_gives_way, 180},
    {"Q2", "a_rival_that_stands_still_is_told_and_not_guessed_at", a_rival_that_stands_still_is_told_and_not_guessed_at,
     0},
    {"Q2", "a_creator_taken_for_dead_begins_anew", a_creator_taken_for_dead_begins_anew, 0},
};

TEST_MAIN("remains", tests)
