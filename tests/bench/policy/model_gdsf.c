/* GreedyDual-Size-Frequency (Cherkasova, 1998), exact: evicts what has the least readings for its size, where
 * whatever is evicted raises the bar for all that are read or come later. What a store that knows of each
 * item's size and counts every reading could do, without a limit on counters or on the cost of an eviction.
 */
#include "cache.h"

#include <stdlib.h>

#define QUEUE 0u

struct worth {
    double *value;   /* [object]: while it is in */
    uint32_t *reads; /* [object]: since it came, its coming included */
    uint32_t *heap;  /* the objects that are in, the least worthy first */
    uint32_t *place; /* [object]: where in the heap */
    uint32_t count;
    double bar; /* the worth of what was evicted last */
};

static bool gdsf_open(struct cache *cache)
{
    size_t objects = (size_t)cache->requests->object_count + 1;
    struct worth *worth = calloc(1, sizeof *worth);
    cache->extra = worth;
    if (!worth)
        return false;
    worth->value = malloc(objects * sizeof *worth->value);
    worth->reads = malloc(objects * sizeof *worth->reads);
    worth->heap = malloc(objects * sizeof *worth->heap);
    worth->place = malloc(objects * sizeof *worth->place);
    return worth->value && worth->reads && worth->heap && worth->place;
}

static void gdsf_close(struct cache *cache)
{
    struct worth *worth = cache->extra;
    if (!worth)
        return;
    free(worth->value);
    free(worth->reads);
    free(worth->heap);
    free(worth->place);
    free(worth);
}

/* ---- the heap ---- */

static bool goes_before(const struct worth *worth, uint32_t one, uint32_t other)
{
    return worth->value[worth->heap[one]] < worth->value[worth->heap[other]];
}

static void heap_put(struct worth *worth, uint32_t at, uint32_t object)
{
    worth->heap[at] = object;
    worth->place[object] = at;
}

static void heap_swap(struct worth *worth, uint32_t one, uint32_t other)
{
    uint32_t object = worth->heap[one];
    heap_put(worth, one, worth->heap[other]);
    heap_put(worth, other, object);
}

static void heap_rise(struct worth *worth, uint32_t at)
{
    for (; at > 0 && goes_before(worth, at, (at - 1) / 2); at = (at - 1) / 2)
        heap_swap(worth, at, (at - 1) / 2);
}

static void heap_sink(struct worth *worth, uint32_t at)
{
    for (uint32_t child = 2 * at + 1; child < worth->count; child = 2 * at + 1) {
        child += child + 1 < worth->count && goes_before(worth, child + 1, child);
        if (!goes_before(worth, child, at))
            break;
        heap_swap(worth, at, child);
        at = child;
    }
}

/* ---- the policy ---- */

static void appraise(struct cache *cache, uint32_t object)
{
    struct worth *worth = cache->extra;
    worth->value[object] = worth->bar + worth->reads[object] / (double)cache_cost(cache, object);
}

static void gdsf_hit(struct cache *cache, uint32_t object)
{
    struct worth *worth = cache->extra;
    worth->reads[object]++;
    appraise(cache, object);
    heap_sink(worth, worth->place[object]);
}

static void gdsf_remove(struct cache *cache, uint32_t object)
{
    struct worth *worth = cache->extra;
    uint32_t at = worth->place[object], last = worth->heap[--worth->count];
    if (last != object) {
        heap_put(worth, at, last);
        heap_rise(worth, at);
        heap_sink(worth, worth->place[last]);
    }
    cache_pull(cache, object);
}

static void gdsf_insert(struct cache *cache, uint32_t object)
{
    struct worth *worth = cache->extra;
    if (cache_cost(cache, object) > cache->capacity)
        return;
    while (cache->used + cache_cost(cache, object) > cache->capacity) {
        worth->bar = worth->value[worth->heap[0]];
        gdsf_remove(cache, worth->heap[0]);
    }
    worth->reads[object] = 1;
    appraise(cache, object);
    heap_put(worth, worth->count++, object);
    heap_rise(worth, worth->place[object]);
    cache_push(cache, QUEUE, object);
}

const struct model model_gdsf = {.name = "gdsf",
                                 .about = "GreedyDual-Size-Frequency, 28 B",
                                 .overhead = 28,
                                 .open = gdsf_open,
                                 .close = gdsf_close,
                                 .hit = gdsf_hit,
                                 .insert = gdsf_insert,
                                 .remove = gdsf_remove};
