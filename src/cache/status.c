/* The Cache-Status field, written by hand: it is on the way of every hit. */
#include "cache/status.h"

enum { NODE_MAX = 96 };
/* Name and CRLF, the longest forward reason and status, the flags, a signed 64-bit ttl, a detail, a
 * key. */
static_assert(16 + NODE_MAX + 16 + 24 + 20 + 29 + 40 + 6 + CACHE_STATUS_KEY_MAX <= CACHE_STATUS_MAX,
              "all parameters fit");

static char *
put(char *at, const char *text, size_t len)
{
    memcpy(at, text, len);
    return at + len;
}

#define PUT(at, literal) put(at, literal, sizeof(literal) - 1)

static char *
put_number(char *at, int64_t n)
{
    char digits[U64_DIGITS_MAX];
    struct slice text = slice_from_u64(n < 0 ? 0 - (uint64_t)n : (uint64_t)n, digits);

    if (n < 0)
        *at++ = '-';
    memcpy(at, text.ptr, text.len);
    return at + text.len;
}

static char *
put_forward(char *at, const struct cache_status *status)
{
    const char *fwd = cache_reason_fwd(status->fwd);

    if (fwd[0] != '\0') {
        at = PUT(at, "; fwd=");
        at = put(at, fwd, strlen(fwd));
    }
    if (status->fwd_status != 0) {
        at = PUT(at, "; fwd-status=");
        at = put_number(at, status->fwd_status);
    }
    if (status->stored)
        at = PUT(at, "; stored");
    if (status->collapsed)
        at = PUT(at, "; collapsed");
    else if (status->uncollapsed)
        at = PUT(at, "; collapsed=?0");
    return at;
}

/* RFC 9651 section 4.1.6. NULL: it cannot be said, or takes too long. */
static char *
put_string(char *at, struct slice text)
{
    const char *limit = at + CACHE_STATUS_KEY_MAX - 1; /* the last quote's place */

    *at++ = '"';
    for (size_t i = 0; i < text.len; i++) {
        bool escape = text.ptr[i] == '"' || text.ptr[i] == '\\';

        if (text.ptr[i] < ' ' || text.ptr[i] > '~' || limit - at < 1 + escape)
            return NULL;
        if (escape)
            *at++ = '\\';
        *at++ = text.ptr[i];
    }
    *at++ = '"';
    return at;
}

static char *
put_key(char *at, struct slice key)
{
    char *end = put_string(at + strlen("; key="), key);

    if (end == NULL)
        return at;
    (void)PUT(at, "; key=");
    return end;
}

size_t
cache_status_line(const struct cache_status *status, char buf[CACHE_STATUS_MAX])
{
    const char *detail = cache_reason_detail(status->detail);
    char *at = PUT(buf, "Cache-Status: ");

    at = put(at, status->node, strnlen(status->node, NODE_MAX));
    if (status->hit)
        at = PUT(at, "; hit");
    else
        at = put_forward(at, status);
    if (status->has_ttl) {
        at = PUT(at, "; ttl=");
        at = put_number(at, status->ttl_s);
    }
    if (status->key.len > 0)
        at = put_key(at, status->key);
    if (detail[0] != '\0') {
        at = PUT(at, "; detail=");
        at = put(at, detail, strlen(detail));
    }
    at = PUT(at, "\r\n");
    return (size_t)(at - buf);
}
