/* How the small and the main pool share the memory, and in each of them large items with the others.
 *
 * S3-FIFO gives the small pool a tenth. That is too little where items come back later than it takes to pass
 * through it and live too briefly for their ghosts to help. Whether it is, ghosts tell, as in ARC (FAST'03):
 * an item that the small pool has thrown out just now and that is written again would have been a hit, had
 * the pool been somewhat larger; the same for the main pool. Both are counted among equally many ghosts, that
 * is in about the same bytes. They do not weigh the same: what main threw out starts over, and is missed
 * twice before it is there again, so a miss of main's weighs three of small's. Unless it is brief: an item
 * that expires before main has gone round a few times would have had to be fetched again anyway.
 *
 * In a pool, large items have lists of their own. How long an item may wait there for a reading goes by its
 * size, as in GreedyDual-Size-Frequency: what takes ten times the room has a tenth of the time. Else a few
 * large items, of which most are never read again, fill half of the memory.
 *
 * The weights, the step and the floor were chosen on replayed traces: docs/policy.md. Thread-safety: said at
 * each function. */
#include "base/clock.h"
#include "store/store_priv.h"

#define SMALL_SHARE_MIN 0.1
#define SMALL_SHARE_MAX 0.9
#define PULL_SMALL      1u
#define PULL_BRIEF      4u
#define PULL_MAIN       3u
#define PULL_PRIOR      0.15 /* an item: what ghosts must tell by far to be believed in full */
#define STEP            0.2  /* of the memory, while as much is written as there is memory */
#define BRIEF_ROUNDS    4u   /* of main */
#define HASTE_MAX       16.0 /* at least a sixteenth of the time for the largest */

/* ---- by whoever writes ---- */

static bool is_brief(const struct store *store, uint32_t expiry_s)
{
    /* Relaxed: a hint. */
    uint32_t brief_s = atomic_load_explicit(&store->brief_s, memory_order_relaxed);
    return expiry_s != STORE_NEVER_S && expiry_s < (uint64_t)clock_s() + brief_s;
}

static void pull(_Atomic uint64_t *counter, unsigned weight)
{
    /* A single-writer add; partner: the relaxed loads of threads_pulls. */
    uint64_t sum = atomic_load_explicit(counter, memory_order_relaxed);
    atomic_store_explicit(counter, sum + weight, memory_order_relaxed);
}

enum pool pools_admit(struct store_thread *thread, uint64_t hash, uint32_t expiry_s)
{
    enum ghost ghost = ghosts_take(thread->store, hash);
    if (ghost == GHOST_SMALL_LATEST)
        pull(&thread->small_pull, is_brief(thread->store, expiry_s) ? PULL_BRIEF : PULL_SMALL);
    if (ghost == GHOST_MAIN)
        pull(&thread->main_pull, PULL_MAIN);
    return ghost == GHOST_NONE || ghost == GHOST_MAIN ? POOL_SMALL : POOL_MAIN;
}

/* ---- by the maintainer ---- */

static uint32_t main_age_s(const struct store *store)
{
    uint32_t oldest = atomic_load_explicit(&store->fifo[POOL_MAIN][GRADE_COMMON].head, memory_order_relaxed);
    return oldest == SEGMENT_NONE
               ? 0
               : clock_s() - atomic_load_explicit(&store->segments[oldest].created_s, memory_order_relaxed);
}

/* Moves the border by what ghosts have told of late: in about as many evictions as there are segments. */
static void border_move(struct store *store, uint32_t segment_count)
{
    struct border *border = &store->border;
    struct pulls pulls = threads_pulls(store);
    int64_t items = threads_slot_balance(store);
    double keep = 1 - 1.0 / segment_count;
    border->small_pull = border->small_pull * keep + (double)(pulls.small - border->seen.small);
    border->main_pull = border->main_pull * keep + (double)(pulls.main - border->seen.main);
    border->seen = pulls;
    double weight = border->small_pull + border->main_pull + PULL_PRIOR * (double)(items > 0 ? items : 1);
    double share = SMALL_SHARE_MIN + border->small_extra +
                   STEP / segment_count * (border->small_pull - border->main_pull) / weight;
    if (share < SMALL_SHARE_MIN)
        share = SMALL_SHARE_MIN;
    if (share > SMALL_SHARE_MAX)
        share = SMALL_SHARE_MAX;
    border->small_extra = share - SMALL_SHARE_MIN;
}

uint32_t pools_sealed_count(const struct store *store, enum pool pool)
{
    uint32_t count = 0;
    for (unsigned grade = 0; grade < GRADE_COUNT; grade++)
        count += atomic_load_explicit(&store->fifo[pool][grade].count, memory_order_relaxed);
    return count;
}

enum pool pools_next(struct store *store)
{
    uint32_t small = pools_sealed_count(store, POOL_SMALL);
    uint32_t count = small + pools_sealed_count(store, POOL_MAIN);
    if (count == 0)
        return POOL_SMALL;
    border_move(store, count);
    atomic_store_explicit(&store->brief_s, BRIEF_ROUNDS * main_age_s(store), memory_order_relaxed);
    return small > count * (SMALL_SHARE_MIN + store->border.small_extra) ? POOL_SMALL : POOL_MAIN;
}

/* How long the segment has been there, as one of common items would have to be for it. */
static double weighed_age(const struct segment_eldest *eldest, double common_size)
{
    double haste = eldest->item_size / common_size;
    return eldest->age * (haste < 1 ? 1 : haste > HASTE_MAX ? HASTE_MAX : haste);
}

enum grade pools_next_grade(struct store *store, enum pool pool)
{
    struct segment_eldest eldest;
    enum grade next = GRADE_COMMON;
    uint64_t mean = atomic_load_explicit(&store->mean_size, memory_order_relaxed);
    double oldest = -1, common_size = mean > 0 ? (double)mean : 1;
    if (segment_eldest(store, pool, GRADE_COMMON, &eldest)) {
        oldest = eldest.age;
        common_size = eldest.item_size > 0 ? eldest.item_size : common_size;
    }
    for (unsigned grade = GRADE_LARGE; grade < GRADE_COUNT; grade++) {
        if (!segment_eldest(store, pool, (enum grade)grade, &eldest) ||
            weighed_age(&eldest, common_size) <= oldest)
            continue;
        oldest = weighed_age(&eldest, common_size);
        next = (enum grade)grade;
    }
    return next;
}
