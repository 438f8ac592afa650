/* The kernel queue. POSIX: mq_open, mq_send, mq_receive, mq_unlink.
 *
 * The label of a queue is stored in the object before the queue is made, so that whoever clears up after
 * a dead builder finds it; the kernel's name is "/pipc.NAME.LABEL". NAME is the one that the opener asked for, not
 * what a peer may have written into the header. A descriptor keeps the queue alive, so there is no id to be
 * believed or not. Half of the label is random, so that no two queues are called alike. The other half is the
 * place where the object lies (which /dev/shm): queues belong to an IPC namespace, files to a mount, and only
 * who has both before his eyes can say that a queue's object is gone (list.c).
 *
 * The kernel gives the highest priority first, then the oldest.
 */
#include "private.h"

#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <mqueue.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <unistd.h>

#define LABELS 100 /* random ones that are tried */

struct pipc_be_queue {
    mqd_t mq;
};

void pipc_name_queue_path(char path[PIPC_QUEUE_PATH], const char *name, uint64_t label)
{
    snprintf(path, PIPC_QUEUE_PATH, "/pipc.%.*s.%016" PRIx64, PIPC_NAME_MAX, name, label);
}

void pipc_name_erase_queue(const struct pipc_be_memory *memory)
{
    const struct pipc_object *object = memory->object ? memory->object : &memory->seen;
    if (object->magic != PIPC_OBJECT_MAGIC || object->layout != PIPC_OBJECT_LAYOUT || !object->queue_label)
        return;
    char path[PIPC_QUEUE_PATH];
    pipc_name_queue_path(path, memory->name, object->queue_label);
    mq_unlink(path); /* model: names_posix.pml, erase_queue */
}

uint32_t pipc_name_place(void)
{
    struct stat facts;
    if (stat("/dev/shm", &facts) != 0)
        return 0;
    uint64_t place = (uint64_t)facts.st_dev * UINT64_C(0x9e3779b97f4a7c15) + (uint64_t)facts.st_ino;
    place = (place ^ place >> 29) * UINT64_C(0xbf58476d1ce4e5b9);
    uint32_t hash = (uint32_t)(place >> 32);
    return hash ? hash : 1;
}

/* EMFILE has two meanings here. */
static bool has_descriptors(void)
{
    int fd = open("/dev/null", O_RDONLY | O_CLOEXEC);
    if (fd >= 0)
        close(fd);
    return fd >= 0 || errno != EMFILE;
}

static int refuse(uint32_t size)
{
    int failed = errno;
    struct rlimit purse = {0, 0};
    getrlimit(RLIMIT_MSGQUEUE, &purse);
    if (failed == EMFILE && !has_descriptors())
        return pipc_fail(PIPC_E_LIMIT,
                         "mq_open: this process has no descriptor left; raise RLIMIT_NOFILE with ulimit -n");
    switch (failed) {
    case EMFILE:
    case EINVAL:
        return pipc_fail(
            PIPC_E_LIMIT,
            "mq_open(1 message of %u bytes): the queue needs about %u bytes of this user's RLIMIT_MSGQUEUE of "
            "%llu; remove queues, raise it with ulimit -q, or raise fs.mqueue.msgsize_max",
            size, size + 256, (unsigned long long)purse.rlim_cur);
    case ENFILE:
        return pipc_fail(PIPC_E_LIMIT, "mq_open: the system has no file left; raise fs.file-max");
    case ENOSPC:
        return pipc_fail(PIPC_E_LIMIT,
                         "mq_open: the system's message queues are used up; remove some, or raise it with "
                         "sysctl fs.mqueue.queues_max");
    case ENOMEM:
        return pipc_fail(PIPC_E_NO_SPACE, "mq_open: the kernel has no memory for one message of %u bytes", size);
    default:
        return pipc_fail(pipc_error_from(failed), "mq_open(O_CREAT): %s", strerror(failed));
    }
}

/* Some other queue has the label: astonishing, and not to be believed for ever. */
static bool is_taken(unsigned *tries)
{
    return errno == EEXIST && ++*tries < LABELS;
}

static uint64_t new_label(uint32_t place)
{
    uint32_t number = (uint32_t)pipc_random();
    return (uint64_t)place << 32 | (number ? number : 1);
}

