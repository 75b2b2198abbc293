/* Overflow buckets: pages of 128, the lowest used first, so that those that fall empty can be given back.
 *
 * Under overflow_spin, taken inside a bucket's lock. A reader may still come upon a bucket that was given
 * back, or upon a page that was released and reads as zeroes: its home bucket's version has changed then, and
 * it begins again. */
#include "base/assert.h"
#include "store/store_priv.h"

#include <sys/mman.h>

#define PAGE_BUCKETS 128u
#define PAGE_WORDS   (PAGE_BUCKETS / 64)
#define MEMORY_SHARE 4u /* of all memory that overflow buckets can come to */
#define IDLE_SHARE   4u /* release pages when more than a quarter of the buckets is free */

_Static_assert(PAGE_BUCKETS * sizeof(struct overflow) == STORE_PAGE_SIZE, "the bits cover a page");

struct overflow_page {
    uint64_t free[PAGE_WORDS]; /* a bit for each bucket */
    uint64_t held;             /* whether it has memory */
};

bool overflow_open(struct store *store, size_t memory_size_max)
{
    size_t count = memory_size_max / MEMORY_SHARE / STORE_PAGE_SIZE;
    if (count > UINT32_MAX / PAGE_BUCKETS)
        count = UINT32_MAX / PAGE_BUCKETS;
    store->overflow_page_count = (uint32_t)count;
    store->overflow = index_reserve(count * STORE_PAGE_SIZE);
    store->overflow_pages = index_reserve(count * sizeof(struct overflow_page));
    return store->overflow && store->overflow_pages;
}

void overflow_close(struct store *store)
{
    size_t count = store->overflow_page_count;
    if (store->overflow)
        munmap(store->overflow, count * STORE_PAGE_SIZE);
    if (store->overflow_pages)
        munmap(store->overflow_pages, count * sizeof(struct overflow_page));
}

/* Index 0 means none, so the first bucket of all is never handed out. */
static struct overflow_page page_all_free(uint32_t page)
{
    return (struct overflow_page){{page == 0 ? UINT64_MAX - 1 : UINT64_MAX, UINT64_MAX}, true};
}

static bool page_is_idle(const struct store *store, uint32_t page)
{
    struct overflow_page idle = page_all_free(page);
    return memcmp(&store->overflow_pages[page], &idle, sizeof idle) == 0;
}

static bool page_is_full(const struct overflow_page *page)
{
    return page->held && page->free[0] == 0 && page->free[1] == 0;
}

static void held_add(struct store *store, int64_t size)
{
    uint64_t held = atomic_load_explicit(&store->overflow_size, memory_order_relaxed);
    atomic_store_explicit(&store->overflow_size, held + (uint64_t)size, memory_order_relaxed);
}

/* Where items may be evicted the maintainer makes the charge good; else memory is full. */
static bool page_hold(struct store *store, uint32_t page)
{
    if (!budget_try(store, STORE_PAGE_SIZE)) {
        if (store->no_eviction)
            return false;
        budget_charge(store, STORE_PAGE_SIZE);
    }
    held_add(store, STORE_PAGE_SIZE);
    store->overflow_pages[page] = page_all_free(page);
    return true;
}

static uint32_t take_locked(struct store *store)
{
    uint32_t page = store->overflow_lowest;
    while (page < store->overflow_page_count && page_is_full(&store->overflow_pages[page]))
        page++;
    store->overflow_lowest = page;
    if (page == store->overflow_page_count)
        return 0;
    if (!store->overflow_pages[page].held && !page_hold(store, page))
        return 0;
    uint64_t *free = store->overflow_pages[page].free;
    unsigned word = free[0] == 0;
    unsigned bucket = (unsigned)__builtin_ctzll(free[word]);
    free[word] &= ~(1ull << bucket);
    store->overflow_used++;
    return page * PAGE_BUCKETS + word * 64 + bucket;
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
    uint32_t page = index / PAGE_BUCKETS;
    uint64_t bit = 1ull << index % 64;
    for (unsigned i = 0; i < OVERFLOW_SLOTS; i++)
        slot_store(&bucket->slot[i], 0);
    atomic_store_explicit(&bucket->word, 0, memory_order_release);
    spin_acquire(&store->overflow_spin);
    uint64_t *free = &store->overflow_pages[page].free[index % PAGE_BUCKETS / 64];
    ASSERT(!(*free & bit));
    *free |= bit;
    store->overflow_used--;
    if (page < store->overflow_lowest)
        store->overflow_lowest = page;
    spin_release(&store->overflow_spin);
}

enum page_use { PAGE_ABSENT, PAGE_BUSY, PAGE_CLAIMED };

/* Takes an idle page out of use before its memory goes, so that nobody takes a bucket of it meanwhile. */
static enum page_use page_claim(struct store *store, uint32_t page)
{
    enum page_use use = PAGE_ABSENT;
    spin_acquire(&store->overflow_spin);
    if (store->overflow_pages[page].held)
        use = page_is_idle(store, page) ? PAGE_CLAIMED : PAGE_BUSY;
    if (use == PAGE_CLAIMED)
        store->overflow_pages[page] = (struct overflow_page){.held = true};
    spin_release(&store->overflow_spin);
    return use;
}

static void page_release(struct store *store, uint32_t page)
{
    madvise(&store->overflow[(size_t)page * PAGE_BUCKETS], STORE_PAGE_SIZE, MADV_DONTNEED);
    spin_acquire(&store->overflow_spin);
    store->overflow_pages[page].held = false;
    held_add(store, -(int64_t)STORE_PAGE_SIZE);
    if (page < store->overflow_lowest)
        store->overflow_lowest = page;
    spin_release(&store->overflow_spin);
    budget_return(store, STORE_PAGE_SIZE);
}

void overflow_release(struct store *store)
{
    uint64_t held = atomic_load_explicit(&store->overflow_size, memory_order_relaxed) / STORE_PAGE_SIZE;
    spin_acquire(&store->overflow_spin);
    bool idle = held > 1 && store->overflow_used < held * (PAGE_BUCKETS - PAGE_BUCKETS / IDLE_SHARE);
    spin_release(&store->overflow_spin);
    for (uint32_t page = 0; idle && held > 0 && page < store->overflow_page_count; page++) {
        enum page_use use = page_claim(store, page);
        held -= use != PAGE_ABSENT;
        if (use == PAGE_CLAIMED)
            page_release(store, page);
    }
}
