/* The waiting word of core/wait.c, as send_patiently() and receive_patiently() use it.
 *
 * items and room are woken one by one; PICKY is the word of selective receivers, who are all woken.
 *
 * Waiters want a thing each (a message, a place); changers make things and bump. A look is one step:
 * in the code it is ordered with the change by a lock or by sequentially consistent operations.
 *
 * Without SLICES nothing but a wake-up gets a waiter out of its sleep, and the model ends with the
 * question whether anybody sleeps although there is something for him. With SLICES a sleep ends by
 * itself too, but only when nothing else can happen; then whoever was not killed must get his thing.
 *
 * With DEEPLY a waiter may sleep deeply: no slice ever ends that. Who makes something says first that it is under way
 * (a reserved place, the producers' lock), and rouses deep sleepers.
 *
 * WAITERS, CHANGERS, CHANGES (of each changer), LEAVES (how often a waiter may run out of patience),
 * INTERRUPTS, KILLS, SLICES, PICKY (each thing is for one waiter; all are woken).
 * Seeded bugs: LOOK_FIRST (announce after the look), OWN_MARK (the mark in a word of its own),
 * LATE_COUNT (sleepers read after the wake-up), LATE_MARKS (taken down, put up again after the wake-up),
 * NO_MARKS (taken down for good), NO_RECOUNT (sleepers not read again), NO_PASS_ON, EARLY_CHECK (interrupts
 * looked for before the announcement), PLAIN_STORE (the change becomes visible after the look at the marks); of
 * DEEPLY: NO_ROUSE, LATE_ROUSE (after the change), NOT_QUIET (whatever is under way), EARLY_QUIET (asked before the mark),
 * LATE_QUIET (asked after the look), EARLY_CLEAR (the mark comes down before the wake-up).
 */
#ifndef WAITERS
#define WAITERS 2
#endif
#ifndef CHANGERS
#define CHANGERS 2
#endif
#ifndef CHANGES
#define CHANGES 1
#endif
#ifndef LEAVES
#define LEAVES 0
#endif
#ifndef INTERRUPTS
#define INTERRUPTS 0
#endif
#ifndef KILLS
#define KILLS 0
#endif

#define ALL     (WAITERS + CHANGERS + INTERRUPTS)
#define DEEP    4
#define WATCHED 2
#define ASLEEP  1
#define MARKS   7
#define STEP    8
#define NEXT    ((word + STEP) & ~MARKS) /* of the sequence, without marks */

#ifdef PICKY
#define COUNT   WAITERS /* pipc_word_bump(picky, INT32_MAX) */
#define MINE(i) i
#else
#define COUNT   1 /* pipc_word_bump(items or room, 1) */
#define MINE(i) 0
#endif

byte word, sleepers;   /* struct pipc_word */
byte interrupts;       /* struct pipc_interrupts */
bool pending;
bool asleep[WAITERS];  /* in the kernel's futex queue */
#ifdef DEEPLY
bool deeply[WAITERS];
byte under_way;
#endif
byte things[WAITERS];  /* only [0], unless PICKY */
byte seen[WAITERS];    /* patience.interrupts_seen */
byte leaves = LEAVES;
byte kills = KILLS;
bool killed[ALL];
#ifdef OWN_MARK
bool own_mark;
#endif

#if KILLS
#define MORTAL unless { killed[me] }
#else
#define MORTAL
#endif

inline kernel_wake(count)
{
    woken = 0;
    do
    :: woken < count && asleep[0] -> asleep[0] = false; woken++
    :: woken < count && asleep[1] -> asleep[1] = false; woken++
#if WAITERS > 2
    :: woken < count && asleep[2] -> asleep[2] = false; woken++
#endif
    :: else -> break
    od
}

/* pipc_word_bump_all(): an exchange, a wake-up; then the mark of deep sleepers comes down */
inline bump_all()
{
#if defined(DEEPLY) && !defined(EARLY_CLEAR)
    atomic { word = NEXT | (word & DEEP); after = word };
    atomic { kernel_wake(WAITERS) };
    atomic {
        if
        :: word == after -> word = word & ~DEEP
        :: else
        fi;
        after = 0
    }
#else
    word = NEXT;
    atomic { kernel_wake(WAITERS) }
#endif
}

