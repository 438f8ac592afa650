/* What there is: all segments of ours in this IPC namespace. System V.
 *
 * The kernel numbers its segments and tells the facts of each, readable or not. Ours have a size that only we
 * ask for, to the byte; only these are attached, for reading, and their headers tell the rest.
 *
 * A removed segment that somebody still uses has no key any more: it is nobody's remains, the kernel frees it.
 *
 * A kernel queue has nothing but a number for a key, which only its segment explains, and may be anybody's. It is
 * found through the header that names it, or not at all: a queue whose segment was removed behind pipc's back is
 * never touched.
 *
 * An INIT segment without a header is known by less than others: its size, its zeros, its creator, who is dead. The
 * openers bury it only under a key of their own name. Here, where all keys are looked at, it must also
 * be without a second page, as no user's memory is, and nobody may be attached.
 */
#include "private.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>
#include <sys/ipc.h>
#include <sys/shm.h>

#ifndef SHM_STAT_ANY
#define SHM_STAT_ANY 15
#endif

/* ---- The kernel's table ---- */

/* The facts of the nth segment; its id, or -1 if there is none. Only newer kernels tell about the unreadable. */
static int stat_nth(int nth, struct shmid_ds *facts)
{
    int id = shmctl(nth, SHM_STAT_ANY, facts);
    return id >= 0 ? id : shmctl(nth, SHM_STAT, facts);
}

static bool may_be_ours(const struct shmid_ds *facts)
{
    return pipc_name_is_signed(facts) && !(facts->shm_perm.mode & SHM_DEST);
}

/* Has it memory for no more than its header page? False if nobody can tell. */
static bool is_bare(int id)
{
    char line[512];
    bool bare = false;
    FILE *table = fopen("/proc/sysvipc/shm", "re");
    while (table && fgets(line, sizeof line, table)) {
        int found;
        unsigned long long resident, swapped;
        if (sscanf(line, "%*d %d %*o %*u %*d %*d %*u %*u %*u %*u %*u %*d %*d %*d %llu %llu", &found, &resident,
                   &swapped) != 3 ||
            found != id)
            continue;
        bare = resident <= pipc_page() && swapped <= pipc_page() - resident;
        break;
    }
    if (table)
        fclose(table);
    return bare;
}

/* ---- Judging ---- */

static void note_facts(struct pipc_be_sight *sight, const struct shmid_ds *facts)
{
    sight->bytes = pipc_name_length(facts->shm_segsz) - pipc_page();
    sight->owner = facts->shm_perm.cuid;
    sight->mode = facts->shm_perm.mode & 0777;
    sight->creator = facts->shm_cpid;
    sight->created = PIPC_SECONDS((int64_t)facts->shm_ctime);
}

/* Copies the header and believes what can be checked. 0, PIPC_E_FOREIGN, PIPC_E_LAYOUT or PIPC_E_DAMAGED. */
static int take_header(struct pipc_be_sight *sight, const struct shmid_ds *facts)
{
    struct pipc_object *copy = &sight->object;
    memcpy(copy, sight->memory->object, sizeof *copy);
    int error = pipc_object_check(copy, sight->bytes, copy->kind, copy->name);
    if (error) {
        copy->magic = 0;
        return error;
    }
    sight->kind = copy->kind;
    memcpy(sight->name, copy->name, sizeof sight->name);
    uint32_t first = pipc_name_hash(copy->kind, copy->name);
    if ((uint32_t)facts->shm_perm.__key - first >= PIPC_NAME_KEYS)
        return PIPC_E_DAMAGED; /* it does not lie where its name leads */
    return 0;
}

/* A page of zeros, with no more on it than the beginning of a header of ours. */
static bool is_unborn(const struct pipc_object *object)
{
    return pipc_name_is_unborn(object, PIPC_STATE_INIT) && object->layout <= PIPC_OBJECT_LAYOUT &&
           (object->kind == PIPC_KIND_UNKNOWN || pipc_kind_word(object->kind));
}

/* What speaks against its being ours, when its header does not say so. */
static const char *doubt_of_nameless(const struct pipc_be_sight *sight, const struct shmid_ds *facts)
{
    if (facts->shm_nattch > 1)
        return "somebody is attached to it";
    if (!is_bare(sight->memory->id))
        return "it holds more than a header, so it may be no object of pipc's";
    return NULL;
}

/* Made, and no more. False: it is nothing of ours. */
static bool judge_unborn(struct pipc_be_sight *sight, const struct shmid_ds *facts)
{
    const struct pipc_object *object = sight->memory->object;
    bool named = object->magic == PIPC_OBJECT_MAGIC;
    if (!is_unborn(object) || (named && take_header(sight, facts) != 0))
        return false;
    bool orphan = pipc_name_is_orphan(facts);
    sight->state = orphan ? PIPC_FOUND_HALF_MADE : PIPC_FOUND_BUILDING;
    if (orphan && !named)
        sight->doubt = doubt_of_nameless(sight, facts);
    return true;
}

static uint32_t state_of_error(int error)
{
    switch (error) {
    case PIPC_E_LAYOUT:
        return PIPC_FOUND_OTHER_LAYOUT;
    case PIPC_E_DAMAGED:
        return PIPC_FOUND_DAMAGED;
    default:
        return PIPC_FOUND_FOREIGN;
    }
}

