/* The calls on the channels; see prey.h. */
#include "prey.h"

#include <string.h>

#include "watch.h"

enum { CANARY = 0x5a, PEEKS = 8 };

static const char *const call_names[PREY_CALLS] = {"send",
                                                   "send of the largest",
                                                   "reserve and commit",
                                                   "reserve and cancel",
                                                   "receive",
                                                   "receive into too little",
                                                   "receive cut off",
                                                   "peek and release all",
                                                   "peek and release some",
                                                   "statistics",
                                                   "interrupt",
                                                   "send after a death",
                                                   "receive after a death",
                                                   "open",
                                                   "open or create",
                                                   "create",
                                                   "remove"};

const char *prey_call_name(enum prey_call call)
{
    return call_names[call];
}

int64_t prey_span(void)
{
    static unsigned turn;
    return turn++ % 2 ? PIPC_NOWAIT : PIPC_MS(1);
}

int prey_receive(struct prey *it, pipc_channel *channel, uint64_t room, uint32_t flags)
{
    unsigned char *to = it->body + PREY_RING - room;
    memset(it->body, CANARY, PREY_RING);
    pipc_record record = {.data = to, .size = room, .flags = flags};
    int error = pipc_channel_receive(channel, &record, prey_span());
    for (unsigned char *at = it->body; at < to; at++)
        REQUIRE_EQUAL(*at, CANARY);
    if (error == 0)
        CHECK(record.size <= channel->max_size && (record.size <= room || flags));
    else
        CHECK(error == PIPC_E_TOO_SMALL || record.size == room);
    return error;
}

static bool is_inside(const pipc_channel *channel, const pipc_record *record)
{
    const unsigned char *first = record->data, *ring = channel->ring.bytes;
    return first >= ring && first + record->size <= ring + channel->ring.size && record->size <= channel->max_size;
}

static void do_between(const struct prey *it)
{
    if (it->between)
        it->between(it->between_argument);
}

static int peek(struct prey *it, pipc_channel *channel, bool all)
{
    pipc_record records[PEEKS] = {0};
    uint32_t count = PEEKS;
    int error = pipc_channel_peek(channel, records, &count, prey_span());
    if (error)
        return error;
    CHECK(count >= 1 && count <= PEEKS);
    for (uint32_t i = 0; i < count; i++)
        CHECK(is_inside(channel, &records[i]));
    do_between(it);
    error = pipc_channel_release(channel, all ? count : count / 2);
    return error == PIPC_E_OVERRUN ? 0 : error;
}

static int reserve(struct prey *it, pipc_channel *channel, bool commit)
{
    pipc_record records[2] = {{.size = PREY_SIZE}, {.size = 300}};
    uint32_t count = 0;
    int error = 0;
    for (; count < 2 && !error; count += !error)
        error = pipc_channel_reserve(channel, &records[count], count ? PIPC_NOWAIT : prey_span());
    if (!count)
        return error;
    for (uint32_t i = 0; i < count; i++) {
        REQUIRE(is_inside(channel, &records[i]));
        memset(records[i].data, 7, records[i].size);
    }
    do_between(it);
    return (commit ? pipc_channel_commit : pipc_channel_cancel)(channel, records, count);
}

static int send(struct prey *it, pipc_channel *channel, uint64_t size)
{
    return pipc_channel_send(channel, &(pipc_record){.data = it->body, .size = size}, prey_span());
}

/* A handle that could be opened must be as safe to use as any other. */
static int join_and_use(struct prey *it, unsigned kind, uint32_t flags)
{
    pipc_channel *late = NULL;
    pipc_channel_info info;
    int error = prey_open(&late, kind, flags);
    CHECK((late == NULL) == (error != 0));
    if (error)
        return error;
    prey_receive(it, late, PREY_RING / 4, 0);
    send(it, late, PREY_SIZE);
    pipc_channel_statistics(late, &info);
    return pipc_channel_close(late);
}

int prey_call(struct prey *it, unsigned kind, enum prey_call call)
{
    pipc_channel *channel = it->kinds[kind].channel;
    pipc_channel_info info;
    switch (call) {
    case PREY_SEND:
    case PREY_SEND_AFTER_DEATH:
        return send(it, channel, PREY_SIZE);
    case PREY_SEND_LARGEST:
        return send(it, channel, channel->max_size);
    case PREY_COMMIT:
        return reserve(it, channel, true);
    case PREY_CANCEL:
        return reserve(it, channel, false);
    case PREY_RECEIVE:
    case PREY_RECEIVE_AFTER_DEATH:
        return prey_receive(it, channel, PREY_RING / 4, 0);
    case PREY_RECEIVE_LITTLE:
        return prey_receive(it, channel, 1, 0);
    case PREY_RECEIVE_CUT:
        return prey_receive(it, channel, 10, PIPC_TRUNCATE);
    case PREY_RELEASE_ALL:
        return peek(it, channel, true);
    case PREY_RELEASE_SOME:
        return peek(it, channel, false);
    case PREY_STATISTICS:
        return pipc_channel_statistics(channel, &info);
    case PREY_INTERRUPT:
        return pipc_channel_interrupt(channel);
    case PREY_OPEN:
        return join_and_use(it, kind, 0);
    case PREY_OPEN_OR_CREATE:
        return join_and_use(it, kind, PIPC_CREATE);
    case PREY_CREATE:
        return join_and_use(it, kind, PIPC_CREATE | PIPC_EXCLUSIVE);
    default:
        return pipc_channel_remove(prey_name(kind));
    }
}

void prey_watched_call(struct prey *it, unsigned kind, enum prey_call call)
{
    watch_call_begins();
    int error = prey_call(it, kind, call);
    watch_call_ends();
    CHECK(error != PIPC_E_SYSTEM);
    CHECK(error >= 0 && strcmp(pipc_error_name(error), "PIPC_E_?") != 0);
    if (call >= PREY_OPEN) /* whatever it left under the name */
        prey_make_anew(it, kind);
}
