/* How a name leads to memory. POSIX: a file, "/pipc.queue.NAME" or "/pipc.shm.NAME".
 *
 * The kernel sees to it that one name leads to one file and that one of racing creators makes it
 * (O_EXCL). What it does not see to: a file is visible before it is built, its maker may die, and
 * unlinking goes by name, so that one resumed late would hit somebody's new object. Against these stands one
 * lock, on one byte of the file itself (look.c). It belongs to an opening and ends with its process (a child
 * forked meanwhile does not keep it):
 *
 *   whoever builds, removes or clears an object holds the lock of that very file, and has checked under
 *   the lock that the name still leads to it (its link count is 1); nobody else unlinks.
 *
 * So while the lock is held the name is nailed to the file, and unlinking the name unlinks the file. The
 * state word in the header tells everybody else what they see, without the lock:
 *
 *   nothing (an empty file) -> BUILDING -> READY -> DEAD
 *
 * READY is set as the last act of the builder, DEAD by the one remover that succeeds, both under the
 * lock. A file that is not READY and whose lock is held belongs to somebody alive: creators wait until
 * their deadline. If its lock can be had, whoever was at work is dead, or has not come to take its lock
 * yet; in both cases the one who has the lock decides. An empty file is as good as a new one, and a
 * creator builds in it. Anything else is unlinked, after its kernel queue. A creator that was stopped
 * between making its file and locking it finds the lock held, the file unlinked, or READY, and starts
 * again; so exactly the one who holds the lock on an empty linked file builds.
 *
 * A file is reserved in full (posix_fallocate) before it is mapped, because touching what a full file system cannot
 * give ends in SIGBUS. Headers of others are read with pread, never mapped, so that a file that is shorter than it says
 * is an answer and no SIGBUS either.
 *
 * Modelled in tests/models/names_posix.pml.
 *
 * What cannot be looked at may be our object: then the answer is an error, never "not found". One file
 * cannot be told from that: a creator whose umask takes even the owner's rights, killed between making
 * its file and giving them back, leaves one that its own user may not open (root may, and clears it).
 */
#include "private.h"

#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <sys/statvfs.h>
#include <unistd.h>

#define PIECE ((off_t)256 * 1024) /* reserved in one call; less where signals are so frequent that they starve it */

/* ---- Making ---- */

static int no_room(const struct pipc_be_memory *memory, unsigned long long need)
{
    struct statvfs room;
    if (memory->fd < 0)
        return pipc_fail(PIPC_E_NO_SPACE,
                         "shm_open(\"%s\"): the memory file system takes no further file, here one of %llu bytes; "
                         "remove objects or enlarge it: mount -o remount,nr_inodes=... /dev/shm",
                         memory->path, need);
    bool known = fstatvfs(memory->fd, &room) == 0;
    return pipc_fail(PIPC_E_NO_SPACE,
                     "posix_fallocate(\"%s\"): the object needs %llu bytes, the memory file system has %llu left; "
                     "remove objects or enlarge it: mount -o remount,size=... /dev/shm",
                     memory->path, need, known ? (unsigned long long)room.f_bavail * room.f_frsize : 0);
}

static int make_failed(const struct pipc_be_memory *memory, uint64_t bytes)
{
    int failed = errno;
    unsigned long long need = bytes;
    switch (failed) {
    case ENOSPC:
    case EFBIG:
    case EDQUOT:
        return no_room(memory, need);
    case EMFILE:
    case ENFILE:
        return pipc_fail(PIPC_E_LIMIT, "%s(\"%s\"): %s; raise RLIMIT_NOFILE with ulimit -n, or fs.file-max",
                         memory->call, memory->path, strerror(failed));
    case ENOMEM:
        return pipc_fail(PIPC_E_NO_MEMORY, "%s(\"%s\"): %s; this process needs %llu bytes of address space",
                         memory->call, memory->path, strerror(failed), need);
    default:
        return pipc_fail(pipc_error_from(failed), "%s(\"%s\") for an object of %llu bytes: %s", memory->call,
                         memory->path, need, strerror(failed));
    }
}

