#include "base/assert.h"
#include "base/bytes.h"
#include "base/clock.h"
#include "store/write_priv.h"

#define MEMCACHED_HEADER_SIZE 56u     /* of an item with CAS, as memcached counts it against -I */
#define MEMCACHED_ENDS_SIZE   3u      /* NUL after the key, CR LF after the value */
#define FAR_SIZE_MIN          131072u /* docs/decisions.md has what smaller ones lose by it */

bool store_fits(const struct store *store, size_t key_size, size_t value_size)
{
    size_t size = MEMCACHED_HEADER_SIZE + MEMCACHED_ENDS_SIZE + key_size + value_size;
    /* No item may take more than half the memory, whatever -I says: there must be room for another. */
    size_t half = (size_t)atomic_load_explicit(&store->limit_size, memory_order_relaxed) / 2;
    return size <= store->item_size_max && size <= half;
}

/* ---- preparing ---- */

struct item *write_reserve(struct store_thread *thread, const struct placement *placement,
                           struct reservation *reservation)
{
    for (;;) {
        struct item *item = lane_reserve(thread, placement, reservation);
        if (item || !evict_directly(thread))
            return item;
    }
}

static unsigned pending_layout(const struct pending *pending)
{
    /* A large item has an expiry word always: it can then be touched without being copied. */
    unsigned large = pending->chunk_count > 0 || pending->shared ? ITEM_LARGE | ITEM_EXP : 0;
    return large | (pending->expiry_s != STORE_NEVER_S ? ITEM_EXP : 0) |
           (pending->flags != 0 ? ITEM_CFLAGS : 0) | pending->traits;
}

/* Writes what walking the segment needs: it may be walked even if the item is never published. */
static void pending_shape(struct pending *pending)
{
    pending->item->shape = item_shape(pending->key.size, pending->inline_size, 0);
    atomic_store_explicit(&pending->item->state, pending_layout(pending), memory_order_relaxed);
}

bool write_prepare(struct store_thread *thread, struct pending *pending)
{
    pending->chunk_count = 0;
    pending->inline_size = pending->value_size;
    if (__builtin_expect(pending->shared != NULL, 0))
        pending->inline_size = item_inline_size(pending->shared);
    else if (large_needed(thread->store, pending->value_size) && !large_prepare(thread, pending))
        return false;
    struct placement placement = pending_placement(thread->store, pending);
    size_t size =
        item_round(item_head_size(pending_layout(pending)) + pending->key.size + pending->inline_size);
    if (pending->chunk_count > 0 || pending->shared ||
        !recycle_take(thread, &placement, size, &pending->location)) {
        struct reservation reservation = {.size = size, .size_min = size};
        if (!write_reserve(thread, &placement, &reservation)) {
            large_release(thread, pending);
            return false;
        }
        pending->location = reservation.location;
    }
    pending->item = item_at(thread->store, pending->location);
    pending_shape(pending);
    PERTURB(WRITE_RESERVED);
    return true;
}

/* ---- filling ---- */

/* What is as large as that lies in no cache any more when it is asked for. */
static void data_copy(const struct value_source *source, size_t offset, char *out, size_t size)
{
    if (source->size < FAR_SIZE_MIN)
        memcpy(out, source->data + offset, size);
    else
        bytes_put_far(out, source->data + offset, size);
}

void source_copy(const struct value_source *source, size_t offset, char *out, size_t size)
{
    size_t first_size = source->data_first ? source->size : source->view ? source->view->size : 0;
    for (unsigned turn = 0; turn < 2 && size > 0; turn++) {
        bool data = source->data_first == (turn == 0);
        size_t start = turn == 0 ? 0 : first_size;
        size_t end = start + (data ? source->size : source->view ? source->view->size : 0);
        if (offset >= end)
            continue;
        size_t part = end - offset < size ? end - offset : size;
        if (data)
            data_copy(source, offset - start, out, part);
        else
            view_copy(source->view, offset - start, out, part);
        out += part;
        offset += part;
        size -= part;
    }
    memset(out, ' ', size); /* a number shorter than the one it replaces */
}

