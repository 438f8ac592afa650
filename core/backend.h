/* The one contract between core and a kernel family.
 *
 * A backend is a folder that defines every pipc_be_ function below, in this order, and nothing else
 * that is visible. It is chosen at link time. It knows how its family makes, finds and removes
 * memory under a name, and how it makes, finds and removes a kernel queue, puts one message and
 * takes one. It knows nothing of slots, order, waiting for messages, selection or statistics.
 *
 * The same rules hold for every function unless its comment says otherwise:
 *   caller     core only, with thread cancellation disabled
 *   threads    any thread, at any time; two threads never close the same thing
 *   blocking   never waits for another process, except until `deadline` where one is given
 *   signals    EINTR is handled inside (the call is made again, see pipc_again); not async-signal-safe
 *   ownership  on failure nothing was made, *out is NULL and the caller owes nothing
 *   errors     0 or a PIPC_E_ number that was given to pipc_fail(), so that the detail is set;
 *              the list after "errors:" is complete
 */
#ifndef PIPC_CORE_BACKEND_H
#define PIPC_CORE_BACKEND_H

#include <stdatomic.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "core/point.h"
#include "pipc/base.h"
#include "pipc/error.h"
#include "pipc/objects.h"

#if ATOMIC_LLONG_LOCK_FREE != 2
#error "pipc needs lock-free 64-bit atomics"
#endif

/* For what lies between a public call and its one system call. After a system call each return to a frame that is
 * older than it is mispredicted (the kernel leaves the processor's stack of return addresses in disorder), which
 * costs as much as forty instructions: so there shall be no frames. */
#define PIPC_FLAT __attribute__((always_inline)) inline

/* For variables that several files share: without it they are reached as if they were another library's. */
#define PIPC_HIDDEN __attribute__((visibility("hidden")))

/* ---- The object: what stands at the start of all memory made by a backend ------------------ */

#define PIPC_OBJECT_MAGIC  0x63706970u /* "pipc" in little-endian memory */
#define PIPC_OBJECT_LAYOUT 4u          /* raise with every incompatible change of any shared structure */

/* The low three bits of pipc_object.state. Fresh memory is zeros: INIT. The upper bits may hold the
 * builder's identity (pipc_self()) shifted left by 3, where the backend has no better way to tell
 * whether the builder lives. */
enum pipc_state {
    PIPC_STATE_INIT = 0, /* made, nothing said yet */
    PIPC_STATE_CLAIMED,  /* carries a name, may still lose it to a rival */
    PIPC_STATE_BUILDING, /* owns the name, is being filled */
    PIPC_STATE_READY,    /* usable */
    PIPC_STATE_DEAD,     /* removed; whoever meets it finishes freeing the name */
    PIPC_STATE_MASK = 7
};

struct pipc_object {
    _Atomic uint64_t state;
    uint32_t magic;
    uint32_t layout;
    uint32_t kind;          /* enum pipc_kind */
    uint32_t mode;          /* as asked for; the kernel's may be wider (see pipc_be_request.mode) */
    uint64_t nonce;         /* random identity of this object, never 0 */
    uint64_t size;          /* bytes of data behind the header page */
    int64_t created;        /* CLOCK_REALTIME, ns */
    uint64_t pid_namespace; /* the creator's, 0 if unknown */
    uint32_t owner;         /* effective uid of the creator */
    int32_t creator;        /* its pid */
    uint64_t queue_label;   /* what the kernel queue is called; stored before it is made, 0 = none. A peer may write
                               it: the backend believes only a label that this very object could have chosen */
    int64_t queue_id;       /* the kernel's id for it, where it has one; stored after it is made */
    uint32_t queue_depth;   /* messages it takes, 0 = it counts bytes */
    uint32_t queue_size;    /* bytes of text in one message that it takes */
    uint32_t reserved;
    char name[PIPC_NAME_MAX + 4]; /* whole, zero-terminated */
};

/* ---- What core offers a backend ----------------------------------------------------------- */

/* Notes the sentence for pipc_error_detail() and returns `error`. errno is kept. */
int pipc_fail(int error, const char *format, ...) __attribute__((format(printf, 2, 3)));

/* The number for an errno where nothing more is known: EACCES/EPERM -> ACCESS, ENOMEM/ENOSPC ->
 * NO_SPACE, EMFILE/ENFILE -> LIMIT, else SYSTEM. */
