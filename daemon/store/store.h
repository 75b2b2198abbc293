/* The store: items in append-only segments, found through a bucket index, read without a lock.
 *
 * Place: above metrics, below protocol; knows no protocol, no socket and no thread but its maintainer.
 * Flow: a worker goes online, prefetches a batch of keys, looks up or writes, copies bytes out, goes offline.
 * Reading: store_get returns a view into immutable memory. The view stays valid until the same thread writes,
 * quiesces or goes offline; segments are reused only after a grace period (QSBR). Bytes that must outlive
 * that are pinned. Writing: an item is appended to an open segment and published by one slot store under its
 * bucket's lock. The maintainer expires, evicts (S3-FIFO over segments), grows the index and keeps free
 * segments ready. Thread-safety: every function that takes a store_thread may be called by the one thread
 * that created it; the others by any thread. Ownership: callers own keys and values they pass in; nothing is
 * kept but by copy. Sources: Segcache (NSDI'21), S3-FIFO (SOSP'23), linear hashing (Litwin 1980), QSBR
 * (McKenney). */
#ifndef VITRINE_STORE_STORE_H
#define VITRINE_STORE_STORE_H

#include "base/number.h"
#include "base/result.h"
#include "metrics/metrics.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define STORE_KEY_SIZE_MAX    250u
#define STORE_NEVER_S         0u /* an expiry: none */
#define STORE_EXPIRED_S       1u /* an expiry: already past */
#define STORE_MEMORY_SIZE_MIN (1u << 20)
#define STORE_INLINE_COPY_MAX 16384u /* values above this are pinned and sent in place */
#define STORE_PREFETCH_MAX    64u

struct store;
struct store_thread;

struct store_config {
    size_t memory_size; /* -m in bytes: items, index and staged bodies together; >= STORE_MEMORY_SIZE_MIN */
    size_t memory_size_max; /* what it may be raised to at run time; 0: chosen from the machine's memory */
    size_t item_size_max;  /* -I in bytes: the largest item, key and header included as memcached counts it */
    bool no_eviction;      /* -M */
    bool large_pages;      /* -L: advise huge pages (done anyway where it costs nothing) */
    unsigned thread_count; /* writers to lay lanes out for; more may register */
    uint64_t hash_seed;    /* 0: drawn at random */
};

/* NULL with a line in `error` when the memory cannot be had or the configuration makes no sense. */
struct store *store_create(const struct store_config *config, struct metrics *metrics, char *error,
                           size_t error_size);
void store_destroy(struct store *store); /* all threads gone, maintainer stopped; NULL is fine */

/* The maintainer thread. Without it (tests), store_maintain does one round of its work in the caller. */
void store_maintainer_start(struct store *store);
void store_maintainer_stop(struct store *store);
void store_maintain(struct store *store);

/* ---- threads and grace periods ---- */
struct store_thread *store_thread_create(struct store *store, struct metrics_block *block);
void store_thread_destroy(struct store_thread *thread);
/* Between online and offline the thread may use the store; offline it delays nobody. */
void store_thread_online(struct store_thread *thread);
void store_thread_offline(struct store_thread *thread);
/* Passes a quiescent state while online: views from before are void. */
void store_thread_quiesce(struct store_thread *thread);

/* ---- keys ---- */
struct store_key {
    const char *data;       /* borrowed */
    uint64_t hash;          /* set by store_key or store_hash_keys */
    _Atomic uint64_t *seen; /* the store's own: the slot in which store_prefetch saw the item; NULL: none */
    uint32_t size;          /* 1 .. STORE_KEY_SIZE_MAX */
};
struct store_key store_key(const struct store *store, const char *data, size_t size);

/* The same for many keys, of which the caller has set data and size. */
void store_hash_keys(const struct store *store, struct store_key *keys, unsigned count);

/* Brings the buckets, then the items of up to STORE_PREFETCH_MAX keys into the cache, so that the waits for
 * memory overlap, and notes in the keys where they were seen. */
void store_prefetch(struct store_thread *thread, struct store_key *keys, unsigned count);

/* ---- reading ---- */
enum store_miss {
    STORE_MISS_NEVER_SEEN,
    STORE_MISS_EXPIRED,
    STORE_MISS_EVICTED,
    STORE_MISS_DELETED,
    STORE_MISS_FLUSHED
};

struct store_view {
    const char *key; /* in the store's memory */
    uint32_t key_size;
    uint32_t flags;    /* the client's */
    uint32_t expiry_s; /* coarse second, STORE_NEVER_S: none */
    uint32_t access_s; /* coarse second of the last access recorded (at most a minute old) */
    uint64_t cas;
    size_t size;       /* of the value */
    const char *value; /* all of it, or NULL when it lies in several chunks */
    bool fetched;      /* read at least once since it was stored */
    bool stale;        /* invalidated, and to be renewed */
    bool won;          /* somebody was told to renew it */
    bool key_binary;   /* its key was given in base64 */
    unsigned band;     /* metrics_band_of its whole size */
    const void *item;  /* the store's own, as is `store` */
    const struct store *store;
};

