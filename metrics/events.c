/* The rings of events: one a thread, single producer and single consumer, of bytes.
 *
 * A ring is CLOSED (no memory), OPEN, or BUSY while its thread puts an event in. Only the thread makes it
 * busy and only from OPEN, only the consumer opens and closes it and only from OPEN, so memory is never given
 * back under a writer: the thread takes no for an answer, the consumer tries again. `head` and `tail` count
 * bytes for ever; a record that would not fit before the end of the memory is preceded by a filler. */
#include "metrics/events.h"

#include "base/assert.h"
#include "base/clock.h"
#include "base/pages.h"
#include "metrics/metrics_priv.h"

#include <stdlib.h>
#include <string.h>

#define RING_SIZE_MIN 1024u
#define RECORD_ALIGN  8u

enum ring_state { RING_CLOSED, RING_OPEN, RING_BUSY };

struct record {
    uint32_t size; /* this head included; a multiple of RECORD_ALIGN */
    uint32_t filler;
    struct live_event event;
};
_Static_assert(sizeof(struct record) + UINT8_MAX + RECORD_ALIGN <= RING_SIZE_MIN, "takes any event");

/* ---- the thread's side ---- */

static bool ring_enter(struct event_ring *ring)
{
    uint32_t open = RING_OPEN;
    /* Acquire pairs with the release in ring_open: the memory is there. */
    return atomic_compare_exchange_strong_explicit(&ring->state, &open, RING_BUSY, memory_order_acquire,
                                                   memory_order_relaxed);
}

static void ring_leave(struct event_ring *ring)
{
    /* Release pairs with the acquire in ring_close: nothing is written any more. */
    atomic_store_explicit(&ring->state, RING_OPEN, memory_order_release);
}

/* A single-writer add: relaxed load and store; partner: events_count. */
static void count_one(_Atomic uint64_t *cell)
{
    atomic_store_explicit(cell, atomic_load_explicit(cell, memory_order_relaxed) + 1, memory_order_relaxed);
}

static struct record *record_at(const struct event_ring *ring, uint64_t at)
{
    return (struct record *)(ring->data + (at & (ring->size - 1)));
}

/* Room for a record of `size` bytes at *head, behind a filler when need be. */
static bool ring_reserve(struct event_ring *ring, uint64_t *head, uint32_t size)
{
    uint64_t to_end = ring->size - (*head & (ring->size - 1));
    uint64_t skip = to_end < size ? to_end : 0;
    if (*head + skip + size > ring->limit)
        /* Acquire pairs with the release in events_take: the consumer has read what we write over. */
        ring->limit = atomic_load_explicit(&ring->tail, memory_order_acquire) + ring->size;
    if (*head + skip + size > ring->limit)
        return false;
    if (skip > 0) {
        struct record *filler = record_at(ring, *head);
        filler->size = (uint32_t)skip;
        filler->filler = 1;
    }
    *head += skip;
    return true;
}

static bool ring_put(struct event_ring *ring, const struct live_event *event, const char *text,
                     size_t text_size)
{
    uint32_t size = (uint32_t)(sizeof(struct record) + text_size + RECORD_ALIGN - 1) & ~(RECORD_ALIGN - 1);
    uint64_t head = atomic_load_explicit(&ring->head, memory_order_relaxed); /* our own */
    if (!ring_reserve(ring, &head, size))
        return false;
    struct record *record = record_at(ring, head);
    record->size = size;
    record->filler = 0;
    record->event = *event;
    record->event.time_us = clock_wall_us();
    record->event.text_size = (uint8_t)text_size;
    memcpy(record->event.text, text, text_size);
    /* Release pairs with the acquire in cursor_open: the record is whole. */
    atomic_store_explicit(&ring->head, head + size, memory_order_release);
    return true;
}

void events_put(struct metrics_block *block, const struct live_event *event, const char *text,
                size_t text_size)
{
    struct event_ring *ring = &block->events;
    ASSERT(text_size <= UINT8_MAX);
    if (!ring_enter(ring))
        return; /* the last watcher has just left */
    count_one(ring_put(ring, event, text, text_size) ? &ring->put : &ring->dropped);
    ring_leave(ring);
}

/* ---- the consumer's side ---- */

static bool ring_is_closed(const struct event_ring *ring)
{
    return atomic_load_explicit(&ring->state, memory_order_relaxed) == RING_CLOSED; /* ours to change */
}

static bool ring_open(struct metrics *metrics, struct event_ring *ring)
{
    ring->data = pages_take(metrics->ring_size);
    if (ring->data == NULL)
        return false;
    ring->size = ring->limit = metrics->ring_size;
    atomic_store_explicit(&ring->head, 0, memory_order_relaxed);
    atomic_store_explicit(&ring->tail, 0, memory_order_relaxed);
    metrics_memory_add(metrics, ring->size);
    /* Release pairs with the acquire in ring_enter. */
    atomic_store_explicit(&ring->state, RING_OPEN, memory_order_release);
    return true;
}

