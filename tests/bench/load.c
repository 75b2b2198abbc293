/* load: a load generator for servers of memcached's text protocol, on one core.
 *
 * Each connection sends a batch of requests, checks every reply, and sends the next (closed loop), or sends
 * at fixed times (--rate: open loop; latency then counts from when a batch was due, so that a stall of the
 * server is not left out). Flow: connect, prefill, warm-up, measure, report. Single-threaded. */
#include "batch.h"
#include "report.h"

#include <errno.h>
#include <netdb.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <time.h>
#include <unistd.h>

#define NS_A_SECOND 1000000000u
#define SILENCE_NS  (10ull * NS_A_SECOND)
#define EVENTS_MAX  256
#define RECEIVE_MIN 65536u

struct connection {
    int fd;
    struct batch batch; /* owned */
    size_t sent;        /* of the batch */
    char *in;           /* owned */
    size_t in_size;
    uint64_t started_ns; /* when the batch was sent, or due */
    uint64_t due_ns;     /* open loop: when the next one is due */
    bool busy;
};

/* One stretch of work: prefill, warm-up or measurement. */
struct phase {
    uint64_t requests_left; /* to send; UINT64_MAX: bound by time */
    uint64_t end_ns;        /* UINT64_MAX: bound by count */
    double set_ratio, rate;
    uint64_t start_ns, period_ns, ticks; /* open loop: between a connection's batches; batches due so far */
    struct tally tally;
    uint64_t last_ns, latency_max_ns; /* of the last reply within the phase */
    unsigned busy;                    /* connections that wait for a reply */
};

struct load {
    struct options options;
    struct workload workload;
    struct connection *connections; /* owned */
    size_t in_capacity;
    int epoll;
    struct phase phase;
    struct histogram latency;
    uint64_t heard_ns; /* when the server last said something */
};

static uint64_t now_ns(void)
{
    struct timespec t;
    clock_gettime(CLOCK_MONOTONIC, &t);
    return (uint64_t)t.tv_sec * NS_A_SECOND + (uint64_t)t.tv_nsec;
}

static _Noreturn void die(const char *what)
{
    fprintf(stderr, "load: %s\n", what);
    exit(1);
}

static _Noreturn void die_errno(const char *what)
{
    fprintf(stderr, "load: %s: %s\n", what, strerror(errno));
    exit(1);
}

/* ---- connecting ---- */

static int connect_unix(const char *path)
{
    struct sockaddr_un address = {.sun_family = AF_UNIX};
    if (strlen(path) >= sizeof address.sun_path)
        die("the socket's path is too long");
    strcpy(address.sun_path, path);
    int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
    if (fd < 0 || connect(fd, (struct sockaddr *)&address, sizeof address) < 0)
        die_errno(path);
    return fd;
}

static int connect_tcp(const char *host, const char *port)
{
    struct addrinfo hints = {.ai_socktype = SOCK_STREAM}, *found;
    int code = getaddrinfo(host, port, &hints, &found);
    if (code != 0)
        die(gai_strerror(code));
    int fd = socket(found->ai_family, SOCK_STREAM | SOCK_CLOEXEC, 0);
    if (fd < 0 || connect(fd, found->ai_addr, found->ai_addrlen) < 0)
        die_errno("connect");
    freeaddrinfo(found);
    int on = 1;
    setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &on, sizeof on);
    return fd;
}

static void connection_open(struct load *load, struct connection *c)
{
    const struct options *o = &load->options;
    c->fd = o->unix_path ? connect_unix(o->unix_path) : connect_tcp(o->host, o->port);
    c->in = malloc(load->in_capacity);
    if (!c->in || !batch_init(&c->batch, o))
        die("out of memory");
    struct epoll_event event = {.events = EPOLLIN, .data.ptr = c};
    if (epoll_ctl(load->epoll, EPOLL_CTL_ADD, c->fd, &event) < 0)
        die_errno("epoll_ctl");
}

static void load_connect(struct load *load)
{
    size_t block = batch_block_max(&load->options);
    load->in_capacity = block > RECEIVE_MIN ? block : RECEIVE_MIN;
    load->epoll = epoll_create1(EPOLL_CLOEXEC);
    load->connections = calloc(load->options.connections, sizeof *load->connections);
    if (load->epoll < 0 || !load->connections)
        die("out of memory or descriptors");
    for (unsigned i = 0; i < load->options.connections; i++)
        connection_open(load, &load->connections[i]);
}

static void load_fini(struct load *load)
{
    for (unsigned i = 0; i < load->options.connections; i++) {
        close(load->connections[i].fd);
        free(load->connections[i].in);
        batch_fini(&load->connections[i].batch);
    }
    free(load->connections);
    close(load->epoll);
    workload_fini(&load->workload);
}

