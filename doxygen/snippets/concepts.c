/* The code of the page "Concepts". */
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include <pipc/pipc.h>

#include "snippets.h"

int show_queue(const char *name)
{
    //! [queue]
    pipc_queue *queue;
    pipc_queue_options options = {.max_messages = 64, .max_size = 256};
    int error = pipc_queue_open(&queue, name, PIPC_CREATE, &options);
    if (error)
        return error;

    pipc_message order = {.type = 7, .data = "two teas", .size = 9};
    error = pipc_queue_send(queue, &order, PIPC_FOREVER);

    char text[256];
    pipc_message got = {.data = text, .size = sizeof text};
    if (!error)
        error = pipc_queue_receive(queue, pipc_exactly(7), &got, PIPC_MS(500));
    if (!error)
        printf("type %u, %u bytes: %s\n", (unsigned)got.type, (unsigned)got.size, text);

    pipc_queue_close(queue);
    pipc_queue_remove(name);
    //! [queue]
    return error;
}

static int put(pipc_queue *queue, uint32_t type, uint32_t priority)
{
    pipc_message message = {.type = type, .priority = priority};
    return pipc_queue_send(queue, &message, PIPC_NOWAIT);
}

static uint32_t next(pipc_queue *queue, pipc_selection selection)
{
    pipc_message message = {0};
    return pipc_queue_peek(queue, selection, &message, PIPC_NOWAIT) ? 0 : message.type;
}

int show_selection(const char *name)
{
    pipc_queue *queue;
    int error = pipc_queue_open(&queue, name, PIPC_CREATE, NULL);
    if (error)
        return error;
    //! [selection]
    put(queue, 5, 0);  /* type 5, priority 0 */
    put(queue, 9, 20); /* type 9, priority 20 */
    put(queue, 7, 10); /* type 7, priority 10 */

    uint32_t any = next(queue, pipc_any());         /* 9: highest priority */
    uint32_t exact = next(queue, pipc_exactly(5));  /* 5: the only one of its type */
    uint32_t other = next(queue, pipc_except(9));   /* 7: highest priority of the others */
    uint32_t lowest = next(queue, pipc_up_to(100)); /* 5: lowest type */
    uint32_t none = next(queue, pipc_up_to(4));     /* 0: nothing of type 4 or below */
    //! [selection]
    pipc_queue_close(queue);
    pipc_queue_remove(name);
    return any != 9 || exact != 5 || other != 7 || lowest != 5 || none != 0;
}

int show_buffer(const char *name)
{
    pipc_queue *queue;
    int error = pipc_queue_open(&queue, name, PIPC_CREATE, NULL);
    if (error)
        return error;
    pipc_message hello = {.type = 1, .data = "hello, world", .size = 12};
    error = pipc_queue_send(queue, &hello, PIPC_NOWAIT);
    //! [buffer]
    char text[5];
    pipc_message got = {.data = text, .size = sizeof text};
    int first = pipc_queue_receive(queue, pipc_any(), &got, PIPC_NOWAIT);
    /* PIPC_E_TOO_SMALL: got.size is 12 now, and the message is still in the queue */

    got.size = sizeof text;
    got.flags = PIPC_TRUNCATE;
    int second = pipc_queue_receive(queue, pipc_any(), &got, PIPC_NOWAIT);
    /* 0: text holds "hello", got.size is 12, the rest is gone */
    //! [buffer]
    pipc_queue_close(queue);
    pipc_queue_remove(name);
    return error || first != PIPC_E_TOO_SMALL || second || got.size != 12 || memcmp(text, "hello", 5) != 0;
}

//! [handler]
static pipc_queue *jobs;
static volatile sig_atomic_t stop;

static void on_term(int signal)
{
    (void)signal;
    stop = 1;
    pipc_queue_interrupt(jobs);
}
//! [handler]

int show_stop(const char *name)
{
    int error = pipc_queue_open(&jobs, name, PIPC_CREATE, NULL);
    if (error)
        return error;
    void (*before)(int) = signal(SIGTERM, on_term);
    raise(SIGTERM);
    int rounds = 0;
    //! [stop]
    pipc_message job = {0};
    while (!stop) {
        error = pipc_queue_receive(jobs, pipc_any(), &job, PIPC_FOREVER);
        if (error && error != PIPC_E_INTERRUPTED)
            break;
        /* ... work ... */
        rounds++;
    }
    //! [stop]
    error = pipc_queue_receive(jobs, pipc_any(), &job, PIPC_SECONDS(10));
    signal(SIGTERM, before);
    pipc_queue_close(jobs);
    pipc_queue_remove(name);
    return rounds != 0 || error != PIPC_E_INTERRUPTED;
}

