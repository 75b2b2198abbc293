/* The network: listeners, workers and connections. libevent lives in this folder and nowhere else.
 *
 * Place: above protocol, below admin and main. The main thread accepts and hands connections to the workers
 * in turn; a worker runs protocol_run over what it receives, one recv and one send a turn. Each connection
 * has a slot in a table which other threads may read (relaxed atomics): the connection list costs the workers
 * nothing. Thread-safety: net_create/run/destroy from the main thread; the rest from any thread. */
#ifndef VITRINE_NET_NET_H
#define VITRINE_NET_NET_H

#include "config/config.h"
#include "protocol/protocol.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct net;

/* Binds every listener of the settings. NULL with a line in `error`. */
struct net *net_create(struct settings *settings, struct metrics *metrics, char *error, size_t error_size);
/* The workers take their protocol from here on; after this and before net_run privileges are dropped. */
void net_start(struct net *net, struct protocol *protocol, struct store *store);
/* What the main thread's loop calls between other work. */
struct net_events {
    void (*each_second)(void *context);
    void (*reload)(void *context); /* on SIGHUP: what options name as files is to be read again */
    void *context;
};
/* The main thread's loop: accepts, ticks the clock, calls `events` (NULL: nobody), until net_stop or a
 * signal. */
void net_run(struct net *net, const struct net_events *events);
/* Ends net_run soon. Async-signal-safe and thread-safe. */
void net_stop(struct net *net);
/* Stops the workers: every connection is closed between two replies. Then frees everything. */
void net_destroy(struct net *net);

/* The addresses really bound, e.g. "127.0.0.1:11211" or "unix:/run/v.sock", as one comma-separated line. */
void net_addresses(const struct net *net, char *out, size_t size);
/* The port of the first TCP listener (for -p 0 with an ephemeral port in tests), 0: none. */
uint16_t net_port(const struct net *net);

struct net_connection {
    uint64_t id; /* never reused in a process's life */
    int fd;
    char peer[128], listener[128]; /* "tcp:1.2.3.4:5", "unix:/path" */
    unsigned worker;
    const char *state;           /* "conn_new_cmd", "conn_nread", ... memcached's names */
    uint32_t opened_s, active_s; /* coarse seconds */
    uint64_t requests, read_size, written_size, pending_size, memory_size;
};
/* Copies up to `max` connections with id > after, in order of id; returns how many. */
size_t net_connections(struct net *net, uint64_t after, struct net_connection *out, size_t max);
/* Asks the owning worker to close it. False: no such connection. */
bool net_connection_kill(struct net *net, uint64_t id);
/* Reads the files of -Z again: connections to come are shown the new certificate. False with a line in
 * `error`, in memcached's words; then the old ones stay. */
bool net_refresh_certificates(void *net, char *error, size_t error_size);
/* For protocol_host. */
bool net_wake(void *net, const struct session_client *client);
/* For protocol_host: `stats conns`. */
void net_connections_visit(void *net, void (*visit)(void *arg, int id, const char *name, const char *value),
                           void *arg);

struct net_worker {
    unsigned index;
    unsigned connections;
    uint64_t requests, busy_ns;
};
size_t net_workers(struct net *net, struct net_worker *out, size_t max);
bool net_accepting(const struct net *net);
/* The version of the event library in use. */
const char *net_library_version(void);

#endif