/* pipc_word_bump(). A turn of its loop: loads of the word and of `sleepers`, a compare-and-swap. */
inline bump(count)
{
    do
    :: atomic { /* the first load; the compare-and-swap of the next turn brings its own */
#ifdef OWN_MARK
           current = (own_mark -> MARKS : 0);
#else
           current = word;
#endif
           if
           :: !(current & MARKS) -> goto bumped
           :: else
           fi
       };
#ifdef DEEPLY
       if
       :: (current & DEEP) -> bump_all(); goto bumped
       :: else
       fi;
#endif
       more = (current & ASLEEP) && sleepers > count;
#if defined(LATE_MARKS) || defined(NO_MARKS) || defined(LATE_COUNT)
       more = false;
#endif
#ifdef OWN_MARK
       word = word + STEP;
       own_mark = more;
       break
#else
       atomic {
           if
           :: word == current -> word = (more -> word + STEP : NEXT); break
           :: else
           fi
       }
#endif
    od;
    if
    :: (current & ASLEEP) ->
#if defined(LATE_COUNT)
        atomic { kernel_wake(count) };
        if
        :: sleepers > count -> word = word | MARKS
        :: else
        fi
#elif defined(LATE_MARKS)
        more = sleepers > count;
        atomic { kernel_wake(count) };
        if
        :: woken == count && more -> word = word | MARKS
        :: else
        fi
#elif defined(NO_MARKS)
        atomic { kernel_wake(count) }
#else
        atomic {
            many = count;
#ifndef NO_RECOUNT
            if
            :: !more && sleepers > count -> many = WAITERS
            :: else
            fi
#endif
        };
        atomic { kernel_wake(many) };
        if
        :: more && woken < count -> bump_all()
        :: else
        fi
#endif
    :: else
    fi;
bumped:
    atomic { current = 0; more = false; woken = 0; many = 0 }
}

inline announce()
{
#ifdef OWN_MARK
    announced = word;
    own_mark = true
#else
    atomic { word = word | WATCHED; announced = word & ~MARKS } /* announce */
#ifdef DEEPLY
    if
    :: calm = false /* it has not slept through enough slices */
    :: true ->
#ifdef EARLY_QUIET
        calm = (under_way == 0);
        atomic { word = word | WATCHED | DEEP; announced = word & ~MARKS }
#else
        atomic { word = word | WATCHED | DEEP; announced = word & ~MARKS };
#if defined(NOT_QUIET) || defined(LATE_QUIET)
        calm = true
#else
        calm = (under_way == 0)
#endif
#endif
    fi
#endif
#endif
}

/* It may also end the call, though there is something: the lock's deadline, a buffer that is too small. */
inline look()
{
    atomic {
        if
        :: things[MINE(me)] > 0 -> things[MINE(me)]--; goto done
        :: things[MINE(me)] > 0 && leaves > 0 -> leaves--; goto leave
        :: else
        fi
    }
}

/* pipc_patience_check(). An interrupt that it finds it consumes. */
inline check_interrupts()
{
    if
    :: interrupts != seen[me] || pending -> pending = false; goto leave
    :: else
    fi
}

