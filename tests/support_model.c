/* See support_model.h. */
#include "support_model.h"

#include <string.h>

static bool wants(pipc_selection selection, uint32_t type)
{
    switch (selection.rule) {
    case PIPC_RULE_EXACTLY:
        return type == selection.type;
    case PIPC_RULE_EXCEPT:
        return type != selection.type;
    case PIPC_RULE_UP_TO:
        return type <= selection.type;
    default:
        return true;
    }
}

/* Entries are looked at from the oldest on, so only a better one replaces the best so far. */
static bool is_better(pipc_selection selection, const struct model_entry *entry, const struct model_entry *best)
{
    if (selection.rule == PIPC_RULE_UP_TO && entry->type != best->type)
        return entry->type < best->type;
    return entry->priority > best->priority;
}

bool model_send(struct model *model, const struct model_entry *entry)
{
    if (model->count == model->capacity)
        return false;
    model->entries[model->count++] = *entry;
    model->sent++;
    if (model->count > model->high_water)
        model->high_water = model->count;
    return true;
}

struct model_entry *model_choose(struct model *model, pipc_selection selection)
{
    struct model_entry *best = NULL;
    for (uint32_t i = 0; i < model->count; i++) {
        struct model_entry *entry = &model->entries[i];
        if (wants(selection, entry->type) && (!best || is_better(selection, entry, best)))
            best = entry;
    }
    return best;
}

void model_take(struct model *model, struct model_entry *entry)
{
    size_t behind = (size_t)(model->entries + model->count - entry - 1);
    memmove(entry, entry + 1, behind * sizeof *entry);
    model->count--;
    model->received++;
}

uint32_t model_purge(struct model *model)
{
    uint32_t dropped = model->count;
    model->count = 0;
    return dropped;
}

bool model_agrees(const struct model *model, const pipc_queue_info *info)
{
    uint64_t bytes = 0;
    for (uint32_t i = 0; i < model->count; i++)
        bytes += model->entries[i].size;
    return info->messages == model->count && info->bytes == bytes && info->sent == model->sent &&
           info->received == model->received && info->high_water == model->high_water;
}
