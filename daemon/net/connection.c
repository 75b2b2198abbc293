/* A connection's turns: receive once, run the protocol, send once; and what remains is kept for the next.
 *
 * A turn ends in one of five ways: TURN_WAIT (for the client), TURN_BLOCKED (the client does not take its
 * reply: nothing more is read until it has), TURN_AGAIN (others first), TURN_PAUSE (it is kept waiting),
 * TURN_CLOSE. All of it runs on the
 * connection's worker. */
#include "metrics/events.h"
#include "net/net_priv.h"

#include "base/assert.h"
#include "base/clock.h"

#include <errno.h>
#include <string.h>
#include <unistd.h>

#define BODY_RECEIVE_MAX (64u << 10) /* of a large body in one turn */
#define SENDS_A_TURN     4u          /* replies of several buffers: then others get a turn */
#define VECTORS_MAX      (2 * (int)OUTPUT_PINS_MAX + 2)
#define TLS_SEND_MAX     (512u << 10) /* by TLS in one turn */
#define TLS_RECORD_SIZE  (16u << 10)

#define OUT_OF_THE_WAY __attribute__((noinline)) /* of the turns without TLS */

enum turn { TURN_WAIT, TURN_BLOCKED, TURN_AGAIN, TURN_PAUSE, TURN_CLOSE };

static void on_event(evutil_socket_t fd, short what, void *context);

/* ---- what others see ---- */

/* Release; partner: the acquire loads of table.c (see struct connection_seen). */
static void show(_Atomic uint32_t *cell, size_t value)
{
    atomic_store_explicit(cell, (uint32_t)value, memory_order_release);
}

static void show_more(_Atomic uint64_t *cell, size_t value)
{
    uint64_t before = atomic_load_explicit(cell, memory_order_relaxed);
    atomic_store_explicit(cell, before + value, memory_order_release);
}

static void show_rest(struct connection *connection, enum connection_state state)
{
    const struct connection *c = connection;
    show(&connection->seen.state, state);
    show(&connection->seen.pending_size, c->output ? output_pending(&c->output->output) : 0);
    show(&connection->seen.memory_size, (c->input.data ? INPUT_SIZE : 0) + (c->output ? OUTPUT_SIZE : 0));
}

/* A line that is whole and yet was not consumed waits for the body that it announces. */
static bool awaits_body(const struct connection *connection)
{
    const struct input *input = &connection->input;
    if (connection->session.body_size > 0)
        return true;
    return input->end > input->begin && memchr(input->data + input->begin, '\n', input->end - input->begin);
}

static enum connection_state state_after(const struct connection *connection, enum turn turn)
{
    if (session_watches(&connection->session))
        return CONNECTION_WATCH;
    if (turn == TURN_BLOCKED)
        return CONNECTION_WRITE;
    if (turn == TURN_AGAIN)
        return CONNECTION_YIELDED;
    return awaits_body(connection) ? CONNECTION_BODY : CONNECTION_READ;
}

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

/* ---- input ---- */

/* The room behind what is buffered. A connection without a block borrows the worker's for this turn. */
static size_t input_room(struct connection *connection)
{
    struct input *input = &connection->input;
    if (!input->data)
        *input = (struct input){.data = connection->worker->input};
    if (input->begin > 0) {
        memmove(input->data, input->data + input->begin, input->end - input->begin);
        input->end -= input->begin;
        input->begin = 0;
    }
    return INPUT_SIZE - input->end;
}

/* After a turn: a borrowed block goes back, unless something is left in it; then the connection keeps it and
 * the worker takes another. False: there is none. */
static bool input_settle(struct connection *connection)
{
    struct input *input = &connection->input;
    struct worker *worker = connection->worker;
    bool borrowed = input->data == worker->input;
    if (input->begin == input->end) {
        if (input->data && !borrowed)
            pool_give(&worker->input_pool, input->data);
        *input = (struct input){0};
        return true;
    }
    if (!borrowed)
        return true;
    char *other = pool_take(&worker->input_pool);
    if (other)
        worker->input = other;
    return other != NULL;
}