proctype waiter(byte me)
{
    byte announced, value, current, woken, many, after;
    bool slept, more, counted, calm;
    {
        seen[me] = interrupts; /* pipc_patience_begin() */
        look();
again:
#ifdef EARLY_CHECK
        atomic { check_interrupts() };
#endif
#ifdef LOOK_FIRST
        look();
        announce();
#else
        announce();
        if
        :: (word & ~MARKS) != announced -> /* pipc_word_await(): seen while it lingered */
            look();
            atomic {
                check_interrupts();
                if
                :: leaves > 0 -> leaves--; goto leave
                :: skip
                fi
            };
            goto again
        :: skip
        fi;
        look();
#ifdef LATE_QUIET
        calm = calm && under_way == 0;
#endif
#endif
        atomic { /* pipc_word_await(): the check before the sleep */
            slept = true;
#ifndef EARLY_CHECK
            check_interrupts();
#endif
            if
            :: leaves > 0 -> leaves--; goto leave
            :: skip
            fi
        };
        atomic { sleepers++; counted = true };
        atomic { /* mark_asleep() */
            if
            :: (word & ~MARKS) != announced -> goto awake
            :: else
            fi;
#ifndef OWN_MARK
            word = word | WATCHED | ASLEEP;
#endif
            value = word
        };
#ifndef EARLY_CHECK
        atomic { check_interrupts() };
#endif
        atomic { /* pipc_sleep_on() */
            asleep[me] = (word == value);
#ifdef DEEPLY
            deeply[me] = calm;
            calm = false;
#endif
            announced = 0;
            value = 0
        };
end_asleep:
        if
        :: !asleep[me]
        :: atomic { asleep[me] && leaves > 0 -> asleep[me] = false } /* a deadline: found out above */
        fi;
awake:
        atomic { sleepers--; counted = false; announced = 0 }; /* leave_sleepers() */
        goto again;
leave:
        atomic {
            if
            :: counted -> sleepers--; counted = false
            :: else
            fi
        };
#if !defined(PICKY) && !defined(NO_PASS_ON)
        if
        :: slept -> bump(1)
        :: else
        fi;
#endif
done:
        skip
    } MORTAL
}

inline change()
{
    things[MINE((me - WAITERS) % WAITERS)]++
}

#ifdef DEEPLY
/* pipc_word_rouse() */
inline rouse()
{
    if
    :: (word & DEEP) -> bump_all()
    :: else
    fi
}
#endif

proctype changer(byte me)
{
    byte current, woken, many, after, left = CHANGES;
    bool more;
    {
        do
        :: left > 0 ->
#ifdef PLAIN_STORE /* x86: the store waits in the store buffer, the load of the marks overtakes it */
            atomic { left--; current = word };
            change();
            if
            :: (current & MARKS) -> bump(COUNT)
            :: else
            fi
#elif defined(DEEPLY)
            atomic { left--; under_way++ };
#if !defined(NO_ROUSE) && !defined(LATE_ROUSE)
            rouse();
#endif
            change();
#ifdef LATE_ROUSE
            rouse();
#endif
            under_way--;
            bump(COUNT)
#else
            atomic { left--; change() };
            bump(COUNT)
#endif
        :: else -> break
        od
    } MORTAL
}

/* pipc_queue_interrupt() */
proctype interrupter(byte me)
{
    byte woken, after;
    {
        pending = true;
        interrupts++;
        bump_all()
    } MORTAL
}

proctype killer()
{
    byte victim;
    do
    :: kills > 0 ->
        atomic {
            kills--;
            select(victim : 0 .. ALL - 1);
            killed[victim] = true;
            if
            :: victim < WAITERS -> asleep[victim] = false
            :: else
            fi;
            victim = 0
        }
    :: break
    od
}

#define STRANDED(i) (asleep[i] && (things[MINE(i)] > 0 || interrupts != seen[i] || pending))
#ifdef DEEPLY
#define LATE(i) assert(!deeply[i]); asleep[i] = false
#elif defined(SLICES)
#define LATE(i) asleep[i] = false /* the slice ends */
#else
#define LATE(i) assert(!STRANDED(i))
#endif

init
{
    byte i, current, woken, many, after;
    bool more;
    atomic {
        for (i : 0 .. WAITERS - 1) { run waiter(i) }
        for (i : WAITERS .. WAITERS + CHANGERS - 1) { run changer(i) }
#if INTERRUPTS
        for (i : WAITERS + CHANGERS .. ALL - 1) { run interrupter(i) }
#endif
#if KILLS
        run killer()
#endif
        i = 0
    }
end:
    do
    :: timeout ->
        if
        :: STRANDED(0) -> LATE(0)
        :: STRANDED(1) -> LATE(1)
#if WAITERS > 2
        :: STRANDED(2) -> LATE(2)
#endif
        :: else -> break
        fi
    od;
    /* A wake-up that found nobody takes the marks down, whatever `sleepers` says. */
    if
    :: asleep[0] || asleep[1] || asleep[WAITERS - 1] -> skip
    :: else -> bump(1); assert(!(word & MARKS))
    fi
}
