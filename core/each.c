/* All objects that there are, and the garbage among them. */
#include <inttypes.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "core/call.h"
#include "core/channel.h"
#include "core/control.h"
#include "core/object.h"
#include "core/slot.h"
#include "pipc/objects.h"

enum { WORDS_AT_ONCE = 512, SLOTS_AT_ONCE = 32, LONGEST_WHY = 240 };

struct walk {
    pipc_visitor *visit;
    void *argument;
    uint32_t me;
    bool reap;
};

/* ---- A queue's figures, read through copies: whoever may write it may write anything ---- */

/* Bytes of the bodies in the slots from `first` on whose words say that there is a message. */
static uint64_t sum_lengths(const struct pipc_be_sight *sight, uint64_t at, const uint64_t *words, uint32_t count,
                            uint64_t max_size)
{
    struct pipc_slot slots[SLOTS_AT_ONCE];
    uint64_t sum = 0;
    for (uint32_t i = 0; i < count; i++) {
        enum pipc_slot_state state = pipc_word_state(words[i]);
        uint32_t within = i % SLOTS_AT_ONCE;
        uint32_t some = count - (i - within) < SLOTS_AT_ONCE ? count - (i - within) : SLOTS_AT_ONCE;
        if (within == 0 && !pipc_be_sight_read(sight, at + i * sizeof *slots, slots, some * sizeof *slots))
            return sum;
        if (state != PIPC_SLOT_SENT && state != PIPC_SLOT_FULL)
            continue;
        uint64_t length = slots[within].length;
        sum += length < max_size ? length : max_size;
    }
    return sum;
}

static void count_messages(const struct pipc_be_sight *sight, uint32_t kernel_ask, pipc_queue_info *info)
{
    uint64_t words[WORDS_AT_ONCE];
    uint64_t words_at = pipc_control_words_at(kernel_ask);
    uint64_t slots_at = pipc_control_slots_at(info->max_messages, kernel_ask);
    for (uint32_t first = 0; first < info->max_messages; first += WORDS_AT_ONCE) {
        uint32_t count = info->max_messages - first;
        count = count < WORDS_AT_ONCE ? count : WORDS_AT_ONCE;
        if (!pipc_be_sight_read(sight, words_at + first * sizeof *words, words, count * sizeof *words))
            return;
        uint32_t messages = 0;
        for (uint32_t i = 0; i < count; i++) {
            enum pipc_slot_state state = pipc_word_state(words[i]);
            messages += state == PIPC_SLOT_SENT || state == PIPC_SLOT_FULL;
        }
        info->messages += messages;
        if (messages)
            info->bytes +=
                sum_lengths(sight, slots_at + first * sizeof(struct pipc_slot), words, count, info->max_size);
    }
}

/* False: the figures are impossible. */
static bool measure(const struct pipc_be_sight *sight, pipc_queue_info *info)
{
    struct pipc_control control;
    const struct pipc_object *object = &sight->object;
    if (!pipc_be_sight_read(sight, 0, &control, sizeof control))
        return false;
    uint64_t need = pipc_control_bytes(control.max_messages, control.max_size, control.kernel_ask);
    if (need == 0 || need > sight->bytes || object->queue_size < sizeof(struct pipc_envelope) ||
        object->queue_size > control.kernel_ask)
        return false;
    pipc_control_tell(&control, object, info);
    info->owner = sight->owner;
    info->max_messages = control.max_messages;
    info->max_size = control.max_size;
    info->kernel_size = object->queue_size - sizeof(struct pipc_envelope);
    count_messages(sight, control.kernel_ask, info);
    return true;
}

static bool measure_channel(const struct pipc_be_sight *sight, pipc_channel_info *info)
{
    struct pipc_channel_control control;
    struct pipc_reader reader;
    if (!pipc_be_sight_read(sight, 0, &control, sizeof control) || !pipc_channel_is_possible(&control, sight->bytes))
        return false;
    for (uint32_t i = 0; i < control.readers; i++) {
        if (!pipc_be_sight_read(sight, sizeof control + (uint64_t)i * PIPC_LINE, &reader, sizeof reader))
            return false;
        pipc_channel_tell_reader(&reader, control.delivery, info);
    }
    pipc_channel_tell(&control, &sight->object, info);
    info->owner = sight->owner;
    return true;
}

/* Is the kernel queue gone that the header of a READY queue names? */
static bool has_lost_queue(const struct pipc_be_sight *sight)
{
    struct pipc_be_queue *queue;
    int error = pipc_be_queue_open(&queue, sight->memory, &sight->object, PIPC_RECEIVE);
    if (!error)
        pipc_be_queue_close(queue);
    return error == PIPC_E_DAMAGED;
}

/* ---- What to think of it ---- */

static bool is_remains(uint32_t state)
{
    return state == PIPC_FOUND_HALF_MADE || state == PIPC_FOUND_REMOVED || state == PIPC_FOUND_ORPHAN;
}

