/* What a name leads to. POSIX.
 *
 * The protocol that this serves, and why it is safe, is told in names.c. Modelled in tests/models/names_posix.pml.
 */
#include "private.h"

#include <errno.h>
#include <fcntl.h>
#include <pthread.h>
#include <stdio.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

#define TRIES        100
#define NOTES        64 /* builders and removers of one process at a time that are safe from its forks */
#define BUILD_BYTE   ((off_t)1 << 62)
#define ATTACH_FIRST ((off_t)1 << 61)
#define ATTACH_COUNT ((off_t)1 << 48)

void pipc_name_start(struct pipc_be_memory *memory, const struct pipc_be_request *request)
{
    int before = snprintf(memory->path, sizeof memory->path, "/pipc.%s.", pipc_kind_word(request->kind));
    memory->name = memory->path + before;
    snprintf(memory->path + before, sizeof memory->path - (size_t)before, "%s", request->name);
    memory->kind = request->kind;
    memory->fd = -1;
}

/* ---- Locks ----
 *
 * Open-file-description locks on single bytes far beyond the end. They belong to the opening, not to the
 * process, and the kernel drops them when the last descriptor of the opening is gone: at once after
 * kill -9. */

static struct flock bytes_from(short type, off_t first, off_t count)
{
    return (struct flock){.l_type = type, .l_whence = SEEK_SET, .l_start = first, .l_len = count};
}

static int set_lock(int fd, short type, off_t byte)
{
    struct flock lock = bytes_from(type, byte, 1);
    unsigned tries = 0;
    int result;
    do
        result = fcntl(fd, F_OFD_SETLK, &lock);
    while (result != 0 && pipc_again(&tries));
    return result;
}

/* A child shares its parent's openings, and would keep the lock of a builder that is killed. So the descriptor is noted
 * here before it is locked, and closed in the child; until the lock is given back, which ends it for all who share the
 * opening. A fork that was under way at the opening, or began before the note, shows in the counts: then it is not
 * locked. */
static _Atomic int noted[NOTES]; /* descriptor + 1, or 0 */
static _Atomic unsigned forks_begun, forks_ended;

static void before_fork(void)
{
    atomic_fetch_add(&forks_begun, 1);
}

/* A fork that began before the handlers were there was not counted. */
static void in_parent(void)
{
    unsigned ended = atomic_load(&forks_ended);
    while (ended != atomic_load(&forks_begun) && !atomic_compare_exchange_weak(&forks_ended, &ended, ended + 1))
        ;
}

static void in_child(void)
{
    atomic_store(&forks_ended, atomic_load(&forks_begun)); /* those of other threads are none of ours */
    for (int i = 0; i < NOTES; i++) {
        int fd = atomic_exchange(&noted[i], 0);
        if (fd)
            close(fd - 1);
    }
}

static void watch_forks(void)
{
    pthread_atfork(before_fork, in_parent, in_child);
}

static void replace_note(int old, int new)
{
    for (int i = 0; i < NOTES; i++)
        if (atomic_compare_exchange_strong(&noted[i], &(int){old}, new))
            return;
}

int pipc_name_lock(struct pipc_be_memory *memory)
{
    errno = EACCES;
    if (!memory->writable)
        return -1;
    if (!memory->noted)
        replace_note(0, memory->fd + 1);
    memory->noted = true;
    PIPC_POINT("names: noted, not locked");
    if (memory->forks != atomic_load(&forks_begun))
        return 0;
    memory->call = "fcntl";
    memory->locked = set_lock(memory->fd, F_WRLCK, BUILD_BYTE) == 0; /* model: names_posix.pml, lock_name */
    if (memory->locked)
        return 1;
    return errno == EAGAIN || errno == EACCES ? 0 : -1;
}

void pipc_name_unlock(struct pipc_be_memory *memory)
{
    if (memory->locked)
        set_lock(memory->fd, F_UNLCK, BUILD_BYTE);
    if (memory->noted)
        replace_note(memory->fd + 1, 0);
    memory->locked = memory->noted = false;
}

bool pipc_name_is_locked(int fd)
{
    struct flock lock = bytes_from(F_WRLCK, BUILD_BYTE, 1);
    return fcntl(fd, F_OFD_GETLK, &lock) != 0 || lock.l_type != F_UNLCK;
}

bool pipc_name_attach(struct pipc_be_memory *memory, uint64_t seed)
{
    memory->call = "fcntl";
    return set_lock(memory->fd, F_RDLCK, ATTACH_FIRST + (off_t)(seed % (uint64_t)ATTACH_COUNT)) == 0;
}

/* Finds any lock of another opening in [first, end). 1: found, 0: none, -1: errno. */
static int find_lock(int fd, off_t first, off_t end, struct flock *found)
{
    *found = bytes_from(F_WRLCK, first, end - first);
    if (first >= end)
        return 0;
    if (fcntl(fd, F_OFD_GETLK, found) != 0)
        return -1;
    return found->l_type != F_UNLCK;
}

