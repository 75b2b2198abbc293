/* The window: HTTP on its own listener and threads. The dashboard, /api/v1, /metrics and the health checks.
 *
 * Place: the top room; includes the public headers below it, and nothing includes it but main. libmicrohttpd
 * and jansson live in this folder only. It works when every client connection is taken and every worker is
 * busy: it reads counters, walks the store as a registered reader and never takes a worker's time.
 * Thread-safety: create and destroy from the main thread. */
#ifndef VITRINE_ADMIN_ADMIN_H
#define VITRINE_ADMIN_ADMIN_H

#include "config/config.h"
#include "metrics/history.h"
#include "metrics/metrics.h"
#include "net/net.h"
#include "protocol/protocol.h"
#include "store/store.h"

struct admin;

struct admin_parts {
    struct settings *settings;
    struct store *store;
    struct protocol *protocol;
    struct net *net;
    struct metrics *metrics;
    struct history *history;
};

/* Opens the listener that --admin-listen names (before privileges are dropped). *admin is NULL and the result
 * true when it is off, or when the default address is taken (one line says so). False with a line in `error`
 * when an address that was given cannot be had. */
bool admin_open(struct settings *settings, struct admin **admin, char *error, size_t error_size);
/* Serves from here on. */
bool admin_start(struct admin *admin, const struct admin_parts *parts, char *error, size_t error_size);
void admin_destroy(struct admin *admin); /* NULL is fine */
/* "http://127.0.0.1:9150/" or "unix:/path", for the start-up line. */
const char *admin_address(const struct admin *admin);

#endif
