/* library_memory: see library_memory.h. */
#include "daemon/base/library_memory.h"

#include <jansson.h>
#include <openssl/crypto.h>
#include <uv.h>

#include "daemon/base/slab.h"

/* OpenSSL names the place in its source, and asks for nothing at times. */
static void *crypto_take(size_t size, const char *file, int line)
{
    return size == 0 ? NULL : slab_take(size);
}

static void *crypto_resize(void *block, size_t size, const char *file, int line)
{
    if (size > 0)
        return slab_resize(block, size);
    slab_give(block);
    return NULL;
}

static void crypto_give(void *block, const char *file, int line)
{
    slab_give(block);
}

void library_memory_use_slabs(void)
{
    ensure(CRYPTO_set_mem_functions(crypto_take, crypto_resize, crypto_give) == 1);
    ensure(uv_replace_allocator(slab_take, slab_resize, slab_take_many, slab_give) == 0);
    json_set_alloc_funcs(slab_take, slab_give);
}
