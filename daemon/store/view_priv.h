/* What a hit does with its item, inlined where it happens: the view of it, and the note that it was read.
 * Place: private to the store. Thread-safety: any online thread. */
#ifndef VITRINE_STORE_VIEW_PRIV_H
#define VITRINE_STORE_VIEW_PRIV_H

#include "store/store_priv.h"

#define ACCESS_PERIOD_S 60u /* memcached's ITEM_UPDATE_INTERVAL */

/* `slot` is the value of the slot that led to the item. */
static inline void view_set(const struct store *store, struct store_view *view, const struct item *item,
                            uint64_t slot, uint32_t now_s)
{
    uint32_t state = item_state(item), shape = item->shape;
    const char *key = (const char *)item + item_head_size(state);
    view->key = key;
    view->key_size = shape >> 24;
    view->flags = item_client_flags(item);
    view->expiry_s = item_expiry_s(item);
    view->access_s = now_s - ((now_s - (state >> 8)) & ITEM_ACCESS_MASK);
    view->cas = item_cas(item);
    view->size = shape >> 4 & 0xfffff;
    view->value = key + view->key_size;
    view->fetched = (state & ITEM_FETCHED) != 0;
    view->key_binary = (state & ITEM_BINARY) != 0;
    view->stale = (slot & SLOT_STALE) != 0;
    view->won = (slot & SLOT_WON) != 0;
    view->item = item;
    view->store = store;
    if (__builtin_expect((state & ITEM_LARGE) != 0, 0))
        view_set_large(view);
    view->band = metrics_band_of(item_counted_size(view->key_size, view->size));
}

/* Relaxed: hints about the item; a lost update shows at most an access a minute old or one unread. */
static inline void item_note_read(struct item *item, uint32_t now_s)
{
    uint32_t state = item_state(item);
    uint32_t idle_s = (now_s - (state >> 8)) & ITEM_ACCESS_MASK;
    if (__builtin_expect((state & ITEM_FETCHED) && idle_s < ACCESS_PERIOD_S, 1))
        return;
    uint32_t seen_s = idle_s < ACCESS_PERIOD_S ? state >> 8 : now_s & ITEM_ACCESS_MASK;
    atomic_store_explicit(&item->state, seen_s << 8 | (state & 0xff) | ITEM_FETCHED, memory_order_relaxed);
}

#endif
