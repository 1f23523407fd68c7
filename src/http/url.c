/* Authorities, targets and references. RFC 3986 by the letter where a peer's bytes are judged, with
 * the one exception that url.h tells. */
#include "http/url.h"

#include <stdio.h>

#include "http/chars.h"

enum { PORT_DIGITS_MAX = 5, IPV6_PIECES = 8 };

/* --- authorities --- */

/* "%" and two hex digits at the start. */
static bool
is_pct(struct slice text)
{
    return text.len >= 3 && text.ptr[0] == '%' && char_is(text.ptr[1], CH_HEX) &&
           char_is(text.ptr[2], CH_HEX);
}

/* All of `class` or percent-encoded. */
static bool
all_or_pct(struct slice text, unsigned class)
{
    for (;;) {
        text = slice_skip(text, chars_span(text, class));
        if (text.len == 0)
            return true;
        if (!is_pct(text))
            return false;
        text = slice_skip(text, 3);
    }
}

/* dec-octet "." dec-octet "." dec-octet "." dec-octet; no leading zeros. */
static bool
is_ipv4(struct slice text)
{
    for (unsigned i = 0; i < 4; i++) {
        struct slice octet;
        uint64_t n;

        if (slice_cut(&text, '.', &octet) != (i < 3))
            return false;
        if (octet.len > 3 || !slice_to_u64(octet, &n) || n > 255)
            return false;
        if (octet.len > 1 && octet.ptr[0] == '0')
            return false;
    }
    return true;
}

/* IPv6address of RFC 3986: eight pieces of 16 bits, the last two perhaps as IPv4, one run of zero
 * pieces perhaps as "::". */
static bool
is_ipv6(struct slice text)
{
    unsigned pieces = 0;
    bool gap = false;

    if (slice_starts(text, SLICE("::"))) {
        gap = true;
        text = slice_skip(text, 2);
    }
    while (text.len > 0) {
        size_t len = chars_span(text, CH_HEX);

        if (len < text.len && text.ptr[len] == '.') {
            pieces += 2;
            return is_ipv4(text) && (gap ? pieces < IPV6_PIECES : pieces == IPV6_PIECES);
        }
        if (len == 0 || len > 4)
            return false;
        pieces++;
        text = slice_skip(text, len);
        if (text.len == 0)
            break;
        if (slice_starts(text, SLICE("::"))) {
            if (gap)
                return false;
            gap = true;
            text = slice_skip(text, 2);
            continue;
        }
        if (text.ptr[0] != ':' || text.len == 1)
            return false;
        text = slice_skip(text, 1);
    }
    return gap ? pieces < IPV6_PIECES : pieces == IPV6_PIECES;
}

/* The text after the host: nothing, ":" or ":" and digits. Port 0 is no port that TCP could use. */
static bool
parse_port(struct slice text, uint16_t *out)
{
    uint64_t port = 0;

    if (text.len > 0) {
        if (text.ptr[0] != ':' || text.len > 1 + PORT_DIGITS_MAX)
            return false;
        text = slice_skip(text, 1);
        if (text.len > 0 && (!slice_to_u64(text, &port) || port == 0 || port > UINT16_MAX))
            return false;
    }
    *out = (uint16_t)port;
    return true;
}

enum err
url_parse_authority(struct slice text, struct slice *out_host, uint16_t *out_port)
{
    struct slice host;
    size_t end;
    uint16_t port;

    if (text.len > 0 && text.ptr[0] == '[') {
        if (!slice_find(text, ']', &end) || !is_ipv6(slice_of(text.ptr + 1, end - 1)))
            return ERR_SYNTAX;
        end++;
    } else {
        if (!slice_find(text, ':', &end))
            end = text.len;
        /* RFC 9110 section 4.2.1: an empty host is invalid */
        if (end == 0 || !all_or_pct(slice_first(text, end), CH_REGNAME))
            return ERR_SYNTAX;
    }
    host = slice_first(text, end);
    if (!parse_port(slice_skip(text, end), &port))
        return ERR_SYNTAX;
    *out_host = host;
    *out_port = port;
    return OK;
}

static uint16_t
default_port(struct slice scheme)
{
    return slice_is_nocase(scheme, "http") ? 80 : slice_is_nocase(scheme, "https") ? 443 : 0;
}

static bool
has_upper(struct slice text)
{
    for (size_t i = 0; i < text.len; i++)
        if (text.ptr[i] >= 'A' && text.ptr[i] <= 'Z')
            return true;
    return false;
}

/* No port, or one that stays and is written without zeros in front. */
static bool
port_is_normal(struct slice authority, struct slice host, uint16_t port, uint16_t dropped)
{
    if (authority.len == host.len)
        return true;
    return port != 0 && port != dropped && authority.ptr[host.len + 1] != '0';
}

enum err
url_normal_host(struct arena *arena, struct slice scheme, struct slice authority, struct slice *out)
{
    struct slice host;
    uint16_t port, dropped = default_port(scheme);
    char *text;
    size_t len;

    if (url_parse_authority(authority, &host, &port) != OK)
        return ERR_SYNTAX;
    if (!has_upper(host) && port_is_normal(authority, host, port, dropped)) {
        *out = authority;
        return OK;
    }
    text = arena_alloc(arena, host.len + 1 + PORT_DIGITS_MAX + 1);
    if (text == NULL)
        return ERR_NOMEM;
    for (len = 0; len < host.len; len++)
        text[len] = char_lower(host.ptr[len]);
    if (port != 0 && port != dropped)
        len += (size_t)snprintf(text + len, 1 + PORT_DIGITS_MAX + 1, ":%u", (unsigned)port);
    *out = slice_of(text, len);
    return OK;
}

