#include "base/assert.h"
#include "base/clock.h"
#include "store/store_priv.h"

#include <sys/mman.h>

#define SEGMENT_SHIFT_MIN 13u         /* 8 KiB */
#define HUGE_PAGES_FROM   (32u << 20) /* below, a huge page would be too large a part of the whole */
#define HUGE_BLOCK_MIN    (2u << 20)
#define HUGE_BLOCK_SHARE  256u /* of the memory: so many steps are few calls, and lose little at the end */
#define PREPARE_COUNT     4u   /* segments brought in a round */
#define RESERVE_SHARE     100u
#define SERIALS_APART     (1u << 30)
#define RESERVE_COUNT_MIN 4u
#define COUNT_MAX         ((1u << (LOCATION_BITS - LOCATION_OFFSET_BITS)) - 1)

/* Older headers lack it. */
#ifndef MADV_POPULATE_WRITE
#define MADV_POPULATE_WRITE 23
#endif

/* ---- the budget ---- */

bool budget_try(struct store *store, size_t size)
{
    uint64_t held = atomic_load_explicit(&store->held_size, memory_order_relaxed);
    do {
        if (held + size > atomic_load_explicit(&store->limit_size, memory_order_relaxed))
            return false;
    } while (!atomic_compare_exchange_weak_explicit(&store->held_size, &held, held + size,
                                                    memory_order_relaxed, memory_order_relaxed));
    return true;
}

void budget_charge(struct store *store, size_t size)
{
    atomic_fetch_add_explicit(&store->held_size, size, memory_order_relaxed);
}

void budget_return(struct store *store, size_t size)
{
    uint64_t before = atomic_fetch_sub_explicit(&store->held_size, size, memory_order_relaxed);
    ASSERT(before >= size);
}

/* ---- lists, with STORE_SEGMENTS held ---- */

static void count_set(_Atomic uint32_t *cell, uint32_t value)
{
    atomic_store_explicit(cell, value, memory_order_relaxed);
}

static uint32_t count_get(const _Atomic uint32_t *cell)
{
    return atomic_load_explicit(cell, memory_order_relaxed);
}

static void list_init(struct segment_list *list)
{
    count_set(&list->head, SEGMENT_NONE);
    count_set(&list->tail, SEGMENT_NONE);
    count_set(&list->count, 0);
}

static void list_append(struct store *store, struct segment_list *list, uint32_t id)
{
    uint32_t tail = count_get(&list->tail);
    store->segments[id].prev = tail;
    store->segments[id].next = SEGMENT_NONE;
    if (tail == SEGMENT_NONE)
        count_set(&list->head, id);
    else
        store->segments[tail].next = id;
    count_set(&list->tail, id);
    count_set(&list->count, count_get(&list->count) + 1);
}

static void list_remove(struct store *store, struct segment_list *list, uint32_t id)
{
    struct segment *segment = &store->segments[id];
    if (segment->prev == SEGMENT_NONE)
        count_set(&list->head, segment->next);
    else
        store->segments[segment->prev].next = segment->next;
    if (segment->next == SEGMENT_NONE)
        count_set(&list->tail, segment->prev);
    else
        store->segments[segment->next].prev = segment->prev;
    ASSERT(count_get(&list->count) > 0);
    count_set(&list->count, count_get(&list->count) - 1);
}

/* The one that was added last: its memory is the likeliest to be in a cache. */
static uint32_t list_take(struct store *store, struct segment_list *list)
{
    uint32_t id = count_get(&list->tail);
    if (id != SEGMENT_NONE)
        list_remove(store, list, id);
    return id;
}

static void segment_move(struct segment *segment, enum segment_state from, enum segment_state to)
{
    ASSERT(segment_state(segment) == from);
    /* Release pairs with the acquire of segment_state. */
    atomic_store_explicit(&segment->state, to, memory_order_release);
}

static char *segment_data(const struct store *store, uint32_t id)
{
    return store->segment_base + ((size_t)id << store->segment_shift);
}

/* ---- memory for segments ---- */

