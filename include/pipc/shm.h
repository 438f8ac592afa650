/** @file shm.h
 *  Named shared memory.
 *
 *  **Life.** A memory object lives until it is removed or the machine restarts; closing a handle
 *  never removes it. **Handles** may be used by any number of threads, work on in a forked child
 *  (with the mappings), and do not survive exec. **Mappings** belong to their handle: closing it
 *  unmaps them. **Removal** frees the name at once; mappings live on until unmapped, and every call
 *  that begins on an old handle (but unmap and close) answers #PIPC_E_REMOVED.
 *
 *  A new object is filled with zeros and its size is fixed. No call waits for other processes, but
 *  open and remove, which wait at most 1 s for somebody who is at work on the same name. No call is
 *  async-signal-safe or a cancellation point. A NULL where none is allowed, an unknown flag, a value
 *  out of range: #PIPC_E_INVALID.
 *
 *  Whoever may write a POSIX object can also shrink it, and everybody's next touch beyond its end is
 *  a SIGBUS; System V segments cannot shrink. Share memory with processes that you trust so far.
 */
#ifndef PIPC_SHM_H
#define PIPC_SHM_H

#include "base.h"

#ifdef __cplusplus
extern "C" {
#endif

/** An open memory object. Opaque; made by pipc_shm_open(), ended by pipc_shm_close(). */
typedef struct pipc_shm pipc_shm;

/** What a new object shall be, or what an existing one is expected to be. 0 means "the default" or
 *  "whatever it has"; a new object needs a size. */
typedef struct pipc_shm_options {
    uint64_t size;        /**< Bytes, exactly as told by pipc_shm_size() later. */
    uint32_t mode;        /**< Permission bits within 0666, the final mode whatever the umask; the owner's bits
                               must be rw. Default 0600. */
    uint32_t reserved32;  /**< Must be 0. */
    uint64_t reserved[4]; /**< Must be 0. */
} pipc_shm_options;

/** A memory object's statistics, see pipc_shm_statistics(). */
typedef struct pipc_shm_info {
    uint64_t size;        /**< Bytes. */
    uint64_t attachments; /**< Processes that have it open: exact while each has one handle, at most one mapping
                               and has not forked, otherwise at least 1. Right at once after kill -9. */
    int64_t created;      /**< When it was made, nanoseconds since 1970 (UTC). */
    int32_t creator;      /**< Process that made it. */
    uint32_t owner;       /**< User that made it, as the kernel said at opening. */
    uint32_t mode;        /**< Permission bits. */
    uint32_t reserved;    /**< 0. */
    const char *backend;  /**< "sysv" or "posix". */
} pipc_shm_info;

/** Opens or creates a memory object.
 *  Of racing creators exactly one creates; a half-made object is never visible. Waits at most 1 s for
 *  somebody who is at work on the name.
 *  @param[out] shm the handle on success, else NULL; end it with pipc_shm_close()
 *  @param name 1 to 200 bytes, see base.h
 *  @param flags 0 or #PIPC_CREATE, #PIPC_EXCLUSIVE (only with #PIPC_CREATE); #PIPC_READ and #PIPC_WRITE
 *         (neither means both); #PIPC_PREFAULT (touch every page of a new object before anyone sees it);
 *         #PIPC_FOREIGN_PIDS
 *  @param options copied; NULL is the same as all zeros. A size of 0 opens what is there, but nothing
 *         can be made with it
 *  @return 0, or #PIPC_E_INVALID (a new object of size 0, ...), #PIPC_E_NAME, #PIPC_E_NOT_FOUND,
 *    #PIPC_E_EXISTS, #PIPC_E_MISMATCH, #PIPC_E_ACCESS, #PIPC_E_BUSY, #PIPC_E_NO_SPACE (told here, never by a
 *    SIGBUS later), #PIPC_E_LIMIT, #PIPC_E_NO_MEMORY, #PIPC_E_FOREIGN, #PIPC_E_LAYOUT, #PIPC_E_DAMAGED,
 *    #PIPC_E_NAMESPACE, #PIPC_E_SYSTEM
 *  @par Threads, fork, signals
 *  Any thread at any time. The handle works on in forked children, with its mappings; exec ends both.
 *  Not in a signal handler.
 *  @par Builds
 *  System V: one segment of the machine's; lack of memory is refused by the kernel's accounting, which
 *  Linux leaves generous by default. POSIX: a file in /dev/shm, whose pages are all reserved here; each
 *  handle holds one descriptor. */
PIPC_API int pipc_shm_open(pipc_shm **shm, const char *name, uint32_t flags, const pipc_shm_options *options);

/** Closes a handle and unmaps its mappings; the object stays.
 *  @param shm NULL is allowed and does nothing
 *  @return 0
 *  @par Threads, fork, signals
 *  No other thread may be in a call on the handle, or touch its mappings afterwards. In a forked child
 *  it ends the child's handle and mappings only. Not in a signal handler. */
PIPC_API int pipc_shm_close(pipc_shm *shm);

/** Removes a memory object; its memory is freed with the last handle. Only the owner or a privileged
 *  process may. Of racing removers exactly one succeeds.
 *  @param name 1 to 200 bytes, see base.h
 *  @return 0, or #PIPC_E_INVALID (NULL), #PIPC_E_NAME, #PIPC_E_NOT_FOUND, #PIPC_E_ACCESS, #PIPC_E_BUSY
 *    (somebody else builds or removes it for more than 1 s), #PIPC_E_FOREIGN, #PIPC_E_LAYOUT,
 *    #PIPC_E_DAMAGED, #PIPC_E_LIMIT, #PIPC_E_NO_MEMORY, #PIPC_E_SYSTEM
 *  @par Threads, fork, signals
 *  Any thread or process at any time. Not in a signal handler. */
PIPC_API int pipc_shm_remove(const char *name);

/** Maps the whole object.
 *  @param shm an open handle
 *  @param flags #PIPC_READ (truly read-only: a write faults) or #PIPC_READ | #PIPC_WRITE;
 *         #PIPC_PREFAULT, #PIPC_LOCK, #PIPC_HUGE
 *  @param[out] address the first byte, aligned to a page; else NULL. Several mappings are fine, each
 *         at its own address
 *  @return 0, or #PIPC_E_INVALID (neither right, or only write), #PIPC_E_ACCESS (more than the handle was
 *    opened for), #PIPC_E_REMOVED, #PIPC_E_LIMIT (locking: RLIMIT_MEMLOCK, huge pages: RLIMIT_NOFILE; the detail says
 * more), #PIPC_E_NO_SPACE (locking: not enough memory), #PIPC_E_UNSUPPORTED (no huge pages granted), #PIPC_E_NO_MEMORY
 * (no address space left), #PIPC_E_SYSTEM
 *  @par Threads, fork, signals
 *  Any thread at any time. A forked child has the parent's mappings, at the same addresses. Not in a
 *  signal handler. */
PIPC_API int pipc_shm_map(pipc_shm *shm, uint32_t flags, void **address);

/** Ends one mapping. Works on removed objects too.
 *  @param shm the handle that made it
 *  @param address as given by pipc_shm_map()
 *  @return 0, or #PIPC_E_INVALID (NULL, or no such mapping of this handle)
 *  @par Threads, fork, signals
 *  Any thread at any time, but none may touch that mapping any more. In a forked child it ends the
 *  child's mapping only. Not in a signal handler. */
PIPC_API int pipc_shm_unmap(pipc_shm *shm, void *address);

/** Tells the object's size.
 *  @param shm an open handle
 *  @param[out] size bytes, as asked for at creation; untouched after an error
 *  @return 0, or #PIPC_E_INVALID (NULL), #PIPC_E_REMOVED
 *  @par Threads, fork, signals
 *  Any thread at any time; in a forked child too. Not in a signal handler. */
PIPC_API int pipc_shm_size(pipc_shm *shm, uint64_t *size);

/** Tells the object's statistics.
 *  @param shm an open handle
 *  @param[out] info filled in; its string is a constant
 *  @return 0, or #PIPC_E_INVALID (NULL), #PIPC_E_REMOVED, #PIPC_E_SYSTEM
 *  @par Threads, fork, signals
 *  Any thread at any time; in a forked child too. Not in a signal handler.
 *  @par Builds
 *  Attachments: System V tells the kernel's own count, in which a second mapping or a forked child is one
 *  more; POSIX counts handles by the locks that they hold. On both the handle asked counts itself. */
PIPC_API int pipc_shm_statistics(pipc_shm *shm, pipc_shm_info *info);

#ifdef __cplusplus
}
#endif
#endif
