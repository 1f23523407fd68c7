/* Upgrade fields of requests and of 101 responses. */
#include "http/upgrade.h"

#include "http/field.h"

static bool
lists(const struct http_fields *fields, enum http_token token, const char *name)
{
    struct http_list list;
    struct slice member;

    http_list_begin(&list, fields, token);
    while (http_list_next(&list, &member))
        if (slice_is_nocase(member, name))
            return true;
    return false;
}

bool
upgrade_is_asked(const struct http_request *request)
{
    return http_fields_has(&request->fields, HTTP_UPGRADE) && request->minor >= 1 &&
           request->method == METHOD_GET &&
           (request->framing == FRAMING_NONE ||
            (request->framing == FRAMING_LENGTH && request->content_length == 0)) &&
           lists(&request->fields, HTTP_CONNECTION, "upgrade");
}

enum err
upgrade_choose(struct arena *arena, const struct http_fields *fields, const char *const *allowed,
               size_t allowed_n, struct slice *out)
{
    struct http_out text;

    http_out_init(&text, arena, 32);
    for (size_t i = 0; i < allowed_n; i++) {
        if (!lists(fields, HTTP_UPGRADE, allowed[i]))
            continue;
        if (text.len > 0)
            http_out_str(&text, ", ");
        http_out_str(&text, allowed[i]);
    }
    *out = http_out_slice(&text);
    return text.rc;
}

/* The only protocol that the response names: brink puts no layers of protocols on each other. */
static bool
only_protocol(const struct http_fields *fields, struct slice *out)
{
    struct http_list list;
    struct slice more;

    http_list_begin(&list, fields, HTTP_UPGRADE);
    return http_list_next(&list, out) && !http_list_next(&list, &more);
}

bool
upgrade_is_granted(const struct http_response *response, struct slice offered,
                   struct slice *out_protocol)
{
    struct slice granted;

    if (response->status != 101 || response->minor == 0 ||
        !lists(&response->fields, HTTP_CONNECTION, "upgrade") ||
        !only_protocol(&response->fields, &granted))
        return false;
    while (http_list_take(&offered, out_protocol))
        if (slice_equal_nocase(*out_protocol, granted))
            return true;
    return false;
}
