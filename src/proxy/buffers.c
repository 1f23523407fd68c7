/* The memory of all exchanges and tunnels together. The gauge goes up after the total and down
 * before it, so that it never shows more than there was. */
#include "proxy/buffers.h"

#include "base/stats.h"

bool
buffers_take(struct buffers *buffers, size_t len)
{
    uint64_t before = atomic_fetch_add_explicit(&buffers->len, len, memory_order_relaxed);

    if (buffers->max != 0 && before + len > buffers->max / 4 * 3) {
        (void)atomic_fetch_sub_explicit(&buffers->len, len, memory_order_relaxed);
        STAT_INC(exchange_paced);
        return false;
    }
    STAT_ADD(exchange_bytes, len);
    return true;
}

void
buffers_force(struct buffers *buffers, size_t len)
{
    (void)atomic_fetch_add_explicit(&buffers->len, len, memory_order_relaxed);
    STAT_ADD(exchange_bytes, len);
}

void
buffers_give(struct buffers *buffers, size_t len)
{
    STAT_ADD(exchange_bytes, -(int64_t)len);
    (void)atomic_fetch_sub_explicit(&buffers->len, len, memory_order_relaxed);
}

bool
buffers_are_full(struct buffers *buffers)
{
    return buffers->max != 0 &&
           atomic_load_explicit(&buffers->len, memory_order_relaxed) > buffers->max;
}
