/* Dumps: a line for each key there is, in turns, at the client's own speed.
 *
 * Place: private to protocol. A dump is a task of its session: each turn looks at a few buckets of the index
 * and sends what it found; then others are served. It keeps a cursor and the lines of those buckets, and
 * holds nothing of the store between turns. A key that is there throughout is told at least once, while the
 * index grows too. Thread-safety: as a session. Ownership: the session's, as of every task. */
#ifndef VITRINE_PROTOCOL_DUMP_PRIV_H
#define VITRINE_PROTOCOL_DUMP_PRIV_H

#include "protocol/task_priv.h"

/* Sets of classes, as bits: class ids, 1 to 63, are size bands, counted from 1. */
#define DUMP_CLASSES_ALL UINT64_MAX

enum dump_form {
    DUMP_META, /* lru_crawler metadump: what is known of each item */
    DUMP_MG    /* lru_crawler mgdump: a request that gets it */
};

enum dump_answer { DUMP_OK, DUMP_BUSY, DUMP_FAILED };
/* One at a time, as in memcached. *task says OK itself, then the lines, then the end. */
enum dump_answer dump_begin(struct protocol_thread *thread, enum dump_form form, uint64_t classes,
                            struct task **task);
/* `stats cachedump`: at most `limit` items (0: all) of one class, and at most as many bytes as memcached's.
 * Any number of them at a time. NULL: no memory. */
struct task *dump_begin_cache(uint32_t class_id, uint32_t limit);
/* Whether a dump of the first kind goes on. Any thread. */
bool dump_running(const struct protocol *protocol);

#endif