/* ---- a batch's way ---- */

static void connection_watch(struct load *load, struct connection *c, uint32_t events)
{
    struct epoll_event event = {.events = events, .data.ptr = c};
    if (epoll_ctl(load->epoll, EPOLL_CTL_MOD, c->fd, &event) < 0)
        die_errno("epoll_ctl");
}

/* Sends what it can; a server that reads slowly is waited for by EPOLLOUT. */
static void connection_send(struct load *load, struct connection *c, bool watching)
{
    while (c->sent < c->batch.size) {
        ssize_t n =
            send(c->fd, c->batch.data + c->sent, c->batch.size - c->sent, MSG_NOSIGNAL | MSG_DONTWAIT);
        if (n < 0 && errno == EINTR)
            continue;
        if (n < 0 && errno != EAGAIN)
            die_errno("send");
        if (n < 0) {
            if (!watching)
                connection_watch(load, c, EPOLLIN | EPOLLOUT);
            return;
        }
        c->sent += (size_t)n;
    }
    if (watching)
        connection_watch(load, c, EPOLLIN);
}

/* Starts the connection's next batch unless the phase is over or, in an open loop, none is due. */
static void connection_next(struct load *load, struct connection *c, uint64_t now)
{
    struct phase *phase = &load->phase;
    if (now >= phase->end_ns || phase->requests_left == 0)
        return;
    c->started_ns = now;
    if (phase->rate > 0) {
        if (c->due_ns > now)
            return;
        c->started_ns = c->due_ns;
        c->due_ns += phase->period_ns;
    }
    uint64_t count = load->options.depth < phase->requests_left ? load->options.depth : phase->requests_left;
    if (phase->requests_left != UINT64_MAX)
        phase->requests_left -= count;
    batch_build(&c->batch, &load->workload, (unsigned)count, phase->set_ratio);
    c->sent = 0;
    c->busy = true;
    phase->busy++;
    connection_send(load, c, false);
}

static _Noreturn void die_wrong(const struct connection *c, const char *wrong)
{
    size_t size = (size_t)(c->in + c->in_size - wrong);
    fprintf(stderr, "load: wrong reply to request %u of a batch: ", c->batch.request_done);
    for (size_t i = 0; i < size && i < 160; i++)
        if (wrong[i] >= ' ' && wrong[i] <= '~')
            fputc(wrong[i], stderr);
        else
            fprintf(stderr, "\\x%02x", (unsigned char)wrong[i]);
    fputc('\n', stderr);
    exit(1);
}

/* Counts what came; replies that come after the end of the phase are checked but not counted. */
static void connection_check(struct load *load, struct connection *c, uint64_t now)
{
    struct phase *phase = &load->phase;
    struct tally tally = phase->tally;
    unsigned done = c->batch.request_done;
    const char *wrong;
    long used = batch_check(&c->batch, &load->workload, c->in, c->in_size, &tally, &wrong);
    if (used < 0)
        die_wrong(c, wrong);
    c->in_size -= (size_t)used;
    memmove(c->in, c->in + used, c->in_size);
    done = c->batch.request_done - done;
    if (now > phase->end_ns)
        return;
    tally.requests += done;
    phase->tally = tally;
    if (done == 0)
        return;
    phase->last_ns = now;
    uint64_t latency = now - c->started_ns;
    histogram_add(&load->latency, latency, done);
    if (latency > phase->latency_max_ns)
        phase->latency_max_ns = latency;
}

static void connection_receive(struct load *load, struct connection *c)
{
    ssize_t n = recv(c->fd, c->in + c->in_size, load->in_capacity - c->in_size, MSG_DONTWAIT);
    if (n < 0 && (errno == EAGAIN || errno == EINTR))
        return;
    if (n < 0)
        die_errno("recv");
    if (n == 0)
        die("the server closed the connection");
    c->in_size += (size_t)n;
    uint64_t now = load->heard_ns = now_ns();
    connection_check(load, c, now);
    if (c->busy && batch_complete(&c->batch)) {
        c->busy = false;
        load->phase.busy--;
        connection_next(load, c, now);
    }
}

/* ---- phases ---- */

/* Open loop: starts the batches that have come due, in the connections' fixed order. Returns when the next
 * one is due. A connection that is still busy sends its overdue batch as soon as its reply is in. */
static uint64_t phase_due(struct load *load, uint64_t now)
{
    struct phase *phase = &load->phase;
    uint64_t count = load->options.connections;
    for (;;) {
        uint64_t due = phase->start_ns + phase->ticks * phase->period_ns / count;
        if (due > now)
            return due;
        struct connection *c = &load->connections[phase->ticks++ % count];
        if (!c->busy)
            connection_next(load, c, now);
    }
}

