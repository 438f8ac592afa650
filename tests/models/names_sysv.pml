/* A name and its segments: backend_sysv/names.c, look.c, memory.c. The names in the comments are theirs.
 *
 * KEYS of the name's keys; each of ACTORS makes the object or removes it, OPS times, as it likes; it may be there from
 * the beginning. KILLS at any step; FAILS: how often building may fail. A step is one system call, or one access
 * to the header. A segment's id is used again as soon as it is removed and nobody is attached to it. At last a survivor
 * makes and removes:
 *
 *   no two build at once; a READY object stands alone and keeps its key until it is DEAD; neither a killed maker nor
 *   a killed remover is in the survivor's way; when it has removed its object no segment and no kernel queue is left.
 *
 * With SURVEY_FIRST a creator always looks before it makes.
 *
 * Not modelled: rights, foreign segments, other names that hash alike, the header's contents.
 *
 * Seeded bugs: NO_CONTEST (a creator commits without a look at the other keys), LOOK_FIRST (it looks before it
 * claims), NO_BUILDING (it builds on a mere claim), BURY_BY_STORE (DEAD is stored, not compared and swapped),
 * NO_ORPHANS (what has no name yet is not buried), LEAVE_DEAD (nobody finishes a removal), NO_CLEAR_ABOVE (a removal
 * ends at the key where it found the object), LEAVE_FIRST (a remover detaches, then removes by id), KEY_FIRST (the
 * segment is removed before the kernel queue), LABEL_LATE (after the kernel queue is made).
 */
#ifndef ACTORS
#define ACTORS 3
#endif
#ifndef KEYS
#define KEYS 2
#endif
#ifndef OPS
#define OPS 1
#endif
#ifndef KILLS
#define KILLS 0
#endif
#ifndef FAILS
#define FAILS 0
#endif

#define SELF   (me + 1)
#define BIT(n) (1 << (n))
#define IDS    (ACTORS + KEYS + 1) /* 0 is none */
#define NONE   255

#define INIT     0 /* the state word: a state, and the builder above it */
#define CLAIMED  1
#define BUILDING 2
#define READY    3
#define DEAD     4
#define STATE(w)   ((w) & 7)
#define BUILDER(w) ((w) >> 3)
#define MAKE(state, builder) ((builder) << 3 | (state))

#define NOTHING 1
#define OURS    2
#define AT_WORK 3
#define TAKEN   4
#define FRESH   5

byte key[KEYS];       /* the id under each */
byte word[IDS];
bool there[IDS];      /* not removed */
byte maker[IDS];      /* shm_cpid */
bool label[IDS], queue[IDS]; /* the kernel queue: told in the header, there */
byte attached[IDS];   /* bits by actor */

bool killed[ACTORS + 2];
byte kills = KILLS, fails = FAILS;
byte building;        /* who believes to build */
bool alive;           /* a READY object that nobody removed */

/* The kernel frees a removed segment with its last attachment. */
inline forget_id(s)
{
    if
    :: s && !there[s] && !attached[s] -> assert(!queue[s]); word[s] = INIT; maker[s] = 0; label[s] = false
    :: else
    fi
}

/* pipc_name_leave(); a maker may be attached to its own segment and to another. */
inline leave(s)
{
    if
    :: s && s != own -> attached[s] = attached[s] & ~BIT(me); forget_id(s)
    :: else
    fi;
    s = 0
}

inline leave_all()
{
    leave(f);
    f = own; own = 0;
    leave(f)
}

inline may_die()
{
#if KILLS
    if
    :: kills > 0 && me < ACTORS -> kills--; goto dead
    :: skip
    fi
#else
    skip
#endif
}

/* shmctl(IPC_RMID). By whoever is attached, so that the id is still what it was. */
inline remove_id(s)
{
    if
    :: there[s] ->
       assert(word[s] != READY); /* a living object never loses its name */
       there[s] = false;
       for (j : 0 .. KEYS - 1) {
           if
           :: key[j] == s -> key[j] = 0
           :: else
           fi
       }
       j = 0
    :: else
    fi
}

