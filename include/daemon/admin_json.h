/* JSON of the admin API that needs no listener: orders to purge, answers, what is stored. */
#ifndef BRINK_DAEMON_ADMIN_JSON_H
#define BRINK_DAEMON_ADMIN_JSON_H

#include "base/arena.h"
#include "cache/purge.h"

struct json_t; /* jansson's */

enum { ADMIN_PURGE_ITEMS_MAX = 1000 };

/* What a POST /purge asks for, as rows for the store. Texts in the arena. */
struct admin_order {
    struct store_purge *rows;
    size_t rows_n;
    size_t items_n;   /* as counted by who asked */
    const char *what; /* "files", "prefixes", "hosts", "tags", "purge_everything" */
    bool soft;
};

/* `sites`: how URLs become keys. On ERR_SYNTAX *out_answer is the answer's body, the caller's to
 * json_decref. ERR_NOMEM. */
MUST_USE enum err
admin_order_parse(struct arena *arena, const struct purge_sites *sites, struct slice body,
                  struct admin_order *out, struct json_t **out_answer);

/* How far a purge has come: {"id", "state", "soft", "matched", "removed", "marked", "began_ms",
 * "ended_ms", "duration_ms"}. `now_ms`: since the epoch; for one that is at work. */
struct json_t *admin_purge(uint64_t id, const struct store_purge_status *status, int64_t now_ms);

/* {"error": what, "hint": what to do}; NULL when out of memory. */
struct json_t *admin_error(const char *hint, const char *format, ...) PRINTF_LIKE(2, 3);

/* Text of any bytes as a JSON string: what is not UTF-8 is shown as question marks. */
struct json_t *admin_text(struct slice text);

/* "a b" as ["a", "b"]. */
struct json_t *admin_words(struct slice text);

/* May a field of that name let its sender in, or a cookie? Then its value is shown to nobody. */
bool admin_is_secret(struct slice name);

/* A stored object as one of "variants" below, within an open read section. */
struct json_t *
admin_variant(struct store_reader *reader, const struct store_object *stored, int64_t now_s);

/* What is stored under an absolute URL: {"url", "variants": [...]}. ERR_SYNTAX: no such URL;
 * ERR_NOT_FOUND: nothing; ERR_NOMEM. *out is the caller's. */
MUST_USE enum err admin_inspect(struct store_reader *reader, const struct purge_sites *sites,
                                struct slice url, int64_t now_s, struct json_t **out);

#endif
