/* Places used again: the cells of small items that a thread has itself unlinked, for its next items of the
 * same size.
 *
 * Overwrites, deletes and counters would else fill the log with dead bytes that only copying gets back. A
 * record keeps its size, so a segment can be walked whatever its cells hold. A cell waits in a batch until
 * every reader has passed, then in a bin by pool, expiry and size. Nobody else knows of it: the maintainer
 * may empty its segment at any time, which the segment's state and generation tell (see cell_usable). What
 * finds no room here is forgotten, and stays dead until its segment is compacted. Nobody
 * waits for the maintainer as for a reader: outside the segment that it empties it may look at an item only
 * with its bucket locked. Thread-safety: each recycler belongs to one thread. */
#include "base/assert.h"
#include "base/pages.h"
#include "store/write_priv.h"

#define CELL_COUNT    4096u /* that a thread can keep track of */
#define CELL_SIZE_MAX 4096u
#define CELL_NONE     0u
#define BIN_COUNT     (CELL_SIZE_MAX / ITEM_ALIGN + 1)
#define KIND_COUNT    (POOL_COUNT * 2u) /* a pool's items that expire, and those that never do */
#define BINS          (KIND_COUNT * BIN_COUNT)
#define BIN_WORDS     ((BINS + 63u) / 64u)
#define BATCH_COUNT   4u
#define BATCH_MIN     16u /* cells: fewer are not worth a grace period */
#define TAKE_TRIES    4u
#define HAND_STEPS    8u

struct cell {
    uint64_t location;
    uint32_t generation; /* of its segment */
    uint16_t bin;
    uint16_t next;
};
_Static_assert(CELL_COUNT < UINT16_MAX && BINS < UINT16_MAX, "both are told in 16 bits");

struct batch {
    uint64_t epoch;
    uint16_t first, last, count;
};

struct recycler {
    struct batch open;                 /* unlinked since this thread was last quiescent */
    struct batch waiting[BATCH_COUNT]; /* for their grace period, the oldest first */
    unsigned waiting_count;
    bool looked;            /* whether those have passed, since this thread was last quiescent */
    uint16_t unused, fresh; /* given back ones, and the first that was never used */
    uint16_t hand;          /* the bin that next has to give a cell up when all are in use */
    uint16_t bins_in_use, cells_in_bins;
    uint64_t filled[BIN_WORDS]; /* a bit for each bin that is not empty */
    uint16_t first[BINS], count[BINS];
    struct cell cell[CELL_COUNT + 1];
};

struct recycler *recycler_create(void)
{
    struct recycler *recycler = pages_take(sizeof *recycler);
    if (recycler)
        recycler->fresh = 1;
    return recycler;
}

void recycler_destroy(struct recycler *recycler)
{
    pages_give(recycler, sizeof *recycler);
}

static uint16_t bin_of(enum pool pool, bool expires, size_t size)
{
    return (uint16_t)(((unsigned)pool * 2 + expires) * BIN_COUNT + size / ITEM_ALIGN);
}

/* ---- cells in bins ---- */

static void cell_drop(struct recycler *recycler, uint16_t at)
{
    recycler->cell[at].next = recycler->unused;
    recycler->unused = at;
}

static void bin_push(struct recycler *recycler, uint16_t at)
{
    struct cell *cell = &recycler->cell[at];
    if (recycler->count[cell->bin]++ == 0) {
        recycler->bins_in_use++;
        recycler->filled[cell->bin / 64u] |= 1ull << cell->bin % 64u;
    }
    recycler->cells_in_bins++;
    cell->next = recycler->first[cell->bin];
    recycler->first[cell->bin] = at;
}

static uint16_t bin_pop(struct recycler *recycler, uint16_t bin)
{
    uint16_t at = recycler->first[bin];
    if (at == CELL_NONE)
        return at;
    recycler->first[bin] = recycler->cell[at].next;
    if (--recycler->count[bin] == 0) {
        recycler->bins_in_use--;
        recycler->filled[bin / 64u] &= ~(1ull << bin % 64u);
    }
    recycler->cells_in_bins--;
    return at;
}

/* The next bin, around the end if need be, that is not empty; there is one. */
static uint16_t bin_filled_after(const struct recycler *recycler, unsigned bin)
{
    unsigned from = (bin + 1) % BINS, word = from / 64;
    uint64_t bits = recycler->filled[word] & ~0ull << from % 64;
    while (bits == 0) {
        word = (word + 1) % BIN_WORDS;
        bits = recycler->filled[word];
    }
    return (uint16_t)(word * 64 + (unsigned)__builtin_ctzll(bits));
}

/* All cells are in use: one comes from a bin that holds its fair share or more, if one is soon found. */
static uint16_t cell_steal(struct recycler *recycler)
{
    for (unsigned step = 0; step < HAND_STEPS && recycler->bins_in_use > 0; step++) {
        recycler->hand = bin_filled_after(recycler, recycler->hand);
        if ((unsigned)recycler->count[recycler->hand] * recycler->bins_in_use >= recycler->cells_in_bins)
            return bin_pop(recycler, recycler->hand);
    }
    return CELL_NONE;
}

static uint16_t cell_new(struct recycler *recycler)
{
    uint16_t at = recycler->unused;
    if (at != CELL_NONE)
        recycler->unused = recycler->cell[at].next;
    else if (recycler->fresh <= CELL_COUNT)
        at = recycler->fresh++;
    else
        at = cell_steal(recycler);
    return at;
}

/* ---- grace periods ---- */