/* The kernel answers with any lock in the range, so the lowest is searched by halving what lies below. */
bool pipc_name_count_attached(int fd, uint64_t most, uint64_t *others)
{
    off_t first = ATTACH_FIRST;
    const off_t end = ATTACH_FIRST + ATTACH_COUNT;
    struct flock lock, lower;
    int found = 0;
    *others = 0;
    while (*others < most && (found = find_lock(fd, first, end, &lock)) > 0) {
        while ((found = find_lock(fd, first, lock.l_start, &lower)) > 0)
            lock = lower;
        if (found < 0 || lock.l_len == 0)
            break;
        ++*others;
        first = lock.l_start + lock.l_len;
    }
    return found >= 0;
}

/* ---- Opening and mapping ---- */

/* O_NONBLOCK: a fifo under our name must not hold us up. */
int pipc_name_open_file(struct pipc_be_memory *memory, int flags, uint32_t mode)
{
    static pthread_once_t once = PTHREAD_ONCE_INIT;
    unsigned tries = 0;
    int fd;
    pthread_once(&once, watch_forks);
    memory->forks = atomic_load(&forks_ended);
    memory->call = "shm_open";
    do
        fd = shm_open(memory->path, flags | O_CLOEXEC | O_NOFOLLOW | O_NONBLOCK, (mode_t)mode);
    while (fd < 0 && pipc_again(&tries));
    return fd;
}

bool pipc_name_ask(struct pipc_be_memory *memory, struct stat *facts)
{
    memory->call = "fstat";
    if (fstat(memory->fd, facts) != 0)
        return false;
    memory->owner = facts->st_uid;
    memory->group = facts->st_gid;
    memory->mode = facts->st_mode & 07777;
    return true;
}

bool pipc_name_read(int fd, uint64_t at, void *to, size_t bytes)
{
    unsigned tries = 0;
    ssize_t done;
    do
        done = pread(fd, to, bytes, (off_t)at);
    while (done < 0 && pipc_again(&tries));
    return done == (ssize_t)bytes;
}

/* A write that ends short finds no room. */
bool pipc_name_write(int fd, uint64_t at, const void *from, size_t bytes)
{
    unsigned tries = 0;
    ssize_t done;
    do
        done = pwrite(fd, from, bytes, (off_t)at);
    while (done < 0 && pipc_again(&tries));
    if (done >= 0)
        errno = ENOSPC;
    return done == (ssize_t)bytes;
}

static void unmap(struct pipc_be_memory *memory)
{
    if (memory->object)
        munmap(memory->object, memory->length);
    memory->object = NULL;
}

void pipc_name_leave(struct pipc_be_memory *memory) /* model: names_posix.pml, leave */
{
    unmap(memory);
    pipc_name_unlock(memory);
    PIPC_POINT("names: unlocked, file open");
    if (memory->fd >= 0)
        close(memory->fd);
    memory->fd = -1;
    memory->made = false;
}

static size_t whole_pages(uint64_t bytes)
{
    uint64_t page = pipc_page();
    return (size_t)((bytes + page - 1) / page * page);
}

bool pipc_name_map(struct pipc_be_memory *memory, uint64_t bytes)
{
    int protection = memory->writable ? PROT_READ | PROT_WRITE : PROT_READ;
    unmap(memory);
    memory->call = "mmap";
    errno = ENOMEM;
    if (bytes > SIZE_MAX / 4)
        return false;
    memory->length = whole_pages(bytes);
    void *base = mmap(NULL, memory->length, protection, MAP_SHARED, memory->fd, 0);
    memory->object = base == MAP_FAILED ? NULL : base;
    return memory->object != NULL;
}

/* ---- Looking ---- */

static enum sight barred(struct trouble *trouble, int error)
{
    *trouble = (struct trouble){.error = error};
    return BARRED;
}

/* The kernel's last call failed. */
static enum sight barred_by_kernel(const struct pipc_be_memory *memory, struct trouble *trouble, int error)
{
    *trouble = (struct trouble){error, errno, memory->call};
    return BARRED;
}

static enum sight judge_ready(const struct pipc_object *seen, const struct pipc_be_request *request, uint64_t bytes,
                              struct trouble *trouble)
{
    uint64_t data = bytes > pipc_page() ? bytes - pipc_page() : 0;
    int error = pipc_object_check(seen, data, request->kind, request->name);
    if (!error && seen->size > data)
        error = PIPC_E_DAMAGED;
    if (error)
        return barred(trouble, error == PIPC_E_NOT_FOUND ? PIPC_E_FOREIGN : error);
    return OURS;
}

static enum sight judge_half(const struct pipc_object *seen, const struct pipc_be_request *request,
                             struct trouble *trouble)
{
    int error = pipc_object_check(seen, UINT64_MAX, request->kind, request->name);
    if (error)
        return barred(trouble, error == PIPC_E_NOT_FOUND ? PIPC_E_FOREIGN : error);
    return HALF;
}

