/* See probe.h. Memory: /pipc.queue.NAME, /pipc.shm.NAME, /pipc.channel.NAME. Kernel queue: /pipc.NAME.LABEL in 16
 * digits. */
#define _GNU_SOURCE
#include "probe.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <mqueue.h>
#include <sched.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/mount.h>
#include <sys/stat.h>
#include <sys/statfs.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

enum { LONGEST_PATH = 300 };

#define MQUEUE_MAGIC 0x19800202ul

static void path_of(char *path, uint32_t kind, const char *name)
{
    snprintf(path, LONGEST_PATH, "/pipc.%s.%s", pipc_kind_word(kind), name);
}

/* ---- The memory object under a name ---- */

static int find_file(uint32_t kind, const char *name, int flags, struct stat *facts)
{
    char path[LONGEST_PATH];
    path_of(path, kind, name);
    int file = shm_open(path, flags, 0);
    if (file >= 0 && fstat(file, facts) < 0) {
        close(file);
        return -1;
    }
    return file;
}

struct pipc_object *probe_map(uint32_t kind, const char *name, size_t *bytes)
{
    struct stat facts;
    int file = find_file(kind, name, O_RDWR, &facts);
    if (file < 0)
        return NULL;
    void *address = MAP_FAILED;
    if (facts.st_size > 0)
        address = mmap(NULL, (size_t)facts.st_size, PROT_READ | PROT_WRITE, MAP_SHARED, file, 0);
    close(file);
    *bytes = (size_t)facts.st_size;
    return address == MAP_FAILED ? NULL : address;
}

void probe_unmap(struct pipc_object *object, size_t bytes)
{
    munmap(object, bytes);
}

bool probe_mode(uint32_t kind, const char *name, uint32_t *mode, uint32_t *owner)
{
    struct stat facts;
    int file = find_file(kind, name, O_RDONLY, &facts);
    if (file < 0)
        return false;
    close(file);
    *mode = facts.st_mode & 0777;
    *owner = facts.st_uid;
    return true;
}

bool probe_place_foreign(uint32_t kind, const char *name, size_t bytes, int filling)
{
    char path[LONGEST_PATH];
    path_of(path, kind, name);
    int file = shm_open(path, O_RDWR | O_CREAT | O_EXCL, 0600);
    if (file < 0)
        return false;
    if (bytes == 0)
        return close(file) == 0;
    void *address = MAP_FAILED;
    if (ftruncate(file, (off_t)bytes) == 0)
        address = mmap(NULL, bytes, PROT_READ | PROT_WRITE, MAP_SHARED, file, 0);
    close(file);
    if (address == MAP_FAILED)
        return false;
    memset(address, filling, bytes);
    return munmap(address, bytes) == 0;
}

bool probe_remove_foreign(uint32_t kind, const char *name)
{
    return probe_remove_memory(kind, name);
}

bool probe_place_trap(uint32_t kind, const char *name, enum probe_trap trap, const char *target)
{
    char path[LONGEST_PATH], whole[LONGEST_PATH + 16];
    path_of(path, kind, name);
    snprintf(whole, sizeof whole, "/dev/shm%s", path);
    switch (trap) {
    case PROBE_TRAP_LINK:
        return symlink(target, whole) == 0;
    case PROBE_TRAP_SECOND_NAME:
        return link(target, whole) == 0;
    case PROBE_TRAP_FIFO:
        return mkfifo(whole, 0666) == 0;
    default:
        return mkdir(whole, 0777) == 0;
    }
}

bool probe_remove_trap(uint32_t kind, const char *name)
{
    char path[LONGEST_PATH], whole[LONGEST_PATH + 16];
    path_of(path, kind, name);
    snprintf(whole, sizeof whole, "/dev/shm%s", path);
    return remove(whole) == 0;
}

const char *probe_trap_folder(void)
{
    return "/dev/shm";
}

bool probe_remove_memory(uint32_t kind, const char *name)
{
    char path[LONGEST_PATH];
    path_of(path, kind, name);
    return shm_unlink(path) == 0;
}

/* ---- The kernel queue ---- */

static bool queue_path(char *path, const char *name)
{
    size_t bytes;
    struct pipc_object *object = probe_map(PIPC_KIND_QUEUE, name, &bytes);
    if (!object)
        return false;
    snprintf(path, LONGEST_PATH, "/pipc.%s.%016" PRIx64, name, object->queue_label);
    probe_unmap(object, bytes);
    return true;
}

static mqd_t find_queue(const char *name, int flags, struct mq_attr *facts)
{
    char path[LONGEST_PATH];
    mqd_t queue = queue_path(path, name) ? mq_open(path, flags | O_NONBLOCK) : (mqd_t)-1;
    if (queue != (mqd_t)-1 && mq_getattr(queue, facts) < 0) {
        mq_close(queue);
        return (mqd_t)-1;
    }
    return queue;
}

