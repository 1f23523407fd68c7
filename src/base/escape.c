/* One character at a time: decoded, judged, and copied or escaped. */
#include "base/escape.h"

static const char hex[] = "0123456789abcdef";

/* The UTF-8 character at the start of `text`: its bytes, 0 when it is none. RFC 3629 section 4. */
static size_t
decode(struct slice text, uint32_t *out)
{
    static const uint32_t least[] = {0, 0, 0x80, 0x800, 0x10000};
    const unsigned char *c = (const unsigned char *)text.ptr;
    size_t len = c[0] < 0x80 ? 1 : c[0] < 0xc0 ? 0 : c[0] < 0xe0 ? 2 : c[0] < 0xf0 ? 3 : 4;
    uint32_t code = len == 1 ? c[0] : c[0] & (0x7fu >> len);

    if (len == 0 || c[0] > 0xf4 || text.len < len)
        return 0;
    for (size_t i = 1; i < len; i++) {
        if ((c[i] & 0xc0) != 0x80)
            return 0;
        code = code << 6 | (c[i] & 0x3fu);
    }
    if (code < least[len] || code > 0x10ffff || (code >= 0xd800 && code <= 0xdfff))
        return 0; /* overlong, past the end, or half of a pair */
    *out = code;
    return len;
}

static bool
is_unsafe(uint32_t code)
{
    return code < 0x20 || (code >= 0x7f && code <= 0x9f) || code == 0x61c || code == 0x200e ||
           code == 0x200f || (code >= 0x2028 && code <= 0x202e) ||
           (code >= 0x2066 && code <= 0x2069) || code == 0xfeff;
}

static size_t
put_bytes(struct slice bytes, char *out)
{
    size_t n = 0;

    for (size_t i = 0; i < bytes.len; i++) {
        unsigned char c = (unsigned char)bytes.ptr[i];

        out[n++] = '\\';
        out[n++] = 'x';
        out[n++] = hex[c >> 4];
        out[n++] = hex[c & 15];
    }
    return n;
}

/* What is unsafe lies below U+10000, so that no surrogates are needed. */
static size_t
put_code(uint32_t code, char *out)
{
    out[0] = '\\';
    out[1] = 'u';
    for (unsigned i = 0; i < 4; i++)
        out[2 + i] = hex[code >> (12 - 4 * i) & 15];
    return 6;
}

/* The character at the start of *rest, which is not empty; at most 16 bytes. */
static size_t
put_next(enum escape_form form, struct slice *rest, char *out)
{
    uint32_t code = (unsigned char)rest->ptr[0];
    size_t len = decode(*rest, &code);
    struct slice whole = slice_first(*rest, len == 0 ? 1 : len);

    *rest = slice_skip(*rest, whole.len);
    if ((code == '"' || code == '\\') && form != ESCAPE_SHOWN) {
        out[0] = '\\';
        out[1] = (char)code;
        return 2;
    }
    if (len > 0 && !is_unsafe(code) && (form != ESCAPE_ASCII || len == 1)) {
        memcpy(out, whole.ptr, len);
        return len;
    }
    return form == ESCAPE_JSON ? put_code(code, out) : put_bytes(whole, out);
}

size_t
escape_write(enum escape_form form, struct slice *rest, char *out, size_t cap)
{
    size_t n = 0;

    while (rest->len > 0) {
        struct slice after = *rest;
        char next[16];
        size_t len = put_next(form, &after, next);

        if (len > cap - n)
            break;
        memcpy(out + n, next, len);
        n += len;
        *rest = after;
    }
    return n;
}
