/** @file pipc.h
 *  All of pipc: named message queues, named shared memory, events, locks, semaphores; and all that there are of them.
 */
#ifndef PIPC_PIPC_H
#define PIPC_PIPC_H

#include "base.h"
#include "channel.h"
#include "error.h"
#include "event.h"
#include "library.h"
#include "mutex.h"
#include "objects.h"
#include "queue.h"
#include "semaphore.h"
#include "shm.h"

#endif