/* pipc_name_erase_queue(), then IPC_RMID: what pipc_name_free() and pipc_name_bury() do. */
inline free_id(s)
{
#ifndef KEY_FIRST
    atomic { may_die(); queue[s] = queue[s] && !label[s] };
#endif
#ifdef LEAVE_FIRST
    atomic {
        if
        :: dooms -> may_die(); attached[s] = attached[s] & ~BIT(me); forget_id(s)
        :: else
        fi
    };
#endif
    atomic { may_die(); remove_id(s) };
#ifdef KEY_FIRST
    atomic { may_die(); queue[s] = queue[s] && !label[s] };
#endif
    skip
}

/* pipc_name_bury(): the word `seen` becomes DEAD, unless it has changed. */
inline bury()
{
    atomic {
        may_die();
#ifdef BURY_BY_STORE
        word[f] = DEAD; moved = true
#else
        moved = (word[f] == seen);
        if
        :: moved -> word[f] = DEAD
        :: else
        fi
#endif
    };
    if
    :: moved -> free_id(f); moved = false
    :: else
    fi
}

/* pipc_name_look() at key k: attaches, looks at the key once more, judges. What is buried is looked at again. */
inline look(k)
{
    do
    :: atomic {
           may_die();
           f = key[k];
           if
           :: !f -> sight = NOTHING; break
           :: f && f == own -> f = 0; sight = TAKEN; break
           :: else
           fi
       };
       atomic { /* shmat: the id may be gone, or another's by now */
           may_die();
           if
           :: there[f] || attached[f] -> attached[f] = attached[f] | BIT(me)
           :: else -> f = 0
           fi
       };
       atomic { /* IPC_STAT, then the word */
           if
           :: f && key[k] == f ->
              may_die();
              seen = word[f];
              if
              :: seen == READY -> sight = OURS
              :: STATE(seen) == INIT ->
#ifdef NO_ORPHANS
                 sight = FRESH
#else
                 sight = (killed[maker[f]] -> 0 : FRESH)
#endif
              :: STATE(seen) == DEAD ->
#ifdef LEAVE_DEAD
                 sight = TAKEN
#else
                 sight = 0
#endif
              :: else -> sight = (killed[BUILDER(seen)] -> 0 : AT_WORK)
              fi
           :: else -> leave(f); sight = NONE
           fi
       };
       if
       :: sight == 0 -> bury(); atomic { leave(f); seen = 0 }
       :: sight == NONE
       :: sight == FRESH || sight == TAKEN -> atomic { leave(f); seen = 0; break }
       :: else -> break
       fi
    od
}

/* face(): what the other keys mean for the claim at key `mine`. */
inline contest()
{
    do
    :: k == mine -> k++
    :: k < KEYS && k != mine ->
       look(k);
       if
       :: sight != OURS && sight != AT_WORK -> k++
       :: else ->
          atomic { may_die(); seen = word[f] };
          if
          :: STATE(seen) == DEAD
          :: STATE(seen) == CLAIMED && k > mine -> bury()
          :: else -> lost = true
          fi;
          atomic { leave(f); seen = 0 }
       fi;
       if
       :: lost -> break
       :: else
       fi
    :: k >= KEYS -> break
    od;
    atomic { k = 0; sight = 0 }
}

/* build(), pipc_be_queue_create(), pipc_be_memory_publish() or pipc_be_memory_abandon() */
inline build()
{
#ifdef LABEL_LATE
    atomic { may_die(); queue[own] = true };
    atomic { may_die(); label[own] = true };
#else
    atomic { may_die(); label[own] = true };
    atomic { may_die(); queue[own] = true };
#endif
    if
    :: atomic {
           may_die();
           assert(word[own] == claim && !alive && there[own]); /* nobody takes it away from the living */
           word[own] = READY; alive = true; building = building & ~BIT(me); done = true
       }
    :: atomic { fails > 0 && me < ACTORS -> fails--; may_die(); building = building & ~BIT(me); word[own] = DEAD };
       free_id(own)
    fi
}