int pipc_error_from(int errno_value);

/* "queue", "shm", "channel": how names of files and the like tell a kind; NULL: it is none. */
const char *pipc_kind_word(uint32_t kind);

/* After a kernel call that failed: shall it be made again, because a signal came? Signals may come often, but
 * not into each of a thousand tries in a row: a kernel that says so is not believed. Begin with 0 tries. */
bool pipc_again(unsigned *tries);

int64_t pipc_now(void);                        /* CLOCK_MONOTONIC, ns */
bool pipc_nap(int64_t *nap, int64_t deadline); /* sleeps *nap (0 = first), doubles it (50 us to 5 ms);
                                                  false, without sleeping, once the deadline is over */
uint64_t pipc_random(void);                    /* never 0 */
uint64_t pipc_self(void);                      /* this thread's identity, 50 bits, never 0 */
/* Is the thread behind an identity dead? True only if proven; `pid_namespace` is the one it was noted in
 * (pipc_object.pid_namespace): what another namespace noted proves nothing here. */
bool pipc_is_dead(uint64_t identity, uint64_t pid_namespace);
/* Is the process dead? True only if proven: no process has this pid, or the one that has it began after
 * that time (CLOCK_REALTIME, ns). A pid of 0 or less proves nothing. */
bool pipc_is_dead_process(int32_t pid, int64_t began_before);
uint32_t pipc_name_hash(uint32_t kind, const char *name);
size_t pipc_page(void); /* bytes of a page; the header takes one, the data begin behind it */

struct pipc_be_request {
    uint32_t kind;
    const char *name;    /* already checked */
    uint32_t flags;      /* PIPC_CREATE, PIPC_EXCLUSIVE, PIPC_READ, PIPC_WRITE (at least one of the two) */
    uint32_t mode;       /* of the kernel object, final whatever the umask */
    uint32_t asked_mode; /* goes into the header */
    uint64_t size;       /* of the data, if it is made */
    int64_t deadline;    /* for waiting for somebody at work on the name (pipc_now() scale) */
};

/* Fills every field of a header but state and the queue's, magic last. `owner`: this user. */
void pipc_object_fill(struct pipc_object *object, const struct pipc_be_request *request, uint32_t owner);

/* Is this READY, CLAIMED, BUILDING or DEAD object (not INIT) what we look for? `bytes`: of data really
 * there behind the header page. 0, PIPC_E_FOREIGN (no magic), PIPC_E_LAYOUT, PIPC_E_DAMAGED (sizes or
 * fields impossible), or PIPC_E_NOT_FOUND (sound, but another name or kind). Sets no detail. */
int pipc_object_check(const struct pipc_object *object, uint64_t bytes, uint32_t kind, const char *name);

/* ---- What a backend is -------------------------------------------------------------------- */

extern const char pipc_be_name[];            /* "sysv", "posix" */
extern const bool pipc_be_takes_by_priority; /* pipc_be_queue_take gives the highest priority first, then the
                                                oldest; if false it gives the oldest whatever its priority */

/* ---- Memory under a name: memory.c --------------------------------------------------------- */

struct pipc_be_memory; /* one opening of one object */

/* Finds the object, or makes it if PIPC_CREATE is given.
 * *build is false: an existing READY object is open with the rights asked for.
 * *build is true: the object is new or was taken over from a dead builder, its data are zeros, its
 *   header is filled (pipc_object_fill), nobody else sees it; the caller fills the data and calls
 *   pipc_be_memory_publish or pipc_be_memory_abandon. Room for all of it is reserved: touching it
 *   never ends in SIGBUS. The handle has both rights.
 * Of racing callers exactly one gets *build. What dead builders and removers left under the name
 * (their kernel queue too) is finished or removed on the way, if the kernel lets this user; what
 * living ones do is waited for until the deadline.
 * errors: NOT_FOUND, EXISTS, ACCESS (also: cannot look, so cannot know), BUSY (deadline),
 *   NO_SPACE (names the bytes), LIMIT (names the limit and remedy), NO_MEMORY, FOREIGN, LAYOUT,
 *   DAMAGED, SYSTEM */
int pipc_be_memory_open(struct pipc_be_memory **out, const struct pipc_be_request *request, bool *build);

/* Makes a built object visible: state READY. errors: BUSY (lost it: cannot happen while this process
 * lives, but a debugger's guest may try); the memory is then already closed. */
