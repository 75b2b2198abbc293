/* Views of items, whole or in chunks, and pins that keep the bytes of a value in place while it is sent. */
#include "base/assert.h"
#include "store/view_priv.h"

#include <stdlib.h>

#define PINNED_SHARE 8u /* of the memory may be held by pins, each segment counted once */

static size_t large_part(const struct store *store, const struct large *large, size_t offset,
                         const char **data, uint64_t *location)
{
    size_t start = 0;
    for (uint64_t i = 0; i < large->count; i++) {
        /* Acquire pairs with the release of the maintainer, who moves chunks: the copy is complete. */
        uint64_t chunk = atomic_load_explicit(&large->chunk[i], memory_order_acquire);
        size_t size = chunk_size_max(chunk);
        if (size > large->size - start)
            size = large->size - start;
        if (offset < start + size) {
            *location = chunk & LOCATION_MASK;
            *data = item_inline_value(item_at(store, *location)) + (offset - start);
            return start + size - offset;
        }
        start += size;
    }
    return 0;
}

void view_set_large(struct store_view *view)
{
    uint64_t location;
    const struct large *large = item_large(view->item);
    view->size = large->size;
    if (large_part(view->store, large, 0, &view->value, &location) < view->size)
        view->value = NULL;
}

void view_fill(const struct store *store, struct store_view *view, const struct item *item, uint64_t slot,
               uint32_t now_s)
{
    view_set(store, view, item, slot, now_s);
}

uint64_t store_view_version(const struct store_view *view)
{
    return item_seq(view->item);
}

size_t store_view_part(const struct store_view *view, size_t offset, const char **data)
{
    const struct item *item = view->item;
    if (offset >= view->size)
        return 0;
    uint64_t location;
    if (item_flags(item) & ITEM_LARGE)
        return large_part(view->store, item_large(item), offset, data, &location);
    *data = view->value + offset;
    return view->size - offset;
}

void view_copy(const struct store_view *view, size_t offset, char *out, size_t size)
{
    while (size > 0) {
        const char *data;
        size_t part = store_view_part(view, offset, &data);
        ASSERT(part > 0);
        if (part > size)
            part = size;
        memcpy(out, data, part);
        out += part;
        offset += part;
        size -= part;
    }
}

/* ---- pins ---- */

struct pin_part {
    const char *data;
    size_t size;
    struct segment *segment;
};

struct store_pin {
    struct store *store;
    size_t size;
    size_t part_count;
    struct pin_part part[];
};

/* What pins hold back is segments, each of which counts once, however many values in it are being sent. */
static void segment_pin(struct store *store, struct segment *segment)
{
    if (atomic_fetch_add_explicit(&segment->read_pins, 1, memory_order_relaxed) == 0)
        atomic_fetch_add_explicit(&store->pinned_size, segment_size(store), memory_order_relaxed);
    /* Relaxed: the owner is online with a view, so the segment cannot be freed before its next quiescent
     * state, which the maintainer acquires before it looks at pins. */
    atomic_fetch_add_explicit(&segment->pins, 1, memory_order_relaxed);
}

static void segment_unpin(struct store *store, struct segment *segment)
{
    if (atomic_fetch_sub_explicit(&segment->read_pins, 1, memory_order_relaxed) == 1)
        atomic_fetch_sub_explicit(&store->pinned_size, segment_size(store), memory_order_relaxed);
    /* Release pairs with the acquire of segment_collect: our reads are over before the segment is reused. */
    atomic_fetch_sub_explicit(&segment->pins, 1, memory_order_release);
}

static void pin_part_take(struct store_pin *pin, const char *data, size_t size, uint64_t location)
{
    struct segment *segment = segment_of(pin->store, location);
    segment_pin(pin->store, segment);
    pin->part[pin->part_count++] = (struct pin_part){data, size, segment};
}

static void pin_take_all(struct store_pin *pin, const struct store_view *view)
{
    const struct item *item = view->item;
    if (!(item_flags(item) & ITEM_LARGE)) {
        uint64_t offset = (uint64_t)((const char *)item - pin->store->segment_base);
        pin_part_take(pin, view->value, view->size,
                      location_make((uint32_t)(offset >> pin->store->segment_shift), 0));
        return;
    }
    for (size_t at = 0; at < view->size;) {
        const char *data;
        uint64_t location;
        size_t size = large_part(pin->store, item_large(item), at, &data, &location);
        pin_part_take(pin, data, size, location);
        at += size;
    }
}

static bool pins_exceed_share(const struct store *store)
{
    uint64_t limit = atomic_load_explicit(&store->limit_size, memory_order_relaxed) / PINNED_SHARE;
    return atomic_load_explicit(&store->pinned_size, memory_order_relaxed) > limit;
}

struct store_pin *store_pin(struct store_thread *thread, const struct store_view *view)
{
    const struct item *item = view->item;
    size_t count = (item_flags(item) & ITEM_LARGE) ? item_large(item)->count : 1;
    struct store_pin *pin = malloc(sizeof *pin + count * sizeof(struct pin_part));
    if (!pin)
        return NULL;
    *pin = (struct store_pin){.store = thread->store, .size = view->size};
    pin_take_all(pin, view);
    if (!pins_exceed_share(thread->store))
        return pin;
    store_unpin(pin);
    return NULL;
}

size_t store_pin_part(const struct store_pin *pin, size_t offset, const char **data)
{
    for (size_t i = 0; i < pin->part_count; i++) {
        if (offset < pin->part[i].size) {
            *data = pin->part[i].data + offset;
            return pin->part[i].size - offset;
        }
        offset -= pin->part[i].size;
    }
    return 0;
}

void store_unpin(struct store_pin *pin)
{
    for (size_t i = 0; i < pin->part_count; i++)
        segment_unpin(pin->store, pin->part[i].segment);
    free(pin);
}
