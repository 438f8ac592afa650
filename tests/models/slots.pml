/* The slots of a queue: core/slot.c, queue_send.c, claim.c, queue_receive.c. The names in the comments are theirs.
 *
 * SENDERS send EACH messages without waiting, RECEIVERS receive CALLS times. PLACES: the capacity; DEPTH:
 * messages that the kernel's queue holds, beyond which a send spills. BIG: a message may spill at once. GIVE_UPS:
 * how often a spilling sender may run out of patience with the lock. THEFTS: how often a foreign program takes a
 * message from the kernel's queue. KILLS at any step. A survivor then takes what is left, audits and looks at the books:
 *
 *   a message that was confirmed is taken once, unless a foreign program took it; none is taken twice, or taken
 *   though its send failed, or torn; no place stays taken; the lock is free, staging and the indexes are empty.
 *
 * PURGES: a receiver's call may be a purge, and what it drops counts as taken. CROWD: "full" is answered only if
 * all places were taken at one instant of the call. ORDER: tickets are numbers, and what was confirmed before
 * another send began is taken before it.
 *
 * Not modelled: the lock's inside (lock.pml), waiting (wait.pml), the links of the indexes and their undo notes (an
 * index is a set here, changed in one step), priorities and types, the generation's wrap, hostile writers.
 *
 * Seeded bugs: CONFIRM_BY_STORE, FREE_BY_NUMBER (a claim looks at the slot's number only), NO_GENERATION (only at
 * the ticket), SAME_GENERATION (a takeover does not raise it), COPY_FIRST (before the claim), PRIVATE_BUFFER
 * (instead of staging), DROP_STAGED (by the repair), CLEAR_FIRST (staging, before the message is in the indexes),
 * CLEAR_BEFORE_FREE (a delivery), NO_PENDING, NO_PURGING (no flag), ONE_PULL (none in the audit), FREE_RESERVED
 * (the audit does not ask whether the owner is dead), NO_AUDIT_OF_DEAD (it frees SENT only), ONE_SCAN for "full",
 * STAGED_FIRST (without a look at the slots), STALE_ORDER (of a spilled message).
 */
#ifndef SENDERS
#define SENDERS 2
#endif
#ifndef RECEIVERS
#define RECEIVERS 1
#endif
#ifndef EACH
#define EACH 1
#endif
#ifndef CALLS
#define CALLS 1
#endif
#ifndef PLACES
#define PLACES 2
#endif
#ifndef DEPTH
#define DEPTH 1
#endif
#ifndef GIVE_UPS
#define GIVE_UPS 0
#endif
#ifndef THEFTS
#define THEFTS 0
#endif
#ifndef KILLS
#define KILLS 0
#endif

#define ALL      (SENDERS + RECEIVERS)
#define MESSAGES (SENDERS * EACH)
#define SELF     (me + 1)

#define FREE     0
#define RESERVED 1
#define SENT     2
#define FULL     3
#define STATE(w) ((w) & 3)
#define GEN(w)   (((w) >> 2) & 7)
#define OWNER(w) ((w) >> 5)
#define MAKE(state, gen, owner) ((owner) << 5 | ((gen) & 7) << 2 | (state))
#define AS(w, state)            MAKE(state, GEN(w), 0)

#ifdef SAME_GENERATION
#define TAKEN_OVER(w) MAKE(RESERVED, GEN(w), SELF)
#else
#define TAKEN_OVER(w) MAKE(RESERVED, GEN(w) + 1, SELF)
#endif

byte word[PLACES], ticket[PLACES];
byte type[PLACES], body[PLACES];    /* a message's number from 1; both must tell the same */
byte noted[PLACES];
bool indexed[PLACES];
byte lock, pending;
bool audit_wanted, purging;
chan kernel = [DEPTH] of { byte, byte, byte, byte };
byte staged, staged_slot, staged_gen, staged_ticket; /* staged: the message, 0 = clear */
#ifdef ORDER
byte tickets, floor, last_order, order[PLACES];
byte sent_before[MESSAGES + 1];
#endif
#ifdef CROWD
byte crowded; /* by sender: all places were taken at an instant of the call */
#endif

