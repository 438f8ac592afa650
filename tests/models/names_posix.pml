/* A name and its files: backend_posix/names.c, look.c, memory.c. The names in the comments are theirs.
 *
 * Each of ACTORS makes the object or removes it, OPS times, as it likes; it may be there from the beginning. KILLS
 * at any step; FAILS: how often building may fail (no room). A step is one system call, or one access to the header. A
 * file's number is used again as soon as no name and no opening is left. At last a survivor makes and removes:
 *
 *   no two build at once; a READY object stands alone and keeps its name until it is DEAD; neither a killed maker nor
 *   a killed remover is in the survivor's way; when it has removed its object neither file nor kernel queue is left.
 *
 * Not modelled: rights, foreign files, forks of a builder, the size that grows while somebody looks.
 *
 * Seeded bugs: NO_LOCK (it is always granted), UNLINK_UNLOCKED (a remover frees the name after its mark without
 * the lock), UNLOCK_FIRST (and only then unlinks), NO_LINK_CHECK (under the lock), NO_STATE_CHECK (a remover believes what it saw
 * before it had the lock), BUILD_IN_REMAINS, LEAVE_DEAD (creators wait for a DEAD object's remover),
 * NAME_FIRST (freed before the kernel queue is erased), LABEL_LATE (after the kernel queue is made).
 */
#ifndef ACTORS
#define ACTORS 3
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

#define SELF     (me + 1)
#define BIT(n)   (1 << (n))
#define FILES    (ACTORS + 2) /* 0 is none */

mtype = { INIT, BUILDING, READY, DEAD };
mtype = { NOTHING, OURS, HALF, VANISHED };

byte name;               /* the file that it leads to */
mtype state[FILES];
bool filled[FILES];      /* it has a header, else it is empty */
bool label[FILES], queue[FILES]; /* the kernel queue: told in the header, there */
byte locked[FILES];      /* by whom */
byte openings[FILES];    /* bits by actor */

byte kills = KILLS, fails = FAILS;
byte building;           /* who believes to build, bits by actor */
bool alive;              /* a READY object that nobody removed */

/* A file without name and openings is gone; its kernel queue must be gone before. */
inline forget_file(file)
{
    if
    :: file && name != file && !openings[file] ->
       assert(!queue[file]);
       state[file] = INIT; filled[file] = false; label[file] = false
    :: else
    fi
}

