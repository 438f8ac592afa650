/* The channel's ring: core/channel_send.c (send_alone(), send_to_many(), set_aside(), put()), core/channel_commit.c
 * (commit_batch(), settle_many()), core/channel_room.c (pipc_channel_find_room(), repair()), core/channel_receive.c
 * (gather(), seek(), take()), core/channel.c (pipc_channel_skip_dead()). The locks are modelled in lock.pml, the words to
 * sleep on in wait.pml: here a lock is taken in one step, from the dead too, and nobody sleeps.
 *
 * PRODUCERS send EACH records (BATCH: two at once), CONSUMERS receive GETS each, KILLS of them die anywhere; then the
 * one who is left takes the rest. A record takes one of CELLS cells; its body has two halves. What holds:
 * what was confirmed is taken, once; what somebody may have seen comes again only with a mark; nothing is torn; each
 * producer's records come in order; nothing is left in the way.
 * MANY: producers fill their records side by side. CANCELS: one may give up what it reserved.
 * LATEST: one producer overwrites, one reader is told what it missed; nobody dies.
 * Seeded bugs: NO_EMPTY (the word behind is not emptied), EMPTY_LATE (after the record is shown), FIRST_FIRST (a batch
 * is shown from its first on), NO_REPAIR, SHOW_FIRST (shown before it is filled), SKIP_LIVING, SKIP_BY_STORE,
 * NOTED_LATE (what is shown is noted afterwards), NO_MARK, TIGHT (the word behind needs no room), NOT_ASKED (LATEST:
 * whether it is still there), ASKED_FIRST (before it was read).
 */
#ifndef PRODUCERS
#define PRODUCERS 2
#endif
#ifndef CONSUMERS
#define CONSUMERS 1
#endif
#ifndef EACH
#define EACH 2
#endif
#ifndef GETS
#define GETS 2
#endif
#ifndef CELLS
#define CELLS 3
#endif
#ifndef KILLS
#define KILLS 0
#endif
#ifndef CANCELS
#define CANCELS 0
#endif
#ifdef LATEST
#undef PRODUCERS
#define PRODUCERS 1
#undef CONSUMERS
#define CONSUMERS 1
#endif

#define ALL     (PRODUCERS + CONSUMERS)
#define LEFT    ALL /* who is left */
#define RECORDS (PRODUCERS * EACH)
#define NOBODY  255
#define AT(p)   ((p) % CELLS)

#define EMPTY    0
#define WHOLE    1
#define GIVEN_UP 2
#define RESERVED 3 /* and its owner */

byte word[CELLS], one[CELLS], other[CELLS], numbers[CELLS];
byte head, limit = CELLS, oldest, writer_lock = NOBODY;
byte position, shown, again, reader_lock = NOBODY;
bool killed[ALL + 1];
byte kills = KILLS, cancels = CANCELS;

/* What is true. */
bool confirmed[RECORDS + 1], taken[RECORDS + 1], seen[RECORDS + 1], given_up[RECORDS + 1];
byte next_of[PRODUCERS];

#if KILLS
#define MORTAL unless { killed[me] }
#else
#define MORTAL
#endif

/* PIPC_LOCK_STOLEN: stolen */
inline take_lock(lock)
{
    atomic {
        if
        :: lock == NOBODY -> stolen = false
        :: lock != NOBODY && lock != me && killed[lock] -> stolen = true
        fi;
        lock = me
    }
}

inline repair()
{
    do
    :: word[AT(head)] != EMPTY -> head++
    :: else -> break
    od
}

/* ---- Producers ---- */

inline lock_writer()
{
    take_lock(writer_lock);
#ifndef NO_REPAIR
    if
    :: stolen -> stolen = false; repair()
    :: else
    fi
#else
    stolen = false
#endif
}

#ifdef TIGHT
#define NEED(end) (end)
#else
#define NEED(end) ((end) + 1)
#endif

