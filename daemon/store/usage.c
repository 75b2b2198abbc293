/* How full the store is: for the gauges, and in more detail for whoever asks. No lock: sums of relaxed reads.
 */
#include "base/clock.h"
#include "store/store_priv.h"

static uint64_t get(const _Atomic uint64_t *cell)
{
    return atomic_load_explicit(cell, memory_order_relaxed);
}

static uint32_t list_count(const struct segment_list *list)
{
    return atomic_load_explicit(&list->count, memory_order_relaxed);
}

static size_t segments_used(const struct store *store)
{
    return atomic_load_explicit(&store->segment_count, memory_order_acquire) - list_count(&store->free) -
           list_count(&store->retired);
}

/* What is held less the free segments that are kept ready. */
static size_t used_size(const struct store *store)
{
    return get(&store->held_size) - ((size_t)list_count(&store->free) << store->segment_shift);
}

static uint32_t age_s(const struct store *store, uint32_t id)
{
    if (id == SEGMENT_NONE)
        return 0;
    return clock_s() - atomic_load_explicit(&store->segments[id].created_s, memory_order_relaxed);
}

/* The first sealed one is the oldest of those; an open one that fills slowly may be older still. */
static uint32_t oldest_s(const struct store *store, enum pool pool)
{
    uint32_t oldest =
        age_s(store, atomic_load_explicit(&store->fifo[pool][GRADE_COMMON].head, memory_order_relaxed));
    size_t count = (size_t)store->class_count * store->lane_count;
    for (size_t i = 0; i < count; i++) {
        const struct lane *lane = &store->lanes[pool * count + i];
        uint32_t age = age_s(store, atomic_load_explicit(&lane->segment, memory_order_relaxed));
        oldest = age > oldest ? age : oldest;
    }
    return oldest;
}

void store_usage_read(struct store *store, struct store_usage *usage)
{
    uint64_t buckets = get(&store->bucket_count);
    *usage = (struct store_usage){
        .limit_size = get(&store->limit_size),
        .used_size = used_size(store),
        .segment_size = segment_size(store),
        .segments_used = segments_used(store),
        .segments_free = segment_available(store),
        .index_size = index_size(store) + ghosts_size(store),
        .staging_size = get(&store->staging_size),
        .bucket_count = buckets,
        .slot_count = buckets * BUCKET_SLOTS,
        .growing = atomic_load_explicit(&store->growing, memory_order_relaxed),
    };
    usage->segments_max = usage->segments_used + usage->segments_free;
    uint32_t count = atomic_load_explicit(&store->segment_count, memory_order_acquire);
    for (uint32_t id = 0; id < count; id++) {
        const struct segment *segment = &store->segments[id];
        usage->live_size += segment_live_size(segment);
        usage->item_count += segment_live_count(segment);
    }
}

static void bands_probe(const struct store *store, struct metrics_snapshot *snapshot)
{
    uint32_t small_s = oldest_s(store, POOL_SMALL), main_s = oldest_s(store, POOL_MAIN);
    for (unsigned band = 0; band < METRICS_BAND_COUNT; band++) {
        snapshot->band[band][BAND_age_hot] = small_s;
        snapshot->band[band][BAND_age] = main_s > small_s ? main_s : small_s;
        snapshot->band[band][BAND_evicted_time] =
            atomic_load_explicit(&store->evicted_idle_s[band], memory_order_relaxed);
    }
}

void usage_probe(void *context, struct metrics_snapshot *snapshot)
{
    const struct store *store = context;
    uint64_t *value = snapshot->value;
    uint64_t buckets = get(&store->bucket_count);
    value[METRIC_bytes] = value[METRIC_bytes_stored] - value[METRIC_bytes_removed];
    value[METRIC_curr_items] = value[METRIC_total_items] - value[METRIC_removed_evicted] -
                               value[METRIC_removed_expired] - value[METRIC_removed_deleted] -
                               value[METRIC_removed_replaced] - value[METRIC_removed_flushed];
    value[METRIC_limit_maxbytes] = get(&store->limit_size);
    value[METRIC_memory_used] = used_size(store);
    value[METRIC_memory_segments] = (uint64_t)segments_used(store) << store->segment_shift;
    value[METRIC_memory_index] = index_size(store) + ghosts_size(store);
    value[METRIC_memory_staging] = get(&store->staging_size);
    value[METRIC_memory_free] = value[METRIC_limit_maxbytes] > value[METRIC_memory_used]
                                    ? value[METRIC_limit_maxbytes] - value[METRIC_memory_used]
                                    : 0;
    value[METRIC_hash_power_level] = 63u - (unsigned)__builtin_clzll(buckets);
    value[METRIC_hash_is_expanding] = atomic_load_explicit(&store->growing, memory_order_relaxed);
    value[METRIC_segment_size] = segment_size(store);
    value[METRIC_segments_used] = segments_used(store);
    value[METRIC_segments_free] = segment_available(store);
    value[METRIC_pinned_bytes] = get(&store->pinned_size);
    bands_probe(store, snapshot);
}
