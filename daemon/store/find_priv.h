/* The parts of a lookup that a get runs through, to be inlined where it does: the match of a bucket's tags,
 * the comparison of keys, the look into the bucket at which nearly every lookup of an item ends.
 *
 * Place: private to the store. Flow: index_prefetch notes in each key of a batch the slot that its tag was
 * seen in; find_at_home tries that slot first; what it does not find is left to index_find. Thread-safety: as
 * index_find; what it finds is as true. */
#ifndef VITRINE_STORE_FIND_PRIV_H
#define VITRINE_STORE_FIND_PRIV_H

#include "base/perturb.h"
#include "store/store_priv.h"

#ifdef __SSE2__
#include <emmintrin.h>
#endif

/* Which of the slots hold an item with the hash's tag, as bits. Without a branch: which slot it is cannot be
 * foretold, and a wrong guess costs more than looking at all of them. */
static inline unsigned slots_match(_Atomic uint64_t *slots, unsigned count, uint64_t hash)
{
    const uint64_t mask = ~0ull << SLOT_TAG_SHIFT | SLOT_USED;
    const uint64_t want = slot_tag(hash) << SLOT_TAG_SHIFT | SLOT_USED;
    unsigned matches = 0;
    for (unsigned i = 0; i < count; i++)
        matches |= (unsigned)(((slot_load(&slots[i]) ^ want) & mask) == 0) << i;
    return matches;
}

/* The same of a whole bucket. Tag and mark lie in a slot's upper half: of all eight words those are gathered
 * and compared at once. It only says where to look: whoever looks loads the slot as an atomic. */
#if defined(__SSE2__) && !defined(__SANITIZE_THREAD__)
static inline unsigned bucket_match(struct bucket *bucket, uint64_t hash)
{
    const float *words = (const float *)(const void *)bucket;
    const uint32_t mask = (uint32_t)((~0ull << SLOT_TAG_SHIFT | SLOT_USED) >> 32);
    const uint32_t want = (uint32_t)((slot_tag(hash) << SLOT_TAG_SHIFT | SLOT_USED) >> 32);
    const __m128i all_mask = _mm_set1_epi32((int)mask), all_want = _mm_set1_epi32((int)want);
    __m128 low = _mm_shuffle_ps(_mm_load_ps(words), _mm_load_ps(words + 4), 0xdd);
    __m128 high = _mm_shuffle_ps(_mm_load_ps(words + 8), _mm_load_ps(words + 12), 0xdd);
    __m128i a = _mm_cmpeq_epi32(_mm_and_si128(_mm_castps_si128(low), all_mask), all_want);
    __m128i b = _mm_cmpeq_epi32(_mm_and_si128(_mm_castps_si128(high), all_mask), all_want);
    unsigned matches = (unsigned)_mm_movemask_epi8(_mm_packs_epi16(_mm_packs_epi32(a, b), a));
    return (matches & 0xff) >> 1; /* the first word is no slot */
}
#else
static inline unsigned bucket_match(struct bucket *bucket, uint64_t hash)
{
    return slots_match(bucket->slot, BUCKET_SLOTS, hash);
}
#endif

static inline bool slot_may_hold(uint64_t slot, uint64_t hash)
{
    return slot >> SLOT_TAG_SHIFT == slot_tag(hash) && (slot & SLOT_USED);
}

static inline uint64_t load_u64(const char *at)
{
    uint64_t word;
    memcpy(&word, at, sizeof word);
    return word;
}

/* Most keys are of 8 to 32 bytes: those are compared in words that overlap, without a call. */
static inline bool bytes_equal(const char *a, const char *b, size_t size)
{
    if (size < 8 || size > 32)
        return memcmp(a, b, size) == 0;
    uint64_t differ = (load_u64(a) ^ load_u64(b)) | (load_u64(a + size - 8) ^ load_u64(b + size - 8));
    if (size > 16)
        differ |= (load_u64(a + 8) ^ load_u64(b + 8)) | (load_u64(a + size - 16) ^ load_u64(b + size - 16));
    return differ == 0;
}

static inline bool item_has_key(const struct item *item, const struct store_key *key)
{
    return item_key_size(item) == key->size && bytes_equal(item_key(item), key->data, key->size);
}

/* Looks into one slot. */
static inline __attribute__((always_inline)) bool find_in_slot(const struct store *store,
                                                               _Atomic uint64_t *slot,
                                                               const struct store_key *key,
                                                               struct found *found)
{
    uint64_t value = slot_load(slot);
    PERTURB(FIND_SLOT);
    if (!slot_may_hold(value, key->hash))
        return false;
    struct item *item = item_at(store, slot_location(value));
    if (!item_has_key(item, key))
        return false;
    *found = (struct found){.item = item, .slot = slot, .value = value};
    return true;
}

