/* Waiting for the store's pages: a job of the store's threads and the wake-up call for its end. */
#include "proxy/warming.h"

#include "net/wake.h"
#include "proxy/core.h"

/* Also when it was cancelled. */
static void
on_done(void *arg, enum err rc, uint64_t n)
{
    (void)rc; /* who waits looks again */
    (void)n;
    wake_fulfil(arg);
}

static enum err
expect(struct warming *warming, struct proxy *proxy, void (*fn)(void *arg), void *arg)
{
    ASSERT(!warming_is_on(warming));
    warming->wake = wake_new(proxy->loop, fn, arg);
    if (warming->wake == NULL)
        return ERR_NOMEM;
    wake_expect(warming->wake);
    return OK;
}

static enum err
begun(struct warming *warming, enum err rc)
{
    if (rc != OK) {
        wake_fulfil(warming->wake); /* comes to nobody */
        wake_free(&warming->wake);
    }
    return rc;
}

enum err
warming_find(struct warming *warming, struct proxy *proxy, const struct store_key *key,
             void (*fn)(void *arg), void *arg)
{
    enum err rc = expect(warming, proxy, fn, arg);

    if (rc != OK)
        return rc;
    return begun(warming,
                 store_warm_find(proxy->shared->store, key,
                                 (struct store_done){on_done, warming->wake}, &warming->job));
}

enum err
warming_body(struct warming *warming, struct proxy *proxy, const struct store_source *source,
             uint64_t off, uint64_t len, void (*fn)(void *arg), void *arg)
{
    enum err rc = expect(warming, proxy, fn, arg);

    if (rc != OK)
        return rc;
    return begun(warming,
                 store_warm_body(proxy->shared->store, source, off, len,
                                 (struct store_done){on_done, warming->wake}, &warming->job));
}

void
warming_end(struct warming *warming)
{
    store_warm_end(&warming->job);
    wake_free(&warming->wake);
}
