/* The public lock of core/mutex.c over core/lock.c: who is told of deaths, and in which pid namespace owners are noted.
 * The sleeping is that of lock.pml; here whoever finds the lock taken looks again, or gives up.
 *
 * PROCESSES lock ROUNDS times each. With ABROAD the last of them lives in another pid namespace: the identities of the
 * others look dead to it, and its own to them. Whoever is not told of a death must find the lock given back; each death
 * with the lock is told to exactly one, who may die of it.
 * Seeded bugs: FREE_FIRST (a thief frees the lock of the dead, then takes it like anyone), TELL_ALL (whoever saw
 * the dead owner says so), STEAL_UNSEEN (a thief stores), NO_HOME (owners are judged wherever they live), HOME_BY_STORE
 * (each notes his own home), HOME_LATE (the first one locks, and then notes where).
 */
#ifndef PROCESSES
#define PROCESSES 3
#endif
#ifndef ROUNDS
#define ROUNDS 1
#endif
#ifndef KILLS
#define KILLS 0
#endif

#define SELF      (me + 1)
#define NOBODY    (8 + me) /* an identity of this process that says nothing of its life */
#ifdef ABROAD
#define HERE(i)   ((i) == PROCESSES - 1 -> 2 : 1)
#else
#define HERE(i)   1
#endif
#ifdef NO_HOME
#define AT_HOME   true
#else
#define AT_HOME   (home == HERE(me))
#endif

byte word;         /* the owner: SELF or NOBODY of a process; 0 is free */
byte home;         /* 0: nobody has locked yet */
bool killed[PROCESSES];
byte kills = KILLS;
byte inside;       /* number + 1 of who has the lock, killed or not; 0: nobody */
byte deaths, told; /* with the lock */

#define MORTAL unless { killed[me] }

/* pipc_is_dead() */
#define IS_DEAD(owner) ((owner) <= PROCESSES && (killed[(owner) - 1] || HERE(me) != HERE((owner) - 1)))

inline enter(by_theft)
{
    if
    :: by_theft -> assert(inside != 0 && killed[inside - 1]); told++
    :: else -> assert(inside == 0)
    fi;
    inside = SELF
}

proctype process(byte me)
{
    byte seen, mine, left = ROUNDS;
    bool met_dead;
    {
        skip;
round:
        atomic {
            met_dead = false;
            if
            :: left == 0 -> goto done
            :: else -> left--
            fi
        };
#if defined(HOME_LATE)
        mine = (home == 0 || AT_HOME -> SELF : NOBODY);
#else
        atomic { /* settle() */
            if
#ifdef HOME_BY_STORE
            :: true -> home = HERE(me)
#else
            :: home == 0 -> home = HERE(me)
            :: else
#endif
            fi
        };
        mine = (AT_HOME -> SELF : NOBODY); /* owner_of() */
#endif
again:
        atomic { /* pipc_lock_try(), and the look of may_steal() */
            seen = word;
            if
            :: seen == 0 -> word = mine; enter(met_dead); goto critical
            :: seen != 0 && AT_HOME && IS_DEAD(seen) -> skip
            :: seen != 0 && !(AT_HOME && IS_DEAD(seen)) -> goto again
            :: seen != 0 && !(AT_HOME && IS_DEAD(seen)) -> goto round /* gives up */
            fi
        };
#ifdef TELL_ALL
        met_dead = true;
#endif
#ifdef FREE_FIRST
        atomic {
            if
            :: word == seen -> word = 0
            :: else -> goto again
            fi
        };
        atomic {
            if
            :: word == 0 -> word = mine; enter(true)
            :: else -> goto again
            fi
        };
#else
        atomic { /* steal() */
            if
#ifdef STEAL_UNSEEN
            :: true -> word = mine; enter(true)
#else
            :: word == seen -> word = mine; enter(true)
            :: else -> goto again
#endif
            fi
        };
#endif
critical:
#ifdef HOME_LATE
        atomic {
            if
            :: home == 0 -> home = HERE(me)
            :: else
            fi
        };
#endif
        assert(inside == SELF);
        atomic { assert(word == mine); word = 0; inside = 0 }; /* pipc_lock_give() */
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
            if
            :: !killed[victim] && inside == victim + 1 -> deaths++
            :: else
            fi;
            killed[victim] = true;
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
    (_nr_pr == 1); /* all have ended: the last death, if it was with the lock, waits for whoever comes next */
    assert((word != 0) == (inside != 0));
    assert(told + (inside != 0) == deaths)
}