bool probe_queue_count(const char *name, uint64_t *messages)
{
    struct mq_attr facts;
    mqd_t queue = find_queue(name, O_RDONLY, &facts);
    if (queue == (mqd_t)-1)
        return false;
    *messages = (uint64_t)facts.mq_curmsgs;
    return mq_close(queue) == 0;
}

bool probe_queue_mode(const char *name, uint32_t *mode)
{
    struct mq_attr facts;
    struct stat status;
    mqd_t queue = find_queue(name, O_RDONLY, &facts);
    if (queue == (mqd_t)-1)
        return false;
    bool good = fstat((int)queue, &status) == 0;
    *mode = good ? status.st_mode & 0777 : 0;
    return mq_close(queue) == 0 && good;
}

bool probe_queue_steal(const char *name)
{
    struct mq_attr facts;
    mqd_t queue = find_queue(name, O_RDONLY, &facts);
    char *text = queue == (mqd_t)-1 ? NULL : malloc((size_t)facts.mq_msgsize);
    bool stolen = text && mq_receive(queue, text, (size_t)facts.mq_msgsize, NULL) >= 0;
    free(text);
    if (queue != (mqd_t)-1)
        mq_close(queue);
    return stolen;
}

bool probe_queue_inject(const char *name, const void *text, size_t size, uint32_t priority)
{
    struct mq_attr facts;
    mqd_t queue = find_queue(name, O_WRONLY, &facts);
    if (queue == (mqd_t)-1)
        return false;
    bool put = mq_send(queue, size ? text : "", size, priority) == 0;
    mq_close(queue);
    return put;
}

bool probe_queue_remove(const char *name)
{
    char path[LONGEST_PATH];
    return queue_path(path, name) && mq_unlink(path) == 0;
}

bool probe_queue_remove_labelled(const char *name, uint64_t label)
{
    char path[LONGEST_PATH];
    snprintf(path, sizeof path, "/pipc.%s.%016" PRIx64, name, label);
    return mq_unlink(path) == 0;
}

bool probe_is_put(uint64_t number)
{
    return number == SYS_mq_timedsend;
}

bool probe_is_take(uint64_t number)
{
    return number == SYS_mq_timedreceive;
}

/* ---- Ids that come back ---- */

/* There are none: a descriptor keeps what it opened, whatever its name leads to now. */
bool probe_ids_of(uint32_t kind, const char *name, struct probe_ids *ids)
{
    (void)kind, (void)name;
    *ids = (struct probe_ids){-1, -1};
    return true;
}

bool probe_ask_for_ids(const struct probe_ids *ids)
{
    (void)ids;
    return true;
}

bool probe_has_queue_id(const char *name, const struct probe_ids *ids)
{
    (void)name, (void)ids;
    return true;
}

/* ---- Limits ---- */

const char *probe_limit_path(enum probe_limit limit)
{
    static const char *const paths[] = {
        [PROBE_LIMIT_QUEUES] = "/proc/sys/fs/mqueue/queues_max",
        [PROBE_LIMIT_MESSAGE_SIZE] = "/proc/sys/fs/mqueue/msgsize_max",
        [PROBE_LIMIT_DEPTH] = "/proc/sys/fs/mqueue/msg_max",
        [PROBE_LIMIT_SEGMENTS] = NULL, /* memory is bounded by the size of /dev/shm only */
        [PROBE_LIMIT_MEMORY] = NULL,
    };
    return paths[limit];
}

/* ---- What is left ---- */

static int teller; /* the pipe's end that a child writes names to */

static int visit_only(const char *path)
{
    (void)path;
    return 0;
}

/* Visits the entries of a directory whose names begin so; removes and tells them unless tell is NULL. */
static unsigned sweep(const char *directory, const char *beginning, int (*unlink_it)(const char *path),
                      void (*tell)(const char *name))
{
    unsigned found = 0;
    DIR *entries = opendir(directory);
    for (struct dirent *entry; entries && (entry = readdir(entries));) {
        char path[LONGEST_PATH];
        if (entry->d_name[0] == '.' || strncmp(entry->d_name, beginning, strlen(beginning)) != 0)
            continue;
        snprintf(path, sizeof path, "/%s", entry->d_name);
        found += !tell || unlink_it(path) == 0;
        if (tell)
            tell(entry->d_name);
    }
    if (entries)
        closedir(entries);
    return found;
}

/* The kernel's queues show as files only where their file system is mounted. */
static bool sees_queues(void)
{
    struct statfs facts;
    return statfs("/dev/mqueue", &facts) == 0 && (unsigned long)facts.f_type == MQUEUE_MAGIC;
}

static void tell_through_pipe(const char *name)
{
    char line[LONGEST_PATH] = "";
    snprintf(line, sizeof line, "%s", name);
    if (write(teller, line, sizeof line) < 0)
        _exit(1);
}

/* In a child that mounts it for itself, if it may; names come back through the pipe. Where there is no
 * /dev/mqueue a place is needed that is there everywhere and that this child can do without: /dev/shm. */