/* --- targets and URLs --- */

enum err
url_check_target(struct slice target)
{
    size_t path_len = target.len;

    (void)slice_find(target, '?', &path_len);
    return all_or_pct(slice_first(target, path_len), CH_PATH) &&
                   all_or_pct(slice_skip(target, path_len), CH_QUERY)
               ? OK
               : ERR_SYNTAX;
}

/* What stands before the first of `stops`. */
static struct slice
before_any(struct slice text, const char *stops)
{
    size_t n = 0;

    while (n < text.len && (text.ptr[n] == '\0' || strchr(stops, text.ptr[n]) == NULL))
        n++;
    return slice_first(text, n);
}

/* "/path?query" in two. */
static void
split_query(struct slice text, struct slice *out_path, struct slice *out_query)
{
    *out_path = before_any(text, "?");
    *out_query = slice_skip(text, out_path->len);
}

enum err
url_parse(struct slice text, struct url *out)
{
    struct url url;
    size_t colon;

    if (!slice_find(text, ':', &colon))
        return ERR_SYNTAX;
    url.scheme = slice_first(text, colon);
    text = slice_skip(text, colon);
    if (default_port(url.scheme) == 0 || !slice_starts(text, SLICE("://")))
        return ERR_SYNTAX;
    text = slice_skip(text, 3);
    /* user information is refused by the "@", a fragment by the "#": no class holds them */
    url.authority = before_any(text, "/?#");
    text = slice_skip(text, url.authority.len);
    if (url_parse_authority(url.authority, &url.host, &url.port) != OK ||
        url_check_target(text) != OK)
        return ERR_SYNTAX;
    split_query(text, &url.path, &url.query);
    if (url.path.len == 0)
        url.path = SLICE("/");
    *out = url;
    return OK;
}

/* --- references --- */

/* Drops "/./" and "/../" from the path of `len` bytes in place; returns its new length. Each byte
 * is written once and taken back at most once. RFC 3986 section 5.2.4. */
static size_t
remove_dots(char *path, size_t len)
{
    size_t from = 0, to = 0;

    while (from < len) { /* at a "/" */
        const char *slash = memchr(path + from + 1, '/', len - from - 1);
        size_t end = slash == NULL ? len : (size_t)(slash - path);
        struct slice segment = slice_of(path + from + 1, end - from - 1);
        bool dot = slice_is(segment, "."), dots = slice_is(segment, "..");

        if (dots) {
            while (to > 0 && path[--to] != '/')
                continue;
        }
        if (!dot && !dots) {
            memmove(path + to, path + from, end - from);
            to += end - from;
        } else if (end == len) {
            path[to++] = '/'; /* a last dot segment names the folder */
        }
        from = end;
    }
    return to;
}

/* The folder of a base path: up to its last "/". */
static struct slice
folder_of(struct slice path)
{
    while (path.len > 0 && path.ptr[path.len - 1] != '/')
        path.len--;
    return path;
}

/* scheme "://" authority, path (in two pieces) and query as one text. */
static enum err
compose(struct arena *arena, const struct url *target, struct slice folder, struct slice *out)
{
    const bool rooted = folder.len > 0 || slice_starts(target->path, SLICE("/"));
    const struct slice pieces[] = {target->scheme,    SLICE("://"),
                                   target->authority, rooted ? folder : SLICE("/"),
                                   target->path,      target->query};
    size_t len = 0, path_at, path_len;
    char *text;

    for (size_t i = 0; i < ARRAY_LEN(pieces); i++)
        if (__builtin_add_overflow(len, pieces[i].len, &len))
            return ERR_NOMEM;
    text = arena_alloc(arena, len);
    if (text == NULL)
        return ERR_NOMEM;
    len = 0;
    for (size_t i = 0; i < ARRAY_LEN(pieces); i++) {
        if (pieces[i].len > 0)
            memcpy(text + len, pieces[i].ptr, pieces[i].len);
        len += pieces[i].len;
    }
    path_at = pieces[0].len + pieces[1].len + pieces[2].len;
    path_len = remove_dots(text + path_at, len - path_at - target->query.len);
    memmove(text + path_at + path_len, text + len - target->query.len, target->query.len);
    *out = slice_of(text, path_at + path_len + target->query.len);
    return OK;
}

/* A scheme at the start: ALPHA *( ALPHA / DIGIT / "+" / "-" / "." ) ":". */
static bool
has_scheme(struct slice reference)
{
    struct slice before = before_any(reference, ":/?#");

    return before.len < reference.len && reference.ptr[before.len] == ':';
}

enum err
url_resolve(struct arena *arena, const struct url *base, struct slice reference, struct slice *out)
{
    struct url target = *base;
    struct slice folder = SLICE_NONE;
    uint16_t port;
    struct slice host;

    reference = before_any(reference, "#");
    if (has_scheme(reference)) {
        if (url_parse(reference, &target) != OK)
            return ERR_SYNTAX;
        return compose(arena, &target, folder, out);
    }
    if (slice_starts(reference, SLICE("//"))) {
        target.authority = before_any(slice_skip(reference, 2), "/?");
        if (url_parse_authority(target.authority, &host, &port) != OK)
            return ERR_SYNTAX;
        reference = slice_skip(reference, 2 + target.authority.len);
        target.path = SLICE("/");
        target.query = SLICE_NONE;
    }
    if (url_check_target(reference) != OK)
        return ERR_SYNTAX;
    if (reference.len > 0) {
        split_query(reference, &reference, &target.query);
        if (reference.len > 0 && reference.ptr[0] != '/')
            folder = folder_of(target.path);
        if (reference.len > 0)
            target.path = reference;
    }
    return compose(arena, &target, folder, out);
}
