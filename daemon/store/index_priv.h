/* The index: from a key's hash to the place of its item.
 *
 * Place: private to the store. 64-byte buckets of seven slots, chained to overflow buckets of three where
 * seven do not do, grown and shrunk one bucket at a time by linear hashing (Litwin 1980): no pause, no second
 * table.
 *
 *   word   version and lock 32 (a bucket's; 0 in an overflow bucket) | overflow bucket 32 (0: none)
 *   slot   tag 12 | freq 2 | ghost 1 | lines 2 | used 1 | stale 1 | won 1 | spare 2 | segment 24 | offset/4
 * 17 ghost  tag 12 |   0    |   1     |   0     |  0     | reason 3 at bit 43 | hash 41
 *
 * Readers take no lock. A hit is believed as it is: loading the slot is the moment at which the lookup takes
 * place, and the item behind it cannot go while the reader is online. A miss is believed only when neither
 * the bucket's version nor the bucket the key belongs to has changed meanwhile. Writers lock one bucket;
 * only the maintainer locks two, lower index first. Every slot is published with release and read with
 * acquire: that pair carries the item's bytes from its writer to its readers. */
#ifndef VITRINE_STORE_INDEX_PRIV_H
#define VITRINE_STORE_INDEX_PRIV_H

#include "store/item_priv.h"
#include "store/store.h"

#define BUCKET_SLOTS           7u
#define OVERFLOW_SLOTS         3u
#define BUCKET_LOCKED          1ull
#define BUCKET_VERSION_MASK    0xffffffffull
#define BUCKET_OVERFLOW_SHIFT  32u
#define INDEX_BUCKET_COUNT_MIN 64u

#define SLOT_TAG_SHIFT     52u
#define SLOT_FREQ_SHIFT    50u
#define SLOT_FREQ_MAX      3u
#define SLOT_GHOST         (1ull << 49)
#define SLOT_LINES_SHIFT   47u
#define SLOT_USED          (1ull << 46)
#define SLOT_STALE         (1ull << 45) /* the item was invalidated: the next that asks is to renew it */
#define SLOT_WON           (1ull << 44) /* somebody was told to renew it */
#define SLOT_MARKS         (SLOT_STALE | SLOT_WON)
#define GHOST_REASON_SHIFT 43u
#define GHOST_HASH_MASK    ((1ull << 41) - 1)

struct bucket {
    _Alignas(64) _Atomic uint64_t word;
    _Atomic uint64_t slot[BUCKET_SLOTS];
};
_Static_assert(sizeof(struct bucket) == 64, "a bucket is one cache line");

/* Half a line: what does not fit in a bucket is mostly one item or two. */
struct overflow {
    _Alignas(32) _Atomic uint64_t word;
    _Atomic uint64_t slot[OVERFLOW_SLOTS];
};
_Static_assert(sizeof(struct overflow) == 32, "two overflow buckets are one cache line");

/* A way through the slots of a chain: the bucket's, then those of each overflow bucket. */
struct walk {
    const struct store *store;
    _Atomic uint64_t *word;       /* of the bucket it is in */
    _Atomic uint64_t *slot, *end; /* the next slot and where the bucket's end */
};

/* What a lookup came upon. */
struct found {
    struct item *item;      /* NULL: none */
    _Atomic uint64_t *slot; /* valid for a freq hint only: the item may have moved */
    uint64_t value;         /* of the slot */
    bool ghost;             /* without an item: a trace of one that was there */
    enum store_miss reason; /* of the ghost */
};

static inline uint64_t index_bucket_of(uint64_t count, uint64_t hash)
{
    uint64_t mask = ~0ull >> __builtin_clzll(count);
    uint64_t bucket = hash & mask;
    return bucket & mask >> (bucket >= count); /* a branch would be guessed wrong for half of the keys */
}

static inline uint64_t slot_tag(uint64_t hash)
{
    return hash >> SLOT_TAG_SHIFT;
}

static inline unsigned slot_freq(uint64_t slot)
{
    return (unsigned)(slot >> SLOT_FREQ_SHIFT) & SLOT_FREQ_MAX;
}

static inline uint64_t slot_location(uint64_t slot)
{
    return slot & LOCATION_MASK;
}

/* Acquire pairs with the release of index_put: the item's bytes are there once its slot is. */
static inline uint64_t slot_load(const _Atomic uint64_t *slot)
{
    return atomic_load_explicit(slot, memory_order_acquire);
}

/* Release pairs with slot_load. */
static inline void slot_store(_Atomic uint64_t *slot, uint64_t value)
{
    atomic_store_explicit(slot, value, memory_order_release);
}

