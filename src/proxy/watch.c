/* Lists by age and the daemon's totals. Every step looks at a bounded number of connections. */
#include "proxy/watch.h"

#include "base/log.h"
#include "base/stats.h"
#include "net/loop.h"

enum {
    NEAR_PART = 16,     /* from a sixteenth below the limit on, what waited long goes */
    NEAR_AGE_MS = 1000, /* ... that long; at the limit, any */
    BEHIND_TRIES = 8,
    ADDRESS_TRIES = 64,
    SHORTAGE_SHED = 16
};

enum err
watch_totals_init(struct watch_totals *totals, const struct watch_limits *limits)
{
    totals->limits = limits;
    return peers_new(limits->connections_max, &totals->peers);
}

void
watch_totals_fini(struct watch_totals *totals)
{
    peers_free(&totals->peers);
}

void
watch_lists_init(struct watch_lists *lists, struct watch_totals *totals)
{
    lists->totals = totals;
    for (size_t i = 0; i < WATCH_KINDS; i++)
        list_init(&lists->kinds[i]);
    list_init(&lists->inputs);
}

/* --- who goes --- */

static void
shed(struct watch *watch)
{
    LOG(INFO, limit, "what=shed kind=%u waited_ms=%llu", watch->kind,
        (unsigned long long)(loop_now_ms() - watch->since_ms));
    switch (watch->kind) {
    case WATCH_IDLE:
        STAT_INC(shed_idle);
        break;
    case WATCH_HALF_OPEN:
        STAT_INC(shed_half_open);
        break;
    default:
        STAT_INC(shed_slow);
        break;
    }
    watch->ops->shed(watch);
}

/* The first of a list that may go. Those that turn out to keep pace go to the end. */
static struct watch *
candidate(struct watch_lists *lists, enum watch_kind kind, uint64_t now_ms)
{
    bool paced = kind == WATCH_BODY || kind == WATCH_READER;

    for (unsigned i = 0; i < BEHIND_TRIES; i++) {
        struct watch *watch = LIST_FIRST(&lists->kinds[kind], struct watch, link);

        if (watch == NULL || !paced || watch->ops->is_behind(watch))
            return watch;
        watch_touch(lists, watch, now_ms);
    }
    return NULL;
}

/* The one that waited longest, if it did so for `age_ms`. */
static bool
shed_oldest(struct watch_lists *lists, uint64_t age_ms)
{
    uint64_t now_ms = loop_now_ms();
    struct watch *oldest = NULL;

    for (unsigned kind = 0; kind < WATCH_KINDS; kind++) {
        struct watch *watch = candidate(lists, (enum watch_kind)kind, now_ms);

        if (watch != NULL && (oldest == NULL || watch->since_ms < oldest->since_ms))
            oldest = watch;
    }
    if (oldest == NULL || (age_ms > 0 && oldest->since_ms + age_ms > now_ms))
        return false;
    shed(oldest);
    return true;
}

/* An idle or half-open connection of this address, among those that waited longest. */
static bool
shed_of_address(struct watch_lists *lists, uint64_t key)
{
    static const enum watch_kind kinds[] = {WATCH_IDLE, WATCH_HALF_OPEN};

    for (size_t i = 0; i < ARRAY_LEN(kinds); i++) {
        unsigned tries = 0;

        LIST_FOREACH (&lists->kinds[kinds[i]], link) {
            struct watch *watch = CONTAINER_OF(link, struct watch, link);

            if (watch->peer_key == key) {
                shed(watch);
                return true;
            }
            if (++tries == ADDRESS_TRIES)
                break;
        }
    }
    return false;
}

bool
watch_shortage(struct watch_lists *lists)
{
    unsigned n = 0;

    while (n < SHORTAGE_SHED && shed_oldest(lists, 0))
        n++;
    return n > 0;
}

/* --- coming and going --- */

/* Room among all connections, this one counted. */
static bool
find_room(struct watch_lists *lists, unsigned n)
{
    unsigned max = lists->totals->limits->connections_max;

    if (n <= max - max / NEAR_PART)
        return true;
    return shed_oldest(lists, n > max ? 0 : NEAR_AGE_MS) || n <= max;
}

static bool
find_room_half_open(struct watch_lists *lists)
{
    struct watch *oldest = LIST_FIRST(&lists->kinds[WATCH_HALF_OPEN], struct watch, link);

    if (atomic_load(&lists->totals->half_open_n) < lists->totals->limits->half_open_max)
        return true;
    if (oldest == NULL)
        return false;
    shed(oldest);
    return true;
}

/* OK, ERR_LIMIT, ERR_NOMEM. */
static enum err
enter_address(struct watch_lists *lists, uint64_t key)
{
    struct watch_totals *totals = lists->totals;
    enum err rc = peers_enter(totals->peers, key, totals->limits->per_address_max);

    if (rc == ERR_LIMIT && shed_of_address(lists, key))
        rc = peers_enter(totals->peers, key, totals->limits->per_address_max);
    return rc;
}

