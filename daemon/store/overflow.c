/* Overflow buckets: in pages of 128, the lowest used first, so that pages that fall empty can be given back.
 *
 * Under overflow_spin, taken inside a bucket's lock. A reader may still come upon a bucket that was given
 * back, or upon a page that was released and reads as zeroes: its home bucket's version has changed then, and
 * it begins again. */
#include "base/assert.h"
#include "store/store_priv.h"

#include <sys/mman.h>

#define PAGE_BUCKETS 128u
#define MEMORY_SHARE 4u     /* of all memory that overflow buckets can come to */
#define IDLE_SHARE   4u     /* when more than a quarter of the buckets is free they are drawn together */
#define SETTLE_COUNT 16384u /* buckets looked at in a round for overflow buckets that could lie lower */

_Static_assert(PAGE_BUCKETS * sizeof(struct overflow) == STORE_PAGE_SIZE, "pages hold whole buckets");
_Static_assert(PAGE_BUCKETS == 128, "two words of the free buckets' lowest level are a page");

bool overflow_open(struct store *store, size_t memory_size_max)
{
    size_t count = memory_size_max / MEMORY_SHARE / STORE_PAGE_SIZE;
    if (count > UINT32_MAX / PAGE_BUCKETS)
        count = UINT32_MAX / PAGE_BUCKETS;
    store->overflow_page_max = (uint32_t)count;
    store->overflow = index_reserve(count * STORE_PAGE_SIZE);
    return store->overflow && bits_init(&store->overflow_free, (uint32_t)count * PAGE_BUCKETS) &&
           bits_init(&store->overflow_absent, (uint32_t)count);
}

void overflow_close(struct store *store)
{
    if (store->overflow)
        munmap(store->overflow, (size_t)store->overflow_page_max * STORE_PAGE_SIZE);
    bits_fini(&store->overflow_free);
    bits_fini(&store->overflow_absent);
}

/* ---- with overflow_spin held ---- */

static void held_add(struct store *store, int64_t size)
{
    uint64_t held = atomic_load_explicit(&store->overflow_size, memory_order_relaxed);
    atomic_store_explicit(&store->overflow_size, held + (uint64_t)size, memory_order_relaxed);
}

/* Where items may be evicted the maintainer makes the charge good; else memory is full. */
static bool page_charge(struct store *store)
{
    bool charged = budget_try(store, STORE_PAGE_SIZE);
    if (!charged && store->no_eviction)
        return false;
    if (!charged)
        budget_charge(store, STORE_PAGE_SIZE);
    held_add(store, STORE_PAGE_SIZE);
    return true;
}

/* Brings the lowest page that has no memory into use. */
static bool page_hold(struct store *store)
{
    uint32_t page = bits_lowest(&store->overflow_absent);
    bool fresh = page == BITS_NONE;
    if (fresh)
        page = store->overflow_page_count;
    if (page == store->overflow_page_max || !page_charge(store))
        return false;
    if (fresh)
        store->overflow_page_count++;
    else
        bits_clear(&store->overflow_absent, page);
    /* Index 0 means none, so the first bucket of all is never handed out. */
    for (uint32_t i = page == 0; i < PAGE_BUCKETS; i++)
        bits_set(&store->overflow_free, page * PAGE_BUCKETS + i);
    return true;
}

static uint32_t take_locked(struct store *store)
{
    uint32_t index = bits_lowest(&store->overflow_free);
    if (index == BITS_NONE) {
        if (!page_hold(store))
            return 0;
        index = bits_lowest(&store->overflow_free);
    }
    bits_clear(&store->overflow_free, index);
    store->overflow_used++;
    return index;
}

uint32_t overflow_take(struct store *store)
{
    spin_acquire(&store->overflow_spin);
    uint32_t index = take_locked(store);
    spin_release(&store->overflow_spin);
    return index;
}

void overflow_give(struct store *store, uint32_t index)
{
    struct overflow *bucket = &store->overflow[index];
    for (unsigned i = 0; i < OVERFLOW_SLOTS; i++)
        slot_store(&bucket->slot[i], 0);
    atomic_store_explicit(&bucket->word, 0, memory_order_release);
    spin_acquire(&store->overflow_spin);
    ASSERT(!bits_has(&store->overflow_free, index));
    bits_set(&store->overflow_free, index);
    store->overflow_used--;
    spin_release(&store->overflow_spin);
}

/* ---- giving pages back, with STORE_MAINTAIN held ---- */

