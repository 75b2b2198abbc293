#include "metrics/metrics.h"

#include "base/assert.h"
#include "base/pages.h"
#include "metrics/metrics_priv.h"

#include <stdlib.h>
#include <string.h>

#define BLOCKS_FIRST 8u

void metrics_memory_add(struct metrics *metrics, size_t size)
{
    atomic_fetch_add_explicit(&metrics->memory_size, size, memory_order_relaxed);
}

size_t metrics_memory_size(const struct metrics *metrics)
{
    return atomic_load_explicit(&metrics->memory_size, memory_order_relaxed);
}

struct metrics *metrics_create(void)
{
    struct metrics *metrics = calloc(1, sizeof *metrics);
    if (metrics == NULL)
        return NULL;
    lock_init(&metrics->snapshot_lock, LOCK_METRICS_SNAPSHOT);
    lock_init(&metrics->blocks_lock, LOCK_METRICS_BLOCKS);
    metrics_memory_add(metrics, sizeof *metrics);
    metrics_probe_register(metrics, process_probe, metrics);
    return metrics;
}

static void block_destroy(struct metrics_block *block)
{
    for (unsigned command = 0; command < METRICS_COMMAND_MAX; command++)
        for (unsigned result = 0; result < RESULT_COUNT; result++)
            free(atomic_load_explicit(&block->latency[command][result], memory_order_relaxed));
    sizes_destroy(block->owner, block);
    pages_give(block, sizeof *block);
}

void metrics_destroy(struct metrics *metrics)
{
    if (metrics == NULL)
        return;
    events_close(metrics);
    for (unsigned i = 0; i < metrics->block_count; i++)
        block_destroy(metrics->blocks[i]);
    free(metrics->blocks);
    lock_fini(&metrics->blocks_lock);
    lock_fini(&metrics->snapshot_lock);
    free(metrics);
}

/* ---- blocks ---- */

static struct histogram *histogram_create(struct metrics *metrics)
{
    struct histogram *histogram = aligned_alloc(_Alignof(struct histogram), sizeof *histogram);
    if (histogram == NULL)
        return NULL;
    memset(histogram, 0, sizeof *histogram);
    metrics_memory_add(metrics, sizeof *histogram);
    return histogram;
}

static bool list_append(struct metrics *metrics, struct metrics_block *block)
{
    if (metrics->block_count == metrics->block_capacity) {
        unsigned capacity = metrics->block_capacity ? metrics->block_capacity * 2 : BLOCKS_FIRST;
        struct metrics_block **blocks = realloc(metrics->blocks, capacity * sizeof(struct metrics_block *));
        if (blocks == NULL)
            return false;
        metrics->blocks = blocks;
        metrics->block_capacity = capacity;
    }
    metrics->blocks[metrics->block_count++] = block;
    return true;
}

struct metrics_block *metrics_block_create(struct metrics *metrics)
{
    struct metrics_block *block = pages_take(sizeof *block);
    if (block == NULL)
        return NULL;
    block->owner = metrics;
    block->turn_pair = METRICS_PAIR_COUNT;
    bool made = sizes_create(metrics, block);
    lock_acquire(&metrics->blocks_lock);
    made = made && list_append(metrics, block);
    lock_release(&metrics->blocks_lock);
    if (!made) {
        block_destroy(block);
        return NULL;
    }
    metrics_memory_add(metrics, sizeof *block);
    return block;
}

/* ---- latency ---- */

static struct histogram *latency_of(struct metrics_block *block, unsigned command, unsigned result)
{
    /* Relaxed: only this thread ever stores it. */
    struct histogram *histogram =
        atomic_load_explicit(&block->latency[command][result], memory_order_relaxed);
    if (__builtin_expect(histogram != NULL, 1))
        return histogram;
    histogram = histogram_create(block->owner);
    /* Release: its zeroes are there before it is; pairs with the acquire in latency_merge. */
    atomic_store_explicit(&block->latency[command][result], histogram, memory_order_release);
    return histogram;
}

static uint64_t pair_count(const struct metrics_block *block, unsigned pair)
{
    /* Relaxed: our own store. */
    return atomic_load_explicit(&block->request[0][0] + pair, memory_order_relaxed);
}

/* A pair other than that of the request before: seldom, since what comes together is alike. */
void metrics_turn_note(struct metrics_block *block, unsigned pair)
{
    block->turn_pair = pair;
    if (pair_count(block, pair) == block->turn_start[pair]) /* the first of the turn */
        block->turn_touched[block->turn_touched_count++] = (uint16_t)pair;
}

uint64_t metrics_turn_end(struct metrics_block *block, uint64_t ns)
{
    uint64_t sum = block->turn_requests;
    for (uint32_t i = 0; i < block->turn_touched_count; i++) {
        unsigned pair = block->turn_touched[i];
        uint64_t now = pair_count(block, pair), count = now - block->turn_start[pair];
        struct histogram *histogram = latency_of(block, pair / RESULT_COUNT, pair % RESULT_COUNT);
        if (histogram != NULL)
            histogram_add(histogram, ns, count);
        block->turn_start[pair] = now;
    }
    block->turn_touched_count = 0;
    block->turn_requests = 0;
    block->turn_pair = METRICS_PAIR_COUNT;
    return sum;
}

static void latency_merge(const struct metrics_block *block, unsigned command, unsigned result,
                          struct histogram *into)
{
    /* Acquire: pairs with the release in latency_of. */
    const struct histogram *from =
        atomic_load_explicit(&block->latency[command][result], memory_order_acquire);
    if (from != NULL)
        histogram_merge(into, from);
}

static void latency_merge_all(const struct metrics_block *block, struct histogram *into)
{
    for (unsigned command = 0; command < METRICS_COMMAND_MAX; command++)
        for (unsigned result = 0; result < RESULT_COUNT; result++)
            latency_merge(block, command, result, into);
}

void metrics_latency_read(struct metrics *metrics, int command, int result, struct histogram *out)
{
    memset(out, 0, sizeof *out);
    lock_acquire(&metrics->blocks_lock);
    for (unsigned i = 0; i < metrics->block_count; i++) {
        if (command < 0)
            latency_merge_all(metrics->blocks[i], out);
        else
            latency_merge(metrics->blocks[i], (unsigned)command, (unsigned)result, out);
    }
    lock_release(&metrics->blocks_lock);
}

void metrics_distribution_read(struct metrics *metrics, enum distribution id, struct histogram *out)
{
    memset(out, 0, sizeof *out);
    lock_acquire(&metrics->blocks_lock);
    for (unsigned i = 0; i < metrics->block_count; i++)
        histogram_merge(out, &metrics->blocks[i]->distribution[id]);
    lock_release(&metrics->blocks_lock);
}

/* ---- commands ---- */

void metrics_commands_declare(struct metrics *metrics, const char *const *names, const uint8_t *kin,
                              unsigned count)
{
    ASSERT(count <= METRICS_COMMAND_MAX);
    metrics->command_names = names;
    metrics->command_kin = kin;
    metrics->command_count = count;
}

const char *metrics_command_name(const struct metrics *metrics, unsigned command)
{
    ASSERT(command < metrics->command_count);
    return metrics->command_names[command];
}

unsigned metrics_command_kin(const struct metrics *metrics, unsigned command)
{
    ASSERT(command < metrics->command_count);
    return metrics->command_kin[command];
}

unsigned metrics_command_count(const struct metrics *metrics)
{
    return metrics->command_count;
}
