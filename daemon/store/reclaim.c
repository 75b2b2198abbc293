/* Emptying a segment: each of its items is dropped, forgotten with a ghost, or copied to another segment.
 *
 * Bytes are never moved under a reader: an item is copied first, then its slot is changed under its bucket's
 * lock, and the segment is reused only after a grace period. A slot that no longer points to the item means
 * that it was deleted or replaced meanwhile; then the copy stays behind as a hole. With STORE_MAINTAIN held.
 */
#include "base/assert.h"
#include "base/clock.h"
#include "base/hash.h"
#include "store/store_priv.h"

#define BATCH     32u /* records whose buckets are fetched ahead together */
#define RUN_SHARE 8u  /* an eighth of all segments, within these bounds, may survive nearly whole in a row */
#define RUN_MIN   8u
#define RUN_MAX   64u

struct drain {
    struct store *store;
    struct store_thread *thread;
    enum drain_mode mode;
    uint32_t now_s;
    struct survival survival;
    size_t copied_size, copied_max;
    bool stuck; /* COMPACT found no room */
};

struct record {
    struct item *item;
    uint64_t location, hash;
};

static size_t size_of(const struct item *item)
{
    return item_counted_size(item_key_size(item), item_value_size(item));
}

static bool drain_wants(const struct drain *drain, const struct record *record, const struct item *item,
                        uint64_t slot)
{
    if (drain->mode == DRAIN_COMPACT)
        return true;
    return drain->copied_size < drain->copied_max &&
           survival_wants(&drain->survival, size_of(item), record->hash, slot_freq(slot));
}

static unsigned freq_after(const struct drain *drain, const struct record *record, unsigned freq)
{
    return drain->mode == DRAIN_COMPACT
               ? freq
               : survival_freq(&drain->survival, size_of(record->item), record->hash, freq);
}

/* Where a record of this item goes on: compaction moves it within its list, all else leads to main. */
static struct placement placement_of(const struct drain *drain, const struct record *record,
                                     const struct item *item)
{
    const struct segment *segment = segment_of(drain->store, record->location);
    struct placement placement = {.pool = POOL_MAIN,
                                  .grade = pools_grade(drain->store, size_of(item)),
                                  .expiry_s = item_expiry_s(item),
                                  .reclaiming = true};
    if (drain->mode == DRAIN_COMPACT) {
        placement.pool = (enum pool)atomic_load_explicit(&segment->pool, memory_order_relaxed);
        placement.grade = (enum grade)atomic_load_explicit(&segment->grade, memory_order_relaxed);
    }
    return placement;
}

/* Room for a survivor; NULL when there is none. */
static struct item *drain_reserve(struct drain *drain, const struct record *record,
                                  const struct placement *placement, uint64_t *location)
{
    size_t size = item_record_size(record->item);
    struct reservation reservation = {.size = size, .size_min = size};
    struct item *copy = lane_reserve(drain->thread, placement, &reservation);
    *location = reservation.location;
    if (!copy)
        return NULL;
    drain->copied_size += size;
    drain->store->copied_size += size;
    metrics_add(drain->thread->block, METRIC_copied_bytes, size);
    return copy;
}

/* Copies a record; its atomic words as atomics, since readers and touch may write them meanwhile. */
static void record_copy(struct item *copy, const struct item *item)
{
    size_t size = item_head_size(item_flags(item) & ITEM_EXP);
    copy->shape = item->shape;
    copy->seq_low = item->seq_low;
    atomic_store_explicit(&copy->state, item_state(item), memory_order_relaxed);
    if (item_flags(item) & ITEM_EXP)
        atomic_store_explicit(item_expiry_word(copy), item_expiry_s(item), memory_order_relaxed);
    memcpy((char *)copy + size, (const char *)item + size, item_record_size(item) - size);
    /* The list of chunks begins at a multiple of 8, which may be at another distance from the copy's begin.
     */
    if (item_flags(item) & ITEM_LARGE)
        memcpy(item_large(copy), item_large(item), large_size(item_large(item)->count));
}

/* With the bucket locked: what changed since the bytes were copied. */
static void record_refresh(struct item *copy, const struct item *item)
{
    atomic_store_explicit(&copy->state, item_state(item), memory_order_relaxed);
    if (item_flags(item) & ITEM_EXP)
        atomic_store_explicit(item_expiry_word(copy), item_expiry_s(item), memory_order_relaxed);
}

