/* The life of a channel and of its handles: open, create, close, remove, look at. */
#include <stdlib.h>
#include <string.h>

#include "core/call.h"
#include "core/channel.h"
#include "core/object.h"

/* ---- options ---- */

static uint64_t power_of_two(uint64_t size)
{
    uint64_t power = PIPC_CHANNEL_SIZE_MIN;
    while (power < size)
        power *= 2;
    return power;
}

static int check_options(const pipc_channel_options *options)
{
    if (options->size && (options->size < PIPC_CHANNEL_SIZE_MIN || options->size > PIPC_CHANNEL_SIZE_MAX))
        return pipc_fail(PIPC_E_INVALID, "a ring of %llu bytes is not in %u to %llu", (unsigned long long)options->size,
                         PIPC_CHANNEL_SIZE_MIN, (unsigned long long)PIPC_CHANNEL_SIZE_MAX);
    if (options->producers > PIPC_PRODUCERS_MANY)
        return pipc_fail(PIPC_E_INVALID, "%u is none of enum pipc_producers", options->producers);
    if (options->delivery > PIPC_DELIVER_LATEST)
        return pipc_fail(PIPC_E_INVALID, "%u is none of enum pipc_delivery", options->delivery);
    if (options->subscribers > PIPC_SUBSCRIBERS_MAX)
        return pipc_fail(PIPC_E_INVALID, "%u subscribers are above %u", options->subscribers, PIPC_SUBSCRIBERS_MAX);
    for (size_t i = 0; i < sizeof options->reserved / sizeof *options->reserved; i++)
        if (options->reserved[i])
            return pipc_fail(PIPC_E_INVALID, "a reserved field of the options is not 0");
    return pipc_mode_check(options->mode);
}

static void set_defaults(pipc_channel_options *options)
{
    options->size = power_of_two(options->size ? options->size : PIPC_DEFAULT_RING);
    if (!options->mode)
        options->mode = PIPC_DEFAULT_MODE;
    if (!options->producers)
        options->producers = PIPC_PRODUCERS_ONE;
    if (!options->delivery)
        options->delivery = PIPC_DELIVER_ONCE;
    if (!options->subscribers)
        options->subscribers = PIPC_DEFAULT_SUBSCRIBERS;
}

static uint32_t readers_of(uint32_t delivery, uint32_t subscribers)
{
    return delivery == PIPC_DELIVER_ONCE ? 1 : subscribers;
}

/* ---- where everything lies ---- */

/* The figures are copied before they are checked: a peer may change them at any time. */
static int attach(struct pipc_channel *channel, uint64_t bytes)
{
    struct pipc_channel_control figures = {0};
    const volatile struct pipc_channel_control *control = channel->data;
    if (bytes < sizeof *control)
        return pipc_fail(PIPC_E_DAMAGED, "the channel has no room for its control area; remove the channel");
    figures.ring_size = control->ring_size;
    figures.producers = control->producers;
    figures.delivery = control->delivery;
    figures.readers = control->readers;
    if (!pipc_channel_is_possible(&figures, bytes))
        return pipc_fail(PIPC_E_DAMAGED,
                         "the channel's figures are impossible: a ring of %llu bytes, %u readers, in %llu bytes; "
                         "remove the channel",
                         (unsigned long long)figures.ring_size, figures.readers, (unsigned long long)bytes);
    channel->control = channel->data;
    channel->reader_at = (unsigned char *)channel->data + sizeof *control;
    channel->ring.bytes = (unsigned char *)channel->data + pipc_channel_ring_at(figures.readers);
    channel->ring.size = figures.ring_size;
    channel->readers = figures.readers;
    channel->delivery = figures.delivery;
    channel->many = figures.producers == PIPC_PRODUCERS_MANY;
    channel->max_size = pipc_ring_largest(figures.ring_size);
    return 0;
}

/* ---- making and opening ---- */

