/* What is asked of each key prefix (the part before the delimiter): `stats detail`.
 *
 * Place: metrics; fed by protocol, which asks prefixes_enabled first, so that it costs one load when off.
 * Each serving thread counts into a table of its own, at most PREFIXES_MAX names and PREFIXES_SIZE bytes;
 * what does not fit is not counted, as in memcached. A dump merges the tables. Unlike memcached's there is no
 * lock between threads.
 * Thread-safety: record by the thread that created the prefixes_thread; the others by any thread.
 * Ownership: struct prefixes owns the tables; they live until prefixes_destroy. */
#ifndef VITRINE_METRICS_INSIGHT_PREFIXES_H
#define VITRINE_METRICS_INSIGHT_PREFIXES_H

#include "base/buffer.h"

#include <stdatomic.h>
#include <stdbool.h>
#include <stddef.h>

#define PREFIXES_MAX  4096u
#define PREFIXES_SIZE (512u << 10)

struct prefixes;
struct prefixes_thread;

enum prefixes_event { PREFIXES_MISS, PREFIXES_HIT, PREFIXES_SET, PREFIXES_DELETE, PREFIXES_EVENT_COUNT };

/* `delimiter` ends a prefix: -D, ':' unless told otherwise. Off at first. NULL: no memory. */
struct prefixes *prefixes_create(char delimiter);
void prefixes_destroy(struct prefixes *prefixes); /* NULL is fine */
struct prefixes_thread *prefixes_thread_create(struct prefixes *prefixes);

/* `stats detail on` and `off`; what was counted stays. */
void prefixes_enable(struct prefixes *prefixes, bool on);
bool prefixes_enabled(const struct prefixes *prefixes);

/* Counts one request. A key without the delimiter belongs to no prefix and is not counted. */
void prefixes_record(struct prefixes_thread *thread, const char *key, size_t size, enum prefixes_event event);

/* Forgets all counts: `stats reset`. */
void prefixes_clear(struct prefixes *prefixes);

/* Appends memcached's lines, "PREFIX name get 2 hit 1 set 1 del 0\r\n", without a closing END. */
void prefixes_dump(struct prefixes *prefixes, struct buffer *out);

size_t prefixes_memory_size(struct prefixes *prefixes);

#endif
