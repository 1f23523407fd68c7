/* JSON in and out, by jansson. An order to purge is read strictly: what is not understood whole is
 * not done at all. */
#include "daemon/admin_json.h"

#include <jansson.h>
#include <stdarg.h>

#include "cache/fresh.h"
#include "cache/purge.h"
#include "daemon/admin_coding.h"

/* --- answers --- */

json_t *
admin_text(struct slice text)
{
    json_t *value = json_stringn(text.ptr == NULL ? "" : text.ptr, text.len);
    char *copy;

    if (value != NULL)
        return value;
    copy = slice_to_str(text);
    if (copy == NULL)
        return NULL;
    for (size_t i = 0; i < text.len; i++)
        if ((unsigned char)copy[i] >= 0x80)
            copy[i] = '?';
    value = json_stringn(copy, text.len);
    mem_free(copy);
    return value;
}

json_t *
admin_error(const char *hint, const char *format, ...)
{
    char text[512];
    va_list args;

    va_start(args, format);
    (void)vsnprintf(text, sizeof(text), format, args);
    va_end(args);
    return json_pack("{s:o, s:s}", "error", admin_text(slice_from_str(text)), "hint", hint);
}

/* --- orders to purge --- */

static enum err
refuse(json_t *answer, json_t **out_answer)
{
    *out_answer = answer;
    return ERR_SYNTAX;
}

static enum err
add_item(struct arena *arena, const struct purge_sites *sites, struct slice text,
         struct admin_order *order)
{
    struct store_purge *row = &order->rows[order->rows_n];
    size_t n = 1;
    enum err rc;

    switch (order->what[0]) {
    case 'f':
        rc = purge_url(arena, sites, text, order->soft, row, &n);
        break;
    case 'h':
        rc = purge_host(arena, text, order->soft, row);
        break;
    case 't':
        rc = purge_tag(text, order->soft, row);
        break;
    default:
        rc = purge_prefix(arena, sites, text, order->soft, row, &n);
        break;
    }
    if (rc == OK)
        order->rows_n += n;
    return rc;
}

static const char *
hint_for(const char *what)
{
    switch (what[0]) {
    case 'f':
        return "give absolute URLs, such as \"http://www.example.com/page\"";
    case 'h':
        return "give host names, such as \"www.example.com\"";
    case 't':
        return "give tags as the origin sent them";
    default:
        return "give a host and the beginning of a path, such as \"www.example.com/img/\"";
    }
}

static enum err
read_items(struct arena *arena, const struct purge_sites *sites, const json_t *items,
           struct admin_order *order, json_t **out_answer)
{
    size_t n = json_array_size(items);

    if (!json_is_array(items) || n == 0)
        return refuse(admin_error(hint_for(order->what),
                                  "\"%s\" is not a list of one or more texts", order->what),
                      out_answer);
    if (n > ADMIN_PURGE_ITEMS_MAX)
        return refuse(admin_error("send several purges, or use a tag or a prefix",
                                  "\"%s\" has %zu items; the most is %d", order->what, n,
                                  ADMIN_PURGE_ITEMS_MAX),
                      out_answer);
    order->rows = arena_zalloc(arena, 2 * n * sizeof(*order->rows));
    if (order->rows == NULL)
        return ERR_NOMEM;
    for (size_t i = 0; i < n; i++) {
        const json_t *item = json_array_get(items, i);
        enum err rc = ERR_SYNTAX;

        if (json_is_string(item))
            rc = add_item(arena, sites, slice_of(json_string_value(item), json_string_length(item)),
                          order);
        if (rc == ERR_NOMEM)
            return rc;
        if (rc != OK)
            return refuse(admin_error(hint_for(order->what), "\"%s\": item %zu cannot be used",
                                      order->what, i + 1),
                          out_answer);
    }
    order->items_n = n;
    return OK;
}

static const char shape_hint[] =
    "send an object with exactly one of files, prefixes, hosts, tags (each a "
    "list of texts) or purge_everything (true), and soft if wanted";

/* Which one of the members, after seeing that there is no other. */
static enum err
read_members(json_t *root, struct admin_order *order, json_t **out_answer)
{
    static const char *const names[] = {"files", "prefixes", "hosts", "tags", "purge_everything"};
    const char *name;
    json_t *value;

    json_object_foreach(root, name, value)
    {
        const char *known = NULL;

        for (size_t i = 0; i < ARRAY_LEN(names); i++)
            if (strcmp(name, names[i]) == 0)
                known = names[i];
        if (known == NULL && strcmp(name, "soft") != 0)
            return refuse(admin_error(shape_hint, "unknown member \"%.64s\"", name), out_answer);
        if (known == NULL && !json_is_boolean(value))
            return refuse(admin_error("write true or false", "\"soft\" is neither true nor false"),
                          out_answer);
        if (known != NULL && order->what != NULL)
            return refuse(
                admin_error(shape_hint, "both \"%s\" and \"%s\" are given", order->what, known),
                out_answer);
        if (known != NULL)
            order->what = known;
    }
    if (order->what == NULL)
        return refuse(admin_error(shape_hint, "nothing is named"), out_answer);
    order->soft = json_is_true(json_object_get(root, "soft"));
    return OK;
}

