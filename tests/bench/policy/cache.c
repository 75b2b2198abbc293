#include "cache.h"

#include <stdlib.h>

void cache_push(struct cache *cache, unsigned list, uint32_t object)
{
    struct cache_list *to = &cache->list[list];
    struct cache_node *node = &cache->node[object];
    uint64_t cost = cache_cost(cache, object);
    node->list = (uint8_t)list;
    node->prev = CACHE_NONE;
    node->next = to->head;
    if (to->head != CACHE_NONE)
        cache->node[to->head].prev = object;
    else
        to->tail = object;
    to->head = object;
    to->size += cost;
    cache->used += cost;
}

void cache_pull(struct cache *cache, uint32_t object)
{
    struct cache_node *node = &cache->node[object];
    struct cache_list *from = &cache->list[node->list];
    uint64_t cost = cache_cost(cache, object);
    if (node->prev != CACHE_NONE)
        cache->node[node->prev].next = node->next;
    else
        from->head = node->next;
    if (node->next != CACHE_NONE)
        cache->node[node->next].prev = node->prev;
    else
        from->tail = node->prev;
    from->size -= cost;
    cache->used -= cost;
    node->list = CACHE_ABSENT;
}

void cache_move(struct cache *cache, unsigned list, uint32_t object)
{
    cache_pull(cache, object);
    cache_push(cache, list, object);
}

/* ---- replay ---- */

static bool cache_open(struct cache *cache)
{
    uint32_t count = cache->requests->object_count;
    cache->node = calloc((size_t)count + 1, sizeof *cache->node);
    if (!cache->node)
        return false;
    for (uint32_t i = 0; i < count; i++)
        cache->node[i].list = CACHE_ABSENT;
    for (unsigned i = 0; i < CACHE_LIST_MAX; i++)
        cache->list[i] = (struct cache_list){CACHE_NONE, CACHE_NONE, 0};
    return !cache->model->open || cache->model->open(cache);
}

static void cache_close(struct cache *cache)
{
    if (cache->model->close)
        cache->model->close(cache);
    free(cache->node);
}

static bool expired(const struct cache *cache, uint32_t object)
{
    uint32_t expiry_s = cache->node[object].expiry_s;
    return expiry_s != 0 && expiry_s <= requests_second(cache->requests, cache->at);
}

static void store(struct cache *cache, uint32_t object)
{
    const struct stream_record *record = &cache->requests->stream.records[cache->at];
    if (cache_holds(cache, object))
        cache->model->remove(cache, object);
    cache->node[object].expiry_s =
        record->ttl_s == 0 ? 0 : requests_second(cache->requests, cache->at) + record->ttl_s;
    cache->model->insert(cache, object);
}

static void replay_one(struct cache *cache, struct replay_result *result)
{
    uint32_t object = cache->requests->object[cache->at];
    uint8_t op = cache->requests->stream.records[cache->at].op;
    if (op == STREAM_DELETE) {
        if (cache_holds(cache, object))
            cache->model->remove(cache, object);
        return;
    }
    bool hit = cache_holds(cache, object) && !expired(cache, object);
    if (op == STREAM_GET) {
        bool counted = cache->at >= cache->requests->counted_from;
        result->gets += counted;
        result->misses += counted && !hit;
        if (hit) {
            cache->model->hit(cache, object);
            return;
        }
    }
    store(cache, object);
}

bool cache_replay(const struct requests *requests, const struct model *model, uint64_t capacity,
                  struct replay_result *result)
{
    struct cache *cache = calloc(1, sizeof *cache);
    *result = (struct replay_result){0};
    if (!cache)
        return false;
    *cache = (struct cache){
        .requests = requests, .model = model, .capacity = capacity, .overhead = model->overhead};
    bool open = cache_open(cache);
    for (; open && cache->at < requests->stream.count; cache->at++)
        replay_one(cache, result);
    cache_close(cache);
    free(cache);
    return open;
}