/* pipc_channel_find_room(); without room somebody must take something first */
inline await_room(count)
{
    skip;
again_room:
    lock_writer();
    atomic {
        if
        :: NEED(head + count) <= limit
        :: else ->
#ifdef LATEST
            oldest = NEED(head + count) - CELLS;
            limit = NEED(head + count)
#else
            limit = position + CELLS;
            if
            :: NEED(head + count) <= limit
            :: else -> writer_lock = NOBODY; goto no_room
            fi
#endif
        fi;
        goto room
    };
no_room:
    NEED(head + count) <= position + CELLS;
    goto again_room;
room:
    skip
}

inline fill(p, id)
{
    one[AT(p)] = id;
    other[AT(p)] = id
}

inline clear(p)
{
#ifndef NO_EMPTY
    word[AT(p)] = EMPTY
#else
    skip
#endif
}

proctype producer(byte me)
{
    byte id = 1 + me * EACH, place, sent;
    bool stolen;
    {
        skip;
        do
        :: sent < EACH ->
#ifdef MANY
            await_room(1); /* reserve_once(), set_aside() */
            place = head;
            clear(place + 1);
            word[AT(place)] = RESERVED + me;
            head = place + 1;
            writer_lock = NOBODY;
#ifdef SHOW_FIRST
            atomic {
                if
                :: word[AT(place)] == RESERVED + me -> word[AT(place)] = WHOLE
                :: else -> assert(false)
                fi
            };
            fill(place, id);
            confirmed[id] = true;
#else
            fill(place, id);
            atomic { /* pipc_channel_settle() */
                if
                :: word[AT(place)] == RESERVED + me -> word[AT(place)] = WHOLE; confirmed[id] = true
                :: word[AT(place)] == RESERVED + me && cancels > 0 ->
                    cancels--;
                    word[AT(place)] = GIVEN_UP;
                    given_up[id] = true
                :: word[AT(place)] != RESERVED + me -> assert(false)
                fi
            };
#endif
            atomic { id++; sent++; place = 0 }
#elif defined(BATCH)
            await_room(2); /* commit_batch() */
            place = head;
            word[AT(place + 1)] = GIVEN_UP; /* whatever lies there */
            fill(place, id);
            fill(place + 1, id + 1);
            clear(place + 2);
#ifdef FIRST_FIRST
            word[AT(place)] = WHOLE;
            word[AT(place + 1)] = WHOLE;
#else
            word[AT(place + 1)] = WHOLE;
            word[AT(place)] = WHOLE;
#endif
            head = place + 2;
            atomic { confirmed[id] = true; confirmed[id + 1] = true };
            writer_lock = NOBODY;
            atomic { id = id + 2; sent = sent + 2; place = 0 }
#else
            await_room(1); /* send_alone(), put() */
            place = head;
#ifdef LATEST
            numbers[AT(place)] = sent;
#endif
#ifndef SHOW_FIRST
            fill(place, id);
#endif
#ifndef EMPTY_LATE
            clear(place + 1);
#endif
            word[AT(place)] = WHOLE;
#ifdef EMPTY_LATE
            clear(place + 1);
#endif
#ifdef SHOW_FIRST
            fill(place, id);
#endif
            head = place + 1;
            confirmed[id] = true;
            writer_lock = NOBODY;
            atomic { id++; sent++; place = 0 }
#endif
        :: else -> break
        od
    } MORTAL
}

/* ---- Consumers ---- */

/* `id` was read, under the lock. */
inline judge_seen()
{
    atomic {
        assert(a == b && a > 0);           /* whole */
        assert(!given_up[a]);
        assert(!seen[a] || position < again); /* with a mark, if anybody saw it */
        seen[a] = true
    }
}

inline judge_taken()
{
    assert(!taken[a]);
    taken[a] = true;
    assert(a > next_of[(a - 1) / EACH]); /* in order */
    next_of[(a - 1) / EACH] = a
}

