/* Signals by a descriptor (signalfd): blocked in every thread, they wait in the kernel until the
 * loop reads them. No handler runs, so no thread is interrupted, none can swallow one, and what
 * comes while the daemon starts is not lost. */
#include "net/signals.h"

#include <errno.h>
#include <event2/event.h>
#include <event2/event_struct.h>
#include <signal.h>
#include <sys/signalfd.h>
#include <unistd.h>

#include "net/loop.h"

struct signals {
    signals_fn *fn;
    void *arg;
    int fd;
    struct event event;
};

/* The next signal that came; 0: none. */
static int
next_signal(const struct signals *signals)
{
    struct signalfd_siginfo info;
    ssize_t n;

    do
        n = read(signals->fd, &info, sizeof(info));
    while (n == -1 && errno == EINTR);
    return n == (ssize_t)sizeof(info) ? (int)info.ssi_signo : 0;
}

static void
on_readable(evutil_socket_t fd, short what, void *arg)
{
    struct signals *signals = arg;
    int number;

    while ((number = next_signal(signals)) != 0)
        signals->fn(signals->arg, number);
}

static enum err
open_signals(struct signals *signals, struct loop *loop, const sigset_t *set)
{
    if (signal(SIGPIPE, SIG_IGN) == SIG_ERR || signal(SIGXFSZ, SIG_IGN) == SIG_ERR ||
        pthread_sigmask(SIG_BLOCK, set, NULL) != 0)
        return ERR_SYSTEM;
    signals->fd = signalfd(-1, set, SFD_NONBLOCK | SFD_CLOEXEC);
    if (signals->fd == -1)
        return ERR_SYSTEM;
    (void)event_assign(&signals->event, loop_base(loop), signals->fd, EV_READ | EV_PERSIST,
                       on_readable, signals);
    return event_add(&signals->event, NULL) == 0 ? OK : ERR_SYSTEM;
}

enum err
signals_start(struct loop *loop, const int *numbers, size_t numbers_n, signals_fn *fn, void *arg,
              struct signals **out)
{
    struct signals *signals = mem_zalloc(sizeof(*signals));
    sigset_t set;
    enum err rc;

    if (signals == NULL)
        return ERR_NOMEM;
    signals->fn = fn;
    signals->arg = arg;
    signals->fd = -1;
    (void)sigemptyset(&set);
    for (size_t i = 0; i < numbers_n; i++)
        (void)sigaddset(&set, numbers[i]);
    rc = open_signals(signals, loop, &set);
    if (rc == OK)
        *out = signals;
    else
        signals_stop(&signals);
    return rc;
}

void
signals_take(struct signals *signals)
{
    on_readable(signals->fd, EV_READ, signals);
}

void
signals_stop(struct signals **slot)
{
    struct signals *signals = *slot;

    if (signals == NULL)
        return;
    if (event_initialized(&signals->event))
        (void)event_del(&signals->event);
    if (signals->fd != -1)
        (void)close(signals->fd);
    mem_free(signals);
    *slot = NULL;
}
