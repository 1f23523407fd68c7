/* Methods, known field names, the list of fields, reason phrases, and the writing of heads.
 * Names are recognised by a small hash table made once from tokens.def; after that it is only
 * read, by any thread. */
#include "http/msg.h"

#include <pthread.h>
#include <stdatomic.h>

#include "http/chars.h"
#include "http/field.h"

enum { NAME_MAX_LEN = 32, SLOTS_N = 256 };

enum http_method
http_method_from(struct slice text)
{
    switch (text.len) {
    case 3:
        return slice_is(text, "GET")   ? METHOD_GET
               : slice_is(text, "PUT") ? METHOD_PUT
                                       : METHOD_OTHER;
    case 4:
        return slice_is(text, "HEAD")   ? METHOD_HEAD
               : slice_is(text, "POST") ? METHOD_POST
                                        : METHOD_OTHER;
    case 5:
        return slice_is(text, "PATCH")   ? METHOD_PATCH
               : slice_is(text, "TRACE") ? METHOD_TRACE
               : slice_is(text, "PURGE") ? METHOD_PURGE
               : slice_is(text, "QUERY") ? METHOD_QUERY
                                         : METHOD_OTHER;
    case 6:
        return slice_is(text, "DELETE") ? METHOD_DELETE : METHOD_OTHER;
    case 7:
        return slice_is(text, "OPTIONS")   ? METHOD_OPTIONS
               : slice_is(text, "CONNECT") ? METHOD_CONNECT
                                           : METHOD_OTHER;
    default:
        return METHOD_OTHER;
    }
}

bool
http_method_is_safe(enum http_method method)
{
    return method == METHOD_GET || method == METHOD_HEAD || method == METHOD_OPTIONS ||
           method == METHOD_TRACE || method == METHOD_QUERY;
}

bool
http_method_is_idempotent(enum http_method method)
{
    return http_method_is_safe(method) || method == METHOD_PUT || method == METHOD_DELETE ||
           method == METHOD_PURGE;
}

/* --- known names --- */

static const struct {
    const char *name;
    uint8_t len, flags;
} known[HTTP_TOKEN_COUNT] = {
    {"", 0, 0},
#define FIELD(token, name, flags) {name, sizeof(name) - 1, flags},
#include "http/tokens.def"
#undef FIELD
};

#define FIELD(token, name, flags)                                                                  \
    static_assert(sizeof(name) - 1 >= 2 && sizeof(name) - 1 <= NAME_MAX_LEN, name);
#include "http/tokens.def"
#undef FIELD
static_assert(HTTP_TOKEN_COUNT <= SLOTS_N / 2, "the table of names stays sparse");

/* A slot of the table: 0 is empty. Linear probing; the factors below leave few collisions. */
static struct {
    pthread_once_t once;
    atomic_bool ready;
    uint8_t slots[SLOTS_N];
} names = {.once = PTHREAD_ONCE_INIT};

static unsigned
name_hash(struct slice name)
{
    unsigned first = (unsigned char)name.ptr[0] | 0x20U;
    unsigned middle = (unsigned char)name.ptr[name.len / 2] | 0x20U;
    unsigned last = (unsigned char)name.ptr[name.len - 1] | 0x20U;

    return ((unsigned)name.len * 13 + first * 5 + middle * 19 + last * 101) % SLOTS_N;
}

static void
make_names(void)
{
    for (unsigned token = 1; token < HTTP_TOKEN_COUNT; token++) {
        unsigned at = name_hash(slice_of(known[token].name, known[token].len));

        while (names.slots[at] != 0)
            at = (at + 1) % SLOTS_N;
        names.slots[at] = (uint8_t)token;
    }
    atomic_store_explicit(&names.ready, true, memory_order_release);
}

/* `name` in any case against a known one in lower case, both `len` long. */
static bool
name_equal(const char *name, const char *lower, size_t len)
{
    for (size_t i = 0; i < len; i++)
        if (char_lower(name[i]) != lower[i])
            return false;
    return true;
}

enum http_token
http_token_from(struct slice name)
{
    if (UNLIKELY(!atomic_load_explicit(&names.ready, memory_order_acquire)))
        (void)pthread_once(&names.once, make_names);
    if (name.len < 2 || name.len > NAME_MAX_LEN)
        return HTTP_UNKNOWN;
    for (unsigned at = name_hash(name); names.slots[at] != 0; at = (at + 1) % SLOTS_N) {
        unsigned token = names.slots[at];

        if (known[token].len == name.len && name_equal(name.ptr, known[token].name, name.len))
            return (enum http_token)token;
    }
    return HTTP_UNKNOWN;
}

const char *
http_token_name(enum http_token token)
{
    return known[token].name;
}

unsigned
http_token_flags(enum http_token token)
{
    return known[token].flags;
}

