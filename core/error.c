/* The one error list: names, texts and the sentence of each thread's last failure. */
#include <errno.h>
#include <stdarg.h>
#include <stdio.h>

#include "core/backend.h"
#include "core/call.h"

#define MOST_TRIES 1000

static _Thread_local char detail[640];

/* pipc_queue_send("orders"): */
static int begin_sentence(void)
{
    int length = 0;
    if (pipc_thread.function && pipc_thread.name)
        length =
            snprintf(detail, sizeof detail, "%s(\"%.*s\"): ", pipc_thread.function, PIPC_NAME_MAX, pipc_thread.name);
    else if (pipc_thread.function)
        length = snprintf(detail, sizeof detail, "%s: ", pipc_thread.function);
    return length;
}

const char *pipc_error_text(int error)
{
    switch (error) {
    case PIPC_OK:
        return "success";
#define TEXT(name, number, text)                                                                                       \
    case number:                                                                                                       \
        return text;
        PIPC_ERRORS(TEXT)
#undef TEXT
    default:
        return "unknown error";
    }
}

const char *pipc_error_name(int error)
{
    switch (error) {
    case PIPC_OK:
        return "PIPC_OK";
#define NAME(name, number, text)                                                                                       \
    case number:                                                                                                       \
        return "PIPC_E_" #name;
        PIPC_ERRORS(NAME)
#undef NAME
    default:
        return "PIPC_E_?";
    }
}

const char *pipc_error_detail(void)
{
    return detail;
}

int pipc_fail(int error, const char *format, ...)
{
    int kept = errno;
    va_list arguments;
    va_start(arguments, format);
    int length = begin_sentence();
    vsnprintf(detail + length, sizeof detail - (size_t)length, format, arguments);
    va_end(arguments);
    errno = kept;
    return error;
}

bool pipc_again(unsigned *tries)
{
    return errno == EINTR && ++*tries < MOST_TRIES;
}

int pipc_error_from(int errno_value)
{
    switch (errno_value) {
    case EACCES:
    case EPERM:
        return PIPC_E_ACCESS;
    case ENOMEM:
    case ENOSPC:
        return PIPC_E_NO_SPACE;
    case EMFILE:
    case ENFILE:
        return PIPC_E_LIMIT;
    default:
        return PIPC_E_SYSTEM;
    }
}