//! [board]
struct board {
    pipc_event ready; /* zeros are an event of value 0 */
    char text[100];
};
//! [board]

static int show_event(struct board *board)
{
    //! [event]
    /* one process */
    strcpy(board->text, "dinner is served");
    pipc_event_set(&board->ready, 1, PIPC_WAKE_ALL);

    /* another process */
    uint32_t value;
    int error = pipc_event_wait(&board->ready, 0, &value, PIPC_SECONDS(5));
    if (!error)
        printf("%s\n", board->text);
    //! [event]
    return error || value != 1;
}

//! [guarded]
struct account {
    pipc_mutex mutex; /* zeros are a free lock */
    int64_t balance, booked;
};
//! [guarded]

static int show_lock(struct account *account)
{
    //! [lock]
    int error = pipc_mutex_lock(&account->mutex, PIPC_SECONDS(5));
    if (error == PIPC_E_OWNER_DIED) {
        account->booked = account->balance; /* mend what may be half changed; the lock is ours */
        error = 0;
    }
    if (!error) {
        account->balance += 10;
        account->booked += 10;
        pipc_mutex_unlock(&account->mutex);
    }
    //! [lock]
    return error || account->balance != account->booked;
}

static int show_semaphore(pipc_semaphore *jobs_to_do)
{
    //! [semaphore]
    /* one process: three more jobs */
    pipc_semaphore_post(jobs_to_do, 3);

    /* others: each takes one */
    int error = pipc_semaphore_wait(jobs_to_do, PIPC_SECONDS(5));
    //! [semaphore]
    return error;
}

int show_sync(const char *name)
{
    (void)name;
    struct account account = {.balance = 0};
    pipc_semaphore semaphore = {{0, 0}};
    return show_lock(&account) || show_semaphore(&semaphore);
}

int show_memory(const char *name)
{
    //! [memory]
    pipc_shm *shm;
    pipc_shm_options options = {.size = sizeof(struct board)};
    int error = pipc_shm_open(&shm, name, PIPC_CREATE, &options);
    if (error)
        return error;
    void *address;
    error = pipc_shm_map(shm, PIPC_READ | PIPC_WRITE, &address);
    if (!error) {
        struct board *board = address; /* zeros at first */
        error = show_event(board);
    }
    pipc_shm_close(shm); /* unmaps too */
    pipc_shm_remove(name);
    //! [memory]
    return error;
}

int show_statistics(const char *name)
{
    pipc_queue *queue;
    int error = pipc_queue_open(&queue, name, PIPC_CREATE, NULL);
    if (error)
        return error;
    put(queue, 1, 0);
    //! [statistics]
    pipc_queue_info info;
    error = pipc_queue_statistics(queue, &info);
    if (!error)
        printf("%u of %u messages, backend %s\n", (unsigned)info.messages, (unsigned)info.max_messages, info.backend);
    //! [statistics]
    pipc_queue_close(queue);
    pipc_queue_remove(name);
    return error || info.messages != 1;
}

//! [visitor]
static int tell(const pipc_found *found, void *argument)
{
    unsigned *backlog = argument;
    if (found->kind == PIPC_KIND_QUEUE && found->measured) /* ready, and readable for this user */
        *backlog += (unsigned)found->queue.messages;
    else if (found->state != PIPC_FOUND_READY)
        printf("%s: %s\n", found->name, found->why);
    return 0; /* go on */
}
//! [visitor]

int show_objects(const char *name)
{
    pipc_queue *queue;
    int error = pipc_queue_open(&queue, name, PIPC_CREATE, NULL);
    if (error)
        return error;
    put(queue, 1, 0);
    //! [each]
    unsigned backlog = 0;
    error = pipc_each(tell, &backlog); /* pipc_reap(tell, &backlog) would also clear the garbage away */
    //! [each]
    pipc_queue_close(queue);
    pipc_queue_remove(name);
    return error || backlog < 1;
}