static const char *sentence(uint32_t state)
{
    switch (state) {
    case PIPC_FOUND_READY:
        return "it is whole; only a removal by its name ends it";
    case PIPC_FOUND_BUILDING:
        return "somebody who is alive, or may be, is building it";
    case PIPC_FOUND_HALF_MADE:
        return "whoever was building it is dead";
    case PIPC_FOUND_REMOVED:
        return "it was removed, and whoever did that did not come to free it";
    case PIPC_FOUND_ORPHAN:
        return "its object is gone, nobody can open this kernel queue any more";
    case PIPC_FOUND_OTHER_LAYOUT:
        return "another version of pipc made it";
    case PIPC_FOUND_DAMAGED:
        return "it is damaged; a removal by its name ends it if that is still possible";
    case PIPC_FOUND_FOREIGN:
        return "it is no object of pipc's";
    default:
        return "this user may not look into it";
    }
}

static void say(char why[LONGEST_WHY], const struct walk *walk, const pipc_found *found, const char *doubt)
{
    int length = snprintf(why, LONGEST_WHY, "%s", sentence(found->state));
    if (found->state == PIPC_FOUND_HALF_MADE && found->creator > 0)
        length = snprintf(why, LONGEST_WHY, "process %" PRId32 ", which was building it, is dead", found->creator);
    if (doubt)
        length += snprintf(why + length, LONGEST_WHY - (size_t)length, "; %s", doubt);
    if (is_remains(found->state) && found->owner != walk->me)
        length += snprintf(why + length, LONGEST_WHY - (size_t)length, "; it belongs to user %" PRIu32, found->owner);
    if (found->verdict == PIPC_VERDICT_STAYED)
        snprintf(why + length, LONGEST_WHY - (size_t)length, "; it changed meanwhile, or the system refused");
}

/* Copies what the backend saw; what the header says is better where it may be believed. */
static void describe(pipc_found *found, const struct pipc_be_sight *sight)
{
    const struct pipc_object *object = &sight->object;
    memset(found, 0, sizeof *found);
    found->name = sight->name;
    found->kind = sight->kind;
    found->state = sight->state;
    found->owner = sight->owner;
    found->mode = sight->mode;
    found->creator = sight->creator;
    found->created = sight->created;
    found->size = sight->kind == PIPC_KIND_SHM ? sight->bytes : sight->bytes + pipc_page();
    found->queue.messages = sight->messages;
    if (sight->state == PIPC_FOUND_ORPHAN)
        found->size = 0;
    if (object->magic != PIPC_OBJECT_MAGIC)
        return;
    found->mode = object->mode & 0777;
    found->creator = object->creator;
    found->created = object->created;
}

/* What was whole and cannot be measured was removed meanwhile, or is damaged. */
static void doubt_it(pipc_found *found, const struct pipc_be_sight *sight, const char **doubt)
{
    bool removed = !pipc_be_sight_read(sight, 0, found, 0);
    found->state = removed ? PIPC_FOUND_REMOVED : PIPC_FOUND_DAMAGED;
    if (removed)
        *doubt = "it was whole a moment ago";
}

static void examine_queue(pipc_found *found, const struct pipc_be_sight *sight, const char **doubt)
{
    found->measured = measure(sight, &found->queue);
    bool lost = found->measured && has_lost_queue(sight);
    if (found->measured && !lost)
        return;
    doubt_it(found, sight, doubt);
    if (lost && found->state == PIPC_FOUND_DAMAGED)
        *doubt = "its kernel queue was removed behind pipc's back";
}

/* Figures of what is whole, and one more look at it. */
static void examine(pipc_found *found, const struct pipc_be_sight *sight, const char **doubt)
{
    if (found->kind == PIPC_KIND_SHM) {
        found->size = sight->object.size;
        found->attachments = sight->attachments;
        found->measured = 1;
    } else if (found->kind == PIPC_KIND_CHANNEL) {
        found->measured = measure_channel(sight, &found->channel);
        if (!found->measured)
            doubt_it(found, sight, doubt);
    } else {
        examine_queue(found, sight, doubt);
    }
}

static bool show(struct pipc_be_sight *sight, void *argument)
{
    const struct walk *walk = argument;
    const char *doubt = sight->doubt;
    char why[LONGEST_WHY];
    pipc_found found;
    if (sight->name[0] && !pipc_name_is_legal(sight->name))
        return true;
    describe(&found, sight);
    if (found.state == PIPC_FOUND_READY)
        examine(&found, sight, &doubt);
    if (is_remains(found.state) && !doubt && found.owner == walk->me) {
        found.verdict = PIPC_VERDICT_GARBAGE;
        if (walk->reap)
            found.verdict = pipc_be_sight_reap(sight) ? PIPC_VERDICT_REAPED : PIPC_VERDICT_STAYED;
    }
    say(why, walk, &found, doubt);
    found.why = why;
    return !walk->visit || walk->visit(&found, walk->argument) == 0;
}

/* ---- The calls ---- */

static int walk_all(struct walk *walk)
{
    struct pipc_call call;
    walk->me = geteuid();
    pipc_call_enter(&call, 0);
    return pipc_call_leave(&call, pipc_be_each(show, walk));
}

int pipc_each(pipc_visitor *visit, void *argument)
{
    pipc_calling(__func__, NULL);
    if (!visit)
        return pipc_fail(PIPC_E_INVALID, "the visitor is NULL");
    return walk_all(&(struct walk){.visit = visit, .argument = argument});
}

int pipc_reap(pipc_visitor *visit, void *argument)
{
    pipc_calling(__func__, NULL);
    return walk_all(&(struct walk){.visit = visit, .argument = argument, .reap = true});
}
