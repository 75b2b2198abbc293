/* Accepting: counts connections against -c, hands them to the workers in turn, and pauses when it must. */
#include "net/net_priv.h"

#include "base/clock.h"
#include "base/log.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#define ACCEPT_BATCH 32u /* a crowd at the door does not keep the clock from ticking */
#define RESUME_MS    50  /* how soon a free place is noticed while accepting pauses */
#define FULL_TEXT    "ERROR Too many open connections\r\n"

enum accepted { ACCEPTED, ACCEPT_NONE, ACCEPT_FAILED, ACCEPT_STARVED };

/* ---- opening ---- */

static bool open_list(struct net *net, const char *list, int type, char *error, size_t error_size)
{
    char *copy = strdup(list), *rest = copy;
    bool good = copy != NULL;
    for (char *item; good && (item = strsep(&rest, ",")) != NULL;)
        good = *item == '\0' || listener_open_address(net, item, type, error, error_size);
    free(copy);
    return good;
}

bool listener_open_all(struct net *net, char *error, size_t error_size)
{
    struct settings *settings = net->settings;
    if (settings->unix_socket)
        return listener_open_unix(net, settings->unix_socket, error, error_size);
    bool tcp = settings_u64(settings, port) > 0, udp = settings_u64(settings, udp_port) > 0;
    return (!tcp || open_list(net, settings->listen, SOCK_STREAM, error, error_size)) &&
           (!udp || open_list(net, settings->listen, SOCK_DGRAM, error, error_size));
}

void listener_close_all(struct net *net)
{
    for (unsigned i = 0; i < net->listener_count; i++) {
        close(net->listeners[i].fd);
        if (net->listeners[i].family == AF_UNIX)
            unlink(net->settings->unix_socket);
    }
    for (unsigned i = 0; i < net->udp_count; i++)
        close(net->udp_sockets[i].fd);
    net->listener_count = net->udp_count = 0;
}

/* ---- pausing ---- */

/* Relaxed: a count for a decision that is taken again; partner: connection_close. */
static uint32_t open_connections(struct net *net)
{
    return atomic_load_explicit(&net->connection_count, memory_order_relaxed);
}

static void rearm(struct net *net)
{
    const struct timeval soon = {.tv_usec = RESUME_MS * 1000};
    event_add(&net->resume, &soon);
}

static void pause_accepting(struct net *net)
{
    if (!atomic_load_explicit(&net->accepting, memory_order_relaxed))
        return;
    for (unsigned i = 0; i < net->listener_count; i++)
        event_del(&net->listeners[i].event);
    /* Relaxed: a gauge; partner: net_accepting. */
    atomic_store_explicit(&net->accepting, false, memory_order_relaxed);
    net->paused_ns = clock_ns();
    metrics_add(net->block, METRIC_listen_disabled_num, 1);
    rearm(net);
}

static void go_on_accepting(struct net *net)
{
    for (unsigned i = 0; i < net->listener_count; i++)
        event_add(&net->listeners[i].event, NULL);
    atomic_store_explicit(&net->accepting, true, memory_order_relaxed);
    metrics_add(net->block, METRIC_time_in_listen_disabled_us, (clock_ns() - net->paused_ns) / 1000);
}

/* ---- accepting ---- */

static struct peer peer_of(const struct sockaddr_storage *address)
{
    struct peer peer = {.family_port = (uint64_t)address->ss_family << 16};
    if (address->ss_family == AF_INET) {
        const struct sockaddr_in *v4 = (const struct sockaddr_in *)address;
        memcpy(peer.address, &v4->sin_addr, sizeof v4->sin_addr);
        peer.family_port |= ntohs(v4->sin_port);
    } else if (address->ss_family == AF_INET6) {
        const struct sockaddr_in6 *v6 = (const struct sockaddr_in6 *)address;
        memcpy(peer.address, &v6->sin6_addr, sizeof v6->sin6_addr);
        peer.family_port |= ntohs(v6->sin6_port);
    }
    return peer;
}

/* Release; partner: the acquire loads of table.c. The id follows when the worker opens the connection. */
static void show(struct connection *connection, const struct listener *listener, const struct peer *peer)
{
    struct connection_seen *seen = &connection->seen;
    uint32_t now = clock_s();
#define SHOW(field, value) atomic_store_explicit(&seen->field, value, memory_order_release)
    SHOW(peer_address[0], peer->address[0]);
    SHOW(peer_address[1], peer->address[1]);
    SHOW(peer_family_port, peer->family_port);
    SHOW(requests, 0);
    SHOW(read_size, 0);
    SHOW(written_size, 0);
    SHOW(fd, (uint32_t)connection->fd);
    SHOW(worker, connection->worker->index);
    SHOW(listener, (uint32_t)(listener - listener->net->listeners));
    SHOW(state, CONNECTION_READ);
    SHOW(opened_s, now);
    SHOW(active_s, now);
    SHOW(pending_size, 0);
    SHOW(memory_size, 0);
#undef SHOW
}