/* Makes a queue under a label that nobody uses. (mqd_t)-1 and errno on failure. */
static mqd_t make(struct pipc_be_memory *memory, uint32_t depth, uint32_t size, uint32_t mode)
{
    struct pipc_object *object = memory->object;
    struct mq_attr shape = {.mq_maxmsg = (long)depth, .mq_msgsize = (long)size};
    const uint32_t place = pipc_name_place();
    char path[PIPC_QUEUE_PATH];
    unsigned tries = 0;
    mqd_t mq;
    do {
        object->queue_label = new_label(place);
        atomic_signal_fence(memory_order_seq_cst);
        pipc_name_queue_path(path, memory->name, object->queue_label);
        PIPC_POINT("kernel queue: label told, not made");
        mq = mq_open(path, O_CREAT | O_EXCL | O_RDWR | O_NONBLOCK | O_CLOEXEC, (mode_t)mode, &shape);
    } while (mq == (mqd_t)-1 && (pipc_again(&tries) || is_taken(&tries)));
    PIPC_POINT("kernel queue: made, mode not settled");
    if (mq == (mqd_t)-1)
        object->queue_label = 0;
    return mq;
}

/* Depth is the first to give, down to 1; then size, down to `least_size`. False: nothing is left to give. */
static bool ask_less(uint32_t *depth, uint32_t *size, uint32_t least_size)
{
    if (errno != EMFILE && errno != EINVAL && errno != ENOMEM)
        return false;
    if (*depth > 1) {
        *depth -= *depth > 16 ? *depth / 2 : 1;
        return true;
    }
    if (*size <= least_size)
        return false;
    *size = *size / 2 > least_size ? *size / 2 : least_size;
    return true;
}

static int new_queue(struct pipc_be_queue **out, mqd_t mq)
{
    *out = malloc(sizeof **out);
    if (!*out)
        return pipc_fail(PIPC_E_NO_MEMORY, "malloc(%zu bytes): no memory for a handle", sizeof **out);
    (*out)->mq = mq;
    return 0;
}

static uint32_t lower(uint32_t asked, uint32_t limit, uint32_t least)
{
    uint32_t low = asked < limit ? asked : limit;
    return low > least ? low : least;
}

int pipc_be_queue_create(struct pipc_be_queue **out, struct pipc_be_memory *memory, uint32_t depth, uint32_t size,
                         uint32_t least_size, uint32_t mode)
{
    struct pipc_object *object = memory->object;
    uint32_t size_limit, depth_limit;
    *out = NULL;
    pipc_be_queue_limits(&size_limit, &depth_limit);
    depth = lower(depth, depth_limit, 1);
    size = lower(size, size_limit, least_size);
    mqd_t mq;
    do
        mq = make(memory, depth, size, mode); /* model: names_posix.pml, build_here */
    while (mq == (mqd_t)-1 && ask_less(&depth, &size, least_size));
    if (mq == (mqd_t)-1)
        return refuse(size);
    int error = 0;
    if (fchmod(mq, (mode_t)mode) != 0)
        error =
            pipc_fail(pipc_error_from(errno), "fchmod(\"%s\", the kernel's queue): %s", memory->name, strerror(errno));
    if (!error)
        error = new_queue(out, mq);
    if (error) {
        char path[PIPC_QUEUE_PATH];
        pipc_name_queue_path(path, memory->name, object->queue_label);
        mq_close(mq);
        mq_unlink(path);
        object->queue_label = 0;
        return error;
    }
    object->queue_depth = depth;
    object->queue_size = size;
    return 0;
}

static int open_failed(const char *path, uint32_t rights)
{
    switch (errno) {
    case EACCES:
        return pipc_fail(PIPC_E_ACCESS, "mq_open(\"%s\"): the queue's mode does not let this user %s", path,
                         rights & PIPC_SEND ? "send" : "receive");
    case ENOENT:
        return pipc_fail(PIPC_E_DAMAGED,
                         "mq_open(\"%s\"): the kernel's queue was removed behind pipc's back; remove this queue", path);
    case EMFILE:
    case ENFILE:
        return pipc_fail(PIPC_E_LIMIT, "mq_open(\"%s\"): %s; raise RLIMIT_NOFILE with ulimit -n, or fs.file-max", path,
                         strerror(errno));
    case ENOMEM:
        return pipc_fail(PIPC_E_NO_MEMORY, "mq_open(\"%s\"): %s", path, strerror(errno));
    default:
        return pipc_fail(pipc_error_from(errno), "mq_open(\"%s\"): %s", path, strerror(errno));
    }
}

