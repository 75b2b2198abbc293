/* Writing an item in three steps, shared by store_write, arithmetic and touch.
 *
 * Place: private to the store. `prepare` takes all the room an item needs; it may have to make room, and then
 * goes offline: every view from before is void. `fill` copies the bytes; it never waits. `publish` locks the
 * key's bucket, looks again whether the condition holds, and makes the item visible by one slot store. An
 * item that is not published stays behind as a hole that the maintainer steps over. */
#ifndef VITRINE_STORE_WRITE_PRIV_H
#define VITRINE_STORE_WRITE_PRIV_H

#include "store/store_priv.h"

/* The new value: bytes, or an item's value with bytes before or after it; blanks where that is too short. */
struct value_source {
    const struct store_view *view; /* NULL: none */
    const char *data;
    size_t size;
    bool data_first;
};

struct pending {
    struct store_key key;
    size_t value_size;
    uint32_t flags, expiry_s;
    enum pool pool;
    unsigned traits;           /* ITEM_CAS, ITEM_BINARY */
    uint64_t cas;              /* of ITEM_CAS */
    const struct item *shared; /* a LARGE item whose chunks it takes over; NULL: it has its own */
    struct item *item;         /* out, with the rest: the reservation */
    uint64_t location;
    size_t inline_size;
    _Atomic uint64_t
        *slot; /* where the key's item was found, its value and in which turn; NULL: it was not */
    uint64_t slot_value, turn;
    size_t chunk_count; /* in thread->chunks; 0: the value is inline */
};

/* What must be so for the item to be published. */
struct condition {
    enum store_mode mode;
    uint64_t cas;
    bool exact; /* instead of a mode: the key's item must lie at `location` and have this sequence */
    uint64_t location, seq;
    bool keep_expiry; /* the item's expiry of that moment goes over to the new one */
    bool same_item;   /* a new place or form of the same item: it is not counted as stored and replaced */
    uint64_t marks_kept, marks; /* of SLOT_MARKS, those that go over and those that are new */
};

static inline unsigned write_traits(bool cas_chosen, bool key_binary)
{
    return (cas_chosen ? ITEM_CAS : 0u) | (key_binary ? ITEM_BINARY : 0u);
}

/* What a new form of the same item keeps of the old: its CAS if that was chosen, how its key is shown. */
static inline void write_keep_traits(struct pending *pending, const struct item *item)
{
    pending->traits = item_flags(item) & (ITEM_CAS | ITEM_BINARY);
    pending->cas = item_cas(item);
}

static inline struct placement pending_placement(const struct store *store, const struct pending *pending)
{
    return (struct placement){
        .pool = pending->pool,
        .grade = pools_grade(store, item_counted_size(pending->key.size, pending->value_size)),
        .expiry_s = pending->expiry_s};
}

static inline uint64_t pending_cas(const struct pending *pending)
{
    return item_cas(pending->item);
}

/* Which pool an item that replaces `found` belongs to, or that comes anew. */
static inline enum pool write_pool(struct store_thread *thread, const struct store_key *key,
                                   const struct found *found, uint32_t expiry_s)
{
    if (__builtin_expect(!found->item, 0))
        return pools_admit(thread, key->hash, expiry_s);
    const struct segment *segment = segment_of(thread->store, slot_location(found->value));
    return (enum pool)atomic_load_explicit(&segment->pool, memory_order_relaxed);
}

/* ---- counting what was written ---- */

/* `as`: BAND_stored or BAND_plain_sets. */
static inline void write_count_stored(struct store_thread *thread, size_t key_size, size_t value_size,
                                      enum band_metric as)
{
    struct metrics_block *block = thread->block;
    size_t size = item_counted_size(key_size, value_size);
    unsigned band = metrics_band_of(size);
    thread_count_written(thread, size);
    metrics_band_add(block, band, as, 1);
    metrics_band_add(block, band, BAND_stored_bytes, size);
    metrics_size_add(block, size, 1);
}

/* With the bucket locked: what was in the new item's way (NULL: nothing). */
static inline void write_count_replaced(struct store_thread *thread, const struct item *old,
                                        uint64_t location, uint32_t now_s)
{
    if (__builtin_expect(old != NULL, 1)) {
        removal_count(thread, old, location, removal_of(thread->store, old, now_s, REMOVAL_REPLACED));
        return;
    }
    thread_count_slot(thread, 1);
    thread->inserts++;
}

