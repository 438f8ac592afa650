/* How a name leads to memory. System V: a segment under one of a few numeric keys.
 *
 * The keys of a name are hash + 0 .. hash + 3. Names that hash alike share them, so the whole name is
 * in the header and is compared; a segment of another name is merely in the way. Segments are made
 * with IPC_EXCL only. A fresh one is zeros, and its header's state word moves by compare-and-swap:
 *
 *   INIT -> CLAIMED   by the creator, when the header is filled; the word carries its identity
 *   CLAIMED -> BUILDING   by the creator, once no rival of the same name can stand beside it
 *   BUILDING -> READY     by the creator
 *   READY -> DEAD     by the remover that succeeds
 *   CLAIMED -> DEAD   by the creator that gives way, by a rival at a lower key, after proof of death
 *   BUILDING -> DEAD  by the creator that abandons, or after proof of its death
 *   INIT -> DEAD      after proof of death
 *
 * DEAD is final: whoever meets it removes the kernel queue that the header names, then the segment.
 *
 * One builder a name. A creator looks at all keys (or, if it wants a new object, takes the first for free), makes a
 * segment under the lowest free one, claims it and then looks at all the other keys again. It gives way to a BUILDING
 * or READY segment of its name and to one CLAIMED at a lower key; it kills one CLAIMED at a higher key; then it
 * commits. Take two creators, L at the lower key. Each claims before it looks, so one of them, the later to claim,
 * sees the other's claim. If that is H: it sees L in CLAIMED, BUILDING or READY and gives way. If it is
 * L: it sees H in CLAIMED, kills that claim and H's commit fails; or it sees H further and gives way.
 * So both never commit, whatever was read before the claim and however long a creator was stopped
 * anywhere: all that a creator knew before its claim serves only to choose a key. INIT segments have
 * no name yet and need no notice, because their makers have still to look.
 *
 * A look at the keys one by one finds the READY object if there is one all the time: it never changes
 * its key, and a successor under another key means an instant at which the name was free.
 *
 * The dead. A builder's identity in the state word tells whether it lives. An INIT segment has none:
 * it is buried only if it carries our signature (its size, which the kernel keeps to the byte), its
 * creator's uid is ours and the process that the kernel names is gone. If such a proof ever
 * errs, the creator loses a compare-and-swap and starts again. Nobody removes an id to which it is not
 * attached: an id comes back once its segment is gone, and only an attachment prevents that.
 *
 * Modelled in tests/models/names_sysv.pml.
 *
 * What cannot be looked at may be our object: then the answer is an error, never "not found".
 */
#include "private.h"

#include <errno.h>
#include <string.h>
#include <sys/ipc.h>
#include <sys/shm.h>
#include <unistd.h>

/* ---- Making ---- */

/* Which of the two: segments, or pages of all segments? */
static int used_up(const struct pipc_be_request *request, unsigned long long need, const struct shminfo *limits)
{
    struct shm_info now = {0};
    shmctl(0, SHM_INFO, (struct shmid_ds *)(void *)&now);
    if ((unsigned long)now.used_ids >= limits->shmmni)
        return pipc_fail(PIPC_E_LIMIT,
                         "shmget(\"%s\", %llu bytes): the system's %lu segments are used up; remove some (ipcs -m), or "
                         "raise it with sysctl kernel.shmmni",
                         request->name, need, limits->shmmni);
    unsigned long left = limits->shmall > now.shm_tot ? limits->shmall - now.shm_tot : 0;
    return pipc_fail(PIPC_E_LIMIT,
                     "shmget(\"%s\"): the object needs %llu bytes, the system's %lu pages for segments have %llu bytes "
                     "left; remove some (ipcs -m), or raise it with sysctl kernel.shmall",
                     request->name, need, limits->shmall, (unsigned long long)left * pipc_page());
}

