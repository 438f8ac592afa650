/* See fault.h. */
#define _GNU_SOURCE
#include "fault.h"

#include <elf.h>
#include <errno.h>
#include <signal.h>
#include <stddef.h>
#include <string.h>
#include <sys/ptrace.h>
#include <sys/syscall.h>
#include <sys/uio.h>
#include <sys/user.h>
#include <sys/wait.h>
#include <unistd.h>

#include "support.h"

#define SECOND_MARK SYS_getppid /* pipc never makes it */
#define NO_CALL     (-1L)

/* ---- The registers of two machines ---- */

#if defined(__x86_64__)

static bool possible = true;

/* At the entry of a call: the kernel shall do nothing. */
static bool skip_call(pid_t child)
{
    return ptrace(PTRACE_POKEUSER, child, (void *)offsetof(struct user, regs.orig_rax), (void *)NO_CALL) == 0;
}

/* At its end. */
static bool answer_call(pid_t child, long answer)
{
    return ptrace(PTRACE_POKEUSER, child, (void *)offsetof(struct user, regs.rax), (void *)answer) == 0;
}

#elif defined(__aarch64__)

#ifndef NT_ARM_SYSTEM_CALL
#define NT_ARM_SYSTEM_CALL 0x404
#endif

static bool possible = true;

static bool skip_call(pid_t child)
{
    int number = NO_CALL;
    struct iovec part = {&number, sizeof number};
    return ptrace(PTRACE_SETREGSET, child, (void *)NT_ARM_SYSTEM_CALL, &part) == 0;
}

static bool answer_call(pid_t child, long answer)
{
    struct user_regs_struct all;
    struct iovec part = {&all, sizeof all};
    if (ptrace(PTRACE_GETREGSET, child, (void *)NT_PRSTATUS, &part) != 0)
        return false;
    all.regs[0] = (unsigned long long)answer;
    return ptrace(PTRACE_SETREGSET, child, (void *)NT_PRSTATUS, &part) == 0;
}

#else

static bool possible = false;

static bool skip_call(pid_t child)
{
    (void)child;
    return false;
}

static bool answer_call(pid_t child, long answer)
{
    (void)child;
    (void)answer;
    return false;
}

#endif

const char *fault_impossible(void)
{
    return possible ? NULL : "how to make a kernel call fail is known for x86-64 and aarch64 only";
}

/* ---- The marks ---- */

bool fault_first_mark(void)
{
    if (ptrace(PTRACE_TRACEME, 0, NULL, NULL) < 0)
        return false;
    syscall(SYS_tgkill, getpid(), gettid(), SIGSTOP); /* nothing but this call: raise() makes more of them */
    return true;
}

void fault_second_mark(void)
{
    syscall(SECOND_MARK);
}

/* ---- Following ---- */

static void note_refusal(struct fault *fault, unsigned kind)
{
    fault->left_files += (kind & FAULT_CLOSES) != 0;
    fault->left_maps += (kind & FAULT_UNMAPS) != 0;
    fault->left_objects += (kind & FAULT_BURIES) && fault->error == ESRCH;
    bool out_of_reach = kind & FAULT_GUARDS || (kind & FAULT_FINDS && fault->error == ENOENT);
    fault->left_objects += kind & FAULT_REMOVES || (fault->for_good && out_of_reach);
}

/* Shall this call fail? */
static bool is_aimed_at(struct fault *fault, const struct fault_call *call)
{
    if (fault->only && strcmp(fault->only, call->name) != 0)
        return false;
    if (++fault->calls == fault->nth) {
        fault->call = call;
        fault->errnos = fault_count_errnos(call);
        if (fault->errnos)
            fault->error = fault->with ? fault->with : call->errnos[fault->pick % fault->errnos];
        return fault->errnos > 0;
    }
    return fault->for_good && fault->call && fault->error && fault->call->number == call->number &&
           fault->call->kind == call->kind;
}

/* A call begins. True: it is made to fail. */
static bool meet_call(pid_t child, struct fault *fault, const struct __ptrace_syscall_info *info)
{
    uint64_t arguments[6];
    memcpy(arguments, info->entry.args, sizeof arguments);
    const struct fault_call *call = fault_find(info->entry.nr, arguments);
    if (!call) {
        fault->unknown = info->entry.nr + 1;
        return false;
    }
    if (!is_aimed_at(fault, call) || !skip_call(child))
        return false;
    fault->failed++;
    note_refusal(fault, call->kind);
    fault->lied |= (call->kind & FAULT_TAKES) && fault->error == call->errnos[0];
    return true;
}

/* At a stop of a kernel call. 1: it was the second mark, 0: go on, -1: it cannot be looked at. */
static int look_at_call(pid_t child, struct fault *fault, bool *failing)
{
    struct __ptrace_syscall_info info;
    memset(&info, 0, sizeof info);
    if (ptrace(PTRACE_GET_SYSCALL_INFO, child, (void *)sizeof info, &info) < 0)
        return -1;
    if (info.op == PTRACE_SYSCALL_INFO_ENTRY) {
        if (info.entry.nr == SECOND_MARK)
            return 1;
        *failing = meet_call(child, fault, &info);
    } else if (*failing) {
        *failing = false;
        answer_call(child, -(long)fault->error);
    }
    return 0;
}

enum fault_end fault_follow(pid_t child, struct fault *fault)
{
    int passed_on = 0, *status = &fault->status;
    bool failing = false;
    if (waitpid(child, status, 0) != child)
        return FAULT_HUNG;
    if (!WIFSTOPPED(*status))
        return FAULT_CRASHED;
    ptrace(PTRACE_SETOPTIONS, child, NULL, (void *)(PTRACE_O_TRACESYSGOOD | PTRACE_O_EXITKILL));
    while (ptrace(PTRACE_SYSCALL, child, NULL, (void *)(long)passed_on) == 0) {
        if (waitpid(child, status, 0) != child || (fault->until && test_now() > fault->until))
            return FAULT_HUNG;
        if (!WIFSTOPPED(*status))
            return FAULT_CRASHED;
        bool at_call = WSTOPSIG(*status) == (SIGTRAP | 0x80);
        passed_on = at_call ? 0 : WSTOPSIG(*status);
        int seen = at_call ? look_at_call(child, fault, &failing) : 0;
        if (seen > 0)
            return ptrace(PTRACE_DETACH, child, NULL, NULL) == 0 ? FAULT_DONE : FAULT_CRASHED;
        if (seen < 0)
            break;
    }
    return FAULT_CRASHED;
}
