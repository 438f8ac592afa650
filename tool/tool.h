/* What the files of the tool share. */
#ifndef PIPC_TOOL_H
#define PIPC_TOOL_H

#include <pipc/pipc.h>
#include <stdbool.h>

enum { STATUS_OK = 0, STATUS_FAILURE = 1, STATUS_USAGE = 2 };

/* Prints a sentence on standard error, after the program's name; quotes nothing. */
void complain(const char *format, ...) __attribute__((format(printf, 1, 2)));

/* ---- words.c: words for numbers, and names that do a terminal no harm ---- */

const char *word_of_kind(uint32_t kind);           /* "queue", "shm", "channel" or "?" */
const char *word_of_producers(uint32_t producers); /* "one", "many" or "?" */
const char *word_of_delivery(uint32_t delivery);   /* "once", "all", "latest" or "?" */
const char *word_of_state(uint32_t state);         /* "ready", "half-made" ... */
const char *word_of_verdict(uint32_t verdict);     /* "keep", "garbage", "reaped", "stayed" */

/* Prints a name for people: as it is if it is plain, else in quotes, with what is odd as \xHH. */
void print_name(const char *name);

/* Writes local time, "2026-11-24 15:09:41"; "-" for 0. */
#define TIME_WIDTH 20
void write_time(char text[TIME_WIDTH], int64_t nanoseconds);

/* Prints one object on a line, with all figures, as one JSON object. */
void print_json(const pipc_found *found);

/* ---- commands.c: each answers an exit status ---- */

int command_list(bool json);
int command_show(const char *name, uint32_t kind, bool json);
int command_remove(const char *name, uint32_t kind);
int command_gc(bool dry_run);

#endif
