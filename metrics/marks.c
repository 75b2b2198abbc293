/* Marks: what the counters were at past moments, so that "the last minute" is a subtraction. A mark keeps the
 * pairs of the request matrix that occur and the latency histogram as narrow differences: a full snapshot a
 * second would be ten times as large. */
#include "base/pages.h"
#include "metrics/history_priv.h"

#define WIDE_COUNT   (METRIC_COUNT + (size_t)PAIRS_MAX + 1) /* of 64 bits */
#define NARROW_COUNT (HISTOGRAM_BUCKET_COUNT + (size_t)1)

size_t marks_memory_size(const struct marks *marks)
{
    return marks->capacity * (WIDE_COUNT * sizeof(uint64_t) + NARROW_COUNT * sizeof(uint32_t));
}

bool marks_init(struct marks *marks, uint32_t step_s, uint32_t capacity)
{
    *marks = (struct marks){.step_s = step_s, .capacity = capacity};
    marks->pages = pages_take(marks_memory_size(marks));
    if (marks->pages == NULL)
        return false;
    struct mark_cells *cells = &marks->cells;
    uint64_t *wide = marks->pages;
    for (unsigned id = 0; id < METRIC_COUNT; id++, wide += capacity)
        cells->value[id] = wide;
    for (unsigned pair = 0; pair < PAIRS_MAX; pair++, wide += capacity)
        cells->request[pair] = wide;
    cells->latency_sum = wide;
    uint32_t *narrow = (uint32_t *)(wide + capacity);
    for (unsigned bucket = 0; bucket < HISTOGRAM_BUCKET_COUNT; bucket++, narrow += capacity)
        cells->latency[bucket] = narrow;
    cells->second = narrow;
    return true;
}

void marks_fini(struct marks *marks)
{
    pages_give(marks->pages, marks_memory_size(marks));
}

static size_t place_of(const struct marks *marks, uint64_t number)
{
    return number % marks->capacity;
}

uint32_t marks_second(const struct marks *marks, uint64_t number)
{
    return marks->cells.second[place_of(marks, number)];
}

/* What is as it should be is not written: so nothing touches what was always 0. */
static void put(uint64_t *cell, uint64_t value)
{
    if (*cell != value)
        *cell = value;
}

static bool is_kept(unsigned id)
{
    return metrics_row((enum metric)id)->kind != METRIC_GAUGE;
}

static void copy_values(const struct mark_cells *cells, size_t at, const struct metrics_snapshot *snapshot)
{
    for (unsigned id = 0; id < METRIC_COUNT; id++)
        if (is_kept(id))
            put(&cells->value[id][at], snapshot->value[id]);
}

/* A pair that first occurs gets a place that is 0 in every earlier mark, which is what its count was. */
static void copy_requests(const struct mark_cells *cells, size_t at, struct pairs *pairs,
                          const struct metrics_snapshot *snapshot)
{
    for (unsigned command = 0; command < METRICS_COMMAND_MAX; command++)
        for (unsigned result = 0; result < RESULT_COUNT; result++) {
            uint64_t count = snapshot->request[command][result];
            uint8_t *slot = &pairs->slot[command][result];
            if (count != 0 && *slot == 0 && pairs->count < PAIRS_MAX)
                *slot = (uint8_t)++pairs->count;
            if (*slot != 0)
                put(&cells->request[*slot - 1][at], count);
        }
}

/* A step of a minute would have to see 2^32 requests of one latency to overflow a difference. */
static void copy_latency(struct marks *marks, size_t at, const struct histogram *now)
{
    struct histogram growth = *now;
    histogram_subtract(&growth, &marks->latency);
    for (unsigned i = 0; i < HISTOGRAM_BUCKET_COUNT; i++) {
        uint32_t count = (uint32_t)atomic_load_explicit(&growth.bucket[i], memory_order_relaxed);
        if (marks->cells.latency[i][at] != count)
            marks->cells.latency[i][at] = count;
    }
    put(&marks->cells.latency_sum[at], atomic_load_explicit(&growth.sum, memory_order_relaxed));
    marks->latency = *now;
}

