/* Marking an item stale, or emptying it, in place of deleting it: a new form of the item with its old value
 * or none. A large value is not copied, its chunks go over to the new form. */
#include "base/clock.h"
#include "store/write_priv.h"

static bool cas_stands_against(const struct store_invalidation *invalidation, const struct item *item)
{
    return invalidation->cas_given && item_cas(item) != invalidation->cas;
}

static struct pending pending_of(const struct store_invalidation *invalidation, const struct store_view *old,
                                 const struct found *found)
{
    bool touch = invalidation->touch || invalidation->clear;
    struct pending pending = {.key = invalidation->key,
                              .value_size = old->size,
                              .flags = old->flags,
                              .expiry_s = touch ? invalidation->expiry_s : old->expiry_s};
    write_keep_traits(&pending, found->item);
    if (invalidation->clear) {
        pending.value_size = 0;
        pending.flags = invalidation->flags;
    } else if (item_flags(found->item) & ITEM_LARGE) {
        pending.shared = found->item;
    }
    if (invalidation->cas_chosen) {
        pending.traits |= ITEM_CAS;
        pending.cas = invalidation->cas_new;
    } else if (invalidation->stale) {
        pending.traits &= ~(unsigned)ITEM_CAS;
    } else {
        pending.traits |= ITEM_CAS; /* other bytes under another sequence number, but the CAS of before */
    }
    return pending;
}

static struct condition condition_of(const struct store_invalidation *invalidation, const struct found *found)
{
    return (struct condition){.exact = true,
                              .location = slot_location(found->value),
                              .seq = item_seq(found->item),
                              .keep_expiry = !invalidation->touch && !invalidation->clear,
                              .same_item = !invalidation->clear,
                              .marks = invalidation->stale ? SLOT_STALE : 0};
}

static void pending_fill(struct store_thread *thread, struct pending *pending,
                         const struct store_invalidation *invalidation, const struct store_view *old,
                         const struct item *item)
{
    struct value_source source = {.view = invalidation->clear ? NULL : old};
    uint32_t state = invalidation->clear ? (clock_s() & ITEM_ACCESS_MASK) << 8 : item_state(item);
    write_fill_as(thread, pending, &source, thread_next_seq(thread), state);
}

/* One try: STORED, NOT_FOUND, EXISTS, NO_MEMORY, or MISS when the item changed under it. */
static enum result invalidate_once(struct store_thread *thread, const struct store_invalidation *invalidation)
{
    struct store *store = thread->store;
    struct found found;
    struct store_view old;
    uint32_t now_s = clock_s();
    if (!index_find(store, &invalidation->key, &found) || !item_alive(store, found.item, now_s))
        return RESULT_NOT_FOUND;
    if (cas_stands_against(invalidation, found.item))
        return RESULT_EXISTS;
    view_fill(store, &old, found.item, found.value, now_s);
    struct pending pending = pending_of(invalidation, &old, &found);
    struct condition condition = condition_of(invalidation, &found);
    pending.pool = write_pool(thread, &invalidation->key, &found, pending.expiry_s);
    if (!write_prepare(thread, &pending))
        return RESULT_NO_MEMORY;
    /* Preparing may have voided the view. */
    if (!write_found_again(thread, &invalidation->key, &condition, &found)) {
        write_abandon(thread, &pending);
        return RESULT_MISS;
    }
    pending_fill(thread, &pending, invalidation, &old, found.item);
    return write_publish(thread, &pending, &condition);
}

static enum result delete_once(struct store_thread *thread, const struct store_invalidation *invalidation)
{
    struct store *store = thread->store;
    enum result result = RESULT_NOT_FOUND;
    uint32_t now_s = clock_s();
    struct bucket *bucket = index_lock(store, invalidation->key.hash);
    _Atomic uint64_t *slot = index_slot_of_key(store, bucket, &invalidation->key);
    const struct item *item = slot ? item_at(store, slot_location(slot_load(slot))) : NULL;
    if (item && item_alive(store, item, now_s))
        result = cas_stands_against(invalidation, item) ? RESULT_EXISTS : RESULT_DELETED;
    if (item && result != RESULT_EXISTS) {
        removal_unlink(thread, slot, invalidation->key.hash, removal_of(store, item, now_s, REMOVAL_DELETED));
        index_tidy(store, bucket);
    }
    index_unlock(bucket);
    return result;
}

enum result store_invalidate(struct store_thread *thread, const struct store_invalidation *invalidation)
{
    enum result result;
    flush_poll(thread->store, clock_s());
    if (!invalidation->stale && !invalidation->clear)
        return delete_once(thread, invalidation);
    do
        result = invalidate_once(thread, invalidation);
    while (result == RESULT_MISS);
    if (result == RESULT_NO_MEMORY)
        metrics_add(thread->block, METRIC_store_no_memory, 1);
    if (result == RESULT_STORED)
        return invalidation->stale ? RESULT_OK : RESULT_DELETED;
    return result;
}

enum result store_delete(struct store_thread *thread, const struct store_key *key, uint64_t cas)
{
    return store_invalidate(thread,
                            &(struct store_invalidation){.key = *key, .cas_given = cas != 0, .cas = cas});
}
