/* Lanes: one open segment for each pool, class of time to live and group of writers; for items that are large
 * beside the others, one for each pool, grade and for those that expire or do not. */
#include "base/assert.h"
#include "base/clock.h"
#include "store/store_priv.h"

#include <stdlib.h>

#define OPEN_SHARE        10u   /* open segments are to take at most a tenth of all */
#define CLASS_QUARTER_MIN 16u   /* quarter octaves of a time to live below which all are one class: 16 s */
#define CLASS_QUARTER_MAX 104u  /* and above which: 2^26 s */
#define COARSE_BELOW      256u  /* segments: main tells only expiring from never */
#define ONE_LANE_BELOW    1024u /* segments */

/* Floor of 4 log2(ttl): one step is a factor of 1.19. */
static unsigned quarter_octaves(uint32_t ttl_s)
{
    static const uint8_t quarter_of[] = {0, 0, 1, 1, 1, 2, 2, 2,
                                         2, 2, 3, 3, 3, 3, 3, 3}; /* of the mantissa */
    if (ttl_s == 0)
        return 0;
    unsigned octave = 31u - (unsigned)__builtin_clz(ttl_s);
    unsigned mantissa = (unsigned)(((uint64_t)ttl_s << 4) >> octave) & 15u;
    return 4 * octave + quarter_of[mantissa];
}

/* Few segments: few classes, since each may hold an open segment in each pool. */
static unsigned quarters_for(size_t segment_count)
{
    if (segment_count < 256)
        return 16;
    if (segment_count < 1024)
        return 8;
    if (segment_count < 4096)
        return 4;
    return segment_count < 16384 ? 2 : 1;
}

static unsigned lanes_for(size_t segment_count, unsigned class_count, unsigned thread_count)
{
    size_t lanes = segment_count / OPEN_SHARE / class_count;
    if (lanes > thread_count)
        lanes = thread_count;
    if (lanes > LANE_MAX)
        lanes = LANE_MAX;
    return lanes < 2 || segment_count < ONE_LANE_BELOW ? 1 : (unsigned)lanes;
}

/* Behind those of common items are those of larger ones. */
static size_t lanes_common(const struct store *store)
{
    return (size_t)POOL_COUNT * store->class_count * store->lane_count;
}

static size_t lanes_total(const struct store *store)
{
    return lanes_common(store) + (size_t)POOL_COUNT * (GRADE_COUNT - 1) * 2;
}

bool lanes_open(struct store *store, size_t memory_size, unsigned thread_count)
{
    size_t segment_count = memory_size >> store->segment_shift;
    store->class_quarters = quarters_for(segment_count);
    store->class_count = 2 + (CLASS_QUARTER_MAX - CLASS_QUARTER_MIN) / store->class_quarters;
    store->main_is_coarse = segment_count < COARSE_BELOW;
    store->lane_count = lanes_for(segment_count, store->class_count, thread_count);
    size_t count = lanes_total(store);
    store->lanes = aligned_alloc(_Alignof(struct lane), count * sizeof(struct lane));
    if (!store->lanes)
        return false;
    for (size_t i = 0; i < count; i++) {
        store->lanes[i] = (struct lane){0};
        atomic_init(&store->lanes[i].segment, SEGMENT_NONE);
    }
    budget_charge(store, count * sizeof(struct lane));
    return true;
}

static unsigned class_of(const struct store *store, const struct placement *placement)
{
    if (placement->expiry_s == STORE_NEVER_S)
        return 0;
    if (placement->pool == POOL_MAIN && store->main_is_coarse)
        return 1;
    uint32_t now_s = clock_s();
    unsigned quarters = quarter_octaves(placement->expiry_s > now_s ? placement->expiry_s - now_s : 0);
    if (quarters < CLASS_QUARTER_MIN)
        quarters = CLASS_QUARTER_MIN;
    unsigned class = 1 + (quarters - CLASS_QUARTER_MIN) / store->class_quarters;
    return class < store->class_count ? class : store->class_count - 1;
}

static struct lane *lane_of(const struct store_thread *thread, const struct placement *placement)
{
    const struct store *store = thread->store;
    if (__builtin_expect(placement->grade != GRADE_COMMON, 0)) {
        size_t kind = (size_t)placement->pool * (GRADE_COUNT - 1) + placement->grade - GRADE_LARGE;
        return &store->lanes[lanes_common(store) + kind * 2 + (placement->expiry_s != STORE_NEVER_S)];
    }
    /* Survivors and the few items that come back after eviction share one lane a class. */
    unsigned lane = placement->pool == POOL_MAIN ? 0 : thread->lane;
    size_t at = (size_t)placement->pool * store->class_count + class_of(store, placement);
    return &store->lanes[at * store->lane_count + lane];
}

/* With the lane's lock held. */
static void segment_note_expiry(struct segment *segment, uint32_t expiry_s)
{
    uint32_t last_s = expiry_s == STORE_NEVER_S ? SEGMENT_NEVER_S : expiry_s;
    if (last_s < atomic_load_explicit(&segment->expiry_min_s, memory_order_relaxed))
        atomic_store_explicit(&segment->expiry_min_s, last_s, memory_order_relaxed);
    segment_raise_expiry(segment, expiry_s);
}

