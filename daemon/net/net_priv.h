/* What the files of net share: the worker, the connection and the listener.
 *
 * The way of a connection: listener.c accepts (main thread) and takes a slot of the table -> worker.c gets it
 * through its mailbox -> connection.c opens it -> turn.c serves it, turn by turn, on that one worker, its
 * bytes coming and going by transfer.c -> connection.c closes it and gives the slot back. Thread-safety: a
 * connection belongs to its worker from the mailbox on; what other threads may read of it is `seen`, atomics
 * only. */
#ifndef VITRINE_NET_NET_PRIV_H
#define VITRINE_NET_NET_PRIV_H

#include "base/lock.h"
#include "net/handshakes_priv.h"
#include "net/net.h"
#include "net/pool_priv.h"

#include <event2/event.h>
#include <event2/event_struct.h>
#include <netinet/in.h>
#include <pthread.h>
#include <sys/queue.h>
#include <sys/socket.h>

/* A connection's memory: at most one block of each, 64 KiB together; none of them while it is idle. */
#define INPUT_SIZE       (16u << 10)
#define OUTPUT_SIZE      (48u << 10)
#define OUTPUT_DATA_SIZE (OUTPUT_SIZE - sizeof(struct output))

struct output_block {
    struct output output;
    char data[OUTPUT_DATA_SIZE];
};

/* An empty output over memory of OUTPUT_DATA_SIZE. */
static inline struct output output_over(char *data)
{
    return (struct output){.data = data, .capacity = OUTPUT_DATA_SIZE};
}

/* Connections that take their turn together, and the worker's memory for it: whoever is last of them finds a
 * whole block of each kind. */
#define GROUP_MAX         PROTOCOL_PREFETCH_MAX
#define GROUP_INPUT_SIZE  (2 * INPUT_SIZE)
#define GROUP_OUTPUT_SIZE (2 * OUTPUT_DATA_SIZE)

/* memcached's names for what a connection does. */
enum connection_state {
    CONNECTION_READ,
    CONNECTION_PARSE,
    CONNECTION_BODY,
    CONNECTION_WRITE,
    CONNECTION_YIELDED,
    CONNECTION_WATCH,
    CONNECTION_CLOSING
};

/* Where a client is: the bytes of its address. */
struct peer {
    uint64_t address[2];
    uint64_t family_port; /* family << 16 | port, host order */
};

/* What any thread may read. A reader takes `id`, then the rest, then `id` again: ids are never reused, so an
 * equal id means that all belongs to one connection. Stores are release and loads acquire, so that who sees a
 * field of the slot's next owner also sees that the id has gone. */
struct connection_seen {
    _Atomic uint64_t id; /* 0: the slot is free */
    _Atomic uint64_t peer_address[2], peer_family_port;
    _Atomic uint64_t requests, read_size, written_size;
    _Atomic uint32_t fd, worker, listener, state, opened_s, active_s, pending_size, memory_size;
};

/* A worker's count, for others to see. Relaxed load: its own; release store; partner: as above. */
static inline void show_more(_Atomic uint64_t *cell, uint64_t value)
{
    uint64_t before = atomic_load_explicit(cell, memory_order_relaxed);
    atomic_store_explicit(cell, before + value, memory_order_release);
}

struct input {
    char *data; /* a block of the pool, or of the worker's memory while a turn borrows it; NULL: none */
    uint32_t begin, end;
    bool borrowed;
    bool full; /* the last receive took all that there was room for: there may be more */
};

struct connection {
    struct connection_seen seen;
    uint64_t id; /* never reused in the process's life */
    struct worker *worker;
    struct session session;
    struct input input;
    struct output_block *output; /* owned; only while a reply could not be sent whole */
    struct tls_link *tls;        /* owned; NULL: plain text */
    struct event event;
    int fd;
    short watched;             /* EV_READ, EV_WRITE or, while it pauses, EV_TIMEOUT */
    enum protocol_next after;  /* what follows once the pending reply is out */
    bool peer_gone;            /* nothing is left to say goodbye to */
    bool yielded;              /* on the worker's list of those to come back to */
    bool grouped;              /* in the worker's group of those that wait for their turn */
    uint64_t pass;             /* of the worker, in which it was served last */
    uint32_t slot;             /* in the table */
    struct connection *posted; /* next in the mailbox */
    TAILQ_ENTRY(connection) all, again;
};
TAILQ_HEAD(connection_list, connection);

