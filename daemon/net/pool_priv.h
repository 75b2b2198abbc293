/* Blocks of one size for connections that hold input or output between turns. One owner thread; blocks are
 * mapped, so that what a crowd of slow clients took goes back to the system when they leave. */
#ifndef VITRINE_NET_POOL_PRIV_H
#define VITRINE_NET_POOL_PRIV_H

#include <stddef.h>

struct pool {
    void *first; /* free blocks, linked through their first word */
    unsigned free_count;
    size_t block_size;
};

void pool_init(struct pool *pool, size_t block_size);
void pool_fini(struct pool *pool);
void *pool_take(struct pool *pool); /* NULL: no memory */
void pool_give(struct pool *pool, void *block);

#endif