void segment_raise_expiry(struct segment *segment, uint32_t expiry_s)
{
    uint32_t last_s = expiry_s == STORE_NEVER_S ? SEGMENT_NEVER_S : expiry_s;
    uint32_t seen = atomic_load_explicit(&segment->expiry_max_s, memory_order_relaxed);
    /* Relaxed: a hint for the maintainer, who looks at each item before it goes. */
    while (seen < last_s &&
           !atomic_compare_exchange_weak_explicit(&segment->expiry_max_s, &seen, last_s, memory_order_relaxed,
                                                  memory_order_relaxed))
        ;
}

/* Takes the bytes if the lane's segment has them. *seen is the segment that had no room. */
static struct item *lane_try(struct store *store, struct lane *lane, const struct placement *placement,
                             struct reservation *reservation, uint32_t *seen)
{
    struct item *item = NULL;
    spin_acquire(&lane->spin);
    uint32_t id = atomic_load_explicit(&lane->segment, memory_order_relaxed);
    *seen = id;
    if (id != SEGMENT_NONE) {
        struct segment *segment = &store->segments[id];
        uint32_t offset = atomic_load_explicit(&segment->write_offset, memory_order_relaxed);
        size_t room = segment_size(store) - offset;
        if (room >= reservation->size_min) {
            if (reservation->size > room)
                reservation->size = room;
            reservation->location = location_make(id, offset);
            item = item_at(store, reservation->location);
            if (reservation->pin)
                atomic_fetch_add_explicit(&segment->pins, 1, memory_order_relaxed);
            segment_note_expiry(segment, placement->expiry_s);
            atomic_store_explicit(&segment->write_offset, offset + (uint32_t)reservation->size,
                                  memory_order_relaxed);
        }
    }
    spin_release(&lane->spin);
    return item;
}

/* Puts a new segment in the place of `full`, unless somebody has done so already. */
static bool lane_refill(struct store *store, struct lane *lane, const struct placement *placement,
                        uint32_t full)
{
    uint32_t id = segment_take(store, placement);
    if (id == SEGMENT_NONE)
        return false;
    spin_acquire(&lane->spin);
    bool mine = atomic_load_explicit(&lane->segment, memory_order_relaxed) == full;
    if (mine)
        atomic_store_explicit(&lane->segment, id, memory_order_relaxed);
    spin_release(&lane->spin);
    if (!mine)
        segment_untake(store, id);
    else if (full != SEGMENT_NONE)
        segment_seal(store, full);
    return true;
}

struct item *lane_reserve(struct store_thread *thread, const struct placement *placement,
                          struct reservation *reservation)
{
    struct store *store = thread->store;
    struct lane *lane = lane_of(thread, placement);
    for (;;) {
        uint32_t seen;
        struct item *item = lane_try(store, lane, placement, reservation, &seen);
        if (item)
            return item;
        if (!lane_refill(store, lane, placement, seen))
            return NULL;
    }
}

/* ---- sealing before a segment is full, with STORE_MAINTAIN held ---- */

static void lane_seal(struct store *store, struct lane *lane, uint32_t id)
{
    spin_acquire(&lane->spin);
    bool mine = atomic_load_explicit(&lane->segment, memory_order_relaxed) == id;
    if (mine)
        atomic_store_explicit(&lane->segment, SEGMENT_NONE, memory_order_relaxed);
    spin_release(&lane->spin);
    if (mine)
        segment_seal(store, id);
}

bool lanes_seal_expired(struct store *store, uint32_t now_s)
{
    bool sealed = false;
    for (size_t i = 0; i < lanes_total(store); i++) {
        uint32_t id = atomic_load_explicit(&store->lanes[i].segment, memory_order_relaxed);
        if (id == SEGMENT_NONE)
            continue;
        const struct segment *segment = &store->segments[id];
        if (atomic_load_explicit(&segment->write_offset, memory_order_relaxed) > 0 &&
            atomic_load_explicit(&segment->expiry_max_s, memory_order_relaxed) <= now_s) {
            lane_seal(store, &store->lanes[i], id);
            sealed = true;
        }
    }
    return sealed;
}

bool lanes_seal_fullest(struct store *store)
{
    struct lane *fullest = NULL;
    uint32_t most = 0, id_of_most = SEGMENT_NONE;
    for (size_t i = 0; i < lanes_total(store); i++) {
        uint32_t id = atomic_load_explicit(&store->lanes[i].segment, memory_order_relaxed);
        if (id == SEGMENT_NONE)
            continue;
        uint32_t offset = atomic_load_explicit(&store->segments[id].write_offset, memory_order_relaxed);
        if (offset > most) {
            most = offset;
            id_of_most = id;
            fullest = &store->lanes[i];
        }
    }
    if (!fullest)
        return false;
    lane_seal(store, fullest, id_of_most);
    return true;
}
