/* URLs. The first line is a base, the rest a reference: what they resolve to is a URL, resolves to
 * itself, and its host is normal after one step. */
#include "http/url.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t len);

/* No "/./" and no "/../" is left in a resolved path. */
static void
check_no_dots(struct slice path)
{
    while (path.len > 0) {
        struct slice segment;

        (void)slice_cut(&path, '/', &segment);
        ASSERT(!slice_is(segment, ".") && !slice_is(segment, ".."));
    }
}

static void
check_host(struct arena *arena, const struct url *url)
{
    struct slice once = SLICE_NONE, twice = SLICE_NONE, host;
    uint16_t port;

    if (url_normal_host(arena, url->scheme, url->authority, &once) != OK ||
        url_normal_host(arena, url->scheme, once, &twice) != OK ||
        url_parse_authority(once, &host, &port) != OK)
        UNREACHABLE();
    ASSERT(once.ptr == twice.ptr && once.len == twice.len);
    ASSERT(slice_equal_nocase(host, url->host));
}

static void
check_reference(struct arena *arena, const struct url *base, struct slice reference)
{
    struct slice once, twice = SLICE_NONE;
    struct url url;

    if (url_resolve(arena, base, reference, &once) != OK)
        return;
    if (url_parse(once, &url) != OK || url_resolve(arena, base, once, &twice) != OK)
        UNREACHABLE();
    ASSERT(slice_equal(once, twice));
    ASSERT(url.path.ptr[0] == '/');
    check_no_dots(url.path);
    check_host(arena, &url);
}

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t len)
{
    struct slice rest = slice_of(data, len), line;
    struct arena arena;
    struct url base;

    if (len == 0)
        return 0;
    (void)slice_cut(&rest, '\n', &line);
    ASSERT(url_check_target(line) == OK || url_check_target(line) == ERR_SYNTAX);
    arena_init(&arena, 0);
    if (url_parse(line, &base) == OK) {
        ASSERT(url_check_target(base.path) == OK && url_check_target(base.query) == OK);
        check_host(&arena, &base);
        check_reference(&arena, &base, rest);
    }
    arena_fini(&arena);
    return 0;
}