static enum err
read_order(struct arena *arena, const struct purge_sites *sites, json_t *root,
           struct admin_order *order, json_t **out_answer)
{
    enum err rc;

    if (!json_is_object(root))
        return refuse(admin_error(shape_hint, "the body is not an object"), out_answer);
    rc = read_members(root, order, out_answer);
    if (rc != OK)
        return rc;
    if (order->what[0] != 'p' || order->what[1] != 'u')
        return read_items(arena, sites, json_object_get(root, order->what), order, out_answer);
    if (!json_is_true(json_object_get(root, order->what)))
        return refuse(
            admin_error("write true, or name what is to go", "\"purge_everything\" is not true"),
            out_answer);
    order->rows = arena_zalloc(arena, sizeof(*order->rows));
    if (order->rows == NULL)
        return ERR_NOMEM;
    purge_everything(order->soft, order->rows);
    order->rows_n = order->items_n = 1;
    return OK;
}

static json_t *
malformed(const json_error_t *error)
{
    int line = error->line < 1 ? 1 : error->line, column = error->column < 0 ? 0 : error->column;
    char text[JSON_ERROR_TEXT_LENGTH + 64]; /* jansson may quote half a character of the body */

    (void)snprintf(text, sizeof(text), "malformed JSON at line %d, column %d: %s", line, column,
                   error->text);
    return json_pack("{s:o, s:s, s:i, s:i, s:i}", "error", admin_text(slice_from_str(text)), "hint",
                     shape_hint, "line", line, "column", column, "position",
                     error->position < 0 ? 0 : error->position);
}

enum err
admin_order_parse(struct arena *arena, const struct purge_sites *sites, struct slice body,
                  struct admin_order *out, json_t **out_answer)
{
    json_error_t error;
    json_t *root =
        json_loadb(body.len == 0 ? "" : body.ptr, body.len, JSON_REJECT_DUPLICATES, &error);
    enum err rc;

    memset(out, 0, sizeof(*out));
    if (root == NULL)
        return refuse(malformed(&error), out_answer);
    rc = read_order(arena, sites, root, out, out_answer);
    json_decref(root);
    return rc;
}

/* --- purges --- */

static const char *
state_name(enum store_purge_state state)
{
    switch (state) {
    case STORE_PURGE_WAITING:
        return "waiting";
    case STORE_PURGE_SWEEPING:
        return "sweeping";
    case STORE_PURGE_DONE:
        return "done";
    }
    UNREACHABLE();
}

json_t *
admin_purge(uint64_t id, const struct store_purge_status *status, int64_t now_ms)
{
    int64_t until_ms = status->state == STORE_PURGE_DONE ? status->ended_ms : now_ms;
    int64_t took_ms = until_ms > status->began_ms ? until_ms - status->began_ms : 0;

    return json_pack("{s:I, s:s, s:b, s:I, s:I, s:I, s:I, s:I, s:I}", "id", (json_int_t)id, "state",
                     state_name(status->state), "soft", (int)status->soft, "matched",
                     (json_int_t)status->matched, "removed", (json_int_t)status->removed, "marked",
                     (json_int_t)status->marked, "began_ms", (json_int_t)status->began_ms,
                     "ended_ms", (json_int_t)status->ended_ms, "duration_ms", (json_int_t)took_ms);
}

/* --- what is stored --- */

json_t *
admin_words(struct slice text)
{
    json_t *list = json_array();
    struct slice word;

    while (text.len > 0) {
        (void)slice_cut(&text, ' ', &word);
        if (word.len > 0)
            (void)json_array_append_new(list, admin_text(word));
    }
    return list;
}

/* Applications have names of their own for such fields; what sounds like one counts. */
bool
admin_is_secret(struct slice name)
{
    static const char *const parts[] = {"auth",    "cookie",  "token",     "secret",
                                        "api-key", "session", "credential"};
    char lower[64];
    size_t len = name.len < sizeof(lower) ? name.len : sizeof(lower);

    for (size_t i = 0; i < len; i++)
        lower[i] = char_lower(name.ptr[i]);
    for (size_t i = 0; i < ARRAY_LEN(parts); i++)
        if (memmem(lower, len, parts[i], strlen(parts[i])) != NULL)
            return true;
    return false;
}

