/* The parts of history: curves (rings of points, three resolutions) and marks (past counters, for windows).
 */
#ifndef VITRINE_METRICS_HISTORY_PRIV_H
#define VITRINE_METRICS_HISTORY_PRIV_H

#include "metrics/history.h"

enum series {
#define SERIES(id, unit, how, a, b, text) SERIES_##id,
#include "metrics/series.def"
    SERIES_COUNT
};

/* All counters at one moment. */
struct reading {
    uint32_t second;
    struct metrics_snapshot snapshot;
    struct histogram latency;
};
void reading_take(struct reading *reading, struct metrics *metrics, uint32_t second);

/* ---- curves ---- */
struct curves {
    uint32_t step_s, capacity;      /* points held a series */
    uint32_t first_step, last_step; /* second / step_s of the oldest point ever and of the newest */
    double (*points)[SERIES_COUNT]; /* [step % capacity]; owned */
    uint32_t second;                /* of the reading before, which the next point grows from: */
    uint64_t value[METRIC_COUNT];
    struct histogram latency;
};
bool curves_init(struct curves *curves, uint32_t step_s, uint32_t capacity, const struct reading *start);
void curves_fini(struct curves *curves);
/* Closes the steps that have ended by the reading's second. */
void curves_sample(struct curves *curves, const struct reading *reading);
bool curves_hold(const struct curves *curves, uint32_t second);
size_t curves_read(const struct curves *curves, unsigned series, const struct history_range *range,
                   struct history_point *out, size_t max);
size_t curves_memory_size(const struct curves *curves);

/* ---- marks ---- */
/* Pairs of the request matrix that marks have room for; the command table gives rise to fewer. */
#define PAIRS_MAX 192u

struct pairs {
    uint8_t slot[METRICS_COMMAND_MAX][RESULT_COUNT]; /* 0: the pair has not occurred; else its place + 1 */
    unsigned count;
};

/* What was counted at the marks, each counter's values beside each other: most counters of a server stay 0,
 * and the pages of those are never touched. */
struct mark_cells {
    uint32_t *second;
    uint64_t *value[METRIC_COUNT]; /* those of gauges stay 0 */
    uint64_t *request[PAIRS_MAX];
    uint64_t *latency_sum;                     /* growth since the mark before, */
    uint32_t *latency[HISTOGRAM_BUCKET_COUNT]; /* as are these */
};

struct marks {
    uint32_t step_s, capacity;
    uint64_t count;           /* ever taken; the newest is at (count - 1) % capacity */
    void *pages;              /* owned: where the cells lie */
    struct mark_cells cells;  /* each with room for `capacity` */
    struct histogram latency; /* at the newest mark */
};
bool marks_init(struct marks *marks, uint32_t step_s, uint32_t capacity);
void marks_fini(struct marks *marks);
/* Takes a mark if a step has ended by the reading's second. */
void marks_sample(struct marks *marks, struct pairs *pairs, const struct reading *reading);
/* The number of the newest mark at least `span_s` older than `second`, or of the oldest there is. */
uint64_t marks_base(const struct marks *marks, uint32_t second, uint32_t span_s);
uint32_t marks_second(const struct marks *marks, uint64_t number);
/* Turns a reading of now into its growth since mark `base`: gauges and bands stay as they are. */
void marks_growth(const struct marks *marks, const struct pairs *pairs, uint64_t base,
                  struct reading *reading);
size_t marks_memory_size(const struct marks *marks); /* when all of it is touched */

#endif
