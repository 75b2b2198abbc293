/* The HTTP server: one listener, a few threads, every request guarded, routed and answered.
 *
 * Place: admin, between the HTTP library and the handlers. Flow: request line (kept raw) -> header: framing,
 * host, route, origin -> body, at most 64 KiB -> handler -> reply. Thread-safety: create and destroy from the
 * main thread. */
#ifndef VITRINE_ADMIN_SERVER_PRIV_H
#define VITRINE_ADMIN_SERVER_PRIV_H

#include "admin/admin.h"

#include <stdint.h>

struct server;

/* Takes `listen_fd`, on failure too. `port` 0: a Unix socket. NULL when threads or memory are short. */
struct server *server_create(int listen_fd, uint16_t port, const struct admin_parts *parts);
void server_destroy(struct server *server);

#endif
