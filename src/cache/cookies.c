/* Cookies that a site has in its key, as a part of the secondary key's text. RFC 6265 section 5.4
 * says what clients send: "name=value" joined by "; ". What is read here is more than that, on
 * purpose: see cache/vary.h. */
#include "cache/vary.h"

/* A cookie off *rest, which begins behind a separator; *out_value reaches to the next ";", with the
 * "=" before it, and is empty when there is none. */
static void
take_cookie(struct slice *rest, struct slice *out_name, struct slice *out_value)
{
    struct slice cookie = *rest;
    size_t end = 0, name_len;

    while (end < rest->len && rest->ptr[end] != ';' && rest->ptr[end] != ',')
        end++;
    *rest = slice_skip(*rest, end < rest->len ? end + 1 : end);
    name_len = end;
    (void)slice_find(slice_first(cookie, end), '=', &name_len);
    *out_name = slice_trim(slice_first(cookie, name_len));
    cookie = slice_skip(cookie, name_len);
    (void)slice_cut(&cookie, ';', out_value);
    *out_value = slice_trim(*out_value);
}

static void
put_values(struct http_out *out, const struct http_fields *request, const char *wanted)
{
    static const char lines_mark = CACHE_LINES_MARK;
    const struct http_field *field = http_fields_get(request, HTTP_COOKIE);
    bool any = false;

    for (; field != NULL; field = http_fields_next(request, field)) {
        struct slice rest = field->value, name, value;

        while (rest.len > 0) {
            take_cookie(&rest, &name, &value);
            if (!slice_is(name, wanted))
                continue;
            http_out_text(out, any ? slice_of(&lines_mark, 1) : SLICE(": "));
            http_out_text(out, value);
            any = true;
        }
    }
}

enum err
cache_keyed_add_cookies(struct arena *arena, const char *const *cookies, size_t cookies_n,
                        const struct http_fields *request, struct slice *keyed)
{
    struct http_out out;

    if (cookies_n == 0)
        return OK;
    http_out_init(&out, arena, keyed->len + 128);
    http_out_text(&out, *keyed);
    for (size_t i = 0; i < cookies_n; i++) {
        http_out_str(&out, "=;");
        http_out_str(&out, cookies[i]);
        put_values(&out, request, cookies[i]);
        http_out_str(&out, "\n");
    }
    if (out.rc == OK)
        *keyed = http_out_slice(&out);
    return out.rc;
}
