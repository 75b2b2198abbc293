#include "net/handshakes_priv.h"

#include "base/clock.h"
#include "base/log.h"

#define NS_PER_S     1000000000ull
#define TURNS_A_PASS 4u

static void arm(struct handshakes *handshakes)
{
    const struct tls_link *first = TAILQ_FIRST(&handshakes->links);
    uint64_t now = clock_ns(), left_us = 0;
    if (!first)
        return;
    if (first->late_ns > now)
        left_us = (first->late_ns - now) / 1000 + 1;
    const struct timeval left = {.tv_sec = (time_t)(left_us / 1000000),
                                 .tv_usec = (suseconds_t)(left_us % 1000000)};
    event_add(&handshakes->late, &left);
}

static void on_late(evutil_socket_t fd, short what, void *context)
{
    struct handshakes *handshakes = context;
    struct tls_link *link;
    (void)fd, (void)what;
    while ((link = TAILQ_FIRST(&handshakes->links)) != NULL && link->late_ns <= clock_ns()) {
        metrics_add(link->block, METRIC_ssl_handshake_errors, 1);
        log_debug("TLS: no handshake: too slow");
        handshakes->close(link->connection);
    }
    arm(handshakes);
}

void handshakes_init(struct handshakes *handshakes, struct event_base *base, uint64_t limit_s,
                     void (*close)(struct connection *connection))
{
    *handshakes = (struct handshakes){.limit_ns = limit_s * NS_PER_S, .close = close};
    TAILQ_INIT(&handshakes->links);
    event_assign(&handshakes->late, base, -1, 0, on_late, handshakes);
}

void handshakes_fini(struct handshakes *handshakes)
{
    event_del(&handshakes->late);
}

void handshakes_begin(struct handshakes *handshakes, struct tls_link *link, struct connection *connection)
{
    bool first = TAILQ_EMPTY(&handshakes->links);
    link->handshakes = handshakes;
    link->connection = connection;
    link->late_ns = clock_ns() + handshakes->limit_ns;
    TAILQ_INSERT_TAIL(&handshakes->links, link, next);
    if (first)
        arm(handshakes);
}

void handshakes_end(struct tls_link *link)
{
    if (!link->handshakes)
        return;
    TAILQ_REMOVE(&link->handshakes->links, link, next);
    if (TAILQ_EMPTY(&link->handshakes->links))
        event_del(&link->handshakes->late);
    link->handshakes = NULL;
}

bool handshakes_turn(struct handshakes *handshakes, const struct tls_link *link, uint64_t pass)
{
    if (!link->handshakes)
        return true;
    if (handshakes->pass != pass)
        handshakes->turns = 0;
    handshakes->pass = pass;
    return handshakes->turns++ < TURNS_A_PASS;
}
