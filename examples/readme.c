#include <pipc/pipc.h>
#include <stdio.h>
#include <string.h>

int main(void)
{
    pipc_queue *orders;
    pipc_queue_options options = {.max_messages = 64, .max_size = 256};
    if (pipc_queue_open(&orders, "orders", PIPC_CREATE, &options) != 0) {
        fprintf(stderr, "%s\n", pipc_error_detail());
        return 1;
    }

    char text[] = "two teas, one coffee";
    pipc_message order = {.type = 7, .data = text, .size = strlen(text)};
    int error = pipc_queue_send(orders, &order, PIPC_FOREVER); /* waits while the queue is full */

    char buffer[256];
    pipc_message taken = {.data = buffer, .size = sizeof buffer};
    if (error == 0) /* only type 7, and only for half a second: then PIPC_E_TIMEOUT */
        error = pipc_queue_receive(orders, pipc_exactly(7), &taken, PIPC_MS(500));

    if (error == 0)
        printf("type %u: %.*s\n", (unsigned)taken.type, (int)taken.size, buffer);
    else
        fprintf(stderr, "%s\n", pipc_error_detail());

    pipc_queue_close(orders);
    pipc_queue_remove("orders"); /* until somebody does this, the queue stays */
    return error == 0 ? 0 : 1;
}