/* Takes an idle page out of use before its memory goes, so that nobody takes a bucket of it meanwhile. */
static bool page_claim(struct store *store, uint32_t page)
{
    const uint64_t *free = &store->overflow_free.level[0][page * 2];
    spin_acquire(&store->overflow_spin);
    bool idle = free[0] == (page == 0 ? UINT64_MAX - 1 : UINT64_MAX) && free[1] == UINT64_MAX;
    for (uint32_t i = 0; idle && i < PAGE_BUCKETS; i++)
        bits_clear(&store->overflow_free, page * PAGE_BUCKETS + i);
    spin_release(&store->overflow_spin);
    return idle;
}

static void page_release(struct store *store, uint32_t page)
{
    madvise(&store->overflow[(size_t)page * PAGE_BUCKETS], STORE_PAGE_SIZE, MADV_DONTNEED);
    spin_acquire(&store->overflow_spin);
    bits_set(&store->overflow_absent, page);
    held_add(store, -(int64_t)STORE_PAGE_SIZE);
    spin_release(&store->overflow_spin);
    budget_return(store, STORE_PAGE_SIZE);
}

/* Are more overflow buckets free than growth will soon take? */
static bool overflow_is_idle(struct store *store)
{
    uint64_t held = atomic_load_explicit(&store->overflow_size, memory_order_relaxed) / STORE_PAGE_SIZE;
    spin_acquire(&store->overflow_spin);
    bool idle = held > 1 && store->overflow_used < held * (PAGE_BUCKETS - PAGE_BUCKETS / IDLE_SHARE);
    spin_release(&store->overflow_spin);
    return idle;
}

static void overflow_release(struct store *store)
{
    spin_acquire(&store->overflow_spin);
    uint32_t count = store->overflow_page_count; /* writers add to them meanwhile; what is new is in use */
    spin_release(&store->overflow_spin);
    for (uint32_t page = 0; page < count; page++)
        if (page_claim(store, page))
            page_release(store, page);
}

/* ---- drawing them together, with STORE_MAINTAIN held ---- */

/* Puts the overflow bucket that follows the bucket of this word into a lower place, if there is one. */
static void overflow_lower(struct store *store, _Atomic uint64_t *before)
{
    uint64_t word = atomic_load_explicit(before, memory_order_relaxed);
    uint32_t from = (uint32_t)(word >> BUCKET_OVERFLOW_SHIFT), to = overflow_take(store);
    if (to == 0)
        return;
    if (to > from) {
        overflow_give(store, to);
        return;
    }
    const struct overflow *old = &store->overflow[from];
    struct overflow *new = &store->overflow[to];
    for (unsigned i = 0; i < OVERFLOW_SLOTS; i++)
        slot_store(&new->slot[i], slot_load(&old->slot[i]));
    atomic_store_explicit(&new->word, atomic_load_explicit(&old->word, memory_order_relaxed),
                          memory_order_release);
    /* Release pairs with the acquire of overflow_after: the copy is complete before it is reachable. */
    atomic_store_explicit(before, (word & BUCKET_VERSION_MASK) | (uint64_t)to << BUCKET_OVERFLOW_SHIFT,
                          memory_order_release);
    overflow_give(store, from);
}

/* The overflow buckets of one chain, those that lie at `above` or higher. */
static void chain_settle(struct store *store, struct bucket *home, uint32_t above)
{
    if (atomic_load_explicit(&home->word, memory_order_relaxed) >> BUCKET_OVERFLOW_SHIFT == 0)
        return;
    index_bucket_lock(home);
    _Atomic uint64_t *before = &home->word;
    uint64_t index;
    while ((index = atomic_load_explicit(before, memory_order_relaxed) >> BUCKET_OVERFLOW_SHIFT) != 0) {
        if (index >= above)
            overflow_lower(store, before);
        index = atomic_load_explicit(before, memory_order_relaxed) >> BUCKET_OVERFLOW_SHIFT;
        before = &store->overflow[index].word;
    }
    index_unlock(home);
}

void overflow_settle(struct store *store)
{
    uint64_t count = atomic_load_explicit(&store->bucket_count, memory_order_relaxed);
    if (!overflow_is_idle(store))
        return;
    spin_acquire(&store->overflow_spin);
    uint32_t above = store->overflow_used + PAGE_BUCKETS;
    spin_release(&store->overflow_spin);
    for (unsigned i = 0; i < SETTLE_COUNT && i < count; i++) {
        if (store->settle_at >= count)
            store->settle_at = 0;
        chain_settle(store, &store->buckets[store->settle_at++], above);
    }
    overflow_release(store);
}
