/* Wake-up calls that survive their owner. `posted` is true while a message is queued or promised;
 * only its fall to false allows the memory to go. `gone` belongs to the loop's thread. */
#include "net/wake.h"

#include <stdatomic.h>

struct wake {
    struct loop_msg msg;
    struct loop *loop;
    void (*fn)(void *arg);
    void *arg;
    atomic_bool posted;
    bool gone;
};

static void
on_message(struct loop_msg *msg)
{
    struct wake *wake = CONTAINER_OF(msg, struct wake, msg);

    if (wake->gone) {
        mem_free(wake);
        return;
    }
    atomic_store(&wake->posted, false); /* from here on the next post queues again */
    wake->fn(wake->arg);
}

struct wake *
wake_new(struct loop *loop, void (*fn)(void *arg), void *arg)
{
    struct wake *wake = mem_zalloc(sizeof(*wake));

    if (wake == NULL)
        return NULL;
    wake->msg.fn = on_message;
    wake->loop = loop;
    wake->fn = fn;
    wake->arg = arg;
    return wake;
}

void
wake_free(struct wake **slot)
{
    struct wake *wake = *slot;

    *slot = NULL;
    if (wake == NULL)
        return;
    if (atomic_load(&wake->posted))
        wake->gone = true;
    else
        mem_free(wake);
}

void
wake_post(struct wake *wake)
{
    if (!atomic_exchange(&wake->posted, true))
        loop_post(wake->loop, &wake->msg);
}

void
wake_expect(struct wake *wake)
{
    bool was = atomic_exchange(&wake->posted, true);

    ASSERT(!was);
}

void
wake_fulfil(struct wake *wake)
{
    loop_post(wake->loop, &wake->msg);
}
