/* floor: what a server costs that has no cache at all, so that it is known what any server can reach here.
 *
 * It reads, counts requests, and answers from constant buffers of the right size with one send a readable
 * event. It knows get (any number of keys of the one key size) and set; keys and values are constant. One
 * thread. usage: floor PORT KEY_SIZE VALUE_SIZE */
#include <errno.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <poll.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/socket.h>
#include <sys/uio.h>
#include <unistd.h>

#define INPUT_CAPACITY (1u << 20)
#define KEYS_MAX       256u /* of one get */
#define REPEAT         256u /* replies to single requests that one vector can name */
#define VECTORS_MAX    256
#define EVENTS_MAX     256

struct connection {
    int fd;
    size_t size;
    char input[INPUT_CAPACITY];
};

/* The constant replies. */
struct replies {
    size_t key_size, value_size;
    char *values;       /* KEYS_MAX VALUE blocks, then END: a get of k keys is the last k of them */
    size_t value_block; /* size of one */
    char *singles;      /* REPEAT times one VALUE block and END */
    size_t single;
    char *stored; /* REPEAT times STORED */
};

/* The reply to what one event brought, as vectors into the constant buffers. */
struct reply {
    struct iovec vectors[VECTORS_MAX];
    int count;
};

static const char STORED[] = "STORED\r\n";
static const char END[] = "END\r\n";

static _Noreturn void die(const char *what)
{
    perror(what);
    exit(1);
}

static void *allocate(size_t size)
{
    void *memory = malloc(size);
    if (!memory)
        die("floor: malloc");
    return memory;
}

/* Writes one VALUE block and returns its end. */
static char *put_value(char *out, size_t key_size, size_t value_size)
{
    memcpy(out, "VALUE ", 6);
    memset(out + 6, 'k', key_size);
    out += 6 + key_size;
    out += sprintf(out, " 0 %zu\r\n", value_size);
    memset(out, 'v', value_size);
    memcpy(out + value_size, "\r\n", 2);
    return out + value_size + 2;
}

static void replies_init(struct replies *r, size_t key_size, size_t value_size)
{
    size_t block_max = key_size + value_size + 64;
    r->key_size = key_size;
    r->value_size = value_size;
    r->values = allocate(KEYS_MAX * block_max);
    r->singles = allocate(REPEAT * block_max);
    r->stored = allocate(REPEAT * (sizeof STORED - 1));
    char *out = r->values;
    for (unsigned i = 0; i < KEYS_MAX; i++)
        out = put_value(out, key_size, value_size);
    r->value_block = (size_t)(out - r->values) / KEYS_MAX;
    memcpy(out, END, sizeof END - 1);
    out = r->singles;
    for (unsigned i = 0; i < REPEAT; i++) {
        out = put_value(out, key_size, value_size);
        memcpy(out, END, sizeof END - 1);
        out += sizeof END - 1;
        memcpy(r->stored + i * (sizeof STORED - 1), STORED, sizeof STORED - 1);
    }
    r->single = r->value_block + sizeof END - 1;
}

/* Adds one of the repeated replies: the vector before is made longer where it already names the same ones. */
static void reply_add_repeated(struct reply *reply, char *base, size_t size)
{
    struct iovec *last = reply->count > 0 ? &reply->vectors[reply->count - 1] : NULL;
    if (last && last->iov_base == base && last->iov_len < REPEAT * size)
        last->iov_len += size;
    else
        reply->vectors[reply->count++] = (struct iovec){base, size};
}

static void reply_add_get(struct reply *reply, const struct replies *r, size_t keys)
{
    if (keys == 1) {
        reply_add_repeated(reply, r->singles, r->single);
        return;
    }
    size_t skip = (KEYS_MAX - keys) * r->value_block;
    size_t size = keys * r->value_block + sizeof END - 1;
    reply->vectors[reply->count++] = (struct iovec){r->values + skip, size};
}

/* Counts one request at `data` into the reply; its size, 0 when it is not all there. */
static size_t request_take(const struct replies *r, const char *data, size_t size, struct reply *reply)
{
    const char *end = memchr(data, '\n', size);
    if (!end)
        return 0;
    size_t line = (size_t)(end + 1 - data);
    if (data[0] == 'g') {
        size_t keys = (line - 5) / (r->key_size + 1);
        if (keys == 0 || keys > KEYS_MAX) {
            fprintf(stderr, "floor: a get of %zu keys is not in its repertoire\n", keys);
            exit(1);
        }
        reply_add_get(reply, r, keys);
        return line;
    }
    size_t whole = line + r->value_size + 2;
    if (size < whole)
        return 0;
    reply_add_repeated(reply, (char *)r->stored, sizeof STORED - 1);
    return whole;
}