int pipc_be_memory_publish(struct pipc_be_memory *memory);

/* Undoes a build: the name is free again, the memory closed; also removes the kernel queue that the
 * header names. Never fails. */
void pipc_be_memory_abandon(struct pipc_be_memory *memory);

/* The header; writable for the builder only. Valid until close. Never fails. */
struct pipc_object *pipc_be_memory_object(struct pipc_be_memory *memory);

/* Bytes of data, as verified against the kernel's own figure at opening. Never fails. */
uint64_t pipc_be_memory_size(const struct pipc_be_memory *memory);

/* The user whose object it is, as the kernel said at opening: the header says what anybody who may write it made it
 * say. Never fails. */
uint32_t pipc_be_memory_owner(const struct pipc_be_memory *memory);

/* The group of an object that was there already, as the kernel said at opening. Never fails. */
uint32_t pipc_be_memory_group(const struct pipc_be_memory *memory);

/* Maps the object; the address is that of its data. access: PIPC_READ, or PIPC_READ | PIPC_WRITE; the caller has
 * checked it against the rights of the opening. Page-aligned, shared, several at once are fine. The header
 * page lies right before the address and belongs to the same mapping, so that core can lock or advise
 * a mapping whole.
 * Not thread-safe for one memory: the caller serialises map, unmap, attachments and close.
 * errors: NO_MEMORY, LIMIT, ACCESS, SYSTEM */
int pipc_be_memory_map(struct pipc_be_memory *memory, uint32_t access, void **address);

/* Ends a mapping that pipc_be_memory_map gave. other: one of this opening that stays, if there is one, else NULL.
 * Given one, the object may be at another address afterwards: ask pipc_be_memory_object anew. Never fails. */
void pipc_be_memory_unmap(struct pipc_be_memory *memory, void *address, void *other);

/* Live openings, this one included: see M5 in the manual. errors: SYSTEM */
int pipc_be_memory_attachments(struct pipc_be_memory *memory, uint64_t *count);

/* Closes an opening; the caller has unmapped its mappings. The object stays. Never fails. */
void pipc_be_memory_close(struct pipc_be_memory *memory);

/* First half of a removal: finds the READY object, checks the right to remove, moves READY -> DEAD.
 * Exactly one of racing callers succeeds; the others answer NOT_FOUND. What dead builders and
 * removers left is cleared on the way (answer NOT_FOUND).
 * errors: NOT_FOUND, ACCESS, BUSY, FOREIGN, LAYOUT, DAMAGED, LIMIT, NO_MEMORY, SYSTEM */
int pipc_be_memory_doom(struct pipc_be_memory **out, uint32_t kind, const char *name, int64_t deadline);

/* Second half: removes the kernel queue that the header names, frees the name, closes. Never fails: what
 * it cannot do the next caller under this name does. */
void pipc_be_memory_finish(struct pipc_be_memory *memory);

/* ---- The kernel queue: kernel_queue.c ------------------------------------------------------ */

struct pipc_be_queue; /* one opening of one kernel queue */

/* A text handed to put or take is preceded by this many bytes of the caller's memory that the backend
 * may scribble on, and is aligned to 8. */
#define PIPC_BE_PREFIX 8

/* Makes the kernel queue of a memory that is being built, and opens it for both ways. Asks for
 * `depth` messages of `size` bytes of text; where a limit forbids that, for less: depth down to 1
 * first, then size down to `least_size`. Stores queue_label in the object before it makes the queue,
 * then queue_id, queue_depth, queue_size (never more than asked). `mode` is final whatever the umask.
 * errors: LIMIT (names limit and remedy), NO_SPACE, NO_MEMORY, ACCESS (a security module forbids it), SYSTEM */
int pipc_be_queue_create(struct pipc_be_queue **out, struct pipc_be_memory *memory, uint32_t depth, uint32_t size,
                         uint32_t least_size, uint32_t mode);

/* Opens the kernel queue that `object`, the header of a READY memory or a copy of it, names, for PIPC_RECEIVE,
 * PIPC_SEND or both, if its mode grants it. A hostile peer that writes into the header must not lead this to a queue
 * that is not this object's. errors: ACCESS, DAMAGED (it is gone, or is not this object's: somebody removed it behind
 * pipc's back, or scribbled), LIMIT, NO_MEMORY, SYSTEM */