/* RESULT_HIT with *view, or RESULT_MISS with *miss (may be NULL). Counts as an access. */
enum result store_get(struct store_thread *thread, const struct store_key *key, struct store_view *view,
                      enum store_miss *miss);
/* What a get of many keys tells of each: all that a reply says of it. */
struct store_hit {
    const char *value;    /* in the store's memory, all in one piece, right behind its key; NULL: a miss */
    uint32_t size, flags; /* as in a view */
    const void *item;     /* the store's own */
};
uint64_t store_hit_cas(const struct store_hit *hit);
/* Gets the first of `count` keys (STORE_PREFETCH_MAX at most), in order, as store_get does. A hit is charged
 * its key's and value's size and `frame` bytes, a miss the frame. It stops where `room` does not take the
 * next, or where that is a value for store_get: in chunks, or longer than STORE_INLINE_COPY_MAX. Nothing is
 * done to a key where it stops. Returns how many it got; a hit is valid as long as a view is. */
unsigned store_get_many(struct store_thread *thread, struct store_key *keys, unsigned count, size_t room,
                        size_t frame, struct store_hit *hits);
/* The same without touching recency, frequency or any counter: for inspection. */
enum result store_peek(struct store_thread *thread, const struct store_key *key, struct store_view *view);
/* store_get that also sets the expiry: RESULT_HIT or RESULT_MISS; RESULT_NO_MEMORY when the item had to be
 * copied for it (it had no expiry) and memory is full, which with eviction it never is. */
enum result store_touch(struct store_thread *thread, const struct store_key *key, uint32_t expiry_s,
                        struct store_view *view);

/* A lookup that may also have the item made or renewed, by one client only: a lease. */
struct store_fetch {
    bool silent;              /* leaves no trace: neither recency nor frequency, nor that it was read */
    bool vivify;              /* a miss puts an empty item there, which its maker is to fill */
    bool key_binary;          /* of the one made */
    bool cas_chosen;          /* it gets cas_new */
    uint32_t vivify_expiry_s; /* its expiry */
    uint64_t cas_new;
    uint32_t recache_s; /* an item that expires before this second is to be renewed; 0: whatever it does */
    bool recache_first; /* that is asked of its expiry before it is touched */
    bool touch;         /* a hit gets a new expiry */
    uint32_t expiry_s;
};
struct store_lease {
    bool win;                 /* the caller is to store a new value, and nobody else was told so */
    bool created;             /* the item is the empty one that vivify made */
    uint32_t expiry_before_s; /* of the hit, before it was touched */
};
/* HIT, MISS or NO_MEMORY (as store_touch's). view->won tells of a lease given out before this call, and
 * view->fetched and access_s of what was before. A stale item is leased to the first that fetches it. */
enum result store_fetch(struct store_thread *thread, const struct store_key *key,
                        const struct store_fetch *fetch, struct store_view *view, struct store_lease *lease,
                        enum store_miss *miss);

/* The contiguous bytes of the value from `offset` on: returns their size, 0 at the end. */
size_t store_view_part(const struct store_view *view, size_t offset, const char **data);

/* Two views of one key with the same version are of the same bytes: a CAS, which a client may choose, does
 * not tell that. */
uint64_t store_view_version(const struct store_view *view);

/* Keeps the value's bytes in place beyond the view, for a reply that is being sent. NULL when the share of
 * memory that pins may hold is used up: copy instead. store_unpin from any thread. */
struct store_pin *store_pin(struct store_thread *thread, const struct store_view *view);
size_t store_pin_part(const struct store_pin *pin, size_t offset, const char **data);
void store_unpin(struct store_pin *pin);

/* ---- writing ---- */
enum store_mode { STORE_SET, STORE_ADD, STORE_REPLACE, STORE_APPEND, STORE_PREPEND, STORE_CAS };

struct store_write {
    struct store_key key;
    const char *value; /* borrowed for the call */
    size_t size;
    uint32_t flags;
    uint32_t expiry_s;
    enum store_mode mode;
    uint64_t cas; /* the one it must have: always for STORE_CAS, which no 0 satisfies; for all but ADD when
                     not 0 and there is an item */
    uint64_t cas_new; /* with cas_chosen: its CAS from now on, instead of the next of the sequence */
    bool cas_chosen;
    bool stale_allowed; /* STORE_CAS: a cas older than the item's is stored too, as stale, with the old expiry
                         */
    bool create;        /* APPEND, PREPEND: a miss is stored like an ADD */
    bool key_binary;    /* the key came in base64 */
};
struct store_written {
    uint64_t cas;
    size_t size; /* of the whole value */
};
/* STORED, NOT_STORED, EXISTS, NOT_FOUND, TOO_LARGE or NO_MEMORY. *written (may be NULL) is set on STORED.
 * A failed STORE_SET (too large, no memory) removes the old value, as memcached does. */
enum result store_write(struct store_thread *thread, const struct store_write *write,
                        struct store_written *written);

