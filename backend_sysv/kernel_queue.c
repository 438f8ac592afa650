/* The kernel queue. System V: msgget, msgsnd, msgrcv, msgctl.
 *
 * The label of a queue is its key, stored in the object before the queue is made, so that whoever buries a
 * dead builder finds the queue. The id follows when it is known; until then it is NO_ID. Neither alone is
 * believed: an id may have been given to another queue, a key may have been taken by one. And whoever may
 * write the header could write the label of any queue into it, to have that one emptied or removed by us: so
 * a label is one of a few keys that follow from the segment's own id and key, which the kernel vouches for.
 *
 * A message's mtype is 32 - priority, and a negative bound takes the lowest type first: the highest
 * priority, then the oldest. The bound is the largest there is, so that messages that a foreign program
 * put here with other types are taken too and do not fill the queue for ever.
 */
#include "private.h"

#include <errno.h>
#include <limits.h>
#include <pthread.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ipc.h>
#include <sys/msg.h>
#include <sys/syscall.h>
#include <unistd.h>

#define NO_ID        (-1)
#define LOWEST_MTYPE 32 /* of priority 0 */
#define LABELS       64 /* keys that the queue of one segment may have */

struct pipc_be_queue {
    int id;
};

/* The i-th key that the queue of this segment may have. */
static key_t label_of(const struct pipc_be_memory *memory, unsigned i)
{
    uint64_t mix = ((uint64_t)(uint32_t)memory->key << 32 | (uint32_t)memory->id) + i * UINT64_C(0x9e3779b97f4a7c15);
    mix = (mix ^ mix >> 32) * UINT64_C(0xd6e8feb86659fd93);
    mix = (mix ^ mix >> 32) * UINT64_C(0xd6e8feb86659fd93);
    key_t label = (key_t)(mix >> 33);
    return label == IPC_PRIVATE ? 1 : label;
}

/* The label that the header names, IPC_PRIVATE if it cannot be this segment's. */
static key_t own_label(const struct pipc_be_memory *memory, const struct pipc_object *object)
{
    key_t label = (key_t) * (const volatile uint64_t *)&object->queue_label;
    for (unsigned i = 0; i < LABELS; i++)
        if (label == label_of(memory, i))
            return label;
    return IPC_PRIVATE;
}

/* Was it made by the one who made the segment? A stranger's queue is none of ours. Who may only send cannot tell,
 * and can do it no harm but by sending. */
static bool is_strangers(const struct pipc_be_memory *memory, int id)
{
    struct msqid_ds facts;
    if (msgctl(id, IPC_STAT, &facts) != 0)
        return errno != EACCES;
    return facts.msg_perm.cuid != memory->creator;
}

void pipc_name_erase_queue(const struct pipc_be_memory *memory) /* model: names_sysv.pml, free_id */
{
    const struct pipc_object *object = memory->object;
    if (object->magic != PIPC_OBJECT_MAGIC || object->layout != PIPC_OBJECT_LAYOUT || !object->queue_label)
        return;
    struct msqid_ds facts;
    key_t label = own_label(memory, object);
    int id = label == IPC_PRIVATE ? -1 : msgget(label, 0);
    if (id < 0 || msgctl(id, IPC_STAT, &facts) != 0)
        return;
    if (facts.msg_perm.__key != label || facts.msg_perm.cuid != memory->creator)
        return;
    bool unused =
        facts.msg_stime == 0 && facts.msg_rtime == 0 && facts.msg_ctime + 1 >= object->created / PIPC_SECONDS(1);
    if (object->queue_id == NO_ID ? unused : object->queue_id == id)
        msgctl(id, IPC_RMID, NULL);
}

static int refuse(uint32_t size)
{
    struct msginfo limits = {0};
    int failed = errno;
    msgctl(0, IPC_INFO, (struct msqid_ds *)(void *)&limits);
    switch (failed) {
    case ENOSPC:
        return pipc_fail(PIPC_E_LIMIT,
                         "msgget: the system's %d message queues are used up; remove some (ipcs -q), or raise it with "
                         "sysctl kernel.msgmni",
                         limits.msgmni);
    case ENOMEM:
        return pipc_fail(PIPC_E_NO_SPACE, "msgget: the kernel has no memory for a queue of %u-byte messages", size);
    default:
        return pipc_fail(pipc_error_from(failed), "msgget(IPC_CREAT): %s", strerror(failed));
    }
}

