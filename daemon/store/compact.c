/* Taking dead bytes back: segments of which little is alive are copied together, the least alive first. */
#include "base/clock.h"
#include "store/store_priv.h"

#define SAMPLE_COUNT 256u
#define IDLE_PERCENT 6u /* with less alive a segment is compacted though memory is not short */
#define ROUND_COUNT  4u /* segments claimed in a round */
#define CLAIMED_MAX  8u /* more wait for their grace period than are worth claiming ahead */

/* How much of what sealed segments hold is to be alive, in percent. While much is written, copying at a
 * higher share would cost more than it gains: what is copied now is soon half dead again. */
#define ALIVE_AT_REST    94u
#define ALIVE_UNDER_LOAD 60u
#define ALIVE_MAX        95u /* segments with more alive are left as they are */
#define LOAD_SHARE       64u /* under load: a sixty-fourth of what is alive is written in a second */
#define COPY_PERCENT     45u /* of the bytes written may be copied for it, in all */

/* What is left alive of a segment, in percent; expiries are taken as evenly spread between first and last.
 * Without eviction the room behind the last record counts as alive: records that did not fit there will not
 * fit the next time either, and compacting for its sake would never end. */
static unsigned alive_percent(const struct store *store, const struct segment *segment, uint32_t now_s)
{
    uint64_t live = segment_live_size(segment);
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

/* ---- taking dead bytes back while memory is not short ---- */

static bool may_copy(struct store *store, uint64_t size)
{
    struct compaction *plan = &store->compaction;
    if (atomic_load_explicit(&store->claimed.count, memory_order_relaxed) == 0)
        plan->promised_size = 0;
    if (store->copied_size + plan->promised_size + size > plan->written_size / 100 * COPY_PERCENT)
        return false;
    plan->promised_size += size;
    return true;
}

/* Of the bytes written to it; the room behind the last record is no gain, as above. */
static unsigned alive_of_written(uint64_t live, uint64_t written)
{
    return written > 0 && live < written ? (unsigned)(live * 100 / written) : 100;
}

struct census {
    uint64_t live, written;
    uint64_t dead[101]; /* bytes, by how much of their segment is alive */
};

static void census_take(const struct store *store, struct census *census)
{
    uint32_t count = atomic_load_explicit(&store->segment_count, memory_order_acquire);
    for (uint32_t id = 0; id < count; id++) {
        const struct segment *segment = &store->segments[id];
        if (segment_state(segment) != SEGMENT_SEALED)
            continue;
        uint64_t live = segment_live_size(segment);
        uint64_t written = atomic_load_explicit(&segment->write_offset, memory_order_relaxed);
        census->live += live;
        census->written += written;
        census->dead[alive_of_written(live, written)] += live < written ? written - live : 0;
    }
}

/* Segments with less alive than this many percent are to be compacted so that `wanted` percent are alive of
 * all that is left: the cheapest first. 0: none. */
static unsigned plan_below(const struct census *census, unsigned wanted)
{
    uint64_t written = census->written;
    unsigned below = 0;
    while (below < ALIVE_MAX && census->live * 100 < written * wanted)
        written -= census->dead[below++];
    return written < census->written ? below : 0;
}

/* Once a second, when something has changed. */
static void plan_make(struct store *store)
{
    struct compaction *plan = &store->compaction;
    uint64_t written_size = threads_written_size(store);
    int64_t slot_balance = threads_slot_balance(store);
    uint64_t fresh = written_size - plan->written_size;
    bool changed = fresh != 0 || slot_balance != plan->slot_balance;
    plan->looked_s = clock_s();
    if (!changed && plan->settled)
        return;
    struct census census = {0};
    census_take(store, &census);
    bool load = fresh > census.live / LOAD_SHARE;
    plan->below = plan_below(&census, load ? ALIVE_UNDER_LOAD : ALIVE_AT_REST);
    plan->at = 0;
    plan->settled = !load && plan->below == 0;
    plan->written_size = written_size;
    plan->slot_balance = slot_balance;
}

/* Claims the segment if the plan wants it; false when the plan is over for want of copies it may make. */
static bool plan_claim(struct store *store, uint32_t id, unsigned *claimed)
{
    const struct segment *segment = &store->segments[id];
    uint64_t live = segment_live_size(segment);
    uint64_t written = atomic_load_explicit(&segment->write_offset, memory_order_relaxed);
    if (segment_state(segment) != SEGMENT_SEALED ||
        alive_of_written(live, written) >= store->compaction.below)
        return true;
    if (!may_copy(store, live))
        return false;
    *claimed += segment_claim(store, id, DRAIN_COMPACT);
    return true;
}

bool compact_wasteful(struct store *store)
{
    struct compaction *plan = &store->compaction;
    unsigned claimed = 0;
    if (clock_s() != plan->looked_s)
        plan_make(store);
    uint32_t count = atomic_load_explicit(&store->segment_count, memory_order_acquire);
    while (plan->below > 0 && claimed < ROUND_COUNT) {
        if (atomic_load_explicit(&store->claimed.count, memory_order_relaxed) >= CLAIMED_MAX)
            return false;
        if (plan->at >= count)
            plan->below = 0;
        else if (!plan_claim(store, plan->at++, &claimed)) {
            plan->below = 0;
            plan->settled = true; /* until more is written */
        }
    }
    return plan->below > 0;
}