/* A new empty file. VANISHED: another was faster; BARRED: errno. */
static enum sight make_file(struct pipc_be_memory *memory, const struct pipc_be_request *request)
{
    PIPC_POINT("names: looked, nothing made");
    /* model: names_posix.pml, make_file */
    memory->fd = pipc_name_open_file(memory, O_CREAT | O_EXCL | O_RDWR, request->mode);
    memory->writable = true;
    PIPC_POINT("names: file made, mode not settled");
    if (memory->fd < 0)
        return errno == EEXIST ? VANISHED : BARRED;
    memory->made = true;
    return HALF;
}

/* Gives the file real memory from `first` to `end`. */
static bool reserve(struct pipc_be_memory *memory, off_t first, off_t end)
{
    off_t most = PIECE;
    unsigned tries = 0;
    memory->call = "posix_fallocate";
    while (first < end) {
        off_t piece = end - first < most ? end - first : most;
        errno = posix_fallocate(memory->fd, first, piece);
        if (errno == 0) {
            first += piece;
            tries = 0;
        } else if (!pipc_again(&tries)) {
            return false;
        } else if (most > (off_t)pipc_page()) {
            most /= 2;
        }
    }
    return true;
}

/* The file's first bytes: to everybody else it is empty, or has a whole header, which says whose file this is. */
static bool write_header(struct pipc_be_memory *memory, const struct pipc_be_request *request)
{
    memory->seen = (struct pipc_object){0};
    pipc_object_fill(&memory->seen, request, memory->owner);
    memory->seen.state = PIPC_STATE_BUILDING;
    memory->call = "pwrite";
    /* model: names_posix.pml, build_here */
    memory->filled = pipc_name_write(memory->fd, 0, &memory->seen, sizeof memory->seen);
    return memory->filled;
}

/* Header first; then the room for all of it. */
static bool fill(struct pipc_be_memory *memory, const struct pipc_be_request *request, uint64_t bytes)
{
    PIPC_POINT("names: locked, empty file");
    memory->call = "fchmod";
    if (memory->mode != request->mode && fchmod(memory->fd, (mode_t)request->mode) != 0)
        return false;
    if (!write_header(memory, request)) /* model: names_posix.pml, fill */
        return false;
    memory->building = true;
    PIPC_POINT("names: building");
    memory->size = request->size;
    return reserve(memory, sizeof memory->seen, (off_t)bytes) && pipc_name_map(memory, bytes) &&
           (request->kind != PIPC_KIND_SHM || pipc_name_attach(memory, memory->seen.nonce));
}

static int too_big(const struct pipc_be_memory *memory, uint64_t bytes, uint64_t most)
{
    struct rlimit limit;
    if (bytes > most)
        return pipc_fail(PIPC_E_NO_SPACE, "\"%s\": no address space has room for the %llu bytes needed", memory->path,
                         (unsigned long long)bytes);
    if (getrlimit(RLIMIT_FSIZE, &limit) == 0 && limit.rlim_cur != RLIM_INFINITY && bytes > limit.rlim_cur)
        return pipc_fail(PIPC_E_LIMIT, "\"%s\" needs %llu bytes, RLIMIT_FSIZE allows %llu; raise it with ulimit -f",
                         memory->path, (unsigned long long)bytes, (unsigned long long)limit.rlim_cur);
    return 0;
}

/* Asks before it takes: filling a file system to the brim hurts everybody who uses it. */
static bool has_room(struct pipc_be_memory *memory, uint64_t bytes)
{
    struct statvfs room;
    memory->call = "fstatvfs";
    errno = ENOSPC;
    return fstatvfs(memory->fd, &room) != 0 || room.f_blocks == 0 || bytes / room.f_frsize <= room.f_bavail;
}

