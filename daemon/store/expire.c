/* Clearing away in the background what nobody can read any more: expired segments and flushed items.
 * With STORE_MAINTAIN held. */
#include "base/clock.h"
#include "base/hash.h"
#include "store/store_priv.h"

#define SWEEP_COUNT  4096u /* buckets a round */
#define SWEEP_AHEAD  8u    /* buckets whose items are fetched ahead */
#define EXPIRE_COUNT 4u    /* segments a round */

/* Has its time passed? Then claims it, to be emptied; *missed when that cannot be done yet. */
static bool expire_segment(struct store *store, uint32_t id, uint32_t now_s, bool *missed)
{
    const struct segment *segment = &store->segments[id];
    if (segment_state(segment) != SEGMENT_SEALED ||
        atomic_load_explicit(&segment->expiry_max_s, memory_order_relaxed) > now_s)
        return false;
    bool claimed = segment_claim(store, id, DRAIN_COMPACT);
    *missed |= !claimed;
    return claimed;
}

bool expire_segments(struct store *store, uint32_t now_s)
{
    if (store->expiry_scan_s == now_s)
        return false;
    if (store->expiry_scan_at == 0)
        store->expiry_missed = lanes_seal_expired(store, now_s);
    uint32_t count = atomic_load_explicit(&store->segment_count, memory_order_acquire);
    unsigned freed = 0;
    while (store->expiry_scan_at < count && freed < EXPIRE_COUNT)
        freed += expire_segment(store, store->expiry_scan_at++, now_s, &store->expiry_missed);
    if (store->expiry_scan_at < count)
        return true;
    store->expiry_scan_at = 0;
    if (!store->expiry_missed) /* else look again in the next round, not only in the next second */
        store->expiry_scan_s = now_s;
    return false;
}

/* ---- the sweep after a flush ---- */

static void sweep_bucket(struct store *store, uint64_t index)
{
    struct bucket *home = &store->buckets[index];
    bool found = false;
    PERTURB(SWEEP_BUCKET);
    index_bucket_lock(home);
    struct walk walk = walk_begin(store, home);
    _Atomic uint64_t *slot;
    while ((slot = walk_next(&walk)) != NULL) {
        uint64_t value = slot_load(slot);
        const struct item *item = item_at(store, slot_location(value));
        if (!(value & SLOT_USED) || !item_flushed(store, item))
            continue;
        uint64_t hash = hash_bytes(item_key(item), item_key_size(item), store->hash_seed);
        removal_unlink(store->reclaimer, slot, hash, REMOVAL_FLUSHED);
        found = true;
    }
    if (found)
        index_tidy(store, home);
    index_unlock(home);
}

static void sweep_prefetch(const struct store *store, uint64_t index)
{
    const struct bucket *bucket = &store->buckets[index];
    for (unsigned i = 0; i < BUCKET_SLOTS; i++) {
        uint64_t value = atomic_load_explicit(&bucket->slot[i], memory_order_relaxed);
        if (value & SLOT_USED)
            __builtin_prefetch(item_at(store, slot_location(value)));
    }
}

/* A new watermark: the sweep begins when every write that drew its sequence number before it is published. */
static void sweep_begin(struct store *store, uint64_t seq)
{
    store->sweeping = true;
    store->sweep_seq = seq;
    store->sweep_at = 0;
    store->sweep_epoch = epoch_advance(store);
}

bool flush_sweep(struct store *store)
{
    uint64_t seq = atomic_load_explicit(&store->flush_seq, memory_order_acquire);
    if (seq == 0)
        return false;
    if (!store->sweeping || store->sweep_seq != seq)
        sweep_begin(store, seq);
    if (!epoch_passed(store, store->sweep_epoch))
        return false;
    uint64_t count = atomic_load_explicit(&store->bucket_count, memory_order_relaxed);
    for (unsigned i = 0; i < SWEEP_COUNT && store->sweep_at < count; i++) {
        if (store->sweep_at + SWEEP_AHEAD < count)
            sweep_prefetch(store, store->sweep_at + SWEEP_AHEAD);
        sweep_bucket(store, store->sweep_at++);
    }
    if (store->sweep_at < count)
        return true;
    /* Nothing from before the watermark is left, so it can go, unless a later flush has moved it. Release:
     * the unlinked slots come first. */
    store->sweeping = false;
    return !atomic_compare_exchange_strong_explicit(&store->flush_seq, &seq, 0, memory_order_release,
                                                    memory_order_relaxed);
}
