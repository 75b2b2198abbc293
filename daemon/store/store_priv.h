/* What the parts of the store share: struct store, struct store_thread and the seams between the files.
 *
 * Place: private to the store. Lock order: STORE_MAINTAIN, STORE_SEGMENTS, STORE_THREADS; a lane's spin lock
 * may be taken inside them. Inside a bucket's lock only overflow_spin is taken. Thread-safety: said at each
 * field. */
#ifndef VITRINE_STORE_STORE_PRIV_H
#define VITRINE_STORE_STORE_PRIV_H

#include "base/lock.h"
#include "base/perturb.h"
#include "store/bits.h"
#include "store/index_priv.h"
#include "store/item_priv.h"
#include "store/segment_priv.h"
#include "store/store.h"

#include <semaphore.h>

#define STORE_PAGE_SIZE      4096u
#define STORE_SEQ_BATCH      256u
#define STORE_INSERTS_A_WAKE 1024u
#define STORE_OVERDRAFT_SIZE                                                                                 \
    (8u << 20) /* by which staged bodies may pass the limit until segments are freed */

struct lane {
    _Alignas(64) struct spin spin;
    _Atomic uint32_t segment; /* under spin; read as a hint without it */
};

/* What the maintainer means to compact. */
struct compaction {
    uint64_t written_size; /* by all threads when it last looked */
    int64_t slot_balance;  /* the same of items */
    uint32_t looked_s;
    uint32_t at;            /* next segment id */
    unsigned below;         /* percent: segments of which less is alive are compacted; 0: none */
    uint64_t promised_size; /* of what is claimed and not copied yet */
    bool settled;           /* nothing to do until something is written or deleted */
};

/* What the maintainer gives back to the system. */
struct trim {
    size_t low;  /* the fewest free segments of this second so far */
    size_t idle; /* that nobody needed in the second before, and that are still to go */
    uint32_t looked_s;
};

/* Signs that a pool should be larger, weighed, since the start. */
struct pulls {
    uint64_t small, main;
};

/* Between the small and the main pool. */
struct border {
    double small_extra;           /* the small pool's share of the memory, above the least */
    double small_pull, main_pull; /* of late */
    struct pulls seen;
};

struct store {
    /* Read by every operation; written at creation, or rarely. */
    char *segment_base;
    struct segment *segments;
    struct bucket *buckets;
    struct overflow *overflow;
    unsigned segment_shift;
    uint64_t hash_seed;
    _Atomic uint64_t bucket_count; /* release by the maintainer, acquire by lookups */
    _Atomic uint64_t flush_seq;    /* what was written before it is gone; 0: nothing is */
    _Atomic uint32_t flush_at_s;   /* a flush to come; 0: none */
    struct ghost_line *ghost_lines;
    _Atomic uint32_t ghost_line_count; /* written with STORE_MAINTAIN held; 0: none yet */
    uint32_t ghost_line_max;
    _Atomic uint32_t brief_s;   /* a time to live below it is short beside main's rounds */
    _Atomic uint64_t mean_size; /* of items, as a hint to writers; 0: nothing was evicted yet */
    bool no_eviction;
    size_t item_size_max; /* -I, and what chunks can hold */
    size_t memory_size_max;

    _Alignas(64) _Atomic uint64_t seq_next; /* batches of write sequence numbers */
    _Alignas(64) _Atomic uint64_t epoch;    /* grace periods are counted in these */
    _Alignas(64) _Atomic uint64_t limit_size;
    _Atomic bool limit_lowered;    /* until the maintainer has brought it about */
    _Atomic uint64_t held_size;    /* segments with memory, index, overflow, headers, lanes, staging */
    _Atomic uint64_t staging_size; /* of which bodies being received */
    _Atomic uint64_t pinned_size;  /* of values being sent in place */

    /* Under STORE_SEGMENTS. */
    struct lock segments_lock;
    struct segment_list free, retired, claimed, limbo, fifo[POOL_COUNT][GRADE_COUNT];
    _Atomic uint32_t segment_count; /* ids ever used */
    uint32_t segment_count_max;
    size_t huge_block_size;  /* huge pages are asked for in such steps; 0: not at all */
    uint32_t segment_serial; /* of the segment taken last */
    /* From it on segments are far from being evicted. */
    _Atomic uint32_t young_serial[POOL_COUNT][GRADE_COUNT];

    /* Lanes: [pool][class][lane], and behind them [pool][grade, but common][expires]. */
    struct lane *lanes;
    unsigned lane_count, class_count, class_quarters;
    bool main_is_coarse; /* few segments: the main pool tells only expiring from never */

