/* Names and headers of objects, as core itself needs them. */
#ifndef PIPC_CORE_OBJECT_H
#define PIPC_CORE_OBJECT_H

#include "core/backend.h"

#define PIPC_BUILDER_PATIENCE PIPC_SECONDS(1) /* how long open, create and remove wait for somebody at work */
#define PIPC_DEFAULT_MODE     0600u

/* The rules of pipc_name_check, asked without a sentence. */
bool pipc_name_is_legal(const char *name);

/* 0 or PIPC_E_NAME / PIPC_E_INVALID with the reason in the detail. */
int pipc_name_check(const char *name);

/* 0 or PIPC_E_INVALID: `mode` is 0 or permission bits within 0666 that leave the owner rw. */
int pipc_mode_check(uint32_t mode);

/* The mode of memory that everybody must write who may read or write at all: digits that are not 0 become 6. */
uint32_t pipc_control_mode(uint32_t mode);

/* 0, or PIPC_E_NAMESPACE if the object belongs to another pid namespace. */
int pipc_namespace_check(const struct pipc_object *object, uint32_t flags);

static inline bool pipc_object_is_ready(const struct pipc_object *object)
{
    return (atomic_load_explicit(&object->state, memory_order_acquire) & PIPC_STATE_MASK) == PIPC_STATE_READY;
}

/* 0, or PIPC_E_ACCESS if the mode in the header does not grant this process these rights. `owner`, `group`: the
 * kernel's. Where the kernel itself checks no more than that strangers stay out. */
int pipc_rights_check(const struct pipc_object *object, uint32_t owner, uint32_t group, uint32_t rights);

/* Removes the object of this name. `wake`, which may be NULL, is handed its data to wake those who sleep on words in
 * the first `control` bytes of them. */
int pipc_remove(uint32_t kind, const char *name, uint64_t control, void (*wake)(void *data));

/* Refuses flags outside `allowed`, and PIPC_EXCLUSIVE alone; gives the rights asked for, both if neither. */
int pipc_open_flags_check(uint32_t flags, uint32_t allowed, uint32_t *rights);

/* 0, or PIPC_E_MISMATCH telling both values; an `asked` of 0 matches all. */
int pipc_option_check(const char *name, const char *option, uint64_t asked, uint64_t has);

#endif
