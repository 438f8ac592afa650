/* The public lock of core/mutex.c over core/lock.c: who is told of deaths, and in which pid namespace owners are noted.
 * The waiting is that of lock.pml; here whoever finds the lock taken looks again.
 *
 * PROCESSES lock ROUNDS times each. The last of them lives in another pid namespace if ABROAD is set: to it the
 * identities noted at the others' home look dead, and its own looks dead to them. Whoever is told of a death mends;
 * whoever is not told must find nothing to mend, and each death with the lock is told once.
 * Seeded bugs: FREE_FIRST (a thief frees the lock of the dead, then takes it like anyone), TELL_ALL (whoever
 * waited behind the dead tells its caller so), NO_HOME (owners are judged wherever they live), HOME_BY_STORE (who locks
 * notes his own home each time), HOME_LATE (the first one locks, and then notes where).
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
#define NOBODY    (8 + me) /* an identity of this process that nobody can judge */
#ifdef ABROAD
#define HERE(i)   (i == PROCESSES - 1 -> 2 : 1)
#else
#define HERE(i)   1
#endif

byte word;           /* the owner: SELF, NOBODY; 0 is free */
byte home;           /* 0: nobody has locked yet */
bool killed[PROCESSES];
byte kills = KILLS;
byte inside;         /* number + 1 of who has the lock, killed or not; 0 nobody */
bool abroad_died;    /* with the lock, or it seems so: it stays locked for ever */
byte deaths, told;   /* with the lock; to the living or to who died of it */

#define MORTAL unless { killed[me] }

/* What pipc_is_dead() says here of an owner. It is asked only at home; NOBODY is no number of a process. */
#ifdef NO_HOME
#define JUDGES    true
#else
#define JUDGES    home == HERE(me)
#endif
#define OWNER     (seen - 1)
#define LOOKS_DEAD(owner) (owner >= 1 && owner <= PROCESSES && \
                           (killed[owner - 1] || HERE(me) != HERE(owner - 1)))

/* The lock is ours by compare-and-swap; `by_theft` says whether we are told. */
inline enter(by_theft)
{
    if
    :: by_theft -> assert(inside != 0); assert(killed[inside - 1]); told++
    :: else -> assert(inside == 0)
    fi;
    inside = SELF;
    assert(told <= deaths)
}

proctype process(byte me)
{
    byte seen, mine, left = ROUNDS;
#ifdef TELL_ALL
    bool met_dead;
#endif
    {
        skip;
round:
        atomic {
            if
            :: left == 0 -> goto done
            :: else -> left--
            fi
        };
#ifdef HOME_BY_STORE
        home = HERE(me);
#elif defined(HOME_LATE)
        mine = (home == 0 || home == HERE(me) -> SELF : NOBODY);
        goto chosen;
#else
        atomic { /* settle */
            if
            :: home == 0 -> home = HERE(me)
            :: else
            fi
        };
#endif
        mine = (home == HERE(me) -> SELF : NOBODY);
chosen:
again:
        atomic {
            seen = word;
            if
            :: seen == 0 -> word = mine; enter(false); goto critical
            :: else
            fi
        };
        atomic { /* may_steal */
            if
            :: JUDGES && LOOKS_DEAD(seen) -> skip
            :: else -> /* wait; for ever, if the owner is dead and nobody can know: then the model ends here */
                (word != seen || (JUDGES && LOOKS_DEAD(seen)) || (killed[inside - 1] && seen > PROCESSES)
#ifdef ABROAD
                 || killed[inside - 1] && HERE(me) != 1
#endif
                );
                if
                :: word == seen && killed[inside - 1] && !(JUDGES && LOOKS_DEAD(seen)) -> goto done /* a deadline */
                :: else -> goto again
                fi
            fi
        };
#ifdef FREE_FIRST
        atomic {
            if
            :: word == seen -> word = 0
            :: else -> goto again
            fi
        };
        atomic {
            if
            :: word == 0 -> word = mine; enter(true); goto critical
            :: else -> goto again
            fi
        };
#else
        atomic {
            if
            :: word == seen -> word = mine; enter(true)
            :: else ->
#ifdef TELL_ALL
                met_dead = true;
#endif
                goto again
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
        atomic { /* pipc_lock_give */
            assert(word == mine);
            word = 0;
            inside = 0
        };
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
}