    /* Under overflow_spin. */
    struct spin overflow_spin;
    struct bits overflow_free;                       /* buckets, in pages that have memory */
    struct bits overflow_absent;                     /* pages that had memory and gave it back */
    uint32_t overflow_page_max, overflow_page_count; /* pages there may be, pages ever used */
    uint32_t overflow_used;                          /* buckets */
    _Atomic uint64_t overflow_size;                  /* memory held */
    _Atomic uint64_t bucket_size;                    /* memory held by buckets */
    uint64_t bucket_count_max;
    _Atomic uint64_t bucket_count_floor; /* the index shrinks no further */
    uint64_t
        bucket_epoch; /* of the last merge: pages beyond the buckets are given back a grace period later */

    /* Under STORE_THREADS. */
    struct lock threads_lock;
    struct store_thread *threads;
    uint64_t written_gone;     /* bytes; as the next */
    int64_t slot_balance_gone; /* of threads that are no more, as the next */
    struct pulls pulls_gone;
    unsigned thread_serial;

    /* Under STORE_MAINTAIN. */
    struct lock maintain_lock;
    struct store_thread *reclaimer; /* counts for whoever holds the lock */
    unsigned survivor_run;          /* segments drained of late of which nearly all survived */
    bool crowded;                   /* compacting found no room of late: evict first */
    uint32_t mean_count;            /* items that the mean has seen, up to 4096 */
    uint64_t mean_scaled;           /* of the sizes of items drained of late, times 4096; 0: none yet */
    uint64_t copied_size;           /* of items kept while segments were emptied */
    struct compaction compaction;
    struct trim trim;
    struct border border;
    uint32_t sample_at;      /* next segment id to look at for compaction */
    bool expiry_missed;      /* some could not be freed yet */
    uint32_t expiry_scan_at; /* next segment id to look at for expiry */
    uint32_t spares_trim_s;  /* when spare stagings were trimmed last */
    uint32_t expiry_scan_s;  /* when segments were last looked through for expiry */
    uint64_t settle_at;      /* next bucket to look at for overflow buckets that could lie lower */
    uint64_t sweep_seq, sweep_at, sweep_epoch;
    bool sweeping;
    _Atomic uint32_t waiting_count; /* workers that wait for this lock: the maintainer lets them go first */
    _Atomic bool growing;
    _Atomic uint32_t evicted_idle_s[METRICS_BAND_COUNT]; /* of the item evicted last */

    struct spin flush_spin; /* arming a flush */

    /* Under spare_spin: stagings done with, kept for the next body. */
    struct spin spare_spin;
    struct store_staging *spare;
    size_t spare_size;      /* what they are charged */
    size_t spare_idle_size; /* the least of that since staging_trim_spares: so much was never needed */

    /* The maintainer. */
    sem_t wake;
    _Atomic bool wake_wanted, stopping;
    bool running;
    pthread_t maintainer;
    struct metrics *metrics;
};

struct store_thread {
    _Alignas(64) _Atomic uint64_t epoch;    /* the last one seen; 0: offline */
    struct store *store;                    /* borrowed */
    struct metrics_block *block;            /* borrowed */
    uint64_t turn;                          /* how often it was quiescent */
    uint64_t seq, seq_end;                  /* the rest of its batch */
    _Atomic uint64_t written_size;          /* bytes of records it published; single writer */
    _Atomic int64_t slot_balance;           /* items it published less those it unlinked; single writer */
    _Atomic uint64_t small_pull, main_pull; /* what its writes told of the pools' sizes; single writer */
    uint32_t inserts;                       /* since the maintainer was last told */
    unsigned lane;
    uint64_t *chunks; /* owned: where the chunks of the large value being written are */
    size_t chunk_capacity;
    struct recycler *recycler; /* owned; NULL: unlinked places are left to the maintainer */
    uint64_t *visit;           /* owned: the slots of the bucket being browsed */
    size_t visit_capacity;
    struct store_thread *prev, *next;
};

static inline size_t segment_size(const struct store *store)
{
    return (size_t)1 << store->segment_shift;
}

static inline struct item *item_at(const struct store *store, uint64_t location)
{
    return (struct item *)(store->segment_base +
                           ((size_t)location_segment(location) << store->segment_shift) +
                           location_offset(location));
}

static inline struct segment *segment_of(const struct store *store, uint64_t location)
{
    return &store->segments[location_segment(location)];
}

/* Acquire pairs with the release in flush.c: a write that follows a flush gets a sequence beyond it. */
static inline bool item_flushed(const struct store *store, const struct item *item)
{
    uint64_t seq = atomic_load_explicit(&store->flush_seq, memory_order_acquire);
    return seq != 0 && item_seq_before(item_seq(item), seq);
}

static inline bool item_alive(const struct store *store, const struct item *item, uint32_t now_s)
{
    return !item_expired(item, now_s) && !item_flushed(store, item);
}

