/* Removing an object by its name, of whatever kind. */
#include "core/call.h"
#include "core/object.h"
#include "core/platform.h"

static int doom_and_finish(uint32_t kind, const char *name, uint64_t control, void (*wake)(void *data))
{
    struct pipc_be_memory *memory;
    void *data;
    int error = pipc_be_memory_doom(&memory, kind, name, pipc_now() + PIPC_BUILDER_PATIENCE);
    if (error)
        return error;
    /* If it cannot be mapped, or is not all there, sleepers find out at the end of their slice, a second at most. */
    if (wake && pipc_be_memory_size(memory) >= control &&
        pipc_be_memory_map(memory, PIPC_READ | PIPC_WRITE, &data) == 0) {
        wake(data);
        pipc_be_memory_unmap(memory, data, NULL);
    }
    PIPC_POINT("remove: woken, name not freed");
    pipc_be_memory_finish(memory);
    return 0;
}

int pipc_remove(uint32_t kind, const char *name, uint64_t control, void (*wake)(void *data))
{
    struct pipc_call call;
    int error = pipc_name_check(name);
    if (error)
        return error;
    pipc_call_enter(&call, 0);
    pipc_self_refresh();
    return pipc_call_leave(&call, doom_and_finish(kind, name, control, wake));
}