/* Behind a write, with nothing locked. */
static inline void write_tell_maintainer(struct store_thread *thread)
{
    if (__builtin_expect(thread->inserts < STORE_INSERTS_A_WAKE, 1))
        return;
    thread->inserts = 0;
    maintain_wake(thread->store); /* the index may have to grow */
}

/* What a client has written. */
static inline void write_told(struct store_thread *thread, size_t value_size)
{
    metrics_distribution_add(thread->block, DISTRIBUTION_value_size, value_size, 1);
}

/* Where the key's item has just been found: publishing looks there first. */
static inline void write_note_found(const struct store_thread *thread, struct pending *pending,
                                    const struct found *found)
{
    if (!found->item)
        return;
    pending->slot = found->slot;
    pending->slot_value = found->value;
    pending->turn = thread->turn;
}

/* The whole of a write but for append and prepend, and but for counting what it came to. `marks`: of the
 * slot. MISS: try again. */
enum result write_new(struct store_thread *thread, const struct store_write *write, uint64_t marks,
                      struct pending *pending);

/* store_write, but for telling the expiry. */
enum result write_any(struct store_thread *thread, const struct store_write *write,
                      struct store_written *written);

bool write_prepare(struct store_thread *thread, struct pending *pending);
/* With a new sequence number and the time; or, of an item that is moved, its own and its state (of which only
 * the access and FETCHED matter). */
void write_fill(struct store_thread *thread, struct pending *pending, const struct value_source *source);
void write_fill_as(struct store_thread *thread, struct pending *pending, const struct value_source *source,
                   uint64_t seq, uint32_t state);
/* STORED, what the mode says when it does not hold, MISS when `exact` does not, NO_MEMORY. */
enum result write_publish(struct store_thread *thread, struct pending *pending,
                          const struct condition *condition);
void write_abandon(struct store_thread *thread, struct pending *pending);
/* STORED when nothing stands against the mode with this live item (NULL: none). */
enum result write_condition(const struct item *item, enum store_mode mode, uint64_t cas);
/* Is the item found again as it was? */
bool write_found_again(struct store_thread *thread, const struct store_key *key,
                       const struct condition *condition, struct found *found);

/* ---- write_plain.c ---- */
/* Does a set of a size that fits, if that is the plain thing to do, and counts it `as` write_count_stored
 * does. False: nothing has happened. */
bool write_plain(struct store_thread *thread, const struct store_set *set, uint32_t now_s,
                 enum band_metric as, struct store_written *written);

/* ---- touch.c ---- */
/* Gives a live item an expiry: HIT; MISS when there is none, NOT_STORED when it changed meanwhile, NO_MEMORY.
 * `access`: it counts as one. */
enum result touch_try(struct store_thread *thread, const struct store_key *key, uint32_t expiry_s,
                      bool access, struct store_view *view);

/* ---- recycle.c ---- */
/* A place for a record of this size that was another's. It is to be written and published before this thread
 * is quiescent. False: there is none that suits. */
bool recycle_take(struct store_thread *thread, const struct placement *placement, size_t size,
                  uint64_t *location);

/* ---- large.c ---- */
#define LARGE_INLINE_SHARE  8u /* of a segment: the largest record with its value inside */
#define LARGE_HEAD_SIZE_MAX (ITEM_HEADER_SIZE + 16u + STORE_KEY_SIZE_MAX)
/* Whether a value of this size does not go into its item. */
static inline bool large_needed(const struct store *store, size_t value_size)
{
    return LARGE_HEAD_SIZE_MAX + value_size > segment_size(store) / LARGE_INLINE_SHARE;
}
bool large_prepare(struct store_thread *thread, struct pending *pending);
void large_fill(struct store_thread *thread, struct pending *pending, const struct value_source *source);
/* With the bucket locked: the chunks of `item` are `copy`'s too, and live as long as it does. */
void large_share(const struct store *store, struct item *copy, const struct item *item);
void large_release(struct store_thread *thread, struct pending *pending); /* its write pins */
void source_copy(const struct value_source *source, size_t offset, char *out, size_t size);

/* Room for one record, made if need be: then the thread was offline. */
struct item *write_reserve(struct store_thread *thread, const struct placement *placement,
                           struct reservation *reservation);

#endif
