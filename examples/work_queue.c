/* A work queue: several workers share one queue of jobs, and two kinds of message travel in it.
 *
 * Jobs have type JOB; a job's priority decides when it is done, not when it was sent. Each result
 * carries the type RESULT and goes back through the same queue: a worker that asks for exactly JOB
 * never takes a result, and the parent that asks for exactly RESULT never takes a job. A job of
 * size 0 tells a worker to go home; its low priority makes it the last thing a worker finds. */
#include <stdio.h>
#include <stdlib.h>
#include <sys/wait.h>
#include <unistd.h>

#include <pipc/pipc.h>

enum { JOB = 1, RESULT = 2, WORKERS = 3, JOBS = 12 };

struct result {
    uint32_t number;
    uint32_t square;
};

static void must(int error)
{
    if (error == 0)
        return;
    fprintf(stderr, "work_queue: %s\n", pipc_error_detail());
    exit(1);
}

static void send(pipc_queue *queue, uint32_t type, uint32_t priority, void *data, uint64_t size)
{
    pipc_message message = {.type = type, .priority = priority, .data = data, .size = size};
    must(pipc_queue_send(queue, &message, PIPC_SECONDS(10)));
}

/* Works until the empty job comes. The handle opened by the parent works in the child. */
static void work(pipc_queue *queue)
{
    for (;;) {
        uint32_t number;
        pipc_message job = {.data = &number, .size = sizeof number};
        must(pipc_queue_receive(queue, pipc_exactly(JOB), &job, PIPC_SECONDS(10)));
        if (job.size == 0)
            return;
        struct result result = {.number = number, .square = number * number};
        send(queue, RESULT, 0, &result, sizeof result);
    }
}

int main(void)
{
    char name[64];
    pipc_queue *queue;
    pipc_queue_options options = {.max_messages = 2 * JOBS + WORKERS, .max_size = sizeof(struct result)};
    snprintf(name, sizeof name, "work.%ld", (long)getpid());
    must(pipc_queue_open(&queue, name, PIPC_CREATE | PIPC_EXCLUSIVE, &options));

    for (uint32_t number = 1; number <= JOBS; number++)
        send(queue, JOB, number % 2 ? 1 : 5, &number, sizeof number); /* the even ones are urgent */
    for (int i = 0; i < WORKERS; i++)
        send(queue, JOB, 0, NULL, 0);
    for (int i = 0; i < WORKERS; i++)
        if (fork() == 0) {
            work(queue);
            _exit(0);
        }

    uint32_t sum = 0;
    for (int i = 0; i < JOBS; i++) {
        struct result result;
        pipc_message message = {.data = &result, .size = sizeof result};
        must(pipc_queue_receive(queue, pipc_exactly(RESULT), &message, PIPC_SECONDS(10)));
        sum += result.square;
    }
    while (wait(NULL) > 0)
        ;
    printf("%d jobs, %d workers, sum of squares %u\n", JOBS, WORKERS, (unsigned)sum);
    pipc_queue_close(queue);
    must(pipc_queue_remove(name));
    return 0;
}