static uint32_t state_of_word(const struct pipc_be_sight *sight, uint64_t word)
{
    switch (word & PIPC_STATE_MASK) {
    case PIPC_STATE_READY: /* only a builder's state carries an identity */
        return word == PIPC_STATE_READY ? PIPC_FOUND_READY : PIPC_FOUND_DAMAGED;
    case PIPC_STATE_DEAD:
        return word == PIPC_STATE_DEAD ? PIPC_FOUND_REMOVED : PIPC_FOUND_DAMAGED;
    case PIPC_STATE_CLAIMED:
    case PIPC_STATE_BUILDING:
        return pipc_is_dead(word >> 3, sight->object.pid_namespace) ? PIPC_FOUND_HALF_MADE : PIPC_FOUND_BUILDING;
    default:
        return PIPC_FOUND_DAMAGED;
    }
}

/* What the attached segment is, if its state is this word. False: it is nothing of ours. */
static bool judge(struct pipc_be_sight *sight, const struct shmid_ds *facts, uint64_t word)
{
    struct pipc_be_memory *memory = sight->memory;
    *sight = (struct pipc_be_sight){.memory = memory};
    note_facts(sight, facts);
    if (word == PIPC_STATE_INIT)
        return judge_unborn(sight, facts);
    int error = take_header(sight, facts);
    if (error == PIPC_E_FOREIGN && word == PIPC_STATE_DEAD) { /* buried before it had a header */
        sight->state = PIPC_FOUND_REMOVED;
        sight->doubt = doubt_of_nameless(sight, facts);
        return is_unborn(memory->object);
    }
    sight->state = error ? state_of_error(error) : state_of_word(sight, word);
    if (sight->kind == PIPC_KIND_SHM && facts->shm_nattch > 0)
        sight->attachments = facts->shm_nattch - 1;
    return error != PIPC_E_FOREIGN;
}

/* ---- One segment ---- */

/* The segment as it is now, attached. False: it is gone, or nothing of ours. */
static bool look_again(struct pipc_be_sight *sight, uint64_t *word)
{
    struct shmid_ds facts;
    struct pipc_be_memory *memory = sight->memory;
    if (shmctl(memory->id, IPC_STAT, &facts) != 0 || !may_be_ours(&facts))
        return false;
    memory->length = pipc_name_length(facts.shm_segsz);
    memory->creator = facts.shm_perm.cuid;
    memory->key = facts.shm_perm.__key;
    *word = atomic_load(&memory->object->state);
    return judge(sight, &facts, *word);
}

static bool look(struct pipc_be_sight *sight, int id, const struct shmid_ds *facts)
{
    uint64_t word;
    if (pipc_name_attach(sight->memory, id, false))
        return look_again(sight, &word);
    note_facts(sight, facts);
    sight->state = PIPC_FOUND_UNREADABLE;
    if (errno == ENOMEM)
        sight->doubt = "this process has too little address space to look into it";
    return errno == EACCES || errno == ENOMEM;
}

/* ---- The contract ---- */

int pipc_be_each(bool (*visit)(struct pipc_be_sight *sight, void *argument), void *argument)
{
    struct shmid_ds facts = {0};            /* memcheck does not know what SHM_STAT_ANY fills */
    int last = shmctl(0, SHM_INFO, &facts); /* fills a struct shm_info, which is smaller */
    if (last < 0)
        return pipc_fail(pipc_error_from(errno), "shmctl(SHM_INFO): %s", strerror(errno));
    bool go_on = true;
    for (int nth = 0; nth <= last && go_on; nth++) {
        int id = stat_nth(nth, &facts);
        if (id < 0 || !may_be_ours(&facts))
            continue;
        struct pipc_be_memory memory = {0};
        struct pipc_be_sight sight = {.memory = &memory};
        if (look(&sight, id, &facts))
            go_on = visit(&sight, argument);
        pipc_name_leave(&memory);
    }
    return 0;
}

bool pipc_be_sight_read(const struct pipc_be_sight *sight, uint64_t at, void *to, size_t bytes)
{
    const struct pipc_object *object = sight->memory->object;
    if (!object || at > sight->bytes || bytes > sight->bytes - at)
        return false;
    memcpy(to, (const char *)object + pipc_page() + at, bytes);
    return atomic_load(&object->state) == PIPC_STATE_READY;
}

/* The one thing that may have changed is that another buried it: the state word of the dead does not move. */
bool pipc_be_sight_reap(struct pipc_be_sight *sight)
{
    struct shmid_ds facts;
    struct pipc_be_memory *memory = sight->memory;
    struct pipc_be_sight now = {.memory = memory};
    uint64_t word;
    PIPC_POINT("list: judged dead, not reaped");
    bool same = look_again(&now, &word) && now.state == sight->state && !now.doubt;
    if (same)
        pipc_name_bury(memory, word);
    return shmctl(memory->id, IPC_STAT, &facts) != 0 ? errno == EINVAL || errno == EIDRM
                                                     : (facts.shm_perm.mode & SHM_DEST) != 0;
}