OUT_OF_THE_WAY static ssize_t receive_secret(struct connection *connection, void *to, size_t size)
{
    ssize_t got = tls_receive(connection->tls, to, size);
    if (connection->tls->open)
        handshakes_end(connection->tls);
    return got;
}

static ssize_t receive_to(struct connection *connection, void *to, size_t size)
{
    if (__builtin_expect(connection->tls != NULL, 0))
        return receive_secret(connection, to, size);
    return recv(connection->fd, to, size, 0);
}

/* A large body goes straight where it is staged; all else into the input. */
static ssize_t receive(struct connection *connection)
{
    size_t room;
    struct input *input = &connection->input;
    char *body = input->begin == input->end ? protocol_body_room(&connection->session, &room) : NULL;
    if (body) {
        size_t most = room < BODY_RECEIVE_MAX ? room : BODY_RECEIVE_MAX;
        ssize_t got = receive_to(connection, body, most);
        if (got > 0)
            protocol_body_received(&connection->session, (size_t)got);
        return got;
    }
    room = input_room(connection);
    ASSERT(room > 0); /* a line that cannot fit was refused by the protocol */
    ssize_t got = receive_to(connection, input->data + input->end, room);
    if (got > 0)
        input->end += (uint32_t)got;
    return got;
}

/* ---- output ---- */

static ssize_t send_plain(int fd, const struct output *output)
{
    if (output->pin_count == 0)
        return send(fd, output->data + output->sent, output->size - output->sent, MSG_NOSIGNAL);
    struct iovec vectors[VECTORS_MAX];
    struct msghdr message = {.msg_iov = vectors};
    message.msg_iovlen = (size_t)output_vectors(output, vectors, VECTORS_MAX);
    return sendmsg(fd, &message, MSG_NOSIGNAL);
}

/* What goes out next in one stretch: what lies together, or short pieces put together. The same bytes until
 * some of them are out, as tls_send asks. */
static struct iovec stretch(const struct connection *connection, const struct output *output)
{
    struct iovec vectors[VECTORS_MAX], all = {.iov_base = connection->worker->gather};
    size_t capacity = settings_u64(connection->worker->net->settings, ssl_wbuf_size) << 10;
    int count = output_vectors(output, vectors, VECTORS_MAX);
    if (count == 1 || vectors[0].iov_len >= TLS_RECORD_SIZE)
        return vectors[0];
    for (int i = 0; i < count && all.iov_len < capacity; i++) {
        size_t left = capacity - all.iov_len;
        size_t part = vectors[i].iov_len < left ? vectors[i].iov_len : left;
        memcpy((char *)all.iov_base + all.iov_len, vectors[i].iov_base, part);
        all.iov_len += part;
    }
    return all;
}

/* Record by record, so that a turn does not last. */
OUT_OF_THE_WAY static ssize_t send_secret(struct connection *connection, struct output *output)
{
    size_t total = 0;
    while (total < TLS_SEND_MAX && output_pending(output) > 0) {
        struct iovec next = stretch(connection, output);
        ssize_t sent = tls_send(connection->tls, next.iov_base, next.iov_len);
        if (sent < 0 && total == 0)
            return sent;
        if (sent < 0)
            break;
        output_advance(output, (size_t)sent);
        total += (size_t)sent;
    }
    return (ssize_t)total;
}

/* Sends what the socket takes, and forgets it. */
static ssize_t send_some(struct connection *connection, struct output *output)
{
    if (__builtin_expect(connection->tls != NULL, 0))
        return send_secret(connection, output);
    ssize_t sent = send_plain(connection->fd, output);
    if (sent > 0)
        output_advance(output, (size_t)sent);
    return sent;
}

enum sent { SENT_ALL, SENT_PART, SENT_BROKEN };

static enum sent send_output(struct connection *connection, struct output *output)
{
    if (output_pending(output) == 0)
        return SENT_ALL;
    ssize_t sent = send_some(connection, output);
    if (sent < 0)
        return errno == EAGAIN || errno == EWOULDBLOCK || errno == EINTR ? SENT_PART : SENT_BROKEN;
    metrics_add(connection->worker->block, METRIC_bytes_written, (uint64_t)sent);
    show_more(&connection->seen.written_size, (size_t)sent);
    return output_pending(output) == 0 ? SENT_ALL : SENT_PART;
}