enum sight pipc_name_judge(const struct pipc_object *seen, const struct pipc_be_request *request, uint64_t bytes,
                           struct trouble *trouble)
{
    switch (atomic_load(&seen->state)) {
    case PIPC_STATE_BUILDING:
    case PIPC_STATE_DEAD:
        return judge_half(seen, request, trouble);
    case PIPC_STATE_READY:
        return judge_ready(seen, request, bytes, trouble);
    default:
        return barred(trouble, seen->magic == PIPC_OBJECT_MAGIC ? PIPC_E_DAMAGED : PIPC_E_FOREIGN);
    }
}

/* A builder at work makes the file grow: the header is judged by a size that was not read before it. Under the lock
 * nobody is at work. */
static enum sight judge_at_rest(struct pipc_be_memory *memory, const struct pipc_be_request *request,
                                struct stat *facts, struct trouble *trouble)
{
    for (int tries = 0; tries < TRIES; tries++) {
        off_t bytes = facts->st_size;
        memory->call = "pread";
        errno = EIO;
        memory->filled = pipc_name_read(memory->fd, 0, &memory->seen, sizeof memory->seen);
        if (!memory->filled)
            return barred_by_kernel(memory, trouble, PIPC_E_SYSTEM);
        enum sight sight = pipc_name_judge(&memory->seen, request, (uint64_t)bytes, trouble);
        memory->size = memory->seen.size;
        if (memory->locked)
            return sight;
        if (!pipc_name_ask(memory, facts))
            return barred_by_kernel(memory, trouble, PIPC_E_SYSTEM);
        if (facts->st_size == bytes)
            return sight;
    }
    return VANISHED; /* it changes faster than we can look */
}

enum sight pipc_name_examine(struct pipc_be_memory *memory, const struct pipc_be_request *request,
                             struct trouble *trouble)
{
    struct stat facts;
    memory->filled = false;
    if (!pipc_name_ask(memory, &facts))
        return barred_by_kernel(memory, trouble, PIPC_E_SYSTEM);
    if (!S_ISREG(facts.st_mode) || facts.st_nlink > 1)
        return barred(trouble, PIPC_E_FOREIGN);
    if (facts.st_nlink == 0) /* model: names_posix.pml, examine */
        return VANISHED;
    if (facts.st_size == 0)
        return HALF;
    if ((uint64_t)facts.st_size < sizeof memory->seen)
        return barred(trouble, PIPC_E_FOREIGN);
    return judge_at_rest(memory, request, &facts, trouble);
}

static int error_of_opening(int errno_value)
{
    switch (errno_value) {
    case ELOOP: /* a symbolic link */
    case EISDIR:
    case EINVAL: /* a directory too, says glibc */
    case ENXIO:  /* a socket, a device without a driver */
    case ENODEV:
        return PIPC_E_FOREIGN;
    default:
        return pipc_error_from(errno_value);
    }
}

enum sight pipc_name_look(struct pipc_be_memory *memory, const struct pipc_be_request *request, enum purpose purpose,
                          struct trouble *trouble)
{
    memory->writable = purpose != TO_READ;
    memory->fd = pipc_name_open_file(memory, memory->writable ? O_RDWR : O_RDONLY, 0);
    if (memory->fd < 0 && errno == EACCES && memory->writable) {
        memory->writable = false;
        memory->fd = pipc_name_open_file(memory, O_RDONLY, 0);
    }
    if (memory->fd < 0)
        return errno == ENOENT ? NOTHING : barred_by_kernel(memory, trouble, error_of_opening(errno));
    if (purpose == TO_LOCK) /* model: names_posix.pml, look */
        pipc_name_lock(memory);
    return pipc_name_examine(memory, request, trouble);
}

int pipc_name_tell(const struct trouble *trouble, const char *path)
{
    switch (trouble->error) {
    case PIPC_E_ACCESS:
        return pipc_fail(PIPC_E_ACCESS, "%s(\"%s\"): %s; its owner must grant this user the right", trouble->call, path,
                         strerror(trouble->errno_value));
    case PIPC_E_FOREIGN:
        return pipc_fail(PIPC_E_FOREIGN,
                         "shm_open(\"%s\"): what holds the name is no pipc object; if nobody needs it, remove it: "
                         "rm /dev/shm%s",
                         path, path);
    case PIPC_E_LAYOUT:
        return pipc_fail(PIPC_E_LAYOUT,
                         "\"%s\" was made by another version of pipc; use that version, or remove it: rm /dev/shm%s",
                         path, path);
    case PIPC_E_DAMAGED:
        return pipc_fail(PIPC_E_DAMAGED, "the header of \"%s\" is impossible; remove it: rm /dev/shm%s", path, path);
    case PIPC_E_LIMIT:
        return pipc_fail(PIPC_E_LIMIT, "%s(\"%s\"): %s; raise RLIMIT_NOFILE with ulimit -n, or fs.file-max",
                         trouble->call, path, strerror(trouble->errno_value));
    default:
        return pipc_fail(trouble->error, "%s(\"%s\"): %s", trouble->call, path, strerror(trouble->errno_value));
    }
}