/* Sends all of it; where the socket is full, waits: the load is closed-loop and will read. */
static bool reply_send(struct reply *reply, int fd)
{
    struct iovec *at = reply->vectors;
    while (reply->count > 0) {
        struct msghdr message = {.msg_iov = at, .msg_iovlen = (size_t)reply->count};
        ssize_t n = sendmsg(fd, &message, MSG_NOSIGNAL | MSG_DONTWAIT);
        if (n < 0 && errno == EAGAIN) {
            poll(&(struct pollfd){.fd = fd, .events = POLLOUT}, 1, 1000);
            continue;
        }
        if (n < 0)
            return false;
        size_t left = (size_t)n;
        for (; reply->count > 0 && left >= at->iov_len; at++, reply->count--)
            left -= at->iov_len;
        if (reply->count > 0)
            *at = (struct iovec){(char *)at->iov_base + left, at->iov_len - left};
    }
    return true;
}

/* Answers everything that is there. False: the connection is to be closed. */
static bool connection_serve(struct connection *c, const struct replies *r)
{
    ssize_t n = recv(c->fd, c->input + c->size, INPUT_CAPACITY - c->size, MSG_DONTWAIT);
    if (n <= 0)
        return n < 0 && (errno == EAGAIN || errno == EINTR);
    c->size += (size_t)n;
    size_t used = 0, taken = 1;
    while (used < c->size && taken > 0) {
        struct reply reply = {.count = 0};
        while (used < c->size && reply.count < VECTORS_MAX - 1 &&
               (taken = request_take(r, c->input + used, c->size - used, &reply)) > 0)
            used += taken;
        if (!reply_send(&reply, c->fd))
            return false;
    }
    c->size -= used;
    memmove(c->input, c->input + used, c->size);
    return c->size < INPUT_CAPACITY;
}

static int listen_on(uint16_t port)
{
    struct sockaddr_in address = {
        .sin_family = AF_INET, .sin_port = htons(port), .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
    int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0), on = 1;
    setsockopt(fd, SOL_SOCKET, SO_REUSEADDR, &on, sizeof on);
    if (fd < 0 || bind(fd, (struct sockaddr *)&address, sizeof address) < 0 || listen(fd, 1024) < 0)
        die("floor: listen");
    return fd;
}

static void connection_accept(int listener, int epoll)
{
    int fd = accept4(listener, NULL, NULL, SOCK_CLOEXEC), on = 1;
    if (fd < 0)
        return;
    setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &on, sizeof on);
    struct connection *c = allocate(sizeof *c);
    c->fd = fd;
    c->size = 0;
    struct epoll_event event = {.events = EPOLLIN, .data.ptr = c};
    if (epoll_ctl(epoll, EPOLL_CTL_ADD, fd, &event) < 0)
        die("floor: epoll_ctl");
}

int main(int argc, char **argv)
{
    if (argc != 4) {
        fprintf(stderr, "usage: floor PORT KEY_SIZE VALUE_SIZE\n");
        return 2;
    }
    struct replies replies;
    replies_init(&replies, strtoul(argv[2], NULL, 10), strtoul(argv[3], NULL, 10));
    int epoll = epoll_create1(EPOLL_CLOEXEC), listener = listen_on((uint16_t)strtoul(argv[1], NULL, 10));
    struct epoll_event event = {.events = EPOLLIN, .data.ptr = NULL}, events[EVENTS_MAX];
    if (epoll < 0 || epoll_ctl(epoll, EPOLL_CTL_ADD, listener, &event) < 0)
        die("floor: epoll");
    for (;;) {
        int n = epoll_wait(epoll, events, EVENTS_MAX, -1);
        for (int i = 0; i < n; i++) {
            struct connection *c = events[i].data.ptr;
            if (!c)
                connection_accept(listener, epoll);
            else if (!connection_serve(c, &replies)) {
                close(c->fd);
                free(c);
            }
        }
    }
}
