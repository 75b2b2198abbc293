/* Watching: connections that get a line for each event of the streams they asked for.
 *
 * Place: private to protocol. The way of an event: the rooms put it into their thread's ring
 * (metrics/events.h) -> the watching thread takes it, writes its line once and offers it to each watcher's
 * buffer, or skips and counts it -> the worker of the watcher's connection, woken, sends what is there.
 * So nobody ever waits for a watcher but its own connection, which stays with its worker to the end. The
 * thread begins with the first watcher. Thread-safety: said at each function. Ownership: struct watchers owns
 * the watchers; a session that ends only says so. Source: doc/protocol.txt of memcached ("Watchers"). */
#ifndef VITRINE_PROTOCOL_WATCH_PRIV_H
#define VITRINE_PROTOCOL_WATCH_PRIV_H

#include "metrics/events.h"
#include "protocol/protocol_priv.h"

/* The longest line: a key of which each byte is escaped, and what stands around it. */
#define WATCH_LINE_MAX 1024u
#define WATCHERS_MAX   20u /* memcached's WATCHER_LIMIT */

struct watchers;

/* NULL: no memory. */
struct watchers *watchers_create(struct protocol *protocol);
/* Ends the thread: from here on nobody can begin to watch and no connection is woken. */
void watchers_stop(struct watchers *watchers);
/* After the last session has ended. */
void watchers_destroy(struct watchers *watchers);
/* A metrics_probe_fn: the counts in `stats`. */
void watchers_probe(void *context, struct metrics_snapshot *snapshot);

enum watchers_answer { WATCHERS_OK, WATCHERS_TOO_MANY, WATCHERS_FAILED };
/* A new watcher of `streams` for `client`; *task is what its session goes on with, and answers OK itself once
 * it will miss nothing. Any worker. */
enum watchers_answer watchers_add(struct watchers *watchers, uint32_t streams,
                                  const struct session_client *client, struct task **task);

/* The stream that an event belongs to, and its line with the line's end; returns the line's size. Pure. */
enum stream watch_stream(const struct live_event *event);
size_t watch_line(const struct live_event *event, uint64_t gid, char out[WATCH_LINE_MAX]);

#endif
