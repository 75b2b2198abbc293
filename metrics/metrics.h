/* Counters: recorded once where the thing happens, summed once, rendered by every reader alike.
 *
 * Place: above base, below the store. Each thread that serves or maintains owns one metrics_block and is
 * its only writer: a count is a relaxed load and a relaxed store, no locked instruction, no shared line.
 * Readers take a metrics_snapshot: the sum over all blocks, then the probes (functions of the modules
 * above that fill gauges and derived counters), and render that: `stats` text, JSON, Prometheus.
 * The request matrix [command][result] is the only record of requests; protocol/ derives memcached's
 * classic counters (get_hits ...) from it in a probe.
 * Resets subtract a baseline; blocks are never written by another thread, Prometheus never goes back.
 * Thread-safety: said at each function. Ownership: struct metrics owns the blocks. */
#ifndef VITRINE_METRICS_METRICS_H
#define VITRINE_METRICS_METRICS_H

#include "base/result.h"
#include "metrics/histogram.h"

#include <stdatomic.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/* 0 in one build only, the one that `make bench-observation` compares with: there nothing is done that serves
 * no other end than to be looked at. */
#ifndef METRICS_ON
#define METRICS_ON 1
#endif

#define METRICS_COMMAND_MAX 64u
#define METRICS_BAND_COUNT  32u /* size bands: the classes of `stats items` and `stats slabs` */

#define METRICS_PAIR_COUNT (METRICS_COMMAND_MAX * RESULT_COUNT)

#define METRICS_BAND_FIRST_BITS 6u /* band 0 ends at 64 bytes */
#define METRICS_BAND_FIRST_SIZE (1u << METRICS_BAND_FIRST_BITS)

/* COUNTER: added to by block owners. DERIVED: a counter that a probe computes from the rest of the
 * snapshot. GAUGE: a level that a probe reads. LASTING: counts up like DERIVED, but is no count of ours (CPU
 * time). Resets leave GAUGE and LASTING alone. */
enum metric_kind { METRIC_COUNTER, METRIC_DERIVED, METRIC_GAUGE, METRIC_LASTING };

enum metric {
#define METRIC(id, kind, unit, stats, family, labels, text) METRIC_##id,
#include "metrics/metrics.def"
    METRIC_COUNT
};

/* Per size band; a band's live items and bytes are stored minus removed. */
enum band_metric {
#define BAND_METRIC(id, kind, group, stats, family, labels, text) BAND_##id,
#include "metrics/bands.def"
    BAND_METRIC_COUNT
};

/* Distributions recorded besides latency. */
enum distribution {
#define DISTRIBUTION(id, name, unit, text) DISTRIBUTION_##id,
#include "metrics/distributions.def"
    DISTRIBUTION_COUNT
};

/* A thread's events on their way to the watchers: events.c. */
struct event_ring {
    _Alignas(64) _Atomic uint32_t streams; /* that are wanted; written by the consumer */
    /* The thread's own line. */
    _Alignas(64) _Atomic uint32_t state; /* enum ring_state of events.c */
    char *data;                          /* owned; NULL: nobody watches */
    uint64_t size;                       /* a power of two */
    uint64_t limit;                      /* how far `head` may come, as seen last */
    _Atomic uint64_t head, put, dropped;
    _Alignas(64) _Atomic uint64_t tail; /* the consumer's */
};