void write_fill_as(struct store_thread *thread, struct pending *pending, const struct value_source *source,
                   uint64_t seq, uint32_t state)
{
    struct item *item = pending->item;
    unsigned layout = pending_layout(pending);
    item->shape = item_shape(pending->key.size, pending->inline_size, seq);
    item->seq_low = (uint32_t)seq;
    atomic_store_explicit(&item->state, (state & ~(0xffu & ~(uint32_t)ITEM_FETCHED)) | layout,
                          memory_order_relaxed);
    if (layout & ITEM_EXP)
        atomic_store_explicit(item_expiry_word(item), pending->expiry_s, memory_order_relaxed);
    if (layout & ITEM_CFLAGS)
        memcpy((char *)item + item_head_size(layout) - 4, &pending->flags, 4);
    if (layout & ITEM_CAS)
        memcpy(item_cas_word(item, layout), &pending->cas, 8);
    memcpy(item_key(item), pending->key.data, pending->key.size);
    if (!(layout & ITEM_LARGE))
        source_copy(source, 0, item_inline_value(item), pending->value_size);
    else if (!pending->shared)
        large_fill(thread, pending, source);
}

void write_fill(struct store_thread *thread, struct pending *pending, const struct value_source *source)
{
    write_fill_as(thread, pending, source, thread_next_seq(thread), (clock_s() & ITEM_ACCESS_MASK) << 8);
}

void write_abandon(struct store_thread *thread, struct pending *pending)
{
    recycle_unused(thread, pending->item, pending->location);
    large_release(thread, pending);
}

/* ---- publishing ---- */

enum result write_condition(const struct item *item, enum store_mode mode, uint64_t cas)
{
    if (__builtin_expect(cas != 0, 0) && item && mode != STORE_ADD && item_cas(item) != cas)
        return RESULT_EXISTS;
    switch (mode) {
    case STORE_SET:
        return RESULT_STORED;
    case STORE_ADD:
        return item ? RESULT_NOT_STORED : RESULT_STORED;
    case STORE_REPLACE:
    case STORE_APPEND:
    case STORE_PREPEND:
        return item ? RESULT_STORED : RESULT_NOT_STORED;
    case STORE_CAS:
        if (!item)
            return RESULT_NOT_FOUND;
        return cas != 0 ? RESULT_STORED : RESULT_EXISTS;
    }
    UNREACHABLE();
}

bool write_found_again(struct store_thread *thread, const struct store_key *key,
                       const struct condition *condition, struct found *found)
{
    return index_find(thread->store, key, found) && slot_location(found->value) == condition->location &&
           item_seq(found->item) == condition->seq;
}

/* With the bucket locked: puts the item into `slot`, in the place of `old` (NULL: none). */
static void slot_replace(struct store_thread *thread, _Atomic uint64_t *slot, const struct pending *pending,
                         const struct item *old, const struct condition *condition)
{
    struct store *store = thread->store;
    uint64_t before = slot_load(slot);
    unsigned freq = old ? slot_freq(before) : 0;
    live_count_item(store, pending->item, pending->location, 1);
    uint64_t marks = (before & condition->marks_kept) | condition->marks;
    slot_store(slot, slot_make(pending->key.hash, pending->location, item_record_size(pending->item), freq) |
                         marks);
    if (condition->same_item) {
        thread_count_written(thread, item_counted_size(pending->key.size, pending->value_size));
        live_count_item(store, old, slot_location(before), -1);
        recycle_unlinked(thread, old, slot_location(before));
        return;
    }
    write_count_stored(thread, pending->key.size, pending->value_size, BAND_stored);
    write_count_replaced(thread, old, slot_location(before), clock_s());
}

static enum result condition_check(const struct store *store, const struct item *item, uint64_t location,
                                   const struct condition *condition)
{
    if (item && !item_alive(store, item, clock_s()))
        item = NULL;
    if (condition->exact)
        return item && location == condition->location && item_seq(item) == condition->seq ? RESULT_STORED
                                                                                           : RESULT_MISS;
    return write_condition(item, condition->mode, condition->cas);
}

/* With the bucket locked. A slot that still says what it said when the key's item was found there, in this
 * turn of the thread, is the key's: no other slot leads to that item, and its place is not another's yet. */
static _Atomic uint64_t *slot_of_pending(struct store_thread *thread, struct bucket *bucket,
                                         const struct pending *pending)
{
    if (pending->slot && pending->turn == thread->turn && slot_load(pending->slot) == pending->slot_value)
        return pending->slot;
    return index_slot_of_key(thread->store, bucket, &pending->key);
}