uint64_t slot_make(uint64_t hash, uint64_t location, size_t record_size, unsigned freq);

/* One access more, unless it counts as many as can be told already: then nothing is written. */
static inline void slot_count_access(_Atomic uint64_t *slot, uint64_t value)
{
    /* Relaxed: a hint; a lost count is no error, and a changed slot makes the exchange fail. */
    if (slot_freq(value) < SLOT_FREQ_MAX)
        atomic_compare_exchange_strong_explicit(slot, &value, value + (1ull << SLOT_FREQ_SHIFT),
                                                memory_order_relaxed, memory_order_relaxed);
}

static inline bool index_bucket_lock_try(struct bucket *bucket)
{
    uint64_t word = atomic_load_explicit(&bucket->word, memory_order_relaxed);
    /* Acquire pairs with the release of index_unlock: the last holder's changes are seen. */
    return !(word & BUCKET_LOCKED) &&
           atomic_compare_exchange_strong_explicit(&bucket->word, &word, word | BUCKET_LOCKED,
                                                   memory_order_acquire, memory_order_relaxed);
}

void index_bucket_lock_wait(struct bucket *bucket);
static inline void index_bucket_lock(struct bucket *bucket)
{
    if (__builtin_expect(!index_bucket_lock_try(bucket), 0))
        index_bucket_lock_wait(bucket);
}

static inline void index_unlock(struct bucket *bucket)
{
    uint64_t word = atomic_load_explicit(&bucket->word, memory_order_relaxed);
    uint64_t version = (word + 1) & BUCKET_VERSION_MASK; /* clears the lock and counts the change */
    atomic_store_explicit(&bucket->word, (word & ~BUCKET_VERSION_MASK) | version, memory_order_release);
}

bool index_open(struct store *store, size_t memory_size, size_t memory_size_max);
void index_close(struct store *store);
void index_floor_set(struct store *store, size_t memory_size);

/* Without a lock: the item of the key, whether or not it is alive; else what ghost there is. */
bool index_find(const struct store *store, const struct store_key *key, struct found *found);
/* Brings the buckets, then the items of hashed keys into the cache, and notes in the keys where they were
 * seen. */
void index_prefetch(const struct store *store, struct store_key *keys, unsigned count);

/* The key's bucket, locked. Its chain is the caller's until index_unlock. */
struct bucket *index_lock(struct store *store, uint64_t hash);
/* In a locked bucket: the slot of a key, of a place, or one to put a new item in (NULL: no room for one more
 * overflow bucket). */
_Atomic uint64_t *index_slot_of_key(struct store *store, struct bucket *bucket, const struct store_key *key);
_Atomic uint64_t *index_slot_of_location(struct store *store, struct bucket *bucket, uint64_t hash,
                                         uint64_t location);
_Atomic uint64_t *index_slot_for(struct store *store, struct bucket *bucket, uint64_t hash);
/* Empties a slot; leaves a ghost that tells why. */
void index_clear(_Atomic uint64_t *slot, uint64_t hash, enum store_miss reason);
/* After slots were emptied: moves items out of overflow buckets and gives those that are empty back. */
void index_tidy(struct store *store, struct bucket *bucket);
bool walk_follow(struct walk *walk); /* on to the next overflow bucket; false: there is none */

static inline struct walk walk_begin(const struct store *store, struct bucket *bucket)
{
    return (struct walk){store, &bucket->word, bucket->slot, bucket->slot + BUCKET_SLOTS};
}

/* The next slot of the chain; NULL at its end. */
static inline _Atomic uint64_t *walk_next(struct walk *walk)
{
    return walk->slot == walk->end && !walk_follow(walk) ? NULL : walk->slot++;
}

/* One bucket more or less: false when memory (or overflow) does not allow it. With STORE_MAINTAIN held. */
bool index_split(struct store *store);
bool index_merge(struct store *store);
void index_release(struct store *store);      /* gives back memory beyond the last bucket */
size_t index_size(const struct store *store); /* memory held, overflow included */

void *index_reserve(size_t size); /* address space; NULL: none */

/* ---- overflow.c ---- */
bool overflow_open(struct store *store, size_t memory_size_max);
void overflow_close(struct store *store);
uint32_t overflow_take(struct store *store); /* 0: none */
void overflow_give(struct store *store, uint32_t index);
/* Where many are free: moves some of those in use to lower places and gives back pages that fell empty, a
 * piece at a time. With STORE_MAINTAIN held. */
void overflow_settle(struct store *store);

#endif
