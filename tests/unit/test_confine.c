/* Giving up rights, each time in a child of its own: none of it can be undone. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>

#include <cmocka.h>

#include <errno.h>
#include <fcntl.h>
#include <grp.h>
#include <linux/netlink.h>
#include <pthread.h>
#include <sched.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/ptrace.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#include "daemon/confine.h"

enum { CHILD_CANNOT = 255 }; /* the child could not even begin */

/* What the child's `fn` returns, or 1000 and the signal that ended it. */
static int
in_child(int (*fn)(void))
{
    pid_t child = fork();
    int status;

    assert_int_not_equal(child, -1);
    if (child == 0)
        _exit(fn());
    assert_int_equal(waitpid(child, &status, 0), child);
    return WIFSIGNALED(status) ? 1000 + WTERMSIG(status) : WEXITSTATUS(status);
}

/* --- who --- */

static void
user_is_found(void **state)
{
    static const struct {
        const char *why, *text;
        enum err rc;
        uid_t uid;
        gid_t gid;
        const char *told;
    } cases[] = {
        {"nobody is asked for", NULL, OK, 0, 0, ""},
        {"by name", "root", OK, 0, 0, ""},
        {"by name and group", "root:0", OK, 0, 0, ""},
        {"numbers without an entry", "54321:12345", OK, 54321, 12345, ""},
        {"a number with an entry", "0", OK, 0, 0, ""},
        {"no such user", "brink-no-such-user", ERR_NOT_FOUND, 0, 0, "there is no user"},
        {"no such group", "root:brink-no-such-group", ERR_NOT_FOUND, 0, 0, "there is no group"},
        {"a number without a group", "54321", ERR_NOT_FOUND, 0, 0, "54321:GROUP"},
        {"an empty name", ":root", ERR_NOT_FOUND, 0, 0, "there is no user"},
        {"the number that means none", "4294967295:0", ERR_NOT_FOUND, 0, 0, "there is no user"},
        {"a name too long",
         "nnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnn",
         ERR_NOT_FOUND, 0, 0, "so long"},
    };

    (void)state;
    for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
        struct confine_user user;
        char why[256] = "";

        print_message("case: %s\n", cases[i].why);
        assert_int_equal(confine_find_user(cases[i].text, &user, why, sizeof(why)), cases[i].rc);
        assert_non_null(strstr(why, cases[i].told));
        if (cases[i].rc != OK)
            continue;
        assert_ptr_equal(user.text, cases[i].text);
        assert_int_equal(user.uid, cases[i].uid);
        assert_int_equal(user.gid, cases[i].gid);
    }
}

/* --- the filter --- */

/* errno of a call that fails, 0 of one that does not. */
static int
outcome(long result)
{
    return result == -1 ? errno : 0;
}

static int
do_open(void)
{
    int fd = open("/dev/null", O_RDWR | O_CLOEXEC);
    char byte = 0;

    return fd == -1 ? errno : outcome(write(fd, &byte, 1) + read(fd, &byte, 1));
}

static int
do_socket(int family, int type)
{
    return outcome(socket(family, type | SOCK_CLOEXEC | SOCK_NONBLOCK, 0));
}

static int
do_stream(void)
{
    return do_socket(AF_INET, SOCK_STREAM);
}

static int
do_datagram(void)
{
    return do_socket(AF_INET6, SOCK_DGRAM);
}

static int
do_local(void)
{
    return do_socket(AF_UNIX, SOCK_STREAM);
}

static int
do_packet(void)
{
    return do_socket(AF_PACKET, SOCK_RAW);
}

static int
do_raw(void)
{
    return do_socket(AF_INET, SOCK_RAW);
}

static int
do_netlink(void)
{
    return do_socket(AF_NETLINK, SOCK_DGRAM);
}

static int
do_epoll(void)
{
    return outcome(epoll_create1(EPOLL_CLOEXEC));
}

static void *
nothing(void *arg)
{
    return arg;
}

static int
do_thread(void)
{
    pthread_t thread;
    int rc = pthread_create(&thread, NULL, nothing, NULL);

    return rc != 0 ? rc : pthread_join(thread, NULL);
}

static int
do_memory(void)
{
    void *block = mmap(NULL, 1 << 20, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);

    return block == MAP_FAILED ? errno : outcome(munmap(block, 1 << 20));
}

static int
do_code(void)
{
    void *block = mmap(NULL, 4096, PROT_READ | PROT_EXEC, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);

    return block == MAP_FAILED ? errno : 0;
}

static int
do_code_later(void)
{
    void *block = mmap(NULL, 4096, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);

    return block == MAP_FAILED ? CHILD_CANNOT
                               : outcome(mprotect(block, 4096, PROT_READ | PROT_EXEC));
}

static int
do_core_limit(void)
{
    struct rlimit limit;

    return outcome(getrlimit(RLIMIT_CORE, &limit));
}