/* With the bucket locked: what the new item takes over from the old as it is at this moment. */
static void publish_kept(const struct store *store, const struct pending *pending,
                         const struct condition *condition, const struct item *old)
{
    struct item *item = pending->item;
    if (condition->keep_expiry && (item_flags(item) & ITEM_EXP))
        atomic_store_explicit(item_expiry_word(item), item_expiry_s(old), memory_order_relaxed);
    if (pending->shared)
        large_share(store, item, old);
}

static enum result publish_locked(struct store_thread *thread, struct bucket *bucket,
                                  const struct pending *pending, const struct condition *condition)
{
    struct store *store = thread->store;
    _Atomic uint64_t *slot = slot_of_pending(thread, bucket, pending);
    uint64_t location = slot ? slot_location(slot_load(slot)) : 0;
    const struct item *old = slot ? item_at(store, location) : NULL;
    enum result result = condition_check(store, old, location, condition);
    if (result != RESULT_STORED)
        return result;
    if (!slot)
        slot = index_slot_for(store, bucket, pending->key.hash);
    if (!slot)
        return RESULT_NO_MEMORY;
    if (__builtin_expect(condition->exact, 0))
        publish_kept(store, pending, condition, old);
    PERTURB(WRITE_CHOSEN);
    slot_replace(thread, slot, pending, old, condition);
    return RESULT_STORED;
}

enum result write_publish(struct store_thread *thread, struct pending *pending,
                          const struct condition *condition)
{
    PERTURB(WRITE_FILLED);
    struct bucket *bucket = index_lock(thread->store, pending->key.hash);
    enum result result = publish_locked(thread, bucket, pending, condition);
    index_unlock(bucket);
    if (result != RESULT_STORED)
        recycle_unused(thread, pending->item, pending->location);
    large_release(thread, pending);
    write_tell_maintainer(thread);
    return result;
}

/* ---- the commands ---- */

/* A set that fails must not leave the old value to be read as if it were the new one. */
static enum result write_fail(struct store_thread *thread, const struct store_write *write,
                              enum result result)
{
    bool large = result == RESULT_TOO_LARGE;
    metrics_add(thread->block, large ? METRIC_store_too_large : METRIC_store_no_memory, 1);
    if (!large)
        metrics_band_add(thread->block, metrics_band_of(item_counted_size(write->key.size, write->size)),
                         BAND_outofmemory, 1);
    if (write->mode == STORE_SET)
        store_delete(thread, &write->key, 0);
    return result;
}

/* A write by a client whose value is older than the item's: it is kept, but told apart, and expires when the
 * item would have. */
static bool stale_accepted(const struct store_write *write, const struct item *item)
{
    return write->stale_allowed && write->mode == STORE_CAS && item && write->cas != 0 &&
           write->cas < item_cas(item);
}

static struct condition stale_condition(const struct found *found)
{
    return (struct condition){.exact = true,
                              .location = slot_location(found->value),
                              .seq = item_seq(found->item),
                              .keep_expiry = true,
                              .marks_kept = SLOT_WON,
                              .marks = SLOT_STALE};
}

/* Inlined where nearly all writes go through. */
static inline __attribute__((always_inline)) enum result write_once(struct store_thread *thread,
                                                                    const struct store_write *write,
                                                                    uint64_t marks, struct pending *pending)
{
    struct store *store = thread->store;
    struct found found;
    bool there = index_find(store, &write->key, &found);
    const struct item *item = there && item_alive(store, found.item, clock_s()) ? found.item : NULL;
    enum result result = write_condition(item, write->mode, write->cas);
    bool stale = result == RESULT_EXISTS && stale_accepted(write, item);
    if (result != RESULT_STORED && !stale)
        return result;
    *pending = (struct pending){.key = write->key,
                                .value_size = write->size,
                                .flags = write->flags,
                                .expiry_s = stale ? item_expiry_s(item) : write->expiry_s,
                                .pool = write_pool(thread, &write->key, &found, write->expiry_s),
                                .traits = write_traits(write->cas_chosen, write->key_binary),
                                .cas = write->cas_new};
    write_note_found(thread, pending, &found);
    struct condition condition = {.mode = write->mode, .cas = write->cas, .marks = marks};
    if (stale)
        condition = stale_condition(&found);
    struct value_source source = {.data = write->value, .size = write->size, .data_first = true};
    if (!write_prepare(thread, pending))
        return RESULT_NO_MEMORY;
    write_fill(thread, pending, &source);
    return write_publish(thread, pending, &condition);
}

