/* The course's chat: one side reads lines and sends them through a queue, the other prints them.
 *
 *   chat                     parent and forked child; the queue is private to this run
 *   chat --send [NAME]       only the sending side   \  two unrelated processes that meet by name,
 *   chat --receive [NAME]    only the receiving side /  whichever is started first
 *
 * A message that begins with "exit" ends both sides; so does the end of input. The receiving side
 * removes the queue. The language of the output is the course's. */
#include <errno.h>
#include <signal.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

#include <pipc/pipc.h>

#define LINE_TYPE 041375u /* the type that the course gives to a line, in octal as there */
#define LINE_SIZE 256u    /* longest line, bytes */

static const pipc_queue_options options = {.max_messages = 16, .max_size = LINE_SIZE};

static pipc_queue *volatile queue; /* the signal handler looks at it */
static pid_t peer;                 /* the child, or the parent, in the forked form; 0 between unrelated processes */
static volatile sig_atomic_t stopped;

/* Sets the flag, and wakes a call that sleeps on the queue or is just about to. */
static void stop(int signal_number)
{
    (void)signal_number;
    stopped = 1;
    if (queue)
        pipc_queue_interrupt(queue);
}

static void catch_stop_signals(void (*handler)(int))
{
    struct sigaction action = {.sa_handler = handler}; /* no SA_RESTART: reading a line ends too */
    sigaction(SIGINT, &action, NULL);
    sigaction(SIGTERM, &action, NULL);
    sigaction(SIGHUP, &action, NULL);
}

static bool failed(void)
{
    fprintf(stderr, "chat: %s\n", pipc_error_detail());
    return false;
}

static bool is_exit(const char *text, size_t size)
{
    return size >= 4 && memcmp(text, "exit", 4) == 0;
}

/* Is the process on the other side gone? Only the forked form can know. */
static bool peer_is_gone(bool peer_is_child)
{
    if (peer == 0)
        return false;
    return peer_is_child ? waitpid(peer, NULL, WNOHANG) != 0 : getppid() != peer;
}

/* ---- Sending ---- */

/* A synchronous send: it waits while the queue is full, and looks once a second for a dead reader. */
static bool send_line(char *text, size_t size)
{
    pipc_message message = {.type = LINE_TYPE, .data = text, .size = size, .flags = PIPC_RESTART};
    int error;
    while ((error = pipc_queue_send(queue, &message, PIPC_SECONDS(1))) == PIPC_E_TIMEOUT)
        if (peer_is_gone(true))
            break;
    if (error == PIPC_E_INTERRUPTED) /* a stop signal: one more try that cannot sleep */
        error = pipc_queue_send(queue, &message, PIPC_NOWAIT);
    return error == 0 || failed();
}

/* Sends every line that fits; false after a failure. The last message always begins with "exit". */
static bool send_lines(FILE *input)
{
    char *line = NULL;
    size_t room = 0;
    bool good = true, ended = false;
    while (good && !ended) {
        errno = 0;
        ssize_t size = stopped ? -1 : getline(&line, &room, input);
        if (size < 0) {
            good = send_line("exit", 4);
            break;
        }
        if (size > 0 && line[size - 1] == '\n')
            size--;
        if ((size_t)size > LINE_SIZE) {
            fprintf(stderr, "chat: not sent: a line of %zd bytes, at most %u are allowed\n", size, LINE_SIZE);
            continue;
        }
        good = send_line(line, (size_t)size);
        ended = is_exit(line, (size_t)size);
    }
    free(line);
    return good;
}

/* ---- Receiving ---- */

/* Prints every message of our type until one begins with "exit"; false after a failure. */
static bool print_lines(void)
{
    char text[LINE_SIZE];
    for (;;) {
        pipc_message message = {.data = text, .size = sizeof text};
        int error = pipc_queue_receive(queue, pipc_exactly(LINE_TYPE), &message, PIPC_SECONDS(1));
        if ((error == PIPC_E_TIMEOUT || error == PIPC_E_INTERRUPTED) && !stopped && !peer_is_gone(false))
            continue;
        if (error)
            return stopped ? false : failed();
        fputs("新消息:", stdout);
        fwrite(text, 1, message.size, stdout);
        putchar('\n');
        if (is_exit(text, message.size))
            break;
        fflush(stdout);
    }
    printf("结束聊天\n");
    return fflush(stdout) == 0;
}

/* ---- The three forms ---- */

static bool open_queue(const char *name, uint32_t flags)
{
    pipc_queue *opened;
    catch_stop_signals(stop); /* before: what is made shall also be removed */
    if (pipc_queue_open(&opened, name, flags, &options))
        return failed();
    queue = opened;
    return true;
}

static bool forked(void)
{
    char name[64];
    pid_t parent = getpid();
    snprintf(name, sizeof name, "chat.%ld", (long)parent);
    if (!open_queue(name, PIPC_CREATE | PIPC_EXCLUSIVE))
        return false;
    peer = fork();
    if (peer == 0) { /* the handle works here too; the parent decides when to stop */
        peer = parent;
        catch_stop_signals(SIG_IGN);
        stopped = 0;
        bool good = print_lines();
        if (!good)
            pipc_queue_remove(name); /* the parent may be dead; if not, its next send says "removed" */
        exit(good ? 0 : 1);
    }
    bool good = peer > 0 && send_lines(stdin);
    int status = 1;
    if (peer > 0)
        while (waitpid(peer, &status, 0) < 0 && errno == EINTR)
            ;
    pipc_queue_remove(name);
    return good && status == 0;
}

static bool send_only(const char *name)
{
    if (!open_queue(name, PIPC_CREATE | PIPC_SEND))
        return false;
    return send_lines(stdin);
}

static bool receive_only(const char *name)
{
    if (!open_queue(name, PIPC_CREATE | PIPC_RECEIVE))
        return false;
    bool good = print_lines();
    return (pipc_queue_remove(name) == 0 || failed()) && good;
}

int main(int count, char **words)
{
    const char *form = count > 1 ? words[1] : "";
    const char *name = count > 2 ? words[2] : "chat";
    bool good;
    if (count == 1)
        good = forked();
    else if (count <= 3 && strcmp(form, "--send") == 0)
        good = send_only(name);
    else if (count <= 3 && strcmp(form, "--receive") == 0)
        good = receive_only(name);
    else {
        fprintf(stderr, "usage: chat [--send [NAME] | --receive [NAME]]\n");
        return 2;
    }
    catch_stop_signals(SIG_IGN); /* the handler must not touch a closed queue */
    pipc_queue_close(queue);
    return good ? 0 : 1;
}
