/* Curves: for each resolution a ring of points, each worked out from the readings at both ends of its step.
 * Every resolution keeps its own earlier reading, so a coarse point is exact and no average of averages. */
#include "base/pages.h"
#include "metrics/history_priv.h"

#include <math.h>
#include <string.h>

#define US_PER_S 1e6
#define NS_PER_S 1e9
#define NONE     METRIC_COUNT

/* Steps by which "the last 15 minutes" may be late and still be answered by the ring of 15 minutes. */
#define HOLD_SLACK 2u

/* What happened between two readings. */
struct growth {
    const uint64_t *before, *now;
    const struct histogram *latency;
    double seconds;
};

static double grown(const struct growth *growth, unsigned id)
{
    if (id == NONE || growth->now[id] < growth->before[id])
        return 0;
    return (double)(growth->now[id] - growth->before[id]);
}

static double value_level(const struct growth *growth, unsigned a, unsigned b)
{
    (void)b;
    return (double)growth->now[a];
}

static double value_rate(const struct growth *growth, unsigned a, unsigned b)
{
    return (grown(growth, a) + grown(growth, b)) / growth->seconds;
}

static double value_share(const struct growth *growth, unsigned a, unsigned b)
{
    double whole = grown(growth, a) + grown(growth, b);
    return whole > 0 ? grown(growth, a) / whole : (double)NAN;
}

static double value_cpu(const struct growth *growth, unsigned a, unsigned b)
{
    (void)b;
    return grown(growth, a) / US_PER_S / growth->seconds;
}

static double value_latency(const struct growth *growth, unsigned a, unsigned b)
{
    (void)b;
    if (histogram_count(growth->latency) == 0)
        return (double)NAN;
    return (double)histogram_quantile(growth->latency, a / 1000.0) / NS_PER_S;
}

#define value_LEVEL   value_level
#define value_RATE    value_rate
#define value_SHARE   value_share
#define value_CPU     value_cpu
#define value_LATENCY value_latency

static const struct series_row {
    struct history_series text;
    double (*value)(const struct growth *growth, unsigned a, unsigned b);
    unsigned a, b;
} rows[SERIES_COUNT] = {
#define SERIES(id, unit_, how, a_, b_, text_) [SERIES_##id] = {{#id, #unit_, text_}, value_##how, a_, b_},
#include "metrics/series.def"
};

unsigned history_series_count(void)
{
    return SERIES_COUNT;
}

const struct history_series *history_series_row(unsigned series)
{
    return &rows[series].text;
}

const char *history_series_name(unsigned series)
{
    return rows[series].text.name;
}

int history_series_find(const char *name)
{
    for (unsigned i = 0; i < SERIES_COUNT; i++)
        if (strcmp(rows[i].text.name, name) == 0)
            return (int)i;
    return -1;
}

/* ---- one resolution ---- */

static void blank(struct curves *curves, uint32_t step)
{
    for (unsigned series = 0; series < SERIES_COUNT; series++)
        curves->points[step % curves->capacity][series] = (double)NAN;
}

static void keep(struct curves *curves, const struct reading *reading)
{
    curves->second = reading->second;
    memcpy(curves->value, reading->snapshot.value, sizeof curves->value);
    curves->latency = reading->latency;
}

bool curves_init(struct curves *curves, uint32_t step_s, uint32_t capacity, const struct reading *start)
{
    *curves = (struct curves){.step_s = step_s, .capacity = capacity};
    curves->points = pages_take(capacity * sizeof *curves->points);
    if (curves->points == NULL)
        return false;
    curves->last_step = start->second / step_s;
    curves->first_step = curves->last_step + 1;
    keep(curves, start);
    return true;
}

void curves_fini(struct curves *curves)
{
    pages_give(curves->points, curves->capacity * sizeof *curves->points);
}

static void write_point(struct curves *curves, uint32_t step, const struct reading *reading)
{
    struct histogram latency = reading->latency;
    histogram_subtract(&latency, &curves->latency);
    struct growth growth = {.before = curves->value,
                            .now = reading->snapshot.value,
                            .latency = &latency,
                            .seconds = (double)(reading->second - curves->second)};
    double *point = curves->points[step % curves->capacity];
    for (unsigned i = 0; i < SERIES_COUNT; i++)
        point[i] = rows[i].value(&growth, rows[i].a, rows[i].b);
}

void curves_sample(struct curves *curves, const struct reading *reading)
{
    uint32_t step = reading->second / curves->step_s;
    if (step <= curves->last_step)
        return;
    uint32_t missed = step - curves->last_step - 1;
    if (missed > curves->capacity)
        missed = curves->capacity;
    for (uint32_t i = 1; i <= missed; i++)
        blank(curves, step - i);
    write_point(curves, step, reading);
    curves->last_step = step;
    keep(curves, reading);
}

static uint32_t oldest_step(const struct curves *curves)
{
    uint32_t held = curves->last_step >= curves->capacity ? curves->last_step - curves->capacity + 1 : 0;
    return held > curves->first_step ? held : curves->first_step;
}

bool curves_hold(const struct curves *curves, uint32_t second)
{
    uint32_t oldest = oldest_step(curves);
    return oldest == curves->first_step || second + HOLD_SLACK * curves->step_s >= oldest * curves->step_s;
}

size_t curves_read(const struct curves *curves, unsigned series, const struct history_range *range,
                   struct history_point *out, size_t max)
{
    uint32_t step_s = curves->step_s;
    uint32_t first = range->from_s / step_s + (range->from_s % step_s != 0), last = range->to_s / step_s;
    if (first < oldest_step(curves))
        first = oldest_step(curves);
    if (last > curves->last_step)
        last = curves->last_step;
    if (first > last)
        return 0;
    if (last - first >= max)
        first = last - (uint32_t)max + 1;
    size_t count = 0;
    for (uint32_t step = first; step <= last && count < max; step++)
        out[count++] = (struct history_point){.second = step * step_s,
                                              .value = curves->points[step % curves->capacity][series]};
    return count;
}

size_t curves_memory_size(const struct curves *curves)
{
    return curves->capacity * sizeof *curves->points;
}
