/* The memory of all fills together, and what each may take of it.
 *
 * A fill that begins its body takes the room of its first block from the whole, and has it until
 * the body is there: so it always gets on, and the firsts of all together fit. More blocks it gets
 * while the whole allows; else it waits for its own to be stored, or read. What finds no room
 * for a first block goes on in two small ones, unstored: so much it has beyond the bound, and an
 * exchange has one such fill. */
#include "proxy/fill_impl.h"

#include "base/stats.h"

static uint64_t
charge_of(const struct fill *fill, size_t more_len)
{
    uint64_t len = fill->blocks_len + more_len;

    return len > fill->reserved_len ? len : fill->reserved_len;
}

static bool
take(struct fill_table *table, uint64_t len, bool force)
{
    uint64_t before = atomic_fetch_add_explicit(&table->memory_len, len, memory_order_relaxed);

    if (force || before + len <= table->memory_max)
        return true;
    (void)atomic_fetch_sub_explicit(&table->memory_len, len, memory_order_relaxed);
    return false;
}

static bool
is_short(const struct fill_table *table)
{
    return atomic_load_explicit(&table->memory_len, memory_order_relaxed) >
           table->memory_max / 4 * 3;
}

/* What it has no more goes back. */
static void
settle(struct fill *fill)
{
    uint64_t charge = charge_of(fill, 0);

    if (charge >= fill->charged_len)
        return;
    (void)atomic_fetch_sub_explicit(&fill->table->memory_len, fill->charged_len - charge,
                                    memory_order_relaxed);
    fill->charged_len = charge;
}

static bool
charge(struct fill *fill, uint64_t want, bool force)
{
    if (want <= fill->charged_len)
        return true;
    if (!take(fill->table, want - fill->charged_len, force))
        return false;
    fill->charged_len = want;
    return true;
}

bool
fill_memory_begin(struct fill *fill, const struct fill_head *head)
{
    bool has_body = head->body_pin.store == NULL && (head->object.flags & CACHE_PARTIAL) == 0;
    uint64_t first = !has_body ? 0 : head->has_length ? head->length : BLOCK_FULL_LEN;
    /* A slice is awaited by those who have its object's head already. */
    bool force = first <= FILL_SMALL_LEN || (head->object.flags & CACHE_SLICE) != 0;

    if (first > BLOCK_FULL_LEN)
        first = BLOCK_FULL_LEN;
    if (charge(fill, first, force)) {
        fill->reserved_len = first;
        return true;
    }
    fill->block_len = FILL_SMALL_LEN;
    return false;
}

void
fill_memory_end(struct fill *fill)
{
    fill->reserved_len = 0;
    settle(fill);
}

bool
fill_memory_add(struct fill *fill, size_t len)
{
    size_t least_n = fill->block_len < BLOCK_FULL_LEN ? FILL_SMALL_N : 1;

    if (!charge(fill, charge_of(fill, len), fill->blocks_n < least_n))
        return false;
    fill->blocks_len += len;
    STAT_ADD(fill_bytes, len);
    return true;
}

void
fill_memory_drop(struct fill *fill, size_t len)
{
    fill->blocks_len -= len;
    STAT_ADD(fill_bytes, -(int64_t)len);
    settle(fill);
}

uint64_t
fill_memory_window(const struct fill *fill)
{
    uint64_t window_len = fill->table->window_len;

    if (fill->block_len < BLOCK_FULL_LEN)
        return FILL_SMALL_N * FILL_SMALL_LEN;
    return fill->storing || window_len < FILL_PASS_LEN ? window_len : FILL_PASS_LEN;
}

bool
fill_memory_hurries(const struct fill *fill)
{
    return is_short(fill->table);
}
