/* brink's main thread: start, signals, stop. It owns the store, the workers and the admin listener,
 * and is the only one that ends the process.
 *
 *   options -> configuration -> listeners -> rights given up -> store -> workers, admin -> ready
 *   ... SIGTERM -> workers gone -> store closed
 */
#include <errno.h>
#include <signal.h>
#include <stdlib.h>
#include <sys/resource.h>
#include <unistd.h>

#include "base/stats.h"
#include "daemon/accesslog.h"
#include "daemon/admin.h"
#include "daemon/folders.h"
#include "daemon/options.h"
#include "daemon/worker.h"
#include "net/signals.h"

enum { EXIT_USAGE = 2 };

struct daemon {
    struct config *config;
    struct loop *loop;
    struct signals *signals;
    struct listeners *listeners;
    struct store *store;
    struct accesslog *accesslog; /* NULL: none */
    struct admin *admin;         /* NULL: none */
    struct workers *workers;
    bool stopping;
};

/* --- while it runs --- */

static void
on_workers_gone(void *arg)
{
    struct daemon *daemon = arg;

    loop_stop(daemon->loop);
}

static void
on_terminate(struct daemon *daemon, int number)
{
    if (daemon->stopping) {
        LOG(INFO, stopping, "signal=\"%s\" how=now", strsignal(number));
        if (daemon->workers != NULL)
            workers_hurry(daemon->workers);
        return;
    }
    daemon->stopping = true;
    if (daemon->admin != NULL)
        admin_set_accepting(daemon->admin, false);
    LOG(INFO, stopping, "signal=\"%s\" within_ms=%u", strsignal(number),
        daemon->config->shutdown_ms);
    if (daemon->workers != NULL) /* else it has not begun yet: start() sees it */
        workers_stop(daemon->workers, on_workers_gone, daemon);
}

static void
on_signal(void *arg, int number)
{
    struct daemon *daemon = arg;

    if (number == SIGTERM || number == SIGINT)
        on_terminate(daemon, number);
    else if (daemon->accesslog != NULL)
        accesslog_reopen(daemon->accesslog);
}

/* --- start --- */

/* A connection is a descriptor, sometimes two: the default of 1,024 is soon used up. */
static void
raise_files_limit(const struct config *config)
{
    struct rlimit files;

    if (getrlimit(RLIMIT_NOFILE, &files) == -1)
        return;
    files.rlim_cur = files.rlim_max;
    (void)setrlimit(RLIMIT_NOFILE, &files);
    if (getrlimit(RLIMIT_NOFILE, &files) == 0 &&
        files.rlim_cur < 2ULL * config->proxy.watch.connections_max)
        LOG(WARN, limit, "what=files limit=%llu max_connections=%u hint=\"raise ulimit -n\"",
            (unsigned long long)files.rlim_cur, config->proxy.watch.connections_max);
}

static bool
start_loop(struct daemon *daemon)
{
    static const int numbers[] = {SIGTERM, SIGINT, SIGHUP, SIGUSR1};

    if (loop_new(&daemon->loop) == OK && signals_start(daemon->loop, numbers, ARRAY_LEN(numbers),
                                                       on_signal, daemon, &daemon->signals) == OK)
        return true;
    LOG(ERROR, starting, "why=\"no event loop: %s\"", strerror(errno));
    return false;
}

static bool
start_listeners(struct daemon *daemon)
{
    char why[512] = "";
    enum err rc = listeners_open(daemon->config, why, sizeof(why), &daemon->listeners);

    if (rc != OK)
        LOG(ERROR, listener, "error=%s why=\"%s\"", err_name(rc), why);
    return rc == OK;
}

/* What root makes for the user it becomes is that user's from the start. */
static void
make_files_for(const struct config *config, const struct confine_user *user)
{
    if (user->text == NULL || geteuid() != 0)
        return;
    folders_make_for(config->store.path, user->uid, user->gid);
    if (config->log.access != NULL && strcmp(config->log.access, "-") != 0)
        folders_make_file_for(config->log.access, user->uid, user->gid);
}