void marks_sample(struct marks *marks, struct pairs *pairs, const struct reading *reading)
{
    if (marks->count != 0 &&
        reading->second / marks->step_s <= marks_second(marks, marks->count - 1) / marks->step_s)
        return;
    size_t at = place_of(marks, marks->count++);
    marks->cells.second[at] = reading->second;
    copy_values(&marks->cells, at, &reading->snapshot);
    copy_requests(&marks->cells, at, pairs, &reading->snapshot);
    copy_latency(marks, at, &reading->latency);
}

uint64_t marks_base(const struct marks *marks, uint32_t second, uint32_t span_s)
{
    uint64_t number = marks->count - 1;
    uint64_t oldest = marks->count > marks->capacity ? marks->count - marks->capacity : 0;
    while (number > oldest && marks_second(marks, number) + span_s > second)
        number--;
    return number;
}

/* A reader may have read the counters just before a sample was taken: never let that wrap. */
static uint64_t growth_of(uint64_t now, uint64_t before)
{
    return now > before ? now - before : 0;
}

static void subtract_values(struct metrics_snapshot *snapshot, const struct mark_cells *cells, size_t base)
{
    for (unsigned id = 0; id < METRIC_COUNT; id++)
        if (is_kept(id))
            snapshot->value[id] = growth_of(snapshot->value[id], cells->value[id][base]);
}

/* What the pair's count was. A pair without a place had not occurred, or there was none left: its growth is
 * then unknown, and told as 0 (the count of all requests stays exact). */
static uint64_t requests_before(const struct pairs *pairs, const struct mark_cells *cells, size_t base,
                                unsigned slot, uint64_t now)
{
    if (slot != 0)
        return cells->request[slot - 1][base];
    return pairs->count < PAIRS_MAX ? 0 : now;
}

static void subtract_requests(struct metrics_snapshot *snapshot, const struct pairs *pairs,
                              const struct mark_cells *cells, size_t base)
{
    for (unsigned command = 0; command < METRICS_COMMAND_MAX; command++)
        for (unsigned result = 0; result < RESULT_COUNT; result++) {
            uint64_t *count = &snapshot->request[command][result];
            unsigned slot = pairs->slot[command][result];
            *count = growth_of(*count, requests_before(pairs, cells, base, slot, *count));
        }
}

static uint64_t latency_since(const struct marks *marks, unsigned bucket, uint64_t base)
{
    uint64_t count = 0;
    for (uint64_t number = base + 1; number < marks->count; number++)
        count += marks->cells.latency[bucket][place_of(marks, number)];
    return count;
}

static void add_latency(struct histogram *into, const struct marks *marks, uint64_t base)
{
    for (unsigned i = 0; i < HISTOGRAM_BUCKET_COUNT; i++) {
        uint64_t count = atomic_load_explicit(&into->bucket[i], memory_order_relaxed);
        atomic_store_explicit(&into->bucket[i], count + latency_since(marks, i, base), memory_order_relaxed);
    }
    uint64_t sum = atomic_load_explicit(&into->sum, memory_order_relaxed);
    for (uint64_t number = base + 1; number < marks->count; number++)
        sum += marks->cells.latency_sum[place_of(marks, number)];
    atomic_store_explicit(&into->sum, sum, memory_order_relaxed);
}

void marks_growth(const struct marks *marks, const struct pairs *pairs, uint64_t base,
                  struct reading *reading)
{
    subtract_values(&reading->snapshot, &marks->cells, place_of(marks, base));
    subtract_requests(&reading->snapshot, pairs, &marks->cells, place_of(marks, base));
    histogram_subtract(&reading->latency, &marks->latency);
    add_latency(&reading->latency, marks, base);
}