/* ---- thread.c ---- */
/* Ends a grace period's first half: what was unlinked before is out of reach of every thread that has seen
 * the returned epoch. */
uint64_t epoch_advance(struct store *store);
bool epoch_passed(struct store *store, uint64_t epoch);
uint64_t thread_next_seq(struct store_thread *thread);
int64_t threads_slot_balance(struct store *store);
uint64_t threads_written_size(struct store *store);
struct pulls threads_pulls(struct store *store);

static inline void thread_count_slot(struct store_thread *thread, int64_t n)
{
    /* A single-writer add; partner: the relaxed loads of threads_slot_balance. */
    int64_t balance = atomic_load_explicit(&thread->slot_balance, memory_order_relaxed);
    atomic_store_explicit(&thread->slot_balance, balance + n, memory_order_relaxed);
}

static inline void thread_count_written(struct store_thread *thread, size_t size)
{
    /* The same; partner: threads_written_size. */
    uint64_t written = atomic_load_explicit(&thread->written_size, memory_order_relaxed);
    atomic_store_explicit(&thread->written_size, written + size, memory_order_relaxed);
}

/* ---- flush.c ---- */
void flush_arm(struct store *store, uint32_t now_s);

/* Carries out a flush whose second has come: one load when there is none. */
static inline void flush_poll(struct store *store, uint32_t now_s)
{
    uint32_t at_s = atomic_load_explicit(&store->flush_at_s, memory_order_relaxed);
    if (__builtin_expect(at_s != 0 && at_s <= now_s, 0))
        flush_arm(store, now_s);
}

/* ---- remove.c ---- */
enum removal { REMOVAL_EVICTED, REMOVAL_EXPIRED, REMOVAL_DELETED, REMOVAL_REPLACED, REMOVAL_FLUSHED };

/* Why an item that is in the way goes: it may be dead already. */
static inline enum removal removal_of(const struct store *store, const struct item *item, uint32_t now_s,
                                      enum removal alive)
{
    if (item_flushed(store, item))
        return REMOVAL_FLUSHED;
    return item_expired(item, now_s) ? REMOVAL_EXPIRED : alive;
}
/* Takes an item's bytes off its segments' live sizes and counts its removal. Its bucket is locked. */
void removal_count(struct store_thread *thread, const struct item *item, uint64_t location,
                   enum removal removal);
/* The same and empties its slot. */
void removal_unlink(struct store_thread *thread, _Atomic uint64_t *slot, uint64_t hash, enum removal removal);
/* An item found dead by a reader: unlinks it, unless it has gone or come alive meanwhile. */
void removal_of_dead(struct store_thread *thread, uint64_t hash, uint64_t location);
void live_count_chunks(struct store *store, const struct item *item, int sign);

/* Adds the bytes of all of an item's records to their segments' live sizes, or takes them off. */
static inline void live_count_item(struct store *store, const struct item *item, uint64_t location, int sign)
{
    int64_t size = (int64_t)item_record_size(item);
    segment_count_live(segment_of(store, location), sign < 0 ? -size : size, sign);
    if (__builtin_expect((item_flags(item) & ITEM_LARGE) != 0, 0))
        live_count_chunks(store, item, sign);
}

/* ---- recycle.c ---- */
struct recycler *recycler_create(void); /* NULL: no memory; the thread does without */
void recycler_destroy(struct recycler *recycler);
/* This thread has unlinked an item whose place may be used again when every reader has passed. */
void recycle_unlinked(struct store_thread *thread, const struct item *item, uint64_t location);
/* A record that was reserved and never published: nobody else knows of it. */
void recycle_unused(struct store_thread *thread, const struct item *item, uint64_t location);
/* The thread is about to be quiescent. */
void recycle_pass(struct store_thread *thread);

/* ---- read.c ---- */
void item_note_access(struct item *item, uint32_t now_s);
/* A lookup that came upon nothing alive: clears away what is dead and counts why it missed. */
enum store_miss miss_explain(struct store_thread *thread, uint64_t hash, const struct found *found);

/* ---- view.c ---- */
/* The size and value of a LARGE item. */
void view_set_large(struct store_view *view);
void view_fill(const struct store *store, struct store_view *view, const struct item *item, uint64_t slot,
               uint32_t now_s);
/* Copies value[offset..offset + size) of the view. */
void view_copy(const struct store_view *view, size_t offset, char *out, size_t size);

/* ---- reclaim.c ---- */
enum drain_mode { DRAIN_SMALL, DRAIN_MAIN, DRAIN_COMPACT };
/* Empties the segment that was claimed first. False: its grace period has not passed, there is none, or
 * COMPACT found no room for what is alive. STORE_MAINTAIN is held. */
bool reclaim_next(struct store *store);

