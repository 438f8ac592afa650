/* A stream of large records without a copy: a camera fills frames in the ring, a viewer looks at them there.
 *
 * The camera reserves a place, fills it and commits: until then nobody sees the frame. It may shrink what it reserved,
 * since it does not know beforehand how much a frame will take. The viewer peeks at all frames that are there, works
 * on them in place, and releases them in one go. If it were killed in between, the next viewer would get them again,
 * with PIPC_REDELIVERED set; if the camera were killed while it fills, nobody would ever see that frame. */
#include <stdio.h>
#include <stdlib.h>
#include <sys/wait.h>
#include <unistd.h>

#include <pipc/pipc.h>

enum { FRAMES = 200, MOST_PIXELS = 4000, AT_ONCE = 8 };

static void must(int error)
{
    if (error == 0)
        return;
    fprintf(stderr, "frames: %s\n", pipc_error_detail());
    exit(1);
}

static void film(pipc_channel *channel)
{
    for (uint32_t frame = 1; frame <= FRAMES; frame++) {
        pipc_record record = {.size = MOST_PIXELS};
        must(pipc_channel_reserve(channel, &record, PIPC_SECONDS(10))); /* waits while the ring is full */
        unsigned char *pixels = record.data;
        record.size = MOST_PIXELS - frame * 10;
        for (uint64_t i = 0; i < record.size; i++)
            pixels[i] = (unsigned char)(frame + i);
        must(pipc_channel_commit(channel, &record, 1));
    }
    pipc_record end = {.size = 0};
    must(pipc_channel_send(channel, &end, PIPC_SECONDS(10)));
}

static int is_whole(const pipc_record *record, uint32_t frame)
{
    const unsigned char *pixels = record->data;
    for (uint64_t i = 0; i < record->size; i++)
        if (pixels[i] != (unsigned char)(frame + i))
            return 0;
    return record->size == MOST_PIXELS - frame * 10;
}

int main(void)
{
    char name[64];
    pipc_channel *channel;
    pipc_channel_options options = {.size = 65536}; /* one producer, one consumer */
    snprintf(name, sizeof name, "frames.%ld", (long)getpid());
    must(pipc_channel_open(&channel, name, PIPC_CREATE | PIPC_EXCLUSIVE, &options));
    if (fork() == 0) {
        film(channel);
        _exit(0);
    }

    uint32_t frame = 0, good = 0, over = 0;
    while (!over) {
        pipc_record records[AT_ONCE] = {{.flags = 0}};
        uint32_t count = AT_ONCE;
        must(pipc_channel_peek(channel, records, &count, PIPC_SECONDS(10)));
        for (uint32_t i = 0; i < count; i++) {
            over = records[i].size == 0;
            if (!over)
                good += (uint32_t)is_whole(&records[i], ++frame);
        }
        must(pipc_channel_release(channel, count));
    }
    while (wait(NULL) > 0)
        ;
    printf("%u of %d frames, all in place\n", (unsigned)good, FRAMES);
    pipc_channel_close(channel);
    must(pipc_channel_remove(name));
    return good == FRAMES ? 0 : 1;
}
