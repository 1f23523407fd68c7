/* 101 (Switching Protocols): the origin's word, and the connection's way out of the fetch. RFC 9110
 * sections 7.8 and 15.2.2. */
#include "http/upgrade.h"

#include "proxy/fetch_impl.h"

enum step
fetch_switch(struct fetch *fetch, const struct http_response *response)
{
    struct slice protocol;

    if (fetch->upgrade.len == 0)
        return fetch_fail(fetch, ERR_ORIGIN_UNASKED, "101 without being asked");
    if (!upgrade_is_granted(response, fetch->upgrade, &protocol))
        return fetch_fail(fetch, ERR_ORIGIN_UNASKED, "101 for a protocol that was not asked for");
    if (fetch_unsent(fetch))
        return fetch_fail(fetch, ERR_ORIGIN_UNASKED, "101 before the request was sent");
    loop_timer_clear(&fetch->timer);
    fetch->events.on_upgrade(fetch->arg, response, protocol);
    ASSERT(fetch->state == FETCH_OVER); /* taken or cancelled */
    return STEP_WAIT;
}

void
fetch_take_chan(struct fetch **slot, struct chan *to, struct slice *out_early)
{
    struct fetch *fetch = *slot;

    ASSERT_TAG(fetch, FETCH_TAG);
    ASSERT(fetch->state == FETCH_HEAD && fetch->conn != NULL);
    *out_early = fetch->in;
    chan_move(&fetch->conn->chan, to, NULL);
    fetch_cancel(slot); /* what it closes is no connection any more */
}