enum result write_new(struct store_thread *thread, const struct store_write *write, uint64_t marks,
                      struct pending *pending)
{
    return write_once(thread, write, marks, pending);
}

/* ---- append and prepend ---- */

/* MISS: it is there by now. */
static enum result write_created(struct store_thread *thread, const struct store_write *write,
                                 struct pending *pending)
{
    struct store_write add = *write;
    add.mode = STORE_ADD;
    enum result result = write_new(thread, &add, 0, pending);
    return result == RESULT_NOT_STORED ? RESULT_MISS : result;
}

/* One try: MISS when the item changed under it. */
static enum result write_joined(struct store_thread *thread, const struct store_write *write,
                                struct pending *pending)
{
    struct store *store = thread->store;
    struct found found;
    struct store_view old;
    uint32_t now_s = clock_s();
    if (!index_find(store, &write->key, &found) || !item_alive(store, found.item, now_s))
        return write->create ? write_created(thread, write, pending) : RESULT_NOT_STORED;
    enum result result = write_condition(found.item, write->mode, write->cas);
    if (result != RESULT_STORED)
        return result;
    view_fill(store, &old, found.item, found.value, now_s);
    if (!store_fits(store, write->key.size, old.size + write->size))
        return RESULT_TOO_LARGE;
    *pending = (struct pending){.key = write->key,
                                .value_size = old.size + write->size,
                                .flags = old.flags,
                                .expiry_s = old.expiry_s,
                                .pool = write_pool(thread, &write->key, &found, old.expiry_s),
                                .traits = write_traits(write->cas_chosen, old.key_binary),
                                .cas = write->cas_new};
    struct condition condition = {.exact = true,
                                  .location = slot_location(found.value),
                                  .seq = item_seq(found.item),
                                  .keep_expiry = true};
    if (!write_prepare(thread, pending))
        return RESULT_NO_MEMORY;
    /* Preparing may have voided the view. */
    if (!write_found_again(thread, &write->key, &condition, &found)) {
        write_abandon(thread, pending);
        return RESULT_MISS;
    }
    struct value_source source = {&old, write->value, write->size, write->mode == STORE_PREPEND};
    write_fill(thread, pending, &source);
    return write_publish(thread, pending, &condition);
}

static bool write_is_plain(const struct store_write *write)
{
    return write->mode == STORE_SET && write->cas == 0 && !write->cas_chosen && !write->key_binary;
}

enum result write_any(struct store_thread *thread, const struct store_write *write,
                      struct store_written *written)
{
    struct pending pending;
    uint32_t now_s = clock_s();
    enum result result;
    flush_poll(thread->store, now_s);
    if (!store_fits(thread->store, write->key.size, write->size))
        return write_fail(thread, write, RESULT_TOO_LARGE);
    if (write_is_plain(write)) {
        struct store_set set = {&write->key, write->value, write->size, write->flags, write->expiry_s};
        if (write_plain(thread, &set, now_s, BAND_stored, written))
            return RESULT_STORED;
    }
    bool joined = write->mode == STORE_APPEND || write->mode == STORE_PREPEND;
    do
        result = joined ? write_joined(thread, write, &pending) : write_once(thread, write, 0, &pending);
    while (result == RESULT_MISS);
    if (result == RESULT_TOO_LARGE || result == RESULT_NO_MEMORY)
        return write_fail(thread, write, result);
    if (result != RESULT_STORED)
        return result;
    write_told(thread, write->size);
    if (written)
        *written = (struct store_written){pending_cas(&pending), pending.value_size};
    return RESULT_STORED;
}

void store_told_expiry(struct store_thread *thread, uint32_t expiry_s, uint64_t count)
{
    uint32_t now_s = clock_s();
    metrics_distribution_add(thread->block, DISTRIBUTION_set_ttl, expiry_s > now_s ? expiry_s - now_s : 0,
                             count);
}

enum result store_write(struct store_thread *thread, const struct store_write *write,
                        struct store_written *written)
{
    enum result result = write_any(thread, write, written);
    if (result == RESULT_STORED)
        store_told_expiry(thread, write->expiry_s, 1);
    return result;
}
