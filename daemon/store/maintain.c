/* The maintainer: one thread that expires, evicts, grows and shrinks, so that workers need not. */
#include "base/assert.h"
#include "base/clock.h"
#include "store/store_priv.h"

#include <sys/resource.h>
#include <time.h>
#include <unistd.h>

#define LOAD_TENTHS   64u   /* items a bucket before it is split, in tenths: 6.4 of 7 slots */
#define RESIZE_COUNT  1024u /* buckets split or merged before others get the lock */
#define YIELD_NS      20000
#define ROUND_NS      100000000
#define MAINTAIN_NICE 4       /* of 19 */
#define TRIM_RESERVES 2u      /* free segments, in reserves, that are kept though nobody takes them */
#define TRIM_COUNT    32u     /* segments given back in a round */
#define SHORT_NS      1000000 /* while segments wait for a grace period that is needed soon */

enum next_round { ROUND_NOW, ROUND_SOON, ROUND_LATER };

/* Memory for the index comes from the segments. */
static bool index_make_room(struct store *store)
{
    if (segment_retire_one(store))
        return true;
    if (store->no_eviction || !evict_one(store))
        return false;
    segment_collect(store);
    return segment_retire_one(store);
}

static uint64_t buckets_wanted(struct store *store)
{
    int64_t items = threads_slot_balance(store);
    return items > 0 ? (uint64_t)items * 10 / LOAD_TENTHS : 0;
}

static bool index_grow(struct store *store, uint64_t wanted)
{
    for (unsigned i = 0; i < RESIZE_COUNT; i++) {
        if (atomic_load_explicit(&store->bucket_count, memory_order_relaxed) >= wanted)
            return false;
        if (!index_split(store) && !(index_make_room(store) && index_split(store)))
            return false;
    }
    return true;
}

static bool index_shrink(struct store *store, uint64_t wanted)
{
    uint64_t floor = atomic_load_explicit(&store->bucket_count_floor, memory_order_relaxed);
    for (unsigned i = 0; i < RESIZE_COUNT; i++) {
        uint64_t count = atomic_load_explicit(&store->bucket_count, memory_order_relaxed);
        if (count <= 2 * wanted || count <= floor || !index_merge(store))
            return false;
    }
    return true;
}

/* True when there is more to do. */
static bool index_resize(struct store *store)
{
    uint64_t wanted = buckets_wanted(store);
    bool more = index_grow(store, wanted);
    atomic_store_explicit(&store->growing, more, memory_order_relaxed);
    /* A sweep goes through the buckets upwards: a merge would bring items behind its back. */
    if (!more && !store->sweeping)
        more = index_shrink(store, wanted);
    index_release(store);
    overflow_settle(store);
    return more;
}

/* Nothing is kept for bodies to come when memory is owed, nor what a second's bodies could do without. */
static void spares_settle(struct store *store, uint32_t now_s)
{
    if (now_s != store->spares_trim_s)
        staging_trim_spares(store);
    store->spares_trim_s = now_s;
    if (atomic_load_explicit(&store->held_size, memory_order_relaxed) >
        atomic_load_explicit(&store->limit_size, memory_order_relaxed))
        staging_free_spares(store);
}

/* The least of the free segments in the last whole second is what nobody needed in it. */
static void trim_watch(struct store *store, uint32_t now_s)
{
    struct trim *trim = &store->trim;
    size_t count = atomic_load_explicit(&store->free.count, memory_order_relaxed);
    size_t keep = TRIM_RESERVES * segment_reserve_count(store);
    if (count < trim->low)
        trim->low = count;
    if (now_s == trim->looked_s)
        return;
    trim->idle = trim->low > keep ? trim->low - keep : 0;
    trim->low = count;
    trim->looked_s = now_s;
}

/* Free segments beyond twice the reserve that nobody took for a second go back to the system, some in each
 * round: what a flush or expiry has freed is given back in seconds, what is freed and taken again in turn,
 * by eviction or compaction under a load of writes, is not touched. */
