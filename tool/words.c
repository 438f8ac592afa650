/* Words for numbers, names for people, names for programs. */
#include <inttypes.h>
#include <stdio.h>
#include <string.h>
#include <time.h>

#include "tool.h"

const char *word_of_kind(uint32_t kind)
{
    static const char *const words[] = {"?", "queue", "shm", "channel"};
    return words[kind <= PIPC_KIND_CHANNEL ? kind : 0];
}

const char *word_of_producers(uint32_t producers)
{
    static const char *const words[] = {"?", "one", "many"};
    return words[producers <= PIPC_PRODUCERS_MANY ? producers : 0];
}

const char *word_of_delivery(uint32_t delivery)
{
    static const char *const words[] = {"?", "once", "all", "latest"};
    return words[delivery <= PIPC_DELIVER_LATEST ? delivery : 0];
}

const char *word_of_state(uint32_t state)
{
    static const char *const words[] = {"ready",  "building",     "half-made", "removed",
                                        "orphan", "other-layout", "damaged",   "foreign"};
    return state < PIPC_FOUND_UNREADABLE ? words[state] : "unreadable";
}

const char *word_of_verdict(uint32_t verdict)
{
    static const char *const words[] = {"keep", "garbage", "reaped", "stayed"};
    return words[verdict <= PIPC_VERDICT_STAYED ? verdict : 0];
}

/* ---- Names ---- */

/* The character that begins here, and its length; 0: no valid one. Too long forms and surrogates are invalid. */
static unsigned decode(const char *text, uint32_t *character)
{
    static const uint32_t least[] = {0, 0, 0x80, 0x800, 0x10000};
    const unsigned char *byte = (const unsigned char *)text;
    unsigned length = byte[0] < 0x80 ? 1 : byte[0] >> 5 == 6 ? 2 : byte[0] >> 4 == 14 ? 3 : byte[0] >> 3 == 30 ? 4 : 0;
    if (length == 0)
        return 0;
    *character = length == 1 ? byte[0] : byte[0] & (0x7fu >> length);
    for (unsigned i = 1; i < length; i++) {
        if (byte[i] >> 6 != 2)
            return 0;
        *character = *character << 6 | (byte[i] & 0x3fu);
    }
    bool valid = *character >= least[length] && *character <= 0x10ffff && *character >> 11 != 0x1b;
    return valid ? length : 0;
}

/* Names hold no control bytes, but UTF-8 knows more of the kind: C1 controls, marks that turn the direction,
 * separators of lines. */
static bool is_odd(uint32_t character)
{
    return character < 0x20 || (character >= 0x7f && character < 0xa0) || character == '"' || character == '\\' ||
           character == 0x61c || (character >= 0x200b && character <= 0x200f) ||
           (character >= 0x2028 && character <= 0x202e) || (character >= 0x2060 && character <= 0x206f) ||
           character == 0xfeff || (character >= 0xfff9 && character <= 0xfffb);
}

static bool is_plain(const char *name)
{
    uint32_t character;
    for (unsigned length; *name; name += length) {
        length = decode(name, &character);
        if (length == 0 || is_odd(character) || character == ' ')
            return false;
    }
    return true;
}

void print_name(const char *name)
{
    uint32_t character;
    if (is_plain(name)) {
        fputs(*name ? name : "-", stdout);
        return;
    }
    putchar('"');
    for (unsigned length; *name; name += length) {
        length = decode(name, &character);
        bool odd = length == 0 || is_odd(character);
        length = length ? length : 1;
        for (unsigned i = 0; i < length; i++)
            printf(odd ? "\\x%02x" : "%c", (unsigned char)name[i]);
    }
    putchar('"');
}

void write_time(char text[TIME_WIDTH], int64_t nanoseconds)
{
    time_t seconds = (time_t)(nanoseconds / PIPC_SECONDS(1));
    struct tm parts;
    if (nanoseconds <= 0 || !localtime_r(&seconds, &parts) ||
        strftime(text, TIME_WIDTH, "%Y-%m-%d %H:%M:%S", &parts) == 0)
        snprintf(text, TIME_WIDTH, "-");
}

/* ---- JSON ---- */

/* Valid whatever the bytes are: what is no UTF-8 becomes U+FFFD, and the exact bytes stand beside it in "name_hex". */
static void print_text(const char *text)
{
    uint32_t character;
    putchar('"');
    for (unsigned length; *text; text += length) {
        length = decode(text, &character);
        if (length == 0) {
            fputs("\\ufffd", stdout);
            length = 1;
        } else if (is_odd(character)) {
            printf("\\u%04x", (unsigned)character);
        } else {
            printf("%.*s", (int)length, text);
        }
    }
    putchar('"');
}

static void print_hex(const char *text)
{
    putchar('"');
    for (; *text; text++)
        printf("%02x", (unsigned char)*text);
    putchar('"');
}

static void print_queue(const pipc_queue_info *info)
{
    printf(", \"messages\": %" PRIu64 ", \"bytes\": %" PRIu64 ", \"high_water\": %" PRIu64 ", \"sent\": %" PRIu64
           ", \"received\": %" PRIu64 ", \"max_messages\": %" PRIu32 ", \"max_size\": %" PRIu64
           ", \"waiters\": %" PRIu32 ", \"last_sender\": %" PRId32 ", \"last_receiver\": %" PRId32
           ", \"kernel_depth\": %" PRIu32 ", \"kernel_size\": %" PRIu64,
           info->messages, info->bytes, info->high_water, info->sent, info->received, info->max_messages,
           info->max_size, info->waiters, info->last_sender, info->last_receiver, info->kernel_depth,
           info->kernel_size);
}

static void print_channel(const pipc_channel_info *info)
{
    printf(", \"ring\": %" PRIu64 ", \"max_size\": %" PRIu64 ", \"bytes\": %" PRIu64 ", \"records\": %" PRIu64
           ", \"sent\": %" PRIu64 ", \"received\": %" PRIu64 ", \"skipped\": %" PRIu64 ", \"redelivered\": %" PRIu64
           ", \"missed\": %" PRIu64 ", \"producers\": \"%s\", \"delivery\": \"%s\", \"subscribers\": %" PRIu32
           ", \"max_subscribers\": %" PRIu32 ", \"waiters\": %" PRIu32,
           info->size, info->max_size, info->bytes, info->records, info->sent, info->received, info->skipped,
           info->redelivered, info->missed, word_of_producers(info->producers), word_of_delivery(info->delivery),
           info->subscribers, info->max_subscribers, info->waiters);
}

void print_json(const pipc_found *found)
{
    fputs("{\"name\": ", stdout);
    print_text(found->name);
    fputs(", \"name_hex\": ", stdout);
    print_hex(found->name);
    printf(", \"kind\": \"%s\", \"state\": \"%s\", \"verdict\": \"%s\", \"owner\": %" PRIu32 ", \"mode\": \"%04" PRIo32
           "\""
           ", \"creator\": %" PRId32 ", \"created_ns\": %" PRId64 ", \"size\": %" PRIu64,
           found->kind ? word_of_kind(found->kind) : "unknown", word_of_state(found->state),
           word_of_verdict(found->verdict), found->owner, found->mode, found->creator, found->created, found->size);
    if (found->measured && found->kind == PIPC_KIND_QUEUE)
        print_queue(&found->queue);
    if (found->measured && found->kind == PIPC_KIND_SHM)
        printf(", \"attachments\": %" PRIu64, found->attachments);
    if (found->measured && found->kind == PIPC_KIND_CHANNEL)
        print_channel(&found->channel);
    fputs(", \"why\": ", stdout);
    print_text(found->why);
    putchar('}');
}