/* What was promised and what came of it: bits by message. */
byte sent, failed, taken, stolen;
byte kills = KILLS, give_ups = GIVE_UPS, thefts = THEFTS;
bool killed[ALL + 1];

#define BIT(m)  (1 << (m))
#define DEAD(w) (STATE(w) == RESERVED && killed[OWNER(w) - 1])

#ifdef PRIVATE_BUFFER
byte in_private; /* in whose memory the staged message is */
#endif
#ifdef ORDER
#define ORDER_LOCALS         byte claimed_order;
#define CLAIMED_ORDER(value) claimed_order = value
#else
#define ORDER_LOCALS
#define CLAIMED_ORDER(value) skip
#endif

/* Every step begins with it. What only the lock's holder, or the owner of a place, can see needs no step of
 * its own: others find it after a death only, so it is enough that one may die there. */
inline may_die()
{
#if KILLS
    if
    :: kills > 0 && me < ALL -> kills--; killed[me] = true; goto dead
    :: skip
    fi
#else
    skip
#endif
}

inline write_word(slot, value)
{
    word[slot] = value;
#ifdef CROWD
    if
    :: STATE(word[0]) != FREE && STATE(word[PLACES - 1]) != FREE -> crowded = 255
    :: else
    fi
#endif
}

/* A compare-and-swap; within a step. */
inline move(slot, from, to, moved)
{
    moved = (word[slot] == from);
    if
    :: moved -> write_word(slot, to)
    :: else
    fi
}

/* ---- with the lock held ---- */

/* is_its_slot(): its second half, with `seen` the word read before. */
inline is_its_slot(slot)
{
#if defined(FREE_BY_NUMBER)
    hit = true
#elif defined(NO_GENERATION)
    hit = (ticket[slot] == staged_ticket)
#else
    hit = (GEN(seen) == staged_gen && ticket[slot] == staged_ticket)
#endif
}

/* claim(): RESERVED or SENT -> FULL. In three steps, between which its sender goes on. */
inline claim()
{
    do
    :: atomic {
           may_die();
           seen = word[staged_slot];
           hit = (STATE(seen) == RESERVED || STATE(seen) == SENT);
           if
           :: !hit -> break
           :: else
           fi
       };
       atomic {
           may_die();
           is_its_slot(staged_slot);
           if
           :: !hit -> break
           :: else
           fi
       };
       atomic {
           may_die();
           move(staged_slot, seen, AS(seen, FULL), hit);
           if
           :: hit -> break
           :: else
           fi
       }
    od
}

/* place(): its position among equals. */
inline place()
{
#ifdef ORDER
    last_order = (staged_ticket > last_order -> staged_ticket : last_order);
    last_order = (floor > last_order -> floor : last_order);
    claimed_order = last_order
#else
    skip
#endif
}

/* fill() */
inline fill()
{
    may_die();
    type[staged_slot] = staged;
#ifdef ORDER
    may_die();
    order[staged_slot] = claimed_order;
#endif
    may_die();
    body[staged_slot] = staged
}

inline staging_clear()
{
    may_die();
    staged = 0; staged_slot = 0; staged_gen = 0; staged_ticket = 0
}

inline index_insert(slot)
{
    may_die();
    indexed[slot] = true
}

/* pipc_stow() */
inline stow()
{
    fill();
#ifdef CLEAR_FIRST
    at = staged_slot;
    staging_clear();
    index_insert(at)
#else
    index_insert(staged_slot);
    staging_clear()
#endif
}

/* pipc_claim_next(): `hit` unless the kernel is empty. */
inline claim_next()
{
    do
    :: atomic {
           may_die();
           if
           :: len(kernel) == 0 ->
              hit = false;
#ifdef ORDER
              tickets++; floor = tickets;
#endif
              break
           :: else ->
              kernel ? staged_slot, staged_gen, staged_ticket, staged;
#ifdef PRIVATE_BUFFER
              in_private = SELF;
#endif
#ifdef COPY_FIRST
              fill()
#endif
           fi
       };
       claim();
       atomic {
           if
           :: hit -> place(); seen = 0; break
           :: else -> seen = 0; staging_clear()
           fi
       }
    od
}

