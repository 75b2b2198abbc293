/* A connection's bytes on their way: from the socket to where the protocol reads them, and from the replies
 * to the socket, in plain text or by TLS. What was received and what is answered lies in the worker's memory;
 * what a turn leaves of either goes to a block of the connection's own. All of it runs on the connection's
 * worker. */
#include "metrics/events.h"
#include "net/net_priv.h"

#include "base/assert.h"

#include <errno.h>
#include <string.h>

#define BODY_RECEIVE_MAX (64u << 10) /* of a large body in one turn */
#define VECTORS_MAX      (2 * (int)OUTPUT_PINS_MAX + 2)
#define TLS_SEND_MAX     (512u << 10) /* by TLS in one turn */
#define TLS_RECORD_SIZE  (16u << 10)

#define OUT_OF_THE_WAY __attribute__((noinline)) /* of the turns without TLS */

/* ---- input ---- */

/* The room behind what is buffered. A connection without a block borrows of the worker's memory for this
 * turn, behind those that are served together with it. */
static size_t input_room(struct connection *connection)
{
    struct input *input = &connection->input;
    const struct worker *worker = connection->worker;
    if (!input->data)
        *input = (struct input){.data = worker->input + worker->input_used, .borrowed = true};
    if (input->begin > 0) {
        memmove(input->data, input->data + input->begin, input->end - input->begin);
        input->end -= input->begin;
        input->begin = 0;
    }
    return INPUT_SIZE - input->end;
}

bool input_settle(struct connection *connection)
{
    struct input *input = &connection->input;
    struct pool *pool = &connection->worker->input_pool;
    uint32_t size = input->end - input->begin;
    char *own = NULL;
    if (size > 0 && !input->borrowed)
        return true;
    if (size == 0 && input->data && !input->borrowed)
        pool_give(pool, input->data);
    if (size > 0 && (own = pool_take(pool)) != NULL)
        memcpy(own, input->data + input->begin, size);
    *input = (struct input){.data = own, .end = own ? size : 0};
    return own || size == 0;
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

/* A large body goes straight where it is staged. False: none is under way, or what is buffered comes first.
 */
static bool receive_body(struct connection *connection, ssize_t *got)
{
    size_t room;
    struct input *input = &connection->input;
    char *body = input->begin == input->end ? protocol_body_room(&connection->session, &room) : NULL;
    if (!body)
        return false;
    size_t most = room < BODY_RECEIVE_MAX ? room : BODY_RECEIVE_MAX;
    *got = receive_to(connection, body, most);
    if (*got > 0)
        protocol_body_received(&connection->session, (size_t)*got);
    input->full = *got == (ssize_t)most;
    return true;
}

/* All else goes into the input. */
static ssize_t receive_requests(struct connection *connection)
{
    struct input *input = &connection->input;
    size_t room = input_room(connection);
    ASSERT(room > 0); /* a line that cannot fit was refused by the protocol */
    ssize_t got = receive_to(connection, input->data + input->end, room);
    if (got > 0)
        input->end += (uint32_t)got;
    input->full = got == (ssize_t)room;
    return got;
}

static enum received received_of(struct connection *connection, ssize_t got)
{
    if (got < 0)
        return errno == EAGAIN || errno == EWOULDBLOCK || errno == EINTR ? RECEIVED_NOTHING : RECEIVED_END;
    if (got == 0) {
        connection->peer_gone = true;
        connection->session.reason = REASON_NORMAL;
        return RECEIVED_END;
    }
    metrics_add(connection->worker->block, METRIC_bytes_read, (uint64_t)got);
    show_more(&connection->seen.read_size, (size_t)got);
    return RECEIVED_SOME;
}

enum received input_receive(struct connection *connection)
{
    ssize_t got;
    if (!receive_body(connection, &got))
        got = receive_requests(connection);
    return received_of(connection, got);
}

enum received input_receive_body(struct connection *connection)
{
    ssize_t got;
    return receive_body(connection, &got) ? received_of(connection, got) : RECEIVED_NOTHING;
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

enum sent output_send(struct connection *connection, struct output *output)
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

bool output_keep(struct connection *connection, struct output *output)
{
    struct output_block *own = pool_take(&connection->worker->output_pool);
    if (!own)
        return false;
    memcpy(own->data + output->sent, output->data + output->sent, output->size - output->sent);
    own->output = *output;
    own->output.data = own->data;
    output->size = output->sent = 0;
    output->pin_count = output->pin_first = 0;
    connection->output = own;
    return true;
}

void output_drop(struct connection *connection)
{
    if (!connection->output)
        return;
    output_clear(&connection->output->output);
    pool_give(&connection->worker->output_pool, connection->output);
    connection->output = NULL;
}
