/* /metrics: every figure as text for Prometheus, exposition format 0.0.4 or OpenMetrics 1.0.
 *
 * Place: metrics; the admin server calls it once a scrape. First the families of memcached_exporter 0.16 with
 * its names, types, labels and help texts, quirks included, so that dashboards and alerts written for it work
 * unchanged; then what only this server can know, as process_* and vitrine_*. The rows are families.def.
 * Never a key as a label. Thread-safety: any thread. Source:
 * prometheus.io/docs/instrumenting/exposition_formats; OpenMetrics 1.0. */
#ifndef VITRINE_METRICS_PROMETHEUS_H
#define VITRINE_METRICS_PROMETHEUS_H

#include "base/buffer.h"
#include "metrics/metrics.h"

#define PROMETHEUS_TYPE_TEXT        "text/plain; version=0.0.4; charset=utf-8"
#define PROMETHEUS_TYPE_OPENMETRICS "application/openmetrics-text; version=1.0.0; charset=utf-8"

struct prometheus_options {
    bool openmetrics;
    const char *version; /* as `stats` tells it: the label of memcached_version; NULL: left out */
};

/* Appends the whole exposition. Out of memory is remembered by `out`. */
void prometheus_render(struct metrics *metrics, const struct prometheus_options *options, struct buffer *out);

/* The families, for documents and tests. */
struct prometheus_family {
    const char *name;
    const char *type; /* "counter", "gauge" or "histogram" */
    const char *text;
};
unsigned prometheus_family_count(void);
const struct prometheus_family *prometheus_family_row(unsigned family);

#endif
