/* The robust lock of core/lock.c: pipc_lock_take(), take_slowly(), sleep_behind(), pipc_lock_give().
 *
 * PROCESSES take the lock ROUNDS times each. GIVE_UPS: how often somebody may run out of patience.
 * Without NAPS only a wake-up ends a sleep, and the model fails to end if one is missing. With NAPS
 * a sleep may also end by itself at any time, and its sleeper steals from the dead. With LAZY_NAPS
 * it ends so only when nothing else can happen: nobody may be left over, whoever was killed.
 * Seeded bugs: GIVE_BY_STORE, TAKE_UNMARKED (a taker that slept does not put up the waiters' mark),
 * STEAL_UNSEEN (a thief stores instead of comparing), STEAL_UNKNOWN (from owners not proven dead).
 */
#ifndef PROCESSES
#define PROCESSES 3
#endif
#ifndef ROUNDS
#define ROUNDS 1
#endif
#ifndef GIVE_UPS
#define GIVE_UPS 0
#endif
#ifndef KILLS
#define KILLS 0
#endif
#ifdef LAZY_NAPS
#define NAPS
#endif

#define WAITERS   8 /* the mark; the owner's number + 1 below it, 0 is free */
#define OWNER(w)  ((w) & 7)
#define SELF      (me + 1)

byte word;
bool asleep[PROCESSES];
bool killed[PROCESSES + 1];
byte kills = KILLS, give_ups = GIVE_UPS;
byte inside; /* who believes to hold the lock, a bit each */

#if KILLS
#define MORTAL unless { killed[me] }
#else
#define MORTAL
#endif

inline kernel_wake_one()
{
    atomic {
        if
        :: asleep[0] -> asleep[0] = false
        :: asleep[1] -> asleep[1] = false
#if PROCESSES > 2
        :: asleep[2] -> asleep[2] = false
#endif
        :: else
        fi
    }
}

/* The dead are inside no more. */
inline enter()
{
    for (i : 0 .. PROCESSES - 1) {
        if
        :: killed[i] -> inside = inside & ~(1 << i)
        :: else
        fi
    }
    inside = inside | (1 << me);
    assert(inside == (1 << me))
}

inline give_up()
{
    if
    :: give_ups > 0 -> give_ups--; goto gave_up
    :: skip
    fi
}

proctype process(byte me)
{
    byte seen, i, left = ROUNDS;
    bool out, woken;
    {
        skip;
round:
        atomic {
            if
            :: left == 0 -> goto done
            :: else -> left--
            fi
        };
        atomic { /* pipc_lock_take(): the fast way */
            if
            :: word == 0 -> word = SELF; enter(); goto critical
            :: else
            fi
        };
slowly:
        seen = word; /* take_slowly() */
        atomic {
            if
            :: seen == 0 && word == 0 ->
#ifdef TAKE_UNMARKED
                word = SELF;
#else
                word = SELF | WAITERS;
#endif
                enter();
                goto critical
            :: seen == 0 && word != 0 -> goto slowly
            :: else
            fi;
            give_up()
        };
        atomic { /* sleep_behind(): the mark */
            if
            :: seen & WAITERS
            :: !(seen & WAITERS) && word == seen -> seen = seen | WAITERS; word = seen
            :: else -> goto slowly
            fi
        };
        atomic { asleep[me] = (word == seen); out = false }; /* pipc_sleep_on() */
        atomic {
            if
            :: !asleep[me]
#if defined(LAZY_NAPS)
            :: timeout && asleep[me] -> asleep[me] = false; out = true
#elif defined(NAPS)
            :: asleep[me] -> asleep[me] = false; out = true
#endif
            fi
        };
        if
        :: !out -> goto slowly
        :: else
        fi;
#ifndef STEAL_UNKNOWN
        if
        :: !killed[OWNER(seen) - 1] -> goto slowly /* may_steal() */
        :: else
        fi;
#endif
        atomic { /* steal() */
            if
#ifdef STEAL_UNSEEN
            :: true -> word = SELF | WAITERS; enter()
#else
            :: word == seen ->
                word = SELF | WAITERS;
                enter()
            :: else -> goto slowly
#endif
            fi
        };
critical:
        inside = inside & ~(1 << me);
#ifdef GIVE_BY_STORE
        seen = word;
        word = 0;
        if
        :: seen & WAITERS -> kernel_wake_one()
        :: else
        fi;
#else
        atomic { /* pipc_lock_give() */
            if
            :: word == SELF -> word = 0; goto round
            :: else
            fi
        };
        atomic {
            if
            :: word == (SELF | WAITERS) -> word = 0; seen = WAITERS
            :: else -> seen = 0
            fi
        };
        if
        :: seen -> kernel_wake_one()
        :: else
        fi;
#endif
        goto round;
gave_up:
        goto round;
done:
        skip
    } MORTAL
}

proctype killer()
{
    byte victim;
    do
    :: kills > 0 ->
        atomic {
            kills--;
            select(victim : 0 .. PROCESSES - 1);
            killed[victim] = true;
            asleep[victim] = false;
            victim = 0
        }
    :: break
    od
}

init
{
    byte i;
    atomic {
        for (i : 0 .. PROCESSES - 1) { run process(i) }
#if KILLS
        run killer()
#endif
    }
}
