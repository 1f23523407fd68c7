/* User, capabilities, core dumps. The order matters: the bounding set can only be emptied while
 * CAP_SETPCAP is held, the user changed while CAP_SETUID is; the filter comes last, since it
 * refuses the calls made here. */
#include "daemon/confine.h"

#include <errno.h>
#include <grp.h>
#include <pwd.h>
#include <stdlib.h>
#include <sys/capability.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <unistd.h>

#include "base/log.h"

/* --- who --- */

/* Only digits; 0xffffffff is nobody's number but the system calls' word for "leave as it is". */
static bool
is_number(const char *text, uint32_t *out)
{
    uint64_t n;

    if (!slice_to_u64(slice_from_str(text), &n) || n >= UINT32_MAX)
        return false;
    *out = (uint32_t)n;
    return true;
}

static enum err
find_group(const char *name, struct confine_user *out, char *why, size_t why_cap)
{
    const struct group *group = getgrnam(name);

    if (group != NULL)
        out->gid = group->gr_gid;
    else if (!is_number(name, &out->gid)) {
        (void)snprintf(why, why_cap,
                       "there is no group \"%s\"; make it with addgroup, or name another", name);
        return ERR_NOT_FOUND;
    }
    return OK;
}

/* The groups that the system lists for the user; more than fit are cut. */
static void
find_own_groups(const struct passwd *entry, struct confine_user *out)
{
    int n = CONFINE_GROUPS_MAX;

    out->gid = entry->pw_gid;
    if (getgrouplist(entry->pw_name, entry->pw_gid, out->groups, &n) == -1)
        n = CONFINE_GROUPS_MAX;
    out->groups_n = (size_t)n;
}

static enum err
find_user(const char *name, const char *group, struct confine_user *out, char *why, size_t why_cap)
{
    const struct passwd *entry = getpwnam(name);
    uint32_t number;

    if (entry == NULL && is_number(name, &number)) {
        out->uid = number;
        entry = getpwuid(number);
    } else if (entry == NULL) {
        (void)snprintf(why, why_cap,
                       "there is no user \"%s\"; make it with adduser --system, or name another",
                       name);
        return ERR_NOT_FOUND;
    }
    if (entry != NULL)
        out->uid = entry->pw_uid;
    if (group != NULL)
        return find_group(group, out, why, why_cap);
    if (entry == NULL) {
        (void)snprintf(why, why_cap,
                       "the user %s has no entry and so no group; write user = \"%s:GROUP\"", name,
                       name);
        return ERR_NOT_FOUND;
    }
    find_own_groups(entry, out);
    return OK;
}

enum err
confine_find_user(const char *text, struct confine_user *out, char *why, size_t why_cap)
{
    char name[64], *colon;

    memset(out, 0, sizeof(*out));
    if (text == NULL)
        return OK;
    if ((size_t)snprintf(name, sizeof(name), "%s", text) >= sizeof(name)) {
        (void)snprintf(why, why_cap, "there is no user with so long a name; name another");
        return ERR_NOT_FOUND;
    }
    colon = strchr(name, ':');
    if (colon != NULL)
        *colon++ = '\0';
    out->text = text;
    return find_user(name, colon, out, why, why_cap);
}

/* --- becoming someone else --- */

static bool
is_already(const struct confine_user *user)
{
    uid_t uids[3];
    gid_t gids[3];

    return getresuid(&uids[0], &uids[1], &uids[2]) == 0 &&
           getresgid(&gids[0], &gids[1], &gids[2]) == 0 && uids[0] == user->uid &&
           uids[1] == user->uid && uids[2] == user->uid && gids[0] == user->gid &&
           gids[1] == user->gid && gids[2] == user->gid;
}

static enum err
no_way_back(const struct confine_user *user, char *why, size_t why_cap)
{
    bool is_back =
        user->uid != 0 && (setresuid(0, 0, 0) == 0 || setresuid((uid_t)-1, 0, (uid_t)-1) == 0);

    is_back |= user->gid != 0 && setresgid((gid_t)-1, 0, (gid_t)-1) == 0;
    if (!is_back && is_already(user))
        return OK;
    (void)snprintf(why, why_cap,
                   "the rights given up for the user \"%s\" could be had back; see what the system "
                   "does about setresuid",
                   user->text);
    return ERR_SYSTEM;
}

