/* The public calls of pipc as scenes: what stands before the call, the call, and what must hold afterwards, when
 * nothing fails any more, whatever failed in the call. */
#ifndef PIPC_TESTS_FAULT_SCENE_H
#define PIPC_TESTS_FAULT_SCENE_H

#include "support.h"

#define SCENE_SPAN PIPC_MS(8) /* how long calls that may wait do so */

enum {
    SCENE_MESSAGES = 3, /* that lie in a queue before the call, numbered from 1, of types 1, 2, 3 */
    SCENE_DEPTH = 8,    /* as many fit */
    SCENE_BODY = 64
};

struct scene {
    const struct scene_play *play;
    const char *name;
    pipc_queue *queue; /* what the call is made on, or made by it */
    pipc_shm *shm;
    pipc_channel *channel;
    pipc_event *event;
    pipc_mutex mutex; /* a scene lies in shared memory; zeros are ready */
    pipc_semaphore semaphore;
    pid_t holder; /* of the mutex */
    void *mappings[2];
    uint64_t got;     /* number of the message that the call received */
    uint64_t dropped; /* by the call */
    int64_t took;
    unsigned maps;     /* that the kernel refused to take back: this process is attached to so many still */
    int error;         /* the errno that the kernel calls failed with; 0: none failed */
    bool unread;       /* a folder could not be read on (ENOENT, though, means its end to the C library) */
    bool lied;         /* the kernel said "nothing there" where there was something */
    char problem[400]; /* the first thing that was not as it must be */
};

/* Notes a problem, if it is the first. */
void scene_blame(struct scene *scene, const char *format, ...) __attribute__((format(printf, 2, 3)));

/* Notes a problem if a pipc call that must succeed now does not. */
void scene_must(struct scene *scene, int error, const char *what);

/* Makes the scene's queue and sends so many messages of this size. */
void scene_fill(struct scene *scene, uint64_t max_size, uint64_t size, unsigned messages);

/* Exactly these messages are in the scene's queue, in this order; it does what a queue does; and is taken away. */
void scene_check_queue(struct scene *scene, const uint64_t *numbers, unsigned count);

extern const uint64_t scene_in_order[]; /* 1, 2, 3 ... SCENE_DEPTH */

struct scene_play {
    const char *name;                     /* "receive from a slot" */
    const char *function;                 /* as the detail begins */
    const char *errors;                   /* " LIMIT NO_SPACE ": what it may answer when a kernel call fails */
    int usual;                            /* its answer when nothing fails; -1: that depends on the system */
    bool first;                           /* the first pipc call of a process: what is learnt once is learnt in it */
    void (*prepare)(struct scene *scene); /* NULL: nothing is there, and an error must leave nothing */
    int (*call)(struct scene *scene);
    void (*verify)(struct scene *scene, int answer); /* and takes everything away */
};

extern const struct scene_play fault_openings[], fault_messages[], fault_waits[], fault_memories[], fault_deaths[],
    fault_channels[], fault_syncs[], fault_objects[];
extern const unsigned fault_openings_count, fault_messages_count, fault_waits_count, fault_memories_count,
    fault_deaths_count, fault_channels_count, fault_syncs_count, fault_objects_count;

#endif