/* Builds in an empty file whose lock we hold. On failure the name is free again. */
static int build_here(struct pipc_be_memory *memory, const struct pipc_be_request *request)
{
    const uint64_t page = pipc_page(), most = SIZE_MAX / 4;
    uint64_t bytes = request->size < most ? (request->size + 2 * page - 1) / page * page : request->size;
    int error = too_big(memory, bytes, most);
    if (!error && (!has_room(memory, bytes) || !fill(memory, request, bytes))) /* model: names_posix.pml, build_here */
        error = make_failed(memory, bytes);
    if (error)
        pipc_name_free(memory);
    return error;
}

/* A queue needs no descriptor once it is open: nobody counts its attachments, and it is mapped. */
static void close_if_queue(struct pipc_be_memory *memory)
{
    if (memory->kind != PIPC_KIND_QUEUE)
        return;
    close(memory->fd);
    memory->fd = -1;
}

void pipc_name_built(struct pipc_be_memory *memory)
{
    memory->building = false;
    PIPC_POINT("names: ready, still locked");
    pipc_name_unlock(memory);
    close_if_queue(memory);
}

/* ---- What others left half done ---- */

static bool is_mine(const struct pipc_be_memory *memory)
{
    return memory->owner == geteuid();
}

/* Would the kernel let this user unlink it? Setting its mode to what it is needs the same right. */
static bool may_remove(const struct pipc_be_memory *memory)
{
    return is_mine(memory) || fchmod(memory->fd, memory->mode) == 0;
}

static int lock_failed(const struct pipc_be_memory *memory)
{
    return pipc_fail(PIPC_E_SYSTEM, "%s(\"%s\") for the builder's or an attachment's lock: %s", memory->call,
                     memory->path, strerror(errno));
}

static int not_found(const struct pipc_be_request *request)
{
    return pipc_fail(PIPC_E_NOT_FOUND, "no object is called \"%s\"", request->name);
}

/* Remains that this user cannot clear: as good as nothing for those who only look. */
static int left_by_others(const struct pipc_be_memory *memory, const struct pipc_be_request *request)
{
    if (!(request->flags & PIPC_CREATE))
        return not_found(request);
    return pipc_fail(PIPC_E_ACCESS, "shm_unlink(\"%s\"): another user left it half made; its owner must remove it",
                     memory->path);
}

/* Under the lock, and the name leads here: nobody is at work on it but us. 0 without *build: look again. */
static int take_over(struct pipc_be_memory *memory, const struct pipc_be_request *request, bool *build)
{
    int error = 0;
    bool create = request->flags & PIPC_CREATE;
    if (create && !memory->filled && memory->writable && is_mine(memory)) { /* model: names_posix.pml, take_over */
        error = build_here(memory, request);
        *build = !error;
    } else if (may_remove(memory)) {
        pipc_name_free(memory);
        error = create ? 0 : not_found(request);
    } else {
        error = left_by_others(memory, request);
    }
    return error;
}

/* No lock: somebody has it, or this user may not take it, or the system does not give it. */
static int without_lock(const struct pipc_be_memory *memory, const struct pipc_be_request *request, bool denied)
{
    bool create = request->flags & PIPC_CREATE;
    bool removed = memory->filled && memory->seen.state == PIPC_STATE_DEAD;
    if (denied && !pipc_name_is_locked(memory->fd))
        return left_by_others(memory, request);
    return removed && !create ? not_found(request) : 0;
}

/* A umask may have taken the owner's own rights. Who builds sets the mode; who cannot yet must be let in again. */
static void let_owner_in(struct pipc_be_memory *memory)
{
    struct stat facts;
    if (memory->made && pipc_name_ask(memory, &facts) && (memory->mode & 0600) != 0600)
        fchmod(memory->fd, memory->mode | 0600);
}

