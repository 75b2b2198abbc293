#include "metrics/history.h"

#include "base/assert.h"
#include "base/clock.h"
#include "base/lock.h"
#include "metrics/history_priv.h"
#include "metrics/metrics_priv.h"

#include <stdlib.h>
#include <string.h>

#define RESOLUTION_COUNT 3u
#define MARKS_COUNT      3u
#define NS_PER_S         1e9

/* Finest first. */
static const struct {
    uint32_t step_s, capacity;
} resolutions[RESOLUTION_COUNT] = {{1, 900}, {10, 2160}, {300, 4032}},
  mark_steps[MARKS_COUNT] = {{1, 61}, {10, 31}, {60, 61}};

static const struct {
    const char *name;
    uint32_t span_s; /* 0: since the start */
    unsigned marks;  /* which of mark_steps serves it */
} windows[WINDOW_COUNT] = {
    [WINDOW_10S] = {"10s", 10, 0}, [WINDOW_1M] = {"1m", 60, 0},      [WINDOW_5M] = {"5m", 300, 1},
    [WINDOW_1H] = {"1h", 3600, 2}, [WINDOW_TOTAL] = {"total", 0, 0},
};

struct history {
    struct metrics *metrics; /* borrowed */
    struct lock lock;        /* guards all that follows */
    struct curves curves[RESOLUTION_COUNT];
    struct marks marks[MARKS_COUNT];
    struct pairs pairs;
    uint32_t start_s, sampled_s; /* coarse seconds of the creation and of the last sample */
    uint64_t sampled_ns;         /* clock_ns() of the last sample */
    size_t memory_size;
};

void reading_take(struct reading *reading, struct metrics *metrics, uint32_t second)
{
    reading->second = second;
    metrics_snapshot_take(metrics, &reading->snapshot);
    metrics_latency_read(metrics, -1, -1, &reading->latency);
}

/* ---- life ---- */

static void free_parts(struct history *history)
{
    for (unsigned i = 0; i < RESOLUTION_COUNT; i++)
        curves_fini(&history->curves[i]);
    for (unsigned i = 0; i < MARKS_COUNT; i++)
        marks_fini(&history->marks[i]);
}

static bool init_parts(struct history *history, const struct reading *start)
{
    bool made = true;
    history->memory_size = sizeof *history;
    for (unsigned i = 0; i < RESOLUTION_COUNT; i++) {
        made &= curves_init(&history->curves[i], resolutions[i].step_s, resolutions[i].capacity, start);
        history->memory_size += curves_memory_size(&history->curves[i]);
    }
    for (unsigned i = 0; i < MARKS_COUNT; i++) {
        made &= marks_init(&history->marks[i], mark_steps[i].step_s, mark_steps[i].capacity);
        history->memory_size += marks_memory_size(&history->marks[i]);
    }
    return made;
}

static void take_marks(struct history *history, const struct reading *reading)
{
    for (unsigned i = 0; i < MARKS_COUNT; i++)
        marks_sample(&history->marks[i], &history->pairs, reading);
    history->sampled_s = reading->second;
    history->sampled_ns = clock_ns();
}

struct history *history_create(struct metrics *metrics)
{
    struct history *history = calloc(1, sizeof *history);
    if (history == NULL)
        return NULL;
    struct reading start;
    reading_take(&start, metrics, clock_s());
    if (!init_parts(history, &start)) {
        free_parts(history);
        free(history);
        return NULL;
    }
    history->metrics = metrics;
    history->start_s = start.second;
    lock_init(&history->lock, LOCK_METRICS_HISTORY);
    take_marks(history, &start);
    metrics_memory_add(metrics, history->memory_size);
    return history;
}

void history_destroy(struct history *history)
{
    if (history == NULL)
        return;
    metrics_memory_add(history->metrics, 0 - history->memory_size);
    free_parts(history);
    lock_fini(&history->lock);
    free(history);
}

size_t history_memory_size(const struct history *history)
{
    return history->memory_size;
}

/* ---- recording and reading ---- */

void history_sample(struct history *history, uint32_t second)
{
    struct reading reading;
    reading_take(&reading, history->metrics, second);
    lock_acquire(&history->lock);
    if (second > history->sampled_s) {
        for (unsigned i = 0; i < RESOLUTION_COUNT; i++)
            curves_sample(&history->curves[i], &reading);
        take_marks(history, &reading);
    }
    lock_release(&history->lock);
}

/* The finest resolution that is coarse enough and reaches back to `from`; the coarsest if none does. */
static const struct curves *choose_curves(const struct history *history, uint32_t from, uint32_t step_s)
{
    for (unsigned i = 0; i < RESOLUTION_COUNT - 1; i++)
        if (resolutions[i].step_s >= step_s && curves_hold(&history->curves[i], from))
            return &history->curves[i];
    return &history->curves[RESOLUTION_COUNT - 1];
}

size_t history_read(struct history *history, unsigned series, struct history_range *range,
                    struct history_point *out, size_t max)
{
    ASSERT(series < SERIES_COUNT);
    lock_acquire(&history->lock);
    const struct curves *curves = choose_curves(history, range->from_s, range->step_s);
    range->step_s = curves->step_s;
    size_t count = max == 0 ? 0 : curves_read(curves, series, range, out, max);
    lock_release(&history->lock);
    return count;
}

/* ---- windows ---- */

const char *history_window_name(enum history_window window)
{
    ASSERT(window < WINDOW_COUNT);
    return windows[window].name;
}

int history_window_find(const char *name)
{
    for (unsigned i = 0; i < WINDOW_COUNT; i++)
        if (strcmp(windows[i].name, name) == 0)
            return (int)i;
    return -1;
}

/* Turns the reading into the window's growth; returns the second at which the window begins. */
static uint32_t subtract_window(const struct history *history, enum history_window window,
                                struct reading *reading)
{
    if (windows[window].span_s == 0)
        return history->start_s;
    const struct marks *marks = &history->marks[windows[window].marks];
    uint64_t base = marks_base(marks, history->sampled_s, windows[window].span_s);
    marks_growth(marks, &history->pairs, base, reading);
    return marks_second(marks, base);
}

void history_window_read(struct history *history, enum history_window window, struct metrics_snapshot *growth,
                         double *seconds, struct histogram *latency)
{
    ASSERT(window < WINDOW_COUNT);
    struct reading reading;
    reading_take(&reading, history->metrics, clock_s());
    lock_acquire(&history->lock);
    uint32_t begin_s = subtract_window(history, window, &reading);
    /* Coarse seconds up to the last sample, then the precise clock: the window ends now. */
    double since_sample_s = (double)(clock_ns() - history->sampled_ns) / NS_PER_S;
    double spanned_s = (double)(history->sampled_s - begin_s) + since_sample_s;
    lock_release(&history->lock);
    if (growth != NULL)
        *growth = reading.snapshot;
    if (seconds != NULL)
        *seconds = spanned_s;
    if (latency != NULL)
        *latency = reading.latency;
}
