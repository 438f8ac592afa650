/* What the two halves of the test frame share: support.c (the runner) and support_process.c. */
#ifndef PIPC_TESTS_SUPPORT_INTERNAL_H
#define PIPC_TESTS_SUPPORT_INTERNAL_H

#include "support.h"

int test_run_here(test_body *body, void *argument);

/* Moves this process into an IPC namespace of its own. NULL, or what failed. */
const char *test_unshare_ipc(uint64_t shm_bytes);

#endif