/* --- the list of fields --- */

enum err
http_fields_init(struct http_fields *fields, struct arena *arena, unsigned cap)
{
    *fields = (struct http_fields){.cap = cap < HTTP_FIELDS_MAX ? cap : HTTP_FIELDS_MAX};
    fields->items = arena_alloc(arena, fields->cap * sizeof(*fields->items));
    return fields->items == NULL ? ERR_NOMEM : OK;
}

enum err
http_fields_add(struct http_fields *fields, struct slice name, struct slice value)
{
    struct http_field *field;

    if (fields->n == fields->cap)
        return ERR_LIMIT;
    field = &fields->items[fields->n++];
    field->name = name;
    field->value = value;
    field->token = http_token_from(name);
    field->nominated = false;
    if (field->token != HTTP_UNKNOWN && fields->first[field->token] == 0)
        fields->first[field->token] = (uint8_t)fields->n;
    return OK;
}

const struct http_field *
http_fields_get(const struct http_fields *fields, enum http_token token)
{
    return fields->first[token] == 0 ? NULL : &fields->items[fields->first[token] - 1];
}

/* The first field from position `from` on that is called like `name` (`token`, when known). */
static const struct http_field *
find_from(const struct http_fields *fields, unsigned from, enum http_token token, struct slice name)
{
    for (unsigned i = from; i < fields->n; i++) {
        const struct http_field *field = &fields->items[i];

        if (field->token != token)
            continue;
        if (token != HTTP_UNKNOWN || slice_equal_nocase(field->name, name))
            return field;
    }
    return NULL;
}

const struct http_field *
http_fields_next(const struct http_fields *fields, const struct http_field *prev)
{
    return find_from(fields, (unsigned)(prev - fields->items) + 1, prev->token, prev->name);
}

const struct http_field *
http_fields_find(const struct http_fields *fields, struct slice name)
{
    enum http_token token = http_token_from(name);

    return token != HTTP_UNKNOWN ? http_fields_get(fields, token)
                                 : find_from(fields, 0, HTTP_UNKNOWN, name);
}

bool
http_fields_has(const struct http_fields *fields, enum http_token token)
{
    return fields->first[token] != 0;
}

unsigned
http_fields_count(const struct http_fields *fields, enum http_token token)
{
    const struct http_field *field = http_fields_get(fields, token);
    unsigned n = 0;

    for (; field != NULL; field = http_fields_next(fields, field))
        n++;
    return n;
}

/* --- what is not for the next hop --- */

static void
nominate_name(struct http_fields *fields, struct slice name)
{
    for (unsigned i = 0; i < fields->n; i++)
        if (fields->items[i].token == HTTP_UNKNOWN &&
            slice_equal_nocase(fields->items[i].name, name))
            fields->items[i].nominated = true;
}

static enum err
nominate(struct http_fields *fields, bool refuse_end_to_end)
{
    struct http_list list;
    struct slice option;
    unsigned options_n = 0;

    for (unsigned i = 0; i < fields->n; i++)
        fields->items[i].nominated = (known[fields->items[i].token].flags & F_HOP) != 0;
    http_list_begin(&list, fields, HTTP_CONNECTION);
    while (http_list_next(&list, &option)) {
        enum http_token token = http_token_from(option);

        if (++options_n > HTTP_OPTIONS_MAX || !http_is_token(option))
            return ERR_SYNTAX;
        if (token == HTTP_UNKNOWN)
            nominate_name(fields, option);
        else if (refuse_end_to_end && (known[token].flags & F_HOP) == 0)
            return ERR_SYNTAX;
    }
    return OK;
}

enum err
http_fields_nominate(struct http_fields *fields)
{
    return nominate(fields, true);
}

enum err
http_fields_nominate_response(struct http_fields *fields)
{
    return nominate(fields, false);
}

/* --- status codes --- */