void recycle_pass(struct store_thread *thread)
{
    struct recycler *recycler = thread->recycler;
    if (!recycler)
        return;
    recycler->looked = false;
    if (recycler->open.count < BATCH_MIN || recycler->waiting_count == BATCH_COUNT)
        return;
    recycler->open.epoch = epoch_advance(thread->store);
    recycler->waiting[recycler->waiting_count++] = recycler->open;
    recycler->open = (struct batch){0};
}

/* Cells out of every reader's reach go to their bins. */
static void batches_collect(struct store_thread *thread, struct recycler *recycler)
{
    unsigned passed = recycler->waiting_count;
    recycler->looked = true;
    while (passed > 0 && !epoch_passed(thread->store, recycler->waiting[passed - 1].epoch))
        passed--;
    for (unsigned i = 0; i < passed; i++)
        for (uint16_t at = recycler->waiting[i].first, next; at != CELL_NONE; at = next) {
            next = recycler->cell[at].next;
            bin_push(recycler, at);
        }
    recycler->waiting_count -= passed;
    for (unsigned i = 0; i < recycler->waiting_count; i++)
        recycler->waiting[i] = recycler->waiting[i + passed];
}

static void batch_push(struct recycler *recycler, uint16_t at)
{
    struct batch *open = &recycler->open;
    recycler->cell[at].next = CELL_NONE;
    if (open->count++ == 0)
        open->first = at;
    else
        recycler->cell[open->last].next = at;
    open->last = at;
}

/* ---- giving and taking ---- */

static bool segment_recycles(const struct segment *segment)
{
    enum segment_state state = segment_state(segment);
    return state == SEGMENT_OPEN || state == SEGMENT_SEALED;
}

/* A cell for this record; CELL_NONE when it is not worth keeping. The thread has been online since the record
 * was its own or an item alive, so that its segment is still of that generation. */
static uint16_t cell_make(struct store_thread *thread, const struct item *item, uint64_t location)
{
    const struct segment *segment = segment_of(thread->store, location);
    unsigned flags = item_flags(item);
    size_t size = item_record_size_as(item, flags);
    if (!thread->recycler || (flags & (ITEM_LARGE | ITEM_CHUNK)) || size > CELL_SIZE_MAX ||
        !segment_recycles(segment))
        return CELL_NONE;
    uint16_t at = cell_new(thread->recycler);
    if (at == CELL_NONE)
        return at;
    bool expires = atomic_load_explicit(&segment->expiry_max_s, memory_order_relaxed) != SEGMENT_NEVER_S;
    enum pool pool = (enum pool)atomic_load_explicit(&segment->pool, memory_order_relaxed);
    thread->recycler->cell[at] = (struct cell){
        .location = location,
        .generation = atomic_load_explicit(&segment->generation, memory_order_relaxed),
        .bin = bin_of(pool, expires, size),
    };
    return at;
}

void recycle_unlinked(struct store_thread *thread, const struct item *item, uint64_t location)
{
    uint16_t at = cell_make(thread, item, location);
    if (at != CELL_NONE)
        batch_push(thread->recycler, at);
}

void recycle_unused(struct store_thread *thread, const struct item *item, uint64_t location)
{
    uint16_t at = cell_make(thread, item, location);
    if (at != CELL_NONE)
        bin_push(thread->recycler, at);
}

/* Whole segments expire together: an item that lives longer would hold the others' bytes, one that dies
 * sooner would lie there dead. */
static bool expiry_suits(const struct segment *segment, uint32_t expiry_s)
{
    uint32_t last_s = atomic_load_explicit(&segment->expiry_max_s, memory_order_relaxed);
    if (expiry_s == STORE_NEVER_S)
        return last_s == SEGMENT_NEVER_S;
    return expiry_s <= last_s &&
           expiry_s >= atomic_load_explicit(&segment->expiry_min_s, memory_order_relaxed);
}

/* May this cell be written now? What is true stays so until this thread is quiescent: a segment that is
 * claimed later is walked only then. */
static bool cell_usable(const struct store *store, const struct cell *cell, uint32_t expiry_s)
{
    const struct segment *segment = segment_of(store, cell->location);
    if (!segment_recycles(segment) ||
        atomic_load_explicit(&segment->generation, memory_order_relaxed) != cell->generation)
        return false;
    /* A value that is being sent outlives its reader's turn. Acquire pairs with the release of unpin. */
    if (atomic_load_explicit(&segment->pins, memory_order_acquire) != 0)
        return false;
    /* Not where eviction will be soon: a new item has its time before it. */
    unsigned pool = atomic_load_explicit(&segment->pool, memory_order_relaxed);
    unsigned grade = atomic_load_explicit(&segment->grade, memory_order_relaxed);
    uint32_t young = atomic_load_explicit(&store->young_serial[pool][grade], memory_order_relaxed);
    uint32_t serial = atomic_load_explicit(&segment->serial, memory_order_relaxed);
    return (int32_t)(serial - young) >= 0 && expiry_suits(segment, expiry_s);
}

bool recycle_take(struct store_thread *thread, const struct placement *placement, size_t size,
                  uint64_t *location)
{
    struct recycler *recycler = thread->recycler;
    if (!recycler || size > CELL_SIZE_MAX)
        return false;
    if (recycler->waiting_count > 0 && !recycler->looked)
        batches_collect(thread, recycler);
    uint16_t bin = bin_of(placement->pool, placement->expiry_s != STORE_NEVER_S, size), at;
    for (unsigned tries = 0; tries < TAKE_TRIES && (at = bin_pop(recycler, bin)) != CELL_NONE; tries++) {
        const struct cell *cell = &recycler->cell[at];
        bool usable = cell_usable(thread->store, cell, placement->expiry_s);
        *location = cell->location;
        cell_drop(recycler, at);
        if (usable) {
            metrics_add(thread->block, METRIC_recycled_writes, 1);
            return true;
        }
    }
    return false;
}
