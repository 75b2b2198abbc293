/* Which segment goes next: S3-FIFO (SOSP'23) with segments as the unit, after what is nearly dead already. */
#include "base/clock.h"
#include "store/store_priv.h"

#include <time.h>

#define COMPACT_PERCENT      40u /* a segment with less alive is compacted before anything is evicted */
#define COMPACT_PERCENT_FULL 93u /* without eviction: whatever gives a little */
#define CLAIM_TRIES          16u
#define LIMBO_ENOUGH         4u /* segments waiting for their grace period: wait for them before taking more */
#define ROUND_COUNT          4u /* segments emptied before others get the lock */
#define WAIT_NS              20000
#define WAIT_COUNT           50000u /* a second in all: longer, no thread stays online */

static bool claim_graded(struct store *store, enum pool pool, enum grade grade)
{
    uint32_t ids[CLAIM_TRIES];
    unsigned count = segment_oldest(store, pool, grade, ids, CLAIM_TRIES);
    for (unsigned i = 0; i < count; i++)
        if (segment_claim(store, ids[i], pool == POOL_SMALL ? DRAIN_SMALL : DRAIN_MAIN)) {
            segment_note_evicted(store, ids[i]);
            return true;
        }
    return false;
}

static bool claim_from(struct store *store, enum pool pool)
{
    enum grade first = pools_next_grade(store, pool);
    bool claimed = claim_graded(store, pool, first);
    for (unsigned grade = 0; !claimed && grade < GRADE_COUNT; grade++)
        claimed = grade != first && claim_graded(store, pool, (enum grade)grade);
    return claimed;
}

static uint32_t sealed_count(const struct store *store)
{
    return pools_sealed_count(store, POOL_SMALL) + pools_sealed_count(store, POOL_MAIN);
}

static uint32_t claimed_count(const struct store *store)
{
    return atomic_load_explicit(&store->claimed.count, memory_order_relaxed);
}

static uint32_t limbo_count(const struct store *store)
{
    return atomic_load_explicit(&store->limbo.count, memory_order_relaxed);
}

/* Does all that is alive fit into the limit if sealed segments are drawn together? Open ones and the reserve
 * stay whole segments, and what is held beside segments stays. Where it does not fit by that count, drawing
 * together would never end. */
static bool alive_fits(const struct store *store, uint64_t limit)
{
    uint64_t live = 0, held = atomic_load_explicit(&store->held_size, memory_order_relaxed);
    uint64_t whole = segment_reserve_count(store), with_memory = 0;
    uint32_t count = atomic_load_explicit(&store->segment_count, memory_order_acquire);
    for (uint32_t id = 0; id < count; id++) {
        enum segment_state state = segment_state(&store->segments[id]);
        with_memory += state != SEGMENT_RETIRED;
        whole += state == SEGMENT_OPEN;
        live += state == SEGMENT_OPEN ? 0 : segment_live_size(&store->segments[id]);
    }
    uint64_t in_segments = with_memory << store->segment_shift;
    uint64_t beside = held > in_segments ? held - in_segments : 0;
    return live * 100 / COMPACT_PERCENT_FULL + (whole << store->segment_shift) + beside <= limit;
}

/* Is a lowered limit being brought about, and is nothing alive in its way? */
static bool compacting_suffices(const struct store *store)
{
    return atomic_load_explicit(&store->limit_lowered, memory_order_relaxed) &&
           alive_fits(store, atomic_load_explicit(&store->limit_size, memory_order_relaxed));
}

/* No more at once than there are spare segments to copy to; while they are in use it waits. */
static bool claim_to_compact(struct store *store)
{
    bool wait = store->crowded && limbo_count(store) > 0;
    return !wait && claimed_count(store) < SEGMENT_SPARE && compact_claim(store, COMPACT_PERCENT_FULL);
}

/* Claims the segment that is to go next. */
static bool claim_next(struct store *store)
{
    if (!store->no_eviction && compacting_suffices(store)) {
        if (claim_to_compact(store))
            return true;
        if (claimed_count(store) + limbo_count(store) > 0)
            return false; /* these make room for the next */
    }
    if (store->no_eviction)
        return compact_claim(store, COMPACT_PERCENT_FULL);
    if (!store->crowded && compact_claim(store, COMPACT_PERCENT))
        return true;
    enum pool first = pools_next(store);
    return claim_from(store, first) || claim_from(store, first == POOL_SMALL ? POOL_MAIN : POOL_SMALL);
}

bool evict_one(struct store *store)
{
    if (claimed_count(store) > 0 || claim_next(store))
        return reclaim_next(store);
    /* Nothing sealed at all: open segments hold everything there is. */
    return !store->no_eviction && sealed_count(store) == 0 && lanes_seal_fullest(store);
}

/* How many segments must be freed for the limit to hold. */
static size_t deficit_count(const struct store *store)
{
    uint64_t held = atomic_load_explicit(&store->held_size, memory_order_relaxed);
    uint64_t limit = atomic_load_explicit(&store->limit_size, memory_order_relaxed);
    return held > limit ? ((size_t)(held - limit) >> store->segment_shift) + 1 : 0;
}

bool evict_to_reserve(struct store *store)
{
    for (unsigned i = 0; i < ROUND_COUNT; i++) {
        segment_collect(store);
        segment_settle(store);
        size_t wanted = segment_reserve_count(store) + deficit_count(store);
        size_t there = segment_available(store) + limbo_count(store);
        if (there >= wanted && claimed_count(store) == 0) {
            atomic_store_explicit(&store->limit_lowered, false, memory_order_relaxed);
            return false;
        }
        /* All that is missing at once: their grace periods pass together. */
        while (there + claimed_count(store) < wanted && claimed_count(store) < CLAIM_TRIES &&
               claim_next(store))
            ;
        if (!evict_one(store))
            return false;
    }
    return true;
}

/* ---- by a worker ---- */

static bool can_wait(const struct store *store)
{
    if (store->no_eviction)
        return limbo_count(store) + claimed_count(store) > 0;
    return limbo_count(store) + claimed_count(store) + sealed_count(store) > 0;
}

/* With STORE_MAINTAIN held and the caller offline. */
static bool make_room(struct store *store)
{
    struct timespec wait = {.tv_nsec = WAIT_NS};
    for (unsigned waits = 0; waits < WAIT_COUNT;) {
        segment_collect(store);
        if (segment_available(store) > SEGMENT_SPARE)
            return true;
        if (limbo_count(store) < LIMBO_ENOUGH && evict_one(store))
            continue;
        if (!can_wait(store))
            return false;
        waits++;
        nanosleep(&wait,
                  NULL); /* for threads to pass a quiescent state: each does within one turn of its loop */
    }
    return false;
}

bool evict_directly(struct store_thread *thread)
{
    struct store *store = thread->store;
    store_thread_offline(thread);
    PERTURB(MAKING_ROOM);
    atomic_fetch_add_explicit(&store->waiting_count, 1, memory_order_relaxed);
    lock_acquire(&store->maintain_lock);
    atomic_fetch_sub_explicit(&store->waiting_count, 1, memory_order_relaxed);
    bool made = make_room(store);
    lock_release(&store->maintain_lock);
    store_thread_online(thread);
    metrics_add(thread->block, METRIC_direct_reclaims, 1);
    return made;
}
