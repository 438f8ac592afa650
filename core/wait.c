/* Patience and words to sleep on; wait.h says how they are used. The words are modelled in tests/models/wait.pml. */
#include "core/wait.h"

#include <limits.h>

#include "core/object.h"
#include "core/platform.h"

#define WATCHED 2u
#define ASLEEP  1u
#define MARKS   PIPC_WORD_MARKS
#define STEP    4u
#define SPINS   400

int pipc_patience_limit(struct pipc_patience *patience, int64_t span)
{
    if (span < 0)
        return pipc_fail(PIPC_E_INVALID, "the time span is negative");
    int64_t now = pipc_now();
    patience->deadline = span > PIPC_FOREVER - now ? PIPC_FOREVER : now + span;
    return 0;
}

static int interrupted(void)
{
    return pipc_fail(PIPC_E_INTERRUPTED, "the wait was interrupted");
}

int pipc_patience_check(struct pipc_patience *patience)
{
    struct pipc_interrupts *interrupts = patience->interrupts;
    if (patience->object && !pipc_object_is_ready(patience->object))
        return pipc_fail(PIPC_E_REMOVED, "the object was removed; close the handle");
    if (interrupts) {
        bool hit = atomic_load(&interrupts->count) != patience->interrupts_seen;
        if (atomic_load(&interrupts->pending) && atomic_exchange(&interrupts->pending, 0))
            hit = true;
        if (hit)
            return interrupted();
    }
    if (patience->deadline != PIPC_FOREVER && pipc_now() >= patience->deadline)
        return pipc_fail(PIPC_E_TIMEOUT, "the time span ended");
    return 0;
}

int64_t pipc_patience_slice(const struct pipc_patience *patience, int64_t slice)
{
    if (patience->deadline == PIPC_FOREVER)
        return slice;
    int64_t left = patience->deadline - pipc_now();
    return left < 0 ? 0 : left < slice ? left : slice;
}

/* Spins of this process that failed since the last one that did not. Where none succeeds (the peer has the same
 * processor, or answers slowly) it is tried more and more seldom, in the end once in 256 waits. */
static _Atomic unsigned failed_spins;

#define PATIENT_SPINS 8u /* failures before that */

static int most_spins(void)
{
    static _Atomic int known = -1;
    int value = atomic_load_explicit(&known, memory_order_relaxed);
    if (value < 0) {
        value = pipc_may_spin() ? SPINS : 0;
        atomic_store_explicit(&known, value, memory_order_relaxed);
    }
    return value;
}

static int spins(void)
{
    static _Atomic unsigned waits;
    int value = most_spins();
    unsigned failed = atomic_load_explicit(&failed_spins, memory_order_relaxed);
    if (failed < PATIENT_SPINS || value == 0)
        return value;
    unsigned seldom = failed - PATIENT_SPINS < 8 ? failed - PATIENT_SPINS : 8;
    return atomic_fetch_add_explicit(&waits, 1, memory_order_relaxed) & ((1u << seldom) - 1) ? 0 : value;
}

/* Tells `found`, how a spin ended. */
static bool note_spin(bool found)
{
    unsigned failed = atomic_load_explicit(&failed_spins, memory_order_relaxed);
    if (found && failed)
        atomic_store_explicit(&failed_spins, 0, memory_order_relaxed);
    else if (!found && failed < PATIENT_SPINS + 8)
        atomic_store_explicit(&failed_spins, failed + 1, memory_order_relaxed);
    return found;
}

static inline void relax(void)
{
#if defined(__x86_64__) || defined(__i386__)
    __builtin_ia32_pause();
#elif defined(__aarch64__)
    __asm__ volatile("yield");
#endif
}

static bool unchanged(struct pipc_word *word, uint32_t announced)
{
    return ((atomic_load(&word->word) ^ announced) & ~MARKS) == 0;
}

