/* The index's memory, and its growth and shrinking by linear hashing. */
#include "base/assert.h"
#include "base/hash.h"
#include "store/store_priv.h"

#include <sys/mman.h>

#define BUCKETS_A_PAGE    (STORE_PAGE_SIZE / sizeof(struct bucket))
#define INDEX_SHARE_MAX   2u   /* of all memory buckets can come to, with the smallest items there are */
#define INITIAL_SHARE     256u /* of the memory goes to the index to begin with ... */
#define INITIAL_COUNT_MAX 65536u
#define COPIED_KNOWN      64u /* slots of a chain */

void *index_reserve(size_t size)
{
    void *base = mmap(NULL, size, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
    return base == MAP_FAILED ? NULL : base;
}

static uint64_t initial_count(size_t memory_size)
{
    uint64_t count = INDEX_BUCKET_COUNT_MIN;
    while (count < INITIAL_COUNT_MAX && 2 * count * sizeof(struct bucket) <= memory_size / INITIAL_SHARE)
        count *= 2;
    return count;
}

void index_floor_set(struct store *store, size_t memory_size)
{
    atomic_store_explicit(&store->bucket_count_floor, initial_count(memory_size), memory_order_relaxed);
}

bool index_open(struct store *store, size_t memory_size, size_t memory_size_max)
{
    uint64_t count = initial_count(memory_size);
    store->bucket_count_max = memory_size_max / INDEX_SHARE_MAX / sizeof(struct bucket);
    store->buckets = index_reserve(store->bucket_count_max * sizeof(struct bucket));
    if (!store->buckets || !overflow_open(store, memory_size_max))
        return false;
    if (memory_size >= SEGMENT_COUNT_MIN * (size_t)SEGMENT_SIZE_MAX)
        madvise(store->buckets, store->bucket_count_max * sizeof(struct bucket), MADV_HUGEPAGE);
    index_floor_set(store, memory_size);
    atomic_store_explicit(&store->bucket_count, count, memory_order_relaxed);
    atomic_store_explicit(&store->bucket_size, count * sizeof(struct bucket), memory_order_relaxed);
    budget_charge(store, count * sizeof(struct bucket));
    return true;
}

void index_close(struct store *store)
{
    if (store->buckets)
        munmap(store->buckets, store->bucket_count_max * sizeof(struct bucket));
    overflow_close(store);
}

size_t index_size(const struct store *store)
{
    return atomic_load_explicit(&store->bucket_size, memory_order_relaxed) +
           atomic_load_explicit(&store->overflow_size, memory_order_relaxed);
}

/* ---- splitting and merging, with STORE_MAINTAIN held ---- */

static uint64_t slot_hash(const struct store *store, uint64_t value)
{
    if (value & SLOT_GHOST)
        return value & GHOST_HASH_MASK; /* the low bits: all that choosing a bucket needs */
    const struct item *item = item_at(store, slot_location(value));
    return hash_bytes(item_key(item), item_key_size(item), store->hash_seed);
}

/* Puts a slot's value into the chain of `to`, where ghosts take no room from anyone. */
static bool chain_accept(struct store *store, struct bucket *to, uint64_t value)
{
    struct walk walk = walk_begin(store, to);
    _Atomic uint64_t *slot;
    while ((slot = walk_next(&walk)) != NULL) {
        uint64_t there = slot_load(slot);
        if (there == 0 || ((there & SLOT_GHOST) && (value & SLOT_USED))) {
            slot_store(slot, value);
            return true;
        }
    }
    if (value & SLOT_GHOST)
        return true; /* dropped */
    slot = index_slot_for(store, to, slot_hash(store, value));
    if (slot)
        slot_store(slot, value);
    return slot != NULL;
}

static bool slot_belongs(const struct store *store, uint64_t value, uint64_t index, uint64_t count)
{
    return value != 0 && index_bucket_of(count, slot_hash(store, value)) == index;
}

/* Copies to `to` what belongs to bucket `index` once there are `count`, and says in *copied which of the
 * chain's first slots that is. */
static bool chain_copy(struct store *store, struct bucket *from, struct bucket *to, uint64_t index,
                       uint64_t count, uint64_t *copied)
{
    struct walk walk = walk_begin(store, from);
    const _Atomic uint64_t *slot;
    *copied = 0;
    for (unsigned number = 0; (slot = walk_next(&walk)) != NULL; number++) {
        uint64_t value = slot_load(slot);
        if (!slot_belongs(store, value, index, count))
            continue;
        if (!chain_accept(store, to, value))
            return false;
        if (number < COPIED_KNOWN)
            *copied |= 1ull << number;
    }
    return true;
}

/* Empties the slots of items and ghosts that belong to bucket `index` once there are `count`. `copied`, if
 * given, is what chain_copy said of this chain: those need not be hashed again. */
static void chain_drop(struct store *store, struct bucket *home, uint64_t index, uint64_t count,
                       const uint64_t *copied)
{
    struct walk walk = walk_begin(store, home);
    _Atomic uint64_t *slot;
    for (unsigned number = 0; (slot = walk_next(&walk)) != NULL; number++)
        if (copied && number < COPIED_KNOWN ? *copied >> number & 1
                                            : slot_belongs(store, slot_load(slot), index, count))
            slot_store(slot, 0);
    index_tidy(store, home);
}

/* The bucket that shares the highest one's keys while there are `count` + 1. */
static uint64_t partner_of(uint64_t count)
{
    return count - (1ull << (63u - (unsigned)__builtin_clzll(count)));
}

static bool buckets_hold(struct store *store, uint64_t count)
{
    uint64_t held = atomic_load_explicit(&store->bucket_size, memory_order_relaxed);
    if (count > store->bucket_count_max)
        return false;
    if (count * sizeof(struct bucket) <= held)
        return true;
    if (!budget_try(store, STORE_PAGE_SIZE))
        return false;
    atomic_store_explicit(&store->bucket_size, held + STORE_PAGE_SIZE, memory_order_relaxed);
    return true;
}

/* Fetches ahead what the splits to come will read. */
static void prefetch_split(const struct store *store, uint64_t partner)
{
    const struct bucket *bucket = &store->buckets[partner + 4];
    __builtin_prefetch(&store->buckets[partner + 8]);
    for (unsigned i = 0; i < BUCKET_SLOTS; i++) {
        uint64_t value = atomic_load_explicit(&bucket->slot[i], memory_order_relaxed);
        if (value & SLOT_USED)
            __builtin_prefetch(item_at(store, slot_location(value)));
    }
}

bool index_split(struct store *store)
{
    uint64_t count = atomic_load_explicit(&store->bucket_count, memory_order_relaxed);
    if (!buckets_hold(store, count + 1))
        return false;
    struct bucket *from = &store->buckets[partner_of(count)], *to = &store->buckets[count];
    prefetch_split(store, partner_of(count));
    index_bucket_lock(from);
    index_bucket_lock(to);
    uint64_t known;
    bool copied = chain_copy(store, from, to, count, count + 1, &known);
    if (copied) {
        /* Release pairs with the acquire in index_find and index_lock: the new bucket is filled. Only then is
         * the old one emptied, so that each key is in the bucket a reader is led to, or that bucket's
         * version tells it to look again. */
        PERTURB(SPLIT_COPIED);
        atomic_store_explicit(&store->bucket_count, count + 1, memory_order_release);
        PERTURB(SPLIT_PUBLISHED);
        chain_drop(store, from, count, count + 1, &known);
    } else {
        chain_drop(store, to, count, count + 1, NULL);
    }
    index_unlock(to);
    index_unlock(from);
    return copied;
}

bool index_merge(struct store *store)
{
    uint64_t count = atomic_load_explicit(&store->bucket_count, memory_order_relaxed);
    if (count <= INDEX_BUCKET_COUNT_MIN)
        return false;
    uint64_t last = count - 1, partner = partner_of(last);
    struct bucket *to = &store->buckets[partner], *from = &store->buckets[last];
    index_bucket_lock(to);
    index_bucket_lock(from);
    uint64_t known;
    bool copied = chain_copy(store, from, to, partner, last, &known);
    if (copied) {
        PERTURB(MERGE_COPIED);
        atomic_store_explicit(&store->bucket_count, last, memory_order_release); /* as in index_split */
        PERTURB(MERGE_PUBLISHED);
        chain_drop(store, from, partner, last, &known);
    } else {
        chain_drop(store, to, last, count, NULL);
    }
    index_unlock(from);
    index_unlock(to);
    store->bucket_epoch = 0; /* its pages wait for a grace period of their own */
    return copied;
}

/* Gives back whole pages beyond the last bucket, a grace period after the last merge: until then a reader may
 * be on its way through them. */
void index_release(struct store *store)
{
    uint64_t count = atomic_load_explicit(&store->bucket_count, memory_order_relaxed);
    uint64_t held = atomic_load_explicit(&store->bucket_size, memory_order_relaxed);
    uint64_t needed = (count + BUCKETS_A_PAGE - 1) / BUCKETS_A_PAGE * STORE_PAGE_SIZE;
    if (needed >= held)
        return;
    if (store->bucket_epoch == 0)
        store->bucket_epoch = epoch_advance(store);
    if (!epoch_passed(store, store->bucket_epoch))
        return;
    madvise((char *)store->buckets + needed, held - needed, MADV_DONTNEED);
    atomic_store_explicit(&store->bucket_size, needed, memory_order_relaxed);
    budget_return(store, held - needed);
}
