/* Which kernel calls fail with what, as their manual pages (man-pages 6.03, section 2) list it. What the page of a
 * library function lists beside them, and EINTR where a signal may come, stands here too. */
#include "fault.h"

#include <errno.h>
#include <fcntl.h>
#include <linux/futex.h>
#include <stddef.h>
#include <sys/mman.h>
#include <sys/syscall.h>

#ifndef F_OFD_GETLK
#define F_OFD_GETLK 36
#define F_OFD_SETLK 37
#endif

#define RMID 0 /* IPC_RMID, of <sys/ipc.h> */

#define WHATEVER       (-1), 0
#define MOST_OF_A_PATH EACCES, ENOENT, ENOMEM, ENAMETOOLONG, ELOOP, ENOTDIR, EFAULT

static const struct fault_call calls[] = {
    /* Files. */
    {SYS_openat,
     WHATEVER,
     FAULT_FINDS,
     "openat",
     "open|only the owner|setmntent",
     {EMFILE, EINTR,     MOST_OF_A_PATH, ENFILE,  EEXIST,     ENOSPC, EPERM, EISDIR, ENXIO, ENODEV,
      EINVAL, EOVERFLOW, EROFS,          ETXTBSY, EOPNOTSUPP, EDQUOT, EFBIG, EBADF,  EBUSY, EAGAIN}},
    {SYS_close, WHATEVER, FAULT_CLOSES, "close", "close", {EINTR, EIO, EBADF, ENOSPC, EDQUOT}},
    {SYS_read, WHATEVER, 0, "read", "read", {EIO, EINTR, EAGAIN, EBADF, EFAULT, EINVAL, EISDIR}},
    {SYS_pread64,
     WHATEVER,
     0,
     "pread64",
     "pread|fallocate",
     {EIO, EINTR, EAGAIN, EBADF, EFAULT, EINVAL, EISDIR, ENXIO, EOVERFLOW, ESPIPE}},
    {SYS_pwrite64,
     WHATEVER,
     0,
     "pwrite64",
     "pwrite|fallocate",
     {ENOSPC, EINTR, EIO, EAGAIN, EBADF, EDESTADDRREQ, EFAULT, EFBIG, EINVAL, EDQUOT, ENXIO, EOVERFLOW, EPERM, EPIPE,
      ESPIPE}},
    {SYS_lseek, WHATEVER, 0, "lseek", "", {EBADF, EINVAL, ENXIO, EOVERFLOW, ESPIPE}},
    {SYS_getdents64, WHATEVER, 0, "getdents64", "readdir", {EBADF, EFAULT, EINVAL, ENOENT, ENOTDIR}},
    {SYS_newfstatat, WHATEVER, FAULT_GUARDS, "newfstatat", "stat|opendir", {MOST_OF_A_PATH, EBADF, EINVAL, EOVERFLOW}},
#ifdef SYS_fstat
    {SYS_fstat, WHATEVER, FAULT_GUARDS, "fstat", "stat|opendir", {ENOMEM, EBADF, EACCES, EFAULT, EINVAL, EOVERFLOW}},
#endif
    {SYS_fstatfs, WHATEVER, 0, "fstatfs", "stat", {EIO, EINTR, EBADF, EFAULT, ENOMEM, ENOSYS, EOVERFLOW}},
    {SYS_fchmod, WHATEVER, 0, "fchmod", "fchmod", {EPERM, EIO, EBADF, ENOMEM, EROFS}},
    {SYS_fallocate,
     WHATEVER,
     0,
     "fallocate",
     "fallocate",
     {ENOSPC, EINTR, EFBIG, EIO, EBADF, EINVAL, ENODEV, EOPNOTSUPP, ENOSYS, EPERM, ESPIPE, ETXTBSY}},
#ifdef SYS_readlink
    {SYS_readlink, WHATEVER, 0, "readlink", "readlink", {MOST_OF_A_PATH, EINVAL, EIO}},
#endif
    {SYS_readlinkat, WHATEVER, 0, "readlinkat", "readlink", {MOST_OF_A_PATH, EINVAL, EIO, EBADF}},
#ifdef SYS_unlink
    {SYS_unlink, WHATEVER, FAULT_REMOVES, "unlink", "unlink", {MOST_OF_A_PATH, EPERM, EBUSY, EIO, EISDIR, EROFS}},
#endif
    {SYS_unlinkat,
     WHATEVER,
     FAULT_REMOVES,
     "unlinkat",
     "unlink",
     {MOST_OF_A_PATH, EPERM, EBUSY, EIO, EISDIR, EROFS, EBADF, EINVAL}},
    {SYS_fcntl,
     1,
     F_OFD_SETLK,
     FAULT_GUARDS,
     "fcntl(F_OFD_SETLK)",
     "fcntl",
     {ENOLCK, EINTR, EAGAIN, EACCES, EBADF, EDEADLK, EFAULT, EINVAL}},
    {SYS_fcntl, 1, F_OFD_GETLK, 0, "fcntl(F_OFD_GETLK)", "fcntl", {EINVAL, EINTR, EBADF, EACCES, EAGAIN, EFAULT}},
    {SYS_fcntl, WHATEVER, 0, "fcntl", "fcntl", {EBADF, EACCES, EAGAIN, EBUSY, EINTR, EINVAL, EMFILE, ENOTDIR, EPERM}},

    /* Address space. */
    {SYS_mmap,
     WHATEVER,
     0,
     "mmap",
     "mmap",
     {ENOMEM, EACCES, EAGAIN, EBADF, EEXIST, EINVAL, ENFILE, ENODEV, EOVERFLOW, EPERM, ETXTBSY}},
    {SYS_munmap, WHATEVER, FAULT_UNMAPS, "munmap", "munmap", {ENOMEM, EINVAL}},
    {SYS_mprotect, WHATEVER, 0, "mprotect", "mprotect", {ENOMEM, EACCES, EFAULT, EINVAL}},
    {SYS_mremap, WHATEVER, 0, "mremap", "mremap", {ENOMEM, EAGAIN, EFAULT, EINVAL}},
    {SYS_madvise,
     WHATEVER,
     0,
     "madvise",
     "huge pages",
     {ENOMEM, EACCES, EAGAIN, EBADF, EBUSY, EFAULT, EINVAL, EIO, EPERM}},
    {SYS_mlock, WHATEVER, 0, "mlock", "mlock", {ENOMEM, EAGAIN, EPERM, EINVAL}},
    {SYS_munlock, WHATEVER, 0, "munlock", "munlock", {ENOMEM, EAGAIN, EPERM, EINVAL}},
    {SYS_sched_yield, WHATEVER, 0, "sched_yield", "sched_yield", {0}}, /* never fails */
    {SYS_brk, WHATEVER, 0, "brk", "brk", {0}},                         /* fails by answering the old end */

    /* POSIX queues. */
    {SYS_mq_open,
     WHATEVER,
     0,
     "mq_open",
     "mq_open",
     {EMFILE, EINTR, EINVAL, ENOMEM, ENOSPC, EACCES, EEXIST, ENAMETOOLONG, ENFILE, ENOENT}},
    {SYS_mq_unlink, WHATEVER, FAULT_REMOVES, "mq_unlink", "mq_unlink", {EACCES, ENAMETOOLONG, ENOENT}},
    {SYS_mq_timedsend,
     WHATEVER,
     0,
     "mq_timedsend",
     "mq_send",
     {EAGAIN, EINTR, EBADF, EINVAL, EMSGSIZE, ETIMEDOUT, ENOMEM}},
    {SYS_mq_timedreceive,
     WHATEVER,
     FAULT_TAKES,
     "mq_timedreceive",
     "mq_receive",
     {EAGAIN, EINTR, EBADF, EINVAL, EMSGSIZE, ETIMEDOUT}},
    {SYS_mq_getsetattr, WHATEVER, 0, "mq_getsetattr", "mq_getattr", {EBADF, EINVAL, EFAULT}},

    /* System V. */
    {SYS_shmget, WHATEVER, 0, "shmget", "shmget", {ENOSPC, ENOMEM, EACCES, EEXIST, EINVAL, ENFILE, ENOENT, EPERM}},
    {SYS_shmat, WHATEVER, 0, "shmat", "shmat|only the owner", {ENOMEM, EACCES, EIDRM, EINVAL}},
    {SYS_shmdt, WHATEVER, FAULT_UNMAPS, "shmdt", "shmdt", {EINVAL}},
    {SYS_shmctl, 1, RMID, FAULT_REMOVES, "shmctl(IPC_RMID)", "shmctl", {EPERM, EIDRM, EINVAL, EFAULT}},
    {SYS_shmctl,
     WHATEVER,
     0,
     "shmctl",
     "shmctl|shmget|shmat",
     {EIDRM, EACCES, EINVAL, EFAULT, ENOMEM, EOVERFLOW, EPERM}},
    {SYS_msgget, WHATEVER, FAULT_REMOVES, "msgget", "msgget", {ENOSPC, ENOMEM, EACCES, EEXIST, ENOENT}},
    {SYS_msgctl, WHATEVER, FAULT_REMOVES, "msgctl", "msgctl|msgget", {EIDRM, EACCES, EINVAL, EFAULT, EPERM}},
    {SYS_msgsnd, WHATEVER, 0, "msgsnd", "msgsnd", {EAGAIN, EINTR, EACCES, EFAULT, EIDRM, EINVAL, ENOMEM}},
    {SYS_msgrcv,
     WHATEVER,
     FAULT_TAKES,
     "msgrcv",
     "msgrcv",
     {ENOMSG, EINTR, E2BIG, EACCES, EFAULT, EIDRM, EINVAL, ENOSYS}},

    /* Waiting, and who is who. */
    {SYS_futex, 1, FUTEX_WAIT, 0, "futex(WAIT)", "futex", {EINTR, EAGAIN, EINVAL, EACCES, EFAULT, ENOSYS, ETIMEDOUT}},
    {SYS_futex, 1, FUTEX_WAKE, 0, "futex(WAKE)", "futex", {EINVAL, EACCES, EFAULT, ENOSYS}},
    {SYS_futex, WHATEVER, 0, "futex", "", {0}}, /* of the C library: those of pipc are not private */
    {SYS_clock_nanosleep, WHATEVER, 0, "clock_nanosleep", "nanosleep", {EINTR, EINVAL, EFAULT, ENOTSUP}},
    {SYS_getrandom, WHATEVER, 0, "getrandom", "getrandom", {EAGAIN, EINTR, EFAULT, EINVAL, ENOSYS}},
    {SYS_kill, WHATEVER, FAULT_TAKES | FAULT_BURIES, "kill", "kill", {ESRCH, EPERM, EINVAL}},
    {SYS_prlimit64, WHATEVER, 0, "prlimit64", "getrlimit", {EFAULT, EINVAL, EPERM, ESRCH}},
    {SYS_sched_getaffinity, WHATEVER, 0, "sched_getaffinity", "sched_getaffinity", {EFAULT, EINVAL, EPERM, ESRCH}},
    {SYS_rt_sigprocmask, WHATEVER, 0, "rt_sigprocmask", "sigprocmask", {EFAULT, EINVAL}},
    {SYS_getpid, WHATEVER, 0, "getpid", "", {0}},
    {SYS_gettid, WHATEVER, 0, "gettid", "", {0}},
    {SYS_getegid, WHATEVER, 0, "getegid", "", {0}},
    {SYS_getgroups, WHATEVER, 0, "getgroups", "", {EFAULT, EINVAL, ENOMEM, EPERM}},
    {SYS_geteuid, WHATEVER, 0, "geteuid", "", {0}},
};