static unsigned shift_for(size_t memory_size)
{
    unsigned shift = SEGMENT_SHIFT_MIN;
    while ((1u << (shift + 1)) <= SEGMENT_SIZE_MAX && memory_size >> (shift + 1) >= SEGMENT_COUNT_MIN)
        shift++;
    return shift;
}

static size_t huge_block_for(size_t memory_size)
{
    size_t size = HUGE_BLOCK_MIN;
    while (size * 2 * HUGE_BLOCK_SHARE <= memory_size)
        size *= 2;
    return memory_size >= HUGE_PAGES_FROM ? size : 0;
}

/* Asks for huge pages for the block of addresses that a fresh segment is the first to reach, unless less
 * memory is left than would fill it: the kernel gives it whole. With STORE_SEGMENTS held. */
static void huge_advise(const struct store *store, uint32_t id)
{
    size_t block = store->huge_block_size;
    uint64_t held = atomic_load_explicit(&store->held_size, memory_order_relaxed);
    uint64_t limit = atomic_load_explicit(&store->limit_size, memory_order_relaxed);
    if (block == 0 || held + block > limit)
        return;
    char *at = segment_data(store, id), *end = segment_data(store, store->segment_count_max);
    char *begin = at + (-(uintptr_t)at & (block - 1));
    if (begin < at + segment_size(store) && begin + block <= end)
        madvise(begin, block, MADV_HUGEPAGE);
}

bool segment_open_all(struct store *store, size_t memory_size, size_t memory_size_max)
{
    store->segment_shift = shift_for(memory_size);
    size_t count = memory_size_max >> store->segment_shift;
    store->segment_count_max = count > COUNT_MAX ? COUNT_MAX : (uint32_t)count;
    size_t size = (size_t)store->segment_count_max << store->segment_shift;
    int flags = MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE;
    char *base = mmap(NULL, size, PROT_READ | PROT_WRITE, flags, -1, 0);
    void *headers =
        mmap(NULL, store->segment_count_max * sizeof(struct segment), PROT_READ | PROT_WRITE, flags, -1, 0);
    store->segment_base = base == MAP_FAILED ? NULL : base;
    store->segments = headers == MAP_FAILED ? NULL : headers;
    if (!store->segment_base || !store->segments)
        return false;
    store->huge_block_size = huge_block_for(memory_size);
    if (store->huge_block_size)
        madvise(base, -(uintptr_t)base & (store->huge_block_size - 1), MADV_HUGEPAGE);
    list_init(&store->free);
    list_init(&store->retired);
    list_init(&store->claimed);
    list_init(&store->limbo);
    for (unsigned pool = 0; pool < POOL_COUNT; pool++)
        for (unsigned grade = 0; grade < GRADE_COUNT; grade++)
            list_init(&store->fifo[pool][grade]);
    return true;
}

void segment_close_all(struct store *store)
{
    if (store->segment_base)
        munmap(store->segment_base, (size_t)store->segment_count_max << store->segment_shift);
    if (store->segments)
        munmap(store->segments, store->segment_count_max * sizeof(struct segment));
}

/* While a lowered limit is brought about the reclaimer may pass it by what it copies: that frees more than it
 * takes. */
static bool segment_charge(struct store *store, size_t size, bool reclaiming)
{
    if (budget_try(store, size))
        return true;
    if (!reclaiming || !atomic_load_explicit(&store->limit_lowered, memory_order_relaxed))
        return false;
    budget_charge(store, size);
    return true;
}

/* With STORE_SEGMENTS held: one more segment with memory, the lowest id there is. */
static uint32_t segment_grow(struct store *store, bool reclaiming)
{
    uint32_t used = count_get(&store->segment_count);
    uint32_t id = count_get(&store->retired.tail);
    bool fresh = id == SEGMENT_NONE;
    if (fresh && used == store->segment_count_max)
        return SEGMENT_NONE;
    if (!segment_charge(store, segment_size(store) + (fresh ? sizeof(struct segment) : 0), reclaiming))
        return SEGMENT_NONE;
    if (fresh) {
        id = used;
        /* Release: whoever sees the count may look at the header. Partner: acquire in segment scans. */
        atomic_store_explicit(&store->segment_count, used + 1, memory_order_release);
        huge_advise(store, id);
    } else {
        list_remove(store, &store->retired, id);
    }
    segment_move(&store->segments[id], SEGMENT_RETIRED, SEGMENT_FREE);
    return id;
}