/* Makes a queue under a label that nobody uses. -1 and errno on failure. */
static int make(struct pipc_be_memory *memory, uint32_t mode)
{
    struct pipc_object *object = memory->object;
    int id = -1;
    errno = EEXIST;
    for (unsigned i = 0; id < 0 && errno == EEXIST && i < LABELS; i++) {
        key_t label = label_of(memory, i);
        object->queue_id = NO_ID;
        atomic_signal_fence(memory_order_seq_cst);
        object->queue_label = (uint64_t)label;
        atomic_signal_fence(memory_order_seq_cst);
        PIPC_POINT("kernel queue: label told, not made");
        id = msgget(label, IPC_CREAT | IPC_EXCL | (int)mode);
    }
    PIPC_POINT("kernel queue: made, id not told");
    if (id < 0)
        object->queue_label = 0;
    else
        object->queue_id = id;
    return id;
}

/* Bytes of text that one message in this very queue may have. */
static uint32_t longest_text(int id)
{
    uint32_t size, depth;
    struct msqid_ds facts;
    pipc_be_queue_limits(&size, &depth);
    if (msgctl(id, IPC_STAT, &facts) == 0 && facts.msg_qbytes < size)
        size = (uint32_t)facts.msg_qbytes;
    return size;
}

static int new_queue(struct pipc_be_queue **out, int id)
{
    *out = malloc(sizeof **out);
    if (!*out)
        return pipc_fail(PIPC_E_NO_MEMORY, "malloc(%zu bytes): no memory for a handle", sizeof **out);
    (*out)->id = id;
    return 0;
}

/* This family counts bytes, so `depth` has no part in it. */
int pipc_be_queue_create(struct pipc_be_queue **out, struct pipc_be_memory *memory, uint32_t depth, uint32_t size,
                         uint32_t least_size, uint32_t mode)
{
    (void)depth;
    struct pipc_object *object = memory->object;
    *out = NULL;
    int id = make(memory, mode); /* model: names_sysv.pml, build */
    if (id < 0)
        return refuse(size);
    uint32_t longest = longest_text(id);
    int error = 0;
    if (longest < least_size)
        error = pipc_fail(PIPC_E_LIMIT,
                          "msgget: a message needs %u bytes, the limits grant %u; raise them with sysctl kernel.msgmax "
                          "and kernel.msgmnb",
                          least_size, longest);
    if (!error)
        error = new_queue(out, id);
    if (error) {
        msgctl(id, IPC_RMID, NULL);
        object->queue_label = 0;
        return error;
    }
    object->queue_depth = 0;
    object->queue_size = size < longest ? size : longest;
    return 0;
}

int pipc_be_queue_open(struct pipc_be_queue **out, const struct pipc_be_memory *memory,
                       const struct pipc_object *object, uint32_t rights)
{
    *out = NULL;
    int bits = (rights & PIPC_RECEIVE ? 0444 : 0) | (rights & PIPC_SEND ? 0222 : 0);
    key_t label = own_label(memory, object);
    int id = label == IPC_PRIVATE ? -1 : msgget(label, bits);
    if (id < 0 && label != IPC_PRIVATE && errno == EACCES)
        return pipc_fail(PIPC_E_ACCESS, "msgget(\"%.*s\", key 0x%08x): the queue's mode does not let this user %s",
                         PIPC_NAME_MAX, object->name, (unsigned)label, rights & PIPC_SEND ? "send" : "receive");
    if (id < 0 && label != IPC_PRIVATE && errno != ENOENT && errno != EIDRM)
        return pipc_fail(pipc_error_from(errno), "msgget(\"%.*s\", key 0x%08x): %s", PIPC_NAME_MAX, object->name,
                         (unsigned)label, strerror(errno));
    if (id < 0 || id != object->queue_id)
        return pipc_fail(PIPC_E_DAMAGED,
                         "msgget(\"%.*s\", key 0x%08x): the kernel's queue was removed behind pipc's back; remove this "
                         "queue",
                         PIPC_NAME_MAX, object->name, (unsigned)label);
    if (is_strangers(memory, id))
        return pipc_fail(PIPC_E_DAMAGED,
                         "msgctl(\"%.*s\", key 0x%08x): the kernel's queue is another user's: somebody forged the "
                         "object; remove this queue",
                         PIPC_NAME_MAX, object->name, (unsigned)label);
    return new_queue(out, id);
}

/* ---- putting and taking ---- */

/* Looking for the lowest type the kernel walks through all messages that wait; the oldest it has at hand.
 *
 * msgsnd and msgrcv are cancellation points, their system calls by themselves are none. */
