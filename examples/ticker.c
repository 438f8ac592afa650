/* Publish and subscribe: one process publishes prices, others each see every price, or are told how many they missed.
 *
 * The channel delivers the latest (PIPC_DELIVER_LATEST): the publisher never waits for anybody, and whoever is too slow
 * misses the oldest. With PIPC_DELIVER_ALL nobody would miss any, and the publisher would wait for the slowest.
 * A handle opened for receiving is a subscriber; the publisher opens for sending only. */
#include <stdio.h>
#include <stdlib.h>
#include <sys/wait.h>
#include <unistd.h>

#include <pipc/pipc.h>

enum { SUBSCRIBERS = 3, PRICES = 5000, LAST = 0 };

struct price {
    uint32_t number; /* LAST: no more will come */
    int32_t cents;
};

static void must(int error)
{
    if (error == 0)
        return;
    fprintf(stderr, "ticker: %s\n", pipc_error_detail());
    exit(1);
}

/* Every other subscriber is slow. Answers 0 if what it saw and what it missed are all there were. */
static int follow(const char *name, int slow)
{
    pipc_channel *channel;
    must(pipc_channel_open(&channel, name, PIPC_RECEIVE, NULL));
    uint64_t seen = 0, missed = 0;
    for (;;) {
        struct price price;
        pipc_record record = {.data = &price, .size = sizeof price};
        must(pipc_channel_receive(channel, &record, PIPC_SECONDS(10)));
        missed += record.missed;
        if (price.number == LAST)
            break;
        if (price.number != ++seen + missed)
            return 1;
        if (slow && seen % 100 == 0)
            usleep(2000);
    }
    pipc_channel_close(channel);
    return seen + missed == PRICES ? 0 : 1;
}

int main(void)
{
    char name[64];
    pipc_channel *channel;
    pipc_channel_options options = {.size = 16384, .delivery = PIPC_DELIVER_LATEST, .subscribers = SUBSCRIBERS};
    snprintf(name, sizeof name, "ticker.%ld", (long)getpid());
    must(pipc_channel_open(&channel, name, PIPC_CREATE | PIPC_EXCLUSIVE | PIPC_SEND, &options));

    for (int i = 0; i < SUBSCRIBERS; i++)
        if (fork() == 0)
            _exit(follow(name, i % 2));
    for (pipc_channel_info info = {.subscribers = 0}; info.subscribers < SUBSCRIBERS; usleep(1000))
        must(pipc_channel_statistics(channel, &info)); /* what is sent before they subscribed they never see */

    for (uint32_t number = 1; number <= PRICES + 1; number++) {
        struct price price = {.number = number <= PRICES ? number : LAST, .cents = 1000 + (int32_t)(number % 70)};
        pipc_record record = {.data = &price, .size = sizeof price};
        must(pipc_channel_send(channel, &record, PIPC_NOWAIT)); /* never full */
    }

    int status, good = 0;
    while (wait(&status) > 0)
        good += status == 0;
    printf("%d of %d subscribers saw all prices, or know how many they missed\n", good, SUBSCRIBERS);
    pipc_channel_close(channel);
    must(pipc_channel_remove(name));
    return good == SUBSCRIBERS ? 0 : 1;
}
