/* The kernel's own calls as a systems course teaches them: where the page "The course" starts from. */
#include <fcntl.h>
#include <mqueue.h>
#include <stdio.h>
#include <string.h>
#include <sys/ipc.h>
#include <sys/mman.h>
#include <sys/msg.h>
#include <sys/shm.h>
#include <sys/stat.h>
#include <unistd.h>

#include "snippets.h"

//! [sysv message]
struct msg {
    long type;
    char text[256];
};
//! [sysv message]

static int sysv_queue_with(key_t key)
{
    //! [sysv queue]
    int id = msgget(key, IPC_CREAT | 0600);

    struct msg out = {.type = 041375, .text = "hello"};
    int sent = msgsnd(id, &out, strlen(out.text) + 1, 0);

    struct msg in;
    ssize_t size = msgrcv(id, &in, sizeof in.text, 041375, 0);

    msgctl(id, IPC_RMID, NULL);
    //! [sysv queue]
    return sent != 0 || size != 6 || strcmp(in.text, "hello") != 0;
}

int old_sysv_queue(void)
{
    return sysv_queue_with(IPC_PRIVATE);
}

static int sysv_memory_with(key_t key)
{
    //! [sysv memory]
    int id = shmget(key, 4096, IPC_CREAT | 0600);
    char *bytes = shmat(id, NULL, 0);
    memset(bytes, 0xff, 4096);
    int detached = shmdt(bytes);
    shmctl(id, IPC_RMID, NULL);
    //! [sysv memory]
    return detached != 0;
}

int old_sysv_memory(void)
{
    return sysv_memory_with(IPC_PRIVATE);
}

static void private_name(char *name, size_t size, const char *what)
{
    snprintf(name, size, "/manual-%s-%ld", what, (long)getpid());
}

int old_posix_queue(void)
{
    char name[64];
    private_name(name, sizeof name, "mq");
    //! [posix queue]
    struct mq_attr attributes = {.mq_maxmsg = 10, .mq_msgsize = 256};
    mqd_t queue = mq_open(name, O_CREAT | O_RDWR, 0600, &attributes);

    int sent = mq_send(queue, "hello", 6, 0);

    char text[256]; /* mq_msgsize at least */
    ssize_t size = mq_receive(queue, text, sizeof text, NULL);

    mq_close(queue);
    mq_unlink(name);
    //! [posix queue]
    return sent != 0 || size != 6 || strcmp(text, "hello") != 0;
}

int old_posix_memory(void)
{
    char name[64];
    private_name(name, sizeof name, "shm");
    //! [posix memory]
    int fd = shm_open(name, O_CREAT | O_RDWR, 0600);
    int grown = ftruncate(fd, 4096);
    char *bytes = mmap(NULL, 4096, PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0);
    close(fd);
    memset(bytes, 0xff, 4096);
    munmap(bytes, 4096);
    shm_unlink(name);
    //! [posix memory]
    return grown != 0;
}
