/* The parts of a lookup that a get runs through, to be inlined where it does: the match of a bucket's tags,
 * the comparison of keys, the look into the bucket at which nearly every lookup of an item ends.
 *
 * Place: private to the store. Flow: index_prefetch notes in each key of a batch which slot its tag was seen
 * in; find_at_home tries that slot first; what it does not find is left to index_find. Thread-safety: as
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

/* The item of the key if it lies in the bucket the key belongs to, which needs no second look (index_find
 * says why). False says nothing. */
static inline bool find_at_home(const struct store *store, const struct store_key *key, struct found *found)
{
    /* Acquire: as in index_find. */
    uint64_t count = atomic_load_explicit(&store->bucket_count, memory_order_acquire);
    struct bucket *home = &store->buckets[index_bucket_of(count, key->hash)];
    PERTURB(FIND_CHOSEN);
    PERTURB(FIND_BEGUN);
    if (key->hint != 0 && find_in_slot(store, &home->slot[key->hint - 1], key, found))
        return true;
    for (unsigned matches = bucket_match(home, key->hash); matches != 0; matches &= matches - 1)
        if (find_in_slot(store, &home->slot[__builtin_ctz(matches)], key, found))
            return true;
    return false;
}

/* ---- fetching ahead ---- */

#define CACHE_LINE 64u

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

static inline struct overflow *bucket_overflow(const struct store *store, struct bucket *bucket)
{
    uint64_t word = atomic_load_explicit(&bucket->word, memory_order_relaxed);
    return &store->overflow[word >> BUCKET_OVERFLOW_SHIFT];
}

/* Asks for the lines of the item that one of the slots of the key's bucket seems to lead to, and notes the
 * slot in the key; for the overflow bucket if none does. */
static inline __attribute__((always_inline)) void
key_prefetch_item(const struct store *store, struct store_key *key, uint64_t bucket_count)
{
    struct bucket *bucket = &store->buckets[index_bucket_of(bucket_count, key->hash)];
    unsigned matches = bucket_match(bucket, key->hash);
    if (matches == 0) {
        __builtin_prefetch(bucket_overflow(store, bucket));
        return;
    }
    unsigned number = (unsigned)__builtin_ctz(matches);
    slot_prefetch_item(store, slot_load(&bucket->slot[number]));
    key->hint = number + 1;
}

/* For a key that is not in its bucket: asks for the item that the overflow bucket leads to. */
static inline __attribute__((always_inline)) void
key_prefetch_overflow(const struct store *store, const struct store_key *key, uint64_t bucket_count)
{
    struct bucket *bucket = &store->buckets[index_bucket_of(bucket_count, key->hash)];
    struct overflow *overflow = bucket_overflow(store, bucket);
    unsigned matches = slots_match(overflow->slot, OVERFLOW_SLOTS, key->hash);
    if (matches != 0)
        slot_prefetch_item(store, slot_load(&overflow->slot[__builtin_ctz(matches)]));
}

/* Asks for the items of all keys, then for those behind overflow buckets. Those that have been fetched before
 * have a hint. */
static inline __attribute__((always_inline)) void
keys_prefetch(const struct store *store, struct store_key *keys, unsigned count, uint64_t bucket_count)
{
    for (unsigned i = 0; i < count; i++)
        if (keys[i].hint == 0)
            key_prefetch_item(store, &keys[i], bucket_count);
    for (unsigned i = 0; i < count; i++)
        if (keys[i].hint == 0)
            key_prefetch_overflow(store, &keys[i], bucket_count);
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
