/* A log-linear histogram of 64-bit values: 16 steps an octave, so a reported value is within 3.2 % of the
 * recorded one (H2 histogram; grouping power 4, midpoints reported).
 *
 * Place: metrics. Thread-safety: one writer (histogram_add); readers merge with relaxed loads at any time.
 * Values of 0 .. 2^40 are told apart; larger ones count as 2^40. */
#ifndef VITRINE_METRICS_HISTOGRAM_H
#define VITRINE_METRICS_HISTOGRAM_H

#include <stdatomic.h>
#include <stdint.h>

#define HISTOGRAM_STEP_BITS    4u
#define HISTOGRAM_OCTAVES      40u
#define HISTOGRAM_BUCKET_COUNT ((HISTOGRAM_OCTAVES - HISTOGRAM_STEP_BITS + 1u) << HISTOGRAM_STEP_BITS)

/* On lines of its own: the writer of one must not be slowed down by the writer of its neighbour. */
struct histogram {
    _Alignas(64) _Atomic uint64_t sum; /* of the exact values */
    _Atomic uint64_t bucket[HISTOGRAM_BUCKET_COUNT];
};

/* Below 16 a bucket holds one value; from there each octave is cut into 16 equal steps. */
static inline unsigned histogram_bucket_of(uint64_t value)
{
    if (value < 1u << HISTOGRAM_STEP_BITS)
        return (unsigned)value;
    unsigned octave = 63u - (unsigned)__builtin_clzll(value);
    if (octave >= HISTOGRAM_OCTAVES)
        return HISTOGRAM_BUCKET_COUNT - 1;
    unsigned shift = octave - HISTOGRAM_STEP_BITS;
    return (unsigned)(((uint64_t)shift << HISTOGRAM_STEP_BITS) + (value >> shift));
}

/* Relaxed: a bucket is one writer's counter, and a reader that sees it a moment late is not wrong. */
static inline void histogram_add(struct histogram *histogram, uint64_t value, uint64_t count)
{
    _Atomic uint64_t *bucket = &histogram->bucket[histogram_bucket_of(value)];
    atomic_store_explicit(bucket, atomic_load_explicit(bucket, memory_order_relaxed) + count,
                          memory_order_relaxed);
    if (value != 0)
        atomic_store_explicit(&histogram->sum,
                              atomic_load_explicit(&histogram->sum, memory_order_relaxed) + value * count,
                              memory_order_relaxed);
}

void histogram_merge(struct histogram *into, const struct histogram *from);
/* a - b, for a window: b is an earlier reading of the same histogram. */
void histogram_subtract(struct histogram *a, const struct histogram *b);
uint64_t histogram_count(const struct histogram *histogram);
/* The value below which the share `quantile` (0..1) of the recorded values lies; 0 when empty. */
uint64_t histogram_quantile(const struct histogram *histogram, double quantile);
/* How many recorded values are <= `limit`, for Prometheus' cumulative buckets; the bucket that `limit` lies
 * in is counted whole, so that a value equal to it always is. */
uint64_t histogram_count_below(const struct histogram *histogram, uint64_t limit);
uint64_t histogram_bucket_low(unsigned bucket);
uint64_t histogram_bucket_high(unsigned bucket);

#endif
