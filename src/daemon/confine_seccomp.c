/* The seccomp filter: a list of what is allowed, made with libseccomp.
 *
 * A call that is allowed whatever its arguments are costs next to nothing: the kernel works such
 * calls out once and keeps them in a bitmap. So the calls of the hit path (read, writev,
 * epoll_wait, sendmsg and their like) are allowed as they are, and only calls that are made at a
 * start, for a thread or for a connection to an origin have their arguments looked at.
 *
 * To find what a new library needs: sandbox = log, and the kernel's audit log. */
#include <errno.h>
#include <sched.h>
#include <seccomp.h>
#include <stdio.h>
#include <sys/ioctl.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <termios.h>
#include <unistd.h>

#include "base/slice.h"
#include "daemon/confine.h"

/* Names, by subject, so that a call which this machine has not is passed over. */
static const char *const allowed[] = {
    /* bytes and events */
    "read readv pread64 preadv preadv2 write writev pwrite64 pwritev pwritev2 recvfrom "
    "recvmsg recvmmsg sendto sendmsg sendmmsg epoll_create epoll_create1 epoll_ctl epoll_wait "
    "epoll_pwait epoll_pwait2 poll ppoll select pselect6 eventfd2 timerfd_create "
    "timerfd_settime timerfd_gettime pipe2 close dup dup2 dup3 fcntl lseek",
    /* sockets; socket() itself is below */
    "accept accept4 bind connect listen shutdown getsockname getpeername getsockopt "
    "setsockopt socketpair",
    /* files: who may what is the file system's to say */
    "open openat stat fstat lstat newfstatat statx statfs fstatfs access faccessat faccessat2 "
    "readlink readlinkat getdents64 getcwd mkdir mkdirat rename renameat renameat2 unlink "
    "unlinkat rmdir ftruncate fallocate flock fsync fdatasync sync_file_range umask fadvise64",
    /* memory; mmap and mprotect are below */
    "brk munmap mremap madvise mincore mlock msync membarrier",
    /* threads and time */
    "futex set_robust_list get_robust_list rseq set_tid_address sched_yield sched_getaffinity "
    "getcpu exit exit_group clock_gettime clock_getres clock_nanosleep nanosleep gettimeofday "
    "time restart_syscall",
    /* signals; tgkill is below */
    "rt_sigaction rt_sigprocmask rt_sigreturn rt_sigtimedwait rt_sigpending sigaltstack",
    /* who and where it is */
    "getpid getppid gettid getuid geteuid getgid getegid getresuid getresgid getgroups "
    "getrusage getrlimit sysinfo uname times getrandom",
};

/* What a sanitizer needs for its search for leaks. */
static const char *const allowed_sanitized[] = {"clone ptrace wait4 prctl getdents"};

/* The C library goes another way when the kernel does not know these. */
static const char *const unknown[] = {"clone3 close_range futex_waitv openat2"};

/* No part of brink makes these; who does has taken it over. */
static const char *const deadly[] = {
    /* other programs and processes */
    "execve execveat process_vm_readv process_vm_writev pidfd_getfd kcmp",
    /* the kernel and the machine */
    "kexec_load kexec_file_load init_module finit_module delete_module reboot bpf "
    "perf_event_open userfaultfd iopl ioperm modify_ldt acct settimeofday clock_settime "
    "adjtimex clock_adjtime sethostname setdomainname",
    /* another view of the file system, other keys */
    "mount umount2 move_mount open_tree mount_setattr fsopen fsconfig fsmount fspick "
    "pivot_root chroot setns unshare swapon swapoff open_by_handle_at name_to_handle_at "
    "add_key keyctl request_key",
};
static const char *const deadly_unsanitized[] = {"ptrace"};

/* Newer than libseccomp knows: a later C library may try them and has another way (ENOSYS). */
enum { NEWEST_KNOWN = 449, NEWEST_THINKABLE = 511 };

struct filter {
    scmp_filter_ctx ctx;
    int rc; /* of libseccomp: 0, or the first fault as -errno */
};

/* --- rules --- */

static void
note(struct filter *filter, int rc)
{
    if (filter->rc == 0 && rc != -EDOM) /* EDOM: this machine has no such call */
        filter->rc = rc;
}

static void
add(struct filter *filter, uint32_t action, struct slice name)
{
    char text[32];
    int number;

    (void)snprintf(text, sizeof(text), "%.*s", SLICE_ARGS(name));
    number = seccomp_syscall_resolve_name(text);
    if (number != __NR_SCMP_ERROR)
        note(filter, seccomp_rule_add(filter->ctx, action, number, 0));
}

static void
add_all(struct filter *filter, uint32_t action, const char *const *subjects, size_t n)
{
    for (size_t i = 0; i < n; i++) {
        struct slice rest = slice_from_str(subjects[i]), name;

        while (rest.len > 0) {
            (void)slice_cut(&rest, ' ', &name);
            add(filter, action, name);
        }
    }
}

static void
allow_if(struct filter *filter, int number, struct scmp_arg_cmp arg)
{
    note(filter, seccomp_rule_add_array(filter->ctx, SCMP_ACT_ALLOW, number, 1, &arg));
}