static void dispatch(struct listener *listener, int fd, const struct sockaddr_storage *address)
{
    struct net *net = listener->net;
    struct peer peer = peer_of(address);
    struct connection *connection = table_take(&net->table);
    connection->fd = fd;
    connection->id = net->table.next_id++;
    connection->worker = &net->workers[net->worker_next++ % net->worker_count];
    atomic_fetch_add_explicit(&net->connection_count, 1, memory_order_relaxed);
    metrics_add(net->block, METRIC_total_connections, 1);
    show(connection, listener, &peer);
    worker_give_connection(connection->worker, connection);
}

/* At -c: says so and closes, as memcached's maxconns_fast does. What the client already sent is read first,
 * for closing over unread bytes would reset the connection and lose the line. Before a handshake there is no
 * way to say anything that a client of TLS would understand. */
static void turn_away(const struct listener *listener, int fd)
{
    char scratch[4096];
    ssize_t ignored = 0;
    metrics_add(listener->net->block, METRIC_rejected_connections, 1);
    if (listener->tls == TLS_OFF)
        ignored = send(fd, FULL_TEXT, sizeof FULL_TEXT - 1, MSG_NOSIGNAL | MSG_DONTWAIT);
    shutdown(fd, SHUT_WR);
    ignored = recv(fd, scratch, sizeof scratch, MSG_DONTWAIT);
    (void)ignored;
    close(fd);
}

/* The client's own trouble; all else is ours, descriptors and memory foremost, and calls for a pause. */
static bool passing(int code)
{
    return code == ECONNABORTED || code == EINTR || code == EPROTO || code == EPERM;
}

static enum accepted accept_one(struct listener *listener, bool full)
{
    struct sockaddr_storage address = {0};
    socklen_t size = sizeof address;
    int fd = accept4(listener->fd, (struct sockaddr *)&address, &size, SOCK_NONBLOCK | SOCK_CLOEXEC);
    if (fd < 0 && (errno == EAGAIN || errno == EWOULDBLOCK))
        return ACCEPT_NONE;
    if (fd < 0)
        return passing(errno) ? ACCEPT_FAILED : ACCEPT_STARVED;
    if (full)
        turn_away(listener, fd);
    else
        dispatch(listener, fd, &address);
    return ACCEPTED;
}

static void log_starved(void)
{
    static _Atomic uint32_t last_s;
    if (log_limited(&last_s))
        log_warn("cannot accept connections: %m; they wait until a descriptor is free");
}

/* Whether one more may be served, and if not, whether to turn it away (or else to let it wait). */
static bool full_now(struct net *net, bool *turn)
{
    uint32_t open = open_connections(net);
    *turn = open >= net->table.capacity && settings_on(net->settings, maxconns_fast);
    return open >= net->connection_max;
}

/* False: accepting has to pause. */
static bool accept_some(struct listener *listener)
{
    struct net *net = listener->net;
    for (unsigned i = 0; i < ACCEPT_BATCH; i++) {
        bool turn, full = full_now(net, &turn);
        if (full && !turn)
            return false;
        enum accepted accepted = accept_one(listener, full);
        if (accepted == ACCEPT_STARVED) {
            log_starved();
            return false;
        }
        if (accepted == ACCEPT_NONE)
            return true;
    }
    return true;
}

static void on_connection(evutil_socket_t fd, short what, void *context)
{
    struct listener *listener = context;
    (void)fd, (void)what;
    if (!accept_some(listener))
        pause_accepting(listener->net);
}

void listener_resume(evutil_socket_t fd, short what, void *context)
{
    struct net *net = context;
    bool good = true;
    (void)fd, (void)what;
    for (unsigned i = 0; good && i < net->listener_count; i++)
        good = accept_some(&net->listeners[i]);
    if (good)
        go_on_accepting(net);
    else
        rearm(net);
}

void listener_start_all(struct net *net)
{
    for (unsigned i = 0; i < net->listener_count; i++) {
        struct listener *listener = &net->listeners[i];
        event_assign(&listener->event, net->base, listener->fd, EV_READ | EV_PERSIST, on_connection,
                     listener);
        event_add(&listener->event, NULL);
    }
}