struct table {
    struct connection *slots; /* owned; mapped, so that unused ones cost nothing */
    uint32_t *free_slots;     /* owned; a stack */
    uint32_t capacity, free_count;
    _Atomic uint32_t high; /* no slot from here on was ever used */
    struct spin spin;      /* guards the stack: the main thread takes, workers give */
    uint64_t next_id;      /* the main thread's */
};

enum received { RECEIVED_SOME, RECEIVED_NOTHING, RECEIVED_END };

/* Connections that take their turn together: see turn.c. */
struct member {
    struct connection *connection;
    enum received received;
    struct output output; /* over a part of the worker's replies; empty between turns */
};
struct group {
    unsigned count;
    struct member members[GROUP_MAX];
    struct protocol_input inputs[GROUP_MAX];
};

struct worker {
    _Alignas(64) struct net *net;
    unsigned index;
    pthread_t thread;
    struct event_base *base;
    struct metrics_block *block;
    struct store_thread *store;
    struct protocol_thread *protocol;
    struct pool input_pool, output_pool;
    char *input;       /* GROUP_INPUT_SIZE, borrowed by each turn whose connection holds no block */
    char *replies;     /* GROUP_OUTPUT_SIZE, likewise */
    size_t input_used; /* of `input`, while a group is received */
    struct group group;
    struct output output; /* of a turn alone, over the begin of `replies`; empty between turns */
    struct udp *udp;      /* owned; NULL where there is no -U */
    struct connection_list all, again;
    struct handshakes handshakes;
    char *gather; /* of ssl_wbuf_size: where pieces of a reply become one TLS record; NULL without TLS */
    uint64_t pass;
    uint64_t turn_begin_ns, awake_ns; /* of this turn; of this pass */
    bool awake;                       /* online in the store */

    struct lock mailbox;
    struct connection *new_first; /* guarded by mailbox, as the next three */
    struct order *order_first;
    bool idle_check, stop_order;
    int wake_fd;
    struct event wake_event;

    bool stopping;
    _Atomic unsigned connection_count;
    _Atomic uint64_t requests, busy_ns; /* written by the worker alone */
};

/* To whoever owns the connection of this slot and id. */
struct order {
    struct order *next;
    void (*carry_out)(struct connection *connection);
    uint64_t id;
    uint32_t slot;
};

#define LISTENER_NAME_SIZE 120u

struct listener {
    struct net *net;
    int fd;
    int family;
    enum tls_mode tls;
    char name[LISTENER_NAME_SIZE]; /* "127.0.0.1:11211", "[::1]:11211", "unix:/path" */
    struct event event;
};

#define LISTENERS_MAX 64u

struct net {
    struct settings *settings;
    struct metrics *metrics;
    struct metrics_block *block; /* the main thread's */
    struct protocol *protocol;
    struct store *store;
    struct tls *tls; /* owned; NULL without -Z */
    struct event_base *base;
    struct event tick, wake, signal, resume;
    int wake_fd, signal_fd;
    struct listener listeners[LISTENERS_MAX];
    unsigned listener_count;
    struct table table;
    struct listener udp_sockets[LISTENERS_MAX]; /* every worker reads them all */
    unsigned udp_count;
    uint32_t connection_max;           /* what the descriptors allow of -c */
    _Atomic uint32_t connection_count; /* up: main thread; down: workers */
    _Atomic bool accepting;
    uint64_t paused_ns; /* when accepting stopped */
    struct worker *workers;
    unsigned worker_count, worker_next;
    uint32_t second; /* the last one that was announced */
    struct net_events events;
};

