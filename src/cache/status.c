/* The Cache-Status field, written by hand: it is on the way of every hit. */
#include "cache/status.h"

enum { NODE_MAX = 96 };
/* Name and CRLF, the longest forward reason and status, the flags, a signed 64-bit ttl, a detail.
 */
static_assert(16 + NODE_MAX + 16 + 24 + 20 + 26 + 40 <= CACHE_STATUS_MAX, "all parameters fit");

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
    return at;
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
    if (detail[0] != '\0') {
        at = PUT(at, "; detail=");
        at = put(at, detail, strlen(detail));
    }
    at = PUT(at, "\r\n");
    return (size_t)(at - buf);
}
