/* UDP: a request a datagram, a reply of one or several. Every worker reads every socket; nothing is kept
 * between two datagrams, and a worker never waits: what the socket does not take is lost, as datagrams are.
 *
 * A frame of 8 bytes leads each datagram: request id, sequence, total, reserved, of 16 bits each, the highest
 * first. Requests of several datagrams are dropped. Whoever sends may lie about where he is, so that a reply
 * hits somebody else: it is never larger than PROTOCOL_DATAGRAM_REPLY_MAX, and what looks like a server's own
 * answer is dropped, or two servers could be made to answer each other for ever. Source: doc/protocol.txt of
 * memcached 1.6.45, "UDP protocol". */
#include "net/net_priv.h"

#include "base/assert.h"
#include "base/log.h"

#include <arpa/inet.h>
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#define FRAME_SIZE   8u
#define PAYLOAD_MAX  1392u /* of a datagram sent, as memcached's: 1400 with the frame fit any network */
#define SENT_MAX     ((PROTOCOL_DATAGRAM_REPLY_MAX + PAYLOAD_MAX - 1) / PAYLOAD_MAX)
#define RECEIVED_MAX (64u << 10)
#define TURN_MAX     16u /* datagrams of one socket: then others get a turn */
#define VECTORS_MAX  (2 * (int)OUTPUT_PINS_MAX + 2)
/* So large that a reply which does not fit is one that may not be sent. */
#define OUTPUT_CAPACITY (2 * PROTOCOL_DATAGRAM_REPLY_MAX)

/* A worker's. */
struct udp {
    struct worker *worker;
    unsigned event_count;
    struct event events[LISTENERS_MAX];
    struct output output;
    char received[RECEIVED_MAX];
    char reply[OUTPUT_CAPACITY];
};

/* Where a datagram came from, and the id that its sender gave it. */
struct sender {
    struct sockaddr_storage address;
    socklen_t address_size;
    uint16_t request_id;
};

_Static_assert(SENT_MAX <= UINT16_MAX, "the frame counts in 16 bits");

/* ---- replies ---- */

static void put_u16(unsigned char *out, unsigned value)
{
    out[0] = (unsigned char)(value >> 8);
    out[1] = (unsigned char)value;
}

static void frame_write(unsigned char *frame, uint16_t request_id, unsigned sequence, unsigned total)
{
    put_u16(frame, request_id);
    put_u16(frame + 2, sequence);
    put_u16(frame + 4, total);
    put_u16(frame + 6, 0);
}

/* The reply as one stretch of memory; the request's is free by now. */
static char *gather(struct udp *udp, size_t size)
{
    struct output *output = &udp->output;
    if (output->pin_count == 0)
        return output->data;
    struct iovec vectors[VECTORS_MAX];
    int count = output_vectors(output, vectors, VECTORS_MAX);
    size_t at = 0;
    for (int i = 0; i < count; i++) {
        memcpy(udp->received + at, vectors[i].iov_base, vectors[i].iov_len);
        at += vectors[i].iov_len;
    }
    ASSERT(at == size);
    return udp->received;
}

static void send_all(struct udp *udp, int fd, struct mmsghdr *messages, unsigned count)
{
    struct metrics_block *block = udp->worker->block;
    int sent = sendmmsg(fd, messages, count, MSG_DONTWAIT | MSG_NOSIGNAL);
    for (int i = 0; i < sent; i++)
        metrics_add(block, METRIC_bytes_written, messages[i].msg_len);
    if (sent != (int)count)
        metrics_add(block, METRIC_udp_dropped, 1);
}

static void reply(struct udp *udp, int fd, struct sender *sender)
{
    size_t size = output_pending(&udp->output);
    unsigned total = (unsigned)((size + PAYLOAD_MAX - 1) / PAYLOAD_MAX);
    struct mmsghdr messages[SENT_MAX];
    struct iovec vectors[SENT_MAX][2];
    unsigned char frames[SENT_MAX][FRAME_SIZE];
    ASSERT(total <= SENT_MAX);
    char *at = gather(udp, size);
    for (unsigned i = 0; i < total; i++) {
        size_t part = size < PAYLOAD_MAX ? size : PAYLOAD_MAX;
        frame_write(frames[i], sender->request_id, i, total);
        vectors[i][0] = (struct iovec){.iov_base = frames[i], .iov_len = FRAME_SIZE};
        vectors[i][1] = (struct iovec){.iov_base = at, .iov_len = part};
        messages[i] = (struct mmsghdr){.msg_hdr = {.msg_name = &sender->address,
                                                   .msg_namelen = sender->address_size,
                                                   .msg_iov = vectors[i],
                                                   .msg_iovlen = 2}};
        at += part;
        size -= part;
    }
    if (total > 0)
        send_all(udp, fd, messages, total);
}