/* listener.c */
bool listener_open_all(struct net *net, char *error, size_t error_size);
void listener_start_all(struct net *net);
void listener_close_all(struct net *net);
void listener_resume(evutil_socket_t fd, short what, void *net);

/* address.c */
/* Every address that an item of -l stands for, by TCP (SOCK_STREAM) or UDP (SOCK_DGRAM). */
bool listener_open_address(struct net *net, const char *item, int type, char *error, size_t error_size);
bool listener_open_unix(struct net *net, const char *path, char *error, size_t error_size);

/* worker.c */
bool worker_start(struct worker *worker);
void worker_stop(struct worker *worker); /* asks; worker_join waits */
void worker_join(struct worker *worker);
void worker_give_connection(struct worker *worker, struct connection *connection);
/* `carry_out` is called on the worker, if the connection is still there. False: no memory. */
bool worker_give_order(struct worker *worker, uint64_t id, uint32_t slot,
                       void (*carry_out)(struct connection *connection));
void worker_give_idle_check(struct worker *worker);
/* Before the first turn of a pass. */
void worker_awaken(struct worker *worker);
/* Records the turn's latency. */
void worker_turn_end(struct worker *worker);

/* connection.c */
bool connection_open(struct connection *connection);
void connection_close(struct connection *connection);
/* Closes it, unless a reply is under way: then the turn that ends the reply does. */
void connection_stop(struct connection *connection);

/* turn.c */
/* Serves a connection that yielded. */
void connection_again(struct connection *connection);
/* Runs the session of one that waits: there is something for its client. */
void connection_wake(struct connection *connection);
/* Waits for EV_READ, EV_WRITE or, for a pause, EV_TIMEOUT. False: it cannot. */
bool connection_watch(struct connection *connection, short what);
void connection_set_yielded(struct connection *connection, bool yielded);
/* Is a reply under way, of which some bytes may already be out? */
bool connection_in_reply(const struct connection *connection);
/* Serves the connections that became readable, together. */
void group_serve(struct worker *worker);
/* A connection that closes, or takes a turn of another kind, does not wait any longer; nothing if it did not.
 */
void group_leave(struct connection *connection);

/* transfer.c */
/* Receives once, to where the protocol wants it. */
enum received input_receive(struct connection *connection);
/* The same of a body under way only, which needs none of the worker's memory. */
enum received input_receive_body(struct connection *connection);
/* After a turn: what is left in the worker's memory goes to a block of the connection's own, and one that is
 * empty goes back. False: there is none. */
bool input_settle(struct connection *connection);
/* Sends what the socket takes, and forgets it. */
enum sent { SENT_ALL, SENT_PART, SENT_BROKEN };
enum sent output_send(struct connection *connection, struct output *output);
/* The rest of a reply goes to a block of the connection's own. False: there is none, and nothing has
 * happened. */
bool output_keep(struct connection *connection, struct output *output);
void output_drop(struct connection *connection); /* that block */

/* udp.c */
bool udp_open(struct worker *worker);
void udp_stop(struct worker *worker);  /* receives no more */
void udp_close(struct worker *worker); /* once the thread has ended */
void udp_warn(const struct net *net);  /* of sockets that others than this host reach */

/* table.c */
bool table_init(struct table *table, uint32_t capacity);
void table_fini(struct table *table);
struct connection *table_take(struct table *table);
void table_give(struct table *table, struct connection *connection);

/* signals.c */
/* From here on signals wait until the descriptor is read; before any thread is started. -1: errno says why.
 */
int signals_open(void);
/* Main thread: takes the signals that wait, up to the first that asks for the end. */
enum signals_wish { SIGNALS_NOTHING, SIGNALS_RELOAD, SIGNALS_STOP };
enum signals_wish signals_read(int fd);

/* limits.c: how many connections of `wanted` the process's descriptors allow, raising their limit first. */
uint32_t limits_connections(uint32_t wanted, unsigned thread_count);

#endif
