/* A shared board: one process writes the newest reading, others read it whenever it changes.
 *
 * The readers map the board read-only, so no bug of theirs can spoil it; pipc_event_watch() is the
 * wait for such a mapping. The event's value counts the readings: a reader that was slow simply sees
 * a higher number. The two copies of a reading make it safe to read while the next one is written:
 * the writer fills the copy that the current number does not name, then announces it. A reader
 * checks afterwards that the writer did not come round to its copy meanwhile. */
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/wait.h>
#include <unistd.h>

#include <pipc/pipc.h>

enum { READERS = 2, LAST = 5 };

struct reading {
    int32_t celsius, humidity;
};

struct board {
    pipc_event newest; /* the number of the newest reading; 0: none yet. Zeros are a ready event. */
    struct reading copies[2];
};

static void must(int error)
{
    if (error == 0)
        return;
    fprintf(stderr, "board: %s\n", pipc_error_detail());
    exit(1);
}

/* Watches until the last reading; answers 0 if it was read whole. */
static int read_board(const char *name)
{
    pipc_shm *shm;
    void *address;
    must(pipc_shm_open(&shm, name, PIPC_READ, NULL)); /* options: whatever it has */
    must(pipc_shm_map(shm, PIPC_READ, &address));
    const struct board *board = address;
    struct reading reading = {0};
    for (uint32_t seen = 0, now; seen < LAST; seen = now) {
        must(pipc_event_watch(&board->newest, seen, &now, PIPC_SECONDS(10)));
        uint32_t after = now;
        do { /* the writer came round: read the newer one */
            now = after;
            reading = board->copies[now % 2];
            atomic_thread_fence(memory_order_acquire); /* read it before looking at the number again */
            must(pipc_event_get(&board->newest, &after));
        } while (after != now);
    }
    pipc_shm_close(shm); /* unmaps too */
    return reading.celsius == 20 + LAST && reading.humidity == 50 - LAST ? 0 : 1;
}

int main(void)
{
    char name[64];
    pipc_shm *shm;
    void *address;
    pipc_shm_options options = {.size = sizeof(struct board)};
    snprintf(name, sizeof name, "board.%ld", (long)getpid());
    must(pipc_shm_open(&shm, name, PIPC_CREATE | PIPC_EXCLUSIVE, &options));
    must(pipc_shm_map(shm, PIPC_READ | PIPC_WRITE, &address));
    struct board *board = address;

    for (int i = 0; i < READERS; i++)
        if (fork() == 0)
            _exit(read_board(name));
    for (uint32_t number = 1; number <= LAST; number++) {
        board->copies[number % 2] = (struct reading){20 + (int32_t)number, 50 - (int32_t)number};
        must(pipc_event_set(&board->newest, number, PIPC_WAKE_ALL));
        usleep(20000); /* the sensor's rhythm, not a wait for anybody */
    }

    int status, good = 0;
    while (wait(&status) > 0)
        good += status == 0;
    printf("%d of %d readers saw reading %d\n", good, READERS, LAST);
    pipc_shm_close(shm);
    must(pipc_shm_remove(name));
    return good == READERS ? 0 : 1;
}
