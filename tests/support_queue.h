/* What the queue tests share: queues under the run's prefix, messages whose bodies can be verified. */
#ifndef PIPC_TESTS_SUPPORT_QUEUE_H
#define PIPC_TESTS_SUPPORT_QUEUE_H

#include "support.h"

/* Creates a queue exclusively under test_name(what); 0 = the default. Fails the test if that fails. */
pipc_queue *queue_make(const char *what, uint32_t max_messages, uint64_t max_size);

/* Opens the existing one with these rights (0 = both). */
pipc_queue *queue_join(const char *what, uint32_t flags);

/* Closes the handle (may be NULL) and removes the queue. */
void queue_end(pipc_queue *queue, const char *what);

pipc_queue_info queue_info(pipc_queue *queue);

/* A message whose body is one number: 8 bytes, or more if padded to `size` by a pattern made from it. */
int queue_send(pipc_queue *queue, uint32_t type, uint32_t priority, uint64_t number, uint64_t size, int64_t timeout);

/* The byte at this position, from 8 on, of a body that is padded. */
unsigned char queue_padding(uint64_t number, uint64_t position);

/* What was received; the body has been compared with what queue_send() makes of its number. */
struct queue_got {
    uint64_t number;
    uint64_t size;
    uint32_t type;
    uint32_t priority;
    bool whole; /* the body is as it was sent */
};

/* Receives (or peeks) up to 2 MiB. A body that is not whole is noted as a failure. */
int queue_receive(pipc_queue *queue, pipc_selection selection, struct queue_got *got, int64_t timeout);
int queue_peek(pipc_queue *queue, pipc_selection selection, struct queue_got *got, int64_t timeout);

/* Receives any message without waiting and checks its number. */
bool queue_expect(pipc_queue *queue, pipc_selection selection, uint64_t number);

/* Checks that exactly so many messages of this size fit now, waiting at most 10 s for lost places to come back;
 * empties the queue again. */
void queue_check_room(pipc_queue *queue, uint32_t messages, uint64_t size);

/* A small random number generator, the same on every machine. */
uint32_t test_random(uint64_t *state, uint32_t below);

/* Any of the rules, "any" as often as the others together, with one of the types 1 to `types`. */
pipc_selection queue_any_selection(uint64_t *random, uint32_t types);

#endif
