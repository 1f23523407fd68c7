/* An HTTP/1.1 client for one request a connection. It asks for the end of the connection after the
 * answer, and takes as whole only what Content-Length says. */
#include "client.h"

#include <errno.h>
#include <netdb.h>
#include <stdlib.h>
#include <sys/socket.h>
#include <sys/time.h>
#include <unistd.h>

enum { TIMEOUT_S = 60, CONNECT_S = 5, REPLY_MAX = 64 << 20 };

/* "host:port" in two terminated texts. */
static bool
split_addr(const char *addr, char *host, size_t host_cap, char *port, size_t port_cap)
{
    const char *colon = strrchr(addr, ':');
    size_t len;

    if (colon == NULL || colon[1] == '\0' || colon == addr)
        return false;
    len = (size_t)(colon - addr);
    if (addr[0] == '[' && addr[len - 1] == ']') {
        addr++;
        len -= 2;
    }
    if (len == 0 || len >= host_cap || strlen(colon + 1) >= port_cap)
        return false;
    (void)snprintf(host, host_cap, "%.*s", (int)len, addr);
    (void)snprintf(port, port_cap, "%s", colon + 1);
    return true;
}

static void
set_timeout(int fd, int option, long seconds)
{
    struct timeval limit = {.tv_sec = seconds};

    (void)setsockopt(fd, SOL_SOCKET, option, &limit, sizeof(limit));
}

static int
connect_to(const struct addrinfo *found)
{
    int saved = ECONNREFUSED;

    for (; found != NULL; found = found->ai_next) {
        int fd = socket(found->ai_family, found->ai_socktype | SOCK_CLOEXEC, found->ai_protocol);

        if (fd == -1)
            continue;
        set_timeout(fd, SO_SNDTIMEO, CONNECT_S);
        set_timeout(fd, SO_RCVTIMEO, TIMEOUT_S);
        if (connect(fd, found->ai_addr, found->ai_addrlen) == 0)
            return fd;
        saved = errno == EINPROGRESS ? ETIMEDOUT : errno;
        (void)close(fd);
    }
    errno = saved;
    return -1;
}

static enum err
open_connection(const struct client *client, int *out_fd, char *why, size_t why_cap)
{
    const struct addrinfo hints = {.ai_socktype = SOCK_STREAM};
    struct addrinfo *found = NULL;
    char host[256], port[16];
    int rc, fd;

    if (!split_addr(client->addr, host, sizeof(host), port, sizeof(port))) {
        (void)snprintf(why, why_cap, "%s is not an address; write --admin HOST:PORT", client->addr);
        return ERR_SYNTAX;
    }
    rc = getaddrinfo(host, port, &hints, &found);
    if (rc != 0) {
        (void)snprintf(why, why_cap, "cannot reach %s: %s; write --admin HOST:PORT", client->addr,
                       gai_strerror(rc));
        return ERR_CONNECT;
    }
    fd = connect_to(found);
    if (fd == -1)
        (void)snprintf(why, why_cap, "cannot reach %s: %s; is brink running with --admin %s?",
                       client->addr, strerror(errno), client->addr);
    freeaddrinfo(found);
    if (fd == -1)
        return ERR_CONNECT;
    *out_fd = fd;
    return OK;
}

static bool
send_all(int fd, const char *data, size_t len)
{
    while (len > 0) {
        ssize_t n = send(fd, data, len, MSG_NOSIGNAL);

        if (n <= 0)
            return false;
        data += n;
        len -= (size_t)n;
    }
    return true;
}

static enum err
send_request(int fd, const struct client *client, const char *method, const char *target,
             const char *body)
{
    size_t body_len = body == NULL ? 0 : strlen(body);
    char *head = NULL;
    size_t len;
    FILE *out = open_memstream(&head, &len);
    bool sent;

    if (out == NULL)
        return ERR_NOMEM;
    fprintf(out, "%s %s HTTP/1.1\r\nHost: %s\r\nConnection: close\r\n", method, target,
            client->addr);
    if (client->token != NULL)
        fprintf(out, "Authorization: Bearer %s\r\n", client->token);
    if (body != NULL)
        fprintf(out, "Content-Type: application/json\r\nContent-Length: %zu\r\n", body_len);
    fprintf(out, "\r\n%s", body == NULL ? "" : body);
    if (fclose(out) != 0) {
        free(head);
        return ERR_NOMEM;
    }
    sent = send_all(fd, head, len);
    free(head);
    return sent ? OK : ERR_CLOSED;
}

