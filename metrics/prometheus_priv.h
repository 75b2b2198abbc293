/* One exposition in the making: what prometheus.c (the format) and samples.c (the sources) share. */
#ifndef VITRINE_METRICS_PROMETHEUS_PRIV_H
#define VITRINE_METRICS_PROMETHEUS_PRIV_H

#include "metrics/histogram.h"
#include "metrics/prometheus.h"

struct exposition {
    struct metrics *metrics;
    const struct prometheus_options *options;
    struct buffer *out;
    const struct prometheus_family *family; /* whose samples are being written */
    struct metrics_snapshot snapshot;       /* one for all: figures agree with each other */
};

/* `scale` divides the value: 1, or 1000000 for microseconds told as seconds. */
#define EXPOSITION_LABELS_MAX 192
void exposition_sample(struct exposition *to, const char *labels, uint64_t value, uint32_t scale);

/* A histogram told at `limits` (ascending, in the histogram's unit) and at infinity. */
struct exposition_limits {
    const uint64_t *limit;
    unsigned count;
    uint32_t scale; /* of the values: 1, or 1000000000 for nanoseconds told as seconds */
};
void exposition_histogram(struct exposition *to, const char *labels, const struct histogram *histogram,
                          const struct exposition_limits *limits);

/* Writes name="value" with the value escaped into `out`, which holds EXPOSITION_LABELS_MAX bytes; what is too
 * long is cut at a whole character. */
void exposition_label(char *out, const char *name, const char *value);

/* The samples of one family. */
typedef void (*exposition_source_fn)(struct exposition *to);
#define SOURCE(name) void exposition_##name(struct exposition *to)
SOURCE(rows);
SOURCE(used_rows);
SOURCE(bands);
SOURCE(up);
SOURCE(version);
SOURCE(band_items);
SOURCE(band_sizes);
SOURCE(band_bytes);
SOURCE(band_chunks_per_page);
SOURCE(band_pages);
SOURCE(band_chunks);
SOURCE(band_chunks_free);
SOURCE(band_chunks_free_end);
SOURCE(band_commands);
SOURCE(never);
SOURCE(open_descriptors);
SOURCE(max_descriptors);
SOURCE(build);
SOURCE(requests);
SOURCE(latency);
SOURCE(value_sizes);
SOURCE(set_ttls);
SOURCE(evicted_ages);
SOURCE(evicted_idles);
SOURCE(locks);

#endif
