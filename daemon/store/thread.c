/* Threads and grace periods: quiescent-state based reclamation (McKenney).
 *
 * The global epoch rises whenever something is taken out of reach. A thread's own word holds the epoch it has
 * last seen while it is online, 0 while it is offline. What was unlinked before the epoch became e is out of
 * every thread's reach once each is offline or has seen e. */
#include "base/assert.h"
#include "store/store_priv.h"

#include <stdlib.h>

/* Orders stores before it against loads after it. ThreadSanitizer does not know fences: it gets a locked
 * instruction, which is one on the machines it runs on. */
static void full_fence(struct store *store)
{
#ifdef __SANITIZE_THREAD__
    atomic_fetch_add_explicit(&store->epoch, 0, memory_order_seq_cst);
#else
    (void)store;
    atomic_thread_fence(memory_order_seq_cst);
#endif
}

uint64_t epoch_advance(struct store *store)
{
    /* Release: what was unlinked before is seen by a thread that acquires the new epoch. */
    uint64_t epoch = atomic_fetch_add_explicit(&store->epoch, 1, memory_order_acq_rel) + 1;
    /* Pairs with the fence of store_thread_online: either it sees what was unlinked or we see it online. */
    full_fence(store);
    return epoch;
}

bool epoch_passed(struct store *store, uint64_t epoch)
{
    bool passed = true;
    lock_acquire(&store->threads_lock);
    for (const struct store_thread *t = store->threads; t && passed; t = t->next) {
        /* Acquire pairs with the releases below: the thread's reads lie before what we do next. */
        uint64_t seen = atomic_load_explicit(&t->epoch, memory_order_acquire);
        passed = seen == 0 || seen >= epoch;
    }
    lock_release(&store->threads_lock);
    return passed;
}

void store_thread_online(struct store_thread *thread)
{
    ASSERT(atomic_load_explicit(&thread->epoch, memory_order_relaxed) == 0);
    uint64_t epoch = atomic_load_explicit(&thread->store->epoch, memory_order_acquire);
    atomic_store_explicit(&thread->epoch, epoch, memory_order_relaxed);
    full_fence(thread->store); /* pairs with epoch_advance: our reads come after we are seen online */
}

void store_thread_offline(struct store_thread *thread)
{
    thread->turn++;
    recycle_pass(thread);
    atomic_store_explicit(&thread->epoch, 0, memory_order_release); /* pairs with epoch_passed */
}

void store_thread_quiesce(struct store_thread *thread)
{
    ASSERT(atomic_load_explicit(&thread->epoch, memory_order_relaxed) != 0);
    thread->turn++;
    recycle_pass(thread);
    uint64_t epoch = atomic_load_explicit(&thread->store->epoch, memory_order_acquire);
    atomic_store_explicit(&thread->epoch, epoch, memory_order_release); /* pairs with epoch_passed */
}

struct store_thread *store_thread_create(struct store *store, struct metrics_block *block)
{
    struct store_thread *thread = aligned_alloc(_Alignof(struct store_thread), sizeof *thread);
    if (!thread)
        return NULL;
    *thread = (struct store_thread){.store = store, .block = block, .recycler = recycler_create()};
    lock_acquire(&store->threads_lock);
    thread->lane = store->thread_serial++ % store->lane_count;
    thread->next = store->threads;
    if (thread->next)
        thread->next->prev = thread;
    store->threads = thread;
    lock_release(&store->threads_lock);
    return thread;
}

static void pulls_add(struct pulls *pulls, const struct store_thread *thread)
{
    pulls->small += atomic_load_explicit(&thread->small_pull, memory_order_relaxed);
    pulls->main += atomic_load_explicit(&thread->main_pull, memory_order_relaxed);
}

void store_thread_destroy(struct store_thread *thread)
{
    if (!thread)
        return;
    struct store *store = thread->store;
    ASSERT(atomic_load_explicit(&thread->epoch, memory_order_relaxed) == 0);
    lock_acquire(&store->threads_lock);
    store->written_gone += atomic_load_explicit(&thread->written_size, memory_order_relaxed);
    store->slot_balance_gone += atomic_load_explicit(&thread->slot_balance, memory_order_relaxed);
    pulls_add(&store->pulls_gone, thread);
    if (thread->prev)
        thread->prev->next = thread->next;
    else
        store->threads = thread->next;
    if (thread->next)
        thread->next->prev = thread->prev;
    lock_release(&store->threads_lock);
    free(thread->chunks);
    free(thread->visit);
    recycler_destroy(thread->recycler);
    free(thread);
}

uint64_t threads_written_size(struct store *store)
{
    lock_acquire(&store->threads_lock);
    uint64_t sum = store->written_gone;
    for (const struct store_thread *t = store->threads; t; t = t->next)
        sum += atomic_load_explicit(&t->written_size, memory_order_relaxed);
    lock_release(&store->threads_lock);
    return sum;
}

int64_t threads_slot_balance(struct store *store)
{
    lock_acquire(&store->threads_lock);
    int64_t sum = store->slot_balance_gone;
    for (const struct store_thread *t = store->threads; t; t = t->next)
        sum += atomic_load_explicit(&t->slot_balance, memory_order_relaxed);
    lock_release(&store->threads_lock);
    return sum;
}

struct pulls threads_pulls(struct store *store)
{
    lock_acquire(&store->threads_lock);
    struct pulls sum = store->pulls_gone;
    for (const struct store_thread *t = store->threads; t; t = t->next)
        pulls_add(&sum, t);
    lock_release(&store->threads_lock);
    return sum;
}

/* The next write's sequence number. Each thread draws them in batches; a flush voids what is left of a batch
 * from before it. 0 is none, and is skipped where the 36 bits wrap. */
uint64_t thread_next_seq(struct store_thread *thread)
{
    struct store *store = thread->store;
    uint64_t flush_seq = atomic_load_explicit(&store->flush_seq, memory_order_acquire);
    if (thread->seq == thread->seq_end || thread->seq < flush_seq) {
        thread->seq = atomic_fetch_add_explicit(&store->seq_next, STORE_SEQ_BATCH, memory_order_relaxed);
        thread->seq_end = thread->seq + STORE_SEQ_BATCH;
    }
    uint64_t seq = thread->seq++;
    return (seq & ITEM_SEQ_MASK) != 0 ? seq & ITEM_SEQ_MASK : thread_next_seq(thread);
}
