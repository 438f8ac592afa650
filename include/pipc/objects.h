/** @file objects.h
 *  All objects that there are: to look at them, and to clear away what the dead left.
 *
 *  pipc_each() shows every object of this build's family that this process can see: queues, memory, and
 *  what is left of them after a crash. pipc_reap() removes of these what is **garbage**, and nothing else:
 *
 *  | state | garbage? |
 *  |---|---|
 *  | #PIPC_FOUND_READY | never, however long nobody used it; that is for pipc_queue_remove() and pipc_shm_remove() |
 *  | #PIPC_FOUND_BUILDING | never: who is at work on it is alive, or may be |
 *  | #PIPC_FOUND_HALF_MADE | yes: its builder is proven dead |
 *  | #PIPC_FOUND_REMOVED | yes, unless its remover is still at work |
 *  | #PIPC_FOUND_ORPHAN | yes, if it is proven that no object can know this kernel queue any more |
 *  | all others | never: what cannot be judged is left alone |
 *
 *  And only what belongs to this very user (the effective one); not even root reaps what is another's. The same
 *  rules hold for what opening and removing do under the one name that they are about: an application that
 *  always uses the same names needs none of this.
 *
 *  **What can be seen.** System V: the segments of this IPC namespace, told by their size and header. One that this
 *  user may not read shows as #PIPC_FOUND_UNREADABLE without a name if its size is one of ours (on
 *  kernels before 4.17 not at all). A kernel queue whose segment was removed with `ipcrm` cannot be told
 *  from any other program's: it is neither shown nor reaped; `ipcs -q` shows it. POSIX: the files
 *  `pipc.queue.*` and `pipc.shm.*` in `/dev/shm`. A kernel queue whose file was removed with `rm` is shown
 *  where the `mqueue` file system is mounted, and reaped if it was made by somebody with the same `/dev/shm`.
 *  Names that pipc would refuse are not shown. Objects that were removed while handles are open on them have
 *  no name any more and are not shown.
 */
#ifndef PIPC_OBJECTS_H
#define PIPC_OBJECTS_H

#include "base.h"
#include "channel.h"
#include "queue.h"

