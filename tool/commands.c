/* What the tool does: list, show, remove, gc. */
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "tool.h"

static int fail(void)
{
    complain("%s", pipc_error_detail());
    return STATUS_FAILURE;
}

/* ---- list ---- */

/* Copies of all that was shown, to be sorted. */
struct listing {
    pipc_found *rows;
    size_t count, room;
    bool failed;
};

static char *copy_of(const char *text)
{
    size_t size = strlen(text) + 1;
    char *copy = malloc(size);
    return copy ? memcpy(copy, text, size) : NULL;
}

static bool make_room(struct listing *listing)
{
    if (listing->count < listing->room)
        return true;
    size_t room = listing->room * 2 + 64;
    pipc_found *rows = realloc(listing->rows, room * sizeof *rows);
    if (!rows)
        return false;
    listing->rows = rows;
    listing->room = room;
    return true;
}

static int keep_one(const pipc_found *found, void *argument)
{
    struct listing *listing = argument;
    char *name = copy_of(found->name), *why = copy_of(found->why);
    if (!name || !why || !make_room(listing)) {
        free(name);
        free(why);
        listing->failed = true;
        return 1;
    }
    pipc_found *row = &listing->rows[listing->count++];
    *row = *found;
    row->name = name;
    row->why = why;
    return 0;
}

static int by_name(const void *one, const void *other)
{
    const pipc_found *first = one, *second = other;
    int order = strcmp(first->name, second->name);
    return order ? order : (first->kind > second->kind) - (first->kind < second->kind);
}

static void forget(struct listing *listing)
{
    for (size_t i = 0; i < listing->count; i++) {
        free((void *)(uintptr_t)listing->rows[i].name);
        free((void *)(uintptr_t)listing->rows[i].why);
    }
    free(listing->rows);
}

static void print_content(const pipc_found *found)
{
    char text[64] = "-";
    if (found->measured && found->kind == PIPC_KIND_QUEUE)
        snprintf(text, sizeof text, "%" PRIu64 "/%" PRIu32 " messages", found->queue.messages,
                 found->queue.max_messages);
    else if (found->measured && found->kind == PIPC_KIND_CHANNEL)
        snprintf(text, sizeof text, "%" PRIu64 "/%" PRIu64 " bytes", found->channel.bytes, found->channel.size);
    else if (found->measured)
        snprintf(text, sizeof text, "%" PRIu64 " attached", found->attachments);
    else if (found->state == PIPC_FOUND_ORPHAN)
        snprintf(text, sizeof text, "%" PRIu64 " messages", found->queue.messages);
    printf("%-20s ", text);
}

static void print_row(const pipc_found *found)
{
    char created[TIME_WIDTH];
    write_time(created, found->created);
    printf("%-7s %-12s %6" PRIu32 " %04" PRIo32 " %8" PRId32 " %-19s %12" PRIu64 " ", word_of_kind(found->kind),
           word_of_state(found->state), found->owner, found->mode, found->creator, created, found->size);
    print_content(found);
    print_name(found->name);
    putchar('\n');
}

static void print_table(const struct listing *listing)
{
    if (listing->count)
        printf("%-7s %-12s %6s %4s %8s %-19s %12s %-20s %s\n", "KIND", "STATE", "OWNER", "MODE", "CREATOR", "CREATED",
               "BYTES", "CONTENT", "NAME");
    for (size_t i = 0; i < listing->count; i++)
        print_row(&listing->rows[i]);
}

static void print_array(const struct listing *listing)
{
    putchar('[');
    for (size_t i = 0; i < listing->count; i++) {
        printf("%s\n  ", i ? "," : "");
        print_json(&listing->rows[i]);
    }
    puts(listing->count ? "\n]" : "]");
}

int command_list(bool json)
{
    struct listing listing = {0};
    int status = pipc_each(keep_one, &listing) ? fail() : STATUS_OK;
    if (listing.failed) {
        complain("there is no memory for the list");
        status = STATUS_FAILURE;
    }
    if (listing.count)
        qsort(listing.rows, listing.count, sizeof *listing.rows, by_name);
    if (status == STATUS_OK && json)
        print_array(&listing);
    else if (status == STATUS_OK)
        print_table(&listing);
    forget(&listing);
    return status;
}

/* ---- show ---- */

struct search {
    const char *name;
    uint32_t kind; /* 0: any */
    bool json, silent;
    unsigned found;
    uint32_t kinds; /* a bit for each that was found */
};

static void print_queue_facts(const pipc_queue_info *info)
{
    printf("messages:       %" PRIu64 " of %" PRIu32 ", at most %" PRIu64 " at once so far\n", info->messages,
           info->max_messages, info->high_water);
    printf("bytes:          %" PRIu64 ", a message has %" PRIu64 " at most\n", info->bytes, info->max_size);
    printf("sent, received: %" PRIu64 ", %" PRIu64 "\n", info->sent, info->received);
    printf("last sender:    process %" PRId32 "\n", info->last_sender);
    printf("last receiver:  process %" PRId32 "\n", info->last_receiver);
    printf("waiting now:    %" PRIu32 "\n", info->waiters);
    printf("kernel's queue: messages up to %" PRIu64 " bytes", info->kernel_size);
    if (info->kernel_depth)
        printf(", %" PRIu32 " of them", info->kernel_depth);
    putchar('\n');
}

static void print_subscriber_facts(const pipc_channel_info *info)
{
    if (info->delivery == PIPC_DELIVER_ONCE)
        printf("records:        %" PRIu64 "\n", info->records);
    else
        printf("subscribers:    %" PRIu32 " of %" PRIu32 "; together they missed %" PRIu64 " records\n",
               info->subscribers, info->max_subscribers, info->missed);
}

