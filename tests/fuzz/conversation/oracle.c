/* See oracle.h. First what clients asked for is counted, then what origins were asked and said is
 * read, then what clients got is held against both. */
#include "oracle.h"

#include <stdio.h>
#include <stdlib.h>

#include "fake_net.h"
#include "wire.h"

enum { ANSWERS_MAX = 1024, ASKED_MAX = 512 };

/* A final response of an origin that carries an id of its own. */
struct answer {
    struct slice id;
    unsigned status;
    bool whole, is_head;
    uint64_t body_len, body_hash;
};

static struct {
    struct answer answers[ANSWERS_MAX];
    size_t answers_n;
    unsigned client_bodies_n, client_unsafe_n; /* requests that clients sent: whole ones with a */
    unsigned origin_bodies_n, origin_unsafe_n; /* body, heads that must not be sent twice */
} seen;

static void
finding(const char *what, const char *why, struct slice bytes)
{
    fprintf(stderr, "finding: %s%s%s\n%.*s\n", what, why == NULL ? "" : ": ",
            why == NULL ? "" : why, (int)(bytes.len < 2000 ? bytes.len : 2000), bytes.ptr);
    abort();
}

static bool
is_repeatable(struct slice method)
{
    static const char *const methods[] = {"GET",    "HEAD",  "OPTIONS", "PUT",
                                          "DELETE", "TRACE", "QUERY"};

    for (size_t i = 0; i < ARRAY_LEN(methods); i++)
        if (slice_is(method, methods[i]))
            return true;
    return false;
}

static bool
has_body(const struct wire_msg *msg)
{
    return msg->framing == WIRE_CHUNKED || (msg->framing == WIRE_LENGTH && msg->length > 0);
}

/* The content of a QUERY is kept and may go again: RFC 10008 section 2. */
static bool
counts_as_body(const struct wire_msg *msg)
{
    return has_body(msg) && !slice_is(msg->method, "QUERY");
}

/* --- requests of a client --- */

struct asked {
    size_t n;
    struct {
        struct slice method;
        unsigned minor;
        bool upgrade;
    } items[ASKED_MAX];
    bool and_more; /* what follows may be answered once more, with an error */
};

static void
read_requests(const struct peer *client, struct asked *asked)
{
    struct slice in = bytes_slice(&client->in);

    asked->n = 0;
    asked->and_more = false;
    while (in.len > 0) {
        struct wire_msg msg;
        enum wire_result result;

        for (int i = 0; i < 2 && slice_starts(in, SLICE("\r\n")); i++)
            in = slice_skip(in, 2); /* RFC 9112 section 2.2 */
        result = wire_request(in, &msg);
        if (asked->n == ASKED_MAX)
            return;
        asked->items[asked->n].method = msg.method;
        if (msg.method.len == 0) /* refused before it was read: as far as it can be seen */
            (void)slice_cut(&(struct slice){in.ptr, in.len}, ' ', &asked->items[asked->n].method);
        asked->items[asked->n].minor = msg.minor;
        asked->items[asked->n].upgrade = msg.upgrade;
        asked->and_more = in.len > 0;
        if (!msg.head_good)
            return;
        asked->n++;
        seen.client_unsafe_n += !is_repeatable(msg.method);
        seen.client_bodies_n += counts_as_body(&msg) && result == WIRE_WHOLE;
        asked->and_more = false;
        if (result != WIRE_WHOLE)
            return;
        in = slice_skip(in, msg.next);
    }
}

/* --- origins --- */

static void
note_answer(const struct wire_msg *msg, struct slice method, bool whole)
{
    if (msg->id.len == 0 || seen.answers_n == ANSWERS_MAX)
        return;
    seen.answers[seen.answers_n++] = (struct answer){
        .id = msg->id,
        .status = msg->status,
        .whole = whole,
        .is_head = slice_is(method, "HEAD"),
        .body_len = msg->body_len,
        .body_hash = msg->body_hash,
    };
}

