/* Segments: the memory that items live in, and the budget that bounds it.
 *
 * Place: private to the store. Address space for all segments there may ever be is reserved once; a segment
 * has memory from its first use until it is retired. Headers lie beside the data, 64 bytes each; ids are
 * positions, no pointers anywhere. Life of a segment:
 *
 *   RETIRED -> FREE -> OPEN -> SEALED -> CLAIMED -> DRAINING -> LIMBO -> FREE or RETIRED
 *                 (a drain that cannot be finished goes back to SEALED)
 *
 * Lists (free, retired, claimed, limbo, the FIFO lists) are under STORE_SEGMENTS and touched only when a
 * segment changes state. write_offset moves under its lane's lock. Live sizes are relaxed atomics, counted by
 * whoever publishes or unlinks an item. A segment is walked only when a grace period has passed since it was
 * claimed: a thread that saw it OPEN or SEALED in its turn has published or given up what it was writing into
 * it. It is reused only when one has passed since it was drained (no reader holds a view into it) and nobody
 * has pinned it. */
#ifndef VITRINE_STORE_SEGMENT_PRIV_H
#define VITRINE_STORE_SEGMENT_PRIV_H

#include "store/store.h"

#include <stdatomic.h>

#define SEGMENT_NONE      UINT32_MAX
#define SEGMENT_SIZE_MAX  (1u << 20)
#define SEGMENT_COUNT_MIN 256u
#define SEGMENT_SPARE     2u /* kept for copying survivors: a worker may not take the last ones */
#define SEGMENT_NEVER_S   UINT32_MAX

enum segment_state {
    SEGMENT_RETIRED,
    SEGMENT_FREE,
    SEGMENT_OPEN,
    SEGMENT_SEALED,
    SEGMENT_CLAIMED,
    SEGMENT_DRAINING,
    SEGMENT_LIMBO
};

enum pool { POOL_SMALL, POOL_MAIN, POOL_COUNT };

/* How large an item is beside the mean of those drained of late: up to twice, up to eight times, more. Those
 * of a segment are of one grade, as far as was known when they were written. */
enum grade { GRADE_COMMON, GRADE_LARGE, GRADE_HUGE, GRADE_COUNT };
#define GRADE_LARGE_ABOVE 2u /* times the mean */
#define GRADE_HUGE_ABOVE  8u

struct segment {
    _Alignas(64) _Atomic uint32_t state;
    _Atomic uint32_t write_offset;
    _Atomic uint64_t live; /* of records that a slot or a live item's chunk list points to: see below */
    _Atomic uint32_t created_s;
    _Atomic uint32_t expiry_min_s, expiry_max_s; /* SEGMENT_NEVER_S: some item never expires */
    _Atomic uint32_t pins;
    uint32_t prev, next;         /* in whatever list it is */
    uint64_t epoch;              /* of claiming or draining, for the grace period */
    _Atomic uint32_t serial;     /* the number of the taking: the order of segments by age */
    _Atomic uint32_t generation; /* how often it was put to use: cells of earlier ones are void */
    _Atomic uint8_t pool;
    _Atomic uint8_t grade;
    uint8_t drain_mode;         /* of a CLAIMED one: how it is to be emptied */
    _Atomic uint32_t read_pins; /* of `pins`, those of values being sent */
};
_Static_assert(sizeof(struct segment) == 64, "a header is one cache line");

struct segment_list {
    _Atomic uint32_t head, tail, count; /* written under STORE_SEGMENTS; read as hints without it */
};

bool segment_open_all(struct store *store, size_t memory_size, size_t memory_size_max);
void segment_close_all(struct store *store);

struct placement; /* below, with the lanes */

/* A segment with memory, in state OPEN, or SEGMENT_NONE. Only the reclaimer may take the spare ones. */
uint32_t segment_take(struct store *store, const struct placement *placement);
/* An OPEN one that was not used after all. */
void segment_untake(struct store *store, uint32_t id);
void segment_seal(struct store *store, uint32_t id);
/* SEALED -> CLAIMED, off its list, to be emptied in this mode. False when it is not to be had. */
bool segment_claim(struct store *store, uint32_t id, uint8_t drain_mode);
/* It was claimed for eviction: those of its list in the older half are no longer for new items. */
void segment_note_evicted(struct store *store, uint32_t id);
/* CLAIMED -> DRAINING: the one that was claimed first, once its grace period has passed; else SEGMENT_NONE.
 */
