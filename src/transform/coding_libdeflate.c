/* gzip of a whole body, by libdeflate: near-optimal parsing, that zlib does not have. It works at
 * once, on buffers, and cannot be stopped: for bodies of bounded length only. */
#include <libdeflate.h>
#include <pthread.h>

#include "transform/coder_impl.h"

static void
use_our_memory(void)
{
    libdeflate_set_memory_allocator(mem_alloc, mem_free);
}

enum err
coding_libdeflate_pack(const struct coder_pack *pack, size_t *out_len)
{
    static pthread_once_t once = PTHREAD_ONCE_INIT;
    struct libdeflate_compressor *compressor;
    size_t len;

    (void)pthread_once(&once, use_our_memory);
    compressor = libdeflate_alloc_compressor(pack->level);
    if (compressor == NULL)
        return ERR_NOMEM;
    len =
        libdeflate_gzip_compress(compressor, pack->in.ptr, pack->in.len, pack->out, pack->out_cap);
    libdeflate_free_compressor(compressor);
    if (len == 0)
        return ERR_LIMIT;
    *out_len = len;
    return OK;
}
