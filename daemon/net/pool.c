#include "net/pool_priv.h"

#include "base/pages.h"

/* Enough that a handful of slow clients costs no system call, few enough to be nothing in all. */
#define FREE_KEPT 4u

void pool_init(struct pool *pool, size_t block_size)
{
    *pool = (struct pool){.block_size = block_size};
}

void *pool_take(struct pool *pool)
{
    void *block = pool->first;
    if (!block)
        return pages_take(pool->block_size);
    pool->first = *(void **)block;
    pool->free_count--;
    return block;
}

void pool_give(struct pool *pool, void *block)
{
    if (pool->free_count >= FREE_KEPT) {
        pages_give(block, pool->block_size);
        return;
    }
    *(void **)block = pool->first;
    pool->first = block;
    pool->free_count++;
}

void pool_fini(struct pool *pool)
{
    while (pool->first)
        pages_give(pool_take(pool), pool->block_size);
}
