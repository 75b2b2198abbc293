/* A connection's turns: receive once, run the protocol, send once; and what remains is kept for the next.
 *
 * Those that become readable together take their turn together, as a group: all are received from, the items
 * that they ask for first are fetched at once, so that the waits for memory overlap, then all are run, and
 * then all are answered. Whoever has something besides (TLS, a reply under way, requests left over) takes its
 * turn alone.
 *
 * A turn ends in one of five ways: TURN_WAIT (for the client), TURN_BLOCKED (the client does not take its
 * reply: nothing more is read until it has), TURN_AGAIN (others first), TURN_PAUSE (it is kept waiting),
 * TURN_CLOSE. All of it runs on the connection's worker. */
#include "net/net_priv.h"

#include "base/assert.h"
#include "base/clock.h"

#include <string.h>

#define SENDS_A_TURN  4u /* replies of several buffers: then others get a turn */
#define BODIES_A_TURN 4u /* receives of one large body: likewise */
#define CACHE_LINE    64u

#define OUT_OF_THE_WAY __attribute__((noinline)) /* of the turns without TLS */

enum turn { TURN_WAIT, TURN_BLOCKED, TURN_AGAIN, TURN_PAUSE, TURN_CLOSE };

/* ---- what others see ---- */

/* Release; partner: the acquire loads of table.c (see struct connection_seen). */
static void show(_Atomic uint32_t *cell, size_t value)
{
    atomic_store_explicit(cell, (uint32_t)value, memory_order_release);
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

/* ---- serving ---- */

static struct protocol_input received(const struct connection *connection)
{
    const struct input *input = &connection->input;
    char *data = input->data ? input->data : connection->worker->input;
    return (struct protocol_input){
        .data = data + input->begin, .size = input->end - input->begin, .capacity = INPUT_SIZE};
}

static enum protocol_next run_input(struct connection *connection, struct protocol_input *input,
                                    struct output *output)
{
    struct worker *worker = connection->worker;
    uint64_t before = metrics_turn_requests(worker->block);
    enum protocol_next next = protocol_run(worker->protocol, &connection->session, input, output);
    ASSERT(input->consumed <= input->size);
    connection->input.begin += (uint32_t)input->consumed;
    connection->after = next;
    show_more(&connection->seen.requests, metrics_turn_requests(worker->block) - before);
    return next;
}

/* Whether the protocol asks for more of a large body. TLS has no more than a record to give. */
static inline bool wants_body(const struct connection *connection, enum protocol_next next)
{
    return __builtin_expect(connection->input.full, 0) && next == PROTOCOL_READ && !connection->tls;
}

/* A large body of which more is there already is received on: what is staged of it would else leave the cache
 * before it is whole. An end is left for the next turn to see. */
static enum protocol_next run_protocol(struct connection *connection, struct protocol_input *input,
                                       struct output *output)
{
    enum protocol_next next = run_input(connection, input, output);
    for (unsigned bodies = 0; wants_body(connection, next) && bodies < BODIES_A_TURN; bodies++) {
        if (input_receive_body(connection) != RECEIVED_SOME)
            break;
        struct protocol_input more = received(connection);
        next = run_input(connection, &more, output);
    }
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

/* Sends what the protocol left in the output, and runs it on where it had to stop for that, to the end of the
 * input or of the turn. */
static enum turn answer(struct connection *connection, struct output *output)
{
    for (unsigned sends = 1;; sends++) {
        enum sent sent = output_send(connection, output);
        if (sent == SENT_PART && output_keep(connection, output))
            return TURN_BLOCKED;
        if (sent != SENT_ALL) {
            output_clear(output);
            return TURN_CLOSE;
        }
        if (connection->after != PROTOCOL_WRITE || sends == SENDS_A_TURN)
            return turn_after(connection, connection->after);
        struct protocol_input input = received(connection);
        run_protocol(connection, &input, output);
    }
}

/* Serves what is buffered. */
static enum turn serve(struct connection *connection)
{
    struct output *output = &connection->worker->output;
    struct protocol_input input = received(connection);
    run_protocol(connection, &input, output);
    return answer(connection, output);
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
    enum received got = input_receive(connection);
    if (got == RECEIVED_SOME)
        return serve(connection);
    return got == RECEIVED_NOTHING ? TURN_WAIT : TURN_CLOSE;
}

static enum turn turn_write(struct connection *connection)
{
    enum sent sent = output_send(connection, &connection->output->output);
    if (sent != SENT_ALL)
        return sent == SENT_PART ? TURN_BLOCKED : TURN_CLOSE;
    output_drop(connection);
    if (connection->after == PROTOCOL_WRITE || connection->after == PROTOCOL_YIELD)
        return serve(connection);
    return turn_after(connection, connection->after);
}

/* ---- turns ---- */

static void on_event(evutil_socket_t fd, short what, void *context);

bool connection_watch(struct connection *connection, short what)
{
    const struct timeval pause = {.tv_usec = PROTOCOL_PAUSE_MS * 1000};
    if (connection->watched == what && what != EV_TIMEOUT)
        return true;
    if (connection->watched)
        event_del(&connection->event);
    event_assign(&connection->event, connection->worker->base, connection->fd, (short)(what | EV_PERSIST),
                 on_event, connection);
    connection->watched = what;
    return event_add(&connection->event, what == EV_TIMEOUT ? &pause : NULL) == 0;
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

void connection_set_yielded(struct connection *connection, bool yielded)
{
    if (connection->yielded == yielded)
        return;
    if (yielded)
        TAILQ_INSERT_TAIL(&connection->worker->again, connection, again);
    else
        TAILQ_REMOVE(&connection->worker->again, connection, again);
    connection->yielded = yielded;
}

bool connection_in_reply(const struct connection *connection)
{
    return connection->output || (connection->yielded && connection->after == PROTOCOL_WRITE);
}

static void turn_begin(struct connection *connection)
{
    connection->pass = connection->worker->pass;
    show(&connection->seen.state, CONNECTION_PARSE);
    show(&connection->seen.active_s, clock_s());
}

static void turn_end(struct connection *connection, enum turn turn)
{
    struct worker *worker = connection->worker;
    bool keep = turn != TURN_CLOSE && input_settle(connection);
    if (keep)
        connection_set_yielded(connection, turn == TURN_AGAIN);
    if (!keep || (worker->stopping && !connection_in_reply(connection))) {
        connection_close(connection);
        return;
    }
    connection_watch(connection, awaited(connection, turn));
    show_rest(connection, state_after(connection, turn));
}

static void take_turn(struct connection *connection)
{
    struct worker *worker = connection->worker;
    worker_awaken(worker);
    turn_begin(connection);
    bool input_left =
        connection->watched == EV_TIMEOUT || (connection->yielded && connection->after != PROTOCOL_READ);
    enum turn turn = connection->output ? turn_write(connection)
                     : input_left       ? serve(connection)
                                        : turn_read(connection);
    turn_end(connection, turn);
    worker_turn_end(worker);
}

void connection_again(struct connection *connection)
{
    take_turn(connection);
}

/* One that has a reply under way comes to its session by itself, once that is out. */
void connection_wake(struct connection *connection)
{
    struct worker *worker = connection->worker;
    if (connection->output || connection->yielded)
        return;
    group_leave(connection);
    connection->pass = worker->pass;
    turn_end(connection, serve(connection));
    worker_turn_end(worker);
}

/* ---- groups ---- */

/* Receives for the members from `first` on as long as a whole block is left for the next. Returns where it
 * stopped. */
static unsigned receive_all(struct worker *worker, unsigned first)
{
    struct group *group = &worker->group;
    unsigned at = first;
    for (worker->input_used = 0; at < group->count && worker->input_used <= GROUP_INPUT_SIZE - INPUT_SIZE;
         at++) {
        struct member *member = &group->members[at];
        struct connection *connection = member->connection;
        turn_begin(connection);
        member->received = input_receive(connection);
        group->inputs[at] = received(connection);
        if (connection->input.borrowed)
            worker->input_used =
                (worker->input_used + connection->input.end + CACHE_LINE - 1) & ~(CACHE_LINE - 1);
    }
    worker->input_used = 0;
    return at;
}

/* Runs members[first .. end), as long as there is a whole block left for the next one's replies; one that has
 * more to say than a block is the last. Returns where it stopped. */
static unsigned run_all(struct worker *worker, unsigned first, unsigned end)
{
    struct group *group = &worker->group;
    size_t used = 0;
    for (unsigned at = first; at < end; at++) {
        struct member *member = &group->members[at];
        if (member->received != RECEIVED_SOME)
            continue;
        member->output.data = worker->replies + used;
        enum protocol_next next = run_protocol(member->connection, &group->inputs[at], &member->output);
        used += member->output.size;
        if (next == PROTOCOL_WRITE || used > GROUP_OUTPUT_SIZE - OUTPUT_DATA_SIZE)
            return at + 1;
    }
    return end;
}

static void answer_all(struct group *group, unsigned first, unsigned end)
{
    for (unsigned at = first; at < end; at++) {
        struct member *member = &group->members[at];
        enum turn turn = member->received == RECEIVED_SOME      ? answer(member->connection, &member->output)
                         : member->received == RECEIVED_NOTHING ? TURN_WAIT
                                                                : TURN_CLOSE;
        turn_end(member->connection, turn);
    }
}

void group_serve(struct worker *worker)
{
    struct group *group = &worker->group;
    if (group->count == 0)
        return;
    worker_awaken(worker);
    for (unsigned i = 0; i < group->count; i++)
        group->members[i].connection->grouped = false;
    for (unsigned first = 0, end; first < group->count; first = end) {
        end = receive_all(worker, first);
        protocol_prefetch(worker->protocol, group->inputs + first, end - first);
        for (unsigned at = first, until; at < end; at = until) {
            until = run_all(worker, at, end);
            answer_all(group, at, until);
        }
    }
    group->count = 0;
    worker_turn_end(worker);
}

void group_leave(struct connection *connection)
{
    struct group *group = &connection->worker->group;
    unsigned at = 0;
    if (!connection->grouped)
        return;
    connection->grouped = false;
    while (group->members[at].connection != connection)
        at++;
    for (group->count--; at < group->count; at++)
        group->members[at].connection = group->members[at + 1].connection;
}

static void group_join(struct connection *connection)
{
    struct group *group = &connection->worker->group;
    connection->grouped = true;
    group->members[group->count++].connection = connection;
    if (group->count == GROUP_MAX)
        group_serve(connection->worker);
}

static void on_event(evutil_socket_t fd, short what, void *context)
{
    struct connection *connection = context;
    (void)fd, (void)what;
    bool alone =
        connection->tls || connection->output || connection->yielded || connection->watched != EV_READ;
    if (alone)
        take_turn(connection);
    else
        group_join(connection);
}
