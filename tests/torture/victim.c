/* See victim.h. */
#include "victim.h"

#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>

#include "probe.h"
#include "watch.h"

#define CANARY 0xa5

static const char *const call_names[VICTIM_CALLS] = {
    "send",
    "send through a slot",
    "receive any",
    "receive exactly",
    "receive except",
    "receive up to",
    "receive into one byte",
    "peek",
    "purge",
    "statistics",
    "interrupt",
    "send after a death",
    "receive after a death",
    "purge after a death",
    "open",
    "open or create",
    "create",
    "remove",
};

const char *victim_call_name(enum victim_call call)
{
    return call_names[call];
}

static bool is_after_death(enum victim_call call)
{
    return call >= VICTIM_SEND_AFTER_DEATH && call <= VICTIM_PURGE_AFTER_DEATH;
}

static bool works_on_the_name(enum victim_call call)
{
    return call >= VICTIM_OPEN;
}

/* ---- The queue in its known state ---- */

static void snapshot(struct victim *victim)
{
    memcpy(victim->pristine, victim->state.header, sizeof(struct pipc_object));
    memcpy(victim->pristine + sizeof(struct pipc_object), victim->state.data, victim->state.data_bytes);
}

static void restore(struct victim *victim)
{
    memcpy(victim->state.header, victim->pristine, sizeof(struct pipc_object));
    memcpy(victim->state.data, victim->pristine + sizeof(struct pipc_object), victim->state.data_bytes);
    atomic_store(&victim->queue->hint, 0);
    atomic_store(&victim->queue->interrupts.pending, 0);
}

/* Pages that nobody may touch, around the shared pages: what leads out of them shows at once. Where another
 * mapping is next door already there is none. */
static void fence(struct victim *victim)
{
    size_t page = pipc_page();
    uint64_t bytes = pipc_be_memory_size(victim->queue->memory) + page;
    unsigned char *first = victim->state.header;
    unsigned char *const places[] = {first - page, first + (bytes + page - 1) / page * page};
    for (unsigned i = 0; i < 2; i++) {
        void *made = mmap(places[i], page, PROT_NONE, MAP_PRIVATE | MAP_ANONYMOUS | MAP_FIXED_NOREPLACE, -1, 0);
        victim->fences[i] = made == MAP_FAILED ? NULL : made;
    }
}

static void close_queue(struct victim *victim)
{
    for (unsigned i = 0; i < 2; i++)
        if (victim->fences[i])
            munmap(victim->fences[i], pipc_page());
    CHECK_OK(pipc_queue_close(victim->queue));
}

static void open_queue(struct victim *victim)
{
    pipc_queue_options options = {.max_messages = VICTIM_PLACES, .max_size = VICTIM_SIZE};
    REQUIRE_OK(pipc_queue_open(&victim->queue, victim->name, PIPC_CREATE | PIPC_EXCLUSIVE, &options));
    struct pipc_queue *queue = victim->queue;
    victim->state.header = (unsigned char *)queue->object;
    victim->state.data = (unsigned char *)queue->control;
    victim->state.data_bytes = (size_t)(queue->bodies - victim->state.data);
    snapshot(victim);
    fence(victim);
}

/* Everything under the name is cleared away: a scribbled header may have let a second object in beside ours, and
 * nobody finds the kernel queue of an object that was removed while its label was overwritten. */
static void clear_away(struct victim *victim)
{
    restore(victim);
    uint64_t label = victim->queue->object->queue_label;
    close_queue(victim);
    for (int tries = 0; tries < 8 && pipc_queue_remove(victim->name) == 0; tries++)
        ;
    probe_queue_remove_labelled(victim->name, label);
}

static void start_over(struct victim *victim)
{
    clear_away(victim);
    open_queue(victim);
}

static int note_identity(void *argument)
{
    *(uint64_t *)argument = pipc_self();
    return 0;
}

