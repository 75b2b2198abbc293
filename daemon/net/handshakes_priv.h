/* A worker's handshakes under way: so many a pass, for one takes as long as a hundred requests; and so long
 * each, so that clients that never finish theirs hold nothing. Thread-safety: the worker's alone. */
#ifndef VITRINE_NET_HANDSHAKES_PRIV_H
#define VITRINE_NET_HANDSHAKES_PRIV_H

#include "net/tls_priv.h"

#include <event2/event.h>
#include <event2/event_struct.h>

TAILQ_HEAD(tls_links, tls_link);

struct handshakes {
    struct tls_links links; /* those that began first stand first */
    struct event late;      /* fires when the first of them has taken too long */
    uint64_t limit_ns;
    uint64_t pass; /* of the worker, to which `turns` belongs */
    unsigned turns;
    void (*close)(struct connection *connection);
};

/* `close` ends a connection whose handshake took longer than `limit_s`. */
void handshakes_init(struct handshakes *handshakes, struct event_base *base, uint64_t limit_s,
                     void (*close)(struct connection *connection));
void handshakes_fini(struct handshakes *handshakes);
void handshakes_begin(struct handshakes *handshakes, struct tls_link *link, struct connection *connection);
/* It is done, or given up; nothing if it was before. */
void handshakes_end(struct tls_link *link);
/* Whether the link may receive now; else it waits for the worker's next pass. */
bool handshakes_turn(struct handshakes *handshakes, const struct tls_link *link, uint64_t pass);

#endif
