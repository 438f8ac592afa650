/** @file base.h
 *  What every part of pipc shares: flags, time spans, names, the export marker.
 *
 *  Names (Q1): 1 to 200 bytes, any byte but '/', 0x00-0x1f and 0x7f, UTF-8 welcome, and neither
 *  "." nor "..". No leading slash, no numeric key. Queues, channels and memory have separate name spaces.
 */
#ifndef PIPC_BASE_H
#define PIPC_BASE_H

#include <stddef.h>
#include <stdint.h>

#ifdef __GNUC__
#define PIPC_API __attribute__((visibility("default"))) /**< Marks what the shared library exports. */
#else
#define PIPC_API /**< Marks what the shared library exports. */
#endif

#define PIPC_VERSION_MAJOR 0 /**< Major version of these headers. */
#define PIPC_VERSION_MINOR 1 /**< Minor version of these headers. */
#define PIPC_VERSION_PATCH 0 /**< Patch version of these headers. */

#define PIPC_NAME_MAX 200 /**< Longest name, in bytes, without the final zero. */

/** @name Flags of the opening calls
 *  @{ */
#define PIPC_READ         0x0001u    /**< Ask for the right to read (a queue, a channel: to receive). */
#define PIPC_WRITE        0x0002u    /**< Ask for the right to write (a queue, a channel: to send). */
#define PIPC_RECEIVE      PIPC_READ  /**< The right to receive, peek and purge. */
#define PIPC_SEND         PIPC_WRITE /**< The right to send. */
#define PIPC_CREATE       0x0010u    /**< Create the object if the name is free, else open it. */
#define PIPC_EXCLUSIVE    0x0020u    /**< With #PIPC_CREATE: fail with #PIPC_E_EXISTS if the name is taken. */
#define PIPC_FOREIGN_PIDS 0x0040u    /**< Open even from another pid namespace; waives the repair after deaths. */
#define PIPC_NO_SPIN      0x0080u    /**< Queues, channels: waits of this handle sleep without looking a while first. */
/** @} */

/** @name Flags of memory
 *  @{ */
#define PIPC_PREFAULT 0x0100u /**< Touch every page: at creation (pipc_shm_open) or of one mapping (pipc_shm_map). */
#define PIPC_LOCK     0x0200u /**< pipc_shm_map: keep the mapping's pages in memory (mlock). */
#define PIPC_HUGE     0x0400u /**< pipc_shm_map: back the mapping with huge pages where the system grants them. */
/** @} */

/** @name Flags of one message (pipc_message::flags)
 *  @{ */
#define PIPC_TRUNCATE 0x1000u /**< Receive, peek: cut a message that exceeds the buffer instead of refusing. */
#define PIPC_RESTART  0x2000u /**< A signal handler does not end the wait; it goes on with the time left. */
/** @} */

/** @name Time spans
 *  Every call that may wait takes a span in nanoseconds, measured on the monotonic clock from the
 *  call's beginning. A negative span is #PIPC_E_INVALID.
 *  @{ */
#define PIPC_NOWAIT     ((int64_t)0)                       /**< Do not wait at all (asynchronous). */
#define PIPC_FOREVER    INT64_MAX                          /**< Wait without a limit. */
#define PIPC_NS(n)      ((int64_t)(n))                     /**< n nanoseconds. */
#define PIPC_US(n)      ((int64_t)(n)*INT64_C(1000))       /**< n microseconds. */
#define PIPC_MS(n)      ((int64_t)(n)*INT64_C(1000000))    /**< n milliseconds. */
#define PIPC_SECONDS(n) ((int64_t)(n)*INT64_C(1000000000)) /**< n seconds. */
/** @} */

#endif
