#include "base/assert.h"
#include "store/find_priv.h"

#define LINES_MAX 4u

uint64_t slot_make(uint64_t hash, uint64_t location, size_t record_size, unsigned freq)
{
    size_t begin = location * ITEM_ALIGN % CACHE_LINE; /* segments begin at a line */
    size_t lines = (begin + record_size + CACHE_LINE - 1) / CACHE_LINE;
    uint64_t more = lines >= LINES_MAX ? LINES_MAX - 1 : lines - 1;
    return slot_tag(hash) << SLOT_TAG_SHIFT | (uint64_t)freq << SLOT_FREQ_SHIFT | more << SLOT_LINES_SHIFT |
           SLOT_USED | location;
}

static uint64_t ghost_make(uint64_t hash, enum store_miss reason)
{
    return slot_tag(hash) << SLOT_TAG_SHIFT | SLOT_GHOST | (uint64_t)reason << GHOST_REASON_SHIFT |
           (hash & GHOST_HASH_MASK);
}

static bool ghost_matches(uint64_t slot, uint64_t hash)
{
    return (slot & SLOT_GHOST) && slot >> SLOT_TAG_SHIFT == slot_tag(hash) &&
           ((slot ^ hash) & GHOST_HASH_MASK) == 0;
}

bool walk_follow(struct walk *walk)
{
    struct overflow *next = overflow_after(walk->store, walk->word);
    if (!next)
        return false;
    *walk = (struct walk){walk->store, &next->word, next->slot, next->slot + OVERFLOW_SLOTS};
    return true;
}

/* ---- readers ---- */

static inline bool slots_find(const struct store *store, _Atomic uint64_t *slots, unsigned count,
                              const struct store_key *key, struct found *found)
{
    for (unsigned i = 0; i < count; i++) {
        uint64_t value = slot_load(&slots[i]);
        if (value >> SLOT_TAG_SHIFT != slot_tag(key->hash) || value == 0)
            continue;
        PERTURB(FIND_SLOT);
        if (value & SLOT_USED) {
            struct item *item = item_at(store, slot_location(value));
            if (!item_has_key(item, key))
                continue;
            *found = (struct found){.item = item, .slot = &slots[i], .value = value};
            return true;
        }
        if (ghost_matches(value, key->hash)) {
            found->ghost = true;
            found->reason = (enum store_miss)(value >> GHOST_REASON_SHIFT & 7);
        }
    }
    return false;
}

/* A chain whose home bucket has changed is not followed further: an overflow bucket may have gone to another
 * chain. The caller sees the change too and begins again. */
static bool chain_find(const struct store *store, struct bucket *home, uint64_t word,
                       const struct store_key *key, struct found *found)
{
    if (slots_find(store, home->slot, BUCKET_SLOTS, key, found))
        return true;
    PERTURB(FIND_NEXT);
    struct overflow *next = overflow_after(store, &home->word);
    while (next && atomic_load_explicit(&home->word, memory_order_acquire) == word) {
        if (slots_find(store, next->slot, OVERFLOW_SLOTS, key, found))
            return true;
        PERTURB(FIND_NEXT);
        next = overflow_after(store, &next->word);
    }
    return false;
}

bool index_find(const struct store *store, const struct store_key *key, struct found *found)
{
    for (unsigned turns = 0;; spin_pause(&turns)) {
        /* Acquire pairs with the release of index_split and index_merge: the bucket it leads to is filled. */
        uint64_t count = atomic_load_explicit(&store->bucket_count, memory_order_acquire);
        uint64_t index = index_bucket_of(count, key->hash);
        struct bucket *home = &store->buckets[index];
        PERTURB(FIND_CHOSEN);
        if (key->seen && find_in_slot(store, key->seen, key, found))
            return true;
        *found = (struct found){0};
        uint64_t word = atomic_load_explicit(&home->word, memory_order_acquire);
        PERTURB(FIND_BEGUN);
        if (chain_find(store, home, word, key, found))
            return true;
        if ((word & BUCKET_LOCKED) || atomic_load_explicit(&home->word, memory_order_acquire) != word)
            continue;
        count = atomic_load_explicit(&store->bucket_count, memory_order_acquire);
        if (index_bucket_of(count, key->hash) == index)
            return false;
    }
}

unsigned index_prefetch_chains(const struct store *store, struct waiting *waiting, unsigned count)
{
    unsigned left = 0;
    for (unsigned i = 0; i < count; i++) {
        struct waiting one = waiting[i];
        unsigned matches = slots_match(one.at->slot, OVERFLOW_SLOTS, one.key->hash);
        if (matches != 0) {
            one.key->seen = &one.at->slot[__builtin_ctz(matches)];
            slot_prefetch_item(store, slot_load(one.key->seen));
        } else if ((one.at = overflow_after(store, &one.at->word)) != NULL) {
            __builtin_prefetch(one.at);
            waiting[left++] = one;
        }
    }
    return left;
}