int pipc_be_queue_open(struct pipc_be_queue **out, const struct pipc_be_memory *memory,
                       const struct pipc_object *object, uint32_t rights);

/* Puts one message of `size` bytes without waiting. priority: 0 to 31, higher first. The room before the text is
 * scribbled on. Called without any lock, by many at once, with cancellation on: it is no cancellation point. One
 * system call, and it ends with it (a tail call; see PIPC_FLAT). 0, or less than 0: then, with errno as it is,
 * pipc_be_queue_put_failed with the same arguments tells why. */
long pipc_be_queue_put(struct pipc_be_queue *queue, void *text, size_t size, uint32_t priority);

/* 0 if it went well after all: only a signal had come.
 * errors: FULL (no detail set: no room now, or no kernel memory), DAMAGED (the queue is gone), ACCESS, SYSTEM */
int pipc_be_queue_put_failed(struct pipc_be_queue *queue, void *text, size_t size, uint32_t priority);

/* Takes one message without waiting into text (capacity >= the object's queue_size), straight from the
 * kernel: at no instant is it in private memory only. `oldest`: that of the highest priority is also the oldest, since
 * none has another priority. Called by one thread at a time a queue, else like put. The bytes
 * taken, or less than 0: then pipc_be_queue_take_failed. */
long pipc_be_queue_take(struct pipc_be_queue *queue, void *text, size_t capacity, bool oldest);

/* 0 and *size if it went well after all.
 * errors: EMPTY (no detail set), DAMAGED (gone; also a foreign message that is larger than capacity,
 * which is dropped where the kernel lets us), ACCESS, SYSTEM */
int pipc_be_queue_take_failed(struct pipc_be_queue *queue, void *text, size_t capacity, bool oldest, size_t *size);

/* Closes an opening. Never fails. */
void pipc_be_queue_close(struct pipc_be_queue *queue);

/* Tells what an unprivileged queue may have here now: bytes of one message's text, and messages (0 = bytes
 * are counted). Never fails; guesses the system's defaults where it cannot look. */
void pipc_be_queue_limits(uint32_t *size, uint32_t *depth);

/* ---- What there is: list.c ------------------------------------------------------------------ */

/* One thing that pipc_be_each came by. Everything in it is a private copy, but unchecked unless said: whoever may
 * write the object may have written anything. What is not known is 0. */
struct pipc_be_sight {
    uint32_t kind;
    uint32_t state;               /* enum pipc_found_state */
    const char *doubt;            /* NULL: if the state is one of garbage, it is proven; else what speaks against it */
    struct pipc_object object;    /* magic is 0: there is none, or it may not be believed. Else it is checked: zeros end
                                     the name, kind is one of the two, and if READY size is within `bytes`. */
    char name[PIPC_NAME_MAX + 4]; /* zero-terminated, "" = none; may be illegal */
    uint64_t bytes;               /* of data really there behind the header page */
    uint64_t attachments;         /* of memory: openings by others */
    uint64_t messages;            /* of an orphan */
    uint32_t owner;               /* who made it, as the kernel says */
    uint32_t mode;                /* the kernel's */
    int32_t creator;
    int64_t created;
    struct pipc_be_memory *memory; /* the backend's */
};

/* Shows `visit` everything of this family that is, or may be, pipc's: objects in every state, but for those
 * without a name; kernel queues without an object, where they can be told from others'. False from `visit` ends
 * it. Holds nothing that another call of this thread could wait for. What is hostile or foreign does no harm:
 * nothing is waited for, no more is read than is there.
 * errors: ACCESS, LIMIT, NO_MEMORY, SYSTEM: the list cannot be had. What is wrong with one thing is in its sight. */
int pipc_be_each(bool (*visit)(struct pipc_be_sight *sight, void *argument), void *argument);

/* Copies bytes of the data of a READY object that is being visited, 0 or more. False: they are not there, or it is
 * not READY any more. */
bool pipc_be_sight_read(const struct pipc_be_sight *sight, uint64_t at, void *to, size_t bytes);

/* Removes what is being visited, with its kernel queue, if the proof still holds now. Called if the state is HALF_MADE,
 * REMOVED or ORPHAN, without doubt, and the owner is this user. False: it stays. */
bool pipc_be_sight_reap(struct pipc_be_sight *sight);

#endif
