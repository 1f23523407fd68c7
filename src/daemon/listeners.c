/* Binding. A socket that was not taken when this is closed is closed too, so that a start that
 * fails half-way leaves no port behind. */
#include "daemon/listeners.h"

#include <errno.h>
#include <unistd.h>

enum { ADMIN_BACKLOG = 128 };

struct listeners {
    const struct config *config;
    struct sock_addr *addrs; /* as bound, one for each of config->listens */
    struct sock_addr admin_addr;
    int *fds; /* worker by worker; -1: none, or taken */
    int admin_fd;
};

static int *
slot_of(struct listeners *listeners, unsigned worker, size_t at)
{
    ASSERT(worker < listeners->config->workers && at < listeners->config->listens_n);
    return &listeners->fds[worker * listeners->config->listens_n + at];
}

static int
take(int *slot)
{
    int fd = *slot;

    ASSERT(fd != -1);
    *slot = -1;
    return fd;
}

/* Sockets that share a port do not refuse another program that shares it too, such as a second
 * brink. A socket that does not share is refused: ask with one. */
static enum err
probe(const struct config_listen *listen, char *why, size_t why_cap)
{
    int fd;
    enum err rc = sock_listen(&listen->addr, false, 1, &fd);

    if (rc == OK)
        (void)close(fd);
    else
        (void)snprintf(why, why_cap, "cannot listen on %s: %s; %s", listen->text, strerror(errno),
                       errno == EADDRINUSE ? "stop what listens there, or choose another address"
                       : errno == EACCES   ? "ports below 1024 need root or CAP_NET_BIND_SERVICE"
                                           : "choose another address");
    return rc;
}

/* The port, when the system chose it, is for all workers. */
static enum err
open_one(struct sock_addr *addr, bool shared, int backlog, int *out_fd)
{
    enum err rc = sock_listen(addr, shared, backlog, out_fd);

    if (rc != OK)
        return rc;
    addr->len = sizeof(addr->storage);
    return getsockname(*out_fd, (struct sockaddr *)&addr->storage, &addr->len) == -1 ? ERR_SYSTEM
                                                                                     : OK;
}

static enum err
open_traffic(struct listeners *listeners, size_t at, char *why, size_t why_cap)
{
    const struct config *config = listeners->config;
    enum err rc = probe(&config->listens[at], why, why_cap);

    if (rc != OK)
        return rc;
    listeners->addrs[at] = config->listens[at].addr;
    for (unsigned i = 0; i < config->workers && rc == OK; i++) {
        rc = open_one(&listeners->addrs[at], true, (int)config->backlog, slot_of(listeners, i, at));
        if (rc != OK)
            (void)snprintf(why, why_cap, "cannot listen on %s: %s; choose another address",
                           config->listens[at].text, strerror(errno));
    }
    return rc;
}

static enum err
open_admin(struct listeners *listeners, char *why, size_t why_cap)
{
    const struct config_admin *admin = &listeners->config->admin;
    enum err rc;

    if (!admin->on)
        return OK;
    listeners->admin_addr = admin->addr;
    rc = open_one(&listeners->admin_addr, false, ADMIN_BACKLOG, &listeners->admin_fd);
    if (rc != OK)
        (void)snprintf(why, why_cap,
                       "the admin listener cannot listen on %s: %s; choose another address",
                       admin->text, strerror(errno));
    return rc;
}

enum err
listeners_open(const struct config *config, char *why, size_t why_cap, struct listeners **out)
{
    struct listeners *listeners = mem_zalloc(sizeof(*listeners));
    size_t n = config->workers * config->listens_n;
    enum err rc = ERR_NOMEM;

    (void)snprintf(why, why_cap, "the listeners cannot be made; give the process more memory");
    if (listeners == NULL)
        return ERR_NOMEM;
    listeners->config = config;
    listeners->admin_fd = -1;
    listeners->addrs = mem_zalloc(config->listens_n * sizeof(*listeners->addrs));
    listeners->fds = mem_alloc(n * sizeof(*listeners->fds));
    for (size_t i = 0; listeners->fds != NULL && i < n; i++)
        listeners->fds[i] = -1;
    if (listeners->addrs != NULL && listeners->fds != NULL)
        rc = OK;
    for (size_t at = 0; at < config->listens_n && rc == OK; at++)
        rc = open_traffic(listeners, at, why, why_cap);
    if (rc == OK)
        rc = open_admin(listeners, why, why_cap);
    if (rc == OK)
        *out = listeners;
    else
        listeners_close(&listeners);
    return rc;
}

void
listeners_close(struct listeners **slot)
{
    struct listeners *listeners = *slot;

    if (listeners == NULL)
        return;
    for (size_t i = 0;
         listeners->fds != NULL && i < listeners->config->workers * listeners->config->listens_n;
         i++)
        if (listeners->fds[i] != -1)
            (void)close(listeners->fds[i]);
    if (listeners->admin_fd != -1)
        (void)close(listeners->admin_fd);
    mem_free(listeners->fds);
    mem_free(listeners->addrs);
    mem_free(listeners);
    *slot = NULL;
}

int
listeners_take(struct listeners *listeners, unsigned worker, size_t at)
{
    return take(slot_of(listeners, worker, at));
}

int
listeners_take_admin(struct listeners *listeners)
{
    return take(&listeners->admin_fd);
}

void
listeners_format(const struct listeners *listeners, char *out, size_t cap)
{
    size_t len = 0;

    out[0] = '\0';
    for (size_t i = 0; i < listeners->config->listens_n && len < cap; i++) {
        char text[SOCK_ADDR_TEXT_MAX];
        size_t n = sock_addr_format(&listeners->addrs[i], true, text);

        len += (size_t)snprintf(out + len, cap - len, "%s%.*s", i == 0 ? "" : ",", (int)n, text);
    }
}

void
listeners_format_admin(const struct listeners *listeners, char out[SOCK_ADDR_TEXT_MAX])
{
    if (listeners->config->admin.on)
        out[sock_addr_format(&listeners->admin_addr, true, out)] = '\0';
    else
        (void)snprintf(out, SOCK_ADDR_TEXT_MAX, "none");
}