static int
do_own_priority(void)
{
    return outcome(nice(19)); /* reads it and sets it */
}

static int
do_other_priority(void)
{
    return outcome(setpriority(PRIO_PROCESS, (id_t)getppid(), 19));
}

static int
do_abort(void)
{
    abort();
}

static int
do_exec(void)
{
    return outcome(execl("/bin/true", "true", (char *)NULL));
}

static int
do_fork(void)
{
    pid_t child = fork();

    if (child == 0)
        _exit(0);
    return outcome(child);
}

static int
do_kill(void)
{
    return outcome(kill(getppid(), 0));
}

static int
do_ptrace(void)
{
    return outcome(ptrace(PTRACE_TRACEME, 0, NULL, NULL));
}

static int
do_setuid(void)
{
    return outcome(syscall(SYS_setuid, getuid()));
}

static int
do_dumpable(void)
{
    return outcome(prctl(PR_SET_DUMPABLE, 1));
}

static int
do_mount(void)
{
    return outcome(syscall(SYS_mount, "a", "b", "c", 0UL, NULL));
}

static int
do_bpf(void)
{
    return outcome(syscall(SYS_bpf, 0, NULL, 0));
}

static int
do_perf(void)
{
    return outcome(syscall(SYS_perf_event_open, NULL, 0, -1, -1, 0UL));
}

static int
do_userfaultfd(void)
{
    return outcome(syscall(SYS_userfaultfd, 0));
}

static int
do_keyctl(void)
{
    return outcome(syscall(SYS_keyctl, 0, 0, 0, 0, 0));
}

static int
do_unshare(void)
{
    return outcome(unshare(CLONE_NEWUSER));
}

static int
do_peek(void)
{
    return outcome(syscall(SYS_process_vm_readv, getppid(), NULL, 0UL, NULL, 0UL, 0UL));
}

static int
do_io_uring(void)
{
    return outcome(syscall(SYS_io_uring_setup, 1, NULL));
}

static int
do_clone3(void)
{
    return outcome(syscall(SYS_clone3, NULL, 0UL));
}

static int
do_newer(void)
{
    return outcome(syscall(500));
}

static const struct call {
    const char *why;
    int (*fn)(void);
    int want;
    bool other_when_sanitized; /* let through then */
} calls[] = {
    {"files", do_open, 0, false},
    {"a stream", do_stream, 0, false},
    {"a datagram", do_datagram, 0, false},
    {"a local socket", do_local, 0, false},
    {"events", do_epoll, 0, false},
    {"a thread", do_thread, 0, false},
    {"memory", do_memory, 0, false},
    {"its own limits", do_core_limit, 0, false},
    {"its own priority", do_own_priority, 0, false},
    {"abort ends it as it should", do_abort, 1000 + SIGABRT, false},
    {"packets of the link", do_packet, EPERM, false},
    {"packets of IP", do_raw, EPERM, false},
    {"netlink", do_netlink, EPERM, false},
    {"memory that is code", do_code, EPERM, false},
    {"memory that becomes code", do_code_later, EPERM, false},
    {"another process", do_fork, EPERM, true},
    {"a signal to another process", do_kill, EPERM, false},
    {"another process's priority", do_other_priority, EPERM, false},
    {"another user", do_setuid, EPERM, false},
    {"io_uring, which would go past the filter", do_io_uring, EPERM, false},
    {"core dumps again", do_dumpable, EPERM, true},
    {"clone3 has another way", do_clone3, ENOSYS, false},
    {"calls to come have another way", do_newer, ENOSYS, false},
    {"another program", do_exec, 1000 + SIGSYS, false},
    {"another process's memory by ptrace", do_ptrace, 1000 + SIGSYS, true},
    {"another process's memory", do_peek, 1000 + SIGSYS, false},
    {"mounts", do_mount, 1000 + SIGSYS, false},
    {"programs in the kernel", do_bpf, 1000 + SIGSYS, false},
    {"performance counters", do_perf, 1000 + SIGSYS, false},
    {"faults by hand", do_userfaultfd, 1000 + SIGSYS, false},
    {"keys of the kernel", do_keyctl, 1000 + SIGSYS, false},
    {"namespaces", do_unshare, 1000 + SIGSYS, false},
};

static const struct call *current_call;

static int
filtered_call(void)
{
    return confine_filter(CONFINE_SANDBOX_YES) != 0 ? CHILD_CANNOT : current_call->fn();
}

static void
filter_lets_through_what_is_needed(void **state)
{
    (void)state;
    for (size_t i = 0; i < ARRAY_LEN(calls); i++) {
        if (CONFINE_SANITIZED && calls[i].other_when_sanitized)
            continue;
        print_message("case: %s\n", calls[i].why);
        current_call = &calls[i];
        assert_int_equal(in_child(filtered_call), calls[i].want);
    }
}

