/* memcached's segmented LRU in slab classes: pages of 1 MiB given to classes as they first need them, HOT 20
 * %, WARM 40 % and COLD in each class. Left out: the page mover, which needs seconds of its own time, and the
 * hash table, which memcached keeps outside -m. So the real one holds less, and more. */
#include "cache.h"

#include <stdlib.h>

#define PAGE_SIZE     (1u << 20)
#define ITEM_OVERHEAD 59u /* header 48, CAS 8, NUL 1, CR LF 2 */
#define CHUNK_MIN     96u
#define CLASS_MAX     64u
#define HOT_SHARE     20u /* percent of a class */
#define WARM_SHARE    40u
#define TRIES         5u /* active items at COLD's tail that are saved before one goes all the same */

enum { HOT, WARM, COLD, LIST_COUNT };
enum { FETCHED = 1, ACTIVE = 2 };

struct slab_class {
    uint32_t chunk_size;
    uint64_t chunk_count, used_count;
};

struct slabs {
    struct slab_class class[CLASS_MAX];
    unsigned class_count;
    uint64_t page_count;
};

static bool slabs_open(struct cache *cache)
{
    struct slabs *slabs = calloc(1, sizeof *slabs);
    cache->extra = slabs;
    if (!slabs)
        return false;
    slabs->page_count = cache->capacity / PAGE_SIZE;
    uint32_t size = CHUNK_MIN;
    while (size <= PAGE_SIZE / 2 && slabs->class_count < CLASS_MAX - 1) {
        slabs->class[slabs->class_count++].chunk_size = size;
        size = (size * 5 / 4 + 7) / 8 * 8;
    }
    slabs->class[slabs->class_count++].chunk_size = PAGE_SIZE;
    return true;
}

static void slabs_close(struct cache *cache)
{
    free(cache->extra);
}

static unsigned class_of(const struct cache *cache, uint32_t object)
{
    const struct slabs *slabs = cache->extra;
    unsigned class = 0;
    while (class + 1 < slabs->class_count && slabs->class[class].chunk_size < cache_cost(cache, object))
        class ++;
    return class;
}

static void slabs_remove(struct cache *cache, uint32_t object)
{
    struct slabs *slabs = cache->extra;
    slabs->class[cache->node[object].list / LIST_COUNT].used_count--;
    cache_pull(cache, object);
}

/* From HOT's or WARM's tail to where it goes on. */
static void demote(struct cache *cache, unsigned class, unsigned list)
{
    uint32_t tail = cache->list[class * LIST_COUNT + list].tail;
    bool active = cache->node[tail].mark & ACTIVE;
    cache->node[tail].mark &= (uint8_t)~ACTIVE;
    cache_move(cache, class * LIST_COUNT + (active ? WARM : COLD), tail);
}

static void balance(struct cache *cache, unsigned class)
{
    struct cache_list *list = &cache->list[class * LIST_COUNT];
    uint64_t total = list[HOT].size + list[WARM].size + list[COLD].size;
    while (list[HOT].size * 100 > total * HOT_SHARE)
        demote(cache, class, HOT);
    for (unsigned i = 0; i < TRIES && list[WARM].size * 100 > total * WARM_SHARE; i++)
        demote(cache, class, WARM);
}

static void evict(struct cache *cache, unsigned class)
{
    struct cache_list *list = &cache->list[class * LIST_COUNT];
    balance(cache, class);
    for (unsigned i = 0; i < TRIES; i++) {
        uint32_t tail = list[COLD].tail;
        if (tail == CACHE_NONE || !(cache->node[tail].mark & ACTIVE))
            break;
        cache->node[tail].mark &= (uint8_t)~ACTIVE;
        cache_move(cache, class * LIST_COUNT + WARM, tail);
    }
    for (unsigned i = 0; i < LIST_COUNT; i++) {
        uint32_t tail = list[(COLD + i) % LIST_COUNT].tail;
        if (tail != CACHE_NONE) {
            slabs_remove(cache, tail);
            return;
        }
    }
}

static void slabs_insert(struct cache *cache, uint32_t object)
{
    struct slabs *slabs = cache->extra;
    unsigned number = class_of(cache, object);
    struct slab_class *class = &slabs->class[number];
    /* A class always gets its first page, even beyond -m. */
    if (class->used_count == class->chunk_count && (slabs->page_count > 0 || class->chunk_count == 0)) {
        slabs->page_count -= slabs->page_count > 0;
        class->chunk_count += PAGE_SIZE / class->chunk_size;
    }
    if (class->used_count == class->chunk_count)
        evict(cache, number);
    class->used_count++;
    cache->node[object].mark = 0;
    cache_push(cache, number * LIST_COUNT + HOT, object);
}

static void slabs_hit(struct cache *cache, uint32_t object)
{
    struct cache_node *node = &cache->node[object];
    unsigned class = node->list / LIST_COUNT;
    node->mark |= (node->mark & FETCHED) ? ACTIVE : FETCHED;
    if ((node->mark & ACTIVE) && node->list % LIST_COUNT == COLD) {
        node->mark &= (uint8_t)~ACTIVE;
        cache_move(cache, class * LIST_COUNT + WARM, object);
    }
}

const struct model model_slabs = {.name = "slabs",
                                  .about = "segmented LRU in slab classes, as memcached",
                                  .overhead = ITEM_OVERHEAD,
                                  .open = slabs_open,
                                  .close = slabs_close,
                                  .hit = slabs_hit,
                                  .insert = slabs_insert,
                                  .remove = slabs_remove};
