/* flush_all as a watermark: everything with a write sequence before it is dead, at once and in O(1). */
#include "base/clock.h"
#include "store/store_priv.h"

/* With flush_spin held. */
static void watermark_raise(struct store *store)
{
    /* Draws a batch of its own, so that the mark lies above all that were handed out. */
    uint64_t seq = atomic_fetch_add_explicit(&store->seq_next, STORE_SEQ_BATCH, memory_order_relaxed);
    /* Release pairs with the acquire of item_flushed and thread_next_seq. */
    atomic_store_explicit(&store->flush_seq, seq + STORE_SEQ_BATCH, memory_order_release);
    atomic_store_explicit(&store->flush_at_s, 0, memory_order_release);
}

void flush_arm(struct store *store, uint32_t now_s)
{
    PERTURB(FLUSH_DUE);
    spin_acquire(&store->flush_spin);
    uint32_t at_s = atomic_load_explicit(&store->flush_at_s, memory_order_relaxed);
    if (at_s != 0 &&
        at_s <= now_s) /* else another thread has done it: once only, or it would hit what came since */
        watermark_raise(store);
    spin_release(&store->flush_spin);
    maintain_wake(store);
}

void store_flush(struct store_thread *thread, uint32_t at_s)
{
    struct store *store = thread->store;
    uint32_t now_s = clock_s();
    flush_poll(store, now_s);
    spin_acquire(&store->flush_spin);
    if (at_s <= now_s)
        watermark_raise(store);
    else
        atomic_store_explicit(&store->flush_at_s, at_s, memory_order_release);
    spin_release(&store->flush_spin);
    maintain_wake(store);
}