/* The layout of the lock's word stands in core/lock.c. */
static uint64_t lock_of_the_dead(void)
{
    uint64_t *identity = test_shared(sizeof *identity);
    REQUIRE_EQUAL(test_wait(test_fork(note_identity, identity), PIPC_SECONDS(20)), 0);
    uint64_t word = (*identity & 0x3fffffffu) | (*identity >> 30 << 32);
    munmap(identity, sizeof *identity);
    return word;
}

static unsigned char *fenced_buffer(void)
{
    size_t page = pipc_page(), bytes = (VICTIM_SIZE + page - 1) / page * page;
    unsigned char *base = mmap(NULL, bytes + 2 * page, PROT_NONE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    REQUIRE(base != MAP_FAILED && mprotect(base + page, bytes, PROT_READ | PROT_WRITE) == 0);
    memset(base + page, CANARY, bytes);
    return base + page + bytes - VICTIM_SIZE;
}

void victim_begin(struct victim *victim, const char *name)
{
    *victim = (struct victim){.name = strdup(name), .buffer = fenced_buffer(), .dead_lock = lock_of_the_dead()};
    victim->pristine = malloc(1 << 20);
    REQUIRE(victim->name != NULL && victim->pristine != NULL);
    pipc_queue_remove(victim->name); /* what one that crashed left */
    open_queue(victim);
}

void victim_end(struct victim *victim)
{
    clear_away(victim);
    free(victim->pristine);
    free((char *)victim->name);
}

static int put(struct victim *victim, uint32_t type, uint32_t priority, uint64_t size)
{
    pipc_message message = {.data = victim->buffer, .size = size, .type = type, .priority = priority};
    return pipc_queue_send(victim->queue, &message, PIPC_NOWAIT);
}

/* A dead receiver had taken a message into staging, and was changing links. */
static void leave_a_death(struct victim *victim)
{
    struct pipc_queue *queue = victim->queue;
    struct pipc_control *control = queue->control;
    uint64_t word = atomic_load(&queue->words[0]);
    *queue->staging = (struct pipc_envelope){.nonce = queue->nonce,
                                             .ticket = atomic_load(&queue->slots[0].ticket),
                                             .type = 1,
                                             .length = 8,
                                             .generation = (uint16_t)pipc_word_generation(word)};
    control->pending = 3;
    control->undo_count = 2;
    queue->undo[0] = (struct pipc_undo){0, control->by_priority.top};
    queue->undo[1] = (struct pipc_undo){1, control->by_type.top};
    atomic_store(&control->lock.word, victim->dead_lock);
}

static bool fill(struct victim *victim)
{
    return pipc_queue_purge(victim->queue, NULL) == 0 && put(victim, 1, 0, 8) == 0 && put(victim, 2, 5, 100) == 0 &&
           put(victim, 3, 1, VICTIM_LARGE) == 0;
}

void victim_prepare(struct victim *victim, enum victim_call call)
{
    memset(victim->buffer, 1, VICTIM_SIZE);
    restore(victim);
    if (!fill(victim)) { /* the kernel's queue was removed along with an object that looked dead */
        start_over(victim);
        REQUIRE(fill(victim));
    }
    if (is_after_death(call))
        leave_a_death(victim);
}

/* ---- The calls ---- */

static void check_buffer(const struct victim *victim)
{
    size_t page = pipc_page();
    const unsigned char *first = victim->buffer - (uintptr_t)victim->buffer % page;
    for (; first < victim->buffer; first++)
        if (*first != CANARY) {
            CHECK(!"a byte before the buffer was written");
            return;
        }
}

static int take(struct victim *victim, pipc_selection selection, uint64_t room, bool peek)
{
    unsigned char *end = victim->buffer + VICTIM_SIZE;
    pipc_message message = {.data = end - room, .size = room};
    int error = (peek ? pipc_queue_peek : pipc_queue_receive)(victim->queue, selection, &message, PIPC_MS(1));
    if (error == 0 || error == PIPC_E_TOO_SMALL)
        CHECK(message.size <= VICTIM_SIZE);
    if (error == 0) {
        CHECK(message.type >= 1 && message.type <= PIPC_TYPE_MAX);
        CHECK(message.priority <= PIPC_PRIORITY_MAX);
        if (selection.rule == PIPC_RULE_EXACTLY)
            CHECK_EQUAL(message.type, selection.type);
    }
    if (error == PIPC_E_TOO_SMALL)
        CHECK(message.size > room);
    check_buffer(victim);
    return error;
}

static int send_patiently(struct victim *victim, uint64_t size)
{
    pipc_message message = {.data = victim->buffer, .size = size, .type = 4, .priority = 3};
    return pipc_queue_send(victim->queue, &message, PIPC_MS(1));
}

/* A handle that could be opened must be as safe to use as any other, whatever it took the queue's sizes for. */
static int join_and_use(struct victim *victim, uint32_t flags)
{
    pipc_queue *late = NULL;
    pipc_queue_info info;
    pipc_queue_options options = {.max_messages = flags ? VICTIM_PLACES : 0, .max_size = flags ? VICTIM_SIZE : 0};
    int error = pipc_queue_open(&late, victim->name, flags, &options);
    CHECK((late == NULL) == (error != 0));
    if (error)
        return error;
    pipc_queue *first = victim->queue;
    victim->queue = late;
    take(victim, pipc_any(), VICTIM_SIZE, false);
    send_patiently(victim, 8);
    pipc_queue_statistics(late, &info);
    victim->queue = first;
    return pipc_queue_close(late);
}

static int call_once(struct victim *victim, enum victim_call call)
{
    pipc_queue_info info;
    switch (call) {
    case VICTIM_SEND:
        return send_patiently(victim, 100);
    case VICTIM_SEND_SPILLED:
    case VICTIM_SEND_AFTER_DEATH:
        return send_patiently(victim, VICTIM_LARGE);
    case VICTIM_RECEIVE_ANY:
    case VICTIM_RECEIVE_AFTER_DEATH:
        return take(victim, pipc_any(), VICTIM_SIZE, false);
    case VICTIM_RECEIVE_EXACTLY:
        return take(victim, pipc_exactly(3), VICTIM_SIZE, false);
    case VICTIM_RECEIVE_EXCEPT:
        return take(victim, pipc_except(2), VICTIM_SIZE, false);
    case VICTIM_RECEIVE_UP_TO:
        return take(victim, pipc_up_to(3), VICTIM_SIZE, false);
    case VICTIM_RECEIVE_SMALL:
        return take(victim, pipc_exactly(3), 1, false);
    case VICTIM_PEEK:
        return take(victim, pipc_exactly(3), VICTIM_SIZE, true);
    case VICTIM_PURGE:
    case VICTIM_PURGE_AFTER_DEATH:
        return pipc_queue_purge(victim->queue, NULL);
    case VICTIM_STATISTICS:
        return pipc_queue_statistics(victim->queue, &info);
    case VICTIM_INTERRUPT:
        return pipc_queue_interrupt(victim->queue);
    case VICTIM_OPEN:
        return join_and_use(victim, 0);
    case VICTIM_OPEN_OR_CREATE:
        return join_and_use(victim, PIPC_CREATE);
    case VICTIM_CREATE:
        return join_and_use(victim, PIPC_CREATE | PIPC_EXCLUSIVE);
    default:
        return pipc_queue_remove(victim->name);
    }
}

int victim_call(struct victim *victim, enum victim_call call)
{
    watch_call_begins();
    int error = call_once(victim, call);
    watch_call_ends();
    CHECK(error != PIPC_E_SYSTEM);
    CHECK(error >= 0 && strcmp(pipc_error_name(error), "PIPC_E_?") != 0);
    if (works_on_the_name(call)) /* whatever it left under the name */
        start_over(victim);
    return error;
}

void victim_renew(struct victim *victim, bool whole_header)
{
    if (!whole_header)
        memcpy(victim->state.header, victim->pristine, sizeof(struct pipc_object));
    CHECK_OK(pipc_queue_remove(victim->name));
    close_queue(victim);
    open_queue(victim);
    victim_prepare(victim, VICTIM_RECEIVE_ANY);
    CHECK_OK(take(victim, pipc_exactly(3), VICTIM_SIZE, false));
}
