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
static inline bool find_in_slot(const struct store *store, _Atomic uint64_t *slot,
                                const struct store_key *key, struct found *found)
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

static inline bool find_in_slots(const struct store *store, _Atomic uint64_t *slots, unsigned count,
                                 const struct store_key *key, struct found *found)
{
    for (unsigned matches = slots_match(slots, count, key->hash); matches != 0; matches &= matches - 1)
        if (find_in_slot(store, &slots[__builtin_ctz(matches)], key, found))
            return true;
    return false;
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
    return find_in_slots(store, home->slot, BUCKET_SLOTS, key, found);
}

#endif
