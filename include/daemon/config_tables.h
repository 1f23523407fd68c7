/* The directive table of config.def, and values from text into the fields it names. For the config
 * module and its tests. */
#ifndef BRINK_DAEMON_CONFIG_TABLES_H
#define BRINK_DAEMON_CONFIG_TABLES_H

#include "daemon/config.h"

enum config_kind {
    KIND_bytes,
    KIND_duration,
    KIND_seconds,
    KIND_count,
    KIND_percent,
    KIND_flag,
    KIND_choice,
    KIND_text,
    KIND_hosts,
    KIND_names,
    KIND_words,
    KIND_types,
    KIND_choices,
    KIND_networks,
    KIND_ttls,
};

/* In the order of the documentation. */
enum config_section {
    SECTION_global,
    SECTION_store,
    SECTION_origin,
    SECTION_server,
    SECTION_site,
    SECTION_admin,
    SECTION_log,
    SECTION_COUNT
};

/* An origin and a site while they are loaded: the settings and what they are made from. */
struct config_origin {
    struct origin_settings settings;
    struct origin_server_settings *servers;
    size_t servers_n;
};

struct config_coding {
    struct config_texts order, types, origin, precompressed;
    unsigned strong[CODING_COUNT], quick[CODING_COUNT];
};

struct config_site {
    struct site_settings settings;
    struct config_coding coding;
    struct config_ttls status_ttls;
    struct config_texts hosts, targeted_fields, key_fields, key_cookies, upgrades;
    struct config_texts query_drop, query_keep;
    const char *origin_name; /* NULL: the only one */
};

struct config_directive {
    enum config_section section;
    const char *name;
    enum config_kind kind;
    size_t field_at, field_len; /* in the section's struct */
    const char *normal, *least, *most;
    const char *help;
};

size_t config_directives_n(void);
const struct config_directive *config_directive(size_t i);
const struct config_directive *
config_directive_find(enum config_section section, struct slice name);
const char *config_section_name(enum config_section section); /* "" for the top level */
bool config_kind_is_list(enum config_kind kind);
const char *config_kind_name(enum config_kind kind);   /* for people: "duration" */
const char *config_kind_wanted(enum config_kind kind); /* what to write */

/* Put `values` (one, unless the kind is a list) into the directive's field of `base`. On ERR_SYNTAX
 * `why` says what is wrong and what to do. Texts are copied into the arena. ERR_NOMEM. */
MUST_USE enum err
config_set(struct arena *arena, const struct config_directive *directive, void *base,
           const struct slice *values, size_t values_n, char *why, size_t why_cap);

/* The same for a directive that is a list, into `field`; an empty item is none: {""} is the empty
 * list. config_lists.c */
MUST_USE enum err
config_set_list(struct arena *arena, const struct config_directive *directive, void *field,
                const struct slice *values, size_t values_n, char *why, size_t why_cap);

/* The defaults of every directive of a section. ERR_NOMEM. */
MUST_USE enum err config_set_defaults(struct arena *arena, enum config_section section, void *base);

/* Letters to insert, delete or change to make one of the other. */
unsigned config_distance(const char *a, const char *b);

/* The name that `wrong` was likely meant to be; NULL when none is near. `names` ends with NULL. */
const char *config_nearest(const char *wrong, const char *const *names);

#endif
