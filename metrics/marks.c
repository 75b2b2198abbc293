/* Marks: what the counters were at past moments, so that "the last minute" is a subtraction. A mark keeps the
 * pairs of the request matrix that occur and the latency histogram as narrow differences: a full snapshot a
 * second would be ten times as large. */
#include "metrics/history_priv.h"

#include <stdlib.h>
#include <string.h>

bool marks_init(struct marks *marks, uint32_t step_s, uint32_t capacity)
{
    *marks = (struct marks){.step_s = step_s, .capacity = capacity};
    marks->marks = calloc(capacity, sizeof *marks->marks);
    return marks->marks != NULL;
}

void marks_fini(struct marks *marks)
{
    free(marks->marks);
}

static struct mark *mark_at(const struct marks *marks, uint64_t number)
{
    return &marks->marks[number % marks->capacity];
}

/* A pair that first occurs gets a place that is 0 in every earlier mark, which is what its count was. */
static void copy_requests(struct mark *mark, struct pairs *pairs, const struct metrics_snapshot *snapshot)
{
    for (unsigned command = 0; command < METRICS_COMMAND_MAX; command++)
        for (unsigned result = 0; result < RESULT_COUNT; result++) {
            uint64_t count = snapshot->request[command][result];
            uint8_t *slot = &pairs->slot[command][result];
            if (count != 0 && *slot == 0 && pairs->count < PAIRS_MAX)
                *slot = (uint8_t)++pairs->count;
            if (*slot != 0)
                mark->request[*slot - 1] = count;
        }
}

/* A step of 10 s would have to see 2^32 requests of one latency to overflow a difference. */
static void copy_latency(struct mark *mark, struct marks *marks, const struct histogram *now)
{
    struct histogram growth = *now;
    histogram_subtract(&growth, &marks->latency);
    for (unsigned i = 0; i < HISTOGRAM_BUCKET_COUNT; i++)
        mark->latency[i] = (uint32_t)atomic_load_explicit(&growth.bucket[i], memory_order_relaxed);
    mark->latency_sum = atomic_load_explicit(&growth.sum, memory_order_relaxed);
    marks->latency = *now;
}

void marks_sample(struct marks *marks, struct pairs *pairs, const struct reading *reading)
{
    if (marks->count != 0) {
        uint32_t newest_s = mark_at(marks, marks->count - 1)->second;
        if (reading->second / marks->step_s <= newest_s / marks->step_s)
            return;
    }
    struct mark *mark = mark_at(marks, marks->count++);
    mark->second = reading->second;
    memcpy(mark->value, reading->snapshot.value, sizeof mark->value);
    copy_requests(mark, pairs, &reading->snapshot);
    copy_latency(mark, marks, &reading->latency);
}

const struct mark *marks_base(const struct marks *marks, uint32_t second, uint32_t span_s)
{
    uint64_t number = marks->count - 1;
    uint64_t oldest = marks->count > marks->capacity ? marks->count - marks->capacity : 0;
    while (number > oldest && mark_at(marks, number)->second + span_s > second)
        number--;
    return mark_at(marks, number);
}

/* A reader may have read the counters just before a sample was taken: never let that wrap. */
static uint64_t growth_of(uint64_t now, uint64_t before)
{
    return now > before ? now - before : 0;
}

static void subtract_values(struct metrics_snapshot *snapshot, const struct mark *base)
{
    for (unsigned id = 0; id < METRIC_COUNT; id++)
        if (metrics_row((enum metric)id)->kind != METRIC_GAUGE)
            snapshot->value[id] = growth_of(snapshot->value[id], base->value[id]);
}

/* What the pair's count was. A pair without a place had not occurred, or there was none left: its growth is
 * then unknown, and told as 0 (the count of all requests stays exact). */
static uint64_t requests_before(const struct pairs *pairs, const struct mark *base, unsigned slot,
                                uint64_t now)
{
    if (slot != 0)
        return base->request[slot - 1];
    return pairs->count < PAIRS_MAX ? 0 : now;
}

static void subtract_requests(struct metrics_snapshot *snapshot, const struct pairs *pairs,
                              const struct mark *base)
{
    for (unsigned command = 0; command < METRICS_COMMAND_MAX; command++)
        for (unsigned result = 0; result < RESULT_COUNT; result++) {
            uint64_t *count = &snapshot->request[command][result];
            unsigned slot = pairs->slot[command][result];
            *count = growth_of(*count, requests_before(pairs, base, slot, *count));
        }
}

static void add_differences(struct histogram *into, const struct mark *mark)
{
    for (unsigned i = 0; i < HISTOGRAM_BUCKET_COUNT; i++) {
        uint64_t count = atomic_load_explicit(&into->bucket[i], memory_order_relaxed);
        atomic_store_explicit(&into->bucket[i], count + mark->latency[i], memory_order_relaxed);
    }
    uint64_t sum = atomic_load_explicit(&into->sum, memory_order_relaxed);
    atomic_store_explicit(&into->sum, sum + mark->latency_sum, memory_order_relaxed);
}

void marks_growth(const struct marks *marks, const struct pairs *pairs, const struct mark *base,
                  struct reading *reading)
{
    subtract_values(&reading->snapshot, base);
    subtract_requests(&reading->snapshot, pairs, base);
    histogram_subtract(&reading->latency, &marks->latency);
    for (uint64_t number = marks->count - 1; mark_at(marks, number) != base; number--)
        add_differences(&reading->latency, mark_at(marks, number));
}

size_t marks_memory_size(const struct marks *marks)
{
    return marks->capacity * sizeof *marks->marks;
}
