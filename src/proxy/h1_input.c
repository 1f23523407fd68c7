/* Input of an HTTP/1 connection that cannot be used up at once: an unfinished head, requests behind
 * an exchange, a body that the origin does not take yet.
 *
 * What is read when nothing waits goes to the worker's scratch buffer, and is copied only if some
 * of it is left. Behind what waits is read in place, with room that doubles, and used input leaves
 * by moving an offset: however small the pieces, the cost is linear in the bytes. */
#include "base/stats.h"
#include "proxy/h1_impl.h"

enum { INPUT_MIN = 512, FULL_READ_LEN = 4096 };

struct slice
conn_input(const struct conn *conn)
{
    return conn->in == NULL ? SLICE_NONE : slice_of(conn->in + conn->in_off, conn_input_len(conn));
}

size_t
conn_input_len(const struct conn *conn)
{
    return conn->in_end - conn->in_off;
}

static bool
takes_body(const struct conn *conn)
{
    return conn->req != NULL && conn->body_open && request_takes_body(conn->req);
}

static size_t
least(size_t a, size_t b)
{
    return a < b ? a : b;
}

/* The most that may wait. Nothing past the request under way is read beyond pipeline_max; a head
 * that is larger, alone, must still fit. */
static size_t
input_max(const struct conn *conn)
{
    const struct proxy_settings *settings = conn->proxy->settings;
    size_t max = settings->pipeline_len;

    if (takes_body(conn) && conn->body.framing == FRAMING_LENGTH)
        max += (size_t)(conn->body.left < conn->proxy->scratch_len ? conn->body.left
                                                                   : conn->proxy->scratch_len);
    else if (conn->req == NULL && conn_input_len(conn) >= max)
        max = settings->head_limits.head_max + 1;
    return least(max, conn->proxy->scratch_len);
}

bool
conn_input_has_room(const struct conn *conn)
{
    return conn_input_len(conn) < input_max(conn);
}

static bool
account(struct conn *conn)
{
    return watch_input(&conn->proxy->watch, &conn->watch, conn->in_cap + conn->untaken_cap);
}

void
conn_free_input(struct conn *conn)
{
    if (conn->in == NULL)
        return;
    mem_free(conn->in);
    conn->in = NULL;
    conn->in_off = conn->in_end = conn->in_cap = 0;
    if (!account(conn))
        UNREACHABLE(); /* less is always fine */
}

static enum err
resize(struct conn *conn, size_t cap)
{
    char *grown = mem_realloc(conn->in, cap);

    if (grown == NULL)
        return ERR_NOMEM;
    conn->in = grown;
    conn->in_cap = cap;
    return account(conn) ? OK : ERR_LIMIT;
}

/* Room behind what waits: as much again, so that each byte is moved a bounded number of times. */
static enum err
make_room(struct conn *conn, size_t max)
{
    size_t len = conn_input_len(conn);
    size_t want = least(len < INPUT_MIN ? INPUT_MIN : 2 * len, max);

    if (conn->in_end < conn->in_cap)
        return OK;
    if (conn->in_off >= len) {
        memmove(conn->in, conn->in + conn->in_off, len);
        conn->in_off = 0;
        conn->in_end = len;
    }
    return conn->in_end < conn->in_cap ? OK : resize(conn, conn->in_off + want);
}

/* Where the next bytes go, and how many at most. */
static enum err
find_room(struct conn *conn, char **out_to, size_t *out_cap)
{
    size_t len = conn_input_len(conn), max = input_max(conn);
    enum err rc = OK;

    *out_to = conn->proxy->scratch;
    *out_cap = max;
    if (len > 0) {
        rc = make_room(conn, max);
        *out_to = conn->in + conn->in_end;
        *out_cap = least(conn->in_cap - conn->in_end, max - len);
    }
    if (conn->req != NULL && watch_input_is_full(&conn->proxy->watch))
        *out_cap = least(*out_cap, FULL_READ_LEN);
    return rc;
}

enum err
conn_read(struct conn *conn, struct slice *out)
{
    char *to;
    size_t cap, n;
    enum err rc = find_room(conn, &to, &cap);

    if (rc == OK)
        rc = chan_read(&conn->chan, to, cap, &n);
    if (rc != OK)
        return rc;
    STAT_ADD(client_bytes_in, n);
    if (takes_body(conn))
        conn->body_read_len += n;
    if (to == conn->proxy->scratch) {
        *out = slice_of(to, n);
    } else {
        conn->in_end += n;
        *out = conn_input(conn);
    }
    return OK;
}

/* `rest`: the end of what conn_read gave, or of what waits. */
enum err
conn_keep_input(struct conn *conn, struct slice rest)
{
    enum err rc;

    if (rest.len == 0) {
        conn_free_input(conn);
        return OK;
    }
    if (conn->in != NULL && rest.ptr >= conn->in && rest.ptr < conn->in + conn->in_cap) {
        conn->in_off = (size_t)(rest.ptr - conn->in);
        return OK;
    }
    conn->in_off = 0;
    rc = resize(conn, rest.len < INPUT_MIN ? INPUT_MIN : rest.len);
    if (rc != OK)
        return rc;
    memcpy(conn->in, rest.ptr, rest.len);
    conn->in_end = rest.len;
    return OK;
}

/* Decoded body bytes that the origin does not take yet. */
enum err
conn_keep_untaken(struct conn *conn, struct slice data)
{
    char *copy = mem_alloc(data.len);

    if (copy == NULL)
        return ERR_NOMEM;
    memcpy(copy, data.ptr, data.len);
    mem_free(conn->untaken_mem);
    conn->untaken_mem = copy;
    conn->untaken_cap = data.len;
    conn->untaken = slice_of(copy, data.len);
    return account(conn) ? OK : ERR_LIMIT;
}

void
conn_drop_untaken(struct conn *conn)
{
    conn->untaken = SLICE_NONE;
    if (conn->untaken_mem == NULL)
        return;
    mem_free(conn->untaken_mem);
    conn->untaken_mem = NULL;
    conn->untaken_cap = 0;
    if (!account(conn))
        UNREACHABLE();
}