static void phase_start(struct load *load)
{
    struct phase *phase = &load->phase;
    uint64_t now = phase->start_ns = load->heard_ns = now_ns();
    unsigned count = load->options.connections;
    memset(&load->latency, 0, sizeof load->latency);
    if (phase->rate > 0)
        phase->period_ns = (uint64_t)((double)load->options.depth * count * NS_A_SECOND / phase->rate);
    for (unsigned i = 0; i < count; i++) {
        load->connections[i].due_ns = now + i * phase->period_ns / count;
        if (phase->rate == 0)
            connection_next(load, &load->connections[i], now);
    }
}

static int phase_wait(struct load *load, struct epoll_event *events, uint64_t now)
{
    uint64_t until = now + NS_A_SECOND / 10;
    if (load->phase.rate > 0 && now < load->phase.end_ns) {
        uint64_t due = phase_due(load, now);
        until = due < until ? due : until;
    }
    uint64_t left = until > now ? until - now : 0;
    struct timespec timeout = {.tv_sec = (time_t)(left / NS_A_SECOND), .tv_nsec = (long)(left % NS_A_SECOND)};
    int n = epoll_pwait2(load->epoll, events, EVENTS_MAX, &timeout, NULL);
    if (n < 0 && errno != EINTR)
        die_errno("epoll_pwait2");
    return n;
}

/* Runs until the phase's bound is reached and every reply is in. */
static void phase_run(struct load *load)
{
    struct phase *phase = &load->phase;
    struct epoll_event events[EVENTS_MAX];
    phase_start(load);
    uint64_t now = phase->start_ns;
    while (phase->busy > 0 || (phase->requests_left > 0 && now < phase->end_ns)) {
        int n = phase_wait(load, events, now);
        for (int i = 0; i < n; i++) {
            struct connection *c = events[i].data.ptr;
            if (events[i].events & EPOLLOUT)
                connection_send(load, c, true);
            if (events[i].events & (EPOLLIN | EPOLLHUP | EPOLLERR))
                connection_receive(load, c);
        }
        now = now_ns();
        if (phase->busy > 0 && now > load->heard_ns + SILENCE_NS)
            die("no reply for 10 s");
    }
}

static void load_prefill(struct load *load)
{
    workload_distribute(&load->workload, DISTRIBUTE_SEQUENTIAL);
    load->phase = (struct phase){
        .requests_left = load->options.key_count, .end_ns = UINT64_MAX, .set_ratio = 1, .rate = 0};
    phase_run(load);
    workload_distribute(&load->workload, load->options.distribution);
}

static void load_warm_up(struct load *load)
{
    uint64_t end = now_ns() + (uint64_t)(load->options.warmup_s * NS_A_SECOND);
    load->phase = (struct phase){.requests_left = UINT64_MAX,
                                 .end_ns = end,
                                 .set_ratio = load->options.set_ratio,
                                 .rate = load->options.rate};
    phase_run(load);
}

static void load_measure(struct load *load)
{
    const struct options *o = &load->options;
    struct report report = {.options = o, .latency = &load->latency};
    report.server_known = o->server_pid > 0 && process_cost_read(o->server_pid, &report.before);
    double cpu_s = process_own_cpu_s();
    bool counted = o->request_count > 0;
    load->phase =
        (struct phase){.requests_left = counted ? o->request_count : UINT64_MAX,
                       .end_ns = counted ? UINT64_MAX : now_ns() + (uint64_t)(o->duration_s * NS_A_SECOND),
                       .set_ratio = o->set_ratio,
                       .rate = o->rate};
    phase_run(load);
    report.load_cpu_s = process_own_cpu_s() - cpu_s;
    if (report.server_known)
        report.server_known = process_cost_read(o->server_pid, &report.after);
    const struct phase *phase = &load->phase;
    report.tally = phase->tally;
    report.latency_max_ns = phase->latency_max_ns;
    report.seconds = (double)((counted ? phase->last_ns : phase->end_ns) - phase->start_ns) / NS_A_SECOND;
    report_print(&report);
}

int main(int argc, char **argv)
{
    static struct load load;
    if (!options_parse(&load.options, argc, argv))
        return 2;
    if (!workload_init(&load.workload, &load.options))
        return 2;
    prctl(PR_SET_TIMERSLACK, 1);
    load_connect(&load);
    if (load.options.prefill)
        load_prefill(&load);
    if (load.options.warmup_s > 0 && load.options.request_count == 0)
        load_warm_up(&load);
    load_measure(&load);
    load_fini(&load);
    return 0;
}