static int refuse(const struct pipc_be_request *request, uint64_t bytes)
{
    struct shminfo limits = {0};
    int failed = errno;
    shmctl(0, IPC_INFO, (struct shmid_ds *)(void *)&limits);
    unsigned long long need = bytes;
    switch (failed) {
    case EINVAL:
        return pipc_fail(PIPC_E_LIMIT,
                         "shmget(\"%s\", %llu bytes): a segment may have %lu bytes here; raise it with sysctl "
                         "kernel.shmmax",
                         request->name, need, limits.shmmax);
    case ENOSPC:
        return used_up(request, need, &limits);
    case ENOMEM:
        return pipc_fail(PIPC_E_NO_SPACE, "shmget(\"%s\"): the kernel has no memory for the %llu bytes needed",
                         request->name, need);
    default:
        return pipc_fail(pipc_error_from(failed), "shmget(\"%s\", %llu bytes): %s", request->name, need,
                         strerror(failed));
    }
}

/* Removes a segment that its maker cannot attach. While the maker lives nobody else removes it, unless its zeros
 * were taken for a dead one's remains; then the id may be somebody else's by now. */
static void give_back(int id, key_t key)
{
    struct shmid_ds facts;
    if (shmctl(id, IPC_STAT, &facts) == 0 && facts.shm_perm.__key == key && facts.shm_cpid == getpid())
        shmctl(id, IPC_RMID, NULL);
}

/* A new INIT segment under the key, attached. NULL object and 0: another was faster, or it was buried. */
static int make_segment(struct pipc_be_memory *memory, const struct pipc_be_request *request, uint32_t i)
{
    uint64_t bytes = request->size + pipc_page();
    if (bytes > SIZE_MAX / 4 || bytes < request->size)
        return pipc_fail(PIPC_E_NO_SPACE, "no address space has room for the %llu bytes needed",
                         (unsigned long long)request->size);
    memory->length = pipc_name_length(bytes);
    key_t key = pipc_name_key(request, i);
    /* model: names_sysv.pml, make_segment */
    int id = shmget(key, memory->length - PIPC_NAME_SIGNATURE, IPC_CREAT | IPC_EXCL | (int)request->mode);
    if (id < 0)
        return errno == EEXIST ? 0 : refuse(request, memory->length);
    PIPC_POINT("names: segment made, not attached");
    memory->key = key;
    if (pipc_name_attach(memory, id, true) && memory->writable)
        return 0;
    int failed = errno;
    pipc_name_leave(memory);
    give_back(id, key);
    if (failed == EINVAL || failed == EIDRM)
        return 0;
    return pipc_fail(failed == ENOMEM ? PIPC_E_NO_MEMORY : pipc_error_from(failed),
                     "shmat(\"%s\"): %s; this process needs %zu bytes of address space", request->name,
                     strerror(failed), memory->length);
}

/* Fills the header and says who builds. False: somebody took us for dead. */
static bool claim(struct pipc_be_memory *memory, const struct pipc_be_request *request)
{
    memory->claim = pipc_self() << 3 | PIPC_STATE_CLAIMED;
    memory->creator = memory->owner = geteuid();
    memory->size = request->size;
    PIPC_POINT("names: attached, no header");
    pipc_object_fill(memory->object, request, memory->creator);
    PIPC_POINT("names: header filled, not claimed");
    /* model: names_sysv.pml, claim */
    return atomic_compare_exchange_strong(&memory->object->state, &(uint64_t){PIPC_STATE_INIT}, memory->claim);
}

enum outcome { WON, LOST, UNCLEAR, FAILED };

/* What one other key means for the claim at key `mine`. */
static enum outcome face(const struct pipc_be_request *request, uint32_t mine, uint32_t i, struct trouble *trouble)
{
    for (;;) {
        struct pipc_be_memory rival = {0};
        enum sight sight = pipc_name_look(&rival, request, i, true, trouble);
        if (sight == BARRED)
            return trouble->error == PIPC_E_ACCESS && i > mine ? UNCLEAR : FAILED;
        if (sight != OURS && sight != AT_WORK)
            return sight == RESTLESS ? UNCLEAR : WON;
        uint64_t word = atomic_load(&rival.object->state); /* model: names_sysv.pml, face */
        enum outcome outcome = LOST;
        bool again = (word & PIPC_STATE_MASK) == PIPC_STATE_DEAD;
        if ((word & PIPC_STATE_MASK) == PIPC_STATE_CLAIMED && i > mine) {
            outcome = UNCLEAR; /* it will see us and give way */
            again = rival.writable && pipc_name_bury(&rival, word);
        }
        pipc_name_leave(&rival);
        if (!again)
            return outcome;
    }
}

