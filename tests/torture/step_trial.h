/* One public call, killed after each of its instructions (steps.h): what it works on, how to judge what is left.
 *
 * The test's process makes the objects, a child makes the call and is killed in it, the test's process goes on
 * with the same objects. It lives in an IPC namespace of its own where there may be one: there a leak shows even
 * if no name leads to it. */
#ifndef PIPC_TESTS_STEP_TRIAL_H
#define PIPC_TESTS_STEP_TRIAL_H

#include "rig.h"

enum { STEP_NEW = 100, STEP_BIG = 8300 };

struct step_case;

/* What a trial works with; the case's functions use what they need. */
struct step_stage {
    const struct step_case *of;
    pipc_queue *queue;
    pipc_shm *shm;
    pipc_event *event; /* in memory that all processes share */
    void *handle;      /* an object's, open in the test's process */
    void *own;         /* another, opened by the child */
    void *address;     /* a mapping of the child's */
    uint32_t trial;
    bool whole; /* the call came to its end, it was not killed */
    struct rig_figures figures;
    char detail[200]; /* "after 12 of 345 instructions ..." */
    bool alone;       /* in an IPC namespace of its own */
    pid_t waiter;     /* a child that sleeps meanwhile */
    _Atomic uint32_t *last_point;
};

struct step_case {
    const char *name;                        /* of the call */
    void (*set)(struct step_stage *stage);   /* in the test's process, before the fork */
    void (*ready)(struct step_stage *stage); /* in the child, before it is stepped; may be NULL */
    int (*call)(struct step_stage *stage);   /* in the child, stepped */
    int answer;                              /* of the call when nobody kills it */
    void (*judge)(struct step_stage *stage); /* in the test's process; also cleans up */
    int (*dies)(struct step_stage *stage);   /* somebody died before in this call ... */
    const char *dies_at;                     /* ... at this point; see step_die() */
    const struct kind *kind;                 /* for objects: queue or memory */
    bool makes;                              /* the call leaves an object under the name */
    /* For the traffic of queues. */
    uint32_t places;
    uint64_t max_size;
    uint32_t waiting;      /* messages that wait already, numbered from 0, of types 1, 2, ... */
    uint64_t waiting_size; /* of each of them */
    bool stowed;           /* they lie in slots, not in the kernel's queue */
    uint32_t selected;     /* the one of them that may be gone with the receiver; `waiting`: none */
    bool sends;            /* a message STEP_NEW may have come */
    bool drops_all;        /* any of the waiting ones may be gone */
    bool waits;            /* it sleeps at its end */
    const void *more;      /* the rig's own */
    int64_t short_span;    /* of the killing, in the short form; 0: 250 ms */
};

/* Kills the call at its instants: all of them in the long form, up to 5000; else a sample within a span. */
void step_everywhere(const struct step_case *of);

/* Lets a child die in `dies` at the point `dies_at`. */
void step_die(struct step_stage *stage);

/* What else a call depends on, the same in every trial (step_world.c). Stepped, a call takes a thousand times as long,
 * and what depends on time would come out otherwise than in a trial: spans end, patience does, looks for the dead fall
 * due. So from `enter` to `leave` the calling process has a clock of its own, which goes on by one tick whenever it is
 * looked at; it begins its searches where the others did since `begin`; and it has an allocator without a history. */
void step_world_begin(void);
void step_world_enter(void);
void step_world_leave(void);

/* Notes something bad: counts it in a figure, tells the instant. */
void step_bad(struct step_stage *stage, uint64_t *figure, const char *format, ...)
    __attribute__((format(printf, 3, 4)));

#endif
