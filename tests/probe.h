/* What the tests do to the kernel behind pipc's back. One file a kernel family, the same functions in
 * the same order; the suite itself does not know which one it is linked with.
 *
 * Functions that answer bool say whether it worked; errno tells more. `kind` is enum pipc_kind. */
#ifndef PIPC_TESTS_PROBE_H
#define PIPC_TESTS_PROBE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "core/backend.h"

/* ---- The memory object under a name: header page and data ---- */

/* Maps it for writing (the whole object; the data begin pipc_page() bytes behind the header). NULL: there is none. */
struct pipc_object *probe_map(uint32_t kind, const char *name, size_t *bytes);
void probe_unmap(struct pipc_object *object, size_t bytes);

/* The kernel's permission bits and owner of the memory object. */
bool probe_mode(uint32_t kind, const char *name, uint32_t *mode, uint32_t *owner);

/* Puts something that is not pipc's where the object of this name would be (a segment under its key, a file
 * under its name), filled with the byte, of 0600; 0 bytes: as few as there can be. And takes it away again. */
bool probe_place_foreign(uint32_t kind, const char *name, size_t bytes, int filling);
bool probe_remove_foreign(uint32_t kind, const char *name);

/* Something else that a name may lead to, where names are those of files: the link and the second name lead to
 * `target`, a file that is there. False with errno 0: this family has no such thing. */
enum probe_trap { PROBE_TRAP_LINK, PROBE_TRAP_SECOND_NAME, PROBE_TRAP_FIFO, PROBE_TRAP_DIRECTORY, PROBE_TRAPS };
bool probe_place_trap(uint32_t kind, const char *name, enum probe_trap trap, const char *target);
bool probe_remove_trap(uint32_t kind, const char *name); /* it must still be there */

/* Where files lie that a second name can be given to; NULL: no such thing here. */
const char *probe_trap_folder(void);

/* Removes the memory object behind pipc's back. */
bool probe_remove_memory(uint32_t kind, const char *name);

/* ---- The kernel queue that belongs to a queue's name ---- */

bool probe_queue_count(const char *name, uint64_t *messages); /* waiting in the kernel now */
bool probe_queue_mode(const char *name, uint32_t *mode);      /* its permission bits */
bool probe_queue_steal(const char *name);                     /* takes the first message and throws it away */
bool probe_queue_inject(const char *name, const void *text, size_t size, uint32_t priority); /* puts one of its own */
bool probe_queue_remove(const char *name); /* removes the kernel queue only */

/* The same by the label that the header told, when the header is gone. */
bool probe_queue_remove_labelled(const char *name, uint64_t label);

/* Is this system call the one that puts a message into the kernel's queue, or takes one? */
bool probe_is_put(uint64_t number);
bool probe_is_take(uint64_t number);

/* ---- Ids that come back ---- */

/* What the kernel calls an object's memory and queue; -1: nothing that another could be called later. */
struct probe_ids {
    int64_t memory, queue;
};

bool probe_ids_of(uint32_t kind, const char *name, struct probe_ids *ids);

/* The next ones made shall be called so, if nothing else is any more. Needs rule over the IPC namespace. */
bool probe_ask_for_ids(const struct probe_ids *ids);

/* Is the kernel queue of this name called so, if it is called anything? */
bool probe_has_queue_id(const char *name, const struct probe_ids *ids);

/* ---- Limits ---- */

enum probe_limit {
    PROBE_LIMIT_QUEUES,       /* how many kernel queues there may be */
    PROBE_LIMIT_MESSAGE_SIZE, /* bytes in one kernel message */
    PROBE_LIMIT_DEPTH,        /* messages (or bytes) in one kernel queue */
    PROBE_LIMIT_SEGMENTS,     /* how many memory objects there may be */
    PROBE_LIMIT_MEMORY        /* bytes of all memory objects */
};

/* The file in /proc/sys that holds it, NULL where this family has no such limit. The last part of the
 * path is the name by which an error's detail should call it. In units of the kernel. */
const char *probe_limit_path(enum probe_limit limit);

/* ---- What is left ---- */

/* How many memory objects (and kernel queues, where they can be told) carry a pipc name with this prefix now. */
unsigned probe_count(const char *prefix);

/* Removes every object of this user whose pipc name begins with the prefix, tells the name of each; how many. */
unsigned probe_remove_leftovers(const char *prefix, void (*tell)(const char *name));

/* The same for all objects of this family in the IPC namespace, whosever they are. For private namespaces only. */
unsigned probe_remove_everything(void (*tell)(const char *name));

/* ---- For lists of all that there is ---- */

/* Puts things that are no plain object under names that begin so, as odd as this family can have them; how many.
 * For private namespaces only: some cannot be taken away again. */
unsigned probe_place_oddities(const char *prefix);

/* Makes the memory object smaller, or larger; false where no object can be. */
bool probe_resize_memory(uint32_t kind, const char *name, uint64_t bytes);

/* Are dead builders known by their process, as noted in the header? (Or by a lock that they do not hold.) */
extern const bool probe_builders_are_noted;

/* Can pipc list kernel queues that have no object? In a private namespace it is made possible, if it can be. */
bool probe_queues_can_be_listed(void);

#endif
