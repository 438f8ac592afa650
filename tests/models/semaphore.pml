/* The semaphore of core/semaphore.c over the waiting word of core/wait.c (wait.pml tells more of that).
 *
 * WAITERS take a token each, POSTERS post COUNT tokens each. LEAVES: how often a waiter may run out of patience.
 * Without SLICES nothing but a wake-up ends a sleep, and the model asks at its end whether anybody sleeps although there
 * is a token. With SLICES a sleep ends by itself too, but only when nothing else can happen.
 * Tokens: what is left and what was taken is what was posted.
 * Seeded bugs: TAKE_BY_STORE, POST_BY_STORE, LOOK_FIRST (announce after the look), BUMP_FIRST (wake, then count),
 * NO_LAST_LOOK (who gives up leaves a token behind for which it was woken), WAKE_ONE (whatever was posted),
 * WOKEN_TAKES (whoever is woken believes to have been given a token).
 */
#ifndef WAITERS
#define WAITERS 2
#endif
#ifndef POSTERS
#define POSTERS 2
#endif
#ifndef COUNT
#define COUNT 1
#endif
#ifndef LEAVES
#define LEAVES 0
#endif
#ifndef KILLS
#define KILLS 0
#endif

#define ALL     (WAITERS + POSTERS)
#define WATCHED 2
#define ASLEEP  1
#define MARKS   3
#define STEP    4
#define NEXT    ((word + STEP) & ~MARKS)
#ifdef WAKE_ONE
#define WAKE 1
#else
#define WAKE COUNT
#endif

short value;
byte word, sleepers;
byte posted, taken;
bool asleep[WAITERS];
bool killed[ALL];
byte kills = KILLS, leaves = LEAVES;

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

/* pipc_word_bump() */
inline bump(count)
{
    do
    :: atomic {
           current = word;
           if
           :: !(current & MARKS) -> goto bumped
           :: else
           fi
       };
       more = (current & ASLEEP) && sleepers > count;
       atomic {
           if
           :: word == current -> word = (more -> word + STEP : NEXT); break
           :: else
           fi
       }
    od;
    if
    :: (current & ASLEEP) ->
        atomic {
            many = count;
            if
            :: !more && sleepers > count -> many = WAITERS
            :: else
            fi
        };
        atomic { kernel_wake(many) };
        if
        :: more && woken < count -> word = NEXT; atomic { kernel_wake(WAITERS) }
        :: else
        fi
    :: else
    fi;
bumped:
    atomic { current = 0; more = false; woken = 0; many = 0 }
}

inline take()
{
#ifdef TAKE_BY_STORE
    current = value;
    atomic {
        if
        :: current > 0 -> value = current - 1; taken++; current = 0; goto done
        :: else -> current = 0
        fi
    }
#else
    atomic {
        if
        :: value > 0 -> value--; taken++; goto done
        :: else
        fi
    }
#endif
}

proctype waiter(byte me)
{
    byte announced, seen, current;
    {
        take();
again:
#ifdef LOOK_FIRST
        take();
        atomic { word = word | WATCHED; announced = word & ~MARKS };
#else
        atomic { word = word | WATCHED; announced = word & ~MARKS }; /* announce() */
        take();
#endif
        atomic { /* pipc_word_await(): its check */
            if
            :: leaves > 0 -> leaves--; goto leave
            :: skip
            fi;
            sleepers++
        };
        atomic { /* mark_asleep() */
            if
            :: (word & ~MARKS) != announced -> goto awake
            :: else -> word = word | MARKS; seen = word
            fi
        };
        atomic { asleep[me] = (word == seen); announced = 0; seen = 0 };
end_asleep:
        if
        :: !asleep[me]
        :: atomic { asleep[me] && leaves > 0 -> asleep[me] = false; leaves--; sleepers--; goto leave }
        fi;
#ifdef WOKEN_TAKES
        atomic { sleepers--; value--; taken++; assert(value >= 0); goto done };
#endif
awake:
        atomic { sleepers--; announced = 0 };
        if
        :: goto again
        :: atomic { leaves > 0 -> leaves--; goto leave } /* the patience ended with the sleep */
        fi;
leave:
#ifndef NO_LAST_LOOK
        take();
#endif
        skip;
done:
        skip
    } MORTAL
}

proctype poster(byte me)
{
    byte current, woken, many;
    bool more;
    {
#ifdef BUMP_FIRST
        bump(WAKE);
        atomic { value = value + COUNT; posted = posted + COUNT }
#else
#ifdef POST_BY_STORE
        current = value;
        atomic { value = current + COUNT; posted = posted + COUNT };
#else
        atomic { value = value + COUNT; posted = posted + COUNT };
#endif
        bump(WAKE)
#endif
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

#define STRANDED(i) (asleep[i] && value > 0)
#ifdef SLICES
#define LATE(i) asleep[i] = false /* the slice ends */
#else
#define LATE(i) assert(!STRANDED(i))
#endif

init
{
    byte i;
    atomic {
        for (i : 0 .. WAITERS - 1) { run waiter(i) }
        for (i : WAITERS .. ALL - 1) { run poster(i) }
#if KILLS
        run killer()
#endif
        i = 0
    }
end:
    do
    :: timeout ->
        assert(value + taken == posted);
        if
        :: STRANDED(0) -> LATE(0)
        :: STRANDED(1) -> LATE(1)
#if WAITERS > 2
        :: STRANDED(2) -> LATE(2)
#endif
        :: else -> break
        fi
    od
}