/* The origin's next final response off *in. False: it said no more that could be one. */
static bool
read_answer(const struct peer *origin, struct slice *in, struct slice method, unsigned *out_status)
{
    for (;;) {
        struct wire_msg msg;
        enum wire_result result = wire_response(*in, method, origin->fin && !origin->reset, &msg);

        *out_status = msg.status;
        if (msg.status >= 200)
            note_answer(&msg, method, result == WIRE_WHOLE);
        if (result != WIRE_WHOLE)
            return false;
        *in = slice_skip(*in, msg.next);
        if (msg.status >= 200 || msg.status == 101)
            return true;
    }
}

static void
check_forwarded(const struct wire_msg *msg)
{
    if (msg->minor != 1)
        finding("a forwarded request is not HTTP/1.1", NULL, msg->head);
    if (msg->hosts_n != 1)
        finding("a forwarded request has not exactly one Host", NULL, msg->head);
    if (msg->hop_by_hop)
        finding("a hop-by-hop field was forwarded", NULL, msg->head);
    if (msg->upgrade != msg->connection_upgrade)
        finding("Upgrade without Connection, or the other way", NULL, msg->head);
    if (msg->close)
        finding("Connection: close was forwarded", NULL, msg->head);
}

/* A request that is not whole on a connection that ended as if all were well. */
static void
check_broken_off(const struct peer *origin, struct slice rest)
{
    if (origin->brink_closed && !origin->brink_aborted && !origin->reset && !origin->fin &&
        origin->in.len == 0)
        finding("a request was broken off without a reset", NULL, rest);
}

static void
judge_origin(const struct peer *origin)
{
    struct slice out = bytes_slice(&origin->out), in = bytes_slice(&origin->in);
    bool answered = true;

    while (out.len > 0) {
        struct wire_msg msg;
        enum wire_result result = wire_request(out, &msg);
        unsigned status = 0;

        if (result == WIRE_BAD)
            finding("what an origin was sent is no request", msg.why, out);
        if (!msg.head_good) { /* an origin may answer as soon as it has read a byte */
            check_broken_off(origin, out);
            (void)slice_cut(&(struct slice){out.ptr, out.len}, ' ', &msg.method);
            (void)read_answer(origin, &in, msg.method, &status);
            return;
        }
        check_forwarded(&msg);
        if (!answered)
            finding("a request on a connection whose answer is not whole", NULL, out);
        seen.origin_unsafe_n += !is_repeatable(msg.method);
        seen.origin_bodies_n += counts_as_body(&msg) && result == WIRE_WHOLE;
        answered = read_answer(origin, &in, msg.method, &status);
        if (result == WIRE_PART)
            check_broken_off(origin, out);
        if (status == 101 && msg.upgrade)
            return; /* what follows is not HTTP */
        out = slice_skip(out, msg.next);
    }
}

/* --- what clients got --- */

static const struct answer *
find_answer(struct slice id)
{
    for (size_t i = 0; i < seen.answers_n; i++)
        if (slice_equal(seen.answers[i].id, id))
            return &seen.answers[i];
    return NULL;
}

/* What is kept in slices is the body of several answers. */
static bool
may_be_sliced(struct slice head)
{
    struct slice line;

    while (head.len > 0) {
        (void)slice_cut(&head, '\n', &line);
        if (slice_is_nocase(slice_first(line, 14), "accept-ranges:"))
            return true;
    }
    return false;
}

/* A whole body is the origin's body, byte for byte, and the origin's was whole. */
static void
check_body(const struct wire_msg *msg, struct slice method)
{
    const struct answer *answer = find_answer(msg->id);

    if (msg->id.len == 0 || msg->status == 206 || msg->status == 304 || msg->status == 416 ||
        slice_is(method, "HEAD") || may_be_sliced(msg->head))
        return;
    if (answer == NULL)
        finding("an id that no origin gave", NULL, msg->head);
    if (answer->is_head || answer->status == 304)
        return; /* it lent its fields to what was stored before */
    if (answer->status != msg->status)
        finding("a response with another's status", NULL, msg->head);
    if (!answer->whole)
        finding("a response looks whole, and the origin's was not", NULL, msg->head);
    if (answer->body_len != msg->body_len || answer->body_hash != msg->body_hash)
        finding("a response with another's body", NULL, msg->head);
}

