/* Items by size, exactly: each thread counts what it stores and removes into bins of its own, which together
 * are what there is. */
#include "metrics/metrics.h"
#include "metrics/metrics_priv.h"

#include <sys/mman.h>

static size_t bin_of(size_t size)
{
    return (size + METRICS_SIZE_STEP - 1) / METRICS_SIZE_STEP;
}

void metrics_sizes_track(struct metrics *metrics, size_t size_max)
{
    /* Headers come on top of what -I bounds. */
    metrics->size_bin_count = bin_of(size_max) + METRICS_SIZE_STEP;
}

bool sizes_create(struct metrics *metrics, struct metrics_block *block)
{
    if (metrics->size_bin_count == 0)
        return true;
    void *bins = mmap(NULL, metrics->size_bin_count * sizeof *block->sizes, PROT_READ | PROT_WRITE,
                      MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
    block->sizes = bins == MAP_FAILED ? NULL : bins;
    return block->sizes != NULL;
}

void sizes_destroy(struct metrics *metrics, struct metrics_block *block)
{
    if (block->sizes != NULL)
        munmap(block->sizes, metrics->size_bin_count * sizeof *block->sizes);
}

void metrics_size_count(struct metrics_block *block, size_t size, int sign)
{
    size_t bin = bin_of(size), last = block->owner->size_bin_count - 1;
    if (bin > last)
        bin = last;
    /* A single-writer add, relaxed, modulo 2^32: what one thread stored another may remove. Partner:
     * metrics_sizes_read. */
    uint32_t count = atomic_load_explicit(&block->sizes[bin], memory_order_relaxed);
    atomic_store_explicit(&block->sizes[bin], count + (uint32_t)sign, memory_order_relaxed);
    if (bin >= atomic_load_explicit(&block->size_bin_high, memory_order_relaxed))
        atomic_store_explicit(&block->size_bin_high, bin + 1, memory_order_relaxed);
}

static uint32_t bin_sum(const struct metrics *metrics, size_t bin)
{
    uint32_t sum = 0;
    for (unsigned i = 0; i < metrics->block_count; i++)
        sum += atomic_load_explicit(&metrics->blocks[i]->sizes[bin], memory_order_relaxed);
    return sum;
}

bool metrics_sizes_read(struct metrics *metrics, void (*visit)(void *arg, uint64_t size, uint64_t count),
                        void *arg)
{
    size_t high = 0;
    if (metrics->size_bin_count == 0)
        return false;
    lock_acquire(&metrics->blocks_lock);
    for (unsigned i = 0; i < metrics->block_count; i++) {
        size_t own = atomic_load_explicit(&metrics->blocks[i]->size_bin_high, memory_order_relaxed);
        high = own > high ? own : high;
    }
    for (size_t bin = 0; bin < high; bin++) {
        uint32_t count = bin_sum(metrics, bin);
        /* Between a removal and the store before it a reader may see the one without the other. */
        if ((int32_t)count > 0)
            visit(arg, bin * METRICS_SIZE_STEP, count);
    }
    lock_release(&metrics->blocks_lock);
    return true;
}
