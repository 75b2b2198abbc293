/* touch: a new expiry for an item. In place where the item has a word for it and its segment's class of time
 * to live still fits; else the item is copied, with its CAS, to where it belongs. */
#include "base/clock.h"
#include "store/write_priv.h"

/* With the bucket locked, so that neither a copy by the maintainer nor another writer can lose it. */
static void expiry_set(const struct store *store, struct item *item, uint64_t location, uint32_t expiry_s)
{
    atomic_store_explicit(item_expiry_word(item), expiry_s, memory_order_relaxed);
    segment_raise_expiry(segment_of(store, location), expiry_s);
    if (!(item_flags(item) & ITEM_LARGE))
        return;
    const struct large *large = item_large(item);
    for (uint64_t i = 0; i < large->count; i++) {
        uint64_t chunk = atomic_load_explicit(&large->chunk[i], memory_order_relaxed) & LOCATION_MASK;
        segment_raise_expiry(segment_of(store, chunk), expiry_s);
    }
}

static bool expiry_fits(const struct store *store, const struct item *item, uint64_t location,
                        uint32_t expiry_s)
{
    unsigned flags = item_flags(item);
    if (flags & ITEM_LARGE)
        return true;
    uint32_t last_s = atomic_load_explicit(&segment_of(store, location)->expiry_max_s, memory_order_relaxed);
    return (flags & ITEM_EXP) && expiry_s != STORE_NEVER_S && expiry_s <= last_s;
}

/* HIT when done, NOT_STORED when it must be copied, MISS when it is not there. */
static enum result touch_in_place(struct store_thread *thread, const struct store_key *key, uint32_t expiry_s,
                                  bool access, struct store_view *view)
{
    struct store *store = thread->store;
    uint32_t now_s = clock_s();
    enum result result = RESULT_MISS;
    struct bucket *bucket = index_lock(store, key->hash);
    _Atomic uint64_t *slot = index_slot_of_key(store, bucket, key);
    uint64_t value = slot ? slot_load(slot) : 0;
    struct item *item = slot ? item_at(store, slot_location(value)) : NULL;
    if (item && item_alive(store, item, now_s))
        result = expiry_fits(store, item, slot_location(value), expiry_s) ? RESULT_HIT : RESULT_NOT_STORED;
    if (result == RESULT_HIT) {
        expiry_set(store, item, slot_location(value), expiry_s);
        view_fill(store, view, item, value, now_s);
    }
    if (result == RESULT_HIT && access) {
        slot_count_access(slot, value);
        item_note_access(item, now_s);
    }
    index_unlock(bucket);
    return result;
}

/* STORED when the item lies in a new place, MISS when it changed meanwhile or is gone, NO_MEMORY. */
static enum result touch_copy(struct store_thread *thread, const struct store_key *key, uint32_t expiry_s,
                              bool access, struct store_view *view)
{
    struct store *store = thread->store;
    struct found found;
    uint32_t now_s = clock_s();
    if (!index_find(store, key, &found) || !item_alive(store, found.item, now_s))
        return RESULT_MISS;
    view_fill(store, view, found.item, found.value, now_s);
    struct pending pending = {.key = *key,
                              .value_size = view->size,
                              .flags = view->flags,
                              .expiry_s = expiry_s,
                              .pool = write_pool(thread, key, &found, expiry_s)};
    write_keep_traits(&pending, found.item);
    struct condition condition = {.exact = true,
                                  .location = slot_location(found.value),
                                  .seq = item_seq(found.item),
                                  .same_item = true,
                                  .marks_kept = SLOT_MARKS};
    if (!write_prepare(thread, &pending))
        return RESULT_NO_MEMORY;
    /* Preparing may have voided the view. */
    if (!write_found_again(thread, key, &condition, &found)) {
        write_abandon(thread, &pending);
        return RESULT_MISS;
    }
    struct value_source source = {.view = view};
    write_fill_as(thread, &pending, &source, condition.seq, item_state(found.item));
    view_fill(store, view, pending.item, found.value, now_s);
    if (access)
        item_note_access(pending.item, now_s);
    return write_publish(thread, &pending, &condition);
}

enum result touch_try(struct store_thread *thread, const struct store_key *key, uint32_t expiry_s,
                      bool access, struct store_view *view)
{
    enum result result = touch_in_place(thread, key, expiry_s, access, view);
    if (result != RESULT_NOT_STORED)
        return result;
    result = touch_copy(thread, key, expiry_s, access, view);
    if (result == RESULT_NO_MEMORY)
        metrics_add(thread->block, METRIC_store_no_memory, 1);
    if (result == RESULT_STORED)
        return RESULT_HIT;
    return result == RESULT_MISS ? RESULT_NOT_STORED : result;
}

enum result store_touch(struct store_thread *thread, const struct store_key *key, uint32_t expiry_s,
                        struct store_view *view)
{
    flush_poll(thread->store, clock_s());
    for (;;) {
        enum result result = touch_try(thread, key, expiry_s, true, view);
        if (result == RESULT_HIT || result == RESULT_NO_MEMORY)
            return result;
        if (result == RESULT_MISS && store_get(thread, key, view, NULL) == RESULT_MISS)
            return RESULT_MISS; /* counted there */
    }
}