/* Looks at all other keys after the claim. UNCLEAR: look once more, a rival must give way first. */
static enum outcome contest(const struct pipc_be_request *request, uint32_t mine, struct trouble *trouble)
{
    enum outcome all = WON;
    *trouble = (struct trouble){0};
    for (uint32_t i = 0; i < PIPC_NAME_KEYS && all != LOST && all != FAILED; i++) {
        enum outcome one = i == mine ? WON : face(request, mine, i, trouble); /* model: names_sysv.pml, contest */
        if (one != WON)
            all = one;
    }
    return all;
}

static bool commit(struct pipc_be_memory *memory)
{
    uint64_t claimed = memory->claim;
    memory->claim = pipc_self() << 3 | PIPC_STATE_BUILDING;
    /* model: names_sysv.pml, commit */
    return atomic_compare_exchange_strong(&memory->object->state, &claimed, memory->claim);
}

/* Gives way: a claim that nobody killed is ended, and its segment removed in any case. */
static void withdraw(struct pipc_be_memory *memory)
{
    /* model: names_sysv.pml, withdraw */
    atomic_compare_exchange_strong(&memory->object->state, &(uint64_t){memory->claim}, PIPC_STATE_DEAD);
    PIPC_POINT("names: gave way, segment there");
    shmctl(memory->id, IPC_RMID, NULL);
    pipc_name_leave(memory);
}

/* Tries to become the builder under one key. 0 without *build: look again. */
static int make(struct pipc_be_memory *memory, const struct pipc_be_request *request, uint32_t i, bool *build)
{
    int error = make_segment(memory, request, i);
    if (error || !memory->object)
        return error;
    if (!claim(memory, request)) {
        pipc_name_leave(memory);
        return 0;
    }
    PIPC_POINT("names: claimed");
    struct trouble trouble;
    enum outcome outcome;
    int64_t nap = 0;
    do
        outcome = contest(request, i, &trouble); /* model: names_sysv.pml, make */
    while (outcome == UNCLEAR && pipc_nap(&nap, request->deadline));
    PIPC_POINT("names: contested, not committed");
    if (outcome == WON && commit(memory)) {
        PIPC_POINT("names: building");
        *build = true;
        return 0;
    }
    withdraw(memory);
    return trouble.error && (outcome == FAILED || outcome == UNCLEAR) ? pipc_name_tell(&trouble, request->name) : 0;
}

/* ---- The three ways to a name ---- */

static int admit(struct pipc_be_memory *memory, const struct pipc_be_request *request)
{
    PIPC_POINT("names: found, not open");
    if (request->flags & PIPC_EXCLUSIVE) {
        pipc_name_leave(memory);
        return pipc_fail(PIPC_E_EXISTS, "\"%s\" exists; open it without PIPC_EXCLUSIVE or remove it", request->name);
    }
    if ((request->flags & PIPC_WRITE) && !memory->writable) {
        pipc_name_leave(memory);
        return pipc_fail(PIPC_E_ACCESS, "shmat(\"%s\"): its mode lets this user read only", request->name);
    }
    return 0;
}

static int busy(const struct pipc_be_request *request)
{
    return pipc_fail(PIPC_E_BUSY, "somebody who is alive has been at work on \"%s\" for too long; try again",
                     request->name);
}

/* The answer of a survey that found no READY object; 0 to go on. */
static int answer(const struct survey *survey, const struct pipc_be_request *request)
{
    if (survey->at_work)
        return 0;
    if (survey->trouble.error)
        return pipc_name_tell(&survey->trouble, request->name);
    if (!(request->flags & PIPC_CREATE))
        return pipc_fail(PIPC_E_NOT_FOUND, "no object is called \"%s\"", request->name);
    if (survey->free == PIPC_NAME_KEYS && !survey->fresh)
        return pipc_fail(PIPC_E_LIMIT, "all %u keys of \"%s\" are held by others that hash alike; choose another name",
                         PIPC_NAME_KEYS, request->name);
    return 0;
}