uint32_t segment_claimed_next(struct store *store);
void segment_unclaim(struct store *store, uint32_t id); /* back to SEALED, at its list's tail */
void segment_drained(struct store *store, uint32_t id); /* DRAINING -> LIMBO */
/* Frees what its grace period and pins allow; returns how many segments became free. */
unsigned segment_collect(struct store *store);
/* Gives up free segments while more memory is held than the limit allows. */
void segment_settle(struct store *store);
/* Gives up one free segment for other uses of its memory. */
bool segment_retire_one(struct store *store);
/* The ids at the head of a FIFO list; pinned ones there are passed by and put to the end of main's. */
unsigned segment_oldest(struct store *store, enum pool pool, enum grade grade, uint32_t *ids, unsigned max);
/* The segment at the head of a FIFO list. False: there is none. */
struct segment_eldest {
    uint32_t age;       /* segments taken since it was */
    uint32_t item_size; /* the mean of what is alive in it */
};
bool segment_eldest(struct store *store, enum pool pool, enum grade grade, struct segment_eldest *eldest);
/* Brings memory for up to `count` free segments in ahead of need, a few at a time; true when there is more
 * to do. */
bool segment_prepare(struct store *store, unsigned count);
/* How many segments could be taken now, the spare ones included. */
size_t segment_available(const struct store *store);

size_t segment_reserve_count(const struct store *store);

/* What is alive of a segment is one word, so that a write counts it with one locked instruction: the bytes of
 * its records, and above them how many items they are, chunks not counted. */
#define LIVE_COUNT_SHIFT 32u

static inline void segment_count_live(struct segment *segment, int64_t size, int count)
{
    /* Relaxed: sums; the reclaimer reads exact ones only when the segment is its own. What is taken off was
     * added before, so that neither half ever borrows from the other for good. */
    uint64_t change = ((uint64_t)(int64_t)count << LIVE_COUNT_SHIFT) + (uint64_t)size;
    atomic_fetch_add_explicit(&segment->live, change, memory_order_relaxed);
}

static inline uint32_t segment_live_size(const struct segment *segment)
{
    return (uint32_t)atomic_load_explicit(&segment->live, memory_order_relaxed);
}

static inline uint32_t segment_live_count(const struct segment *segment)
{
    return (uint32_t)(atomic_load_explicit(&segment->live, memory_order_relaxed) >> LIVE_COUNT_SHIFT);
}

static inline enum segment_state segment_state(const struct segment *segment)
{
    return (enum segment_state)atomic_load_explicit(&segment->state, memory_order_acquire);
}

/* ---- the budget: bytes held of the limit ---- */
bool budget_try(struct store *store, size_t size);
void budget_charge(struct store *store,
                   size_t size); /* even beyond the limit; the maintainer makes it good */
void budget_return(struct store *store, size_t size);

/* ---- lanes: the open segments ---- */
#define LANE_MAX      8u
#define TTL_CLASS_MAX 90u

struct placement {
    enum pool pool;
    enum grade grade;
    uint32_t expiry_s;
    bool reclaiming;
};

bool lanes_open(struct store *store, size_t memory_size, unsigned thread_count);
/* An item's expiry was set to this later second: a hint for the maintainer. */
void segment_raise_expiry(struct segment *segment, uint32_t expiry_s);
/* Room for `size` bytes (a multiple of ITEM_ALIGN), or for at least `size_min` of them: sets *size to what it
 * is. NULL: no segment is free. With `pin`, the segment is pinned before anyone can drain it. */
struct reservation {
    size_t size, size_min; /* wanted, and what will do */
    bool pin;
    uint64_t location; /* out */
};
struct item *lane_reserve(struct store_thread *thread, const struct placement *placement,
                          struct reservation *reservation);
/* Seals open segments whose items have all expired, or the fullest one. True if one was sealed. */
bool lanes_seal_expired(struct store *store, uint32_t now_s);
bool lanes_seal_fullest(struct store *store);

#endif
