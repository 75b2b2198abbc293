/* Taking dead bytes back: segments of which little is alive are copied together, the least alive first. */
#include "base/clock.h"
#include "store/store_priv.h"

#define SAMPLE_COUNT 256u
#define IDLE_PERCENT 6u /* with less alive a segment is compacted though memory is not short */
#define ROUND_COUNT  4u /* segments claimed in a round */

/* What is left alive of a segment, in percent; expiries are taken as evenly spread between first and last.
 * Without eviction the room behind the last record counts as alive: records that did not fit there will not
 * fit the next time either, and compacting for its sake would never end. */
static unsigned alive_percent(const struct store *store, const struct segment *segment, uint32_t now_s)
{
    uint64_t live = atomic_load_explicit(&segment->live_size, memory_order_relaxed);
    uint64_t written = atomic_load_explicit(&segment->write_offset, memory_order_relaxed);
    uint32_t first_s = atomic_load_explicit(&segment->expiry_min_s, memory_order_relaxed);
    uint32_t last_s = atomic_load_explicit(&segment->expiry_max_s, memory_order_relaxed);
    if (last_s != SEGMENT_NEVER_S && first_s < now_s)
        live = now_s < last_s ? live * (last_s - now_s) / (last_s - first_s) : 0;
    if (store->no_eviction)
        live += segment_size(store) - written;
    return (unsigned)(live * 100 / segment_size(store));
}

bool compact_claim(struct store *store, unsigned least)
{
    uint32_t count = atomic_load_explicit(&store->segment_count, memory_order_acquire);
    uint32_t looks = store->no_eviction || count < SAMPLE_COUNT ? count : SAMPLE_COUNT;
    uint32_t best = SEGMENT_NONE, now_s = clock_s();
    for (uint32_t i = 0; i < looks; i++) {
        uint32_t id = store->sample_at++ % count;
        const struct segment *segment = &store->segments[id];
        if (segment_state(segment) != SEGMENT_SEALED)
            continue;
        unsigned alive = alive_percent(store, segment, now_s);
        if (alive < least) {
            least = alive;
            best = id;
        }
    }
    return best != SEGMENT_NONE && segment_claim(store, best, DRAIN_COMPACT);
}

bool compact_nearly_dead(struct store *store)
{
    for (unsigned i = 0; i < ROUND_COUNT; i++)
        if (!compact_claim(store, IDLE_PERCENT))
            return false;
    return true;
}