static void build(struct pipc_channel *channel, const pipc_channel_options *options)
{
    struct pipc_channel_control *control = channel->data;
    control->ring_size = options->size;
    control->producers = options->producers;
    control->delivery = options->delivery;
    control->readers = readers_of(options->delivery, options->subscribers);
    control->writer.limit = options->size;
}

static int check_asked(const struct pipc_channel *channel, const char *name, const pipc_channel_options *asked)
{
    uint64_t size = asked->size ? power_of_two(asked->size) : 0;
    uint32_t has = channel->many ? PIPC_PRODUCERS_MANY : PIPC_PRODUCERS_ONE;
    uint32_t subscribers = channel->delivery == PIPC_DELIVER_ONCE ? 0 : asked->subscribers;
    int error = pipc_option_check(name, "size", size, channel->ring.size);
    if (!error)
        error = pipc_option_check(name, "producers", asked->producers, has);
    if (!error)
        error = pipc_option_check(name, "delivery", asked->delivery, channel->delivery);
    if (!error)
        error = pipc_option_check(name, "subscribers", subscribers, channel->readers);
    return error ? error : pipc_option_check(name, "mode", asked->mode, channel->object->mode);
}

static void discard(struct pipc_channel *channel, bool built)
{
    if (channel->data)
        pipc_be_memory_unmap(channel->memory, channel->data, NULL);
    if (channel->memory) {
        if (built)
            pipc_be_memory_abandon(channel->memory);
        else
            pipc_be_memory_close(channel->memory);
    }
    channel->data = NULL;
    channel->memory = NULL;
}

/* An existing channel: may this process have what it asks for, and is it what it expects? */
static int check_joined(const struct pipc_channel *channel, const char *name, uint32_t flags,
                        const pipc_channel_options *asked)
{
    int error = pipc_namespace_check(channel->object, flags);
    if (!error)
        error = check_asked(channel, name, asked);
    if (!error)
        error = pipc_rights_check(channel->object, pipc_be_memory_owner(channel->memory),
                                  pipc_be_memory_group(channel->memory), channel->rights);
    return error;
}

static int publish(struct pipc_channel *channel)
{
    int error = pipc_be_memory_publish(channel->memory);
    if (error) { /* it is closed, with its mapping */
        channel->memory = NULL;
        channel->data = NULL;
    }
    return error;
}

/* A subscriber misses nothing from now on. What he needs is there before others see a new channel: nothing fails later.
 */
static int join(struct pipc_channel *channel)
{
    struct pipc_reader *reader;
    uint64_t mine = pipc_who()->pid_namespace;
    channel->nonce = channel->object->nonce;
    channel->pid_namespace = mine == channel->object->pid_namespace ? mine : 0;
    return channel->rights & PIPC_READ ? pipc_channel_reader_of(channel, &reader) : 0;
}

static int open_once(struct pipc_channel *channel, struct pipc_be_request *request, const pipc_channel_options *asked,
                     uint32_t flags)
{
    bool is_new = false;
    pipc_channel_options options = *asked;
    set_defaults(&options);
    request->size = pipc_channel_ring_at(readers_of(options.delivery, options.subscribers)) + options.size;
    int error = pipc_be_memory_open(&channel->memory, request, &is_new);
    if (error)
        return error;
    channel->object = pipc_be_memory_object(channel->memory);
    error = pipc_be_memory_map(channel->memory, PIPC_READ | PIPC_WRITE, &channel->data);
    if (!error && is_new)
        build(channel, &options);
    PIPC_POINT("channel: opened, not attached");
    if (!error)
        error = attach(channel, pipc_be_memory_size(channel->memory));
    if (!error && !is_new)
        error = check_joined(channel, request->name, flags, asked);
    if (!error)
        error = join(channel);
    if (!error && is_new)
        error = publish(channel);
    if (error) {
        pipc_channel_forget_subscriptions(channel);
        discard(channel, is_new);
    }
    return error;
}

