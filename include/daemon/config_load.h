/* What the parts of the loader share: the configuration being built, the faults found so far, and
 * where in the file each word stands. For config.c and config_*.c alone. */
#ifndef BRINK_DAEMON_CONFIG_LOAD_H
#define BRINK_DAEMON_CONFIG_LOAD_H

#include "daemon/config_tables.h"

enum { CONFIG_LIST_MAX = 1024 }; /* sections of one kind, servers of an origin, items of a list */

struct config_fault {
    unsigned line; /* 0: of the command line; the text says which option */
    unsigned order;
    const char *text;
};

struct config_load {
    struct config *config;
    struct arena *arena; /* the configuration's */
    const char *path;
    struct config_fault *faults;
    size_t faults_n;
    enum err rc; /* ERR_NOMEM sticks */
    struct config_origin *origins;
    unsigned *origin_lines;
    size_t origins_n;
    struct config_site *sites;
    unsigned *site_lines, *site_origin_lines;
    size_t sites_n;
    unsigned admin_line, size_line, user_line;
    bool from_file; /* the origins are the file's */
};

void config_load_fault(struct config_load *load, unsigned line, const char *format, ...)
    PRINTF_LIKE(3, 4);

/* Remembers ERR_NOMEM; true when rc is OK. */
bool config_load_ok(struct config_load *load, enum err rc);

/* A zeroed array from the arena; NULL, remembered, when there is no memory. */
void *config_load_array(struct config_load *load, size_t n, size_t item_len);

/* "host:port" of a server into *out; faults at `line`, `what` being the words before. */
bool config_load_server(struct config_load *load, unsigned line, const char *what,
                        struct slice text, struct origin_server_settings *out);

/* The address of a listener; faults as above. */
bool config_load_listen(struct config_load *load, unsigned line, const char *what, const char *text,
                        struct config_listen *out);

void config_load_file(struct config_load *load, char *text, size_t len); /* config_file.c */
void config_load_complete(struct config_load *load);                     /* config_check.c */
void config_load_check(struct config_load *load);                        /* config_check.c */
void config_load_check_sites(struct config_load *load);                  /* config_site.c */
void config_load_check_coding(struct config_load *load, size_t site);    /* config_coding.c */

#endif