/* A request that was refused before its method was read is answered as if it were GET; nothing
 * follows such an answer, so HEAD's reader is not led astray by its body. */
static enum wire_result
read_response(struct slice out, struct slice method, bool ended, struct wire_msg *msg)
{
    enum wire_result result = wire_response(out, method, ended, msg);

    if (slice_is(method, "HEAD") && msg->status >= 400 && msg->close && msg->next < out.len)
        result = wire_response(out, SLICE("GET"), ended, msg);
    return result;
}

static void
check_head(const struct wire_msg *msg, unsigned minor)
{
    bool is_interim = msg->status < 200;

    if (msg->hop_by_hop)
        finding("a hop-by-hop field reached a client", NULL, msg->head);
    if (msg->minor != 1)
        finding("a response is not HTTP/1.1", NULL, msg->head);
    if (is_interim && minor == 0)
        finding("an interim response to HTTP/1.0", NULL, msg->head);
    if (msg->framing == WIRE_CHUNKED && minor == 0)
        finding("a chunked response to HTTP/1.0", NULL, msg->head);
    if (msg->framing == WIRE_CLOSE && minor > 0)
        finding("a response without framing", NULL, msg->head);
}

/* One final response, with the interim ones before it, off *out. False: no more can be read. */
static bool
judge_response(const struct peer *client, const struct asked *asked, size_t i, struct slice *out)
{
    struct slice method = i < ASKED_MAX ? asked->items[i].method : SLICE_NONE;
    unsigned minor = i < asked->n ? asked->items[i].minor : 1;
    bool ended = (client->brink_closed || client->brink_shut) && !client->brink_aborted;

    while (out->len > 0) {
        struct wire_msg msg;
        enum wire_result result = read_response(*out, method, ended, &msg);

        if (result == WIRE_BAD)
            finding("what a client was sent is no response", msg.why, *out);
        if (msg.head.len == 0)
            return false;
        if (i >= asked->n + asked->and_more)
            finding("a response to nothing", NULL, *out);
        check_head(&msg, minor);
        if (result == WIRE_PART)
            return false;
        *out = slice_skip(*out, msg.next);
        if (msg.status == 101) {
            if (!asked->items[i].upgrade)
                finding("101 to who had not asked", NULL, msg.head);
            return false; /* what follows is not HTTP */
        }
        if (msg.status < 200)
            continue;
        check_body(&msg, method);
        if (msg.close && out->len > 0)
            finding("bytes behind the last response", NULL, msg.head);
        return true;
    }
    return false;
}

static void
judge_client(const struct peer *client, const struct asked *asked)
{
    struct slice out = bytes_slice(&client->out);

    for (size_t i = 0; judge_response(client, asked, i, &out); i++)
        continue;
}

void
oracle_judge(void)
{
    static struct asked asked[PEERS_MAX];

    seen.answers_n = 0;
    seen.client_bodies_n = seen.client_unsafe_n = 0;
    seen.origin_bodies_n = seen.origin_unsafe_n = 0;
    for (size_t i = 0; i < net_peers_n(); i++) {
        if (net_peer(i)->is_origin)
            judge_origin(net_peer(i));
        else
            read_requests(net_peer(i), &asked[i]);
    }
    if (seen.origin_bodies_n > seen.client_bodies_n)
        finding("origins got more whole requests with a body than clients sent", NULL, SLICE_NONE);
    if (seen.origin_unsafe_n > seen.client_unsafe_n)
        finding("an unsafe request was sent twice", NULL, SLICE_NONE);
    for (size_t i = 0; i < net_peers_n(); i++)
        if (!net_peer(i)->is_origin)
            judge_client(net_peer(i), &asked[i]);
}
