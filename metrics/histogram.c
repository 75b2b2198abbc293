#include "metrics/histogram.h"

#include "base/assert.h"

#define STEPS ((uint64_t)1 << HISTOGRAM_STEP_BITS)

_Static_assert(HISTOGRAM_BUCKET_COUNT == 592, "16 exact values and 36 octaves of 16 steps");

/* Relaxed throughout: a bucket is one writer's counter, and a reader that sees it a moment late is not wrong.
 */
static uint64_t read_cell(const _Atomic uint64_t *cell)
{
    return atomic_load_explicit(cell, memory_order_relaxed);
}

static void write_cell(_Atomic uint64_t *cell, uint64_t value)
{
    atomic_store_explicit(cell, value, memory_order_relaxed);
}

uint64_t histogram_bucket_low(unsigned bucket)
{
    ASSERT(bucket < HISTOGRAM_BUCKET_COUNT);
    if (bucket < STEPS)
        return bucket;
    unsigned shift = (bucket >> HISTOGRAM_STEP_BITS) - 1;
    return (STEPS + (bucket & (STEPS - 1))) << shift;
}

uint64_t histogram_bucket_high(unsigned bucket)
{
    if (bucket + 1 >= HISTOGRAM_BUCKET_COUNT)
        return ((uint64_t)1 << HISTOGRAM_OCTAVES) - 1;
    return histogram_bucket_low(bucket + 1) - 1;
}

void histogram_merge(struct histogram *into, const struct histogram *from)
{
    for (unsigned i = 0; i < HISTOGRAM_BUCKET_COUNT; i++)
        write_cell(&into->bucket[i], read_cell(&into->bucket[i]) + read_cell(&from->bucket[i]));
    write_cell(&into->sum, read_cell(&into->sum) + read_cell(&from->sum));
}

void histogram_subtract(struct histogram *a, const struct histogram *b)
{
    for (unsigned i = 0; i < HISTOGRAM_BUCKET_COUNT; i++)
        write_cell(&a->bucket[i], read_cell(&a->bucket[i]) - read_cell(&b->bucket[i]));
    write_cell(&a->sum, read_cell(&a->sum) - read_cell(&b->sum));
}

uint64_t histogram_count(const struct histogram *histogram)
{
    uint64_t count = 0;
    for (unsigned i = 0; i < HISTOGRAM_BUCKET_COUNT; i++)
        count += read_cell(&histogram->bucket[i]);
    return count;
}

/* How many of `count` values lie at or below the quantile's: at least one, so that 0 names the smallest. */
static uint64_t quantile_rank(uint64_t count, double quantile)
{
    double exact = quantile * (double)count;
    uint64_t rank = exact >= (double)count ? count : (uint64_t)exact;
    if ((double)rank < exact)
        rank++;
    return rank == 0 ? 1 : rank;
}

uint64_t histogram_quantile(const struct histogram *histogram, double quantile)
{
    uint64_t count = histogram_count(histogram);
    if (count == 0)
        return 0;
    uint64_t rank = quantile_rank(count, quantile), seen = 0;
    unsigned last = 0;
    for (unsigned i = 0; i < HISTOGRAM_BUCKET_COUNT && seen < rank; i++) {
        seen += read_cell(&histogram->bucket[i]);
        last = i;
    }
    uint64_t low = histogram_bucket_low(last);
    return low + (histogram_bucket_high(last) - low) / 2;
}

uint64_t histogram_count_below(const struct histogram *histogram, uint64_t limit)
{
    uint64_t count = 0;
    for (unsigned i = 0; i <= histogram_bucket_of(limit); i++)
        count += read_cell(&histogram->bucket[i]);
    return count;
}