static enum err
become(const struct confine_user *user, char *why, size_t why_cap)
{
    if (geteuid() != 0 && is_already(user))
        return OK;
    if (setgroups(user->groups_n, user->groups) == 0 &&
        setresgid(user->gid, user->gid, user->gid) == 0 &&
        setresuid(user->uid, user->uid, user->uid) == 0)
        return OK;
    (void)snprintf(why, why_cap,
                   "cannot become the user \"%s\": %s; start brink as root, or take the user "
                   "directive away",
                   user->text, strerror(errno));
    return ERR_SYSTEM;
}

/* --- capabilities --- */

/* No program that could be started would have more than this process. */
static void
empty_bounding_set(void)
{
    for (cap_value_t cap = 0; cap < cap_max_bits(); cap++) {
        if (cap_get_bound(cap) == 1 && cap_drop_bound(cap) == -1 && geteuid() == 0) {
            LOG(INFO, confined, "what=bounding-set why=\"it stays: %s\"", strerror(errno));
            return;
        }
    }
}

/* root may keep its store in a folder that is another's; of all else it is capable of, nothing is
 * needed. */
static bool
keep_files_of_others(cap_t wanted)
{
    static const cap_value_t kept[] = {CAP_DAC_OVERRIDE};
    cap_flag_value_t held = CAP_CLEAR;
    cap_t now = geteuid() == 0 ? cap_get_proc() : NULL;
    bool done = true;

    if (now != NULL && cap_get_flag(now, kept[0], CAP_PERMITTED, &held) == 0 && held == CAP_SET)
        done = cap_set_flag(wanted, CAP_PERMITTED, ARRAY_LEN(kept), kept, CAP_SET) == 0 &&
               cap_set_flag(wanted, CAP_EFFECTIVE, ARRAY_LEN(kept), kept, CAP_SET) == 0;
    if (now != NULL)
        (void)cap_free(now);
    return done;
}

static void
drop_capabilities(void)
{
    cap_t wanted = cap_init(); /* none */

    (void)cap_reset_ambient(); /* none either once they are not permitted */
    if (wanted == NULL || !keep_files_of_others(wanted) || cap_set_proc(wanted) == -1)
        LOG(WARN, confined, "what=capabilities why=\"they stay: %s\"", strerror(errno));
    if (wanted != NULL)
        (void)cap_free(wanted);
}

/* --- the rest --- */

/* Memory holds what clients sent and, later, keys: it is not written to disk unless asked for. A
 * process that changed its user would not be dumped even when asked for, hence both ways. */
static void
set_core_dumps(bool wanted)
{
    struct rlimit limit = {0, 0};

    if (wanted && getrlimit(RLIMIT_CORE, &limit) == 0)
        limit.rlim_cur = limit.rlim_max;
    if (setrlimit(RLIMIT_CORE, &limit) == -1 || prctl(PR_SET_DUMPABLE, wanted ? 1 : 0) == -1)
        LOG(WARN, confined, "what=core-dumps why=\"they stay as they are: %s\"", strerror(errno));
}

static void
start_filter(enum confine_sandbox mode)
{
    int fault = mode == CONFINE_SANDBOX_NO ? 0 : confine_filter(mode);

    if (fault != 0)
        LOG(WARN, confined,
            "what=sandbox why=\"the kernel does not allow a filter: %s\" hint=\"sandbox = no ends "
            "this message\"",
            strerror(fault));
}

enum err
confine_apply(const struct confine_settings *settings, const struct confine_user *user, char *why,
              size_t why_cap)
{
    enum err rc;

    if (prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) == -1)
        LOG(WARN, confined, "what=no-new-privs why=\"%s\"", strerror(errno));
    empty_bounding_set();
    rc = user->text == NULL ? OK : become(user, why, why_cap);
    if (rc != OK)
        return rc;
    drop_capabilities();
    rc = user->text == NULL ? OK : no_way_back(user, why, why_cap);
    if (rc != OK)
        return rc;
    if (user->text == NULL && geteuid() == 0)
        LOG(WARN, confined, "what=user why=\"brink runs as root\" hint=\"add user = NAME\"");
    set_core_dumps(settings->core_dumps);
    start_filter((enum confine_sandbox)settings->sandbox);
    return OK;
}
