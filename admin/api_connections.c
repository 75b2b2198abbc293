/* /api/v1/connections and /workers: who is connected, and what serves them. */
#include "admin/cursor_priv.h"
#include "admin/request_priv.h"
#include "base/clock.h"
#include "base/number.h"

#include <stdlib.h>
#include <string.h>

#define LIMIT_DEFAULT 100u
#define LIMIT_MAX     1000u
#define READ_AT_ONCE  256u
#define WORKERS_MAX   64u

enum sort { SORT_IDLE, SORT_BYTES, SORT_REQUESTS, SORT_AGE };

static uint32_t seconds_since(uint32_t then_s)
{
    uint32_t now_s = clock_s();
    return now_s > then_s ? now_s - then_s : 0;
}

static json_t *connection_json(const struct net_connection *connection)
{
    json_t *object = json_object();
    json_put_count(object, "id", connection->id);
    json_put_text(object, "peer", connection->peer);
    json_put_text(object, "listener", connection->listener);
    json_put_count(object, "worker", connection->worker);
    json_put_text(object, "state", connection->state);
    json_put_count(object, "age_seconds", seconds_since(connection->opened_s));
    json_put_count(object, "idle_seconds", seconds_since(connection->active_s));
    json_put_count(object, "requests", connection->requests);
    json_put_count(object, "read_bytes", connection->read_size);
    json_put_count(object, "written_bytes", connection->written_size);
    json_put_count(object, "pending_bytes", connection->pending_size);
    json_put_count(object, "memory_bytes", connection->memory_size);
    return object;
}

static int descending(uint64_t a, uint64_t b)
{
    return a > b ? -1 : a < b;
}

static int by_idle(const void *a, const void *b)
{
    const struct net_connection *left = a, *right = b;
    return -descending(left->active_s, right->active_s);
}

static int by_bytes(const void *a, const void *b)
{
    const struct net_connection *left = a, *right = b;
    return descending(left->read_size + left->written_size, right->read_size + right->written_size);
}

static int by_requests(const void *a, const void *b)
{
    const struct net_connection *left = a, *right = b;
    return descending(left->requests, right->requests);
}

static int (*const orders[])(const void *, const void *) = {
    [SORT_IDLE] = by_idle,
    [SORT_BYTES] = by_bytes,
    [SORT_REQUESTS] = by_requests,
};

/* Reads everybody, a batch at a time, and keeps the first `limit` of the order in `rows`, which has room for
 * a batch more. */
static size_t read_sorted(struct net *net, enum sort sort, struct net_connection *rows, size_t limit)
{
    size_t count = 0, got;
    uint64_t after = 0;
    while ((got = net_connections(net, after, rows + count, READ_AT_ONCE)) > 0) {
        count += got;
        after = rows[count - 1].id;
        qsort(rows, count, sizeof(*rows), orders[sort]);
        count = count < limit ? count : limit;
    }
    return count;
}

static void give_rows(const struct request *request, struct reply *reply, const struct net_connection *rows,
                      size_t count, bool more)
{
    char text[CURSOR_TEXT_MAX];
    json_t *tree = json_object(), *items = json_array();
    for (size_t i = 0; i < count; i++)
        json_array_append_new(items, connection_json(&rows[i]));
    if (more)
        cursor_encode(&(struct cursor){rows[count - 1].id, 0}, SORT_AGE, request->seed, text);
    struct metrics_snapshot snapshot;
    metrics_snapshot_take(request->parts->metrics, &snapshot);
    json_put(tree, "items", items);
    json_put_text(tree, "next_cursor", more ? text : NULL);
    json_put_count(tree, "total", snapshot.value[METRIC_curr_connections]);
    reply_json(reply, 200, tree);
}

/* A cursor goes with the order of age only: in the others the list changes under the reader's feet. */
static bool read_cursor(const struct request *request, struct reply *reply, enum sort sort, uint64_t *after)
{
    struct cursor cursor = {0, 0};
    if (request_has(request, PARAM_cursor) &&
        (sort != SORT_AGE ||
         !cursor_decode(request->query[PARAM_cursor], SORT_AGE, request->seed, &cursor))) {
        reply_field_problem(reply, 400, "cursor", "is not of this list: begin anew without one");
        return false;
    }
    *after = cursor.place;
    return true;
}

void api_connections(struct request *request, struct reply *reply)
{
    static const char *const words[] = {"idle", "bytes", "requests", "age", NULL};
    static const uint64_t limits[3] = {1, LIMIT_MAX, LIMIT_DEFAULT};
    uint64_t limit, after;
    int sort = request_choice(request, reply, PARAM_sort, words, SORT_AGE);
    if (sort < 0 || !request_number(request, reply, PARAM_limit, limits, &limit) ||
        !read_cursor(request, reply, (enum sort)sort, &after))
        return;
    struct net_connection *rows = calloc(limit + READ_AT_ONCE, sizeof(*rows));
    if (rows == NULL) {
        reply_problem(reply, 503, "out of memory");
        return;
    }
    struct net *net = request->parts->net;
    size_t count = sort == SORT_AGE ? net_connections(net, after, rows, limit + 1)
                                    : read_sorted(net, (enum sort)sort, rows, limit);
    bool more = count > limit;
    give_rows(request, reply, rows, more ? limit : count, more);
    free(rows);
}

void api_connection_delete(struct request *request, struct reply *reply)
{
    uint64_t id;
    if (!number_parse_u64(request->parameter, request->parameter_size, &id))
        reply_problem(reply, 400, "a connection's id is a number");
    else if (net_connection_kill(request->parts->net, id))
        reply->status = 204;
    else
        reply_problem(reply, 404, "there is no such connection");
}

void api_workers(struct request *request, struct reply *reply)
{
    struct net_worker workers[WORKERS_MAX];
    size_t count = net_workers(request->parts->net, workers, WORKERS_MAX);
    json_t *tree = json_object(), *items = json_array();
    for (size_t i = 0; i < count; i++) {
        json_t *object = json_object();
        json_put_count(object, "index", workers[i].index);
        json_put_count(object, "connections", workers[i].connections);
        json_put_count(object, "requests", workers[i].requests);
        json_put_number(object, "busy_seconds", (double)workers[i].busy_ns / 1e9);
        json_array_append_new(items, object);
    }
    json_put(tree, "items", items);
    reply_json(reply, 200, tree);
}