/* pipc_audit(): note_places(), the pull, free_noted(). */
inline audit()
{
    audit_wanted = false;
    do
    :: atomic {
           may_die();
           if
#if defined(FREE_RESERVED)
           :: STATE(word[i]) == SENT || STATE(word[i]) == RESERVED -> noted[i] = word[i]
#elif defined(NO_AUDIT_OF_DEAD)
           :: STATE(word[i]) == SENT -> noted[i] = word[i]
#else
           :: STATE(word[i]) == SENT || DEAD(word[i]) -> noted[i] = word[i]
#endif
           :: else -> noted[i] = 0
           fi;
           i++;
           if
           :: i == PLACES -> i = 0; break
           :: else
           fi
       }
    od;
#ifndef ONE_PULL
    do
    :: claim_next();
       atomic {
           if
           :: hit -> stow()
           :: else -> break
           fi
       }
    od;
#endif
    do
    :: atomic {
           may_die();
           if
           :: noted[i] && word[i] == noted[i] -> write_word(i, AS(word[i], FREE))
           :: else
           fi;
           noted[i] = 0;
           i++;
           if
           :: i == PLACES -> i = 0; break
           :: else
           fi
       }
    od
}

/* pipc_slot_free(): by this step the message `number` is taken. */
inline take_and_free(slot, number)
{
    may_die();
    assert(STATE(word[slot]) == FULL);
    assert(!(taken & BIT(number)));
    assert(!(failed & BIT(number)));
#ifdef ORDER
    assert((sent_before[number] & ~(taken | stolen)) == 0);
#endif
    taken = taken | BIT(number);
    write_word(slot, AS(word[slot], FREE))
}

/* pipc_free_all() */
inline free_all()
{
#ifndef NO_PURGING
    may_die();
    purging = true;
#endif
    may_die();
    for (i : 0 .. PLACES - 1) { indexed[i] = false }
    for (i : 0 .. PLACES - 1) {
        if
        :: STATE(word[i]) == FULL -> take_and_free(i, type[i])
        :: else
        fi
    }
    i = 0;
    may_die();
    purging = false
}

/* repair(): rescue_pending(), rescue_staged(), and what comes after them. */
inline repair()
{
    atomic {
        may_die();
        if
        :: purging -> free_all()
        :: else
        fi;
        if
        :: pending && STATE(word[pending - 1]) == FULL -> index_insert(pending - 1)
        :: else
        fi;
#ifdef PRIVATE_BUFFER
        if
        :: in_private && in_private != SELF -> staging_clear()
        :: else
        fi;
#endif
#ifdef DROP_STAGED
        staging_clear();
#endif
        seen = word[staged_slot];
        is_its_slot(staged_slot);
        hit = staged && hit && STATE(seen) == FULL;
        whole = hit && indexed[staged_slot]
    };
    if
    :: !hit && staged -> claim()
    :: else
    fi;
    atomic {
        if
        :: hit && !whole -> place(); fill(); index_insert(staged_slot)
        :: else
        fi;
        staging_clear();
        may_die();
        pending = 0;
        may_die();
        audit_wanted = true;
        seen = 0; hit = false; whole = false
    }
}

/* pipc_queue_lock(). lock.pml shows that it is one step, and that only the dead are robbed. */
inline take_lock()
{
    if
    :: atomic { lock == 0 -> lock = SELF; hit = true }
    :: atomic { lock != 0 && killed[lock - 1] -> lock = SELF; hit = false }
#if KILLS
    :: atomic { kills > 0 && me < ALL -> kills--; killed[me] = true; goto dead }
#endif
    fi;
    if
    :: !hit -> repair()
    :: else -> hit = false
    fi
}

/* best_full(): `at`, PLACES if there is none. */
inline best_full()
{
    at = PLACES;
    for (i : 0 .. PLACES - 1) {
        if
#ifdef ORDER
        :: indexed[i] && (at == PLACES || order[i] < order[at]) -> at = i
#else
        :: indexed[i] && at == PLACES -> at = i
#endif
        :: else
        fi
    }
    i = 0
}

/* deliver_full() */
inline deliver_full()
{
    got = type[at];
    assert(got && body[at] == got);
    may_die();
#ifndef NO_PENDING
    pending = at + 1;
    may_die();
#endif
    indexed[at] = false;
    take_and_free(at, got);
    may_die();
    pending = 0
}

