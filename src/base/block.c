/* Counted byte blocks. */
#include "base/block.h"

struct block *
block_new(size_t cap)
{
    struct block *block;

    ASSERT(cap <= BLOCK_FULL_LEN);
    block = mem_alloc(sizeof(*block) + cap);
    if (block == NULL)
        return NULL;
    atomic_init(&block->refs, 1);
    block->cap = (uint32_t)cap;
    block->len = 0;
    return block;
}

struct block *
block_ref(struct block *block)
{
    (void)atomic_fetch_add_explicit(&block->refs, 1, memory_order_relaxed);
    return block;
}

void
block_unref(struct block **slot)
{
    struct block *block = *slot;

    *slot = NULL;
    if (block != NULL && atomic_fetch_sub_explicit(&block->refs, 1, memory_order_acq_rel) == 1)
        mem_free(block);
}