/* A sanitizer that gets no memory ends the process: what is mapped for it, not shared, must not fail. */
static bool is_for_sanitizer(uint64_t number, const uint64_t *arguments)
{
#if defined(__SANITIZE_ADDRESS__) || defined(__SANITIZE_THREAD__)
    return number == SYS_mmap && (arguments[3] & MAP_SHARED) == 0;
#else
    (void)number, (void)arguments;
    return false;
#endif
}

static bool is_row(const struct fault_call *call, uint64_t number, const uint64_t *arguments)
{
    if ((uint64_t)call->number != number)
        return false;
    return call->argument < 0 || (arguments[call->argument] & UINT32_MAX) == call->value;
}

const struct fault_call *fault_find(uint64_t number, const uint64_t *arguments)
{
    static const struct fault_call never = {.number = SYS_mmap, .argument = -1, .name = "mmap, private", .said = ""};
    if (is_for_sanitizer(number, arguments))
        return &never;
    for (size_t i = 0; i < sizeof calls / sizeof *calls; i++)
        if (is_row(&calls[i], number, arguments))
            return &calls[i];
    return NULL;
}

unsigned fault_count_errnos(const struct fault_call *call)
{
    unsigned count = 0;
    while (count < FAULT_MOST_ERRNOS && call->errnos[count])
        count++;
    return count;
}