size_t segment_available(const struct store *store)
{
    uint64_t held = atomic_load_explicit(&store->held_size, memory_order_relaxed);
    uint64_t limit = atomic_load_explicit(&store->limit_size, memory_order_relaxed);
    size_t one = segment_size(store) + sizeof(struct segment);
    return count_get(&store->free.count) + (limit > held ? (size_t)(limit - held) / one : 0);
}

/* How many free segments the maintainer keeps ready. */
size_t segment_reserve_count(const struct store *store)
{
    size_t limit = atomic_load_explicit(&store->limit_size, memory_order_relaxed) >> store->segment_shift;
    return limit / RESERVE_SHARE > RESERVE_COUNT_MIN ? limit / RESERVE_SHARE : RESERVE_COUNT_MIN;
}

static void segment_reset(struct segment *segment, const struct placement *placement)
{
    ASSERT(segment_live_size(segment) == 0);
    ASSERT(segment_live_count(segment) == 0);
    count_set(&segment->write_offset, 0);
    count_set(&segment->created_s, clock_s());
    /* Before the state: who sees it OPEN sees this too. */
    count_set(&segment->generation, count_get(&segment->generation) + 1);
    count_set(&segment->expiry_min_s, SEGMENT_NEVER_S);
    count_set(&segment->expiry_max_s, 0);
    atomic_store_explicit(&segment->pool, (uint8_t)placement->pool, memory_order_relaxed);
    atomic_store_explicit(&segment->grade, (uint8_t)placement->grade, memory_order_relaxed);
}

/* With STORE_SEGMENTS held. */
static void segment_number(struct store *store, struct segment *segment)
{
    count_set(&segment->serial, ++store->segment_serial);
    /* Where nothing is evicted for very long, the mark is kept within reach of 32 bits. */
    for (unsigned pool = 0; pool < POOL_COUNT; pool++)
        for (unsigned grade = 0; grade < GRADE_COUNT; grade++) {
            _Atomic uint32_t *young = &store->young_serial[pool][grade];
            if (store->segment_serial - count_get(young) > SERIALS_APART)
                count_set(young, store->segment_serial - SERIALS_APART);
        }
}

void segment_note_evicted(struct store *store, uint32_t id)
{
    const struct segment *segment = &store->segments[id];
    lock_acquire(&store->segments_lock);
    uint32_t serial = count_get(&segment->serial);
    unsigned pool = atomic_load_explicit(&segment->pool, memory_order_relaxed);
    unsigned grade = atomic_load_explicit(&segment->grade, memory_order_relaxed);
    count_set(&store->young_serial[pool][grade], serial + (store->segment_serial - serial) / 2);
    lock_release(&store->segments_lock);
}

uint32_t segment_take(struct store *store, const struct placement *placement)
{
    uint32_t id = SEGMENT_NONE;
    lock_acquire(&store->segments_lock);
    if (placement->reclaiming || segment_available(store) > SEGMENT_SPARE) {
        id = list_take(store, &store->free);
        if (id == SEGMENT_NONE)
            id = segment_grow(store, placement->reclaiming);
    }
    if (id != SEGMENT_NONE) {
        segment_reset(&store->segments[id], placement);
        segment_number(store, &store->segments[id]);
        segment_move(&store->segments[id], SEGMENT_FREE, SEGMENT_OPEN);
    }
    bool low = segment_available(store) < segment_reserve_count(store);
    lock_release(&store->segments_lock);
    if (low)
        maintain_wake(store);
    return id;
}

