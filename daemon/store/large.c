/* Large values: chunks in the log, and an item that lists them.
 *
 * A value that would take more than an eighth of a segment is laid down as CHUNK records of up to a quarter
 * of a segment. A chunk may take what is left of a segment if that is at least an eighth, so little is
 * wasted. While the chunks are being reserved the writer may have to make room and go offline; their segments
 * are pinned until the item is published, so that nobody takes the chunks for dead. */
#include "base/assert.h"
#include "store/write_priv.h"

#include <stdlib.h>

#define CHUNK_SHARE      4u
#define CHUNK_SHARE_MIN  8u
#define DESCRIPTOR_SHARE 2u
#define CHUNK_HEAD_SIZE  20u /* header, the hash of the item */
#define CHUNK_KEY_SIZE   8u

static size_t chunk_size_min(const struct store *store)
{
    return segment_size(store) / CHUNK_SHARE_MIN - CHUNK_HEAD_SIZE;
}

size_t large_size_max(const struct store *store)
{
    size_t list_size = segment_size(store) / DESCRIPTOR_SHARE - LARGE_HEAD_SIZE_MAX - large_inline_size(0);
    return list_size / sizeof(uint64_t) * chunk_size_min(store);
}

static bool chunks_note(struct store_thread *thread, struct pending *pending, uint64_t chunk)
{
    if (pending->chunk_count == thread->chunk_capacity) {
        size_t capacity = thread->chunk_capacity ? 2 * thread->chunk_capacity : 64;
        uint64_t *chunks = realloc(thread->chunks, capacity * sizeof *chunks);
        if (!chunks)
            return false;
        thread->chunks = chunks;
        thread->chunk_capacity = capacity;
    }
    thread->chunks[pending->chunk_count++] = chunk;
    return true;
}

static void unpin_write(struct store *store, uint64_t location)
{
    /* Release: the chunk is written before its segment may be drained. Partner: segment_claim. */
    atomic_fetch_sub_explicit(&segment_of(store, location)->pins, 1, memory_order_release);
}

/* Reserves one chunk of at most `left` bytes of value; returns how many it takes, 0 when there is no room. */
static size_t chunk_prepare(struct store_thread *thread, struct pending *pending, size_t left)
{
    struct store *store = thread->store;
    size_t most = segment_size(store) / CHUNK_SHARE - CHUNK_HEAD_SIZE;
    size_t size = left < most ? left : most;
    size_t least = size < chunk_size_min(store) ? size : chunk_size_min(store);
    struct reservation reservation = {.size = item_round(CHUNK_HEAD_SIZE + size),
                                      .size_min = item_round(CHUNK_HEAD_SIZE + least),
                                      .pin = true};
    struct placement placement = pending_placement(store, pending);
    struct item *item = write_reserve(thread, &placement, &reservation);
    if (!item)
        return 0;
    if (reservation.size - CHUNK_HEAD_SIZE < size)
        size = reservation.size - CHUNK_HEAD_SIZE;
    item->shape = item_shape(CHUNK_KEY_SIZE, size, 0);
    atomic_store_explicit(&item->state, ITEM_CHUNK, memory_order_relaxed);
    memcpy(item_key(item), &pending->key.hash, CHUNK_KEY_SIZE);
    if (!chunks_note(thread, pending, chunk_make(reservation.location, size))) {
        unpin_write(store, reservation.location);
        return 0;
    }
    return size;
}

bool large_prepare(struct store_thread *thread, struct pending *pending)
{
    size_t left = pending->value_size;
    while (left > 0) {
        size_t size = chunk_prepare(thread, pending, left);
        if (size == 0) {
            large_release(thread, pending);
            return false;
        }
        left -= size;
    }
    pending->inline_size = large_inline_size(pending->chunk_count);
    if (LARGE_HEAD_SIZE_MAX + pending->inline_size <= segment_size(thread->store) / DESCRIPTOR_SHARE)
        return true;
    large_release(thread, pending);
    return false;
}

void large_fill(struct store_thread *thread, struct pending *pending, const struct value_source *source)
{
    struct large *large = item_large(pending->item);
    large->size = pending->value_size;
    large->count = pending->chunk_count;
    size_t offset = 0;
    for (size_t i = 0; i < pending->chunk_count; i++) {
        uint64_t chunk = thread->chunks[i];
        struct item *item = item_at(thread->store, chunk & LOCATION_MASK);
        source_copy(source, offset, item_inline_value(item), item_inline_size(item));
        offset += item_inline_size(item);
        atomic_store_explicit(&large->chunk[i], chunk, memory_order_relaxed);
    }
    ASSERT(offset == pending->value_size);
}

void large_share(const struct store *store, struct item *copy, const struct item *item)
{
    const struct large *from = item_large(item);
    struct large *to = item_large(copy);
    to->size = from->size;
    to->count = from->count;
    for (uint64_t i = 0; i < from->count; i++) {
        uint64_t chunk = atomic_load_explicit(&from->chunk[i], memory_order_relaxed);
        atomic_store_explicit(&to->chunk[i], chunk, memory_order_relaxed);
        segment_raise_expiry(segment_of(store, chunk & LOCATION_MASK), item_expiry_s(copy));
    }
}

void large_release(struct store_thread *thread, struct pending *pending)
{
    for (size_t i = 0; i < pending->chunk_count; i++)
        unpin_write(thread->store, thread->chunks[i] & LOCATION_MASK);
    pending->chunk_count = 0;
}