static void drop(struct drain *drain, _Atomic uint64_t *slot, uint64_t hash)
{
    struct store *store = drain->store;
    uint64_t value = slot_load(slot);
    const struct item *item = item_at(store, slot_location(value));
    enum removal removal = removal_of(store, item, drain->now_s, REMOVAL_EVICTED);
    if (removal == REMOVAL_EVICTED && slot_freq(value) > 0)
        metrics_add(drain->thread->block, METRIC_evicted_active, 1);
    if (removal == REMOVAL_EXPIRED) {
        metrics_add(drain->thread->block, METRIC_reclaimed, 1);
        metrics_band_add(drain->thread->block, metrics_band_of(size_of(item)), BAND_reclaimed, 1);
    }
    removal_unlink(drain->thread, slot, hash, removal);
    if (removal == REMOVAL_EVICTED)
        ghosts_add(store, hash, drain->mode == DRAIN_SMALL ? GHOST_SMALL : GHOST_MAIN);
}

static void move(struct drain *drain, _Atomic uint64_t *slot, const struct record *record, struct item *copy,
                 uint64_t location)
{
    size_t size = item_record_size(copy);
    uint64_t before = slot_load(slot), marks = before & SLOT_MARKS;
    unsigned freq = slot_freq(before);
    record_refresh(copy, record->item);
    segment_raise_expiry(segment_of(drain->store, location), item_expiry_s(copy));
    segment_count_live(segment_of(drain->store, location), (int64_t)size, 1);
    segment_count_live(segment_of(drain->store, record->location), -(int64_t)size, -1);
    slot_store(slot, slot_make(record->hash, location, size, freq_after(drain, record, freq)) | marks);
}

/* ---- items ---- */

static void drain_item(struct drain *drain, const struct record *record)
{
    struct store *store = drain->store;
    uint64_t location = 0;
    struct item *copy = NULL;
    struct bucket *bucket = index_lock(store, record->hash);
    _Atomic uint64_t *slot = index_slot_of_location(store, bucket, record->hash, record->location);
    if (slot)
        survival_note_size(store, size_of(record->item));
    bool keep = slot && item_alive(store, record->item, drain->now_s) &&
                drain_wants(drain, record, record->item, slot_load(slot));
    if (keep) {
        struct placement placement = placement_of(drain, record, record->item);
        index_unlock(bucket);
        copy = drain_reserve(drain, record, &placement, &location);
        if (copy)
            record_copy(copy, record->item);
        PERTURB(ITEM_COPIED);
        bucket = index_lock(store, record->hash);
        slot = index_slot_of_location(store, bucket, record->hash, record->location);
    }
    bool stuck = slot && keep && !copy && drain->mode == DRAIN_COMPACT;
    drain->stuck |= stuck;
    /* A copy made for an item that has died since, or of which a reader has raised the frequency: moved all
     * the same; it is found dead where it lies. */
    if (slot && copy)
        move(drain, slot, record, copy, location);
    else if (slot && !stuck)
        drop(drain, slot, record->hash);
    if (slot)
        index_tidy(store, bucket);
    index_unlock(bucket);
}

/* ---- chunks ---- */

/* In a locked bucket: the slot of the item that the chunk is part of, and where in its list. */
static _Atomic uint64_t *owner_slot(const struct drain *drain, struct bucket *bucket,
                                    const struct record *record, _Atomic uint64_t **entry)
{
    struct store *store = drain->store;
    struct walk walk = walk_begin(store, bucket);
    _Atomic uint64_t *slot;
    while ((slot = walk_next(&walk)) != NULL) {
        uint64_t value = slot_load(slot);
        if (!(value & SLOT_USED) || value >> SLOT_TAG_SHIFT != slot_tag(record->hash))
            continue;
        const struct item *item = item_at(store, slot_location(value));
        *entry = (item_flags(item) & ITEM_LARGE) ? large_entry(item, record->location) : NULL;
        if (*entry)
            break;
    }
    return slot;
}

static void move_chunk(struct drain *drain, _Atomic uint64_t *entry, const struct record *record,
                       const struct item *copy, uint64_t location)
{
    int64_t size = (int64_t)item_record_size(copy);
    segment_count_live(segment_of(drain->store, location), size, 0);
    segment_count_live(segment_of(drain->store, record->location), -size, 0);
    /* Release pairs with the acquire in large_part. */
    atomic_store_explicit(entry, chunk_make(location, item_inline_size(copy)), memory_order_release);
}