static int
logged_call(void)
{
    return confine_filter(CONFINE_SANDBOX_LOG) != 0 ? CHILD_CANNOT : do_kill();
}

static void
log_refuses_nothing(void **state)
{
    (void)state;
    assert_int_equal(in_child(logged_call), 0);
}

/* --- all of it --- */

static int
confined(const struct confine_settings *settings)
{
    struct confine_user user;
    char why[256];

    return confine_find_user(settings->user, &user, why, sizeof(why)) == OK &&
                   confine_apply(settings, &user, why, sizeof(why)) == OK
               ? 0
               : CHILD_CANNOT;
}

/* The line of /proc/self/status that begins so, as a number of that base. */
static unsigned long long
status_number(const char *name, int base)
{
    char line[256];
    FILE *file = fopen("/proc/self/status", "re");
    unsigned long long n = 12345;

    while (file != NULL && fgets(line, sizeof(line), file) != NULL)
        if (strncmp(line, name, strlen(name)) == 0)
            n = strtoull(line + strlen(name) + 1, NULL, base);
    if (file != NULL)
        (void)fclose(file);
    return n;
}

/* What can still be done that should not be; 0: nothing. */
static int
become_another(void)
{
    struct confine_settings settings = {.user = "54321:12345", .sandbox = CONFINE_SANDBOX_NO};
    struct rlimit cores;

    if (confined(&settings) != 0)
        return CHILD_CANNOT;
    if (getuid() != 54321 || geteuid() != 54321 || getgid() != 12345 || getegid() != 12345)
        return 1;
    if (getgroups(0, NULL) != 0)
        return 2;
    if (setuid(0) == 0 || seteuid(0) == 0 || setgid(0) == 0 || setgroups(0, NULL) == 0)
        return 3;
    if (status_number("CapPrm:", 16) != 0 || status_number("CapEff:", 16) != 0 ||
        status_number("CapInh:", 16) != 0 || status_number("CapAmb:", 16) != 0)
        return 4;
    if (status_number("CapBnd:", 16) != 0)
        return 5;
    if (prctl(PR_GET_NO_NEW_PRIVS, 0, 0, 0, 0) != 1)
        return 6;
    if (prctl(PR_GET_DUMPABLE) != 0 || getrlimit(RLIMIT_CORE, &cores) != 0 || cores.rlim_max != 0)
        return 7;
    return 0;
}

static void
user_is_changed_for_good(void **state)
{
    (void)state;
    if (geteuid() != 0)
        skip();
    assert_int_equal(in_child(become_another), 0);
}

static int
stay_root(void)
{
    struct confine_settings settings = {.sandbox = CONFINE_SANDBOX_NO};
    enum { DAC_OVERRIDE = 1 << 1 };

    if (confined(&settings) != 0)
        return CHILD_CANNOT;
    if (status_number("CapEff:", 16) != DAC_OVERRIDE || status_number("CapBnd:", 16) != 0)
        return 1;
    /* Of this thread: that of ThreadSanitizer's own keeps its capabilities. */
    return syscall(SYS_setgid, 1) == -1 && errno == EPERM ? 0 : 2;
}

static void
root_keeps_only_its_way_to_files(void **state)
{
    (void)state;
    if (geteuid() != 0)
        skip();
    assert_int_equal(in_child(stay_root), 0);
}

static int
want_core_dumps(void)
{
    struct confine_settings settings = {.user = geteuid() == 0 ? "54321:12345" : NULL,
                                        .core_dumps = true};
    struct rlimit before, cores;

    if (getrlimit(RLIMIT_CORE, &before) != 0 || confined(&settings) != 0)
        return CHILD_CANNOT;
    return prctl(PR_GET_DUMPABLE) == 1 && getrlimit(RLIMIT_CORE, &cores) == 0 &&
                   cores.rlim_cur == before.rlim_max
               ? 0
               : 1;
}

static void
core_dumps_when_asked_for(void **state)
{
    (void)state;
    assert_int_equal(in_child(want_core_dumps), 0);
}

static int
become_as_nobody(void)
{
    struct confine_settings settings = {.user = "54322:12345"};

    if (geteuid() == 0 && setresuid(54321, 54321, 54321) != 0)
        return CHILD_CANNOT;
    return confined(&settings);
}

static void
only_root_can_change(void **state)
{
    (void)state;
    assert_int_equal(in_child(become_as_nobody), CHILD_CANNOT);
}

int
main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(user_is_found),
        cmocka_unit_test(filter_lets_through_what_is_needed),
        cmocka_unit_test(log_refuses_nothing),
        cmocka_unit_test(user_is_changed_for_good),
        cmocka_unit_test(root_keeps_only_its_way_to_files),
        cmocka_unit_test(core_dumps_when_asked_for),
        cmocka_unit_test(only_root_can_change),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
