/* The network as a whole: its life, the main thread's loop, and what it tells others. */
#include "net/net.h"

#include "base/clock.h"
#include "base/log.h"
#include "net/net_priv.h"

#include <event2/event.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/eventfd.h>
#include <sysexits.h>
#include <unistd.h>

#define NS_PER_US 1000u
/* Behind the second's beginning, so that a timer that rounds down is not too early. */
#define TICK_LATE_US 500u

/* ---- probes ---- */

/* Relaxed: gauges. */
static void probe(void *context, struct metrics_snapshot *snapshot)
{
    struct net *net = context;
    snapshot->value[METRIC_curr_connections] =
        atomic_load_explicit(&net->connection_count, memory_order_relaxed);
    snapshot->value[METRIC_connection_structures] =
        atomic_load_explicit(&net->table.high, memory_order_relaxed);
    snapshot->value[METRIC_max_connections] = net->table.capacity;
    snapshot->value[METRIC_accepting_conns] = net_accepting(net);
    if (!net->tls)
        return;
    snapshot->value[METRIC_time_since_server_cert_refresh] = tls_age_s(net->tls);
    snapshot->value[METRIC_server_cert_not_after] = tls_expiry_s(net->tls);
}

bool net_accepting(const struct net *net)
{
    return atomic_load_explicit(&net->accepting, memory_order_relaxed);
}

size_t net_workers(struct net *net, struct net_worker *out, size_t max)
{
    size_t count = net->worker_count < max ? net->worker_count : max;
    for (size_t i = 0; i < count; i++) {
        const struct worker *worker = &net->workers[i];
        out[i] = (struct net_worker){
            .index = worker->index,
            .connections = atomic_load_explicit(&worker->connection_count, memory_order_relaxed),
            .requests = atomic_load_explicit(&worker->requests, memory_order_relaxed),
            .busy_ns = atomic_load_explicit(&worker->busy_ns, memory_order_relaxed)};
    }
    return count;
}

void net_addresses(const struct net *net, char *out, size_t size)
{
    size_t at = 0;
    *out = '\0';
    for (unsigned i = 0; i < net->listener_count && at < size; i++)
        at += (size_t)snprintf(out + at, size - at, "%s%s", at ? "," : "", net->listeners[i].name);
    for (unsigned i = 0; i < net->udp_count && at < size; i++)
        at += (size_t)snprintf(out + at, size - at, "%sudp:%s", at ? "," : "", net->udp_sockets[i].name);
}

uint16_t net_port(const struct net *net)
{
    for (unsigned i = 0; i < net->listener_count; i++)
        if (net->listeners[i].family != AF_UNIX)
            return (uint16_t)atoi(strrchr(net->listeners[i].name, ':') + 1);
    return 0;
}

bool net_refresh_certificates(void *context, char *error, size_t error_size)
{
    struct net *net = context;
    if (net->tls)
        return tls_refresh(net->tls, error, error_size);
    snprintf(error, error_size, "Error TLS not enabled");
    return false;
}

/* ---- life ---- */

static bool set_up(struct net *net, char *error, size_t error_size)
{
    uint32_t wanted = (uint32_t)settings_u64(net->settings, connection_limit);
    net->worker_count = (unsigned)settings_u64(net->settings, threads);
    net->connection_max = limits_connections(wanted, net->worker_count);
    net->workers = aligned_alloc(64, net->worker_count * sizeof *net->workers);
    net->block = metrics_block_create(net->metrics);
    net->wake_fd = eventfd(0, EFD_NONBLOCK | EFD_CLOEXEC);
    net->signal_fd = signals_open(); /* from here on a signal ends in order, even before net_run */
    if (net->wake_fd < 0 || net->signal_fd < 0) {
        snprintf(error, error_size, "no descriptor for %s: %m", net->wake_fd < 0 ? "wake-ups" : "signals");
        return false;
    }
    if (!net->workers || !net->block || !table_init(&net->table, wanted)) {
        snprintf(error, error_size, "no memory for %u connections (-c)", wanted);
        return false;
    }
    memset(net->workers, 0, net->worker_count * sizeof *net->workers);
    if (settings_on(net->settings, enable_ssl)) {
        net->tls = tls_create(net->settings, error, error_size);
        if (!net->tls)
            return false;
    }
    return listener_open_all(net, error, error_size);
}

static void tear_down(struct net *net)
{
    listener_close_all(net);
    table_fini(&net->table);
    tls_destroy(net->tls);
    if (net->wake_fd >= 0)
        close(net->wake_fd);
    if (net->signal_fd >= 0)
        close(net->signal_fd);
    free(net->workers);
    free(net);
}