/* ---- survival.c ---- */
struct survival {
    const struct store *store;
    enum drain_mode mode;
    enum grade grade;  /* of the segment that is emptied */
    uint32_t round;    /* tells the segment that is emptied from others */
    unsigned freq_min; /* set by the caller: what survives has been read as often */
};
/* Before a segment is emptied to evict. Tells writers the mean size of late. */
void survival_begin(struct store *store, struct survival *survival, enum drain_mode mode, uint32_t id);
/* The mean size is that of what is drained: of all items at first, then of those of late, each with the same
 * small weight. */
void survival_note_size(struct store *store, size_t size);
/* Is an item of `size` bytes (key and value) that was read `freq` times to be kept? */
bool survival_wants(const struct survival *survival, size_t size, uint64_t hash, unsigned freq);
/* The frequency that it goes on with. */
unsigned survival_freq(const struct survival *survival, size_t size, uint64_t hash, unsigned freq);

/* ---- evict.c ---- */
/* Empties one segment. False: there is none that may be, or not yet. STORE_MAINTAIN is held. */
bool evict_one(struct store *store);
/* A worker makes room itself: waits for the lock offline, so all its views are void. */
bool evict_directly(struct store_thread *thread);
/* Empties segments until the reserve is there and the limit holds; true when there is more to do. */
bool evict_to_reserve(struct store *store);

/* ---- compact.c ---- */
/* Claims the segment with the least alive, below `least` percent, among those of a sample. */
bool compact_claim(struct store *store, unsigned least);
/* Takes segments back of which next to nothing is alive, so that a few keys that are written over and over
 * hold a few segments and not all of -m. True when there may be more. */
bool compact_nearly_dead(struct store *store);
/* Takes dead bytes back while memory is not short: of the cheapest segments, and never copying more than
 * about half as many bytes as were written. True when there may be more. */
bool compact_wasteful(struct store *store);

/* ---- ghosts.c ---- */
bool ghosts_open(struct store *store, size_t memory_size_max);
void ghosts_close(struct store *store);
/* Room for as many ghosts as there are items. With STORE_MAINTAIN held. */
void ghosts_settle(struct store *store);
enum ghost {
    GHOST_NONE,
    GHOST_SMALL,        /* the small pool threw it out unread */
    GHOST_SMALL_LATEST, /* the same, so lately that a somewhat larger pool would have kept it */
    GHOST_MAIN,         /* the main pool threw it out, as lately */
    GHOST_DIED,         /* it expired or was deleted when it was in main */
};
/* SMALL, MAIN or DIED. Any thread. */
void ghosts_add(struct store *store, uint64_t hash, enum ghost ghost);
/* How did the key leave of late? Its ghost is gone then. Any thread. */
enum ghost ghosts_take(struct store *store, uint64_t hash);
size_t ghosts_size(const struct store *store);

/* ---- pools.c ---- */
/* What an item of `size` bytes (key and value) counts as. Any thread. */
static inline enum grade pools_grade(const struct store *store, uint64_t size)
{
    /* Relaxed: a hint. */
    uint64_t mean = atomic_load_explicit(&store->mean_size, memory_order_relaxed);
    if (mean == 0 || size <= GRADE_LARGE_ABOVE * mean)
        return GRADE_COMMON;
    return size <= GRADE_HUGE_ABOVE * mean ? GRADE_LARGE : GRADE_HUGE;
}
/* The pool of an item whose key is not there; counts what its ghost tells. */
enum pool pools_admit(struct store_thread *thread, uint64_t hash, uint32_t expiry_s);
/* The pool that has more than its share of the memory. With STORE_MAINTAIN held; called once an eviction. */
enum pool pools_next(struct store *store);
/* Its grade whose items have had more than their time. With STORE_MAINTAIN held. */
enum grade pools_next_grade(struct store *store, enum pool pool);
/* Its segments that are sealed. A hint without STORE_SEGMENTS. */
uint32_t pools_sealed_count(const struct store *store, enum pool pool);

/* ---- expire.c ---- */
/* Frees segments whose items have all expired, a few at a time; true when there is more to do. */
bool expire_segments(struct store *store, uint32_t now_s);
/* Clears away what a flush has hidden, a piece at a time; true when there is more to do. */
bool flush_sweep(struct store *store);

/* ---- staging.c ---- */
void staging_free_spares(struct store *store);
/* Frees those that no body has needed since the last call. */
void staging_trim_spares(struct store *store);

/* ---- large.c ---- */
size_t large_size_max(const struct store *store); /* of an item that chunks can hold */

/* ---- maintain.c ---- */
void maintain_wake(struct store *store);
/* ---- usage.c ---- */
void usage_probe(void *context, struct metrics_snapshot *snapshot);

#endif