/* A set without a condition, which most writes are: store_write with STORE_SET and nothing else. One that is
 * stored is counted as a command of its size band, too; its expiry is still to be told. */
struct store_set {
    const struct store_key *key; /* borrowed for the call, as is the value */
    const char *value;
    size_t size;
    uint32_t flags, expiry_s;
};
enum result store_set(struct store_thread *thread, const struct store_set *set,
                      struct store_written *written);
/* `count` sets that were stored were given this expiry: for the distribution of times to live. */
void store_told_expiry(struct store_thread *thread, uint32_t expiry_s, uint64_t count);

/* Would a value of this size with this key be TOO_LARGE? Asked before its body is read. */
bool store_fits(const struct store *store, size_t key_size, size_t value_size);

/* DELETED or NOT_FOUND; EXISTS when `cas` is not 0 and differs. */
enum result store_delete(struct store_thread *thread, const struct store_key *key, uint64_t cas);

/* Removal in its milder forms: the item stays, but is told apart from a good one. */
struct store_invalidation {
    struct store_key key;
    bool stale; /* it gets a new CAS and is leased to the next that fetches it */
    bool clear; /* its value is empty from now on, and `flags` are the client's; with neither it is deleted */
    uint32_t flags;
    bool touch; /* it gets a new expiry; what is cleared always gets one */
    uint32_t expiry_s;
    bool cas_given; /* it must have this CAS */
    uint64_t cas;
    bool cas_chosen; /* its CAS from now on */
    uint64_t cas_new;
};
/* DELETED (deleted or cleared), OK (only marked stale), NOT_FOUND, EXISTS or NO_MEMORY. */
enum result store_invalidate(struct store_thread *thread, const struct store_invalidation *invalidation);

struct store_delta {
    struct store_key key;
    uint64_t delta;
    bool decrement;
    uint64_t cas; /* the one it must have; 0: any */
    uint64_t cas_new;
    bool cas_chosen; /* its CAS from now on is cas_new */
    bool create;     /* a miss stores `initial` */
    bool touch;      /* a hit gets the expiry `expiry_s` */
    bool key_binary; /* of the one created */
    uint64_t initial;
    uint32_t create_expiry_s, expiry_s;
};
struct store_number {
    char text[NUMBER_TEXT_MAX]; /* the digits */
    size_t size;                /* their count */
    uint64_t value, cas;
    uint32_t expiry_s, expiry_before_s;
};
/* HIT, STORED (created), MISS, EXISTS, NON_NUMERIC or NO_MEMORY; *number is set on the first two. An
 * increment wraps at 2^64; a decrement stops at 0 and pads the stored value with spaces to its old length, as
 * memcached does. Of clients that create a number at once, one does, and the others' deltas count. */
enum result store_arithmetic(struct store_thread *thread, const struct store_delta *delta,
                             struct store_number *number);

/* Everything stored before the coarse second `at_s` is gone from then on; at once when at_s <= clock_s().
 * O(1). */
void store_flush(struct store_thread *thread, uint32_t at_s);

/* ---- bodies that arrive in pieces ---- */
/* Room for a value of `size` bytes outside the log while it is received; charged against the memory limit as
 * bytes come, all such bodies together at most a quarter of it. NULL: no address space. One owner; close
 * frees it. */
struct store_staging *store_staging_open(struct store *store, size_t size);
/* Where the next bytes go and how many fit there now (>= 1 while incomplete); NULL when the quarter is used
 * up. */
char *store_staging_room(struct store_staging *staging, size_t *size);
void store_staging_fill(struct store_staging *staging, size_t size);
const char *store_staging_data(const struct store_staging *staging);
void store_staging_close(struct store_staging *staging);

/* ---- looking around ---- */
/* Calls visit for the live items of some buckets from `cursor` on (0 to begin) until at least `item_max` were
 * visited or `bucket_max` buckets done; returns the next cursor, 0 when complete. A key present throughout a
 * walk is visited at least once, while the index grows or shrinks too. Touches no recency and no counter.
 * Views are valid within visit only. */
typedef void (*store_visit_fn)(void *context, const struct store_view *view);
uint64_t store_browse(struct store_thread *thread, uint64_t cursor, unsigned item_max, unsigned bucket_max,
                      store_visit_fn visit, void *context);

struct store_usage {
    size_t limit_size;   /* -m now */
    size_t used_size;    /* segments in use + index + staging: what the limit bounds */
    size_t segment_size; /* of one */
    size_t segments_used, segments_free, segments_max; /* counts */
    size_t index_size, staging_size;
    size_t live_size; /* items alive, headers and keys included */
    uint64_t item_count;
    uint64_t bucket_count, slot_count;
    bool growing; /* the index is splitting buckets */
};
void store_usage_read(struct store *store, struct store_usage *usage);

/* A new -m at run time: growth at once, shrinking drained by the maintainer. False outside what can be: 1 MiB
 * and 16 segments (they keep the size they were created with) .. the maximum. */
bool store_memory_limit_set(struct store *store, size_t size);

#endif
