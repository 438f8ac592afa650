/* What there is: all files of ours in /dev/shm, and kernel queues that have no file any more. POSIX.
 *
 * Files are read with pread, never mapped: what is shorter than it says is then an answer, not a SIGBUS. A
 * file that is not READY belongs to somebody alive exactly if its lock is held; see names.c.
 *
 * Kernel queues can be listed where the mqueue file system is mounted. One is called by the name and the label that
 * its object's header holds. The header said so before the queue was made and for as long as the object lives. So if
 * a queue is seen first, and then the name leads to nothing or to an object with another label, its
 * object is gone, unless it lies in another /dev/shm: the label tells in which it was. Such a queue is an orphan.
 * Nobody can open it any more, and nobody is disturbed if it loses its name. A mounted mqueue file system may be the
 * one of another IPC namespace: mq_open must find the very same queue.
 */
#include "private.h"

#include <ctype.h>
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <mntent.h>
#include <mqueue.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#define TRIES         20
#define MOST_ATTACHED 1000 /* a hostile file may carry any number of locks */

typedef bool visitor(struct pipc_be_sight *sight, void *argument);

/* ---- Files: judging ---- */

static void note_facts(struct pipc_be_sight *sight, const struct stat *facts)
{
    uint64_t bytes = facts->st_size > 0 ? (uint64_t)facts->st_size : 0;
    sight->bytes = bytes > pipc_page() ? bytes - pipc_page() : 0;
    sight->owner = facts->st_uid;
    sight->mode = facts->st_mode & 0777;
    sight->created = PIPC_SECONDS((int64_t)facts->st_mtime) + facts->st_mtim.tv_nsec;
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

/* Half made, or removed: is somebody at work on it? */
static void judge_half(struct pipc_be_sight *sight, uint64_t state, bool locked)
{
    sight->state = locked ? PIPC_FOUND_BUILDING : PIPC_FOUND_HALF_MADE;
    if (state != PIPC_STATE_DEAD)
        return;
    sight->state = PIPC_FOUND_REMOVED;
    if (locked)
        sight->doubt = "its remover is at work on it";
}

static void judge_header(struct pipc_be_sight *sight, const struct pipc_be_request *request, uint64_t bytes,
                         bool locked)
{
    struct trouble trouble = {0};
    enum sight found = pipc_name_judge(&sight->object, request, bytes, &trouble);
    if (found == OURS)
        sight->state = PIPC_FOUND_READY;
    else if (found == HALF)
        judge_half(sight, sight->object.state, locked);
    else
        sight->state = state_of_error(trouble.error);
    if (found == BARRED)
        sight->object.magic = 0; /* nobody vouches for it */
}

/* One look at the open file. False: it changed meanwhile. */
static bool judge_file(struct pipc_be_sight *sight, const struct pipc_be_request *request, struct stat *facts)
{
    struct stat after;
    struct pipc_object again = {0};
    int fd = sight->memory->fd;
    bool empty = facts->st_size == 0;
    if (!empty && !pipc_name_read(fd, 0, &sight->object, sizeof sight->object))
        return false;
    bool locked = pipc_name_is_locked(fd);
    if ((!empty && !pipc_name_read(fd, 0, &again, sizeof again)) || fstat(fd, &after) != 0)
        return false;
    bool same = after.st_size == facts->st_size && again.state == sight->object.state;
    *facts = after;
    if (!same)
        return false;
    note_facts(sight, facts);
    if (empty)
        judge_half(sight, PIPC_STATE_INIT, locked);
    else
        judge_header(sight, request, (uint64_t)facts->st_size, locked);
    return true;
}

/* What the open file is. False: its name does not lead to it any more. */
static bool judge(struct pipc_be_sight *sight, const struct pipc_be_request *request)
{
    struct stat facts;
    if (fstat(sight->memory->fd, &facts) != 0 || facts.st_nlink == 0)
        return false;
    note_facts(sight, &facts);
    sight->state = PIPC_FOUND_FOREIGN;
    if (!S_ISREG(facts.st_mode) || facts.st_nlink > 1 ||
        (facts.st_size != 0 && (uint64_t)facts.st_size < sizeof sight->object))
        return true;
    int tries = 0;
    while (!judge_file(sight, request, &facts)) {
        if (facts.st_nlink == 0)
            return false;
        if (++tries == TRIES) {
            sight->object.magic = 0;
            sight->state = PIPC_FOUND_BUILDING; /* it changes faster than we can look */
            return true;
        }
    }
    if (sight->kind == PIPC_KIND_SHM && sight->state == PIPC_FOUND_READY)
        pipc_name_count_attached(sight->memory->fd, MOST_ATTACHED, &sight->attachments);
    return true;
}

/* ---- Files: listing ---- */

/* After a call that failed: 0 unless it was for lack of descriptors. What cannot be seen for that reason must not
 * seem not to be there. */
static int lacks_descriptor(const char *call, const char *path)
{
    if (errno != EMFILE && errno != ENFILE)
        return 0;
    return pipc_fail(PIPC_E_LIMIT, "%s(\"%s\"): %s; raise RLIMIT_NOFILE with ulimit -n, or fs.file-max", call, path,
                     strerror(errno));
}

/* Opens a file and judges it. False: there is nothing to show. */
static bool look(struct pipc_be_sight *sight, const struct pipc_be_request *request, int *error)
{
    struct pipc_be_memory *memory = sight->memory;
    sight->kind = request->kind;
    snprintf(sight->name, sizeof sight->name, "%s", request->name);
    pipc_name_start(memory, request);
    memory->fd = pipc_name_open_file(memory, O_RDONLY, 0);
    if (memory->fd >= 0)
        return judge(sight, request);
    sight->state = PIPC_FOUND_UNREADABLE;
    *error = lacks_descriptor("shm_open", memory->path);
    return errno != ENOENT && !*error;
}

/* The kind of a directory's entry and the name behind it; NULL: it is none of ours. */
static const char *name_of_file(const char *entry, uint32_t *kind)
{
    if (strncmp(entry, "pipc.", 5) != 0)
        return NULL;
    for (uint32_t each = PIPC_KIND_QUEUE; pipc_kind_word(each); each++) {
        size_t length = strlen(pipc_kind_word(each));
        const char *name = entry + 5 + length + 1;
        *kind = each;
        if (strncmp(entry + 5, pipc_kind_word(each), length) == 0 && name[-1] == '.')
            return *name && strlen(name) <= PIPC_NAME_MAX ? name : NULL;
    }
    return NULL;
}

/* Shows one entry. Nothing but a plain file is opened: that of a fifo or a device has effects. */
static bool show_file(DIR *directory, const char *entry, visitor *visit, void *argument, int *error)
{
    struct stat facts;
    struct pipc_be_memory memory = {.fd = -1};
    struct pipc_be_sight sight = {.memory = &memory};
    struct pipc_be_request request = {0};
    request.name = name_of_file(entry, &request.kind);
    if (!request.name || fstatat(dirfd(directory), entry, &facts, AT_SYMLINK_NOFOLLOW) != 0)
        return true;
    note_facts(&sight, &facts);
    bool there = true;
    if (S_ISREG(facts.st_mode)) {
        there = look(&sight, &request, error);
    } else {
        sight.state = PIPC_FOUND_FOREIGN;
        sight.kind = request.kind;
        snprintf(sight.name, sizeof sight.name, "%s", request.name);
    }
    bool go_on = !*error && (!there || visit(&sight, argument));
    pipc_name_leave(&memory);
    return go_on;
}

typedef bool shower(DIR *directory, const char *entry, visitor *visit, void *argument, int *error);

/* Shows the entries of a directory, and closes it. */
static int each_entry(DIR *directory, const char *path, shower *show, visitor *visit, void *argument, bool *go_on)
{
    int error = 0;
    struct dirent *entry;
    while (*go_on && (errno = 0, entry = readdir(directory)) != NULL)
        *go_on = show(directory, entry->d_name, visit, argument, &error);
    if (*go_on && errno)
        error = pipc_fail(PIPC_E_SYSTEM, "readdir(\"%s\"): %s", path, strerror(errno));
    closedir(directory);
    return error;
}

static int each_file(visitor *visit, void *argument, bool *go_on)
{
    static const char path[] = "/dev/shm";
    int error;
    DIR *directory = opendir(path);
    if (directory)
        return each_entry(directory, path, show_file, visit, argument, go_on);
    if ((error = lacks_descriptor("opendir", path)) != 0)
        return error;
    return pipc_fail(errno == ENOMEM ? PIPC_E_NO_MEMORY : pipc_error_from(errno), "opendir(\"%s\"): %s", path,
                     strerror(errno));
}

/* ---- Kernel queues ---- */

/* Takes "pipc.NAME.LABEL" apart. */
static bool parse_queue(const char *entry, struct pipc_be_sight *sight)
{
    size_t length = strlen(entry);
    if (strncmp(entry, "pipc.", 5) != 0 || length < 5 + 1 + PIPC_LABEL_WIDTH)
        return false;
    const char *label = entry + length - PIPC_LABEL_WIDTH;
    size_t of_name = (size_t)(label - 1 - (entry + 5));
    if (label[-1] != '.' || of_name == 0 || of_name > PIPC_NAME_MAX)
        return false;
    for (const char *digit = label; *digit; digit++)
        if (!isxdigit((unsigned char)*digit) || isupper((unsigned char)*digit))
            return false;
    memcpy(sight->name, entry + 5, of_name);
    sight->object.queue_label = strtoull(label, NULL, 16);
    sight->kind = PIPC_KIND_QUEUE;
    sight->state = PIPC_FOUND_ORPHAN;
    return true;
}

/* Is it certain that the object under this name, if there is one, does not know this label? */
static bool is_unknown_there(const char *name, uint64_t label, int *error)
{
    struct pipc_be_memory memory = {.fd = -1};
    struct pipc_be_request request = {.kind = PIPC_KIND_QUEUE, .name = name};
    struct pipc_object object = {0};
    struct stat facts;
    pipc_name_start(&memory, &request);
    memory.fd = pipc_name_open_file(&memory, O_RDONLY, 0);
    if (memory.fd < 0) {
        *error = lacks_descriptor("shm_open", memory.path);
        return errno == ENOENT;
    }
    bool certain = false;
    if (fstat(memory.fd, &facts) == 0 && S_ISREG(facts.st_mode) && facts.st_nlink == 1)
        certain = facts.st_size == 0 ||
                  (pipc_name_read(memory.fd, 0, &object, sizeof object) && object.magic == PIPC_OBJECT_MAGIC &&
                   object.layout == PIPC_OBJECT_LAYOUT && object.queue_label != label);
    pipc_name_leave(&memory);
    return certain;
}

/* Finds the queue by its name, in this IPC namespace, and sees whether it is the one of the directory. */
static bool find_queue(struct pipc_be_sight *sight, const struct stat *facts, int *error)
{
    char path[PIPC_QUEUE_PATH];
    struct stat found;
    struct mq_attr shape;
    pipc_name_queue_path(path, sight->name, sight->object.queue_label);
    mqd_t queue = mq_open(path, O_RDONLY | O_NONBLOCK | O_CLOEXEC);
    if (queue == (mqd_t)-1) {
        *error = lacks_descriptor("mq_open", path);
        sight->doubt = "this process may not open it";
        return errno == EACCES;
    }
    bool same = fstat((int)queue, &found) == 0 && found.st_dev == facts->st_dev && found.st_ino == facts->st_ino;
    if (mq_getattr(queue, &shape) == 0)
        sight->messages = (uint64_t)shape.mq_curmsgs;
    mq_close(queue);
    return same;
}

static bool show_queue(DIR *directory, const char *entry, visitor *visit, void *argument, int *error)
{
    struct stat facts;
    struct pipc_be_memory memory = {.fd = -1};
    struct pipc_be_sight sight = {.memory = &memory};
    if (!parse_queue(entry, &sight) || fstatat(dirfd(directory), entry, &facts, AT_SYMLINK_NOFOLLOW) != 0)
        return true;
    note_facts(&sight, &facts);
    sight.bytes = 0;
    /* Looked for twice: an object that is just being removed takes its queue along. */
    bool orphan = find_queue(&sight, &facts, error) && !*error &&
                  is_unknown_there(sight.name, sight.object.queue_label, error) && find_queue(&sight, &facts, error);
    if (*error || !orphan)
        return !*error;
    if (!sight.doubt && (uint32_t)(sight.object.queue_label >> 32) != pipc_name_place())
        sight.doubt = "its object may lie in another /dev/shm";
    return visit(&sight, argument);
}

static int each_queue_in(const char *path, visitor *visit, void *argument, bool *go_on)
{
    DIR *directory = opendir(path);
    return directory ? each_entry(directory, path, show_queue, visit, argument, go_on)
                     : lacks_descriptor("opendir", path);
}

/* Where the mqueue file system is mounted; the same one is not shown twice in a row. */
static int each_queue(visitor *visit, void *argument)
{
    static const char table[] = "/proc/self/mounts";
    dev_t last = 0;
    char line[4096];
    int error = 0;
    bool go_on = true;
    FILE *mounts = setmntent(table, "re");
    if (!mounts)
        return lacks_descriptor("setmntent", table);
    for (struct mntent mount; go_on && !error && getmntent_r(mounts, &mount, line, sizeof line);) {
        struct stat facts;
        if (strcmp(mount.mnt_type, "mqueue") != 0 || stat(mount.mnt_dir, &facts) != 0 || facts.st_dev == last)
            continue;
        last = facts.st_dev;
        error = each_queue_in(mount.mnt_dir, visit, argument, &go_on);
    }
    endmntent(mounts);
    return error;
}

/* ---- The contract ---- */

int pipc_be_each(bool (*visit)(struct pipc_be_sight *sight, void *argument), void *argument)
{
    bool go_on = true;
    int error = each_file(visit, argument, &go_on);
    return error || !go_on ? error : each_queue(visit, argument);
}

bool pipc_be_sight_read(const struct pipc_be_sight *sight, uint64_t at, void *to, size_t bytes)
{
    uint64_t state;
    int fd = sight->memory->fd;
    return fd >= 0 && at <= sight->bytes && bytes <= sight->bytes - at &&
           pipc_name_read(fd, pipc_page() + at, to, bytes) && pipc_name_read(fd, 0, &state, sizeof state) &&
           state == PIPC_STATE_READY;
}

/* A label is never given twice, so an orphan stays one. An object is settled as an opener settles it. */
bool pipc_be_sight_reap(struct pipc_be_sight *sight)
{
    PIPC_POINT("list: judged dead, not reaped");
    if (sight->state == PIPC_FOUND_ORPHAN) {
        char path[PIPC_QUEUE_PATH];
        pipc_name_queue_path(path, sight->name, sight->object.queue_label);
        return mq_unlink(path) == 0 || errno == ENOENT;
    }
    struct stat facts;
    struct trouble trouble;
    struct pipc_be_memory *memory = sight->memory;
    struct pipc_be_request request = {.kind = sight->kind, .name = sight->name, .flags = PIPC_READ};
    bool build = false;
    pipc_name_leave(memory); /* it was opened for reading */
    enum sight found = pipc_name_look(memory, &request, TO_LOCK, &trouble);
    if (found == HALF)
        pipc_name_settle(memory, &request, &build);
    return found == NOTHING || (memory->fd >= 0 && fstat(memory->fd, &facts) == 0 && facts.st_nlink == 0);
}
