/* The table of connections: -c slots, each with the few words that other threads may read. */
#include "net/net_priv.h"

#include "base/assert.h"
#include "base/clock.h"

#include <arpa/inet.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>

static const char *const state_names[] = {
    [CONNECTION_READ] = "conn_read",       [CONNECTION_PARSE] = "conn_parse_cmd",
    [CONNECTION_BODY] = "conn_nread",      [CONNECTION_WRITE] = "conn_mwrite",
    [CONNECTION_YIELDED] = "conn_new_cmd", [CONNECTION_CLOSING] = "conn_closing",
    [CONNECTION_WATCH] = "conn_watch",
};

/* ---- slots ---- */

bool table_init(struct table *table, uint32_t capacity)
{
    *table = (struct table){.capacity = capacity, .free_count = capacity, .next_id = 1};
    void *slots = mmap(NULL, (size_t)capacity * sizeof *table->slots, PROT_READ | PROT_WRITE,
                       MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
    table->slots = slots == MAP_FAILED ? NULL : slots;
    table->free_slots = malloc((size_t)capacity * sizeof *table->free_slots);
    if (!table->slots || !table->free_slots)
        return false;
    for (uint32_t i = 0; i < capacity; i++) /* the lowest slot is on top: few of them are ever touched */
        table->free_slots[i] = capacity - 1 - i;
    return true;
}

void table_fini(struct table *table)
{
    if (table->slots)
        munmap(table->slots, (size_t)table->capacity * sizeof *table->slots);
    free(table->free_slots);
}

struct connection *table_take(struct table *table)
{
    spin_acquire(&table->spin);
    ASSERT(table->free_count > 0); /* the caller counts */
    uint32_t slot = table->free_slots[--table->free_count];
    spin_release(&table->spin);
    struct connection *connection = &table->slots[slot];
    connection->slot = slot;
    /* Release; partner: the acquire load of the readers, who must see the slot's zeroes. */
    if (slot >= atomic_load_explicit(&table->high, memory_order_relaxed))
        atomic_store_explicit(&table->high, slot + 1, memory_order_release);
    return connection;
}

void table_give(struct table *table, struct connection *connection)
{
    spin_acquire(&table->spin);
    table->free_slots[table->free_count++] = connection->slot;
    spin_release(&table->spin);
}

/* ---- readers ---- */

/* Acquire; partner: the release stores of connection.c and listener.c (see struct connection_seen). */
static uint64_t see(const _Atomic uint64_t *cell)
{
    return atomic_load_explicit(cell, memory_order_acquire);
}

static uint32_t see32(const _Atomic uint32_t *cell)
{
    return atomic_load_explicit(cell, memory_order_acquire);
}

static void peer_text(const struct listener *listener, const struct peer *peer, char *out, size_t size)
{
    int family = (int)(peer->family_port >> 16);
    unsigned port = (unsigned)(peer->family_port & 0xffff);
    char address[INET6_ADDRSTRLEN];
    if (family != AF_INET && family != AF_INET6)
        snprintf(out, size, "%s", listener->name);
    else if (inet_ntop(family, peer->address, address, sizeof address))
        snprintf(out, size, family == AF_INET ? "tcp:%s:%u" : "tcp6:[%s]:%u", address, port);
}

static void listener_text(const struct listener *listener, char *out, size_t size)
{
    const char *kind = listener->family == AF_INET ? "tcp:" : listener->family == AF_INET6 ? "tcp6:" : "";
    snprintf(out, size, "%s%s", kind, listener->name);
}

/* False when the slot is free or changed hands meanwhile. */
static bool read_slot(struct net *net, uint32_t slot, uint64_t id, struct net_connection *out)
{
    const struct connection_seen *seen = &net->table.slots[slot].seen;
    uint32_t listener = see32(&seen->listener), state = see32(&seen->state);
    struct peer peer = {.address = {see(&seen->peer_address[0]), see(&seen->peer_address[1])},
                        .family_port = see(&seen->peer_family_port)};
    *out = (struct net_connection){.id = id,
                                   .fd = (int)see32(&seen->fd),
                                   .worker = see32(&seen->worker),
                                   .state = state_names[state],
                                   .opened_s = see32(&seen->opened_s),
                                   .active_s = see32(&seen->active_s),
                                   .requests = see(&seen->requests),
                                   .read_size = see(&seen->read_size),
                                   .written_size = see(&seen->written_size),
                                   .pending_size = see32(&seen->pending_size),
                                   .memory_size = sizeof(struct connection) + see32(&seen->memory_size)};
    if (see(&seen->id) != id)
        return false;
    peer_text(&net->listeners[listener], &peer, out->peer, sizeof out->peer);
    listener_text(&net->listeners[listener], out->listener, sizeof out->listener);
    if (net->listeners[listener].tls != TLS_OFF)
        out->memory_size += TLS_LINK_SIZE;
    return true;
}

struct found {
    uint64_t id;
    uint32_t slot;
};

static int by_id(const void *a, const void *b)
{
    const struct found *x = a, *y = b;
    return (x->id > y->id) - (x->id < y->id);
}

/* Every open connection with id > after, in order of id; *found is the caller's to free. */
static size_t find_after(struct net *net, uint64_t after, struct found **found)
{
    uint32_t high = see32(&net->table.high);
    size_t count = 0;
    *found = malloc((size_t)(high ? high : 1) * sizeof **found);
    for (uint32_t slot = 0; *found && slot < high; slot++) {
        uint64_t id = see(&net->table.slots[slot].seen.id);
        if (id > after)
            (*found)[count++] = (struct found){.id = id, .slot = slot};
    }
    if (*found)
        qsort(*found, count, sizeof **found, by_id);
    return count;
}

size_t net_connections(struct net *net, uint64_t after, struct net_connection *out, size_t max)
{
    struct found *found;
    size_t count = find_after(net, after, &found), filled = 0;
    for (size_t i = 0; i < count && filled < max; i++)
        filled += read_slot(net, found[i].slot, found[i].id, &out[filled]);
    free(found);
    return filled;
}

bool net_connection_kill(struct net *net, uint64_t id)
{
    uint32_t high = see32(&net->table.high);
    for (uint32_t slot = 0; id != 0 && slot < high; slot++) {
        const struct connection_seen *seen = &net->table.slots[slot].seen;
        if (see(&seen->id) == id)
            return worker_give_order(&net->workers[see32(&seen->worker)], id, slot, connection_close);
    }
    return false;
}

bool net_wake(void *context, const struct session_client *client)
{
    struct net *net = context;
    const struct connection_seen *seen = &net->table.slots[client->slot].seen;
    struct worker *worker = &net->workers[see32(&seen->worker)];
    return see(&seen->id) == client->id &&
           worker_give_order(worker, client->id, client->slot, connection_wake);
}

/* ---- `stats conns` ---- */

#define VISIT_BATCH 64u

typedef void (*visit_fn)(void *arg, int id, const char *name, const char *value);

static void visit_connection(const struct net_connection *connection, visit_fn visit, void *arg)
{
    char idle[16];
    uint32_t now = clock_s();
    snprintf(idle, sizeof idle, "%u", now > connection->active_s ? now - connection->active_s : 0);
    visit(arg, connection->fd, "addr", connection->peer);
    visit(arg, connection->fd, "listen_addr", connection->listener);
    visit(arg, connection->fd, "state", connection->state);
    visit(arg, connection->fd, "secs_since_last_cmd", idle);
}

static void visit_listener(const struct listener *listener, visit_fn visit, void *arg)
{
    char name[LISTENER_NAME_SIZE + 8];
    listener_text(listener, name, sizeof name);
    visit(arg, listener->fd, "addr", name);
    visit(arg, listener->fd, "state", "conn_listening");
    visit(arg, listener->fd, "secs_since_last_cmd", "0");
}

static void visit_udp(const struct listener *listener, visit_fn visit, void *arg)
{
    char name[LISTENER_NAME_SIZE + 8];
    snprintf(name, sizeof name, "%s%s", listener->family == AF_INET6 ? "udp6:" : "udp:", listener->name);
    visit(arg, listener->fd, "UDP", "UDP");
    visit(arg, listener->fd, "addr", name);
    visit(arg, listener->fd, "state", "conn_read");
    visit(arg, listener->fd, "secs_since_last_cmd", "0");
}

void net_connections_visit(void *context, visit_fn visit, void *arg)
{
    struct net *net = context;
    struct net_connection *batch = malloc(VISIT_BATCH * sizeof *batch);
    if (!batch)
        return;
    for (unsigned i = 0; i < net->listener_count; i++)
        visit_listener(&net->listeners[i], visit, arg);
    for (unsigned i = 0; i < net->udp_count; i++)
        visit_udp(&net->udp_sockets[i], visit, arg);
    for (uint64_t after = 0;;) {
        size_t count = net_connections(net, after, batch, VISIT_BATCH);
        for (size_t i = 0; i < count; i++)
            visit_connection(&batch[i], visit, arg);
        if (count < VISIT_BATCH)
            break;
        after = batch[count - 1].id;
    }
    free(batch);
}
