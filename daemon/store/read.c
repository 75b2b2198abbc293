/* Looking items up: no lock, and nothing shared is written but a frequency that saturates and, once a minute,
 * the time of access. */
#include "base/assert.h"
#include "base/clock.h"
#include "base/hash_inline.h"
#include "store/find_priv.h"
#include "store/view_priv.h"

struct store_key store_key(const struct store *store, const char *data, size_t size)
{
    ASSERT(size >= 1 && size <= STORE_KEY_SIZE_MAX);
    return (struct store_key){
        .data = data, .size = (uint32_t)size, .hash = hash_bytes_inline(data, size, store->hash_seed)};
}

void store_hash_keys(const struct store *store, struct store_key *keys, unsigned count)
{
    uint64_t bucket_count = atomic_load_explicit(&store->bucket_count, memory_order_relaxed);
    for (unsigned i = 0; i < count; i++) {
        keys[i].hash = hash_bytes_inline(keys[i].data, keys[i].size, store->hash_seed);
        keys[i].seen = NULL;
        __builtin_prefetch(&store->buckets[index_bucket_of(bucket_count, keys[i].hash)]);
    }
}

void store_prefetch(struct store_thread *thread, struct store_key *keys, unsigned count)
{
    ASSERT(count <= STORE_PREFETCH_MAX);
    index_prefetch(thread->store, keys, count);
}

void item_note_access(struct item *item, uint32_t now_s)
{
    item_note_read(item, now_s);
}

/* The item is there but dead: clears it away. memcached counts these two by themselves. */
static enum store_miss bury(struct store_thread *thread, uint64_t hash, const struct found *found)
{
    bool flushed = item_flushed(thread->store, found->item);
    PERTURB(GET_DEAD);
    removal_of_dead(thread, hash, slot_location(found->value));
    metrics_add(thread->block, flushed ? METRIC_get_flushed : METRIC_get_expired, 1);
    return flushed ? STORE_MISS_FLUSHED : STORE_MISS_EXPIRED;
}

/* Every miss has exactly one reason: that of the dead item, of the ghost, or that there is no trace. */
enum store_miss miss_explain(struct store_thread *thread, uint64_t hash, const struct found *found)
{
    static const enum metric counter[] = {
        [STORE_MISS_NEVER_SEEN] = METRIC_miss_never_seen, [STORE_MISS_EXPIRED] = METRIC_miss_expired,
        [STORE_MISS_EVICTED] = METRIC_miss_evicted,       [STORE_MISS_DELETED] = METRIC_miss_deleted,
        [STORE_MISS_FLUSHED] = METRIC_miss_flushed,
    };
    enum store_miss reason = STORE_MISS_NEVER_SEEN;
    if (found->item)
        reason = bury(thread, hash, found);
    else if (found->ghost)
        reason = found->reason;
    metrics_add(thread->block, counter[reason], 1);
    return reason;
}

enum result store_get(struct store_thread *thread, const struct store_key *key, struct store_view *view,
                      enum store_miss *miss)
{
    struct store *store = thread->store;
    uint32_t now_s = clock_s();
    struct found found;
    flush_poll(store, now_s);
    bool there = find_at_home(store, key, &found) || index_find(store, key, &found);
    if (__builtin_expect(there && item_alive(store, found.item, now_s), 1)) {
        view_set(store, view, found.item, found.value, now_s);
        PERTURB(GET_FOUND);
        slot_count_access(found.slot, found.value);
        item_note_read(found.item, now_s);
        return RESULT_HIT;
    }
    enum store_miss reason = miss_explain(thread, key->hash, &found);
    if (miss)
        *miss = reason;
    return RESULT_MISS;
}

/* ---- many at once ---- */

/* What is the same for all keys of a call. */
struct reading {
    struct store_thread *thread;
    const struct store *store;
    uint32_t now_s;
    uint32_t frame;
};

static inline void hit_note(const struct reading *reading, struct item *item, _Atomic uint64_t *slot,
                            uint64_t value)
{
    PERTURB(GET_FOUND);
    slot_count_access(slot, value);
    item_note_read(item, reading->now_s);
}

