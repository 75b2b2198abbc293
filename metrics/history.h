/* What the counters and gauges were: 1 s for 15 min, 10 s for 6 h, 5 min for 14 d, in fixed memory, so that a
 * graph is there when the page opens and every figure can name its window (10 s, 1 m, 5 m, 1 h, total).
 *
 * Place: metrics. The main thread calls history_sample once a second; the admin server reads.
 * Thread-safety: any thread; one mutex, never taken by a worker. */
#ifndef VITRINE_METRICS_HISTORY_H
#define VITRINE_METRICS_HISTORY_H

#include "metrics/histogram.h"
#include "metrics/metrics.h"

struct history;
struct history *history_create(struct metrics *metrics);
void history_destroy(struct history *history);

/* Takes one sample; `second` is clock_s(). Called each second; a missed second leaves a gap, not a guess. */
void history_sample(struct history *history, uint32_t second);

/* The recorded series: the rows of series.def, each a level or the growth of a counter a second. */
unsigned history_series_count(void);
const char *history_series_name(unsigned series);
int history_series_find(const char *name); /* -1: none of that name */

struct history_series {
    const char *name;
    const char *unit; /* "RATIO", "COUNT", "BYTES", "SECONDS", "PER_SECOND", "BYTES_PER_SECOND" or "CORES" */
    const char *text;
};
const struct history_series *history_series_row(unsigned series);

struct history_point {
    uint32_t second; /* clock_s() at the end of the step */
    double value;    /* NaN where nothing was sampled, or a ratio had nothing to divide */
};
struct history_range {
    uint32_t from_s, to_s; /* coarse seconds, both included */
    uint32_t step_s;       /* asked for: at least this; told: the step of the points */
};
/* Points of the range at the finest of 1, 10 and 300 s that is at least the step and reaches back to its
 * begin; at most `max` of them, the newest ones, oldest first. Returns their count. */
size_t history_read(struct history *history, unsigned series, struct history_range *range,
                    struct history_point *out, size_t max);

enum history_window { WINDOW_10S, WINDOW_1M, WINDOW_5M, WINDOW_1H, WINDOW_TOTAL, WINDOW_COUNT };
const char *history_window_name(enum history_window window); /* "10s" .. "total" */
int history_window_find(const char *name);                   /* -1: none of that name */

/* The counters' growth over the window (gauges: their level now) and how many seconds it really spans. The
 * latency histogram covers all requests of the window. The bands of *growth are since the start. Any of the
 * pointers may be NULL. */
void history_window_read(struct history *history, enum history_window window, struct metrics_snapshot *growth,
                         double *seconds, struct histogram *latency);
size_t history_memory_size(const struct history *history);

#endif
