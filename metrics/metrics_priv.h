/* struct metrics, for the files of this folder only. */
#ifndef VITRINE_METRICS_METRICS_PRIV_H
#define VITRINE_METRICS_METRICS_PRIV_H

#include "base/lock.h"
#include "metrics/histogram.h"
#include "metrics/metrics.h"

#define PROBES_MAX 32u

struct probe {
    metrics_probe_fn call;
    void *context; /* borrowed until removed */
};

/* The consumer's place in a ring: what lies between `at` and `end` is to be taken. */
struct event_cursor {
    struct event_ring *ring;
    uint64_t at, end;
};

struct metrics {
    /* Held while a snapshot is taken, so that probes run one at a time. They may take locks of the rooms
     * above, hence a lock of its own, ranked before theirs. Guards probes and baseline. */
    struct lock snapshot_lock;
    struct probe probes[PROBES_MAX];
    unsigned probe_count;
    struct metrics_snapshot baseline; /* of the last reset */

    struct lock blocks_lock; /* guards the list; the blocks themselves are their owners' */
    struct metrics_block **blocks;
    unsigned block_count, block_capacity;

    const char *const *command_names; /* borrowed for ever */
    const uint8_t *command_kin;
    unsigned command_count;

    size_t size_bin_count; /* of each block; 0: sizes are not tracked */

    /* Of the events: the consumer's alone. */
    uint32_t streams; /* wanted, as bits */
    uint64_t ring_size;
    struct event_cursor *cursors; /* owned */
    unsigned cursor_capacity;

    /* Relaxed: a figure, added to by whoever allocates; nothing is ordered by it. */
    _Atomic size_t memory_size;
};

void metrics_memory_add(struct metrics *metrics, size_t size);

/* The bins of a block. False: no memory. */
bool sizes_create(struct metrics *metrics, struct metrics_block *block);
void sizes_destroy(struct metrics *metrics, struct metrics_block *block);

/* At the end: closes the rings. */
void events_close(struct metrics *metrics);

/* The gauges of the process itself: uptime, time, CPU, resident size. A probe. */
void process_probe(void *context, struct metrics_snapshot *snapshot);

#endif
