/* Accounts of the memory that coders use, bounded over all of them.
 *
 * Reservations are made in memory->used_len with one atomic addition, taken back when it went past
 * the bound. Contexts that wait for their next use stay in the count; they are given up before a
 * coder is refused. A slot of `idle` is emptied and filled by one atomic exchange, so a context
 * has one owner at any time and there is no lock. */
#include "transform/coder_impl.h"

#include "base/stats.h"

/* Before each block that a hook allocates, its length. */
union block_head {
    size_t len;
    max_align_t align;
};

static bool
reserve(struct coder_memory *memory, uint64_t len)
{
    uint64_t used = atomic_fetch_add(&memory->used_len, len);

    if (memory->max_len == 0 || (used <= memory->max_len && len <= memory->max_len - used))
        return true;
    atomic_fetch_sub(&memory->used_len, len);
    return false;
}

/* Gives up one context that waits. False: none does. */
static bool
drop_idle(struct coder_memory *memory)
{
    for (size_t i = 0; i < CODER_IDLE_MAX; i++) {
        void *context = atomic_exchange(&memory->idle[i], NULL);

        if (context == NULL)
            continue;
        STAT_ADD(coder_bytes, -(int64_t)coding_zstd_context_len(context));
        atomic_fetch_sub(&memory->used_len, coding_zstd_context_len(context));
        coding_zstd_context_free(context);
        return true;
    }
    return false;
}

void
coder_memory_fini(struct coder_memory *memory)
{
    while (drop_idle(memory))
        ;
}

/* Brings the reservation to `len`. */
static bool
account_set(struct coder_account *account, uint64_t len)
{
    if (len > account->reserved_len) {
        uint64_t more = len - account->reserved_len;

        while (account->memory != NULL && !reserve(account->memory, more))
            if (!drop_idle(account->memory)) {
                account->refused = true;
                return false;
            }
    } else if (account->memory != NULL)
        atomic_fetch_sub(&account->memory->used_len, account->reserved_len - len);
    STAT_ADD(coder_bytes, (int64_t)len - (int64_t)account->reserved_len);
    account->reserved_len = len;
    return true;
}

static uint64_t
larger(uint64_t a, uint64_t b)
{
    return a > b ? a : b;
}

bool
account_promise(struct coder_account *account, uint64_t more_len)
{
    uint64_t promised_len = account->promised_len + more_len;

    if (!account_set(account, larger(promised_len, account->allocated_len)))
        return false;
    account->promised_len = promised_len;
    return true;
}

bool
account_grow(struct coder_account *account, uint64_t len)
{
    uint64_t allocated_len;

    if (__builtin_add_overflow(account->allocated_len, len, &allocated_len) ||
        !account_set(account, larger(allocated_len, account->promised_len)))
        return false;
    account->allocated_len = allocated_len;
    return true;
}

void
account_shrink(struct coder_account *account, uint64_t len)
{
    ASSERT(len <= account->allocated_len);
    account->allocated_len -= len;
    if (!account_set(account, larger(account->allocated_len, account->promised_len)))
        UNREACHABLE();
}

enum err
account_error(const struct coder_account *account)
{
    return account->refused ? ERR_LIMIT : ERR_NOMEM;
}

void
account_wind_up(struct coder_account *account)
{
    account->promised_len = 0;
    if (!account_set(account, account->allocated_len))
        UNREACHABLE();
}

void *
account_alloc(struct coder_account *account, size_t len)
{
    union block_head *head;
    size_t all;

    if (__builtin_add_overflow(len, sizeof(*head), &all) || !account_grow(account, all))
        return NULL;
    head = mem_alloc(all);
    if (head == NULL) {
        account_shrink(account, all);
        return NULL;
    }
    head->len = all;
    return head + 1;
}

void
account_free(struct coder_account *account, void *ptr)
{
    union block_head *head = ptr;

    if (ptr == NULL)
        return;
    head--;
    account_shrink(account, head->len);
    mem_free(head);
}

void *
account_take_idle(struct coder_account *account)
{
    for (size_t i = 0; account->memory != NULL && i < CODER_IDLE_MAX; i++) {
        void *context = atomic_exchange(&account->memory->idle[i], NULL);

        if (context == NULL)
            continue;
        account->allocated_len += coding_zstd_context_len(context); /* which passes from the slot */
        account->reserved_len += coding_zstd_context_len(context);
        if (!account_set(account, larger(account->allocated_len, account->promised_len)))
            UNREACHABLE();
        return context;
    }
    return NULL;
}

/* Only of an account that is wound up. */
bool
account_keep_idle(struct coder_account *account, void *context, uint64_t len)
{
    for (size_t i = 0; account->memory != NULL && i < CODER_IDLE_MAX; i++) {
        void *none = NULL;

        if (atomic_compare_exchange_strong(&account->memory->idle[i], &none, context)) {
            ASSERT(account->promised_len == 0 && account->reserved_len == account->allocated_len);
            account->allocated_len -= len; /* which passes to the slot */
            account->reserved_len -= len;
            return true;
        }
    }
    return false;
}