/* deliver_staged() */
inline deliver_staged()
{
    got = staged;
    at = staged_slot;
#ifdef CLEAR_BEFORE_FREE
    staging_clear();
    take_and_free(at, got)
#else
    take_and_free(at, got);
    staging_clear()
#endif
}

/* look_locked(). `direct`: the first match may be delivered from staging, else all is stowed first. */
inline look_locked()
{
    do
    :: claim_next();
       atomic {
           if
           :: hit && direct -> break
           :: hit && !direct -> stow()
           :: else -> break
           fi
       }
    od;
    if
    :: !hit && audit_wanted -> audit()
    :: !hit && !audit_wanted && !indexed[0] && !indexed[PLACES - 1] -> audit() /* the books ask for it */
    :: hit || !audit_wanted
    fi;
    atomic {
        best_full();
#if defined(ORDER) && !defined(STAGED_FIRST)
        if
        :: hit && at < PLACES && order[at] < claimed_order -> stow(); best_full(); hit = false
        :: else
        fi;
#endif
        if
        :: hit -> deliver_staged()
        :: !hit && at < PLACES -> deliver_full()
        :: else
        fi;
        at = 0; got = 0; hit = false;
        CLAIMED_ORDER(0)
    }
}

/* purge_locked() */
inline purge()
{
    do
    :: claim_next();
       atomic {
           if
           :: hit -> stow()
           :: else -> free_all(); break
           fi
       }
    od
}

inline unlock()
{
    may_die();
    assert(lock == SELF);
    lock = 0
}

/* ---- sending ---- */

/* pipc_slot_reserve_at(), with the look before it: a compare-and-swap that fails is a look at another word. */
inline pipc_slot_reserve_at(slot)
{
    seen = word[slot];
    if
    :: STATE(seen) == FREE -> at = slot; mine = MAKE(RESERVED, GEN(seen) + 1, SELF); write_word(slot, mine)
    :: else
    fi
}

/* scan(), beginning anywhere (the hints). `mine` unless all were taken; then `picture` (at i) is the word seen. */
inline scan(picture)
{
    do
    :: atomic {
           may_die();
           pipc_slot_reserve_at(i);
           picture = seen;
           seen = 0;
           i = (i + 1 < PLACES -> i + 1 : 0);
           if
           :: mine || i == start -> break
           :: else
           fi
       }
    od
}

/* take_over(): looking for the dead, or not because somebody looked lately. */
inline take_over()
{
    if
    :: i = 0;
       do
       :: atomic {
              may_die();
              if
              :: !mine && DEAD(word[i]) -> at = i; mine = TAKEN_OVER(word[i]); write_word(i, mine)
              :: else
              fi;
              i++;
              if
              :: mine || i == PLACES -> i = 0; break
              :: else
              fi
          }
       od
    :: skip
    fi
}

/* pipc_slot_reserve(): `mine` is the word written, 0 for "full". */
inline reserve()
{
    atomic {
        may_die();
        if
        :: skip
        :: start = PLACES - 1
        fi;
        i = start;
#ifdef CROWD
        crowded = crowded & ~BIT(me);
        write_word(0, word[0])
#endif
    };
    scan(before[i]);
#ifndef ONE_SCAN
    do
    :: atomic { mine -> i = 0; break }
    :: else ->
       i = start;
       scan(after[i]);
       atomic {
           same = true;
           for (i : 0 .. PLACES - 1) { same = same && before[i] == after[i]; before[i] = after[i]; after[i] = 0 }
           i = start;
           if
           :: !mine && same -> break
           :: else
           fi
       }
    od;
#endif
    if
    :: !mine -> take_over()
    :: else
    fi;
    atomic {
        for (i : 0 .. PLACES - 1) { before[i] = 0 }
        i = 0; start = 0; same = false;
        if
        :: !mine -> audit_wanted = true
        :: else
        fi
    }
}

