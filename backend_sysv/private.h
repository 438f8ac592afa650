/* What the files of this backend share with each other. System V. */
#ifndef PIPC_PRIVATE_H
#define PIPC_PRIVATE_H

#ifndef _GNU_SOURCE
#define _GNU_SOURCE 1 /* IPC_INFO, struct shminfo, struct msginfo */
#endif

#include <sys/ipc.h>
#include <sys/shm.h>
#include <sys/types.h>

#include "core/backend.h"

/* One opening. It keeps one attachment of the whole segment, header and data: the kernel counts
 * attachments, so one is all that a handle may have. The first mapping lends that very attachment. */
struct pipc_be_memory {
    struct pipc_object *object; /* where the attachment begins */
    size_t length;              /* of the attachment, whole pages */
    uint64_t size;              /* of the data, checked against the kernel's figure at opening */
    uint64_t claim;             /* the state word while this opening builds, else 0 */
    int id;
    key_t key;
    uid_t creator; /* of the segment, as the kernel says */
    uid_t owner;
    gid_t group;      /* the creator's */
    const char *call; /* the kernel's, made last where that may fail: errors name it */
    bool writable;
    bool lent;    /* the data of the attachment are in the caller's hands */
    bool guarded; /* against writing, for now */
};

/* ---- look.c: what stands under the name's keys ---- */

#define PIPC_NAME_KEYS      4u
#define PIPC_NAME_SIGNATURE 1129u /* a segment is asked for this many bytes less than whole pages */

/* What stands under one key, as seen by somebody who looks for one name. */
enum sight {
    NOTHING,  /* free */
    OURS,     /* READY, of this name: left attached */
    AT_WORK,  /* CLAIMED or BUILDING of this name, builder alive or unknown: left attached */
    TAKEN,    /* in the way: another name, or remains that this user may not remove */
    FRESH,    /* in the way for now: half made, under another name or none yet */
    RESTLESS, /* it changes faster than we can look */
    BARRED    /* not to be looked at, or no object of ours: struct trouble says why */
};

/* The first reason found why the answer cannot be "not found". */
struct trouble {
    int error;
    int errno_value;
    const char *call; /* the kernel's, that said so */
    key_t key;
};

struct survey {
    bool found;   /* OURS, attached */
    uint32_t at;  /* under this key */
    bool at_work; /* somebody builds it */
    bool fresh;
    uint32_t free; /* lowest free key, KEYS if none */
    struct trouble trouble;
};

key_t pipc_name_key(const struct pipc_be_request *request, uint32_t i);

/* `bytes` in whole pages. */
size_t pipc_name_length(uint64_t bytes);

/* Attaches for reading and writing if `write`, else or failing that for reading. */
bool pipc_name_attach(struct pipc_be_memory *memory, int id, bool write);

/* Ends the attachment. */
void pipc_name_leave(struct pipc_be_memory *memory);

/* Has the segment the size that only we ask for? */
bool pipc_name_is_signed(const struct shmid_ds *facts);

/* Could these zeros, or this half-filled header, have been made by us? `word` is its state. */
bool pipc_name_is_unborn(const struct pipc_object *object, uint64_t word);

/* An INIT segment that a creator of ours left before it could say who it is. */
bool pipc_name_is_orphan(const struct shmid_ds *facts);

/* Moves `word` to DEAD and removes the segment. True: look at the key again; false: it stays in the way. */
bool pipc_name_bury(struct pipc_be_memory *memory, uint64_t word);

/* Looks at one key. Attached afterwards only if the answer is OURS or AT_WORK. */
enum sight pipc_name_look(struct pipc_be_memory *memory, const struct pipc_be_request *request, uint32_t i, bool write,
                          struct trouble *trouble);

/* Looks at all keys until it finds the READY object. */
void pipc_name_survey(struct pipc_be_memory *memory, const struct pipc_be_request *request, struct survey *survey);

/* Notes the trouble's sentence, returns its number. */
int pipc_name_tell(const struct trouble *trouble, const char *name);

/* ---- names.c: the protocol ---- */

/* Finds the READY object or makes one: pipc_be_memory_open without the handle. */
int pipc_name_open(struct pipc_be_memory *memory, const struct pipc_be_request *request, bool *build);

/* Finds the READY object and moves it to DEAD: pipc_be_memory_doom without the handle. */
int pipc_name_doom(struct pipc_be_memory *memory, const struct pipc_be_request *request);

/* Frees the name of an object that this opening moved to DEAD: its kernel queue first. */
void pipc_name_free(struct pipc_be_memory *memory);

/* ---- kernel_queue.c ---- */

/* Removes the kernel queue that the header of a DEAD object names, if there is one. */
void pipc_name_erase_queue(const struct pipc_be_memory *memory);

#endif