static _Noreturn void sweep_where_mounted(const char *beginning, bool remove)
{
    if (unshare(CLONE_NEWNS) == 0 && mount("none", "/", "none", MS_REC | MS_PRIVATE, NULL) == 0 &&
        mount("mqueue", "/dev/shm", "mqueue", 0, NULL) == 0)
        sweep("/dev/shm", beginning, remove ? mq_unlink : visit_only, tell_through_pipe);
    _exit(0);
}

static unsigned sweep_unseen(const char *beginning, void (*tell)(const char *name))
{
    char line[LONGEST_PATH];
    int ends[2];
    unsigned found = 0;
    if (pipe(ends) < 0)
        return 0;
    pid_t child = fork();
    if (child == 0) {
        teller = ends[1];
        sweep_where_mounted(beginning, tell != NULL);
    }
    close(ends[1]);
    for (; read(ends[0], line, sizeof line) == (ssize_t)sizeof line; found++)
        if (tell)
            tell(line);
    close(ends[0]);
    if (child > 0)
        waitpid(child, NULL, 0);
    return found;
}

static unsigned sweep_queues(const char *beginning, void (*tell)(const char *name))
{
    if (sees_queues())
        return sweep("/dev/mqueue", beginning, mq_unlink, tell);
    return sweep_unseen(beginning, tell);
}

/* A file that is left takes its kernel queue with it, where that cannot be found by its name. */
static int unlink_with_queue(const char *path)
{
    char queue[LONGEST_PATH];
    const char *beginning = "/pipc.queue.";
    if (strncmp(path, beginning, strlen(beginning)) == 0 && queue_path(queue, path + strlen(beginning)))
        mq_unlink(queue);
    return shm_unlink(path);
}

static unsigned sweep_all(const char *prefix, void (*tell)(const char *name))
{
    char beginning[LONGEST_PATH];
    unsigned found = 0;
    for (uint32_t kind = PIPC_KIND_QUEUE; pipc_kind_word(kind); kind++) {
        path_of(beginning, kind, prefix);
        found += sweep("/dev/shm", beginning + 1, unlink_with_queue, tell);
    }
    snprintf(beginning, sizeof beginning, "pipc.%s", prefix);
    return found + sweep_queues(beginning, tell);
}

unsigned probe_count(const char *prefix)
{
    return sweep_all(prefix, NULL);
}

unsigned probe_remove_leftovers(const char *prefix, void (*tell)(const char *name))
{
    return sweep_all(prefix, tell);
}

unsigned probe_remove_everything(void (*tell)(const char *name))
{
    return sweep("/dev/shm", "", shm_unlink, tell) + sweep_queues("", tell);
}

/* ---- For lists of all that there is ---- */

/* A fifo, a link, a folder, a file with two names, files cut short, names that pipc refuses. */
unsigned probe_place_oddities(const char *prefix)
{
    char path[LONGEST_PATH], other[LONGEST_PATH];
    unsigned placed = 0;
    snprintf(path, sizeof path, "/dev/shm/pipc.queue.%sfifo", prefix);
    placed += mkfifo(path, 0666) == 0;
    snprintf(path, sizeof path, "/dev/shm/pipc.shm.%slink", prefix);
    placed += symlink("/proc/self/mem", path) == 0;
    snprintf(path, sizeof path, "/dev/shm/pipc.queue.%sfolder", prefix);
    placed += mkdir(path, 0777) == 0;
    snprintf(path, sizeof path, "/dev/shm/pipc.shm.%sescape\033[2J", prefix);
    placed += mknod(path, S_IFREG | 0600, 0) == 0;
    snprintf(path, sizeof path, "/dev/shm/pipc.queue.");
    placed += mknod(path, S_IFREG | 0600, 0) == 0;
    snprintf(path, sizeof path, "/dev/shm/pipc.queue.%stwice", prefix);
    snprintf(other, sizeof other, "/dev/shm/pipc.queue.%sagain", prefix);
    placed += mknod(path, S_IFREG | 0600, 0) == 0 && link(path, other) == 0;
    for (size_t bytes = 1; bytes < 3 * pipc_page(); bytes = bytes * 3 / 2 + 1) {
        snprintf(path, sizeof path, "%sshort%zu", prefix, bytes);
        placed += probe_place_foreign(PIPC_KIND_QUEUE, path, bytes, (int)bytes);
    }
    return placed;
}

bool probe_resize_memory(uint32_t kind, const char *name, uint64_t bytes)
{
    struct stat facts;
    int file = find_file(kind, name, O_RDWR, &facts);
    bool done = file >= 0 && ftruncate(file, (off_t)bytes) == 0;
    if (file >= 0)
        close(file);
    return done;
}

const bool probe_builders_are_noted = false;

/* The folder's name begins with a dot: it is none of the objects. */
bool probe_queues_can_be_listed(void)
{
    static const char folder[] = "/dev/shm/.mqueue";
    return (mkdir(folder, 0700) == 0 || errno == EEXIST) && mount("mqueue", folder, "mqueue", 0, NULL) == 0;
}
