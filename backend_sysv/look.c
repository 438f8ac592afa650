/* What stands under a name's keys, and burying what the dead left there. System V.
 *
 * The protocol that this serves, and why it is safe, is told in names.c. Modelled in tests/models/names_sysv.pml.
 */
#include "private.h"

#include <errno.h>
#include <string.h>
#include <sys/ipc.h>
#include <sys/shm.h>
#include <unistd.h>

#define TRIES 100

key_t pipc_name_key(const struct pipc_be_request *request, uint32_t i)
{
    return (key_t)(pipc_name_hash(request->kind, request->name) + i);
}

size_t pipc_name_length(uint64_t bytes)
{
    uint64_t page = pipc_page();
    return (size_t)((bytes + page - 1) / page * page);
}

/* ---- Attaching ---- */

void pipc_name_leave(struct pipc_be_memory *memory) /* model: names_sysv.pml, leave */
{
    if (memory->object)
        shmdt(memory->object);
    memory->object = NULL;
}

bool pipc_name_attach(struct pipc_be_memory *memory, int id, bool write)
{
    void *base = write ? shmat(id, NULL, 0) : (void *)-1;
    memory->call = "shmat";
    memory->id = id;
    memory->writable = base != (void *)-1;
    if (!memory->writable && (!write || errno == EACCES))
        base = shmat(id, NULL, SHM_RDONLY);
    memory->object = base == (void *)-1 ? NULL : base;
    return memory->object != NULL;
}

/* Attaches what stands under a key now. 0 or an errno: ENOENT nothing there, EAGAIN it vanished meanwhile. */
static int attach_key(struct pipc_be_memory *memory, key_t key, bool write, struct shmid_ds *facts)
{
    int id = shmget(key, 0, 0);
    memory->call = "shmget";
    if (id < 0)
        return errno == EIDRM ? EAGAIN : errno;
    if (!pipc_name_attach(memory, id, write))
        return errno == EINVAL || errno == EIDRM ? EAGAIN : errno;
    memory->call = "shmctl";
    int failed = shmctl(id, IPC_STAT, facts) != 0 ? errno : 0;
    if (!failed && (facts->shm_perm.__key != key || (facts->shm_perm.mode & SHM_DEST)))
        failed = EAGAIN; /* the id went to somebody else, or the key is free already */
    if (failed) {
        pipc_name_leave(memory);
        return failed == EINVAL || failed == EIDRM ? EAGAIN : failed;
    }
    memory->length = pipc_name_length(facts->shm_segsz);
    memory->creator = facts->shm_perm.cuid;
    memory->owner = facts->shm_perm.uid;
    memory->group = facts->shm_perm.cgid;
    memory->key = key;
    return 0;
}

/* Those who attached for reading only may need to bury what they found. */
static bool make_writable(struct pipc_be_memory *memory)
{
    if (memory->writable)
        return true;
    void *base = shmat(memory->id, NULL, 0);
    if (base == (void *)-1)
        return false;
    shmdt(memory->object);
    memory->object = base;
    return memory->writable = true;
}

/* ---- Burying ---- */

bool pipc_name_bury(struct pipc_be_memory *memory, uint64_t word)
{
    if (word != PIPC_STATE_DEAD) {
        if (!make_writable(memory))
            return false;
        /* model: names_sysv.pml, bury */
        if (!atomic_compare_exchange_strong(&memory->object->state, &word, PIPC_STATE_DEAD))
            return true;
    }
    PIPC_POINT("names: buried, kernel queue there");
    pipc_name_erase_queue(memory);
    return shmctl(memory->id, IPC_RMID, NULL) == 0;
}

bool pipc_name_is_orphan(const struct shmid_ds *facts)
{
    return facts->shm_perm.cuid == geteuid() &&
           pipc_is_dead_process(facts->shm_cpid, PIPC_SECONDS((int64_t)facts->shm_ctime + 1));
}

/* ---- Looking ---- */

bool pipc_name_is_unborn(const struct pipc_object *object, uint64_t word)
{
    const char *rest = (const char *)(object + 1), *end = (const char *)object + pipc_page();
    while (rest < end && *rest == 0)
        rest++;
    return word == PIPC_STATE_INIT && rest == end && (object->magic == 0 || object->magic == PIPC_OBJECT_MAGIC);
}

bool pipc_name_is_signed(const struct shmid_ds *facts)
{
    return facts->shm_segsz == pipc_name_length(facts->shm_segsz) - PIPC_NAME_SIGNATURE;
}

/* Reads the size once: a hostile peer may write it after the check. */
static enum sight take_size(struct pipc_be_memory *memory, int *error)
{
    const volatile uint64_t *size = &memory->object->size;
    memory->size = *size;
    if (memory->size <= memory->length - pipc_page())
        return OURS;
    *error = PIPC_E_DAMAGED;
    return BARRED;
}

