/* Heads of partial replies, and what stands between the parts of several. RFC 9110 section 15.3.7.
 *
 * A stored head says how the whole is: of its lines, Content-Range meant nothing there (section
 * 14.4) and would stand beside ours; several parts have each the Content-Type of the whole, and the
 * message has its own; and a digest of its content is not that of a part. */
#include "proxy/reply.h"

#include <stdio.h>

#include "cache/validate.h"

enum { BOUNDARY_LEN = 32 };

struct boundary {
    char text[BOUNDARY_LEN + 1];
};

/* It occurs in no body by chance, and nobody outside knows it before (section 15.3.7.2). */
static void
make_boundary(struct proxy_shared *shared, struct boundary *out)
{
    (void)snprintf(out->text, sizeof(out->text), "%016llx%016llx",
                   (unsigned long long)proxy_nonce(shared),
                   (unsigned long long)proxy_nonce(shared));
}

static bool
is_named(struct slice line, const char *name)
{
    struct slice before;

    return slice_cut(&line, ':', &before) && slice_is_nocase(before, name);
}

static bool
is_of_whole(struct slice line)
{
    struct slice name;

    return is_named(line, "content-range") ||
           (slice_cut(&line, ':', &name) && validate_is_of_content(name));
}

/* The stored head's lines behind another status line. */
static void
put_lines(struct http_out *out, struct slice stored, bool with_type)
{
    struct slice line;

    http_out_status(out, 206, SLICE("Partial Content"));
    (void)slice_cut(&stored, '\n', &line);
    while (stored.len > 0) {
        (void)slice_cut(&stored, '\n', &line);
        if (is_of_whole(line) || (!with_type && is_named(line, "content-type")))
            continue;
        http_out_text(out, line);
        http_out_str(out, "\n");
    }
}

static void
put_content_range(struct http_out *out, const struct range *range, uint64_t length)
{
    http_out_str(out, "Content-Range: bytes ");
    http_out_u64(out, range->first);
    http_out_str(out, "-");
    http_out_u64(out, range->first + range->len - 1);
    http_out_str(out, "/");
    http_out_u64(out, length);
    http_out_str(out, "\r\n");
}

enum err
reply_part_head(struct request *req, const struct reply_source *source, const struct range *range,
                struct slice *out_head)
{
    struct http_out out;

    http_out_init(&out, &req->arena, source->head.len + 128);
    put_lines(&out, source->head, true);
    put_content_range(&out, range, source->length);
    *out_head = http_out_slice(&out);
    return out.rc;
}

static void
put_type_lines(struct http_out *out, struct slice stored)
{
    struct slice line;

    while (stored.len > 0) {
        (void)slice_cut(&stored, '\n', &line);
        if (!is_named(line, "content-type"))
            continue;
        http_out_text(out, line);
        http_out_str(out, "\n");
    }
}

/* What goes before a part: the delimiter of RFC 2046 section 5.1.1 and the part's own fields. */
static enum err
build_lead(struct request *req, const struct reply_source *source, const struct boundary *boundary,
           const struct range *range, bool is_first, struct slice *out_text)
{
    struct http_out out;

    http_out_init(&out, &req->arena, 256);
    http_out_str(&out, is_first ? "--" : "\r\n--");
    http_out_str(&out, boundary->text);
    http_out_str(&out, "\r\n");
    put_type_lines(&out, source->head);
    put_content_range(&out, range, source->length);
    http_out_str(&out, "\r\n");
    *out_text = http_out_slice(&out);
    return out.rc;
}

static enum err
build_parts(struct request *req, const struct reply_source *source, const struct range_set *set,
            const struct boundary *boundary, struct reply_multipart *out)
{
    struct deliver_part *end;
    enum err rc = OK;

    out->parts_n = set->n + 1;
    out->parts = arena_alloc(&req->arena, out->parts_n * sizeof(*out->parts));
    if (out->parts == NULL)
        return ERR_NOMEM;
    for (size_t i = 0; i < set->n && rc == OK; i++) {
        struct deliver_part *part = &out->parts[i];

        *part = (struct deliver_part){.first = set->parts[i].first, .len = set->parts[i].len};
        rc = build_lead(req, source, boundary, &set->parts[i], i == 0, &part->text);
        out->length += part->text.len + part->len;
    }
    end = &out->parts[set->n];
    *end = (struct deliver_part){.len = 0};
    if (rc == OK)
        rc = arena_printf(&req->arena, &end->text, "\r\n--%s--\r\n", boundary->text);
    out->length += end->text.len;
    return rc;
}

enum err
reply_multipart(struct request *req, const struct reply_source *source, const struct range_set *set,
                struct reply_multipart *out)
{
    struct boundary boundary;
    struct http_out head;

    *out = (struct reply_multipart){.length = 0};
    make_boundary(req->proxy->shared, &boundary);
    http_out_init(&head, &req->arena, source->head.len + 128);
    put_lines(&head, source->head, false);
    http_out_str(&head, "Content-Type: multipart/byteranges; boundary=");
    http_out_str(&head, boundary.text);
    http_out_str(&head, "\r\n");
    out->head = http_out_slice(&head);
    return head.rc == OK ? build_parts(req, source, set, &boundary, out) : head.rc;
}
