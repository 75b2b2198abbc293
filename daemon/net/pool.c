#include "net/pool_priv.h"

#include <sys/mman.h>

/* Enough that a handful of slow clients costs no system call, few enough to be nothing in all. */
#define FREE_KEPT 4u

void pool_init(struct pool *pool, size_t block_size)
{
    *pool = (struct pool){.block_size = block_size};
}

void *pool_take(struct pool *pool)
{
    void *block = pool->first;
    if (block) {
        pool->first = *(void **)block;
        pool->free_count--;
        return block;
    }
    block = mmap(NULL, pool->block_size, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    return block == MAP_FAILED ? NULL : block;
}

void pool_give(struct pool *pool, void *block)
{
    if (pool->free_count >= FREE_KEPT) {
        munmap(block, pool->block_size);
        return;
    }
    *(void **)block = pool->first;
    pool->first = block;
    pool->free_count++;
}

void pool_fini(struct pool *pool)
{
    while (pool->first)
        munmap(pool_take(pool), pool->block_size);
}
