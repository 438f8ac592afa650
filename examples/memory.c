/* The course's shared memory: one side fills it, the other checks every byte.
 *
 *   memory                     parent and forked child; the memory is private to this run
 *   memory --write [NAME]      only the filling side   \  two unrelated processes that meet by name,
 *   memory --check [NAME]      only the checking side  /  whichever is started first
 *   --spoil N (last, with either of the first two) demonstrates a failure: byte N gets a wrong value
 *
 * The checking side waits for an event, so nobody polls a status word. The course's memory is 4096
 * bytes to the byte; the event that announces it lies beside it, in a second, small memory. The
 * exit status is 0 if every byte was right. The language of the output is the course's. */
#include <errno.h>
#include <signal.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

#include <pipc/pipc.h>

#define FILLED 1u /* the status, and the event's value, once the body may be read */

struct board {
    uint64_t status;
    unsigned char body[4088];
};
_Static_assert(sizeof(struct board) == 4096, "the course's memory has 4096 bytes");

/* One memory of ours: its name is the run's name and a suffix. */
struct part {
    const char *suffix;
    uint64_t size;
    pipc_shm *shm;
    char name[PIPC_NAME_MAX + 1];
};

static struct part board_part = {.suffix = "", .size = sizeof(struct board)};
static struct part bell_part = {.suffix = ".bell", .size = sizeof(pipc_event)};

static volatile sig_atomic_t stopped;

static void stop(int signal_number)
{
    (void)signal_number;
    stopped = 1;
}

/* A stop signal ends the waiting, not the process: the memory is still to be removed. */
static void catch_stop_signals(void)
{
    struct sigaction action = {.sa_handler = stop};
    sigaction(SIGINT, &action, NULL);
    sigaction(SIGTERM, &action, NULL);
    sigaction(SIGHUP, &action, NULL);
}

static bool failed(void)
{
    fprintf(stderr, "memory: %s\n", pipc_error_detail());
    return false;
}

static bool open_part(struct part *part, const char *name, uint32_t flags)
{
    pipc_shm_options options = {.size = part->size};
    snprintf(part->name, sizeof part->name, "%s%s", name, part->suffix);
    return pipc_shm_open(&part->shm, part->name, PIPC_CREATE | flags, &options) == 0 || failed();
}

static bool open_both(const char *name, uint32_t flags)
{
    return open_part(&board_part, name, flags) && open_part(&bell_part, name, flags);
}

static bool remove_both(void)
{
    bool board = !board_part.shm || pipc_shm_remove(board_part.name) == 0 || failed();
    bool bell = !bell_part.shm || pipc_shm_remove(bell_part.name) == 0 || failed();
    return board && bell;
}

/* Maps one memory; NULL after a failure. The handle's close unmaps it. */
static void *map(const struct part *part, uint32_t access)
{
    void *address;
    if (pipc_shm_map(part->shm, access, &address))
        failed();
    return address;
}

/* ---- The two sides ---- */

/* Fills the body, spoils one byte if asked to (spoil >= 0), and announces it. */
static bool fill(long spoil)
{
    struct board *board = map(&board_part, PIPC_READ | PIPC_WRITE);
    pipc_event *bell = map(&bell_part, PIPC_READ | PIPC_WRITE);
    if (!board || !bell)
        return false;
    printf("主进程访问共享内存的地址:%p\n", (void *)board);
    fflush(stdout);
    memset(board->body, 0xff, sizeof board->body);
    if (spoil >= 0)
        board->body[spoil] = 0x2a;
    board->status = FILLED;
    return pipc_event_set(bell, FILLED, PIPC_WAKE_ALL) == 0 || failed();
}

/* Sleeps until the body is announced; gives up when stopped or if the parent dies (0: there is none). */
static bool wait_until_filled(pipc_event *bell, pid_t parent)
{
    int error;
    while ((error = pipc_event_wait(bell, 0, NULL, PIPC_SECONDS(1))) != 0) {
        if (error != PIPC_E_TIMEOUT && error != PIPC_E_INTERRUPTED)
            return failed();
        if (stopped || (parent && getppid() != parent))
            return false;
    }
    return true;
}

/* Waits for the body and checks it through a mapping that cannot write. */
static bool check(pid_t parent)
{
    const struct board *board = map(&board_part, PIPC_READ);
    pipc_event *bell = map(&bell_part, PIPC_READ | PIPC_WRITE);
    if (!board || !bell)
        return false;
    printf("子进程访问共享内存的地址:%p\n", (const void *)board);
    fflush(stdout);
    if (!wait_until_filled(bell, parent))
        return false;
    size_t good = 0;
    while (board->status == FILLED && good < sizeof board->body && board->body[good] == 0xff)
        good++;
    bool all = good == sizeof board->body;
    if (all)
        printf("检查共享数据成功:%zu\n", good);
    else
        printf("检查共享数据失败:0x%02x\n", board->body[good]);
    return fflush(stdout) == 0 && all;
}

/* ---- The three forms ---- */

static bool forked(long spoil)
{
    char name[64];
    pid_t parent = getpid();
    snprintf(name, sizeof name, "memory.%ld", (long)parent);
    if (!open_both(name, PIPC_EXCLUSIVE)) {
        remove_both();
        return false;
    }
    pid_t child = fork();
    if (child == 0) { /* the handles work here too */
        bool good = check(parent);
        if (getppid() != parent)
            remove_both();
        exit(good ? 0 : 1);
    }
    bool good = child > 0 && fill(spoil);
    int status = 1;
    if (child > 0 && !good)
        kill(child, SIGTERM);
    if (child > 0)
        while (waitpid(child, &status, 0) < 0 && errno == EINTR)
            ;
    return remove_both() && good && status == 0;
}

static bool check_only(const char *name)
{
    if (!open_both(name, 0))
        return false;
    bool good = check(0);
    return remove_both() && good;
}

/* Takes "--spoil N" off the end of the words. -1: not given; -2: N is no place in the body. */
static long spoil_of(int *count, char **words)
{
    if (*count < 3 || strcmp(words[*count - 2], "--spoil") != 0)
        return -1;
    char *end;
    long place = strtol(words[*count - 1], &end, 10);
    *count -= 2;
    return *end == 0 && place >= 0 && place < (long)sizeof(((struct board *)0)->body) ? place : -2;
}

int main(int count, char **words)
{
    long spoil = spoil_of(&count, words);
    const char *form = count > 1 ? words[1] : "";
    const char *name = count > 2 ? words[2] : "memory";
    catch_stop_signals();
    bool good, sane = spoil >= -1 && count <= 3;
    if (sane && count == 1)
        good = forked(spoil);
    else if (sane && strcmp(form, "--write") == 0)
        good = open_both(name, 0) && fill(spoil);
    else if (sane && strcmp(form, "--check") == 0 && spoil == -1)
        good = check_only(name);
    else {
        fprintf(stderr, "usage: memory [--write [NAME] | --check [NAME]] [--spoil N]   (N: 0 to 4087)\n");
        return 2;
    }
    pipc_shm_close(board_part.shm);
    pipc_shm_close(bell_part.shm);
    return good ? 0 : 1;
}
