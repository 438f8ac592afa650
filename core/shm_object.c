/* Named shared memory. */
#include <pthread.h>
#include <stdlib.h>
#include <string.h>

#include "core/call.h"
#include "core/object.h"
#include "core/platform.h"
#include "pipc/shm.h"

struct mapping {
    struct mapping *next;
    void *address;
    bool locked;
};

struct pipc_shm {
    struct pipc_be_memory *memory; /* where its object lies may change while the mutex is free */
    uint64_t size;
    uint32_t rights;
    struct mapping *mappings;
};

/* Guards the mappings of all handles, and what the backend keeps of them. One for all, so that a fork
 * can hold it: the child's copies are then whole, and free. The calls are short. */
static pthread_mutex_t mutex = PTHREAD_MUTEX_INITIALIZER;

static void lock_all(void)
{
    pthread_mutex_lock(&mutex);
}

static void unlock_all(void)
{
    pthread_mutex_unlock(&mutex);
}

static void watch_forks(void)
{
    pthread_atfork(lock_all, unlock_all, unlock_all);
}

/* Cancellation would strand the mutex; pipc_call_enter holds it off. */
static void enter(struct pipc_call *call)
{
    static pthread_once_t once = PTHREAD_ONCE_INIT;
    pthread_once(&once, watch_forks);
    pipc_call_enter(call, 0);
    lock_all();
}

static int leave(struct pipc_call *call, int result)
{
    unlock_all();
    return pipc_call_leave(call, result);
}

/* Begins a call on a handle. After 0 leave() must follow. */
static int begin(struct pipc_call *call, const char *function, const struct pipc_shm *shm)
{
    pipc_calling(function, NULL);
    if (!shm)
        return pipc_fail(PIPC_E_INVALID, "the memory handle is NULL");
    enter(call);
    pipc_calling(function, pipc_be_memory_object(shm->memory)->name);
    return 0;
}

static int check_ready(const struct pipc_shm *shm)
{
    if (!pipc_object_is_ready(pipc_be_memory_object(shm->memory)))
        return pipc_fail(PIPC_E_REMOVED, "the memory was removed; unmap and close the handle");
    return 0;
}

/* ---- opening ---- */

static int check_options(const pipc_shm_options *options)
{
    bool reserved = options->reserved32 != 0;
    for (size_t i = 0; i < sizeof options->reserved / sizeof *options->reserved; i++)
        reserved |= options->reserved[i] != 0;
    if (reserved)
        return pipc_fail(PIPC_E_INVALID, "a reserved field of the options is not 0");
    if (options->size > PTRDIFF_MAX - 2 * (uint64_t)pipc_page())
        return pipc_fail(PIPC_E_INVALID, "%llu bytes are more than a process can map",
                         (unsigned long long)options->size);
    return pipc_mode_check(options->mode);
}

static int touch(struct pipc_shm *shm)
{
    void *address;
    int error = pipc_be_memory_map(shm->memory, PIPC_READ | PIPC_WRITE, &address);
    if (error)
        return error;
    for (uint64_t at = 0; at < shm->size; at += pipc_page())
        ((volatile unsigned char *)address)[at] = 0;
    pipc_be_memory_unmap(shm->memory, address, NULL);
    return 0;
}