bool pipc_spin_until(bool (*changed)(void *argument), void *argument)
{
    int left = spins();
    if (left == 0)
        return false;
    while (!changed(argument)) {
        if (--left == 0)
            return note_spin(false);
        relax();
    }
    return note_spin(true);
}

void pipc_linger(unsigned times)
{
    if (most_spins() > 0)
        while (times-- > 0)
            relax();
}

struct announced {
    struct pipc_word *word;
    uint32_t value;
};

static bool has_changed(void *argument)
{
    struct announced *announced = argument;
    return !unchanged(announced->word, announced->value);
}

static bool spin(struct pipc_word *word, uint32_t value)
{
    return pipc_spin_until(has_changed, &(struct announced){word, value});
}

uint32_t pipc_word_announce(struct pipc_word *word)
{
    return atomic_fetch_or(&word->word, WATCHED) | WATCHED;
}

static bool mark_asleep(struct pipc_word *word, uint32_t announced, uint32_t *value)
{
    uint32_t current = atomic_load(&word->word);
    do {
        if ((current ^ announced) & ~MARKS)
            return false;
        *value = current | MARKS;
    } while (!atomic_compare_exchange_weak(&word->word, &current, *value));
    return true;
}

static void leave_sleepers(struct pipc_word *word)
{
    uint32_t count = atomic_load_explicit(&word->sleepers, memory_order_relaxed);
    while (count && !atomic_compare_exchange_weak(&word->sleepers, &count, count - 1))
        ;
}

int pipc_word_sleep(struct pipc_word *word, uint32_t announced, struct pipc_patience *patience)
{
    int error = pipc_patience_check(patience);
    if (error || (!patience->no_spin && spin(word, announced)))
        return error;
    uint32_t value;
    enum pipc_slept slept = PIPC_SLEPT_WOKEN;
    atomic_fetch_add(&word->sleepers, 1);
    PIPC_POINT("wait: counted, not marked");
    /* Checked after the mark: an interrupt() from now on finds it and changes the word. */
    if (mark_asleep(word, announced, &value) && !(error = pipc_patience_check(patience)))
        slept = pipc_sleep_on(&word->word, value, pipc_patience_slice(patience, PIPC_SLICE));
    PIPC_POINT("wait: woken, still counted");
    leave_sleepers(word);
    if (!error && slept == PIPC_SLEPT_SIGNAL && !patience->restart)
        return interrupted();
    return error;
}

int pipc_word_await(struct pipc_word *word, struct pipc_watch *watch, struct pipc_patience *patience)
{
    if (watch->announced) {
        watch->slept = true;
        int ended = pipc_word_sleep(word, watch->value, patience);
        if (ended)
            return ended;
    }
    watch->value = pipc_word_announce(word);
    watch->announced = true;
    return 0;
}

/* The marks come down unless more are asleep than will be woken. Who falls asleep between the count and the
 * change is found by counting again, and then all are woken. If the count is too high, because sleepers were
 * killed, the kernel wakes fewer than told, and the marks come down for everybody. */
void pipc_word_bump_marked(struct pipc_word *word, int count)
{
    uint32_t current = atomic_load(&word->word), next;
    bool several;
    do {
        if (!(current & MARKS))
            return;
        several = (current & ASLEEP) && atomic_load(&word->sleepers) > (uint32_t)count;
        next = current + STEP;
    } while (!atomic_compare_exchange_weak(&word->word, &current, several ? next : next & ~MARKS));
    if (!(current & ASLEEP))
        return;
    PIPC_POINT("wake: word changed, nobody woken");
    if (!several && atomic_load(&word->sleepers) > (uint32_t)count)
        count = INT_MAX;
    if (pipc_wake_on(&word->word, count) < count && several)
        pipc_word_bump_all(word);
}

void pipc_word_bump_all(struct pipc_word *word)
{
    uint32_t current = atomic_load(&word->word);
    while (!atomic_compare_exchange_weak(&word->word, &current, (current + STEP) & ~MARKS))
        ;
    pipc_wake_on(&word->word, INT_MAX);
}