void segment_untake(struct store *store, uint32_t id)
{
    lock_acquire(&store->segments_lock);
    segment_move(&store->segments[id], SEGMENT_OPEN, SEGMENT_FREE);
    list_append(store, &store->free, id);
    lock_release(&store->segments_lock);
}

static struct segment_list *fifo_of(struct store *store, const struct segment *segment)
{
    unsigned pool = atomic_load_explicit(&segment->pool, memory_order_relaxed);
    return &store->fifo[pool][atomic_load_explicit(&segment->grade, memory_order_relaxed)];
}

void segment_seal(struct store *store, uint32_t id)
{
    struct segment *segment = &store->segments[id];
    lock_acquire(&store->segments_lock);
    segment_move(segment, SEGMENT_OPEN, SEGMENT_SEALED);
    list_append(store, fifo_of(store, segment), id);
    lock_release(&store->segments_lock);
}

bool segment_claim(struct store *store, uint32_t id, uint8_t drain_mode)
{
    struct segment *segment = &store->segments[id];
    /* A write pin was taken before the segment was sealed, so it shows here. */
    if (segment_state(segment) != SEGMENT_SEALED || count_get(&segment->pins) != 0)
        return false;
    lock_acquire(&store->segments_lock);
    list_remove(store, fifo_of(store, segment), id);
    segment_move(segment, SEGMENT_SEALED, SEGMENT_CLAIMED);
    segment->drain_mode = drain_mode;
    segment->epoch =
        epoch_advance(store); /* after the state: who sees it is a turn later than who does not */
    list_append(store, &store->claimed, id);
    lock_release(&store->segments_lock);
    return true;
}

uint32_t segment_claimed_next(struct store *store)
{
    uint32_t id = count_get(&store->claimed.head);
    if (id == SEGMENT_NONE || !epoch_passed(store, store->segments[id].epoch))
        return SEGMENT_NONE;
    lock_acquire(&store->segments_lock);
    list_remove(store, &store->claimed, id);
    segment_move(&store->segments[id], SEGMENT_CLAIMED, SEGMENT_DRAINING);
    lock_release(&store->segments_lock);
    return id;
}

void segment_unclaim(struct store *store, uint32_t id)
{
    struct segment *segment = &store->segments[id];
    lock_acquire(&store->segments_lock);
    segment_move(segment, SEGMENT_DRAINING, SEGMENT_SEALED);
    list_append(store, fifo_of(store, segment), id);
    lock_release(&store->segments_lock);
}

void segment_drained(struct store *store, uint32_t id)
{
    struct segment *segment = &store->segments[id];
    ASSERT(segment_live_size(segment) == 0);
    lock_acquire(&store->segments_lock);
    segment->epoch = epoch_advance(store);
    segment_move(segment, SEGMENT_DRAINING, SEGMENT_LIMBO);
    list_append(store, &store->limbo, id);
    lock_release(&store->segments_lock);
}

/* ---- freeing, with STORE_MAINTAIN held ---- */

static void segment_free(struct store *store, uint32_t id)
{
    lock_acquire(&store->segments_lock);
    list_remove(store, &store->limbo, id);
    segment_move(&store->segments[id], SEGMENT_LIMBO, SEGMENT_FREE);
    list_append(store, &store->free, id);
    lock_release(&store->segments_lock);
}

unsigned segment_collect(struct store *store)
{
    unsigned freed = 0;
    uint32_t next, id = count_get(&store->limbo.head);
    for (; id != SEGMENT_NONE; id = next) {
        struct segment *segment = &store->segments[id];
        next = segment->next; /* only the holder of STORE_MAINTAIN adds to limbo or takes from it */
        if (!epoch_passed(store, segment->epoch))
            break; /* those behind it were drained later */
        /* Acquire pairs with the release of unpin. A pin is taken only by a thread that found the item while
         * online: the grace period is over, so no new one can come. */
        if (atomic_load_explicit(&segment->pins, memory_order_acquire) != 0)
            continue;
        PERTURB(COLLECT);
        segment_free(store, id);
        freed++;
    }
    if (freed > 0)
        metrics_add(store->reclaimer->block, METRIC_segments_reclaimed, freed);
    return freed;
}