/* In pages of its own: most of its cells are never used, and what is never touched takes no memory. */
struct metrics_block {
    _Alignas(64) _Atomic uint64_t value[METRIC_COUNT];
    _Atomic uint64_t request[METRICS_COMMAND_MAX][RESULT_COUNT];
    _Atomic uint64_t band[METRICS_BAND_COUNT][BAND_METRIC_COUNT];
    /* Allocated at a pair's first use by the owner; released to readers by a release store. */
    struct histogram *_Atomic latency[METRICS_COMMAND_MAX][RESULT_COUNT];
    struct histogram distribution[DISTRIBUTION_COUNT];
    struct event_ring events;
    /* Items by size, where it is tracked: sizes.c. */
    _Atomic uint32_t *sizes;      /* owned; NULL: it is not */
    _Atomic size_t size_bin_high; /* no bin from here on was ever counted in */
    struct metrics *owner;
    /* The owner's alone: the requests of this turn of the event loop, whose latency is still open. A pair is
     * a command and a result, as one number. */
    uint32_t turn_pair;          /* the last one; METRICS_PAIR_COUNT: none yet in this turn */
    uint64_t turn_requests;      /* so far */
    uint32_t turn_touched_count; /* pairs that occurred in this turn */
    uint16_t turn_touched[METRICS_PAIR_COUNT];
    uint64_t turn_start[METRICS_PAIR_COUNT]; /* what `request` was when the turn began */
};

/* A single-writer add: relaxed load and store; partner: the relaxed loads of metrics_snapshot_take. */
static inline void metrics_bump(_Atomic uint64_t *cell, uint64_t n)
{
    if (METRICS_ON)
        atomic_store_explicit(cell, atomic_load_explicit(cell, memory_order_relaxed) + n,
                              memory_order_relaxed);
}

static inline void metrics_add(struct metrics_block *block, enum metric id, uint64_t n)
{
    metrics_bump(&block->value[id], n);
}

static inline void metrics_band_add(struct metrics_block *block, unsigned band, enum band_metric id,
                                    uint64_t n)
{
    metrics_bump(&block->band[band][id], n);
}

/* `count` requests of `command` (an index below METRICS_COMMAND_MAX) came to `result`. Their latency is
 * recorded with the rest of their turn by metrics_turn_end. Owner of the block only. */
void metrics_turn_note(struct metrics_block *block, unsigned pair);
static inline void metrics_requests(struct metrics_block *block, unsigned command, enum result result,
                                    uint64_t count)
{
    unsigned pair = command * RESULT_COUNT + result;
    if (!METRICS_ON)
        return;
    if (block->turn_pair != pair)
        metrics_turn_note(block, pair);
    block->turn_requests += count;
    metrics_bump(&block->request[command][result], count);
}

static inline void metrics_request(struct metrics_block *block, unsigned command, enum result result)
{
    metrics_requests(block, command, result, 1);
}

/* How many requests this turn has had so far. Owner of the block only. */
static inline uint64_t metrics_turn_requests(const struct metrics_block *block)
{
    return block->turn_requests;
}

/* The turn's requests took `ns` from the arrival of their bytes to their replies' being written. Returns how
 * many they were. */
uint64_t metrics_turn_end(struct metrics_block *block, uint64_t ns);

/* Records one value in a distribution, `count` times. Owner of the block only. */
static inline void metrics_distribution_add(struct metrics_block *block, enum distribution id, uint64_t value,
                                            uint64_t count)
{
    if (METRICS_ON)
        histogram_add(&block->distribution[id], value, count);
}

/* An item of `size` bytes in all is stored (+1) or removed (-1). Owner of the block only. */
void metrics_size_count(struct metrics_block *block, size_t size, int sign);
static inline void metrics_size_add(struct metrics_block *block, size_t size, int sign)
{
    if (__builtin_expect(block->sizes != NULL, 0))
        metrics_size_count(block, size, sign);
}

/* The size band (0 .. METRICS_BAND_COUNT - 1) of an item of `size` bytes in all: two an octave (64, 96, 128,
 * 192 ...), so that it is found with a shift and no table. Class ids shown to users are band + 1. */
static inline unsigned metrics_band_of(size_t size)
{
    if (!METRICS_ON)
        return 0;
    size_t last = (size > METRICS_BAND_FIRST_SIZE ? size : METRICS_BAND_FIRST_SIZE) - 1;
    unsigned octave = 63u ^ (unsigned)__builtin_clzll(last);
    unsigned half = (unsigned)(last >> (octave - 1)); /* 2 or 3 */
    unsigned band = octave * 2 + half - 1 - 2 * METRICS_BAND_FIRST_BITS;
    return band < METRICS_BAND_COUNT ? band : METRICS_BAND_COUNT - 1;
}