const char *
http_reason(unsigned status)
{
    static const char *const reasons[600] = {
        [100] = "Continue",
        [101] = "Switching Protocols",
        [102] = "Processing",
        [103] = "Early Hints",
        [200] = "OK",
        [201] = "Created",
        [202] = "Accepted",
        [203] = "Non-Authoritative Information",
        [204] = "No Content",
        [205] = "Reset Content",
        [206] = "Partial Content",
        [207] = "Multi-Status",
        [208] = "Already Reported",
        [226] = "IM Used",
        [300] = "Multiple Choices",
        [301] = "Moved Permanently",
        [302] = "Found",
        [303] = "See Other",
        [304] = "Not Modified",
        [305] = "Use Proxy",
        [307] = "Temporary Redirect",
        [308] = "Permanent Redirect",
        [400] = "Bad Request",
        [401] = "Unauthorized",
        [402] = "Payment Required",
        [403] = "Forbidden",
        [404] = "Not Found",
        [405] = "Method Not Allowed",
        [406] = "Not Acceptable",
        [407] = "Proxy Authentication Required",
        [408] = "Request Timeout",
        [409] = "Conflict",
        [410] = "Gone",
        [411] = "Length Required",
        [412] = "Precondition Failed",
        [413] = "Content Too Large",
        [414] = "URI Too Long",
        [415] = "Unsupported Media Type",
        [416] = "Range Not Satisfiable",
        [417] = "Expectation Failed",
        [421] = "Misdirected Request",
        [422] = "Unprocessable Content",
        [423] = "Locked",
        [424] = "Failed Dependency",
        [425] = "Too Early",
        [426] = "Upgrade Required",
        [428] = "Precondition Required",
        [429] = "Too Many Requests",
        [431] = "Request Header Fields Too Large",
        [451] = "Unavailable For Legal Reasons",
        [500] = "Internal Server Error",
        [501] = "Not Implemented",
        [502] = "Bad Gateway",
        [503] = "Service Unavailable",
        [504] = "Gateway Timeout",
        [505] = "HTTP Version Not Supported",
        [506] = "Variant Also Negotiates",
        [507] = "Insufficient Storage",
        [508] = "Loop Detected",
        [511] = "Network Authentication Required",
    };

    return status < ARRAY_LEN(reasons) && reasons[status] != NULL ? reasons[status] : "Unknown";
}

/* --- a head being written --- */

enum { OUT_CAP_MIN = 256 };

void
http_out_init(struct http_out *out, struct arena *arena, size_t cap_hint)
{
    *out = (struct http_out){.arena = arena};
    if (cap_hint == 0)
        return;
    out->buf = arena_alloc(arena, cap_hint);
    if (out->buf == NULL)
        out->rc = ERR_NOMEM;
    else
        out->cap = cap_hint;
}

/* Room for `len` more bytes; NULL when there is none, now or earlier. The old buffer stays with the
 * arena, so the doubling wastes at most as much as is used. */
static char *
reserve(struct http_out *out, size_t len)
{
    size_t need, cap;
    char *buf;

    if (UNLIKELY(out->rc != OK))
        return NULL;
    if (LIKELY(out->cap - out->len >= len))
        return out->buf + out->len;
    if (__builtin_add_overflow(out->len, len, &need) || __builtin_mul_overflow(need, 2, &cap))
        cap = SIZE_MAX; /* the arena refuses it */
    buf = arena_alloc(out->arena, cap < OUT_CAP_MIN ? OUT_CAP_MIN : cap);
    if (buf == NULL) {
        out->rc = ERR_NOMEM;
        return NULL;
    }
    if (out->len > 0)
        memcpy(buf, out->buf, out->len);
    out->buf = buf;
    out->cap = cap < OUT_CAP_MIN ? OUT_CAP_MIN : cap;
    return buf + out->len;
}

static char *
put(char *at, struct slice text)
{
    if (text.len > 0)
        memcpy(at, text.ptr, text.len);
    return at + text.len;
}

void
http_out_text(struct http_out *out, struct slice text)
{
    char *at = reserve(out, text.len);

    if (at == NULL)
        return;
    (void)put(at, text);
    out->len += text.len;
}

void
http_out_str(struct http_out *out, const char *text)
{
    http_out_text(out, slice_from_str(text));
}

void
http_out_u64(struct http_out *out, uint64_t n)
{
    char digits[U64_DIGITS_MAX];

    http_out_text(out, slice_from_u64(n, digits));
}

void
http_out_field(struct http_out *out, struct slice name, struct slice value)
{
    size_t len;
    char *at;

    if (__builtin_add_overflow(name.len, value.len, &len) || __builtin_add_overflow(len, 4, &len))
        len = SIZE_MAX;
    at = reserve(out, len);
    if (at == NULL)
        return;
    at = put(at, name);
    at = put(at, SLICE(": "));
    at = put(at, value);
    (void)put(at, SLICE("\r\n"));
    out->len += len;
}

void
http_out_field_str(struct http_out *out, const char *name, const char *value)
{
    http_out_field(out, slice_from_str(name), slice_from_str(value));
}

void
http_out_field_u64(struct http_out *out, const char *name, uint64_t n)
{
    char digits[U64_DIGITS_MAX];

    http_out_field(out, slice_from_str(name), slice_from_u64(n, digits));
}

void
http_out_status(struct http_out *out, unsigned status, struct slice reason)
{
    http_out_text(out, SLICE("HTTP/1.1 "));
    http_out_u64(out, status);
    http_out_text(out, SLICE(" "));
    http_out_text(out, reason);
    http_out_text(out, SLICE("\r\n"));
}

struct slice
http_out_slice(const struct http_out *out)
{
    return out->rc == OK ? slice_of(out->buf, out->len) : SLICE_NONE;
}
