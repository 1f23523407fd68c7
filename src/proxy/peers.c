/* Addresses in a chained table, in shards. The hash is seeded: who chooses addresses (an IPv6
 * customer does) must not choose chains. */
#include "proxy/peers.h"

#include <netinet/in.h>
#include <pthread.h>
#include <sys/random.h>

enum { PEERS_TAG = 0x70656572, SHARDS = 64, BUCKETS_MAX = 65536 };

struct peer {
    struct peer *next;
    uint64_t key;
    unsigned n;
};

struct peers {
    uint32_t tag;
    uint64_t seed[2];
    size_t buckets_n; /* a power of two, at least SHARDS */
    pthread_mutex_t locks[SHARDS];
    struct peer *buckets[];
};

enum err
peers_new(unsigned addresses, struct peers **out)
{
    size_t n = SHARDS;
    struct peers *peers;

    while (n < addresses && n < BUCKETS_MAX)
        n *= 2;
    peers = mem_zalloc(sizeof(*peers) + n * sizeof(peers->buckets[0]));
    if (peers == NULL)
        return ERR_NOMEM;
    peers->tag = PEERS_TAG;
    peers->buckets_n = n;
    if (getrandom(peers->seed, sizeof(peers->seed), GRND_NONBLOCK) != sizeof(peers->seed))
        peers->seed[0] =
            (uint64_t)(uintptr_t)peers; /* before the kernel has any: better than none */
    for (size_t i = 0; i < SHARDS; i++)
        (void)pthread_mutex_init(&peers->locks[i], NULL);
    *out = peers;
    return OK;
}

void
peers_free(struct peers **slot)
{
    struct peers *peers = *slot;

    *slot = NULL;
    if (peers == NULL)
        return;
    ASSERT_TAG(peers, PEERS_TAG);
    for (size_t i = 0; i < peers->buckets_n; i++) {
        while (peers->buckets[i] != NULL) {
            struct peer *peer = peers->buckets[i];

            peers->buckets[i] = peer->next;
            mem_free(peer);
        }
    }
    for (size_t i = 0; i < SHARDS; i++)
        (void)pthread_mutex_destroy(&peers->locks[i]);
    mem_free(peers);
}

/* An IPv4 address is told from a network by a prefix that no IPv6 network has (RFC 4291). */
uint64_t
peers_key(const struct sock_addr *addr)
{
    static const uint64_t v4 = (uint64_t)0xffff << 32;
    const struct sockaddr_in *sin = (const struct sockaddr_in *)&addr->storage;
    const struct sockaddr_in6 *sin6 = (const struct sockaddr_in6 *)&addr->storage;
    uint64_t high;
    uint32_t low;

    if (addr->storage.ss_family == AF_INET)
        return v4 | sin->sin_addr.s_addr;
    if (addr->storage.ss_family != AF_INET6)
        return 0;
    if (IN6_IS_ADDR_V4MAPPED(&sin6->sin6_addr)) {
        memcpy(&low, sin6->sin6_addr.s6_addr + 12, sizeof(low));
        return v4 | low;
    }
    memcpy(&high, sin6->sin6_addr.s6_addr, sizeof(high));
    return high;
}

static uint64_t
mix(const struct peers *peers, uint64_t key)
{
    for (unsigned i = 0; i < 2; i++) {
        key = (key ^ peers->seed[i]) * 0x9e3779b97f4a7c15U;
        key ^= key >> 29;
    }
    return key >> 48; /* the best bits */
}

static struct peer **
lock_bucket(struct peers *peers, uint64_t key, pthread_mutex_t **out_lock)
{
    size_t at = (size_t)mix(peers, key) & (peers->buckets_n - 1);
    struct peer **bucket = &peers->buckets[at];

    ASSERT_TAG(peers, PEERS_TAG);
    *out_lock = &peers->locks[at % SHARDS];
    (void)pthread_mutex_lock(*out_lock);
    while (*bucket != NULL && (*bucket)->key != key)
        bucket = &(*bucket)->next;
    return bucket;
}

enum err
peers_enter(struct peers *peers, uint64_t key, unsigned max)
{
    pthread_mutex_t *lock;
    struct peer **place = lock_bucket(peers, key, &lock);
    enum err rc = OK;

    if (*place == NULL) {
        *place = mem_zalloc(sizeof(**place));
        if (*place == NULL)
            rc = ERR_NOMEM;
        else
            (*place)->key = key;
    }
    if (rc == OK && max != 0 && (*place)->n >= max)
        rc = ERR_LIMIT;
    if (rc == OK)
        (*place)->n++;
    (void)pthread_mutex_unlock(lock);
    return rc;
}

void
peers_leave(struct peers *peers, uint64_t key)
{
    pthread_mutex_t *lock;
    struct peer **place = lock_bucket(peers, key, &lock);
    struct peer *peer = *place;

    ASSERT(peer != NULL && peer->n > 0);
    if (--peer->n == 0) {
        *place = peer->next;
        mem_free(peer);
    }
    (void)pthread_mutex_unlock(lock);
}

unsigned
peers_count(struct peers *peers, uint64_t key)
{
    pthread_mutex_t *lock;
    struct peer **place = lock_bucket(peers, key, &lock);
    unsigned n = *place == NULL ? 0 : (*place)->n;

    (void)pthread_mutex_unlock(lock);
    return n;
}