static int open_object(struct pipc_shm *shm, const char *name, uint32_t flags, const pipc_shm_options *asked)
{
    uint32_t mode = asked->mode ? asked->mode : PIPC_DEFAULT_MODE;
    struct pipc_be_request request = {
        .kind = PIPC_KIND_SHM,
        .name = name,
        .flags = (flags & (PIPC_CREATE | PIPC_EXCLUSIVE)) | shm->rights,
        .mode = mode,
        .asked_mode = mode,
        .size = asked->size,
        .deadline = pipc_now() + PIPC_BUILDER_PATIENCE,
    };
    /* Without a size nothing can be made, but what exists can still be opened. */
    if (!asked->size)
        request.flags &= ~(PIPC_CREATE | PIPC_EXCLUSIVE);
    bool is_new = false;
    int error = pipc_be_memory_open(&shm->memory, &request, &is_new);
    if (error)
        return error == PIPC_E_NOT_FOUND && (flags & PIPC_CREATE)
                   ? pipc_fail(PIPC_E_INVALID, "\"%s\" does not exist, and new memory needs a size", name)
                   : error;
    shm->size = pipc_be_memory_size(shm->memory); /* not the header's: a peer may have changed that by now */
    if (is_new) {
        error = flags & PIPC_PREFAULT ? touch(shm) : 0;
        if (error)
            pipc_be_memory_abandon(shm->memory);
        return error ? error : pipc_be_memory_publish(shm->memory);
    }
    const struct pipc_object *object = pipc_be_memory_object(shm->memory);
    error = pipc_namespace_check(object, flags);
    if (!error)
        error = pipc_option_check(name, "size", asked->size, shm->size);
    if (!error)
        error = pipc_option_check(name, "mode", asked->mode, object->mode);
    if (error)
        pipc_be_memory_close(shm->memory);
    return error;
}

int pipc_shm_open(pipc_shm **out, const char *name, uint32_t flags, const pipc_shm_options *options)
{
    static const pipc_shm_options none;
    const uint32_t allowed = PIPC_CREATE | PIPC_EXCLUSIVE | PIPC_READ | PIPC_WRITE | PIPC_FOREIGN_PIDS | PIPC_PREFAULT;
    struct pipc_call call;
    uint32_t rights = 0;
    pipc_calling(__func__, name);
    if (!out)
        return pipc_fail(PIPC_E_INVALID, "the handle's address is NULL");
    *out = NULL;
    int error = pipc_name_check(name);
    if (!error)
        error = pipc_open_flags_check(flags, allowed, &rights);
    if (!error)
        error = check_options(options ? options : &none);
    if (!error && (flags & PIPC_EXCLUSIVE) && (!options || !options->size))
        error = pipc_fail(PIPC_E_INVALID, "new memory needs a size");
    if (error)
        return error;
    struct pipc_shm *shm = calloc(1, sizeof *shm);
    if (!shm)
        return pipc_fail(PIPC_E_NO_MEMORY, "no memory for a handle of %zu bytes", sizeof *shm);
    shm->rights = rights;
    pipc_call_enter(&call, 0);
    pipc_self_refresh();
    error = pipc_call_leave(&call, open_object(shm, name, flags, options ? options : &none));
    if (error)
        free(shm);
    else
        *out = shm;
    return error;
}

/* ---- mappings ---- */

static void populate(const void *address, uint64_t size)
{
    for (uint64_t at = 0; at < size; at += pipc_page())
        (void)((const volatile unsigned char *)address)[at];
}

/* A mapping begins with the header page, and is advised whole: half of it would be another mapping to
 * the kernel, and counted as one. */
static int advise(const struct pipc_shm *shm, struct mapping *mapping, uint32_t flags)
{
    void *whole = (char *)mapping->address - pipc_page();
    size_t length = (size_t)shm->size + pipc_page();
    int error = flags & PIPC_HUGE ? pipc_use_huge_pages(whole, length) : 0;
    if (!error && (flags & PIPC_LOCK) && !(error = pipc_lock_pages(whole, length)))
        mapping->locked = true;
    if (!error && (flags & PIPC_PREFAULT))
        populate(mapping->address, shm->size);
    return error;
}

/* `mapping` is not in the list. */
static void unmap(struct pipc_shm *shm, const struct mapping *mapping)
{
    void *other = shm->mappings ? shm->mappings->address : NULL;
    if (mapping->locked)
        pipc_unlock_pages((char *)mapping->address - pipc_page(), (size_t)shm->size + pipc_page());
    pipc_be_memory_unmap(shm->memory, mapping->address, other);
}

/* ---- closing and removing ---- */

