/* See probe.h. Memory: a segment under key hash + i. Kernel queue: key = the header's queue_label. */
#define _GNU_SOURCE
#include "probe.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ipc.h>
#include <sys/msg.h>
#include <sys/shm.h>
#include <sys/syscall.h>
#include <unistd.h>

enum { KEYS = 8, LONGEST_TEXT = 65536 };

static key_t key_of(uint32_t kind, const char *name, uint32_t i)
{
    return (key_t)(pipc_name_hash(kind, name) + i);
}

/* ---- The memory object under a name ---- */

static bool is_ours(const struct pipc_object *object, uint32_t kind, const char *name)
{
    return object->magic == PIPC_OBJECT_MAGIC && object->kind == kind &&
           strncmp(object->name, name, sizeof object->name) == 0;
}

static int find_segment(uint32_t kind, const char *name, struct shmid_ds *facts)
{
    for (uint32_t i = 0; i < KEYS; i++) {
        int id = shmget(key_of(kind, name, i), 0, 0);
        const struct pipc_object *object = id < 0 ? (void *)-1 : shmat(id, NULL, SHM_RDONLY);
        if (object == (void *)-1)
            continue;
        bool found = is_ours(object, kind, name);
        shmdt(object);
        if (found && shmctl(id, IPC_STAT, facts) == 0)
            return id;
    }
    errno = ENOENT;
    return -1;
}

struct pipc_object *probe_map(uint32_t kind, const char *name, size_t *bytes)
{
    struct shmid_ds facts;
    int id = find_segment(kind, name, &facts);
    struct pipc_object *object = id < 0 ? (void *)-1 : shmat(id, NULL, 0);
    if (object == (void *)-1)
        return NULL;
    *bytes = facts.shm_segsz;
    return object;
}

void probe_unmap(struct pipc_object *object, size_t bytes)
{
    (void)bytes;
    shmdt(object);
}

bool probe_mode(uint32_t kind, const char *name, uint32_t *mode, uint32_t *owner)
{
    struct shmid_ds facts;
    if (find_segment(kind, name, &facts) < 0)
        return false;
    *mode = facts.shm_perm.mode & 0777;
    *owner = facts.shm_perm.uid;
    return true;
}

bool probe_place_foreign(uint32_t kind, const char *name, size_t bytes, int filling)
{
    bytes = bytes ? bytes : 1;
    int id = shmget(key_of(kind, name, 0), bytes, IPC_CREAT | IPC_EXCL | 0600);
    void *address = id < 0 ? (void *)-1 : shmat(id, NULL, 0);
    if (address == (void *)-1)
        return false;
    memset(address, filling, bytes);
    return shmdt(address) == 0;
}

bool probe_remove_foreign(uint32_t kind, const char *name)
{
    int id = shmget(key_of(kind, name, 0), 0, 0);
    return id >= 0 && shmctl(id, IPC_RMID, NULL) == 0;
}

/* Keys lead to segments and to nothing else. */
bool probe_place_trap(uint32_t kind, const char *name, enum probe_trap trap, const char *target)
{
    (void)kind, (void)name, (void)trap, (void)target;
    errno = 0;
    return false;
}

bool probe_remove_trap(uint32_t kind, const char *name)
{
    (void)kind, (void)name;
    return false;
}

const char *probe_trap_folder(void)
{
    return NULL;
}

bool probe_remove_memory(uint32_t kind, const char *name)
{
    struct shmid_ds facts;
    int id = find_segment(kind, name, &facts);
    return id >= 0 && shmctl(id, IPC_RMID, NULL) == 0;
}

/* ---- The kernel queue ---- */

static int find_queue(const char *name, struct msqid_ds *facts)
{
    size_t bytes;
    struct pipc_object *object = probe_map(PIPC_KIND_QUEUE, name, &bytes);
    if (!object)
        return -1;
    uint64_t label = object->queue_label;
    probe_unmap(object, bytes);
    int id = label ? msgget((key_t)label, 0) : -1;
    return id >= 0 && msgctl(id, IPC_STAT, facts) == 0 ? id : -1;
}