int pipc_name_settle(struct pipc_be_memory *memory, const struct pipc_be_request *request, bool *build)
{
    struct trouble trouble;
    int locked = pipc_name_lock(memory); /* model: names_posix.pml, settle */
    if (locked < 0 && errno != EACCES)
        return lock_failed(memory);
    if (locked <= 0) {
        let_owner_in(memory);
        return without_lock(memory, request, locked < 0);
    }
    switch (pipc_name_examine(memory, request, &trouble)) {
    case HALF:
        return take_over(memory, request, build);
    case BARRED:
        return pipc_name_tell(&trouble, memory->path);
    default:
        return 0;
    }
}

/* ---- The three ways to a name ---- */

static int admit(struct pipc_be_memory *memory, const struct pipc_be_request *request)
{
    PIPC_POINT("names: found, not open");
    if (request->flags & PIPC_EXCLUSIVE)
        return pipc_fail(PIPC_E_EXISTS, "\"%s\" exists; open it without PIPC_EXCLUSIVE or remove it", request->name);
    if ((request->flags & PIPC_WRITE) && !memory->writable)
        return pipc_fail(PIPC_E_ACCESS, "shm_open(\"%s\", O_RDWR): its mode lets this user read only", memory->path);
    if (memory->kind == PIPC_KIND_SHM && !pipc_name_attach(memory, pipc_random()))
        return lock_failed(memory);
    if (!pipc_name_map(memory, memory->size + pipc_page()))
        return make_failed(memory, memory->length);
    close_if_queue(memory);
    return 0;
}

static int busy(const struct pipc_be_request *request)
{
    return pipc_fail(PIPC_E_BUSY, "somebody who is alive has been at work on \"%s\" for too long; try again",
                     request->name);
}

/* A new file has the mode that its maker's umask leaves, for an instant: a refusal must last to be believed. */
static enum sight look(struct pipc_be_memory *memory, const struct pipc_be_request *request, enum purpose purpose,
                       struct trouble *trouble)
{
    int64_t nap = 0, until = pipc_now() + PIPC_MS(2);
    for (;;) {
        enum sight sight = pipc_name_look(memory, request, purpose, trouble);
        if (sight != BARRED || trouble->error != PIPC_E_ACCESS || !pipc_nap(&nap, until))
            return sight;
        pipc_name_leave(memory);
    }
}

/* An empty file that this opening made, and cannot build in because it gets no lock, or no look at it, is unlinked
 * again. Whoever got its lock meanwhile may keep it. */
static void take_back(struct pipc_be_memory *memory)
{
    struct stat facts;
    if (memory->made && pipc_name_lock(memory) > 0 && fstat(memory->fd, &facts) == 0 && facts.st_nlink == 1 &&
        facts.st_size == 0)
        pipc_name_free(memory);
}

/* Who wants a new object mostly finds its name free, and need not look first. If the file cannot be made a look finds
 * out why. */
static enum sight make_or_look(struct pipc_be_memory *memory, const struct pipc_be_request *request, bool first,
                               struct trouble *trouble)
{
    const uint32_t fresh = PIPC_CREATE | PIPC_EXCLUSIVE;
    /* model: names_posix.pml, make_or_look */
    if (first && (request->flags & fresh) == fresh && make_file(memory, request) == HALF)
        return HALF;
    enum sight sight = look(memory, request, request->flags & PIPC_WRITE ? TO_WRITE : TO_READ, trouble);
    if (sight == HALF && !memory->writable) { /* to settle that takes more than reading */
        pipc_name_leave(memory);
        sight = look(memory, request, TO_WRITE, trouble);
    }
    return sight;
}

/* One look, and what follows from it. 0 without *done: look again. */
static int try_open(struct pipc_be_memory *memory, const struct pipc_be_request *request, bool first, bool *done,
                    bool *build)
{
    struct trouble trouble;
    enum sight sight = make_or_look(memory, request, first, &trouble);
    if (sight == NOTHING && !(request->flags & PIPC_CREATE))
        return not_found(request);
    if (sight == NOTHING && (sight = make_file(memory, request)) == BARRED)
        return make_failed(memory, request->size + pipc_page());
    int error = 0;
    switch (sight) {
    case OURS:
        error = admit(memory, request);
        *done = !error;
        return error;
    case HALF:
        error = pipc_name_settle(memory, request, build);
        *done = *build;
        return error;
    case BARRED:
        return pipc_name_tell(&trouble, memory->path);
    default:
        return 0;
    }
}

