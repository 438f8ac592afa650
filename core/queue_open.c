/* The life of a queue and of its handles: open, create, close, remove, look at. */
#include <stdlib.h>
#include <string.h>

#include "core/call.h"
#include "core/control.h"
#include "core/object.h"
#include "core/platform.h"
#include "core/slot.h"

#define LEAST_KERNEL_BODY 224 /* worth having before creation fails for lack of a larger kernel queue */

int pipc_queue_removed(void)
{
    return pipc_fail(PIPC_E_REMOVED, "the queue was removed; close the handle");
}

int pipc_queue_verdict(const struct pipc_queue *queue, int error)
{
    bool settled = error == 0 || error == PIPC_E_TOO_SMALL;
    return settled || pipc_object_is_ready(queue->object) ? error : pipc_queue_removed();
}

int pipc_queue_refuse(const struct pipc_queue *queue, uint32_t right)
{
    if (!pipc_object_is_ready(queue->object))
        return pipc_queue_removed();
    return pipc_fail(PIPC_E_ACCESS, "the queue was opened without the right to %s",
                     right == PIPC_SEND ? "send" : "receive");
}

/* ---- options ---- */

static int check_options(const pipc_queue_options *options)
{
    if (options->max_messages > PIPC_MESSAGES_MAX)
        return pipc_fail(PIPC_E_INVALID, "max_messages %u is above %u", options->max_messages, PIPC_MESSAGES_MAX);
    if (options->max_size > PIPC_MESSAGE_SIZE_MAX)
        return pipc_fail(PIPC_E_INVALID, "max_size %llu is above %u", (unsigned long long)options->max_size,
                         PIPC_MESSAGE_SIZE_MAX);
    for (size_t i = 0; i < sizeof options->reserved / sizeof *options->reserved; i++)
        if (options->reserved[i])
            return pipc_fail(PIPC_E_INVALID, "a reserved field of the options is not 0");
    return pipc_mode_check(options->mode);
}

static void set_defaults(pipc_queue_options *options)
{
    if (!options->max_messages)
        options->max_messages = PIPC_DEFAULT_MESSAGES;
    if (!options->max_size)
        options->max_size = PIPC_DEFAULT_SIZE;
    if (!options->mode)
        options->mode = PIPC_DEFAULT_MODE;
}

/* ---- making and opening ---- */

static uint32_t kernel_ask(uint64_t max_size)
{
    uint32_t size, depth;
    pipc_be_queue_limits(&size, &depth);
    uint64_t need = sizeof(struct pipc_envelope) + max_size;
    if (need > size)
        need = size;
    return need < sizeof(struct pipc_envelope) ? sizeof(struct pipc_envelope) : (uint32_t)need;
}

/* Only now is the kernel queue made, and the object shown to others. */
static int build(struct pipc_queue *queue, const pipc_queue_options *options, uint32_t ask)
{
    struct pipc_control *control = queue->data;
    uint32_t least = sizeof(struct pipc_envelope) + LEAST_KERNEL_BODY;
    control->max_messages = options->max_messages;
    control->max_size = options->max_size;
    control->kernel_ask = ask;
    PIPC_POINT("create: no kernel queue yet");
    /* model: names_sysv.pml, build */
    int error = pipc_be_queue_create(&queue->kernel, queue->memory, options->max_messages, ask,
                                     least < ask ? least : ask, options->mode);
    return error ? error : pipc_control_attach(queue, queue->data, pipc_be_memory_size(queue->memory));
}

static int join(struct pipc_queue *queue, const char *name, uint32_t flags, const pipc_queue_options *asked)
{
    int error = pipc_namespace_check(queue->object, flags);
    PIPC_POINT("open: found, kernel queue not open");
    if (!error)
        error = pipc_control_attach(queue, queue->data, pipc_be_memory_size(queue->memory));
    if (!error)
        error = pipc_option_check(name, "max_messages", asked->max_messages, queue->max_messages);
    if (!error)
        error = pipc_option_check(name, "max_size", asked->max_size, queue->max_size);
    if (!error)
        error = pipc_option_check(name, "mode", asked->mode, queue->object->mode);
    if (!error)
        error = pipc_be_queue_open(&queue->kernel, queue->memory, queue->object, queue->rights);
    return error;
}

/* Touches the staging buffer: the kernel shall never have to map its pages in the middle of a take. */
static void settle(struct pipc_queue *queue)
{
    uint64_t mine = pipc_self_namespace();
    queue->pid_namespace = mine == queue->object->pid_namespace ? mine : 0;
    const volatile unsigned char *staging = (const volatile unsigned char *)queue->staging;
    for (uint32_t at = 0; at < queue->kernel_size; at += 1024)
        (void)staging[at];
}

static void discard(struct pipc_queue *queue, bool built)
{
    if (queue->kernel)
        pipc_be_queue_close(queue->kernel);
    if (queue->data)
        pipc_be_memory_unmap(queue->memory, queue->data, NULL);
    if (queue->memory) {
        if (built)
            pipc_be_memory_abandon(queue->memory);
        else
            pipc_be_memory_close(queue->memory);
    }
    queue->kernel = NULL;
    queue->data = NULL;
    queue->memory = NULL;
}