int pipc_shm_close(pipc_shm *shm)
{
    struct pipc_call call;
    pipc_calling(__func__, NULL);
    if (!shm)
        return 0;
    enter(&call);
    while (shm->mappings) {
        struct mapping *mapping = shm->mappings;
        shm->mappings = mapping->next;
        unmap(shm, mapping);
        free(mapping);
    }
    pipc_be_memory_close(shm->memory);
    leave(&call, 0);
    free(shm);
    return 0;
}

int pipc_shm_remove(const char *name)
{
    pipc_calling(__func__, name);
    return pipc_remove(PIPC_KIND_SHM, name, 0, NULL);
}

/* ---- mapping and unmapping ---- */

static int map(struct pipc_shm *shm, uint32_t flags, void **address)
{
    struct mapping *mapping = calloc(1, sizeof *mapping);
    if (!mapping)
        return pipc_fail(PIPC_E_NO_MEMORY, "no memory to note a mapping");
    int error = pipc_be_memory_map(shm->memory, flags & (PIPC_READ | PIPC_WRITE), &mapping->address);
    if (!error && (error = advise(shm, mapping, flags)))
        unmap(shm, mapping);
    if (error) {
        free(mapping);
        return error;
    }
    mapping->next = shm->mappings;
    shm->mappings = mapping;
    *address = mapping->address;
    return 0;
}

static int check_rights(const struct pipc_shm *shm, uint32_t flags)
{
    if ((flags & ~(PIPC_READ | PIPC_WRITE | PIPC_PREFAULT | PIPC_LOCK | PIPC_HUGE)) || !(flags & PIPC_READ))
        return pipc_fail(PIPC_E_INVALID, "flags 0x%x do not make a mapping; PIPC_READ is the least", flags);
    if (flags & (PIPC_READ | PIPC_WRITE) & ~shm->rights)
        return pipc_fail(PIPC_E_ACCESS, "the memory was opened without the right to %s",
                         flags & PIPC_WRITE & ~shm->rights ? "write" : "read");
    return 0;
}

int pipc_shm_map(pipc_shm *shm, uint32_t flags, void **address)
{
    struct pipc_call call;
    if (address)
        *address = NULL;
    int error = begin(&call, __func__, shm);
    if (error)
        return error;
    error = address ? check_ready(shm) : pipc_fail(PIPC_E_INVALID, "the address is NULL");
    if (!error)
        error = check_rights(shm, flags);
    return leave(&call, error ? error : map(shm, flags, address));
}

int pipc_shm_unmap(pipc_shm *shm, void *address)
{
    struct pipc_call call;
    int error = begin(&call, __func__, shm);
    if (error)
        return error;
    struct mapping **link = &shm->mappings;
    while (*link && (*link)->address != address)
        link = &(*link)->next;
    struct mapping *found = *link;
    if (!found)
        return leave(&call, pipc_fail(PIPC_E_INVALID, "%p is no mapping of this handle", address));
    *link = found->next;
    unmap(shm, found);
    free(found);
    return leave(&call, 0);
}

/* ---- looking ---- */

int pipc_shm_size(pipc_shm *shm, uint64_t *size)
{
    struct pipc_call call;
    int error = begin(&call, __func__, shm);
    if (error)
        return error;
    error = size ? check_ready(shm) : pipc_fail(PIPC_E_INVALID, "the size is NULL");
    if (!error)
        *size = shm->size;
    return leave(&call, error);
}

static int tell(const struct pipc_shm *shm, pipc_shm_info *info)
{
    const struct pipc_object *object = pipc_be_memory_object(shm->memory);
    memset(info, 0, sizeof *info);
    info->size = shm->size;
    info->created = object->created;
    info->creator = object->creator;
    info->owner = pipc_be_memory_owner(shm->memory);
    info->mode = object->mode;
    info->backend = pipc_be_name;
    return pipc_be_memory_attachments(shm->memory, &info->attachments);
}

int pipc_shm_statistics(pipc_shm *shm, pipc_shm_info *info)
{
    struct pipc_call call;
    int error = begin(&call, __func__, shm);
    if (error)
        return error;
    error = info ? check_ready(shm) : pipc_fail(PIPC_E_INVALID, "the info is NULL");
    return leave(&call, error ? error : tell(shm, info));
}
