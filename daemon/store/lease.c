/* Leases: of all clients that miss an item, find it stale or see it about to expire, one is told to renew it.
 *
 * Who was told is a mark in the item's slot, set with its bucket locked: so exactly one is, for each item.
 * The next item under the key begins without it. */
#include "base/clock.h"
#include "store/find_priv.h"
#include "store/view_priv.h"
#include "store/write_priv.h"

static bool lease_wanted(const struct store_fetch *fetch, const struct store_view *view, uint32_t expiry_s)
{
    if (view->won)
        return false;
    return view->stale || (expiry_s != STORE_NEVER_S && expiry_s < fetch->recache_s);
}

/* HIT when the lease is the caller's, EXISTS when it is another's, MISS when the item has changed. */
static enum result lease_take(struct store_thread *thread, const struct store_key *key,
                              const struct store_view *view)
{
    struct store *store = thread->store;
    enum result result = RESULT_MISS;
    PERTURB(LEASE_WANTED);
    struct bucket *bucket = index_lock(store, key->hash);
    _Atomic uint64_t *slot = index_slot_of_key(store, bucket, key);
    if (slot && item_at(store, slot_location(slot_load(slot))) == view->item) {
        /* Relaxed: the bucket's lock orders it; readers who count an access exchange the whole word, so
         * neither is lost. */
        uint64_t before = atomic_fetch_or_explicit(slot, SLOT_WON, memory_order_relaxed);
        result = (before & SLOT_WON) ? RESULT_EXISTS : RESULT_HIT;
    }
    index_unlock(bucket);
    return result;
}

/* Puts an empty item there that is leased already. MISS: somebody else has put one there. */
static enum result lease_create(struct store_thread *thread, const struct store_key *key,
                                const struct store_fetch *fetch, struct store_view *view,
                                struct store_lease *lease)
{
    struct pending pending;
    struct store_write write = {.key = *key,
                                .value = "",
                                .expiry_s = fetch->vivify_expiry_s,
                                .mode = STORE_ADD,
                                .cas_new = fetch->cas_new,
                                .cas_chosen = fetch->cas_chosen,
                                .key_binary = fetch->key_binary};
    enum result result = write_new(thread, &write, SLOT_WON, &pending);
    if (result != RESULT_STORED)
        return result == RESULT_NOT_STORED ? RESULT_MISS : result;
    view_set(thread->store, view, pending.item, 0, clock_s());
    *lease = (struct store_lease){.win = true, .created = true};
    return RESULT_HIT;
}

static void fetch_note_access(const struct found *found, uint32_t now_s)
{
    slot_count_access(found->slot, found->value);
    item_note_read(found->item, now_s);
}

/* HIT, NO_MEMORY, or MISS when the item changed under it: look again. */
static enum result fetch_found(struct store_thread *thread, const struct store_key *key,
                               const struct store_fetch *fetch, const struct found *found,
                               struct store_view *view, struct store_lease *lease)
{
    uint32_t now_s = clock_s();
    enum result result = RESULT_HIT;
    view_set(thread->store, view, found->item, found->value, now_s);
    *lease = (struct store_lease){.expiry_before_s = view->expiry_s};
    if (fetch->touch)
        result = touch_try(thread, key, fetch->expiry_s, !fetch->silent, view);
    else if (!fetch->silent)
        fetch_note_access(found, now_s);
    if (result != RESULT_HIT)
        return result == RESULT_NO_MEMORY ? result : RESULT_MISS;
    uint32_t expiry_s = fetch->recache_first ? lease->expiry_before_s : view->expiry_s;
    if (__builtin_expect(!lease_wanted(fetch, view, expiry_s), 1))
        return RESULT_HIT;
    result = lease_take(thread, key, view);
    lease->win = result == RESULT_HIT;
    view->won = result == RESULT_EXISTS;
    return result == RESULT_MISS ? RESULT_MISS : RESULT_HIT;
}

enum result store_fetch(struct store_thread *thread, const struct store_key *key,
                        const struct store_fetch *fetch, struct store_view *view, struct store_lease *lease,
                        enum store_miss *miss)
{
    struct store *store = thread->store;
    enum result result;
    flush_poll(store, clock_s());
    do {
        struct found found;
        bool there = find_at_home(store, key, &found) || index_find(store, key, &found);
        if (there && item_alive(store, found.item, clock_s())) {
            result = fetch_found(thread, key, fetch, &found, view, lease);
            continue;
        }
        result = fetch->vivify ? lease_create(thread, key, fetch, view, lease) : RESULT_NO_MEMORY;
        if (result == RESULT_NO_MEMORY) {
            if (fetch->vivify)
                found = (struct found){0}; /* making room has voided it */
            enum store_miss reason = miss_explain(thread, key->hash, &found);
            if (miss)
                *miss = reason;
            return RESULT_MISS;
        }
    } while (result == RESULT_MISS);
    return result;
}
