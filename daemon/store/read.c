/* Looking items up: no lock, and nothing shared is written but a frequency that saturates and, once a minute,
 * the time of access. */
#include "base/assert.h"
#include "base/clock.h"
#include "base/hash.h"
#include "store/find_priv.h"
#include "store/view_priv.h"

struct store_key store_key(const struct store *store, const char *data, size_t size)
{
    ASSERT(size >= 1 && size <= STORE_KEY_SIZE_MAX);
    return (struct store_key){
        .data = data, .size = (uint32_t)size, .hash = hash_bytes(data, size, store->hash_seed)};
}

void store_hash_keys(const struct store *store, struct store_key *keys, unsigned count)
{
    for (unsigned i = 0; i < count; i++) {
        keys[i].hash = hash_bytes(keys[i].data, keys[i].size, store->hash_seed);
        keys[i].hint = 0;
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