/* From here on nothing runs with the rights that the daemon was started with. */
static bool
confine(struct daemon *daemon)
{
    const struct config *config = daemon->config;
    static const char *const sandboxes[] = {"no", "yes", "log"};
    struct confine_user user;
    char why[512] = "";
    enum err rc = confine_find_user(config->confine.user, &user, why, sizeof(why));

    if (rc == OK) {
        make_files_for(config, &user);
        rc = confine_apply(&config->confine, &user, why, sizeof(why));
    }
    if (rc == OK)
        LOG(INFO, confined, "uid=%u gid=%u sandbox=%s core_dumps=%s", geteuid(), getegid(),
            sandboxes[config->confine.sandbox], config->confine.core_dumps ? "yes" : "no");
    else
        LOG(ERROR, confined, "error=%s why=\"%s\"", err_name(rc), why);
    return rc == OK;
}

/* A store that root used before is root's: say so, instead of that some file cannot be opened. */
static bool
can_use_store(const struct config *config)
{
    const char *path = config->store.path, *user = config->confine.user;
    char denied[512];

    if (user == NULL || !folders_find_denied(path, denied, sizeof(denied)))
        return true;
    if (strncmp(denied, path, strlen(path)) == 0)
        LOG(ERROR, store, "path=\"%s\" why=\"the user %s may not use %s; as root: chown -R %s %s\"",
            path, user, denied, user, path);
    else
        LOG(ERROR, store,
            "path=\"%s\" why=\"the user %s may not enter %s; as root: chmod a+x %s, or move it\"",
            path, user, denied, denied);
    return false;
}

/* For who would rather have a late answer than a miss; but a signal is not to wait for it. */
static void
wait_for_index(struct daemon *daemon)
{
    enum { STEP_MS = 50 };
    unsigned left_ms = daemon->config->store.scan_wait_ms;

    while (left_ms > 0 && !daemon->stopping) {
        unsigned step_ms = left_ms < STEP_MS ? left_ms : STEP_MS;

        if (store_wait_ready(daemon->store, step_ms))
            break;
        left_ms -= step_ms;
        signals_take(daemon->signals);
    }
}

static bool
start_store(struct daemon *daemon)
{
    struct store_settings settings = daemon->config->store;
    char why[512] = "";
    enum err rc;

    if (!can_use_store(daemon->config))
        return false;
    folders_make_above(settings.path);
    settings.scan_wait_ms = 0;
    rc = store_open(&settings, &daemon->store, why, sizeof(why));
    if (rc != OK)
        LOG(ERROR, store, "path=\"%s\" error=%s why=\"%s\"", settings.path, err_name(rc), why);
    else
        wait_for_index(daemon);
    return rc == OK;
}

static bool
start_accesslog(struct daemon *daemon)
{
    char why[512] = "";
    enum err rc;

    if (daemon->config->log.access == NULL)
        return true;
    rc = accesslog_start(&daemon->config->log, daemon->config->workers, why, sizeof(why),
                         &daemon->accesslog);
    if (rc == OK)
        daemon->config->proxy.exchanges = accesslog_sink(daemon->accesslog);
    else
        LOG(ERROR, access_log, "error=%s why=\"%s\"", err_name(rc), why);
    return rc == OK;
}

static bool
start_admin(struct daemon *daemon)
{
    enum err rc;

    if (!daemon->config->admin.on)
        return true;
    rc =
        admin_start(daemon->config, daemon->listeners, daemon->store, daemon->loop, &daemon->admin);
    if (rc != OK)
        LOG(ERROR, admin, "error=%s why=\"it cannot be made; give the process more memory\"",
            err_name(rc));
    return rc == OK;
}

static bool
start_workers(struct daemon *daemon)
{
    enum err rc = workers_new(daemon->config, daemon->listeners, daemon->store, daemon->loop,
                              &daemon->workers);

    if (rc == OK && daemon->admin != NULL)
        admin_set_proxy(daemon->admin, workers_shared(daemon->workers));
    if (rc == OK)
        rc = workers_start(daemon->workers);
    if (rc != OK)
        LOG(ERROR, starting, "error=%s why=\"the workers cannot be made: %s; raise the limits\"",
            err_name(rc), strerror(errno));
    return rc == OK;
}

