/* Snapshots: the sum of all blocks, then what the probes know; and the baseline that resets subtract. */
#include "base/assert.h"
#include "metrics/metrics_priv.h"

#include <string.h>

void metrics_probe_register(struct metrics *metrics, metrics_probe_fn probe, void *context)
{
    lock_acquire(&metrics->snapshot_lock);
    ASSERT(metrics->probe_count < PROBES_MAX);
    metrics->probes[metrics->probe_count++] = (struct probe){probe, context};
    lock_release(&metrics->snapshot_lock);
}

void metrics_probe_remove(struct metrics *metrics, metrics_probe_fn probe, void *context)
{
    lock_acquire(&metrics->snapshot_lock);
    unsigned kept = 0;
    for (unsigned i = 0; i < metrics->probe_count; i++)
        if (metrics->probes[i].call != probe || metrics->probes[i].context != context)
            metrics->probes[kept++] = metrics->probes[i];
    metrics->probe_count = kept;
    lock_release(&metrics->snapshot_lock);
}

/* Relaxed loads; partner: the relaxed stores of metrics_bump. Cells of one block may be read at different
 * moments, so sums of a busy server differ from each other by what happened during the read. */
static void add_cells(uint64_t *sum, const _Atomic uint64_t *cells, size_t count)
{
    for (size_t i = 0; i < count; i++)
        sum[i] += atomic_load_explicit(&cells[i], memory_order_relaxed);
}

static void add_block(struct metrics_snapshot *sum, const struct metrics_block *block)
{
    add_cells(sum->value, block->value, METRIC_COUNT);
    add_cells(&sum->request[0][0], &block->request[0][0], METRICS_COMMAND_MAX * (size_t)RESULT_COUNT);
    add_cells(&sum->band[0][0], &block->band[0][0], METRICS_BAND_COUNT * (size_t)BAND_METRIC_COUNT);
}

static void add_blocks(struct metrics *metrics, struct metrics_snapshot *out)
{
    lock_acquire(&metrics->blocks_lock);
    for (unsigned i = 0; i < metrics->block_count; i++)
        add_block(out, metrics->blocks[i]);
    lock_release(&metrics->blocks_lock);
}

static uint64_t count_requests(const struct metrics_snapshot *snapshot)
{
    uint64_t count = 0;
    for (unsigned command = 0; command < METRICS_COMMAND_MAX; command++)
        for (unsigned result = 0; result < RESULT_COUNT; result++)
            count += snapshot->request[command][result];
    return count;
}

/* A band's counts are the only record of what was stored and removed; these are their sums. A plain set is
 * counted once, as an item that was stored and as a command. */
static void sum_bands(struct metrics_snapshot *out)
{
    for (unsigned band = 0; band < METRICS_BAND_COUNT; band++) {
        out->band[band][BAND_stored] += out->band[band][BAND_plain_sets];
        out->band[band][BAND_cmd_set] += out->band[band][BAND_plain_sets];
        out->band[band][BAND_removed] += out->band[band][BAND_replaced];
        out->value[METRIC_removed_replaced] += out->band[band][BAND_replaced];
        out->value[METRIC_total_items] += out->band[band][BAND_stored];
        out->value[METRIC_bytes_stored] += out->band[band][BAND_stored_bytes];
        out->value[METRIC_bytes_removed] += out->band[band][BAND_removed_bytes];
    }
}

static void take(struct metrics *metrics, struct metrics_snapshot *out)
{
    memset(out, 0, sizeof *out);
    add_blocks(metrics, out);
    out->value[METRIC_requests] = count_requests(out);
    sum_bands(out);
    for (unsigned i = 0; i < metrics->probe_count; i++)
        metrics->probes[i].call(metrics->probes[i].context, out);
}

void metrics_snapshot_take(struct metrics *metrics, struct metrics_snapshot *out)
{
    lock_acquire(&metrics->snapshot_lock);
    take(metrics, out);
    lock_release(&metrics->snapshot_lock);
}

static void subtract_cells(uint64_t *from, const uint64_t *what, size_t count)
{
    for (size_t i = 0; i < count; i++)
        from[i] -= what[i];
}

static void subtract_baseline(struct metrics_snapshot *out, const struct metrics_snapshot *baseline)
{
    for (unsigned id = 0; id < METRIC_COUNT; id++) {
        enum metric_kind kind = metrics_row((enum metric)id)->kind;
        if (kind == METRIC_COUNTER || kind == METRIC_DERIVED)
            out->value[id] -= baseline->value[id];
    }
    subtract_cells(&out->request[0][0], &baseline->request[0][0], METRICS_COMMAND_MAX * (size_t)RESULT_COUNT);
    for (unsigned band = 0; band < METRICS_BAND_COUNT; band++)
        for (unsigned id = 0; id < BAND_METRIC_COUNT; id++)
            if (metrics_band_row((enum band_metric)id)->kind == METRIC_COUNTER)
                out->band[band][id] -= baseline->band[band][id];
}

void metrics_snapshot_take_since_reset(struct metrics *metrics, struct metrics_snapshot *out)
{
    lock_acquire(&metrics->snapshot_lock);
    take(metrics, out);
    subtract_baseline(out, &metrics->baseline);
    lock_release(&metrics->snapshot_lock);
}

void metrics_reset(struct metrics *metrics)
{
    lock_acquire(&metrics->snapshot_lock);
    take(metrics, &metrics->baseline);
    lock_release(&metrics->snapshot_lock);
}
