/* /api/v1/history: what the figures were, as columns over one line of times. */
#include "admin/request_priv.h"
#include "base/clock.h"
#include "base/number.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

#define SERIES_MAX     16u
#define POINTS_MAX     4096u /* 14 days at 5 minutes */
#define DEFAULT_SPAN_S 900u

struct span {
    uint32_t from, to; /* coarse seconds */
    uint32_t step_s;
    unsigned series[SERIES_MAX];
    unsigned series_count;
};

static json_t *list_series(void)
{
    json_t *list = json_array();
    for (unsigned i = 0; i < history_series_count(); i++) {
        const struct history_series *row = history_series_row(i);
        json_t *entry = json_object();
        json_put_text(entry, "name", row->name);
        json_put_text(entry, "unit", row->unit);
        json_put_text(entry, "help", row->text);
        json_array_append_new(list, entry);
    }
    return list;
}

static bool add_series(struct span *span, struct slice name)
{
    char text[48];
    if (name.size >= sizeof(text) || span->series_count == SERIES_MAX)
        return false;
    memcpy(text, name.data, name.size);
    text[name.size] = '\0';
    int found = strlen(text) == name.size ? history_series_find(text) : -1;
    if (found < 0)
        return false;
    span->series[span->series_count++] = (unsigned)found;
    return true;
}

static bool read_series(const struct request *request, struct reply *reply, struct span *span)
{
    struct slice rest = request->query[PARAM_metric];
    while (rest.size > 0) {
        const char *comma = memchr(rest.data, ',', rest.size);
        size_t size = comma != NULL ? (size_t)(comma - rest.data) : rest.size;
        if (!add_series(span, (struct slice){rest.data, size})) {
            reply_field_problem(reply, 400, "metric", "is no list of at most 16 known series");
            return false;
        }
        size += comma != NULL ? 1 : 0;
        rest = (struct slice){rest.data + size, rest.size - size};
    }
    return true;
}

/* A Unix time; *out is left alone when the parameter is absent. */
static bool read_time(const struct request *request, struct reply *reply, enum param param, int64_t *out)
{
    struct slice text = request->query[param];
    if (text.data == NULL ||
        (number_parse_i64(text.data, text.size, out) && *out >= 0 && *out <= (int64_t)UINT32_MAX))
        return true;
    reply_field_problem(reply, 400, param_name(param), "is no Unix time in seconds");
    return false;
}

static bool read_step(const struct request *request, struct reply *reply, struct span *span)
{
    static const char *const words[] = {"1", "10", "300", NULL};
    static const uint32_t steps[] = {1, 10, 300};
    static const uint64_t points_limits[3] = {1, POINTS_MAX, POINTS_MAX};
    uint64_t points;
    int step = request_choice(request, reply, PARAM_step, words, 0);
    if (step < 0 || !request_number(request, reply, PARAM_points, points_limits, &points))
        return false;
    while (step < 2 && (span->to - span->from) / steps[step] > points)
        step++;
    span->step_s = steps[step];
    return true;
}

static bool read_span(const struct request *request, struct reply *reply, struct span *span)
{
    int64_t to = clock_wall_s(clock_s());
    if (!read_time(request, reply, PARAM_to, &to))
        return false;
    int64_t from = to > DEFAULT_SPAN_S ? to - DEFAULT_SPAN_S : 0;
    if (!read_time(request, reply, PARAM_from, &from))
        return false;
    if (from > to) {
        reply_field_problem(reply, 400, "from", "lies behind `to`");
        return false;
    }
    span->from = clock_from_wall_s(from);
    span->to = clock_from_wall_s(to);
    return read_series(request, reply, span) && read_step(request, reply, span);
}

/* One series as the values at the times of the first one: the clock may tick between two readings. */
static json_t *column(const struct history_point *points, size_t count, const struct history_point *times,
                      size_t time_count)
{
    json_t *values = json_array();
    size_t at = 0;
    for (size_t i = 0; i < time_count; i++) {
        while (at < count && points[at].second < times[i].second)
            at++;
        bool present = at < count && points[at].second == times[i].second;
        json_array_append_new(values, json_number(present ? points[at].value : NAN));
    }
    return values;
}

static json_t *history_tree(struct history *history, const struct span *span, struct history_point *times,
                            struct history_point *points)
{
    struct history_range first = {span->from, span->to, span->step_s};
    size_t time_count = history_read(history, span->series[0], &first, times, POINTS_MAX);
    json_t *tree = json_object(), *clock = json_array(), *series = json_object();
    for (size_t i = 0; i < time_count; i++)
        json_array_append_new(clock, json_integer(clock_wall_s(times[i].second)));
    for (unsigned i = 0; i < span->series_count; i++) {
        struct history_range range = {span->from, span->to, span->step_s};
        size_t count = history_read(history, span->series[i], &range, points, POINTS_MAX);
        json_put(series, history_series_name(span->series[i]), column(points, count, times, time_count));
    }
    json_put_count(tree, "step_seconds", first.step_s);
    json_put(tree, "times", clock);
    json_put(tree, "series", series);
    return tree;
}

void api_history(struct request *request, struct reply *reply)
{
    struct span span = {0};
    if (!read_span(request, reply, &span))
        return;
    if (span.series_count == 0) {
        json_t *tree = json_object();
        json_put(tree, "series", list_series());
        reply_json(reply, 200, tree);
        return;
    }
    struct history_point *points = malloc(2 * POINTS_MAX * sizeof(*points));
    if (points == NULL) {
        reply_problem(reply, 503, "out of memory");
        return;
    }
    reply_json(reply, 200, history_tree(request->parts->history, &span, points, points + POINTS_MAX));
    free(points);
}