static int open_once(struct pipc_queue *queue, struct pipc_be_request *request, const pipc_queue_options *asked,
                     uint32_t flags)
{
    bool is_new = false;
    pipc_queue_options options = *asked;
    set_defaults(&options);
    uint32_t ask = kernel_ask(options.max_size);
    request->size = pipc_control_bytes(options.max_messages, options.max_size, ask);
    int error = pipc_be_memory_open(&queue->memory, request, &is_new);
    if (error)
        return error;
    queue->object = pipc_be_memory_object(queue->memory);
    error = pipc_be_memory_map(queue->memory, PIPC_READ | PIPC_WRITE, &queue->data);
    if (!error)
        error = is_new ? build(queue, &options, ask) : join(queue, request->name, flags, asked);
    if (!error)
        settle(queue);
    if (!error && is_new) {
        error = pipc_be_memory_publish(queue->memory);
        if (error) { /* it is closed, with its mapping */
            queue->memory = NULL;
            queue->data = NULL;
        }
    }
    if (error && !is_new && !pipc_object_is_ready(queue->object))
        error = PIPC_E_REMOVED; /* between its opening and ours of the kernel queue */
    if (error)
        discard(queue, is_new);
    return error;
}

/* A queue that is removed while it is being opened was never there for this caller. */
static int open_queue(struct pipc_queue *queue, const char *name, uint32_t flags, const pipc_queue_options *asked)
{
    uint32_t mode = asked->mode ? asked->mode : PIPC_DEFAULT_MODE;
    struct pipc_be_request request = {
        .kind = PIPC_KIND_QUEUE,
        .name = name,
        .flags = (flags & (PIPC_CREATE | PIPC_EXCLUSIVE)) | PIPC_READ | PIPC_WRITE,
        .mode = pipc_control_mode(mode),
        .asked_mode = mode,
        .deadline = pipc_now() + PIPC_BUILDER_PATIENCE,
    };
    int error;
    int64_t nap = 0;
    do
        error = open_once(queue, &request, asked, flags);
    while (error == PIPC_E_REMOVED && pipc_nap(&nap, request.deadline));
    if (error == PIPC_E_REMOVED)
        error = pipc_fail(PIPC_E_BUSY, "\"%s\" is removed again and again", name);
    return error;
}

int pipc_queue_open(pipc_queue **out, const char *name, uint32_t flags, const pipc_queue_options *options)
{
    static const pipc_queue_options none;
    const uint32_t allowed = PIPC_CREATE | PIPC_EXCLUSIVE | PIPC_READ | PIPC_WRITE | PIPC_FOREIGN_PIDS | PIPC_NO_SPIN;
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
    if (error)
        return error;
    struct pipc_queue *queue = calloc(1, sizeof *queue);
    if (!queue)
        return pipc_fail(PIPC_E_NO_MEMORY, "no memory for a handle of %zu bytes", sizeof *queue);
    queue->rights = rights;
    queue->no_spin = flags & PIPC_NO_SPIN;
    pipc_call_enter(&call, 0);
    pipc_self_refresh();
    error = pipc_call_leave(&call, open_queue(queue, name, flags, options ? options : &none));
    if (error)
        free(queue);
    else
        *out = queue;
    return error;
}

int pipc_queue_close(pipc_queue *queue)
{
    struct pipc_call call;
    pipc_calling(__func__, NULL);
    if (!queue)
        return 0;
    pipc_call_enter(&call, 0);
    discard(queue, false);
    free(queue);
    return pipc_call_leave(&call, 0);
}

/* ---- removing ---- */

static void wake_everybody(void *data)
{
    struct pipc_control *control = data;
    pipc_word_bump_all(&control->items);
    pipc_word_bump_all(&control->picky);
    pipc_word_bump_all(&control->room);
}

int pipc_queue_remove(const char *name)
{
    pipc_calling(__func__, name);
    return pipc_remove(PIPC_KIND_QUEUE, name, sizeof(struct pipc_control), wake_everybody);
}

/* ---- looking, interrupting ---- */

static void count_messages(struct pipc_queue *queue, pipc_queue_info *info)
{
    for (uint32_t slot = 0; slot < queue->max_messages; slot++) {
        enum pipc_slot_state state = pipc_word_state(atomic_load(&queue->words[slot]));
        if (state != PIPC_SLOT_SENT && state != PIPC_SLOT_FULL)
            continue;
        info->messages++;
        info->bytes += atomic_load_explicit(&queue->slots[slot].length, memory_order_relaxed);
    }
}

static void describe(struct pipc_queue *queue, pipc_queue_info *info)
{
    memset(info, 0, sizeof *info);
    count_messages(queue, info);
    pipc_control_tell(queue->control, queue->object, info);
    info->owner = pipc_be_memory_owner(queue->memory);
    info->max_size = queue->max_size;
    info->max_messages = queue->max_messages;
    info->kernel_size = pipc_kernel_body_max(queue);
}

int pipc_queue_statistics(pipc_queue *queue, pipc_queue_info *info)
{
    struct pipc_call call;
    pipc_calling(__func__, queue ? queue->object->name : NULL);
    if (!queue || !info)
        return pipc_fail(PIPC_E_INVALID, "the %s is NULL", queue ? "info" : "queue");
    int error = pipc_queue_check(queue, 0);
    if (!error)
        error = pipc_call_enter(&call, queue->nonce);
    if (error)
        return error;
    describe(queue, info);
    return pipc_call_leave(&call, 0);
}

int pipc_queue_interrupt(pipc_queue *queue)
{
    if (!queue) {
        pipc_calling(__func__, NULL);
        return pipc_fail(PIPC_E_INVALID, "the queue is NULL");
    }
    if (!pipc_object_is_ready(queue->object))
        return PIPC_E_REMOVED; /* without a sentence: this may be a signal handler */
    atomic_store(&queue->interrupts.pending, 1);
    atomic_fetch_add(&queue->interrupts.count, 1); /* model: wait.pml, interrupter */
    wake_everybody(queue->control);
    return 0;
}