static int open_channel(struct pipc_channel *channel, const char *name, uint32_t flags,
                        const pipc_channel_options *asked)
{
    uint32_t mode = asked->mode ? asked->mode : PIPC_DEFAULT_MODE;
    struct pipc_be_request request = {
        .kind = PIPC_KIND_CHANNEL,
        .name = name,
        .flags = (flags & (PIPC_CREATE | PIPC_EXCLUSIVE)) | PIPC_READ | PIPC_WRITE,
        .mode = pipc_control_mode(mode),
        .asked_mode = mode,
        .deadline = pipc_now() + PIPC_BUILDER_PATIENCE,
    };
    return open_once(channel, &request, asked, flags);
}

int pipc_channel_open(pipc_channel **out, const char *name, uint32_t flags, const pipc_channel_options *options)
{
    static const pipc_channel_options none;
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
    struct pipc_channel *channel = calloc(1, sizeof *channel);
    if (!channel)
        return pipc_fail(PIPC_E_NO_MEMORY, "no memory for a handle of %zu bytes", sizeof *channel);
    channel->rights = rights;
    channel->no_spin = flags & PIPC_NO_SPIN;
    pipc_call_enter(&call, 0);
    pipc_self_refresh();
    error = pipc_call_leave(&call, open_channel(channel, name, flags, options ? options : &none));
    if (error)
        free(channel);
    else
        *out = channel;
    return error;
}

int pipc_channel_close(pipc_channel *channel)
{
    struct pipc_call call;
    pipc_calling(__func__, NULL);
    if (!channel)
        return 0;
    pipc_call_enter(&call, 0);
    pipc_channel_drop_reservations(channel);
    pipc_channel_drop_peek(channel);
    pipc_channel_unsubscribe(channel);
    discard(channel, false);
    free(channel);
    return pipc_call_leave(&call, 0);
}

/* ---- removing ---- */

static void wake_everybody(void *data)
{
    struct pipc_channel_control *control = data;
    pipc_word_bump_all(&control->items);
    pipc_word_bump_all(&control->room);
}

int pipc_channel_remove(const char *name)
{
    pipc_calling(__func__, name);
    return pipc_remove(PIPC_KIND_CHANNEL, name, sizeof(struct pipc_channel_control), wake_everybody);
}

/* ---- looking, interrupting ---- */

static void describe(struct pipc_channel *channel, pipc_channel_info *info)
{
    memset(info, 0, sizeof *info);
    for (uint32_t i = 0; i < channel->readers; i++)
        pipc_channel_tell_reader(pipc_channel_reader(channel, i), channel->delivery, info);
    pipc_channel_tell(channel->control, channel->object, info);
    info->owner = pipc_be_memory_owner(channel->memory);
    info->size = channel->ring.size;
    info->max_size = channel->max_size;
}

int pipc_channel_statistics(pipc_channel *channel, pipc_channel_info *info)
{
    struct pipc_call call;
    pipc_calling(__func__, channel ? channel->object->name : NULL);
    if (!channel || !info)
        return pipc_fail(PIPC_E_INVALID, "the %s is NULL", channel ? "info" : "channel");
    int error = pipc_channel_check(channel, 0);
    if (!error)
        error = pipc_call_begin(&call, channel->nonce);
    if (error)
        return error;
    describe(channel, info);
    return pipc_call_end(&call, 0);
}

int pipc_channel_interrupt(pipc_channel *channel)
{
    if (!channel) {
        pipc_calling(__func__, NULL);
        return pipc_fail(PIPC_E_INVALID, "the channel is NULL");
    }
    if (!pipc_object_is_ready(channel->object))
        return PIPC_E_REMOVED; /* without a sentence: this may be a signal handler */
    atomic_store(&channel->interrupts.pending, 1);
    atomic_fetch_add(&channel->interrupts.count, 1);
    wake_everybody(channel->control);
    return 0;
}