/* The largest size that belongs to a band. */
size_t metrics_band_size_max(unsigned band);

struct metrics_snapshot {
    uint64_t value[METRIC_COUNT];
    uint64_t request[METRICS_COMMAND_MAX][RESULT_COUNT];
    uint64_t band[METRICS_BAND_COUNT][BAND_METRIC_COUNT];
};

struct metrics *metrics_create(void);
void metrics_destroy(struct metrics *metrics);

/* From here on every block made counts items by their size, in steps of METRICS_SIZE_STEP up to `size_max`:
 * 4 bytes a step and thread, of which only what is used is ever touched. Before the first block. */
#define METRICS_SIZE_STEP 32u
void metrics_sizes_track(struct metrics *metrics, size_t size_max);
/* Calls visit(arg, size, count) for each step that holds items, `size` being its largest. False: sizes are
 * not tracked. Any thread. */
bool metrics_sizes_read(struct metrics *metrics, void (*visit)(void *arg, uint64_t size, uint64_t count),
                        void *arg);

/* A block for one writing thread; lives until metrics_destroy, so that nothing counted is ever lost. Any
 * thread. */
struct metrics_block *metrics_block_create(struct metrics *metrics);

/* `names[i]` is the name of command i, `kin[i]` the command among whose latencies its own are told (both
 * borrowed for ever). Called once by protocol/ before any request. */
void metrics_commands_declare(struct metrics *metrics, const char *const *names, const uint8_t *kin,
                              unsigned count);
unsigned metrics_command_kin(const struct metrics *metrics, unsigned command);
const char *metrics_command_name(const struct metrics *metrics, unsigned command);
unsigned metrics_command_count(const struct metrics *metrics);

/* `probe` fills the gauges and derived counters it is responsible for. It may be called by any thread, one at
 * a time, and must not take a snapshot itself. */
typedef void (*metrics_probe_fn)(void *context, struct metrics_snapshot *snapshot);
void metrics_probe_register(struct metrics *metrics, metrics_probe_fn probe, void *context);
/* Once this returns the probe is not running and will not be called again: its context may be freed. */
void metrics_probe_remove(struct metrics *metrics, metrics_probe_fn probe, void *context);

/* The sum of all blocks and what the probes add: since the start of the process. Any thread. */
void metrics_snapshot_take(struct metrics *metrics, struct metrics_snapshot *out);

/* As before, counters less the baseline of the last metrics_reset: what `stats` shows. Any thread. */
void metrics_snapshot_take_since_reset(struct metrics *metrics, struct metrics_snapshot *out);
void metrics_reset(struct metrics *metrics);

/* The merged latency histogram of one pair, or of all pairs with command < 0; `out` is cleared first. Any
 * thread. */
void metrics_latency_read(struct metrics *metrics, int command, int result, struct histogram *out);
void metrics_distribution_read(struct metrics *metrics, enum distribution id, struct histogram *out);

/* Bytes that counters, histograms and history hold: the cost of observing. */
size_t metrics_memory_size(const struct metrics *metrics);

/* ---- the rows, for renderers ---- */
enum metric_unit { UNIT_COUNT, UNIT_BYTES, UNIT_SECONDS, UNIT_MICROSECONDS, UNIT_BOOL };

struct metric_row {
    const char *name;        /* the field's own, e.g. "curr_items" */
    const char *stats_group; /* of a band's row: "items" or "slabs"; else NULL */
    const char *stats_name;  /* NULL: not in `stats` */
    const char *family;      /* Prometheus family, NULL: none */
    const char *labels;      /* `a="b"` or "" */
    const char *text;        /* what it means and what to do about it */
    enum metric_kind kind;
    enum metric_unit unit;
};
const struct metric_row *metrics_row(enum metric id);
const struct metric_row *metrics_band_row(enum band_metric id);

#endif
