#include "admin/server_priv.h"

#include "admin/guard_priv.h"
#include "admin/router_priv.h"
#include "admin/send_priv.h"
#include "admin/watch_priv.h"
#include "base/hash.h"
#include "base/log.h"

#include <arpa/inet.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#define THREADS           4u
#define CONNECTION_MEMORY 16384u
#define IDLE_TIMEOUT_S    60u /* the library's own; the watch is stricter */
/* What may still come after a body proved too long, before the connection is cut. */
#define SWALLOW_SIZE_MAX 65536u

struct server {
    struct admin_parts parts;
    uint64_t seed;
    uint16_t port;
    struct watch *watch;
    struct MHD_Daemon *daemon;
    /* Relaxed: each stands alone; partner: the relaxed loads of fill_counters. */
    _Atomic uint64_t requests, refused;
};

/* One request from its first line to its reply. */
struct exchange {
    struct server *server;
    char *target;  /* raw, owned */
    char *storage; /* decoded query, owned */
    size_t target_size;
    const char *line; /* where the target lay in the library's memory: compared, never read */
    bool begun, refused;
    struct request request;
    struct reply reply;
    struct buffer body;
    size_t swallowed;
};

static struct watch_entry *entry_of(struct MHD_Connection *connection)
{
    const union MHD_ConnectionInfo *info =
        MHD_get_connection_info(connection, MHD_CONNECTION_INFO_SOCKET_CONTEXT);
    return info != NULL ? info->socket_context : NULL;
}

static void enter(struct exchange *exchange, struct MHD_Connection *connection, enum watch_phase phase)
{
    struct watch_entry *entry = entry_of(connection);
    if (entry != NULL)
        watch_enter(exchange->server->watch, entry, phase);
}

static void exchange_free(struct exchange *exchange)
{
    reply_fini(&exchange->reply);
    buffer_fini(&exchange->body);
    json_decref(exchange->request.body);
    free(exchange->target);
    free(exchange->storage);
    free(exchange);
}

/* The request line has come: keeps its target as it was sent. */
static void *on_request_line(void *context, const char *target, struct MHD_Connection *connection)
{
    struct exchange *exchange = calloc(1, sizeof(*exchange));
    if (exchange == NULL)
        return NULL;
    exchange->server = context;
    exchange->line = target;
    exchange->target_size = strlen(target);
    exchange->target = strdup(target);
    exchange->storage = malloc(exchange->target_size + 1);
    if (exchange->target == NULL || exchange->storage == NULL) {
        exchange_free(exchange);
        return NULL;
    }
    enter(exchange, connection, WATCH_HEADER);
    return exchange;
}

/* A raw NUL ends the target early, as the library sees it; the version then does not follow right behind. */
static bool target_is_whole(const struct exchange *exchange, const char *version)
{
    ptrdiff_t distance = version - exchange->line;
    return distance <= 0 || distance > (ptrdiff_t)CONNECTION_MEMORY ||
           (size_t)distance == exchange->target_size + 1;
}

static bool examine(struct exchange *exchange, const struct guard_headers *headers, const char *method,
                    const char *version)
{
    struct request *request = &exchange->request;
    struct reply *reply = &exchange->reply;
    struct slice target = {exchange->target, exchange->target_size};
    if (!guard_framing(headers, version, reply) || !guard_host(headers, exchange->server->port, reply))
        return false;
    if (!target_is_whole(exchange, version)) {
        reply_problem(reply, 400, "the request target holds a raw NUL");
        reply->close = true;
        return false;
    }
    return router_match(request, reply, method, target, exchange->storage) &&
           guard_origin(headers, request->route, reply) && guard_body(headers, request->route, reply);
}

static void fill_request(struct exchange *exchange, const struct guard_headers *headers)
{
    struct request *request = &exchange->request;
    request->parts = &exchange->server->parts;
    request->seed = exchange->server->seed;
    request->if_match = headers->if_match;
    request->if_none_match = headers->if_none_match;
    request->accept = headers->accept;
    request->accept_encoding = headers->accept_encoding;
}

