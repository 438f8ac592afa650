/* What this build is. */
#include "pipc/library.h"

#include <string.h>

#include "core/call.h"
#include "core/control.h"
#include "core/platform.h"

#define TEXT(x)                      #x
#define VERSION(major, minor, patch) TEXT(major) "." TEXT(minor) "." TEXT(patch)

int pipc_library_facts(pipc_facts *facts)
{
    uint32_t size, depth;
    struct pipc_call call;
    pipc_calling(__func__, NULL);
    if (!facts)
        return pipc_fail(PIPC_E_INVALID, "the facts are NULL");
    pipc_call_enter(&call, 0);
    pipc_be_queue_limits(&size, &depth);
    pipc_call_leave(&call, 0);
    memset(facts, 0, sizeof *facts);
    facts->version = VERSION(PIPC_VERSION_MAJOR, PIPC_VERSION_MINOR, PIPC_VERSION_PATCH);
    facts->backend = pipc_be_name;
    facts->platform = pipc_platform_name;
    facts->name_max = PIPC_NAME_MAX;
    facts->type_max = PIPC_TYPE_MAX;
    facts->priority_max = PIPC_PRIORITY_MAX;
    facts->messages_max = PIPC_MESSAGES_MAX;
    facts->default_messages = PIPC_DEFAULT_MESSAGES;
    facts->message_size_max = PIPC_MESSAGE_SIZE_MAX;
    facts->default_size = PIPC_DEFAULT_SIZE;
    facts->kernel_message_max = size > sizeof(struct pipc_envelope) ? size - sizeof(struct pipc_envelope) : 0;
    facts->kernel_depth_max = depth;
    facts->detects_death = pipc_platform_detects_death;
    return 0;
}