static void segments_trim(struct store *store)
{
    for (unsigned i = 0; i < TRIM_COUNT && store->trim.idle > 0 && segment_retire_one(store); i++)
        store->trim.idle--;
}

/* An empty cache is small, whatever it may grow to. */
static bool reserve_fill(struct store *store)
{
    return atomic_load_explicit(&store->segment_count, memory_order_relaxed) > 0 &&
           segment_prepare(store, (unsigned)segment_reserve_count(store));
}

static enum next_round maintain_round(struct store *store)
{
    uint32_t now_s = clock_s();
    flush_poll(store, now_s);
    lock_acquire(&store->maintain_lock);
    spares_settle(store, now_s);
    segment_collect(store);
    bool more = expire_segments(store, now_s);
    more |= flush_sweep(store);
    more |= index_resize(store);
    more |= compact_nearly_dead(store);
    more |= compact_wasteful(store);
    more |= evict_to_reserve(store);
    more |= reserve_fill(store);
    trim_watch(store, now_s);
    if (!more)
        segments_trim(store);
    bool waiting = atomic_load_explicit(&store->limbo.count, memory_order_relaxed) > 0 ||
                   atomic_load_explicit(&store->claimed.count, memory_order_relaxed) > 0;
    lock_release(&store->maintain_lock);
    if (more)
        return ROUND_NOW;
    return waiting ? ROUND_SOON : ROUND_LATER;
}

void store_maintain(struct store *store)
{
    while (maintain_round(store) == ROUND_NOW)
        ;
}

void maintain_wake(struct store *store)
{
    /* Relaxed: whoever asks first posts; the maintainer clears the flag before it looks. */
    if (!atomic_exchange_explicit(&store->wake_wanted, true, memory_order_relaxed))
        sem_post(&store->wake);
}

static void maintain_sleep(struct store *store, long ns)
{
    struct timespec until;
    clock_gettime(CLOCK_MONOTONIC, &until);
    until.tv_nsec += ns;
    until.tv_sec += until.tv_nsec / 1000000000;
    until.tv_nsec %= 1000000000;
    sem_clockwait(&store->wake, CLOCK_MONOTONIC, &until);
}

/* A mutex is not fair: without this the maintainer would have its lock back before a waiting worker wakes. */
static void maintain_yield(struct store *store)
{
    struct timespec pause = {.tv_nsec = YIELD_NS};
    while (atomic_load_explicit(&store->waiting_count, memory_order_relaxed) > 0)
        nanosleep(&pause, NULL);
}

/* Where it shares a core with workers they go first: what it does in long runs they wait for otherwise. Best
 * effort. */
static void maintain_step_back(void)
{
    setpriority(PRIO_PROCESS, (id_t)gettid(), MAINTAIN_NICE);
}

static void *maintain_loop(void *arg)
{
    struct store *store = arg;
    maintain_step_back();
    while (!atomic_load_explicit(&store->stopping, memory_order_acquire)) {
        atomic_store_explicit(&store->wake_wanted, false, memory_order_relaxed);
        enum next_round next = maintain_round(store);
        if (next == ROUND_NOW)
            maintain_yield(store);
        else
            maintain_sleep(store, next == ROUND_SOON ? SHORT_NS : ROUND_NS);
    }
    return NULL;
}

void store_maintainer_start(struct store *store)
{
    ASSERT(!store->running);
    atomic_store_explicit(&store->stopping, false, memory_order_release);
    store->running = pthread_create(&store->maintainer, NULL, maintain_loop, store) == 0;
    ASSERT(store->running);
}

void store_maintainer_stop(struct store *store)
{
    if (!store->running)
        return;
    atomic_store_explicit(&store->stopping, true, memory_order_release);
    sem_post(&store->wake);
    pthread_join(store->maintainer, NULL);
    store->running = false;
}