/* The overflow bucket that a bucket's word leads to; NULL: none. Acquire pairs with chain_extend: it is empty
 * before it can be reached. */
static inline struct overflow *overflow_after(const struct store *store, const _Atomic uint64_t *word)
{
    uint64_t index = atomic_load_explicit(word, memory_order_acquire) >> BUCKET_OVERFLOW_SHIFT;
    return index == 0 ? NULL : &store->overflow[index];
}

/* The item of the key if it is where it was seen, or in the bucket that the key belongs to, which needs no
 * second look (index_find says why): whichever slot leads to it, it is the key's. False says nothing. */
static inline bool find_at_home(const struct store *store, const struct store_key *key, struct found *found)
{
    /* Acquire: as in index_find. */
    uint64_t count = atomic_load_explicit(&store->bucket_count, memory_order_acquire);
    struct bucket *home = &store->buckets[index_bucket_of(count, key->hash)];
    PERTURB(FIND_CHOSEN);
    PERTURB(FIND_BEGUN);
    if (key->seen && find_in_slot(store, key->seen, key, found))
        return true;
    for (unsigned matches = bucket_match(home, key->hash); matches != 0; matches &= matches - 1)
        if (find_in_slot(store, &home->slot[__builtin_ctz(matches)], key, found))
            return true;
    return false;
}

/* ---- fetching ahead ---- */

#define CACHE_LINE         64u
#define CHAIN_PREFETCH_MAX 3u /* overflow buckets of a chain that are looked into ahead */

/* Inlined by force: gcc sees no effect in a function that only prefetches, and drops its calls. Without a
 * branch: asks for a line twice rather than foretell how many there are. */
static inline __attribute__((always_inline)) void slot_prefetch_item(const struct store *store,
                                                                     uint64_t value)
{
    const char *item = (const char *)item_at(store, slot_location(value));
    size_t more = value >> SLOT_LINES_SHIFT & 3;
    __builtin_prefetch(item);
    __builtin_prefetch(item + more / 2 * CACHE_LINE);
    __builtin_prefetch(item + (more + 1) / 2 * CACHE_LINE);
    __builtin_prefetch(item + more * CACHE_LINE);
}

/* A key that none of the slots so far seems to hold, and the overflow bucket in which to look next. */
struct waiting {
    struct store_key *key;
    struct overflow *at;
};

/* Asks for the lines of the item that one of the slots of the key's bucket seems to lead to, and notes the
 * slot in the key. If none does, for the overflow bucket, which it returns; NULL: there is none. */
static inline __attribute__((always_inline)) struct overflow *
key_prefetch(const struct store *store, struct store_key *key, uint64_t bucket_count)
{
    struct bucket *bucket = &store->buckets[index_bucket_of(bucket_count, key->hash)];
    unsigned matches = bucket_match(bucket, key->hash);
    if (matches == 0) {
        struct overflow *next = overflow_after(store, &bucket->word);
        __builtin_prefetch(next);
        return next;
    }
    key->seen = &bucket->slot[__builtin_ctz(matches)];
    slot_prefetch_item(store, slot_load(key->seen));
    return NULL;
}

/* The same for keys in overflow buckets; returns how many have to wait for the next bucket of their chains.
 */
unsigned index_prefetch_chains(const struct store *store, struct waiting *waiting, unsigned count);

/* Asks for the items of up to STORE_PREFETCH_MAX keys, those in their own buckets first. Of those that have
 * been fetched before it is known where they are. */
static inline __attribute__((always_inline)) void
keys_prefetch(const struct store *store, struct store_key *keys, unsigned count, uint64_t bucket_count)
{
    struct waiting waiting[STORE_PREFETCH_MAX];
    unsigned left = 0;
    for (unsigned i = 0; i < count; i++) {
        struct overflow *next = keys[i].seen ? NULL : key_prefetch(store, &keys[i], bucket_count);
        if (next)
            waiting[left++] = (struct waiting){&keys[i], next};
    }
    for (unsigned depth = 0; left > 0 && depth < CHAIN_PREFETCH_MAX; depth++)
        left = index_prefetch_chains(store, waiting, left);
}

static inline struct bucket *index_lock_inline(struct store *store, uint64_t hash)
{
    for (;;) {
        uint64_t count = atomic_load_explicit(&store->bucket_count, memory_order_acquire);
        uint64_t index = index_bucket_of(count, hash);
        struct bucket *bucket = &store->buckets[index];
        PERTURB(LOCK_CHOSEN);
        index_bucket_lock(bucket);
        /* A split or merge of this bucket would need its lock: what is true now stays so. */
        uint64_t now = atomic_load_explicit(&store->bucket_count, memory_order_acquire);
        if (__builtin_expect(now == count, 1) || index_bucket_of(now, hash) == index)
            return bucket;
        index_unlock(bucket);
    }
}

#endif