void index_prefetch(const struct store *store, struct store_key *keys, unsigned count)
{
    keys_prefetch(store, keys, count, atomic_load_explicit(&store->bucket_count, memory_order_relaxed));
}

/* ---- writers ---- */

void index_bucket_lock_wait(struct bucket *bucket)
{
    for (unsigned turns = 0; !index_bucket_lock_try(bucket); spin_pause(&turns))
        PERTURB(LOCK_BUSY);
}

struct bucket *index_lock(struct store *store, uint64_t hash)
{
    return index_lock_inline(store, hash);
}

_Atomic uint64_t *index_slot_of_key(struct store *store, struct bucket *bucket, const struct store_key *key)
{
    struct walk walk = walk_begin(store, bucket);
    _Atomic uint64_t *slot;
    while ((slot = walk_next(&walk)) != NULL) {
        uint64_t value = slot_load(slot);
        if (slot_may_hold(value, key->hash) && item_has_key(item_at(store, slot_location(value)), key))
            break;
    }
    return slot;
}

_Atomic uint64_t *index_slot_of_location(struct store *store, struct bucket *bucket, uint64_t hash,
                                         uint64_t location)
{
    struct walk walk = walk_begin(store, bucket);
    _Atomic uint64_t *slot;
    while ((slot = walk_next(&walk)) != NULL) {
        uint64_t value = slot_load(slot);
        if (slot_may_hold(value, hash) && slot_location(value) == location)
            break;
    }
    return slot;
}

/* Appends an empty overflow bucket to the chain that ends with the bucket of this word; returns its first
 * slot. */
static _Atomic uint64_t *chain_extend(struct store *store, _Atomic uint64_t *last)
{
    uint32_t index = overflow_take(store);
    if (index == 0)
        return NULL;
    uint64_t word = atomic_load_explicit(last, memory_order_relaxed);
    ASSERT(word >> BUCKET_OVERFLOW_SHIFT == 0);
    /* Release pairs with the acquire of overflow_after: the bucket is empty before it is reachable. */
    atomic_store_explicit(last, word | (uint64_t)index << BUCKET_OVERFLOW_SHIFT, memory_order_release);
    return &store->overflow[index].slot[0];
}

/* The ghost of the same key first, then an empty slot, then any ghost. */
_Atomic uint64_t *index_slot_for(struct store *store, struct bucket *bucket, uint64_t hash)
{
    _Atomic uint64_t *slot, *empty = NULL, *ghost = NULL;
    struct walk walk = walk_begin(store, bucket);
    while ((slot = walk_next(&walk)) != NULL) {
        uint64_t value = slot_load(slot);
        if (ghost_matches(value, hash))
            return slot;
        if (value == 0 && !empty)
            empty = slot;
        if ((value & SLOT_GHOST) && !ghost)
            ghost = slot;
    }
    if (empty || ghost)
        return empty ? empty : ghost;
    return chain_extend(store, walk.word);
}

void index_clear(_Atomic uint64_t *slot, uint64_t hash, enum store_miss reason)
{
    slot_store(slot, ghost_make(hash, reason));
}

/* A slot without an item in the chain before this overflow bucket; NULL: there is none. */
static _Atomic uint64_t *free_slot_before(const struct store *store, struct bucket *home,
                                          const struct overflow *end)
{
    struct walk walk = walk_begin(store, home);
    _Atomic uint64_t *slot;
    while ((slot = walk_next(&walk)) != &end->slot[0])
        if (!(slot_load(slot) & SLOT_USED))
            return slot;
    return NULL;
}

/* Moves the items of an overflow bucket up the chain; true when none is left in it. */
static bool overflow_pour(const struct store *store, struct bucket *home, struct overflow *from)
{
    for (unsigned i = 0; i < OVERFLOW_SLOTS; i++) {
        uint64_t value = slot_load(&from->slot[i]);
        if (!(value & SLOT_USED))
            continue;
        _Atomic uint64_t *slot = free_slot_before(store, home, from);
        if (!slot)
            return false;
        slot_store(slot, value); /* for a moment in both: a reader finds the same item twice, never not */
        slot_store(&from->slot[i], 0);
    }
    return true;
}

/* Takes the overflow bucket that follows the bucket of this word out of its chain. */
static void chain_unlink(struct store *store, _Atomic uint64_t *before, struct overflow *bucket)
{
    uint64_t word = atomic_load_explicit(before, memory_order_relaxed);
    uint64_t next = atomic_load_explicit(&bucket->word, memory_order_relaxed);
    uint32_t index = (uint32_t)(word >> BUCKET_OVERFLOW_SHIFT);
    atomic_store_explicit(before, (word & BUCKET_VERSION_MASK) | next, memory_order_release);
    overflow_give(store, index);
}

void index_tidy(struct store *store, struct bucket *bucket)
{
    _Atomic uint64_t *before = &bucket->word;
    struct overflow *next;
    while ((next = overflow_after(store, before)) != NULL) {
        if (overflow_pour(store, bucket, next))
            chain_unlink(store, before, next);
        else
            before = &next->word;
    }
}
