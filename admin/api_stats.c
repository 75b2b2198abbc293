/* /api/v1/stats: the figures of a window at a glance, the classic groups, and the reset. */
#include "admin/request_priv.h"
#include "base/clock.h"

#include <stdlib.h>
#include <string.h>

#define NS_A_SECOND 1e9
#define US_A_SECOND 1e6

static const char *const window_words[] = {"10s", "1m", "5m", "1h", "total", NULL};

/* What one answer is made of. `growth` is of the window, `now` since the start. */
struct figures {
    const struct admin_parts *parts;
    enum history_window window;
    double seconds;
    struct metrics_snapshot growth, now;
    struct histogram latency;
};

static uint64_t grown(const struct figures *figures, enum metric id)
{
    return figures->growth.value[id];
}

static double rate(const struct figures *figures, uint64_t count)
{
    return figures->seconds > 0 ? (double)count / figures->seconds : 0;
}

static void put_rate(json_t *object, const char *name, const struct figures *figures, uint64_t count)
{
    json_put_number(object, name, rate(figures, count));
}

static json_t *hit_ratios(const struct figures *figures, struct metrics_snapshot *scratch)
{
    json_t *ratios = json_object();
    for (int i = 0; i < WINDOW_COUNT; i++) {
        history_window_read(figures->parts->history, (enum history_window)i, scratch, NULL, NULL);
        json_put(ratios, history_window_name((enum history_window)i),
                 json_ratio(scratch->value[METRIC_get_hits], scratch->value[METRIC_get_misses]));
    }
    return ratios;
}

static json_t *miss_reasons(const struct figures *figures)
{
    json_t *reasons = json_object();
    json_put_count(reasons, "never_seen", grown(figures, METRIC_miss_never_seen));
    json_put_count(reasons, "expired", grown(figures, METRIC_miss_expired));
    json_put_count(reasons, "evicted", grown(figures, METRIC_miss_evicted));
    json_put_count(reasons, "deleted", grown(figures, METRIC_miss_deleted));
    json_put_count(reasons, "flushed", grown(figures, METRIC_miss_flushed));
    return reasons;
}

static json_t *operations(const struct figures *figures)
{
    uint64_t total = grown(figures, METRIC_requests);
    uint64_t gets = grown(figures, METRIC_cmd_get), sets = grown(figures, METRIC_cmd_set);
    uint64_t deletes = grown(figures, METRIC_delete_hits) + grown(figures, METRIC_delete_misses);
    uint64_t named = gets + sets + deletes;
    json_t *object = json_object();
    json_put_count(object, "total", total);
    put_rate(object, "per_second", figures, total);
    put_rate(object, "get_per_second", figures, gets);
    put_rate(object, "set_per_second", figures, sets);
    put_rate(object, "delete_per_second", figures, deletes);
    put_rate(object, "other_per_second", figures, total > named ? total - named : 0);
    return object;
}

static void put_quantile(json_t *object, const char *name, const struct histogram *histogram, double quantile)
{
    bool empty = histogram_count(histogram) == 0;
    json_put(object, name,
             empty ? json_null() : json_real((double)histogram_quantile(histogram, quantile) / NS_A_SECOND));
}

static void put_latency(json_t *object, const struct histogram *histogram)
{
    json_put_count(object, "count", histogram_count(histogram));
    put_quantile(object, "p50", histogram, 0.5);
    put_quantile(object, "p90", histogram, 0.9);
    put_quantile(object, "p99", histogram, 0.99);
    put_quantile(object, "p999", histogram, 0.999);
    put_quantile(object, "max", histogram, 1);
}

static json_t *memory(const struct figures *figures)
{
    struct store_usage usage;
    store_usage_read(figures->parts->store, &usage);
    json_t *object = json_object();
    json_put_count(object, "limit_bytes", usage.limit_size);
    json_put_count(object, "used_bytes", usage.used_size);
    json_put_count(object, "segments_bytes", usage.segments_used * usage.segment_size);
    json_put_count(object, "index_bytes", usage.index_size);
    json_put_count(object, "staging_bytes", usage.staging_size);
    json_put_count(object, "items_bytes", usage.live_size);
    json_put_count(object, "free_bytes",
                   usage.limit_size > usage.used_size ? usage.limit_size - usage.used_size : 0);
    json_put_count(object, "rss_bytes", figures->now.value[METRIC_rss_bytes]);
    json_put_count(object, "observability_bytes", figures->now.value[METRIC_observability_bytes]);
    return object;
}

static json_t *items(const struct figures *figures)
{
    json_t *object = json_object(), *removed = json_object();
    json_put_count(object, "current", figures->now.value[METRIC_curr_items]);
    json_put_count(object, "stored", grown(figures, METRIC_total_items));
    put_rate(object, "stored_per_second", figures, grown(figures, METRIC_total_items));
    json_put_count(removed, "evicted", grown(figures, METRIC_removed_evicted));
    json_put_count(removed, "expired", grown(figures, METRIC_removed_expired));
    json_put_count(removed, "deleted", grown(figures, METRIC_removed_deleted));
    json_put_count(removed, "replaced", grown(figures, METRIC_removed_replaced));
    json_put_count(removed, "flushed", grown(figures, METRIC_removed_flushed));
    json_put(object, "removed", removed);
    return object;
}

static json_t *connections(const struct figures *figures)
{
    json_t *object = json_object();
    json_put_count(object, "current", figures->now.value[METRIC_curr_connections]);
    json_put_count(object, "max", settings_u64(figures->parts->settings, connection_limit));
    json_put_count(object, "opened", grown(figures, METRIC_total_connections));
    json_put_count(object, "rejected", grown(figures, METRIC_rejected_connections));
    json_put_bool(object, "accepting", net_accepting(figures->parts->net));
    return object;
}

