/* Events: what happens to items and connections, told as it happens to whoever watches.
 *
 * Place: metrics, since every room tells of its own (net: connections, protocol: commands, store: evictions)
 * and none may know who listens. Each metrics_block has a ring beside its counters: the block's thread puts
 * events in, one consumer takes them out of all rings in order of time. A ring has memory only while somebody
 * watches. A thread that tells never waits and never asks for memory: what finds no room is dropped and
 * counted. While nobody watches, telling is the test of one word.
 * Thread-safety: events_wanted, events_streams and events_put by the block's thread; events_select and
 * events_take by one consumer; events_count by any thread. Ownership: struct metrics owns the rings. */
#ifndef VITRINE_METRICS_EVENTS_H
#define VITRINE_METRICS_EVENTS_H

#include "metrics/metrics.h"

/* As bits of a word: 1 << STREAM_fetchers. */
enum stream {
#define STREAM(id, text) STREAM_##id,
#include "metrics/streams.def"
    STREAM_COUNT
};

enum event_type {
    EVENT_FETCH,     /* result: HIT, or MISS with `miss` */
    EVENT_STORE,     /* result: STORED, NOT_STORED, EXISTS, NOT_FOUND, TOO_LARGE or NO_MEMORY */
    EVENT_DELETION,  /* of an item, by a command */
    EVENT_EVICTION,  /* of a live item */
    EVENT_OPENED,    /* a connection */
    EVENT_CLOSED,    /* with `reason` */
    EVENT_TYPE_COUNT /* not an event: the rest of the ring's end */
};

/* Why a connection was closed; memcached's reasons, in its order. */
enum event_reason { REASON_ERROR, REASON_NORMAL, REASON_IDLE, REASON_SHUTDOWN };

/* What a type has no use for is 0. */
struct live_event {
    uint64_t time_us; /* Unix time; events_put sets it */
    uint64_t size;    /* of the value in bytes */
    int64_t ttl_s;    /* left to live; EVENT_EVICTION: -1 for ever */
    uint32_t idle_s;  /* since the item was last read or written */
    int32_t fd;       /* the connection's, as `stats conns` names it */
    uint16_t port;
    uint8_t type;     /* enum event_type */
    uint8_t result;   /* enum result */
    uint8_t miss;     /* enum store_miss, the store's */
    uint8_t command;  /* the protocol's own number */
    uint8_t class_id; /* as users see it: band + 1; 0: no item */
    uint8_t family;   /* AF_INET, AF_INET6; else a Unix socket */
    uint8_t reason;   /* enum event_reason */
    bool fetched;     /* the item was read at least once */
    uint8_t text_size;
    char text[]; /* the key, or the bytes of the peer's address */
};

/* The streams that are wanted, as bits. Relaxed: an event more or less about the moment when a watcher comes
 * or goes is nobody's; partner: events_select. */
static inline uint32_t events_streams(const struct metrics_block *block)
{
    return atomic_load_explicit(&block->events.streams, memory_order_relaxed);
}

static inline bool events_wanted(const struct metrics_block *block, enum stream stream)
{
    return __builtin_expect(events_streams(block) >> stream & 1, 0);
}

/* Puts the event with `text` of `text_size` bytes into the thread's ring, or drops and counts it. */
void events_put(struct metrics_block *block, const struct live_event *event, const char *text,
                size_t text_size);

/* From here on these streams are wanted; none: the rings give back their memory. `ring_size` is that of each
 * thread's, rounded up to a power of two, when rings have to be opened. False: no memory, nothing changed. */
bool events_select(struct metrics *metrics, uint32_t streams, size_t ring_size);

/* Takes what the rings hold, in order of time, and calls visit(context, event) for each; an event may come
 * late, if its thread was held up. Returns their count. */
typedef void (*event_visit_fn)(void *context, const struct live_event *event);
size_t events_take(struct metrics *metrics, event_visit_fn visit, void *context);

/* Events put and events dropped since the start of the process. */
struct events_count {
    uint64_t put, dropped;
};
void events_count(struct metrics *metrics, struct events_count *out);

#endif