/* Everything until the peer closes, terminated. */
static enum err
read_all(int fd, char **out, size_t *out_len)
{
    size_t cap = 16 << 10, len = 0;
    char *buf = mem_alloc(cap);
    ssize_t n = -1;

    while (buf != NULL) {
        char *more;

        n = recv(fd, buf + len, cap - len - 1, 0);
        if (n <= 0)
            break;
        len += (size_t)n;
        if (cap - len > 1024)
            continue;
        cap *= 2;
        more = cap > REPLY_MAX ? NULL : mem_realloc(buf, cap);
        if (more == NULL)
            mem_free(buf);
        buf = more;
    }
    if (buf == NULL)
        return ERR_NOMEM;
    if (n < 0) {
        mem_free(buf);
        return ERR_CLOSED;
    }
    buf[len] = '\0';
    *out = buf;
    *out_len = len;
    return OK;
}

/* The length that the head tells; false: it tells none. */
static bool
content_length(struct slice head, uint64_t *out)
{
    struct slice line, name;

    while (head.len > 0) {
        (void)slice_cut(&head, '\n', &line);
        if (slice_cut(&line, ':', &name) && slice_is_nocase(name, "Content-Length")) {
            if (line.len > 0 && line.ptr[line.len - 1] == '\r')
                line.len--;
            return slice_to_u64(slice_trim(line), out);
        }
    }
    return false;
}

static enum err
parse_reply(const char *text, size_t len, struct client_reply *out)
{
    struct slice status = slice_of(text, len);
    const char *end = strstr(text, "\r\n\r\n");
    uint64_t code = 0, body_len = 0;
    size_t head_len;

    if (end == NULL || !slice_starts(status, SLICE("HTTP/1.1 ")))
        return ERR_CLOSED;
    status = slice_skip(status, strlen("HTTP/1.1 "));
    head_len = (size_t)(end + 4 - text);
    if (!slice_take_u64(&status, &code) || code < 200 || code > 599 ||
        !content_length(slice_of(text, head_len), &body_len) || body_len != len - head_len)
        return ERR_CLOSED;
    out->body = slice_to_str(slice_of(text + head_len, (size_t)body_len));
    if (out->body == NULL)
        return ERR_NOMEM;
    out->status = (unsigned)code;
    out->len = (size_t)body_len;
    return OK;
}

enum err
client_ask(const struct client *client, const char *method, const char *target, const char *body,
           struct client_reply *out, char *why, size_t why_cap)
{
    char *text = NULL;
    size_t len = 0;
    int fd;
    enum err rc = open_connection(client, &fd, why, why_cap);

    if (rc != OK)
        return rc;
    rc = send_request(fd, client, method, target, body);
    if (rc == OK)
        rc = read_all(fd, &text, &len);
    if (rc == OK)
        rc = parse_reply(text, len, out);
    if (rc != OK)
        (void)snprintf(why, why_cap, "no whole answer from %s: %s; is that brink's admin listener?",
                       client->addr, err_text(rc));
    mem_free(text);
    (void)close(fd);
    return rc;
}

char *
client_encode(const char *text)
{
    static const char hex[] = "0123456789ABCDEF";
    char *out = mem_alloc(strlen(text) * 3 + 1), *to = out;

    if (out == NULL)
        return NULL;
    for (; *text != '\0'; text++) {
        unsigned char c = (unsigned char)*text;
        bool plain = (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') ||
                     strchr("-._~", c) != NULL;

        if (plain) {
            *to++ = (char)c;
            continue;
        }
        *to++ = '%';
        *to++ = hex[c >> 4];
        *to++ = hex[c & 15];
    }
    *to = '\0';
    return out;
}
