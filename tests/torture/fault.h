/* A kernel call of another process is made to fail, and the process told so, without the kernel's having been
 * asked: by ptrace, between two marks that the process makes. Linux on x86-64 and aarch64. */
#ifndef PIPC_TESTS_FAULT_H
#define PIPC_TESTS_FAULT_H

#include <stdbool.h>
#include <stdint.h>
#include <sys/types.h>

/* What a kernel call means for the books. */
enum {
    FAULT_CLOSES = 1,  /* refused, it leaves a descriptor */
    FAULT_UNMAPS = 2,  /* refused, it leaves a mapping */
    FAULT_REMOVES = 4, /* refused, it leaves an object of the kernel */
    FAULT_GUARDS = 16, /* refused for good, what it looks at or locks must not be removed */
    FAULT_FINDS = 32,  /* ENOENT for good hides what is there from whoever would remove it */
    FAULT_BURIES = 64, /* ESRCH takes the living for dead, and what they make afterwards nobody clears away */
    FAULT_TAKES = 8    /* its first errno says "there is nothing", which may be a lie */
};

enum { FAULT_MOST_ERRNOS = 28 };

/* One kernel call and the errnos of its manual page, the likeliest first. */
struct fault_call {
    long number;
    int argument;   /* this argument has this value; -1: whatever they are */
    uint64_t value; /* such as FUTEX_WAIT, IPC_RMID */
    unsigned kind;
    const char *name;
    const char *said; /* by these names ("shm_open|open") a detail may speak of it */
    int errnos[FAULT_MOST_ERRNOS];
};

/* The row of a kernel call, NULL if there is none. One without errnos never fails. */
const struct fault_call *fault_find(uint64_t number, const uint64_t *arguments);
unsigned fault_count_errnos(const struct fault_call *call);

/* What shall happen, and what did. */
struct fault {
    unsigned nth;     /* the call that fails, 1 = the first behind the first mark; 0 = none */
    unsigned pick;    /* with which of its errnos, modulo their number */
    const char *only; /* calls of this name are counted only; NULL: all are */
    int with;         /* the errno, 0: as picked */
    bool for_good;    /* and all further ones of its kind until the second mark */

    int64_t until; /* test_now() scale: who makes calls beyond it hangs; 0 = never */

    unsigned calls;  /* kernel calls between the marks */
    unsigned failed; /* of them made to fail */
    unsigned errnos; /* how many the nth call has */
    int error;
    const struct fault_call *call;                /* the nth; NULL: there was none */
    uint64_t unknown;                             /* number + 1 of a call that is in no row */
    unsigned left_files, left_maps, left_objects; /* by the refusals */
    bool lied;
    int status; /* of the child, where it crashed */
};

enum fault_end { FAULT_DONE, FAULT_CRASHED, FAULT_HUNG };

/* Why it cannot be done here, or NULL. */
const char *fault_impossible(void);

/* The marks, in the child. The first says whether this process may be traced. */
bool fault_first_mark(void);
void fault_second_mark(void);

/* Follows a child from its first mark to its second, then lets it go. Interrupted by a signal: FAULT_HUNG. */
enum fault_end fault_follow(pid_t child, struct fault *fault);

#endif