/* Who wants a new object mostly finds the first key free, and need not look first: what the other keys hold is seen
 * after the claim. Whatever is in the way a survey finds, and says. */
static bool make_at_once(struct pipc_be_memory *memory, const struct pipc_be_request *request)
{
    const uint32_t fresh = PIPC_CREATE | PIPC_EXCLUSIVE;
    bool build = false;
    if ((request->flags & fresh) == fresh && pipc_name_key(request, 0) != IPC_PRIVATE)
        make(memory, request, 0, &build); /* model: names_sysv.pml, make_at_once */
    return build;
}

int pipc_name_open(struct pipc_be_memory *memory, const struct pipc_be_request *request, bool *build)
{
    int64_t nap = 0;
    PIPC_POINT("names: looked, nothing made");
    if ((*build = make_at_once(memory, request)))
        return 0;
    do {
        struct survey survey;
        pipc_name_survey(memory, request, &survey);
        if (survey.found)
            return admit(memory, request);
        int error = answer(&survey, request);
        PIPC_POINT("names: looked, nothing made");
        if (!error && !survey.at_work && survey.free < PIPC_NAME_KEYS)
            error = make(memory, request, survey.free, build); /* model: names_sysv.pml, operate */
        if (error || *build)
            return error;
    } while (pipc_nap(&nap, request->deadline));
    return busy(request);
}

/* Would the kernel let this user remove the segment? Setting its mode to what it is needs the same right. */
static bool may_remove(const struct pipc_be_memory *memory)
{
    struct shmid_ds facts;
    uid_t me = geteuid();
    return memory->owner == me || memory->creator == me ||
           (shmctl(memory->id, IPC_STAT, &facts) == 0 && shmctl(memory->id, IPC_SET, &facts) == 0);
}

static int doom(struct pipc_be_memory *memory, const char *name)
{
    int error = 0;
    PIPC_POINT("names: found, not dead"); /* model: names_sysv.pml, doom */
    if (!memory->writable || !may_remove(memory))
        error = pipc_fail(PIPC_E_ACCESS, "shmctl(\"%s\", IPC_RMID): only the owner or a privileged process may", name);
    else if (!atomic_compare_exchange_strong(&memory->object->state, &(uint64_t){PIPC_STATE_READY}, PIPC_STATE_DEAD))
        error = pipc_fail(PIPC_E_NOT_FOUND, "\"%s\" was removed by somebody else just now", name);
    PIPC_POINT("names: dead, name not freed");
    if (error)
        pipc_name_leave(memory);
    return error;
}

/* The survey stopped at the READY object; losers killed at higher keys shall not outlive it. */
static void clear_above(const struct pipc_be_request *request, uint32_t at)
{
    struct trouble ignored = {0};
    for (uint32_t i = at + 1; i < PIPC_NAME_KEYS; i++) {
        struct pipc_be_memory other = {0};
        pipc_name_look(&other, request, i, true, &ignored); /* model: names_sysv.pml, clear_above */
        pipc_name_leave(&other);
    }
}

int pipc_name_doom(struct pipc_be_memory *memory, const struct pipc_be_request *request)
{
    int64_t nap = 0;
    do {
        struct survey survey;
        pipc_name_survey(memory, request, &survey);
        if (survey.found) {
            clear_above(request, survey.at); /* model: names_sysv.pml, operate */
            return doom(memory, request->name);
        }
        int error = answer(&survey, request);
        if (error)
            return error;
    } while (pipc_nap(&nap, request->deadline));
    return busy(request);
}

void pipc_name_free(struct pipc_be_memory *memory)
{
    pipc_name_erase_queue(memory); /* model: names_sysv.pml, free_id */
    PIPC_POINT("names: kernel queue erased, name not freed");
    shmctl(memory->id, IPC_RMID, NULL);
}
