/* Names and headers of objects: the same on every kernel family. */
#include "core/object.h"

#include <inttypes.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#include "core/platform.h"

bool pipc_name_is_legal(const char *name)
{
    size_t length = strnlen(name, PIPC_NAME_MAX + 1);
    if (length == 0 || length > PIPC_NAME_MAX || strcmp(name, ".") == 0 || strcmp(name, "..") == 0)
        return false;
    for (size_t i = 0; i < length; i++) {
        unsigned char byte = (unsigned char)name[i];
        if (byte == '/' || byte < 0x20 || byte == 0x7f)
            return false;
    }
    return true;
}

int pipc_name_check(const char *name)
{
    if (!name)
        return pipc_fail(PIPC_E_INVALID, "the name is NULL");
    size_t length = strnlen(name, PIPC_NAME_MAX + 1);
    if (length == 0 || length > PIPC_NAME_MAX)
        return pipc_fail(PIPC_E_NAME, "a name has 1 to %d bytes, this one has %s", PIPC_NAME_MAX,
                         length ? "more" : "none");
    if (strcmp(name, ".") == 0 || strcmp(name, "..") == 0)
        return pipc_fail(PIPC_E_NAME, "\"%s\" is no name; choose another", name);
    for (size_t i = 0; i < length; i++) {
        unsigned char byte = (unsigned char)name[i];
        if (byte == '/' || byte < 0x20 || byte == 0x7f)
            return pipc_fail(PIPC_E_NAME, "byte %zu of the name is 0x%02x; '/' and control characters are not allowed",
                             i, byte);
    }
    return 0;
}

int pipc_mode_check(uint32_t mode)
{
    if (mode & ~0666u)
        return pipc_fail(PIPC_E_INVALID, "mode 0%o has bits outside 0666", mode);
    if (mode && (mode & 0600u) != 0600u)
        return pipc_fail(PIPC_E_INVALID, "mode 0%o takes rights from the owner; give it 0600", mode);
    return 0;
}

uint32_t pipc_control_mode(uint32_t mode)
{
    uint32_t wide = 0;
    for (uint32_t class = 0; class < 9; class += 3)
        if (mode >> class & 6)
            wide |= 6u << class;
    return wide;
}

int pipc_namespace_check(const struct pipc_object *object, uint32_t flags)
{
    uint64_t mine = pipc_self_namespace();
    if ((flags & PIPC_FOREIGN_PIDS) || !mine || !object->pid_namespace || mine == object->pid_namespace)
        return 0;
    return pipc_fail(PIPC_E_NAMESPACE,
                     "\"%.*s\" was made in another pid namespace, where the death of a peer cannot be seen from here; "
                     "open it with PIPC_FOREIGN_PIDS to do without the repair",
                     PIPC_NAME_MAX, object->name);
}

int pipc_open_flags_check(uint32_t flags, uint32_t allowed, uint32_t *rights)
{
    if (flags & ~allowed)
        return pipc_fail(PIPC_E_INVALID, "unknown flags 0x%x", flags & ~allowed);
    if ((flags & PIPC_EXCLUSIVE) && !(flags & PIPC_CREATE))
        return pipc_fail(PIPC_E_INVALID, "PIPC_EXCLUSIVE needs PIPC_CREATE");
    *rights = flags & (PIPC_READ | PIPC_WRITE);
    if (!*rights)
        *rights = PIPC_READ | PIPC_WRITE;
    return 0;
}

int pipc_option_check(const char *name, const char *option, uint64_t asked, uint64_t has)
{
    if (!asked || asked == has)
        return 0;
    const char *format = strcmp(option, "mode") == 0 ? "\"%s\" exists with %s 0%" PRIo64 ", asked for 0%" PRIo64
                                                     : "\"%s\" exists with %s %" PRIu64 ", asked for %" PRIu64;
    return pipc_fail(PIPC_E_MISMATCH, format, name, option, has, asked);
}

static bool is_in_group(gid_t group)
{
    gid_t groups[1024]; /* the kernel knows more only on special machines; those past the end do not count */
    int count = getgroups(sizeof groups / sizeof *groups, groups);
    for (int i = 0; i < count; i++)
        if (groups[i] == group)
            return true;
    return getegid() == group;
}

int pipc_rights_check(const struct pipc_object *object, uint32_t owner, uint32_t group, uint32_t rights)
{
    uint32_t mode = object->mode, me = geteuid();
    uint32_t bits = me == owner ? mode >> 6 : is_in_group((gid_t)group) ? mode >> 3 : mode;
    uint32_t granted = (bits & 4 ? PIPC_READ : 0) | (bits & 2 ? PIPC_WRITE : 0);
    if (me == 0 || (rights & ~granted) == 0)
        return 0;
    return pipc_fail(PIPC_E_ACCESS, "the mode 0%o does not let this user %s", mode,
                     rights & ~granted & PIPC_READ ? "receive" : "send");
}

const char *pipc_kind_word(uint32_t kind)
{
    static const char *const words[] = {NULL, "queue", "shm", "channel"};
    return kind < sizeof words / sizeof *words ? words[kind] : NULL;
}

/* FNV-1a with a final mix, so that short names spread over all 32 bits. */
uint32_t pipc_name_hash(uint32_t kind, const char *name)
{
    uint32_t hash = (2166136261u ^ kind) * 16777619u;
    for (; *name; name++)
        hash = (hash ^ (unsigned char)*name) * 16777619u;
    hash ^= hash >> 16;
    hash *= 0x85ebca6bu;
    return hash ^ (hash >> 13);
}

size_t pipc_page(void)
{
    static _Atomic size_t page;
    size_t known = atomic_load_explicit(&page, memory_order_relaxed);
    if (!known) {
        known = (size_t)sysconf(_SC_PAGESIZE);
        atomic_store_explicit(&page, known, memory_order_relaxed);
    }
    return known;
}

void pipc_object_fill(struct pipc_object *object, const struct pipc_be_request *request, uint32_t owner)
{
    struct timespec now;
    clock_gettime(CLOCK_REALTIME, &now);
    object->layout = PIPC_OBJECT_LAYOUT;
    object->kind = request->kind;
    object->mode = request->asked_mode;
    object->nonce = pipc_random();
    object->size = request->size;
    object->created = PIPC_SECONDS(now.tv_sec) + now.tv_nsec;
    object->pid_namespace = pipc_self_namespace();
    object->owner = owner;
    object->creator = pipc_self_pid();
    object->queue_label = 0;
    object->queue_id = 0;
    object->queue_depth = 0;
    object->queue_size = 0;
    object->reserved = 0;
    memset(object->name, 0, sizeof object->name);
    memcpy(object->name, request->name, strlen(request->name));
    atomic_signal_fence(memory_order_seq_cst);
    object->magic = PIPC_OBJECT_MAGIC;
}

int pipc_object_check(const struct pipc_object *object, uint64_t bytes, uint32_t kind, const char *name)
{
    if (object->magic != PIPC_OBJECT_MAGIC)
        return PIPC_E_FOREIGN;
    if (object->layout != PIPC_OBJECT_LAYOUT)
        return PIPC_E_LAYOUT;
    if (!pipc_kind_word(object->kind))
        return PIPC_E_DAMAGED;
    if (object->size > bytes || !object->nonce || memchr(object->name, 0, sizeof object->name) == NULL)
        return PIPC_E_DAMAGED;
    if (object->kind != kind || strncmp(object->name, name, sizeof object->name) != 0)
        return PIPC_E_NOT_FOUND;
    return 0;
}