/* The item as a hit, unless it is dead or none that may be told of so briefly. `state` is the item's. */
static inline bool hit_set(const struct reading *reading, struct store_hit *hit, const struct item *item,
                           uint32_t state, const char *key, size_t *room)
{
    uint32_t shape = item->shape;
    size_t key_size = shape >> 24, size = shape >> 4 & 0xfffff;
    size_t charge = reading->frame + key_size + size;
    if ((state & ITEM_LARGE) || size > STORE_INLINE_COPY_MAX || charge > *room)
        return false;
    hit->value = key + key_size;
    hit->size = (uint32_t)size;
    hit->flags = item_client_flags_at(item, state);
    hit->item = item;
    *room -= charge;
    return true;
}

uint64_t store_hit_cas(const struct store_hit *hit)
{
    return item_cas(hit->item);
}

/* A key that is not where it was seen, or not alive, or has to be left to store_get. */
static __attribute__((noinline)) bool get_slowly(const struct reading *reading, const struct store_key *key,
                                                 struct store_hit *hit, size_t *room)
{
    const struct store *store = reading->store;
    struct found found;
    if (*room < reading->frame)
        return false;
    bool there = find_at_home(store, key, &found) || index_find(store, key, &found);
    if (there && item_alive(store, found.item, reading->now_s)) {
        struct item *item = found.item;
        bool set = hit_set(reading, hit, item, item_state(item), item_key(item), room);
        if (set)
            hit_note(reading, item, found.slot, found.value);
        return set;
    }
    miss_explain(reading->thread, key->hash, &found);
    *room -= reading->frame;
    hit->value = NULL;
    return true;
}

/* Looks into the slot in which the key was seen, where it nearly always is. */
static inline bool get_where_seen(const struct reading *reading, const struct store_key *key,
                                  struct store_hit *hit, size_t *room)
{
    const struct store *store = reading->store;
    PERTURB(FIND_CHOSEN);
    if (!key->seen)
        return false;
    uint64_t value = slot_load(key->seen);
    PERTURB(FIND_SLOT);
    if (!(value & SLOT_USED)) /* with the tag or another: the keys are compared */
        return false;
    struct item *item = item_at(store, slot_location(value));
    uint32_t state = item_state(item);
    const char *item_key = (const char *)item + item_head_size(state);
    if (item_key_size(item) != key->size || !bytes_equal(item_key, key->data, key->size) ||
        item_expired_at(item, state, reading->now_s) || item_flushed(store, item) ||
        !hit_set(reading, hit, item, state, item_key, room))
        return false;
    hit_note(reading, item, key->seen, value);
    return true;
}

unsigned store_get_many(struct store_thread *thread, struct store_key *keys, unsigned count, size_t room,
                        size_t frame, struct store_hit *hits)
{
    ASSERT(count <= STORE_PREFETCH_MAX);
    const struct store *store = thread->store;
    const struct reading reading = {thread, store, clock_s(), (uint32_t)frame};
    /* Acquire: as in index_find. Once for all of them: what is found is true in whichever bucket it is found.
     */
    uint64_t bucket_count = atomic_load_explicit(&store->bucket_count, memory_order_acquire);
    flush_poll(thread->store, reading.now_s);
    keys_prefetch(store, keys, count, bucket_count);
    for (unsigned i = 0; i < count; i++) {
        if (__builtin_expect(get_where_seen(&reading, &keys[i], &hits[i], &room), 1))
            continue;
        if (!get_slowly(&reading, &keys[i], &hits[i], &room))
            return i;
    }
    return count;
}

enum result store_peek(struct store_thread *thread, const struct store_key *key, struct store_view *view)
{
    struct store *store = thread->store;
    uint32_t now_s = clock_s();
    struct found found;
    flush_poll(store, now_s);
    if (!index_find(store, key, &found) || !item_alive(store, found.item, now_s))
        return RESULT_MISS;
    view_fill(store, view, found.item, found.value, now_s);
    return RESULT_HIT;
}