/* Step by step. False: one failed (it said why), or it is to stop already. */
static bool
start(struct daemon *daemon)
{
    static bool (*const steps[])(struct daemon * daemon) = {
        start_listeners, confine, start_accesslog, start_store, start_admin, start_workers};

    if (!start_loop(daemon))
        return false;
    LOG(INFO, starting, "version=%s", BRINK_VERSION); /* from here on signals are waited for */
    raise_files_limit(daemon->config);
    for (size_t i = 0; i < ARRAY_LEN(steps); i++) {
        signals_take(daemon->signals);
        if (daemon->stopping || !steps[i](daemon))
            return false;
    }
    return true;
}

static void
tell_ready(const struct daemon *daemon)
{
    char addrs[512], admin[SOCK_ADDR_TEXT_MAX];

    listeners_format(daemon->listeners, addrs, sizeof(addrs));
    listeners_format_admin(daemon->listeners, admin);
    if (daemon->admin != NULL)
        admin_set_accepting(daemon->admin, true);
    LOG(INFO, ready, "listen=%s admin=%s workers=%u store=\"%s\" objects=%lld version=%s", addrs,
        admin, daemon->config->workers, daemon->config->store.path,
        (long long)stats_read(STAT_store_objects), BRINK_VERSION);
}

/* --- the end --- */

static void
stop_all(struct daemon *daemon)
{
    if (daemon->admin != NULL)
        admin_stop(daemon->admin);
    if (daemon->workers != NULL)
        workers_join(daemon->workers);
    accesslog_stop(&daemon->accesslog);
    if (daemon->store != NULL)
        store_close(&daemon->store);
    workers_free(&daemon->workers);
    admin_free(&daemon->admin);
    listeners_close(&daemon->listeners);
    signals_stop(&daemon->signals);
    loop_free(&daemon->loop);
}

static int
run(struct config *config)
{
    struct daemon daemon = {.config = config};
    bool started;

    log_set_level((enum log_level)config->log.level);
    if (stats_attach() != OK)
        LOG(WARN, out_of_memory, "what=counters");
    started = start(&daemon);
    if (started) {
        tell_ready(&daemon);
        loop_run(daemon.loop);
    }
    stop_all(&daemon);
    if (!started && !daemon.stopping)
        return EXIT_FAILURE;
    LOG(INFO, stopped, "requests=%lld", (long long)stats_read(STAT_requests));
    return EXIT_SUCCESS;
}

static int
with_config(const struct options *options)
{
    struct config *config = NULL;
    enum err rc = config_load(&options->args, stderr, &config);
    int status = EXIT_SUCCESS;

    if (rc != OK) {
        if (rc == ERR_NOMEM)
            fprintf(stderr, "brink: %s\n", err_text(rc));
        return EXIT_FAILURE;
    }
    if (options->task == OPTIONS_TEST) {
        printf("%s is good:\n",
               options->args.path == NULL ? "The command line" : options->args.path);
        config_print_summary(config, stdout);
    } else {
        status = run(config);
    }
    config_free(&config);
    return status;
}

int
main(int argc, char **argv)
{
    struct options options;
    char why[256];

    if (options_parse(argc, argv, &options, why, sizeof(why)) != OK) {
        fprintf(stderr, "brink: %s\n", why);
        return EXIT_USAGE;
    }
    switch (options.task) {
    case OPTIONS_VERSION:
        printf("brink %s\n", BRINK_VERSION);
        return EXIT_SUCCESS;
    case OPTIONS_HELP:
        options_print_help(stdout);
        return EXIT_SUCCESS;
    case OPTIONS_DIRECTIVES:
        config_print_directives(stdout);
        return EXIT_SUCCESS;
    case OPTIONS_RUN:
    case OPTIONS_TEST:
        break;
    }
    return with_config(&options);
}
