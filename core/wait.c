/* Patience and words to sleep on; wait.h says how they are used. The words are modelled in tests/models/wait.pml. */
#include "core/wait.h"

#include <limits.h>

#include "core/call.h"
#include "core/object.h"
#include "core/platform.h"

#define WATCHED      2u
#define ASLEEP       1u
#define DEEP         PIPC_WORD_DEEP
#define MARKS        PIPC_WORD_MARKS
#define QUICK_LOOKS  100
#define STEP         8u
#define QUIET_SLICES 8
#define WAY_TOO_LONG PIPC_US(500) /* the others have work of their own: who sleeps gets the processor back sooner */
#define SELDOM       255
#define HARDLY_EVER  4095

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
        if (hit) /* model: wait.pml, check_interrupts */
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

/* Is there another processor, on which what is waited for may happen meanwhile? */
static bool others(void)
{
    static _Atomic int known = -1;
    int value = atomic_load_explicit(&known, memory_order_relaxed);
    if (value < 0) {
        value = pipc_may_spin();
        atomic_store_explicit(&known, value, memory_order_relaxed);
    }
    return value;
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

static void pause_a_little(void)
{
    for (int i = 0; i < 4; i++)
        relax();
}

/* Passes time until `changed`; keeps account of how that goes. */
static bool pass_time(struct pipc_luck *luck, int64_t span, void (*pass)(void), bool (*changed)(void *), void *argument)
{
    if (luck->skip > 0) {
        luck->skip--;
        return false;
    }
    int64_t began = pipc_now(), spent = 0;
    bool hit = false;
    while (!hit && spent < span) {
        pass();
        hit = changed(argument);
        spent = pipc_now() - began;
    }
    if (spent > WAY_TOO_LONG)
        luck->seldom = HARDLY_EVER;
    else if (hit)
        luck->seldom /= 2;
    else if (luck->seldom < SELDOM)
        luck->seldom = luck->seldom * 2 + 1;
    luck->skip = luck->seldom;
    return hit;
}

/* Sleeping and being woken costs both sides system calls and a timer, and the kernel's time to find a processor; it is
 * worth while to linger a little before. Another processor may do what is waited for meanwhile; or this one, if it is
 * offered to others. Whichever comes to nothing more often than not a thread tries more and more seldom. */
bool pipc_linger(bool (*changed)(void *argument), void *argument, int64_t span)
{
    struct pipc_luck *luck = pipc_thread.luck;
    return (others() && pass_time(&luck[0], span, pause_a_little, changed, argument)) ||
           pass_time(&luck[1], span, pipc_yield, changed, argument);
}

bool pipc_spin_until(bool (*changed)(void *argument), void *argument, int64_t span)
{
    bool quickly = others() && pipc_thread.luck[0].skip == 0;
    for (int looks = 0; quickly && looks < QUICK_LOOKS; looks++) {
        if (changed(argument))
            return true;
        relax();
    }
    return pipc_linger(changed, argument, span);
}

void pipc_pause(unsigned times)
{
    while (others() && times-- > 0)
        relax();
}

struct announced {
    struct pipc_word *word;
    uint32_t value;
};

static bool is_bumped(void *argument)
{
    const struct announced *announced = argument;
    return !unchanged(announced->word, announced->value);
}

/* Who shall not spin still offers the processor to others, once. */
static bool linger(struct pipc_word *word, uint32_t value, const struct pipc_patience *patience)
{
    struct announced announced = {word, value};
    if (patience->no_spin)
        return pass_time(&pipc_thread.luck[1], 1, pipc_yield, is_bumped, &announced);
    return pipc_linger(is_bumped, &announced, pipc_patience_slice(patience, PIPC_LINGER));
}

static void announce(struct pipc_word *word, struct pipc_watch *watch)
{
    bool deep = watch->quiet && watch->slices >= QUIET_SLICES;
    uint32_t marks = deep ? WATCHED | DEEP : WATCHED;
    watch->value = atomic_fetch_or(&word->word, marks) | marks; /* model: wait.pml, announce; semaphore.pml, announce */
    watch->deep = deep && watch->quiet(watch->argument);
}

static bool mark_asleep(struct pipc_word *word, uint32_t announced, uint32_t *value)
{
    uint32_t current = atomic_load(&word->word);
    do {
        if ((current ^ announced) & ~MARKS)
            return false;
        *value = current | WATCHED | ASLEEP;
        /* model: wait.pml, mark_asleep; semaphore.pml, mark_asleep */
    } while (!atomic_compare_exchange_weak(&word->word, &current, *value));
    return true;
}

static void leave_sleepers(struct pipc_word *word)
{
    uint32_t count = atomic_load_explicit(&word->sleepers, memory_order_relaxed);
    /* model: wait.pml, leave_sleepers */
    while (count && !atomic_compare_exchange_weak(&word->sleepers, &count, count - 1))
        ;
}

static int doze(struct pipc_word *word, struct pipc_watch *watch, struct pipc_patience *patience)
{
    int error = 0;
    uint32_t value;
    int64_t slice = watch->deep ? PIPC_LONG_SLICE : PIPC_SLICE;
    enum pipc_slept slept = PIPC_SLEPT_WOKEN;
    atomic_fetch_add(&word->sleepers, 1);
    PIPC_POINT("wait: counted, not marked");
    /* Checked after the mark: an interrupt() from now on finds it and changes the word. */
    if (mark_asleep(word, watch->value, &value) && !(error = pipc_patience_check(patience)))
        slept = pipc_sleep_on(&word->word, value, pipc_patience_slice(patience, slice));
    PIPC_POINT("wait: woken, still counted");
    leave_sleepers(word);
    watch->slices = slept == PIPC_SLEPT_OUT ? watch->slices + 1 : 0;
    if (!error && slept == PIPC_SLEPT_SIGNAL && !patience->restart)
        return interrupted();
    return error;
}

int pipc_word_await(struct pipc_word *word, struct pipc_watch *watch, struct pipc_patience *patience)
{
    int error = pipc_patience_check(patience);
    if (error)
        return error;
    if (watch->announced) {
        watch->slept = true;
        error = doze(word, watch, patience); /* model: wait.pml, end_asleep; semaphore.pml, end_asleep */
    }
    bool first = !watch->announced;
    announce(word, watch);
    watch->announced = !first || !linger(word, watch->value, patience);
    return error;
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
        if (current & DEEP) {
            pipc_word_bump_all(word);
            return;
        }
        several = (current & ASLEEP) && atomic_load(&word->sleepers) > (uint32_t)count;
        next = current + STEP;
        /* model: wait.pml, bump; semaphore.pml, bump */
    } while (!atomic_compare_exchange_weak(&word->word, &current, several ? next : next & ~MARKS));
    if (!(current & ASLEEP))
        return;
    PIPC_POINT("wake: word changed, nobody woken");
    if (!several && atomic_load(&word->sleepers) > (uint32_t)count)
        count = INT_MAX; /* model: wait.pml, bump */
    if (pipc_wake_on(&word->word, count) < count && several)
        pipc_word_bump_all(word);
}

/* Who dies before the wake-up leaves the mark of deep sleepers, for the next one. If somebody announced himself
 * meanwhile it stays up, which costs a spare wake-up. */
void pipc_word_bump_all(struct pipc_word *word)
{
    uint32_t current = atomic_load(&word->word), next;
    do
        next = ((current + STEP) & ~MARKS) | (current & DEEP);
    while (!atomic_compare_exchange_weak(&word->word, &current, next)); /* model: wait.pml, bump_all */
    if (!(next & DEEP)) {
        pipc_wake_on(&word->word, INT_MAX);
        return;
    }
    PIPC_POINT("wake: word changed, deep sleepers not woken");
    pipc_wake_on(&word->word, INT_MAX);
    atomic_compare_exchange_strong(&word->word, &next, next & ~DEEP);
}