#ifdef SKIP_LIVING
#define MAY_SKIP(owner) true
#else
#define MAY_SKIP(owner) killed[owner]
#endif

/* One record, if there is one: got. */
inline receive()
{
    got = false;
    take_lock(reader_lock);
#ifndef NO_MARK
    if
    :: stolen && again < shown -> again = shown
    :: else
    fi;
#endif
    stolen = false;
    do
    :: w = word[AT(position)]; /* seek() */
        if
        :: w == EMPTY -> break
        :: w == GIVEN_UP -> position++
        :: w >= RESERVED && MAY_SKIP(w - RESERVED) -> /* pipc_channel_skip_dead() */
            atomic {
                if
#ifdef SKIP_BY_STORE
                :: true -> word[AT(position)] = GIVEN_UP
#else
                :: word[AT(position)] == w -> word[AT(position)] = GIVEN_UP
                :: else
#endif
                fi
            }
        :: w >= RESERVED && !MAY_SKIP(w - RESERVED) -> break
        :: w == WHOLE ->
#ifndef NOTED_LATE
            shown = (shown < position + 1 -> position + 1 : shown); /* about_to_show() */
#endif
            a = one[AT(position)]; /* show() */
            b = other[AT(position)];
            judge_seen();
#ifdef NOTED_LATE
            shown = (shown < position + 1 -> position + 1 : shown);
#endif
            atomic { judge_taken(); position++ }; /* take() */
            got = true;
            break
        fi
    od;
    atomic { reader_lock = NOBODY; w = 0; a = 0; b = 0 }
}

proctype consumer(byte me)
{
    byte w, a, b, gets = GETS;
    bool stolen, got;
    {
        skip;
        do
        :: gets > 0 ->
            receive();
            gets--
        :: break
        od
    } MORTAL
}

/* ---- The latest ---- */

proctype reader()
{
    byte p, w, a, b, n, number, count;
    do
    :: count < EACH ->
        atomic { p = (position < oldest -> oldest : position); w = word[AT(p)] };
#ifdef ASKED_FIRST
        if
        :: oldest > p -> goto gone
        :: else
        fi;
#endif
        if
        :: w == WHOLE ->
            n = numbers[AT(p)];
            a = one[AT(p)];
            b = other[AT(p)];
#if !defined(ASKED_FIRST) && !defined(NOT_ASKED)
            if
            :: oldest > p -> goto gone /* still_there() */
            :: else
            fi;
#endif
            atomic {
                assert(a == b && a == n + 1 && n >= number);
                count = count + 1 + n - number; /* seen and missed */
                assert(count == n + 1);
                number = n + 1;
                position = p + 1
            }
        :: else /* empty, or overwritten just now */
        fi;
gone:
        skip
    :: else -> break
    od
}

#if KILLS
proctype killer()
{
    byte victim;
    do
    :: kills > 0 ->
        atomic {
            kills--;
            select(victim : 0 .. ALL - 1);
            killed[victim] = true;
            victim = 0
        }
    :: break
    od
}
#endif

/* Who is left: takes the rest. What was confirmed and nobody took must be there; nothing stands in the way. */
init
{
    byte i, w, a, b, me = LEFT;
    bool stolen, got, alone;
    atomic {
        for (i : 0 .. PRODUCERS - 1) { run producer(i) }
#ifdef LATEST
        run reader()
#else
        for (i : 0 .. CONSUMERS - 1) { run consumer(PRODUCERS + i) }
#endif
#if KILLS
        run killer()
#endif
    };
#ifndef LATEST
    do
    :: alone = (_nr_pr == 1);
        receive();
        if
        :: !got && alone -> break
        :: else
        fi
    od;
    lock_writer();
    writer_lock = NOBODY;
    assert(position == head);
    for (i : 1 .. RECORDS) { assert(!confirmed[i] || taken[i]) }
#else
    _nr_pr == 1
#endif
}
