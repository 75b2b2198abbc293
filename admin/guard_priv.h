/* What a request must be before any handler sees it.
 *
 * Place: admin, between the server and the router. First the framing: what the HTTP library lets through but
 * a strict reader would not (two lengths, two hosts, folded or cut headers). Then the origin: the Host
 * allow-list against DNS rebinding, Origin and Sec-Fetch-* against other sites' pages. Thread-safety: pure.
 * Sources: RFC 9112, and what libmicrohttpd 0.9.75 was measured to accept. */
#ifndef VITRINE_ADMIN_GUARD_PRIV_H
#define VITRINE_ADMIN_GUARD_PRIV_H

#include "admin/request_priv.h"

#include <microhttpd.h>

#define BODY_SIZE_MAX 65536u

/* The header fields of one request, as counted by guard_read. */
struct guard_headers {
    const char *host, *origin, *fetch_site, *fetch_mode, *content_type, *content_length, *transfer_encoding;
    const char *if_match, *if_none_match, *accept, *accept_encoding;
    bool repeated; /* a field that may stand once stands twice */
    bool malformed;
    const char *end; /* of what was read last, in the library's memory */
};

void guard_read(struct MHD_Connection *connection, const char *version, struct guard_headers *headers);

/* Framing, whatever the path. False: the refusal, which ends the connection, is in the reply. */
bool guard_framing(const struct guard_headers *headers, const char *version, struct reply *reply);
/* Host, on every path. `port` 0: a Unix socket, where any port will do. */
bool guard_host(const struct guard_headers *headers, uint16_t port, struct reply *reply);
/* Origin and content type, by the route's role and body. */
bool guard_origin(const struct guard_headers *headers, const struct route *route, struct reply *reply);
bool guard_body(const struct guard_headers *headers, const struct route *route, struct reply *reply);
/* Whether a body is announced. */
bool guard_has_body(const struct guard_headers *headers);

#endif
