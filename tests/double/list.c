/* What there is, see core/backend.h. Nobody dies in here without all others, so there is no garbage. */
#ifndef _GNU_SOURCE
#define _GNU_SOURCE
#endif
#include <string.h>
#include <unistd.h>

#include "private.h"

static uint32_t state_of(const struct pipc_object *object)
{
    switch (object->state & PIPC_STATE_MASK) {
    case PIPC_STATE_READY:
        return PIPC_FOUND_READY;
    case PIPC_STATE_DEAD:
        return PIPC_FOUND_REMOVED;
    default:
        return PIPC_FOUND_BUILDING;
    }
}

static void look(struct pipc_be_sight *sight)
{
    const struct thing *thing = sight->memory->thing;
    memcpy(&sight->object, thing->object, sizeof sight->object);
    memcpy(sight->name, sight->object.name, sizeof sight->name);
    sight->kind = sight->object.kind;
    sight->state = state_of(&sight->object);
    sight->doubt = sight->state == PIPC_FOUND_REMOVED ? "its remover lives in this very process" : NULL;
    sight->bytes = thing->size;
    sight->owner = sight->object.owner;
    sight->mode = sight->object.mode;
    pipc_be_memory_attachments(sight->memory, &sight->attachments);
    sight->attachments--; /* this one */
}

int pipc_be_each(bool (*visit)(struct pipc_be_sight *sight, void *argument), void *argument)
{
    bool go_on = true;
    for (unsigned nth = 0; go_on; nth++) {
        struct pipc_be_sight sight = {.memory = pipc_double_open_nth(nth)};
        if (!sight.memory)
            break;
        look(&sight);
        go_on = visit(&sight, argument);
        pipc_be_memory_close(sight.memory);
    }
    return 0;
}

bool pipc_be_sight_read(const struct pipc_be_sight *sight, uint64_t at, void *to, size_t bytes)
{
    const struct thing *thing = sight->memory->thing;
    return at <= thing->size && bytes <= thing->size - at &&
           pread(thing->fd, to, bytes, (off_t)(pipc_page() + at)) == (ssize_t)bytes &&
           state_of(thing->object) == PIPC_FOUND_READY;
}

bool pipc_be_sight_reap(struct pipc_be_sight *sight)
{
    (void)sight;
    return false;
}
