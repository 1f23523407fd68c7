/* Signals on a loop, by libevent: its handler writes the number to a socket that the loop reads. */
#include "net/signals.h"

#include <event2/event.h>
#include <signal.h>

#include "net/loop.h"

struct signals {
    signals_fn *fn;
    void *arg;
    struct event *events[SIGNALS_MAX];
};

static void
on_signal(evutil_socket_t number, short what, void *arg)
{
    struct signals *signals = arg;

    signals->fn(signals->arg, (int)number);
}

enum err
signals_start(struct loop *loop, const int *numbers, size_t numbers_n, signals_fn *fn, void *arg,
              struct signals **out)
{
    struct signals *signals = mem_zalloc(sizeof(*signals));
    enum err rc = OK;

    ASSERT(numbers_n <= SIGNALS_MAX);
    if (signals == NULL)
        return ERR_NOMEM;
    signals->fn = fn;
    signals->arg = arg;
    if (signal(SIGPIPE, SIG_IGN) == SIG_ERR)
        rc = ERR_SYSTEM;
    for (size_t i = 0; i < numbers_n && rc == OK; i++) {
        signals->events[i] = evsignal_new(loop_base(loop), numbers[i], on_signal, signals);
        if (signals->events[i] == NULL)
            rc = ERR_NOMEM;
        else if (event_add(signals->events[i], NULL) != 0)
            rc = ERR_SYSTEM;
    }
    if (rc == OK)
        *out = signals;
    else
        signals_stop(&signals);
    return rc;
}

void
signals_stop(struct signals **slot)
{
    if (*slot == NULL)
        return;
    for (size_t i = 0; i < SIGNALS_MAX; i++)
        if ((*slot)->events[i] != NULL)
            event_free((*slot)->events[i]);
    mem_free(*slot);
    *slot = NULL;
}