#if defined SYS_msgsnd && defined SYS_msgrcv && !defined SYS_ipc
static inline long kernel_put(int id, const void *message, size_t size)
{
    return syscall(SYS_msgsnd, id, message, size, IPC_NOWAIT);
}

static inline long kernel_take(int id, void *message, size_t capacity, bool oldest, int flags)
{
    return syscall(SYS_msgrcv, id, message, capacity, oldest ? 0 : -LONG_MAX, flags | IPC_NOWAIT);
}
#else /* not here, or behind SYS_ipc */
static long kernel_put(int id, const void *message, size_t size)
{
    int state;
    pthread_setcancelstate(PTHREAD_CANCEL_DISABLE, &state);
    int result = msgsnd(id, message, size, IPC_NOWAIT);
    pthread_setcancelstate(state, NULL);
    return result;
}

static long kernel_take(int id, void *message, size_t capacity, bool oldest, int flags)
{
    int state;
    pthread_setcancelstate(PTHREAD_CANCEL_DISABLE, &state);
    ssize_t length = msgrcv(id, message, capacity, oldest ? 0 : -LONG_MAX, flags | IPC_NOWAIT);
    pthread_setcancelstate(state, NULL);
    return length;
}
#endif

static int gone(const struct pipc_be_queue *queue, const char *call)
{
    return pipc_fail(PIPC_E_DAMAGED, "%s(%d): the kernel's queue was removed behind pipc's back; remove this queue",
                     call, queue->id);
}

/* EINVAL: is the queue gone, or was only kernel.msgmax lowered since? */
static bool exists(const struct pipc_be_queue *queue)
{
    struct msqid_ds facts;
    return msgctl(queue->id, IPC_STAT, &facts) == 0 || errno == EACCES;
}

long pipc_be_queue_put(struct pipc_be_queue *queue, void *text, size_t size, uint32_t priority)
{
    long *mtype = (long *)text - 1;
    *mtype = LOWEST_MTYPE - (long)priority;
    return kernel_put(queue->id, mtype, size);
}

int pipc_be_queue_put_failed(struct pipc_be_queue *queue, void *text, size_t size, uint32_t priority)
{
    unsigned tries = 0;
    do {
        if (pipc_again(&tries))
            continue;
        switch (errno) {
        case EAGAIN:
        case ENOMEM:
            return PIPC_E_FULL;
        case EINVAL:
            return exists(queue) ? PIPC_E_FULL : gone(queue, "msgsnd");
        case EIDRM:
            return gone(queue, "msgsnd");
        default:
            return pipc_fail(pipc_error_from(errno), "msgsnd(%d, %zu bytes): %s", queue->id, size, strerror(errno));
        }
    } while (pipc_be_queue_put(queue, text, size, priority) != 0);
    return 0;
}

long pipc_be_queue_take(struct pipc_be_queue *queue, void *text, size_t capacity, bool oldest)
{
    return kernel_take(queue->id, (long *)text - 1, capacity, oldest, 0);
}

/* A message larger than `capacity` is a foreign one. It is taken too, cut, or it would stay the first
 * for ever; what is left of it is no message of ours and the caller drops it. */
int pipc_be_queue_take_failed(struct pipc_be_queue *queue, void *text, size_t capacity, bool oldest, size_t *size)
{
    int flags = 0;
    unsigned tries = 0;
    long length;
    do {
        if (pipc_again(&tries))
            continue;
        if (errno == E2BIG && !flags) {
            flags = MSG_NOERROR;
            continue;
        }
        switch (errno) {
        case ENOMSG:
            return PIPC_E_EMPTY;
        case EINVAL:
        case EIDRM:
            return gone(queue, "msgrcv");
        default:
            return pipc_fail(pipc_error_from(errno), "msgrcv(%d): %s", queue->id, strerror(errno));
        }
    } while ((length = kernel_take(queue->id, (long *)text - 1, capacity, oldest, flags)) < 0);
    *size = (size_t)length;
    return 0;
}

void pipc_be_queue_close(struct pipc_be_queue *queue)
{
    free(queue);
}

void pipc_be_queue_limits(uint32_t *size, uint32_t *depth)
{
    struct msginfo limits = {0};
    bool known = msgctl(0, IPC_INFO, (struct msqid_ds *)(void *)&limits) >= 0;
    int longest = known ? limits.msgmax : 8192;
    int room = known ? limits.msgmnb : 16384;
    *size = (uint32_t)(longest < room ? longest : room);
    *depth = 0;
}