bool
watch_admit(struct watch_lists *lists, const struct sock_addr *peer)
{
    struct watch_totals *totals = lists->totals;
    enum err rc;

    if (!find_room(lists, atomic_fetch_add(&totals->conns_n, 1) + 1) ||
        !find_room_half_open(lists)) {
        STAT_INC(connections_refused);
        (void)atomic_fetch_sub(&totals->conns_n, 1);
        return false;
    }
    rc = enter_address(lists, peers_key(peer));
    if (rc == OK)
        return true;
    if (rc == ERR_LIMIT)
        STAT_INC(connections_refused_address);
    else
        STAT_INC(connections_refused);
    (void)atomic_fetch_sub(&totals->conns_n, 1);
    return false;
}

void
watch_unadmit(struct watch_lists *lists, const struct sock_addr *peer)
{
    peers_leave(lists->totals->peers, peers_key(peer));
    (void)atomic_fetch_sub(&lists->totals->conns_n, 1);
}

void
watch_enter(struct watch_lists *lists, struct watch *watch, const struct sock_addr *peer,
            const struct watch_ops *ops)
{
    list_init(&watch->link);
    list_init(&watch->input_link);
    watch->ops = ops;
    watch->peer_key = peers_key(peer);
    watch->input_len = 0;
    watch->kind = WATCH_NONE;
    watch_move(lists, watch, WATCH_HALF_OPEN, loop_now_ms());
}

void
watch_leave(struct watch_lists *lists, struct watch *watch)
{
    watch_move(lists, watch, WATCH_NONE, 0);
    if (!watch_input(lists, watch, 0))
        UNREACHABLE(); /* it asks for none */
    peers_leave(lists->totals->peers, watch->peer_key);
    (void)atomic_fetch_sub(&lists->totals->conns_n, 1);
}

/* --- moving --- */

static void
count_half_open(struct watch_lists *lists, int n)
{
    STAT_ADD(connections_half_open, n);
    (void)atomic_fetch_add(&lists->totals->half_open_n, (unsigned)n);
}

/* Kept connections become half-open too: then another goes. */
static void
bound_half_open(struct watch_lists *lists, const struct watch *but)
{
    struct watch *oldest = LIST_FIRST(&lists->kinds[WATCH_HALF_OPEN], struct watch, link);

    if (oldest != but &&
        atomic_load(&lists->totals->half_open_n) > lists->totals->limits->half_open_max)
        shed(oldest);
}

void
watch_move(struct watch_lists *lists, struct watch *watch, enum watch_kind kind, uint64_t now_ms)
{
    enum watch_kind before = (enum watch_kind)watch->kind;

    if (before == WATCH_HALF_OPEN && kind != WATCH_HALF_OPEN) {
        count_half_open(lists, -1);
        list_remove(&watch->input_link);
    } else if (before != WATCH_HALF_OPEN && kind == WATCH_HALF_OPEN) {
        count_half_open(lists, 1);
        if (watch->input_len > 0)
            list_push(&lists->inputs, &watch->input_link);
    }
    watch->kind = (uint8_t)kind;
    if (kind == WATCH_NONE)
        list_remove(&watch->link);
    else
        watch_touch(lists, watch, now_ms);
    if (before != WATCH_HALF_OPEN && kind == WATCH_HALF_OPEN)
        bound_half_open(lists, watch);
}

void
watch_touch(struct watch_lists *lists, struct watch *watch, uint64_t now_ms)
{
    list_remove(&watch->link);
    list_push(&lists->kinds[watch->kind], &watch->link);
    watch->since_ms = now_ms;
}

/* --- memory for input --- */

bool
watch_input_is_full(const struct watch_lists *lists)
{
    return atomic_load_explicit(&lists->totals->input_len, memory_order_relaxed) >
           lists->totals->limits->input_max;
}

/* Others' heads that began to wait before this one did. */
static void
shed_inputs(struct watch_lists *lists, const struct watch *but)
{
    struct watch *first;

    while (watch_input_is_full(lists)) {
        first = LIST_FIRST(&lists->inputs, struct watch, input_link);
        if (first == NULL || first == but)
            return;
        STAT_INC(shed_input);
        first->ops->shed(first);
    }
}

bool
watch_input(struct watch_lists *lists, struct watch *watch, size_t len)
{
    size_t before = watch->input_len;

    if (len == before)
        return true;
    (void)atomic_fetch_add_explicit(&lists->totals->input_len, len - before, memory_order_relaxed);
    STAT_ADD(input_bytes, (int64_t)len - (int64_t)before);
    watch->input_len = len;
    if (len == 0)
        list_remove(&watch->input_link);
    else if (watch->kind == WATCH_HALF_OPEN && list_empty(&watch->input_link))
        list_push(&lists->inputs, &watch->input_link);
    if (len < before || !watch_input_is_full(lists))
        return true;
    shed_inputs(lists, watch);
    if (watch->kind != WATCH_HALF_OPEN || !watch_input_is_full(lists))
        return true; /* what waits behind an exchange is bounded otherwise */
    STAT_INC(shed_input);
    return false;
}