bool probe_queue_count(const char *name, uint64_t *messages)
{
    struct msqid_ds facts;
    if (find_queue(name, &facts) < 0)
        return false;
    *messages = facts.msg_qnum;
    return true;
}

bool probe_queue_mode(const char *name, uint32_t *mode)
{
    struct msqid_ds facts;
    if (find_queue(name, &facts) < 0)
        return false;
    *mode = facts.msg_perm.mode & 0777;
    return true;
}

bool probe_queue_steal(const char *name)
{
    struct msqid_ds facts;
    int id = find_queue(name, &facts);
    struct {
        long type;
        char text[LONGEST_TEXT];
    } *message = id < 0 ? NULL : malloc(sizeof *message);
    bool stolen = message && msgrcv(id, message, sizeof message->text, -32, IPC_NOWAIT) >= 0;
    free(message);
    return stolen;
}

bool probe_queue_inject(const char *name, const void *text, size_t size, uint32_t priority)
{
    struct msqid_ds facts;
    int id = find_queue(name, &facts);
    struct {
        long type;
        char text[LONGEST_TEXT];
    } *message = id < 0 || size > LONGEST_TEXT ? NULL : calloc(1, sizeof *message);
    if (!message)
        return false;
    message->type = 32 - (long)priority;
    if (size)
        memcpy(message->text, text, size);
    bool put = msgsnd(id, message, size, IPC_NOWAIT) == 0;
    free(message);
    return put;
}

bool probe_queue_remove(const char *name)
{
    struct msqid_ds facts;
    int id = find_queue(name, &facts);
    return id >= 0 && msgctl(id, IPC_RMID, NULL) == 0;
}

bool probe_queue_remove_labelled(const char *name, uint64_t label)
{
    (void)name;
    int id = label ? msgget((key_t)label, 0) : -1;
    return id >= 0 && msgctl(id, IPC_RMID, NULL) == 0;
}

bool probe_is_put(uint64_t number)
{
    return number == SYS_msgsnd;
}

bool probe_is_take(uint64_t number)
{
    return number == SYS_msgrcv;
}

/* ---- Ids that come back ---- */

bool probe_ids_of(uint32_t kind, const char *name, struct probe_ids *ids)
{
    struct shmid_ds memory;
    struct msqid_ds queue;
    ids->memory = find_segment(kind, name, &memory);
    ids->queue = kind == PIPC_KIND_QUEUE ? find_queue(name, &queue) : -1;
    return ids->memory >= 0 && (kind != PIPC_KIND_QUEUE || ids->queue >= 0);
}

static bool ask(const char *path, int64_t id)
{
    FILE *file = id < 0 ? NULL : fopen(path, "we");
    bool written = file && fprintf(file, "%lld", (long long)id) > 0;
    return id < 0 || (file && fclose(file) == 0 && written);
}

bool probe_ask_for_ids(const struct probe_ids *ids)
{
    return ask("/proc/sys/kernel/shm_next_id", ids->memory) && ask("/proc/sys/kernel/msg_next_id", ids->queue);
}

bool probe_has_queue_id(const char *name, const struct probe_ids *ids)
{
    struct msqid_ds facts;
    return find_queue(name, &facts) == ids->queue;
}

/* ---- Limits ---- */

const char *probe_limit_path(enum probe_limit limit)
{
    static const char *const paths[] = {
        [PROBE_LIMIT_QUEUES] = "/proc/sys/kernel/msgmni", [PROBE_LIMIT_MESSAGE_SIZE] = "/proc/sys/kernel/msgmax",
        [PROBE_LIMIT_DEPTH] = "/proc/sys/kernel/msgmnb",  [PROBE_LIMIT_SEGMENTS] = "/proc/sys/kernel/shmmni",
        [PROBE_LIMIT_MEMORY] = "/proc/sys/kernel/shmall",
    };
    return paths[limit];
}

/* ---- What is left ---- */

/* The kernel queue goes first: only the header knows it. */
static void remove_pair(int id, const struct pipc_object *object)
{
    int queue = object->queue_label ? msgget((key_t)object->queue_label, 0) : -1;
    if (queue >= 0)
        msgctl(queue, IPC_RMID, NULL);
    shmctl(id, IPC_RMID, NULL);
}