/* Judges an object whose header is filled. `again`: it is buried, look at the key once more. */
static enum sight judge_named(struct pipc_be_memory *memory, const struct pipc_be_request *request, uint64_t word,
                              bool *again, int *error)
{
    const struct pipc_object *object = memory->object;
    *error = pipc_object_check(object, memory->length - pipc_page(), request->kind, request->name);
    if (*error && *error != PIPC_E_NOT_FOUND)
        return BARRED;
    bool other = *error != 0;
    *error = 0;
    if ((word & PIPC_STATE_MASK) == PIPC_STATE_READY && word != PIPC_STATE_READY) {
        *error = PIPC_E_DAMAGED; /* only a builder's state carries an identity */
        return BARRED;
    }
    if (word == PIPC_STATE_READY)
        return other ? TAKEN : take_size(memory, error);
    if (pipc_is_dead(word >> 3, object->pid_namespace)) {
        *again = pipc_name_bury(memory, word);
        return TAKEN;
    }
    return other ? FRESH : AT_WORK;
}

static enum sight judge(struct pipc_be_memory *memory, const struct shmid_ds *facts,
                        const struct pipc_be_request *request, bool *again, int *error)
{
    uint64_t word = atomic_load(&memory->object->state);
    *error = PIPC_E_FOREIGN;
    switch (word & PIPC_STATE_MASK) {
    case PIPC_STATE_INIT:
        if (!pipc_name_is_signed(facts) || !pipc_name_is_unborn(memory->object, word))
            return BARRED;
        *again = pipc_name_is_orphan(facts) && pipc_name_bury(memory, word);
        return FRESH;
    case PIPC_STATE_DEAD:
        if (!pipc_name_is_signed(facts) || word != PIPC_STATE_DEAD)
            return BARRED;
        *again = pipc_name_bury(memory, word);
        return TAKEN;
    case PIPC_STATE_CLAIMED:
    case PIPC_STATE_BUILDING:
    case PIPC_STATE_READY:
        return judge_named(memory, request, word, again, error);
    default:
        return BARRED;
    }
}

enum sight pipc_name_look(struct pipc_be_memory *memory, const struct pipc_be_request *request, uint32_t i, bool write,
                          struct trouble *trouble)
{
    for (int tries = 0; tries < TRIES; tries++) {
        struct shmid_ds facts;
        key_t key = pipc_name_key(request, i);
        bool again = false;
        /* model: names_sysv.pml, look */
        int error = 0, failed = key == IPC_PRIVATE ? ENOENT : attach_key(memory, key, write, &facts);
        if (failed == ENOENT)
            return key == IPC_PRIVATE ? TAKEN : NOTHING;
        if (failed == EAGAIN)
            continue;
        if (failed)
            error = failed == ENOMEM ? PIPC_E_NO_MEMORY : pipc_error_from(failed);
        enum sight sight = failed ? BARRED : judge(memory, &facts, request, &again, &error);
        if (sight == OURS || sight == AT_WORK)
            return sight;
        pipc_name_leave(memory);
        if (again)
            continue;
        if (sight == BARRED && !trouble->error)
            *trouble = (struct trouble){error, failed, memory->call, key};
        return sight;
    }
    return RESTLESS;
}

void pipc_name_survey(struct pipc_be_memory *memory, const struct pipc_be_request *request, struct survey *survey)
{
    *survey = (struct survey){.free = PIPC_NAME_KEYS};
    for (uint32_t i = 0; i < PIPC_NAME_KEYS; i++) {
        enum sight sight = pipc_name_look(memory, request, i, request->flags & PIPC_WRITE, &survey->trouble);
        if (sight == OURS) {
            survey->found = true;
            survey->at = i;
            return;
        }
        if (sight == AT_WORK || sight == RESTLESS) {
            survey->at_work = true;
            pipc_name_leave(memory);
        }
        if (sight == FRESH)
            survey->fresh = true;
        if (sight == NOTHING && survey->free == PIPC_NAME_KEYS)
            survey->free = i;
    }
}

int pipc_name_tell(const struct trouble *trouble, const char *name)
{
    unsigned key = (unsigned)trouble->key;
    switch (trouble->error) {
    case PIPC_E_ACCESS:
        return pipc_fail(PIPC_E_ACCESS,
                         "%s(key 0x%08x of \"%s\"): %s; it may be the object or another's, its owner must "
                         "grant this user the right to read",
                         trouble->call, key, name, strerror(trouble->errno_value));
    case PIPC_E_FOREIGN:
        return pipc_fail(PIPC_E_FOREIGN,
                         "a segment that is no pipc object holds key 0x%08x of \"%s\"; "
                         "if nobody needs it, remove it: ipcrm -M 0x%08x",
                         key, name, key);
    case PIPC_E_LAYOUT:
        return pipc_fail(PIPC_E_LAYOUT,
                         "the object under key 0x%08x of \"%s\" was made by another version of pipc; "
                         "use that version, or remove it: ipcrm -M 0x%08x",
                         key, name, key);
    case PIPC_E_DAMAGED:
        return pipc_fail(PIPC_E_DAMAGED,
                         "the header of the object under key 0x%08x of \"%s\" is impossible; "
                         "remove it: ipcrm -M 0x%08x",
                         key, name, key);
    case PIPC_E_NO_MEMORY:
        return pipc_fail(PIPC_E_NO_MEMORY,
                         "%s(key 0x%08x of \"%s\"): %s; this process needs that much address space free", trouble->call,
                         key, name, strerror(trouble->errno_value));
    default:
        return pipc_fail(trouble->error, "%s(key 0x%08x of \"%s\"): %s", trouble->call, key, name,
                         strerror(trouble->errno_value));
    }
}