static void ring_close(struct metrics *metrics, struct event_ring *ring)
{
    uint32_t open = RING_OPEN;
    unsigned turns = 0;
    if (ring_is_closed(ring))
        return;
    /* Acquire pairs with the release in ring_leave. */
    while (!atomic_compare_exchange_weak_explicit(&ring->state, &open, RING_CLOSED, memory_order_acquire,
                                                  memory_order_relaxed)) {
        open = RING_OPEN;
        spin_pause(&turns);
    }
    pages_give(ring->data, ring->size);
    atomic_fetch_sub_explicit(&metrics->memory_size, ring->size, memory_order_relaxed);
    ring->data = NULL;
}

/* Brings a block in line with what is wanted. */
static bool ring_follow(struct metrics *metrics, struct event_ring *ring)
{
    /* Relaxed: see events_streams. */
    if (metrics->streams == 0) {
        atomic_store_explicit(&ring->streams, 0, memory_order_relaxed);
        ring_close(metrics, ring);
        return true;
    }
    if (ring_is_closed(ring) && !ring_open(metrics, ring))
        return false;
    atomic_store_explicit(&ring->streams, metrics->streams, memory_order_relaxed);
    return true;
}

/* The rings, as a list of the consumer's own that holds also those of threads that came since. */
static unsigned rings_list(struct metrics *metrics)
{
    lock_acquire(&metrics->blocks_lock);
    unsigned count = metrics->block_count;
    if (count > metrics->cursor_capacity) {
        struct event_cursor *cursors = realloc(metrics->cursors, count * sizeof *cursors);
        if (cursors != NULL) {
            metrics->cursors = cursors;
            metrics->cursor_capacity = count;
        } else {
            count = metrics->cursor_capacity;
        }
    }
    for (unsigned i = 0; i < count; i++)
        metrics->cursors[i].ring = &metrics->blocks[i]->events;
    lock_release(&metrics->blocks_lock);
    return count;
}

static bool rings_follow(struct metrics *metrics, unsigned count)
{
    bool all = true;
    for (unsigned i = 0; i < count; i++)
        all = ring_follow(metrics, metrics->cursors[i].ring) && all;
    return all;
}

static uint64_t power_of_two(uint64_t size)
{
    uint64_t power = RING_SIZE_MIN;
    while (power < size)
        power *= 2;
    return power;
}

bool events_select(struct metrics *metrics, uint32_t streams, size_t ring_size)
{
    uint32_t before = metrics->streams;
    unsigned count = rings_list(metrics);
    metrics->streams = streams;
    if (before == 0)
        metrics->ring_size = power_of_two(ring_size);
    if (rings_follow(metrics, count) && count > 0)
        return true;
    metrics->streams = before;
    rings_follow(metrics, count);
    return false;
}

static void cursor_skip_filler(struct event_cursor *cursor)
{
    if (cursor->at < cursor->end && record_at(cursor->ring, cursor->at)->filler)
        cursor->at += record_at(cursor->ring, cursor->at)->size;
}

static void cursor_open(struct event_cursor *cursor)
{
    cursor->at = cursor->end = 0;
    if (ring_is_closed(cursor->ring))
        return;
    cursor->at = atomic_load_explicit(&cursor->ring->tail, memory_order_relaxed); /* our own */
    /* Acquire pairs with the release in ring_put. */
    cursor->end = atomic_load_explicit(&cursor->ring->head, memory_order_acquire);
    cursor_skip_filler(cursor);
}

static struct event_cursor *cursor_earliest(struct event_cursor *cursors, unsigned count)
{
    struct event_cursor *earliest = NULL;
    uint64_t earliest_us = 0;
    for (unsigned i = 0; i < count; i++) {
        if (cursors[i].at == cursors[i].end)
            continue;
        uint64_t time_us = record_at(cursors[i].ring, cursors[i].at)->event.time_us;
        if (earliest == NULL || time_us < earliest_us) {
            earliest = &cursors[i];
            earliest_us = time_us;
        }
    }
    return earliest;
}

size_t events_take(struct metrics *metrics, event_visit_fn visit, void *context)
{
    unsigned count = rings_list(metrics);
    rings_follow(metrics, count);
    for (unsigned i = 0; i < count; i++)
        cursor_open(&metrics->cursors[i]);
    size_t taken = 0;
    struct event_cursor *cursor;
    while ((cursor = cursor_earliest(metrics->cursors, count)) != NULL) {
        struct record *record = record_at(cursor->ring, cursor->at);
        visit(context, &record->event);
        cursor->at += record->size;
        cursor_skip_filler(cursor);
        /* Release pairs with the acquire in ring_reserve. */
        atomic_store_explicit(&cursor->ring->tail, cursor->at, memory_order_release);
        taken++;
    }
    return taken;
}

void events_count(struct metrics *metrics, struct events_count *out)
{
    *out = (struct events_count){0, 0};
    lock_acquire(&metrics->blocks_lock);
    for (unsigned i = 0; i < metrics->block_count; i++) {
        const struct event_ring *ring = &metrics->blocks[i]->events;
        out->put += atomic_load_explicit(&ring->put, memory_order_relaxed);
        out->dropped += atomic_load_explicit(&ring->dropped, memory_order_relaxed);
    }
    lock_release(&metrics->blocks_lock);
}

void events_close(struct metrics *metrics)
{
    metrics->streams = 0;
    for (unsigned i = 0; i < metrics->block_count; i++)
        ring_follow(metrics, &metrics->blocks[i]->events);
    free(metrics->cursors);
}