static void print_channel_facts(const pipc_channel_info *info)
{
    printf("ring:           %" PRIu64 " of %" PRIu64 " bytes in use, a record has %" PRIu64 " at most\n", info->bytes,
           info->size, info->max_size);
    printf("producers:      %s\ndelivery:       %s\n", word_of_producers(info->producers),
           word_of_delivery(info->delivery));
    print_subscriber_facts(info);
    printf("sent, received: %" PRIu64 ", %" PRIu64 "\n", info->sent, info->received);
    printf("after deaths:   %" PRIu64 " skipped, %" PRIu64 " delivered again\n", info->skipped, info->redelivered);
    printf("waiting now:    %" PRIu32 "\n", info->waiters);
}

static void print_facts(const pipc_found *found)
{
    char created[TIME_WIDTH];
    write_time(created, found->created);
    printf("name:           ");
    print_name(found->name);
    printf("\nkind:           %s\nstate:          %s: %s\n", word_of_kind(found->kind), word_of_state(found->state),
           found->why);
    printf("owner:          user %" PRIu32 "\nmode:           %04" PRIo32 "\n", found->owner, found->mode);
    printf("created:        %s by process %" PRId32 "\nmemory:         %" PRIu64 " bytes\n", created, found->creator,
           found->size);
    if (found->measured && found->kind == PIPC_KIND_QUEUE)
        print_queue_facts(&found->queue);
    else if (found->measured && found->kind == PIPC_KIND_CHANNEL)
        print_channel_facts(&found->channel);
    else if (found->measured)
        printf("attached:       %" PRIu64 "\n", found->attachments);
    else if (found->state == PIPC_FOUND_ORPHAN)
        printf("messages:       %" PRIu64 "\n", found->queue.messages);
}

static int show_one(const pipc_found *found, void *argument)
{
    struct search *search = argument;
    if (strcmp(found->name, search->name) != 0 || (search->kind && found->kind != search->kind))
        return 0;
    search->kinds |= 1u << found->kind;
    if (search->silent) {
        search->found++;
        return 0;
    }
    printf("%s", search->found++ ? search->json ? "," : "\n" : "");
    if (search->json) {
        printf("\n  ");
        print_json(found);
    } else {
        print_facts(found);
    }
    return 0;
}

static int not_there(const struct search *search)
{
    complain("there is no %s of this name",
             search->kind ? word_of_kind(search->kind) : "queue, shared memory or channel");
    return STATUS_FAILURE;
}

int command_show(const char *name, uint32_t kind, bool json)
{
    struct search search = {.name = name, .kind = kind, .json = json};
    if (json)
        putchar('[');
    int error = pipc_each(show_one, &search);
    if (json)
        puts(search.found ? "\n]" : "]");
    if (error)
        return fail();
    return search.found ? STATUS_OK : not_there(&search);
}

/* ---- remove ---- */

static int remove_one(const char *name, uint32_t kind)
{
    switch (kind) {
    case PIPC_KIND_SHM:
        return pipc_shm_remove(name);
    case PIPC_KIND_CHANNEL:
        return pipc_channel_remove(name);
    default:
        return pipc_queue_remove(name);
    }
}

int command_remove(const char *name, uint32_t kind)
{
    struct search search = {.name = name, .silent = true};
    uint32_t kind_found = PIPC_KIND_QUEUE;
    uint32_t kinds = 0;
    if (!kind && pipc_each(show_one, &search) != 0)
        return fail();
    for (uint32_t each = PIPC_KIND_QUEUE; !kind && each <= PIPC_KIND_CHANNEL; each++)
        if (search.kinds & 1u << each) {
            kinds++;
            kind_found = each;
        }
    if (kinds > 1) {
        complain("more than one thing has this name; say which: --kind queue, --kind shm or --kind channel");
        return STATUS_FAILURE;
    }
    /* What is not to be seen may still be there: the library says what is wrong. */
    int error = remove_one(name, kind ? kind : kind_found);
    if (error == PIPC_E_NOT_FOUND && !search.kinds)
        return not_there(&search);
    return error ? fail() : STATUS_OK;
}

/* ---- gc ---- */

struct tally {
    unsigned reaped, garbage, stayed, left;
};

static int reap_one(const pipc_found *found, void *argument)
{
    struct tally *tally = argument;
    if (found->state == PIPC_FOUND_READY)
        return 0;
    tally->reaped += found->verdict == PIPC_VERDICT_REAPED;
    tally->garbage += found->verdict == PIPC_VERDICT_GARBAGE;
    tally->stayed += found->verdict == PIPC_VERDICT_STAYED;
    tally->left += found->verdict == PIPC_VERDICT_KEEP;
    printf("%-7s %-7s ", word_of_verdict(found->verdict), word_of_kind(found->kind));
    print_name(found->name);
    printf(": %s: %s\n", word_of_state(found->state), found->why);
    return 0;
}

int command_gc(bool dry_run)
{
    struct tally tally = {0};
    int error = dry_run ? pipc_each(reap_one, &tally) : pipc_reap(reap_one, &tally);
    if (error)
        return fail();
    if (dry_run)
        printf("%u to be reaped, %u not ready and kept\n", tally.garbage, tally.left);
    else
        printf("%u reaped, %u could not be, %u not ready and kept\n", tally.reaped, tally.stayed, tally.left);
    return tally.stayed ? STATUS_FAILURE : STATUS_OK;
}
