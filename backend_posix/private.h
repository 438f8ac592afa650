/* What the files of this backend share with each other. POSIX. */
#ifndef PIPC_PRIVATE_H
#define PIPC_PRIVATE_H

#ifndef _GNU_SOURCE
#define _GNU_SOURCE 1 /* F_OFD_SETLK, mremap */
#endif
#ifndef _FILE_OFFSET_BITS
#define _FILE_OFFSET_BITS 64 /* the locks lie far beyond any file's end */
#endif

#include <sys/stat.h>
#include <sys/types.h>

#include "core/backend.h"

#define PIPC_NAME_PATH (PIPC_NAME_MAX + 16) /* "/pipc.channel." and the name */

/* One opening. It keeps one mapping of the whole file, header and data; the first mapping asked for
 * lends that very one. */
struct pipc_be_memory {
    struct pipc_object *object; /* where the mapping begins; NULL: none */
    struct pipc_object seen;    /* the header, as it was read last */
    bool filled;                /* there was one */
    size_t length;              /* of the mapping, whole pages */
    uint64_t size;              /* of the data, checked against the kernel's figure at opening */
    int fd;                     /* -1 when it is not needed any more (queues) */
    uint32_t kind;
    uid_t owner; /* of the file, as the kernel said last */
    gid_t group;
    mode_t mode;
    unsigned forks; /* of this process, that had ended before the opening */
    bool noted;     /* a forked child closes its copy of the descriptor */
    bool locked;    /* by this opening */
    bool made;      /* the file, by this opening */
    bool building;
    bool writable;    /* the descriptor is */
    bool lent;        /* the data of the mapping are in the caller's hands */
    bool guarded;     /* against writing, for now */
    const char *call; /* the kernel's, made last where that may fail: errors name it */
    const char *name; /* the end of path */
    char path[PIPC_NAME_PATH];
};

/* ---- look.c: what the name leads to ---- */

/* What stands under the name. */
enum sight {
    NOTHING,  /* free */
    OURS,     /* READY: left open */
    HALF,     /* empty, BUILDING or DEAD: left open; its lock tells whether somebody is at work on it */
    VANISHED, /* the name does not lead to it any more */
    BARRED    /* not to be looked at, or no object of ours: struct trouble says why */
};

/* The reason why the answer cannot be "not found". */
struct trouble {
    int error;
    int errno_value;
    const char *call; /* the kernel's, that said so */
};

/* Writes the path of a name. */
void pipc_name_start(struct pipc_be_memory *memory, const struct pipc_be_request *request);

/* Asks the kernel about the open file, and notes what a handle keeps of that. */
bool pipc_name_ask(struct pipc_be_memory *memory, struct stat *facts);

/* shm_open of the path; never waits, never follows a link. */
int pipc_name_open_file(struct pipc_be_memory *memory, int flags, uint32_t mode);

/* Ends mapping and descriptor, and with them every lock. */
void pipc_name_leave(struct pipc_be_memory *memory);

/* Reads or writes the open file's bytes; false: they are not there, or errno. */
bool pipc_name_read(int fd, uint64_t at, void *to, size_t bytes);
bool pipc_name_write(int fd, uint64_t at, const void *from, size_t bytes);

/* Judges a copy of a header. `bytes`: of the whole file that it was read from. */
enum sight pipc_name_judge(const struct pipc_object *seen, const struct pipc_be_request *request, uint64_t bytes,
                           struct trouble *trouble);

/* Looks at what the open descriptor shows now. */
enum sight pipc_name_examine(struct pipc_be_memory *memory, const struct pipc_be_request *request,
                             struct trouble *trouble);

/* What for? Each is less than the one before, if it must be: for want of rights, or because somebody has the lock. */
enum purpose { TO_LOCK, TO_WRITE, TO_READ };

/* Opens what the name leads to, and examines it. */
enum sight pipc_name_look(struct pipc_be_memory *memory, const struct pipc_be_request *request, enum purpose purpose,
                          struct trouble *trouble);

/* Maps whole pages of the file, also beyond its present end. */
bool pipc_name_map(struct pipc_be_memory *memory, uint64_t bytes);

/* The lock of whoever builds, removes or clears. 1: got it, 0: somebody has it, -1: errno, EACCES if this user may
 * not write. */
int pipc_name_lock(struct pipc_be_memory *memory);
void pipc_name_unlock(struct pipc_be_memory *memory);

/* Has somebody else the lock? Works on any descriptor. */
bool pipc_name_is_locked(int fd);

/* Makes this opening count among the attachments; false: errno. No two may have the same seed. */
bool pipc_name_attach(struct pipc_be_memory *memory, uint64_t seed);

/* Counts the attachments of others, up to `most`; false: errno. */
bool pipc_name_count_attached(int fd, uint64_t most, uint64_t *others);

/* Notes the trouble's sentence, returns its number. */
int pipc_name_tell(const struct trouble *trouble, const char *path);

/* ---- names.c: the protocol ---- */

/* Finds the READY object or makes one: pipc_be_memory_open without the handle. */
int pipc_name_open(struct pipc_be_memory *memory, const struct pipc_be_request *request, bool *build);

/* Finds the READY object and moves it to DEAD: pipc_be_memory_doom without the handle. */
int pipc_name_doom(struct pipc_be_memory *memory, const struct pipc_be_request *request);

/* Deals with an open object that is not READY. 0 without *build: look again, perhaps after a nap. */
int pipc_name_settle(struct pipc_be_memory *memory, const struct pipc_be_request *request, bool *build);

/* Frees the name of an object whose lock this opening holds: its kernel queue first. */
void pipc_name_free(struct pipc_be_memory *memory);

/* After READY: the lock is given back, and a queue's descriptor with it. */
void pipc_name_built(struct pipc_be_memory *memory);

/* ---- kernel_queue.c ---- */

/* Removes the kernel queue that the header of a DEAD object names, if there is one. */
void pipc_name_erase_queue(const struct pipc_be_memory *memory);

#define PIPC_QUEUE_PATH  (PIPC_NAME_MAX + 32)
#define PIPC_LABEL_WIDTH 16 /* hexadecimal digits */

/* Writes the path of a kernel queue. */
void pipc_name_queue_path(char path[PIPC_QUEUE_PATH], const char *name, uint64_t label);

/* Identifies the place of the memory files: the upper half of a label made now. 0: unknown. */
uint32_t pipc_name_place(void);

#endif
