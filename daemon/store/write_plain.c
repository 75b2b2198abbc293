/* Plain writes: sets without a condition of values that lie within their items, which nearly all writes are.
 *
 * They go the way of write.c: find, reserve, fill, publish. But nothing is kept for later and no condition is
 * looked at, so that it all stays in registers. What takes more than that, or finds no memory, is left to
 * write.c: nothing is changed then. */
#include "base/clock.h"
#include "store/find_priv.h"
#include "store/write_priv.h"

/* Where the new item is written. */
struct place {
    struct item *item;
    uint64_t location;
    size_t size;
    unsigned layout;
};

/* If room has to be made, the thread goes offline for it and what was found is void. The pool stays: asking
 * for it takes the key's ghost away. */
static inline bool plain_reserve(struct store_thread *thread, const struct store_set *set,
                                 struct found *found, struct place *place)
{
    struct placement placement = {.pool = write_pool(thread, set->key, found, set->expiry_s),
                                  .expiry_s = set->expiry_s};
    place->layout = (set->expiry_s != STORE_NEVER_S ? ITEM_EXP : 0u) | (set->flags != 0 ? ITEM_CFLAGS : 0u);
    place->size = item_round(item_head_size(place->layout) + set->key->size + set->size);
    if (!recycle_take(thread, &placement, place->size, &place->location)) {
        struct reservation reservation = {.size = place->size, .size_min = place->size};
        uint64_t turn = thread->turn;
        placement.grade = pools_grade(thread->store, item_counted_size(set->key->size, set->size));
        if (!write_reserve(thread, &placement, &reservation))
            return false;
        if (thread->turn != turn)
            *found = (struct found){0};
        place->location = reservation.location;
    }
    place->item = item_at(thread->store, place->location);
    PERTURB(WRITE_RESERVED);
    return true;
}

static inline void plain_fill(struct store_thread *thread, const struct store_set *set,
                              const struct place *place, uint32_t now_s)
{
    struct item *item = place->item;
    uint64_t seq = thread_next_seq(thread);
    item->shape = item_shape(set->key->size, set->size, seq);
    item->seq_low = (uint32_t)seq;
    atomic_store_explicit(&item->state, (now_s & ITEM_ACCESS_MASK) << 8 | place->layout,
                          memory_order_relaxed);
    char *key = (char *)item + item_head_size(place->layout);
    if (place->layout & ITEM_EXP)
        atomic_store_explicit(item_expiry_word(item), set->expiry_s, memory_order_relaxed);
    if (place->layout & ITEM_CFLAGS)
        memcpy(key - 4, &set->flags, 4);
    memcpy(key, set->key->data, set->key->size);
    if (set->size > 0) /* of none the value may be NULL */
        memcpy(key + set->key->size, set->value, set->size);
}

/* The slot that leads to the key's item, or the one for its first; *old is the item. With the bucket locked.
 * A slot that still says what it said in this turn is the key's: see slot_of_pending. */
static inline _Atomic uint64_t *plain_slot(struct store *store, struct bucket *bucket,
                                           const struct store_key *key, const struct found *found,
                                           const struct item **old)
{
    *old = found->item;
    if (__builtin_expect(found->item && slot_load(found->slot) == found->value, 1))
        return found->slot;
    _Atomic uint64_t *slot = index_slot_of_key(store, bucket, key);
    *old = slot ? item_at(store, slot_location(slot_load(slot))) : NULL;
    return slot ? slot : index_slot_for(store, bucket, key->hash);
}

static inline bool plain_publish(struct store_thread *thread, const struct store_set *set,
                                 const struct place *place, const struct found *found, uint32_t now_s,
                                 enum band_metric as)
{
    struct store *store = thread->store;
    const struct store_key *key = set->key;
    const struct item *old;
    PERTURB(WRITE_FILLED);
    struct bucket *bucket = index_lock_inline(store, key->hash);
    _Atomic uint64_t *slot = plain_slot(store, bucket, key, found, &old);
    if (!slot) {
        index_unlock(bucket);
        return false;
    }
    PERTURB(WRITE_CHOSEN);
    uint64_t before = slot_load(slot);
    segment_count_live(segment_of(store, place->location), (int64_t)place->size, 1);
    slot_store(slot, slot_make(key->hash, place->location, place->size, old ? slot_freq(before) : 0));
    write_count_stored(thread, key->size, set->size, as);
    write_count_replaced(thread, old, slot_location(before), now_s);
    index_unlock(bucket);
    write_tell_maintainer(thread);
    return true;
}

bool write_plain(struct store_thread *thread, const struct store_set *set, uint32_t now_s,
                 enum band_metric as, struct store_written *written)
{
    struct found found;
    struct place place;
    if (large_needed(thread->store, set->size))
        return false;
    if (!find_at_home(thread->store, set->key, &found))
        index_find(thread->store, set->key, &found);
    if (!plain_reserve(thread, set, &found, &place))
        return false;
    plain_fill(thread, set, &place, now_s);
    if (!plain_publish(thread, set, &place, &found, now_s, as)) {
        recycle_unused(thread, place.item, place.location);
        return false;
    }
    write_told(thread, set->size);
    if (written)
        *written = (struct store_written){item_cas(place.item), set->size};
    return true;
}

enum result store_set(struct store_thread *thread, const struct store_set *set, struct store_written *written)
{
    uint32_t now_s = clock_s();
    flush_poll(thread->store, now_s);
    if (__builtin_expect(store_fits(thread->store, set->key->size, set->size) &&
                             write_plain(thread, set, now_s, BAND_plain_sets, written),
                         1))
        return RESULT_STORED;
    struct store_write write = {.key = *set->key,
                                .value = set->value,
                                .size = set->size,
                                .flags = set->flags,
                                .expiry_s = set->expiry_s,
                                .mode = STORE_SET};
    enum result result = write_any(thread, &write, written);
    if (result == RESULT_STORED)
        metrics_band_add(thread->block, metrics_band_of(item_counted_size(set->key->size, set->size)),
                         BAND_cmd_set, 1);
    return result;
}