/* make(): make_segment(), claim(), contest(), commit(), or withdraw(). */
inline make()
{
    atomic {
        may_die();
        if
        :: key[mine] -> skip /* EEXIST */
        :: else ->
           own = 1;
           do
           :: there[own] || attached[own] -> own++
           :: else -> break
           od;
           there[own] = true; key[mine] = own; maker[own] = SELF
        fi
    };
    if
    :: own ->
       atomic { may_die(); attached[own] = attached[own] | BIT(me) };
       claim = MAKE(CLAIMED, SELF);
#ifdef LOOK_FIRST
       contest();
#endif
       atomic { may_die(); moved = (word[own] == INIT); assert(moved); word[own] = claim; moved = false };
#if !defined(LOOK_FIRST) && !defined(NO_CONTEST)
       contest();
#endif
       if
       :: !lost ->
          atomic {
              may_die();
#ifdef NO_BUILDING
              moved = (word[own] == claim);
#else
              moved = (word[own] == claim);
              claim = MAKE(BUILDING, SELF);
              if
              :: moved -> word[own] = claim
              :: else
              fi;
#endif
              if
              :: moved -> assert(!building && !alive); building = building | BIT(me)
              :: else -> lost = true
              fi;
              moved = false
          }
       :: else
       fi;
       if
       :: lost ->
          atomic {
              may_die();
              if
              :: word[own] == claim -> word[own] = DEAD
              :: else
              fi
          };
          atomic { may_die(); remove_id(own) }
       :: else -> build()
       fi
    :: else
    fi;
    atomic { may_die(); leave_all(); claim = 0; lost = false }
}

/* doom(), clear_above(), and pipc_be_memory_finish() */
inline doom()
{
    own = f; f = 0;
#ifndef NO_CLEAR_ABOVE
    k = mine + 1;
    do
    :: k < KEYS -> look(k); atomic { leave(f); seen = 0; k++ }
    :: else -> k = 0; break
    od;
#endif
    atomic {
        may_die();
        done = true;
        if
        :: word[own] == READY -> word[own] = DEAD; assert(alive); alive = false; moved = true; removed = true
        :: else
        fi
    };
    if
    :: moved -> moved = false; dooms = true; free_id(own); dooms = false
    :: else
    fi;
    atomic { may_die(); leave_all() }
}

/* pipc_name_open(), pipc_name_doom(): a survey, and what follows. `stubborn`: it does not give up. */
inline operate(create, stubborn)
{
    done = false;
    do
#ifndef SURVEY_FIRST
    :: create && !tried -> tried = true; mine = 0; make(); if :: done -> break :: else fi /* make_at_once() */
#endif
    :: atomic { mine = NONE; at_work = false; found = false };
       do
       :: k < KEYS ->
          look(k);
          atomic {
              if
              :: sight == OURS -> found = true; mine = k; break
              :: sight == AT_WORK -> at_work = true
              :: sight == NOTHING && mine == NONE -> mine = k
              :: else
              fi;
              leave(f); seen = 0;
              k++
          }
       :: else -> break
       od;
       atomic { k = 0; sight = 0; seen = 0 };
       if
       :: found && create -> atomic { may_die(); leave(f); done = true }
       :: found && !create -> doom()
       :: !found && !at_work && create && mine != NONE -> make()
       :: !found && !at_work && !create -> done = true
       :: else
       fi;
       atomic {
           mine = 0; at_work = false; found = false; sight = 0;
           if
           :: done -> break
           :: !done && stubborn -> tries++; assert(tries < 5)
           :: else
           fi
       }
    :: !stubborn -> break /* its deadline is over */
    od;
    atomic { done = false; tried = false; tries = 0 }
}

#define LOCALS byte f, own, seen, sight, claim, mine, k, j, tries, left; \
               bool moved, lost, found, at_work, done, removed, dooms, tried

proctype actor(byte me)
{
    LOCALS;
    do
    :: left < OPS -> left++; operate(true, false)
    :: left < OPS -> left++; operate(false, false)
    :: else -> break
    od;
dead:
    atomic { /* a death, or the end: what the kernel does then; no values, fewer states */
        killed[SELF] = true; building = building & ~BIT(me); leave_all();
        seen = 0; sight = 0; claim = 0; mine = 0; k = 0; j = 0; tries = 0; left = 0; moved = false;
        lost = false; found = false; at_work = false; done = false; removed = false; dooms = false; tried = false
    }
}

init
{
    byte me = ACTORS, i;
    LOCALS;
    atomic {
        if
        :: skip
        :: key[0] = 1; word[1] = READY; there[1] = true; label[1] = true; queue[1] = true; alive = true
        fi;
        for (i : 0 .. ACTORS - 1) { run actor(i) }
        i = 0
    };
    atomic {
        (_nr_pr == 1);
        operate(true, true);
        assert(alive);
        operate(false, true);
        assert(removed && !alive && !building);
        for (i : 1 .. IDS - 1) { assert(!queue[i] && !there[i] && !attached[i]) }
    };
dead:
    skip
}