int pipc_be_queue_open(struct pipc_be_queue **out, const struct pipc_be_memory *memory,
                       const struct pipc_object *object, uint32_t rights)
{
    static const int ways[] = {O_RDONLY, O_RDONLY, O_WRONLY, O_RDWR};
    char path[PIPC_QUEUE_PATH];
    unsigned tries = 0;
    mqd_t mq;
    *out = NULL;
    pipc_name_queue_path(path, memory->name, object->queue_label);
    do
        mq = mq_open(path, ways[rights & 3u] | O_NONBLOCK | O_CLOEXEC);
    while (mq == (mqd_t)-1 && pipc_again(&tries));
    if (mq == (mqd_t)-1)
        return open_failed(path, rights);
    struct mq_attr shape;
    int error = 0;
    if (mq_getattr(mq, &shape) != 0 || shape.mq_msgsize != (long)object->queue_size)
        error = pipc_fail(PIPC_E_DAMAGED, "mq_getattr(\"%s\"): it is not the queue that the object describes", path);
    if (!error)
        error = new_queue(out, mq);
    if (error)
        mq_close(mq);
    return error;
}

/* ---- putting and taking ---- */

/* mq_send and mq_receive are cancellation points, their system calls by themselves are none. */
#if defined SYS_mq_timedsend && defined SYS_mq_timedreceive
static inline long kernel_put(mqd_t mq, const void *text, size_t size, uint32_t priority)
{
    return syscall(SYS_mq_timedsend, mq, text, size, priority, NULL);
}

static inline long kernel_take(mqd_t mq, void *text, size_t capacity)
{
    return syscall(SYS_mq_timedreceive, mq, text, capacity, NULL, NULL);
}
#else
static long kernel_put(mqd_t mq, const void *text, size_t size, uint32_t priority)
{
    int state;
    pthread_setcancelstate(PTHREAD_CANCEL_DISABLE, &state);
    int result = mq_send(mq, text, size, priority);
    pthread_setcancelstate(state, NULL);
    return result;
}

static long kernel_take(mqd_t mq, void *text, size_t capacity)
{
    int state;
    pthread_setcancelstate(PTHREAD_CANCEL_DISABLE, &state);
    ssize_t length = mq_receive(mq, text, capacity, NULL);
    pthread_setcancelstate(state, NULL);
    return length;
}
#endif

long pipc_be_queue_put(struct pipc_be_queue *queue, void *text, size_t size, uint32_t priority)
{
    return kernel_put(queue->mq, text, size, priority);
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
        default:
            return pipc_fail(pipc_error_from(errno), "mq_send(%zu bytes, priority %u): %s", size, priority,
                             strerror(errno));
        }
    } while (pipc_be_queue_put(queue, text, size, priority) != 0);
    return 0;
}

long pipc_be_queue_take(struct pipc_be_queue *queue, void *text, size_t capacity, bool oldest)
{
    (void)oldest;
    return kernel_take(queue->mq, text, capacity);
}

int pipc_be_queue_take_failed(struct pipc_be_queue *queue, void *text, size_t capacity, bool oldest, size_t *size)
{
    unsigned tries = 0;
    long length;
    do {
        if (pipc_again(&tries))
            continue;
        switch (errno) {
        case EAGAIN:
            return PIPC_E_EMPTY;
        case EMSGSIZE:
            return pipc_fail(PIPC_E_DAMAGED, "mq_receive(%zu bytes): the kernel's queue takes larger messages",
                             capacity);
        default:
            return pipc_fail(pipc_error_from(errno), "mq_receive(%zu bytes): %s", capacity, strerror(errno));
        }
    } while ((length = pipc_be_queue_take(queue, text, capacity, oldest)) < 0);
    *size = (size_t)length;
    return 0;
}

void pipc_be_queue_close(struct pipc_be_queue *queue)
{
    mq_close(queue->mq);
    free(queue);
}

/* A number in a file of /proc, or what Linux has by default. */
static uint32_t limit_in(const char *path, uint32_t usual)
{
    char text[24];
    int file = open(path, O_RDONLY | O_CLOEXEC);
    ssize_t length = file >= 0 ? read(file, text, sizeof text - 1) : -1;
    if (file >= 0)
        close(file);
    text[length > 0 ? length : 0] = 0;
    unsigned long value = strtoul(text, NULL, 10);
    return value > 0 && value <= INT32_MAX ? (uint32_t)value : usual;
}

void pipc_be_queue_limits(uint32_t *size, uint32_t *depth)
{
    *size = limit_in("/proc/sys/fs/mqueue/msgsize_max", 8192);
    *depth = limit_in("/proc/sys/fs/mqueue/msg_max", 10);
}
