/* A bump allocator over a chain of heap blocks. */
#include "base/arena.h"

#include <stdarg.h>
#include <stdio.h>

enum { ARENA_BLOCK_LEN = 8192 - 64, ARENA_ALIGN = 16 };

struct arena_block {
    struct arena_block *older;
    size_t cap;
    _Alignas(ARENA_ALIGN) char data[];
};

void
arena_init(struct arena *arena, size_t used_max)
{
    *arena = (struct arena){.used_max = used_max};
}

static void
use_block(struct arena *arena, struct arena_block *block)
{
    arena->next = block->data;
    arena->end = block->data + block->cap;
}

void
arena_reset(struct arena *arena)
{
    struct arena_block *block = arena->blocks;

    while (block != NULL && (block->older != NULL || block->cap != ARENA_BLOCK_LEN)) {
        arena->blocks = block->older;
        mem_free(block);
        block = arena->blocks;
    }
    arena->used_len = 0;
    arena->next = arena->end = NULL;
    if (block != NULL)
        use_block(arena, block);
}

void
arena_fini(struct arena *arena)
{
    while (arena->blocks != NULL) {
        struct arena_block *block = arena->blocks;

        arena->blocks = block->older;
        mem_free(block);
    }
    arena->next = arena->end = NULL;
}

static bool
grow(struct arena *arena, size_t len)
{
    size_t cap = len > ARENA_BLOCK_LEN ? len : ARENA_BLOCK_LEN;
    struct arena_block *block = mem_alloc(sizeof(*block) + cap);

    if (block == NULL)
        return false;
    block->cap = cap;
    block->older = arena->blocks;
    arena->blocks = block;
    use_block(arena, block);
    return true;
}

void *
arena_alloc(struct arena *arena, size_t len)
{
    char *ptr;

    if (len > SIZE_MAX / 2)
        return NULL;
    if (len == 0)
        len = 1; /* NULL means failure, also in an arena that has no block yet */
    len = (len + ARENA_ALIGN - 1) & ~(size_t)(ARENA_ALIGN - 1);
    if (arena->used_max != 0 && arena->used_len + len > arena->used_max)
        return NULL;
    if ((size_t)(arena->end - arena->next) < len && !grow(arena, len))
        return NULL;
    ptr = arena->next;
    arena->next += len;
    arena->used_len += len;
    return ptr;
}

void *
arena_zalloc(struct arena *arena, size_t len)
{
    void *ptr = arena_alloc(arena, len);

    if (ptr != NULL)
        memset(ptr, 0, len);
    return ptr;
}

enum err
arena_copy(struct arena *arena, struct slice text, struct slice *out)
{
    char *ptr = arena_alloc(arena, text.len + 1);

    if (ptr == NULL)
        return ERR_NOMEM;
    if (text.len > 0)
        memcpy(ptr, text.ptr, text.len);
    ptr[text.len] = '\0'; /* for debuggers and C interfaces */
    *out = slice_of(ptr, text.len);
    return OK;
}

enum err
arena_printf(struct arena *arena, struct slice *out, const char *format, ...)
{
    va_list args;
    int len;
    char *ptr;

    va_start(args, format);
    len = vsnprintf(NULL, 0, format, args);
    va_end(args);
    if (len < 0)
        return ERR_SYNTAX;
    ptr = arena_alloc(arena, (size_t)len + 1);
    if (ptr == NULL)
        return ERR_NOMEM;
    va_start(args, format);
    (void)vsnprintf(ptr, (size_t)len + 1, format, args);
    va_end(args);
    *out = slice_of(ptr, (size_t)len);
    return OK;
}
