/* What the models of caches, exact item by item, have in common: which objects are in, in which list, and
 * what they cost.
 *
 * Place: tests/bench; above requests. A model decides only what a hit, an insertion and a removal do. Not
 * thread-safe: one thread a cache. */
#ifndef VITRINE_TESTS_BENCH_POLICY_CACHE_H
#define VITRINE_TESTS_BENCH_POLICY_CACHE_H

#include "requests.h"

#define CACHE_NONE     UINT32_MAX
#define CACHE_LIST_MAX 256u
#define CACHE_ABSENT   UINT8_MAX

struct cache_node {
    uint32_t prev, next;
    uint32_t expiry_s; /* in the stream's seconds; 0: none */
    uint8_t list;      /* CACHE_ABSENT: in none */
    uint8_t freq;      /* the model's, as is `mark` */
    uint8_t mark;
};

struct cache_list {
    uint32_t head, tail; /* new ones at the head */
    uint64_t size;       /* what its objects cost */
};

struct cache {
    const struct requests *requests;
    const struct model *model;
    uint64_t capacity, used;
    uint32_t overhead; /* bytes an item beside key and value */
    uint64_t at;       /* the request being replayed */
    struct cache_node *node;
    struct cache_list list[CACHE_LIST_MAX];
    void *extra; /* the model's own; owned by it */
};

struct model {
    const char *name, *about;
    uint32_t overhead;
    bool (*open)(struct cache *cache); /* NULL: nothing to do; false: out of memory */
    void (*close)(struct cache *cache);
    void (*hit)(struct cache *cache, uint32_t object);
    void (*insert)(struct cache *cache, uint32_t object); /* may leave it out */
    void (*remove)(struct cache *cache, uint32_t object);
};

struct replay_result {
    uint64_t gets, misses;
};

extern const struct model model_lru_28, model_lru_66, model_fifo, model_s3fifo_1, model_s3fifo_2, model_slabs,
    model_gdsf, model_optimum;

/* Replays all requests through a model that has `capacity` bytes. False: out of memory. */
bool cache_replay(const struct requests *requests, const struct model *model, uint64_t capacity,
                  struct replay_result *result);

static inline uint64_t cache_cost(const struct cache *cache, uint32_t object)
{
    return (uint64_t)cache->requests->stream.key_size + cache->requests->value_size[object] + cache->overhead;
}

static inline bool cache_holds(const struct cache *cache, uint32_t object)
{
    return cache->node[object].list != CACHE_ABSENT;
}

/* These keep node.list, list.size and used. */
void cache_push(struct cache *cache, unsigned list, uint32_t object);
void cache_pull(struct cache *cache, uint32_t object);
void cache_move(struct cache *cache, unsigned list, uint32_t object); /* to the head of a list */

#endif