/* The value of a field that picked a variant; not of one that lets its sender in. */
static json_t *
vary_value(struct slice name, struct slice value)
{
    if (slice_starts(name, SLICE("=;")) || slice_is(name, "=?"))
        return json_string("(a secret)"); /* a cookie, or a QUERY's content */
    return admin_is_secret(name) ? json_string("(a secret)") : admin_text(value);
}

/* See cache/vary.h: "name: value" or "name" a line, a field of the site's key with "=" before. */
static json_t *
vary_of(struct slice vary)
{
    json_t *fields = json_object();
    struct slice line, name;

    while (vary.len > 0) {
        char *key;

        (void)slice_cut(&vary, '\n', &line);
        if (line.len == 0)
            continue;
        if (slice_cut(&line, ':', &name))
            line = slice_trim(line);
        key = slice_to_str(name);
        if (key != NULL)
            (void)json_object_set_new(fields, key,
                                      line.ptr == name.ptr + name.len ? json_null()
                                                                      : vary_value(name, line));
        mem_free(key);
    }
    return fields;
}

static const char *
state_of(const struct store_object *stored, const struct cache_object *object, int64_t now_s)
{
    if (stored->soft_purged)
        return "soft-purged";
    if ((object->flags & CACHE_ALWAYS_VALIDATE) != 0)
        return "to be validated";
    return fresh_ttl_s(object, now_s) > 0 ? "fresh" : "stale";
}

json_t *
admin_variant(struct store_reader *reader, const struct store_object *stored, int64_t now_s)
{
    struct cache_object object;
    json_t *variant;

    if (cache_object_decode(stored->meta, stored->head.len, &object) != OK)
        return json_pack("{s:I, s:s}", "oid", (json_int_t)stored->oid, "state", "unreadable");
    variant = json_pack(
        "{s:I, s:i, s:s, s:I, s:I, s:I, s:I, s:I, s:I, s:I, s:I, s:b, s:b, s:o, s:o, s:o}", "oid",
        (json_int_t)stored->oid,                                              //
        "status", (int)object.status,                                         //
        "state", state_of(stored, &object, now_s),                            //
        "age_s", (json_int_t)fresh_age_s(&object, now_s),                     //
        "ttl_s", (json_int_t)fresh_ttl_s(&object, now_s),                     //
        "lifetime_s", (json_int_t)object.lifetime_s,                          //
        "stale_while_revalidate_s", (json_int_t)object.swr_s,                 //
        "stale_if_error_s", (json_int_t)object.sie_s,                         //
        "body_bytes", (json_int_t)stored->body_len,                           //
        "head_bytes", (json_int_t)stored->head.len,                           //
        "received_s", (json_int_t)object.response_s,                          //
        "heuristic", (object.flags & CACHE_HEURISTIC) != 0,                   //
        "must_revalidate", (object.flags & CACHE_MUST_REVALIDATE) != 0,       //
        "tags", admin_words(object.tags),                                     //
        "etag", object.etag.len == 0 ? json_null() : admin_text(object.etag), //
        "vary", vary_of(object.vary));
    admin_add_codings(variant, reader, stored, &object);
    return variant;
}

static void
add_variants(struct store_reader *reader, struct slice key_text, int64_t now_s, json_t *variants)
{
    struct store_key key = {.hash = store_hash(key_text), .text = key_text};
    struct store_cursor cursor = {.key = &key};
    struct store_object stored;

    store_read_begin(reader);
    while (store_find(reader, &cursor, &stored))
        (void)json_array_append_new(variants, admin_variant(reader, &stored, now_s));
    store_read_end(reader);
}

enum err
admin_inspect(struct store_reader *reader, const struct purge_sites *sites, struct slice url,
              int64_t now_s, json_t **out)
{
    struct store_purge rows[2]; /* a purge and a look-up name an object by the same keys */
    struct arena arena;
    json_t *variants;
    size_t n;
    enum err rc;

    arena_init(&arena, 0);
    rc = purge_url(&arena, sites, url, false, rows, &n);
    if (rc == OK) {
        variants = json_array();
        for (size_t i = 0; i < n; i++)
            add_variants(reader, rows[i].text, now_s, variants);
        if (json_array_size(variants) == 0)
            rc = ERR_NOT_FOUND;
        *out = json_pack("{s:o, s:o}", "url", admin_text(rows[0].text), "variants", variants);
        if (*out == NULL)
            rc = ERR_NOMEM;
    }
    arena_fini(&arena);
    return rc;
}
