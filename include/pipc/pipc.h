/** @file pipc.h
 *  All of pipc: named message queues, named shared memory, events; and all that there are of them.
 */
#ifndef PIPC_PIPC_H
#define PIPC_PIPC_H

#include "base.h"
#include "channel.h"
#include "error.h"
#include "event.h"
#include "library.h"
#include "objects.h"
#include "queue.h"
#include "shm.h"

#endif
