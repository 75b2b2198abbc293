/* LRU, FIFO with re-insertion and S3-FIFO, item by item. */
#include "cache.h"

#include <stdlib.h>

#define FREQ_MAX    3u
#define SMALL_SHARE 10u /* percent of the capacity: S3-FIFO's */

enum { QUEUE, SMALL = QUEUE, MAIN };

static void count_hit(struct cache *cache, uint32_t object)
{
    if (cache->node[object].freq < FREQ_MAX)
        cache->node[object].freq++;
}

static bool fits(const struct cache *cache, uint32_t object)
{
    return cache_cost(cache, object) <= cache->capacity;
}

/* ---- LRU ---- */

static void lru_hit(struct cache *cache, uint32_t object)
{
    cache_move(cache, QUEUE, object);
}

static void lru_insert(struct cache *cache, uint32_t object)
{
    if (!fits(cache, object))
        return;
    while (cache->used + cache_cost(cache, object) > cache->capacity)
        cache_pull(cache, cache->list[QUEUE].tail);
    cache_push(cache, QUEUE, object);
}

/* ---- FIFO with re-insertion: two bits of frequency, each re-insertion takes one away ---- */

static void fifo_insert(struct cache *cache, uint32_t object)
{
    if (!fits(cache, object))
        return;
    while (cache->used + cache_cost(cache, object) > cache->capacity) {
        uint32_t oldest = cache->list[QUEUE].tail;
        if (cache->node[oldest].freq-- > 0)
            cache_move(cache, QUEUE, oldest);
        else
            cache_pull(cache, oldest);
    }
    cache->node[object].freq = 0;
    cache_push(cache, QUEUE, object);
}

/* ---- S3-FIFO (SOSP'23): ghosts are as many bytes as main ---- */

struct ghosts {
    uint64_t *left_at; /* [object]: main's clock when it left; 0: no ghost */
    uint64_t clock;    /* bytes that have become ghosts */
    unsigned freq_min; /* of a hit count that leads from small to main */
};

static bool s3fifo_open(struct cache *cache, unsigned freq_min)
{
    struct ghosts *ghosts = calloc(1, sizeof *ghosts);
    cache->extra = ghosts;
    if (!ghosts)
        return false;
    ghosts->left_at = calloc((size_t)cache->requests->object_count + 1, sizeof *ghosts->left_at);
    ghosts->clock = 1;
    ghosts->freq_min = freq_min;
    return ghosts->left_at != NULL;
}

static bool s3fifo_open_1(struct cache *cache)
{
    return s3fifo_open(cache, 1);
}

static bool s3fifo_open_2(struct cache *cache)
{
    return s3fifo_open(cache, 2);
}

static void s3fifo_close(struct cache *cache)
{
    struct ghosts *ghosts = cache->extra;
    if (ghosts)
        free(ghosts->left_at);
    free(ghosts);
}

static bool was_ghost(const struct cache *cache, uint32_t object)
{
    const struct ghosts *ghosts = cache->extra;
    uint64_t left_at = ghosts->left_at[object];
    return left_at != 0 && ghosts->clock - left_at <= cache->capacity * (100 - SMALL_SHARE) / 100;
}

static void evict_small(struct cache *cache)
{
    struct ghosts *ghosts = cache->extra;
    uint32_t oldest = cache->list[SMALL].tail;
    if (cache->node[oldest].freq >= ghosts->freq_min) {
        cache->node[oldest].freq = 0;
        cache_move(cache, MAIN, oldest);
        return;
    }
    cache_pull(cache, oldest);
    ghosts->clock += cache_cost(cache, oldest);
    ghosts->left_at[oldest] = ghosts->clock;
}

static void evict_main(struct cache *cache)
{
    uint32_t oldest = cache->list[MAIN].tail;
    if (cache->node[oldest].freq-- > 0)
        cache_move(cache, MAIN, oldest);
    else
        cache_pull(cache, oldest);
}

static void s3fifo_insert(struct cache *cache, uint32_t object)
{
    struct ghosts *ghosts = cache->extra;
    if (!fits(cache, object))
        return;
    while (cache->used + cache_cost(cache, object) > cache->capacity) {
        uint64_t small = cache->list[SMALL].size;
        bool from_small = small * 100 > cache->capacity * SMALL_SHARE || cache->list[MAIN].tail == CACHE_NONE;
        if (from_small)
            evict_small(cache);
        else
            evict_main(cache);
    }
    cache->node[object].freq = 0;
    cache_push(cache, was_ghost(cache, object) ? MAIN : SMALL, object);
    ghosts->left_at[object] = 0;
}

const struct model model_lru_28 = {.name = "lru28",
                                   .about = "LRU, 28 B an item",
                                   .overhead = 28,
                                   .hit = lru_hit,
                                   .insert = lru_insert,
                                   .remove = cache_pull};
const struct model model_lru_66 = {.name = "lru66",
                                   .about = "LRU, 66 B an item",
                                   .overhead = 66,
                                   .hit = lru_hit,
                                   .insert = lru_insert,
                                   .remove = cache_pull};
const struct model model_fifo = {.name = "fifo",
                                 .about = "FIFO with re-insertion, 28 B",
                                 .overhead = 28,
                                 .hit = count_hit,
                                 .insert = fifo_insert,
                                 .remove = cache_pull};
const struct model model_s3fifo_1 = {.name = "s3fifo1",
                                     .about = "S3-FIFO, one hit leads to main, 28 B",
                                     .overhead = 28,
                                     .open = s3fifo_open_1,
                                     .close = s3fifo_close,
                                     .hit = count_hit,
                                     .insert = s3fifo_insert,
                                     .remove = cache_pull};
const struct model model_s3fifo_2 = {.name = "s3fifo2",
                                     .about = "S3-FIFO, two hits lead to main, 28 B",
                                     .overhead = 28,
                                     .open = s3fifo_open_2,
                                     .close = s3fifo_close,
                                     .hit = count_hit,
                                     .insert = s3fifo_insert,
                                     .remove = cache_pull};
