/* A connection's beginning and end; what lies between is turn.c's. */
#include "metrics/events.h"
#include "net/net_priv.h"

#include <unistd.h>

/* Relaxed: the worker's own by now. */
static void tell_watchers(const struct connection *connection, enum event_type type)
{
    const struct connection_seen *seen = &connection->seen;
    if (!events_wanted(connection->worker->block, STREAM_connevents))
        return;
    uint64_t family_port = atomic_load_explicit(&seen->peer_family_port, memory_order_relaxed);
    uint64_t address[2] = {atomic_load_explicit(&seen->peer_address[0], memory_order_relaxed),
                           atomic_load_explicit(&seen->peer_address[1], memory_order_relaxed)};
    const struct live_event event = {.type = (uint8_t)type,
                                     .fd = connection->fd,
                                     .family = (uint8_t)(family_port >> 16),
                                     .port = (uint16_t)family_port,
                                     .reason = connection->session.reason};
    events_put(connection->worker->block, &event, (const char *)address, sizeof address);
}

/* ---- beginning and end ---- */

/* TLS where the listener asks for it. */
static bool open_tls(struct connection *connection)
{
    struct worker *worker = connection->worker;
    struct net *net = worker->net;
    /* Relaxed: this thread got the connection through its mailbox. */
    uint32_t listener = atomic_load_explicit(&connection->seen.listener, memory_order_relaxed);
    enum tls_mode mode = net->listeners[listener].tls;
    connection->tls = NULL;
    if (mode == TLS_OFF)
        return true;
    connection->tls = tls_link_create(net->tls, connection->fd, mode, worker->block);
    if (connection->tls)
        handshakes_begin(&worker->handshakes, connection->tls, connection);
    return connection->tls != NULL;
}

static void close_tls(struct connection *connection)
{
    if (!connection->tls)
        return;
    handshakes_end(connection->tls);
    tls_link_destroy(connection->tls);
    connection->tls = NULL;
}

bool connection_open(struct connection *connection)
{
    session_init(&connection->session);
    connection->session.client =
        (struct session_client){.id = connection->id, .slot = connection->slot, .fd = connection->fd};
    connection->input = (struct input){0};
    connection->output = NULL;
    connection->watched = 0;
    connection->after = PROTOCOL_READ;
    connection->peer_gone = connection->yielded = connection->grouped = false;
    connection->pass = 0;
    if (!open_tls(connection))
        return false;
    if (!connection_watch(connection, EV_READ))
        return false;
    tell_watchers(connection, EVENT_OPENED);
    /* Release, and last: with its id the slot is in use, and may be asked to close. Partner: table.c. */
    atomic_store_explicit(&connection->seen.id, connection->id, memory_order_release);
    return true;
}

void connection_stop(struct connection *connection)
{
    if (!connection_in_reply(connection))
        connection_close(connection);
}

/* A close over unread bytes would reset the connection, and a reset may overtake the last reply. */
static void say_goodbye(struct connection *connection)
{
    char unread[INPUT_SIZE];
    shutdown(connection->fd, SHUT_WR);
    ssize_t ignored = recv(connection->fd, unread, sizeof unread, MSG_DONTWAIT);
    (void)ignored;
}

void connection_close(struct connection *connection)
{
    struct worker *worker = connection->worker;
    struct net *net = worker->net;
    /* Release; partner: the acquire loads of table.c: without an id the slot says nothing. */
    atomic_store_explicit(&connection->seen.id, 0, memory_order_release);
    if (connection->watched)
        event_del(&connection->event);
    connection_set_yielded(connection, false);
    group_leave(connection);
    tell_watchers(connection, EVENT_CLOSED);
    session_fini(&connection->session);
    output_drop(connection);
    connection->input.begin = connection->input.end;
    input_settle(connection);
    close_tls(connection);
    if (!connection->peer_gone)
        say_goodbye(connection);
    close(connection->fd);
    TAILQ_REMOVE(&worker->all, connection, all);
    atomic_fetch_sub_explicit(&worker->connection_count, 1, memory_order_relaxed);
    table_give(&net->table, connection);
    /* After the slot and the descriptor are free: who sees the place free may use them. Release; partner: the
     * lock of the table and the kernel's own order. */
    atomic_fetch_sub_explicit(&net->connection_count, 1, memory_order_release);
}