static void count(struct exchange *exchange)
{
    struct server *server = exchange->server;
    atomic_fetch_add_explicit(&server->requests, 1, memory_order_relaxed);
    if (exchange->refused)
        atomic_fetch_add_explicit(&server->refused, 1, memory_order_relaxed);
}

/* The header is here. A refusal goes out at once, before any body, and ends the connection when one was to
 * follow. */
static enum MHD_Result begin(struct exchange *exchange, struct MHD_Connection *connection, const char *method,
                             const char *version)
{
    struct guard_headers headers;
    guard_read(connection, version, &headers);
    fill_request(exchange, &headers);
    exchange->begun = true;
    exchange->refused = !examine(exchange, &headers, method, version);
    count(exchange);
    enter(exchange, connection, WATCH_BODY);
    if (!exchange->refused || (!exchange->reply.close && !guard_has_body(&headers)))
        return MHD_YES;
    exchange->reply.close = true;
    enter(exchange, connection, WATCH_REPLY);
    return send_reply(connection, &exchange->request, &exchange->reply);
}

/* The library takes no reply while a body is coming; so this goes past it, and the connection ends. */
static enum MHD_Result cut_off(struct MHD_Connection *connection)
{
    static const char line[] =
        "HTTP/1.1 413 Content Too Large\r\nConnection: close\r\nContent-Length: 0\r\n\r\n";
    struct watch_entry *entry = entry_of(connection);
    if (entry != NULL)
        (void)!send(watch_fd(entry), line, strlen(line), MSG_NOSIGNAL | MSG_DONTWAIT);
    return MHD_NO;
}

static enum MHD_Result take_body(struct exchange *exchange, struct MHD_Connection *connection,
                                 const char *data, size_t *size)
{
    if (exchange->body.size + *size <= BODY_SIZE_MAX)
        buffer_append(&exchange->body, data, *size);
    else
        exchange->swallowed += *size;
    *size = 0;
    return exchange->swallowed > SWALLOW_SIZE_MAX ? cut_off(connection) : MHD_YES;
}

/* Parses the body a route takes. False: the 400 or 413 is in the reply. */
static bool parse_body(struct exchange *exchange)
{
    json_error_t error;
    if (exchange->request.route->body == NULL)
        return true;
    if (exchange->swallowed > 0) {
        reply_problem(&exchange->reply, 413, "a body may have 64 KiB");
        return false;
    }
    const char *text = exchange->body.size > 0 ? exchange->body.data : "{}";
    size_t size = exchange->body.size > 0 ? exchange->body.size : 2;
    exchange->request.body = json_loadb(text, size, JSON_REJECT_DUPLICATES | JSON_ALLOW_NUL, &error);
    if (json_is_object(exchange->request.body))
        return true;
    reply_problem(&exchange->reply, 400, "the body is no JSON object (at byte %d)", error.position);
    return false;
}

static enum MHD_Result finish(struct exchange *exchange, struct MHD_Connection *connection)
{
    if (!exchange->refused && parse_body(exchange))
        exchange->request.route->handler(&exchange->request, &exchange->reply);
    enter(exchange, connection, WATCH_REPLY);
    return send_reply(connection, &exchange->request, &exchange->reply);
}

static enum MHD_Result on_access(void *context, struct MHD_Connection *connection, const char *url,
                                 const char *method, const char *version, const char *upload,
                                 size_t *upload_size, void **state)
{
    struct exchange *exchange = *state;
    (void)context;
    (void)url; /* decoded by the library's rules; ours is exchange->target */
    if (exchange == NULL)
        return MHD_NO; /* out of memory */
    if (!exchange->begun)
        return begin(exchange, connection, method, version);
    if (*upload_size > 0)
        return take_body(exchange, connection, upload, upload_size);
    return finish(exchange, connection);
}