/* Streams and datagrams of the Internet and of this machine. */
static void
allow_sockets(struct filter *filter)
{
    static const unsigned families[] = {AF_INET, AF_INET6, AF_UNIX};
    static const unsigned types[] = {SOCK_STREAM, SOCK_DGRAM};
    enum { TYPE_MASK = 0xf };

    for (size_t i = 0; i < ARRAY_LEN(families); i++)
        for (size_t j = 0; j < ARRAY_LEN(types); j++)
            note(filter, seccomp_rule_add(filter->ctx, SCMP_ACT_ALLOW, SCMP_SYS(socket), 2,
                                          SCMP_A0(SCMP_CMP_EQ, families[i]),
                                          SCMP_A1(SCMP_CMP_MASKED_EQ, TYPE_MASK, types[j])));
}

static void
allow_by_argument(struct filter *filter)
{
    static const unsigned long requests[] = {FIONREAD, FIONBIO, TCGETS, SIOCGIFINDEX};
    static const int options[] = {PR_SET_NAME, PR_GET_NAME};
    static const int priorities[] = {SCMP_SYS(getpriority), SCMP_SYS(setpriority)};

    allow_sockets(filter);
    for (size_t i = 0; i < ARRAY_LEN(requests); i++)
        allow_if(filter, SCMP_SYS(ioctl), SCMP_A1(SCMP_CMP_EQ, requests[i]));
    /* No memory becomes code. */
    allow_if(filter, SCMP_SYS(mmap), SCMP_A2(SCMP_CMP_MASKED_EQ, PROT_EXEC, 0));
    allow_if(filter, SCMP_SYS(mprotect), SCMP_A2(SCMP_CMP_MASKED_EQ, PROT_EXEC, 0));
    allow_if(filter, SCMP_SYS(tgkill), SCMP_A0(SCMP_CMP_EQ, (scmp_datum_t)getpid())); /* abort */
    allow_if(filter, SCMP_SYS(prlimit64), SCMP_A0(SCMP_CMP_EQ, 0)); /* getrlimit of itself */
    /* Of the calling thread. */
    for (size_t i = 0; i < ARRAY_LEN(priorities); i++)
        note(filter, seccomp_rule_add(filter->ctx, SCMP_ACT_ALLOW, priorities[i], 2,
                                      SCMP_A0(SCMP_CMP_EQ, PRIO_PROCESS), SCMP_A1(SCMP_CMP_EQ, 0)));
    if (CONFINE_SANITIZED) {
        add_all(filter, SCMP_ACT_ALLOW, allowed_sanitized, ARRAY_LEN(allowed_sanitized));
        return;
    }
    allow_if(filter, SCMP_SYS(clone), SCMP_A0(SCMP_CMP_MASKED_EQ, CLONE_THREAD, CLONE_THREAD));
    for (size_t i = 0; i < ARRAY_LEN(options); i++)
        allow_if(filter, SCMP_SYS(prctl), SCMP_A0(SCMP_CMP_EQ, (scmp_datum_t)options[i]));
}

static void
refuse(struct filter *filter)
{
    add_all(filter, SCMP_ACT_ERRNO(ENOSYS), unknown, ARRAY_LEN(unknown));
    for (int number = NEWEST_KNOWN + 1; number <= NEWEST_THINKABLE; number++)
        note(filter, seccomp_rule_add(filter->ctx, SCMP_ACT_ERRNO(ENOSYS), number, 0));
    add_all(filter, SCMP_ACT_KILL_PROCESS, deadly, ARRAY_LEN(deadly));
    if (!CONFINE_SANITIZED)
        add_all(filter, SCMP_ACT_KILL_PROCESS, deadly_unsanitized, ARRAY_LEN(deadly_unsanitized));
}

static void
set_attributes(struct filter *filter)
{
    const struct {
        enum scmp_filter_attr name;
        uint32_t value;
    } attributes[] = {
        {SCMP_FLTATR_ACT_BADARCH, SCMP_ACT_KILL_PROCESS}, /* calls of a 32-bit program */
        {SCMP_FLTATR_CTL_NNP, 1},
        {SCMP_FLTATR_CTL_TSYNC, 1},    /* a sanitizer's thread, too */
        {SCMP_FLTATR_CTL_SSB, 1},      /* no slower processor: brink runs nobody else's code */
        {SCMP_FLTATR_CTL_OPTIMIZE, 2}, /* a tree, where the bitmap does not reach */
    };

    for (size_t i = 0; i < ARRAY_LEN(attributes); i++)
        note(filter, seccomp_attr_set(filter->ctx, attributes[i].name, attributes[i].value));
}

int
confine_filter(enum confine_sandbox mode)
{
    bool refuses = mode == CONFINE_SANDBOX_YES;
    struct filter filter = {
        .ctx = seccomp_init(refuses ? SCMP_ACT_ERRNO(EPERM) : (uint32_t)SCMP_ACT_LOG)};

    ASSERT(mode != CONFINE_SANDBOX_NO);
    if (filter.ctx == NULL)
        return ENOMEM;
    set_attributes(&filter);
    add_all(&filter, SCMP_ACT_ALLOW, allowed, ARRAY_LEN(allowed));
    allow_by_argument(&filter);
    if (refuses)
        refuse(&filter);
    if (filter.rc == 0)
        filter.rc = seccomp_load(filter.ctx);
    seccomp_release(filter.ctx);
    return -filter.rc;
}