#ifdef __cplusplus
extern "C" {
#endif

/** What an object is. */
enum pipc_kind {
    PIPC_KIND_UNKNOWN = 0, /**< Nobody can tell (yet). */
    PIPC_KIND_QUEUE = 1,   /**< A queue. */
    PIPC_KIND_SHM = 2,     /**< Shared memory. */
    PIPC_KIND_CHANNEL = 3  /**< A channel. */
};

/** How an object was found. */
enum pipc_found_state {
    PIPC_FOUND_READY = 0,    /**< Whole and usable. */
    PIPC_FOUND_BUILDING,     /**< Not usable yet; who builds it is alive, or may be. */
    PIPC_FOUND_HALF_MADE,    /**< Never became usable; who built it is dead. */
    PIPC_FOUND_REMOVED,      /**< Removed, but what it takes was not freed yet. */
    PIPC_FOUND_ORPHAN,       /**< A kernel queue alone: its object was removed behind pipc's back. */
    PIPC_FOUND_OTHER_LAYOUT, /**< Made by a version of pipc that this one does not understand. */
    PIPC_FOUND_DAMAGED,      /**< Impossible figures in it, or its kernel queue is gone. */
    PIPC_FOUND_FOREIGN,      /**< Something that is no object of pipc's holds the name. */
    PIPC_FOUND_UNREADABLE    /**< This user, or this process, cannot look into it. */
};

/** What follows for pipc_reap(). */
enum pipc_verdict {
    PIPC_VERDICT_KEEP = 0, /**< It stays. */
    PIPC_VERDICT_GARBAGE,  /**< pipc_reap() would remove it (told by pipc_each()). */
    PIPC_VERDICT_REAPED,   /**< pipc_reap() removed it. */
    PIPC_VERDICT_STAYED    /**< pipc_reap() could not: it changed meanwhile, or the system refused. */
};

/** One object, as it was when it was looked at. Figures that cannot be known are 0. */
typedef struct pipc_found {
    const char *name;     /**< Its name, "" if it has none yet or cannot be read. Legal as by base.h. */
    const char *why;      /**< A sentence in English about its state and the verdict, never NULL. */
    uint32_t kind;        /**< One of #pipc_kind. */
    uint32_t state;       /**< One of #pipc_found_state. */
    uint32_t verdict;     /**< One of #pipc_verdict. */
    uint32_t owner;       /**< User that made it, as the kernel says. */
    uint32_t mode;        /**< Permission bits; those asked for, where the object is whole. */
    int32_t creator;      /**< Process that made it. */
    int64_t created;      /**< When it was made, nanoseconds since 1970 (UTC). */
    uint64_t size;        /**< Bytes: of memory, as asked for; of a queue, all the memory that it takes. */
    uint64_t attachments; /**< Memory: as in pipc_shm_info, but 0 if nobody has it open. */
    uint32_t measured; /**< 1 if `queue` or `channel` (of one that is ready) or `attachments` (memory) is filled in. */
    uint32_t reserved; /**< 0. */
    pipc_channel_info channel; /**< Of a channel, as told by pipc_channel_statistics(). */
    pipc_queue_info queue;     /**< As told by pipc_queue_statistics(). Of an orphan only the messages. */
} pipc_found;

/** Called for one object after the other.
 *  It may use any call of pipc. Cancellation is held off while it runs; it must return (no longjmp).
 *  @param found the object; what it points to ends with the call
 *  @param argument as given to pipc_each() or pipc_reap()
 *  @return 0 to go on; anything else ends the walk */
typedef int pipc_visitor(const pipc_found *found, void *argument);

/** Shows every object of this build's family that can be seen, in no order.
 *  What is made or removed meanwhile may be shown or not; nothing is shown twice. Nothing is changed and no
 *  queue's lock is taken. Everything read is checked: another user's files and segments, whatever is in
 *  them, do no harm.
 *  @param visit called for each object
 *  @param argument handed to `visit`
 *  @return 0, also if the visitor ended the walk; #PIPC_E_INVALID (NULL), #PIPC_E_ACCESS (the place of the objects
 *    may not be listed), #PIPC_E_LIMIT (no descriptor left), #PIPC_E_NO_MEMORY, #PIPC_E_SYSTEM
 *  @par Threads, fork, signals
 *  Any thread or process at any time. Not in a signal handler; no cancellation point. Does not wait.
 *  @par Builds
 *  What is seen: above. System V: while a segment is looked at it has one attachment more. */
PIPC_API int pipc_each(pipc_visitor *visit, void *argument);

/** Removes the garbage: what is proven to be left by the dead and belongs to this user.
 *  As pipc_each(), but what that calls #PIPC_VERDICT_GARBAGE is judged once more and removed, with its kernel queue;
 *  the visitor is told the outcome. Everybody else may go on meanwhile: whoever creates, opens or removes does
 *  not notice.
 *  @param visit called for each object, garbage or not; NULL if nobody wants to know. Ending the walk leaves
 *         the rest as it is
 *  @param argument handed to `visit`
 *  @return 0, also if something stayed; #PIPC_E_ACCESS, #PIPC_E_LIMIT, #PIPC_E_NO_MEMORY, #PIPC_E_SYSTEM as
 *    pipc_each()
 *  @par Threads, fork, signals
 *  Any thread or process at any time, several at once. Not in a signal handler; no cancellation point. Does not
 *  wait.
 *  @par Builds
 *  The proof of a builder's death: System V, its process or thread is gone, seen from the same pid namespace; POSIX,
 *  nobody holds the lock on the object's file. */
PIPC_API int pipc_reap(pipc_visitor *visit, void *argument);

#ifdef __cplusplus
}
#endif
#endif