int pipc_name_open(struct pipc_be_memory *memory, const struct pipc_be_request *request, bool *build)
{
    int64_t nap = 0;
    pipc_name_start(memory, request);
    do {
        bool done = false;
        int error = try_open(memory, request, nap == 0, &done, build); /* model: names_posix.pml, operate */
        if (done)
            return 0;
        if (error)
            take_back(memory);
        pipc_name_leave(memory);
        if (error)
            return error;
    } while (pipc_nap(&nap, request->deadline));
    return busy(request);
}

/* READY and DEAD differ in one byte, which the kernel writes: mapping the object for that would take longer than all
 * the rest. It is mapped where writing files is forbidden. */
static bool mark_dead(struct pipc_be_memory *memory) /* model: names_posix.pml, doom */
{
    const uint64_t ready = PIPC_STATE_READY, dead = PIPC_STATE_DEAD;
    const unsigned char *from = (const unsigned char *)&ready, *to = (const unsigned char *)&dead;
    struct rlimit limit;
    size_t at = 0;
    if (getrlimit(RLIMIT_FSIZE, &limit) != 0 || limit.rlim_cur < sizeof *memory->object) {
        if (!pipc_name_map(memory, memory->size + pipc_page()))
            return false;
        atomic_store(&memory->object->state, dead);
        return true;
    }
    while (from[at] == to[at])
        at++;
    memory->call = "pwrite";
    return pipc_name_write(memory->fd, offsetof(struct pipc_object, state) + at, to + at, 1);
}

/* A READY object: the last step, under the lock. 0 without *done: somebody has it, look again. */
static int doom(struct pipc_be_memory *memory, bool *done)
{
    PIPC_POINT("names: found, not dead");
    if (!memory->writable || !may_remove(memory))
        return pipc_fail(PIPC_E_ACCESS, "shm_unlink(\"%s\"): only the owner or a privileged process may", memory->path);
    if (!memory->locked)
        return pipc_name_lock(memory) < 0 ? lock_failed(memory) : 0;
    PIPC_POINT("names: locked, not dead");
    *done = mark_dead(memory); /* model: names_posix.pml, doom */
    PIPC_POINT("names: dead, name not freed");
    return *done ? 0 : make_failed(memory, memory->size);
}

static int try_doom(struct pipc_be_memory *memory, const struct pipc_be_request *request, bool *done)
{
    struct trouble trouble;
    bool build = false;
    switch (look(memory, request, TO_LOCK, &trouble)) {
    case NOTHING:
        return not_found(request);
    case OURS:
        return doom(memory, done);
    case HALF:
        return pipc_name_settle(memory, request, &build);
    case BARRED:
        return pipc_name_tell(&trouble, memory->path);
    default:
        return 0;
    }
}

int pipc_name_doom(struct pipc_be_memory *memory, const struct pipc_be_request *request)
{
    int64_t nap = 0;
    pipc_name_start(memory, request);
    do {
        bool done = false;
        int error = try_doom(memory, request, &done); /* model: names_posix.pml, operate */
        if (done)
            return 0;
        pipc_name_leave(memory);
        if (error)
            return error;
    } while (pipc_nap(&nap, request->deadline));
    return busy(request);
}

void pipc_name_free(struct pipc_be_memory *memory)
{
    if (memory->object || memory->filled)
        pipc_name_erase_queue(memory); /* model: names_posix.pml, free_name */
    PIPC_POINT("names: kernel queue erased, name not freed");
    memory->locked = shm_unlink(memory->path) != 0; /* of a file without a name nobody needs it: closing ends it */
    PIPC_POINT("names: name freed, still locked");
}