/* ---- requests ---- */

/* The whole of a request, in one datagram? */
static bool frame_read(const char *data, size_t size, struct sender *sender)
{
    const unsigned char *frame = (const unsigned char *)data;
    if (size <= FRAME_SIZE)
        return false;
    sender->request_id = (uint16_t)(frame[0] << 8 | frame[1]);
    return frame[4] == 0 && frame[5] == 1;
}

static void serve(struct udp *udp, int fd, struct sender *sender, size_t size)
{
    struct worker *worker = udp->worker;
    metrics_add(worker->block, METRIC_udp_datagrams, 1);
    switch (
        protocol_datagram(worker->protocol, udp->received + FRAME_SIZE, size - FRAME_SIZE, &udp->output)) {
    case PROTOCOL_DATAGRAM_CUT:
        metrics_add(worker->block, METRIC_udp_cut, 1);
        break;
    case PROTOCOL_DATAGRAM_DROPPED:
        metrics_add(worker->block, METRIC_udp_dropped, 1);
        break;
    case PROTOCOL_DATAGRAM_DONE:
        break;
    }
    reply(udp, fd, sender);
    output_clear(&udp->output);
}

/* False: there is none. */
static bool serve_one(struct udp *udp, int fd)
{
    struct worker *worker = udp->worker;
    struct sender sender = {.address_size = sizeof sender.address};
    ssize_t got = recvfrom(fd, udp->received, sizeof udp->received, MSG_DONTWAIT,
                           (struct sockaddr *)&sender.address, &sender.address_size);
    if (got < 0)
        return errno == EINTR;
    metrics_add(worker->block, METRIC_bytes_read, (uint64_t)got);
    if (frame_read(udp->received, (size_t)got, &sender))
        serve(udp, fd, &sender, (size_t)got);
    else
        metrics_add(worker->block, METRIC_udp_dropped, 1);
    worker_turn_end(worker);
    return true;
}

static void on_datagrams(evutil_socket_t fd, short what, void *context)
{
    struct udp *udp = context;
    (void)what;
    worker_awaken(udp->worker);
    for (unsigned i = 0; i < TURN_MAX && serve_one(udp, fd); i++)
        ;
}

/* ---- life ---- */

static bool is_loopback(int fd)
{
    struct sockaddr_storage bound = {0};
    socklen_t size = sizeof bound;
    if (getsockname(fd, (struct sockaddr *)&bound, &size) != 0)
        return false;
    if (bound.ss_family == AF_INET)
        return ntohl(((struct sockaddr_in *)&bound)->sin_addr.s_addr) >> 24 == IN_LOOPBACKNET;
    return IN6_IS_ADDR_LOOPBACK(&((struct sockaddr_in6 *)&bound)->sin6_addr);
}

void udp_warn(const struct net *net)
{
    for (unsigned i = 0; i < net->udp_count; i++)
        if (!is_loopback(net->udp_sockets[i].fd))
            log_warn("UDP on %s: whoever reaches it can have up to 64 KiB sent to an address of his choice, "
                     "for each "
                     "datagram; let a firewall keep strangers out, or do without -U",
                     net->udp_sockets[i].name);
}

bool udp_open(struct worker *worker)
{
    const struct net *net = worker->net;
    if (net->udp_count == 0)
        return true;
    struct udp *udp = malloc(sizeof *udp);
    if (!udp)
        return false;
    udp->worker = worker;
    udp->output = (struct output){.data = udp->reply, .capacity = sizeof udp->reply};
    for (udp->event_count = 0; udp->event_count < net->udp_count; udp->event_count++) {
        struct event *event = &udp->events[udp->event_count];
        event_assign(event, worker->base, net->udp_sockets[udp->event_count].fd, EV_READ | EV_PERSIST,
                     on_datagrams, udp);
        event_add(event, NULL);
    }
    worker->udp = udp;
    return true;
}

void udp_stop(struct worker *worker)
{
    struct udp *udp = worker->udp;
    while (udp && udp->event_count > 0)
        event_del(&udp->events[--udp->event_count]);
}

void udp_close(struct worker *worker)
{
    udp_stop(worker);
    free(worker->udp);
    worker->udp = NULL;
}
