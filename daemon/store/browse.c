/* Browsing: a stateless cursor through the index in the order of reversed hash bits.
 *
 * A bucket that is told apart by w hash bits covers a block of 2^(64-w) positions of that order. Splitting or
 * merging buckets halves or joins blocks but moves no key to another position, so what lies behind the cursor
 * has been visited whatever the index did meanwhile. */
#include "base/clock.h"
#include "store/store_priv.h"

#include <stdlib.h>

static uint64_t reverse_bits(uint64_t x)
{
    x = __builtin_bswap64(x);
    x = (x >> 4 & 0x0f0f0f0f0f0f0f0f) | (x & 0x0f0f0f0f0f0f0f0f) << 4;
    x = (x >> 2 & 0x3333333333333333) | (x & 0x3333333333333333) << 2;
    return (x >> 1 & 0x5555555555555555) | (x & 0x5555555555555555) << 1;
}

/* How many hash bits tell bucket `index` from the others while there are `count`. */
static unsigned bucket_width(uint64_t count, uint64_t index)
{
    unsigned level = 63u - (unsigned)__builtin_clzll(count);
    uint64_t half = 1ull << level;
    return index >= half || index < count - half ? level + 1 : level;
}

static bool visit_room(struct store_thread *thread, size_t count)
{
    if (count <= thread->visit_capacity)
        return true;
    uint64_t *visit = realloc(thread->visit, 2 * count * sizeof *visit);
    if (!visit)
        return false;
    thread->visit = visit;
    thread->visit_capacity = 2 * count;
    return true;
}

/* Copies the chain's slots to thread->visit; returns their count, or SIZE_MAX when there is no memory. */
static size_t chain_read(struct store_thread *thread, struct bucket *bucket)
{
    size_t count = 0;
    struct walk walk = walk_begin(thread->store, bucket);
    const _Atomic uint64_t *slot;
    while ((slot = walk_next(&walk)) != NULL) {
        uint64_t value = slot_load(slot);
        if (!(value & SLOT_USED))
            continue;
        if (!visit_room(thread, count + 1))
            return SIZE_MAX;
        thread->visit[count++] = value;
    }
    return count;
}

/* The slots of the bucket at this position, as they were at one moment; *end is where its block ends. The
 * bucket is locked for the copying: a few lines' worth, and browsing is rare. */
static size_t position_read(struct store_thread *thread, uint64_t position, uint64_t *end)
{
    struct store *store = thread->store;
    uint64_t hash = reverse_bits(position);
    struct bucket *bucket = index_lock(store, hash);
    uint64_t count = atomic_load_explicit(&store->bucket_count, memory_order_acquire);
    size_t slots = chain_read(thread, bucket);
    unsigned width = bucket_width(count, index_bucket_of(count, hash));
    index_unlock(bucket);
    uint64_t block = 1ull << (64 - width);
    *end = (position & ~(block - 1)) + block;
    return slots;
}

uint64_t store_browse(struct store_thread *thread, uint64_t cursor, unsigned item_max, unsigned bucket_max,
                      store_visit_fn visit, void *context)
{
    struct store *store = thread->store;
    uint32_t now_s = clock_s();
    unsigned visited = 0;
    flush_poll(store, now_s);
    for (unsigned i = 0; i < bucket_max && visited < item_max; i++) {
        uint64_t end;
        size_t slots = position_read(thread, cursor, &end);
        if (slots == SIZE_MAX)
            return cursor;
        for (size_t s = 0; s < slots; s++) {
            struct store_view view;
            const struct item *item = item_at(store, slot_location(thread->visit[s]));
            if (!item_alive(store, item, now_s))
                continue;
            view_fill(store, &view, item, thread->visit[s], now_s);
            visit(context, &view);
            visited++;
        }
        cursor = end;
        if (cursor == 0)
            break;
    }
    return cursor;
}
