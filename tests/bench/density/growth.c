/* growth: fills a server with new items at a fixed rate and tells how long requests wait while it grows.
 *
 *   growth PORT COUNT RATE
 *
 * Every millisecond a batch of sets goes out on one connection and a batch of gets of items stored before on
 * another, whether or not earlier replies have come: the load does not slow down with the server. A request's
 * latency runs from the moment it was due. Prints one line a window of 100 ms: start in ms, requests, p50,
 * p99.9 and maximum in us. */
#include <arpa/inet.h>
#include <errno.h>
#include <netinet/tcp.h>
#include <poll.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <time.h>
#include <unistd.h>

#define TICK_NS     1000000ull
#define WINDOW_MS   100u
#define GETS        20u /* a tick */
#define REPLY_SET   8u  /* "STORED\r\n" */
#define REPLY_GET   40u /* "VALUE KKKKKKKKKK 0 10\r\nVVVVVVVVVV\r\nEND\r\n" */
#define STEPS       32u /* of the histogram in an octave: 3 % */
#define CELLS       (STEPS * 27u)
#define DRAIN_TICKS 20000u
#define TEXT_MAX    64u

struct link {
    int fd;
    char *out; /* owned: what has not been sent */
    size_t out_size, out_at, out_capacity;
    unsigned reply_size;
    uint64_t reply_bytes, answered; /* received; requests answered in full */
    uint64_t done_tick, done_part;  /* the tick whose requests are answered next, and how many of it are */
    uint64_t asked_count;           /* requests in all */
    unsigned *asked;                /* owned: the same by tick */
};

struct run {
    uint64_t count, rate, ticks, start_ns;
    uint64_t stored; /* sets sent */
    uint32_t (*cells)[CELLS];
    struct link sets, gets;
};

static _Noreturn void die(const char *what)
{
    fprintf(stderr, "growth: %s: %s\n", what, strerror(errno));
    exit(EXIT_FAILURE);
}

static void *allocate(size_t count, size_t size)
{
    void *memory = calloc(count, size);
    if (!memory)
        die("memory");
    return memory;
}

static uint64_t now_ns(void)
{
    struct timespec t;
    clock_gettime(CLOCK_MONOTONIC, &t);
    return (uint64_t)t.tv_sec * 1000000000u + (uint64_t)t.tv_nsec;
}

/* ---- latencies ---- */

static unsigned cell_of(uint64_t us)
{
    if (us < STEPS)
        return (unsigned)us;
    unsigned octave = 63u - (unsigned)__builtin_clzll(us);
    unsigned cell = (octave - 4) * STEPS + (unsigned)(us >> (octave - 5)) - STEPS;
    return cell < CELLS ? cell : CELLS - 1;
}

static uint64_t cell_us(unsigned cell)
{
    if (cell < STEPS)
        return cell;
    unsigned octave = cell / STEPS + 4;
    return (uint64_t)(cell % STEPS + STEPS) << (octave - 5);
}

static uint64_t window_percentile(const uint32_t *cells, uint64_t total, double share)
{
    uint64_t rank = (uint64_t)(share * (double)total), seen = 0;
    for (unsigned i = 0; i < CELLS; i++) {
        seen += cells[i];
        if (seen > rank)
            return cell_us(i);
    }
    return 0;
}

static void windows_print(const struct run *run)
{
    for (uint64_t w = 0; w * WINDOW_MS < run->ticks; w++) {
        const uint32_t *cells = run->cells[w];
        uint64_t total = 0, most = 0;
        for (unsigned i = 0; i < CELLS; i++) {
            total += cells[i];
            most = cells[i] ? cell_us(i) : most;
        }
        printf("%llu %llu %llu %llu %llu\n", (unsigned long long)w * WINDOW_MS, (unsigned long long)total,
               (unsigned long long)window_percentile(cells, total, 0.5),
               (unsigned long long)window_percentile(cells, total, 0.999), (unsigned long long)most);
    }
}

/* ---- connections ---- */