/* spill(), and what send_once() does when it fails. */
inline spill()
{
    if
    :: atomic {
           give_ups > 0 && lock != 0 -> give_ups--;
           failed = failed | BIT(number);
           move(at, mine, AS(mine, FREE), moved)
       }
    :: take_lock();
       atomic {
           may_die();
           type[at] = number; /* nobody looks at it before */
           body[at] = number;
#ifdef ORDER
           tickets++; ticket[at] = tickets;
#ifndef STALE_ORDER
           order[at] = tickets;
#endif
#else
           ticket[at] = number + MESSAGES;
#endif
       };
       atomic {
#ifndef NO_PENDING
           may_die();
           pending = at + 1;
#endif
           may_die();
           move(at, mine, AS(mine, FULL), moved);
           assert(moved);
           sent = sent | BIT(number);
           index_insert(at);
           may_die();
           pending = 0
       };
       atomic { unlock() }
    fi
}

/* send_once() */
inline send()
{
    reserve();
    if
    :: !mine ->
       atomic {
           failed = failed | BIT(number)
#ifdef CROWD
           ; assert(crowded & BIT(me))
#endif
       }
    :: else ->
#ifdef ORDER
       atomic { may_die(); tickets++; CLAIMED_ORDER(tickets) };
       atomic { may_die(); ticket[at] = claimed_order; CLAIMED_ORDER(0) };
#else
       atomic { may_die(); ticket[at] = number };
#endif
       if
#if KILLS
       :: atomic { kills > 0 -> kills--; killed[me] = true; goto dead }
#endif
       :: atomic { nfull(kernel) -> kernel ! at, GEN(mine), ticket[at], number };
          atomic { /* put() confirms. If the word has changed a receiver was faster. */
              may_die();
#ifdef CONFIRM_BY_STORE
              write_word(at, AS(mine, SENT));
#else
              move(at, mine, AS(mine, SENT), moved);
#endif
              sent = sent | BIT(number)
          }
       :: full(kernel) -> spill()
#ifdef BIG
       :: spill()
#endif
       fi
    fi;
    atomic { mine = 0; at = 0; moved = false }
}

/* ---- who does what ---- */

#define LOCALS byte number, at, seen, mine, i, start, left, got; \
               bool moved, hit, whole, same, direct; byte before[PLACES], after[PLACES]; ORDER_LOCALS

/* The dead, and those who are done, need no values: fewer states. */
inline forget()
{
    atomic {
        for (i : 0 .. PLACES - 1) { before[i] = 0; after[i] = 0 };
        number = 0; at = 0; seen = 0; mine = 0; i = 0; start = 0; left = 0; got = 0;
        moved = false; hit = false; whole = false; same = false; direct = false;
        CLAIMED_ORDER(0)
    }
}

proctype sender(byte me)
{
    LOCALS
    do
    :: atomic {
           left < EACH -> left++; number = me * EACH + left;
#ifdef ORDER
           sent_before[number] = sent & ~taken
#endif
       };
       send()
    :: else -> break
    od;
dead:
    forget()
}

proctype receiver(byte me)
{
    LOCALS
    do
    :: atomic {
           left < CALLS -> left++;
           if
           :: direct = true
           :: direct = false
           fi
       };
       take_lock();
#ifdef PURGES
       if
       :: look_locked()
       :: purge()
       fi;
#else
       look_locked();
#endif
       atomic { unlock() }
    :: else -> break
    od;
dead:
    forget()
}

/* A foreign program that takes from our kernel queue. */
proctype thief()
{
    byte slot, gen, number, stamp;
    do
    :: atomic { thefts > 0 && len(kernel) > 0 -> kernel ? slot, gen, stamp, number; thefts--;
                stolen = stolen | BIT(number); slot = 0; gen = 0; number = 0; stamp = 0 }
    :: break
    od
}

init
{
    byte me = ALL; /* the survivor */
    LOCALS
    atomic {
        for (i : 0 .. SENDERS - 1) { run sender(i) }
        for (i : SENDERS .. ALL - 1) { run receiver(i) }
#if THEFTS
        run thief();
#endif
        i = 0
    };
    atomic {
        (_nr_pr == 1);
        take_lock();
        do
        :: audit_wanted = true;
           look_locked();
           if
           :: !indexed[0] && !indexed[PLACES - 1] && len(kernel) == 0 -> break
           :: else
           fi
        od;
        unlock();
        for (i : 0 .. PLACES - 1) { assert(STATE(word[i]) == FREE) }
        assert(!lock && !staged && !pending && !purging);
        assert((sent & ~(taken | stolen)) == 0 && (taken & stolen) == 0)
    };
dead:
    skip
}