inline close_all()
{
    if
    :: f ->
       openings[f] = openings[f] & ~BIT(me);
       if
       :: locked[f] == SELF -> locked[f] = 0
       :: else
       fi;
       forget_file(f)
    :: else
    fi;
    f = 0; mapped = false; sight = 0
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

/* pipc_name_leave() */
inline leave()
{
    may_die(); close_all()
}

/* pipc_name_examine(): link count, size, state. In two steps, the second only if the first says nothing. */
inline examine()
{
    atomic {
        may_die();
        mapped = false;
        if
        :: name != f -> sight = VANISHED
        :: else ->
           if
           :: !filled[f] -> sight = HALF
           :: else -> mapped = true
           fi
        fi
    };
    atomic {
        if
        :: mapped -> may_die(); sight = (state[f] == READY -> OURS : HALF)
        :: else
        fi
    }
}

/* pipc_name_lock(): of the opening, wherever the name leads by now */
inline lock_name(got)
{
    atomic {
        may_die();
#ifdef NO_LOCK
        locked[f] = SELF;
#endif
        if
        :: locked[f] == 0 -> locked[f] = SELF
        :: else
        fi;
        got = (locked[f] == SELF)
    }
}

/* pipc_name_look(). A remover locks before it looks. */
inline look(to_lock)
{
    atomic {
        may_die();
        f = name;
        if
        :: f -> openings[f] = openings[f] | BIT(me)
        :: else -> sight = NOTHING
        fi
    };
    if
#ifdef NO_STATE_CHECK
    :: f && to_lock -> examine(); lock_name(got)
#else
    :: f && to_lock -> lock_name(got); examine()
#endif
    :: f && !to_lock -> examine()
    :: else
    fi
}

/* make_file(): O_EXCL */
inline make_file()
{
    atomic {
        may_die();
        if
        :: name -> sight = VANISHED
        :: else ->
           f = 1;
           do
           :: openings[f] || filled[f] || locked[f] -> f++
           :: else -> break
           od;
           name = f;
           openings[f] = BIT(me);
           sight = HALF
        fi
    }
}

inline unlink()
{
    atomic {
        may_die();
        if
        :: name ->
           assert(state[name] != READY); /* a living object never loses its name */
           moved = (name == f);
           assert(moved || !filled[name] || !locked[name] || locked[name] == SELF);
           f_old = name;
           name = 0;
           forget_file(f_old);
           f_old = 0; moved = false
        :: else
        fi
    }
}

/* pipc_name_erase_queue(): only what the header tells. */
inline erase_queue()
{
    atomic {
        may_die();
        if
        :: filled[f] && label[f] -> queue[f] = false
        :: else
        fi
    }
}

/* pipc_name_free() */
inline free_name()
{
#ifdef NAME_FIRST
    unlink();
    erase_queue()
#else
    erase_queue();
    unlink()
#endif
}

/* build_here(), fill(), pipc_be_queue_create(), pipc_be_memory_publish() or pipc_be_memory_abandon() */
inline build_here()
{
    atomic {
        may_die();
        assert(!building && !alive);
        building = building | BIT(me);
        filled[f] = true; state[f] = BUILDING
    };
#ifdef LABEL_LATE
    atomic { may_die(); assert(!queue[f]); queue[f] = true };
    atomic { may_die(); label[f] = true };
#else
    atomic { may_die(); label[f] = true };
    atomic { may_die(); assert(!queue[f]); queue[f] = true }; /* else nobody knows the older one's name any more */
#endif
    if
    :: atomic { may_die(); moved = (state[f] == BUILDING); state[f] = (moved -> READY : state[f]);
                assert(moved && name == f && !alive);
                alive = true; building = building & ~BIT(me); moved = false }
    :: atomic { fails > 0 && me < ACTORS -> fails--; may_die(); state[f] = DEAD; building = building & ~BIT(me) };
       free_name()
    fi
}

/* pipc_name_settle(): without the lock somebody else is at work; or the object is DEAD and we need no other. */
inline settle(create)
{
    lock_name(got);
    if
    :: !got ->
       if
       :: !create && mapped && state[f] == DEAD -> done = true
       :: else
       fi
    :: else ->
#ifndef NO_LINK_CHECK
       examine();
#endif
       if
       :: sight != HALF
#ifdef LEAVE_DEAD
       :: sight == HALF && create && filled[f] && state[f] == DEAD
       :: sight == HALF && !(create && filled[f] && state[f] == DEAD) ->
#else
       :: else -> /* take_over() */
#endif
          if
#ifdef BUILD_IN_REMAINS
          :: create -> build_here(); done = true
#else
          :: create && !filled[f] -> build_here(); done = true
#endif
          :: else -> free_name(); done = !create
          fi
       fi
    fi
}

/* doom(), and pipc_be_memory_finish() */
inline doom()
{
#ifdef UNLINK_UNLOCKED
    got = true;
#endif
    if
    :: got ->
       atomic {
           may_die();
#ifdef NO_STATE_CHECK
           moved = true; alive = false;
#else
           moved = (sight == OURS && state[f] == READY);
           assert(!moved || alive);
           alive = (moved -> false : alive);
#endif
           state[f] = (moved -> DEAD : state[f])
       };
       if
       :: moved ->
          moved = false; done = true; removed = true;
#ifdef UNLOCK_FIRST
          atomic { may_die(); locked[f] = 0 };
#endif
          free_name()
       :: else
       fi
    :: else
    fi
}

/* pipc_name_open(), pipc_name_doom(). `stubborn`: it does not give up. */
inline operate(create, stubborn)
{
    done = false;
    do
    :: if
       :: look(!create)
       :: create && !tried -> tried = true; sight = NOTHING /* make_or_look() */
       fi;
       if
       :: sight == NOTHING && create -> make_file()
       :: sight == NOTHING && !create -> done = true
       :: else
       fi;
       if
       :: sight == OURS && create -> done = true
       :: sight == OURS && !create -> doom()
       :: sight == HALF -> settle(create)
       :: else
       fi;
       atomic {
           leave();
           got = false;
           if
           :: done -> break
           :: !done && stubborn -> tries++; assert(tries < 5)
           :: else
           fi
       }
    :: !stubborn -> break /* its deadline is over */
    od;
    done = false; tried = false; tries = 0
}

#define LOCALS byte f, f_old, tries, left; mtype sight; bool mapped, got, done, moved, removed, tried

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
        building = building & ~BIT(me); close_all();
        f = 0; f_old = 0; tries = 0; left = 0; sight = 0; mapped = false; got = false; done = false;
        moved = false; removed = false; tried = false
    }
}

init
{
    byte me = ACTORS, i;
    LOCALS;
    atomic {
        for (i : 1 .. FILES - 1) { state[i] = INIT }
        if
        :: skip
        :: name = 1; state[1] = READY; filled[1] = true; label[1] = true; queue[1] = true; alive = true
        fi;
        for (i : 0 .. ACTORS - 1) { run actor(i) }
        i = 0
    };
    atomic {
        (_nr_pr == 1);
        operate(true, true);
        assert(alive && name && state[name] == READY && queue[name]);
        operate(false, true);
        assert(removed && !alive && !name && !building);
        for (i : 1 .. FILES - 1) { assert(!queue[i] && !filled[i] && !openings[i] && !locked[i]) }
    };
dead:
    skip
}