/* A chunk's fate is its item's: the first of its parts to be looked at decides for all. */
static void drain_chunk(struct drain *drain, const struct record *record)
{
    struct store *store = drain->store;
    uint64_t location = 0;
    struct item *copy = NULL;
    _Atomic uint64_t *entry;
    struct bucket *bucket = index_lock(store, record->hash);
    _Atomic uint64_t *slot = owner_slot(drain, bucket, record, &entry);
    const struct item *owner = slot ? item_at(store, slot_location(slot_load(slot))) : NULL;
    bool keep =
        owner && item_alive(store, owner, drain->now_s) && drain_wants(drain, record, owner, slot_load(slot));
    if (keep) {
        struct placement placement = placement_of(drain, record, owner);
        index_unlock(bucket);
        copy = drain_reserve(drain, record, &placement, &location);
        if (copy)
            record_copy(copy, record->item);
        PERTURB(CHUNK_COPIED);
        bucket = index_lock(store, record->hash);
        slot = owner_slot(drain, bucket, record, &entry);
    }
    bool stuck = slot && keep && !copy && drain->mode == DRAIN_COMPACT;
    drain->stuck |= stuck;
    if (slot && copy)
        move_chunk(drain, entry, record, copy, location);
    else if (slot && !stuck) {
        /* Its first record will not be seen. */
        survival_note_size(store, size_of(item_at(store, slot_location(slot_load(slot)))));
        drop(drain, slot, record->hash);
    }
    if (slot)
        index_tidy(store, bucket);
    index_unlock(bucket);
}

/* ---- the walk ---- */

static uint64_t record_hash(const struct store *store, const struct item *item)
{
    uint64_t hash;
    if (!(item_flags(item) & ITEM_CHUNK))
        return hash_bytes(item_key(item), item_key_size(item), store->hash_seed);
    memcpy(&hash, item_key(item), sizeof hash);
    return hash;
}

/* Collects up to BATCH records from *offset on and fetches their buckets. */
static unsigned records_next(const struct store *store, uint32_t id, uint32_t *offset, struct record *records)
{
    uint32_t end = atomic_load_explicit(&store->segments[id].write_offset, memory_order_relaxed);
    uint64_t buckets = atomic_load_explicit(&store->bucket_count, memory_order_relaxed);
    unsigned count = 0;
    while (*offset < end && count < BATCH) {
        struct record *record = &records[count++];
        record->location = location_make(id, *offset);
        record->item = item_at(store, record->location);
        record->hash = record_hash(store, record->item);
        __builtin_prefetch(&store->buckets[index_bucket_of(buckets, record->hash)]);
        *offset += (uint32_t)item_record_size(record->item);
    }
    ASSERT(*offset <= segment_size(store));
    return count;
}

static unsigned run_max(const struct store *store)
{
    uint32_t share = atomic_load_explicit(&store->segment_count, memory_order_relaxed) / RUN_SHARE;
    return share < RUN_MIN ? RUN_MIN : share > RUN_MAX ? RUN_MAX : share;
}

/* Where everything has been read lately, draining would copy and gain nothing. After a run of such segments
 * the bar is raised for one. */
static void drain_limit(struct drain *drain)
{
    size_t size = segment_size(drain->store);
    bool strict = drain->store->survivor_run >= run_max(drain->store);
    drain->survival.freq_min = strict ? 2 : 1;
    drain->copied_max = strict ? size / 2 : size;
}

static void drain_note_run(const struct drain *drain)
{
    struct store *store = drain->store;
    if (drain->mode == DRAIN_COMPACT)
        return;
    bool kept = drain->copied_size > segment_size(store) / 4 * 3;
    store->survivor_run = kept ? store->survivor_run + 1 : 0;
}

static bool drain_segment(struct store *store, uint32_t id)
{
    struct record records[BATCH];
    struct segment *segment = &store->segments[id];
    struct drain drain = {.store = store,
                          .thread = store->reclaimer,
                          .mode = (enum drain_mode)segment->drain_mode,
                          .now_s = clock_s()};
    uint32_t offset = 0;
    unsigned count;
    drain_limit(&drain);
    if (drain.mode != DRAIN_COMPACT) {
        survival_begin(store, &drain.survival, drain.mode, id);
        ghosts_settle(store);
    }
    PERTURB(DRAIN_BEGUN);
    while (!drain.stuck && segment_live_size(segment) > 0 &&
           (count = records_next(store, id, &offset, records)) > 0)
        for (unsigned i = 0; i < count; i++) {
            if (item_flags(records[i].item) & ITEM_CHUNK)
                drain_chunk(&drain, &records[i]);
            else
                drain_item(&drain, &records[i]);
        }
    drain_note_run(&drain);
    store->crowded = drain.stuck;
    if (drain.stuck)
        segment_unclaim(store, id);
    else
        segment_drained(store, id);
    return !drain.stuck;
}

bool reclaim_next(struct store *store)
{
    uint32_t id = segment_claimed_next(store);
    return id != SEGMENT_NONE && drain_segment(store, id);
}