static json_t *network(const struct figures *figures)
{
    json_t *object = json_object();
    put_rate(object, "read_bytes_per_second", figures, grown(figures, METRIC_bytes_read));
    put_rate(object, "written_bytes_per_second", figures, grown(figures, METRIC_bytes_written));
    return object;
}

static json_t *cpu(const struct figures *figures)
{
    double used_us = (double)grown(figures, METRIC_cpu_us);
    json_t *object = json_object();
    json_put_number(object, "user_seconds", (double)figures->now.value[METRIC_rusage_user_us] / US_A_SECOND);
    json_put_number(object, "system_seconds",
                    (double)figures->now.value[METRIC_rusage_system_us] / US_A_SECOND);
    json_put(object, "utilization",
             figures->seconds > 0 ? json_real(used_us / US_A_SECOND / figures->seconds) : json_null());
    return object;
}

static void put_identity(json_t *stats, const struct figures *figures)
{
    json_put_text(stats, "window", history_window_name(figures->window));
    json_put_number(stats, "measured_seconds", figures->seconds);
    json_put(stats, "time", json_time(clock_wall_s(clock_s())));
    json_put_count(stats, "uptime_seconds", figures->now.value[METRIC_uptime]);
    json_put_text(stats, "version", protocol_version());
}

static void put_hits(json_t *stats, const struct figures *figures, struct metrics_snapshot *scratch)
{
    uint64_t hits = grown(figures, METRIC_get_hits), misses = grown(figures, METRIC_get_misses);
    json_put(stats, "hit_ratio", json_ratio(hits, misses));
    json_put_count(stats, "hits", hits);
    json_put_count(stats, "misses", misses);
    json_put(stats, "hit_ratios", hit_ratios(figures, scratch));
    json_put(stats, "miss_reasons", miss_reasons(figures));
}

static json_t *stats_tree(const struct figures *figures, struct metrics_snapshot *scratch)
{
    json_t *stats = json_object(), *latency = json_object();
    put_identity(stats, figures);
    put_hits(stats, figures, scratch);
    json_put(stats, "operations", operations(figures));
    put_latency(latency, &figures->latency);
    json_put(stats, "latency_seconds", latency);
    json_put(stats, "memory", memory(figures));
    json_put(stats, "items", items(figures));
    put_rate(stats, "evictions_per_second", figures, grown(figures, METRIC_removed_evicted));
    put_rate(stats, "expiries_per_second", figures, grown(figures, METRIC_removed_expired));
    json_put(stats, "connections", connections(figures));
    json_put(stats, "network", network(figures));
    json_put(stats, "cpu", cpu(figures));
    return stats;
}

void api_stats(struct request *request, struct reply *reply)
{
    int window = request_choice(request, reply, PARAM_window, window_words, WINDOW_1M);
    if (window < 0)
        return;
    struct figures *figures = calloc(1, sizeof(*figures));
    struct metrics_snapshot *scratch = malloc(sizeof(*scratch));
    if (figures != NULL && scratch != NULL) {
        figures->parts = request->parts;
        figures->window = (enum history_window)window;
        metrics_snapshot_take(request->parts->metrics, &figures->now);
        history_window_read(request->parts->history, figures->window, &figures->growth, &figures->seconds,
                            &figures->latency);
        reply_json(reply, 200, stats_tree(figures, scratch));
    } else {
        reply_problem(reply, 503, "out of memory");
    }
    free(figures);
    free(scratch);
}

static void visit_stat(void *stats, const char *name, const char *value)
{
    json_put_text(stats, name, value);
}

void api_stats_group(struct request *request, struct reply *reply)
{
    static const char *const groups[] = {"general", "items", "slabs", "settings", "sizes", "conns"};
    const char *group = NULL;
    for (size_t i = 0; i < sizeof(groups) / sizeof(groups[0]); i++)
        if (slice_is((struct slice){request->parameter, request->parameter_size}, groups[i]))
            group = groups[i];
    if (group == NULL) {
        reply_problem(reply, 404, "the groups are general, items, slabs, settings, sizes and conns");
        return;
    }
    json_t *stats = json_object();
    protocol_stats(request->parts->protocol, group, visit_stat, stats);
    json_t *tree = json_object();
    json_put_text(tree, "group", group);
    json_put(tree, "stats", stats);
    reply_json(reply, 200, tree);
}

void api_stats_reset(struct request *request, struct reply *reply)
{
    metrics_reset(request->parts->metrics);
    reply->status = 204;
}

/* One command's results that ever occurred. */
static void append_command(json_t *list, struct metrics *metrics, unsigned command, struct histogram *scratch)
{
    for (int result = 0; result < RESULT_COUNT; result++) {
        metrics_latency_read(metrics, (int)command, result, scratch);
        if (histogram_count(scratch) == 0)
            continue;
        json_t *entry = json_object();
        json_put_text(entry, "command", metrics_command_name(metrics, command));
        json_put_text(entry, "result", result_label((enum result)result));
        put_latency(entry, scratch);
        json_array_append_new(list, entry);
    }
}

void api_latency(struct request *request, struct reply *reply)
{
    /* By command, latency is kept since the start only; the answer names the window it really covers. */
    if (request_choice(request, reply, PARAM_window, window_words, WINDOW_TOTAL) < 0)
        return;
    struct metrics *metrics = request->parts->metrics;
    struct histogram scratch;
    json_t *list = json_array(), *tree = json_object();
    for (unsigned command = 0; command < metrics_command_count(metrics); command++)
        append_command(list, metrics, command, &scratch);
    json_put_text(tree, "window", history_window_name(WINDOW_TOTAL));
    json_put(tree, "commands", list);
    reply_json(reply, 200, tree);
}
