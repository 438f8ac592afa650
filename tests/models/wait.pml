/* The waiting word of core/wait.c, as send_patiently and receive_patiently use it.
 *
 * Waiters want a thing each (a message, a place); changers make things and bump. A look is one step:
 * in the code it is ordered with the change by a lock or by sequentially consistent operations.
 *
 * Without SLICES and KILLS nothing but a wake-up gets a waiter out of its sleep, and the model ends
 * with the question whether anybody sleeps although there is something for him. With SLICES a sleep
 * also ends by itself, but only when nothing else can happen; then nobody may be left over whoever
 * was killed.
 *
 * WAITERS, CHANGERS, CHANGES (of each changer), LEAVES (waiters that may run out of patience),
 * INTERRUPTS, KILLS, SLICES, PICKY (each thing is for one waiter; all are woken).
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
#ifdef PICKY
#define COUNT WAITERS /* pipc_word_bump(picky, INT32_MAX) */
#else
#define COUNT 1 /* pipc_word_bump(items or room, 1) */
#endif

#define ALL     (WAITERS + CHANGERS + INTERRUPTS)
#define WATCHED 2
#define ASLEEP  1
#define MARKS   3
#define STEP    4
#define TOP     63 /* the sequence and the marks wrap here */

/* struct pipc_word, struct pipc_interrupts */
byte word, sleepers;
byte interrupts;
bool pending;

/* The kernel's side of the futex: who sleeps. */
bool asleep[WAITERS];

byte things[WAITERS]; /* only [0], unless PICKY */
byte leaves = LEAVES;
byte seen[WAITERS]; /* patience.interrupts_seen */
byte kills = KILLS;
bool killed[ALL];
#if KILLS
#define MORTAL unless { killed[me] }
#else
#define MORTAL
#endif

#ifdef PICKY
#define MINE me
#else
#define MINE 0
#endif

inline kernel_wake(count)
{
    atomic {
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
}

/* pipc_word_bump_all */
inline bump_all()
{
    word = ((word + STEP) & ~MARKS) & TOP;
    kernel_wake(WAITERS)
}

/* pipc_word_bump. Each turn of its loop is a load of the word, one of `sleepers`, a compare-and-swap. */
inline bump(count)
{
    do
    :: atomic {
           current = word;
           if
           :: !(current & MARKS) -> break
           :: else
           fi
       };
       more = (current & ASLEEP) && sleepers > count;
       atomic {
           if
           :: word != current
           :: else ->
               word = (more -> (current + STEP) & TOP : ((current + STEP) & ~MARKS) & TOP);
               value = word;
               break
           fi
       }
    od;
    if
    :: (current & ASLEEP) ->
        kernel_wake(count);
#ifdef CLEAR
        atomic {
            if
            :: more && woken < count && word == value -> word = ((word + STEP) & ~MARKS) & TOP
            :: else
            fi
        }
#endif
    :: else
    fi;
    d_step { current = 0; more = false; value = 0; woken = 0 }
}

/* pipc_patience_check: consumes an interrupt. */
inline check_patience()
{
    atomic {
        slept = true;
        if
        :: interrupts != seen[me] || pending -> pending = false; goto leave
        :: else
        fi;
        if
        :: leaves > 0 -> leaves--; goto leave
        :: skip
        fi
    }
}

inline look()
{
    atomic {
        if
        :: things[MINE] > 0 -> things[MINE]--; goto done
        :: else
        fi
    }
}

proctype waiter(byte me)
{
    byte announced, value, current, woken;
    bool slept, more;
    {
        seen[me] = interrupts; /* pipc_patience_begin */
        look();
again:
        atomic { announced = word | WATCHED; word = announced } /* pipc_word_announce */
        look();
        check_patience(); /* from here on pipc_word_sleep */
        sleepers++;
        atomic { /* mark_asleep */
            if
            :: ((word ^ announced) & ~MARKS) -> goto awake
            :: else -> value = ((word + STEP) | MARKS) & TOP; word = value
            fi
        }
        if
        :: interrupts != seen[me] || pending -> atomic { pending = false; sleepers--; goto leave }
        :: else
        fi;
        atomic { asleep[me] = (word == value) } /* pipc_sleep_on */
end_asleep:
        if
        :: !asleep[me]
        :: atomic { asleep[me] && leaves > 0 -> asleep[me] = false }
#ifdef SLICES
        :: atomic { timeout && asleep[me] && things[MINE] > 0 -> asleep[me] = false }
#endif
        fi;
awake:
        atomic { sleepers--; value = 0; announced = 0 }; /* leave_sleepers */
        goto again;
leave:
#ifndef PICKY
        if
        :: slept -> bump(1)
        :: else
        fi;
#endif
done:
        skip
    } MORTAL
}

proctype changer(byte me)
{
    bool more;
    byte value, current, woken, left = CHANGES;
    {
        do
        :: left > 0 ->
            atomic {
                left--;
#ifdef PICKY
                things[(me - WAITERS) % WAITERS]++
#else
                things[0]++
#endif
            };
            bump(COUNT)
        :: else -> break
        od
    } MORTAL
}

/* pipc_queue_interrupt */
proctype interrupter(byte me)
{
    byte woken;
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
            fi
        }
    :: break
    od
}

#define STRANDED(i) (asleep[i] && (things[MINE_OF(i)] > 0 || interrupts != seen[i] || pending))
#ifdef PICKY
#define MINE_OF(i) i
#else
#define MINE_OF(i) 0
#endif

init
{
    byte i;
    atomic {
        for (i : 0 .. WAITERS - 1) { run waiter(i) }
        for (i : WAITERS .. WAITERS + CHANGERS - 1) { run changer(i) }
#if INTERRUPTS
        for (i : WAITERS + CHANGERS .. ALL - 1) { run interrupter(i) }
#endif
#if KILLS
        run killer()
#endif
    }
end:
    timeout;
    assert(!STRANDED(0) && !STRANDED(1));
#if WAITERS > 2
    assert(!STRANDED(2))
#endif
}