/* tell is NULL: only looks. */
static unsigned visit(int id, const char *prefix, void (*tell)(const char *name))
{
    const struct pipc_object *object = shmat(id, NULL, SHM_RDONLY);
    if (object == (void *)-1)
        return 0;
    bool ours = object->magic == PIPC_OBJECT_MAGIC && strncmp(object->name, prefix, strlen(prefix)) == 0;
    if (ours && tell) {
        char name[sizeof object->name];
        snprintf(name, sizeof name, "%.203s", object->name);
        remove_pair(id, object);
        tell(name);
    }
    shmdt(object);
    return ours;
}

/* *going: of those found, removed ones that somebody is still attached to. */
static unsigned visit_all(const char *prefix, void (*tell)(const char *name), unsigned *going)
{
    struct shmid_ds facts;
    unsigned found = 0;
    int highest = shmctl(0, SHM_INFO, &facts);
    *going = 0;
    for (int i = 0; i <= highest; i++) {
        int id = shmctl(i, SHM_STAT, &facts);
        if (id < 0 || facts.shm_perm.uid != geteuid() || facts.shm_segsz < sizeof(struct pipc_object))
            continue;
        unsigned ours = visit(id, prefix, tell);
        found += ours;
        *going += ours && (facts.shm_perm.mode & SHM_DEST);
    }
    return found;
}

/* Another test's probe, or pipc_each(), may be looking at a segment just when it is removed: then it goes a moment
 * later. */
unsigned probe_count(const char *prefix)
{
    unsigned going, found = visit_all(prefix, NULL, &going);
    for (int tries = 0; going > 0 && tries < 1000; tries++) {
        usleep(1000);
        found = visit_all(prefix, NULL, &going);
    }
    return found;
}

unsigned probe_remove_leftovers(const char *prefix, void (*tell)(const char *name))
{
    unsigned going;
    return probe_count(prefix) > 0 ? visit_all(prefix, tell, &going) : 0;
}

static unsigned remove_all_queues(void (*tell)(const char *name))
{
    struct msqid_ds facts;
    unsigned removed = 0;
    int highest = msgctl(0, MSG_INFO, &facts);
    for (int i = 0; i <= highest; i++) {
        int id = msgctl(i, MSG_STAT, &facts);
        if (id < 0 || msgctl(id, IPC_RMID, NULL) < 0)
            continue;
        tell("a System V message queue");
        removed++;
    }
    return removed;
}

unsigned probe_remove_everything(void (*tell)(const char *name))
{
    struct shmid_ds facts;
    unsigned removed = remove_all_queues(tell);
    int highest = shmctl(0, SHM_INFO, &facts);
    for (int i = 0; i <= highest; i++) {
        int id = shmctl(i, SHM_STAT, &facts);
        if (id < 0 || shmctl(id, IPC_RMID, NULL) < 0)
            continue;
        tell("a System V segment");
        removed++;
    }
    return removed;
}

/* ---- For lists of all that there is ---- */

/* Segments of our size, which is 1129 bytes less than whole pages, with something else in them. */
unsigned probe_place_oddities(const char *prefix)
{
    static const char fillings[] = {1, 4, 'p', (char)0xff};
    unsigned placed = 0;
    for (uint32_t i = 0; i < sizeof fillings; i++) {
        for (size_t pages = 1; pages <= 3; pages++) {
            size_t bytes = pages * pipc_page() - 1129;
            int id = shmget(key_of(PIPC_KIND_SHM, prefix, 100 + placed), bytes, IPC_CREAT | IPC_EXCL | 0600);
            char *address = id < 0 ? (void *)-1 : shmat(id, NULL, 0);
            if (address == (void *)-1)
                continue;
            memset(address, fillings[i], bytes);
            shmdt(address);
            placed++;
        }
    }
    return placed;
}

bool probe_resize_memory(uint32_t kind, const char *name, uint64_t bytes)
{
    (void)kind;
    (void)name;
    (void)bytes;
    errno = ENOTSUP; /* a segment has its size for life */
    return false;
}

const bool probe_builders_are_noted = true;

bool probe_queues_can_be_listed(void)
{
    return false;
}
