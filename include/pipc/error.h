/** @file error.h
 *  One list of errors for every call, the same numbers on every build.
 *
 *  Every function that can fail returns 0 or one of these numbers. The number says what kind of
 *  failure it was; pipc_error_detail() says which call it was, with its arguments and the remedy.
 */
#ifndef PIPC_ERROR_H
#define PIPC_ERROR_H

#include "base.h"

#ifdef __cplusplus
extern "C" {
#endif

/** The one list: X(name, number, text). */
#define PIPC_ERRORS(X)                                                                                                 \
    X(INVALID, 1, "an argument is invalid")                                                                            \
    X(NAME, 2, "the name is illegal")                                                                                  \
    X(NOT_FOUND, 3, "no object has this name")                                                                         \
    X(EXISTS, 4, "an object with this name exists already")                                                            \
    X(MISMATCH, 5, "the object exists with other options than those asked for")                                        \
    X(ACCESS, 6, "permission denied")                                                                                  \
    X(BUSY, 7, "somebody else is at work on the object")                                                               \
    X(REMOVED, 8, "the object was removed")                                                                            \
    X(TIMEOUT, 9, "the time span ended")                                                                               \
    X(EMPTY, 10, "no message that the selection wants")                                                                \
    X(FULL, 11, "the queue is full")                                                                                   \
    X(INTERRUPTED, 12, "a signal or an interrupt ended the wait")                                                      \
    X(TOO_BIG, 13, "the message is larger than the queue takes")                                                       \
    X(TOO_SMALL, 14, "the buffer is smaller than the message")                                                         \
    X(NO_MEMORY, 15, "this process has no memory left")                                                                \
    X(NO_SPACE, 16, "the system has no room for the object")                                                           \
    X(LIMIT, 17, "a limit of the system or of this user is reached")                                                   \
    X(UNSUPPORTED, 18, "this system does not grant that")                                                              \
    X(FOREIGN, 19, "something that is not a pipc object holds the name or its key")                                    \
    X(LAYOUT, 20, "the object was made by an incompatible version")                                                    \
    X(DAMAGED, 21, "the object is damaged")                                                                            \
    X(NAMESPACE, 22, "the object belongs to another pid namespace")                                                    \
    X(SYSTEM, 23, "the system failed in an unexpected way")                                                            \
    X(OWNER_DIED, 24, "the lock is yours, but its last owner died with it")                                            \
    X(DEADLOCK, 25, "this thread has the lock already")                                                                \
    X(OVERRUN, 26, "what was read in place was overwritten meanwhile")

/** The error numbers, made from #PIPC_ERRORS; 0 (#PIPC_OK) is success. */
enum pipc_error {
    PIPC_OK = 0, /**< Success. */
#define PIPC_ERROR_ENUMERATOR(name, number, text) PIPC_E_##name = number,
    PIPC_ERRORS(PIPC_ERROR_ENUMERATOR)
#undef PIPC_ERROR_ENUMERATOR
};

/** The error's text, in English, such as "the queue is full".
 *  @param error any number
 *  @return a constant string, never NULL; "success" for 0; "unknown error" for a number that is not in
 *          the list
 *  @par Threads, fork, signals
 *  Any thread at any time, also in a signal handler. */
PIPC_API const char *pipc_error_text(int error);

/** The error's symbol, such as "PIPC_E_FULL".
 *  @param error any number
 *  @return a constant string, never NULL; "PIPC_OK" for 0; "PIPC_E_?" for a number that is not in the list
 *  @par Threads, fork, signals
 *  Any thread at any time, also in a signal handler. */
PIPC_API const char *pipc_error_name(int error);

/** The sentence about this thread's last failed pipc call: the call, its arguments, the remedy.
 *  @return a string owned by the library and valid until this thread's next failing pipc call;
 *          never NULL, empty if no call failed yet, 639 bytes at most. It means something only right after a
 *          failing call: one that succeeds in the end may have changed it on the way.
 *  @par Threads, fork, signals
 *  Each thread has its own; a forked child starts with its parent's. Not in a signal handler. */
PIPC_API const char *pipc_error_detail(void);

#ifdef __cplusplus
}
#endif
#endif
