/* Giving up rights. Once the listeners are bound, brink needs little of the system: its store, its
 * log, sockets of the Internet. Everything else is given up then, for good and before any thread
 * of ours runs: the user, capabilities, new privileges through exec, core dumps, and by a seccomp
 * filter all system calls but those that brink and its libraries use.
 *
 * exec is among what is given up. A new binary that takes the listeners over (SIGUSR2) will be
 * started by a supervisor: a process forked before confine_apply, of a few lines, that waits on a
 * socket pair, gets the listeners' descriptors over it (SCM_RIGHTS; sendmsg is allowed) and runs
 * the new binary, which begins with the rights that brink began with. Whatever else needs a right
 * later (keys that only root can read) is opened before confine_apply, or by that supervisor. */
#ifndef BRINK_DAEMON_CONFINE_H
#define BRINK_DAEMON_CONFINE_H

#include <sys/types.h>

#include "base/check.h"

enum { CONFINE_GROUPS_MAX = 64 };

/* The words of the directive, in their order. LOG: what would be refused is done, and told in the
 * kernel's audit log. */
enum confine_sandbox { CONFINE_SANDBOX_NO, CONFINE_SANDBOX_YES, CONFINE_SANDBOX_LOG };

struct confine_settings {
    const char *user; /* "name", "name:group", or numbers; NULL: stay who one is */
    unsigned sandbox; /* enum confine_sandbox */
    bool core_dumps;
};

struct confine_user {
    const char *text; /* as it was given; NULL: nobody, stay who one is */
    uid_t uid;
    gid_t gid;
    gid_t groups[CONFINE_GROUPS_MAX]; /* supplementary */
    size_t groups_n;
};

/* Who `text` is, which is kept. With a group named, that is the only one; without, the user's own
 * are taken, as the system knows them. `text` NULL: OK. ERR_NOT_FOUND: `why` says what and what to
 * do. */
MUST_USE enum err
confine_find_user(const char *text, struct confine_user *out, char *why, size_t why_cap);

/* Give up what can be, before any thread is started. What the kernel does not allow to give up is
 * told, a line each, and left; only a user that cannot be changed, or could be changed back, is an
 * error. ERR_SYSTEM: `why` says what and what to do. */
MUST_USE enum err confine_apply(const struct confine_settings *settings,
                                const struct confine_user *user, char *why, size_t why_cap);

/* The seccomp filter alone, for all threads. Errors of the system as errno, 0 when it is in force.
 * A process that makes a call which only an attacker would is killed with SIGSYS; of the others
 * those that are not on the list fail with EPERM, or with ENOSYS where the C library has another
 * way then. */
MUST_USE int confine_filter(enum confine_sandbox mode);

/* Sanitizers stop threads with ptrace and clone to look for leaks: in their builds the filter lets
 * these through. */
#if defined(__SANITIZE_ADDRESS__) || defined(__SANITIZE_THREAD__)
enum { CONFINE_SANITIZED = 1 };
#else
enum { CONFINE_SANITIZED = 0 };
#endif

#endif
