/* What to do with an error. */
#include <stdio.h>

#include <pipc/pipc.h>

#include "snippets.h"

int show_report(const char *name)
{
    //! [report]
    pipc_queue *queue;
    int error = pipc_queue_open(&queue, name, PIPC_RECEIVE, NULL);
    if (error == PIPC_E_NOT_FOUND)
        printf("nobody has made the queue yet\n");
    else if (error)
        fprintf(stderr, "%s: %s\n", pipc_error_name(error), pipc_error_detail());
    //! [report]
    pipc_queue_close(queue);
    return error != PIPC_E_NOT_FOUND;
}