/* The worker's block, with the rest of a reply in it, becomes the connection's; the worker takes another.
 * False: there is none, and the reply is lost. */
static bool output_keep(struct connection *connection)
{
    struct worker *worker = connection->worker;
    struct output_block *other = pool_take(&worker->output_pool);
    if (!other)
        return false;
    connection->output = worker->output;
    worker->output = other;
    other->output = (struct output){.data = other->data, .capacity = sizeof other->data};
    return true;
}

static void output_drop(struct connection *connection)
{
    if (!connection->output)
        return;
    output_clear(&connection->output->output);
    pool_give(&connection->worker->output_pool, connection->output);
    connection->output = NULL;
}

/* ---- serving ---- */

static enum protocol_next run_protocol(struct connection *connection)
{
    struct worker *worker = connection->worker;
    struct input *input = &connection->input;
    char *data = input->data ? input->data : worker->input;
    struct protocol_input received = {
        .data = data + input->begin, .size = input->end - input->begin, .capacity = INPUT_SIZE};
    enum protocol_next next =
        protocol_run(worker->protocol, &connection->session, &received, &worker->output->output);
    ASSERT(received.consumed <= received.size);
    input->begin += (uint32_t)received.consumed;
    return next;
}

static inline enum turn turn_after(const struct connection *connection, enum protocol_next next)
{
    if (next == PROTOCOL_YIELD)
        metrics_add(connection->worker->block, METRIC_conn_yields, 1);
    if (next == PROTOCOL_READ)
        return connection->tls && connection->tls->more ? TURN_AGAIN : TURN_WAIT;
    if (next == PROTOCOL_PAUSE)
        return TURN_PAUSE;
    return next == PROTOCOL_CLOSE ? TURN_CLOSE : TURN_AGAIN;
}

/* Serves what is buffered, a send for each bufferful of reply, to the end of the input or of the turn. */
static enum turn serve(struct connection *connection)
{
    struct output *output = &connection->worker->output->output;
    for (unsigned sends = 1;; sends++) {
        enum protocol_next next = run_protocol(connection);
        enum sent sent = send_output(connection, output);
        connection->after = next;
        if (sent == SENT_PART && output_keep(connection))
            return TURN_BLOCKED;
        if (sent != SENT_ALL) {
            output_clear(output);
            return TURN_CLOSE;
        }
        if (next != PROTOCOL_WRITE || sends == SENDS_A_TURN)
            return turn_after(connection, next);
    }
}

/* Whether a handshake under way has to let others go first. */
OUT_OF_THE_WAY static bool wait_to_read(struct connection *connection)
{
    struct worker *worker = connection->worker;
    connection->after = PROTOCOL_READ;
    return !handshakes_turn(&worker->handshakes, connection->tls, worker->pass);
}

static enum turn turn_read(struct connection *connection)
{
    if (connection->tls && wait_to_read(connection))
        return TURN_AGAIN;
    ssize_t got = receive(connection);
    if (got < 0)
        return errno == EAGAIN || errno == EWOULDBLOCK || errno == EINTR ? TURN_WAIT : TURN_CLOSE;
    if (got == 0) {
        connection->peer_gone = true;
        connection->session.reason = REASON_NORMAL;
        return TURN_CLOSE;
    }
    metrics_add(connection->worker->block, METRIC_bytes_read, (uint64_t)got);
    show_more(&connection->seen.read_size, (size_t)got);
    return serve(connection);
}

static enum turn turn_write(struct connection *connection)
{
    enum sent sent = send_output(connection, &connection->output->output);
    if (sent != SENT_ALL)
        return sent == SENT_PART ? TURN_BLOCKED : TURN_CLOSE;
    output_drop(connection);
    if (connection->after == PROTOCOL_WRITE || connection->after == PROTOCOL_YIELD)
        return serve(connection);
    return turn_after(connection, connection->after);
}

/* ---- turns ---- */