struct net *net_create(struct settings *settings, struct metrics *metrics, char *error, size_t error_size)
{
    struct net *net = calloc(1, sizeof *net);
    if (!net) {
        snprintf(error, error_size, "no memory");
        return NULL;
    }
    net->settings = settings;
    net->metrics = metrics;
    net->wake_fd = net->signal_fd = -1;
    if (!set_up(net, error, error_size)) {
        tear_down(net);
        return NULL;
    }
    metrics_probe_register(metrics, probe, net);
    return net;
}

/* One that comes too early changes nothing and waits for the rest. */
static void await_second(struct net *net)
{
    uint64_t us = clock_left_ns() / NS_PER_US + TICK_LATE_US;
    const struct timeval left = {.tv_sec = (time_t)(us / 1000000), .tv_usec = (suseconds_t)(us % 1000000)};
    event_add(&net->tick, &left);
}

static void on_tick(evutil_socket_t fd, short what, void *context)
{
    struct net *net = context;
    (void)fd, (void)what;
    clock_tick();
    await_second(net);
    if (clock_s() == net->second)
        return;
    net->second = clock_s();
    if (net->events.each_second)
        net->events.each_second(net->events.context);
    if (settings_u64(net->settings, idle_timeout) > 0)
        for (unsigned i = 0; i < net->worker_count; i++)
            worker_give_idle_check(&net->workers[i]);
}

/* net_stop. */
static void on_wake(evutil_socket_t fd, short what, void *context)
{
    struct net *net = context;
    uint64_t count;
    ssize_t ignored = read(fd, &count, sizeof count);
    (void)ignored, (void)what;
    event_base_loopbreak(net->base);
}

static void on_signal(evutil_socket_t fd, short what, void *context)
{
    struct net *net = context;
    (void)what;
    enum signals_wish wish = signals_read(fd);
    if (wish == SIGNALS_STOP)
        event_base_loopbreak(net->base);
    if (wish == SIGNALS_RELOAD && net->events.reload)
        net->events.reload(net->events.context);
}

static void on_library_log(int severity, const char *line)
{
    (void)severity;
    log_warn("event loop: %s", line);
}

static void start_main_loop(struct net *net)
{
    event_set_log_callback(on_library_log);
    net->base = event_base_new();
    if (!net->base) {
        log_error("no event loop: %m");
        exit(EX_OSERR);
    }
    event_assign(&net->tick, net->base, -1, 0, on_tick, net);
    event_assign(&net->wake, net->base, net->wake_fd, EV_READ | EV_PERSIST, on_wake, net);
    event_assign(&net->signal, net->base, net->signal_fd, EV_READ | EV_PERSIST, on_signal, net);
    event_assign(&net->resume, net->base, -1, 0, listener_resume, net);
    await_second(net);
    event_add(&net->wake, NULL);
    event_add(&net->signal, NULL);
}

void net_start(struct net *net, struct protocol *protocol, struct store *store)
{
    net->protocol = protocol;
    net->store = store;
    start_main_loop(net);
    for (unsigned i = 0; i < net->worker_count; i++) {
        net->workers[i].net = net;
        net->workers[i].index = i;
        if (!worker_start(&net->workers[i])) {
            log_error("cannot start worker %u: %m", i);
            exit(EX_OSERR);
        }
    }
    listener_start_all(net);
    udp_warn(net);
    atomic_store_explicit(&net->accepting, true, memory_order_relaxed);
}

void net_run(struct net *net, const struct net_events *events)
{
    if (events)
        net->events = *events;
    net->second = clock_s();
    event_base_dispatch(net->base);
}

void net_stop(struct net *net)
{
    uint64_t one = 1;
    ssize_t ignored = write(net->wake_fd, &one, sizeof one);
    (void)ignored;
}

static void stop_workers(struct net *net)
{
    for (unsigned i = 0; i < net->worker_count; i++)
        worker_stop(&net->workers[i]);
    for (unsigned i = 0; i < net->worker_count; i++)
        worker_join(&net->workers[i]);
}

static void stop_main_loop(struct net *net)
{
    for (unsigned i = 0; i < net->listener_count; i++)
        event_del(&net->listeners[i].event);
    event_del(&net->tick);
    event_del(&net->wake);
    event_del(&net->signal);
    event_del(&net->resume);
    event_base_free(net->base);
}

void net_destroy(struct net *net)
{
    if (!net)
        return;
    if (net->base) {
        stop_main_loop(net);
        stop_workers(net);
    }
    tear_down(net);
}