static void on_completed(void *context, struct MHD_Connection *connection, void **state,
                         enum MHD_RequestTerminationCode code)
{
    struct exchange *exchange = *state;
    (void)context;
    (void)code;
    if (exchange == NULL)
        return;
    enter(exchange, connection, WATCH_IDLE);
    exchange_free(exchange);
    *state = NULL;
}

static void on_connection(void *context, struct MHD_Connection *connection, void **entry,
                          enum MHD_ConnectionNotificationCode code)
{
    struct server *server = context;
    if (code == MHD_CONNECTION_NOTIFY_CLOSED) {
        if (*entry != NULL)
            watch_close(server->watch, *entry);
        *entry = NULL;
        return;
    }
    const union MHD_ConnectionInfo *info =
        MHD_get_connection_info(connection, MHD_CONNECTION_INFO_CONNECTION_FD);
    *entry = watch_open(server->watch, info->connect_fd);
}

static void fill_counters(void *context, struct metrics_snapshot *snapshot)
{
    struct server *server = context;
    snapshot->value[METRIC_admin_requests] = atomic_load_explicit(&server->requests, memory_order_relaxed);
    snapshot->value[METRIC_admin_refused] = atomic_load_explicit(&server->refused, memory_order_relaxed);
    watch_count(server->watch, &snapshot->value[METRIC_admin_connections],
                &snapshot->value[METRIC_admin_cut]);
}

/* Library messages go nowhere louder than debug: a client causes them at will. */
static void on_log(void *context, const char *format, va_list arguments)
    __attribute__((format(printf, 2, 0)));
static void on_log(void *context, const char *format, va_list arguments)
{
    char line[256];
    (void)context;
    vsnprintf(line, sizeof(line), format, arguments);
    log_debug("admin: %s", line);
}

/* poll, not epoll: the library's edge-triggered loop was seen to miss the end of a stream, and with so few
 * connections there is nothing to gain. */
static struct MHD_Daemon *start(struct server *server, int listen_fd)
{
    return MHD_start_daemon(MHD_USE_POLL_INTERNAL_THREAD | MHD_USE_ERROR_LOG, 0, NULL, NULL, on_access,
                            server, MHD_OPTION_EXTERNAL_LOGGER, on_log, server, MHD_OPTION_LISTEN_SOCKET,
                            listen_fd, MHD_OPTION_THREAD_POOL_SIZE, THREADS, MHD_OPTION_CONNECTION_LIMIT,
                            WATCH_LIMIT, MHD_OPTION_CONNECTION_MEMORY_LIMIT, (size_t)CONNECTION_MEMORY,
                            MHD_OPTION_CONNECTION_TIMEOUT, IDLE_TIMEOUT_S, MHD_OPTION_STRICT_FOR_CLIENT, 1,
                            MHD_OPTION_URI_LOG_CALLBACK, on_request_line, server, MHD_OPTION_NOTIFY_COMPLETED,
                            on_completed, server, MHD_OPTION_NOTIFY_CONNECTION, on_connection, server,
                            MHD_OPTION_END);
}

struct server *server_create(int listen_fd, uint16_t port, const struct admin_parts *parts)
{
    struct server *server = calloc(1, sizeof(*server));
    if (server == NULL) {
        close(listen_fd);
        return NULL;
    }
    server->parts = *parts;
    server->port = port;
    server->seed = hash_random_seed();
    server->watch = watch_create();
    server->daemon = server->watch != NULL ? start(server, listen_fd) : NULL;
    if (server->daemon != NULL) {
        metrics_probe_register(parts->metrics, fill_counters, server);
        return server;
    }
    close(listen_fd);
    watch_destroy(server->watch);
    free(server);
    return NULL;
}

void server_destroy(struct server *server)
{
    if (server == NULL)
        return;
    metrics_probe_remove(server->parts.metrics, fill_counters, server);
    MHD_stop_daemon(server->daemon);
    watch_destroy(server->watch);
    free(server);
}
