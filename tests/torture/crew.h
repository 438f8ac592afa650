/* A crew: a few child processes at work, which die one after the other and are replaced at once. How each dies is
 * drawn when it begins: half of them by kill -9 from outside at some instant, the rest by their own hand at a point
 * (points.h), at any one or at the one that has seen the fewest deaths. */
#ifndef PIPC_TESTS_CREW_H
#define PIPC_TESTS_CREW_H

#include "support.h"

enum { CREW_SEATS = 8, CREW_POINTS = 128 };

/* In shared memory, so that it outlives crews and the processes that lead them. */
struct crew_board {
    struct crew_post {
        _Alignas(64) _Atomic uint32_t last;    /* number + 1 of the last point reached, 0 = none yet */
        _Atomic int64_t heard;                 /* when it was known to be alive and well */
        _Atomic uint64_t reached[CREW_POINTS]; /* how often it came to each point */
    } posts[CREW_SEATS];
    uint64_t kills_at[CREW_POINTS + 1]; /* by the last point that the victim had reached; [0] = none */
    uint64_t kills, suicides;           /* all; those at a point */
    _Atomic uint64_t hangs;
};

struct crew {
    struct crew_board *board;
    const char *const *points; /* how the names of those begin at which its members are to die; NULL ends them */
    unsigned seats;
    unsigned spared; /* the first so many live until the end: they tell how long a call was held up */
    int64_t life;    /* the longest that one lives, ns */
    bool stops;      /* some are stopped for a while */
    int (*work)(void *argument, unsigned seat);
    void (*died)(void *argument, unsigned seat); /* after each death, in the leader; may be NULL */
    void *argument;
    /* The leader's own. */
    int64_t stall; /* the longest that the machine kept it from looking, in the last crew_run() */
    uint64_t dice;
    struct crew_member {
        pid_t pid;
        bool sentenced;            /* by kill -9 from outside, by now */
        int64_t die, stop, resume; /* when; 0 = never */
    } members[CREW_SEATS];
};

struct crew_board *crew_board_make(void);

/* Fills the seats, and then for each that dies; until so many more have died, or the time is over, or something
 * failed, or *enough is not 0 (may be NULL). */
void crew_run(struct crew *crew, uint64_t kills, int64_t until, const _Atomic uint32_t *enough);

/* Kills the rest. */
void crew_end(struct crew *crew);

/* A member is alive and well: to be called around each call that it makes. */
void crew_beat(struct crew *crew, unsigned seat);

/* In the long form: one line for each of its points,
 *     POINT|backend|name|kills|times reached
 * and when as many were killed as in `long_form`, a check that at each of its points, without exception, a hundred
 * were. */
void crew_tell(const struct crew *crew, uint64_t long_form);

#endif