static void link_open(struct link *link, int port, unsigned reply_size, uint64_t ticks)
{
    struct sockaddr_in to = {
        .sin_family = AF_INET, .sin_port = htons((uint16_t)port), .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
    int on = 1;
    link->fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
    if (link->fd < 0 || connect(link->fd, (struct sockaddr *)&to, sizeof to) != 0)
        die("connect");
    setsockopt(link->fd, IPPROTO_TCP, TCP_NODELAY, &on, sizeof on);
    link->reply_size = reply_size;
    link->asked = allocate(ticks, sizeof *link->asked);
}

static void link_append(struct link *link, const char *text, size_t size)
{
    if (link->out_size + size > link->out_capacity) {
        link->out_capacity = 2 * (link->out_size + size);
        link->out = realloc(link->out, link->out_capacity);
        if (!link->out)
            die("memory");
    }
    memcpy(link->out + link->out_size, text, size);
    link->out_size += size;
}

static void link_flush(struct link *link)
{
    if (link->out_at == link->out_size)
        return;
    ssize_t n =
        send(link->fd, link->out + link->out_at, link->out_size - link->out_at, MSG_DONTWAIT | MSG_NOSIGNAL);
    if (n < 0 && errno != EAGAIN)
        die("send");
    link->out_at += n > 0 ? (size_t)n : 0;
    if (link->out_at == link->out_size)
        link->out_at = link->out_size = 0;
}

/* Notes the latency of every request that is answered now, by the tick in which it was due. */
static void link_note(struct link *link, struct run *run, uint64_t sent_ticks)
{
    uint64_t now = now_ns(), answered = link->reply_bytes / link->reply_size;
    while (link->answered < answered && link->done_tick < sent_ticks) {
        uint64_t left = link->asked[link->done_tick] - link->done_part;
        uint64_t n = answered - link->answered < left ? answered - link->answered : left;
        uint64_t us = (now - run->start_ns - link->done_tick * TICK_NS) / 1000;
        run->cells[link->done_tick / WINDOW_MS][cell_of(us)] += (uint32_t)n;
        link->answered += n;
        link->done_part += n;
        if (link->done_part == link->asked[link->done_tick]) {
            link->done_tick++;
            link->done_part = 0;
        }
    }
}

static void link_receive(struct link *link, struct run *run, uint64_t sent_ticks)
{
    char buffer[65536];
    ssize_t n;
    while ((n = recv(link->fd, buffer, sizeof buffer, MSG_DONTWAIT)) > 0)
        link->reply_bytes += (uint64_t)n;
    if (n == 0 || (n < 0 && errno != EAGAIN))
        die("the server closed the connection");
    link_note(link, run, sent_ticks);
}

/* ---- the load ---- */

static uint64_t mix(uint64_t x)
{
    x = (x ^ x >> 33) * 0xff51afd7ed558ccd;
    return x ^ x >> 33;
}

static void tick_send(struct run *run, uint64_t tick)
{
    char text[TEXT_MAX];
    uint64_t due = (tick + 1) * run->rate / 1000;
    for (due = due < run->count ? due : run->count; run->stored < due; run->stored++) {
        unsigned key = (unsigned)run->stored;
        int size = snprintf(text, sizeof text, "set %010u 0 0 10\r\n%010u\r\n", key, key);
        link_append(&run->sets, text, (size_t)size);
        run->sets.asked[tick]++;
        run->sets.asked_count++;
    }
    /* Of what was answered already: a get may not overtake the set of its key. */
    uint64_t there = run->sets.answered;
    for (unsigned i = 0; there > 0 && i < GETS; i++) {
        unsigned key = (unsigned)(mix(tick * GETS + i) % there);
        int size = snprintf(text, sizeof text, "get %010u\r\n", key);
        link_append(&run->gets, text, (size_t)size);
        run->gets.asked[tick]++;
        run->gets.asked_count++;
    }
    link_flush(&run->sets);
    link_flush(&run->gets);
}

/* Sends what is left and takes replies, for at most this long; returns at once when something came. */
static void links_serve(struct run *run, uint64_t wait_ns, uint64_t sent_ticks)
{
    struct timespec rest = {.tv_nsec = (long)wait_ns};
    struct link *links[2] = {&run->sets, &run->gets};
    struct pollfd fds[2];
    for (int i = 0; i < 2; i++) {
        short out = links[i]->out_at < links[i]->out_size ? POLLOUT : 0;
        fds[i] = (struct pollfd){.fd = links[i]->fd, .events = (short)(POLLIN | out)};
    }
    ppoll(fds, 2, &rest, NULL);
    for (int i = 0; i < 2; i++) {
        if (fds[i].revents & POLLOUT)
            link_flush(links[i]);
        if (fds[i].revents & (POLLIN | POLLHUP | POLLERR))
            link_receive(links[i], run, sent_ticks);
    }
}

static void wait_until(struct run *run, uint64_t tick, uint64_t sent_ticks)
{
    uint64_t now, due = run->start_ns + tick * TICK_NS;
    do {
        now = now_ns();
        links_serve(run, now < due ? due - now : 0, sent_ticks);
    } while (now < due);
}

static bool all_answered(const struct run *run)
{
    return run->sets.answered == run->sets.asked_count && run->gets.answered == run->gets.asked_count;
}

int main(int argc, char **argv)
{
    if (argc != 4) {
        fprintf(stderr, "usage: growth PORT COUNT RATE\n");
        return EXIT_FAILURE;
    }
    struct run run = {.count = strtoull(argv[2], NULL, 10), .rate = strtoull(argv[3], NULL, 10)};
    run.ticks = (run.count * 1000 + run.rate - 1) / run.rate;
    run.cells = allocate(run.ticks / WINDOW_MS + 1, sizeof *run.cells);
    link_open(&run.sets, atoi(argv[1]), REPLY_SET, run.ticks);
    link_open(&run.gets, atoi(argv[1]), REPLY_GET, run.ticks);
    run.start_ns = now_ns();
    for (uint64_t tick = 0; tick < run.ticks; tick++) {
        wait_until(&run, tick, tick);
        tick_send(&run, tick);
    }
    for (uint64_t tick = run.ticks; !all_answered(&run) && tick < run.ticks + DRAIN_TICKS; tick++)
        wait_until(&run, tick, run.ticks);
    if (!all_answered(&run))
        die("not every request was answered with success");
    windows_print(&run);
    return EXIT_SUCCESS;
}