/* With STORE_SEGMENTS held. */
static void segment_retire(struct store *store, uint32_t id)
{
    segment_move(&store->segments[id], SEGMENT_FREE, SEGMENT_RETIRED);
    list_append(store, &store->retired, id);
    madvise(segment_data(store, id), segment_size(store), MADV_DONTNEED);
    budget_return(store, segment_size(store));
}

void segment_settle(struct store *store)
{
    lock_acquire(&store->segments_lock);
    while (atomic_load_explicit(&store->held_size, memory_order_relaxed) >
           atomic_load_explicit(&store->limit_size, memory_order_relaxed)) {
        /* The spare ones stay: what is alive in others is copied to them. */
        if (count_get(&store->free.count) <= SEGMENT_SPARE)
            break;
        segment_retire(store, list_take(store, &store->free));
    }
    lock_release(&store->segments_lock);
}

bool segment_retire_one(struct store *store)
{
    lock_acquire(&store->segments_lock);
    uint32_t id = list_take(store, &store->free);
    if (id != SEGMENT_NONE)
        segment_retire(store, id);
    lock_release(&store->segments_lock);
    return id != SEGMENT_NONE;
}

/* With STORE_SEGMENTS held. What is being sent has been read: its segment goes to the main pool's end as it
 * is. So pinned ones neither stand in the way of those behind them nor use up the small pool's share. */
static void segment_promote(struct store *store, uint32_t id)
{
    struct segment *segment = &store->segments[id];
    list_remove(store, fifo_of(store, segment), id);
    atomic_store_explicit(&segment->pool, POOL_MAIN, memory_order_relaxed);
    list_append(store, fifo_of(store, segment), id);
}

unsigned segment_oldest(struct store *store, enum pool pool, enum grade grade, uint32_t *ids, unsigned max)
{
    const struct segment_list *list = &store->fifo[pool][grade];
    unsigned count = 0;
    lock_acquire(&store->segments_lock);
    uint32_t next, id = count_get(&list->head), last = count_get(&list->tail);
    for (bool more = id != SEGMENT_NONE; more && count < max; id = next) {
        more = id != last; /* those that were appended meanwhile have had their turn */
        next = store->segments[id].next;
        if (count_get(&store->segments[id].read_pins) != 0)
            segment_promote(store, id);
        else if (count_get(&store->segments[id].pins) == 0)
            ids[count++] = id;
    }
    lock_release(&store->segments_lock);
    return count;
}

bool segment_eldest(struct store *store, enum pool pool, enum grade grade, struct segment_eldest *eldest)
{
    lock_acquire(&store->segments_lock);
    uint32_t id = count_get(&store->fifo[pool][grade].head);
    if (id != SEGMENT_NONE) {
        const struct segment *segment = &store->segments[id];
        uint32_t items = segment_live_count(segment);
        eldest->age = store->segment_serial - count_get(&segment->serial);
        eldest->item_size = segment_live_size(segment) / (items > 0 ? items : 1);
    }
    lock_release(&store->segments_lock);
    return id != SEGMENT_NONE;
}

/* Faults the pages in now, so that no write pays for it. A kernel that cannot leaves it to the writes. */
static void segment_populate(struct store *store, uint32_t id)
{
    madvise(segment_data(store, id), segment_size(store), MADV_POPULATE_WRITE);
}

bool segment_prepare(struct store *store, unsigned count)
{
    for (unsigned i = 0; i < PREPARE_COUNT; i++) {
        if (count_get(&store->free.count) >= count)
            return false;
        lock_acquire(&store->segments_lock);
        uint32_t id = segment_grow(store, false);
        lock_release(&store->segments_lock);
        if (id == SEGMENT_NONE)
            return false;
        segment_populate(store, id);
        lock_acquire(&store->segments_lock);
        list_append(store, &store->free, id);
        lock_release(&store->segments_lock);
    }
    return true;
}
