/** @file library.h
 *  What this build of the library is and can do.
 */
#ifndef PIPC_LIBRARY_H
#define PIPC_LIBRARY_H

#include "base.h"

#ifdef __cplusplus
extern "C" {
#endif

/** Facts about this build and this machine; see pipc_library_facts(). */
typedef struct pipc_facts {
    const char *version;         /**< The library's version, such as "0.1.0". */
    const char *backend;         /**< The kernel family: "sysv" or "posix". */
    const char *platform;        /**< How waiting and liveness are done: "linux" or "generic". */
    uint32_t name_max;           /**< Longest name, bytes. */
    uint32_t type_max;           /**< Highest message type. */
    uint32_t priority_max;       /**< Highest priority. */
    uint32_t messages_max;       /**< Highest max_messages of a queue. */
    uint32_t default_messages;   /**< max_messages when the options leave it 0. */
    uint64_t message_size_max;   /**< Highest max_size of a queue, bytes. */
    uint64_t default_size;       /**< max_size of a queue when the options leave it 0, bytes. */
    uint64_t kernel_message_max; /**< Largest body that can go through the kernel's queue here now, bytes;
                                      larger ones go through the queue's shared memory. */
    uint32_t kernel_depth_max;   /**< Most messages the kernel's queue takes here now, before privileges;
                                      0 if the kernel counts bytes only. */
    uint32_t detects_death;      /**< 1 if the death of a peer is recognised on this platform, else 0. */
} pipc_facts;

/** Tells what this build is: backend, version, limits, capabilities.
 *  The kernel's limits are read anew by each call.
 *  @param[out] facts filled in; the strings in it are constants
 *  @return 0, or #PIPC_E_INVALID (NULL)
 *  @par Threads, fork, signals
 *  Any thread at any time; in a forked child too. Not in a signal handler. */
PIPC_API int pipc_library_facts(pipc_facts *facts);

#ifdef __cplusplus
}
#endif
#endif
