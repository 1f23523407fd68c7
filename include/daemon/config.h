/* The configuration: a file of sections, then the command line's words over it, checked whole.
 * It fills the settings structs that other modules declare; nobody else reads a file. */
#ifndef BRINK_DAEMON_CONFIG_H
#define BRINK_DAEMON_CONFIG_H

#include <stdio.h>

#include "base/arena.h"
#include "base/log.h"
#include "daemon/confine.h"
#include "proxy/proxy.h"

struct config_texts {
    const char *const *items;
    size_t n;
};

struct config_networks {
    const struct sock_net *items;
    size_t n;
};

struct config_ttls {
    const struct cache_status_ttl *items;
    size_t n;
};

struct config_listen {
    const char *text; /* as written */
    struct sock_addr addr;
};

struct config_admin {
    bool on;
    const char *text;
    struct sock_addr addr;
    const char *token; /* NULL: none is asked for */
    size_t body_max;
    unsigned timeout_ms;
};

enum config_access_format { CONFIG_ACCESS_COMBINED, CONFIG_ACCESS_JSON };

struct config_log {
    unsigned level;     /* enum log_level */
    const char *access; /* path, "-", or NULL: none */
    unsigned access_format;
    size_t access_buffer; /* bytes a worker */
};

/* All that it points to lives in its arena. */
struct config {
    struct arena arena;
    unsigned workers; /* never 0 once loaded */
    unsigned backlog;
    unsigned dns_ms;
    unsigned shutdown_ms;
    unsigned slow_turn_ms;
    struct config_networks purge_from;
    struct config_listen *listens;
    size_t listens_n;
    struct confine_settings confine;
    struct store_settings store;
    uint64_t check_rate;         /* bytes a second of a check of the store; 0: no limit */
    struct proxy_settings proxy; /* with origins and sites; the sink is the daemon's to set */
    struct config_admin admin;
    struct config_log log;
};

/* What the command line says; NULL or 0: not said. Borrowed. */
struct config_args {
    const char *path; /* the file; NULL: none */
    const char *const *listens;
    size_t listens_n;
    const char *origin; /* "http://host:port" */
    const char *store_path, *store_size, *workers, *admin;
    const char *const *sets; /* "key=value" */
    size_t sets_n;
};

/* Load and check. On a fault every fault found is written to `faults`, a line each, as
 * "file:line: what is wrong; what to do" (or "brink: --option ..."), in the order of the file.
 * ERR_SYNTAX: the configuration has faults; ERR_NOMEM. */
MUST_USE enum err config_load(const struct config_args *args, FILE *faults, struct config **out);
void config_free(struct config **slot);

void config_print_summary(const struct config *config, FILE *out);
void config_print_directives(FILE *out); /* every directive: kind, default, range, help */

#endif
