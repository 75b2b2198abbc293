/* The optimum, approximately: knows the future, evicts what costs most bytes for the longest time until its
 * next use, among a sample; what is never used again leaves at once. With sizes the exact optimum is NP-hard;
 * this is the usual approximation ("Belady-size"), neither an upper nor a lower bound in the strict sense. */
#include "cache.h"

#include <stdlib.h>

#define SAMPLE_COUNT 64u
#define NEVER        UINT64_MAX
#define QUEUE        0u

struct future {
    uint64_t *next;     /* [request]: the object's next request; NEVER: none */
    uint64_t *use;      /* [object]: its next use, while it is in */
    uint32_t *resident; /* the objects that are in, in any order */
    uint32_t *place;    /* [object]: where in that */
    uint32_t count;
    uint64_t random;
};

static void look_ahead(const struct requests *requests, uint64_t *next, uint64_t *seen)
{
    for (uint32_t i = 0; i < requests->object_count; i++)
        seen[i] = NEVER;
    for (uint64_t at = requests->stream.count; at-- > 0;) {
        uint32_t object = requests->object[at];
        bool read = requests->stream.records[at].op == STREAM_GET;
        next[at] = seen[object];
        seen[object] = read ? at : NEVER; /* what is overwritten or deleted first need not be kept */
    }
}

static bool optimum_open(struct cache *cache)
{
    size_t objects = (size_t)cache->requests->object_count + 1;
    struct future *future = calloc(1, sizeof *future);
    cache->extra = future;
    if (!future)
        return false;
    future->next = malloc((cache->requests->stream.count + 1) * sizeof *future->next);
    future->use = malloc(objects * sizeof *future->use);
    future->resident = malloc(objects * sizeof *future->resident);
    future->place = malloc(objects * sizeof *future->place);
    future->random = 1;
    if (!future->next || !future->use || !future->resident || !future->place)
        return false;
    look_ahead(cache->requests, future->next, future->use);
    return true;
}

static void optimum_close(struct cache *cache)
{
    struct future *future = cache->extra;
    if (!future)
        return;
    free(future->next);
    free(future->use);
    free(future->resident);
    free(future->place);
    free(future);
}

static void optimum_remove(struct cache *cache, uint32_t object)
{
    struct future *future = cache->extra;
    uint32_t last = future->resident[--future->count];
    future->resident[future->place[object]] = last;
    future->place[last] = future->place[object];
    cache_pull(cache, object);
}

/* When it is next read alive. */
static uint64_t use_of(const struct cache *cache, uint32_t object)
{
    const struct future *future = cache->extra;
    uint64_t use = future->next[cache->at];
    uint32_t expiry_s = cache->node[object].expiry_s;
    bool dead = use != NEVER && expiry_s != 0 && expiry_s <= requests_second(cache->requests, use);
    return dead ? NEVER : use;
}

static double burden(const struct cache *cache, uint32_t object)
{
    const struct future *future = cache->extra;
    return (double)(future->use[object] - cache->at) * (double)cache_cost(cache, object);
}

static uint32_t random_resident(struct future *future)
{
    future->random = future->random * 6364136223846793005u + 1442695040888963407u;
    return future->resident[(future->random >> 32) * future->count >> 32];
}

/* The sampled one that burdens most. */
static uint32_t victim(const struct cache *cache)
{
    struct future *future = cache->extra;
    uint32_t worst = random_resident(future);
    for (unsigned i = 1; i < SAMPLE_COUNT; i++) {
        uint32_t other = random_resident(future);
        if (burden(cache, other) > burden(cache, worst))
            worst = other;
    }
    return worst;
}

static void optimum_insert(struct cache *cache, uint32_t object)
{
    struct future *future = cache->extra;
    uint64_t use = use_of(cache, object);
    if (use == NEVER || cache_cost(cache, object) > cache->capacity)
        return;
    future->use[object] = use;
    while (cache->used + cache_cost(cache, object) > cache->capacity) {
        uint32_t worst = victim(cache);
        if (burden(cache, worst) <= burden(cache, object))
            return;
        optimum_remove(cache, worst);
    }
    future->place[object] = future->count;
    future->resident[future->count++] = object;
    cache_push(cache, QUEUE, object);
}

static void optimum_hit(struct cache *cache, uint32_t object)
{
    struct future *future = cache->extra;
    future->use[object] = use_of(cache, object);
    if (future->use[object] == NEVER)
        optimum_remove(cache, object);
}

const struct model model_optimum = {.name = "optimum",
                                    .about = "the optimum, approximately (Belady by size), 28 B",
                                    .overhead = 28,
                                    .open = optimum_open,
                                    .close = optimum_close,
                                    .hit = optimum_hit,
                                    .insert = optimum_insert,
                                    .remove = optimum_remove};