static void watch(struct connection *connection, short what)
{
    const struct timeval pause = {.tv_usec = PROTOCOL_PAUSE_MS * 1000};
    if (connection->watched == what && what != EV_TIMEOUT)
        return;
    if (connection->watched)
        event_del(&connection->event);
    event_assign(&connection->event, connection->worker->base, connection->fd, (short)(what | EV_PERSIST),
                 on_event, connection);
    event_add(&connection->event, what == EV_TIMEOUT ? &pause : NULL);
    connection->watched = what;
}

/* What a TLS link asked for last comes before what the turn would wait for. */
static short awaited(const struct connection *connection, enum turn turn)
{
    if (turn == TURN_PAUSE)
        return EV_TIMEOUT;
    if (connection->tls && connection->tls->wants)
        return connection->tls->wants;
    return turn == TURN_BLOCKED ? EV_WRITE : EV_READ;
}

static void set_yielded(struct connection *connection, bool yielded)
{
    if (connection->yielded == yielded)
        return;
    if (yielded)
        TAILQ_INSERT_TAIL(&connection->worker->again, connection, again);
    else
        TAILQ_REMOVE(&connection->worker->again, connection, again);
    connection->yielded = yielded;
}

/* Is a reply under way, of which some bytes may already be out? */
static bool in_reply(const struct connection *connection)
{
    return connection->output || (connection->yielded && connection->after == PROTOCOL_WRITE);
}

static void finish_turn(struct connection *connection, enum turn turn)
{
    struct worker *worker = connection->worker;
    bool keep = turn != TURN_CLOSE && input_settle(connection);
    if (keep)
        set_yielded(connection, turn == TURN_AGAIN);
    if (!keep || (worker->stopping && !in_reply(connection))) {
        worker_turn_end(worker, NULL);
        connection_close(connection);
        return;
    }
    watch(connection, awaited(connection, turn));
    show_rest(connection, state_after(connection, turn));
    worker_turn_end(worker, connection);
}

static void take_turn(struct connection *connection)
{
    struct worker *worker = connection->worker;
    worker_awaken(worker);
    connection->pass = worker->pass;
    show(&connection->seen.state, CONNECTION_PARSE);
    show(&connection->seen.active_s, clock_s());
    bool input_left =
        connection->watched == EV_TIMEOUT || (connection->yielded && connection->after != PROTOCOL_READ);
    enum turn turn = connection->output ? turn_write(connection)
                     : input_left       ? serve(connection)
                                        : turn_read(connection);
    finish_turn(connection, turn);
}

static void on_event(evutil_socket_t fd, short what, void *context)
{
    struct connection *connection = context;
    (void)fd, (void)what;
    take_turn(connection);
}

void connection_again(struct connection *connection)
{
    take_turn(connection);
}

/* One that has a reply under way comes to its session by itself, once that is out. */
void connection_wake(struct connection *connection)
{
    if (connection->output || connection->yielded)
        return;
    connection->pass = connection->worker->pass;
    finish_turn(connection, serve(connection));
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
    connection->peer_gone = connection->yielded = false;
    connection->pass = 0;
    if (!open_tls(connection))
        return false;
    event_assign(&connection->event, connection->worker->base, connection->fd, EV_READ | EV_PERSIST, on_event,
                 connection);
    if (event_add(&connection->event, NULL) != 0)
        return false;
    connection->watched = EV_READ;
    tell_watchers(connection, EVENT_OPENED);
    /* Release, and last: with its id the slot is in use, and may be asked to close. Partner: table.c. */
    atomic_store_explicit(&connection->seen.id, connection->id, memory_order_release);
    return true;
}

void connection_stop(struct connection *connection)
{
    if (!in_reply(connection))
        connection_close(connection);
}

/* A close over unread bytes would reset the connection, and a reset may overtake the last reply. */
static void say_goodbye(struct connection *connection)
{
    ssize_t ignored;
    shutdown(connection->fd, SHUT_WR);
    ignored = recv(connection->fd, connection->worker->input, INPUT_SIZE, MSG_DONTWAIT);
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
    set_yielded(connection, false);
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
