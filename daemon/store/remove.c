/* The one place where items leave the count: conservation (stored = current + removed, by reason) hangs on
 * it. */
#include "base/clock.h"
#include "metrics/events.h"
#include "store/store_priv.h"

void live_count_chunks(struct store *store, const struct item *item, int sign)
{
    const struct large *large = item_large(item);
    for (uint64_t i = 0; i < large->count; i++) {
        uint64_t chunk = atomic_load_explicit(&large->chunk[i], memory_order_acquire) & LOCATION_MASK;
        segment_count_live(segment_of(store, chunk), sign * (int64_t)item_record_size(item_at(store, chunk)),
                           0);
    }
}

static void tell_evicted(struct metrics_block *block, const struct item *item, unsigned band)
{
    uint32_t now_s = clock_s(), expiry_s = item_expiry_s(item);
    const struct live_event event = {.type = EVENT_EVICTION,
                                     .size = item_value_size(item),
                                     .ttl_s = expiry_s == STORE_NEVER_S ? -1 : (int64_t)expiry_s - now_s,
                                     .idle_s = now_s - item_access_s(item, now_s),
                                     .class_id = (uint8_t)(band + 1),
                                     .fetched = (item_flags(item) & ITEM_FETCHED) != 0};
    events_put(block, &event, item_key(item), item_key_size(item));
}

/* Its age is that of its segment: since it was stored, or last copied because it had been read. */
static void count_evicted(struct store_thread *thread, const struct item *item, unsigned band,
                          const struct segment *segment)
{
    uint32_t created_s = atomic_load_explicit(&segment->created_s, memory_order_relaxed);
    struct metrics_block *block = thread->block;
    uint32_t now_s = clock_s(), idle_s = now_s - item_access_s(item, now_s);
    metrics_band_add(block, band, BAND_evicted, 1);
    if (events_wanted(block, STREAM_evictions))
        tell_evicted(block, item, band);
    if (item_expiry_s(item) != STORE_NEVER_S)
        metrics_band_add(block, band, BAND_evicted_nonzero, 1);
    if (!(item_flags(item) & ITEM_FETCHED)) {
        metrics_add(block, METRIC_evicted_unfetched, 1);
        metrics_band_add(block, band, BAND_evicted_unfetched, 1);
    }
    metrics_distribution_add(block, DISTRIBUTION_evicted_age, now_s - created_s, 1);
    metrics_distribution_add(block, DISTRIBUTION_evicted_idle, idle_s, 1);
    /* Relaxed: a gauge; partner: usage_probe. */
    atomic_store_explicit(&thread->store->evicted_idle_s[band], idle_s, memory_order_relaxed);
}

static void count_expired(struct metrics_block *block, const struct item *item, unsigned band)
{
    if (item_flags(item) & ITEM_FETCHED)
        return;
    metrics_add(block, METRIC_expired_unfetched, 1);
    metrics_band_add(block, band, BAND_expired_unfetched, 1);
}

void removal_count(struct store_thread *thread, const struct item *item, uint64_t location,
                   enum removal removal)
{
    static const enum metric counter[] = {
        [REMOVAL_EVICTED] = METRIC_removed_evicted,
        [REMOVAL_EXPIRED] = METRIC_removed_expired,
        [REMOVAL_DELETED] = METRIC_removed_deleted,
        [REMOVAL_FLUSHED] = METRIC_removed_flushed,
    };
    struct metrics_block *block = thread->block;
    size_t size = item_counted_size(item_key_size(item), item_value_size(item));
    unsigned band = metrics_band_of(size);
    live_count_item(thread->store, item, location, -1);
    metrics_band_add(block, band, BAND_removed_bytes, size);
    if (removal == REMOVAL_REPLACED) {
        metrics_band_add(block, band, BAND_replaced, 1);
    } else {
        metrics_band_add(block, band, BAND_removed, 1);
        metrics_add(block, counter[removal], 1);
    }
    metrics_size_add(block, size, -1);
    if (removal == REMOVAL_EVICTED)
        count_evicted(thread, item, band, segment_of(thread->store, location));
    if (removal == REMOVAL_EXPIRED)
        count_expired(block, item, band);
    recycle_unlinked(thread, item, location);
}

/* What has come as far as main stays wanted though this value of it is gone: the next one starts there. */
static bool leaves_place_in_main(const struct store *store, uint64_t location, enum removal removal)
{
    if (removal != REMOVAL_EXPIRED && removal != REMOVAL_DELETED)
        return false;
    return atomic_load_explicit(&segment_of(store, location)->pool, memory_order_relaxed) == POOL_MAIN;
}

void removal_unlink(struct store_thread *thread, _Atomic uint64_t *slot, uint64_t hash, enum removal removal)
{
    static const enum store_miss trace[] = {
        [REMOVAL_EVICTED] = STORE_MISS_EVICTED, [REMOVAL_EXPIRED] = STORE_MISS_EXPIRED,
        [REMOVAL_DELETED] = STORE_MISS_DELETED, [REMOVAL_REPLACED] = STORE_MISS_DELETED,
        [REMOVAL_FLUSHED] = STORE_MISS_FLUSHED,
    };
    uint64_t location = slot_location(slot_load(slot));
    if (leaves_place_in_main(thread->store, location, removal))
        ghosts_add(thread->store, hash, GHOST_DIED);
    index_clear(slot, hash, trace[removal]);
    removal_count(thread, item_at(thread->store, location), location, removal);
    thread_count_slot(thread, -1);
}

void removal_of_dead(struct store_thread *thread, uint64_t hash, uint64_t location)
{
    struct store *store = thread->store;
    struct bucket *bucket = index_lock(store, hash);
    _Atomic uint64_t *slot = index_slot_of_location(store, bucket, hash, location);
    uint32_t now_s = clock_s();
    if (slot && !item_alive(store, item_at(store, location), now_s)) {
        removal_unlink(thread, slot, hash,
                       removal_of(store, item_at(store, location), now_s, REMOVAL_EXPIRED));
        index_tidy(store, bucket);
    }
    index_unlock(bucket);
}
