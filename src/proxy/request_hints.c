/* 103 (Early Hints) of brink's own: while the origin is waited for, the client learns what the
 * stored response, which may not be used yet, linked to. RFC 8297. */
#include "base/stats.h"
#include "cache/hints.h"
#include "proxy/request_impl.h"

void
request_plan_hints(struct request *req, const struct lookup_finding *finding)
{
    struct slice lines;
    struct http_out out;

    if (!req->site->early_hints || req->hinted || !finding->found || req->http.minor == 0 ||
        req->http.method != METHOD_GET)
        return;
    req->hinted = true;
    if (hints_build(&req->arena, finding->stored.head, &lines) != OK || lines.len == 0)
        return; /* they are hints: without them it is only later */
    http_out_init(&out, &req->arena, lines.len + 64);
    http_out_status(&out, 103, slice_from_str(http_reason(103)));
    http_out_text(&out, lines);
    http_out_str(&out, "\r\n");
    req->hints = http_out_slice(&out); /* empty without memory */
}

void
request_send_hints(struct request *req)
{
    struct slice head = req->hints;

    req->hints = SLICE_NONE;
    if (head.len == 0 || req->state != REQUEST_PARKED)
        return;
    STAT_INC(early_hints);
    req->carrier.on_interim(req->carrier.arg, head);
}
